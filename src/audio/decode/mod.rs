//! Decodes a clip in blocks, trimmed to what the encoder was given.
//!
//! Streams from disk; at most a few packets are in memory. Damage that can be skipped is skipped
//! and counted with its place. Invariants: samples are finite; the frame count of a block times
//! its channels is its length; what comes out is the same at every run.

mod trim;

use super::identify::{End, Extent, Known};
use super::refusal::Refusal;
use std::fs::File;
use std::path::Path;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::common::Limit;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::{MetadataOptions, StandardTag};
use symphonia::core::units::Timestamp;
use trim::Trim;

/// Packets in a row that may give nothing before the file counts as broken.
const MOST_BARREN: u32 = 20_000;
/// Damaged places that are told one by one.
const TOLD: usize = 20;
/// Frames decoded before a seek target, so that filters and bit reservoirs are warm.
const WARM_UP: u64 = 8192;

/// Where the decoder had to skip something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Milliseconds from the start of the clip.
    pub at_ms: i64,
    /// What was wrong there.
    pub what: &'static str,
}

/// A clip being decoded.
pub struct Decoder {
    format: Box<dyn FormatReader>,
    codec: Box<dyn AudioDecoder>,
    track: u32,
    channels: usize,
    rate_hz: u32,
    trim: Trim,
    block: Vec<f32>,
    damage: Vec<Damage>,
    damaged: u64,
    packets: u64,
    barren: u32,
    ended: bool,
    cut_short: bool,
    /// Time at which the next packet should begin, in the reader's count.
    expected: Option<i64>,
    title: Option<String>,
    promised: Option<u64>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("channels", &self.channels)
            .field("rate_hz", &self.rate_hz)
            .finish_non_exhaustive()
    }
}

