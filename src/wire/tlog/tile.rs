//! Where the hashes and entries of a log lie (C2SP tlog-tiles): addresses and their paths.
//!
//! Invariant: a path has exactly one address and an address one path; a path that is read here
//! never leaves the log's folder, whatever a peer asked for.

use super::hash::HASH_BYTES;
use super::text::{MOST, decimal, excerpt};
use std::fmt;
use std::str::FromStr;

/// Hashes of a full tile, and entries of a full bundle.
pub const TILE: u16 = 256;
/// Levels that a tree of 2^63 leaves can have.
const LEVELS: u8 = 8;

/// A row of up to 256 hashes, each over 256^`level` leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

/// Something a log serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The newest checkpoint.
    Checkpoint,
    /// Hashes.
    Hashes(Tile),
    /// The entries below a tile of level 0.
    Entries(Tile),
}

/// A text that is not the path of anything a log serves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
#[error("`{text}` is not a path of a log")]
pub struct TileError {
    pub text: String,
}

impl TileError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "`checkpoint`, `tile/0/x001/234.p/56` (level, index in groups of three, width if partial) \
         or `tile/entries/x001/234`"
    }
}

impl Tile {
    /// Returns the address, or `None` when it lies outside every tree: level 0 to 7, width 1 to
    /// 256.
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        let inside = level < LEVELS && (1..=TILE).contains(&width);
        (inside && index <= most_index(level)).then_some(Self { level, index, width })
    }

    /// Returns the tile that holds hash `at` of the level in a tree of that size, as wide as the
    /// tree makes it; `None` when the tree has no such hash.
    pub fn holding(level: u8, at: u64, size: u64) -> Option<Self> {
        let row = if level < LEVELS { size >> (8 * u32::from(level)) } else { 0 };
        let index = at / u64::from(TILE);
        let rest = row.checked_sub(index * u64::from(TILE)).filter(|_| at < row)?;
        let width = u16::try_from(rest).map_or(TILE, |rest| rest.min(TILE));
        Self::new(level, index, width)
    }

    /// Returns the level.
    pub fn level(self) -> u8 {
        self.level
    }

    /// Returns the position on its level.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Returns how many hashes it holds.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Says whether it holds all it ever will.
    pub fn is_full(self) -> bool {
        self.width == TILE
    }

    /// Returns the same place, full.
    pub fn full(self) -> Self {
        Self { width: TILE, ..self }
    }

    /// Returns the bytes of its hashes.
    pub fn bytes(self) -> usize {
        usize::from(self.width) * HASH_BYTES
    }

    /// Returns the first leaf below it.
    pub fn first_leaf(self) -> u64 {
        self.index.checked_shl(8 * (u32::from(self.level) + 1)).unwrap_or(0)
    }

    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups = Vec::new();
        let mut rest = self.index;
        loop {
            groups.push(rest % 1_000);
            rest /= 1_000;
            if rest == 0 {
                break;
            }
        }
        for (place, group) in groups.iter().enumerate().rev() {
            write!(f, "{}{group:03}", if place == 0 { "/" } else { "/x" })?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }

    fn read(level: u8, text: &str) -> Option<Self> {
        let (groups, width) = match text.split_once(".p/") {
            None => (text, TILE),
            Some((groups, width)) => {
                let width = decimal(width).and_then(|w| u16::try_from(w).ok());
                (groups, width.filter(|w| *w < TILE)?)
            }
        };
        let (init, last) = match groups.rsplit_once('/') {
            Some((init, last)) => (Some(init), last),
            None => (None, groups),
        };
        let three = |text: &str| {
            let plain = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse::<u64>().ok()).flatten()
        };
        let mut index = 0_u64;
        for (place, group) in init.into_iter().flat_map(|init| init.split('/')).enumerate() {
            let group = three(group.strip_prefix('x')?)?;
            if place == 0 && group == 0 {
                return None; // a second spelling
            }
            index = index.checked_mul(1_000)?.checked_add(group)?;
        }
        index = index.checked_mul(1_000)?.checked_add(three(last)?)?;
        Self::new(level, index, width)
    }
}

