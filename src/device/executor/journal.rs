//! What must survive a cut of power besides the records: small, rewritten often.

use super::book::DayRef;
use super::notices::NoticeMark;
use crate::domain::ids::{CueId, Digest};
use crate::domain::proof::record::{Play, Said, Show, Subject};
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};

/// The state of a device that no record holds yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// The instant of writing, when time was known.
    pub alive: Option<UtcMs>,
    /// The program ended in order.
    pub clean: bool,
    /// Days in force, which may be older than the newest timetable.
    pub days: Vec<DayRef>,
    /// Plays ordered or sounding.
    pub sounding: Vec<OpenPlay>,
    /// Showings added up but not recorded.
    pub showing: Vec<OpenShow>,
    /// How often notices began, and which are over.
    #[serde(default)]
    pub notices: Vec<NoticeMark>,
    /// Cues within their time that do not come back, whether or not their record is written.
    #[serde(default)]
    pub ended: Vec<CueId>,
}

/// A play that has no end yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenPlay {
    /// When it began to sound; `None` when it is only ordered.
    pub started: Option<UtcMs>,
    /// How far the clip may have sounded when this is read.
    pub reach_ms: i64,
    /// How much of this play surely sounded.
    pub known_ms: i64,
    /// The record as it would stand; its end is filled in when it is closed.
    pub draft: Play,
}

/// A showing that is not recorded yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenShow {
    /// Which cue, or what stands for a notice.
    pub cue: CueId,
    /// The record as it would stand.
    pub draft: Show,
}

impl OpenPlay {
    /// Returns what is known when only the record of the start survived.
    pub fn bare(subject: Subject, n: u32, started: UtcMs) -> Self {
        let draft = Play {
            subject,
            n,
            sheet: None,
            item: String::new(),
            asset: None::<Digest>,
            title: String::new(),
            lufs_cb: None,
            gain_cb: None,
            due_ms: started,
            due_len_ms: 0,
            started_ms: Some(started),
            ended_ms: None,
            played_ms: 0,
            outcome: Said::Partial,
            cause: "power".to_owned(),
            by: None,
            volume: 0,
            skew_ms: None,
            grade: 2,
            method: "clock".to_owned(),
            score_permille: None,
        };
        // Without a journal nobody knows how far it came: it must not sound again at all.
        Self { started: Some(started), reach_ms: i64::MAX, known_ms: 0, draft }
    }

    /// Says whether no journal knew of it.
    pub fn is_bare(&self) -> bool {
        self.reach_ms == i64::MAX
    }

    /// Returns its cue; `None` where a notice sounds.
    pub fn cue(&self) -> Option<CueId> {
        match &self.draft.subject {
            Subject::Cue { cue } => Some(*cue),
            Subject::Notice { .. } => None,
        }
    }

    /// Returns the closing record.
    pub fn close(&self, cause: &str) -> Play {
        Play {
            started_ms: self.started,
            ended_ms: self.started.map(|at| at.plus(self.known_ms)),
            played_ms: self.known_ms,
            outcome: Said::Partial,
            cause: cause.to_owned(),
            ..self.draft.clone()
        }
    }
}

impl OpenShow {
    /// Returns the closing record.
    pub fn close(&self, cause: &str) -> Show {
        Show { outcome: Said::Partial, cause: cause.to_owned(), ..self.draft.clone() }
    }
}
