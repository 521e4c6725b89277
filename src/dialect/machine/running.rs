//! The play or page at hand: its values, how far it got, and what was heard of it.

use super::event::{PlayOrder, ShowOrder};
use crate::dialect::frame::Frame;
use crate::dialect::render::Values;
use std::collections::BTreeMap;

/// Values of an order, kept while it runs: answers are compared with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    pub text: Option<String>,
    pub url: Option<String>,
    pub file: Option<String>,
    pub slot: Option<String>,
    pub sha256: Option<String>,
    pub item: Option<String>,
    pub volume: Option<u8>,
    pub brightness: Option<u8>,
    pub length_ms: Option<u32>,
    pub dwell_ms: Option<u32>,
    pub colour: Option<String>,
    pub frame: Option<Frame>,
}

impl Subject {
    /// Returns the values for a template.
    pub fn values<'a>(
        &'a self,
        settings: &'a BTreeMap<String, String>,
        id: Option<u32>,
    ) -> Values<'a> {
        Values {
            settings: Some(settings),
            text: self.text.as_deref(),
            url: self.url.as_deref(),
            file: self.file.as_deref(),
            slot: self.slot.as_deref(),
            sha256: self.sha256.as_deref(),
            item: self.item.as_deref(),
            id,
            volume: self.volume,
            brightness: self.brightness,
            length_ms: self.length_ms,
            dwell_ms: self.dwell_ms,
            colour: self.colour.as_deref(),
            frame: self.frame.as_ref(),
        }
    }

    pub fn of_play(order: &PlayOrder) -> Self {
        Self {
            url: order.url.clone(),
            slot: order.slot.clone(),
            sha256: Some(order.sha256.to_string()),
            item: Some(order.item.chars().take(12).collect()),
            volume: Some(order.volume.min(100)),
            length_ms: Some(millis(order.length_ms)),
            ..Self::default()
        }
    }

    pub fn of_show(order: &ShowOrder) -> Self {
        Self {
            text: order.text.clone(),
            item: Some(order.item.chars().take(12).collect()),
            dwell_ms: Some(millis(order.dwell_ms)),
            // Boards of one colour have pages without.
            colour: Some(order.colour.clone().unwrap_or_else(|| "white".to_owned())),
            frame: order.frame.clone(),
            ..Self::default()
        }
    }
}

fn millis(ms: i64) -> u32 {
    u32::try_from(ms.max(0)).unwrap_or(u32::MAX)
}

/// How a start becomes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartBy {
    /// The device says so.
    Event,
    /// Our own output says so.
    Sink,
    /// All messages of the start were answered.
    Answers,
    /// All messages of the start left: nothing more can be known.
    Leaving,
}

/// A play or page at hand.
#[derive(Debug)]
pub(super) struct Running {
    pub token: u64,
    pub plays: bool,
    pub subject: Subject,
    pub start_by: StartBy,
    /// The start must be known by then.
    pub start_until_ms: i64,
    pub length_ms: i64,
    pub end_ms: i64,
    /// The first message of the start left.
    pub first_left_ms: Option<i64>,
    /// Messages of the start that await their answer.
    pub unanswered: u32,
    /// When it began.
    pub began_ms: Option<i64>,
    /// The device itself said that it began.
    pub heard_start: bool,
    /// Highest grade that one piece of evidence supports so far.
    pub grade: u8,
    /// Pieces kept that did not raise the grade.
    pub pieces: u32,
    /// Our own output was told to sound.
    pub sounding: bool,
    pub probe_ms: Option<i64>,
    pub stripped: bool,
}

impl Running {
    /// Says when it ends by the clock: its length after it began, or its latest end.
    pub fn over_ms(&self) -> i64 {
        let length = |began: i64| began.saturating_add(self.length_ms);
        self.began_ms.map_or(self.end_ms, |began| length(began).min(self.end_ms))
    }
}
