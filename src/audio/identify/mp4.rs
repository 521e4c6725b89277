//! MP4: which codec the sound track carries, where its samples lie, and which stretch of them
//! is the clip (edit list, `iTunSMPB`).

use super::{End, Extent, Known, Refusal, aac, be32, be64, read_at};
use std::fs::File;

/// What was read of the boxes.
#[derive(Clone, Debug, Default)]
pub struct Movie {
    has_ftyp: bool,
    has_moov: bool,
    is_fragmented: bool,
    timescale: u32,
    smpb: Option<Smpb>,
    tracks: Vec<TrackBoxes>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TrackBoxes {
    is_sound: bool,
    timescale: u32,
    /// `stsd` with the description of the codec.
    description: Vec<u8>,
    /// Duration of all samples from `stts`.
    total: Option<u64>,
    /// Entries of the edit list: duration in the movie's time, start in the track's.
    edits: Vec<(u64, i64)>,
    /// Places of the first chunks, and sizes of the first samples in them.
    pub(super) chunks: Vec<u64>,
    pub(super) sizes: Vec<u32>,
}

/// What iTunes writes: encoder delay, padding and length, in samples.
#[derive(Clone, Copy, Debug)]
struct Smpb {
    delay: u64,
    frames: u64,
}

/// Boxes looked at before a file counts as hostile.
const MAX_BOXES: usize = 20_000;
/// Bytes of one box that are read.
const MAX_BOX: u64 = 64 * 1024;

/// Says whether a box other than `ftyp` stands first, as old QuickTime does.
pub fn starts_like_mp4(head: &[u8]) -> bool {
    matches!(head.get(4..8), Some(b"moov" | b"mdat" | b"wide" | b"skip" | b"free" | b"pnot"))
}

impl Movie {
    /// Walks the boxes; a file cut short gives what is there.
    pub fn read(file: &mut File, start: u64, bytes: u64) -> std::io::Result<Self> {
        let mut movie = Self::default();
        let mut budget = MAX_BOXES;
        movie.walk(file, start, bytes, &mut budget, 0)?;
        Ok(movie)
    }

    fn walk(
        &mut self,
        file: &mut File,
        mut at: u64,
        end: u64,
        budget: &mut usize,
        depth: u8,
    ) -> std::io::Result<()> {
        while at + 8 <= end && *budget > 0 && depth < 10 {
            *budget -= 1;
            let header = read_at(file, at, 16)?;
            let (Some(size), Some(kind)) = (be32(&header, 0), header.get(4..8)) else { break };
            let (skip, size) = match size {
                0 => (8, end - at),
                1 => (16, be64(&header, 8).unwrap_or(0)),
                n => (8, u64::from(n)),
            };
            if size < skip {
                break;
            }
            let (from, to) = (at + skip, at.saturating_add(size).min(end));
            let kind: [u8; 4] = kind.try_into().unwrap_or_default();
            self.take(file, kind, from, to, budget, depth)?;
            at = at.saturating_add(size);
        }
        Ok(())
    }

