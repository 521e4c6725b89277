//! Which assets lie on the broker. Pure.
//!
//! An asset lies there while some device lacks it, or wants it again; nearest use first, within a
//! budget of the broker's memory. What nobody lacks any more is cleared.

use crate::app::publish::AssetNeed;
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::time::UtcMs;
use crate::wire::doc::{Wanted, WantedKind};
use std::collections::{BTreeMap, BTreeSet};

/// Something to do on the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Publish all chunks of that size and their sums, retained.
    Publish { sha256: Digest, size: ChunkSize },
    /// Clear as many chunks and their sums with empty retained messages.
    Clear { sha256: Digest, size: ChunkSize, chunks: u32 },
}

/// What lies on the broker and what should.
#[derive(Clone, Debug)]
pub struct Shelf {
    budget_bytes: u64,
    needs: BTreeMap<Digest, AssetNeed>,
    /// Who has said to hold what is needed.
    held: BTreeMap<Digest, BTreeSet<DeviceId>>,
    /// Who asks again for what, in which size.
    wanted: BTreeMap<(Digest, ChunkSize), BTreeSet<DeviceId>>,
    /// What lies on the broker, with its number of chunks.
    lies: BTreeMap<(Digest, ChunkSize), u32>,
    /// What must be published again although it should lie there.
    again: BTreeSet<(Digest, ChunkSize)>,
}

impl Shelf {
    /// Returns an empty shelf that may take so much of the broker's memory (an asset that is
    /// larger than all of it is still served, alone).
    pub fn new(budget_bytes: u64) -> Self {
        Self {
            budget_bytes,
            needs: BTreeMap::new(),
            held: BTreeMap::new(),
            wanted: BTreeMap::new(),
            lies: BTreeMap::new(),
            again: BTreeSet::new(),
        }
    }

    /// Takes all assets in force.
    pub fn set_needs(&mut self, needs: BTreeMap<Digest, AssetNeed>) {
        self.held.retain(|sha256, _| needs.contains_key(sha256));
        self.wanted.retain(|(sha256, _), _| needs.contains_key(sha256));
        self.needs = needs;
    }

    /// Takes what a device's state says it holds and wants.
    pub fn state(&mut self, device: &DeviceId, held: &[Digest], want: &[Wanted]) {
        for holders in self.held.values_mut() {
            holders.remove(device);
        }
        for sha256 in held.iter().filter(|sha256| self.needs.contains_key(sha256)) {
            self.held.entry(*sha256).or_default().insert(device.clone());
        }
        let before: BTreeSet<_> = self
            .wanted
            .iter_mut()
            .filter_map(|(key, devices)| devices.remove(device).then_some(*key))
            .collect();
        for wanted in want.iter().filter(|wanted| wanted.kind == WantedKind::Asset) {
            let size = wanted.kib.and_then(ChunkSize::from_kib).unwrap_or(ChunkSize::USUAL);
            let key = (wanted.sha256, size);
            if !self.needs.contains_key(&wanted.sha256) {
                continue; // nothing in force names it: a device does not choose what is published
            }
            self.wanted.entry(key).or_default().insert(device.clone());
            if !before.contains(&key) {
                self.again.insert(key);
            }
        }
        self.wanted.retain(|_, devices| !devices.is_empty());
        self.held.retain(|_, devices| !devices.is_empty());
    }

    /// Forgets a device that was revoked.
    pub fn forget(&mut self, device: &DeviceId) {
        self.state(device, &[], &[]);
    }

    /// Takes note that the broker came up empty.
    pub fn broker_forgot(&mut self) {
        self.lies.clear();
        self.again.clear();
    }

    /// Returns what to do next, or `None` when all is as it should be. Clearing comes first, so
    /// that the budget holds.
    pub fn next(&self) -> Option<Job> {
        let target = self.target();
        let leaves = self.lies.iter().find(|(key, _)| !target.contains(key));
        if let Some((&(sha256, size), &chunks)) = leaves {
            return Some(Job::Clear { sha256, size, chunks });
        }
        target
            .iter()
            .find(|key| !self.lies.contains_key(key) || self.again.contains(key))
            .map(|&(sha256, size)| Job::Publish { sha256, size })
    }

    /// Takes note that a job is begun: should the line break, part of it may lie there.
    pub fn begin(&mut self, job: Job) {
        if let Job::Publish { sha256, size } = job {
            self.lies.insert((sha256, size), self.chunks(&sha256, size));
            self.again.insert((sha256, size));
        }
    }

    /// Takes note of `sums` that the broker kept from an earlier start: cleared when nothing
    /// needs them, published again otherwise.
    pub fn found(&mut self, sha256: Digest, size: ChunkSize, sums_bytes: usize) {
        let chunks = u32::try_from(sums_bytes / 32).unwrap_or(u32::MAX);
        if chunks > 0 && !self.lies.contains_key(&(sha256, size)) {
            self.lies.insert((sha256, size), chunks);
            self.again.insert((sha256, size));
        }
    }

