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
//! * No clip sounds outside the spans of its sheet or inside the quiet floor.
//! * Every cue that ends while its sheet is in force gets its record, exactly once: what it did,
//!   or why it did nothing.
//! * Without trusted time nothing starts.
//!
//! # Why a lease and not the time of the last sound
//! After a cut the program cannot know how much sounded since it last wrote. Writing for every
//! sample wears out the flash; trusting the clock fails when it is set back meanwhile. So the
//! journal promises ahead ([`LEASE_MS`]), and a restart in the middle of a clip costs at most
//! that much silence.

mod board;
mod book;
mod journal;
mod speaker;
mod tone;
mod trace;

pub use board::{PassEnd, ShowOrder};
pub use book::{AssetWant, DayRef, Schedule};
pub use journal::{Journal, OpenPlay, OpenShow};
pub use speaker::{Ended, PlayFault, PlayOrder};
pub use tone::{TONE_MS, tone};
pub use trace::{Past, Trace};

use crate::device::floor::QuietFloor;
use crate::domain::ids::Digest;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::DaySheet;
use board::Board;
use book::Book;
use speaker::Speaker;
use std::collections::BTreeMap;
use std::sync::Arc;
use trace::Traces;

/// How far ahead of its start a play is ordered, so that decoding is ahead.
pub const LEAD_MS: i64 = 3_000;
/// How far ahead the journal promises what may have sounded.
pub const LEASE_MS: i64 = 3_000;
/// The journal is written at least so often, also when nothing happens.
pub const JOURNAL_EVERY_MS: i64 = 300_000;
/// Passes of a board are journalled at most so often.
const PASSES_MS: i64 = 30_000;
/// New sheets come into force when the assets due within this time are held, or after it.
pub const NEAR_MS: i64 = 600_000;

/// An instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The device's best idea of UTC; means nothing while time is [`Time::Unknown`].
    pub utc: UtcMs,
    /// Milliseconds on a clock that never steps.
    pub mono_ms: i64,
}

/// How well the device knows the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Not at all.
    Unknown,
    /// Once known, but the error may be above 120 s by now.
    Drifted,
    /// Well enough to play.
    Fit,
}

/// What a command of the server asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// End what plays or shows; it does not come back.
    Stop,
    /// A new volume for what plays, 0-100, below the cap.
    Volume(u8),
    /// Try the output and say how it went.
    SelfTest,
    /// Be heard or seen, so that people find the device.
    Identify,
}

/// What happened to the device.
#[derive(Clone, Debug)]
pub enum Event {
    /// A judged and persisted timetable.
    Timetable(Schedule),
    /// A sheet that matches its name.
    SheetHeld(Digest, Arc<DaySheet>),
    /// A verified asset is on disk.
    AssetHeld(Digest),
    /// An asset is gone or damaged.
    AssetLost(Digest),
    /// The quiet floor, at start and when it changes.
    Floor(QuietFloor),
    /// The quality of time changed.
    Clock(Time),
    /// Time passed. The first one ends the start-up: until then nothing is done.
    Tick,
    /// The player began to sound.
    Started { token: u64, at: UtcMs },
    /// The player ended.
    Ended { token: u64, at: UtcMs, played_ms: i64, by: Ended },
    /// The player could not.
    Failed { token: u64, why: PlayFault },
    /// A board ended a pass.
    Passed { token: u64, pass: PassEnd },
    /// A judged command that was not obeyed before.
    Command { jti: String, order: Order },
    /// The program must end: finish what runs and say [`Action::Done`].
    Stop,
}

