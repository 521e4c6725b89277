//! What policies leave of the clips of a day. Boards are not governed.
//!
//! Sessions are those of the plan before quiet hours are taken out: a session that quiet hours
//! shorten is still the same session, and counts even when nothing of it may sound.

use super::conflict::SHORTEST_CLIP_MS;
use super::place::Piece;
use super::plan::Kind;
use super::reason::{Cause, Effect, Reason};
use crate::domain::playlist::Priority;
use crate::domain::policy::{Ban, Rules, SESSION_GAP_MS};
use crate::domain::time::{Span, UtcMs};

/// The silent stretches around a day and what its sessions may hold.
pub(super) struct Limits {
    /// Sorted by start: of the day itself and of the next, into which a clip may last.
    pub silence: Vec<(Span, Ban)>,
    /// Stretches of the day by session, with what is allowed of them.
    pub sessions: Vec<Session>,
}

/// Some clips less than 15 minutes apart.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// First start, perhaps on the day before.
    start: UtcMs,
    /// First and last start on the day looked at.
    first: UtcMs,
    last: UtcMs,
    /// The latest end so far.
    end: UtcMs,
    /// It began before the day looked at.
    continues: bool,
    /// The highest priority in it on the day it began.
    best: Priority,
    /// Beyond this nothing sounds.
    until: Option<(UtcMs, Cause)>,
    /// It is one too many.
    refused: Option<Cause>,
}

/// Finds the sessions of a day's pieces. `before` is the latest end of a clip of the day before.
fn sessions<'a>(pieces: impl Iterator<Item = &'a Piece>, before: Option<UtcMs>) -> Vec<Session> {
    let mut found: Vec<Session> = Vec::new();
    let clips = pieces.map(|piece| (piece.at, piece.end, piece.owner.priority));
    for (at, end, priority) in clips {
        match found.last_mut() {
            Some(session) if at.since(session.end) < SESSION_GAP_MS => {
                session.last = at;
                session.end = session.end.max(end);
                session.best = session.best.max(priority);
            }
            last => {
                let continues =
                    last.is_none() && before.is_some_and(|end| at.since(end) < SESSION_GAP_MS);
                found.push(Session {
                    start: at,
                    first: at,
                    last: at,
                    end,
                    continues,
                    best: priority,
                    until: None,
                    refused: None,
                });
            }
        }
    }
    found
}

fn clips<'a>(pieces: &'a [&'a Piece]) -> impl Iterator<Item = &'a Piece> {
    pieces.iter().copied().filter(|piece| piece.kind() == Kind::Clip)
}

fn latest_end(pieces: &[&Piece]) -> Option<UtcMs> {
    clips(pieces).map(|piece| piece.end).max()
}

/// Says which sessions of a day are too many: those with priority stay first, then the earlier.
fn refuse(sessions: &mut [Session], rules: &Rules) {
    let Some((most, policy)) = rules.sessions_per_day() else { return };
    let mut own: Vec<&mut Session> = sessions.iter_mut().filter(|s| !s.continues).collect();
    own.sort_by_key(|session| (std::cmp::Reverse(session.best), session.start));
    for session in own.into_iter().skip(*most as usize) {
        session.refused = Some(Cause::SessionsADay { policy: policy.clone(), most: *most });
    }
}

/// Judges the sessions of a day. The pieces are those that start on the day and on the two days
/// before it, each sorted by start. A session that runs on over a whole day is counted anew.
pub(super) fn judge(
    rules: &Rules,
    day: &[&Piece],
    day_before: &[&Piece],
    two_before: &[&Piece],
) -> Vec<Session> {
    if rules.sessions_per_day().is_none() && rules.minutes_per_session().is_none() {
        return Vec::new();
    }
    let mut earlier = sessions(clips(day_before), latest_end(two_before));
    refuse(&mut earlier, rules);
    let mut found = sessions(clips(day), latest_end(day_before));
    refuse(&mut found, rules);
    if let (Some(first), Some(begun)) = (found.first_mut().filter(|s| s.continues), earlier.last())
    {
        first.start = begun.start;
        first.refused.clone_from(&begun.refused);
    }
    if let Some((most, policy)) = rules.minutes_per_session() {
        for session in &mut found {
            let cause = Cause::SessionMinutes { policy: policy.clone(), most: *most };
            session.until = Some((session.start.plus(i64::from(*most) * 60_000), cause));
        }
    }
    found
}

impl Limits {
    /// Returns what may sound of a clip, or why nothing may.
    pub fn apply(&self, piece: &Piece) -> Result<Piece, Cause> {
        let mut kept = piece.clone();
        let mut cut: Option<Cause> = None;
        let mut earlier = |to: UtcMs, cause: Cause| {
            if to < kept.end {
                kept.end = to;
                cut = Some(cause);
            }
        };
        for (span, ban) in &self.silence {
            if span.to() > piece.at && span.from() < piece.end {
                earlier(span.from(), cause_of(ban));
            }
        }
        let session = self.sessions.iter().find(|s| s.first <= piece.at && piece.at <= s.last);
        if let Some(session) = session {
            if let Some(cause) = &session.refused {
                return Err(cause.clone());
            }
            if let Some((until, cause)) = &session.until {
                earlier(*until, cause.clone());
            }
        }
        let Some(cause) = cut else { return Ok(kept) };
        if kept.end.since(kept.at) < SHORTEST_CLIP_MS {
            return Err(cause);
        }
        kept.reasons.retain(|reason| reason.effect != Effect::Shortened);
        kept.reasons.push(Reason::new(Effect::Shortened, cause));
        Ok(kept)
    }
}

fn cause_of(ban: &Ban) -> Cause {
    match ban {
        Ban::Quiet(hours, policy) => {
            Cause::QuietHours { policy: policy.clone(), hours: hours.to_string() }
        }
        Ban::Day(policy) => Cause::DayNotAllowed { policy: policy.clone() },
    }
}
