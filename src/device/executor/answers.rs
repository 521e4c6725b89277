//! What is answered to holds, releases, withdrawals and refused notices: each once, when it is true.
//!
//! # Invariants
//! * An order is obeyed whether or not it is answered: nothing here keeps one waiting.
//! * Whoever has stolen a key may order without end, but neither wears out the flash nor floods
//!   the evidence: at most [`MANY`] answers an hour, of what waits only the newest of each kind,
//!   and one record an hour that counts the rest.

use super::Moment;
use crate::domain::ids::Digest;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use std::collections::{BTreeSet, VecDeque};

/// Answers remembered: far more than are in force at a time.
const GIVEN: usize = 1_024;
/// Answers given in an hour, far more than people have reason to order.
pub(super) const MANY: usize = 40;
const HOUR_MS: i64 = 3_600_000;

/// What is answered when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing sounds or shows but notices.
    Hold(String),
    /// At once.
    Release(String),
    /// Nothing of the notice sounds or shows.
    Withdrawal(String),
    /// A notice that is not known was withdrawn: it will not begin.
    Kept(String),
    /// A notice or drill was refused.
    Declined { jti: String, drill: bool, word: &'static str },
}

impl Answer {
    fn words(&self) -> (&str, &'static str) {
        match self {
            Self::Hold(jti) => (jti, "hold"),
            Self::Release(jti) => (jti, "release"),
            Self::Withdrawal(jti) | Self::Kept(jti) => (jti, "withdrawal"),
            Self::Declined { jti, drill: false, .. } => (jti, "urgent"),
            Self::Declined { jti, drill: true, .. } => (jti, "drill"),
        }
    }

    fn result(&self) -> String {
        match self {
            Self::Hold(_) | Self::Release(_) | Self::Withdrawal(_) => "done".to_owned(),
            Self::Kept(_) => "kept".to_owned(),
            Self::Declined { word, .. } => format!("refused: {word}"),
        }
    }

    fn record(&self) -> Body {
        let (jti, what) = self.words();
        let (jti, what) = (jti.to_owned(), what.to_owned());
        Body::Did { jti, what, result: self.result() }
    }

    /// Holds and releases are one kind: the newest says how it stands.
    fn is_kin(&self, other: &Self) -> bool {
        let kind = |answer: &Self| match answer.words().1 {
            "release" => "hold",
            what => what,
        };
        kind(self) == kind(other)
    }
}

/// Answers that were given up for newer ones.
#[derive(Debug)]
struct LeftOut {
    n: u64,
    first: Digest,
    from: Moment,
}

/// Answers given and to be given.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    given: BTreeSet<(String, String)>,
    /// The same, oldest first.
    order: VecDeque<(String, String)>,
    waiting: Vec<Answer>,
    /// When answers of the last hour were given, on the clock that never steps.
    times: VecDeque<i64>,
    left_out: Option<LeftOut>,
}

impl Answers {
    /// Starts from the answers that the records of the last days hold.
    pub fn resume(given: BTreeSet<(String, String)>) -> Self {
        Self { order: given.iter().cloned().collect(), given, ..Self::default() }
    }

    /// Says whether an answer is owed, and remembers that it is given.
    fn owe(&mut self, answer: &Answer) -> bool {
        let (jti, what) = answer.words();
        let what = match answer {
            Answer::Declined { .. } => format!("{what} {}", answer.result()),
            _ => what.to_owned(),
        };
        let name = (jti.to_owned(), what);
        if !self.given.insert(name.clone()) {
            return false;
        }
        self.order.push_back(name);
        if self.order.len() > GIVEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.given.remove(&oldest);
        }
        true
    }

    /// Gives an answer as soon as it is true and its turn comes.
    pub fn promise(&mut self, answer: Answer, now: Moment) {
        if !self.owe(&answer) {
            return;
        }
        if self.is_flooded(now)
            && let Some(old) = self.waiting.iter().position(|other| other.is_kin(&answer))
        {
            let old = self.waiting.remove(old);
            let first = || Digest::of(old.words().0.as_bytes());
            let left =
                self.left_out.get_or_insert_with(|| LeftOut { n: 0, first: first(), from: now });
            left.n = left.n.saturating_add(1);
        }
        self.waiting.push(answer);
    }

    fn is_flooded(&mut self, now: Moment) -> bool {
        while self.times.front().is_some_and(|at| now.mono_ms.saturating_sub(*at) >= HOUR_MS) {
            self.times.pop_front();
        }
        self.times.len().saturating_add(self.waiting.len()) >= MANY
    }

    /// Returns the records of what is true by now.
    pub fn due(&mut self, now: Moment, is_true: impl Fn(&Answer) -> bool) -> Vec<Body> {
        let mut bodies = Vec::new();
        if !self.waiting.is_empty() {
            self.is_flooded(now); // forgets what is older than an hour
            let waiting = std::mem::take(&mut self.waiting);
            for answer in waiting {
                if self.times.len() < MANY && is_true(&answer) {
                    self.times.push_back(now.mono_ms);
                    bodies.push(answer.record());
                } else {
                    self.waiting.push(answer);
                }
            }
        }
        let over = |left: &mut LeftOut| now.mono_ms.saturating_sub(left.from.mono_ms) >= HOUR_MS;
        bodies.extend(self.left_out.take_if(over).map(LeftOut::record));
        bodies
    }

    /// Returns the count of what was left out: the program ends.
    pub fn last(&mut self) -> Option<Body> {
        self.left_out.take().map(LeftOut::record)
    }
}

impl LeftOut {
    fn record(self) -> Body {
        let Self { n, first, from } = self;
        let from_ms: UtcMs = from.utc;
        Body::Refuse { topic: "answers".to_owned(), reason: "flood".to_owned(), n, first, from_ms }
    }
}
