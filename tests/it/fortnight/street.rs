//! What stands at the end of a device's wires: a loudspeaker or a board that does what it is
//! ordered, at the instant it is ordered for, and writes down what people heard and saw.

use loa::clock::SharedClock;
use loa::device::executor::{Action, Ended, Event, PassEnd, PlayFault, PlayOrder, ShowOrder};
use loa::device::hardware::Stage;
use loa::domain::ids::{CueId, Digest};
use loa::domain::time::UtcMs;
use std::collections::BTreeMap;

/// A sound in the street: by the device's clock from and to, and where in the clip it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub asset: Digest,
    pub from: UtcMs,
    pub to: UtcMs,
    pub offset_ms: i64,
}

pub struct Street {
    stage: Stage,
    clock: SharedClock,
    lengths: BTreeMap<Digest, i64>,
    waiting: Vec<PlayOrder>,
    playing: Option<(PlayOrder, UtcMs, i64)>,
    showing: Option<(ShowOrder, UtcMs)>,
    pub heard: Vec<Heard>,
    pub shown: Vec<(CueId, UtcMs, UtcMs)>,
}

impl Street {
    pub fn new(stage: Stage, clock: SharedClock, lengths: BTreeMap<Digest, i64>) -> Self {
        Self {
            stage,
            clock,
            lengths,
            waiting: Vec::new(),
            playing: None,
            showing: None,
            heard: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Lives up to this instant; says whether anything happened.
    pub fn live(&mut self) -> bool {
        let mut busy = false;
        while let Ok(order) = self.stage.orders.try_recv() {
            busy = true;
            match order {
                Action::Play(order) => self.waiting.push(order),
                Action::Halt { token, .. } => self.halt(token),
                Action::Amend { token, end, .. } => self.amend(token, end),
                Action::Show(order) => {
                    self.passed(false);
                    self.showing = Some((order, self.clock.now()));
                }
                Action::Blank => self.passed(false),
                _ => {}
            }
        }
        let now = self.clock.now();
        if let Some((order, from, _)) = &self.playing {
            let position = order.offset_ms + now.since(*from);
            if position >= self.lengths[&order.asset] {
                self.end(Ended::Clip);
                busy = true;
            } else if now >= order.end {
                self.end(Ended::Time);
                busy = true;
            }
        }
        if let Some(n) = self.waiting.iter().position(|order| now >= order.at) {
            self.begin(n, now);
            busy = true;
        }
        if self.showing.as_ref().is_some_and(|(order, from)| now >= pass_end(order, *from)) {
            self.passed(true);
            busy = true;
        }
        busy
    }

    /// The next instant at which it has something to do by itself.
    pub fn next(&self) -> Option<UtcMs> {
        let starts = self.waiting.iter().map(|order| order.at);
        let ends = self.playing.iter().map(|(order, from, _)| {
            order.end.min(from.plus(self.lengths[&order.asset] - order.offset_ms))
        });
        let passes = self.showing.iter().map(|(order, from)| pass_end(order, *from));
        starts.chain(ends).chain(passes).min()
    }

    pub fn is_sounding(&self) -> bool {
        self.playing.is_some()
    }

    /// The power is cut: what sounds is silent, and nobody is told.
    pub fn cut(&mut self) {
        if let Some((order, from, _)) = self.playing.take() {
            let (asset, to) = (order.asset, self.clock.now());
            self.heard.push(Heard { asset, from, to, offset_ms: order.offset_ms });
        }
        self.waiting.clear();
        self.showing = None;
    }

    fn begin(&mut self, n: usize, now: UtcMs) {
        let mut order = self.waiting.remove(n);
        assert!(self.playing.is_none(), "two sounds at once");
        let late = now.since(order.at);
        if now >= order.end || order.offset_ms + late >= self.lengths[&order.asset] {
            return self.say(Event::Failed { token: order.token, why: PlayFault::Late });
        }
        order.offset_ms += late; // what should have sounded before now is left out
        let token = order.token;
        self.playing = Some((order, now, self.clock.mono_ms()));
        self.say(Event::Started { token, at: now });
    }

    fn end(&mut self, by: Ended) {
        let Some((order, from, since)) = self.playing.take() else { return };
        let played_ms = self.clock.mono_ms() - since;
        let (asset, to) = (order.asset, from.plus(played_ms));
        self.heard.push(Heard { asset, from, to, offset_ms: order.offset_ms });
        let at = self.clock.now();
        self.say(Event::Ended { token: order.token, at, played_ms, by });
    }

    fn halt(&mut self, token: u64) {
        if self.playing.as_ref().is_some_and(|(order, ..)| order.token == token) {
            self.end(Ended::Halted);
        } else if let Some(n) = self.waiting.iter().position(|order| order.token == token) {
            self.waiting.remove(n);
            let (at, by) = (self.clock.now(), Ended::Halted);
            self.say(Event::Ended { token, at, played_ms: 0, by });
        }
    }

    fn amend(&mut self, token: u64, end: UtcMs) {
        let playing = self.playing.as_mut().map(|(order, ..)| order);
        for order in playing.into_iter().chain(&mut self.waiting) {
            if order.token == token {
                order.end = end;
            }
        }
    }

    fn passed(&mut self, whole: bool) {
        let Some((order, from)) = self.showing.take() else { return };
        let to = self.clock.now().min(pass_end(&order, from)).max(from);
        self.shown.push((order.cue, from, to));
        let frame = Some(Digest::of(b"a frame"));
        let pass = PassEnd { from, to, shown_ms: to.since(from), whole, frame };
        self.say(Event::Passed { token: order.token, pass });
    }

    fn say(&self, event: Event) {
        self.stage.events.try_send(event).unwrap();
    }
}

fn pass_end(order: &ShowOrder, from: UtcMs) -> UtcMs {
    let dwell: i64 = order.pages.iter().map(|page| page.dwell_ms).sum();
    from.plus(dwell).min(order.until)
}
