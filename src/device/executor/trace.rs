//! What is known of each cue so far: how far it may have sounded, how much did, what is recorded.

use super::book::DayRef;
use super::journal::{Journal, OpenPlay, OpenShow};
use super::notices::{Fate, NoticeMark};
use super::world::Why;
use crate::domain::ids::CueId;
use crate::domain::proof::record::{Body, Play, Record, Said, Subject};
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, BTreeSet};

/// Traces kept without asking how old they are.
const MOST: usize = 4_096;
/// Beyond that, those of the last days.
const REMEMBER_MS: i64 = 2 * 86_400_000;

/// What is known of one cue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// No sample before this offset may sound any more.
    pub reach_ms: i64,
    /// What sounded so far, over all its plays.
    pub played_ms: i64,
    /// How many closing records it has.
    pub records: u32,
    /// It is over and does not come back.
    pub closed: bool,
    /// Why it does not sound although it is due.
    pub blocked: Option<&'static str>,
    /// The notice or hold that took its time.
    pub by: Option<String>,
    /// Its output failed; not tried again before this instant of the clock that never steps.
    pub retry_mono: Option<i64>,
    /// When the trace was touched last.
    at: Option<UtcMs>,
}

/// What the last run of the program left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The last instant at which it is known to have run; `None` when it never did.
    pub alive: Option<UtcMs>,
    /// It did not end cleanly.
    pub unclean: bool,
    /// Days in force.
    pub days: Vec<DayRef>,
    /// Plays without an end.
    pub open_plays: Vec<OpenPlay>,
    /// Showings not recorded yet.
    pub open_shows: Vec<OpenShow>,
    /// Cues with records.
    pub traces: BTreeMap<CueId, Trace>,
    /// How often notices began, and which are over.
    pub notices: BTreeMap<String, NoticeMark>,
    /// Holds, releases, withdrawals and refused notices answered: id and word.
    pub answers: BTreeSet<(String, String)>,
    /// Commands obeyed not long ago.
    pub obeyed: Vec<String>,
}

/// Traces by cue.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    known: BTreeMap<CueId, Trace>,
    now: Option<UtcMs>,
    /// Until when the program ran before, and whether it was cut.
    pub absent: Option<(Option<UtcMs>, bool)>,
}

impl Traces {
    pub fn new(known: BTreeMap<CueId, Trace>) -> Self {
        Self { known, now: None, absent: None }
    }

    pub fn of(&self, cue: &CueId) -> Trace {
        self.known.get(cue).cloned().unwrap_or_default()
    }

    fn edit(&mut self, cue: CueId) -> &mut Trace {
        let trace = self.known.entry(cue).or_default();
        trace.at = trace.at.max(self.now);
        trace
    }

    /// Remembers that a clip may sound up to an offset.
    pub fn promise(&mut self, cue: CueId, reach_ms: i64) {
        let trace = self.edit(cue);
        trace.reach_ms = trace.reach_ms.max(reach_ms);
    }

    pub fn block(&mut self, cue: CueId, cause: &'static str) {
        self.edit(cue).blocked = Some(cause);
    }

    /// Notes that a cue gives way to a notice or a hold.
    pub fn yields(&mut self, cue: CueId, why: &Why) {
        let trace = self.edit(cue);
        trace.blocked = Some(why.cause);
        trace.by = Some(why.by.clone());
    }

    pub fn retry_at(&mut self, cue: CueId, mono_ms: i64) {
        self.edit(cue).retry_mono = Some(mono_ms);
    }

    /// Notes that a cue has its record; `final_word` says that it does not come back.
    pub fn close(&mut self, cue: CueId, final_word: bool) {
        let trace = self.edit(cue);
        trace.records += 1;
        trace.closed |= final_word;
    }

    /// Ends a cue without a record of its own.
    pub fn end(&mut self, cue: CueId) {
        self.edit(cue).closed = true;
    }

    pub fn add_play(&mut self, cue: CueId, play: &Play) {
        let trace = self.edit(cue);
        trace.add_play(play);
    }

    pub fn add_show(&mut self, cue: CueId) {
        self.edit(cue).records += 1;
    }

    /// Takes note of the time, and forgets cues that were over long ago: nothing asks for them any
    /// more.
    pub fn look(&mut self, now: UtcMs) {
        self.now = Some(now);
        if self.known.len() > MOST {
            let before = now.plus(-REMEMBER_MS);
            // What an earlier run left grows old from now on.
            self.known.retain(|_, trace| *trace.at.get_or_insert(now) > before);
        }
    }
}

impl Trace {
    fn add_play(&mut self, play: &Play) {
        self.records += 1;
        self.played_ms = self.played_ms.saturating_add(play.played_ms.max(0));
        self.closed |= is_final(play.outcome, &play.cause);
        self.at = Some(play.due_ms);
        if play.by.is_some() {
            self.by.clone_from(&play.by);
        }
        if play.started_ms.is_some() {
            let reached = play.ended_ms.map_or(0, |ended| ended.since(play.due_ms));
            self.reach_ms = self.reach_ms.max(reached).max(1);
        }
    }
}

