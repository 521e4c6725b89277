//! From the records that speak of a cue to its outcome.

use super::{
    CLIP_PERCENT, Due, Expected, FINAL_MS, Life, Outcome, PAGES_PERCENT, Plan, Reason, SETTLE_MS,
    Stage, Verdict,
};
use crate::domain::ids::{ChainId, CueId};
use crate::domain::proof::record::{Body, Said, Subject};
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use std::collections::BTreeMap;

/// A record that speaks of a cue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub chain: ChainId,
    pub seq: u64,
    pub body: Body,
}

/// What all records say about one cue, added up.
#[derive(Clone, Debug, Default)]
struct Told {
    ms: i64,
    started_ms: Option<UtcMs>,
    grade: Option<u8>,
    last: Option<Word>,
    records: u32,
    about: Option<About>,
}

/// The device's last word.
#[derive(Clone, Debug)]
struct Word {
    said: Said,
    cause: String,
    by: Option<String>,
}

/// What the records themselves say was due, for a cue without a schedule.
#[derive(Clone, Debug)]
struct About {
    at_ms: UtcMs,
    end_ms: UtcMs,
    item: String,
    title: String,
    kind: Kind,
}

/// Judges all cues: those expected, and those that only records speak of.
pub fn judge(
    expected: &BTreeMap<CueId, Expected>,
    heard: &[Heard],
    life: &Life,
    now: UtcMs,
) -> Vec<Outcome> {
    let told = tell(heard);
    // Cues of a rotation are shown in turn: its time is judged as a whole.
    let mut rotations: BTreeMap<(UtcMs, UtcMs), i64> = BTreeMap::new();
    for (cue, known) in expected {
        if let Expected::Due(due) = known
            && due.kind == Kind::Pages
        {
            let shown = told.get(cue).map_or(0, |told| told.ms);
            let sum = rotations.entry((due.at_ms, due.end_ms)).or_default();
            *sum = sum.saturating_add(shown);
        }
    }
    let mut outcomes = Vec::with_capacity(expected.len());
    for (cue, known) in expected {
        let told = told.get(cue);
        let outcome = match known {
            Expected::Due(due) => {
                let rotation = rotations.get(&(due.at_ms, due.end_ms)).copied();
                Some(planned(due, told, rotation, life, now))
            }
            Expected::Withdrawn { due, at_ms } => told.filter(|told| told.ms > 0).map(|told| {
                let mut outcome = planned(due, Some(told), None, life, now);
                outcome.plan = Plan::Superseded;
                outcome.reason = Reason::Superseded { withdrawn_ms: *at_ms };
                outcome
            }),
            Expected::TooLate(due) => told.map(|told| {
                let mut outcome = planned(due, Some(told), None, life, now);
                outcome.plan = Plan::Unplanned;
                outcome
            }),
        };
        outcomes.extend(outcome);
    }
    for (cue, told) in told.iter().filter(|(cue, _)| !expected.contains_key(cue)) {
        let Some(about) = told.about.clone() else { continue };
        let About { at_ms, end_ms, item, title, kind } = about;
        let due = Due { cue: *cue, at_ms, from_ms: at_ms, end_ms, item, title, kind };
        let mut outcome = planned(&due, Some(told), None, life, now);
        outcome.plan = Plan::Unplanned;
        outcomes.push(outcome);
    }
    outcomes.sort_by_key(|outcome| (outcome.at_ms, outcome.cue));
    outcomes
}

fn tell(heard: &[Heard]) -> BTreeMap<CueId, Told> {
    // By place in the chain: order of arrival and repetition have no part in it.
    let by_place: BTreeMap<(ChainId, u64), &Body> =
        heard.iter().map(|heard| ((heard.chain, heard.seq), &heard.body)).collect();
    let mut told: BTreeMap<CueId, Told> = BTreeMap::new();
    for body in by_place.into_values() {
        let (Body::Start { subject, .. }
        | Body::Play(crate::domain::proof::record::Play { subject, .. })
        | Body::Show(crate::domain::proof::record::Show { subject, .. })) = body
        else {
            continue;
        };
        let Subject::Cue { cue } = subject else { continue };
        told.entry(*cue).or_default().add(body);
    }
    told
}

