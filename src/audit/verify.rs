//! The audit from the first byte to the last number.

use super::bundle::{Bad, Worker, quoted_forks};
use super::checkpoints::{Heads, gather};
use super::devices::judge;
use super::drawn::{self, Asked, Drawing, DrawnError, Population};
use super::index::{Index, Look as First};
use super::layout::File;
use super::policy::Policy;
use super::receipts::{Receipts, keys};
use super::register::{Device, Place};
use super::source::{ReadError, Source};
use super::state::State;
use super::verdict::{Fault, FaultKind, Verdict};
use super::walk::{Job, Look, Walk};
use super::{Options, Progress, pool};

/// Audits a pack by a policy. The one error is that the pack could not be read; whatever is wrong
/// with what was read is in the verdict.
pub fn verify<S: Source + ?Sized>(
    pack: &S,
    policy: &Policy,
    options: &Options<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verdict, ReadError> {
    Ok(match audit(pack, policy, options, progress)? {
        Audited::Pack(found) => found.0,
        Audited::None(verdict) => *verdict,
    })
}

/// Returns the plays that a draw chooses from, as a pack shows them by a policy.
pub fn population<'p, S: Source + ?Sized>(
    pack: &'p S,
    policy: &Policy,
    asked: &Asked<'_>,
    options: &Options<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Population<'p, S>, DrawnError> {
    let options = Options { drawn: Some(asked), ..*options };
    match audit(pack, policy, &options, progress)? {
        Audited::Pack(found) => {
            let (verdict, index, drawing) = *found;
            drawn::gathered(pack, index, verdict, asked, drawing)
        }
        Audited::None(verdict) => {
            let why = verdict.faults.first().map(|fault| fault.message.clone());
            Err(DrawnError::NotAPack { why: why.unwrap_or_default() })
        }
    }
}

/// What an audit ends in.
enum Audited {
    Pack(Box<(Verdict, Index, Option<Drawing>)>),
    None(Box<Verdict>),
}

fn audit<S: Source + ?Sized>(
    pack: &S,
    policy: &Policy,
    options: &Options<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Audited, ReadError> {
    let bytes = pack.size().map_err(|source| ReadError { at: 0, source })?;
    let mut tell = |walk, done| progress(Progress { walk, done, bytes });
    let mut index = match Index::read(pack, &mut |done| tell(0, done))? {
        First::Pack(index) => index,
        First::None(why) => return Ok(Audited::None(Box::new(Verdict::not_a_pack(why).close()))),
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
    state.drawing = options.drawn.and_then(|asked| {
        let head = drawn::deciding(&index, &heads, timed)?;
        Some(Drawing::new(asked, index.about.unit.clone(), head))
    });
    let audit = Audit { pack, index: &index, heads: &heads, options, bad: Bad::default() };
    let mut walk = 1;
    loop {
        tell(walk, 0);
        audit.walk(&mut state, walk == 1, &mut |done| tell(walk, done))?;
        tell(walk, bytes);
        audit.look_up(&mut state)?;
        judge(pack, &mut state)?;
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
    let (verdict, drawing) = (state.verdict.close(), state.drawing);
    Ok(Audited::Pack(Box::new((verdict, *index, drawing))))
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
}

enum Step {
    Done(super::bundle::Done),
    Fault(Fault),
    Failed(ReadError),
    Passed(u64),
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
    if state.explained > 0 {
        let note = format!(
            "{} plays were ordered by nothing that is logged, at a time of which the log lost its \
             tail; it was logged that it did",
            state.explained
        );
        state.verdict.notes.push(note);
    }
    if state.unbound > 0 {
        let note = format!(
            "{} of the late records quote no checkpoint, nor does one before them: devices write \
             their first ones before they know any",
            state.unbound
        );
        state.verdict.notes.push(note);
    }
}