/// Opens a clip for playing: names it by its bytes, then prepares its decoder.
pub fn open(path: &Path) -> Result<Decoder, Refusal> {
    let unreadable = |source| Refusal::Unreadable { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let known = super::identify::identify(&mut file, bytes)?.map_err(unreadable)?;
    Decoder::new(path, &known)
}

impl Decoder {
    /// Prepares the decoder of a file that was identified.
    pub fn new(path: &Path, known: &Known) -> Result<Self, Refusal> {
        let unreadable = |source| Refusal::Unreadable { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(unreadable)?;
        let source = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        let mut hint = Hint::new();
        hint.with_extension(known.format);
        let meta = MetadataOptions::default()
            .limit_tag_bytes(Limit::Maximum(64 * 1024))
            .limit_visual_bytes(Limit::Maximum(1));
        let mut format = symphonia::default::get_probe()
            .probe(&hint, source, FormatOptions::default(), meta)
            .map_err(broken)?;
        let title = title(format.as_mut());
        let track = format.first_track(TrackType::Audio).ok_or(Refusal::NoSound)?;
        let Some(CodecParameters::Audio(params)) = &track.codec_params else {
            return Err(Refusal::NoSound);
        };
        // Trimming is done here: the reader would cut at an end it only estimates.
        let options = AudioDecoderOptions::default().gapless(known.format == "ogg");
        let codec = symphonia::default::get_codecs()
            .make_audio_decoder(params, &options)
            .map_err(broken)?;
        let rate_hz = codec.codec_params().sample_rate.or(params.sample_rate).unwrap_or(0);
        let channels = codec.codec_params().channels.as_ref().or(params.channels.as_ref());
        let channels = channels.map_or(0, symphonia::core::audio::Channels::count);
        let extent = extent(known, track);
        let decoder = Self {
            track: track.id,
            promised: extent.promised,
            trim: Trim::new(extent, channels, known.format == "mp3"),
            format,
            codec,
            channels,
            rate_hz,
            block: Vec::new(),
            damage: Vec::new(),
            damaged: 0,
            packets: 0,
            barren: 0,
            ended: false,
            cut_short: false,
            expected: None,
            title,
        };
        decoder.check()?;
        Ok(decoder)
    }

    fn check(&self) -> Result<(), Refusal> {
        if !(1..=2).contains(&self.channels) {
            return Err(Refusal::Channels { channels: self.channels });
        }
        if !(4_000..=192_000).contains(&self.rate_hz) {
            return Err(Refusal::Rate { rate_hz: self.rate_hz });
        }
        Ok(())
    }

    /// Returns the number of channels, 1 or 2.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Returns the sample rate.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Returns the title from the tags as they stand.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Returns the first damaged places and how many there were.
    pub fn damage(&self) -> (&[Damage], u64) {
        (&self.damage, self.damaged)
    }

    /// Returns how many packets were read.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Returns how many frames the container promises, if it says so and can be believed.
    pub fn promised(&self) -> Option<u64> {
        self.promised
    }

    /// Says whether the file ended in the middle of something.
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// Returns how many frames of the clip have come out.
    pub fn position(&self) -> u64 {
        self.trim.position()
    }

    /// Returns the next block of interleaved samples, or `None` after the last.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>, Refusal> {
        loop {
            if self.trim.take(self.ended, &mut self.block) {
                return Ok(Some(&self.block));
            }
            if self.ended {
                return Ok(None);
            }
            self.decode_packet()?;
        }
    }

    fn decode_packet(&mut self) -> Result<(), Refusal> {
        if self.trim.is_over() {
            self.ended = true;
            return Ok(());
        }
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => {
                self.ended = true;
                return Ok(());
            }
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                self.ended = true;
                self.cut_short = true;
                return Ok(());
            }
            Err(Error::IoError(source)) => {
                return Err(Refusal::Broken { reason: source.to_string() });
            }
            Err(Error::DecodeError(what)) => return self.skip(what),
            Err(Error::ResetRequired) => {
                let at_ms = self.now_ms();
                return Err(Refusal::Changes { what: "the stream", at_ms });
            }
            Err(_) if self.trim.position() > 0 => {
                self.ended = true;
                self.cut_short = true;
                return Ok(());
            }
            Err(error) => return Err(broken(error)),
        };
        if packet.track_id != self.track {
            return self.is_barren();
        }
        self.packets += 1;
        // Where the stream counts, a jump tells of packets that the reader passed over.
        let (begins, lasts) = (packet.pts.get(), i64::try_from(packet.dur.get()).unwrap_or(0));
        let expected = self.expected.replace(begins.saturating_add(lasts));
        // The first packets of Vorbis are cut by the reader, which counts them whole.
        if self.packets > 4 && expected.is_some_and(|expected| begins > expected) {
            self.note("sound is missing");
        }
        let buffer = match self.codec.decode(&packet) {
            Ok(buffer) => buffer,
            // Damaged bits may ask for things that no encoder of this kind ever asks for.
            Err(Error::DecodeError(what) | Error::Unsupported(what) | Error::LimitError(what)) => {
                return self.skip(what);
            }
            Err(Error::IoError(_)) => return self.skip("a packet is too short"),
            Err(error) => return Err(broken(error)),
        };
        if buffer.frames() == 0 {
            return self.is_barren();
        }
        let (rate_hz, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
        let mut samples = std::mem::take(&mut self.block);
        buffer.copy_to_vec_interleaved(&mut samples);
        if rate_hz != self.rate_hz || channels != self.channels {
            let what = if rate_hz == self.rate_hz { "the number of channels" } else { "the rate" };
            return Err(Refusal::Changes { what, at_ms: self.now_ms() });
        }
        let mut odd = false;
        for sample in &mut samples {
            // Not a number, or absurd.
            if !sample.is_finite() || sample.abs() > 1024.0 {
                *sample = 0.0;
                odd = true;
            }
        }
        self.barren = 0;
        if odd {
            self.note("samples that are no numbers");
        }
        self.trim.put(&samples, packet.pts);
        self.block = samples;
        Ok(())
    }

    fn skip(&mut self, what: &'static str) -> Result<(), Refusal> {
        self.note(what);
        self.is_barren()
    }

    fn note(&mut self, what: &'static str) {
        self.damaged += 1;
        let at_ms = self.now_ms();
        if self.damage.len() < TOLD {
            self.damage.push(Damage { at_ms, what });
        }
    }

    fn is_barren(&mut self) -> Result<(), Refusal> {
        self.barren += 1;
        if self.barren > MOST_BARREN {
            let reason = "thousands of packets in a row hold no sound".to_owned();
            return Err(Refusal::Broken { reason });
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        let ms = (self.trim.position() + self.trim.held()).saturating_mul(1000)
            / u64::from(self.rate_hz.max(1));
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// Goes to a frame of the clip: the next block begins there, or `None` follows when the clip
    /// is shorter. Near places are reached by decoding, far ones by the container's index.
    pub fn seek(&mut self, frame: u64) -> Result<(), Refusal> {
        let near = u64::from(self.rate_hz) * 5;
        if frame > self.trim.position() + near && !self.ended {
            self.jump(frame);
        }
        self.trim.want(frame);
        Ok(())
    }

    fn jump(&mut self, frame: u64) {
        let raw = self.trim.raw(frame);
        let Ok(ts) = i64::try_from(raw.saturating_sub(WARM_UP)) else { return };
        let to = SeekTo::Timestamp { ts: Timestamp::new(ts), track_id: self.track };
        if self.format.seek(SeekMode::Accurate, to).is_ok() {
            self.codec.reset();
            self.expected = None;
            self.trim.expect_seek();
        }
    }
}

fn broken(error: Error) -> Refusal {
    Refusal::Broken { reason: error.to_string() }
}

/// Combines what the container said with what the reader found in the stream.
fn extent(known: &Known, track: &symphonia::core::formats::Track) -> Extent {
    match known.format {
        // Delay and length stand in the info frame of the encoder; without padding the length is
        // an estimate from the bit rate and not to be believed.
        "mp3" => match (track.delay, track.padding, track.num_frames) {
            (Some(delay), Some(_), Some(frames)) => Extent {
                skip: Some(u64::from(delay)),
                end: End::Near(frames),
                promised: Some(frames),
            },
            (delay, ..) => Extent { skip: delay.map(u64::from), end: End::Decoded, promised: None },
        },
        "flac" => Extent { skip: None, end: End::Decoded, promised: track.num_frames },
        _ => known.extent,
    }
}

fn title(format: &mut dyn FormatReader) -> Option<String> {
    let mut metadata = format.metadata();
    loop {
        let found = metadata.current().and_then(|revision| {
            revision.media.tags.iter().find_map(|tag| match &tag.std {
                Some(StandardTag::TrackTitle(title)) => Some(title.to_string()),
                _ => None,
            })
        });
        if found.is_some() || metadata.pop().is_none() {
            return found;
        }
    }
}
