//! The devices of a walk: what their trails show, and what became of their cues.

use super::documents::{Due, Found, Sheets, notice, sheet_file, timetable};
use super::drawn::Order;
use super::hash::Hash;
use super::index::Index;
use super::outcome::{Grounds, Judged, Odd, PLANNED, Version, fold, judge as judge_trail};
use super::record;
use super::register::Device;
use super::source::{ReadError, Source};
use super::state::{Published, State, Tracked};
use super::text::to_hex;
use super::verdict::{Fault, FaultKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// A gap that may still be closed: a device sends again within a quarter of an hour.
const OPEN_MS: i64 = 60 * 60_000;
/// Days of all schedules of a device: those of a year, published anew thirty times a day.
const DAYS: usize = 200_000;

/// Judges the devices of this walk.
pub fn judge<S: Source + ?Sized>(source: &S, state: &mut State<'_>) -> Result<(), ReadError> {
    let index = state.index;
    let shelf = Sheets::new(source, index);
    let mut sounds = BTreeMap::new();
    for (name, place, document) in index.register.ordered.notices() {
        let Some(bytes) = shelf.notice(document)? else { continue };
        match notice(&bytes).filter(|(jti, _)| record::notice(jti) == *name) {
            Some((_, asset)) => {
                sounds.insert(*name, asset.and_then(|asset| asset.first_chunk().copied()));
            }
            None if state.is_last() => {
                let why = "it is not the urgent notice that the log names";
                let file = format!("notices/{}", to_hex(document));
                state.verdict.fault(Fault::new(FaultKind::Document, file, why).at(place.index()));
            }
            None => {}
        }
    }
    let mut judging = Judging { index, shelf, sounds, missing: BTreeSet::new() };
    let mut tracked: Vec<(Device, Tracked)> = state.tracked.drain().collect();
    tracked.sort_by_key(|(device, _)| *device);
    for (device, mut tracked) in tracked {
        let name = index.register.name(device);
        let mut broken = Vec::new();
        tracked.trail.finish(&mut broken);
        for (seq, place) in broken {
            let why = "it does not name the record before it";
            let fault = Fault::new(FaultKind::Chain, state.file(place), why).of(name);
            state.verdict.fault(fault.seq(seq).at(place.index()));
        }
        for fault in std::mem::take(&mut tracked.faults) {
            state.verdict.fault(fault);
        }
        state.verdict.unlisted += tracked.unlisted;
        state.verdict.records.late += tracked.late;
        state.unbound += tracked.unbound;
        state.verdict.records.conflicts += tracked.conflicts.len() as u64;
        gaps(state, name, &tracked);
        let asked = index.register.devices.get(device as usize);
        if asked.is_some_and(|named| named.asked) || judging.is_placed(&tracked)? {
            judging.outcomes(state, name, &tracked)?;
        }
    }
    Ok(())
}

struct Judging<'p, S: ?Sized> {
    index: &'p Index,
    shelf: Sheets<'p, S>,
    /// What urgent notices sound.
    sounds: BTreeMap<[u8; 16], Option<[u8; 16]>>,
    /// Sheets that are missing or unreadable, each told once.
    missing: BTreeSet<Hash>,
}

