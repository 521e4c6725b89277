//! Text to lines: NFC, grapheme clusters, words, line breaks.
//!
//! Leaves painting to `pass`. Lines are broken at blanks, with as few lines as possible and, of
//! those, so that they are about equally long: `Ủy ban nhân dân / xã Nghĩa Đồng`, not
//! `Ủy ban nhân dân xã / Nghĩa Đồng`. Neighbours that belong together (`glue`) stay on one line
//! where that line has room for both. A word wider than the line is broken between clusters,
//! where it has a hyphen or slash there, and [`Block::split`] names it.
//!
//! # Invariants
//! * No line is wider than asked for unless a single cluster is.
//! * Nothing is left out: what a face lacks is a box and named in [`Block::lacking`], and what
//!   lies beyond [`MOST_CLUSTERS`] is counted in [`Block::beyond`].

mod glue;

use super::colour::Rgb;
use super::face::{Drawn, Face};
use super::font::Glyph;
use super::picture::Picture;
use super::scene::Run;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Most clusters laid out; pages hold at most 2,000 bytes.
pub const MOST_CLUSTERS: usize = 4_000;

/// What a cell shows.
#[derive(Clone, Debug)]
pub(super) enum Shape<'a> {
    Glyph(Glyph),
    Picture(&'a Picture, (u32, u32)),
}

/// A cluster at its place in a line, in unscaled pixels.
#[derive(Clone, Debug)]
pub(super) struct Cell<'a> {
    pub shape: Shape<'a>,
    pub x: u32,
    advance: u32,
    ink: u32,
    pub colour: Option<Rgb>,
}

/// Cells side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Line<'a> {
    pub cells: Vec<Cell<'a>>,
    /// Where the next cell would stand.
    end: u32,
    /// Up to the last ink.
    pub width_px: u32,
}

impl<'a> Line<'a> {
    fn push(&mut self, mut cell: Cell<'a>) {
        cell.x = self.end;
        self.width_px = self.width_px.max(cell.x + cell.ink);
        self.end += cell.advance;
        self.cells.push(cell);
    }

    fn join(&mut self, word: Line<'a>, gap: u32) {
        if !self.cells.is_empty() {
            self.end += gap;
        }
        for cell in word.cells {
            self.push(cell);
        }
    }
}

/// A word and what stands between it and the one before.
#[derive(Clone, Debug, Default)]
struct Word<'a> {
    line: Line<'a>,
    text: String,
    /// Blank pixels before it.
    gap: u32,
    /// Begins a line of its own, because the text says so.
    begins: bool,
    /// Better on the line of the one before.
    glued: bool,
}

/// A text as laid out, and what is to be said about it.
#[derive(Clone, Debug, Default)]
pub(super) struct Block<'a> {
    pub lines: Vec<Line<'a>>,
    /// Clusters that the face lacks.
    pub lacking: BTreeSet<String>,
    /// Words broken because no line is wide enough.
    pub split: Vec<String>,
    /// Clusters that were too many.
    pub beyond: usize,
}

/// Reads the runs as words.
fn words<'a>(runs: &[Run<'a>], face: &Face, block: &mut Block<'a>) -> Vec<Word<'a>> {
    let space = match face.cluster(" ") {
        Drawn::Glyph(glyph) if glyph.advance_px() > 0 => glyph.advance_px(),
        _ => (face.height_px() / 4).max(1),
    };
    let mut words = Vec::new();
    let mut word = Word::default();
    let mut clusters = 0;
    for run in runs {
        let (text, colour) = match run {
            Run::Text(text, colour) => (text.nfc().collect::<String>(), *colour),
            Run::Icon(picture) => {
                let size = picture.fitted(8 * face.height_px(), face.height_px());
                let shape = Shape::Picture(picture, size);
                let (advance, ink) = (size.0 + 1, size.0);
                word.line.push(Cell { shape, x: 0, advance, ink, colour: None });
                continue;
            }
        };
        for cluster in text.graphemes(true) {
            clusters += 1;
            if clusters > MOST_CLUSTERS {
                block.beyond += 1;
                continue;
            }
            let first = cluster.chars().next().unwrap_or(' ');
            let is_break = matches!(
                first,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            );
            let stays = matches!(first, '\u{a0}' | '\u{202f}' | '\u{2007}');
            if is_break || first == '\u{200b}' || (first.is_whitespace() && !stays) {
                let next = Word { begins: is_break, ..Word::default() };
                let mut done = std::mem::replace(&mut word, next);
                if done.line.cells.is_empty() && !done.begins {
                    // Runs of blanks are one; a line break among them still counts.
                    word.gap = done.gap;
                    word.begins |= done.begins;
                } else {
                    done.text.shrink_to_fit();
                    words.push(done);
                }
                if first != '\u{200b}' {
                    word.gap = space;
                }
                continue;
            }
            let glyph = match face.cluster(cluster) {
                Drawn::Nothing => continue,
                Drawn::Glyph(glyph) => glyph,
                Drawn::Lacking(glyph) => {
                    block.lacking.insert(cluster.to_owned());
                    glyph
                }
            };
            let (advance, ink) = (glyph.advance_px(), glyph.ink_px());
            word.line.push(Cell { shape: Shape::Glyph(glyph), x: 0, advance, ink, colour });
            word.text.push_str(cluster);
        }
    }
    words.push(word);
    for at in 1..words.len() {
        let (before, rest) = words.split_at_mut(at);
        if let (Some(before), Some(word)) = (before.last(), rest.first_mut()) {
            word.glued = !word.begins && glue::together(&before.text, &word.text);
        }
    }
    words
}

