//! What a pack holds and in which order.
//!
//! A name is read into a [`File`]; its [`File::rank`] is its place in the archive, and ranks must
//! rise, so no file can stand there twice and none needs to be looked for.

use super::hash::Hash;
use super::leaf::LEAF_BYTES;
use super::note::NOTE_BYTES;
use super::text::{decimal, hex, to_hex};
use std::fmt;

/// Hashes of a full tile, entries of a full bundle.
pub const TILE: u16 = 256;
/// Logs of a pack.
pub const LOGS: usize = 256;
/// Leaves of a log.
pub const LEAVES: u64 = 1 << 47;
/// Bytes of the file of one day's checkpoints.
pub const DAY_BYTES: u64 = 16 << 20;

/// A row of hashes or a bundle of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub level: u8,
    pub index: u64,
    pub width: u16,
}

impl Tile {
    /// Returns the first leaf below it.
    pub fn first_leaf(self) -> u64 {
        self.index.checked_shl(8 * (u32::from(self.level) + 1)).unwrap_or(u64::MAX)
    }

    /// Says whether it holds all it ever will.
    pub fn is_full(self) -> bool {
        self.width == TILE
    }

    fn read(level: u8, text: &str) -> Option<Self> {
        let (groups, width) = match text.split_once(".p/") {
            None => (text, TILE),
            Some((groups, width)) => {
                let width = u16::try_from(decimal(width)?).ok();
                (groups, width.filter(|width| (1..TILE).contains(width))?)
            }
        };
        let mut index = 0_u64;
        let count = groups.split('/').count();
        for (at, group) in groups.split('/').enumerate() {
            let last = at + 1 == count;
            let digits = if last { group } else { group.strip_prefix('x')? };
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let three = digits.parse::<u64>().ok()?;
            if at == 0 && !last && three == 0 {
                return None; // a second spelling
            }
            index = index.checked_mul(1_000)?.checked_add(three)?;
        }
        let tile = Self { level, index, width };
        (level < 8 && index <= LEAVES && tile.first_leaf() < LEAVES).then_some(tile)
    }

    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups = vec![self.index % 1_000];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            write!(f, "{}{group:03}", if place == 0 { "/" } else { "/x" })?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// A file of a pack. Logs count from 0 here, from 1 in names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    Readme,
    Pack,
    Policy,
    Keys,
    Receipts,
    Timetable(Hash),
    Sheet(Hash),
    Notice(Hash),
    Checkpoint(usize),
    Cosigned(usize, String),
    Stamped(usize, u64),
    Token(usize, u64),
    Hashes(usize, Tile),
    Entries(usize, Tile),
    Manifest,
}

/// A place in the archive.
pub type Rank = (u8, usize, u8, [u8; 32]);

