//! The street in which a loudspeaker stands in a random day: what was heard, and what the player
//! says of it.

use super::super::*;

/// What really sounded: asset, from and to in real time, offset in the clip.
pub type Heard = Vec<(Digest, i64, i64, i64)>;

/// The street, the disk and the clock of a device in a random day.
pub struct Street {
    pub clips: BTreeMap<Digest, i64>,
    pub heard: Heard,
    pub waiting: Vec<PlayOrder>,
    pub current: Option<(PlayOrder, i64, i64)>,
    pub events: Vec<Event>,
}

impl Street {
    pub fn end(&mut self, real: i64, clock: UtcMs, by: Option<Ended>) {
        if let Some((order, since, offset)) = self.current.take() {
            self.heard.push((order.asset, since, real, offset));
            if let Some(by) = by {
                let (token, played_ms) = (order.token, real - since);
                self.events.push(Event::Ended { token, at: clock, played_ms, by });
            }
        }
    }

    pub fn step(&mut self, real: i64, clock: UtcMs) {
        if let Some((order, since, offset)) = &self.current {
            let position = offset + real - since;
            if position >= self.clips[&order.asset] {
                self.end(real, clock, Some(Ended::Clip));
            } else if clock >= order.end {
                self.end(real, clock, Some(Ended::Time));
            }
        }
        for order in std::mem::take(&mut self.waiting) {
            let token = order.token;
            if clock < order.at {
                self.waiting.push(order);
                continue;
            }
            let offset = order.offset_ms + clock.since(order.at);
            if clock >= order.end || offset >= self.clips[&order.asset] {
                self.events.push(Event::Failed { token, why: PlayFault::Late });
                continue;
            }
            assert!(self.current.is_none(), "two sounds at once");
            self.current = Some((order, real, offset));
            self.events.push(Event::Started { token, at: clock });
        }
    }

    pub fn obey(&mut self, action: &Action, real: i64, clock: UtcMs) {
        match action {
            Action::Play(order) => self.waiting.push(order.clone()),
            Action::Halt { token, .. } => {
                if self.current.as_ref().is_some_and(|(o, ..)| o.token == *token) {
                    self.end(real, clock, Some(Ended::Halted));
                } else if let Some(i) = self.waiting.iter().position(|o| o.token == *token) {
                    self.waiting.remove(i);
                    let (token, by) = (*token, Ended::Halted);
                    self.events.push(Event::Ended { token, at: clock, played_ms: 0, by });
                }
            }
            Action::Amend { token, volume, end } => {
                let current = self.current.as_mut().map(|(o, ..)| o);
                for order in current.into_iter().chain(&mut self.waiting) {
                    if order.token == *token {
                        (order.volume, order.end) = (*volume, *end);
                    }
                }
            }
            _ => {}
        }
    }
}
