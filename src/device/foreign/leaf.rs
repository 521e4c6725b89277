//! A page as a foreign board shows it: as text where it can draw it, else as pictures drawn here.
//!
//! What the board cannot show is refused with the reason, as `loa check` says it before.

use crate::dialect::field::Verb;
use crate::dialect::frame::Frame;
use crate::dialect::machine::{Way, Why};
use crate::dialect::model::{Dialect, What};
use crate::domain::ids::Digest;
use crate::domain::playlist::Page;
use crate::domain::profile::BoardProfile;
use crate::domain::time::{LocalOffset, UtcMs};
use crate::raster::design::Motion;
use crate::raster::review::{Finding, Weight, review};
use crate::raster::{self, Board, Design, Faces, Pass, Scene};

/// Most pictures of one page.
const MOST_LEAVES: usize = 512;
/// Shortest time of a picture that goes by datagrams alone.
const LEAST_MS: i64 = 40;

/// One thing that stands for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub text: Option<String>,
    pub frame: Option<Frame>,
    /// Names the packed pixels, where they are known.
    pub hash: Option<Digest>,
    pub colour: Option<String>,
    pub dwell_ms: i64,
}

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum NoLeaf {
    #[error("{0}")]
    Dialect(#[from] Why),
    #[error("as pixels: {finding}")]
    Pixels { finding: Box<Finding> },
}

impl NoLeaf {
    /// Says what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Dialect(why) => why.hint().to_owned(),
            Self::Pixels { finding } => finding.hint().to_owned(),
        }
    }
}

/// The board that pages are drawn for.
#[derive(Debug)]
pub struct Canvas {
    board: Board,
    faces: Faces,
}

impl Canvas {
    /// Returns the board of a profile.
    pub fn new(profile: &BoardProfile) -> Self {
        Self { board: Board::from(profile), faces: Faces::of_profile(profile) }
    }

    /// Draws a page for a device of this dialect, at this instant.
    pub fn leaves(
        &self,
        dialect: &Dialect,
        page: &Page,
        now: UtcMs,
        local: &[LocalOffset],
    ) -> Result<Vec<Leaf>, NoLeaf> {
        let scene = Scene::with(now, local.to_vec());
        let mut design = Design::from(page);
        let pass = Pass::new(&design, &self.board, &self.faces, &scene);
        let text = pass.text();
        match dialect.way(Some(&text), true)? {
            Way::Text | Way::Stripped(_) => {
                let dwell_ms = pass.duration_ms();
                let colour = page.colour.clone();
                Ok(vec![Leaf { text: Some(text), frame: None, hash: None, colour, dwell_ms }])
            }
            Way::Frame => {
                let least_ms = least_ms(dialect);
                if least_ms > LEAST_MS {
                    // Each picture costs messages: what moves turns screens instead.
                    design.motion = Motion::Still;
                    design.blink = None;
                }
                let refusal = review(&design, &self.board, &self.faces, &scene);
                let refusal = refusal.into_iter().find(|f| f.weight() == Weight::Refusal);
                if let Some(finding) = refusal {
                    return Err(NoLeaf::Pixels { finding: Box::new(finding) });
                }
                Ok(self.pictures(&text, &design, &scene, least_ms))
            }
        }
    }

    fn pictures(&self, text: &str, design: &Design, scene: &Scene, least_ms: i64) -> Vec<Leaf> {
        let pass = Pass::new(design, &self.board, &self.faces, scene);
        let mut leaves: Vec<Leaf> = Vec::new();
        for shown in pass.frames() {
            let full = leaves.len() >= MOST_LEAVES;
            if let Some(last) = leaves.last_mut()
                && (full || last.dwell_ms < least_ms)
            {
                last.dwell_ms = last.dwell_ms.saturating_add(shown.hold_ms);
                continue;
            }
            leaves.push(Leaf {
                // The same words, by which a device that is told them finds its page.
                text: Some(text.to_owned()),
                frame: frame(&shown.frame),
                hash: Some(shown.frame.hash()),
                colour: design.colour.clone(),
                dwell_ms: shown.hold_ms,
            });
        }
        leaves
    }
}

/// How long a picture stands at least, so that the device is not told more than it takes.
fn least_ms(dialect: &Dialect) -> i64 {
    let steps = dialect.steps(Verb::ShowFrame);
    let messages = steps.iter().filter(|step| step.what != What::Pixels).count();
    if messages == 0 {
        return LEAST_MS;
    }
    let messages = i64::try_from(messages).unwrap_or(i64::MAX);
    let minute = 60_000_i64.saturating_mul(messages) / i64::from(dialect.limits.per_minute.max(1));
    minute.saturating_mul(2).clamp(LEAST_MS + 1, 60_000)
}

fn frame(drawn: &raster::Frame) -> Option<Frame> {
    let (width, height) = (drawn.width_px(), drawn.height_px());
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let rgb = pixels.flat_map(|(x, y)| {
        let raster::Rgb(r, g, b) = drawn.pixel(x, y);
        [r, g, b]
    });
    Frame::new(width, height, rgb.collect()).ok()
}
