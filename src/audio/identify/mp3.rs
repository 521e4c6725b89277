//! Where the chain of MP3 frames is broken.
//!
//! Each frame says how long it is, so the next must follow. The decoder finds its way back by
//! itself and says nothing; a person wants to know where the recording is damaged. Reads the
//! file once, in pieces.

use super::magic::FrameHeader;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// A stretch that is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Milliseconds of sound before it.
    pub at_ms: i64,
    /// Its length.
    pub bytes: u64,
}

const PIECE: usize = 256 * 1024;
/// A frame and the header after it fit into what is kept ahead.
const AHEAD: usize = 8 * 1024;
/// Gaps told; more are only counted.
const MOST: usize = 1_000;

/// Returns the gaps between the first frame and the last; tags at either end are none.
pub fn gaps(file: &mut File, start: u64) -> std::io::Result<Vec<Gap>> {
    let mut window = Window { file, bytes: Vec::new(), at: 0, is_end: false };
    window.file.seek(SeekFrom::Start(start))?;
    let mut walk = Walk { first: None, samples: 0, gap: 0, gaps: Vec::new() };
    loop {
        window.fill()?;
        let rest = &window.bytes[window.at..];
        if rest.len() < 4 {
            return Ok(walk.gaps);
        }
        let step = walk.step(rest, window.is_end);
        window.at += step;
    }
}

struct Window<'a> {
    file: &'a mut File,
    bytes: Vec<u8>,
    at: usize,
    is_end: bool,
}

impl Window<'_> {
    fn fill(&mut self) -> std::io::Result<()> {
        if self.is_end || self.bytes.len() - self.at >= AHEAD {
            return Ok(());
        }
        self.bytes.drain(..self.at);
        self.at = 0;
        let wanted = (PIECE + AHEAD - self.bytes.len()) as u64;
        let read = self.file.by_ref().take(wanted).read_to_end(&mut self.bytes)?;
        self.is_end = (read as u64) < wanted;
        Ok(())
    }
}

struct Walk {
    first: Option<FrameHeader>,
    samples: u64,
    gap: u64,
    gaps: Vec<Gap>,
}

impl Walk {
    /// Takes a frame, or a byte that belongs to none; returns the length.
    fn step(&mut self, rest: &[u8], is_end: bool) -> usize {
        let like = |header: &FrameHeader| self.first.is_none_or(|first| first.is_like(*header));
        let frame = FrameHeader::parse(rest).filter(like).filter(|frame| {
            // In step one header is enough; out of step, or before it, the next one must fit too.
            let is_in_step = self.first.is_some() && self.gap == 0;
            let next = rest.get(frame.len..).and_then(FrameHeader::parse);
            is_in_step && (rest.len() >= frame.len || is_end)
                || next.is_some_and(|next| next.is_like(*frame))
        });
        let Some(frame) = frame else {
            self.gap += 1;
            return 1;
        };
        if let Some(first) = self.first.filter(|_| self.gap > 0 && self.gaps.len() < MOST) {
            let ms = self.samples.saturating_mul(1000) / u64::from(first.rate_hz());
            let at_ms = i64::try_from(ms).unwrap_or(i64::MAX);
            self.gaps.push(Gap { at_ms, bytes: self.gap });
        }
        self.gap = 0;
        self.first.get_or_insert(frame);
        self.samples += frame.samples();
        frame.len.min(rest.len())
    }
}
