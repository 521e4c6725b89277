//! The board: which item is shown next, and what is added up of it.
//!
//! A rotation is shown in sheet order, one full pass each, until its end. Showings are added up
//! per item and quarter of an hour; a pass counts in the quarter in which it began.

mod tally;
mod turns;

use super::journal::OpenShow;
use super::notices::board_id;
use super::world::Errand;
use super::{Action, Moment, World};
use crate::domain::ids::{CueId, Digest};
use crate::domain::playlist::Page;
use crate::domain::proof::record::{Body, Subject};
use crate::domain::time::{LocalOffset, UtcMs};
use std::collections::BTreeMap;
use tally::Tally;
use turns::{Source, Turn};

const QUARTER_MS: i64 = 900_000;
/// A board that failed is tried again after this time.
const RETRY_MS: i64 = 5_000;
/// A pass whose end does not come is closed without the board after this time.
const SILENT_MS: i64 = 15_000;

/// One pass of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowOrder {
    /// Stands in the event about it.
    pub token: u64,
    /// Which cue, for logs.
    pub cue: CueId,
    /// What to show, in order.
    pub pages: Vec<Page>,
    /// Local time, for pages that show it.
    pub local: Vec<LocalOffset>,
    /// When it ends at the latest.
    pub until: UtcMs,
}

/// How a pass ended, as the board says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassEnd {
    /// When its first frame stood.
    pub from: UtcMs,
    /// When its last frame was taken away.
    pub to: UtcMs,
    /// How long frames stood, by the clock that never steps.
    pub shown_ms: i64,
    /// All pages were shown to their end.
    pub whole: bool,
    /// SHA-256 of the packed pixels of the first frame; `None` when nothing was shown, or when the
    /// board draws text itself and nobody knows its pixels.
    pub frame: Option<Digest>,
}

#[derive(Debug)]
struct Showing {
    token: u64,
    cue: CueId,
    until: UtcMs,
    cut: Option<(&'static str, i64)>,
    /// What the output says of this pass.
    grade: Option<u8>,
}

/// The machine of a board.
#[derive(Debug)]
pub(crate) struct Board {
    grade: u8,
    showing: Option<Showing>,
    last: Option<CueId>,
    tallies: BTreeMap<CueId, Tally>,
    sources: BTreeMap<CueId, Source>,
    blank: bool,
    /// The idle page failed; not tried again before this instant of the clock that never steps.
    idle_mono: Option<i64>,
    errand: Option<(Errand, i64)>,
}

/// Stands for the cue in passes that belong to none: the idle page, an errand.
const NO_CUE: CueId = CueId([0; 16]);
/// How long a board shows itself.
const ERRAND_MS: i64 = 5_000;

impl Board {
    pub fn new(grade: u8) -> Self {
        Self {
            grade,
            showing: None,
            last: None,
            tallies: BTreeMap::new(),
            sources: BTreeMap::new(),
            blank: false,
            idle_mono: None,
            errand: None,
        }
    }

    /// Takes note of what the output can prove of a pass.
    pub fn graded(&mut self, token: u64, grade: u8) {
        if let Some(showing) = self.showing.as_mut().filter(|showing| showing.token == token) {
            showing.grade = Some(grade);
        }
    }

    pub fn is_idle(&self) -> bool {
        self.showing.is_none() && self.tallies.is_empty()
    }

    /// Says whether nothing is shown but a notice.
    pub fn is_dark(&self) -> bool {
        let notice =
            |showing: &Showing| self.sources.get(&showing.cue).is_some_and(Source::is_notice);
        self.showing.as_ref().is_none_or(notice)
    }

    /// Says whether a notice is shown or not recorded yet.
    pub fn shows(&self, jti: &str) -> bool {
        self.runs(&board_id(jti))
    }

    pub fn runs(&self, cue: &CueId) -> bool {
        self.showing.as_ref().is_some_and(|s| s.cue == *cue) || self.tallies.contains_key(cue)
    }

    pub fn advance(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        let held = world.held(now);
        Self::refuse_foreign_kinds(world, now, out);
        let group = Self::group(world, now);
        let cause = match (&held, group.first().map(|turn| &turn.source.subject)) {
            (Some(_), _) => "hold",
            (None, Some(Subject::Notice { .. })) => "pre-empted",
            _ => "withdrawn",
        };
        self.follow(world, &group, cause, now, out);
        self.flush(world, &group, now, out);
        if self.showing.is_some() {
            return;
        }
        let ready = |id: &CueId| world.traces.of(id).retry_mono.is_none_or(|at| now.mono_ms >= at);
        let turn = group.iter().position(|turn| Some(turn.id) == self.last);
        let first = turn.map_or(0, |turn| turn + 1);
        let order = (0..group.len()).map(|i| &group[(first + i) % group.len()]);
        let next = order.into_iter().find(|turn| ready(&turn.id));
        match next {
            Some(turn) => self.show(world, turn, out),
            None => self.rest(world, held.is_none() && group.is_empty(), now, out),
        }
    }

