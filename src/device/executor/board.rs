//! The board: which item is shown next, and what is added up of it.
//!
//! A rotation is shown in sheet order, one full pass each, until its end. Showings are added up
//! per item and quarter of an hour; a pass counts in the quarter in which it began.

use super::journal::OpenShow;
use super::{Action, Errand, Moment, Time, World};
use crate::domain::ids::{CueId, Digest};
use crate::domain::playlist::{Align, Effect, Page};
use crate::domain::proof::record::{Body, Said, Show, Subject};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::{Cue, SheetItem};
use std::collections::BTreeMap;

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
    /// SHA-256 of the packed pixels of the first frame; `None` when nothing was shown.
    pub frame: Option<Digest>,
}

#[derive(Debug)]
struct Showing {
    token: u64,
    cue: CueId,
    until: UtcMs,
    cut: Option<(&'static str, i64)>,
}

#[derive(Debug)]
struct Tally {
    draft: Show,
    quarter: i64,
    end: UtcMs,
    cut: Option<&'static str>,
}

/// The machine of a board.
#[derive(Debug)]
pub(crate) struct Board {
    grade: u8,
    showing: Option<Showing>,
    last: Option<CueId>,
    tallies: BTreeMap<CueId, Tally>,
    cues: BTreeMap<CueId, (Cue, Digest, String)>,
    blank: bool,
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
            cues: BTreeMap::new(),
            blank: false,
            errand: None,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.showing.is_none() && self.tallies.is_empty()
    }

    pub fn runs(&self, cue: &CueId) -> bool {
        self.showing.as_ref().is_some_and(|s| s.cue == *cue) || self.tallies.contains_key(cue)
    }

    pub fn advance(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        Self::refuse_foreign_kinds(world, now, out);
        let group = Self::group(world, now);
        self.follow(world, &group, now, out);
        self.flush(world, &group, now, out);
        if self.showing.is_some() {
            return;
        }
        let ready = |id: &CueId| world.traces.of(id).retry_mono.is_none_or(|at| now.mono_ms >= at);
        let turn = group.iter().position(|(cue, ..)| Some(cue.id) == self.last);
        let first = turn.map_or(0, |turn| turn + 1);
        let order = (0..group.len()).map(|i| &group[(first + i) % group.len()]);
        let next = order.into_iter().find(|(cue, ..)| ready(&cue.id));
        match next {
            Some((cue, sheet, title, pages)) => {
                let token = world.token();
                self.last = Some(cue.id);
                self.blank = false;
                self.showing = Some(Showing { token, cue: cue.id, until: cue.end_ms, cut: None });
                self.cues.insert(cue.id, (cue.clone(), *sheet, title.clone()));
                let (cue, until) = (cue.id, cue.end_ms);
                out.push(Action::Show(ShowOrder { token, cue, pages: pages.clone(), until }));
            }
            None => self.rest(world, now, out),
        }
    }

