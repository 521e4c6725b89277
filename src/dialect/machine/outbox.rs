//! What waits to be sent, in order, never faster than the device can take.
//!
//! # Invariants
//! * No more than `per_minute` messages leave in any 60 s, and two are `gap_ms` apart.
//! * What ends something goes before everything else, and a part of the minute is kept for it: a
//!   flood of pages never holds up a stop.
//! * At most [`MOST_WAITING`] wait in each row.

use crate::dialect::field::Verb;
use crate::dialect::limits::Limits;
use crate::dialect::model::Method;
use std::collections::VecDeque;

/// Most messages that wait in one row.
pub(super) const MOST_WAITING: usize = 64;
const MINUTE_MS: i64 = 60_000;

/// A message ready to go.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parcel {
    pub wire: Wire,
    pub verb: Verb,
    /// The play or page whose start it belongs to.
    pub starts: Option<u64>,
    /// When it came into the row.
    pub queued_ms: i64,
    /// Wait so long after the message before.
    pub delay_ms: i64,
    pub again: bool,
    pub tries: u32,
    /// Its number, when an answer is awaited.
    pub id: Option<u32>,
}

/// What leaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wire {
    Publish { topic: String, payload: Vec<u8>, qos: u8, retain: bool },
    Http { method: Method, url: String, body: Option<(Vec<u8>, &'static str)> },
    Line { bytes: Vec<u8> },
    Pixels,
    Sound,
}

impl Parcel {
    /// Says whether it ends something.
    pub fn ends(&self) -> bool {
        matches!(self.verb, Verb::Stop | Verb::After | Verb::Clear)
    }
}

#[derive(Debug)]
pub(super) struct Outbox {
    ends: VecDeque<Parcel>,
    rest: VecDeque<Parcel>,
    /// When messages left, within the last minute.
    left: VecDeque<i64>,
    last_ms: Option<i64>,
    per_minute: usize,
    /// Kept for what ends something.
    kept: usize,
    gap_ms: i64,
}

impl Outbox {
    pub fn new(limits: &Limits, ends: usize) -> Self {
        let per_minute = (limits.per_minute as usize).max(1);
        Self {
            ends: VecDeque::new(),
            rest: VecDeque::new(),
            left: VecDeque::new(),
            last_ms: None,
            per_minute,
            kept: ends.min(per_minute / 2),
            gap_ms: limits.gap_ms.max(0),
        }
    }

    /// Puts a message into its row; when the row is full the oldest gives way.
    pub fn put(&mut self, parcel: Parcel) {
        let row = if parcel.ends() { &mut self.ends } else { &mut self.rest };
        let twin = row.iter().any(|p| p.wire == parcel.wire && p.starts == parcel.starts);
        if twin && parcel.starts.is_none() {
            return; // the same word waits already
        }
        if row.len() >= MOST_WAITING {
            row.pop_front();
        }
        row.push_back(parcel);
    }

    /// Puts messages into their rows, in order.
    pub fn put_all(&mut self, parcels: Vec<Parcel>) {
        for parcel in parcels {
            self.put(parcel);
        }
    }

    /// Puts a message back that was not answered.
    pub fn put_back(&mut self, parcel: Parcel) {
        let row = if parcel.ends() { &mut self.ends } else { &mut self.rest };
        if row.len() < MOST_WAITING {
            row.push_front(parcel);
        }
    }

    /// Says whether what ends something waits.
    pub fn is_ending(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Forgets what would start something.
    pub fn drop_starts(&mut self, token: u64) {
        self.rest.retain(|p| p.starts != Some(token));
    }

    /// Forgets the messages of an action that newer ones replace.
    pub fn drop_verb(&mut self, verb: Verb) {
        self.ends.retain(|p| p.verb != verb || p.starts.is_some());
        self.rest.retain(|p| p.verb != verb || p.starts.is_some());
    }

    /// Says whether messages wait that would start this.
    pub fn starts(&self, token: u64) -> bool {
        self.rest.iter().any(|p| p.starts == Some(token))
    }

    /// Returns the message that leaves next.
    pub fn next(&self) -> Option<&Parcel> {
        self.ends.front().or_else(|| self.rest.front())
    }

    /// Returns the next message if it may leave now.
    pub fn take(&mut self, now: i64) -> Option<Parcel> {
        if self.ready_ms()? > now {
            return None;
        }
        while self.left.front().is_some_and(|at| now.saturating_sub(*at) >= MINUTE_MS) {
            self.left.pop_front();
        }
        let row = if self.ends.is_empty() { &mut self.rest } else { &mut self.ends };
        let parcel = row.pop_front()?;
        self.left.push_back(now);
        self.last_ms = Some(now);
        Some(parcel)
    }

    /// Returns when the next message may leave.
    pub fn ready_ms(&self) -> Option<i64> {
        let (parcel, most) = match (self.ends.front(), self.rest.front()) {
            (Some(parcel), _) => (parcel, self.per_minute),
            (None, Some(parcel)) => (parcel, self.per_minute.saturating_sub(self.kept).max(1)),
            (None, None) => return None,
        };
        let before = self.last_ms.unwrap_or(i64::MIN);
        let delayed = before.max(parcel.queued_ms).saturating_add(parcel.delay_ms);
        let apart = before.saturating_add(self.gap_ms);
        // The message that must have left the minute before another one may go.
        let full = self.left.len().checked_sub(most).and_then(|at| self.left.get(at));
        let room = full.map_or(i64::MIN, |at| at.saturating_add(MINUTE_MS));
        Some(delayed.max(if self.last_ms.is_some() { apart } else { i64::MIN }).max(room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::limits::Unit;

    fn outbox(per_minute: u32, gap_ms: i64, ends: usize) -> Outbox {
        let unit = Unit::Chars;
        let (letters, refuse) = (Vec::new(), Vec::new());
        let limits =
            Limits { max_payload: 1, text_max: 1, unit, letters, refuse, per_minute, gap_ms };
        Outbox::new(&limits, ends)
    }

    fn parcel(verb: Verb, name: u8, delay_ms: i64) -> Parcel {
        let wire = Wire::Line { bytes: vec![name] };
        Parcel { wire, verb, starts: None, queued_ms: 0, delay_ms, again: true, tries: 0, id: None }
    }

    fn name(parcel: Option<Parcel>) -> Option<u8> {
        parcel.map(|p| if let Wire::Line { bytes } = p.wire { bytes[0] } else { 0 })
    }

    #[test]
    fn a_stop_goes_before_what_waits_and_finds_room_in_the_minute() {
        let mut outbox = outbox(4, 0, 2);
        for at in 0..4 {
            outbox.put(parcel(Verb::Volume, at, 0));
        }
        assert_eq!(
            [name(outbox.take(0)), name(outbox.take(0)), name(outbox.take(0))],
            [Some(0), Some(1), None]
        );
        outbox.put(parcel(Verb::Stop, 9, 0));
        assert_eq!(name(outbox.take(1)), Some(9));
        assert_eq!((outbox.ready_ms(), name(outbox.take(59_999))), (Some(60_000), None));
        assert_eq!(name(outbox.take(60_000)), Some(2));
    }

    #[test]
    fn messages_keep_their_distance_and_their_delay() {
        let mut outbox = outbox(100, 200, 0);
        outbox.put(parcel(Verb::PlayClip, 1, 0));
        outbox.put(parcel(Verb::PlayClip, 2, 0));
        outbox.put(parcel(Verb::PlayClip, 3, 500));
        assert_eq!(name(outbox.take(10)), Some(1));
        assert_eq!((name(outbox.take(209)), name(outbox.take(210))), (None, Some(2)));
        assert_eq!((name(outbox.take(709)), name(outbox.take(710))), (None, Some(3)));
    }

    #[test]
    fn a_full_row_lets_the_oldest_go_and_the_same_word_waits_once() {
        let mut outbox = outbox(1_000, 0, 0);
        for at in 0..=MOST_WAITING {
            outbox.put(parcel(Verb::Volume, u8::try_from(at).unwrap(), 0));
        }
        outbox.put(parcel(Verb::Volume, 5, 0));
        let mut left = Vec::new();
        while let Some(at) = name(outbox.take(0)) {
            left.push(at);
        }
        assert_eq!((left.len(), left[0], left[63]), (MOST_WAITING, 1, 64));
    }
}
