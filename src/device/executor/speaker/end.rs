//! How plays end, and what is then on record.

use super::run::{Run, Sounding};
use super::{Ended, PlayFault, RETRY_MS, SILENT_MS, STEP_MS, Speaker};
use crate::device::executor::{Action, Moment, World};
use crate::domain::proof::record::{Body, Play, Said};
use crate::domain::time::UtcMs;

impl Speaker {
    #[expect(clippy::too_many_arguments, reason = "what the player says of one end")]
    pub fn ended(
        &mut self,
        world: &mut World,
        now: Moment,
        token: u64,
        at: UtcMs,
        played_ms: i64,
        by: Ended,
        out: &mut Vec<Action>,
    ) {
        if self.errand.as_ref().is_some_and(|trial| trial.token == token) {
            return self.end_errand(played_ms, out);
        }
        if self.call.as_ref().is_some_and(|call| call.token == token) {
            return self.end_call(world, now, at, played_ms, by, out);
        }
        let Some(index) = self.runs.iter().position(|run| run.token == token) else { return };
        let run = self.runs.remove(index);
        let played_ms = played_ms.max(0);
        let cue = run.cue.id;
        if run.sounding.is_none() && played_ms == 0 {
            if run.cut.is_none() && by == Ended::Output {
                world.traces.block(cue, "output");
            }
            if run.last {
                world.traces.end(cue);
            }
            return;
        }
        let cause = match (run.cut, by) {
            (Some(cut), _) => cut.cause,
            (None, Ended::Output) => "output",
            (None, Ended::Damaged) => "damaged",
            // The next cue takes the output at the instant at which this one is over.
            (None, Ended::Replaced) if at < run.order.end.plus(-100) => "overlap",
            (None, Ended::Halted) => "stop",
            (None, Ended::Time | Ended::Replaced) if run.quiet_end => "quiet",
            (None, _) if run.fallback => "fallback",
            (None, Ended::Time | Ended::Clip | Ended::Replaced) => "end",
        };
        let started = run.sounding.map_or(at.plus(-played_ms), |s| s.at);
        let offset = run.sounding.map_or(run.order.offset_ms, |s| s.offset_ms);
        // Samples were counted, the clock may have been set meanwhile: a play never ends before
        // it began.
        let by_clock = at.since(started);
        let stepped = by_clock.saturating_sub(played_ms).saturating_abs() > STEP_MS;
        let at = if stepped { started.plus(played_ms) } else { at };
        world.traces.promise(cue, offset.saturating_add(played_ms));
        let play = run.record(
            &world.traces.of(&cue),
            started,
            at,
            played_ms,
            cause,
            self.grade_of(token),
            self.method,
        );
        world.traces.add_play(cue, &play);
        if run.last {
            world.traces.end(cue);
        }
        out.push(Action::record(Body::Play(play)));
    }

    pub fn failed(
        &mut self,
        world: &mut World,
        now: Moment,
        token: u64,
        why: PlayFault,
        out: &mut Vec<Action>,
    ) {
        if self.errand.as_ref().is_some_and(|trial| trial.token == token) {
            return self.end_errand(0, out);
        }
        if self.call.as_ref().is_some_and(|call| call.token == token) {
            return self.fail_call(world, now, why, out);
        }
        let Some(index) = self.runs.iter().position(|run| run.token == token) else { return };
        let run = self.runs.remove(index);
        if run.sounding.is_some() {
            // A player that fails after it began says `Ended`; take its word for the worst.
            let since = run.sounding.map_or(0, |s| now.mono_ms.saturating_sub(s.mono_ms));
            self.runs.push(run);
            return self.ended(world, now, token, now.utc, since, Ended::Output, out);
        }
        let cue = run.cue.id;
        match why {
            PlayFault::Damaged => {
                world.traces.block(cue, "damaged");
                world.book.lose_asset(&run.asset);
                out.push(Action::Suspect(run.asset));
            }
            PlayFault::Late => {
                world.traces.block(cue, "late");
                world.traces.retry_at(cue, now.mono_ms.saturating_add(RETRY_MS));
            }
            PlayFault::Output => {
                world.traces.block(cue, "output");
                world.traces.retry_at(cue, now.mono_ms.saturating_add(RETRY_MS));
            }
        }
    }

    /// Closes plays whose end the player never said; what is claimed then is the clock's word.
    pub(super) fn give_up_on_silence(
        &mut self,
        world: &mut World,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        if self
            .errand
            .as_ref()
            .is_some_and(|t| now.mono_ms.saturating_sub(t.since_mono) > SILENT_MS)
        {
            self.end_errand(0, out);
        }
        let silent = |run: &Run| {
            let cut = run.cut.is_some_and(|c| now.mono_ms.saturating_sub(c.mono_ms) > SILENT_MS);
            // By the clock that never steps: one that was set ahead does not silence a player.
            let overdue = |s: &Sounding| {
                let due_ms = run.order.end.since(s.at).max(0);
                now.mono_ms.saturating_sub(s.mono_ms) > due_ms.saturating_add(2 * SILENT_MS)
            };
            cut || run.sounding.as_ref().is_some_and(overdue)
        };
        while let Some(index) = self.runs.iter().position(silent) {
            let run = self.runs.remove(index);
            let cue = run.cue.id;
            let Some(sounding) = run.sounding else {
                world.traces.block(cue, "output");
                continue;
            };
            // Until it was told to end, or as long as it was to sound.
            let until = run.cut.map_or(now.mono_ms, |cut| cut.mono_ms);
            let due_ms = run.order.end.since(sounding.at).max(0);
            let length = until.saturating_sub(sounding.mono_ms).clamp(0, due_ms);
            let end = sounding.at.plus(length);
            let grade = self.grade_of(run.token).min(2);
            let trace = world.traces.of(&cue);
            let play = run.record(&trace, sounding.at, end, length, "output", grade, "clock");
            let play = Play { outcome: Said::Partial, ..play };
            world.traces.promise(cue, sounding.position(now));
            world.traces.add_play(cue, &play);
            out.push(Action::record(Body::Play(play)));
        }
    }
}
