//! The ends of a log: its right edge, what is left out, checkpoints that the tiles reach.

use super::super::checkpoints::{Heads, Pin};
use super::super::hash::{self, Hash};
use super::super::layout::{File, TILE, Tile};
use super::super::source::Source;
use super::super::verdict::FaultKind;
use super::{LEVELS, Look, Walk};

impl<S: Source + ?Sized> Walk<'_, S> {
    /// The right edge is whole: it must lead to the root.
    pub(super) fn settle_edge(&mut self, log: usize) {
        if std::mem::replace(&mut self.edge_settled, true) {
            return;
        }
        let Some(Heads { newest: Some(newest), pins, .. }) = self.heads.get(log) else { return };
        for level in 0..LEVELS {
            let count = newest.size >> (8 * level);
            if count % 256 != 0 && self.edge[level].is_none() {
                let width = u16::try_from(count % 256).unwrap_or(0);
                let level = u8::try_from(level).unwrap_or(0);
                let tile = Tile { level, index: count / 256, width };
                let name = File::Hashes(log, tile).to_string();
                self.fault(FaultKind::Missing, name, "the tree's edge is not in the pack");
            }
        }
        let rows: Vec<&[Hash]> =
            self.edge.iter().map(|row| row.as_ref().map_or(&[][..], |(_, row)| row)).collect();
        if hash::root(rows.iter().copied()) != newest.root {
            let name = File::Checkpoint(log).to_string();
            self.fault(FaultKind::Root, name, "the tiles at the edge do not lead to its root");
        }
        // Checkpoints that end in the same bundle as the tree.
        let from = pins.partition_point(|pin| pin.size / 256 < newest.size / 256);
        let mut forks = Vec::new();
        for pin in &pins[from..] {
            let upto = |(level, row): (usize, &&[Hash])| {
                let count = usize::try_from((pin.size >> (8 * level)) % 256).unwrap_or(0);
                row[..count.min(row.len())].to_vec()
            };
            let rows: Vec<Vec<Hash>> = self
                .edge
                .iter()
                .enumerate()
                .map(|(level, row)| upto((level, &row.as_ref().map_or(&[][..], |(_, row)| row))))
                .collect();
            if pin.size > newest.size || hash::root(rows.iter().map(Vec::as_slice)) != pin.root {
                forks.push(pin.fault());
            }
        }
        if self.look != Look::Again {
            self.faults.extend(forks);
        }
    }

    /// Says whether a checkpoint's size lies in a bundle.
    pub(super) fn is_pinned(&self, log: usize, tile: Tile) -> bool {
        let pins = self.heads.get(log).map_or(&[][..], |heads| &heads.pins);
        let at = pins.partition_point(|pin| pin.size / 256 < tile.index);
        pins.get(at).is_some_and(|pin| pin.size / 256 == tile.index)
    }

    /// Takes the checkpoints whose size lies in a tile; those before it cannot be checked.
    pub(super) fn pins(&mut self, log: usize, tile: Tile) -> Vec<Pin> {
        let Some(heads) = self.heads.get(log).filter(|_| self.look != Look::Again) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        while let Some(pin) = heads.pins.get(self.next_pin) {
            let at = pin.size / 256;
            if at > tile.index || !tile.is_full() {
                break;
            }
            self.next_pin += 1;
            if at == tile.index {
                found.push(pin.clone());
            } else {
                self.unchecked(pin);
            }
        }
        found
    }

    pub(super) fn unchecked(&mut self, pin: &Pin) {
        let why = format!("the tiles for its {} leaves are not in the pack", pin.size);
        self.fault(FaultKind::Missing, &*pin.file, why);
    }

    /// Before bundle `upto`, what may not be left out must have been there.
    pub(super) fn left_out(&mut self, log: usize, upto: u64) {
        let first = self.index.about.logs.get(log).map_or(0, |log| log.first) / 256;
        let from = self.next_bundle.max(first);
        if from < upto {
            let tile = Tile { level: 0, index: from, width: TILE };
            let name = File::Entries(log, tile).to_string();
            let why = format!("{} bundles from here on are not in the pack", upto - from);
            self.fault(FaultKind::Missing, name, why);
        }
    }

    /// Ends the current log.
    pub(super) fn leave(&mut self) {
        let Some(log) = self.log else { return };
        let Some(Heads { newest: Some(newest), pins, .. }) = self.heads.get(log) else { return };
        self.settle_edge(log);
        self.flush();
        let bundles = newest.size.div_ceil(256);
        let pins = pins.get(self.next_pin..).unwrap_or(&[]);
        for pin in pins.iter().filter(|pin| pin.size / 256 < newest.size / 256) {
            self.unchecked(pin);
        }
        self.left_out(log, bundles);
    }
}