/// What the loop must do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sign, append, make durable; only then go on.
    Record(Box<Body>),
    /// Make durable; only then go on.
    Journal(Journal),
    /// Order a play.
    Play(PlayOrder),
    /// End a play.
    Halt { token: u64, fade_ms: i64 },
    /// Change a play.
    Amend { token: u64, volume: u8, end: UtcMs },
    /// Show one pass of an item.
    Show(ShowOrder),
    /// Show nothing.
    Blank,
    /// The asset cannot be decoded: verify it and fetch it anew if it is damaged.
    Suspect(Digest),
    /// What is missing changed: sheets first, then assets by first use.
    Want { sheets: Vec<Digest>, assets: Vec<AssetWant> },
    /// The program may end.
    Done,
}

impl Action {
    fn record(body: Body) -> Self {
        Self::Record(Box::new(body))
    }
}

/// What the device has to sound or show with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A loudspeaker and the grade its plays deserve.
    Speaker { grade: u8, method: &'static str },
    /// A board and the grade its showings deserve.
    Board { grade: u8 },
}

/// A self-test or an identification under way: no cue, but an answer at its end.
#[derive(Clone, Debug)]
struct Errand {
    jti: String,
    what: &'static str,
    test: bool,
}

impl Errand {
    /// Returns the records of its end: what share of it was put out, by which method.
    fn end(self, permille: i64, method: &str, out: &mut Vec<Action>) {
        if self.test {
            let (method, score_permille) = (method.to_owned(), permille);
            out.push(Action::record(Body::SelfTest { method, score_permille }));
        }
        let result = if permille > 0 { "done" } else { "failed: output" };
        let (what, result) = (self.what.to_owned(), result.to_owned());
        out.push(Action::record(Body::Did { jti: self.jti, what, result }));
    }
}

#[derive(Debug)]
enum Machine {
    Speaker(Speaker),
    Board(Board),
}

/// What surrounds the machine of the output.
#[derive(Debug)]
pub(crate) struct World {
    me: String,
    book: Book,
    traces: Traces,
    floor: QuietFloor,
    time: Time,
    next_token: u64,
    stopping: bool,
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
    journalled: Option<i64>,
    dirty: bool,
    wanted: (Vec<Digest>, Vec<AssetWant>),
    obeyed: BTreeMap<String, i64>,
    done: bool,
}