impl<S: Source + ?Sized> Judging<'_, S> {
    /// Says whether a timetable places the device below the unit that is asked about, wherever it
    /// was enrolled: devices move, and communes merge.
    fn is_placed(&self, tracked: &Tracked) -> Result<bool, ReadError> {
        let Some(unit) = &self.index.about.unit else { return Ok(false) };
        for published in &tracked.published {
            let text = self.shelf.timetable(&published.timetable)?;
            let read = text.as_deref().and_then(timetable);
            if read.is_some_and(|timetable| timetable.units.contains(unit)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn outcomes(
        &mut self,
        state: &mut State<'_>,
        name: &str,
        tracked: &Tracked,
    ) -> Result<(), ReadError> {
        let window = (self.index.about.from_ms, self.index.about.to_ms);
        let (mut versions, mut count) = (Vec::new(), 0);
        let mut sheets: BTreeSet<[u8; 16]> = BTreeSet::new();
        for published in &tracked.published {
            if count > DAYS {
                break;
            }
            let named = state.shelf.sheets(published.sheets);
            sheets.extend(named.iter().filter_map(|sheet| sheet.first_chunk()));
            let days = self.cues(state, name, published, &named)?;
            count += days.len();
            let (ver, published_ms, place) = (published.ver, published.at_ms, published.place);
            versions.push(Version { ver, published_ms, place, days });
        }
        let planned = if count > DAYS { BTreeMap::new() } else { fold(&versions) };
        drop(versions);
        if count > DAYS || planned.len() >= PLANNED {
            let why = "it has more schedules than can be judged at once: it was not judged";
            state.verdict.fault(Fault::new(FaultKind::Limit, "pack", why).of(name));
            return Ok(());
        }
        let (drawing, mut drawn) = (state.drawing.take(), None);
        let grounds = Grounds {
            subjects: &state.shelf.subjects,
            sheets: &sheets,
            ordered: &self.index.register.ordered,
            sounds: &self.sounds,
            window,
            now: state.now_ms,
        };
        let judged = judge_trail(&planned, &tracked.trail, grounds);
        if let (Some(mut drawing), Some(device)) = (drawing, self.index.register.named(name)) {
            let orders = orders(state, tracked, &self.shelf)?;
            let grounds = Grounds { window: drawing.period(), now: i64::MAX, ..grounds };
            drawing.take(device, &planned, &tracked.trail, grounds, orders, &mut self.shelf)?;
            drawn = Some(drawing);
        }
        state.drawing = drawn;
        tell(state, name, judged);
        Ok(())
    }

    /// Returns the cues of each day of a version, as far as the window goes.
    fn cues(
        &mut self,
        state: &mut State<'_>,
        name: &str,
        published: &Published,
        named: &[Hash],
    ) -> Result<Vec<Rc<[Due]>>, ReadError> {
        let (begin, end) = (self.index.about.from_ms, self.index.about.to_ms);
        let outside = |(from, to): &(i64, i64)| *to <= begin || *from >= end;
        let days = self.days(state, name, published, named)?;
        let mut cues: Vec<Rc<[Due]>> = Vec::new();
        for sheet in named {
            if days.get(sheet).is_some_and(outside) {
                continue;
            }
            match self.shelf.get(sheet)? {
                Found::Sheet(from, to, found) if !outside(&(from, to)) => cues.push(found),
                Found::Sheet(..) => {}
                Found::Missing | Found::Unreadable if !self.missing.insert(*sheet) => {}
                Found::Missing => {
                    let why = "a sheet that a timetable names is not in the pack";
                    let fault = Fault::new(FaultKind::Missing, sheet_file(sheet), why);
                    state.verdict.fault(fault.of(name).at(published.place.index()));
                }
                Found::Unreadable => {
                    let why = "it is no day sheet";
                    let fault = Fault::new(FaultKind::Document, sheet_file(sheet), why);
                    state.verdict.fault(fault);
                }
            }
        }
        Ok(cues)
    }

    /// Returns the days of a version's sheets, where the pack has its timetable.
    fn days(
        &self,
        state: &mut State<'_>,
        name: &str,
        published: &Published,
        named: &[Hash],
    ) -> Result<HashMap<Hash, (i64, i64)>, ReadError> {
        let Some(bytes) = self.shelf.timetable(&published.timetable)? else {
            return Ok(HashMap::new());
        };
        let mut wrong = |why: &str| {
            let file = format!("timetables/{}", to_hex(&published.timetable));
            let fault = Fault::new(FaultKind::Document, file, why).of(name);
            state.verdict.fault(fault.at(published.place.index()));
        };
        let Some(timetable) = timetable(&bytes) else {
            wrong("it cannot be read");
            return Ok(HashMap::new());
        };
        let own: BTreeSet<Hash> = timetable.days.iter().map(|day| day.2).collect();
        let logged: BTreeSet<Hash> = named.iter().copied().collect();
        if timetable.device != name || timetable.ver != published.ver || own != logged {
            wrong("it is not what the log says was published");
        }
        Ok(timetable.days.into_iter().map(|(from, to, sheet)| (sheet, (from, to))).collect())
    }
}

/// Returns the versions of a device's schedule as far as a draw needs them.
fn orders<S: Source + ?Sized>(
    state: &State<'_>,
    tracked: &Tracked,
    shelf: &Sheets<'_, S>,
) -> Result<Vec<Order>, ReadError> {
    let order = |published: &Published| {
        let text = shelf.timetable(&published.timetable)?;
        let units = text.as_deref().and_then(timetable).map(|timetable| timetable.units);
        let sheets = state.shelf.sheets(published.sheets);
        Ok(Order { ver: published.ver, published_ms: published.at_ms, units, sheets })
    };
    tracked.published.iter().map(order).collect()
}

/// Counts outcomes, and names what is odd.
fn tell(state: &mut State<'_>, name: &str, judged: Judged) {
    for (_, outcome) in judged.due {
        state.verdict.outcomes.count(outcome);
    }
    state.superseded += judged.superseded;
    state.explained += judged.explained;
    for oddity in judged.odd {
        let cue = to_hex(&oddity.subject);
        let (kind, why) = match oddity.what {
            Odd::Unplanned => {
                let why = format!("cue {cue} has no timetable published before its start");
                (FaultKind::Unplanned, why)
            }
            Odd::Premature => {
                let why = format!("logged before the timetable that orders cue {cue}");
                (FaultKind::Premature, why)
            }
            Odd::Stray => {
                let why = format!("cue {cue} was played from a sheet not published for the device");
                (FaultKind::Unplanned, why)
            }
            Odd::Unapproved => {
                let why = format!("the log knows no approval of what cue {cue} names as approved");
                (FaultKind::Approval, why)
            }
            Odd::ApprovedLate => {
                let why = format!("cue {cue} was approved only after it had been published");
                (FaultKind::Approval, why)
            }
            Odd::Unordered => {
                let why = "an urgent notice sounded that had not been logged".to_owned();
                (FaultKind::Unplanned, why)
            }
            Odd::Swapped => {
                let why = "an urgent notice sounded with another recording than was ordered";
                (FaultKind::Unplanned, why.to_owned())
            }
            Odd::Foretold => {
                let why = "logged before the urgent notice that orders it".to_owned();
                (FaultKind::Premature, why)
            }
        };
        let fault = Fault::new(kind, state.file(oddity.place), why).of(name);
        state.verdict.fault(fault.seq(oddity.seq).at(oddity.place.index()));
    }
}

/// Counts numbers that never came; the newest may still be on their way.
fn gaps(state: &mut State<'_>, name: &str, tracked: &Tracked) {
    let begin = state.now_ms.saturating_sub(OPEN_MS);
    for chain in &tracked.trail.chains {
        let open = chain.upto_at_ms.is_some_and(|at| at > begin);
        for (number, gap) in chain.gaps.iter().enumerate() {
            let count = gap.to - gap.from + 1;
            state.verdict.records.gaps = state.verdict.records.gaps.saturating_add(count);
            if open && number + 1 == chain.gaps.len() && chain.is_fresh(gap, begin) {
                continue;
            }
            let why = match (gap.from, gap.to) {
                (from, to) if from == to => format!("number {from} never came"),
                (from, to) => format!("numbers {from} to {to} never came"),
            };
            let fault = Fault::new(FaultKind::Gap, state.file(gap.next), why).of(name);
            state.verdict.fault(fault.seq(gap.from).at(gap.next.index()));
        }
        // Beyond the last record nothing is left to show what is missing but the device's word.
        let told = tracked.told.iter().find(|(id, to, _)| *id == chain.id && *to > chain.upto);
        if let Some((_, to, place)) = told {
            let (from, to) = (chain.upto + 1, *to);
            state.verdict.records.gaps = state.verdict.records.gaps.saturating_add(to - chain.upto);
            let why = format!("the device told of numbers up to {to}, from {from} on none came");
            let fault = Fault::new(FaultKind::Gap, state.file(*place), why).of(name);
            state.verdict.fault(fault.seq(from).at(place.index()));
        }
    }
}
