//! The days of a station that could not be sent to any device, as faults for `loa check`.

use crate::app::publish::{HORIZON_DAYS, Overflow, overflow};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Fault, Loaded, Severity};
use crate::domain::recurrence::wall;
use crate::domain::timetable::{Compiler, Horizon};
use std::path::Path;

/// Returns the days, from today on, that no device could be sent.
pub fn faults(folder: &Path, loaded: &Loaded) -> Vec<Fault> {
    let Some(station) = &loaded.station else { return Vec::new() };
    let from = wall::reading(station.zone, SystemClock::new().now()).date();
    let compiled = Compiler::new().compile(station, Horizon { from, days: HORIZON_DAYS });
    let fault = |found: Overflow| {
        let of_playlist = |file: &&String| {
            found.playlist.is_some() && config::playlist_id(file.as_str()) == found.playlist
        };
        let file = loaded.good.files.keys().find(of_playlist);
        Fault {
            file: config::label(folder, file.map_or("station.toml", String::as_str)),
            line: 1,
            column: 1,
            severity: Severity::Error,
            message: found.fault.to_string(),
            hint: Some(found.fault.hint().to_owned()),
            refuses: false,
        }
    };
    overflow(station, &compiled).into_iter().map(fault).collect()
}
