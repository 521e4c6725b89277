//! The inspector's draw: which plays to check on the spot, and what the findings prove.
//!
//! Nobody who made the plays may choose which are checked, and nobody may know beforehand. The
//! draw therefore rests on a checkpoint of the log that was signed after the period: its root was
//! unknown while the plays happened, and it fixes the list of plays that is drawn from. Everybody
//! can draw again with ten lines of any language (`tests/python/draw.py`).
//!
//! | Module | Holds |
//! |---|---|
//! | [`ground`] | what the draw rests on, and the seed made of it |
//! | [`population`] | the list of plays that is drawn from: its order, number and hash |
//! | [`sample`] | the draw itself |
//! | [`walk`] | the walking list: clusters with their codes, plays to check |
//! | [`finding`] | what the inspector found, and what it proves |
//! | [`interval`] | how far the share found may be from the true one |
//!
//! Pure: rows go in, numbers and texts come out. Reading plays from the log, telling local time
//! and reading the table of findings (`config`) belong to those who call.
//!
//! # Invariants
//! * Same ground, same draw, on every machine: whole numbers and hashes alone.
//! * Each play of the list has the same chance, none is drawn twice, and a longer draw begins with
//!   the shorter one: whoever wants more plays cannot exchange the first ones.
//! * A finding counts for one play of the list, by the code of its own cluster, once.
//! * Plays that were drawn and not judged are never left out in silence: the lower bound that
//!   counts them as refuted stands beside the share.
//!
//! # What the seed cannot prevent
//! Who signs the log could sign one more checkpoint, or delay a leaf, until a draw pleases. Three
//! things stand against that: the inspector says beforehand which checkpoint counts (the first one
//! cosigned by a witness after a stated time), the ground is refused when its checkpoint is not
//! later than the period, and the inspector may add a word of her own after the checkpoint is
//! published (dice, a newspaper's headline), which enters the seed.
//!
//! Sources: RFC 3797 (verifiable selection), Clopper and Pearson 1934, Brown, Cai and DasGupta 2001.

pub mod finding;
pub mod ground;
pub mod interval;
pub mod population;
pub mod sample;
pub mod walk;

pub use finding::{Finding, FindingError, Tally, Verdict};
pub use ground::{Ground, GroundError, Seed};
pub use interval::Interval;
pub use population::{Population, PopulationError};
pub use sample::{MOST_DRAWN, draw};
pub use walk::{ClusterCode, DrawnPlay, WalkError, WalkingList};

#[cfg(test)]
mod tests;
