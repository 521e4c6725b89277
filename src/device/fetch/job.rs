//! One thing being fetched: which pieces are there, which come next, whether a piece is right.

use super::{Action, AssetOrder, Left};
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::Digest;
use crate::wire::doc::{Wanted, WantedKind};
use bytes::Bytes;

/// A part of what is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A day sheet.
    Whole,
    /// The chunk hashes of an asset.
    Sums,
    /// A chunk of an asset.
    Chunk(u32),
}

/// A piece asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) sha256: Digest,
    pub(super) part: Part,
    /// Whether it was asked for in vain, or came wrong.
    pub(super) late: bool,
}

/// An order in progress.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Not before this instant.
    pub(super) start_ms: i64,
    /// First use.
    due_ms: i64,
    /// Asks without an answer in a row.
    pub(super) vain: u32,
    /// Whether it waits because asking was in vain.
    pub(super) put_off: bool,
    /// Whether it gave its place away without having come.
    pub(super) late: bool,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Sheet { asked: bool },
    Asset { order: AssetOrder, state: AssetState },
}

#[derive(Clone, Debug)]
enum AssetState {
    Sums { asked: bool },
    Chunks { hashes: Vec<Digest>, have: Vec<Have>, missing: u64, next: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Have {
    No,
    Asked,
    Yes,
}

impl Job {
    pub(super) fn sheet(start_ms: i64, due_ms: i64) -> Self {
        Self {
            start_ms,
            due_ms,
            vain: 0,
            put_off: false,
            late: false,
            what: What::Sheet { asked: false },
        }
    }

    pub(super) fn asset(
        order: AssetOrder,
        start_ms: i64,
        due_ms: i64,
        left: Option<&Left>,
    ) -> Self {
        let mut state = AssetState::Sums { asked: false };
        if let Some(left) = left
            && let Some(hashes) = checked_hashes(&order, &left.sums)
        {
            state = chunks(hashes);
            if let AssetState::Chunks { have, missing, .. } = &mut state {
                for chunk in &left.chunks {
                    let place = usize::try_from(*chunk).ok().and_then(|n| have.get_mut(n));
                    if let Some(place) = place.filter(|p| **p == Have::No) {
                        *place = Have::Yes;
                        *missing -= 1;
                    }
                }
            }
        }
        let what = What::Asset { order, state };
        Self { start_ms, due_ms, vain: 0, put_off: false, late: false, what }
    }

    /// Sheets before assets, then by first use.
    pub(super) fn rank(&self) -> (bool, i64) {
        (!self.is_sheet(), self.due_ms)
    }

    pub(super) fn hasten(&mut self, start_ms: i64, due_ms: i64) {
        self.due_ms = self.due_ms.min(due_ms);
        if !self.put_off {
            self.start_ms = self.start_ms.min(start_ms);
        }
    }

    pub(super) fn is_sheet(&self) -> bool {
        matches!(self.what, What::Sheet { .. })
    }

    pub(super) fn size(&self) -> ChunkSize {
        match &self.what {
            What::Sheet { .. } => ChunkSize::Kib64,
            What::Asset { order, .. } => order.size,
        }
    }

    /// How the device's state names it.
    pub(super) fn wanted(&self, sha256: Digest) -> Wanted {
        match &self.what {
            What::Sheet { .. } => Wanted { kind: WantedKind::Sheet, sha256, kib: None },
            What::Asset { order, .. } => {
                Wanted { kind: WantedKind::Asset, sha256, kib: Some(order.size.kib()) }
            }
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(&self.what, What::Asset { state: AssetState::Chunks { missing: 0, .. }, .. })
    }

    /// Says whether pieces are still to be asked for.
    pub(super) fn has_missing(&self) -> bool {
        match &self.what {
            What::Sheet { asked } | What::Asset { state: AssetState::Sums { asked }, .. } => !asked,
            What::Asset { state: AssetState::Chunks { have, next, .. }, .. } => {
                have.iter().skip(*next).any(|have| *have == Have::No)
            }
        }
    }

    /// Marks the next missing piece as asked for and returns it.
    pub(super) fn next(&mut self) -> Option<Part> {
        match &mut self.what {
            What::Sheet { asked } => (!std::mem::replace(asked, true)).then_some(Part::Whole),
            What::Asset { state: AssetState::Sums { asked }, .. } => {
                (!std::mem::replace(asked, true)).then_some(Part::Sums)
            }
            What::Asset { state: AssetState::Chunks { have, next, .. }, .. } => {
                let found = have.iter().skip(*next).position(|h| *h == Have::No)? + *next;
                *have.get_mut(found)? = Have::Asked;
                *next = found + 1;
                u32::try_from(found).ok().map(Part::Chunk)
            }
        }
    }

    /// Checks a piece; `None` when it is wrong.
    pub(super) fn take(
        &mut self,
        sha256: Digest,
        part: Part,
        payload: &Bytes,
        sheet_bytes: usize,
    ) -> Option<Vec<Action>> {
        match (&mut self.what, part) {
            (What::Sheet { .. }, Part::Whole) => {
                let right = payload.len() <= sheet_bytes && Digest::of(payload) == sha256;
                right.then(|| vec![Action::Sheet { sha256, bytes: payload.clone() }])
            }
            (What::Asset { order, state }, Part::Sums) => {
                let hashes = checked_hashes(order, payload)?;
                let mut actions = vec![Action::KeepSums { sha256, sums: payload.clone() }];
                if hashes.is_empty() {
                    actions.push(Action::Complete { sha256 });
                }
                *state = chunks(hashes);
                Some(actions)
            }
            (
                What::Asset { order, state: AssetState::Chunks { hashes, have, missing, .. } },
                Part::Chunk(chunk),
            ) => {
                let n = usize::try_from(chunk).ok()?;
                let offset = u64::from(chunk).checked_mul(order.size.bytes() as u64)?;
                let length = (order.size.bytes() as u64).min(order.bytes.checked_sub(offset)?);
                if payload.len() as u64 != length || Digest::of(payload) != *hashes.get(n)? {
                    return None;
                }
                let place = have.get_mut(n)?;
                if *place == Have::Yes {
                    return Some(Vec::new());
                }
                *place = Have::Yes;
                *missing -= 1;
                let bytes = payload.clone();
                let mut actions = vec![Action::Write { sha256, chunk, offset, bytes }];
                if *missing == 0 {
                    actions.push(Action::Complete { sha256 });
                }
                Some(actions)
            }
            _ => None,
        }
    }

    /// Asks again for what was asked for and did not come.
    pub(super) fn ask_anew(&mut self) {
        match &mut self.what {
            What::Sheet { asked } | What::Asset { state: AssetState::Sums { asked }, .. } => {
                *asked = false;
            }
            What::Asset { state: AssetState::Chunks { have, next, .. }, .. } => {
                for place in have.iter_mut().filter(|place| **place == Have::Asked) {
                    *place = Have::No;
                }
                *next = 0;
            }
        }
    }

    /// Forgets every piece.
    pub(super) fn begin_anew(&mut self) {
        match &mut self.what {
            What::Sheet { asked } => *asked = false,
            What::Asset { state, .. } => *state = AssetState::Sums { asked: false },
        }
    }
}

fn chunks(hashes: Vec<Digest>) -> AssetState {
    let have = vec![Have::No; hashes.len()];
    AssetState::Chunks { missing: hashes.len() as u64, hashes, have, next: 0 }
}

/// Returns the chunk hashes when they are as many as they must be and their sum is right.
fn checked_hashes(order: &AssetOrder, sums: &[u8]) -> Option<Vec<Digest>> {
    let count = order.size.count(order.bytes);
    if sums.len() as u64 != count.checked_mul(32)? || Digest::of(sums) != order.sums {
        return None;
    }
    let hash = |bytes: &[u8]| bytes.try_into().ok().map(Digest);
    sums.chunks_exact(32).map(hash).collect()
}
