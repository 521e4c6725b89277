//! The trail of one device: its chains, and what they say, in the order of their numbers.
//!
//! A record is one place (number) and one name (hash). Offered in any order, the same records end
//! in the same trail: a chain moves on when the next number is there or declared lost, what comes
//! early waits, and other bytes at a known place are a conflict.

use super::facts::{Facts, grow};
use super::hash::{Hash, sha256};
use super::life::Run;
use super::record::{Body, Record};
use super::register::Place;
use std::collections::BTreeMap;

/// Records that wait beyond a gap, as many as the server keeps; more and the gap is passed.
const ASIDE: usize = 4_096;
/// Declared losses that a chain keeps.
const LOST: usize = 4_096;
/// Chains of a device.
const CHAINS: usize = 4_096;

/// A record that waits or was just placed.
#[derive(Clone, Copy, Debug)]
struct Link {
    digest: Hash,
    mark: u32,
    prev: Option<Hash>,
    at_ms: i64,
    boot: u64,
    /// Whether its content can be read: only then it is a sign of life.
    sign: bool,
    place: Place,
}

/// Numbers that are lost, both inclusive, and the hash that stands for the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub from: u64,
    pub to: u64,
    pub hash: Hash,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    New,
    /// The same bytes are there already, from this place.
    Again(Place),
    Conflict,
    /// The device has more chains than are followed.
    Beyond,
}

/// Numbers that never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: u64,
    pub to: u64,
    /// The record after them.
    pub next: Place,
}

/// A name and place that is remembered, shortened: millions of them are.
type Name = (u32, Place);

/// A stretch of consecutive numbers whose names are remembered.
#[derive(Debug)]
struct Names {
    from: u64,
    /// What their places have in common: all but the last 32 bits.
    places: u64,
    each: Vec<(u32, u32)>,
}

/// One chain.
#[derive(Debug)]
pub struct Chain {
    pub id: [u8; 16],
    pub upto: u64,
    head: Option<Hash>,
    pub first_at_ms: Option<i64>,
    pub upto_at_ms: Option<i64>,
    /// Declared and not yet passed, by first number.
    lost: Vec<Lost>,
    /// All declared.
    pub declared: Vec<Lost>,
    aside: BTreeMap<u64, Link>,
    names: Vec<Names>,
    /// Names of numbers that came after they had been passed.
    late: BTreeMap<u64, Name>,
    /// Names for which there is room.
    room: usize,
    pub runs: Vec<Run>,
    pub gaps: Vec<Gap>,
    /// Witness time of the newest checkpoint that any of its records quotes.
    pub floor_ms: Option<i64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Trail {
    pub chains: Vec<Chain>,
    pub facts: Facts,
    salt: Hash,
}

/// Broken links: the number and place of records that do not name their predecessor.
pub type Broken = Vec<(u64, Place)>;

impl Trail {
    /// Returns an empty trail. Names are shortened by the salt; whoever writes records must not
    /// have known it, or could make two that look alike.
    pub fn new(salt: Hash) -> Self {
        Self { salt, ..Self::default() }
    }

    /// Returns the chain of a record, new or known.
    pub fn chain(&mut self, id: &[u8; 16], first: Option<u64>) -> Option<usize> {
        if let Some(at) = self.chains.iter().position(|chain| chain.id == *id) {
            return Some(at);
        }
        if self.chains.len() >= CHAINS {
            return None;
        }
        self.chains.push(Chain::new(*id, first.map_or(0, |first| first - 1)));
        Some(self.chains.len() - 1)
    }

    /// Places a record; keeps what it says of a cue when it is new.
    pub fn place(
        &mut self,
        at: usize,
        record: &Record,
        digest: Hash,
        place: Place,
        broken: &mut Broken,
    ) -> Placed {
        let Some(chain) = self.chains.get_mut(at) else { return Placed::Beyond };
        let salted = sha256(&[self.salt, digest].concat());
        let mark = salted.first_chunk().map_or(0, |first| u32::from_be_bytes(*first));
        let link = Link {
            digest,
            mark,
            prev: record.prev,
            at_ms: record.at_ms,
            boot: record.boot,
            sign: record.body != Body::Unreadable,
            place,
        };
        let placed = chain.offer(record.seq, link);
        if placed != Placed::New {
            return placed;
        }
        if let Body::Lost { from, to, hash } = record.body {
            chain.declare(record.seq, Lost { from, to, hash });
        }
        chain.settle(broken);
        Placed::New
    }

    /// Ends: what still waits is placed, and what is missing before it is a gap.
    pub fn finish(&mut self, broken: &mut Broken) {
        for chain in &mut self.chains {
            while !chain.aside.is_empty() {
                chain.pass(broken);
            }
            // Places in the chain that turned up after they had been passed.
            chain.runs.sort_by_key(|run| run.first);
        }
    }

    /// Returns roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.facts.bytes() + self.chains.iter().map(Chain::bytes).sum::<usize>()
    }
}

impl Chain {
    fn new(id: [u8; 16], upto: u64) -> Self {
        Self {
            id,
            upto,
            head: None,
            first_at_ms: None,
            upto_at_ms: None,
            lost: Vec::new(),
            declared: Vec::new(),
            aside: BTreeMap::new(),
            names: Vec::new(),
            late: BTreeMap::new(),
            room: 0,
            runs: Vec::new(),
            gaps: Vec::new(),
            floor_ms: None,
        }
    }

