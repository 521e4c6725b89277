//! The board as the raster sees it: how many pixels, which colours, how it is put together.

use super::colour::{Depth, Rgb, named};
use super::frame::Frame;
use crate::domain::profile::{ANY_COLOUR, BoardProfile};

pub use crate::domain::profile::{Panel, Turn};

/// Most pixels across.
pub const MOST_WIDTH_PX: u32 = 1_024;
/// Most pixels down.
pub const MOST_HEIGHT_PX: u32 = 256;

/// A board: one picture, on one panel or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    width_px: u32,
    height_px: u32,
    depth: Depth,
    scroll_px_s: u32,
    /// Shortest hold of a step of movement in milliseconds: what panel and line keep up with.
    step_ms: i64,
}

impl Board {
    /// Returns a board; sizes and speed are brought within what boards have (1-1,024 by 1-256
    /// pixels, 1-1,000 pixels a second), and steps are at least 40 ms long.
    pub fn new(width_px: u32, height_px: u32, depth: Depth, scroll_px_s: u32) -> Self {
        Self {
            width_px: width_px.clamp(1, MOST_WIDTH_PX),
            height_px: height_px.clamp(1, MOST_HEIGHT_PX),
            depth,
            scroll_px_s: scroll_px_s.clamp(1, 1_000),
            step_ms: 40,
        }
    }

    /// Returns the board with another shortest step, 10-1,000 ms.
    #[must_use]
    pub fn with_step_ms(mut self, step_ms: i64) -> Self {
        self.step_ms = step_ms.clamp(10, 1_000);
        self
    }

    /// Returns the width in pixels.
    pub fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Returns the height in pixels.
    pub fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Returns what its lamps can do.
    pub fn depth(&self) -> &Depth {
        &self.depth
    }

    /// Returns how fast text moves that names no speed, in pixels a second.
    pub fn scroll_px_s(&self) -> u32 {
        self.scroll_px_s
    }

    /// Returns the shortest hold of a step of movement, in milliseconds.
    pub fn step_ms(&self) -> i64 {
        self.step_ms
    }
}

/// A board of a profile: no colours means on and off, `rgb` any, else those it names are a palette.
impl From<&BoardProfile> for Board {
    fn from(profile: &BoardProfile) -> Self {
        let colours: Vec<Rgb> = profile.colours.iter().filter_map(|name| named(name)).collect();
        let depth = if profile.colours.iter().any(|name| name == ANY_COLOUR) {
            Depth::Full
        } else if colours.is_empty() {
            Depth::Mono
        } else {
            Depth::Palette(colours)
        };
        Self::new(profile.width_px, profile.height_px, depth, profile.scroll_px_s)
    }
}

/// The size a panel takes in the whole picture.
fn mounted(panel: &Panel) -> (u32, u32) {
    match panel.turn {
        Turn::None | Turn::Half => (panel.width_px, panel.height_px),
        Turn::Quarter | Turn::ThreeQuarters => (panel.height_px, panel.width_px),
    }
}

/// Where a lamp of a panel, counted in the panel's own rows and columns, stands in the whole
/// picture.
pub(super) fn place(panel: &Panel, x: u32, y: u32) -> (u32, u32) {
    let (w, h) = (panel.width_px, panel.height_px);
    let (dx, dy) = match panel.turn {
        Turn::None => (x, y),
        Turn::Half => (w - 1 - x, h - 1 - y),
        // The panel's top edge points right, so its columns run down the picture.
        Turn::Quarter => (h - 1 - y, x),
        Turn::ThreeQuarters => (y, w - 1 - x),
    };
    (panel.left_px + dx, panel.top_px + dy)
}

/// Panels that do not make up the board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WallError {
    #[error("panel {panel} reaches to {right_px}×{bottom_px}, the board is {width_px}×{height_px}")]
    Outside { panel: usize, right_px: u64, bottom_px: u64, width_px: u32, height_px: u32 },
    #[error("panel {panel} is {width_px}×{height_px} pixels")]
    Size { panel: usize, width_px: u32, height_px: u32 },
    #[error("panels {first} and {second} share pixels")]
    Overlap { first: usize, second: usize },
    #[error("{bare} pixels of the board belong to no panel, the first at {x},{y}")]
    Bare { bare: usize, x: u32, y: u32 },
    #[error("{panels} panels, where a board has 1 to 256")]
    Number { panels: usize },
}

