//! The loudspeaker: which cue sounds, from which offset, until when and how loud.

mod run;

use super::book::Placed;
use super::journal::OpenPlay;
use super::trace::Trace;
use super::{Action, Errand, LEAD_MS, LEASE_MS, Moment, TONE_MS, Time, World, tone};
use crate::domain::ids::{CueId, Digest};
use crate::domain::proof::record::{Body, Play, Said, Subject};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::{AssetEntry, Cue, SheetItem};
use run::{Run, Sounding, fade};

/// A failed output is tried again after this time.
const RETRY_MS: i64 = 5_000;
/// A fall-back is chosen so long before the start, if the clip is not there by then.
const FALLBACK_MS: i64 = 500;
/// A play whose end does not come is closed without the player after this time.
const SILENT_MS: i64 = 15_000;
/// Where the clock and the count of samples differ by more, the clock was set.
const STEP_MS: i64 = 2_000;

/// What the player is ordered to do. The clip's sample at `offset_ms` sounds at `at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayOrder {
    /// Stands in every event about it.
    pub token: u64,
    /// Which verified asset.
    pub asset: Digest,
    /// When the sample at `offset_ms` sounds; may have passed: then it is joined.
    pub at: UtcMs,
    /// Where in the clip.
    pub offset_ms: i64,
    /// When sound ends at the latest.
    pub end: UtcMs,
    /// Gain of the clip.
    pub gain_cb: i64,
    /// 0-100, the cap applied.
    pub volume: u8,
    /// Fade out before `end`, where the clip is longer.
    pub fade_ms: i64,
}

/// Why a play ended, as the player says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The clip was over.
    Clip,
    /// `end` was reached.
    Time,
    /// It was halted.
    Halted,
    /// Another order took the output.
    Replaced,
    /// The output failed.
    Output,
    /// The clip could not be decoded further.
    Damaged,
}

/// Why nothing sounded, as the player says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayFault {
    /// The clip cannot be decoded.
    Damaged,
    /// It was over before it could start.
    Late,
    /// The output does not take sound.
    Output,
}

/// The machine of a loudspeaker. At most one run sounds; the next may wait behind it.
#[derive(Debug)]
pub(crate) struct Speaker {
    grade: u8,
    method: &'static str,
    runs: Vec<Run>,
    errand: Option<(u64, Errand, i64)>,
}

impl Speaker {
    pub fn new(grade: u8, method: &'static str) -> Self {
        Self { grade, method, runs: Vec::new(), errand: None }
    }

