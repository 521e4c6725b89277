//! The list of plays that is drawn from.
//!
//! One line a play, `device cue\n`, in ascending order of device, then cue; a play has its number
//! from 0. The order is of the bytes, so that no table of a language changes it.

use crate::domain::ids::{CueId, DeviceId, Digest};
use sha2::{Digest as _, Sha256};

/// Plays of the longest list: what every JSON reader counts exactly.
pub const MOST_PLAYS: u64 = (1 << 53) - 1;

/// A list being hashed, play by play: millions need no memory.
#[derive(Clone, Default)]
pub struct Population {
    hash: Sha256,
    plays: u64,
    last: Option<(DeviceId, CueId)>,
}

/// Why a play cannot stand next in the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PopulationError {
    #[error("play {number} (`{device}`, `{cue}`) does not come after the one before it")]
    Order { number: u64, device: DeviceId, cue: CueId },
    #[error("the list has more than {MOST_PLAYS} plays")]
    Long,
}

impl PopulationError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Order { .. } => "sort by device, then cue, and give each pair once",
            Self::Long => "draw from a shorter period or a smaller unit",
        }
    }
}

impl Population {
    /// Takes the next play.
    pub fn push(&mut self, device: &DeviceId, cue: CueId) -> Result<(), PopulationError> {
        let after = |(last, last_cue): &(DeviceId, CueId)| (last, *last_cue) < (device, cue);
        if !self.last.as_ref().is_none_or(after) {
            let number = self.plays;
            return Err(PopulationError::Order { number, device: device.clone(), cue });
        }
        if self.plays == MOST_PLAYS {
            return Err(PopulationError::Long);
        }
        // Written by hand: millions of lines without an allocation each.
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
        let mut line = [b'\n'; 33];
        for (pair, byte) in line.chunks_exact_mut(2).zip(cue.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
        }
        self.hash.update(device.as_str());
        self.hash.update(b" ");
        self.hash.update(line);
        self.plays += 1;
        match &mut self.last {
            Some((last, last_cue)) if last == device => *last_cue = cue,
            last => *last = Some((device.clone(), cue)),
        }
        Ok(())
    }

    /// Returns how many plays there are.
    pub fn plays(&self) -> u64 {
        self.plays
    }

    /// Returns the hash of the list.
    pub fn digest(&self) -> Digest {
        Digest(self.hash.clone().finalize().into())
    }
}
