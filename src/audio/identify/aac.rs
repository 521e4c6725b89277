//! AAC: which of its many kinds a stream is. Only the low-complexity kind is decoded here.
//!
//! # Why so much care
//! HE-AAC carries a low-complexity core at half the rate; a decoder that overlooks the rest
//! plays it dull and, told the wrong rate, at half speed. The extension is announced in the
//! configuration (explicitly), behind it (a sync word), or not at all: then it stands in fill
//! elements at the end of each frame.

use super::{Known, Refusal, mp4, plain, read_at};
use std::fs::File;

const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// The extension doubles the rate, and nobody listens above 48 kHz: cores are slow.
const FASTEST_CORE_HZ: u32 = 24_000;

/// Refuses HE-AAC by name.
pub fn he_aac(format: &'static str) -> Refusal {
    Refusal::Codec { format, codec: "he-aac".to_owned() }
}

/// Reads bits from the front; beyond the end there are zeros, and `ok` says so.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn left(&self) -> usize {
        (8 * self.bytes.len()).saturating_sub(self.at)
    }

    fn bit(&self, at: usize) -> u32 {
        self.bytes.get(at / 8).map_or(0, |byte| u32::from(byte >> (7 - at % 8) & 1))
    }

    fn peek(&self, at: usize, count: usize) -> u32 {
        (at..at + count).fold(0, |n, at| n << 1 | self.bit(at))
    }

    fn read(&mut self, count: usize) -> u32 {
        let n = self.peek(self.at, count);
        self.at += count;
        n
    }

    fn object_type(&mut self) -> u32 {
        match self.read(5) {
            31 => 32 + self.read(6),
            n => n,
        }
    }

    fn rate(&mut self) -> u32 {
        match self.read(4) as usize {
            15 => self.read(24),
            n => RATES.get(n).copied().unwrap_or(0),
        }
    }
}

/// Judges an AudioSpecificConfig (14496-3, 1.6.2.1): only low complexity passes.
pub fn judge_config(asc: &[u8], format: &'static str) -> Result<(), Refusal> {
    let refuse = |codec: &str| Err(Refusal::Codec { format, codec: codec.to_owned() });
    let mut bits = Bits::new(asc);
    let object = bits.object_type();
    let rate = bits.rate();
    bits.read(4);
    match object {
        2 => {}
        5 => return refuse("he-aac"),
        29 => return refuse("he-aac v2"),
        1 => return refuse("aac-main"),
        3 => return refuse("aac-ssr"),
        4 => return refuse("aac-ltp"),
        23 => return refuse("aac-ld"),
        32..=34 => return refuse("mp3"),
        39 => return refuse("aac-eld"),
        42 => return refuse("xhe-aac"),
        n => return refuse(&format!("MPEG-4 audio object {n}")),
    }
    if rate == 0 {
        return Err(Refusal::Broken { reason: "the AAC configuration names no rate".to_owned() });
    }
    if bits.read(1) == 1 {
        return refuse("aac with frames of 960");
    }
    bits.read(1); // depends on a core coder: only with scalable objects
    bits.read(1);
    if bits.left() >= 16 && bits.peek(bits.at, 11) == 0x2b7 {
        bits.read(11);
        if bits.object_type() == 5 && bits.read(1) == 1 {
            return refuse("he-aac");
        }
    }
    Ok(())
}

/// Returns the core's rate of a configuration.
fn core_rate(asc: &[u8]) -> u32 {
    let mut bits = Bits::new(asc);
    bits.object_type();
    bits.rate()
}

/// Says whether a frame may end with a fill element that carries spectral band replication.
///
/// The elements before it can only be passed by decoding them; so the frame is read from its
/// end: up to seven padding bits, the end mark, and before it one or two fill elements of any
/// length. One frame proves nothing; many in a row do.
fn may_end_with_sbr(frame: &[u8]) -> bool {
    let bits = Bits::new(frame);
    let total = 8 * frame.len();
    let fill_before = |end: usize, wants_sbr: bool| -> Vec<usize> {
        let mut starts = Vec::new();
        for count in 1..=269usize {
            let head = if count < 15 { 7 } else { 15 };
            let Some(start) = end.checked_sub(head + 8 * count) else { break };
            let counted = if count < 15 {
                bits.peek(start + 3, 4) as usize == count
            } else {
                bits.peek(start + 3, 4) == 15 && bits.peek(start + 7, 8) as usize + 14 == count
            };
            let kind = bits.peek(start + head, 4);
            let fits = if wants_sbr { kind == 13 || kind == 14 } else { kind == 0 };
            if counted && fits && bits.peek(start, 3) == 6 {
                starts.push(start);
            }
        }
        starts
    };
    (0..8).filter_map(|padding| total.checked_sub(padding + 3)).any(|end| {
        bits.peek(end, 3) == 7
            && bits.peek(end + 3, total - end - 3) == 0
            && (!fill_before(end, true).is_empty()
                || fill_before(end, false).iter().any(|&at| !fill_before(at, true).is_empty()))
    })
}

