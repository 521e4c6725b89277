//! What a file is, by its bytes: never by its name, and never by trying decoders.
//!
//! A decoder that is tried on a foreign stream may find something that looks like its own; so
//! the bytes are named first and only what is known to be decodable goes on. Reads a bounded
//! head and, of MP4, only the boxes it needs.

pub mod aac;
mod magic;
mod mp3;
mod mp4;
mod ogg;
mod wav;

use super::refusal::Refusal;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// A stream that can be decoded here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `mp3`, `m4a`, `aac`, `wav`, `flac`, `ogg`.
    pub format: &'static str,
    /// `mp3`, `aac-lc`, `flac`, `vorbis`, or what the WAV header says.
    pub codec: &'static str,
    /// Media type.
    pub media_type: &'static str,
    /// What the container says about the stretch that sounds.
    pub extent: Extent,
    /// Warnings that the container alone justifies.
    pub warnings: Vec<String>,
}

/// The stretch of the decoded samples that is the clip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Frames before the clip begins (encoder delay); `None` when the container does not say.
    pub skip: Option<u64>,
    /// Where the clip ends.
    pub end: End,
    /// How many frames the container promises, trimmed; only to notice a truncated file.
    pub promised: Option<u64>,
}

/// Where a clip ends, in frames after the skipped ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// With the last decoded frame.
    #[default]
    Decoded,
    /// At the stated frame, if the decoded end is near it: padding of an encoder. Else the
    /// header is wrong and the samples are right.
    Near(u64),
    /// At the stated frame: somebody cut the clip there.
    Cut(u64),
}

/// Bytes of the head that are looked at, after ID3 tags.
const HEAD: usize = 64 * 1024;

/// Says what the file is, or refuses it by name.
pub fn identify(file: &mut File, bytes: u64) -> Result<std::io::Result<Known>, Refusal> {
    match read_head(file, bytes) {
        Ok((at, head)) => identify_head(file, bytes, at, &head),
        Err(error) => Ok(Err(error)),
    }
}

fn identify_head(
    file: &mut File,
    bytes: u64,
    at: u64,
    head: &[u8],
) -> Result<std::io::Result<Known>, Refusal> {
    if head.is_empty() {
        return Err(Refusal::NotAudio { looks_like: "nothing follows the tags" });
    }
    if let Some(refusal) = magic::foreign(head) {
        return Err(refusal);
    }
    if head.starts_with(b"OggS") {
        return ogg::identify(head).map(Ok);
    }
    if wav::is_wav(head) {
        return match wav::Chunks::read(file, at, bytes) {
            Ok(chunks) => wav::identify(&chunks).map(Ok),
            Err(error) => Ok(Err(error)),
        };
    }
    if head.get(4..8) == Some(b"ftyp") || mp4::starts_like_mp4(head) {
        return match mp4::Movie::read(file, at, bytes) {
            Ok(movie) => {
                let known = mp4::identify(&movie)?;
                match aac::implicit_sbr_in_mp4(file, &movie) {
                    Ok(true) => Err(aac::he_aac("m4a")),
                    Ok(false) => Ok(Ok(known)),
                    Err(error) => Ok(Err(error)),
                }
            }
            Err(error) => Ok(Err(error)),
        };
    }
    if head.starts_with(b"fLaC") {
        return Ok(Ok(plain("flac", "flac", "audio/flac")));
    }
    if let Some(adts) = aac::Adts::find(head) {
        return adts.identify(head).map(Ok);
    }
    magic::mpeg_audio(head).map(Ok)
}

/// Returns warnings that need a look at the whole file: where frames of MP3 are missing.
pub fn damage(file: &mut File, bytes: u64, known: &Known) -> std::io::Result<Vec<(i64, String)>> {
    if known.format != "mp3" {
        return Ok(Vec::new());
    }
    let (start, _) = read_head(file, bytes)?;
    let gaps = mp3::gaps(file, start)?;
    let tell = |gap: mp3::Gap| (gap.at_ms, format!("{} bytes that are no sound", gap.bytes));
    Ok(gaps.into_iter().map(tell).collect())
}

fn plain(format: &'static str, codec: &'static str, media_type: &'static str) -> Known {
    Known { format, codec, media_type, extent: Extent::default(), warnings: Vec::new() }
}

/// Reads the head behind any ID3v2 tags; returns its place.
fn read_head(file: &mut File, bytes: u64) -> std::io::Result<(u64, Vec<u8>)> {
    let mut at = 0;
    let mut head = Vec::new();
    // Some programs write a second tag in front of the first; a file of tags alone ends the loop.
    for _ in 0..8 {
        head = read_at(file, at, HEAD)?;
        let Some(tag) = id3v2_len(&head) else { break };
        at = (at + tag).min(bytes);
    }
    Ok((at, head))
}

/// Returns the length of the ID3v2 tag at the start, header and footer included.
fn id3v2_len(head: &[u8]) -> Option<u64> {
    let header = head.get(..10).filter(|h| h.starts_with(b"ID3") && h[3] != 0xff)?;
    let size = header[6..10].iter().fold(0u64, |n, &b| n << 7 | u64::from(b & 0x7f));
    let footer = if header[5] & 0x10 == 0 { 0 } else { 10 };
    Some(10 + size + footer)
}

/// Reads up to `len` bytes at a place; fewer at the end of the file.
fn read_at(file: &mut File, at: u64, len: usize) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.by_ref().take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Big-endian and little-endian numbers at a place, `None` beyond the end.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
