//! How passes end, and what is added up of them.

use super::turns::{Source, Turn};
use super::{Board, ERRAND_MS, NO_CUE, PassEnd, QUARTER_MS, RETRY_MS, SILENT_MS, Showing};
use crate::device::executor::{Action, Moment, Time, World};
use crate::domain::ids::CueId;
use crate::domain::playlist::Page;
use crate::domain::proof::record::{Body, Said, Show, Subject};
use crate::domain::time::UtcMs;

#[derive(Debug)]
pub(super) struct Tally {
    pub draft: Show,
    quarter: i64,
    end: UtcMs,
    pages: Vec<Page>,
    pub cut: Option<&'static str>,
}

impl Board {
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
        if pass.shown_ms > 0 || pass.frame.is_some() {
            // An output that tells only of the end.
            self.started(world, token, pass.from, out);
        }
        let Some(Showing { cue: id, cut, grade, .. }) = self.showing.take() else { return };
        let grade = grade.unwrap_or(self.grade);
        let cut = cut.map(|(cause, _)| cause);
        if id == NO_CUE {
            if let Some((errand, _)) = self.errand.take() {
                let permille = (pass.shown_ms.max(0).saturating_mul(1000) / ERRAND_MS).min(1000);
                errand.end(permille, "frames", out);
            }
            // An output that takes nothing is not asked without end.
            let failed = cut.is_none() && pass.shown_ms <= 0;
            self.idle_mono = failed.then(|| now.mono_ms.saturating_add(RETRY_MS));
            return;
        }
        if pass.shown_ms <= 0 {
            if cut.is_none() {
                world.traces.block(id, "output");
                world.traces.retry_at(id, now.mono_ms.saturating_add(RETRY_MS));
                if let Some(Subject::Notice { jti }) = self.sources.get(&id).map(|s| &s.subject) {
                    out.extend(world.notices.unheard(jti, now).map(Action::record));
                }
            }
            return;
        }
        let quarter = pass.from.0.div_euclid(QUARTER_MS);
        let Some(source) = self.sources.get(&id) else { return };
        let other = |tally: &Tally| tally.quarter != quarter || tally.pages != source.pages;
        if self.tallies.get(&id).is_some_and(other) {
            self.close(world, id, out);
        }
        let Some(source) = self.sources.get(&id) else { return };
        let tally = self.tallies.entry(id).or_insert_with(|| Tally {
            draft: Show {
                subject: source.subject.clone(),
                n: 1,
                sheet: source.sheet,
                item: source.item.clone(),
                title: source.title.clone(),
                frame: pass.frame,
                from_ms: pass.from,
                to_ms: pass.to,
                times: 0,
                shown_ms: 0,
                outcome: Said::Played,
                cause: "end".to_owned(),
                grade,
            },
            quarter,
            end: source.end,
            pages: source.pages.clone(),
            cut: None,
        });
        // Passes are added up: together they prove what the least of them does.
        tally.draft.grade = tally.draft.grade.min(grade);
        tally.draft.to_ms = tally.draft.to_ms.max(pass.to);
        tally.draft.shown_ms = tally.draft.shown_ms.saturating_add(pass.shown_ms);
        tally.draft.times = tally.draft.times.saturating_add(u32::from(pass.whole));
        tally.cut = tally.cut.or(cut);
    }

    /// Ends a pass that the schedule no longer wants.
    pub(super) fn follow(
        &mut self,
        world: &mut World,
        group: &[Turn],
        otherwise: &'static str,
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
        if showing.cue == NO_CUE
            && otherwise != "hold"
            && group.is_empty()
            && !world.stopping
            && now.utc < showing.until
        {
            return;
        }
        let pages = self.sources.get(&showing.cue).map(|source| &source.pages);
        let same = |turn: &&Turn| turn.id == showing.cue && pages == Some(&turn.source.pages);
        if let Some(turn) = group.iter().find(same) {
            self.sources.insert(turn.id, turn.source.clone());
            // A longer cue lets this pass end where it was told to; the next one goes on.
            showing.until = showing.until.min(turn.source.end);
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
            otherwise
        };
        let notice = self.sources.get(&showing.cue).is_some_and(Source::is_notice);
        let cause = if notice && cause == otherwise { "withdrawn" } else { cause };
        showing.cut = Some((cause, now.mono_ms));
        self.blank = true;
        out.push(Action::Blank);
    }

    /// Records what is over: its quarter, its cue, its text, or the program.
    pub(super) fn flush(
        &mut self,
        world: &mut World,
        group: &[Turn],
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
                        || tally.cut.is_some()
                        || !group.iter().any(|turn| turn.id == **id)
                        || world.stopping)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.close(world, id, out);
        }
        if self.sources.len() > 256 {
            let tallies = &self.tallies;
            self.sources.retain(|id, _| tallies.contains_key(id) || Some(*id) == shown);
        }
    }

    fn close(&mut self, world: &mut World, id: CueId, out: &mut Vec<Action>) {
        let Some(tally) = self.tallies.remove(&id) else { return };
        let mut show = tally.draft;
        if let Some(cause) = tally.cut.filter(|cause| *cause != "end") {
            show.outcome = if cause == "pre-empted" { Said::PreEmpted } else { Said::Partial };
            cause.clone_into(&mut show.cause);
        }
        show.to_ms = show.to_ms.min(tally.end.max(show.from_ms));
        world.traces.add_show(id);
        out.push(Action::record(Body::Show(show)));
    }
}
