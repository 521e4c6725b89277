//! What a draw rests on, written so that everybody makes the same seed of it.

use super::population::Population;
use crate::domain::ids::{Digest, UnitId};
use crate::domain::time::UtcMs;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Characters of the inspector's word.
const WORD: usize = 200;
/// Bytes of an origin or a root.
const NAME: usize = 255;

/// What a draw rests on; see [`Ground::text`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ground {
    origin: String,
    size: u64,
    root: String,
    /// When a witness or an authority first vouched for the checkpoint.
    vouched_ms: UtcMs,
    from_ms: UtcMs,
    to_ms: UtcMs,
    scope: Option<UnitId>,
    plays: u64,
    list: Digest,
    word: String,
}

/// A checkpoint of the log, as far as a draw needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub origin: String,
    pub size: u64,
    /// Leaves of the shards before it, which may hold records of the period too.
    pub before: u64,
    /// Base64, as in the checkpoint.
    pub root: String,
    /// When a witness first cosigned it, or an authority stamped it.
    pub vouched_ms: UtcMs,
}

/// Which plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    pub from_ms: UtcMs,
    /// The first instant after it.
    pub to_ms: UtcMs,
    /// A unit with all below it; everything when `None`.
    pub scope: Option<UnitId>,
}

/// Why nothing can be drawn on this ground.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroundError {
    #[error("the checkpoint was vouched for at {vouched:?}, before the period ends at {end:?}")]
    Early { vouched: UtcMs, end: UtcMs },
    #[error("the period from {from:?} to {to:?} has no length")]
    Period { from: UtcMs, to: UtcMs },
    #[error("the {what} `{text}` cannot stand on a line")]
    Line { what: &'static str, text: String },
    #[error("nothing was played in the period")]
    Nothing,
    #[error("the list has {plays} plays, the log has {size} leaves")]
    Small { plays: u64, size: u64 },
}

impl GroundError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Early { .. } => "take the first checkpoint that is cosigned after the period",
            Self::Period { .. } => "the first day comes before the last",
            Self::Line { .. } => "one line of at most 200 characters, without line breaks",
            Self::Nothing => "choose another period or unit, or look why nothing was played",
            Self::Small { .. } => "take a checkpoint that covers the records of all these plays",
        }
    }
}

/// The seed of a draw.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Seed(pub(super) [u8; 32]);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Digest(self.0), f)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> String {
        seed.to_string()
    }
}

impl Ground {
    /// Puts a ground together; refuses one that somebody could have prepared. `word` is the
    /// inspector's own, said after the checkpoint was published, or empty.
    pub fn new(
        head: Head,
        period: Period,
        population: &Population,
        word: &str,
    ) -> Result<Self, GroundError> {
        Self::of_list(head, period, population.plays(), population.digest(), word)
    }

    /// Puts the ground of a list together that was counted and hashed before.
    pub fn of_list(
        head: Head,
        period: Period,
        plays: u64,
        list: Digest,
        word: &str,
    ) -> Result<Self, GroundError> {
        let Head { origin, size, before, root, vouched_ms } = head;
        let Period { from_ms, to_ms, scope } = period;
        if from_ms >= to_ms {
            return Err(GroundError::Period { from: from_ms, to: to_ms });
        }
        if vouched_ms < to_ms {
            return Err(GroundError::Early { vouched: vouched_ms, end: to_ms });
        }
        line("origin", &origin, NAME)?;
        line("root", &root, NAME)?;
        if !word.is_empty() {
            line("word", word, WORD)?;
        }
        if plays == 0 {
            return Err(GroundError::Nothing);
        }
        // Each play has a record of its own in the log.
        let leaves = size.saturating_add(before);
        if plays > leaves {
            return Err(GroundError::Small { plays, size: leaves });
        }
        let word = word.to_owned();
        Ok(Self { origin, size, root, vouched_ms, from_ms, to_ms, scope, plays, list, word })
    }

    /// Returns the text whose SHA-256 is the seed: these ten lines, each ended by a line feed, in
    /// UTF-8. The first keeps the hash apart from any other use of SHA-256.
    pub fn text(&self) -> String {
        let Self { origin, size, root, from_ms, to_ms, plays, list, word, .. } = self;
        let scope = self.scope.as_ref().map_or("all", UnitId::as_str);
        let (from, to) = (from_ms.0, to_ms.0);
        format!(
            "loa draw 1\norigin {origin}\nsize {size}\nroot {root}\nfrom {from}\nto {to}\n\
             scope {scope}\nplays {plays}\nlist {list}\nword {word}\n"
        )
    }

    /// Returns the seed.
    pub fn seed(&self) -> Seed {
        Seed(Sha256::digest(self.text().as_bytes()).into())
    }

    /// Returns how many plays are drawn from.
    pub fn plays(&self) -> u64 {
        self.plays
    }

    /// Returns when the checkpoint was first vouched for: no finding is older.
    pub fn vouched_ms(&self) -> UtcMs {
        self.vouched_ms
    }
}

fn line(what: &'static str, text: &str, most: usize) -> Result<(), GroundError> {
    let length = text.chars().count();
    // Line separators of Unicode end a line for some readers too.
    let breaks = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
    if length == 0 || length > most || text.chars().any(breaks) || text.trim() != text {
        let text = text.chars().filter(|c| !breaks(*c)).take(60).collect();
        return Err(GroundError::Line { what, text });
    }
    Ok(())
}
