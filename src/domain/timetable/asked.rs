//! What a playlist asks for on each date, before anybody else is looked at.
//!
//! Computed once for a playlist, however many devices follow it.

use super::reason::Cause;
use crate::domain::ids::ItemId;
use crate::domain::playlist::{Content, Playlist, Slot};
use crate::domain::recurrence::wall::{self, shift};
use crate::domain::recurrence::{Calendar, DateSet};
use crate::domain::station::{AssetFacts, Clip, Library, Station};
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A slot that recurs more often than this a day is refused, and left out whole where it was not:
/// it could fill no day sheet, and must not fill the memory either.
pub const MOST_PER_DAY: u32 = 1440;

/// One nominal start of a slot.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    /// Index of the slot in the playlist.
    pub slot: usize,
    /// When it should start.
    pub nominal: UtcMs,
    /// Its number, for rotations.
    pub number: i64,
    /// It must be over by then: the slot's next occurrence begins, or the next day ends.
    pub limit: UtcMs,
    /// The clocks do not show its time on this date.
    pub clock_change: bool,
    /// Why it does not take place, if so.
    pub dropped: Option<Cause>,
}

/// What an item consists of, looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matter {
    Clip {
        main: Result<Arc<AssetFacts>, String>,
        fallback: Option<Result<Arc<AssetFacts>, String>>,
    },
    Pages,
}

/// A playlist with all that its days depend on.
#[derive(Debug)]
pub(super) struct Asked {
    /// Differs whenever the content does.
    pub version: u64,
    pub playlist: Arc<Playlist>,
    /// For each item of the playlist.
    pub matters: Vec<Matter>,
    /// For each slot: indices of its items.
    pub slot_items: Vec<Vec<usize>>,
    /// The calendars its slots name.
    calendars: Vec<Calendar>,
    days: BTreeMap<NaiveDate, Vec<Occurrence>>,
}

impl Asked {
    pub fn new(version: u64, playlist: &Playlist, station: &Station) -> Self {
        let index = |id: &ItemId| playlist.items.iter().position(|item| item.id == *id);
        Self {
            version,
            playlist: Arc::new(playlist.clone()),
            matters: matters(playlist, &station.library),
            slot_items: playlist
                .slots
                .iter()
                .map(|slot| slot.items.iter().filter_map(index).collect())
                .collect(),
            calendars: calendars(playlist, station).cloned().collect(),
            days: BTreeMap::new(),
        }
    }

    /// Says whether the station still means the same by this playlist.
    pub fn is(&self, playlist: &Playlist, station: &Station) -> bool {
        *self.playlist == *playlist
            && self.calendars.iter().eq(calendars(playlist, station))
            && self.matters == matters(playlist, &station.library)
    }

    /// Works out the dates from `from` to `to` and forgets all others.
    pub fn prepare(&mut self, from: NaiveDate, to: NaiveDate, zone: Tz) {
        self.days.retain(|date, _| (from..=to).contains(date));
        let missing = from.iter_days().take_while(|date| *date <= to);
        for date in missing.filter(|date| !self.days.contains_key(date)).collect::<Vec<_>>() {
            let occurrences = (0..self.playlist.slots.len())
                .flat_map(|slot| self.occurrences(slot, date, zone))
                .collect();
            self.days.insert(date, occurrences);
        }
    }

    /// Returns the occurrences of a prepared date: by slot, then by time.
    pub fn on(&self, date: NaiveDate) -> &[Occurrence] {
        self.days.get(&date).map_or(&[], Vec::as_slice)
    }