    fn offer(&mut self, seq: u64, link: Link) -> Placed {
        let (name, place) = (link.mark, link.place);
        let known = self.aside.get(&seq).map(|link| (link.mark, link.place));
        match known.or_else(|| self.name(seq)) {
            Some((known, first)) if known == name => return Placed::Again(first),
            Some(_) => return Placed::Conflict,
            None => {}
        }
        if seq > self.upto {
            self.aside.insert(seq, link);
        } else {
            // It had been passed, as lost or because the pack begins later.
            self.late.insert(seq, (name, place));
            if link.sign {
                self.runs.push(Run::of(seq, link.boot, link.at_ms));
            }
        }
        Placed::New
    }

    /// Returns roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.room * size_of::<(u32, u32)>()
            + self.names.capacity() * size_of::<Names>()
            + (self.aside.len() + self.late.len()) * 160
            + (self.lost.capacity() + self.declared.capacity()) * size_of::<Lost>()
            + self.runs.capacity() * size_of::<Run>()
            + self.gaps.capacity() * size_of::<Gap>()
    }

    fn name(&self, seq: u64) -> Option<Name> {
        if seq > self.upto {
            return None;
        }
        if let Some(late) = self.late.get(&seq) {
            return Some(*late);
        }
        let at = self.names.partition_point(|names| names.from <= seq).checked_sub(1)?;
        let names = self.names.get(at)?;
        let (mark, low) = names.each.get(usize::try_from(seq - names.from).ok()?)?;
        Some((*mark, Place::of(names.places << 32 | u64::from(*low))))
    }

    fn declare(&mut self, seq: u64, lost: Lost) {
        if self.declared.len() < LOST {
            self.declared.push(lost);
        }
        let right = lost.from > 0 && lost.from <= lost.to && lost.to < seq;
        if right && lost.to > self.upto && self.lost.len() < LOST && !self.lost.contains(&lost) {
            let known = self.lost.partition_point(|l| (l.from, l.to) < (lost.from, lost.to));
            self.lost.insert(known, lost);
        }
    }

    fn settle(&mut self, broken: &mut Broken) {
        loop {
            let next = self.upto + 1;
            if let Some(link) = self.aside.remove(&next) {
                let after_lost = self.lost.iter().any(|lost| lost.to == self.upto);
                // The first that the pack holds may name what lies before it.
                let first = self.head.is_none() && self.first_at_ms.is_none() && next > 1;
                if link.prev != self.head && !after_lost && !first {
                    broken.push((next, link.place));
                }
                self.take(next, &link);
            } else if let Some(lost) = self.lost.iter().find(|l| l.from <= next && next <= l.to) {
                let stop = self.aside.first_key_value().map_or(u64::MAX, |(seq, _)| seq - 1);
                let (to, hash) = (lost.to, lost.hash);
                self.upto = to.min(stop);
                self.head = Some(hash);
                if self.upto < to {
                    // The link from a lost number to one that arrived cannot be judged.
                    self.lost.push(Lost { from: next, to: self.upto, hash });
                }
            } else if self.aside.len() > ASIDE {
                self.pass(broken);
            } else {
                break;
            }
        }
        let upto = self.upto;
        self.lost.retain(|lost| lost.to >= upto);
    }

    /// Passes a gap that nothing closes.
    fn pass(&mut self, broken: &mut Broken) {
        let Some((first, link)) = self.aside.first_key_value() else { return };
        let gap = Gap { from: self.upto + 1, to: first - 1, next: link.place };
        if gap.from <= gap.to {
            self.gaps.push(gap);
            self.upto = gap.to;
            self.head = None;
            // As after a loss, the link over it cannot be judged.
            self.lost.push(Lost { from: gap.from, to: gap.to, hash: [0; 32] });
        }
        self.settle(broken);
    }

    fn take(&mut self, seq: u64, link: &Link) {
        self.upto = seq;
        self.head = Some(link.digest);
        self.first_at_ms.get_or_insert(link.at_ms);
        self.upto_at_ms = Some(link.at_ms);
        let number = link.place.number();
        let (places, low) = (number >> 32, u32::try_from(number & 0xffff_ffff).unwrap_or(0));
        let follows =
            |names: &Names| names.places == places && names.from + names.each.len() as u64 == seq;
        if !self.names.last().is_some_and(follows) {
            self.names.push(Names { from: seq, places, each: Vec::new() });
        }
        if let Some(names) = self.names.last_mut() {
            let before = names.each.capacity();
            grow(&mut names.each, 8);
            self.room += names.each.capacity() - before;
            names.each.push((link.mark, low));
        }
        if link.sign {
            let joined = self
                .runs
                .last_mut()
                .is_some_and(|run| run.last + 1 == seq && run.join(seq, link.boot, link.at_ms));
            if !joined {
                self.runs.push(Run::of(seq, link.boot, link.at_ms));
            }
        }
    }

    /// Says whether what follows a gap was written only after `since`.
    pub fn is_fresh(&self, gap: &Gap, since: i64) -> bool {
        let next = |run: &&Run| run.last > gap.to;
        self.runs.iter().find(next).is_some_and(|run| run.begins_after(since))
    }

    /// Says whether numbers of this stretch are not there.
    pub fn lacks(&self, from: u64, to: u64) -> bool {
        let lost = |lost: &Lost| lost.from <= to && from <= lost.to;
        let gap = |gap: &Gap| gap.from <= to && from <= gap.to;
        to > self.upto || self.declared.iter().any(lost) || self.gaps.iter().any(gap)
    }
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