    fn show(&mut self, world: &mut World, turn: &Turn, out: &mut Vec<Action>) {
        let token = world.token();
        let (cue, until, pages) = (turn.id, turn.source.end, turn.source.pages.clone());
        self.last = Some(cue);
        self.blank = false;
        self.showing = Some(Showing { token, cue, until, cut: None, grade: None });
        self.sources.insert(cue, turn.source.clone());
        if let Subject::Notice { jti } = &turn.source.subject {
            world.notices.ordered(jti);
        }
        let local = world.book.local().to_vec();
        out.push(Action::Show(ShowOrder { token, cue, pages, local, until }));
    }

    /// Says of a notice, once, that it stands: people wait for this word, and a pass takes its
    /// time.
    pub fn started(&self, world: &mut World, token: u64, at: UtcMs, out: &mut Vec<Action>) {
        let Some(showing) = self.showing.as_ref().filter(|s| s.token == token) else { return };
        let Some(source) = self.sources.get(&showing.cue) else { return };
        if let Subject::Notice { jti } = &source.subject
            && world.notices.get(jti).is_some_and(|track| track.mark.begun == 0)
        {
            world.notices.begin(jti);
            let subject = source.subject.clone();
            out.push(Action::record(Body::Start { subject, n: 1, started_ms: at }));
        }
    }

    /// Shows the idle page where nothing else wants the board, or nothing.
    fn rest(&mut self, world: &mut World, free: bool, now: Moment, out: &mut Vec<Action>) {
        let ready = self.idle_mono.is_none_or(|at| now.mono_ms >= at);
        match world.book.idle().cloned() {
            Some(page) if !world.stopping && free && ready => {
                // Re-made from time to time, so that a board that lost it shows it again.
                let until = now.utc.plus(page.dwell_ms.clamp(10_000, 600_000));
                self.blank = false;
                self.begin(world, until, vec![page], out);
            }
            _ if !self.blank => {
                self.blank = true;
                out.push(Action::Blank);
            }
            _ => {}
        }
    }

    /// Begins a pass that belongs to no cue.
    fn begin(&mut self, world: &mut World, until: UtcMs, pages: Vec<Page>, out: &mut Vec<Action>) {
        let token = world.token();
        self.showing = Some(Showing { token, cue: NO_CUE, until, cut: None, grade: None });
        let local = world.book.local().to_vec();
        out.push(Action::Show(ShowOrder { token, cue: NO_CUE, pages, local, until }));
    }

    /// Shows the device's name, where no cue needs the board.
    pub fn errand(
        &mut self,
        world: &mut World,
        now: Moment,
        errand: Errand,
        out: &mut Vec<Action>,
    ) -> Result<(), &'static str> {
        if world.held(now).is_some() {
            return Err("refused: hold");
        }
        let busy = self.showing.as_ref().is_some_and(|s| s.cue != NO_CUE);
        let soon = world.book.due(now.utc, ERRAND_MS + 1_000);
        if busy || self.errand.is_some() || !soon.is_empty() || world.stopping {
            return Err("refused: busy");
        }
        let page = Page::plain(&world.me, ERRAND_MS);
        self.errand = Some((errand, now.mono_ms));
        self.blank = false;
        self.begin(world, now.utc.plus(ERRAND_MS), vec![page], out);
        Ok(())
    }

    /// Ends what is shown, and its whole rotation, for good.
    pub fn stop_now(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) -> String {
        let group = Self::group(world, now);
        let notices = group.iter().any(Turn::is_notice);
        for turn in group.iter().filter(|turn| !turn.is_notice()) {
            match self.tallies.get_mut(&turn.id) {
                Some(tally) => tally.cut = Some("stop"),
                None if self.showing.as_ref().is_some_and(|s| s.cue == turn.id) => {}
                None => {
                    // Of what stood before there are records; this one is about the rest.
                    let told = world.traces.of(&turn.id).records > 0;
                    let from = if told { turn.from.max(now.utc) } else { turn.from };
                    out.push(Action::record(turn.source.nothing(from, "stop")));
                    world.traces.add_show(turn.id);
                }
            }
            world.traces.end(turn.id);
        }
        match &mut self.showing {
            // A command ends cues; a notice ends by its withdrawal.
            Some(showing) if showing.cut.is_none() && !notices => {
                showing.cut = Some(("stop", now.mono_ms));
                self.blank = true;
                out.push(Action::Blank);
                "done".to_owned()
            }
            _ => "nothing is shown".to_owned(),
        }
    }

    pub fn open(&self) -> Vec<OpenShow> {
        let open =
            |(cue, tally): (&CueId, &Tally)| OpenShow { cue: *cue, draft: tally.draft.clone() };
        self.tallies.iter().map(open).collect()
    }
}