/// Says whether a cue with this record may still come back within its time.
fn is_final(outcome: Said, cause: &str) -> bool {
    match outcome {
        Said::Played | Said::Refused => true,
        Said::Failed => cause != "clock",
        Said::Partial => !matches!(cause, "power" | "off" | "clock" | "withdrawn" | "output"),
        Said::PreEmpted => false,
    }
}

impl Past {
    /// Reads what the ledger and the journal say. `records` are those of the last days, oldest
    /// first; anything older cannot concern a cue that is still to be decided.
    pub fn read(journal: Option<Journal>, records: impl IntoIterator<Item = Record>) -> Self {
        let mut past = Self::default();
        let mut starts: BTreeMap<(Subject, u32), UtcMs> = BTreeMap::new();
        let mut shows: BTreeSet<(Subject, UtcMs)> = BTreeSet::new();
        let mut begun: BTreeMap<String, u32> = BTreeMap::new();
        let mut said: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut newest = None;
        for record in records {
            newest = newest.max(Some(record.head.at_ms));
            match record.body {
                Body::Start { subject, n, started_ms } => {
                    if let Subject::Notice { jti } = &subject {
                        begun.entry(jti.clone()).and_modify(|b| *b = n.max(*b)).or_insert(n);
                    }
                    starts.insert((subject, n), started_ms);
                }
                Body::Play(play) => {
                    starts.remove(&(play.subject.clone(), play.n));
                    if let Subject::Cue { cue } = play.subject {
                        past.traces.entry(cue).or_default().add_play(&play);
                    }
                }
                Body::Show(show) => {
                    shows.insert((show.subject.clone(), show.from_ms));
                    starts.remove(&(show.subject.clone(), show.n));
                    if let Subject::Cue { cue } = show.subject {
                        let trace = past.traces.entry(cue).or_default();
                        trace.records += 1;
                        trace.closed |= show.outcome == Said::Failed && show.cause != "clock";
                        trace.closed |= show.cause == "stop";
                    }
                }
                Body::Did { jti, what, result } => match what.as_str() {
                    "hold" | "release" | "withdrawal" => drop(past.answers.insert((jti, what))),
                    "urgent" | "drill" if result.starts_with("refused: ") => {
                        past.answers.insert((jti, format!("{what} {result}")));
                    }
                    "urgent" | "drill" => {
                        begun.entry(jti.clone()).or_insert(0);
                        said.entry(jti).or_default().insert(result);
                    }
                    _ => past.obeyed.push(jti),
                },
                _ => {}
            }
        }
        let keep = past.obeyed.len().saturating_sub(256);
        past.obeyed.drain(..keep);
        past.unclean = journal.as_ref().map_or(newest.is_some(), |j| !j.clean);
        past.alive = newest;
        if let Some(journal) = journal {
            past.alive = journal.alive.or(newest);
            past.days = journal.days;
            past.open_plays = journal.sounding;
            past.open_shows = journal.showing;
            for cue in journal.ended {
                past.traces.entry(cue).or_default().closed = true;
            }
            past.notices = journal.notices.into_iter().map(|m| (m.jti.clone(), m)).collect();
            // A journal may be older than the record of its showing.
            past.open_shows
                .retain(|open| !shows.contains(&(open.draft.subject.clone(), open.draft.from_ms)));
        }
        // The record of a start may be newer than the journal, and a journal may be older than
        // the record that closed its play.
        let mut open = Vec::new();
        for mut play in std::mem::take(&mut past.open_plays) {
            match starts.remove(&(play.draft.subject.clone(), play.draft.n)) {
                Some(started) => play.started = Some(started),
                None if play.started.is_some() => {
                    // Closed in the ledger already.
                    if let Some(cue) = play.cue() {
                        let trace = past.traces.entry(cue).or_default();
                        trace.reach_ms = trace.reach_ms.max(play.reach_ms);
                    }
                    continue;
                }
                None => {}
            }
            open.push(play);
        }
        let bare = |((subject, n), started)| OpenPlay::bare(subject, n, started);
        open.extend(starts.into_iter().map(bare));
        // What began and what was said is known by its record too, should the journal be older.
        for (jti, n) in begun {
            let unknown = || NoticeMark {
                jti: jti.clone(),
                begun: 0,
                next: newest.unwrap_or(UtcMs(0)),
                fate: Fate::Open,
                said: BTreeSet::new(),
                // The longest life of a notice and a day more.
                until: newest.unwrap_or(UtcMs(0)).plus(4 * 86_400_000),
            };
            let mark = past.notices.entry(jti.clone()).or_insert_with(unknown);
            mark.begun = mark.begun.max(n);
            mark.said.extend(said.remove(&jti).unwrap_or_default());
        }
        past.open_plays = open;
        past
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_runs_for_years_forgets_cues_of_every_kind() {
        let mut traces = Traces::default();
        for n in 0..50_000_u128 {
            traces.look(UtcMs(i64::try_from(n).unwrap() * 600_000));
            let cue = CueId(n.to_be_bytes());
            match n % 3 {
                0 => traces.add_show(cue),
                1 => traces.block(cue, "missing"),
                _ => traces.close(cue, true),
            }
        }
        assert!(traces.known.len() <= MOST + 1, "{} kept", traces.known.len());
        let newest = traces.of(&CueId(49_998_u128.to_be_bytes()));
        assert_eq!(newest.records, 1, "what is new is not forgotten");
    }
}