    fn occurrences(&self, index: usize, date: NaiveDate, zone: Tz) -> Vec<Occurrence> {
        let slot = &self.playlist.slots[index];
        let latest = wall::day(zone, shift(date, 1)).1;
        let mut found = self.nominal(index, slot, date, zone, latest);
        // Where clocks jump over midnight, the day before may have reached this instant already.
        let before = self.nominal(index, slot, shift(date, -1), zone, latest);
        if let Some(last) = before.iter().rfind(|o| o.dropped.is_none()) {
            found.retain(|occurrence| occurrence.nominal > last.nominal);
        }
        let Some(last) = found.last() else { return found };
        let mut next = self
            .nominal(index, slot, shift(date, 1), zone, latest)
            .iter()
            .find(|o| o.dropped.is_none() && o.nominal > last.nominal)
            .map_or(latest, |o| o.nominal);
        for occurrence in found.iter_mut().rev() {
            occurrence.limit = next.min(latest);
            if occurrence.dropped.is_none() {
                next = occurrence.nominal;
            }
        }
        found
    }

    /// The occurrences of one date without regard to its neighbours.
    fn nominal(
        &self,
        index: usize,
        slot: &Slot,
        date: NaiveDate,
        zone: Tz,
        limit: UtcMs,
    ) -> Vec<Occurrence> {
        let playlist = &self.playlist;
        let early = playlist.valid_from.is_some_and(|from| date < from);
        let late = playlist.valid_until.is_some_and(|until| until < date);
        let is_in = |set: &DateSet| set.contains(date, &self.calendars);
        let elsewhere = !slot.only.is_empty() && !slot.only.iter().any(is_in);
        if early || late || elsewhere || !slot.when.falls_on(date) {
            return Vec::new();
        }
        let mut dropped = self.dropped(slot, date);
        let per_day = slot.when.per_day();
        let mut times = slot.when.times_of_day();
        if per_day > MOST_PER_DAY {
            dropped = dropped.or(Some(Cause::TooOften { per_day, most: MOST_PER_DAY }));
            times.truncate(1);
        }
        let first = slot.when.number_of_first(date);
        let mut found: Vec<Occurrence> = Vec::with_capacity(times.len());
        for (time, number) in times.iter().zip(first..) {
            let reading = time.on(date);
            let nominal = wall::first(zone, reading);
            if found.last().is_some_and(|last| last.nominal >= nominal) {
                continue;
            }
            let clock_change = wall::reading(zone, nominal) != reading;
            let dropped = dropped.clone();
            found.push(Occurrence { slot: index, nominal, number, limit, clock_change, dropped });
        }
        found
    }

    fn dropped(&self, slot: &Slot, date: NaiveDate) -> Option<Cause> {
        if let Some(skip) = slot.skips.iter().find(|skip| skip.date == date) {
            return Some(Cause::Skipped { reason: skip.reason.clone() });
        }
        let set = slot.except.iter().find(|set| set.contains(date, &self.calendars))?;
        let name = match set {
            DateSet::Calendar(id) => self
                .calendars
                .iter()
                .filter(|calendar| calendar.id == *id)
                .find_map(|calendar| calendar.name_of(date))
                .map(str::to_owned),
            _ => None,
        };
        Some(Cause::Except { dates: set.to_string(), name })
    }
}

fn matters(playlist: &Playlist, library: &Library) -> Vec<Matter> {
    let look_up = |path| match library.clips.get(path) {
        Some(Clip::Known(facts)) if facts.ms > 0 => Ok(Arc::new(facts.clone())),
        Some(Clip::Known(_)) => Err("it has no length".to_owned()),
        Some(Clip::Missing { why }) => Err(why.clone()),
        None => Err("it is not in the library".to_owned()),
    };
    playlist
        .items
        .iter()
        .map(|item| match &item.content {
            Content::Clip { clip, fallback } => {
                Matter::Clip { main: look_up(clip), fallback: fallback.as_ref().map(look_up) }
            }
            Content::Pages(_) => Matter::Pages,
        })
        .collect()
}

fn calendars<'a>(
    playlist: &'a Playlist,
    station: &'a Station,
) -> impl Iterator<Item = &'a Calendar> {
    station.calendars.iter().filter(|calendar| {
        let sets = playlist.slots.iter().flat_map(|slot| slot.except.iter().chain(&slot.only));
        sets.into_iter().any(|set| matches!(set, DateSet::Calendar(id) if *id == calendar.id))
    })
}
