//! The plays that an inspector's draw chooses from, as a pack shows them.
//!
//! Says which head of the log decides and which plays the records below it confirm; drawing is the
//! business of those who ask.
//!
//! # Invariants
//! * The head is the first kept one that the policy's witnesses vouched for at or after the instant
//!   asked for; where the policy asks for none, it is the newest of the pack.
//! * A play counts for a unit when the timetable in force at its start names that unit: devices
//!   move, and communes merge.
//! * What is logged above the head changes nothing.

use super::checkpoints::Heads;
use super::documents::{self, Found, Sheets};
use super::hash::{self, Hash};
use super::index::{Index, Kind};
use super::outcome::{Grounds, Outcome, Planned, judge};
use super::record::{Cue, What};
use super::register::{Device, Place};
use super::source::{ReadError, Source};
use super::trail::Trail;
use super::verdict::{FaultKind, Verdict};
use std::collections::{BTreeMap, HashMap};

/// Plays that are kept: a month of six thousand devices.
const MOST: usize = 3_000_000;

/// Which plays, and which head decides.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Plays that were due from here, inclusive, and before `to_ms`.
    pub from_ms: i64,
    pub to_ms: i64,
    /// The first head vouched for at or after this instant decides.
    pub after_ms: i64,
    /// A unit with all below it.
    pub unit: Option<&'a str>,
    /// A plan line, in the words of the sheets.
    pub line: Option<&'a str>,
}

/// The head that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deciding {
    pub origin: String,
    pub size: u64,
    /// Leaves of the logs before it.
    pub before: u64,
    /// Base64, as in the checkpoint.
    pub root: String,
    /// When enough witnesses had vouched for it; `None` where the policy asks for none.
    pub vouched_ms: Option<i64>,
    log: usize,
}

/// A play by its device and cue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    pub device: String,
    pub cue: [u8; 16],
    /// When it was due.
    pub at_ms: i64,
    pub title: String,
    /// The units of the device, nearest first, where its timetable is in the pack.
    pub units: Vec<String>,
    /// The log, and the leaf in it, where the first record of its end stands.
    pub origin: String,
    pub index: u64,
}

/// Why there is nothing to draw from.
#[derive(Debug, thiserror::Error)]
pub enum DrawnError {
    #[error("the pack could not be read")]
    Read(#[from] ReadError),
    #[error("this is no pack: {why}")]
    NotAPack { why: String },
    #[error("the pack asks about cues from {from_ms} to {to_ms} (ms) only")]
    Window { from_ms: i64, to_ms: i64 },
    #[error("the pack is about the unit `{unit}` only")]
    Unit { unit: String },
    #[error("the pack is damaged: {kind} in `{place}`: {message}")]
    Damaged { kind: FaultKind, place: String, message: String },
    #[error("no head in the pack was vouched for at or after the instant that was asked for")]
    NoHead,
    #[error(
        "{missing} timetables are not in the pack: which units their devices stood below is not known"
    )]
    Unplaced { missing: u64 },
    #[error("more than {MOST} plays")]
    Many,
}

impl DrawnError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read(error) => error.hint(),
            Self::NotAPack { .. } => FaultKind::NotAPack.hint(),
            Self::Window { .. } | Self::Unit { .. } => {
                "ask the station for a pack whose window and unit hold the question"
            }
            Self::Damaged { .. } => "`loa audit verify` tells all faults; ask for the pack again",
            Self::NoHead => {
                "ask the station for a pack made later, or see whether the policy is the right one"
            }
            Self::Unplaced { .. } => "ask for a pack that holds them, or draw without a unit",
            Self::Many => "draw from a shorter period or a smaller unit",
        }
    }
}

/// A play while it is gathered.
#[derive(Clone, Copy, Debug)]
struct Sounded {
    cue: Cue,
    at_ms: i64,
    place: Place,
    device: Device,
    order: u32,
}

/// A timetable as published, as far as a play's unit and sheet go.
#[derive(Debug)]
pub struct Order {
    pub ver: i64,
    pub published_ms: i64,
    /// `None` when the timetable is not in the pack.
    pub units: Option<Vec<String>>,
    pub sheets: Vec<Hash>,
}

/// What is gathered while the pack is judged.
#[derive(Debug)]
pub struct Drawing {
    head: Deciding,
    period: (i64, i64),
    unit: Option<String>,
    line: Option<String>,
    plays: Vec<Sounded>,
    /// Sheet and units of plays.
    orders: Vec<(Hash, Vec<String>)>,
    known: HashMap<(Hash, Vec<String>), u32>,
    many: bool,
    unplaced: u64,
    /// The unit that the pack is about; a play of the question's unit outside of it shows that
    /// the pack does not hold all of them.
    about: Option<String>,
    outside: bool,
}