impl WallError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Outside { .. } => "count panels from 1; correct its place or the board's size",
            Self::Size { .. } => "a panel is as large as its data sheet says, turned or not",
            Self::Overlap { .. } => "move one of the two, or correct its turn",
            Self::Bare { .. } => "place panels side by side until the whole board is covered",
            Self::Number { .. } => "name each panel once, in the order of the chain",
        }
    }
}

/// The panels of a board in the order of the chain; together they are the whole picture, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wall {
    panels: Vec<Panel>,
}

impl Wall {
    /// Returns the wall when its panels cover the board, all of it and nothing twice.
    pub fn new(board: &Board, panels: Vec<Panel>) -> Result<Self, WallError> {
        if panels.is_empty() || panels.len() > 256 {
            return Err(WallError::Number { panels: panels.len() });
        }
        let (width_px, height_px) = (board.width_px, board.height_px);
        let mut owner = vec![0_usize; (width_px * height_px) as usize];
        for (panel, at) in panels.iter().zip(1..) {
            if panel.width_px == 0 || panel.height_px == 0 {
                let (width_px, height_px) = (panel.width_px, panel.height_px);
                return Err(WallError::Size { panel: at, width_px, height_px });
            }
            let (wide, high) = mounted(panel);
            let right_px = u64::from(panel.left_px) + u64::from(wide);
            let bottom_px = u64::from(panel.top_px) + u64::from(high);
            if right_px > u64::from(width_px) || bottom_px > u64::from(height_px) {
                let panel = at;
                return Err(WallError::Outside { panel, right_px, bottom_px, width_px, height_px });
            }
            for y in panel.top_px..panel.top_px + high {
                for x in panel.left_px..panel.left_px + wide {
                    let owned = &mut owner[(y * width_px + x) as usize];
                    if *owned != 0 {
                        return Err(WallError::Overlap { first: *owned, second: at });
                    }
                    *owned = at;
                }
            }
        }
        let bare = owner.iter().filter(|owner| **owner == 0).count();
        if let Some(first) = owner.iter().position(|owner| *owner == 0) {
            let first = u32::try_from(first).unwrap_or(0);
            return Err(WallError::Bare { bare, x: first % width_px, y: first / width_px });
        }
        Ok(Self { panels })
    }

    /// Returns the wall of a profile; without panels, one as large as the board.
    pub fn of_profile(profile: &BoardProfile) -> Result<Self, WallError> {
        let board = Board::from(profile);
        if !profile.panels.is_empty() {
            return Self::new(&board, profile.panels.clone());
        }
        let (width_px, height_px) = (board.width_px, board.height_px);
        let turn = Turn::None;
        Self::new(&board, vec![Panel { left_px: 0, top_px: 0, width_px, height_px, turn }])
    }

    /// Returns equal panels in rows, the chain running from left to right in every row or, as a
    /// serpentine, back with the panels upside down in every second one.
    pub fn rows(
        board: &Board,
        (width_px, height_px): (u32, u32),
        serpentine: bool,
    ) -> Result<Self, WallError> {
        let (across, down) = (board.width_px / width_px.max(1), board.height_px / height_px.max(1));
        let mut panels = Vec::new();
        for row in 0..down.min(257) {
            for at in 0..across.min(257) {
                let back = serpentine && row % 2 == 1;
                let column = if back { across - 1 - at } else { at };
                let (left_px, top_px) = (column * width_px, row * height_px);
                let turn = if back { Turn::Half } else { Turn::None };
                panels.push(Panel { left_px, top_px, width_px, height_px, turn });
            }
        }
        Self::new(board, panels)
    }

    /// Returns the panels in the order of the chain.
    pub fn panels(&self) -> &[Panel] {
        &self.panels
    }

    /// Returns what each panel shows, in its own pixels.
    pub fn split(&self, whole: &Frame) -> Vec<Frame> {
        let cut = |panel: &Panel| {
            let (w, h) = (panel.width_px, panel.height_px);
            let mut part = whole.sized(w, h);
            for y in 0..h {
                for x in 0..w {
                    let (from_x, from_y) = place(panel, x, y);
                    part.set(x, y, whole.pixel(from_x, from_y));
                }
            }
            part
        };
        self.panels.iter().map(cut).collect()
    }
}
