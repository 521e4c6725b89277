//! One sounding of an urgent notice, from its order to its record.
//!
//! It begins with the clip's first sample however late it is, passes spans, floor, hold and cap,
//! and once begun is ended by nothing but its withdrawal, a failure, or the program.

use super::run::{Cut, Sounding};
use super::{Ended, PlayFault, PlayOrder, RETRY_MS, SILENT_MS, Speaker};
use crate::device::executor::journal::OpenPlay;
use crate::device::executor::world::Why;
use crate::device::executor::{Action, LEASE_MS, Moment, World};
use crate::domain::ids::Digest;
use crate::domain::proof::record::{Body, Play, Said, Subject};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::AssetEntry;

/// How long before its first sample a call is ordered: decoding must be ahead of it.
const CALL_LEAD_MS: i64 = 300;
/// A cue that does not end by itself is replaced after this time.
const STUCK_MS: i64 = 2_000;
/// The player ends a call with its clip; its end is only for a clip longer than it says.
const SPARE_MS: i64 = 60_000;
/// Fade of a withdrawn notice.
const FADE_MS: i64 = 200;

/// One repeat of a notice under way.
#[derive(Debug)]
pub(super) struct Call {
    pub token: u64,
    jti: String,
    n: u32,
    due: UtcMs,
    asset: Digest,
    entry: AssetEntry,
    order: PlayOrder,
    sounding: Option<Sounding>,
    ordered_mono: i64,
    cut: Option<Cut>,
}

impl Speaker {
    /// Says whether a notice sounds or is about to.
    pub fn calls(&self, jti: &str) -> bool {
        self.call.as_ref().is_some_and(|call| call.jti == jti)
    }

    /// The notice to which cues give way now.
    pub(super) fn urgent(&self, world: &World, now: Moment) -> Option<Why> {
        let held = |asset: &Digest| world.book.holds(asset);
        let sounding = self.call.as_ref().map(|call| call.jti.as_str());
        let jti = sounding.or_else(|| world.notices.keeps_output(now, world.time, held))?;
        Some(Why { cause: "pre-empted", by: jti.to_owned() })
    }

    /// Orders the repeat that is due longest, once the output is free.
    pub(super) fn begin_call(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        let ends = |cut: &Cut| now.mono_ms.saturating_sub(cut.mono_ms) < STUCK_MS;
        let busy = self.runs.iter().any(|run| run.cut.as_ref().is_none_or(ends));
        if self.call.is_some() || self.errand.is_some() || busy {
            return;
        }
        let held = |asset: &Digest| world.book.holds(asset);
        let Some(track) = world.notices.due(now, world.time, held) else { return };
        let (jti, volume) = (track.notice.jti.clone(), track.notice.volume.min(100));
        let Some((asset, entry)) = track.notice.asset.clone() else { return };
        let Some((n, due)) = world.notices.begin(&jti) else { return };
        let token = world.token();
        let at = now.utc.plus(CALL_LEAD_MS);
        let end = at.plus(entry.ms.max(0)).plus(SPARE_MS);
        let order = PlayOrder {
            token,
            asset,
            at,
            offset_ms: 0,
            clip_ms: entry.ms.max(0),
            end,
            gain_cb: entry.gain_cb,
            volume,
            fade_ms: 0,
        };
        out.push(Action::Play(order.clone()));
        self.call = Some(Box::new(Call {
            token,
            jti,
            n,
            due,
            asset,
            entry,
            order,
            sounding: None,
            ordered_mono: now.mono_ms,
            cut: None,
        }));
    }

    pub(super) fn call_started(&mut self, now: Moment, at: UtcMs, out: &mut Vec<Action>) {
        let Some(call) = self.call.as_mut().filter(|call| call.sounding.is_none()) else { return };
        call.sounding = Some(Sounding { at, offset_ms: 0, mono_ms: now.mono_ms });
        let subject = Subject::Notice { jti: call.jti.clone() };
        out.push(Action::record(Body::Start { subject, n: call.n, started_ms: at }));
    }

