//! Checkpoints of a pack: who signed them, when witnesses did, and which sizes and roots the tree
//! must therefore have.

use super::hash::Hash;
use super::index::Index;
use super::layout::{File, LEAVES};
use super::note::{Note, split};
use super::policy::Policy;
use super::pool;
use super::source::{ReadError, Source};
use super::verdict::{Fault, FaultKind, LogHead, Verdict};
use super::{Options, hash};
use std::sync::Arc;

/// Checkpoints of a pack; a year has half a million of one a minute.
const PINS: usize = 600_000;
/// Notes judged in one go.
const BATCH: usize = 64;

/// A record that quotes a checkpoint.
#[derive(Clone, Debug)]
pub struct Quoted {
    pub device: String,
    pub seq: u64,
    pub index: u64,
}

/// A size and root that somebody vouched for.
#[derive(Clone, Debug)]
pub struct Pin {
    pub size: u64,
    pub root: Hash,
    /// The file it stands in.
    pub file: Arc<str>,
    /// The record that quotes it.
    pub quoted: Option<Box<Quoted>>,
}

impl Pin {
    /// Returns the fault that the tree is another.
    pub fn fault(&self) -> Fault {
        match &self.quoted {
            None => {
                let why = format!("it vouches for another tree at {} leaves", self.size);
                Fault::new(FaultKind::Fork, &*self.file, why)
            }
            Some(quoted) => {
                let why = format!("the device was shown another tree of {} leaves", self.size);
                let fault = Fault::new(FaultKind::Fork, &*self.file, why).of(&quoted.device);
                fault.seq(quoted.seq).at(quoted.index)
            }
        }
    }
}

/// The checkpoints of one log.
#[derive(Debug, Default)]
pub struct Heads {
    /// Where the log ends, as far as the pack goes.
    pub newest: Option<Pin>,
    /// The others, by size, each size once.
    pub pins: Vec<Pin>,
    /// Sizes that the policy's witnesses vouched for, with the second in which the quorum was met.
    pub cosigned: Vec<(u64, u64)>,
    /// The first kept one that a draw may rest on, with when it was vouched for, in milliseconds.
    pub decides: Option<(u64, i64)>,
}

impl Heads {
    /// Returns roughly how many bytes they take.
    pub fn bytes(&self) -> usize {
        self.pins.capacity() * size_of::<Pin>() + self.cosigned.capacity() * 16
    }

    /// Returns when the first cosigned checkpoint that holds a leaf was signed, in milliseconds.
    pub fn not_after(&self, index: u64) -> Option<i64> {
        let at = self.cosigned.partition_point(|(size, _)| *size <= index);
        self.cosigned.get(at).map(|(_, time)| ms(*time))
    }

    /// Returns when the last cosigned checkpoint of at most that size was signed.
    pub fn not_before(&self, size: u64) -> Option<i64> {
        let at = self.cosigned.partition_point(|(known, _)| *known <= size);
        self.cosigned.get(at.checked_sub(1)?).map(|(_, time)| ms(*time))
    }
}

fn ms(time_s: u64) -> i64 {
    i64::try_from(time_s).unwrap_or(i64::MAX).saturating_mul(1_000)
}

/// A note that was judged.
struct Judged {
    note: Note,
    cosignatures: u64,
    met_at: Option<u64>,
}

/// Judges a note by the policy.
fn judge(bytes: &[u8], origin: &str, policy: &Policy) -> Result<Judged, (FaultKind, String)> {
    let bad = |why: String| (FaultKind::Checkpoint, why);
    let note = Note::parse(bytes).map_err(|why| bad(format!("unreadable: {why}")))?;
    if note.origin != origin {
        return Err(bad("it is of another log".to_owned()));
    }
    if note.size > LEAVES {
        return Err(bad("no log has so many leaves".to_owned()));
    }
    if note.size == 0 && note.root != hash::sha256(b"") {
        return Err(bad("an empty tree has another root".to_owned()));
    }
    let keys = policy.keys_of(origin);
    let own = note.signed_by(&keys).map_err(|name| bad(misfit(&name)))?;
    if own.is_empty() {
        return Err(bad("it is not signed by the log".to_owned()));
    }
    let by = note
        .signed_by(policy.witnesses())
        .map_err(|name| (FaultKind::Cosignature, misfit(&name)))?;
    let met_at = policy.met_at(&by);
    Ok(Judged { note, cosignatures: by.len() as u64, met_at })
}

