//! What a single leaf shows by itself, and whether a log begins as it should.

use super::super::bundle::Leaf;
use super::super::checkpoints::Heads;
use super::super::index::Index;
use super::super::leaf::{Head, Statement};
use super::super::register::Place;
use super::super::verdict::{Fault, FaultKind};
use super::State;

/// So long before the window nothing may be left out: timetables reach 16 days ahead.
const LEAD_MS: i64 = 31 * 86_400_000;

impl State<'_> {
    /// Counts, and judges what a single leaf shows.
    pub(super) fn first_look(&mut self, place: Place, received: i64, leaf: &Leaf) {
        if matches!(leaf, Leaf::Other) {
            return;
        }
        self.now_ms = self.now_ms.max(received);
        match leaf {
            Leaf::Record(..) => {
                self.verdict.records.total += 1;
                self.verdict.records.verified += 1;
            }
            Leaf::Unverifiable => {
                self.verdict.records.total += 1;
                self.verdict.records.unverifiable += 1;
            }
            _ => {}
        }
        self.beginning(place, received, leaf);
        if place.index() == 0 {
            self.shard(place, received, leaf);
        } else if let Leaf::Statement(Statement::Shard { .. } | Statement::Restored { .. }) = leaf {
            let why = "a log begins in its midst";
            self.verdict
                .fault(Fault::new(FaultKind::Statement, self.file(place), why).at(place.index()));
        }
    }

    /// What is left out must lie long before the window, and in one piece.
    fn beginning(&mut self, place: Place, received: i64, leaf: &Leaf) {
        let first = self.index.about.logs.get(place.log()).map_or(0, |log| log.first);
        let begins = place == self.complete;
        let very = matches!(leaf, Leaf::Statement(Statement::Shard { previous: None }));
        let early = received <= self.index.about.from_ms.saturating_sub(LEAD_MS);
        let late = begins && !early && !(place.index() == 0 && very);
        let midst = !begins && place > self.complete && place.index() == first && first > 0;
        if late || midst {
            let why = "what was logged before this leaf, 31 days ahead of the window, is left out";
            let fault = Fault::new(FaultKind::Missing, self.file(place), why);
            self.verdict.fault(fault.at(place.index()));
        }
    }

    /// The first leaf names what came before.
    fn shard(&mut self, place: Place, received: i64, leaf: &Leaf) {
        let log = place.log();
        let before = log.checked_sub(1).and_then(|log| {
            let newest = self.heads.get(log)?.newest.as_ref()?;
            Some((&self.index.about.logs.get(log)?.origin, newest))
        });
        let is = |head: &Head| {
            before.is_none_or(|(origin, newest)| {
                (&head.origin, head.size, head.root) == (origin, newest.size, newest.root)
            })
        };
        let why = match leaf {
            Leaf::Statement(Statement::Shard { previous }) => {
                let goes_on = previous.as_ref().map_or(before.is_none(), is);
                (!goes_on).then_some("it does not name the last head of the log before it")
            }
            Leaf::Statement(Statement::Restored { known, witnessed }) => {
                if let Some(restored) = self.restored.get_mut(log) {
                    *restored = Some(received);
                }
                let less = match (known, witnessed) {
                    (Some(known), Some(seen)) => {
                        known.origin == seen.origin && seen.size < known.size
                    }
                    _ => false,
                };
                let goes_on = known.as_ref().is_none_or(is) && !less;
                (!goes_on).then_some("what it says was left after the loss is not what is here")
            }
            _ => Some("a log begins with `shard` or `restored`, this one does not"),
        };
        if let Some(why) = why {
            self.verdict.fault(Fault::new(FaultKind::Shard, self.file(place), why).at(0));
        }
    }
}

/// Returns the leaf from which on nothing is left out.
pub(super) fn complete(index: &Index, heads: &[Heads]) -> Place {
    let size = |log: usize| heads.get(log).and_then(|h| h.newest.as_ref()).map_or(0, |n| n.size);
    let logs = index.about.logs.iter().enumerate();
    let mut first = logs.filter(|(log, about)| about.first < size(*log));
    first.next().map_or(Place::new(0, 0), |(log, about)| Place::new(log, about.first))
}
