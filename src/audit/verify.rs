//! The audit from the first byte to the last number.

use super::bundle::{Bad, Worker, quoted_forks};
use super::checkpoints::{Heads, gather};
use super::documents::{Due, Found, Sheets, sheet_file, timetable};
use super::hash::Hash;
use super::index::{Index, Look as First};
use super::layout::File;
use super::outcome::{Odd, Version, fold, judge};
use super::policy::Policy;
use super::receipts::{Receipts, keys};
use super::register::{Device, Place};
use super::source::{ReadError, Source};
use super::state::{State, Tracked};
use super::text::to_hex;
use super::verdict::{Fault, FaultKind, Verdict};
use super::walk::{Job, Look, Walk};
use super::{Options, Progress, pool};
use std::collections::{BTreeSet, HashMap};

/// A gap that may still be closed: a device sends again within a quarter of an hour.
const OPEN_MS: i64 = 60 * 60_000;

/// Audits a pack by a policy. The one error is that the pack could not be read; whatever is wrong
/// with what was read is in the verdict.
pub fn verify<S: Source + ?Sized>(
    pack: &S,
    policy: &Policy,
    options: &Options<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verdict, ReadError> {
    let bytes = pack.size().map_err(|source| ReadError { at: 0, source })?;
    let mut tell = |walk, done| progress(Progress { walk, done, bytes });
    let mut index = match Index::read(pack, &mut |done| tell(0, done))? {
        First::Pack(index) => index,
        First::None(why) => return Ok(Verdict::not_a_pack(why).close()),
    };
    let mut verdict = Verdict::default();
    for fault in std::mem::take(&mut index.faults) {
        verdict.fault(fault);
    }
    let heads = gather(pack, &index, policy, options, &mut verdict)?;
    if !policy.wants_witnesses() {
        let note = "the policy asks for no witness: nothing shows when records were logged";
        verdict.notes.push(note.to_owned());
    }
    let timed = policy.wants_witnesses();
    let mut state = State::new(verdict, &index, &heads, options, timed);
    state.receipts = receipts(pack, &index, options, &mut state.verdict)?;
    let audit = Audit { pack, index: &index, heads: &heads, options, bad: Bad::default() };
    let mut walk = 1;
    loop {
        tell(walk, 0);
        audit.walk(&mut state, walk == 1, &mut |done| tell(walk, done))?;
        tell(walk, bytes);
        audit.look_up(&mut state)?;
        audit.judge(&mut state)?;
        if state.devices.to == u64::MAX && state.quoted.to == Place::LAST {
            break;
        }
        if audit.bad.is_full() {
            let why = "too many leaves count for nothing; the rest was not judged";
            state.verdict.fault(Fault::new(FaultKind::Limit, "pack", why));
            break;
        }
        state.next_part();
        walk += 1;
    }
    left_out(&mut state);
    keyless(&mut state);
    unreceipted(&mut state);
    Ok(state.verdict.close())
}

struct Audit<'p, S: ?Sized> {
    pack: &'p S,
    index: &'p Index,
    heads: &'p [Heads],
    options: &'p Options<'p>,
    bad: Bad,
}