/// Finds the head that decides.
pub fn deciding(index: &Index, heads: &[Heads], witnessed: bool) -> Option<Deciding> {
    let mut before = 0_u64;
    for (log, (about, heads)) in index.about.logs.iter().zip(heads).enumerate() {
        let newest = heads.newest.as_ref()?;
        let found = if witnessed {
            heads.decides.map(|(size, time_ms)| (size, Some(time_ms)))
        } else {
            (log + 1 == index.about.logs.len()).then_some((newest.size, None))
        };
        if let Some((size, vouched_ms)) = found {
            let at = heads.pins.iter().find(|pin| pin.size == size);
            let pin = at.or(Some(newest).filter(|newest| newest.size == size))?;
            let (origin, root) = (about.origin.clone(), hash::text(&pin.root));
            return Some(Deciding { origin, size, before, root, vouched_ms, log });
        }
        before = before.saturating_add(newest.size);
    }
    None
}

impl Deciding {
    fn end(&self) -> Place {
        Place::new(self.log, self.size)
    }
}

impl Drawing {
    /// Begins with nothing.
    pub fn new(asked: &Asked<'_>, about: Option<String>, head: Deciding) -> Self {
        Self {
            head,
            period: (asked.from_ms, asked.to_ms),
            unit: asked.unit.map(str::to_owned),
            line: asked.line.map(str::to_owned),
            plays: Vec::new(),
            orders: Vec::new(),
            known: HashMap::new(),
            many: false,
            unplaced: 0,
            about,
            outside: false,
        }
    }

    /// Returns the stretch in which the plays asked about were due.
    pub fn period(&self) -> (i64, i64) {
        self.period
    }

    /// Takes the plays of a device that its records below the head confirm.
    pub fn take<S: Source + ?Sized>(
        &mut self,
        device: Device,
        planned: &BTreeMap<Cue, Planned>,
        trail: &Trail,
        grounds: Grounds<'_>,
        mut orders: Vec<Order>,
        sheets: &mut Sheets<'_, S>,
    ) -> Result<(), ReadError> {
        let end = self.head.end();
        let mut below = Trail::new([0; 32]);
        let mut first: HashMap<Cue, Place> = HashMap::new();
        for fact in trail.facts.iter().filter(|fact| fact.place < end) {
            below.facts.push(fact);
            if fact.what != What::Start && !fact.notice {
                let place = first.entry(grounds.subjects.name(fact.subject)).or_insert(fact.place);
                *place = fact.place.min(*place);
            }
        }
        let judged = judge(planned, &below, grounds);
        keep_rising(&mut orders);
        for (cue, outcome) in judged.due {
            let (Outcome::Played(_), Some(place)) = (outcome, first.get(&cue)) else { continue };
            let Some(at_ms) = planned.get(&cue).map(|planned| planned.due.at_ms) else { continue };
            let ahead = orders.partition_point(|order| order.published_ms < at_ms);
            let Some(order) = ahead.checked_sub(1).and_then(|at| orders.get(at)) else { continue };
            if let Some(unit) = &self.unit {
                self.unplaced += u64::from(order.units.is_none());
                if !order.units.as_ref().is_some_and(|of| of.contains(unit)) {
                    continue;
                }
                let about = self.about.iter();
                self.outside |= about
                    .into_iter()
                    .any(|about| order.units.as_ref().is_none_or(|units| !units.contains(about)));
            }
            let Some(sheet) = holding(order, &cue, sheets)? else { continue };
            if let Some(line) = &self.line
                && sheets.line(&sheet, &cue)? != Some(line)
            {
                continue;
            }
            if self.plays.len() >= MOST {
                self.many = true;
                return Ok(());
            }
            let units = order.units.clone().unwrap_or_default();
            let order = self.order(sheet, units);
            self.plays.push(Sounded { cue, at_ms, place: *place, device, order });
        }
        Ok(())
    }