    fn take(
        &mut self,
        file: &mut File,
        kind: [u8; 4],
        from: u64,
        to: u64,
        budget: &mut usize,
        depth: u8,
    ) -> std::io::Result<()> {
        let mut body = || read_at(file, from, to.saturating_sub(from).min(MAX_BOX) as usize);
        match &kind {
            b"ftyp" => self.has_ftyp = true,
            b"mvex" => self.is_fragmented = true,
            b"moov" | b"mdia" | b"minf" | b"stbl" | b"edts" | b"udta" | b"ilst" => {
                self.has_moov |= &kind == b"moov";
                self.walk(file, from, to, budget, depth + 1)?;
            }
            b"trak" if self.tracks.len() < 32 => {
                self.tracks.push(TrackBoxes::default());
                self.walk(file, from, to, budget, depth + 1)?;
            }
            // Version and flags stand in front in MP4, not in QuickTime; `hdlr` comes first.
            b"meta" => {
                let skip = if read_at(file, from + 4, 4)? == b"hdlr" { 0 } else { 4 };
                self.walk(file, from + skip, to, budget, depth + 1)?;
            }
            b"----" => {
                let body = body()?;
                self.smpb = self.smpb.or_else(|| Smpb::parse(&body));
            }
            b"mvhd" => {
                let body = body()?;
                let at = if body.first() == Some(&1) { 20 } else { 12 };
                self.timescale = be32(&body, at).unwrap_or(0);
            }
            _ => {
                if let Some(track) = self.tracks.last_mut() {
                    track.take(kind, &mut body)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the first track of sound.
    pub(super) fn sound(&self) -> Option<&TrackBoxes> {
        self.tracks.iter().find(|track| track.is_sound)
    }
}

impl TrackBoxes {
    fn take(
        &mut self,
        kind: [u8; 4],
        body: &mut dyn FnMut() -> std::io::Result<Vec<u8>>,
    ) -> std::io::Result<()> {
        match &kind {
            b"hdlr" => self.is_sound |= body()?.get(8..12) == Some(b"soun"),
            b"mdhd" => {
                let body = body()?;
                let at = if body.first() == Some(&1) { 20 } else { 12 };
                self.timescale = be32(&body, at).unwrap_or(0);
            }
            b"stsd" => self.description = body()?,
            b"stts" => self.total = stts_total(&body()?),
            b"elst" => self.edits = edits(&body()?),
            b"stsz" => {
                let body = body()?;
                self.sizes = match be32(&body, 4) {
                    Some(0) => (0..64).map_while(|n| be32(&body, 12 + 4 * n)).collect(),
                    Some(size) => vec![size; 64],
                    None => Vec::new(),
                };
            }
            b"stco" => {
                let body = body()?;
                self.chunks =
                    (0..64).map_while(|n| be32(&body, 8 + 4 * n)).map(u64::from).collect();
            }
            b"co64" => {
                let body = body()?;
                self.chunks = (0..64).map_while(|n| be64(&body, 8 + 8 * n)).collect();
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the four letters of the codec and the body of its description.
    fn entry(&self) -> Option<([u8; 4], &[u8])> {
        let entry = self.description.get(8..)?;
        let size = be32(entry, 0)? as usize;
        let kind = entry.get(4..8)?.try_into().ok()?;
        Some((kind, entry.get(8..size.min(entry.len())).unwrap_or_default()))
    }

    /// Returns what `esds` says: object type and the AudioSpecificConfig.
    fn esds(&self) -> Option<(u8, &[u8])> {
        let (_, body) = self.entry()?;
        let at = body.windows(4).position(|w| w == b"esds")? + 8;
        descriptors(body.get(at..)?)
    }

    /// Returns the AudioSpecificConfig, if the track is AAC.
    pub(super) fn asc(&self) -> Option<&[u8]> {
        self.esds().map(|esds| esds.1)
    }
}

/// Walks `ES_Descriptor` → `DecoderConfigDescriptor` → `DecoderSpecificInfo` (14496-1).
fn descriptors(mut b: &[u8]) -> Option<(u8, &[u8])> {
    let mut object = None;
    for _ in 0..8 {
        let (&tag, mut rest) = b.split_first()?;
        let mut len = 0usize;
        for _ in 0..4 {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            len = len << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        match tag {
            3 => {
                let flags = *rest.get(2)?;
                let mut skip = 3;
                skip += if flags & 0x80 == 0 { 0 } else { 2 };
                skip += if flags & 0x40 == 0 { 0 } else { 1 + usize::from(*rest.get(skip)?) };
                skip += if flags & 0x20 == 0 { 0 } else { 2 };
                b = rest.get(skip..)?;
            }
            4 => {
                object = rest.first().copied();
                if len <= 13 {
                    return Some((object?, &[])); // no specific info: MPEG-1/2 audio
                }
                b = rest.get(13..)?;
            }
            5 => return Some((object?, rest.get(..len.min(rest.len()))?)),
            _ => b = rest.get(len..)?,
        }
    }
    None
}

fn stts_total(body: &[u8]) -> Option<u64> {
    let entries = be32(body, 4)? as usize;
    let mut total = 0u64;
    for n in 0..entries {
        let (count, delta) = (be32(body, 8 + 8 * n)?, be32(body, 12 + 8 * n)?);
        total = total.saturating_add(u64::from(count) * u64::from(delta));
    }
    (total > 0).then_some(total)
}

fn edits(body: &[u8]) -> Vec<(u64, i64)> {
    let wide = body.first() == Some(&1);
    let size = if wide { 20 } else { 12 };
    let entry = |n: usize| {
        let at = 8 + size * n;
        Some(if wide {
            (be64(body, at)?, be64(body, at + 8)?.cast_signed())
        } else {
            (u64::from(be32(body, at)?), i64::from(be32(body, at + 4)?.cast_signed()))
        })
    };
    let count = be32(body, 4).unwrap_or(0).min(1000) as usize;
    (0..count).map_while(entry).filter(|edit| edit.1 >= 0).collect()
}

impl Smpb {
    /// Reads ` 00000000 delay padding frames …`, all hexadecimal.
    fn parse(body: &[u8]) -> Option<Self> {
        if !body.windows(8).any(|w| w == b"iTunSMPB") {
            return None;
        }
        let at = body.windows(4).position(|w| w == b"data")? + 12;
        let text = std::str::from_utf8(body.get(at..)?).ok()?;
        let mut numbers = text.split_ascii_whitespace().map(|n| u64::from_str_radix(n, 16));
        let (_, delay, _, frames) = (
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
        );
        (delay < 1 << 16 && frames > 0).then_some(Self { delay, frames })
    }
}

/// Names the codec of the sound track and its extent, or refuses it.
pub fn identify(movie: &Movie) -> Result<Known, Refusal> {
    let codec = |name: &str| Err(Refusal::Codec { format: "m4a", codec: name.to_owned() });
    if !movie.has_moov {
        let reason = "the file is truncated before its index (`moov`)".to_owned();
        return Err(if movie.has_ftyp {
            Refusal::Broken { reason }
        } else {
            Refusal::NotAudio { looks_like: "no known audio format begins like this" }
        });
    }
    let Some(track) = movie.sound() else {
        return Err(Refusal::NotAudio { looks_like: "an MP4 file without a sound track" });
    };
    let Some((kind, _)) = track.entry() else {
        return Err(Refusal::Broken { reason: "the sound track has no description".to_owned() });
    };
    match &kind {
        b"mp4a" => match track.esds() {
            Some((0x40 | 0x66..=0x68, asc)) => aac::judge_config(asc, "m4a")?,
            Some((0x69 | 0x6b, _)) => return codec("mp3"),
            Some((object, _)) => return codec(&format!("MPEG-4 object {object:#04x}")),
            None => {
                let reason = "the description of the AAC track is broken".to_owned();
                return Err(Refusal::Broken { reason });
            }
        },
        b"alac" => return codec("alac"),
        b"Opus" => return codec("opus"),
        b"fLaC" => return codec("flac"),
        b"samr" => return codec("amr-nb"),
        b"sawb" | b"sawp" => return codec("amr-wb"),
        b"ac-3" => return codec("ac-3"),
        b"ec-3" => return codec("e-ac-3"),
        b"enca" | b"drms" => return codec("encrypted sound"),
        b".mp3" => return codec("mp3"),
        b"sowt" | b"twos" | b"lpcm" | b"in24" | b"fl32" | b"raw " => return codec("pcm"),
        other => return codec(&String::from_utf8_lossy(other)),
    }
    let warnings = if movie.tracks.len() > 1 {
        vec![format!("{} tracks; the first of sound is used", movie.tracks.len())]
    } else {
        Vec::new()
    };
    let extent = extent(movie, track);
    Ok(Known { format: "m4a", codec: "aac-lc", media_type: "audio/mp4", extent, warnings })
}

/// Which decoded frames are the clip. `iTunSMPB` is exact; an edit list counts its length in the
/// movie's time, often milliseconds, so the table of samples is asked when both agree.
fn extent(movie: &Movie, track: &TrackBoxes) -> Extent {
    if let Some(smpb) = movie.smpb {
        let end = End::Near(smpb.frames);
        return Extent { skip: Some(smpb.delay), end, promised: Some(smpb.frames) };
    }
    let total = track.total.filter(|_| !movie.is_fragmented);
    let Some(&(_, start)) = track.edits.first() else {
        let end = total.map_or(End::Decoded, End::Near);
        return Extent { skip: None, end, promised: total };
    };
    let skip = start.unsigned_abs();
    let rest = total.map(|total| total.saturating_sub(skip));
    let ticks: u64 = track.edits.iter().map(|edit| edit.0).fold(0, u64::saturating_add);
    let per_tick = u64::from(track.timescale).div_ceil(u64::from(movie.timescale.max(1)));
    let edited = ticks
        .checked_mul(u64::from(track.timescale))
        .and_then(|n| n.checked_div(u64::from(movie.timescale)))
        .filter(|&n| n > 0 && track.edits.len() == 1);
    let (end, promised) = match (edited, rest) {
        (Some(edited), Some(rest)) if edited.abs_diff(rest) <= 2 * per_tick => {
            (End::Near(rest), Some(rest))
        }
        (Some(edited), Some(rest)) if edited < rest => (End::Cut(edited), Some(edited)),
        (_, Some(rest)) => (End::Near(rest), Some(rest)),
        (Some(edited), None) => (End::Near(edited), None),
        (None, None) => (End::Decoded, None),
    };
    Extent { skip: Some(skip), end, promised }
}
