//! The rows that reports by roll-ups are made from, handed around as one.

use super::airing::Tally;
use super::contents::{Content, Contents};
use super::period::Period;
use super::places::{DeviceNo, Places, Scope, UnitNo};
use super::question::{Question, ReportError};
use super::rollup::{Broadcast, Rollups};
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet};

/// Registers and roll-ups of the period asked for.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    pub places: &'a Places,
    pub contents: &'a Contents,
    pub rollups: &'a Rollups,
    /// Names of topics by code.
    pub topics: &'a BTreeMap<String, String>,
}

/// Evidence cut to a question.
pub(super) struct Cut<'a> {
    pub all: Evidence<'a>,
    pub unit: UnitNo,
    pub scope: Scope,
    pub period: Period,
}

/// A broadcast with the content it is of.
pub(super) struct Aired<'a> {
    pub day: NaiveDate,
    pub unit: UnitNo,
    pub broadcast: &'a Broadcast,
    pub content: &'a Content,
}

impl Aired<'_> {
    /// Returns how long it is on one device.
    pub fn length_ms(&self) -> i64 {
        let devices = i64::try_from(self.broadcast.tally.expected).unwrap_or(i64::MAX);
        self.broadcast.tally.due_ms.checked_div(devices).unwrap_or(0)
    }

    /// Returns how long it sounded, the mean of the devices on which it did.
    pub fn sounded_ms(&self) -> i64 {
        let tally = &self.broadcast.tally;
        let devices = i64::try_from(tally.whole() + tally.partial).unwrap_or(i64::MAX);
        tally.played_ms.checked_div(devices).unwrap_or(0)
    }

    /// Says whether at least one device confirms it.
    pub fn is_confirmed(&self) -> bool {
        self.broadcast.tally.confirmed() > 0
    }
}

impl<'a> Evidence<'a> {
    /// Cuts the evidence to a question.
    pub(super) fn cut(self, question: &Question) -> Result<Cut<'a>, ReportError> {
        let (unit, scope) = question.scope(self.places)?;
        // Roll-ups know communes: of a hamlet they would say nothing, as if nothing had been aired.
        if question.scope.commune_of_hamlet().is_some() {
            return Err(ReportError::Hamlet { unit: question.scope.clone() });
        }
        Ok(Cut { all: self, unit, scope, period: question.period })
    }
}

impl Cut<'_> {
    /// Returns every broadcast of the question, by day, unit and time.
    pub fn aired(&self) -> impl Iterator<Item = Aired<'_>> {
        let all = self.all.rollups.broadcasts(self.period, &self.scope);
        all.filter_map(|(day, unit, broadcast)| {
            let content = self.all.contents.get(broadcast.content)?;
            Some(Aired { day, unit, broadcast, content })
        })
    }

    /// Returns everything added up.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.aired().for_each(|aired| tally.merge(&aired.broadcast.tally));
        tally
    }

    /// Returns the devices of the scope in the period.
    pub fn devices(&self) -> Vec<DeviceNo> {
        self.all.places.devices_in(&self.scope, self.period.first(), self.period.last())
    }

    /// Returns how many devices each commune of the scope had on at least one of the days.
    pub fn devices_by_commune(&self) -> BTreeMap<UnitNo, u64> {
        let places = self.all.places;
        let mut found = BTreeMap::new();
        for no in self.devices() {
            let moves = places.device(no).into_iter().flat_map(|device| &device.stood);
            let moves = moves.map(|(day, _)| *day).filter(|day| self.period.contains(*day));
            let communes: BTreeSet<UnitNo> = moves
                .chain([self.period.first()])
                .filter_map(|day| places.commune(no, day))
                .filter(|commune| self.scope.holds(*commune))
                .collect();
            for commune in communes {
                *found.entry(commune).or_default() += 1;
            }
        }
        found
    }

    /// Returns the communes of the scope in the period.
    pub fn communes(&self) -> Vec<UnitNo> {
        self.all.places.communes(&self.scope, self.period.first(), self.period.last())
    }

    /// Returns the devices with at least one confirmed play.
    pub fn confirmed_devices(&self) -> BTreeSet<DeviceNo> {
        let reach = self.all.rollups.reach().within(self.period, &self.scope);
        reach.filter(|(_, days)| days.confirmed != 0).map(|(key, _)| key.device).collect()
    }

    /// Names a unit.
    pub fn name(&self, unit: UnitNo) -> String {
        self.all.places.name(unit)
    }
}