/// Judges by frames that are not the first (encoders put their name there).
fn is_sbr_stream<'a>(frames: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut all, mut with) = (0, 0);
    for frame in frames.skip(2).filter(|frame| frame.len() > 8).take(60) {
        all += 1;
        with += usize::from(may_end_with_sbr(frame));
    }
    all >= 4 && with * 10 >= all * 9
}

/// Looks for unannounced extensions in the first frames of an MP4 track.
pub fn implicit_sbr_in_mp4(file: &mut File, movie: &mp4::Movie) -> std::io::Result<bool> {
    let Some(track) = movie.sound() else { return Ok(false) };
    if track.asc().map_or(0, core_rate) > FASTEST_CORE_HZ {
        return Ok(false);
    }
    // Frames of the first chunk; where chunks hold one frame each, one of each chunk.
    let mut frames = Vec::new();
    let mut sizes = track.sizes.iter().map(|&size| size as usize);
    for (n, &chunk) in track.chunks.iter().enumerate() {
        let until = track.chunks.get(n + 1).copied().unwrap_or(u64::MAX);
        let mut at = chunk;
        while at < until {
            let Some(size) = sizes.next().filter(|&size| size < 8192) else { break };
            if at + size as u64 > until {
                break;
            }
            frames.push(read_at(file, at, size)?);
            at += size as u64;
        }
    }
    Ok(is_sbr_stream(frames.iter().map(Vec::as_slice)))
}

/// A raw AAC stream with a header before each frame.
#[derive(Clone, Copy, Debug)]
pub struct Adts {
    at: usize,
}

struct AdtsFrame<'a> {
    body: &'a [u8],
    profile: u8,
    rate: u32,
    len: usize,
}

impl Adts {
    fn frame(bytes: &[u8]) -> Option<AdtsFrame<'_>> {
        let b = bytes.get(..7)?;
        if b[0] != 0xff || b[1] & 0xf6 != 0xf0 {
            return None;
        }
        let rate = RATES.get(usize::from(b[2] >> 2 & 15)).copied()?;
        let len = usize::from(b[3] & 3) << 11 | usize::from(b[4]) << 3 | usize::from(b[5] >> 5);
        let head = if b[1] & 1 == 1 { 7 } else { 9 };
        let body = bytes.get(head..len.min(bytes.len())).filter(|_| len > head)?;
        Some(AdtsFrame { body, profile: b[2] >> 6, rate, len })
    }

    /// Finds three frames in a row, or all there are in a short file.
    pub fn find(head: &[u8]) -> Option<Self> {
        (0..head.len().min(8192)).map(|at| Self { at }).find(|adts| {
            let mut at = adts.at;
            for n in 0..3 {
                match head.get(at..).and_then(Self::frame) {
                    Some(frame) => at += frame.len,
                    None => return n > 0 && at == head.len() && adts.at == 0,
                }
            }
            true
        })
    }

    /// Names the kind, or refuses it.
    pub fn identify(self, head: &[u8]) -> Result<Known, Refusal> {
        let mut at = self.at;
        let frames = std::iter::from_fn(|| {
            let frame = head.get(at..).and_then(Self::frame)?;
            at += frame.len;
            Some(frame)
        });
        let mut frames = frames.peekable();
        let Some(first) = frames.peek() else {
            return Err(Refusal::NotAudio { looks_like: "no known audio format begins like this" });
        };
        let name = ["aac-main", "aac-lc", "aac-ssr", "aac-ltp"][usize::from(first.profile)];
        if first.profile != 1 {
            return Err(Refusal::Codec { format: "aac", codec: name.to_owned() });
        }
        if first.rate <= FASTEST_CORE_HZ && is_sbr_stream(frames.map(|frame| frame.body)) {
            return Err(he_aac("aac"));
        }
        Ok(plain("aac", "aac-lc", "audio/aac"))
    }
}
