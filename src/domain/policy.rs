//! Quiet hours, days, quotas and caps, and who is bound by them.
//!
//! Several policies may bind a device (province, commune, device); the stricter wins in every
//! respect. Governs clips only: a board's hours are those of its slots.

use super::ids::{DeviceId, PolicyId, Tag, UnitId};
use super::recurrence::{LocalTime, Weekdays};

/// A rule about when and how much may sound (quy định phát).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its id: the file's name.
    pub id: PolicyId,
    /// Title for people.
    pub title: String,
    /// The regulation it rests on, with number and date.
    pub source: Option<String>,
    /// Binds devices in these units (and below) …
    pub units: Vec<UnitId>,
    /// … with one of these tags …
    pub tags: Vec<Tag>,
    /// … and these devices. All three empty: binds every device of the station.
    pub devices: Vec<DeviceId>,
    /// Stretches of the local day without sound; may cross midnight.
    pub quiet: Vec<QuietHours>,
    /// Weekdays on which clips may sound; all when `None`.
    pub days: Option<Weekdays>,
    /// Most sessions a local day. A session is sounding cues less than 15 minutes apart.
    pub sessions_per_day: Option<u32>,
    /// Most minutes a session, from first start to last end.
    pub minutes_per_session: Option<u32>,
    /// Loudest volume, 0-100.
    pub volume_cap: Option<u8>,
}

/// A stretch of the local day, `from` inclusive, `to` exclusive; `to` ≤ `from` crosses midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    pub from: LocalTime,
    pub to: LocalTime,
}
