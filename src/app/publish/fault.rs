//! What is over a limit of the contract.

use crate::domain::ids::DeviceId;
use chrono::NaiveDate;

/// A part of the schedule that cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PublishFault {
    #[error(
        "the sheet of `{day}` has {bytes} bytes, more than {limit} ({} devices, first `{}`)",
        devices.len(),
        first(devices)
    )]
    SheetTooLarge { day: NaiveDate, devices: Vec<DeviceId>, bytes: usize, limit: usize },
    #[error(
        "the sheet of `{day}` cannot be published: {why} ({} devices, first `{}`)",
        devices.len(),
        first(devices)
    )]
    SheetRefused { day: NaiveDate, devices: Vec<DeviceId>, why: String },
    #[error("the timetable of `{device}` has {bytes} bytes, more than {limit}")]
    TimetableTooLarge { device: DeviceId, bytes: usize, limit: usize },
    #[error("the timetable of `{device}` cannot be published: {why}")]
    TimetableRefused { device: DeviceId, why: String },
}

fn first(devices: &[DeviceId]) -> &str {
    devices.first().map_or("none", DeviceId::as_str)
}

impl PublishFault {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::SheetTooLarge { .. } | Self::SheetRefused { .. } => {
                "fewer items or occurrences on that day, or shorter texts; until then the last \
                 good sheet of that day stays in force"
            }
            Self::TimetableTooLarge { .. } => {
                "a shorter station name; until then the last good timetable stays in force"
            }
            Self::TimetableRefused { .. } => {
                "correct what the register says of the device; until then the last good timetable \
                 stays in force"
            }
        }
    }
}