impl<S: Source + ?Sized> Audit<'_, S> {
    /// Walks through all leaves.
    fn walk(
        &self,
        state: &mut State<'_>,
        check: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ReadError> {
        let names = state.parts();
        let wanted = |device: Device| names.has(device);
        let register = &self.index.register;
        let worker = Worker { register, bad: &self.bad, check, wanted: &wanted };
        let look = if check { Look::Check } else { Look::Again };
        let jobs = Walk::new(self.pack, self.index, self.heads, look);
        let work = |job| match job {
            Job::Bundle(bundle) => Step::Done(worker.work(*bundle)),
            Job::Fault(fault) => Step::Fault(fault),
            Job::Failed(error) => Step::Failed(error),
            Job::Passed(at) => Step::Passed(at),
        };
        let mut failed = None;
        pool::in_order(self.options.workers, jobs, work, |step| {
            match step {
                Step::Done(done) => state.take(done, check),
                Step::Fault(fault) if check => state.verdict.fault(fault),
                Step::Fault(_) => {}
                Step::Passed(at) => progress(at),
                Step::Failed(error) => failed = Some(error),
            }
            failed.is_none()
        });
        failed.map_or(Ok(()), Err)
    }

    /// Compares the checkpoints that devices quote with the tree.
    fn look_up(&self, state: &mut State<'_>) -> Result<(), ReadError> {
        if state.quotes.is_empty() {
            return Ok(());
        }
        let mut heads: Vec<Heads> = self
            .heads
            .iter()
            .map(|heads| Heads { newest: heads.newest.clone(), ..Heads::default() })
            .collect();
        for (place, pin) in state.quotes.drain() {
            if let Some(heads) = heads.get_mut(place.log()) {
                heads.pins.push(pin);
            }
        }
        for heads in &mut heads {
            heads.pins.sort_by_key(|pin| pin.size);
        }
        let jobs = Walk::new(self.pack, self.index, &heads, Look::Roots);
        let work = |job| match job {
            Job::Bundle(bundle) => quoted_forks(&bundle).into_iter().map(Step::Fault).collect(),
            Job::Fault(fault) => vec![Step::Fault(fault)],
            Job::Failed(error) => vec![Step::Failed(error)],
            Job::Passed(_) => Vec::new(),
        };
        let mut failed = None;
        pool::in_order(self.options.workers, jobs, work, |steps| {
            for step in steps {
                match step {
                    Step::Fault(fault) => state.verdict.fault(fault),
                    Step::Failed(error) => failed = Some(error),
                    Step::Done(_) | Step::Passed(_) => {}
                }
            }
            failed.is_none()
        });
        failed.map_or(Ok(()), Err)
    }

    /// Judges the devices of this walk.
    fn judge(&self, state: &mut State<'_>) -> Result<(), ReadError> {
        let mut sheets = Sheets::new(self.pack, self.index);
        let mut missing: BTreeSet<Hash> = BTreeSet::new();
        let mut tracked: Vec<(Device, Tracked)> = state.tracked.drain().collect();
        tracked.sort_by_key(|(device, _)| *device);
        for (device, mut tracked) in tracked {
            let name = self.index.register.name(device);
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
            state.verdict.records.conflicts += tracked.conflicts.len() as u64;
            gaps(state, name, &tracked);
            let asked = self.index.register.devices.get(device as usize);
            if asked.is_some_and(|named| named.asked) || self.is_placed(&tracked, &sheets)? {
                self.outcomes(state, name, &tracked, &mut sheets, &mut missing)?;
            }
        }
        Ok(())
    }

    /// Says whether a timetable places the device below the unit that is asked about, wherever it
    /// was enrolled: devices move, and communes merge.
    fn is_placed(&self, tracked: &Tracked, sheets: &Sheets<'_, S>) -> Result<bool, ReadError> {
        let Some(unit) = &self.index.about.unit else { return Ok(false) };
        for published in &tracked.published {
            let text = sheets.timetable(&published.timetable)?;
            let read = text.as_deref().and_then(timetable);
            if read.is_some_and(|timetable| timetable.units.contains(unit)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn outcomes(
        &self,
        state: &mut State<'_>,
        name: &str,
        tracked: &Tracked,
        sheets: &mut Sheets<'_, S>,
        missing: &mut BTreeSet<Hash>,
    ) -> Result<(), ReadError> {
        let about = &self.index.about;
        let window = (about.from_ms, about.to_ms);
        let mut versions = Vec::with_capacity(tracked.published.len());
        for published in &tracked.published {
            let named: Vec<Hash> = published
                .sheets
                .iter()
                .filter_map(|number| state.sheets.get(*number as usize).copied())
                .collect();
            let file = format!("timetables/{}", to_hex(&published.timetable));
            let mut wrong = |why: &str| {
                let fault = Fault::new(FaultKind::Document, file.clone(), why).of(name);
                state.verdict.fault(fault.at(published.place.index()));
            };
            let mut days: HashMap<Hash, (i64, i64)> = HashMap::new();
            match sheets.timetable(&published.timetable)?.map(|bytes| timetable(&bytes)) {
                None => {}
                Some(None) => wrong("it cannot be read"),
                Some(Some(timetable)) => {
                    let own: BTreeSet<Hash> = timetable.days.iter().map(|day| day.2).collect();
                    let logged: BTreeSet<Hash> = named.iter().copied().collect();
                    if timetable.device != name || timetable.ver != published.ver || own != logged {
                        wrong("it is not what the log says was published");
                    }
                    days.extend(
                        timetable.days.iter().map(|(from, to, sheet)| (*sheet, (*from, *to))),
                    );
                }
            }
            let mut cues: Vec<Due> = Vec::new();
            for sheet in named {
                let outside = |(from, to): &(i64, i64)| *to <= window.0 || *from >= window.1;
                if days.get(&sheet).is_some_and(outside) {
                    continue;
                }
                match sheets.get(&sheet)? {
                    Found::Sheet(from, to, found) if !outside(&(from, to)) => {
                        cues.extend_from_slice(&found);
                    }
                    Found::Sheet(..) => {}
                    Found::Missing | Found::Unreadable if !missing.insert(sheet) => {}
                    Found::Missing => {
                        let why = "a sheet that a timetable names is not in the pack";
                        let fault = Fault::new(FaultKind::Missing, sheet_file(&sheet), why);
                        state.verdict.fault(fault.of(name).at(published.place.index()));
                    }
                    Found::Unreadable => {
                        let why = "it is no day sheet";
                        state.verdict.fault(Fault::new(
                            FaultKind::Document,
                            sheet_file(&sheet),
                            why,
                        ));
                    }
                }
            }
            let (ver, published_ms, place) = (published.ver, published.at_ms, published.place);
            versions.push(Version { ver, published_ms, place, cues });
        }
        let judged = judge(&fold(&versions), &tracked.trail, window, state.now_ms);
        for (_, outcome) in judged.due {
            state.verdict.outcomes.count(outcome);
        }
        state.superseded += judged.superseded;
        for (odd, cue, seq, place) in judged.odd {
            let cue = to_hex(&cue);
            let (kind, why) = match odd {
                Odd::Unplanned => {
                    let why = format!("cue {cue} has no timetable published before its start");
                    (FaultKind::Unplanned, why)
                }
                Odd::Premature => {
                    let why = format!("logged before the timetable that orders cue {cue}");
                    (FaultKind::Premature, why)
                }
            };
            let fault = Fault::new(kind, state.file(place), why).of(name);
            state.verdict.fault(fault.seq(seq).at(place.index()));
        }
        Ok(())
    }
}

enum Step {
    Done(super::bundle::Done),
    Fault(Fault),
    Failed(ReadError),
    Passed(u64),
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
    }
}

fn receipts<S: Source + ?Sized>(
    pack: &S,
    index: &Index,
    options: &Options<'_>,
    verdict: &mut Verdict,
) -> Result<Receipts, ReadError> {
    let mut receipts = Receipts::default();
    let own = index.file(pack, &File::Receipts)?.unwrap_or_default();
    if own.is_empty() && options.receipts.is_empty() {
        return Ok(receipts);
    }
    let body = index.file(pack, &File::Keys)?;
    let known = match body.map(|body| keys(&body, options.root.as_ref())) {
        Some(Ok(known)) => known,
        Some(Err(why)) => {
            verdict.fault(Fault::new(FaultKind::Document, File::Keys.to_string(), why));
            return Ok(receipts);
        }
        None => {
            let why = "without the keys of the server no receipt can be judged";
            verdict.fault(Fault::new(FaultKind::Missing, File::Keys.to_string(), why));
            return Ok(receipts);
        }
    };
    for (name, lines) in [("receipts", own.as_slice()), ("receipts brought", options.receipts)] {
        for line in receipts.read(lines, &known) {
            let why = format!("line {line} is no receipt that the server signed");
            verdict.fault(Fault::new(FaultKind::Receipt, name, why));
        }
    }
    Ok(receipts)
}

/// Receipts whose record is not in the log, unless a loss was logged after they were made.
fn unreceipted(state: &mut State<'_>) {
    let mut faults = Vec::new();
    let mut explained = 0_u64;
    for receipt in state.receipts.without_record() {
        if state.explains(receipt.made_ms) {
            explained += 1;
            continue;
        }
        let why = "the server receipted this number, and the log does not hold the record";
        let fault = Fault::new(FaultKind::Receipt, "receipts", why);
        faults.push(fault.of(&receipt.device).seq(receipt.upto));
    }
    if explained > 0 {
        let note = format!("{explained} receipts are of records that a loss took; it was logged");
        state.verdict.notes.push(note);
    }
    for fault in faults {
        state.verdict.fault(fault);
    }
}

/// Devices that were given schedules and no key.
fn keyless(state: &mut State<'_>) {
    let devices = &state.index.register.devices;
    let count = devices.iter().filter(|named| !named.enrolled).count();
    if count > 0 {
        let note = format!(
            "{count} devices have schedules and no enrolment: their cues count as explained"
        );
        state.verdict.notes.push(note);
    }
}

fn left_out(state: &mut State<'_>) {
    let out: u64 = state.index.about.logs.iter().map(|log| log.first / 256 * 256).sum();
    if out > 0 {
        state.verdict.notes.push(format!(
            "up to {out} leaves before the window are left out: a key revoked there is not known here"
        ));
    }
    if state.superseded > 0 {
        let note = format!("{} cues were played although withdrawn", state.superseded);
        state.verdict.notes.push(note);
    }
}
