//! Between the executor and the machine: orders of one become orders of the other, and what the
//! machine tells becomes what a player or a panel would say. PURE.
//!
//! # Invariants
//! * Each play that was ordered gets exactly one last event, `Ended` or `Failed`, and each pass
//!   exactly one `Passed`: what is over is taken out of the desk before it is told of.
//! * What the machine can prove is told before the end that it is about.
//! * A play waits here until its instant: a foreign device begins when it is told to.

use super::leaf::{Leaf, NoLeaf};
use crate::device::executor::{self, Ended, Event, Moment, PassEnd, PlayFault};
use crate::dialect::machine::{Action, EndedBy, Order, PlayOrder, ShowOrder, Why};
use crate::domain::ids::{CueId, Digest};
use crate::domain::playlist::Page;
use crate::domain::time::{LocalOffset, UtcMs};
use std::collections::{BTreeMap, VecDeque};

/// Plays that may wait for their instant; the executor orders two at most.
const WAITING: usize = 8;

/// How a device names and finds clips.
pub(super) struct Names<'a> {
    /// Where it fetches them.
    pub url: &'a dyn Fn(&Digest) -> Option<String>,
    /// What it calls them.
    pub slots: &'a BTreeMap<Digest, String>,
}

/// Draws a page as the device shows it, at this instant.
pub(super) type Draw<'a> = &'a dyn Fn(&Page, UtcMs, &[LocalOffset]) -> Result<Vec<Leaf>, NoLeaf>;

/// What came of an order or of a word of the machine.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// For the machine, in order.
    pub orders: Vec<Order>,
    /// For the executor, in order.
    pub events: Vec<Event>,
    /// What people should know of.
    pub troubles: Vec<Trouble>,
}

/// Why something was not played or shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub says: String,
    pub hint: String,
}

/// What runs, for the folder of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Play { asset: Digest, due: UtcMs },
    Page { cue: CueId },
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Vec<executor::PlayOrder>,
    /// The play at the machine, and what is known to be proved of it.
    playing: Option<(executor::PlayOrder, u8)>,
    /// Passes at the machine: the newest last; one before it is on its way out.
    passes: Vec<Pass>,
    /// Numbers pages for the machine.
    pages: u64,
}

#[derive(Debug)]
struct Pass {
    order: executor::ShowOrder,
    pages: VecDeque<Page>,
    leaves: VecDeque<Leaf>,
    /// The page at the machine.
    at: Option<(u64, i64)>,
    begun: Option<UtcMs>,
    shown_ms: i64,
    /// What its pages prove together: what the least of them does.
    grade: Option<u8>,
    frame: Option<Digest>,
}

impl Desk {
    /// Takes an order of the executor.
    pub fn ordered(&mut self, now: Moment, action: executor::Action, draw: Draw<'_>) -> Outcome {
        let mut out = Outcome::default();
        match action {
            executor::Action::Play(order) => {
                if self.waiting.len() >= WAITING {
                    let (token, why) = (order.token, PlayFault::Output);
                    out.events.push(Event::Failed { token, why });
                } else {
                    self.waiting.push(order);
                }
            }
            executor::Action::Halt { token, .. } => {
                if let Some(at) = self.waiting.iter().position(|order| order.token == token) {
                    self.waiting.remove(at);
                    let (at, by) = (now.utc, Ended::Halted);
                    out.events.push(Event::Ended { token, at, played_ms: 0, by });
                } else {
                    out.orders.push(Order::Stop { token });
                }
            }
            executor::Action::Amend { token, volume, end } => {
                self.amend(now, token, volume, end, &mut out);
            }
            executor::Action::Show(order) => {
                self.passes.push(Pass {
                    pages: order.pages.iter().cloned().collect(),
                    order,
                    leaves: VecDeque::new(),
                    at: None,
                    begun: None,
                    shown_ms: 0,
                    grade: None,
                    frame: None,
                });
                self.turn(now, draw, &mut out);
            }
            executor::Action::Blank => {
                // Nothing comes after the page that is taken away.
                for pass in &mut self.passes {
                    pass.pages.clear();
                    pass.leaves.clear();
                }
                out.orders.push(Order::Clear);
            }
            _ => {} // for others
        }
        out
    }

    fn amend(&mut self, now: Moment, token: u64, volume: u8, end: UtcMs, out: &mut Outcome) {
        let waits = self.waiting.iter_mut().find(|order| order.token == token);
        let plays = self.playing.as_mut().filter(|(order, _)| order.token == token);
        if let Some(order) = waits {
            (order.volume, order.end) = (volume, end);
        } else if let Some((order, _)) = plays {
            if order.end != end {
                out.orders.push(Order::Until { token, end_ms: mono(now, end) });
            }
            if order.volume != volume {
                out.orders.push(Order::Volume(volume));
            }
            (order.volume, order.end) = (volume, end);
        }
    }

