//! Pictures of what boards would show, for whoever asks: the raster's own pixels, bounded.
//!
//! # Invariants
//! * Drawing is work: at most [`AT_ONCE`] orders are drawn at a time, off the async threads, each
//!   within [`MOST_MS`]; a moving picture that would be larger is cut and says so.
//! * An order is judged before anything is drawn.

use crate::clock::SharedClock;
use crate::domain::ids::Digest;
use crate::domain::playlist::Page;
use crate::domain::profile::BoardProfile;
use crate::domain::recurrence::wall;
use crate::domain::time::UtcMs;
use crate::raster::encode::{self, EncodeError, Limits, Look};
use crate::raster::scene::Reading;
use crate::raster::{Board, Design, Faces, Pass, Scene};
use chrono_tz::Tz;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Orders that are drawn at a time.
pub const AT_ONCE: usize = 2;
/// How long one may take, in milliseconds.
const MOST_MS: i64 = 8_000;
/// Pixels of a still picture, enlarged.
const MOST_PIXELS: u32 = 8 << 20;
/// How large a moving picture may grow.
const LIMITS: Limits = Limits { frames: 1_000, bytes: 96 << 20 };
/// Pages of one order and bytes of their texts, as in a day sheet.
const MOST_PAGES: usize = 64;
const MOST_TEXT: usize = 2_000;
/// A page stands ten minutes at the most.
const MOST_DWELL_MS: i64 = 600_000;
/// Local time is asked for so far: a pass lasts a day at the most.
const AHEAD_MS: i64 = 2 * 86_400_000;

/// What is to be drawn.
#[derive(Clone, Debug)]
pub struct Order {
    pub board: BoardProfile,
    /// Shown one after the other.
    pub pages: Vec<Page>,
    /// When the first one begins.
    pub at: UtcMs,
    pub zone: Tz,
    pub form: Form,
    /// Each lamp so many pixels wide and high.
    pub scale: u32,
    /// Values of feeds.
    pub readings: BTreeMap<String, Reading>,
}

/// What the picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A moving PNG of all pages.
    Moving,
    /// The beginning of the first page.
    Png,
    /// The same, sharp at any size.
    Svg,
    /// The same with `#` and `.`.
    Text,
}

impl Form {
    /// Returns the type of the file.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Moving => "image/apng",
            Self::Png => "image/png",
            Self::Svg => "image/svg+xml",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    pub file: Vec<u8>,
    /// How many pictures it holds.
    pub frames: usize,
    /// How long it stands, in milliseconds.
    pub ms: i64,
    /// Whether all of it is there.
    pub whole: bool,
    /// Hash of the first frame, as a board records it.
    pub frame: Digest,
}

/// Why nothing was drawn.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    #[error("{AT_ONCE} previews are being drawn already")]
    Busy,
    #[error("there is no page to draw")]
    Empty,
    #[error("{pages} pages, more than {MOST_PAGES}")]
    Pages { pages: usize },
    #[error("page {page}: a text of {bytes} bytes, more than {MOST_TEXT}")]
    Text { page: usize, bytes: usize },
    #[error("page {page}: `dwell_ms` is {dwell_ms}, outside 1 to {MOST_DWELL_MS}")]
    Dwell { page: usize, dwell_ms: i64 },
    #[error("a picture of {pixels} pixels, more than {MOST_PIXELS}")]
    Size { pixels: u32 },
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the drawing broke off")]
    BrokeOff(#[source] tokio::task::JoinError),
}

impl PreviewError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Busy | Self::BrokeOff(_) => "ask again in a moment",
            Self::Empty => "give a page, or an item with pages",
            Self::Pages { .. } => "ask for one item",
            Self::Text { .. } => "shorten the text",
            Self::Dwell { .. } => "in milliseconds: 8000",
            Self::Size { .. } => "ask for a smaller `scale`",
            Self::Encode(error) => error.hint(),
        }
    }
}

/// Draws previews; clones share the bound.
#[derive(Clone)]
pub struct Previews {
    turns: Arc<Semaphore>,
    clock: SharedClock,
}

impl Previews {
    /// Returns one that draws nothing yet.
    pub fn new(clock: SharedClock) -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), clock }
    }

    /// Draws an order, unless too many are being drawn.
    pub async fn draw(&self, order: Order) -> Result<Drawn, PreviewError> {
        judge(&order)?;
        let turn = Arc::clone(&self.turns).try_acquire_owned().map_err(|_| PreviewError::Busy)?;
        let clock = Arc::clone(&self.clock);
        let work = tokio::task::spawn_blocking(move || {
            let until = clock.mono_ms().saturating_add(MOST_MS);
            let drawn = draw(&order, || clock.mono_ms() >= until);
            // Given back when the work is done, also when nobody waits for it any more.
            drop(turn);
            drawn
        });
        work.await.map_err(PreviewError::BrokeOff)?
    }
}

fn judge(order: &Order) -> Result<(), PreviewError> {
    if order.pages.is_empty() {
        return Err(PreviewError::Empty);
    }
    if order.pages.len() > MOST_PAGES {
        return Err(PreviewError::Pages { pages: order.pages.len() });
    }
    for (page, number) in order.pages.iter().zip(1..) {
        let (bytes, dwell_ms) = (page.text.len(), page.dwell_ms);
        if bytes > MOST_TEXT {
            return Err(PreviewError::Text { page: number, bytes });
        }
        if !(1..=MOST_DWELL_MS).contains(&dwell_ms) {
            return Err(PreviewError::Dwell { page: number, dwell_ms });
        }
    }
    if matches!(order.form, Form::Moving | Form::Png) {
        let side = |px: u32| px.saturating_mul(order.scale);
        let pixels = side(order.board.width_px).saturating_mul(side(order.board.height_px));
        if pixels > MOST_PIXELS {
            return Err(PreviewError::Size { pixels });
        }
    }
    Ok(())
}

