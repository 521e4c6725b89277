//! One play from its order to its record.

use super::PlayOrder;
use crate::device::executor::trace::Trace;
use crate::device::executor::world::Why;
use crate::device::executor::{Action, Moment, Time, World};
use crate::domain::ids::Digest;
use crate::domain::proof::record::{Play, Said, Subject};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::{AssetEntry, Cue, SheetItem};

/// A cue that gives way to a notice or a hold is out within this time.
const WAY_MS: i64 = 500;

#[derive(Debug)]
pub(super) struct Run {
    pub token: u64,
    pub cue: Cue,
    pub sheet: Digest,
    pub title: String,
    pub asset: Digest,
    pub entry: AssetEntry,
    pub fallback: bool,
    /// When the clip's first sample would sound.
    pub base: UtcMs,
    pub order: PlayOrder,
    /// The end is that of the allowed stretch, not the cue's.
    pub quiet_end: bool,
    pub volume_set: Option<u8>,
    pub sounding: Option<Sounding>,
    pub reach_ms: i64,
    pub cut: Option<Cut>,
    /// What it gave way to.
    pub by: Option<String>,
    /// The cue does not come back, whatever the record says.
    pub last: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Sounding {
    pub at: UtcMs,
    pub offset_ms: i64,
    pub mono_ms: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub cause: &'static str,
    pub mono_ms: i64,
}

impl Sounding {
    pub fn position(&self, now: Moment) -> i64 {
        self.offset_ms.saturating_add(now.mono_ms.saturating_sub(self.mono_ms).max(0))
    }
}

impl Run {
    /// Follows the schedule, the allowed stretch and the clock.
    pub fn follow(&mut self, world: &World, now: Moment, out: &mut Vec<Action>) {
        if self.cut.is_some() {
            return;
        }
        if world.stopping {
            return self.halt("off", now, out);
        }
        if world.time != Time::Fit {
            return self.halt("clock", now, out);
        }
        if now.utc >= self.order.end {
            // The player ends by itself; only a clock that was set forward leaves it running.
            if now.utc > self.order.end.plus(1_000) {
                self.halt("clock", now, out);
            }
            return;
        }
        let Some(placed) = world.book.find(&self.cue.id) else {
            return self.halt("withdrawn", now, out);
        };
        let same_item = placed.cue.item == self.cue.item
            && match placed.sheet.items.get(&placed.cue.item) {
                Some(SheetItem::Clip { asset, fallback, .. }) => {
                    *asset == self.asset || *fallback == Some(self.asset)
                }
                _ => false,
            };
        if !same_item {
            self.last = self.sounding.is_some();
            return self.halt("withdrawn", now, out);
        }
        if placed.cue.at_ms != self.cue.at_ms && self.sounding.is_none() {
            // Moved before it began: ordered anew at its new time.
            return self.halt("withdrawn", now, out);
        }
        self.cue.end_ms = placed.cue.end_ms;
        self.cue.volume = placed.cue.volume;
        self.sheet = placed.name;
        let trim = world.book.trim_ms();
        // A clock set back while it sounds: the hour it is now decides, not the hour it was.
        let stepped = self.sounding.is_some_and(|s| now.utc < s.at.plus(-super::STEP_MS));
        let planned = self.order.at.plus(-trim);
        let from = if stepped { now.utc } else { now.utc.max(planned) };
        let Some(until) = world.sound_until(from) else {
            return self.halt("quiet", now, out);
        };
        self.quiet_end = until < self.cue.end_ms;
        let end = self.cue.end_ms.min(until).plus(trim);
        let cap = world.book.volume_cap();
        let volume = self.volume_set.unwrap_or(self.cue.volume).min(cap);
        if end != self.order.end || volume != self.order.volume {
            self.amend(volume, end, out);
        }
    }

    /// Ends for a notice or a hold. What a hold ends does not come back.
    pub fn give_way(&mut self, why: &Why, now: Moment, out: &mut Vec<Action>) {
        self.by = Some(why.by.clone());
        self.last = why.cause == "hold" && self.sounding.is_some();
        self.halt(why.cause, now, out);
    }

    pub fn amend(&mut self, volume: u8, end: UtcMs, out: &mut Vec<Action>) {
        self.order.volume = volume;
        self.order.end = end;
        out.push(Action::Amend { token: self.token, volume, end });
    }

    pub fn halt(&mut self, cause: &'static str, now: Moment, out: &mut Vec<Action>) {
        self.cut = Some(Cut { cause, mono_ms: now.mono_ms });
        let fade_ms = match cause {
            "quiet" | "clock" => 0,
            "off" => fade(&self.cue).min(1_000),
            "pre-empted" | "hold" => fade(&self.cue).min(WAY_MS),
            _ => fade(&self.cue),
        };
        out.push(Action::Halt { token: self.token, fade_ms });
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one ended play")]
    pub fn record(
        &self,
        trace: &Trace,
        started: UtcMs,
        ended: UtcMs,
        played_ms: i64,
        cause: &str,
        grade: u8,
        method: &str,
    ) -> Play {
        let length = self.cue.end_ms.since(self.cue.at_ms).max(0);
        let due_len_ms = if self.fallback { length } else { length.min(self.entry.ms) };
        let total = trace.played_ms.saturating_add(played_ms);
        let whole = total.saturating_mul(100) >= due_len_ms.saturating_mul(98);
        let late = started.since(self.base) > 1_000 && cause == "end" && !whole;
        // What made it late was a notice: say so, it rejoined as it should.
        let cause = match (late, &trace.by) {
            (true, Some(_)) => "pre-empted",
            (true, None) => "late",
            (false, _) => cause,
        };
        let by = match cause {
            "pre-empted" | "hold" => self.by.clone().or_else(|| trace.by.clone()),
            _ => None,
        };
        let outcome = match cause {
            _ if whole => Said::Played,
            "pre-empted" if !late => Said::PreEmpted,
            _ => Said::Partial,
        };
        Play {
            subject: Subject::Cue { cue: self.cue.id },
            n: 1,
            sheet: Some(self.sheet),
            item: self.cue.item.clone(),
            asset: Some(self.asset),
            title: self.title.clone(),
            lufs_cb: Some(self.entry.lufs_cb),
            gain_cb: Some(self.entry.gain_cb),
            due_ms: self.cue.at_ms,
            due_len_ms,
            started_ms: Some(started),
            ended_ms: Some(ended),
            played_ms,
            outcome,
            cause: cause.to_owned(),
            by,
            volume: self.order.volume,
            skew_ms: Some(started.since(self.order.at)),
            grade,
            method: method.to_owned(),
            score_permille: None,
        }
    }
}

/// A fade longer than this is a fault of the sheet.
pub(super) fn fade(cue: &Cue) -> i64 {
    cue.fade_ms.clamp(0, 10_000)
}