    /// Says when the next play that waits begins.
    pub fn next_due(&self) -> Option<UtcMs> {
        self.waiting.iter().map(|order| order.at).min()
    }

    /// Begins the play that is due.
    pub fn due(&mut self, now: Moment, names: &Names<'_>) -> Option<Order> {
        let at = self.waiting.iter().position(|order| order.at <= now.utc)?;
        let order = self.waiting.remove(at);
        let late = now.utc.since(order.at).max(0);
        let offset_ms = order.offset_ms.saturating_add(late);
        let left = order.end.since(now.utc);
        let play = PlayOrder {
            token: order.token,
            item: name(&[&order.asset.0, &order.at.0.to_be_bytes()], order.token),
            sha256: order.asset,
            url: (names.url)(&order.asset),
            slot: names.slots.get(&order.asset).cloned(),
            volume: order.volume,
            offset_ms,
            length_ms: order.clip_ms.saturating_sub(offset_ms).min(left),
            end_ms: mono(now, order.end),
        };
        self.playing = Some((order, 0));
        Some(Order::Play(play))
    }

    /// Names what runs under this number of the machine.
    pub fn subject(&self, token: u64) -> Option<Subject> {
        let play = self.playing.as_ref().filter(|(order, _)| order.token == token);
        if let Some((order, _)) = play {
            return Some(Subject::Play { asset: order.asset, due: order.at });
        }
        let of = |pass: &&Pass| pass.at.is_some_and(|(page, _)| page == token);
        self.passes.iter().find(of).map(|pass| Subject::Page { cue: pass.order.cue })
    }

    /// Returns the play at the machine.
    pub fn playing(&self, token: u64) -> Option<&executor::PlayOrder> {
        self.playing.as_ref().map(|(order, _)| order).filter(|order| order.token == token)
    }

    /// Gives up what waits, and returns what ends the rest: the device is let go.
    pub fn leave(&mut self, board: bool) -> Vec<Order> {
        self.waiting.clear();
        for pass in &mut self.passes {
            pass.pages.clear();
            pass.leaves.clear();
        }
        let stop = self.playing.as_ref().map(|(order, _)| Order::Stop { token: order.token });
        stop.into_iter().chain(board.then_some(Order::Clear)).collect()
    }

    /// Takes what the machine tells.
    pub fn told(&mut self, now: Moment, action: &Action, draw: Draw<'_>) -> Outcome {
        let mut out = Outcome::default();
        match action {
            Action::Started { token, at_ms, grade } => {
                let at = now.utc.plus(at_ms.saturating_sub(now.mono_ms));
                self.started(*token, at, *grade, &mut out);
            }
            Action::Evidence(piece) => {
                if let (Some(token), Some((order, known))) = (piece.token, &mut self.playing)
                    && order.token == token
                    && piece.grade > *known
                {
                    *known = piece.grade;
                    out.events.push(Event::Graded { token, grade: piece.grade });
                }
            }
            Action::Ended { token, played_ms, by, grade } => {
                if self.playing.as_ref().is_some_and(|(order, _)| order.token == *token) {
                    self.playing = None;
                    let (token, at, played_ms) = (*token, now.utc, (*played_ms).max(0));
                    out.events.push(Event::Graded { token, grade: *grade });
                    out.events.push(Event::Ended { token, at, played_ms, by: ended(*by) });
                } else {
                    self.page_ended(now, *token, *played_ms, *by, *grade, draw, &mut out);
                }
            }
            Action::Failed { token, why, .. } => {
                out.troubles.extend(trouble(why));
                if self.playing.as_ref().is_some_and(|(order, _)| order.token == *token) {
                    self.playing = None;
                    out.events.push(failed(*token, why, now.utc));
                } else if let Some(at) = self.pass_of(*token) {
                    let pass = self.passes.remove(at);
                    out.events.extend(pass.over(now.utc, false));
                }
            }
            _ => {}
        }
        out
    }

    fn started(&mut self, token: u64, at: UtcMs, grade: u8, out: &mut Outcome) {
        if let Some((order, known)) = &mut self.playing
            && order.token == token
        {
            *known = grade.max(*known);
            out.events.push(Event::Started { token, at });
            out.events.push(Event::Graded { token, grade: *known });
        } else if let Some(pass) = self.pass_of(token).map(|at| &mut self.passes[at])
            && pass.begun.is_none()
        {
            pass.begun = Some(at);
            out.events.push(Event::Started { token: pass.order.token, at });
        }
    }