fn misfit(name: &str) -> String {
    format!("the signature of `{}` does not fit", super::text::excerpt(name))
}

/// What is gathered of one log.
struct Gather<'a> {
    heads: Heads,
    file: Arc<str>,
    verdict: &'a mut Verdict,
    /// Checkpoints that there is room for.
    room: usize,
    /// Kept checkpoints vouched for from here on may decide a draw; `None` while others are read.
    after_ms: Option<i64>,
}

impl Gather<'_> {
    fn take(&mut self, judged: Result<Judged, (FaultKind, String)>) -> Option<Pin> {
        match judged {
            Ok(Judged { note, cosignatures, met_at }) => {
                self.decide(note.size, met_at.map(ms));
                self.verdict.signatures.checkpoints += 1;
                self.verdict.signatures.cosignatures += cosignatures;
                let pin =
                    Pin { size: note.size, root: note.root, file: self.file.clone(), quoted: None };
                if let Some(time) = met_at.filter(|_| self.room > 0) {
                    self.heads.cosigned.push((note.size, time));
                }
                if self.room > 1 {
                    self.heads.pins.push(pin.clone());
                } else if self.room == 1 {
                    let why = format!("more than {PINS} checkpoints");
                    self.verdict.fault(Fault::new(FaultKind::Limit, &*self.file, why));
                }
                self.room = self.room.saturating_sub(1);
                Some(pin)
            }
            Err((kind, why)) => {
                self.verdict.fault(Fault::new(kind, &*self.file, why));
                None
            }
        }
    }

    /// Notes a kept checkpoint, when a draw may rest on it and on no smaller one.
    fn decide(&mut self, size: u64, met_ms: Option<i64>) {
        let Some(met_ms) = met_ms.filter(|met| self.after_ms.is_some_and(|after| *met >= after))
        else {
            return;
        };
        if self.heads.decides.is_none_or(|(known, _)| size < known) {
            self.heads.decides = Some((size, met_ms));
        }
    }

    /// Sorts, and finds two roots of one size.
    fn settle(&mut self) {
        let Heads { newest, pins, cosigned, .. } = &mut self.heads;
        pins.sort_by_key(|pin| (pin.size, pin.root));
        pins.dedup_by_key(|pin| (pin.size, pin.root));
        for pair in pins.windows(2) {
            if pair[0].size == pair[1].size {
                // The pack's own head is what the tree was built by: the other one stands out.
                let own = newest.as_ref().is_some_and(|newest| newest.root == pair[1].root);
                let (known, odd) = if own { (1, 0) } else { (0, 1) };
                let (size, known) = (pair[0].size, &pair[known].file);
                let why = format!("two trees of {size} leaves were signed, the other in `{known}`");
                self.verdict.fault(Fault::new(FaultKind::Fork, &*pair[odd].file, why));
            }
        }
        if let Some(newest) = newest {
            for pin in pins.iter().filter(|pin| pin.size > newest.size) {
                let why = format!("the log had {} leaves already, the pack ends before", pin.size);
                self.verdict.fault(Fault::new(FaultKind::Missing, &*pin.file, why));
            }
            pins.retain(|pin| pin.size < newest.size);
        }
        // Of one size the first quorum; times of larger trees are not earlier.
        cosigned.sort_unstable();
        cosigned.dedup_by_key(|(size, _)| *size);
        let mut least = u64::MAX;
        for (_, time) in cosigned.iter_mut().rev() {
            least = least.min(*time);
            *time = least;
        }
    }
}

