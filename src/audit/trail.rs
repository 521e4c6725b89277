//! The trail of one device: its chains, and what they say, in the order of their numbers.
//!
//! A record is one place (number) and one name (hash). Offered in any order, the same records end
//! in the same trail: a chain moves on when the next number is there or declared lost, what comes
//! early waits, and other bytes at a known place are a conflict.

use super::hash::{Hash, short};
use super::life::Run;
use super::record::{Body, Cue, Record, Said, Told, What};
use super::register::Place;
use std::collections::BTreeMap;

/// Records that wait beyond a gap, as many as the server keeps; more and the gap is passed.
const ASIDE: usize = 4_096;
/// Declared losses that a chain keeps.
const LOST: usize = 4_096;
/// Chains of a device.
const CHAINS: usize = 4_096;

/// What a record says of a cue, as small as it can be kept.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    pub cue: Cue,
    pub at_ms: i64,
    pub end_ms: i64,
    pub seq: u64,
    pub place: Place,
    pub ms: u32,
    pub chain: u16,
    pub what: What,
    pub said: Said,
    pub grade: u8,
}

/// A record that waits or was just placed.
#[derive(Clone, Copy, Debug)]
struct Link {
    digest: Hash,
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

/// A stretch of numbers whose names are remembered, shortened.
#[derive(Debug)]
struct Names {
    from: u64,
    names: Vec<(u64, Place)>,
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
    late: BTreeMap<u64, (u64, Place)>,
    pub runs: Vec<Run>,
    pub gaps: Vec<Gap>,
    /// Witness time of the newest checkpoint that any of its records quotes.
    pub floor_ms: Option<i64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Trail {
    pub chains: Vec<Chain>,
    pub facts: Vec<Fact>,
}

/// Broken links: the number and place of records that do not name their predecessor.
pub type Broken = Vec<(u64, Place)>;

impl Trail {
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
        let link = Link {
            digest,
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
        if let Body::Told(told) = &record.body {
            self.tell(told, record.seq, place, u16::try_from(at).unwrap_or(u16::MAX));
        }
        Placed::New
    }

    fn tell(&mut self, told: &Told, seq: u64, place: Place, chain: u16) {
        let fact = Fact {
            cue: told.cue,
            at_ms: told.at_ms,
            end_ms: told.end_ms,
            seq,
            place,
            ms: u32::try_from(told.ms).unwrap_or(u32::MAX),
            chain,
            what: told.what,
            said: told.said,
            grade: told.grade,
        };
        match self.facts.last_mut() {
            // A start says nothing more once the play is there.
            Some(last)
                if last.what == What::Start
                    && told.what == What::Play
                    && (last.cue, last.chain) == (told.cue, chain) =>
            {
                *last = fact;
            }
            _ => self.facts.push(fact),
        }
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
        let chain = |chain: &Chain| {
            let names: usize = chain.names.iter().map(|names| names.names.len() * 16 + 40).sum();
            256 + names
                + (chain.aside.len() + chain.late.len()) * 160
                + (chain.lost.capacity() + chain.declared.capacity()) * 48
                + chain.runs.len() * size_of::<Run>()
                + chain.gaps.capacity() * size_of::<Gap>()
        };
        self.facts.len() * size_of::<Fact>() + self.chains.iter().map(chain).sum::<usize>()
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
            runs: Vec::new(),
            gaps: Vec::new(),
            floor_ms: None,
        }
    }

    fn offer(&mut self, seq: u64, link: Link) -> Placed {
        let (name, place) = (short(&link.digest), link.place);
        let known = self.aside.get(&seq).map(|link| (short(&link.digest), link.place));
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

    fn name(&self, seq: u64) -> Option<(u64, Place)> {
        if let Some(late) = self.late.get(&seq) {
            return Some(*late);
        }
        let at = self.names.partition_point(|names| names.from <= seq).checked_sub(1)?;
        let names = self.names.get(at)?;
        names.names.get(usize::try_from(seq - names.from).ok()?).copied()
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
        let name = (short(&link.digest), link.place);
        let follows = |names: &&mut Names| names.from + names.names.len() as u64 == seq;
        match self.names.last_mut().filter(follows) {
            Some(names) => names.names.push(name),
            None => self.names.push(Names { from: seq, names: vec![name] }),
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
