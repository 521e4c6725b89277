//! Decides what a device does, one event at a time.
//!
//! Pure: an event and the moment go in, actions come out in the order in which they must be done.
//! It reads no clock, touches no file and knows no transport; the loop in [`super::run`] obeys.
//! Judging signatures is left to [`super::accept`], the quality of time to [`super::trust`].
//!
//! # Invariants
//! * One output never sounds or shows two cues at once.
//! * An id once started never starts again from its beginning, and no stretch of a clip sounds
//!   twice, also over a cut of power and a clock set back: [`Action::Journal`] says how far a clip
//!   *may* have sounded before it does, and after a restart it is joined beyond that point.
//! * No clip of a sheet sounds outside its spans, inside the quiet floor or during a hold; only an
//!   urgent notice does, and no notice sounds more often than it says, over restarts too.
//! * Every cue that ends while its sheet is in force gets its record, exactly once: what it did,
//!   or why it did nothing.
//! * Without trusted time nothing starts.
//!
//! # Why a lease and not the time of the last sound
//! After a cut the program cannot know how much sounded since it last wrote. Writing for every
//! sample wears out the flash; trusting the clock fails when it is set back meanwhile. So the
//! journal promises ahead ([`LEASE_MS`]), and a restart in the middle of a clip costs at most
//! that much silence.

mod answers;
mod board;
mod book;
mod event;
mod holds;
mod journal;
mod notices;
mod obey;
mod settle;
mod speaker;
mod tone;
mod trace;
mod world;

pub use board::{PassEnd, ShowOrder};
pub use book::{AssetWant, DayRef, Schedule};
pub use event::{
    Action, Event, JOURNAL_EVERY_MS, LEAD_MS, LEASE_MS, Moment, NEAR_MS, Order, Output, Time,
};
pub use holds::HoldOrder;
pub use journal::{Journal, OpenPlay, OpenShow};
pub use notices::{Fate, Notice, NoticeKind, NoticeMark};
pub use speaker::{Ended, PlayFault, PlayOrder};
pub use tone::{TONE_MS, tone};
pub use trace::{Past, Trace};

use crate::device::floor::QuietFloor;
use crate::domain::ids::Digest;
use crate::domain::playlist::Page;
use crate::domain::proof::record::{Body, Subject};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::Cue;
use answers::{Answer, Answers};
use board::Board;
use book::Book;
use event::PASSES_MS;
use holds::Holds;
use notices::Notices;
use speaker::Speaker;
use std::collections::{BTreeMap, BTreeSet};
use trace::Traces;
use world::World;

#[derive(Debug)]
enum Machine {
    Speaker(Speaker),
    Board(Board),
}

/// The device's decisions.
#[derive(Debug)]
pub struct Executor {
    world: World,
    machine: Machine,
    booting: bool,
    boot_mono: i64,
    past: Option<Past>,
    settled: Option<UtcMs>,
    /// Cues whose time is over while the output has not ended them.
    unsettled: Vec<(Cue, Digest, bool)>,
    journalled: Option<i64>,
    dirty: bool,
    wanted: (Vec<Digest>, Vec<AssetWant>),
    obeyed: BTreeMap<String, i64>,
    done: bool,
}

impl Executor {
    /// Returns the executor as the last run of the program left it.
    ///
    /// `me` is what a board shows to identify itself.
    pub fn new(me: &str, output: Output, floor: QuietFloor, past: Past, now: Moment) -> Self {
        let book = Book::resume(past.days.clone());
        let traces = Traces::new(past.traces.clone());
        Self {
            world: World {
                me: me.to_owned(),
                book,
                traces,
                notices: Notices::resume(past.notices.clone()),
                holds: Holds::default(),
                answers: Answers::resume(past.answers.clone()),
                floor,
                time: Time::Unknown,
                next_token: 0,
                stopping: false,
            },
            machine: match output {
                Output::Speaker { grade, method } => Machine::Speaker(Speaker::new(grade, method)),
                Output::Board { grade } => Machine::Board(Board::new(grade)),
            },
            booting: true,
            boot_mono: now.mono_ms,
            past: Some(past),
            settled: None,
            unsettled: Vec::new(),
            journalled: None,
            dirty: false,
            wanted: (Vec::new(), Vec::new()),
            obeyed: BTreeMap::new(),
            done: false,
        }
    }