/// Returns the last tile of a level whose first leaf can be counted; the highest has one tile.
fn most_index(level: u8) -> u64 {
    MOST.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0)
}

impl Resource {
    /// Returns what HTTP calls its content.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Checkpoint => "text/plain; charset=utf-8",
            Self::Hashes(_) | Self::Entries(_) => "application/octet-stream",
        }
    }

    /// Says whether its bytes never change once they are there, so that it may be cached for long.
    pub fn is_immutable(self) -> bool {
        self != Self::Checkpoint
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Hashes(tile) => {
                write!(f, "tile/{}", tile.level)?;
                tile.write(f)
            }
            Self::Entries(tile) => {
                f.write_str("tile/entries")?;
                tile.write(f)
            }
        }
    }
}

impl FromStr for Resource {
    type Err = TileError;
    fn from_str(text: &str) -> Result<Self, TileError> {
        let read = || {
            if text == "checkpoint" {
                return Some(Self::Checkpoint);
            }
            let (kind, place) = text.strip_prefix("tile/")?.split_once('/')?;
            if kind == "entries" {
                return Tile::read(0, place).map(Self::Entries);
            }
            let level = decimal(kind).and_then(|level| u8::try_from(level).ok())?;
            Tile::read(level, place).map(Self::Hashes)
        };
        // The longest path of all has seven groups; anything longer is no path.
        if text.len() > 64 {
            return Err(TileError { text: excerpt(text) });
        }
        read().ok_or_else(|| TileError { text: excerpt(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, index, width| Tile::new(level, index, width).unwrap();
        let path = |resource: Resource| resource.to_string();
        assert_eq!(path(Resource::Hashes(tile(0, 1_234_067, 256))), "tile/0/x001/x234/067");
        assert_eq!(path(Resource::Hashes(tile(2, 0, 1))), "tile/2/000.p/1");
        assert_eq!(path(Resource::Entries(tile(0, 273, 112))), "tile/entries/273.p/112");
        assert_eq!(path(Resource::Checkpoint), "checkpoint");
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_of_the_specification() {
        let last = |level, at| Tile::holding(level, at, 70_000).map(|t| (t.index, t.width));
        assert_eq!(last(0, 69_999), Some((273, 112)));
        assert_eq!(last(0, 0), Some((0, 256)));
        assert_eq!(last(1, 0), Some((0, 256)));
        assert_eq!(last(1, 272), Some((1, 17)));
        assert_eq!(last(2, 0), Some((0, 1)));
        assert_eq!(last(0, 70_000), None);
        assert_eq!(last(2, 1), None);
        assert_eq!(last(3, 0), None);
        assert_eq!(last(8, 0), None);
        assert_eq!(Tile::holding(0, u64::MAX, u64::MAX), None);
    }

    #[test]
    fn foreign_paths_are_refused() {
        for bad in [
            "",
            "/checkpoint",
            "checkpoint/",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/00/000",
            "tile/8/000",
            "tile/-1/000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001/x002",
            "tile/0/x01/002",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p/1/2",
            "tile/0/000.P/1",
            "tile/0/../000",
            "tile/0/..",
            "../checkpoint",
            "tile/0/000/",
            "tile/0//000",
            "tile/entries/",
            "tile/entries/x1/000",
            "tile/data/000",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/7/001",
            "tile/0/٠٠٠",
        ] {
            assert!(bad.parse::<Resource>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_read_from_its_own_path(
            level in 0_u8..8, index in any::<u64>(), width in 1_u16..=256, entries: bool,
        ) {
            let level = if entries { 0 } else { level };
            let index = index % (most_index(level) + 1);
            let tile = Tile::new(level, index, width).unwrap();
            let resource = if entries { Resource::Entries(tile) } else { Resource::Hashes(tile) };
            prop_assert_eq!(resource.to_string().parse(), Ok(resource));
        }

        #[test]
        fn what_is_read_is_written_the_same_way(text in "(tile/)?(entries|[0-9]{1,2})?[/x0-9.p]{0,24}") {
            if let Ok(resource) = text.parse::<Resource>() {
                prop_assert_eq!(resource.to_string(), text);
            }
        }
    }
}
