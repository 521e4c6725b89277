//! Holds in force, and the answers that wait until silence is reached.

use super::{Moment, Time};
use crate::domain::ids::UnitId;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, BTreeSet};

/// Answers remembered: far more than are in force at a time.
const GIVEN: usize = 1_024;

/// A judged and persisted hold or release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldOrder {
    /// Of which unit.
    pub unit: UnitId,
    /// Its id.
    pub jti: String,
    /// Silence until here; `None` releases.
    pub until: Option<UtcMs>,
}

/// The newest hold or release of each unit.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    units: BTreeMap<UnitId, HoldOrder>,
}

impl Holds {
    pub fn take(&mut self, order: HoldOrder) {
        self.units.insert(order.unit.clone(), order);
    }

    pub fn drop_unit(&mut self, unit: &UnitId) {
        self.units.remove(unit);
    }

    /// The hold before whose end an instant lies: a clip that begins there does not sound after it
    /// either, also when the program or the clock skipped the hold.
    pub fn begun_in(&self, at: UtcMs) -> Option<&HoldOrder> {
        self.units.values().find(|order| order.until.is_some_and(|until| at < until))
    }

    /// The hold in force, the longest one. Without any idea of the time every hold holds: silence
    /// is the safe side.
    pub fn now(&self, now: Moment, time: Time) -> Option<&HoldOrder> {
        let holds = self.units.values().filter(|order| {
            order.until.is_some_and(|until| time == Time::Unknown || now.utc < until)
        });
        holds.max_by_key(|order| order.until)
    }
}

/// What is answered when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing sounds or shows but notices.
    Hold(String),
    /// At once.
    Release(String),
    /// Nothing of the notice sounds or shows.
    Withdrawal(String),
    /// A notice or drill was refused.
    Declined { jti: String, drill: bool, word: &'static str },
}

impl Answer {
    fn words(&self) -> (&str, &'static str) {
        match self {
            Self::Hold(jti) => (jti, "hold"),
            Self::Release(jti) => (jti, "release"),
            Self::Withdrawal(jti) => (jti, "withdrawal"),
            Self::Declined { jti, drill: false, .. } => (jti, "urgent"),
            Self::Declined { jti, drill: true, .. } => (jti, "drill"),
        }
    }

    pub fn record(&self, result: &str) -> Body {
        let (jti, what) = self.words();
        let (jti, what) = (jti.to_owned(), what.to_owned());
        Body::Did { jti, what, result: result.to_owned() }
    }
}

/// Answers given and to be given: each once, also over restarts.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    given: BTreeSet<(String, String)>,
    waiting: Vec<Answer>,
}

impl Answers {
    /// Starts from the answers that the records of the last days hold.
    pub fn resume(given: BTreeSet<(String, String)>) -> Self {
        Self { given, waiting: Vec::new() }
    }

    /// Says whether an answer is owed, and remembers that it is given now.
    pub fn owe(&mut self, answer: &Answer) -> bool {
        let (jti, what) = answer.words();
        let what = match answer {
            Answer::Declined { word, .. } => format!("{what} refused: {word}"),
            _ => what.to_owned(),
        };
        let owed = self.given.insert((jti.to_owned(), what));
        if self.given.len() > GIVEN {
            self.given.pop_first();
        }
        owed
    }

    /// Gives an answer as soon as it is true.
    pub fn promise(&mut self, answer: Answer) {
        if self.owe(&answer) {
            self.waiting.push(answer);
        }
    }

    /// Returns the records of what is true by now.
    pub fn due(&mut self, is_true: impl Fn(&Answer) -> bool) -> Vec<Body> {
        let (now, later) = self.waiting.drain(..).partition(|answer| is_true(answer));
        self.waiting = later;
        let now: Vec<Answer> = now;
        now.iter().map(|answer| answer.record("done")).collect()
    }
}
