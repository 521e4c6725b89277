//! Ends plays and pages, by order, by the clock or by what the device said.

use super::event::{Action, EndedBy, Why};
use super::running::{Running, StartBy, Subject};
use super::{Device, Quiet};
use crate::dialect::field::Verb;
use crate::dialect::frame::Frame;
use crate::dialect::model::{Ends, Means};

impl Device {
    /// Ends what runs, exactly once: [`Action::Ended`] when it began, [`Action::Failed`] when not.
    pub(super) fn end(&mut self, by: EndedBy, why: Why, quiet: Quiet, out: &mut Vec<Action>) {
        let Some(running) = self.running.take() else { return };
        let token = running.token;
        self.outbox.drop_starts(token);
        self.orphan(token);
        if running.sounding {
            out.push(Action::Silence { token });
        }
        // Nothing left: nothing has to be taken back.
        if running.first_left_ms.is_some() {
            let verbs: &[Verb] = match (running.plays, quiet) {
                (true, Quiet::Send) => &[Verb::Stop, Verb::After],
                (true, Quiet::After) => &[Verb::After],
                (false, Quiet::Send) => &[Verb::Clear],
                (false, Quiet::After) => &[],
            };
            for verb in verbs {
                self.tell(*verb, running.subject.clone());
            }
            if !running.plays && quiet == Quiet::Send {
                self.darken(out);
            }
        }
        match running.began_ms {
            Some(began) => {
                let passed_ms = self.now.saturating_sub(began);
                // Nobody said that it went on beyond its length.
                let reckoned = matches!(by, EndedBy::Reckoned | EndedBy::Time);
                let most = if reckoned { running.length_ms } else { i64::MAX };
                let played_ms = passed_ms.min(most);
                let grade = self.final_grade(&running, by, played_ms);
                out.push(Action::Ended { token, played_ms, by, grade });
            }
            None => out.push(Action::Failed { token, why, grade: running.grade }),
        }
    }

    /// A start and an end that lie as far apart as planned prove together what neither does alone.
    fn final_grade(&self, running: &Running, by: EndedBy, played_ms: i64) -> u8 {
        let off = played_ms.saturating_sub(running.length_ms).saturating_abs();
        let both = running.heard_start && by == EndedBy::Device && running.plays;
        if both && off <= self.dialect.timing.tolerance_ms {
            running.grade.max(2)
        } else {
            running.grade
        }
    }

    /// Says when the clock ends what began: a device that says so itself gets a little longer.
    pub(super) fn over_ms(&self, running: &Running) -> i64 {
        if !self.waits_for_device(running) {
            return running.over_ms();
        }
        let began = running.began_ms.unwrap_or(self.now);
        let length = running.length_ms.saturating_add(self.dialect.timing.tolerance_ms);
        began.saturating_add(length).min(running.end_ms)
    }

    fn waits_for_device(&self, running: &Running) -> bool {
        let tells = self.dialect.tells(Means::Finished) || running.start_by == StartBy::Sink;
        running.plays && tells && self.dialect.timing.ends == Ends::Device
    }

    /// Ends what time has run out for.
    pub(super) fn expire_running(&mut self, out: &mut Vec<Action>) {
        let Some(running) = &self.running else { return };
        let now = self.now;
        if running.began_ms.is_none() {
            if now >= running.end_ms {
                self.end(EndedBy::Time, Why::NoStart, Quiet::Send, out);
            } else if now >= running.start_until_ms {
                let why = if running.unanswered > 0 { Why::NoAnswer } else { Why::NoStart };
                self.end(EndedBy::Time, why, Quiet::Send, out);
            }
            return;
        }
        if now >= self.over_ms(running) {
            let by = if now >= running.end_ms { EndedBy::Time } else { EndedBy::Reckoned };
            // The device was to end it and did not say so, or we are to end it.
            let ours = self.dialect.timing.ends == Ends::Scheduler;
            let cut = by == EndedBy::Time && running.over_ms() < self.natural_end(running);
            let quiet = running.plays && (ours || cut || self.waits_for_device(running));
            self.end(by, Why::NoStart, if quiet { Quiet::Send } else { Quiet::After }, out);
            return;
        }
        if running.probe_ms.is_some_and(|at| now >= at) {
            if let Some(running) = &mut self.running {
                running.probe_ms = None;
            }
            self.tell(Verb::Probe, Subject::default());
        }
    }

    fn natural_end(&self, running: &Running) -> i64 {
        running.began_ms.unwrap_or(self.now).saturating_add(running.length_ms)
    }

    /// Empties the board.
    pub(super) fn clear(&mut self, out: &mut Vec<Action>) {
        if self.running.as_ref().is_some_and(|running| !running.plays) {
            self.end(EndedBy::Halted, Why::Halted, Quiet::After, out);
        }
        self.darken(out);
        self.tell(Verb::Clear, Subject::default());
    }

    /// Ends the picture that stands.
    fn darken(&mut self, out: &mut Vec<Action>) {
        if let (Some((frame, _)), Some(packer)) = (self.standing.take(), &mut self.packer) {
            let dark = Frame::dark(frame.width(), frame.height());
            out.push(Action::Datagrams { packets: packer.packets(&dark) });
        }
    }
}