    fn pass_of(&self, token: u64) -> Option<usize> {
        self.passes.iter().position(|pass| pass.at.is_some_and(|(page, _)| page == token))
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one ended page")]
    fn page_ended(
        &mut self,
        now: Moment,
        token: u64,
        played_ms: i64,
        by: EndedBy,
        grade: u8,
        draw: Draw<'_>,
        out: &mut Outcome,
    ) {
        let Some(at) = self.pass_of(token) else { return };
        let newest = at + 1 == self.passes.len();
        let pass = &mut self.passes[at];
        let due = pass.at.take().map_or(i64::MAX, |(_, due)| due);
        pass.shown_ms = pass.shown_ms.saturating_add(played_ms.max(0));
        pass.grade = Some(pass.grade.map_or(grade, |least| least.min(grade)));
        let whole = matches!(by, EndedBy::Reckoned | EndedBy::Device) || played_ms >= due;
        if whole && newest && pass.has_more() && now.utc < pass.order.until {
            return self.turn(now, draw, out);
        }
        let pass = self.passes.remove(at);
        let whole = whole && !pass.has_more();
        out.events.extend(pass.over(now.utc, whole));
    }

    /// Puts the next page of the newest pass before the machine.
    fn turn(&mut self, now: Moment, draw: Draw<'_>, out: &mut Outcome) {
        let Some(pass) = self.passes.last_mut() else { return };
        while pass.leaves.is_empty()
            && let Some(page) = pass.pages.pop_front()
        {
            match draw(&page, now.utc, &pass.order.local) {
                Ok(leaves) => pass.leaves.extend(leaves),
                Err(no) => {
                    out.troubles.push(Trouble { says: no.to_string(), hint: no.hint() });
                    pass.pages.clear();
                    pass.leaves.clear();
                    break;
                }
            }
        }
        let Some(leaf) = pass.leaves.pop_front() else {
            let pass = self.passes.pop();
            // What stood before must not stand on in its place.
            out.orders.push(Order::Clear);
            out.events.extend(pass.into_iter().flat_map(|pass| pass.over(now.utc, false)));
            return;
        };
        self.pages += 1;
        pass.at = Some((self.pages, leaf.dwell_ms));
        if pass.frame.is_none() && pass.shown_ms == 0 {
            pass.frame = leaf.hash;
        }
        out.orders.push(Order::Show(ShowOrder {
            token: self.pages,
            item: name(&[&pass.order.cue.0], self.pages),
            text: leaf.text,
            frame: leaf.frame,
            colour: leaf.colour,
            dwell_ms: leaf.dwell_ms,
            until_ms: mono(now, pass.order.until),
        }));
    }
}

impl Pass {
    fn has_more(&self) -> bool {
        !self.pages.is_empty() || !self.leaves.is_empty()
    }

    fn over(self, now: UtcMs, whole: bool) -> Vec<Event> {
        let token = self.order.token;
        let from = self.begun.unwrap_or(now);
        let shown_ms = if self.begun.is_some() { self.shown_ms } else { 0 };
        let frame = self.frame.filter(|_| shown_ms > 0);
        let pass = PassEnd { from, to: from.plus(shown_ms), shown_ms, whole, frame };
        let graded = self.grade.map(|grade| Event::Graded { token, grade });
        graded.into_iter().chain([Event::Passed { token, pass }]).collect()
    }
}

/// Twelve digits that a device may repeat; of equal length, so that none begins another, and never
/// the same twice in a row: some devices tell of changes alone.
fn name(parts: &[&[u8]], number: u64) -> String {
    let digits = Digest::of(&parts.concat()).to_string();
    format!("{}{:03x}", digits.get(..9).unwrap_or("loa000000"), number % 0x1000)
}

/// An instant of the wall clock on the clock that never steps.
fn mono(now: Moment, at: UtcMs) -> i64 {
    now.mono_ms.saturating_add(at.since(now.utc))
}

fn ended(by: EndedBy) -> Ended {
    match by {
        EndedBy::Device | EndedBy::Reckoned => Ended::Clip,
        EndedBy::Time => Ended::Time,
        EndedBy::Halted => Ended::Halted,
        EndedBy::Replaced => Ended::Replaced,
        EndedBy::Broken => Ended::Output,
    }
}

fn failed(token: u64, why: &Why, at: UtcMs) -> Event {
    let why = match why {
        Why::Halted => return Event::Ended { token, at, played_ms: 0, by: Ended::Halted },
        Why::Replaced => return Event::Ended { token, at, played_ms: 0, by: Ended::Replaced },
        Why::Late => PlayFault::Late,
        _ => PlayFault::Output,
    };
    Event::Failed { token, why }
}

fn trouble(why: &Why) -> Option<Trouble> {
    let nothing = matches!(why, Why::Halted | Why::Replaced);
    (!nothing).then(|| Trouble { says: why.to_string(), hint: why.hint().to_owned() })
}

#[cfg(test)]
mod tests;
