//! Answers to our own messages: by number, by HTTP, by their order; and those that do not come.

use super::event::{Action, EndedBy, Present, Why};
use super::evidence::{Evidence, Told};
use super::outbox::Parcel;
use super::running::StartBy;
use super::{Device, Quiet};
use crate::dialect::field::Verb;
use crate::dialect::matching::Heard;
use crate::dialect::model::{Correlation, Source};

/// A message whose answer is awaited.
#[derive(Debug)]
pub(super) struct Awaited {
    pub parcel: Parcel,
    pub until_ms: i64,
}

/// So long after an answer that did not come, answers by order may be late ones.
const DOUBT_MS: i64 = 60_000;

/// Most messages that await an answer at once; the oldest gives way.
const MOST_AWAITED: usize = 32;

impl Device {
    /// An HTTP request was answered, or was not.
    pub(super) fn answered(
        &mut self,
        request: u32,
        answer: Option<(u16, Vec<u8>)>,
        out: &mut Vec<Action>,
    ) {
        let Some(awaited) = self.take_awaited(request) else { return };
        let Some((status, body)) = answer else {
            return self.unanswered(awaited, out);
        };
        self.noticed(out);
        let good = (200..300).contains(&status);
        let good = good && !self.means_failure(&Source::Answer, &body);
        self.resolved(&awaited, good, "http", &body, out);
        if good {
            self.rules(&Source::Answer, "http", &body, false, out);
        }
    }

    /// Looks for the number of one of our messages in what was heard on the topic of answers.
    pub(super) fn correlate(
        &mut self,
        name: &str,
        source: &str,
        heard: &Heard<'_>,
        out: &mut Vec<Action>,
    ) {
        let dialect = self.dialect.clone();
        let Correlation::Id { topic, request, error } = &dialect.correlation else { return };
        if topic != name {
            return;
        }
        let id = heard.word(Some(request)).and_then(|word| word.parse().ok());
        let Some(awaited) = id.and_then(|id| self.take_awaited(id)) else { return };
        let wrong = error.as_ref().and_then(|at| heard.value(Some(at)));
        let good = wrong.is_none_or(serde_json::Value::is_null);
        self.resolved(&awaited, good, source, heard.bytes, out);
    }

    /// A line came: with answers in order it belongs to the oldest message.
    pub(super) fn line(&mut self, bytes: &[u8], out: &mut Vec<Action>) {
        self.noticed(out);
        if self.dialect.correlation == Correlation::Order
            && let Some(awaited) = self.awaited.pop_front()
        {
            // Whether it is good or bad is for the rules to say; that it came is an answer.
            let fails = self.means_failure(&Source::Line, bytes);
            self.resolved(&awaited, !fails, "line", bytes, out);
        }
        self.rules(&Source::Line, "line", bytes, false, out);
    }

    fn take_awaited(&mut self, id: u32) -> Option<Awaited> {
        let at = self.awaited.iter().position(|awaited| awaited.parcel.id == Some(id))?;
        self.awaited.remove(at)
    }

    fn resolved(
        &mut self,
        awaited: &Awaited,
        good: bool,
        source: &str,
        bytes: &[u8],
        out: &mut Vec<Action>,
    ) {
        let Some(token) = awaited.parcel.starts else { return };
        let Some(running) = self.running.as_mut().filter(|r| r.token == token) else { return };
        running.unanswered = running.unanswered.saturating_sub(1);
        let whole = running.unanswered == 0 && running.start_by == StartBy::Answers;
        if good {
            // After an answer that did not come this one may be it: it proves nothing.
            if self.now >= self.doubt_until {
                self.keep(Told::Accepted, source, bytes, Vec::new(), out);
            }
            if whole && !self.outbox.starts(token) {
                self.began(out);
            }
        } else {
            self.keep(Told::Failed, source, bytes, Vec::new(), out);
            self.end(EndedBy::Broken, Why::Device, Quiet::Send, out);
        }
    }

    /// What newer messages overtook is not repeated, though its answer may still come.
    pub(super) fn never_again(&mut self, verbs: &[Verb]) {
        for awaited in &mut self.awaited {
            awaited.parcel.again &= !verbs.contains(&awaited.parcel.verb);
        }
    }

    /// Forgets that messages started this. Where only the order of answers tells whose they are,
    /// the places are kept: the answer to come is not that of the next message.
    pub(super) fn orphan(&mut self, token: u64) {
        if self.dialect.correlation == Correlation::Order {
            for awaited in self.awaited.iter_mut().filter(|a| a.parcel.starts == Some(token)) {
                awaited.parcel.starts = None;
                awaited.parcel.again = false;
            }
        } else {
            self.awaited.retain(|awaited| awaited.parcel.starts != Some(token));
        }
    }

    /// Repeats what may be repeated, gives up the rest.
    fn unanswered(&mut self, awaited: Awaited, out: &mut Vec<Action>) {
        let mut parcel = awaited.parcel;
        if self.dialect.correlation == Correlation::Order {
            self.doubt_until = self.now.saturating_add(DOUBT_MS);
        }
        if parcel.again && parcel.tries < self.dialect.timing.retries {
            parcel.tries += 1;
            parcel.queued_ms = self.now;
            self.outbox.put_back(parcel);
            return;
        }
        if parcel.ends() {
            let (what, verb) = (Told::EndUnanswered, parcel.verb.name());
            let piece = Evidence::of(None, self.now, what, verb, &[], Vec::new());
            out.push(Action::Evidence(Box::new(piece)));
        }
        let token = parcel.starts;
        if token.is_some() && self.running.as_ref().map(|r| r.token) == token {
            self.end(EndedBy::Broken, Why::NoAnswer, Quiet::Send, out);
        }
        self.be(Present::Unknown, out);
    }

    /// Gives up answers that did not come in time.
    pub(super) fn expire_answers(&mut self, out: &mut Vec<Action>) {
        for _ in 0..MOST_AWAITED {
            let now = self.now;
            let crowded = self.awaited.len() > MOST_AWAITED;
            let at = self.awaited.iter().position(|awaited| crowded || awaited.until_ms <= now);
            let Some(mut awaited) = at.and_then(|at| self.awaited.remove(at)) else { return };
            awaited.parcel.again &= !crowded;
            self.unanswered(awaited, out);
        }
    }
}
