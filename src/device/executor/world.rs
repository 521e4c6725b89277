//! What surrounds the machine of the output, and the errands of commands.

use super::answers::Answers;
use super::book::Book;
use super::holds::Holds;
use super::notices::Notices;
use super::trace::Traces;
use super::{Action, Moment, Time};
use crate::device::floor::QuietFloor;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;

/// A self-test or an identification under way: no cue, but an answer at its end.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub jti: String,
    pub what: &'static str,
    pub test: bool,
}

impl Errand {
    /// Returns the records of its end: what share of it was put out, by which method.
    pub fn end(self, permille: i64, method: &str, out: &mut Vec<Action>) {
        if self.test {
            let (method, score_permille) = (method.to_owned(), permille);
            out.push(Action::record(Body::SelfTest { method, score_permille }));
        }
        let result = if permille > 0 { "done" } else { "failed: output" };
        let (what, result) = (self.what.to_owned(), result.to_owned());
        out.push(Action::record(Body::Did { jti: self.jti, what, result }));
    }
}

/// Why a cue gives way, and the id of what it gives way to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    pub cause: &'static str,
    pub by: String,
}

/// What surrounds the machine of the output.
#[derive(Debug)]
pub(crate) struct World {
    pub me: String,
    pub book: Book,
    pub traces: Traces,
    pub notices: Notices,
    pub holds: Holds,
    pub answers: Answers,
    pub floor: QuietFloor,
    pub time: Time,
    pub next_token: u64,
    pub stopping: bool,
}

impl World {
    /// Says why no cue may sound or show now, and by whose word.
    pub fn held(&self, now: Moment) -> Option<Why> {
        let hold = self.holds.now(now, self.time)?;
        Some(Why { cause: "hold", by: hold.jti.clone() })
    }

    pub fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// Says until when sound is allowed from an instant on; `None` when it is not.
    pub fn sound_until(&self, at: UtcMs) -> Option<UtcMs> {
        let spans = self.book.sound_until(at)?;
        let floor = self.floor.loud_until(at)?;
        Some(spans.min(floor))
    }
}
