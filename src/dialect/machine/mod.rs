//! Drives one foreign device as its dialect says: events in, actions out.
//!
//! Pure: [`Device::step`] takes the instant and an event and returns what the loop must do, in
//! order; it opens nothing, reads no clock and draws no random number. The gateway's loop owns the
//! connections, obeys the actions, and hands [`Action::Started`], [`Action::Ended`] and
//! [`Action::Failed`] to the ordinary executor.
//!
//! # Invariants
//! * Each play and each page ends in exactly one [`Action::Ended`] (it began) or
//!   [`Action::Failed`] (it did not), and begins at most once.
//! * No grade without the evidence that supports it was handed out before, and no retained message
//!   is evidence (`evidence` has the ladder).
//! * A start that is given up is followed by `stop`: nothing sounds that the record calls failed.
//! * Messages never leave faster than the limits of the profile, and a stop never waits behind
//!   pages (`outbox`).
//! * Everything kept is bounded: rows, awaited answers, evidence, bytes of a message.
//! * Instants given out of order count as the latest one given.

mod answers;
mod begin;
mod event;
mod evidence;
mod finish;
mod heard;
mod outbox;
mod running;
mod send;
mod settings;

pub use begin::Way;
pub use event::{
    Action, Body, EndedBy, Event, Order, PlayOrder, Present, ShowOrder, SinkSays, Why,
};
pub use evidence::{Evidence, MOST_KEPT, Told};
pub use settings::SettingError;

use super::field::Verb;
use super::frame::Frame;
use super::model::{Correlation, Dialect, Transport};
use super::pixels::Packer;
use super::render::Values;
use super::template::Template;
use answers::Awaited;
use outbox::Outbox;
use running::{Running, Subject};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Most messages that one step sends; the rest goes at the next.
const MOST_AT_ONCE: usize = 32;

/// The machine of one foreign device.
#[derive(Debug)]
pub struct Device {
    dialect: Arc<Dialect>,
    settings: BTreeMap<String, String>,
    /// Topics by name, filled.
    topics: BTreeMap<String, String>,
    /// `http://host:port`, for HTTP.
    base: String,
    now: i64,
    linked: bool,
    present: Present,
    heard_ms: Option<i64>,
    firmware: Option<String>,
    running: Option<Running>,
    outbox: Outbox,
    awaited: VecDeque<Awaited>,
    next_id: u32,
    packer: Option<Packer>,
    /// The picture that stands, and when it must be sent again.
    standing: Option<(Frame, i64)>,
    wake: Option<i64>,
    /// What was ended while the device was away: it is told again when it is back.
    unsure: Option<(bool, Subject)>,
    /// Answers by order may belong to lines before, until then.
    doubt_until: i64,
}