    fn order(&mut self, sheet: Hash, units: Vec<String>) -> u32 {
        let orders = &mut self.orders;
        *self.known.entry((sheet, units)).or_insert_with_key(|key| {
            orders.push(key.clone());
            u32::try_from(orders.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

/// Leaves out versions that devices refused, because a higher one was out; the rest by time.
fn keep_rising(orders: &mut Vec<Order>) {
    orders.sort_by_key(|order| std::cmp::Reverse(order.ver));
    let mut next = i64::MAX;
    orders.retain(|order| {
        let rises = order.published_ms < next;
        next = next.min(order.published_ms);
        rises
    });
    orders.reverse();
}

/// Returns the sheet of a version that has the cue.
fn holding<S: Source + ?Sized>(
    order: &Order,
    cue: &Cue,
    sheets: &mut Sheets<'_, S>,
) -> Result<Option<Hash>, ReadError> {
    for sheet in &order.sheets {
        if let Found::Sheet(_, _, cues) = sheets.get(sheet)?
            && cues.iter().any(|due| due.cue == *cue)
        {
            return Ok(Some(*sheet));
        }
    }
    Ok(None)
}

/// The plays, each with its number: by the bytes of the device's name, then by cue.
pub struct Population<'p, S: ?Sized> {
    source: &'p S,
    index: Index,
    /// What the audit says of the pack.
    pub verdict: Verdict,
    pub head: Deciding,
    plays: Vec<Sounded>,
    orders: Vec<(Hash, Vec<String>)>,
}

/// Ends what was gathered; refuses a question that the pack does not answer.
pub fn gathered<'p, S: Source + ?Sized>(
    source: &'p S,
    index: Index,
    verdict: Verdict,
    asked: &Asked<'_>,
    drawing: Option<Drawing>,
) -> Result<Population<'p, S>, DrawnError> {
    let about = &index.about;
    if asked.from_ms < about.from_ms || asked.to_ms > about.to_ms {
        return Err(DrawnError::Window { from_ms: about.from_ms, to_ms: about.to_ms });
    }
    if let (Some(unit), None) = (&about.unit, asked.unit) {
        return Err(DrawnError::Unit { unit: unit.clone() });
    }
    if let Some(fault) = verdict.faults.iter().find(|fault| is_damage(fault.kind)) {
        let (place, message) = (fault.place.clone(), fault.message.clone());
        return Err(DrawnError::Damaged { kind: fault.kind, place, message });
    }
    let Some(drawing) = drawing else { return Err(DrawnError::NoHead) };
    if drawing.outside {
        let unit = about.unit.clone().unwrap_or_default();
        return Err(DrawnError::Unit { unit });
    }
    if drawing.many {
        return Err(DrawnError::Many);
    }
    if drawing.unplaced > 0 {
        return Err(DrawnError::Unplaced { missing: drawing.unplaced });
    }
    let Drawing { head, mut plays, orders, .. } = drawing;
    let name = |play: &Sounded| index.register.name(play.device);
    plays.sort_unstable_by(|a, b| (name(a), a.cue).cmp(&(name(b), b.cue)));
    Ok(Population { source, index, verdict, head, plays, orders })
}

/// What makes the list of plays doubtful as a whole; other faults concern single records.
fn is_damage(kind: FaultKind) -> bool {
    use FaultKind as K;
    matches!(
        kind,
        K::Archive
            | K::Manifest
            | K::Missing
            | K::UnknownLog
            | K::Checkpoint
            | K::Cosignature
            | K::Quorum
            | K::Root
            | K::Fork
            | K::Tile
            | K::Bundle
            | K::Leaf
            | K::Shard
            | K::Document
            | K::Limit
    )
}

impl<S: Source + ?Sized> Population<'_, S> {
    /// Returns device and cue of all plays, in order.
    pub fn all(&self) -> impl Iterator<Item = (&str, [u8; 16])> {
        self.plays.iter().map(|play| (self.index.register.name(play.device), play.cue))
    }

    /// Returns a play by its number, with its title; `None` when there are fewer.
    pub fn play(&self, number: u64) -> Result<Option<Play>, ReadError> {
        let at = usize::try_from(number).ok();
        let Some(play) = at.and_then(|at| self.plays.get(at)) else { return Ok(None) };
        let order = self.orders.get(play.order as usize);
        let bytes = match order {
            Some((sheet, _)) => self.index.document(self.source, sheet, Kind::Sheet)?,
            None => None,
        };
        let title = bytes.and_then(|bytes| documents::words(&bytes)?.remove(&play.cue));
        let log = self.index.about.logs.get(play.place.log());
        Ok(Some(Play {
            device: self.index.register.name(play.device).to_owned(),
            cue: play.cue,
            at_ms: play.at_ms,
            title: title.map(|words| words.title).unwrap_or_default(),
            units: order.map(|(_, units)| units.clone()).unwrap_or_default(),
            origin: log.map(|log| log.origin.clone()).unwrap_or_default(),
            index: play.place.index(),
        }))
    }
}