/// Returns the text as one line, line breaks and runs of blanks as one blank.
pub(super) fn single<'a>(runs: &[Run<'a>], face: &Face) -> Block<'a> {
    let mut block = Block::default();
    let mut line = Line::default();
    for word in words(runs, face, &mut block) {
        if !word.line.cells.is_empty() {
            line.join(word.line, word.gap);
        }
    }
    block.lines.push(line);
    block
}

/// Breaks the text into lines no wider than `width_px`. Line breaks at the end add nothing.
pub(super) fn lines<'a>(runs: &[Run<'a>], face: &Face, width_px: u32) -> Block<'a> {
    let mut block = Block::default();
    let words = words(runs, face, &mut block);
    let mut pieces = Vec::new();
    for word in words {
        if word.line.width_px <= width_px {
            pieces.push(word);
        } else {
            block.split.push(word.text.clone());
            split(word, width_px, &mut pieces);
        }
    }
    let mut paragraph = Vec::new();
    for word in pieces {
        if word.begins {
            set(std::mem::take(&mut paragraph), width_px, &mut block.lines);
        }
        paragraph.push(word);
    }
    set(paragraph, width_px, &mut block.lines);
    while block.lines.last().is_some_and(|line| line.cells.is_empty()) {
        block.lines.pop();
    }
    block
}

/// Breaks a word that is wider than a line, best after a hyphen or slash in the last half.
fn split<'a>(word: Word<'a>, width_px: u32, pieces: &mut Vec<Word<'a>>) {
    let texts: Vec<&str> = word.text.graphemes(true).collect();
    // Icons have no text; then no cluster is known to be a hyphen.
    let known = texts.len() == word.line.cells.len();
    let (mut gap, mut begins) = (word.gap, word.begins);
    let cells = word.line.cells;
    let mut from = 0;
    while from < cells.len() {
        let start = cells[from].x;
        let fits = |cell: &&Cell<'_>| cell.x + cell.ink - start <= width_px;
        let count = cells[from..].iter().take_while(fits).count().max(1);
        let mut to = from + count;
        if known && to < cells.len() {
            let after = |at: &usize| glue::breaks_after(texts[*at - 1]);
            to = (from + count / 2 + 1..=to).rev().find(after).unwrap_or(to);
        }
        let mut line = Line::default();
        for cell in &cells[from..to] {
            line.push(cell.clone());
        }
        pieces.push(Word { line, text: String::new(), gap, begins, glued: false });
        (gap, begins, from) = (0, false, to);
    }
}

/// Sets one paragraph: fewest lines, then the least sum of squared blanks; parting what belongs
/// together costs as much as a third of a line left blank.
fn set<'a>(words: Vec<Word<'a>>, width_px: u32, lines: &mut Vec<Line<'a>>) {
    if words.is_empty() {
        return;
    }
    let part = u64::from(width_px / 3).pow(2);
    // best[n]: lines and cost of the first n words, and where the last of those lines begins.
    let mut best: Vec<(u64, u64, usize)> = vec![(0, 0, 0)];
    for end in 1..=words.len() {
        let (mut found, mut width) = ((u64::MAX, u64::MAX, end - 1), 0_u32);
        for from in (0..end).rev() {
            let word = &words[from];
            // Widths add up from the right: this word, and the blank before the next.
            let next_gap = if from + 1 < end { words[from + 1].gap } else { 0 };
            let own = if from + 1 < end { word.line.end } else { word.line.width_px };
            width = width.saturating_add(own).saturating_add(next_gap);
            if width > width_px && from + 1 < end {
                break;
            }
            let (count, cost, _) = best[from];
            let blank = u64::from(width_px.saturating_sub(width)).pow(2);
            let parted = if word.glued && from > 0 { part } else { 0 };
            let candidate = (count + 1, cost.saturating_add(blank).saturating_add(parted), from);
            if (candidate.0, candidate.1) < (found.0, found.1) {
                found = candidate;
            }
        }
        best.push(found);
    }
    let mut starts = Vec::new();
    let mut at = words.len();
    while at > 0 {
        at = best[at].2;
        starts.push(at);
    }
    for (index, word) in words.into_iter().enumerate() {
        if starts.last() == Some(&index) {
            starts.pop();
            lines.push(Line::default());
        }
        if let Some(line) = lines.last_mut()
            && !word.line.cells.is_empty()
        {
            line.join(word.line, word.gap);
        }
    }
}