    /// Ends what was withdrawn, and gives up on a player that says nothing.
    pub(super) fn follow_call(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        let Some(call) = &mut self.call else { return };
        if call.cut.is_none() {
            let withdrawn = world.notices.is_withdrawn(&call.jti);
            if withdrawn || world.stopping {
                let cause = if withdrawn { "withdrawn" } else { "off" };
                call.cut = Some(Cut { cause, mono_ms: now.mono_ms });
                out.push(Action::Halt { token: call.token, fade_ms: FADE_MS });
            }
        }
        let since = call.sounding.map_or(call.ordered_mono, |s| s.mono_ms);
        let limit = call.entry.ms.max(0).saturating_add(SPARE_MS + SILENT_MS);
        let cut = call.cut.as_ref().is_some_and(|c| now.mono_ms - c.mono_ms > SILENT_MS);
        if cut || now.mono_ms.saturating_sub(since) > limit {
            let played_ms = call.sounding.map_or(0, |s| s.position(now).min(call.entry.ms));
            self.end_call(world, now, now.utc, played_ms, Ended::Output, out);
        }
    }

    pub(super) fn end_call(
        &mut self,
        world: &mut World,
        now: Moment,
        at: UtcMs,
        played_ms: i64,
        by: Ended,
        out: &mut Vec<Action>,
    ) {
        let Some(call) = self.call.take() else { return };
        let played_ms = played_ms.max(0);
        if call.sounding.is_none() && played_ms == 0 {
            // Nothing sounded: the repeat is not spent.
            return world.notices.give_back(&call.jti, now.mono_ms.saturating_add(RETRY_MS));
        }
        let cause = match (&call.cut, by) {
            (Some(cut), _) => cut.cause,
            (None, Ended::Clip) => "end",
            (None, Ended::Damaged) => "damaged",
            (None, Ended::Time) => "clock",
            (None, Ended::Halted) => "stop",
            (None, Ended::Output | Ended::Replaced) => "output",
        };
        let started = call.sounding.map_or(at.plus(-played_ms), |s| s.at);
        // Samples were counted, the clock may have been set meanwhile.
        let stepped = at.since(started).saturating_sub(played_ms).saturating_abs() > super::STEP_MS;
        let ended = if stepped { started.plus(played_ms) } else { at };
        let grade = self.grade_of(call.token);
        let play = call.record(started, ended, played_ms, cause, grade, self.method);
        out.push(Action::record(Body::Play(play)));
        world.notices.ended(&call.jti, now);
    }

    pub(super) fn fail_call(
        &mut self,
        world: &mut World,
        now: Moment,
        why: PlayFault,
        out: &mut Vec<Action>,
    ) {
        let Some(call) = &self.call else { return };
        if call.sounding.is_some() {
            let played_ms = call.sounding.map_or(0, |s| s.position(now));
            return self.end_call(world, now, now.utc, played_ms, Ended::Output, out);
        }
        let (jti, asset) = (call.jti.clone(), call.asset);
        self.call = None;
        world.notices.give_back(&jti, now.mono_ms.saturating_add(RETRY_MS));
        match why {
            PlayFault::Damaged => {
                world.book.lose_asset(&asset);
                out.push(Action::Suspect(asset));
                out.extend(world.notices.damaged(&jti).map(Action::record));
            }
            PlayFault::Output => {
                out.extend(world.notices.unheard(&jti, now).map(Action::record));
            }
            PlayFault::Late => {}
        }
    }
}

impl Call {
    fn record(
        &self,
        started: UtcMs,
        ended: UtcMs,
        played_ms: i64,
        cause: &str,
        grade: u8,
        method: &str,
    ) -> Play {
        let due_len_ms = self.entry.ms.max(0);
        let whole = played_ms.saturating_mul(100) >= due_len_ms.saturating_mul(98);
        Play {
            subject: Subject::Notice { jti: self.jti.clone() },
            n: self.n,
            sheet: None,
            item: "urgent".to_owned(),
            asset: Some(self.asset),
            title: self.entry.title.clone(),
            lufs_cb: Some(self.entry.lufs_cb),
            gain_cb: Some(self.entry.gain_cb),
            due_ms: self.due,
            due_len_ms,
            started_ms: Some(started),
            ended_ms: Some(ended),
            played_ms,
            outcome: if whole { Said::Played } else { Said::Partial },
            cause: cause.to_owned(),
            by: None,
            volume: self.order.volume,
            skew_ms: Some(started.since(self.order.at)),
            grade,
            method: method.to_owned(),
            score_permille: None,
        }
    }

    pub fn open(&self, now: Moment, grade: u8, method: &str) -> OpenPlay {
        let started = self.sounding.map_or(self.order.at, |s| s.at);
        OpenPlay {
            started: self.sounding.map(|s| s.at),
            reach_ms: LEASE_MS,
            known_ms: self.sounding.map_or(0, |s| s.position(now)),
            draft: self.record(started, started, 0, "power", grade.min(2), method),
        }
    }
}
