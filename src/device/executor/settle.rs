//! The word on every cue whose time is over, and the clock by which it is.

use super::board::Board;
use super::speaker::Speaker;
use super::{Action, Executor, Machine, Moment, Time};

impl Executor {
    /// Follows a clock that was set back; while time is unknown nothing is settled.
    pub(super) fn watch_clock(&mut self, now: Moment) {
        if self.world.time == Time::Unknown {
            return;
        }
        match self.settled {
            None => self.settled = Some(now.utc.plus(self.boot_mono.saturating_sub(now.mono_ms))),
            Some(settled) if now.utc < settled => self.settled = Some(now.utc),
            Some(_) => {}
        }
    }

    /// Gives every cue whose time is over its record.
    pub(super) fn settle(&mut self, now: Moment, out: &mut Vec<Action>) {
        let Some(settled) = self.settled else { return };
        if self.world.time == Time::Unknown || (now.utc <= settled && self.unsettled.is_empty()) {
            return;
        }
        let boot_utc = now.utc.plus(self.boot_mono.saturating_sub(now.mono_ms));
        let mut over = std::mem::take(&mut self.unsettled);
        over.retain(|(cue, ..)| cue.end_ms <= settled);
        over.extend(self.world.book.ended_between(settled, now));
        for (cue, sheet, known) in over {
            let running = match &self.machine {
                Machine::Speaker(speaker) => speaker.runs(&cue.id),
                Machine::Board(board) => board.runs(&cue.id),
            };
            if running {
                // Its output still has to say what came of it, if anything did.
                self.unsettled.push((cue, sheet, known));
                continue;
            }
            let trace = self.world.traces.of(&cue.id);
            if trace.records > 0 {
                continue;
            }
            let absent = self.world.traces.absent.is_some_and(|(alive, _)| {
                cue.end_ms <= boot_utc && alive.is_some_and(|alive| cue.end_ms > alive)
            });
            let cause = match (absent, trace.blocked) {
                (true, _) if self.world.traces.absent.is_some_and(|(_, unclean)| unclean) => {
                    "power"
                }
                (true, _) => "off",
                (false, Some(cause)) => cause,
                (false, None) if !known => continue,
                (false, None) => "clock",
            };
            let body = match &self.machine {
                Machine::Speaker(_) => Speaker::nothing(&self.world, &cue, sheet, cause),
                Machine::Board(_) => Board::nothing(&self.world, &cue, sheet, cause),
            };
            self.world.traces.close(cue.id, cause != "clock");
            out.push(Action::record(body));
            self.dirty = true;
        }
        self.settled = Some(now.utc);
        self.world.traces.look(now.utc);
    }
}
