//! What is known so far, leaf by leaf in the order of the log.
//!
//! # Memory
//! What grows with the pack is kept per device. When it grows beyond the budget, half of the
//! devices (by the hash of their names) are put off to another walk, in which signatures need no
//! second check; so any pack is judged in bounded memory, a very large one in several walks.

mod opening;
mod parts;
mod quotes;
mod shelf;

use super::Options;
use super::bundle::{Done, Leaf};
use super::checkpoints::{Heads, Pin};
use super::drawn::Drawing;
use super::facts::Fact;
use super::hash::{Hash, sha256, short};
use super::index::Index;
use super::layout::{File, TILE, Tile};
use super::leaf::Statement;
use super::receipts::Receipts;
use super::record::{Body, Record};
use super::register::{Device, Place};
use super::trail::{Chain, Placed, Trail};
use super::verdict::{Fault, FaultKind, Verdict};
use opening::complete;
pub use parts::Part;
use shelf::Shelf;
use std::collections::{HashMap, HashSet};

/// How far a device's trusted clock and a witness's may differ.
const CLOCK_MS: i64 = 120_000;
/// Faults kept of one device.
const FAULTS: usize = 64;
/// Chains of one device of which the server said that numbers are missing.
const TOLD: usize = 4_096;

/// A timetable as the log says it was published.
#[derive(Debug)]
pub struct Published {
    pub ver: i64,
    pub at_ms: i64,
    pub place: Place,
    pub timetable: Hash,
    /// The list of its sheets on the shelf.
    pub sheets: u32,
}

/// A device under way.
#[derive(Debug, Default)]
pub struct Tracked {
    pub trail: Trail,
    pub published: Vec<Published>,
    pub late: u64,
    /// Of these, those of which nothing says that they were not written long before.
    pub unbound: u64,
    pub conflicts: Vec<([u8; 16], u64)>,
    /// The highest number of a chain that the server said is missing, and where.
    pub told: Vec<([u8; 16], u64, Place)>,
    pub faults: Vec<Fault>,
    pub unlisted: u64,
}

impl Tracked {
    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS {
            self.faults.push(fault);
        } else {
            self.unlisted += 1;
        }
    }

    fn conflict(&mut self, chain: [u8; 16], seq: u64, fault: Fault) {
        if !self.conflicts.contains(&(chain, seq)) && self.conflicts.len() < 65_536 {
            self.conflicts.push((chain, seq));
            self.fault(fault);
        }
    }

    fn tell(&mut self, chain: [u8; 16], to: u64, place: Place) {
        let room = self.told.len() < TOLD;
        match self.told.iter_mut().find(|(known, ..)| *known == chain) {
            Some((_, known, at)) if to > *known => (*known, *at) = (to, place),
            Some(_) => {}
            None if room => self.told.push((chain, to, place)),
            None => self.unlisted += 1,
        }
    }

    /// Returns roughly how many bytes it takes.
    fn bytes(&self) -> usize {
        self.trail.bytes() + self.bytes_but_trail()
    }

    fn bytes_but_trail(&self) -> usize {
        let published = self.published.capacity() * size_of::<Published>();
        let told = self.faults.len() * 400
            + self.conflicts.capacity() * 24
            + self.told.capacity() * size_of::<([u8; 16], u64, Place)>();
        published + told + 400
    }
}

/// See the module.
pub struct State<'a> {
    pub verdict: Verdict,
    pub index: &'a Index,
    pub heads: &'a [Heads],
    options: &'a Options<'a>,
    timed: bool,
    /// From here on nothing is left out; chains may begin in their midst there.
    complete: Place,
    pub devices: Part<u64>,
    names: Vec<u64>,
    pub tracked: HashMap<Device, Tracked>,
    /// Devices of which more is logged than fits into memory.
    given_up: HashSet<Device>,
    /// Bytes that are kept, roughly; and that may be.
    used: usize,
    most: usize,
    pub shelf: Shelf,
    /// What shortens the names of records: known only when all of them are written.
    salt: Hash,
    pub quotes: HashMap<Place, Pin>,
    pub quoted: Part<Place>,
    pub receipts: Receipts,
    /// When a shard began after a loss.
    restored: Vec<Option<i64>>,
    pub now_ms: i64,
    /// Cues that were played although withdrawn.
    pub superseded: u64,
    /// Records that quote nothing, nor does one before them.
    pub unbound: u64,
    /// Plays of a time of which the log lost what was ordered.
    pub explained: u64,
    /// Gathers what a draw chooses from, where one is asked for.
    pub drawing: Option<Drawing>,
}

