//! Lets messages leave, and repeats pictures that stand.

use super::answers::Awaited;
use super::event::{Action, Body};
use super::evidence::Told;
use super::outbox::{Parcel, Wire};
use super::running::StartBy;
use super::{Device, MOST_AT_ONCE};
use crate::dialect::field::Verb;

impl Device {
    /// Says whether the next message may leave, as far as the line and awaited answers go. What
    /// ends something waits for nothing but what ends something: a hung request holds up no stop.
    pub(super) fn may_send(&self) -> bool {
        let Some(next) = self.outbox.next() else { return false };
        let mut waits = self.awaited.iter().filter(|a| !next.ends() || a.parcel.ends());
        let turn = !self.one_by_one() || waits.next().is_none();
        self.linked && turn && !self.awaits_before_sound(next)
    }

    /// Says whether the next message is our own sound, while what must come before it (the
    /// amplifier) was not answered: sound into a dead amplifier would be counted as played.
    fn awaits_before_sound(&self, next: &Parcel) -> bool {
        let unanswered = self.running.as_ref().is_some_and(|running| running.unanswered > 0);
        unanswered && next.wire == Wire::Sound
    }

    /// Lets leave what may.
    pub(super) fn flush(&mut self, out: &mut Vec<Action>) {
        for _ in 0..MOST_AT_ONCE {
            if !self.may_send() {
                return;
            }
            let Some(parcel) = self.outbox.take(self.now) else { return };
            self.leave(parcel, out);
        }
    }

    fn leave(&mut self, parcel: Parcel, out: &mut Vec<Action>) {
        let (source, bytes): (&str, &[u8]) = match &parcel.wire {
            Wire::Publish { topic, payload, .. } => (topic, payload),
            Wire::Http { url, body, .. } => (url, body.as_ref().map_or(&[], |(b, _)| b)),
            Wire::Line { bytes } => ("line", bytes),
            Wire::Pixels => ("pixels", &[]),
            Wire::Sound => ("sink", &[]),
        };
        let frame = self.running.as_ref().and_then(|running| running.subject.frame.clone());
        if let Some(token) = parcel.starts {
            let stripped = self.running.as_ref().is_some_and(|running| running.stripped);
            let what = if stripped { Told::SentStripped } else { Told::Sent };
            let bytes = match (&parcel.wire, &frame) {
                (Wire::Pixels, Some(frame)) => frame.rgb(),
                _ => bytes,
            };
            self.keep(what, source, bytes, Vec::new(), out);
            // The stop of a play before, repeated now, would silence this one.
            self.never_again(&[Verb::Stop, Verb::After, Verb::Clear]);
            if let Some(running) = self.running.as_mut().filter(|r| r.token == token) {
                running.first_left_ms.get_or_insert(self.now);
            }
        }
        match &parcel.wire {
            Wire::Publish { topic, payload, qos, retain } => out.push(Action::Publish {
                topic: topic.clone(),
                payload: payload.clone(),
                qos: *qos,
                retain: *retain,
            }),
            Wire::Http { method, url, body } => out.push(Action::Http {
                request: parcel.id.unwrap_or(0),
                method: *method,
                url: url.clone(),
                body: body.clone().map(|(bytes, content_type)| Body { content_type, bytes }),
                within_ms: self.dialect.timing.answer_ms,
            }),
            Wire::Line { bytes } => out.push(Action::Line { bytes: bytes.clone() }),
            Wire::Pixels => {
                if let (Some(frame), Some(packer)) = (frame, &mut self.packer) {
                    out.push(Action::Datagrams { packets: packer.packets(&frame) });
                    let refresh = self.dialect.timing.refresh_ms;
                    let again = refresh.map_or(i64::MAX, |ms| self.now.saturating_add(ms));
                    self.standing = Some((frame, again));
                }
            }
            Wire::Sound => self.sound(out),
        }
        let (starts, verb) = (parcel.starts, parcel.verb);
        if verb == Verb::ShowText {
            self.standing = None;
        }
        if parcel.id.is_some() {
            let until_ms = self.now.saturating_add(self.dialect.timing.answer_ms);
            self.awaited.push_back(Awaited { parcel, until_ms });
        }
        let leaving = self.running.as_ref().is_some_and(|running| {
            running.start_by == StartBy::Leaving && starts == Some(running.token)
        });
        if leaving && starts.is_some_and(|token| !self.outbox.starts(token)) {
            self.began(out);
        }
    }

    fn sound(&mut self, out: &mut Vec<Action>) {
        let Some(running) = &mut self.running else { return };
        let sha256 = running.subject.sha256.as_deref().and_then(|hex| hex.parse().ok());
        if let Some(sha256) = sha256 {
            running.sounding = true;
            let volume = running.subject.volume.unwrap_or(100);
            let (token, length_ms) = (running.token, running.length_ms);
            out.push(Action::Sound { token, sha256, volume, length_ms });
        }
    }

    /// Sends the picture that stands once more.
    pub(super) fn refresh(&mut self, out: &mut Vec<Action>) {
        let Some(every) = self.dialect.timing.refresh_ms else { return };
        let (Some((frame, again)), Some(packer)) = (&mut self.standing, &mut self.packer) else {
            return;
        };
        if self.now >= *again {
            *again = self.now.saturating_add(every);
            out.push(Action::Datagrams { packets: packer.packets(frame) });
        }
    }

    /// The play or page began.
    pub(super) fn began(&mut self, out: &mut Vec<Action>) {
        let now = self.now;
        let probe = self.dialect.timing.probe_ms;
        let Some(running) = self.running.as_mut().filter(|r| r.began_ms.is_none()) else { return };
        running.began_ms = Some(now);
        running.probe_ms = probe.map(|ms| now.saturating_add(ms));
        let (token, grade) = (running.token, running.grade);
        out.push(Action::Started { token, at_ms: now, grade });
    }
}
