//! The trail (nhật ký thao tác): who changed what, when, from where, what it was and became.
//!
//! Every changing action of command line, page and API appends one entry; nothing ever changes or
//! drops one. What devices did is evidence of its own ([`super::ingest`]); this is what people did.
//!
//! # Invariants
//! * An entry has no secret: no token, key or password, in whole or in part.
//! * Texts are bounded and hold no control characters, so a line of the trail is a line.

use crate::domain::time::UtcMs;
use serde::Serialize;

/// Longest text of a member in characters; beyond it stands `…`.
const MOST: usize = 2_000;

/// One thing somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The server's clock.
    pub at: UtcMs,
    /// The person's id; `command line` with the system's user for who acts on the data folder
    /// itself; `server` for what it does by itself.
    pub who: String,
    /// The address a request came from, or `command line`.
    pub from: String,
    /// What was done: a verb and a noun, kebab-case, stable (`approve-proposal`).
    pub action: String,
    /// To what: an id or a hash.
    pub subject: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub who: String,
    pub from: String,
}

impl Actor {
    /// Returns an actor.
    pub fn new(who: impl Into<String>, from: impl Into<String>) -> Self {
        Self { who: who.into(), from: from.into() }
    }

    /// The server itself.
    pub fn server() -> Self {
        Self::new("server", "server")
    }

    /// Returns an entry about something this actor did.
    pub fn did(&self, at: UtcMs, action: &str, subject: impl ToString) -> Entry {
        Entry {
            at,
            who: bounded(&self.who),
            from: bounded(&self.from),
            action: bounded(action),
            subject: bounded(&subject.to_string()),
            before: None,
            after: None,
        }
    }
}

impl Entry {
    /// Says what it was before.
    #[must_use]
    pub fn before(mut self, text: impl ToString) -> Self {
        self.before = Some(bounded(&text.to_string()));
        self
    }

    /// Says what it became.
    #[must_use]
    pub fn after(mut self, text: impl ToString) -> Self {
        self.after = Some(bounded(&text.to_string()));
        self
    }
}

fn bounded(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut found: String = text.chars().take(MOST).map(plain).collect();
    if text.chars().nth(MOST).is_some() {
        found.push('…');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_bounded_and_stays_a_line() {
        let long = "đ".repeat(3_000);
        let lan = Actor::new("lan", "10.0.0.7");
        let entry = lan.did(UtcMs(1), "put-playlist", "a\nb").before(&long).after("x");
        assert_eq!(entry.subject, "a b");
        assert_eq!(entry.before.unwrap().chars().count(), MOST + 1);
        assert_eq!(entry.after.as_deref(), Some("x"));
    }
}
