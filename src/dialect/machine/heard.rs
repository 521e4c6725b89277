//! What the device says of itself: presence, firmware, and events by the rules of the profile.

use super::event::{Action, EndedBy, Present, SinkSays, Why};
use super::evidence::{Evidence, MOST_PIECES, Told};
use super::running::StartBy;
use super::{Device, Quiet};
use crate::dialect::matching::Heard;
use crate::dialect::model::{EventRule, Means, Source};
use crate::dialect::render::Values;

impl Device {
    /// A message came on a topic.
    pub(super) fn message(
        &mut self,
        topic: &str,
        payload: &[u8],
        retained: bool,
        out: &mut Vec<Action>,
    ) {
        let names: Vec<String> =
            self.topics.iter().filter(|(_, t)| *t == topic).map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return; // not ours
        }
        let heard = Heard::new(payload);
        let dialect = self.dialect.clone();
        let presence = dialect.presence.as_ref();
        let told = presence.filter(|p| p.topic.as_ref().is_some_and(|topic| names.contains(topic)));
        // A kept word of a device that keeps none is somebody else's, or of long ago.
        if let Some(presence) = told.filter(|presence| presence.retained || !retained) {
            let word = heard.word(presence.at.as_ref()).unwrap_or_default();
            if presence.online.contains(&word) {
                self.heard_ms = Some(self.now);
                self.be(Present::Online, out);
            } else if presence.offline.contains(&word) {
                self.be(Present::Offline, out);
            }
        } else if !retained {
            self.noticed(out);
        }
        for name in &names {
            self.detect(name, &heard, out);
            if !retained {
                self.correlate(name, topic, &heard, out);
            }
            self.rules(&Source::Topic(name.clone()), topic, payload, retained, out);
        }
    }

    /// Something was heard: the device is there, unless its own word says when it is.
    pub(super) fn noticed(&mut self, out: &mut Vec<Action>) {
        self.heard_ms = Some(self.now);
        let own_word = self.dialect.presence.as_ref().is_some_and(|p| p.topic.is_some());
        // A word of its own that it is gone holds until it says otherwise; silence does not.
        if !own_word || self.present == Present::Unknown {
            self.be(Present::Online, out);
        }
    }

    fn detect(&mut self, name: &str, heard: &Heard<'_>, out: &mut Vec<Action>) {
        let Some(detection) = self.dialect.detection.as_ref().filter(|d| d.topic == name) else {
            return;
        };
        let Some(said) = heard.word(detection.at.as_ref()) else { return };
        let said: String = said.chars().filter(|c| !c.is_control()).take(64).collect();
        if !said.is_empty() && self.firmware.as_ref() != Some(&said) {
            let expected = said.starts_with(&detection.starts);
            self.firmware = Some(said.clone());
            out.push(Action::Firmware { said, expected });
        }
    }

    /// Applies every rule that holds. What a broker kept for us may be of yesterday: it is no
    /// event.
    pub(super) fn rules(
        &mut self,
        from: &Source,
        source: &str,
        payload: &[u8],
        retained: bool,
        out: &mut Vec<Action>,
    ) {
        if retained {
            return;
        }
        let dialect = self.dialect.clone();
        let heard = Heard::new(payload);
        for rule in dialect.events.iter().filter(|rule| rule.from == *from) {
            let Some(running) = &self.running else { return };
            let values = running.subject.values(&self.settings, None);
            if running.first_left_ms.is_some() && holds(rule, &heard, &values) {
                let kept = |at| heard.captured(at).map(|said| (at.as_str().to_owned(), said));
                let captures = rule.captures.iter().filter_map(kept).collect();
                self.meant(rule, source, payload, captures, out);
            }
        }
    }

    /// Says whether an answer means a failure by the rules.
    pub(super) fn means_failure(&self, from: &Source, answer: &[u8]) -> bool {
        let heard = Heard::new(answer);
        let none = Values::default();
        let subject = self.running.as_ref().map(|r| r.subject.values(&self.settings, None));
        let values = subject.unwrap_or(none);
        let fails = |rule: &&EventRule| rule.from == *from && rule.means == Means::Failed;
        self.dialect.events.iter().filter(fails).any(|rule| holds(rule, &heard, &values))
    }

    fn meant(
        &mut self,
        rule: &EventRule,
        source: &str,
        payload: &[u8],
        captures: Vec<(String, String)>,
        out: &mut Vec<Action>,
    ) {
        let Some(running) = &mut self.running else { return };
        let began = running.began_ms.is_some();
        match rule.means {
            Means::Accepted => self.keep(Told::Accepted, source, payload, captures, out),
            Means::Started => {
                running.heard_start = true;
                let named = rule.names_item();
                let what = if named { Told::StartedNamed } else { Told::Started };
                self.keep(what, source, payload, captures, out);
                if self.running.as_ref().is_some_and(|r| r.start_by == StartBy::Event) {
                    self.began(out);
                }
            }
            Means::Finished if began => {
                self.keep(Told::Finished, source, payload, captures, out);
                self.end(EndedBy::Device, Why::NoStart, Quiet::After, out);
            }
            Means::Failed => {
                self.keep(Told::Failed, source, payload, captures, out);
                self.end(EndedBy::Broken, Why::Device, Quiet::Send, out);
            }
            Means::Screen if !running.plays => {
                self.keep(Told::Screen, source, payload, captures, out);
            }
            Means::Electrical if began => {
                self.keep(Told::Electrical, source, payload, captures, out);
            }
            Means::Sensor if began => self.keep(Told::Sensor, source, payload, captures, out),
            // Before it began this is about something else; a play has no screen.
            Means::Finished | Means::Screen | Means::Electrical | Means::Sensor => {}
        }
    }

    /// The gateway's own output speaks.
    pub(super) fn sink(&mut self, token: u64, says: SinkSays, out: &mut Vec<Action>) {
        let ours = |r: &&mut super::running::Running| r.token == token && r.sounding;
        let Some(running) = self.running.as_mut().filter(ours) else { return };
        match says {
            SinkSays::Started { grade } => {
                running.heard_start = true;
                let what = if grade >= 3 { Told::Samples } else { Told::Started };
                self.keep(what, "sink", &[], Vec::new(), out);
                self.began(out);
            }
            SinkSays::Ended if running.began_ms.is_some() => {
                running.sounding = false;
                self.end(EndedBy::Device, Why::NoStart, Quiet::After, out);
            }
            SinkSays::Ended | SinkSays::Failed => {
                running.sounding = false;
                self.end(EndedBy::Broken, Why::Device, Quiet::Send, out);
            }
        }
    }

    /// Keeps a piece of evidence and raises the grade; what raises nothing is kept up to a number.
    pub(super) fn keep(
        &mut self,
        what: Told,
        source: &str,
        bytes: &[u8],
        captures: Vec<(String, String)>,
        out: &mut Vec<Action>,
    ) {
        let mut token = None;
        if let Some(running) = &mut self.running {
            token = Some(running.token);
            let raises = what.grade() > running.grade;
            if !raises && running.pieces >= MOST_PIECES {
                return;
            }
            running.pieces += u32::from(!raises);
            running.grade = running.grade.max(what.grade());
        }
        let piece = Evidence::of(token, self.now, what, source, bytes, captures);
        out.push(Action::Evidence(Box::new(piece)));
    }
}

fn holds(rule: &EventRule, heard: &Heard<'_>, values: &Values<'_>) -> bool {
    !rule.when.is_empty() && rule.when.iter().all(|condition| condition.holds(heard, values))
}
