//! The wall on which a board hangs in a random day: what people saw, and what the panel says of it.

use super::super::*;

/// What stood on the wall: text, from and to in real time.
pub struct Seen {
    pub text: String,
    pub from: i64,
    pub to: i64,
    /// The pass was shown to the end of its last page.
    pub whole: bool,
}

struct Pass {
    order: ShowOrder,
    since: i64,
    began: UtcMs,
}

/// A panel that obeys at once, one pass at a time; its last frame stands until the next order.
#[derive(Default)]
pub struct Wall {
    pass: Option<Pass>,
    /// What stands now.
    pub stands: Option<String>,
    pub seen: Vec<Seen>,
    pub events: Vec<Event>,
    /// It shows nothing until this real time.
    pub broken_until: i64,
}

impl Wall {
    fn end(&mut self, real: i64, whole: bool, told: bool) {
        let Some(Pass { order, since, began }) = self.pass.take() else { return };
        let text = order.pages[0].text.clone();
        let shown_ms = real - since;
        if told {
            let frame = Some(Digest::of(text.as_bytes()));
            let pass = PassEnd { from: began, to: began.plus(shown_ms), shown_ms, whole, frame };
            self.events.push(Event::Passed { token: order.token, pass });
        }
        self.seen.push(Seen { text, from: since, to: real, whole });
    }

    pub fn step(&mut self, real: i64, clock: UtcMs) {
        let Some(Pass { order, since, .. }) = &self.pass else { return };
        let length: i64 = order.pages.iter().map(|page| page.dwell_ms).sum();
        if real - since >= length {
            self.end(real, true, true);
        } else if clock >= order.until {
            self.end(real, false, true);
        } else if real < self.broken_until {
            self.stands = None;
            self.end(real, false, true);
        }
    }

    pub fn obey(&mut self, action: &Action, real: i64, clock: UtcMs) {
        match action {
            Action::Show(order) => {
                self.end(real, false, true);
                let token = order.token;
                if real < self.broken_until || clock >= order.until {
                    let pass =
                        PassEnd { from: clock, to: clock, shown_ms: 0, whole: false, frame: None };
                    self.events.push(Event::Passed { token, pass });
                    return;
                }
                self.stands = Some(order.pages[0].text.clone());
                self.events.push(Event::Started { token, at: clock });
                self.pass = Some(Pass { order: order.clone(), since: real, began: clock });
            }
            Action::Blank => {
                self.end(real, false, true);
                self.stands = None;
            }
            _ => {}
        }
    }

    /// The program is cut off: nobody hears how the pass ended.
    pub fn cut(&mut self, real: i64) {
        self.end(real, false, false);
        self.stands = None;
        self.events.clear();
    }
}