/// Judges all checkpoints and tokens of a pack; returns those of each log.
pub fn gather<S: Source + ?Sized>(
    source: &S,
    index: &Index,
    policy: &Policy,
    options: &Options<'_>,
    verdict: &mut Verdict,
) -> Result<Vec<Heads>, ReadError> {
    let mut all = Vec::with_capacity(index.about.logs.len());
    let mut met = true;
    let mut room = PINS;
    for (log, about) in index.about.logs.iter().enumerate() {
        let origin = about.origin.as_str();
        let main = File::Checkpoint(log);
        if policy.keys_of(origin).is_empty() {
            let why = format!("the policy names no log `{}`", super::text::excerpt(origin));
            verdict.fault(Fault::new(FaultKind::UnknownLog, main.to_string(), why));
        }
        let mut gather = Gather {
            heads: Heads::default(),
            file: main.to_string().into(),
            verdict,
            room,
            after_ms: None,
        };
        if let Some(bytes) = index.file(source, &main)? {
            let judged = judge(&bytes, origin, policy);
            let lacking = matches!(&judged, Ok(Judged { met_at: None, .. }));
            if lacking && policy.wants_witnesses() {
                let why = "too few of the policy's witnesses cosigned it";
                gather.verdict.fault(Fault::new(FaultKind::Quorum, main.to_string(), why));
            }
            met &= judged.is_ok() && !(lacking && policy.wants_witnesses());
            gather.heads.newest = gather.take(judged);
        } else {
            met = false;
            let why = "the log has no checkpoint in the pack";
            gather.verdict.fault(Fault::new(FaultKind::Missing, main.to_string(), why));
        }
        for (file, _) in &index.files {
            match file {
                File::Cosigned(of, _) if *of == log => {
                    gather.file = file.to_string().into();
                    let bytes = index.file(source, file)?.unwrap_or_default();
                    gather.after_ms = options.drawn.map(|asked| asked.after_ms);
                    day(&mut gather, &bytes, origin, policy, options.workers);
                    gather.after_ms = None;
                }
                File::Stamped(of, size) if *of == log => {
                    gather.file = file.to_string().into();
                    let note = index.file(source, file)?.unwrap_or_default();
                    let pin = gather.take(judge(&note, origin, policy));
                    if pin.is_some_and(|pin| pin.size != *size) {
                        let why = "it is not of the size in its name";
                        let fault = Fault::new(FaultKind::Checkpoint, file.to_string(), why);
                        gather.verdict.fault(fault);
                    }
                    let token = index.file(source, &File::Token(log, *size))?;
                    let file = File::Token(log, *size).to_string();
                    stamp(gather.verdict, &note, token.as_deref(), file, options);
                }
                File::Token(of, size) if *of == log => {
                    let note = File::Stamped(log, *size);
                    if index.place(&note).is_none() {
                        let why = "the checkpoint that it stamps is not in the pack";
                        let fault = Fault::new(FaultKind::Missing, file.to_string(), why);
                        gather.verdict.fault(fault);
                    }
                }
                _ => {}
            }
        }
        room = gather.room;
        gather.settle();
        let heads = gather.heads;
        if let Some(newest) = &heads.newest {
            let (origin, root) = (origin.to_owned(), hash::text(&newest.root));
            verdict.logs.push(LogHead { origin, size: newest.size, root });
        }
        all.push(heads);
    }
    verdict.signatures.quorum_met = met;
    Ok(all)
}

/// Judges the checkpoints of a day on all cores.
fn day(gather: &mut Gather<'_>, bytes: &[u8], origin: &str, policy: &Policy, workers: usize) {
    let mut notes = split(bytes).peekable();
    let batches = std::iter::from_fn(|| {
        notes.peek()?;
        Some(notes.by_ref().take(BATCH).collect::<Vec<&[u8]>>())
    });
    let work = |batch: Vec<&[u8]>| -> Vec<_> {
        batch.into_iter().map(|note| judge(note, origin, policy)).collect()
    };
    pool::in_order(workers, batches, work, |judged: Vec<_>| {
        for judged in judged {
            gather.take(judged);
        }
        true
    });
}

fn stamp(
    verdict: &mut Verdict,
    note: &[u8],
    token: Option<&[u8]>,
    place: String,
    options: &Options<'_>,
) {
    match (token, options.tokens) {
        (None, _) => {
            verdict.fault(Fault::new(FaultKind::Missing, place, "its time stamp is not here"));
        }
        (Some(_), None) => {
            let note = "there are time stamps, and nobody was named to check them by";
            if !verdict.notes.iter().any(|known| known == note) {
                verdict.notes.push(note.to_owned());
            }
        }
        (Some(token), Some(judge)) => match judge.judge(token, note) {
            Ok(()) => verdict.signatures.tokens += 1,
            Err(why) => verdict.fault(Fault::new(FaultKind::Token, place, why)),
        },
    }
}