impl World {
    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// Says until when sound is allowed from an instant on; `None` when it is not.
    fn sound_until(&self, at: UtcMs) -> Option<UtcMs> {
        let spans = self.book.sound_until(at)?;
        let floor = self.floor.loud_until(at)?;
        Some(spans.min(floor))
    }
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
                if let Machine::Speaker(speaker) = &mut self.machine {
                    speaker.started(now, token, at, &mut out);
                    self.dirty = true;
                }
            }
            Event::Ended { token, at, played_ms, by } => {
                if let Machine::Speaker(speaker) = &mut self.machine {
                    speaker.ended(&mut self.world, token, at, played_ms, by, &mut out);
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
        self.world.book.needed(now, NeedFilter::All)
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
        self.settle(now, out);
        self.want(now, out);
        self.keep_journal(now, out);
        if self.world.stopping && !self.done && self.idle() {
            self.done = true;
            out.push(Action::Journal(self.journal(now, true)));
            out.push(Action::Done);
        }
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
            self.world.traces.promise(open.cue, open.reach_ms);
            if open.started.is_some() {
                let play = open.close(if *unclean { "power" } else { "off" });
                self.world.traces.add_play(open.cue, &play);
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

    /// Follows a clock that was set back; while time is unknown nothing is settled.
    fn watch_clock(&mut self, now: Moment) {
        if self.world.time == Time::Unknown {
            return;
        }
        match self.settled {
            None => self.settled = Some(now.utc.plus(self.boot_mono.saturating_sub(now.mono_ms))),
            Some(settled) if now.utc < settled => self.settled = Some(now.utc),
            Some(_) => {}
        }
    }

    /// Gives every cue whose time is over its record.
    fn settle(&mut self, now: Moment, out: &mut Vec<Action>) {
        let Some(settled) = self.settled else { return };
        if self.world.time == Time::Unknown || now.utc <= settled {
            return;
        }
        let boot_utc = now.utc.plus(self.boot_mono.saturating_sub(now.mono_ms));
        for (cue, sheet, known) in self.world.book.ended_between(settled, now) {
            let running = match &self.machine {
                Machine::Speaker(speaker) => speaker.runs(&cue.id),
                Machine::Board(board) => board.runs(&cue.id),
            };
            if running {
                continue;
            }
            let trace = self.world.traces.of(&cue.id);
            if trace.records > 0 {
                continue;
            }
            let absent = self.world.traces.absent.is_some_and(|(alive, _)| {
                cue.end_ms <= boot_utc && alive.is_some_and(|alive| cue.end_ms > alive)
            });
            let cause = match (absent, trace.blocked) {
                (true, _) if self.world.traces.absent.is_some_and(|(_, unclean)| unclean) => {
                    "power"
                }
                (true, _) => "off",
                (false, Some(cause)) => cause,
                (false, None) if !known => continue,
                (false, None) => "clock",
            };
            let body = match &self.machine {
                Machine::Speaker(_) => Speaker::nothing(&self.world, &cue, sheet, cause),
                Machine::Board(_) => Board::nothing(&self.world, &cue, sheet, cause),
            };
            self.world.traces.close(cue.id, cause != "clock");
            out.push(Action::record(body));
            self.dirty = true;
        }
        self.settled = Some(now.utc);
        self.world.traces.forget_before(now.utc.plus(-2 * 86_400_000));
    }

    fn want(&mut self, now: Moment, out: &mut Vec<Action>) {
        let sheets = self.world.book.missing_sheets();
        let at = if self.world.time == Time::Unknown { UtcMs(i64::MIN) } else { now.utc };
        let assets = self.world.book.needed(at, NeedFilter::Missing);
        if self.wanted.0 != sheets || self.wanted.1 != assets {
            self.wanted = (sheets.clone(), assets.clone());
            out.push(Action::Want { sheets, assets });
        }
    }

    fn obey(&mut self, now: Moment, jti: String, order: &Order, out: &mut Vec<Action>) {
        if !self.first_time(now, &jti) {
            return;
        }
        let clock = || "refused: clock".to_owned();
        let (what, result) = match (&mut self.machine, order) {
            (_, Order::Stop) if self.world.time != Time::Fit => ("stop", clock()),
            (_, Order::Volume(_)) if self.world.time != Time::Fit => ("volume", clock()),
            (Machine::Speaker(speaker), Order::Stop) => {
                ("stop", speaker.stop_now(&mut self.world, now, out))
            }
            (Machine::Board(board), Order::Stop) => {
                ("stop", board.stop_now(&mut self.world, now, out))
            }
            (Machine::Speaker(speaker), Order::Volume(volume)) => {
                ("volume", speaker.set_volume(&self.world, *volume, out))
            }
            (Machine::Board(_), Order::Volume(_)) => ("volume", "unsupported".to_owned()),
            (machine, Order::SelfTest | Order::Identify) => {
                let test = *order == Order::SelfTest;
                let what = if test { "self-test" } else { "identify" };
                let errand = Errand { jti: jti.clone(), what, test };
                let begun = match machine {
                    Machine::Speaker(speaker) => speaker.errand(&mut self.world, now, errand, out),
                    Machine::Board(board) => board.errand(&mut self.world, now, errand, out),
                };
                match begun {
                    Ok(()) => return, // answered when it is done
                    Err(refused) => (what, refused.to_owned()),
                }
            }
        };
        out.push(Action::record(Body::Did { jti, what: what.to_owned(), result }));
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
        let (sounding, showing) = match &self.machine {
            Machine::Speaker(speaker) => (speaker.open(now), Vec::new()),
            Machine::Board(board) => (Vec::new(), board.open()),
        };
        Journal { alive, clean, days: self.world.book.days(), sounding, showing }
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
