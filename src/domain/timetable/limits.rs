//! What policies leave of the clips of a day. Boards are not governed.
//!
//! # Why
//! A further policy must never let something sound that was silent before. So sessions are those
//! of the plan before quiet hours are taken out: a session that quiet hours shorten is still the
//! same session, and counts even when nothing of it may sound. And where sessions a day are
//! limited, a session that is silenced for 15 minutes is over: what would follow would be one
//! session more. Rejected: to count what remains after quiet hours, which lets a fourth session
//! sound because the first fell silent.

use super::conflict::SHORTEST_CLIP_MS;
use super::place::Piece;
use super::plan::Kind;
use super::reason::{Cause, Effect, Reason};
use crate::domain::playlist::Priority;
use crate::domain::policy::{Ban, Rules, SESSION_GAP_MS};
use crate::domain::time::{Span, UtcMs};
use std::cmp::Reverse;
use std::ops::Range;

/// Some clips of one day less than 15 minutes apart.
#[derive(Clone, Debug)]
struct Session {
    /// First start on the day.
    start: UtcMs,
    /// The latest end so far.
    end: UtcMs,
    /// Its clips among those of the day.
    clips: Range<usize>,
    /// It began before the day.
    continues: bool,
    /// The highest priority in it.
    best: Priority,
    /// It is one too many.
    refused: bool,
}

/// Finds the sessions of a day's clips. `before` is the latest end of a clip of the day before.
fn sessions(clips: &[&Piece], before: Option<UtcMs>, rules: &Rules) -> Vec<Session> {
    let mut found: Vec<Session> = Vec::new();
    for (place, clip) in clips.iter().enumerate() {
        let (start, end, best) = (clip.at, clip.end, clip.owner.priority);
        match found.last_mut() {
            Some(session) if start.since(session.end) < SESSION_GAP_MS => {
                session.clips.end = place + 1;
                session.end = session.end.max(end);
                session.best = session.best.max(best);
            }
            last => {
                let close = before.is_some_and(|end| start.since(end) < SESSION_GAP_MS);
                let continues = last.is_none() && close;
                let clips = place..place + 1;
                found.push(Session { start, end, clips, continues, best, refused: false });
            }
        }
    }
    if let Some((most, _)) = rules.sessions_per_day() {
        // Those with priority stay first, then those of the day itself, then the earlier.
        let mut ranked: Vec<&mut Session> = found.iter_mut().collect();
        ranked.sort_by_key(|session| (Reverse(session.best), session.continues, session.start));
        for session in ranked.into_iter().skip(*most as usize) {
            session.refused = true;
        }
    }
    found
}

fn clips<'a>(pieces: &[&'a Piece]) -> Vec<&'a Piece> {
    pieces.iter().copied().filter(|piece| piece.kind() == Kind::Clip).collect()
}

fn latest_end(clips: &[&Piece]) -> Option<UtcMs> {
    clips.iter().map(|clip| clip.end).max()
}

/// Returns what may sound of each clip of a day, or why nothing of it may. The pieces are those
/// that start on the day and on the two days before it, each sorted by start; `silence` covers the
/// day and its neighbours.
///
/// A session over midnight counts on both days, on the second one after that day's own; its
/// minutes run on, and where its first part is one too many so is the rest.
pub(super) fn allow(
    rules: &Rules,
    silence: &[(Span, Ban)],
    day: &[&Piece],
    day_before: &[&Piece],
    two_before: &[&Piece],
) -> Vec<Result<Piece, Cause>> {
    let (today, yesterday) = (clips(day), clips(day_before));
    let mut allowed: Vec<Result<Piece, Cause>> =
        today.iter().map(|clip| cut_by_silence(clip, silence)).collect();
    if rules.sessions_per_day().is_none() && rules.minutes_per_session().is_none() {
        return allowed;
    }
    let earlier = sessions(&yesterday, latest_end(&clips(two_before)), rules).pop();
    for session in sessions(&today, latest_end(&yesterday), rules) {
        let begun = earlier.as_ref().filter(|_| session.continues);
        let mut judge = Judge {
            rules,
            begun: begun.map_or(session.start, |begun| begun.start),
            silent_since: session.start,
            over: session.refused || begun.is_some_and(|begun| begun.refused),
        };
        for (verdict, clip) in allowed[session.clips.clone()].iter_mut().zip(&today[session.clips])
        {
            *verdict = judge.clip(verdict.clone(), clip);
        }
    }
    allowed
}

/// Follows one session clip by clip.
struct Judge<'a> {
    rules: &'a Rules,
    /// When the session began, perhaps on the day before.
    begun: UtcMs,
    silent_since: UtcMs,
    over: bool,
}

impl Judge<'_> {
    /// Judges the next clip, of which quiet hours have left something or nothing.
    fn clip(&mut self, left: Result<Piece, Cause>, clip: &Piece) -> Result<Piece, Cause> {
        if let Some((most, policy)) = self.rules.sessions_per_day() {
            self.over |= clip.at.since(self.silent_since) >= SESSION_GAP_MS;
            if self.over {
                return Err(Cause::SessionsADay { policy: policy.clone(), most: *most });
            }
        }
        let mut kept = left?;
        if let Some((most, policy)) = self.rules.minutes_per_session() {
            let until = self.begun.plus(i64::from(*most) * 60_000);
            let cause = Cause::SessionMinutes { policy: policy.clone(), most: *most };
            kept = cut(kept, until, cause)?;
        }
        self.silent_since = self.silent_since.max(kept.end);
        Ok(kept)
    }
}

/// Ends a clip by an instant; what would be too short to say anything is left out.
fn cut(mut clip: Piece, by: UtcMs, cause: Cause) -> Result<Piece, Cause> {
    if by >= clip.end {
        return Ok(clip);
    }
    if by.since(clip.at) < SHORTEST_CLIP_MS {
        return Err(cause);
    }
    clip.end = by;
    clip.reasons.retain(|reason| reason.effect != Effect::Shortened);
    clip.reasons.push(Reason::new(Effect::Shortened, cause));
    Ok(clip)
}

fn cut_by_silence(clip: &Piece, silence: &[(Span, Ban)]) -> Result<Piece, Cause> {
    let touching = |span: &Span| span.to() > clip.at && span.from() < clip.end;
    let first = silence.iter().filter(|(span, _)| touching(span)).min_by_key(|(s, _)| s.from());
    let Some((span, ban)) = first else { return Ok(clip.clone()) };
    let cause = match ban {
        Ban::Quiet(hours, policy) => {
            Cause::QuietHours { policy: policy.clone(), hours: hours.to_string() }
        }
        Ban::Day(policy) => Cause::DayNotAllowed { policy: policy.clone() },
    };
    cut(clip.clone(), span.from(), cause)
}
