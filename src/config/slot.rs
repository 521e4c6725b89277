//! A slot of a playlist: when, how long, in which order, how loud.

use super::fault::{At, Place};
use super::hours::ANY_TIME;
use super::policy::weekdays;
use super::problem::Problem;
use super::read::Reader;
use super::shape::{Kind, Shape, may, must};
use crate::domain::ids::{CalendarId, ItemId, SlotId};
use crate::domain::playlist::{Order, Overrun, Slot};
use crate::domain::recurrence::{DateSet, LocalTime, Recurrence, Weekdays};
use crate::domain::timetable::MOST_PER_DAY;
use std::collections::BTreeMap;
use std::str::FromStr as _;

pub(super) static SLOT: Shape = Shape {
    of: "a slot",
    keys: &[
        must("id", Kind::Text(60), "its id, unique in the playlist, for skips and evidence"),
        may("at", Kind::Texts(200), "times of day: `[\"05:00\", \"17:00\"]`"),
        may("days", Kind::Texts(7), "weekdays, with `at`: `[\"Mon-Sat\"]`; every day unless said"),
        may(
            "cron",
            Kind::Text(120),
            "five fields (or six, seconds first), instead of `at`: `0 5 * * 1-6`",
        ),
        may(
            "except",
            Kind::Texts(500),
            "dates without it: `2026-02-17`, `2026-02-14/2026-02-22`, `calendar:tet`",
        ),
        may("only", Kind::Texts(500), "the only dates with it, written as in `except`"),
        must("longest", Kind::Duration, "longest duration of an occurrence, up to 24h: `15m`"),
        may(
            "order",
            Kind::ChoiceOrTable(&["sequence", "rotate"], &ORDER),
            "order of the items: `sequence` (unless said), `rotate`, or `{ shuffle = { seed = 7 } }`",
        ),
        may("volume", Kind::Number(0, 100), "0 (mute) to 100, in half decibels; 100 unless said"),
        may("fade", Kind::Duration, "fade out where something is cut, up to 30s; none unless said"),
        may(
            "overrun",
            Kind::ChoiceOrTable(&["cut", "fade"], &OVERRUN),
            "when content is longer than the slot: `cut` (unless said), `fade`, or `{ finish = \"2m\" }`",
        ),
        must("items", Kind::Texts(2_000), "ids of items, in order; repetitions allowed"),
    ],
};

static ORDER: Shape = Shape {
    of: "`order`",
    keys: &[must("shuffle", Kind::Table(&SHUFFLE), "`{ shuffle = { seed = 7 } }`")],
};

static SHUFFLE: Shape = Shape {
    of: "`shuffle`",
    keys: &[must(
        "seed",
        Kind::Number(0, i64::MAX),
        "any number: the same seed gives the same order",
    )],
};

static OVERRUN: Shape = Shape {
    of: "`overrun`",
    keys: &[must("finish", Kind::Duration, "how far beyond the slot an item may finish, up to 2h")],
};

/// Fade out where `overrun = "fade"` is said and no `fade`.
const FADE_MS: i64 = 2_000;

/// A slot as far as it could be read.
pub(super) struct ReadSlot {
    pub id: Option<At<SlotId>>,
    pub items: Vec<At<ItemId>>,
    pub calendars: Vec<At<CalendarId>>,
    /// Where each time of day stands; of a cron expression, one place for all.
    pub times: BTreeMap<LocalTime, Place>,
    when: Option<Recurrence>,
    except: Vec<DateSet>,
    only: Vec<DateSet>,
    longest_ms: Option<i64>,
    order: Order,
    volume: u8,
    fade_ms: i64,
    overrun: Overrun,
}

impl ReadSlot {
    /// Returns the slot, if all that it needs could be read.
    pub fn into_slot(self) -> Option<Slot> {
        Some(Slot {
            id: self.id?.value,
            when: self.when?,
            except: self.except,
            only: self.only,
            skips: Vec::new(),
            longest_ms: self.longest_ms?,
            order: self.order,
            volume: self.volume,
            fade_ms: self.fade_ms,
            overrun: self.overrun,
            items: self.items.into_iter().map(|item| item.value).collect(),
        })
    }
}

/// Reads a slot; notes every fault of it.
pub(super) fn read(table: &Reader<'_>) -> ReadSlot {
    let mut calendars = Vec::new();
    let except = dates(table, "except", &mut calendars);
    let only = dates(table, "only", &mut calendars);
    if table.has("only") && only.is_empty() {
        // An empty list means no restriction in the station: not what anybody would mean here.
        table.fault(table.place_of("only"), &Problem::Empty { key: "only".to_owned() });
    }
    let items = items(table);
    let mut times = BTreeMap::new();
    let when = when(table, &mut times);
    let when = when.filter(|when| bounded(table, when));
    let overrun = overrun(table);
    let fade = table.duration("fade", (0, "0s"), (30_000, "30s")).map(|f| f.value);
    ReadSlot {
        id: table.id("id"),
        when,
        except,
        only,
        calendars,
        times,
        longest_ms: table
            .duration("longest", (1_000, "1s"), (24 * 3_600_000, "24h"))
            .map(|l| l.value),
        order: order(table),
        volume: table.small("volume").and_then(|v| u8::try_from(v.value).ok()).unwrap_or(100),
        fade_ms: fade.unwrap_or(if overrun == Overrun::Fade { FADE_MS } else { 0 }),
        overrun,
        items,
    }
}

