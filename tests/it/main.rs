//! Integration tests: one binary, one file per behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod architecture;
mod asset_delivery;
#[cfg(feature = "server")]
mod backup;
mod broker_access;
mod broker_dynsec;
mod broker_matrix;
#[cfg(feature = "embedded-broker")]
mod broker_traps;
mod check;
#[cfg(feature = "server")]
mod commands;
mod dependencies;
#[cfg(feature = "speaker")]
mod device_loop;
mod dialect;
#[cfg(feature = "server")]
mod draws;
mod e2e;
#[cfg(all(feature = "speaker", feature = "board"))]
mod foreign;
#[cfg(feature = "server")]
mod fortnight;
mod fuzz;
mod golden_days;
mod http;
mod inspect;
#[cfg(feature = "server")]
mod key_commands;
mod link_contract;
#[cfg(feature = "server")]
mod log_judges;
#[cfg(feature = "server")]
mod peers;
#[cfg(feature = "server")]
mod plans;
#[cfg(feature = "raster")]
mod preview;
mod previews;
#[cfg(feature = "server")]
mod records;
mod recurrence;
mod sample_pages;
mod secrets;
mod sound;
mod support;
mod timetable;
#[cfg(feature = "server")]
mod trail;
mod wire_vectors;
