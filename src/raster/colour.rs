//! Colours, and what a panel can show of them.

/// A colour of three components, 0-255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// All lamps off.
    pub const BLACK: Rgb = Rgb(0, 0, 0);
    /// All lamps on.
    pub const WHITE: Rgb = Rgb(255, 255, 255);

    /// Returns the colour's brightness as the eye weighs it, 0-255 (ITU-R BT.601 in thousandths).
    pub fn luma(self) -> u8 {
        let Self(r, g, b) = self;
        let sum = 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b);
        u8::try_from(sum / 1_000).unwrap_or(u8::MAX)
    }

    /// Returns the square of the distance to another colour.
    pub fn distance(self, other: Self) -> u32 {
        let part = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        part(self.0, other.0) + part(self.1, other.1) + part(self.2, other.2)
    }
}

/// Colours that profiles and pages may name.
pub const COLOURS: &[(&str, Rgb)] = &[
    ("red", Rgb(255, 0, 0)),
    ("green", Rgb(0, 255, 0)),
    ("blue", Rgb(0, 0, 255)),
    ("amber", Rgb(255, 160, 0)),
    ("yellow", Rgb(255, 255, 0)),
    ("white", Rgb(255, 255, 255)),
    ("cyan", Rgb(0, 255, 255)),
    ("magenta", Rgb(255, 0, 255)),
];

/// Returns the colour of this name.
pub fn named(name: &str) -> Option<Rgb> {
    COLOURS.iter().find(|(known, _)| *known == name).map(|(_, rgb)| *rgb)
}

/// What the lamps of a panel can do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// Each lamp is on or off; all have one colour.
    Mono,
    /// Each pixel is dark or one of these colours, the default first: red, green and amber on
    /// panels with two lamps a pixel.
    Palette(Vec<Rgb>),
    /// Any colour.
    Full,
}

impl Depth {
    /// Returns the colour nearest to the one wanted that the panel can show as lit.
    pub fn lit(&self, wanted: Rgb) -> Rgb {
        match self {
            Self::Mono => Rgb::WHITE,
            Self::Palette(can) => {
                let near = can.iter().min_by_key(|can| can.distance(wanted));
                near.copied().unwrap_or(Rgb::WHITE)
            }
            Self::Full => wanted,
        }
    }

    /// Returns what the panel shows for a pixel of a picture, which may be dark.
    pub fn nearest(&self, wanted: Rgb) -> Rgb {
        match self {
            Self::Mono if wanted.luma() < 128 => Rgb::BLACK,
            Self::Palette(can) => {
                let all = std::iter::once(&Rgb::BLACK).chain(can);
                all.min_by_key(|can| can.distance(wanted)).copied().unwrap_or(Rgb::BLACK)
            }
            Self::Mono | Self::Full => self.lit(wanted),
        }
    }

    /// Says whether the panel shows exactly this colour.
    pub fn shows(&self, wanted: Rgb) -> bool {
        matches!(self, Self::Mono) || self.lit(wanted) == wanted
    }

    /// Returns the colour of text that names none.
    pub fn default_colour(&self) -> Rgb {
        match self {
            Self::Palette(can) => can.first().copied().unwrap_or(Rgb::WHITE),
            Self::Mono | Self::Full => Rgb::WHITE,
        }
    }
}
