//! What a strict reader makes of the actions.

use loa::dialect::machine::{Action, EndedBy, Told};
use std::collections::BTreeMap;

/// What a strict reader makes of the actions, knowing nothing of the machine.
#[derive(Default)]
pub struct Judge {
    pub per_minute: usize,
    pub gap_ms: i64,
    pub left: Vec<i64>,
    pub ordered: Vec<u64>,
    pub started: BTreeMap<u64, (i64, u8)>,
    pub over: BTreeMap<u64, u8>,
    pub told: BTreeMap<u64, Vec<Told>>,
    pub sink_ended: BTreeMap<u64, bool>,
}

impl Judge {
    pub fn see(&mut self, now: i64, heard: bool, action: &Action) {
        match action {
            Action::Publish { .. } | Action::Http { .. } | Action::Line { .. } => {
                if let Some(last) = self.left.last() {
                    assert!(now - last >= self.gap_ms, "two messages {} ms apart", now - last);
                }
                self.left.push(now);
                let recent = self.left.iter().filter(|at| now - **at < 60_000).count();
                assert!(recent <= self.per_minute, "{recent} messages in a minute");
            }
            Action::Evidence(piece) => {
                let sent =
                    matches!(piece.what, Told::Sent | Told::SentStripped | Told::EndUnanswered);
                assert!(sent || heard, "{:?} of nothing that was heard", piece.what);
                assert!(piece.head.len() <= 256 && piece.source.len() <= 512);
                assert!(piece.captures.iter().all(|(_, value)| value.len() <= 64));
                if let Some(token) = piece.token {
                    assert!(!self.over.contains_key(&token), "evidence after the end");
                    self.told.entry(token).or_default().push(piece.what);
                }
            }
            Action::Started { token, at_ms, grade } => {
                assert!(self.ordered.contains(token) && *at_ms == now);
                assert!(!self.over.contains_key(token), "started after its end");
                assert!(self.started.insert(*token, (now, *grade)).is_none(), "started twice");
                self.deserves(*token, *grade, false);
            }
            Action::Ended { token, played_ms, by, grade } => {
                let (began, at_start) = self.started[token];
                assert!((0..=now - began).contains(played_ms), "played longer than it ran");
                assert!(*grade >= at_start);
                assert!(self.over.insert(*token, *grade).is_none(), "ended twice");
                self.deserves(*token, *grade, *by == EndedBy::Device);
            }
            Action::Failed { token, grade, .. } => {
                assert!(self.ordered.contains(token));
                assert!(!self.started.contains_key(token), "failed after its start");
                assert!(self.over.insert(*token, *grade).is_none(), "failed twice");
                self.deserves(*token, *grade, false);
            }
            Action::Wake { at_ms } => assert!(*at_ms > now, "woken in the past"),
            _ => {}
        }
    }

    /// The ladder once more, from the evidence alone.
    fn deserves(&self, token: u64, grade: u8, by_device: bool) {
        let told = self.told.get(&token).map_or(&[][..], Vec::as_slice);
        let any = |wanted: &[Told]| told.iter().any(|what| wanted.contains(what));
        let started = any(&[Told::Started, Told::StartedNamed, Told::Samples]);
        let deserved = if any(&[Told::Sensor]) {
            5
        } else if any(&[Told::Electrical]) {
            4
        } else if any(&[Told::Screen, Told::Samples]) {
            3
        } else if any(&[Told::StartedNamed])
            || by_device
                && started
                && (any(&[Told::Finished]) || self.sink_ended.contains_key(&token))
        {
            2
        } else {
            u8::from(any(&[Told::Accepted, Told::Started, Told::Finished]))
        };
        assert!(grade <= deserved, "grade {grade} with {told:?}");
    }
}