impl Device {
    /// Returns the machine of a device; `sender` is who sends pixels, the same at every start.
    pub fn new(
        dialect: Arc<Dialect>,
        settings: BTreeMap<String, String>,
        sender: [u8; 16],
    ) -> Result<Self, Vec<SettingError>> {
        let mut faults = settings::judge(&dialect, &settings);
        let values = Values { settings: Some(&settings), ..Values::default() };
        let mut made = |place: &str, template: &Template| {
            let text = template.render_text(&values);
            text.map_err(|source| {
                if faults.is_empty() {
                    faults.push(SettingError::Made { place: place.to_owned(), source });
                }
            })
            .ok()
        };
        let mut topics = BTreeMap::new();
        for (name, template) in &dialect.topics {
            if template.fields().next().is_some() {
                continue; // filled for each message
            }
            topics.extend(made(name, template).map(|topic| (name.clone(), topic)));
        }
        let base = match &dialect.transport {
            Transport::Http { base } => made("base", base).unwrap_or_default(),
            Transport::Tcp { address, .. } => made("address", address).unwrap_or_default(),
            Transport::Serial { port, .. } => made("port", port).unwrap_or_default(),
            Transport::Mqtt { .. } | Transport::Udp => String::new(),
        };
        if let Some(pixels) = &dialect.pixels {
            made("host", &pixels.host);
        }
        if matches!(dialect.transport, Transport::Http { .. }) && !base.is_empty() {
            let host = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
            let plain = |c: char| c.is_ascii_alphanumeric() || ".:-_[]".contains(c);
            if !host.is_some_and(|host| !host.is_empty() && host.chars().all(plain)) {
                faults.push(SettingError::Address { value: base.chars().take(80).collect() });
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let refresh = dialect.timing.refresh_ms.unwrap_or(1_000);
        let packer = dialect.pixels.as_ref().map(|pixels| {
            Packer::new(pixels.protocol, pixels.universe, pixels.per_universe, refresh, sender)
        });
        let ends = [Verb::Stop, Verb::After, Verb::Clear];
        let ends = ends.iter().map(|verb| dialect.steps(*verb).len()).sum();
        let outbox = Outbox::new(&dialect.limits, ends);
        let linked = !dialect.transport.has_link();
        Ok(Self {
            dialect,
            settings,
            topics,
            base,
            now: i64::MIN,
            linked,
            present: Present::Unknown,
            heard_ms: None,
            firmware: None,
            running: None,
            outbox,
            awaited: VecDeque::new(),
            next_id: 0,
            packer,
            standing: None,
            wake: None,
            unsure: None,
            doubt_until: i64::MIN,
        })
    }

    /// Returns where the loop connects: `http://host:port`, `host:port` or the serial port.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Returns the host of the pixel output.
    pub fn pixel_host(&self) -> Option<String> {
        let values = Values { settings: Some(&self.settings), ..Values::default() };
        self.dialect.pixels.as_ref().and_then(|pixels| pixels.host.render_text(&values).ok())
    }

    /// Says whether something that ends a play or a page has not left yet, or was not answered.
    pub fn is_ending(&self) -> bool {
        self.linked && self.outbox.is_ending() || self.awaited.iter().any(|a| a.parcel.ends())
    }

    /// Advances the device by one event; returns what the loop must do, in order.
    pub fn step(&mut self, now_ms: i64, event: Event) -> Vec<Action> {
        self.now = self.now.max(now_ms);
        let mut out = Vec::new();
        match event {
            Event::Connected => self.connected(&mut out),
            Event::Disconnected => self.disconnected(&mut out),
            Event::Message { topic, payload, retained } => {
                self.message(&topic, &payload, retained, &mut out);
            }
            Event::Line(bytes) => self.line(&bytes, &mut out),
            Event::Answer { request, answer } => self.answered(request, answer, &mut out),
            Event::Sink { token, says } => self.sink(token, says, &mut out),
            Event::Tick => self.wake = None,
            Event::Order(order) => self.order(order, &mut out),
        }
        self.advance(&mut out);
        out
    }

    fn order(&mut self, order: Order, out: &mut Vec<Action>) {
        match order {
            Order::Play(order) => self.play(order, out),
            Order::Show(order) => self.show(order, out),
            Order::Stop { token } => {
                if self.running.as_ref().is_some_and(|running| running.token == token) {
                    self.end(EndedBy::Halted, Why::Halted, Quiet::Send, out);
                }
            }
            Order::Until { token, end_ms } => {
                if let Some(running) = self.running.as_mut().filter(|r| r.token == token) {
                    running.end_ms = end_ms;
                }
            }
            Order::Volume(volume) => {
                self.tell(
                    Verb::Volume,
                    Subject { volume: Some(volume.min(100)), ..Subject::default() },
                );
            }
            Order::Brightness(brightness) => {
                let brightness = Some(brightness.min(100));
                self.tell(Verb::Brightness, Subject { brightness, ..Subject::default() });
            }
            Order::Clear => self.clear(out),
            Order::Probe => self.tell(Verb::Probe, Subject::default()),
        }
    }

    fn connected(&mut self, out: &mut Vec<Action>) {
        self.linked = true;
        if matches!(self.dialect.transport, Transport::Mqtt { .. }) {
            let mut names: Vec<&str> = Vec::new();
            names.extend(self.dialect.presence.as_ref().and_then(|p| p.topic.as_deref()));
            names.extend(self.dialect.detection.as_ref().map(|d| d.topic.as_str()));
            names.extend(self.dialect.events.iter().filter_map(|rule| match &rule.from {
                super::model::Source::Topic(name) => Some(name.as_str()),
                _ => None,
            }));
            if let Correlation::Id { topic, .. } = &self.dialect.correlation {
                names.push(topic);
            }
            let mut topics: Vec<String> =
                names.into_iter().filter_map(|name| self.topics.get(name).cloned()).collect();
            topics.sort();
            topics.dedup();
            out.push(Action::Subscribe { topics });
        }
        if matches!(self.dialect.transport, Transport::Tcp { .. }) {
            self.noticed(out);
        }
        self.tell(Verb::Probe, Subject::default());
    }

    /// What plays goes on playing: only the line is gone. What did not leave yet cannot start.
    fn disconnected(&mut self, out: &mut Vec<Action>) {
        if !self.dialect.transport.has_link() {
            return;
        }
        self.linked = false;
        let waits =
            |running: &Running| running.began_ms.is_none() && self.outbox.starts(running.token);
        if self.running.as_ref().is_some_and(waits) {
            self.end(EndedBy::Broken, Why::Offline, Quiet::Send, out);
        }
        self.be(Present::Unknown, out);
    }

    /// Notes whether the device is there, and says so once.
    fn be(&mut self, present: Present, out: &mut Vec<Action>) {
        if self.present != present {
            self.present = present;
            out.push(Action::Presence(present));
        }
        if present == Present::Online
            && let Some((plays, subject)) = self.unsure.take()
        {
            let verbs: &[Verb] = if plays { &[Verb::Stop, Verb::After] } else { &[Verb::Clear] };
            for verb in verbs {
                self.tell(*verb, subject.clone());
            }
        }
        if present == Present::Offline
            && let Some(running) = &self.running
        {
            // It may have lost its line alone, and play on.
            self.unsure = running.first_left_ms.map(|_| (running.plays, running.subject.clone()));
            self.end(EndedBy::Broken, Why::Offline, Quiet::Send, out);
        }
    }

    /// Does what time demands, then sends what may leave, then asks to be woken.
    fn advance(&mut self, out: &mut Vec<Action>) {
        let now = self.now;
        let stale = self.dialect.presence.as_ref().and_then(|p| p.stale_after_ms);
        if let (Some(stale), Some(heard)) = (stale, self.heard_ms)
            && self.present == Present::Online
            && now.saturating_sub(heard) >= stale
        {
            self.be(Present::Unknown, out);
        }
        self.expire_answers(out);
        self.expire_running(out);
        self.flush(out);
        self.refresh(out);
        let wake = self.next_wake();
        if let Some(at_ms) = wake
            && self.wake != wake
        {
            out.push(Action::Wake { at_ms });
        }
        self.wake = wake;
    }

    fn next_wake(&self) -> Option<i64> {
        let running = self.running.as_ref();
        let over = running.map(|running| match running.began_ms {
            Some(_) => self.over_ms(running),
            None => running.start_until_ms.min(running.end_ms),
        });
        let probe = running.filter(|r| r.began_ms.is_some()).and_then(|r| r.probe_ms);
        let sends = self.may_send();
        let sending = sends.then(|| self.outbox.ready_ms()).flatten();
        let answer = self.awaited.iter().map(|awaited| awaited.until_ms).min();
        let refresh = self.standing.as_ref().map(|(_, at)| *at);
        let stale = match (&self.dialect.presence, self.heard_ms, self.present) {
            (Some(presence), Some(heard), Present::Online) => {
                presence.stale_after_ms.map(|ms| heard.saturating_add(ms))
            }
            _ => None,
        };
        // What is due already waits for the next event of any kind, a millisecond at least.
        let next = [over, probe, sending, answer, refresh, stale].into_iter().flatten().min();
        next.map(|at| at.max(self.now.saturating_add(1)))
    }
}

/// Whether what ends is told to be quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quiet {
    /// Send `stop` and `after`.
    Send,
    /// It ended by itself: `after` alone.
    After,
}

impl Transport {
    /// Says whether a connection stands or not; HTTP and UDP have none.
    fn has_link(&self) -> bool {
        matches!(self, Self::Mqtt { .. } | Self::Tcp { .. } | Self::Serial { .. })
    }
}