    /// Advances the device by one event; returns what the loop must do, in order.
    /// However late, it joins the running cue at the right offset and replays nothing.
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Timetable(schedule) => {
                self.world.book.accept(schedule, now);
                self.dirty = true;
            }
            Event::SheetHeld(name, sheet) => self.world.book.hold_sheet(name, sheet),
            Event::AssetHeld(name) => self.world.book.hold_asset(name),
            Event::AssetLost(name) => self.world.book.lose_asset(&name),
            Event::Floor(floor) => self.world.floor = floor,
            Event::Clock(time) => self.world.time = time,
            Event::Tick => self.booting = false,
            Event::Started { token, at } => {
                let told = out.len();
                match &mut self.machine {
                    Machine::Speaker(speaker) => speaker.started(now, token, at, &mut out),
                    Machine::Board(board) => board.started(&mut self.world, token, at, &mut out),
                }
                self.dirty |= out.len() > told;
            }
            Event::Ended { token, at, played_ms, by } => {
                if let Machine::Speaker(speaker) = &mut self.machine {
                    speaker.ended(&mut self.world, now, token, at, played_ms, by, &mut out);
                    self.dirty = true;
                }
            }
            Event::Failed { token, why } => {
                if let Machine::Speaker(speaker) = &mut self.machine {
                    speaker.failed(&mut self.world, now, token, why, &mut out);
                    self.dirty = true;
                }
            }
            Event::Passed { token, pass } => {
                if let Machine::Board(board) = &mut self.machine {
                    board.passed(&mut self.world, now, token, pass, &mut out);
                    let written = self.journalled.unwrap_or(i64::MIN);
                    self.dirty |= now.mono_ms.saturating_sub(written) >= PASSES_MS;
                }
            }
            Event::Graded { token, grade } => {
                match &mut self.machine {
                    Machine::Speaker(speaker) => speaker.graded(token, grade),
                    Machine::Board(board) => board.graded(token, grade),
                }
                self.dirty = true;
            }
            Event::Notice(notice) => {
                let (time, hears) = (self.world.time, matches!(self.machine, Machine::Speaker(_)));
                self.world.notices.take(*notice, now, time, hears);
                self.dirty = true;
            }
            Event::Declined { jti, drill, word } => {
                self.world.answers.promise(Answer::Declined { jti, drill, word }, now);
            }
            Event::Withdraw { jti } => self.withdraw(now, jti),
            Event::Hold(order) => {
                let jti = order.jti.clone();
                let answer = if order.until.is_some() { Answer::Hold } else { Answer::Release };
                self.world.holds.take(order);
                self.world.answers.promise(answer(jti), now);
            }
            Event::Void { notices, holds } => {
                for jti in &notices {
                    self.world.notices.withdraw(jti);
                }
                for unit in &holds {
                    self.world.holds.drop_unit(unit);
                }
                self.dirty = true;
            }
            Event::Command { jti, order } => self.obey(now, jti, &order, &mut out),
            Event::Stop => self.world.stopping = true,
        }
        if !self.booting {
            self.advance(now, &mut out);
        }
        out
    }

    /// Names what the schedule still needs, with first and last use: what storage must keep.
    pub fn needed(&self, now: UtcMs) -> Vec<AssetWant> {
        self.with_notices(self.world.book.needed(now, NeedFilter::All))
    }

    /// Says whether the days follow the newest timetable.
    pub fn follows_newest(&self) -> bool {
        self.world.book.follows_newest()
    }

    /// Says whether a command was not obeyed before, and remembers it.
    pub fn first_time(&mut self, now: Moment, jti: &str) -> bool {
        // Commands expire after 5 minutes; an id is remembered for an hour of running.
        self.obeyed.retain(|_, at| now.mono_ms.saturating_sub(*at) < 3_600_000);
        self.obeyed.insert(jti.to_owned(), now.mono_ms).is_none()
    }

    /// Returns the pages of the sheets that are in force or come into force, and the idle page.
    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        self.world.book.pages()
    }

    /// Names the sheets that are in force or come into force.
    pub fn sheets(&self) -> Vec<Digest> {
        self.world.book.sheet_names()
    }

    fn advance(&mut self, now: Moment, out: &mut Vec<Action>) {
        if let Some(past) = self.past.take() {
            self.resume(now, past, out);
        }
        self.watch_clock(now);
        if self.world.book.adopt(now) {
            // What ended under the old sheets is closed before the new ones are followed.
            self.dirty = true;
        }
        match &mut self.machine {
            Machine::Speaker(speaker) => speaker.advance(&mut self.world, now, out),
            Machine::Board(board) => board.advance(&mut self.world, now, out),
        }
        self.answer(now, out);
        self.settle(now, out);
        self.want(now, out);
        self.keep_journal(now, out);
        if self.world.stopping && !self.done && self.idle() {
            self.done = true;
            out.extend(self.world.answers.last().map(Action::record));
            out.push(Action::Journal(self.journal(now, true)));
            out.push(Action::Done);
        }
    }

    /// Adds the assets of notices: needed before all others.
    fn with_notices(&self, cues: Vec<AssetWant>) -> Vec<AssetWant> {
        let mut wants = self.world.notices.wants();
        wants.dedup_by_key(|want| want.asset);
        let named: BTreeSet<Digest> = wants.iter().map(|want| want.asset).collect();
        wants.extend(cues.into_iter().filter(|want| !named.contains(&want.asset)));
        wants
    }

    fn withdraw(&mut self, now: Moment, jti: String) {
        let known = self.world.notices.withdraw(&jti);
        let answer = if known { Answer::Withdrawal } else { Answer::Kept };
        self.world.answers.promise(answer(jti), now);
        self.dirty |= known;
    }

    /// Says what became of notices, holds and withdrawals.
    fn answer(&mut self, now: Moment, out: &mut Vec<Action>) {
        let World { notices, book, time, answers, .. } = &mut self.world;
        let hears = matches!(self.machine, Machine::Speaker(_));
        let mut bodies = notices.answers(now, *time, hears, |asset| book.holds(asset));
        let machine = &self.machine;
        bodies.extend(answers.due(now, |answer| match (answer, machine) {
            (Answer::Release(_) | Answer::Kept(_) | Answer::Declined { .. }, _) => true,
            (Answer::Hold(_), Machine::Speaker(speaker)) => speaker.is_silent(),
            (Answer::Hold(_), Machine::Board(board)) => board.is_dark(),
            (Answer::Withdrawal(jti), Machine::Speaker(speaker)) => !speaker.calls(jti),
            (Answer::Withdrawal(jti), Machine::Board(board)) => !board.shows(jti),
        }));
        self.dirty |= !bodies.is_empty();
        out.extend(bodies.into_iter().map(Action::record));
    }

    fn idle(&self) -> bool {
        match &self.machine {
            Machine::Speaker(speaker) => speaker.is_idle(),
            Machine::Board(board) => board.is_idle(),
        }
    }

    /// Closes what the last run of the program left open.
    fn resume(&mut self, now: Moment, past: Past, out: &mut Vec<Action>) {
        let Past { open_plays, open_shows, unclean, .. } = &past;
        for open in open_plays {
            if let Some(cue) = open.cue() {
                self.world.traces.promise(cue, open.reach_ms);
            } else if matches!(self.machine, Machine::Board(_)) {
                continue; // what it showed of the notice stands in its showings
            }
            if let (None, Subject::Notice { jti }) = (open.started, &open.draft.subject) {
                // It may have sounded or not; either way it does not begin again.
                let (jti, what) = (jti.clone(), "urgent".to_owned());
                let result = "failed: power".to_owned();
                out.push(Action::record(Body::Did { jti, what, result }));
            }
            if open.started.is_some() {
                let mut play = open.close(if *unclean { "power" } else { "off" });
                if let (true, Machine::Speaker(speaker)) = (open.is_bare(), &self.machine) {
                    play.grade = play.grade.min(speaker.grade());
                }
                if let Some(cue) = open.cue() {
                    self.world.traces.add_play(cue, &play);
                }
                out.push(Action::record(Body::Play(play)));
            }
        }
        for open in open_shows {
            let show = open.close(if *unclean { "power" } else { "off" });
            self.world.traces.add_show(open.cue);
            out.push(Action::record(Body::Show(show)));
        }
        for jti in &past.obeyed {
            self.obeyed.insert(jti.clone(), now.mono_ms);
        }
        self.settled = past.alive;
        self.world.traces.absent = Some((past.alive, past.unclean));
        self.dirty = true;
    }

    fn want(&mut self, now: Moment, out: &mut Vec<Action>) {
        let sheets = self.world.book.missing_sheets();
        let at = if self.world.time == Time::Unknown { UtcMs(i64::MIN) } else { now.utc };
        let mut assets = self.with_notices(self.world.book.needed(at, NeedFilter::Missing));
        assets.retain(|want| !self.world.book.holds(&want.asset));
        if self.wanted.0 != sheets || self.wanted.1 != assets {
            self.wanted = (sheets.clone(), assets.clone());
            out.push(Action::Want { sheets, assets });
        }
    }

    fn keep_journal(&mut self, now: Moment, out: &mut Vec<Action>) {
        let old =
            self.journalled.is_none_or(|at| now.mono_ms.saturating_sub(at) >= JOURNAL_EVERY_MS);
        let renew = match &mut self.machine {
            Machine::Speaker(speaker) => speaker.renew(now),
            Machine::Board(_) => false,
        };
        let orders = out.iter().any(|action| matches!(action, Action::Play(_)));
        if (self.dirty || old || renew || orders) && !self.done {
            out.push(Action::Journal(self.journal(now, false)));
            self.dirty = false;
            self.journalled = Some(now.mono_ms);
        }
        // Records first: the journal says that they are written. Then the journal: it promises
        // what the orders after it may do.
        out.sort_by_key(|action| match action {
            Action::Record(_) => 0,
            Action::Journal(_) => 1,
            _ => 2,
        });
    }

    fn journal(&self, now: Moment, clean: bool) -> Journal {
        let alive = if self.world.time == Time::Unknown { self.settled } else { Some(now.utc) };
        // The next run gives them their word, should this one not come to it.
        let owed = self.unsettled.iter().map(|(cue, ..)| cue.end_ms.plus(-1)).min();
        let alive = alive.map(|alive| owed.map_or(alive, |owed| owed.min(alive)));
        let (sounding, showing) = match &self.machine {
            Machine::Speaker(speaker) => (speaker.open(now), Vec::new()),
            Machine::Board(board) => (Vec::new(), board.open()),
        };
        let (days, notices) = (self.world.book.days(), self.world.notices.marks());
        let due = self.world.book.due(now.utc, 0).into_iter().map(|placed| placed.cue.id);
        let ended = due.filter(|cue| self.world.traces.of(cue).closed).collect();
        Journal { alive, clean, days, sounding, showing, notices, ended }
    }
}

/// Which assets a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NeedFilter {
    All,
    Missing,
}

#[cfg(test)]
mod tests;
