//! Whether a device answers: decided with patience, so that nobody is sent up a pole for nothing.
//!
//! Pure: all times are of a clock that never jumps ([`crate::clock`]'s `mono_ms`), so that setting
//! the server's clock takes nobody off line.
//!
//! # Invariants
//! * A device counts as away only after its absence has lasted [`Patience::away_ms`] without a
//!   break, all of it while the server itself heard the broker. A lost beat, a reconnect, a restart
//!   of server or broker change nothing.
//! * It counts as back only after it has answered for [`BACK_MS`]: a flickering line is one
//!   absence.
//! * A key that was taken away counts at once.
//!
//! # Why states and not pings
//! A broker tells of a lost connection by the device's last will, and a device says how it is at
//! least every half hour. Asking each one more would cost a fleet more than it tells.

use serde::{Deserialize, Serialize};

/// How long a device must answer before an absence has ended.
pub const BACK_MS: i64 = 30_000;
/// How long a device that said it sleeps is believed.
pub const ASLEEP_MS: i64 = 26 * 3_600_000;

/// Whether a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Its key is taken away.
    Revoked,
    /// It does not answer.
    Away,
    /// Enrolled, and nothing is known since the server started.
    Unknown,
    /// In the register, never enrolled.
    NeverEnrolled,
    /// Asleep by its own word.
    Asleep,
    /// It answers.
    Here,
}

impl Reach {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Revoked, Self::Away, Self::Unknown, Self::NeverEnrolled, Self::Asleep, Self::Here];

    /// Returns the stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Away => "offline",
            Self::Unknown => "unknown",
            Self::NeverEnrolled => "never-enrolled",
            Self::Asleep => "sleeping",
            Self::Here => "online",
        }
    }

    /// Reads the stable word.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.word() == word)
    }
}

/// How a device stands in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No key yet.
    Awaiting,
    /// Has a key.
    Enrolled,
    /// Its key is taken away.
    Revoked,
}

/// What a device last said, or the broker for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It is connected.
    Here,
    /// It sleeps and will be back by itself.
    Asleep,
    /// It said goodbye, or the broker lost it.
    Gone,
}

/// What is known of a device now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// How it stands in the register.
    pub standing: Standing,
    /// What it last said and when that was heard; `None` when nothing was.
    pub last: Option<(Sign, i64)>,
}

/// Whether the server hears the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Since when.
    Up(i64),
    /// Nothing can be known of anybody.
    Down,
}

/// How long absences are borne, by profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A lost connection counts after so long.
    pub away_ms: i64,
    /// A connection from which nothing is heard counts as lost after so long.
    pub stale_ms: i64,
}

/// How a device answers, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// As it counts.
    pub reach: Reach,
    /// Since when it counts so.
    pub since: i64,
    /// Since when what is heard says otherwise.
    pub doubt: Option<i64>,
}

impl Presence {
    /// Returns a presence without doubt.
    pub fn new(reach: Reach, since: i64) -> Self {
        Self { reach, since, doubt: None }
    }

    /// Says whether it is missed, and not for long enough yet.
    pub fn is_late(&self) -> bool {
        matches!(self.reach, Reach::Here | Reach::Asleep) && self.doubt.is_some()
    }
}

/// Judges a device anew.
pub fn advance(
    before: Option<Presence>,
    signs: &Signs,
    line: Line,
    patience: Patience,
    now: i64,
) -> Presence {
    let stays = |reach| match before {
        Some(known) if known.reach == reach => Presence { doubt: None, ..known },
        _ => Presence::new(reach, now),
    };
    match signs.standing {
        Standing::Revoked => return stays(Reach::Revoked),
        Standing::Awaiting => return stays(Reach::NeverEnrolled),
        Standing::Enrolled => {}
    }
    // What was said of it before it had this key tells nothing about it.
    let known = before.filter(|p| !matches!(p.reach, Reach::Revoked | Reach::NeverEnrolled));
    let known = known.unwrap_or(Presence::new(Reach::Unknown, now));
    let Line::Up(up) = line else {
        // The absence begins anew with the line: a long cut of ours is none of theirs.
        return Presence { doubt: None, ..known };
    };
    let fresh = |heard: i64, most: i64| now.saturating_sub(heard.max(up)) <= most;
    let heard = match signs.last {
        Some((Sign::Here, at)) if fresh(at, patience.stale_ms) => Some((Reach::Here, at)),
        Some((Sign::Asleep, at)) if fresh(at, ASLEEP_MS) => Some((Reach::Asleep, at)),
        _ => None,
    };
    // What was heard before our own line came back is counted from there.
    let since = |from: i64| known.doubt.unwrap_or(from).max(up);
    match (known.reach, heard) {
        (Reach::Away, Some((reach, at))) => {
            let doubt = since(at);
            if now.saturating_sub(doubt) >= BACK_MS {
                Presence::new(reach, doubt)
            } else {
                Presence { doubt: Some(doubt), ..known }
            }
        }
        (_, Some((reach, at))) if known.reach != reach => Presence::new(reach, at.clamp(up, now)),
        (Reach::Away, None) | (_, Some(_)) => Presence { doubt: None, ..known },
        (_, None) => {
            let doubt = since(match signs.last {
                Some((Sign::Gone, at)) => at,
                _ => now,
            });
            if now.saturating_sub(doubt) >= patience.away_ms {
                Presence::new(Reach::Away, doubt)
            } else {
                Presence { doubt: Some(doubt), ..known }
            }
        }
    }
}

#[cfg(test)]
mod tests;
