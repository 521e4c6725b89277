//! Many changes compared with one station: what is alike is compiled once.

use super::preview::{compare, compare_whole};
use super::{DAYS, Preview, narrows, reach};
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

/// Says whether a change does the same on air, and concerns the same units, before and after the
/// ground moved: each ground with the station that the change makes of it.
pub fn same_effect(was: (&mut Ground, &Station), is: (&mut Ground, &Station)) -> bool {
    reach(&was.0.station, was.1) == reach(&is.0.station, is.1)
        && was.0.whole(was.1) == is.0.whole(is.1)
}
