//! `policies/*.toml`: quiet hours, days, sessions, minutes, caps, and whom they bind.

use super::fault::At;
use super::problem::Problem;
use super::read::{Reader, Source};
use super::shape::{Kind, Shape, may, must};
use super::text::shown;
use crate::domain::ids::{DeviceId, PolicyId, Tag, UnitId};
use crate::domain::policy::{Policy, QuietHours};
use crate::domain::recurrence::{LocalTime, Weekdays};

pub(super) static POLICY: Shape = Shape {
    of: "the policy",
    keys: &[
        must("title", Kind::Text(200), "what it is, for people"),
        may("id", Kind::Text(40), "the file's name without `.toml`; may be left out"),
        may("source", Kind::Text(200), "the regulation it rests on, with number and date"),
        may("applies", Kind::Table(&APPLIES), "whom it binds; the whole station unless said"),
        may("quiet", Kind::Texts(20), "stretches without sound: `[\"21:30-04:45\"]`"),
        may("days", Kind::Texts(7), "weekdays on which clips may sound: `[\"Mon-Fri\"]`"),
        may(
            "sessions_per_day",
            Kind::Number(0, 100),
            "most sessions a day (clips less than 15 minutes apart)",
        ),
        may("minutes_per_session", Kind::Number(1, 1_440), "most minutes a session"),
        may("volume_cap", Kind::Number(0, 100), "loudest volume"),
    ],
};

static APPLIES: Shape = Shape {
    of: "`applies`",
    keys: &[
        may("units", Kind::Texts(1_000), "units, with all below them"),
        may("tags", Kind::Texts(100), "tags of devices"),
        may("devices", Kind::Texts(5_000), "devices"),
    ],
};

/// A policy with the places of what it names, for the cross-checks.
pub(super) struct PlacedPolicy {
    pub policy: Policy,
    pub units: Vec<At<UnitId>>,
    pub tags: Vec<At<Tag>>,
    pub devices: Vec<At<DeviceId>>,
}

/// Reads a policy.
pub(super) fn read(source: &Source<'_>, id: &PolicyId) -> Option<PlacedPolicy> {
    source.toml(&POLICY, |top| policy(top, id))
}

fn policy(top: &Reader<'_>, id: &PolicyId) -> PlacedPolicy {
    super::check_id(top, id.as_str());
    let applies = top.table("applies");
    let units = applies.as_ref().map(|t| t.ids::<UnitId>("units")).unwrap_or_default();
    let tags = applies.as_ref().map(|t| t.ids::<Tag>("tags")).unwrap_or_default();
    let devices = applies.as_ref().map(|t| t.ids::<DeviceId>("devices")).unwrap_or_default();
    if let Some(applies) = &applies
        && units.is_empty()
        && tags.is_empty()
        && devices.is_empty()
    {
        // An empty table would bind everybody: more than its author can have meant.
        applies.fault(applies.place, &Problem::Empty { key: "applies".to_owned() });
    }
    let quiet = top.texts("quiet").unwrap_or_default();
    let policy = Policy {
        id: id.clone(),
        title: top.text("title").map(|t| t.value).unwrap_or_default(),
        source: top.text("source").map(|t| t.value),
        units: units.iter().map(|u| u.value.clone()).collect(),
        tags: tags.iter().map(|t| t.value.clone()).collect(),
        devices: devices.iter().map(|d| d.value.clone()).collect(),
        quiet: quiet.iter().filter_map(|text| quiet_hours(top, text)).collect(),
        days: weekdays(top, "days"),
        sessions_per_day: top.small("sessions_per_day").map(|n| n.value),
        minutes_per_session: top.small("minutes_per_session").map(|n| n.value),
        volume_cap: top.small("volume_cap").and_then(|n| u8::try_from(n.value).ok()),
    };
    PlacedPolicy { policy, units, tags, devices }
}

/// Reads weekdays entry by entry, so that a wrong one has its own place.
pub(super) fn weekdays(table: &Reader<'_>, key: &str) -> Option<Weekdays> {
    let texts = table.texts(key)?;
    let mut days = 0;
    for text in &texts {
        match Weekdays::parse(&[text.value.as_str()]) {
            Ok(set) => days |= set.0,
            Err(error) => table.fault(text.place, &Problem::Schedule(error)),
        }
    }
    if texts.is_empty() {
        table.fault(table.place_of(key), &Problem::Empty { key: key.to_owned() });
    }
    (days != 0).then_some(Weekdays(days))
}

/// Reads `21:30-04:45`; `24:00` is the midnight at the end of the day.
fn quiet_hours(top: &Reader<'_>, text: &At<String>) -> Option<QuietHours> {
    let time = |part: &str| match part.trim() {
        "24:00" => Some(LocalTime(0)),
        part => part.parse::<LocalTime>().ok(),
    };
    let parsed = text.value.split_once('-').and_then(|(from, to)| time(from).zip(time(to)));
    let problem = match parsed {
        None => Problem::Quiet { text: shown(&text.value) },
        Some((from, to)) if from == to => Problem::EmptyQuiet { at: shown(&text.value) },
        Some((from, to)) => return Some(QuietHours { from, to }),
    };
    top.fault(text.place, &problem);
    None
}