    fn chunks(&self, sha256: &Digest, size: ChunkSize) -> u32 {
        let bytes = self.needs.get(sha256).map_or(0, |need| need.bytes);
        u32::try_from(size.count(bytes)).unwrap_or(u32::MAX)
    }

    /// Takes note that the broker acknowledged all of a job.
    pub fn done(&mut self, job: Job) {
        match job {
            Job::Publish { sha256, size } => {
                self.lies.insert((sha256, size), self.chunks(&sha256, size));
                self.again.remove(&(sha256, size));
            }
            Job::Clear { sha256, size, .. } => {
                self.lies.remove(&(sha256, size));
                self.again.remove(&(sha256, size));
            }
        }
    }

    /// Gives an asset up until its need changes: its bytes are not in the library.
    pub fn give_up(&mut self, sha256: &Digest) {
        let mut needs = std::mem::take(&mut self.needs);
        needs.remove(sha256);
        self.set_needs(needs);
    }

    /// Returns the bytes that lie on the broker.
    pub fn bytes(&self) -> u64 {
        let of = |sha256: &Digest| self.needs.get(sha256).map_or(0, |need| need.bytes);
        self.lies.keys().map(|(sha256, _)| of(sha256)).sum()
    }

    /// What should lie there, in the order of publishing.
    fn target(&self) -> Vec<(Digest, ChunkSize)> {
        let mut order: Vec<(bool, UtcMs, Digest, ChunkSize, u64)> = Vec::new();
        for (sha256, need) in &self.needs {
            let holders = self.held.get(sha256).map_or(0, BTreeSet::len);
            let lacking = (holders as u64) < u64::from(need.devices);
            let sizes: BTreeSet<ChunkSize> =
                need.kib.iter().filter_map(|kib| ChunkSize::from_kib(*kib)).collect();
            for size in ChunkSize::ALL {
                let wanted = self.wanted.contains_key(&(*sha256, size));
                if wanted || (lacking && sizes.contains(&size)) {
                    order.push((!wanted, need.first_use_ms, *sha256, size, need.bytes));
                }
            }
        }
        order.sort_unstable();
        let mut room = self.budget_bytes;
        let mut target = Vec::new();
        for (_, _, sha256, size, bytes) in order {
            if bytes > room && !target.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes);
            target.push((sha256, size));
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1_024;

    fn digest(n: u8) -> Digest {
        Digest([n; 32])
    }

    fn need(bytes: u64, devices: u32, first_use: i64) -> AssetNeed {
        AssetNeed { bytes, kib: [64].into(), devices, first_use_ms: UtcMs(first_use) }
    }

    fn device(n: u8) -> DeviceId {
        format!("loa-{n}").parse().unwrap()
    }

    fn want(n: u8) -> Wanted {
        Wanted { kind: WantedKind::Asset, sha256: digest(n), kib: Some(64) }
    }

    fn publish(n: u8) -> Job {
        Job::Publish { sha256: digest(n), size: ChunkSize::Kib64 }
    }

    /// Does everything that is to be done.
    fn run(shelf: &mut Shelf) -> Vec<Job> {
        let mut jobs = Vec::new();
        while let Some(job) = shelf.next() {
            shelf.done(job);
            jobs.push(job);
            assert!(jobs.len() < 100, "it never ends: {jobs:?}");
        }
        jobs
    }

    #[test]
    fn what_is_used_first_is_published_first_and_once() {
        let mut shelf = Shelf::new(u64::MAX);
        let needs = [(digest(1), need(100, 2, 9_000)), (digest(2), need(200_000, 2, 5_000))];
        shelf.set_needs(needs.into());
        assert_eq!(run(&mut shelf), [publish(2), publish(1)]);
        assert_eq!(shelf.bytes(), 200_100);
        assert_eq!(run(&mut shelf), []);
    }

    #[test]
    fn what_every_device_holds_is_cleared_and_comes_back_when_one_wants_it() {
        let mut shelf = Shelf::new(u64::MAX);
        shelf.set_needs([(digest(1), need(200_000, 2, 0))].into());
        run(&mut shelf);
        shelf.state(&device(1), &[digest(1)], &[]);
        assert_eq!(shelf.next(), None, "one still lacks it");
        shelf.state(&device(2), &[digest(1)], &[]);
        let clear = Job::Clear { sha256: digest(1), size: ChunkSize::Kib64, chunks: 4 };
        assert_eq!(run(&mut shelf), [clear]);
        // A third device is added: the need grows.
        shelf.set_needs([(digest(1), need(200_000, 3, 0))].into());
        assert_eq!(run(&mut shelf), [publish(1)]);
        // One lost its disk and says so, although it counted as a holder.
        shelf.state(&device(3), &[digest(1)], &[]);
        assert_eq!(run(&mut shelf), [clear]);
        shelf.state(&device(1), &[], &[want(1)]);
        assert_eq!(run(&mut shelf), [publish(1)]);
    }

    #[test]
    fn what_lies_there_and_is_wanted_all_the_same_is_published_again_once() {
        let mut shelf = Shelf::new(u64::MAX);
        shelf.set_needs([(digest(1), need(1, 1, 0))].into());
        run(&mut shelf);
        shelf.state(&device(1), &[], &[want(1)]);
        assert_eq!(run(&mut shelf), [publish(1)]);
        shelf.state(&device(1), &[], &[want(1)]);
        assert_eq!(run(&mut shelf), [], "the same word twice is one wish");
        shelf.state(&device(1), &[], &[]);
        shelf.state(&device(1), &[], &[want(1)]);
        assert_eq!(run(&mut shelf), [publish(1)]);
    }

    #[test]
    fn a_device_cannot_have_published_what_nothing_in_force_names() {
        let mut shelf = Shelf::new(u64::MAX);
        shelf.state(&device(1), &[digest(9)], &[want(9)]);
        assert_eq!(shelf.next(), None);
        let sheet = Wanted { kind: WantedKind::Sheet, sha256: digest(1), kib: None };
        shelf.set_needs([(digest(1), need(1, 0, 0))].into());
        shelf.state(&device(1), &[], &[sheet]);
        assert_eq!(shelf.next(), None, "sheets are not assets");
    }

    #[test]
    fn an_empty_broker_is_filled_again() {
        let mut shelf = Shelf::new(u64::MAX);
        shelf.set_needs([(digest(1), need(1, 1, 0)), (digest(2), need(1, 1, 1))].into());
        run(&mut shelf);
        shelf.broker_forgot();
        assert_eq!(run(&mut shelf), [publish(1), publish(2)]);
    }

    #[test]
    fn the_budget_holds_what_is_used_first_and_lets_the_rest_wait() {
        let mut shelf = Shelf::new(300 * KIB);
        let needs = (1..=4).map(|n| (digest(n), need(100 * KIB, 1, i64::from(n))));
        shelf.set_needs(needs.collect());
        assert_eq!(run(&mut shelf), [publish(1), publish(2), publish(3)]);
        assert_eq!(shelf.bytes(), 300 * KIB);
        shelf.state(&device(1), &[digest(1)], &[]);
        let clear = |n| Job::Clear { sha256: digest(n), size: ChunkSize::Kib64, chunks: 2 };
        assert_eq!(run(&mut shelf), [clear(1), publish(4)], "room first");
        // Who waits for it comes before who will need it.
        shelf.state(&device(2), &[], &[want(1)]);
        assert_eq!(run(&mut shelf), [clear(4), publish(1)]);
        // An asset above the budget is served alone.
        let mut shelf = Shelf::new(KIB);
        shelf.set_needs([(digest(1), need(9 * KIB, 1, 0)), (digest(2), need(1, 1, 1))].into());
        assert_eq!(run(&mut shelf), [publish(1)]);
    }

    #[test]
    fn what_no_sheet_names_any_more_is_cleared() {
        let mut shelf = Shelf::new(u64::MAX);
        shelf.set_needs([(digest(1), need(65_537, 1, 0))].into());
        run(&mut shelf);
        shelf.set_needs(BTreeMap::new());
        let clear = Job::Clear { sha256: digest(1), size: ChunkSize::Kib64, chunks: 2 };
        assert_eq!(run(&mut shelf), [clear]);
    }

    #[test]
    fn what_a_broken_line_left_half_done_is_done_again_or_cleared() {
        let mut shelf = Shelf::new(u64::MAX);
        shelf.set_needs([(digest(1), need(65_537, 1, 0))].into());
        shelf.begin(shelf.next().unwrap());
        assert_eq!(shelf.next(), Some(publish(1)), "not done yet");
        shelf.set_needs(BTreeMap::new());
        let clear = Job::Clear { sha256: digest(1), size: ChunkSize::Kib64, chunks: 2 };
        assert_eq!(run(&mut shelf), [clear]);
    }

    #[test]
    fn what_an_earlier_start_left_on_the_broker_is_cleared_unless_needed() {
        let mut shelf = Shelf::new(u64::MAX);
        shelf.set_needs([(digest(1), need(65_537, 1, 0))].into());
        shelf.found(digest(1), ChunkSize::Kib64, 64);
        shelf.found(digest(2), ChunkSize::Kib16, 96);
        shelf.found(digest(3), ChunkSize::Kib16, 0);
        let clear = Job::Clear { sha256: digest(2), size: ChunkSize::Kib16, chunks: 3 };
        assert_eq!(run(&mut shelf), [clear, publish(1)]);
    }

    #[test]
    fn both_chunk_sizes_lie_there_when_devices_take_both() {
        let mut shelf = Shelf::new(u64::MAX);
        let both = AssetNeed { kib: [16, 64].into(), ..need(1, 2, 0) };
        shelf.set_needs([(digest(1), both)].into());
        let small = Job::Publish { sha256: digest(1), size: ChunkSize::Kib16 };
        assert_eq!(run(&mut shelf), [small, publish(1)]);
    }
}
