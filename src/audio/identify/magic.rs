//! Foreign formats by their first bytes, and MPEG audio by its frames.

use super::{Known, Refusal, plain};

/// Formats that are refused by the name of their codec: mark, place, container, codec.
const FOREIGN: &[(&[u8], usize, &str, &str)] = &[
    (b"#!AMR-WB", 0, "amr", "amr-wb"),
    (b"#!AMR", 0, "amr", "amr-nb"),
    (b"caff", 0, "caf", "Core Audio"),
    (b".snd", 0, "au", "Sun audio"),
    (b"wvpk", 0, "wv", "wavpack"),
    (b"MAC ", 0, "ape", "Monkey's Audio"),
    (b"TTA1", 0, "tta", "True Audio"),
    (b"MPCK", 0, "mpc", "musepack"),
    (b"MP+", 0, "mpc", "musepack"),
    (b"DSD ", 0, "dsf", "dsd"),
    (b"FRM8", 0, "dff", "dsd"),
    (b".RMF", 0, "rm", "RealAudio"),
    (b".ra\xfd", 0, "ra", "RealAudio"),
    (b"ADIF", 0, "aac", "aac-adif"),
    (b"\x0b\x77", 0, "ac3", "ac-3"),
    (b"\x7f\xfe\x80\x01", 0, "dts", "dts"),
    (b"FLV\x01", 0, "flv", "Flash video"),
    (b"\x00\x00\x01\xba", 0, "mpeg-ps", "MPEG video"),
    (b"MThd", 0, "midi", "midi"),
    (b"\x28\xb5\x2f\xfd", 0, "zst", "zstd"),
];

/// Files that hold no sound at all: mark, place, what it looks like.
const NO_AUDIO: &[(&[u8], usize, &str)] = &[
    (b"%PDF", 0, "it looks like a PDF document"),
    (b"PK\x03\x04", 0, "it looks like a ZIP archive or an office document"),
    (b"\xd0\xcf\x11\xe0", 0, "it looks like an old office document"),
    (b"\x89PNG", 0, "it looks like a PNG picture"),
    (b"\xff\xd8\xff", 0, "it looks like a JPEG picture"),
    (b"GIF8", 0, "it looks like a GIF picture"),
    (b"BM", 0, "it looks like a BMP picture"),
    (b"\x7fELF", 0, "it looks like a program"),
    (b"MZ", 0, "it looks like a program"),
    (b"\x1f\x8b", 0, "it looks like a gzip archive"),
    (b"Rar!", 0, "it looks like a RAR archive"),
    (b"7z\xbc\xaf", 0, "it looks like a 7z archive"),
    (b"SQLite format 3", 0, "it looks like a database"),
    (b"<!DOCTYPE", 0, "it looks like a web page"),
    (b"<html", 0, "it looks like a web page"),
    (b"<?xml", 0, "it looks like XML"),
    (b"version https://git-lfs", 0, "it is a Git LFS pointer, the file itself was not fetched"),
];

/// Header object of ASF, the container of WMA and WMV.
const ASF: &[u8] = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c";
/// Stream type of sound inside ASF.
const ASF_AUDIO: &[u8] = b"\x40\x9e\x69\xf8\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b";

/// Refuses what is surely something else.
pub fn foreign(head: &[u8]) -> Option<Refusal> {
    let codec = |format, codec: &str| Some(Refusal::Codec { format, codec: codec.to_owned() });
    if head.starts_with(ASF) {
        return codec("asf", asf_codec(head));
    }
    if head.starts_with(b"\x1a\x45\xdf\xa3") {
        return codec(if find(head, b"webm").is_some() { "webm" } else { "mkv" }, mkv_codec(head));
    }
    if head.starts_with(b"FORM") && matches!(head.get(8..12), Some(b"AIFF" | b"AIFC")) {
        return codec("aiff", "aiff");
    }
    if is_transport_stream(head) {
        return codec("mpeg-ts", "MPEG transport stream");
    }
    let at = |mark: &[u8], place: usize| head.get(place..).is_some_and(|h| h.starts_with(mark));
    if let Some(&(_, _, format, name)) = FOREIGN.iter().find(|f| at(f.0, f.1)) {
        return codec(format, name);
    }
    let (_, _, looks_like) = *NO_AUDIO.iter().find(|f| at(f.0, f.1))?;
    Some(Refusal::NotAudio { looks_like })
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

fn asf_codec(head: &[u8]) -> &'static str {
    // Stream type, error correction type, offset, two lengths, flags, reserved: then the format.
    let tag = find(head, ASF_AUDIO).and_then(|at| super::le16(head, at + 54));
    match tag {
        Some(0x160) => "wma v1",
        Some(0x161) => "wma v2",
        Some(0x162) => "wma professional",
        Some(0x163) => "wma lossless",
        Some(0x0a) => "wma voice",
        _ => "wma",
    }
}