impl<'a> State<'a> {
    /// Begins before the first leaf.
    pub fn new(
        verdict: Verdict,
        index: &'a Index,
        heads: &'a [Heads],
        options: &'a Options<'a>,
        timed: bool,
    ) -> Self {
        let hash = |name: &str| short(&sha256(name.as_bytes()));
        let newest = heads
            .iter()
            .filter_map(|heads| heads.not_after(heads.newest.as_ref()?.size.checked_sub(1)?));
        let held = index.bytes() + heads.iter().map(Heads::bytes).sum::<usize>();
        let roots: Vec<Hash> =
            heads.iter().filter_map(|heads| Some(heads.newest.as_ref()?.root)).collect();
        Self {
            verdict,
            index,
            heads,
            options,
            timed,
            complete: complete(index, heads),
            devices: Part { from: 0, to: u64::MAX },
            names: index.register.devices.iter().map(|named| hash(&named.name)).collect(),
            tracked: HashMap::new(),
            given_up: HashSet::new(),
            used: 0,
            most: options.memory.saturating_sub(held).max(options.memory / 4),
            shelf: Shelf::default(),
            salt: sha256(&roots.concat()),
            quotes: HashMap::new(),
            quoted: Part { from: Place::new(0, 0), to: Place::LAST },
            receipts: Receipts::default(),
            restored: vec![None; heads.len()],
            now_ms: newest.max().unwrap_or(0),
            superseded: 0,
            unbound: 0,
            explained: 0,
            drawing: None,
        }
    }

    /// Returns the file of a leaf.
    pub fn file(&self, place: Place) -> String {
        file_of(self.heads, place)
    }

    /// Takes the leaves of a bundle in; `check` is true in the first walk.
    pub fn take(&mut self, done: Done, check: bool) {
        for fault in done.faults.into_iter().filter(|_| check) {
            self.verdict.fault(fault);
        }
        for (index, (received, leaf)) in (done.first..).zip(done.leaves) {
            let place = Place::new(done.log, index);
            if check {
                self.first_look(place, received, &leaf);
            }
            match leaf {
                Leaf::Statement(said) => self.statement(said, received, place),
                Leaf::Record(device, record, digest) => {
                    let told = |all: &HashMap<Device, Tracked>| {
                        all.get(&device).map_or(0, Tracked::bytes_but_trail)
                    };
                    let before = told(&self.tracked);
                    self.record(device, &record, &digest, place, check);
                    self.used += told(&self.tracked).saturating_sub(before);
                }
                Leaf::Unverifiable | Leaf::Other => {}
            }
        }
        if self.used > self.most {
            self.shrink();
        }
    }

