//! One full pass of a page: what the board shows at each moment, from first to last.
//!
//! A pass is a function of time, not a list of pictures: a long text on a large board would be
//! gigabytes. [`Pass::draw`] gives any moment, [`Pass::frames`] walks through the changes.
//!
//! # Invariants
//! * Nothing fails and nothing panics, whatever page and board are; a board lower than a row of
//!   text shows what fits, and `review` has said so before.
//! * The holds of the frames add up to [`Pass::duration_ms`], which is at least the dwell time
//!   (within [`MOST_MS`]); a text that turns screens has at least two seconds for each, and a
//!   scrolling one passes as a whole.
//! * Equal page, board, faces and scene give equal frames, to the byte.
//! * A still text with a clock, a count or a feed is filled in anew when that changes; a
//!   scrolling one keeps what it began with, or its letters would jump.

use super::board::Board;
use super::colour::{Rgb, named};
use super::design::{Design, LEAST_STILL_MS, Motion};
use super::face::{Face, Faces};
use super::frame::Frame;
use super::layout::{self, Block, Line, Shape};
use super::scene::{Run, Scene};
use super::template::Template;
use crate::domain::playlist::Align;

/// Longest pass, in milliseconds: a day.
pub const MOST_MS: i64 = 86_400_000;

/// A page laid out for a board.
#[derive(Debug)]
pub struct Pass<'a> {
    design: &'a Design,
    board: &'a Board,
    face: &'a Face,
    scene: &'a Scene,
    template: Template,
    colour: Rgb,
    duration_ms: i64,
    /// Screens of the text as it is at the beginning.
    screen_count: usize,
    /// The line of a scrolling text.
    moving: Option<Moving<'a>>,
}

#[derive(Debug)]
struct Moving<'a> {
    line: Line<'a>,
    /// From the first pixel at the right edge to the last one gone at the left.
    way_px: i64,
    px_s: i64,
    /// Whole pixels a step.
    step_px: i64,
}

impl Moving<'_> {
    /// When the step begins; from the distance, so that rounding does not add up.
    fn begins(&self, step: i64) -> i64 {
        step * self.step_px * 1_000 / self.px_s
    }

    fn step_at(&self, ms: i64) -> i64 {
        let step = ms * self.px_s / (self.step_px * 1_000);
        if self.begins(step + 1) <= ms { step + 1 } else { step }
    }

    fn steps(&self) -> i64 {
        (self.way_px + self.step_px - 1) / self.step_px
    }
}

/// What the board shows for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The picture.
    pub frame: Frame,
    /// When it comes, in milliseconds after the pass began.
    pub at_ms: i64,
    /// How long it stands, in milliseconds, above zero.
    pub hold_ms: i64,
}

impl<'a> Pass<'a> {
    /// Lays a page out.
    pub fn new(design: &'a Design, board: &'a Board, faces: &'a Faces, scene: &'a Scene) -> Self {
        let wanted = design.colour.as_deref().and_then(named);
        let wanted = wanted.filter(|colour| board.depth().shows(*colour));
        let mut pass = Self {
            design,
            board,
            face: faces.face(design.font.as_deref()),
            scene,
            template: Template::read(&design.text),
            colour: wanted.unwrap_or(board.depth().default_colour()),
            duration_ms: design.dwell_ms.clamp(1, MOST_MS),
            screen_count: 1,
            moving: None,
        };
        if let Motion::Scroll { px_s } = design.motion {
            let px_s = i64::from(px_s.unwrap_or(board.scroll_px_s()).clamp(1, 1_000));
            let step_px = ((board.step_ms() * px_s + 999) / 1_000).max(1);
            let moving = |last_ms: i64| {
                let runs = scene.fill_lasting(&pass.template, 0, last_ms);
                let line = layout::single(&runs, pass.face).lines.pop().unwrap_or_default();
                let line_px = i64::from(line.width_px * design.scale_px());
                Moving { line, way_px: i64::from(board.width_px()) + line_px, px_s, step_px }
            };
            let mut moves = moving(0);
            if pass.template.feeds().next().is_some() {
                // Its letters stay as they are until the last is gone.
                moves = moving(moves.begins(moves.steps()));
            }
            let moving = moves;
            let passed = moving.begins(moving.steps());
            pass.duration_ms = pass.duration_ms.max(passed).min(MOST_MS);
            pass.moving = Some(moving);
        } else {
            let screens = pass.screens(&pass.block(0)).len();
            pass.screen_count = screens;
            let needed = LEAST_STILL_MS.saturating_mul(i64::try_from(screens).unwrap_or(i64::MAX));
            if screens > 1 {
                pass.duration_ms = pass.duration_ms.max(needed).min(MOST_MS);
            }
        }
        pass
    }

