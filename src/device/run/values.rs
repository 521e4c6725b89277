//! The values of feeds in the loop: which to ask for, what the board may show of them.

use super::{Agent, Connection};
use crate::device::executor::{Output, Time};
use crate::domain::ids::FeedId;
use crate::wire::topic::Topic;
use std::collections::{BTreeMap, BTreeSet};

/// Values are written at most so often: they change by the minute, and a flash wears out. What a
/// cut of power loses comes again with the retained document.
const WRITE_MS: i64 = 60_000;

/// What the loop knows about values.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// The schedule may name other feeds than before.
    pub named_anew: bool,
    /// Something is to be written, not before this instant.
    write_mono: Option<i64>,
    /// Whether the board may show values now.
    shown: bool,
}

impl Agent {
    /// Follows the feeds that the pages of the schedule name, where there is a board.
    pub(super) fn follow_feeds(&mut self) {
        if !std::mem::take(&mut self.values.named_anew) {
            return;
        }
        if !matches!(self.hardware.output(), Output::Board { .. }) {
            return;
        }
        let named: BTreeSet<FeedId> =
            self.executor.pages().flat_map(|page| feeds_of(&page.text)).collect();
        let change = self.gate.values_mut().follow(named);
        if self.connection == Connection::Up {
            let topics = |feeds: Vec<FeedId>| {
                feeds.into_iter().map(|feed| self.topics.of(&Topic::Feed(feed))).collect()
            };
            let (gone, new): (Vec<_>, Vec<_>) = (topics(change.gone), topics(change.new));
            if !gone.is_empty() {
                self.mailer.unsubscribe(gone);
            }
            if !new.is_empty() {
                self.mailer.subscribe(new);
            }
        }
        self.changed_values();
    }

    /// Returns the topics of the feeds in use.
    pub(super) fn feed_topics(&self) -> Vec<String> {
        let topic = |feed: &FeedId| self.topics.of(&Topic::Feed(feed.clone()));
        self.gate.values().named().map(topic).collect()
    }

    /// Hands values to the board, and has them written.
    pub(super) fn changed_values(&mut self) {
        let now = self.time.moment().mono_ms;
        self.values.write_mono.get_or_insert(now.saturating_add(WRITE_MS));
        self.show_values();
    }

    fn show_values(&mut self) {
        self.values.shown = self.time.timing().time == Time::Fit;
        let values =
            if self.values.shown { self.gate.values().newest() } else { BTreeMap::default() };
        self.props.set_values(values);
    }

    /// Looks whether the time is trusted, and writes what is due.
    pub(super) fn tend_values(&mut self) {
        self.follow_feeds();
        if self.values.shown != (self.time.timing().time == Time::Fit) {
            self.show_values();
        }
        let now = self.time.moment().mono_ms;
        if self.values.write_mono.is_some_and(|at| now >= at) {
            self.write_values();
        }
    }

    /// Writes values that are not written yet.
    pub(super) fn write_values(&mut self) {
        if self.values.write_mono.take().is_some() {
            let bytes = self.gate.values().encode();
            self.keep("values.json", &bytes);
        }
    }
}

#[cfg(feature = "raster")]
fn feeds_of(text: &str) -> Vec<FeedId> {
    let template = crate::raster::template::Template::read(text);
    template.feeds().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(not(feature = "raster"))]
fn feeds_of(_: &str) -> Vec<FeedId> {
    Vec::new()
}
