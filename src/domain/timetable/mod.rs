//! From a station and a horizon to day sheets, timetables and reasons.
//!
//! [`compile`] is the way in. What follows holds for one device and one output:
//!
//! 1. **Asked.** Each slot occurs by its recurrence; an occurrence ends at the latest when the
//!    next of its own slot begins, and never later than the end of the following local day.
//! 2. **Placed.** Slots are taken by rank: priority before routine; among equals the lower
//!    `order`, then the earlier `accepted`, then the playlist's id, then the slot's place in its
//!    file. Clips go back to back from the nominal start. A clip that runs into a higher one is
//!    shortened; one that would begin during a higher one is moved behind it while its slot
//!    lasts. What was cut off is not made up for: no stretch sounds twice. The rotation of a
//!    board goes on after a higher one, as further appearances of its items.
//! 3. **Settled.** Placing looks at one nominal date alone; where occurrences of neighbouring
//!    dates meet past midnight the lower rank gives way. So a day depends on its neighbours only,
//!    and any two horizons agree on the days they share.
//! 4. **Allowed.** Quiet hours, forbidden days, minutes a session and sessions a day shorten or
//!    remove clips. This comes last and frees no room for others: a further rule can only make it
//!    quieter, never let something else sound.
//!
//! # Invariants
//! * Cues of one output never overlap except in a rotation, and are sorted by start.
//! * No clip lies in quiet hours, whatever its priority.
//! * Each occurrence asked for has its cues or stands in `left_out` with a reason; none is lost.
//!   Items of a kind that the device has no output for are not asked of it.
//! * Same input, same bytes; equal sheets are one [`std::sync::Arc`].

pub mod acceptance;
mod asked;
mod audience;
pub mod compile;
mod conflict;
mod day;
pub mod diff;
mod limits;
mod place;
mod plan;
mod reason;
pub mod sheet;
pub mod shuffle;

pub use asked::MOST_PER_DAY;
pub use compile::{Compiled, Compiler};
pub use plan::{DayPlan, DayRef, DevicePlan, Horizon, Kind, LeftOut, PlannedCue};
pub use reason::{Cause, Effect, Reason};

#[cfg(test)]
pub(crate) mod tests;