/// Items in order; repetitions stay.
fn items(table: &Reader<'_>) -> Vec<At<ItemId>> {
    let Some(texts) = table.texts("items") else { return Vec::new() };
    if texts.is_empty() {
        table.fault(table.place_of("items"), &Problem::Empty { key: "items".to_owned() });
    }
    let mut items = Vec::new();
    for text in texts {
        match ItemId::from_str(&text.value) {
            Ok(value) => items.push(At { value, place: text.place }),
            Err(error) => table.fault(text.place, &Problem::Id(error)),
        }
    }
    items
}

fn when(table: &Reader<'_>, places: &mut BTreeMap<LocalTime, Place>) -> Option<Recurrence> {
    if table.has("cron") {
        places.insert(ANY_TIME, table.place_of("cron"));
    }
    let cron = table.text("cron").and_then(|text| match Recurrence::cron(&text.value) {
        Ok(when) => Some(when),
        Err(error) => {
            table.fault(text.place, &Problem::Schedule(error));
            None
        }
    });
    let days = weekdays(table, "days");
    let at = at(table, days, places);
    match (table.has("at"), table.has("cron")) {
        (true, true) => {
            table.fault(table.place_of("cron"), &Problem::Both { one: "at", other: "cron" });
            None
        }
        (false, false) => {
            table.fault(table.place, &Problem::Neither { one: "at", other: "cron" });
            None
        }
        (true, false) if table.has("days") && days.is_none() => None,
        (true, false) => at,
        (false, true) => {
            if table.has("days") {
                let hint = "cron names weekdays in its last field: `0 5 * * 1-6`";
                let problem = Problem::Useless { key: "days", without: "with `cron`", hint };
                table.fault(table.place_of("days"), &problem);
            }
            cron
        }
    }
}

/// Refuses a slot that would fill every day sheet and the memory with it.
fn bounded(table: &Reader<'_>, when: &Recurrence) -> bool {
    let (per_day, most) = (when.per_day(), MOST_PER_DAY);
    if per_day > most {
        let slot = table.text("id").map(|id| id.value).unwrap_or_default();
        let place = table.place_of(if table.has("cron") { "cron" } else { "at" });
        table.fault(place, &Problem::TooOften { slot, per_day, most });
    }
    per_day <= most
}

/// Reads times one by one, so that a wrong one has its own place.
fn at(
    table: &Reader<'_>,
    days: Option<Weekdays>,
    places: &mut BTreeMap<LocalTime, Place>,
) -> Option<Recurrence> {
    let texts = table.texts("at")?;
    let mut times: Vec<&str> = Vec::new();
    for text in &texts {
        match LocalTime::from_str(&text.value) {
            Ok(time) => {
                places.entry(time).or_insert(text.place);
                times.push(&text.value);
            }
            Err(error) => table.fault(text.place, &Problem::Schedule(error)),
        }
    }
    if times.is_empty() && !texts.is_empty() {
        return None;
    }
    match Recurrence::at(&times, &[]) {
        Ok(Recurrence::At { times, .. }) => {
            Some(Recurrence::At { times, days: days.unwrap_or(Weekdays::ALL) })
        }
        Ok(other) => Some(other),
        Err(error) => {
            table.fault(table.place_of("at"), &Problem::Schedule(error));
            None
        }
    }
}

fn dates(table: &Reader<'_>, key: &str, calendars: &mut Vec<At<CalendarId>>) -> Vec<DateSet> {
    let mut dates = Vec::new();
    for text in table.texts(key).unwrap_or_default() {
        match DateSet::from_str(&text.value) {
            Ok(set) => {
                if let DateSet::Calendar(id) = &set {
                    calendars.push(At { value: id.clone(), place: text.place });
                }
                dates.push(set);
            }
            Err(error) => table.fault(text.place, &Problem::Schedule(error)),
        }
    }
    dates
}

fn order(table: &Reader<'_>) -> Order {
    if !table.has("order") {
        return Order::Sequence;
    }
    if !table.is_table("order") {
        let words = [("sequence", Order::Sequence), ("rotate", Order::Rotate)];
        return table.choice("order", &words).map_or(Order::Sequence, |o| o.value);
    }
    let seed = table.table("order").and_then(|t| t.table("shuffle")).and_then(|t| t.number("seed"));
    seed.and_then(|seed| u64::try_from(seed.value).ok())
        .map_or(Order::Sequence, |seed| Order::Shuffle { seed })
}

fn overrun(table: &Reader<'_>) -> Overrun {
    if !table.has("overrun") {
        return Overrun::Cut;
    }
    if !table.is_table("overrun") {
        let words = [("cut", Overrun::Cut), ("fade", Overrun::Fade)];
        return table.choice("overrun", &words).map_or(Overrun::Cut, |o| o.value);
    }
    let bound = table
        .table("overrun")
        .and_then(|t| t.duration("finish", (1_000, "1s"), (2 * 3_600_000, "2h")));
    bound.map_or(Overrun::Cut, |bound| Overrun::Finish { bound_ms: bound.value })
}
