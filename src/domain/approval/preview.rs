//! Two schedules cue by cue: what is new, gone, moved, changed, for whom, and how near to quiet.

use crate::domain::ids::{CueId, UnitId};
use crate::domain::policy::QuietHours;
use crate::domain::recurrence::{LocalTime, wall};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::{Cue, DaySheet, SheetItem};
use crate::domain::timetable::{Compiled, DevicePlan};
use chrono::Timelike as _;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Changes kept of one comparison; beyond them only numbers.
const MOST: usize = 400;
/// How near to quiet hours a clip is shown first.
const NEAR_MS: i64 = 3_600_000;
/// The quiet floor that devices keep unless told otherwise.
const FLOOR: QuietHours =
    QuietHours { from: LocalTime(21 * 3600 + 1800), to: LocalTime(4 * 3600 + 2700) };

/// What becomes of a cue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It was not there.
    New,
    /// It is there at another instant.
    Moved,
    /// It sounds longer.
    Longer,
    /// It sounds louder.
    Louder,
    /// Another clip, text or title.
    Content,
    /// It ends earlier or is less loud.
    Less,
    /// It is no longer there.
    Gone,
}

impl What {
    /// Says whether this lets something sound or show that did not.
    pub fn adds(self) -> bool {
        !matches!(self, Self::Less | Self::Gone)
    }
}

/// One cue before and after, for all devices for which the same happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// Sounds within an hour of quiet hours: shown first.
    pub near_quiet: bool,
    pub what: What,
    pub at_ms: UtcMs,
    pub end_ms: UtcMs,
    /// Where it stood before, when it moved or its length changed.
    pub was_at_ms: Option<UtcMs>,
    pub was_end_ms: Option<UtcMs>,
    pub cue: CueId,
    /// `playlist/item`.
    pub item: String,
    pub title: String,
    /// On a board instead of a loudspeaker.
    pub board: bool,
    pub volume: u8,
    /// The units the devices stand in.
    pub units: BTreeSet<UnitId>,
    pub devices: usize,
}

/// How many cues of a unit's devices change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub new: usize,
    pub moved: usize,
    /// Longer, louder, other content, or less.
    pub changed: usize,
    pub gone: usize,
}

/// What a change would do on air.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// By the unit a device stands in.
    pub units: BTreeMap<UnitId, Counts>,
    /// What sounds near quiet hours first, then by time; the first of them.
    pub changes: Vec<Change>,
    /// How many more there are.
    pub more: usize,
    /// Whether anything sounds or shows that did not.
    pub adds: bool,
}

impl Preview {
    /// Says whether nothing sounds or shows that did not before.
    pub fn only_silences(&self) -> bool {
        !self.adds
    }

    /// Says whether nothing changes on air in the days compared.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// A cue as a device plays it.
#[derive(Clone, Copy)]
struct Played<'a> {
    cue: &'a Cue,
    sheet: &'a DaySheet,
    /// Under the device's cap.
    volume: u8,
    trim_ms: i64,
}

impl<'a> Played<'a> {
    fn of(plan: &'a DevicePlan, now: UtcMs) -> impl Iterator<Item = Played<'a>> {
        let (cap, trim_ms) = (plan.volume_cap(), plan.trim_ms());
        let cues =
            plan.days().iter().flat_map(|day| day.sheet.cues.iter().map(|c| (c, &day.sheet)));
        cues.filter(move |(cue, _)| cue.end_ms > now).map(move |(cue, sheet)| {
            let mut played = Played { cue, sheet, volume: cue.volume, trim_ms };
            if !played.is_board() {
                played.volume = cue.volume.min(cap);
            }
            played
        })
    }

    fn item(&self) -> Option<&'a SheetItem> {
        self.sheet.items.get(&self.cue.item)
    }

    fn is_board(&self) -> bool {
        matches!(self.item(), Some(SheetItem::Pages { .. }))
    }