    fn statement(&mut self, said: Statement, received: i64, place: Place) {
        let heads = self.heads.get(place.log());
        match said {
            Statement::Published { dev, ver, timetable, sheets, first_cue_ms } => {
                let Some(device) = self.index.register.named(&dev) else { return };
                if !self.is_wanted(device) {
                    return;
                }
                // Not before the last checkpoint that lacks it, whatever the server's clock said. A
                // witness signs a little after the log, by a clock of its own.
                let bound = heads.and_then(|heads| heads.not_before(place.index()));
                let bound = bound.filter(|bound| bound.saturating_sub(received) > CLOCK_MS);
                let published_ms = bound.unwrap_or(received);
                let late = first_cue_ms.filter(|first| *first <= published_ms);
                let before = self.shelf.bytes();
                let sheets = self.shelf.put(&sheets);
                self.used += self.shelf.bytes() - before;
                let tracked = tracked(&mut self.tracked, device, &self.salt, &mut self.used);
                let before = tracked.bytes_but_trail();
                if let Some(first) = late {
                    let why =
                        format!("logged {} s after its first cue", (published_ms - first) / 1_000);
                    let fault = Fault::new(FaultKind::Timetable, file_of(self.heads, place), why);
                    tracked.fault(fault.at(place.index()).of(&dev));
                }
                tracked.published.push(Published {
                    ver,
                    at_ms: published_ms,
                    place,
                    timetable,
                    sheets,
                });
                self.used += tracked.bytes_but_trail() - before;
            }
            Statement::Conflict { dev, chain, seq } => {
                let Some(device) = self.index.register.named(&dev) else { return };
                if self.is_wanted(device) {
                    let why = "the server holds two different records with this number";
                    let fault = Fault::new(FaultKind::Conflict, self.file(place), why).of(&dev);
                    let fault = fault.seq(seq).at(place.index());
                    let tracked = tracked(&mut self.tracked, device, &self.salt, &mut self.used);
                    let before = tracked.bytes_but_trail();
                    tracked.conflict(chain, seq, fault);
                    self.used += tracked.bytes_but_trail() - before;
                }
            }
            Statement::Gap { dev, chain, to } => {
                let Some(device) = self.index.register.named(&dev) else { return };
                if self.is_wanted(device) {
                    let tracked = tracked(&mut self.tracked, device, &self.salt, &mut self.used);
                    let before = tracked.bytes_but_trail();
                    tracked.tell(chain, to, place);
                    self.used += tracked.bytes_but_trail() - before;
                }
            }
            _ => {}
        }
    }

    fn record(
        &mut self,
        device: Device,
        record: &Record,
        digest: &Hash,
        place: Place,
        check: bool,
    ) {
        let (index, heads) = (self.index, self.heads);
        let name = index.register.name(device);
        if check && !self.receipts.is_empty() {
            self.receipts.see(name, record.chain, record.seq, digest, place);
            if let Body::Lost { from, to, hash } = &record.body {
                self.receipts.lose(name, record.chain, *from, *to, hash);
            }
        }
        if let Some(seen) = &record.seen {
            self.quote(device, record.seq, seen, place);
        }
        // Before that, what is missing between two records cannot be known.
        if !self.is_wanted(device) || place < self.complete {
            return;
        }
        let fault = |kind, why: String| {
            let fault = Fault::new(kind, file_of(heads, place), why);
            fault.of(name).seq(record.seq).at(place.index())
        };
        let log_of = |origin: &str| index.about.logs.iter().position(|log| log.origin == origin);
        // A tree that stands before the record, or it bounds nothing.
        let quoted_ms = record.seen.as_ref().and_then(|seen| {
            let log = log_of(&seen.origin)?;
            let before = seen.size > 0 && Place::new(log, seen.size) <= place;
            heads.get(log).filter(|_| before)?.not_before(seen.size)
        });
        let not_after = heads.get(place.log()).and_then(|heads| heads.not_after(place.index()));
        let told = match &record.body {
            Body::Told(told) => Some((told, self.is_of_loss(place, told.at_ms))),
            _ => None,
        };
        let tracked = tracked(&mut self.tracked, device, &self.salt, &mut self.used);
        let chains = tracked.trail.chains.len();
        let first = (self.complete > Place::new(0, 0)).then_some(record.seq);
        let Some(chain) = tracked.trail.chain(&record.chain, first) else {
            tracked.fault(fault(FaultKind::Limit, "the device has too many chains".to_owned()));
            return;
        };
        let known = tracked.trail.chains.get(chain).filter(|_| chain < chains);
        let before = known.map_or(0, Chain::bytes);
        let mut broken = Vec::new();
        match tracked.trail.place(chain, record, *digest, place, &mut broken) {
            Placed::New => {}
            Placed::Again(first) => {
                let again = (first.log() + 1..=place.log())
                    .any(|log| self.restored.get(log).is_some_and(Option::is_some));
                if !again {
                    let why = format!("the record stands at leaf {} already", first.index());
                    tracked.fault(fault(FaultKind::Duplicate, why));
                }
                return;
            }
            Placed::Conflict => {
                let why = "another record has this number: two devices sign with one key";
                let fault = fault(FaultKind::Conflict, why.to_owned());
                tracked.conflict(record.chain, record.seq, fault);
                return;
            }
            Placed::Beyond => return,
        }
        if let Some((told, lost)) = told {
            let subjects = &mut self.shelf.subjects;
            let before = tracked.trail.facts.bytes() + subjects.bytes();
            let fact = Fact::new(told, record.seq, place, chain, subjects);
            let asked = (index.about.from_ms..index.about.to_ms).contains(&told.at_ms);
            tracked.trail.facts.push(Fact { asked, lost, ..fact });
            self.used += (tracked.trail.facts.bytes() + subjects.bytes()).saturating_sub(before);
        }
        let after = tracked.trail.chains.get(chain).map_or(0, Chain::bytes);
        for (seq, at) in broken {
            let why = "it does not name the record before it".to_owned();
            let broken = Fault { seq: Some(seq), ..fault(FaultKind::Chain, why) };
            tracked.fault(broken.at(at.index()));
        }
        self.used += after.saturating_sub(before);
        // Not before what it quotes, or what an earlier record of its chain quotes.
        let Some(chain) = tracked.trail.chains.get_mut(chain) else { return };
        chain.floor_ms = chain.floor_ms.max(quoted_ms);
        let floor = chain.floor_ms;
        if !self.timed {
            return;
        }
        let width = floor.zip(not_after).map(|(from, to)| to.saturating_sub(from));
        if width.is_none_or(|width| width > self.options.late_ms) {
            tracked.late += 1;
            tracked.unbound += u64::from(floor.is_none());
        }
        if let Some(error) = record.clock {
            let slack = CLOCK_MS.saturating_add(error.min(CLOCK_MS));
            if floor.is_some_and(|floor| record.at_ms.saturating_add(slack) < floor) {
                let why = "it says it was written before a checkpoint that it knows was signed";
                tracked.fault(fault(FaultKind::Clock, why.to_owned()));
            } else if not_after.is_some_and(|to| record.at_ms.saturating_sub(slack) > to) {
                let why = "it says it was written after a checkpoint that holds it was signed";
                tracked.fault(fault(FaultKind::Clock, why.to_owned()));
            }
        }
    }

