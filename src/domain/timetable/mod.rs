//! From a station and a horizon to day sheets, timetables and reasons.

pub mod sheet;
