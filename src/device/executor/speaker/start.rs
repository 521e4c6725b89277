//! Which cue begins, from which offset, and the word on those that may not.

use super::run::{Run, fade};
use super::{FALLBACK_MS, PlayOrder, Speaker};
use crate::device::executor::book::Placed;
use crate::device::executor::world::Why;
use crate::device::executor::{Action, LEAD_MS, LEASE_MS, Moment, Time, World};
use crate::domain::ids::Digest;
use crate::domain::proof::record::{Body, Play, Said, Subject};
use crate::domain::timetable::sheet::{AssetEntry, Cue, SheetItem};

impl Speaker {
    pub(super) fn start_due(&mut self, world: &mut World, now: Moment, out: &mut Vec<Action>) {
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
            if let Some(hold) = world.holds.begun_in(cue.at_ms).filter(|_| due) {
                let why = Why { cause: "hold", by: hold.jti.clone() };
                Self::refuse(world, &cue, sheet, &why, out);
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
                // Over before it could come back: the notice took its time.
                if trace.blocked != Some("pre-empted") {
                    world.traces.block(cue.id, "late");
                }
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
                clip_ms: entry.ms.max(0),
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
                by: None,
                last: false,
            });
        }
    }

    /// Notes the notice that keeps due cues from sounding: they join when it lets them.
    pub(super) fn put_off_due(&self, world: &mut World, now: Moment, why: &Why) {
        if world.time != Time::Fit {
            return;
        }
        let due: Vec<_> = world.book.due(now.utc, 0).iter().map(|placed| placed.cue.id).collect();
        for cue in due {
            if !self.runs(&cue) && !world.traces.of(&cue).closed {
                world.traces.yields(cue, why);
            }
        }
    }

    /// Refuses due clips for good: one whose time begins in a hold does not sound after it.
    pub(super) fn refuse_due(
        runs: &[Run],
        world: &mut World,
        now: Moment,
        why: &Why,
        out: &mut Vec<Action>,
    ) {
        if world.time != Time::Fit {
            return;
        }
        let due: Vec<_> =
            world.book.due(now.utc, 0).iter().map(|p| (p.cue.clone(), p.name)).collect();
        for (cue, sheet) in due {
            let trace = world.traces.of(&cue.id);
            if trace.closed || runs.iter().any(|run| run.cue.id == cue.id) {
                continue;
            }
            Self::refuse(world, &cue, sheet, why, out);
        }
    }

    /// Closes a clip that gives way for good.
    fn refuse(world: &mut World, cue: &Cue, sheet: Digest, why: &Why, out: &mut Vec<Action>) {
        let trace = world.traces.of(&cue.id);
        world.traces.yields(cue.id, why);
        if trace.records == 0 {
            out.push(Action::record(Self::nothing(world, cue, sheet, why.cause)));
        }
        world.traces.close(cue.id, true);
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
        let outcome = match cause {
            "quiet" | "hold" => Said::Refused,
            "pre-empted" => Said::PreEmpted,
            _ => Said::Failed,
        };
        let by =
            if matches!(cause, "hold" | "pre-empted") { world.traces.of(&cue.id).by } else { None };
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
            by,
            volume: cue.volume.min(world.book.volume_cap()),
            skew_ms: None,
            grade: 1,
            method: "none".to_owned(),
            score_permille: None,
        })
    }
}
