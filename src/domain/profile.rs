//! What a hardware model can do: outputs, codecs, size, storage, clock.
//!
//! How to speak to a foreign device stands beside it, in the room `dialect`.

use super::ids::ProfileId;
use std::fmt;
use std::sync::Arc;

/// A device profile as accepted from `device-profiles/*.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its id: the file's name.
    pub id: ProfileId,
    /// Maker and model for people.
    pub title: String,
    /// The loudspeaker output, if any.
    pub speaker: Option<SpeakerProfile>,
    /// The board output, if any.
    pub board: Option<BoardProfile>,
    /// Bytes for assets; assets that nothing names go first when space is short.
    pub storage_bytes: u64,
    /// Largest day sheet the device holds, at most 65,536 bytes.
    pub sheet_bytes: u32,
    /// Chunk size in KiB: 32 unless stated, 16 where it cannot hold more, or 64.
    pub chunk_kib: u32,
    /// Drift of its clock in parts per million; 50 unless measured.
    pub clock_ppm: u32,
}

impl Profile {
    /// Says whether it is a gateway's: one without an output of its own, that speaks and signs for
    /// devices which cannot speak our contract.
    pub fn is_gateway(&self) -> bool {
        self.speaker.is_none() && self.board.is_none()
    }
}

/// A loudspeaker output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerProfile {
    /// Media types it decodes.
    pub codecs: Vec<String>,
    /// Longest clip in milliseconds.
    pub longest_ms: i64,
}

/// A board output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardProfile {
    /// Width in pixels, 16..=1024.
    pub width_px: u32,
    /// Height in pixels, 8..=256.
    pub height_px: u32,
    /// Colours it can show, e.g. `red`, first the default; [`ANY_COLOUR`] alone where it shows
    /// all, none for monochrome.
    pub colours: Vec<String>,
    /// Fonts it has, first the default.
    pub fonts: Vec<String>,
    /// Those of its fonts that came as files.
    pub font_files: Vec<FontFile>,
    /// Pixels per second of scrolling text.
    pub scroll_px_s: u32,
    /// Its panels in the order of the chain; none where one panel is the whole board.
    pub panels: Vec<Panel>,
    /// How its lamps are driven by outputs that send pixels.
    pub lamps: Lamps,
}

/// What [`BoardProfile::colours`] says of a board that shows every colour.
pub const ANY_COLOUR: &str = "rgb";

/// A common monochrome board of 128 by 32.
impl Default for BoardProfile {
    fn default() -> Self {
        Self {
            width_px: 128,
            height_px: 32,
            colours: Vec::new(),
            fonts: Vec::new(),
            font_files: Vec::new(),
            scroll_px_s: 40,
            panels: Vec::new(),
            lamps: Lamps::default(),
        }
    }
}

impl BoardProfile {
    /// Says whether a page may name this colour.
    pub fn has_colour(&self, name: &str) -> bool {
        self.colours.iter().any(|own| own == name || own == ANY_COLOUR)
    }
}

/// A font as its file came, already judged by whoever read the profile.
#[derive(Clone, PartialEq, Eq)]
pub struct FontFile {
    /// The name by which pages call it.
    pub name: String,
    /// The file.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for FontFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FontFile({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// How a panel is mounted, clockwise as seen from the front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Turn {
    /// As made.
    #[default]
    None,
    /// A quarter.
    Quarter,
    /// Upside down, as every second row of a serpentine chain.
    Half,
    /// Three quarters.
    ThreeQuarters,
}

/// A panel of a board: where its picture lies in the whole, and its own size as made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Panel {
    /// Left edge in the whole picture.
    pub left_px: u32,
    /// Top edge in the whole picture.
    pub top_px: u32,
    /// Its own width as made.
    pub width_px: u32,
    /// Its own height as made.
    pub height_px: u32,
    /// How it is mounted.
    pub turn: Turn,
}

/// How lamps want their light: order of colours, curve and strength, way of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lamps {
    /// In which order a lamp takes its three colours.
    pub order: LampOrder,
    /// How the rows of a panel are wired.
    pub rows: LampRows,
    /// Exponent of the curve from wanted to driven light, in hundredths: 100 is a straight line.
    pub gamma_percent: u32,
    /// Full light in hundredths of what the lamps can give.
    pub brightness_percent: u32,
}

impl Default for Lamps {
    fn default() -> Self {
        let (order, rows) = (LampOrder::Rgb, LampRows::Straight);
        Self { order, rows, gamma_percent: 100, brightness_percent: 100 }
    }
}

/// In which order a lamp takes red, green and blue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LampOrder {
    #[default]
    Rgb,
    Rbg,
    Grb,
    Gbr,
    Brg,
    Bgr,
}

impl LampOrder {
    /// All orders by the name that profiles use.
    pub const ALL: [(&'static str, Self); 6] = [
        ("rgb", Self::Rgb),
        ("rbg", Self::Rbg),
        ("grb", Self::Grb),
        ("gbr", Self::Gbr),
        ("brg", Self::Brg),
        ("bgr", Self::Bgr),
    ];
}

/// How the rows of a panel follow each other on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LampRows {
    /// Each from the left.
    #[default]
    Straight,
    /// The second from the right, the third from the left again.
    Zigzag,
}