impl Told {
    fn add(&mut self, body: &Body) {
        self.records += 1;
        match body {
            Body::Start { started_ms, .. } => self.began(*started_ms),
            Body::Play(play) => {
                let ms = play.played_ms.max(0);
                self.counts(ms, play.grade);
                if let Some(started) = play.started_ms {
                    self.began(started);
                }
                self.last = Some(Word {
                    said: play.outcome,
                    cause: play.cause.clone(),
                    by: play.by.clone(),
                });
                self.about = Some(About {
                    at_ms: play.due_ms,
                    end_ms: play.due_ms.plus(play.due_len_ms.max(0)),
                    item: play.item.clone(),
                    title: play.title.clone(),
                    kind: Kind::Clip,
                });
            }
            Body::Show(show) => {
                let span = show.to_ms.since(show.from_ms).max(0);
                self.counts(show.shown_ms.clamp(0, span), show.grade);
                if show.shown_ms > 0 {
                    self.began(show.from_ms);
                }
                self.last = Some(Word { said: show.outcome, cause: show.cause.clone(), by: None });
                let (from, to) = self
                    .about
                    .as_ref()
                    .map_or((show.from_ms, show.to_ms), |about| (about.at_ms, about.end_ms));
                self.about = Some(About {
                    at_ms: from.min(show.from_ms),
                    end_ms: to.max(show.to_ms),
                    item: show.item.clone(),
                    title: show.title.clone(),
                    kind: Kind::Pages,
                });
            }
            _ => {}
        }
    }

    fn began(&mut self, at: UtcMs) {
        self.started_ms = Some(self.started_ms.map_or(at, |known| known.min(at)));
    }

    /// The chain is as strong as its weakest link, of those that carry something.
    fn counts(&mut self, ms: i64, grade: u8) {
        let first = self.ms == 0;
        self.ms = self.ms.saturating_add(ms);
        if ms > 0 {
            let known = self.grade.filter(|_| !first);
            self.grade = Some(known.map_or(grade, |known| known.min(grade)));
        } else {
            self.grade.get_or_insert(grade);
        }
    }
}

fn planned(
    due: &Due,
    told: Option<&Told>,
    rotation: Option<i64>,
    life: &Life,
    now: UtcMs,
) -> Outcome {
    let due_ms = due.end_ms.since(due.from_ms).max(0);
    let over = now >= due.end_ms;
    let (result, reason) = match told {
        Some(told) => by_word(due, due_ms, told, rotation, over),
        None if over => {
            let (verdict, reason) = life.absent(due.from_ms, due.end_ms);
            (Some(verdict), reason)
        }
        None => (None, Reason::Awaited),
    };
    // Nothing that may still come makes a cue played less; else its last record may be on its way.
    let settle_ms = if result == Some(Verdict::Played) { 0 } else { SETTLE_MS };
    let settled =
        now >= due.end_ms.plus(FINAL_MS) || life.is_complete(due.from_ms, due.end_ms, settle_ms);
    let stage = match (over, settled) {
        (false, _) => Stage::Pending,
        (true, false) => Stage::Provisional,
        (true, true) => Stage::Final,
    };
    Outcome {
        cue: due.cue,
        item: due.item.clone(),
        title: due.title.clone(),
        kind: due.kind,
        at_ms: due.at_ms,
        end_ms: due.end_ms,
        plan: Plan::Planned,
        result,
        stage,
        reason,
        due_ms,
        played_ms: told.map_or(0, |told| told.ms.min(due_ms)),
        started_ms: told.and_then(|told| told.started_ms),
        grade: told.and_then(|told| told.grade).unwrap_or(0),
        records: told.map_or(0, |told| told.records),
    }
}

fn by_word(
    due: &Due,
    due_ms: i64,
    told: &Told,
    rotation: Option<i64>,
    over: bool,
) -> (Option<Verdict>, Reason) {
    let Some(word) = &told.last else {
        // Only a start: it sounds, or its end has not been heard of.
        return if over {
            (Some(Verdict::Partial), Reason::NoEnd)
        } else {
            (None, Reason::Awaited)
        };
    };
    let own = Reason::Device { cause: word.cause.clone(), by: word.by.clone() };
    let (counted, percent) = match due.kind {
        Kind::Clip => (told.ms, CLIP_PERCENT),
        Kind::Pages => (rotation.unwrap_or(told.ms).max(told.ms), PAGES_PERCENT),
    };
    let enough = i128::from(counted) * 100 >= i128::from(due_ms) * i128::from(percent);
    if told.ms > 0 && enough {
        return (Some(Verdict::Played), own);
    }
    // A board reports each quarter of an hour: until the end more may be shown.
    if !over && due.kind == Kind::Pages {
        return (None, Reason::Awaited);
    }
    match word.said {
        Said::PreEmpted => (Some(Verdict::PreEmpted), own),
        Said::Played => (Some(Verdict::Partial), Reason::Short { cause: word.cause.clone() }),
        _ if told.ms > 0 => (Some(Verdict::Partial), own),
        Said::Partial => (Some(Verdict::Partial), own),
        Said::Failed => (Some(Verdict::Failed), own),
        Said::Refused => (Some(Verdict::Refused), own),
    }
}