fn mkv_codec(head: &[u8]) -> &'static str {
    const CODECS: &[(&[u8], &str)] = &[
        (b"A_OPUS", "opus"),
        (b"A_VORBIS", "vorbis"),
        (b"A_AAC", "aac"),
        (b"A_MPEG/L3", "mp3"),
        (b"A_FLAC", "flac"),
        (b"A_AC3", "ac-3"),
        (b"A_PCM", "pcm"),
    ];
    CODECS.iter().find(|c| find(head, c.0).is_some()).map_or("Matroska", |c| c.1)
}

fn is_transport_stream(head: &[u8]) -> bool {
    [188, 192].iter().any(|&size: &usize| {
        head.len() > 4 * size && (0..4).all(|n| head[n * size + size - 188] == 0x47)
    })
}

/// Header of one MPEG audio frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Length of the whole frame in bytes.
    pub len: usize,
    /// 1, 2 or 3.
    pub layer: u8,
    version: u8,
    rate: u8,
}

const BITRATES: [[u16; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

impl FrameHeader {
    /// Reads a header (ISO/IEC 11172-3 and 13818-3); `None` when the bits are none, or of the
    /// free format, whose length they do not say.
    pub fn parse(b: &[u8]) -> Option<Self> {
        let b: [u8; 4] = b.get(..4)?.try_into().ok()?;
        let (version, layer, bitrate, rate) =
            (b[1] >> 3 & 3, 4 - (b[1] >> 1 & 3), usize::from(b[2] >> 4), b[2] >> 2 & 3);
        let no_frame = b[0] != 0xff || b[1] & 0xe0 != 0xe0 || version == 1 || layer == 4;
        if no_frame || bitrate == 0 || bitrate == 15 || rate == 3 || b[3] & 3 == 2 {
            return None;
        }
        let first = version == 3;
        let row = match (first, layer) {
            (true, 1) => 0,
            (true, 2) => 1,
            (true, _) => 2,
            (false, 1) => 3,
            (false, _) => 4,
        };
        let bits = usize::from(BITRATES[row][bitrate]) * 1000;
        let hz = rate_hz(version, rate) as usize;
        let padding = usize::from(b[2] >> 1 & 1);
        let len = match (layer, first) {
            (1, _) => (12 * bits / hz + padding) * 4,
            (3, false) => 72 * bits / hz + padding,
            _ => 144 * bits / hz + padding,
        };
        Some(Self { len, layer, version, rate })
    }

    /// Returns the sample rate.
    pub fn rate_hz(self) -> u32 {
        rate_hz(self.version, self.rate)
    }

    /// Returns how many samples a frame has for each channel.
    pub fn samples(self) -> u64 {
        match (self.layer, self.version) {
            (1, _) => 384,
            (3, 0 | 2) => 576,
            _ => 1152,
        }
    }

    /// Says whether the other may follow in one stream.
    pub fn is_like(self, other: Self) -> bool {
        (self.layer, self.version, self.rate) == (other.layer, other.version, other.rate)
    }
}

fn rate_hz(version: u8, rate: u8) -> u32 {
    let full = [44_100, 48_000, 32_000, 48_000][usize::from(rate & 3)];
    match version {
        3 => full,
        2 => full / 2,
        _ => full / 4,
    }
}

/// Names MPEG audio by two frames in a row; refuses layers I and II, and what is nothing known.
pub fn mpeg_audio(head: &[u8]) -> Result<Known, Refusal> {
    let frame = |at: usize| head.get(at..).and_then(FrameHeader::parse);
    let found = (0..head.len()).find_map(|at| {
        let first = frame(at)?;
        let next = frame(at + first.len);
        let is_last = at + first.len >= head.len() && at == 0;
        (next.is_some_and(|next| next.is_like(first)) || is_last).then_some(first)
    });
    match found.map(|frame| frame.layer) {
        Some(3) => Ok(plain("mp3", "mp3", "audio/mpeg")),
        Some(2) => Err(Refusal::Codec { format: "mp2", codec: "MPEG audio layer II".to_owned() }),
        Some(_) => Err(Refusal::Codec { format: "mp1", codec: "MPEG audio layer I".to_owned() }),
        None => Err(Refusal::NotAudio { looks_like: what_it_may_be(head) }),
    }
}

fn what_it_may_be(head: &[u8]) -> &'static str {
    if head.iter().all(|&b| b == 0) {
        "it holds zeros only"
    } else if std::str::from_utf8(&head[..head.len().min(4096).saturating_sub(4)]).is_ok() {
        "it looks like text"
    } else {
        "no known audio format begins like this"
    }
}
