//! The loudspeaker: which cue sounds, from which offset, until when and how loud.

mod call;
mod end;
mod errand;
mod run;
mod start;

use super::journal::OpenPlay;
use super::trace::Trace;
use super::world::Why;
use super::{Action, LEASE_MS, Moment, World};
use crate::domain::ids::{CueId, Digest};
use crate::domain::proof::record::{Body, Subject};
use crate::domain::time::UtcMs;
use call::Call;
use errand::Trial;
use run::{Run, Sounding};
use std::collections::BTreeMap;

/// A failed output is tried again after this time.
const RETRY_MS: i64 = 5_000;
/// A fall-back is chosen so long before the start, if the clip is not there by then.
const FALLBACK_MS: i64 = 500;
/// A play whose end does not come is closed without the player after this time.
const SILENT_MS: i64 = 15_000;
/// Where the clock and the count of samples differ by more, the clock was set.
const STEP_MS: i64 = 2_000;

/// What the player is ordered to do. The clip's sample at `offset_ms` sounds at `at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayOrder {
    /// Stands in every event about it.
    pub token: u64,
    /// Which verified asset.
    pub asset: Digest,
    /// When the sample at `offset_ms` sounds; may have passed: then it is joined.
    pub at: UtcMs,
    /// Where in the clip.
    pub offset_ms: i64,
    /// How long the whole clip is.
    pub clip_ms: i64,
    /// When sound ends at the latest.
    pub end: UtcMs,
    /// Gain of the clip.
    pub gain_cb: i64,
    /// 0-100, the cap applied.
    pub volume: u8,
    /// Fade out before `end`, where the clip is longer.
    pub fade_ms: i64,
}

/// Why a play ended, as the player says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The clip was over.
    Clip,
    /// `end` was reached.
    Time,
    /// It was halted.
    Halted,
    /// Another order took the output.
    Replaced,
    /// The output failed.
    Output,
    /// The clip could not be decoded further.
    Damaged,
}

/// Why nothing sounded, as the player says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayFault {
    /// The clip cannot be decoded.
    Damaged,
    /// It was over before it could start.
    Late,
    /// The output does not take sound.
    Output,
}

/// The machine of a loudspeaker. At most one run sounds; the next may wait behind it.
#[derive(Debug)]
pub(crate) struct Speaker {
    grade: u8,
    method: &'static str,
    /// What the output says of single plays, the newest.
    graded: BTreeMap<u64, u8>,
    runs: Vec<Run>,
    errand: Option<Trial>,
    call: Option<Box<Call>>,
}

/// Plays whose own grades are remembered; at most three are under way at a time.
const GRADED: usize = 16;

impl Speaker {
    pub fn new(grade: u8, method: &'static str) -> Self {
        let graded = BTreeMap::new();
        Self { grade, method, graded, runs: Vec::new(), errand: None, call: None }
    }

    /// Returns the grade that outputs of this kind deserve.
    pub fn grade(&self) -> u8 {
        self.grade
    }

    /// Takes note of what the output can prove of a play.
    pub fn graded(&mut self, token: u64, grade: u8) {
        self.graded.insert(token, grade);
        if self.graded.len() > GRADED {
            self.graded.pop_first();
        }
    }

    fn grade_of(&self, token: u64) -> u8 {
        self.graded.get(&token).copied().unwrap_or(self.grade)
    }

    pub fn is_idle(&self) -> bool {
        self.is_silent() && self.call.is_none()
    }

    /// Says whether nothing sounds but a notice.
    pub fn is_silent(&self) -> bool {
        self.runs.is_empty() && self.errand.is_none()
    }

    pub fn runs(&self, cue: &CueId) -> bool {
        self.runs.iter().any(|run| run.cue.id == *cue)
    }

    pub fn advance(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        self.give_up_on_silence(world, now, out);
        self.follow_call(world, now, out);
        let held = world.held(now);
        let urgent = self.urgent(world, now);
        if let Some(why) = held.as_ref().or(urgent.as_ref()) {
            self.make_way(why, now, out);
        }
        for run in &mut self.runs {
            run.follow(world, now, out);
        }
        self.keep_apart(now, out);
        if world.stopping {
            return;
        }
        self.begin_call(world, now, out);
        match (held, urgent) {
            (Some(why), _) => Self::refuse_due(&self.runs, world, now, &why, out),
            (None, Some(why)) => self.put_off_due(world, now, &why),
            (None, None) => self.start_due(world, now, out),
        }
    }

