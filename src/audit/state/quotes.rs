//! The checkpoints that devices quote, to be held against the tree.

use super::super::checkpoints::{Pin, Quoted};
use super::super::layout::LEAVES;
use super::super::record::Seen;
use super::super::register::{Device, Place};
use super::State;

/// Quoted checkpoints that are looked up in one walk.
const QUOTES: usize = 100_000;

impl State<'_> {
    /// Remembers a quoted checkpoint, unless the pack has it.
    pub(super) fn quote(&mut self, device: Device, seq: u64, seen: &Seen, place: Place) {
        let logs = &self.index.about.logs;
        let Some(log) = logs.iter().position(|log| log.origin == seen.origin) else { return };
        let Some(heads) = self.heads.get(log) else { return };
        let at = Place::new(log, seen.size);
        if at < self.quoted.from || at > self.quoted.to || seen.size >= LEAVES {
            return;
        }
        let known = heads.newest.iter().find(|newest| newest.size == seen.size);
        let known = known.or_else(|| {
            let at = heads.pins.partition_point(|pin| pin.size < seen.size);
            heads.pins.get(at).filter(|pin| pin.size == seen.size)
        });
        let known = known.or_else(|| self.quotes.get(&at));
        let beyond = log > place.log() || (log == place.log() && seen.size > place.index());
        if known.is_some_and(|known| known.root == seen.root) && !beyond {
            return;
        }
        let device = self.index.register.name(device).to_owned();
        let quoted = Some(Box::new(Quoted { device, seq, index: place.index() }));
        let file = self.file(place).into();
        let pin = Pin { size: seen.size, root: seen.root, file, quoted };
        if known.is_some() || beyond {
            self.verdict.fault(pin.fault());
            return;
        }
        self.quotes.insert(at, pin);
        if self.quotes.len() > QUOTES {
            let mut places: Vec<Place> = self.quotes.keys().copied().collect();
            places.sort_unstable();
            self.quoted.to = places[places.len() / 2];
            let to = self.quoted.to;
            self.quotes.retain(|place, _| *place <= to);
        }
    }
}