    /// Says whether what was ordered at that time may have been lost with the tail of a log, before
    /// the record there was sent again.
    fn is_of_loss(&self, place: Place, at_ms: i64) -> bool {
        let lost = |log: usize| {
            let restored = self.restored.get(log).copied().flatten()?;
            let before = self.heads.get(log.checked_sub(1)?)?;
            let known = before.not_before(before.newest.as_ref()?.size).unwrap_or(i64::MIN);
            Some(known.saturating_sub(CLOCK_MS) < at_ms && at_ms <= restored)
        };
        (1..=place.log()).any(|log| lost(log).unwrap_or(false))
    }

    /// Says whether a receipt made then, of a record that is not here, is explained by a loss.
    pub fn explains(&self, made_ms: i64) -> bool {
        self.restored.iter().flatten().any(|restored| made_ms <= *restored)
    }
}

/// Finds a device under way, or begins it.
fn tracked<'t>(
    all: &'t mut HashMap<Device, Tracked>,
    device: Device,
    salt: &Hash,
    used: &mut usize,
) -> &'t mut Tracked {
    all.entry(device).or_insert_with(|| {
        let new = Tracked { trail: Trail::new(*salt), ..Tracked::default() };
        *used += new.bytes();
        new
    })
}

fn file_of(heads: &[Heads], place: Place) -> String {
    let size = heads.get(place.log()).and_then(|heads| heads.newest.as_ref());
    let size = size.map_or(u64::MAX, |newest| newest.size);
    let index = place.index() / u64::from(TILE);
    let width = u16::try_from(size.saturating_sub(index * 256)).unwrap_or(TILE);
    let tile = Tile { level: 0, index, width: width.min(TILE) };
    File::Entries(place.log(), tile).to_string()
}