impl File {
    /// Reads a name; `None` when a pack has no such file.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "README.txt" => Self::Readme,
            "pack.json" => Self::Pack,
            "policy" => Self::Policy,
            "keys.json" => Self::Keys,
            "receipts" => Self::Receipts,
            "manifest.sha256" => Self::Manifest,
            _ => match name.split_once('/')? {
                ("timetables", name) => Self::Timetable(hex(name)?),
                ("sheets", name) => Self::Sheet(hex(name)?),
                ("notices", name) => Self::Notice(hex(name)?),
                ("logs", rest) => {
                    let (number, rest) = rest.split_once('/')?;
                    let log = usize::try_from(decimal(number)?).ok()?.checked_sub(1)?;
                    if log >= LOGS {
                        return None;
                    }
                    of_log(log, rest)?
                }
                _ => return None,
            },
        })
    }

    /// Returns its place in the archive.
    pub fn rank(&self) -> Rank {
        let number = |n: u64, minor: [u8; 2]| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            key[8..10].copy_from_slice(&minor);
            key
        };
        let none = [0; 32];
        match self {
            Self::Readme => (0, 0, 0, none),
            Self::Pack => (1, 0, 0, none),
            Self::Policy => (2, 0, 0, none),
            Self::Keys => (3, 0, 0, none),
            Self::Receipts => (4, 0, 0, none),
            Self::Timetable(name) => (5, 0, 0, *name),
            Self::Sheet(name) => (6, 0, 0, *name),
            Self::Notice(name) => (7, 0, 0, *name),
            Self::Checkpoint(log) => (8, *log, 0, none),
            Self::Cosigned(log, day) => {
                let mut key = none;
                for (byte, digit) in key.iter_mut().zip(day.bytes()) {
                    *byte = digit;
                }
                (8, *log, 1, key)
            }
            Self::Stamped(log, size) => (8, *log, 2, number(*size, [0, 0])),
            Self::Token(log, size) => (8, *log, 2, number(*size, [1, 0])),
            // The right edge first, then from the left, each tile before what lies below it.
            Self::Hashes(log, tile) if !tile.is_full() => {
                (8, *log, 3, number(u64::from(255 - tile.level), [0, 0]))
            }
            Self::Hashes(log, tile) => {
                (8, *log, 4, number(tile.first_leaf(), [255 - tile.level, 0]))
            }
            Self::Entries(log, tile) => (8, *log, 4, number(tile.first_leaf(), [255, 1])),
            Self::Manifest => (9, 0, 0, none),
        }
    }

    /// Returns the most bytes it may have.
    pub fn most_bytes(&self) -> u64 {
        match self {
            Self::Readme | Self::Pack | Self::Policy | Self::Token(..) | Self::Sheet(_) => 65_536,
            Self::Notice(_) => 32_768,
            Self::Keys => 131_072,
            Self::Timetable(_) => 8_192,
            Self::Checkpoint(_) | Self::Stamped(..) => NOTE_BYTES as u64,
            Self::Receipts | Self::Cosigned(..) => DAY_BYTES,
            Self::Hashes(_, tile) => u64::from(tile.width) * 32,
            Self::Entries(_, tile) => u64::from(tile.width) * (2 + LEAF_BYTES as u64),
            Self::Manifest => u64::MAX,
        }
    }
}

fn of_log(log: usize, rest: &str) -> Option<File> {
    if rest == "checkpoint" {
        return Some(File::Checkpoint(log));
    }
    let (folder, rest) = rest.split_once('/')?;
    match folder {
        "cosigned" => {
            let digits = rest.len() == 10
                && rest.bytes().enumerate().all(|(at, b)| match at {
                    4 | 7 => b == b'-',
                    _ => b.is_ascii_digit(),
                });
            digits.then(|| File::Cosigned(log, rest.to_owned()))
        }
        "tokens" => match rest.split_once('.')? {
            (size, "note") => Some(File::Stamped(log, decimal(size)?)),
            (size, "tsr") => Some(File::Token(log, decimal(size)?)),
            _ => None,
        },
        "tile" => match rest.split_once('/')? {
            ("entries", rest) => Some(File::Entries(log, Tile::read(0, rest)?)),
            (level, rest) => {
                let level = u8::try_from(decimal(level)?).ok()?;
                Some(File::Hashes(log, Tile::read(level, rest)?))
            }
        },
        _ => None,
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readme => f.write_str("README.txt"),
            Self::Pack => f.write_str("pack.json"),
            Self::Policy => f.write_str("policy"),
            Self::Keys => f.write_str("keys.json"),
            Self::Receipts => f.write_str("receipts"),
            Self::Timetable(name) => write!(f, "timetables/{}", to_hex(name)),
            Self::Sheet(name) => write!(f, "sheets/{}", to_hex(name)),
            Self::Notice(name) => write!(f, "notices/{}", to_hex(name)),
            Self::Checkpoint(log) => write!(f, "logs/{}/checkpoint", log + 1),
            Self::Cosigned(log, day) => write!(f, "logs/{}/cosigned/{day}", log + 1),
            Self::Stamped(log, size) => write!(f, "logs/{}/tokens/{size}.note", log + 1),
            Self::Token(log, size) => write!(f, "logs/{}/tokens/{size}.tsr", log + 1),
            Self::Hashes(log, tile) => {
                write!(f, "logs/{}/tile/{}", log + 1, tile.level)?;
                tile.write(f)
            }
            Self::Entries(log, tile) => {
                write!(f, "logs/{}/tile/entries", log + 1)?;
                tile.write(f)
            }
            Self::Manifest => f.write_str("manifest.sha256"),
        }
    }
}
