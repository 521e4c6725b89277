//! Many changes compared with one station: what is alike is compiled once.

use super::preview::{compare, compare_whole};
use super::{DAYS, Preview, narrows};
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::domain::timetable::{Compiled, Compiler, Horizon};
use chrono::Days;

/// What is in force, as changes are compared with it.
pub struct Ground {
    station: Station,
    now: UtcMs,
    horizon: Horizon,
    compiler: Compiler,
    before: Compiled,
}

impl Ground {
    /// Returns the ground of the days from `now` on.
    pub fn new(station: Station, now: UtcMs) -> Self {
        let from = now.datetime().with_timezone(&station.zone).date_naive();
        let from = from.checked_sub_days(Days::new(1)).unwrap_or(from);
        let horizon = Horizon { from, days: DAYS + 1 };
        let mut compiler = Compiler::new();
        let before = compiler.compile(&station, horizon);
        Self { station, now, horizon, compiler, before }
    }

    /// Returns the station itself.
    pub fn station(&self) -> &Station {
        &self.station
    }

    /// Puts another station in its place, one that came into force meanwhile.
    pub fn move_to(&mut self, station: Station) {
        self.before = self.compiler.compile(&station, self.horizon);
        self.station = station;
    }

    /// Shows what the new station does otherwise.
    pub fn preview(&mut self, new: &Station) -> Preview {
        let after = self.compiler.compile(new, self.horizon);
        compare(&self.before, &after, self.now)
    }

    /// Says whether the change only silences, and shows what it does.
    pub fn judge(&mut self, new: &Station) -> (bool, Preview) {
        let preview = self.preview(new);
        (narrows(&self.station, new) && preview.only_silences(), preview)
    }

    /// As [`Self::preview`], with every cue.
    fn whole(&mut self, new: &Station) -> Preview {
        let after = self.compiler.compile(new, self.horizon);
        compare_whole(&self.before, &after, self.now)
    }
}

/// Says whether two changes do the same on air from `now` on, each given as the station without
/// and with it: the same change, before and after the ground moved.
pub fn same_effect(was: (Station, &Station), is: (Station, &Station), now: UtcMs) -> bool {
    let before = Ground::new(was.0, now).whole(was.1);
    let mut ground = Ground::new(is.0, now);
    before == ground.whole(is.1)
}