    fn title(&self) -> &'a str {
        match self.item() {
            Some(SheetItem::Clip { title, .. } | SheetItem::Pages { title, .. }) => title,
            Some(SheetItem::Unknown) | None => "",
        }
    }

    /// Item and the assets it names: length and gain belong to what is heard.
    fn content(&self) -> impl PartialEq + 'a {
        let item = self.item();
        let assets = match item {
            Some(SheetItem::Clip { asset, fallback, .. }) => {
                let entry = |digest| self.sheet.assets.get(digest);
                (entry(asset), fallback.as_ref().and_then(entry))
            }
            _ => (None, None),
        };
        (item, assets)
    }

    fn near_quiet(&self, zone: Tz) -> bool {
        if self.is_board() {
            return false;
        }
        let (at, end) = (self.cue.at_ms, self.cue.end_ms);
        let by_floor = |at: UtcMs| {
            let time = LocalTime(wall::reading(zone, at).num_seconds_from_midnight());
            FLOOR.contains(time)
        };
        let edge = self.sheet.sound.iter().any(|span| {
            let holds = span.from() <= at && end <= span.to();
            let begins = span.from() > self.sheet.from_ms && at.since(span.from()) < NEAR_MS;
            let ends = span.to() < self.sheet.to_ms && span.to().since(end) < NEAR_MS;
            holds && (begins || ends)
        });
        edge || by_floor(at.plus(1 - NEAR_MS)) || by_floor(end.plus(NEAR_MS - 1))
    }

    /// Returns what became of `was`, or `None` when it is the same on air.
    fn since(&self, was: &Played<'_>) -> Option<What> {
        let (old, new) = (was.cue, self.cue);
        if old.at_ms != new.at_ms || was.trim_ms != self.trim_ms {
            Some(What::Moved)
        } else if self.content() != was.content() {
            Some(What::Content)
        } else if new.end_ms > old.end_ms {
            Some(What::Longer)
        } else if self.volume > was.volume {
            Some(What::Louder)
        } else if new.end_ms < old.end_ms || self.volume < was.volume {
            Some(What::Less)
        } else {
            None
        }
    }

    fn change(&self, what: What, was: Option<&Played<'_>>, zone: Tz) -> Change {
        let span = was.map(|was| (was.cue.at_ms, was.cue.end_ms));
        let span = span.filter(|span| *span != (self.cue.at_ms, self.cue.end_ms));
        Change {
            near_quiet: what.adds() && self.near_quiet(zone),
            what,
            at_ms: self.cue.at_ms,
            end_ms: self.cue.end_ms,
            was_at_ms: span.map(|span| span.0),
            was_end_ms: span.map(|span| span.1),
            cue: self.cue.id,
            item: self.cue.item.clone(),
            title: self.title().to_owned(),
            board: self.is_board(),
            volume: self.volume,
            units: BTreeSet::new(),
            devices: 0,
        }
    }
}

/// Compares what all devices do from `now` on; keeps the first of the changes.
pub fn compare(old: &Compiled, new: &Compiled, now: UtcMs) -> Preview {
    let mut preview = compare_whole(old, new, now);
    preview.more = preview.changes.len().saturating_sub(MOST);
    preview.changes.truncate(MOST);
    preview
}

/// As [`compare`], with every change.
pub(super) fn compare_whole(old: &Compiled, new: &Compiled, now: UtcMs) -> Preview {
    let zone = new.zone();
    // Devices that are alike before and after are looked into once.
    type Likeness = (Option<(usize, u8, i64)>, Option<(usize, u8, i64)>);
    let like = |plan: Option<&DevicePlan>| {
        plan.map(|plan| (plan.days().as_ptr().addr(), plan.volume_cap(), plan.trim_ms()))
    };
    let mut known: HashMap<Likeness, Vec<Change>> = HashMap::new();
    let mut all: BTreeMap<Change, (BTreeSet<UnitId>, usize)> = BTreeMap::new();
    let mut preview = Preview::default();
    let ids: BTreeSet<_> = old.devices().chain(new.devices()).map(|(id, _)| id).collect();
    for id in ids {
        let (before, after) = (old.device(id), new.device(id));
        if like(before) == like(after) {
            continue;
        }
        let changes = known
            .entry((like(before), like(after)))
            .or_insert_with(|| changes(before, after, now, zone));
        let unit = after.or(before).and_then(|plan| plan.units().first()).cloned();
        for change in changes {
            preview.adds |= change.what.adds();
            let (units, devices) = all.entry(change.clone()).or_default();
            *devices += 1;
            let Some(unit) = &unit else { continue };
            units.insert(unit.clone());
            let counts = preview.units.entry(unit.clone()).or_default();
            match change.what {
                What::New => counts.new += 1,
                What::Moved => counts.moved += 1,
                What::Gone => counts.gone += 1,
                What::Longer | What::Louder | What::Content | What::Less => counts.changed += 1,
            }
        }
    }
    let mut listed: Vec<Change> = all
        .into_iter()
        .map(|(change, (units, devices))| Change { units, devices, ..change })
        .collect();
    listed.sort_by_key(|one| (!one.near_quiet, !one.what.adds(), one.at_ms, one.item.clone()));
    preview.changes = listed;
    preview
}

fn changes(
    old: Option<&DevicePlan>,
    new: Option<&DevicePlan>,
    now: UtcMs,
    zone: Tz,
) -> Vec<Change> {
    let mut before: BTreeMap<CueId, Played<'_>> =
        old.into_iter().flat_map(|plan| Played::of(plan, now)).map(|p| (p.cue.id, p)).collect();
    let mut found = Vec::new();
    for played in new.into_iter().flat_map(|plan| Played::of(plan, now)) {
        match before.remove(&played.cue.id) {
            None => found.push(played.change(What::New, None, zone)),
            Some(was) => {
                found.extend(played.since(&was).map(|what| played.change(what, Some(&was), zone)));
            }
        }
    }
    found.extend(before.into_values().map(|was| was.change(What::Gone, None, zone)));
    found
}
