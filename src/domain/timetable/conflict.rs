//! Who holds an output when, and what becomes of those who come too late.

use super::place::{Dropped, Piece, Placed, Placer, What};
use super::plan::Kind;
use super::reason::{Effect, Reason};
use crate::domain::playlist::Priority;
use crate::domain::time::UtcMs;
use std::collections::BTreeMap;

/// A clip cut shorter than this says nothing; it is left out.
pub(super) const SHORTEST_CLIP_MS: i64 = 1000;

/// A showing shorter than the shortest page is left out.
pub(super) const SHORTEST_SHOWING_MS: i64 = 2000;

/// The request and slot that hold a stretch. The order is the rank: the lower wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub request: usize,
    pub slot: usize,
    pub priority: Priority,
}

/// The stretches of one output that are taken: sorted, never overlapping.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy {
    taken: Vec<(UtcMs, UtcMs, Owner)>,
}

impl Busy {
    /// Returns when the stretch that holds an instant ends, and whose it is.
    pub fn holding(&self, at: UtcMs) -> Option<(UtcMs, Owner)> {
        let before = self.taken.partition_point(|(from, ..)| *from <= at);
        let (_, to, by) = *self.taken.get(before.checked_sub(1)?)?;
        (at < to).then_some((to, by))
    }

    /// Returns the first stretch that begins after an instant.
    pub fn after(&self, at: UtcMs) -> Option<(UtcMs, UtcMs, Owner)> {
        self.taken.get(self.taken.partition_point(|(from, ..)| *from <= at)).copied()
    }

    /// Returns somebody who holds a part of the stretch.
    pub fn any(&self, from: UtcMs, to: UtcMs) -> Option<Owner> {
        let holding = self.holding(from).map(|(_, by)| by);
        holding.or_else(|| self.after(from).filter(|(at, ..)| *at < to).map(|(.., by)| by))
    }

    /// Takes stretches that nobody holds.
    pub fn take(&mut self, stretches: Vec<(UtcMs, UtcMs)>, owner: Owner) {
        for (from, to) in stretches {
            let place = self.taken.partition_point(|(at, ..)| *at < from);
            self.taken.insert(place, (from, to, owner));
        }
    }

    /// Takes a stretch of which others may hold parts: only the rest is taken.
    fn add(&mut self, piece: &Piece) {
        let mut at = piece.at;
        let mut free = Vec::new();
        while at < piece.end {
            if let Some((to, _)) = self.holding(at) {
                at = to;
                continue;
            }
            let end = self.after(at).map_or(piece.end, |(from, ..)| from.min(piece.end));
            free.push((at, end));
            at = end;
        }
        self.take(free, piece.owner);
    }
}

/// Settles a nominal date with its neighbours: where pieces of different dates meet, the lower
/// rank gives way. All three are as placed, so that every day can be settled by itself.
pub(super) fn settle(
    placer: &Placer<'_>,
    before: &Placed,
    this: &Placed,
    after: &Placed,
) -> Placed {
    let mut settled = Placed { pieces: Vec::new(), dropped: this.dropped.clone() };
    let mut lost: BTreeMap<(Owner, UtcMs), (&Piece, Owner)> = BTreeMap::new();
    for piece in &this.pieces {
        let mut busy = Busy::default();
        let beats = |other: &&Piece| {
            other.kind() == piece.kind()
                && other.owner < piece.owner
                && other.at < piece.end
                && piece.at < other.end
        };
        for other in before.pieces.iter().chain(&after.pieces).filter(beats) {
            busy.add(other);
        }
        let Some(by) = busy.any(piece.at, piece.end) else {
            settled.pieces.push(piece.clone());
            continue;
        };
        let mut left = match piece.kind() {
            Kind::Clip => trim(placer, piece, &busy).into_iter().collect(),
            Kind::Pages => placer.split(piece, &busy),
        };
        if left.is_empty() {
            match piece.kind() {
                Kind::Clip => {
                    let cause = placer.gives_way(piece.owner, by);
                    placer.drop_piece(piece, cause, &mut settled.dropped);
                }
                Kind::Pages => {
                    lost.entry((piece.owner, piece.nominal)).or_insert((piece, by));
                }
            }
        }
        settled.pieces.append(&mut left);
    }
    number_turns(&mut settled);
    // A board occurrence is left out only when no stretch of it remains.
    for ((owner, nominal), (piece, by)) in lost {
        let mut kept = settled.pieces.iter().filter(|kept| kept.kind() == Kind::Pages);
        if !kept.any(|kept| (kept.owner, kept.nominal) == (owner, nominal)) {
            placer.drop_piece(piece, placer.gives_way(owner, by), &mut settled.dropped);
        }
    }
    settled
}

/// Keeps of a clip its first free stretch; what was cut off is not made up for.
fn trim(placer: &Placer<'_>, piece: &Piece, busy: &Busy) -> Option<Piece> {
    let mut at = piece.at;
    let mut behind = None;
    while at < piece.end {
        if let Some((to, by)) = busy.holding(at) {
            (at, behind) = (to, Some(by));
            continue;
        }
        let next = busy.after(at).filter(|(from, ..)| *from < piece.end);
        let end = next.map_or(piece.end, |(from, ..)| from);
        if end.since(at) < SHORTEST_CLIP_MS {
            (at, behind) = next.map_or((piece.end, None), |(_, to, by)| (to, Some(by)));
            continue;
        }
        let mut kept = Piece { at, end, ..piece.clone() };
        if let Some(by) = behind {
            let cause = placer.gives_way(piece.owner, by);
            kept.reasons.push(Reason::new(Effect::Moved, cause.clone()));
            if kept.reasons.iter().all(|reason| reason.effect != Effect::Shortened) {
                kept.reasons.push(Reason::new(Effect::Shortened, cause));
            }
        }
        if let Some((.., by)) = next {
            kept.reasons.retain(|reason| reason.effect != Effect::Shortened);
            let cause = placer.gives_way(piece.owner, by);
            kept.reasons.push(Reason::new(Effect::Shortened, cause));
        }
        return Some(kept);
    }
    None
}

/// Numbers the stretches of each board occurrence in the order in which they come.
fn number_turns(settled: &mut Placed) {
    let mut turns: BTreeMap<(Owner, UtcMs), u32> = BTreeMap::new();
    settled.pieces.sort_by_key(|piece| (piece.at, piece.kind(), piece.owner));
    for piece in &mut settled.pieces {
        if let What::Rotation { turn, .. } = &mut piece.what {
            let count = turns.entry((piece.owner, piece.nominal)).or_default();
            *turn = *count;
            *count += 1;
        }
    }
}

impl Placed {
    /// Returns pieces and left-out ones whose instant lies in a stretch.
    pub fn within(&self, from: UtcMs, to: UtcMs) -> (Vec<&Piece>, Vec<&Dropped>) {
        let inside = |at: UtcMs| from <= at && at < to;
        (
            self.pieces.iter().filter(|piece| inside(piece.at)).collect(),
            self.dropped.iter().filter(|dropped| inside(dropped.at)).collect(),
        )
    }
}