    /// Ends cues and errands before their time.
    fn make_way(&mut self, why: &Why, now: Moment, out: &mut Vec<Action>) {
        for run in self.runs.iter_mut().filter(|run| run.cut.is_none()) {
            run.give_way(why, now, out);
        }
        self.cut_errand(out);
    }

    pub fn started(&mut self, now: Moment, token: u64, at: UtcMs, out: &mut Vec<Action>) {
        if self.call.as_ref().is_some_and(|call| call.token == token) {
            return self.call_started(now, at, out);
        }
        let Some(run) = self.runs.iter_mut().find(|run| run.token == token) else { return };
        if run.sounding.is_some() {
            return;
        }
        let offset_ms = at.since(run.base).max(run.order.offset_ms);
        run.sounding = Some(Sounding { at, offset_ms, mono_ms: now.mono_ms });
        run.reach_ms = run.reach_ms.max(offset_ms.saturating_add(LEASE_MS));
        let subject = Subject::Cue { cue: run.cue.id };
        out.push(Action::record(Body::Start { subject, n: 1, started_ms: at }));
    }

    /// Ends what sounds for good.
    pub fn stop_now(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) -> String {
        let mut stopped = false;
        for run in self.runs.iter_mut().filter(|r| r.sounding.is_some() && r.cut.is_none()) {
            run.last = true;
            run.halt("stop", now, out);
            stopped = true;
        }
        // A cue that is due but waits for its clip must not begin after the command either.
        let waiting: Vec<_> =
            world.book.due(now.utc, 0).iter().map(|p| (p.cue.clone(), p.name)).collect();
        for (cue, sheet) in waiting {
            let trace = world.traces.of(&cue.id);
            if !self.runs(&cue.id) && trace.records == 0 {
                out.push(Action::record(Self::nothing(world, &cue, sheet, "stop")));
            }
            if !self.runs(&cue.id) && !trace.closed {
                world.traces.close(cue.id, true);
            }
        }
        if stopped { "done".to_owned() } else { "nothing plays".to_owned() }
    }

    pub fn set_volume(&mut self, world: &World, volume: u8, out: &mut Vec<Action>) -> String {
        let volume = volume.min(world.book.volume_cap());
        let mut set = false;
        for run in self.runs.iter_mut().filter(|r| r.sounding.is_some() && r.cut.is_none()) {
            run.volume_set = Some(volume);
            run.amend(volume, run.order.end, out);
            set = true;
        }
        if set { "done".to_owned() } else { "nothing plays".to_owned() }
    }

    /// Promises further ahead where a clip comes near what was promised; says whether it did.
    pub fn renew(&mut self, now: Moment) -> bool {
        let mut renewed = false;
        for run in &mut self.runs {
            let Some(sounding) = run.sounding else { continue };
            let position = sounding.position(now);
            if position.saturating_add(LEASE_MS / 3) > run.reach_ms {
                run.reach_ms = position.saturating_add(LEASE_MS);
                renewed = true;
            }
        }
        renewed
    }

    pub fn open(&self, now: Moment) -> Vec<OpenPlay> {
        let open = |run: &Run| OpenPlay {
            started: run.sounding.map(|s| s.at),
            reach_ms: run.reach_ms,
            known_ms: run.sounding.map_or(0, |s| now.mono_ms.saturating_sub(s.mono_ms).max(0)),
            draft: {
                let started = run.sounding.map_or(run.order.at, |s| s.at);
                let grade = self.grade_of(run.token).min(2);
                run.record(&Trace::default(), started, started, 0, "power", grade, "clock")
            },
        };
        let graded = |call: &Call| call.open(now, self.grade_of(call.token), self.method);
        let calls = self.call.iter().map(|call| graded(call));
        self.runs.iter().map(open).chain(calls).collect()
    }

    /// Takes back what waits behind a play that now ends later.
    fn keep_apart(&mut self, now: Moment, out: &mut Vec<Action>) {
        let busy_until =
            self.runs.iter().filter(|r| r.sounding.is_some()).map(|r| r.order.end).max();
        let Some(busy_until) = busy_until else { return };
        for run in self.runs.iter_mut().filter(|r| r.sounding.is_none() && r.cut.is_none()) {
            if run.order.at < busy_until {
                run.halt("overlap", now, out);
            }
        }
    }
}