    /// Returns how long the pass lasts, in milliseconds, above zero.
    pub fn duration_ms(&self) -> i64 {
        self.duration_ms
    }

    /// Returns how many screens the text takes at its beginning; a scrolling one takes one.
    pub fn screen_count(&self) -> usize {
        self.screen_count
    }

    /// Returns how many lines of text a screen has room for, at least one.
    pub fn rows(&self) -> usize {
        let (line, leading) = self.row_px();
        ((self.board.height_px() + leading) / (line + leading)).max(1) as usize
    }

    /// Rows of pixels of a line, and between two.
    fn row_px(&self) -> (u32, u32) {
        let scale = self.design.scale_px();
        (self.face.height_px() * scale, self.face.leading_px() * scale)
    }

    /// The text as it is at this moment.
    pub(super) fn block(&self, ms: i64) -> Block<'a> {
        let runs = self.scene.fill(&self.template, ms);
        if self.moving.is_some() {
            layout::single(&runs, self.face)
        } else {
            let width_px = (self.board.width_px() / self.design.scale_px()).max(1);
            layout::lines(&runs, self.face, width_px)
        }
    }

    /// The words as they are at the beginning, fields filled in.
    pub fn text(&self) -> String {
        let runs = self.scene.fill(&self.template, 0);
        let text = |run: &Run<'_>| match run {
            Run::Text(text, _) => text.clone(),
            Run::Icon(_) => " ".to_owned(),
        };
        runs.iter().map(text).collect()
    }

    fn screens<'b>(&self, block: &'b Block<'a>) -> Vec<&'b [Line<'a>]> {
        let screens: Vec<_> = block.lines.chunks(self.rows()).collect();
        if screens.is_empty() { vec![&[]] } else { screens }
    }

    /// The screen of this moment, when it began and when it ends.
    fn screen_at(&self, ms: i64, count: usize) -> (usize, i64, i64) {
        let count_ms = i64::try_from(count).unwrap_or(1).max(1);
        let begins = |at: i64| self.duration_ms * at / count_ms;
        let mut at = (ms * count_ms / self.duration_ms).clamp(0, count_ms - 1);
        if at + 1 < count_ms && begins(at + 1) <= ms {
            at += 1;
        }
        (usize::try_from(at).unwrap_or(0), begins(at), begins(at + 1))
    }

    /// Draws what stands at this moment and returns when it next changes, at most the end.
    pub fn draw(&self, ms: i64, frame: &mut Frame) -> i64 {
        let ms = ms.clamp(0, self.duration_ms - 1);
        frame.clear();
        let mut next = self.duration_ms;
        if let Some(blink) = self.design.blink {
            next = next.min(blink.changes_after(ms));
            if blink.is_dark(ms) {
                return next;
            }
        }
        if let Some(name) = &self.design.picture
            && let Some(picture) = self.scene.pictures.get(name)
        {
            let size = (self.board.width_px(), self.board.height_px());
            picture.draw(frame, self.board.depth(), (0, 0), size);
        }
        match &self.moving {
            Some(moving) => next.min(self.draw_moving(moving, ms, frame)),
            None => next.min(self.draw_still(ms, frame)),
        }
    }

    fn draw_moving(&self, moving: &Moving<'a>, ms: i64, frame: &mut Frame) -> i64 {
        let step = moving.step_at(ms);
        if step >= moving.steps() {
            return self.duration_ms;
        }
        let left = i64::from(self.board.width_px()) - step * moving.step_px;
        let high = i64::from(self.row_px().0);
        let top = (i64::from(self.board.height_px()) - high).max(0) / 2;
        self.draw_line(&moving.line, left, top, frame);
        moving.begins(step + 1).max(ms + 1)
    }

    fn draw_still(&self, ms: i64, frame: &mut Frame) -> i64 {
        let block = self.block(ms);
        let screens = self.screens(&block);
        let (at, begun, ends) = self.screen_at(ms, screens.len());
        let mut next = ends.min(self.duration_ms);
        if let Some(change) = self.scene.changes_after(&self.template, ms) {
            next = next.min(change);
        }
        let gap_ms = self.design.gap_ms.clamp(0, (ends - begun) / 2);
        if at + 1 < screens.len() && gap_ms > 0 {
            if ms >= ends - gap_ms {
                frame.clear();
                return next;
            }
            next = next.min(ends - gap_ms);
        }
        let lines = screens[at];
        let (line_px, leading_px) = self.row_px();
        let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let used = (count * (line_px + leading_px)).saturating_sub(leading_px);
        let mut top = i64::from(self.board.height_px().saturating_sub(used)) / 2;
        for line in lines {
            let free = i64::from(self.board.width_px())
                - i64::from(line.width_px * self.design.scale_px());
            let left = match self.design.align {
                Align::Left => 0,
                Align::Centre => free.div_euclid(2),
                Align::Right => free,
            };
            self.draw_line(line, left, top, frame);
            top += i64::from(line_px + leading_px);
        }
        if let Motion::Wipe { ms: wipe_ms } = self.design.motion {
            let wipe_ms = i64::from(wipe_ms).clamp(0, (ends - begun) / 2);
            let since = ms - begun;
            if since < wipe_ms {
                let step = since / self.board.step_ms();
                let width = i64::from(self.board.width_px());
                let open = (step + 1) * self.board.step_ms() * width / wipe_ms;
                frame.hide_from(u32::try_from(open).unwrap_or(u32::MAX));
                let ends = begun + ((step + 1) * self.board.step_ms()).min(wipe_ms);
                next = next.min(ends);
            }
        }
        next.max(ms + 1)
    }

    fn draw_line(&self, line: &Line<'_>, left: i64, top: i64, frame: &mut Frame) {
        let scale = self.design.scale_px();
        // Only the cells in sight are drawn; the widest reaches 64 columns beyond its place.
        let first = (-left).max(0) / i64::from(scale) - 128;
        let from = line.cells.partition_point(|cell| i64::from(cell.x) < first);
        for cell in &line.cells[from..] {
            let x = left + i64::from(cell.x) * i64::from(scale);
            if x >= i64::from(frame.width_px()) {
                break;
            }
            match &cell.shape {
                Shape::Glyph(glyph) => {
                    let colour = cell.colour.map_or(self.colour, |c| self.board.depth().lit(c));
                    frame.paint(glyph, x, top, scale, colour);
                }
                Shape::Picture(picture, size) => {
                    let place = (size.0 * scale, self.row_px().0);
                    picture.draw(frame, self.board.depth(), (x, top), place);
                }
            }
        }
    }

    /// Walks through everything that the board shows, in order.
    pub fn frames(&self) -> impl Iterator<Item = Shown> {
        let mut at_ms = 0;
        std::iter::from_fn(move || {
            if at_ms >= self.duration_ms {
                return None;
            }
            let mut frame = Frame::dark(self.board);
            let next = self.draw(at_ms, &mut frame).clamp(at_ms + 1, self.duration_ms);
            let shown = Shown { frame, at_ms, hold_ms: next - at_ms };
            at_ms = next;
            Some(shown)
        })
    }

    /// Returns the first picture, which `show` records name.
    pub fn first(&self) -> Frame {
        let mut frame = Frame::dark(self.board);
        self.draw(0, &mut frame);
        frame
    }
}
