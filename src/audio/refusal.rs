//! Why a file is not taken as a clip.

use std::path::PathBuf;

/// One reason, with the figures that led to it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("`{path}` cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` is not a file")]
    NotAFile { path: PathBuf },
    #[error("the file is empty")]
    Empty,
    #[error("the file has {bytes} bytes, more than the {max_bytes} allowed")]
    TooLarge { bytes: u64, max_bytes: u64 },
    #[error("the clip is longer than the {max_ms} ms allowed")]
    TooLong { max_ms: i64 },
    #[error("not audio: {looks_like}")]
    NotAudio { looks_like: &'static str },
    #[error("codec `{codec}` in `{format}` is not supported")]
    Codec { format: &'static str, codec: String },
    #[error("{channels} channels; a clip has one or two")]
    Channels { channels: usize },
    #[error("a sample rate of {rate_hz} Hz; 4,000 to 192,000 are supported")]
    Rate { rate_hz: u32 },
    #[error("{what} changes at {at_ms} ms")]
    Changes { what: &'static str, at_ms: i64 },
    #[error("truncated beyond use: {found_ms} ms of {promised_ms} ms are there")]
    Truncated { found_ms: i64, promised_ms: i64 },
    #[error("damaged beyond use: {damaged} of {packets} packets cannot be decoded")]
    Damaged { damaged: u64, packets: u64 },
    #[error("damaged beyond use: {reason}")]
    Broken { reason: String },
    #[error("no sound can be decoded")]
    NoSound,
    #[error("silence only: no sample above -60 dBFS in {duration_ms} ms")]
    Silence { duration_ms: i64 },
    #[error("ffmpeg is not installed")]
    NoConverter,
    #[error("ffmpeg cannot convert `{path}`: {reason}")]
    Conversion { path: PathBuf, reason: String },
}

impl Refusal {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check the path and the permissions",
            Self::NotAFile { .. } => "name the files one by one",
            Self::Empty | Self::Truncated { .. } => "copy the file again from where it was made",
            Self::TooLarge { .. } => "encode it as MP3 at 96 kbit/s mono, or split it",
            Self::TooLong { .. } => "split it into parts",
            Self::NotAudio { .. } => "use MP3, AAC-LC in M4A, WAV, FLAC or Ogg Vorbis",
            Self::Codec { .. } => {
                "save it as MP3, AAC-LC, WAV, FLAC or Ogg Vorbis, or let \
                 `loa inspect --convert OUT FILE` do it with ffmpeg"
            }
            Self::Channels { .. } => "mix it down to mono or stereo",
            Self::Rate { .. } => "resample it to 44,100 or 48,000 Hz",
            Self::Changes { .. } => "encode it anew in one go",
            Self::Damaged { .. } | Self::Broken { .. } | Self::NoSound => {
                "export it again from the program that made it"
            }
            Self::Silence { .. } => "check the recording: its level or its source was off",
            Self::NoConverter => "install it: `apt-get install ffmpeg`",
            Self::Conversion { .. } => "check that another program plays the file",
        }
    }

    /// Returns whether ffmpeg may be able to make a usable clip of the file.
    pub fn is_convertible(&self) -> bool {
        matches!(self, Self::Codec { .. } | Self::Channels { .. } | Self::Rate { .. })
    }
}