    pub fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.errand.is_none()
    }

    pub fn runs(&self, cue: &CueId) -> bool {
        self.runs.iter().any(|run| run.cue.id == *cue)
    }

    pub fn advance(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        self.give_up_on_silence(world, now, out);
        for run in &mut self.runs {
            run.follow(world, now, out);
        }
        self.keep_apart(now, out);
        if !world.stopping {
            self.start_due(world, now, out);
        }
    }

    pub fn started(&mut self, now: Moment, token: u64, at: UtcMs, out: &mut Vec<Action>) {
        let Some(run) = self.runs.iter_mut().find(|run| run.token == token) else { return };
        if run.sounding.is_some() {
            return;
        }
        let offset_ms = at.since(run.base).max(run.order.offset_ms);
        run.sounding = Some(Sounding { at, offset_ms, mono_ms: now.mono_ms });
        run.reach_ms = run.reach_ms.max(offset_ms.saturating_add(LEASE_MS));
        let subject = Subject::Cue { cue: run.cue.id };
        out.push(Action::record(Body::Start { subject, n: 1, started_ms: at }));
    }

    pub fn ended(
        &mut self,
        world: &mut World,
        token: u64,
        at: UtcMs,
        played_ms: i64,
        by: Ended,
        out: &mut Vec<Action>,
    ) {
        if self.errand.as_ref().is_some_and(|(errand, ..)| *errand == token) {
            return self.end_errand(played_ms, out);
        }
        let Some(index) = self.runs.iter().position(|run| run.token == token) else { return };
        let run = self.runs.remove(index);
        let played_ms = played_ms.max(0);
        let cue = run.cue.id;
        if run.sounding.is_none() && played_ms == 0 {
            if run.cut.is_none() && by == Ended::Output {
                world.traces.block(cue, "output");
            }
            if run.last {
                world.traces.end(cue);
            }
            return;
        }
        let cause = match (run.cut, by) {
            (Some(cut), _) => cut.cause,
            (None, Ended::Output) => "output",
            (None, Ended::Damaged) => "damaged",
            // The next cue takes the output at the instant at which this one is over.
            (None, Ended::Replaced) if at < run.order.end.plus(-100) => "overlap",
            (None, Ended::Halted) => "stop",
            (None, Ended::Time | Ended::Replaced) if run.quiet_end => "quiet",
            (None, _) if run.fallback => "fallback",
            (None, Ended::Time | Ended::Clip | Ended::Replaced) => "end",
        };
        let started = run.sounding.map_or(at.plus(-played_ms), |s| s.at);
        let offset = run.sounding.map_or(run.order.offset_ms, |s| s.offset_ms);
        // Samples were counted, the clock may have been set meanwhile: a play never ends before
        // it began.
        let by_clock = at.since(started);
        let stepped = by_clock.saturating_sub(played_ms).saturating_abs() > STEP_MS;
        let at = if stepped { started.plus(played_ms) } else { at };
        world.traces.promise(cue, offset.saturating_add(played_ms));
        let play = run.record(
            &world.traces.of(&cue),
            started,
            at,
            played_ms,
            cause,
            self.grade,
            self.method,
        );
        world.traces.add_play(cue, &play);
        if run.last {
            world.traces.end(cue);
        }
        out.push(Action::record(Body::Play(play)));
    }

    pub fn failed(
        &mut self,
        world: &mut World,
        now: Moment,
        token: u64,
        why: PlayFault,
        out: &mut Vec<Action>,
    ) {
        if self.errand.as_ref().is_some_and(|(errand, ..)| *errand == token) {
            return self.end_errand(0, out);
        }
        let Some(index) = self.runs.iter().position(|run| run.token == token) else { return };
        let run = self.runs.remove(index);
        if run.sounding.is_some() {
            // A player that fails after it began says `Ended`; take its word for the worst.
            let since = run.sounding.map_or(0, |s| now.mono_ms.saturating_sub(s.mono_ms));
            self.runs.push(run);
            return self.ended(world, token, now.utc, since, Ended::Output, out);
        }
        let cue = run.cue.id;
        match why {
            PlayFault::Damaged => {
                world.traces.block(cue, "damaged");
                world.book.lose_asset(&run.asset);
                out.push(Action::Suspect(run.asset));
            }
            PlayFault::Late => {
                world.traces.block(cue, "late");
                world.traces.retry_at(cue, now.mono_ms.saturating_add(RETRY_MS));
            }
            PlayFault::Output => {
                world.traces.block(cue, "output");
                world.traces.retry_at(cue, now.mono_ms.saturating_add(RETRY_MS));
            }
        }
    }

    /// Ends what sounds for good.
    pub fn stop_now(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) -> String {
        let mut stopped = false;
        for run in self.runs.iter_mut().filter(|r| r.sounding.is_some() && r.cut.is_none()) {
            run.last = true;
            run.halt("stop", now, out);
            stopped = true;
        }
        // A cue that is due but waits for its clip must not begin after the command either.
        let waiting: Vec<_> =
            world.book.due(now.utc, 0).iter().map(|p| (p.cue.clone(), p.name)).collect();
        for (cue, sheet) in waiting {
            let trace = world.traces.of(&cue.id);
            if !self.runs(&cue.id) && trace.records == 0 {
                out.push(Action::record(Self::nothing(world, &cue, sheet, "stop")));
            }
            if !self.runs(&cue.id) && !trace.closed {
                world.traces.close(cue.id, true);
            }
        }
        if stopped { "done".to_owned() } else { "nothing plays".to_owned() }
    }

    pub fn set_volume(&mut self, world: &World, volume: u8, out: &mut Vec<Action>) -> String {
        let volume = volume.min(world.book.volume_cap());
        let mut set = false;
        for run in self.runs.iter_mut().filter(|r| r.sounding.is_some() && r.cut.is_none()) {
            run.volume_set = Some(volume);
            run.amend(volume, run.order.end, out);
            set = true;
        }
        if set { "done".to_owned() } else { "nothing plays".to_owned() }
    }

    /// Sounds the tone, where sound is allowed and no cue needs the output.
    pub fn errand(
        &mut self,
        world: &mut World,
        now: Moment,
        errand: Errand,
        out: &mut Vec<Action>,
    ) -> Result<(), &'static str> {
        let at = now.utc.plus(300);
        let end = at.plus(TONE_MS);
        if world.sound_until(at).is_none_or(|until| until < end) {
            return Err("refused: quiet");
        }
        let soon = world.book.due(now.utc, LEAD_MS + TONE_MS + 1_000);
        if !self.is_idle() || !soon.is_empty() || world.stopping {
            return Err("refused: busy");
        }
        let token = world.token();
        let volume = 60.min(world.book.volume_cap());
        out.push(Action::Play(PlayOrder {
            token,
            asset: Digest::of(&tone()),
            at,
            offset_ms: 0,
            end,
            gain_cb: 0,
            volume,
            fade_ms: 0,
        }));
        self.errand = Some((token, errand, now.mono_ms));
        Ok(())
    }

    fn end_errand(&mut self, played_ms: i64, out: &mut Vec<Action>) {
        let Some((_, errand, _)) = self.errand.take() else { return };
        let permille = (played_ms.max(0).saturating_mul(1000) / TONE_MS).min(1000);
        errand.end(permille, self.method, out);
    }

    /// Promises further ahead where a clip comes near what was promised; says whether it did.
    pub fn renew(&mut self, now: Moment) -> bool {
        let mut renewed = false;
        for run in &mut self.runs {
            let Some(sounding) = run.sounding else { continue };
            let position = sounding.position(now);
            if position.saturating_add(LEASE_MS / 3) > run.reach_ms {
                run.reach_ms = position.saturating_add(LEASE_MS);
                renewed = true;
            }
        }
        renewed
    }

    pub fn open(&self, now: Moment) -> Vec<OpenPlay> {
        let open = |run: &Run| OpenPlay {
            cue: run.cue.id,
            started: run.sounding.map(|s| s.at),
            reach_ms: run.reach_ms,
            known_ms: run.sounding.map_or(0, |s| now.mono_ms.saturating_sub(s.mono_ms).max(0)),
            draft: {
                let started = run.sounding.map_or(run.order.at, |s| s.at);
                run.record(&Trace::default(), started, started, 0, "power", 2, "clock")
            },
        };
        self.runs.iter().map(open).collect()
    }

    /// The record of a cue that did not sound.
    pub fn nothing(world: &World, cue: &Cue, sheet: Digest, cause: &str) -> Body {
        let found = world.book.sheet(&sheet);
        let item = found.and_then(|sheet| sheet.items.get(&cue.item));
        let (title, asset) = match item {
            Some(SheetItem::Clip { title, asset, .. }) => (title.clone(), Some(*asset)),
            Some(SheetItem::Pages { title, .. }) => (title.clone(), None),
            Some(SheetItem::Unknown) | None => (String::new(), None),
        };
        let entry = asset.and_then(|asset| found.and_then(|sheet| sheet.assets.get(&asset)));
        let length = cue.end_ms.since(cue.at_ms);
        let outcome = if cause == "quiet" { Said::Refused } else { Said::Failed };
        Body::Play(Play {
            subject: Subject::Cue { cue: cue.id },
            n: 1,
            sheet: Some(sheet),
            item: cue.item.clone(),
            asset,
            title,
            lufs_cb: entry.map(|e| e.lufs_cb),
            gain_cb: entry.map(|e| e.gain_cb),
            due_ms: cue.at_ms,
            due_len_ms: entry.map_or(length, |e| e.ms.min(length)),
            started_ms: None,
            ended_ms: None,
            played_ms: 0,
            outcome,
            cause: cause.to_owned(),
            by: None,
            volume: cue.volume.min(world.book.volume_cap()),
            skew_ms: None,
            grade: 1,
            method: "none".to_owned(),
            score_permille: None,
        })
    }

    /// Closes plays whose end the player never said; what is claimed then is the clock's word.
    fn give_up_on_silence(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        if self.errand.as_ref().is_some_and(|(.., at)| now.mono_ms.saturating_sub(*at) > SILENT_MS)
        {
            self.end_errand(0, out);
        }
        let silent = |run: &Run| {
            let cut = run.cut.is_some_and(|c| now.mono_ms.saturating_sub(c.mono_ms) > SILENT_MS);
            cut || now.utc > run.order.end.plus(2 * SILENT_MS)
        };
        while let Some(index) = self.runs.iter().position(silent) {
            let run = self.runs.remove(index);
            let cue = run.cue.id;
            let Some(sounding) = run.sounding else {
                world.traces.block(cue, "output");
                continue;
            };
            let end = now.utc.min(run.order.end).max(sounding.at);
            let length = end.since(sounding.at);
            let trace = world.traces.of(&cue);
            let play = run.record(&trace, sounding.at, end, length, "output", 2, "clock");
            let play = Play { outcome: Said::Partial, ..play };
            world.traces.promise(cue, sounding.position(now));
            world.traces.add_play(cue, &play);
            out.push(Action::record(Body::Play(play)));
        }
    }

    /// Takes back what waits behind a play that now ends later.
    fn keep_apart(&mut self, now: Moment, out: &mut Vec<Action>) {
        let busy_until =
            self.runs.iter().filter(|r| r.sounding.is_some()).map(|r| r.order.end).max();
        let Some(busy_until) = busy_until else { return };
        for run in self.runs.iter_mut().filter(|r| r.sounding.is_none() && r.cut.is_none()) {
            if run.order.at < busy_until {
                run.halt("overlap", now, out);
            }
        }
    }

    fn start_due(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
        if world.time == Time::Unknown {
            return;
        }
        let due: Vec<_> = world
            .book
            .due(now.utc, LEAD_MS + 1_000)
            .into_iter()
            .map(|Placed { cue, name, sheet }| {
                let item = sheet.items.get(&cue.item).cloned();
                let entries = match &item {
                    Some(SheetItem::Clip { asset, fallback, .. }) => {
                        let entry = |a: &Digest| sheet.assets.get(a).map(|e| (*a, e.clone()));
                        (entry(asset), fallback.as_ref().and_then(entry))
                    }
                    _ => (None, None),
                };
                (cue.clone(), name, item, entries)
            })
            .collect();
        for (cue, sheet, item, (main, fallback)) in due {
            let trace = world.traces.of(&cue.id);
            let waits = trace.retry_mono.is_some_and(|at| now.mono_ms < at);
            if self.runs(&cue.id) || trace.closed || waits {
                continue;
            }
            let due = now.utc >= cue.at_ms;
            let Some(SheetItem::Clip { title, .. }) = item else {
                if due && trace.records == 0 {
                    out.push(Action::record(Self::nothing(world, &cue, sheet, "unsupported")));
                    world.traces.close(cue.id, true);
                }
                continue;
            };
            if world.time != Time::Fit {
                if due {
                    world.traces.block(cue.id, "clock");
                }
                continue;
            }
            let base = cue.at_ms.plus(world.book.trim_ms());
            if now.utc < base.plus(-LEAD_MS) {
                continue;
            }
            let offset_ms = trace.reach_ms.max(now.utc.since(base)).max(0);
            let nominal = cue.at_ms.plus(offset_ms);
            if nominal >= cue.end_ms {
                continue;
            }
            let Some(until) = world.sound_until(nominal) else {
                if due && trace.records == 0 {
                    out.push(Action::record(Self::nothing(world, &cue, sheet, "quiet")));
                    world.traces.close(cue.id, true);
                }
                continue;
            };
            let held = |e: &(Digest, AssetEntry)| world.book.holds(&e.0);
            let use_fallback = now.utc >= base.plus(-FALLBACK_MS);
            let (found, is_fallback) = match (main.filter(held), fallback.filter(held)) {
                (Some(main), _) => (Some(main), false),
                (None, Some(fallback)) if use_fallback => (Some(fallback), true),
                (None, _) => (None, false),
            };
            let Some((asset, entry)) = found else {
                if due && trace.blocked != Some("damaged") {
                    world.traces.block(cue.id, "missing");
                }
                continue;
            };
            if offset_ms >= entry.ms {
                world.traces.block(cue.id, "late");
                continue;
            }
            let at = base.plus(offset_ms);
            let taken = |r: &Run| r.cut.is_some() || r.order.end > at;
            if self.errand.is_some() || self.runs.len() > 1 || self.runs.iter().any(taken) {
                if due {
                    world.traces.block(cue.id, "overlap");
                }
                continue;
            }
            let token = world.token();
            let volume = cue.volume.min(world.book.volume_cap());
            let end = cue.end_ms.min(until).plus(world.book.trim_ms());
            let order = PlayOrder {
                token,
                asset,
                at,
                offset_ms,
                end,
                gain_cb: entry.gain_cb,
                volume,
                fade_ms: fade(&cue),
            };
            out.push(Action::Play(order.clone()));
            self.runs.push(Run {
                token,
                quiet_end: until < cue.end_ms,
                cue,
                sheet,
                title,
                asset,
                entry,
                fallback: is_fallback,
                base,
                order,
                volume_set: None,
                sounding: None,
                reach_ms: offset_ms.saturating_add(LEASE_MS),
                cut: None,
                last: false,
            });
        }
    }
}