    /// Shows the idle page, or nothing.
    fn rest(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        match world.book.idle().cloned() {
            Some(page) if !world.stopping => {
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
        self.showing = Some(Showing { token, cue: NO_CUE, until, cut: None });
        out.push(Action::Show(ShowOrder { token, cue: NO_CUE, pages, until }));
    }

    /// Shows the device's name, where no cue needs the board.
    pub fn errand(
        &mut self,
        world: &mut World,
        now: Moment,
        errand: Errand,
        out: &mut Vec<Action>,
    ) -> Result<(), &'static str> {
        let busy = self.showing.as_ref().is_some_and(|s| s.cue != NO_CUE);
        let soon = world.book.due(now.utc, ERRAND_MS + 1_000);
        if busy || self.errand.is_some() || !soon.is_empty() || world.stopping {
            return Err("refused: busy");
        }
        let page = Page {
            text: world.me.clone(),
            align: Align::Centre,
            effect: Effect::Still,
            dwell_ms: ERRAND_MS,
            colour: None,
            font: None,
        };
        self.errand = Some((errand, now.mono_ms));
        self.blank = false;
        self.begin(world, now.utc.plus(ERRAND_MS), vec![page], out);
        Ok(())
    }

    pub fn passed(
        &mut self,
        world: &mut World,
        now: Moment,
        token: u64,
        pass: PassEnd,
        out: &mut Vec<Action>,
    ) {
        if self.showing.as_ref().is_none_or(|s| s.token != token) {
            return;
        }
        let Some(Showing { cue: id, cut, .. }) = self.showing.take() else { return };
        let cut = cut.map(|(cause, _)| cause);
        if id == NO_CUE {
            if let Some((errand, _)) = self.errand.take() {
                let shown = if pass.frame.is_some() { pass.shown_ms.max(0) } else { 0 };
                let permille = (shown.saturating_mul(1000) / ERRAND_MS).min(1000);
                errand.end(permille, "frames", out);
            }
            return;
        }
        if pass.frame.is_none() || pass.shown_ms <= 0 {
            if cut.is_none() {
                world.traces.block(id, "output");
                world.traces.retry_at(id, now.mono_ms.saturating_add(RETRY_MS));
            }
            return;
        }
        let quarter = pass.from.0.div_euclid(QUARTER_MS);
        if self.tallies.get(&id).is_some_and(|t| t.quarter != quarter) {
            self.close(world, id, out);
        }
        let Some((cue, sheet, title)) = self.cues.get(&id) else { return };
        let tally = self.tallies.entry(id).or_insert_with(|| Tally {
            draft: Show {
                subject: Subject::Cue { cue: id },
                n: 1,
                sheet: Some(*sheet),
                item: cue.item.clone(),
                title: title.clone(),
                frame: pass.frame,
                from_ms: pass.from,
                to_ms: pass.to,
                times: 0,
                shown_ms: 0,
                outcome: Said::Played,
                cause: "end".to_owned(),
                grade: self.grade,
            },
            quarter,
            end: cue.end_ms,
            cut: None,
        });
        tally.draft.to_ms = tally.draft.to_ms.max(pass.to);
        tally.draft.shown_ms = tally.draft.shown_ms.saturating_add(pass.shown_ms);
        tally.draft.times = tally.draft.times.saturating_add(u32::from(pass.whole));
        tally.cut = tally.cut.or(cut);
    }

    /// Ends what is shown, and its whole rotation, for good.
    pub fn stop_now(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) -> String {
        let group = Self::group(world, now);
        for (cue, sheet, ..) in &group {
            match self.tallies.get_mut(&cue.id) {
                Some(tally) => tally.cut = Some("stop"),
                None if self.showing.as_ref().is_some_and(|s| s.cue == cue.id) => {}
                None => {
                    let body = Self::nothing(world, cue, *sheet, "stop");
                    out.push(Action::record(body));
                    world.traces.add_show(cue.id);
                }
            }
            world.traces.end(cue.id);
        }
        match &mut self.showing {
            Some(showing) if showing.cut.is_none() => {
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

    /// The record of a cue that was not shown.
    pub fn nothing(world: &World, cue: &Cue, sheet: Digest, cause: &str) -> Body {
        let found = world.book.sheet(&sheet);
        let title = match found.and_then(|sheet| sheet.items.get(&cue.item)) {
            Some(SheetItem::Clip { title, .. } | SheetItem::Pages { title, .. }) => title.clone(),
            Some(SheetItem::Unknown) | None => String::new(),
        };
        Body::Show(Show {
            subject: Subject::Cue { cue: cue.id },
            n: 1,
            sheet: Some(sheet),
            item: cue.item.clone(),
            title,
            frame: None,
            from_ms: cue.at_ms,
            to_ms: cue.end_ms,
            times: 0,
            shown_ms: 0,
            outcome: Said::Failed,
            cause: cause.to_owned(),
            grade: 1,
        })
    }

    /// The cues to be shown in turn now, in sheet order, with what to show.
    fn group(world: &mut World, now: Moment) -> Vec<(Cue, Digest, String, Vec<Page>)> {
        if world.time == Time::Unknown || world.stopping {
            return Vec::new();
        }
        let mut group: Vec<(Cue, Digest, String, Vec<Page>)> = Vec::new();
        let mut waiting = Vec::new();
        for placed in world.book.due(now.utc, 0) {
            let cue = placed.cue;
            let Some(SheetItem::Pages { title, pages }) = placed.sheet.items.get(&cue.item) else {
                continue;
            };
            if world.traces.of(&cue.id).closed {
                continue;
            }
            if world.time != Time::Fit {
                waiting.push((cue.id, "clock"));
                continue;
            }
            let joins = group
                .first()
                .is_none_or(|(first, ..)| first.at_ms == cue.at_ms && first.end_ms == cue.end_ms);
            if joins {
                group.push((cue.clone(), placed.name, title.clone(), pages.clone()));
                waiting.push((cue.id, "no-turn"));
            } else {
                waiting.push((cue.id, "overlap"));
            }
        }
        for (cue, cause) in waiting {
            if world.traces.of(&cue).blocked != Some("output") {
                world.traces.block(cue, cause);
            }
        }
        group
    }

    fn refuse_foreign_kinds(world: &mut World, now: Moment, out: &mut Vec<Action>) {
        if world.time == Time::Unknown {
            return;
        }
        let foreign: Vec<_> = world
            .book
            .due(now.utc, 0)
            .into_iter()
            .filter(|p| !matches!(p.sheet.items.get(&p.cue.item), Some(SheetItem::Pages { .. })))
            .map(|p| (p.cue.clone(), p.name))
            .collect();
        for (cue, sheet) in foreign {
            let trace = world.traces.of(&cue.id);
            if trace.records == 0 && !trace.closed {
                out.push(Action::record(Self::nothing(world, &cue, sheet, "unsupported")));
                world.traces.close(cue.id, true);
            }
        }
    }

    /// Ends a pass that the schedule no longer wants.
    fn follow(
        &mut self,
        world: &mut World,
        group: &[(Cue, Digest, String, Vec<Page>)],
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(showing) = &mut self.showing else { return };
        if let Some((_, since)) = showing.cut {
            if now.mono_ms.saturating_sub(since) > SILENT_MS {
                world.traces.block(showing.cue, "output");
                self.showing = None;
                if let Some((errand, _)) = self.errand.take() {
                    errand.end(0, "frames", out);
                }
            }
            return;
        }
        if showing.cue == NO_CUE && group.is_empty() && !world.stopping && now.utc < showing.until {
            return;
        }
        if let Some((cue, sheet, title, _)) = group.iter().find(|(cue, ..)| cue.id == showing.cue) {
            self.cues.insert(cue.id, (cue.clone(), *sheet, title.clone()));
            // A longer cue lets this pass end where it was told to; the next one goes on.
            showing.until = showing.until.min(cue.end_ms);
            if now.utc < showing.until {
                return;
            }
        }
        let cause = if world.stopping {
            "off"
        } else if world.time != Time::Fit {
            "clock"
        } else if now.utc >= showing.until {
            "end"
        } else {
            "withdrawn"
        };
        showing.cut = Some((cause, now.mono_ms));
        self.blank = true;
        out.push(Action::Blank);
    }

    /// Records what is over: its quarter, its cue, or the program.
    fn flush(
        &mut self,
        world: &mut World,
        group: &[(Cue, Digest, String, Vec<Page>)],
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let shown = self.showing.as_ref().map(|s| s.cue);
        let quarter = now.utc.0.div_euclid(QUARTER_MS);
        let over: Vec<CueId> = self
            .tallies
            .iter()
            .filter(|(id, tally)| {
                Some(**id) != shown
                    && (tally.quarter != quarter
                        || !group.iter().any(|(cue, ..)| cue.id == **id)
                        || world.stopping)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.close(world, id, out);
        }
        if self.cues.len() > 256 {
            let tallies = &self.tallies;
            self.cues.retain(|id, _| tallies.contains_key(id) || Some(*id) == shown);
        }
    }

    fn close(&mut self, world: &mut World, id: CueId, out: &mut Vec<Action>) {
        let Some(tally) = self.tallies.remove(&id) else { return };
        let mut show = tally.draft;
        if let Some(cause) = tally.cut.filter(|cause| *cause != "end") {
            show.outcome = Said::Partial;
            cause.clone_into(&mut show.cause);
        }
        show.to_ms = show.to_ms.min(tally.end.max(show.from_ms));
        world.traces.add_show(id);
        out.push(Action::record(Body::Show(show)));
    }
}