/// Draws; `over` says when it has taken too long.
fn draw(order: &Order, over: impl Fn() -> bool) -> Result<Drawn, PreviewError> {
    let (board, faces) = (Board::from(&order.board), Faces::of_profile(&order.board));
    let local = wall::offsets(order.zone, order.at, order.at.plus(AHEAD_MS));
    let designs: Vec<Design> = order.pages.iter().map(Design::from).collect();
    let mut scenes = Vec::new();
    let mut now = order.at;
    for design in &designs {
        let scene = Scene { readings: order.readings.clone(), ..Scene::with(now, local.clone()) };
        now = now.plus(Pass::new(design, &board, &faces, &scene).duration_ms());
        scenes.push(scene);
    }
    let passes: Vec<Pass<'_>> =
        designs.iter().zip(&scenes).map(|(d, s)| Pass::new(d, &board, &faces, s)).collect();
    let Some(first) = passes.first() else { return Err(PreviewError::Empty) };
    let (look, frame) = (Look { scale: order.scale, ..Look::default() }, first.first());
    let (frames, ms, whole) = (1, first.duration_ms(), true);
    let hash = frame.hash();
    let file = match order.form {
        Form::Moving => {
            let cut = Cell::new(false);
            let frames = passes.iter().flat_map(Pass::frames).take_while(|_| {
                cut.set(over());
                !cut.get()
            });
            let moving = encode::moving(frames, look, LIMITS)?;
            return Ok(Drawn {
                file: moving.file,
                frames: moving.frames,
                ms: moving.duration_ms,
                whole: moving.whole && !cut.get(),
                frame: hash,
            });
        }
        Form::Png => encode::preview(&frame, look)?,
        Form::Svg => {
            let title = order.pages.first().map_or("", |page| page.text.as_str());
            encode::svg(&frame, look, title).into_bytes()
        }
        Form::Text => frame.picture().into_bytes(),
    };
    Ok(Drawn { file, frames, ms, whole, frame: hash })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::domain::playlist::Effect;

    fn order(form: Form, text: &str) -> Order {
        let board = crate::config::device_profile(
            "bang",
            b"title = \"B\"\n[board]\nwidth_px = 64\nheight_px = 16\n",
        );
        Order {
            board: board.0.unwrap().profile.board.unwrap(),
            pages: vec![Page::still(text, 3_000)],
            at: UtcMs(1_800_000_000_000),
            zone: chrono_tz::Asia::Ho_Chi_Minh,
            form,
            scale: 2,
            readings: BTreeMap::new(),
        }
    }

    fn previews() -> Previews {
        Previews::new(Arc::new(SystemClock::new()))
    }

    #[tokio::test]
    async fn every_form_is_of_the_frame_that_a_board_records() {
        let text = previews().draw(order(Form::Text, "Đài")).await.unwrap();
        let lines = String::from_utf8(text.file).unwrap();
        assert_eq!((lines.lines().count(), lines.lines().next().unwrap().len()), (16, 64));
        let begins: [(Form, &[u8]); 3] =
            [(Form::Moving, b"\x89PNG"), (Form::Png, b"\x89PNG"), (Form::Svg, b"<svg ")];
        for (form, head) in begins {
            let drawn = previews().draw(order(form, "Đài")).await.unwrap();
            assert!(drawn.file.starts_with(head) && drawn.whole, "{form:?}");
            assert_eq!((drawn.frame, drawn.ms), (text.frame, 3_000));
        }
    }

    #[tokio::test]
    async fn an_order_that_is_too_much_is_refused_before_anything_is_drawn() {
        let refused = |change: fn(&mut Order)| {
            let mut order = order(Form::Png, "x");
            change(&mut order);
            judge(&order).unwrap_err().to_string()
        };
        assert_eq!(refused(|o| o.pages.clear()), "there is no page to draw");
        assert!(refused(|o| o.pages = vec![Page::still("x", 1); 65]).starts_with("65 pages"));
        assert!(refused(|o| o.pages[0].text = "x".repeat(2_001)).contains("2001 bytes"));
        assert!(refused(|o| o.pages[0].dwell_ms = 0).contains("`dwell_ms` is 0"));
        assert!(refused(|o| o.pages[0].dwell_ms = i64::MAX).contains("outside 1 to 600000"));
        assert!(refused(|o| o.scale = u32::MAX).contains("pixels"));
        let previews = previews();
        let _held = Arc::clone(&previews.turns).try_acquire_many_owned(2).unwrap();
        let busy = previews.draw(order(Form::Png, "x")).await.unwrap_err();
        assert!(matches!(busy, PreviewError::Busy));
    }

    #[test]
    fn what_takes_too_long_is_cut_and_says_so() {
        let mut long = order(Form::Moving, &"chữ chạy ".repeat(200));
        long.pages[0].effect = Effect::Scroll;
        let looked = Cell::new(0);
        let drawn = draw(&long, || {
            looked.set(looked.get() + 1);
            looked.get() > 50
        })
        .unwrap();
        assert!(!drawn.whole && drawn.frames <= 50);
        let clock = SystemClock::new();
        let begun = clock.mono_ms();
        let drawn = draw(&long, || false).unwrap();
        assert!(!drawn.whole && drawn.frames <= 1_000, "bounded without the clock too");
        assert!(clock.mono_ms() - begun < 60_000);
    }
}
