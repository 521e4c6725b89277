//! Quiet hours, days, quotas and caps, and who is bound by them.
//!
//! Several policies may bind a device (province, commune, device); the stricter wins in every
//! respect. Governs clips only: a board's hours are those of its slots. Leaves to
//! `timetable::limits` what becomes of a clip that is not allowed.
//!
//! # Invariants
//! * Adding a policy to [`Rules`] never allows more sound.
//! * A time of day in quiet hours is quiet however often the clocks show it: of a repeated hour
//!   both passes are.
//! * Policies bind by unit whatever the validity dates of the unit: a register's date must not
//!   make a night loud.

use super::ids::{DeviceId, PolicyId, Tag, UnitId};
use super::recurrence::wall::{self, shift};
use super::recurrence::{LocalTime, Weekdays};
use super::time::{Span, UtcMs};
use chrono::{Datelike as _, NaiveDate};
use chrono_tz::Tz;
use std::fmt;

/// Sounding cues less than this apart are one session.
pub const SESSION_GAP_MS: i64 = 15 * 60_000;

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

impl Policy {
    /// Says whether it binds every device of the station.
    pub fn binds_all(&self) -> bool {
        self.units.is_empty() && self.tags.is_empty() && self.devices.is_empty()
    }
}

/// A stretch of the local day, `from` inclusive, `to` exclusive; `to` ≤ `from` crosses midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuietHours {
    pub from: LocalTime,
    pub to: LocalTime,
}

impl QuietHours {
    /// Says whether the time of day lies inside.
    pub fn contains(self, time: LocalTime) -> bool {
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

/// Why a stretch of a day is silent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ban {
    /// Quiet hours of a policy.
    Quiet(QuietHours, PolicyId),
    /// The weekday is none of a policy's.
    Day(PolicyId),
}

/// What all policies that bind a device amount to. The volume cap stands apart
/// ([`volume_cap`]): it changes no sheet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Sorted, no doubles.
    quiet: Vec<(QuietHours, PolicyId)>,
    /// Sorted; a day must be one of all of them.
    days: Vec<(Weekdays, PolicyId)>,
    sessions_per_day: Option<(u32, PolicyId)>,
    minutes_per_session: Option<(u32, PolicyId)>,
}

/// Returns the lowest cap of the policies, with its policy.
pub fn volume_cap<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Option<(u8, PolicyId)> {
    policies
        .into_iter()
        .filter_map(|policy| policy.volume_cap.map(|cap| (cap, policy.id.clone())))
        .min()
}

impl Rules {
    /// Joins policies; their order does not matter.
    pub fn of<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut rules = Self::default();
        for policy in policies {
            let id = &policy.id;
            rules.quiet.extend(policy.quiet.iter().map(|hours| (*hours, id.clone())));
            rules.days.extend(policy.days.map(|days| (days, id.clone())));
            let strict = |old: Option<(u32, PolicyId)>, new: Option<u32>| {
                old.into_iter().chain(new.map(|new| (new, id.clone()))).min()
            };
            rules.sessions_per_day = strict(rules.sessions_per_day.take(), policy.sessions_per_day);
            rules.minutes_per_session =
                strict(rules.minutes_per_session.take(), policy.minutes_per_session);
        }
        rules.quiet.sort();
        rules.quiet.dedup();
        rules.days.sort();
        rules.days.dedup();
        rules
    }

    /// Returns the most sessions a local day, with the policy that says so.
    pub fn sessions_per_day(&self) -> Option<&(u32, PolicyId)> {
        self.sessions_per_day.as_ref()
    }

    /// Returns the most minutes a session, with the policy that says so.
    pub fn minutes_per_session(&self) -> Option<&(u32, PolicyId)> {
        self.minutes_per_session.as_ref()
    }

    /// Returns the quiet hours in which a time of day lies, with their policy: for acceptance,
    /// which refuses a slot at 03:15 before any date is looked at.
    pub fn quiet_at(&self, time: LocalTime) -> Option<&(QuietHours, PolicyId)> {
        self.quiet.iter().find(|(hours, _)| hours.contains(time))
    }

    /// Returns the weekdays of each policy that names some.
    pub fn days(&self) -> impl Iterator<Item = &(Weekdays, PolicyId)> {
        self.days.iter()
    }

    /// Returns the policy that allows no sound on the date, if any.
    pub fn forbids(&self, date: NaiveDate) -> Option<&PolicyId> {
        let mut days = self.days.iter();
        days.find(|(days, _)| !days.contains(date.weekday())).map(|(_, id)| id)
    }

    /// Returns the silent stretches of a local day, sorted by start, perhaps overlapping.
    pub fn silence(&self, zone: Tz, date: NaiveDate) -> Vec<(Span, Ban)> {
        let (from, to) = wall::day(zone, date);
        let Ok(day) = Span::new(from, to) else { return Vec::new() };
        let mut found = Vec::new();
        if let Some(policy) = self.forbids(date) {
            found.push((day, Ban::Day(policy.clone())));
        }
        for (hours, policy) in &self.quiet {
            // Hours of the day before and after matter where clocks change around midnight.
            for begins in [shift(date, -1), date, shift(date, 1)] {
                let ends = if hours.from < hours.to { begins } else { shift(begins, 1) };
                let begin = wall::first(zone, hours.from.on(begins));
                let end = wall::last(zone, hours.to.on(ends));
                let inside = Span::new(begin, end).ok().and_then(|span| span.intersection(day));
                found.extend(inside.map(|span| (span, Ban::Quiet(*hours, policy.clone()))));
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Returns the stretches of a local day in which clips may sound: sorted, apart.
    pub fn sound(&self, zone: Tz, date: NaiveDate) -> Vec<Span> {
        let (from, to) = wall::day(zone, date);
        let mut open: UtcMs = from;
        let mut found = Vec::new();
        for (silent, _) in self.silence(zone, date) {
            found.extend(Span::new(open, silent.from()).ok());
            open = open.max(silent.to());
        }
        found.extend(Span::new(open, to).ok());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Timelike as _;
    use chrono_tz::TZ_VARIANTS;

    fn policy(id: &str) -> Policy {
        Policy {
            id: PolicyId::new(id).unwrap(),
            title: id.into(),
            source: None,
            units: vec![],
            tags: vec![],
            devices: vec![],
            quiet: vec![],
            days: None,
            sessions_per_day: None,
            minutes_per_session: None,
            volume_cap: None,
        }
    }

    fn hours(from: &str, to: &str) -> QuietHours {
        QuietHours { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn spans(rules: &Rules, zone: Tz, day: &str) -> Vec<String> {
        rules
            .sound(zone, date(day))
            .into_iter()
            .map(|s| {
                format!(
                    "{} {}",
                    wall::display(zone, s.from()).to_rfc3339(),
                    wall::display(zone, s.to()).to_rfc3339()
                )
            })
            .collect()
    }

    #[test]
    fn quiet_hours_across_midnight_leave_one_stretch_a_day() {
        let rules = Rules::of([&Policy { quiet: vec![hours("21:30", "04:45")], ..policy("xa") }]);
        insta::assert_snapshot!(spans(&rules, chrono_tz::Asia::Ho_Chi_Minh, "2026-12-01").join("\n"),
            @"2026-12-01T04:45:00+07:00 2026-12-01T21:30:00+07:00");
    }

    #[test]
    fn of_several_policies_the_stricter_wins_in_every_respect() {
        let province = Policy {
            quiet: vec![hours("22:00", "05:00")],
            sessions_per_day: Some(4),
            minutes_per_session: Some(30),
            volume_cap: Some(80),
            ..policy("tinh")
        };
        let commune = Policy {
            quiet: vec![hours("12:00", "13:30"), hours("21:00", "04:30")],
            days: Some(Weekdays::parse(&["Mon-Sat"]).unwrap()),
            sessions_per_day: Some(2),
            minutes_per_session: Some(45),
            volume_cap: Some(90),
            ..policy("xa")
        };
        let rules = Rules::of([&province, &commune]);
        assert_eq!(rules, Rules::of([&commune, &province]));
        assert_eq!(rules.sessions_per_day().unwrap().0, 2);
        assert_eq!(rules.minutes_per_session().unwrap().0, 30);
        assert_eq!(volume_cap([&province, &commune]).unwrap().0, 80);
        let zone = chrono_tz::Asia::Ho_Chi_Minh;
        insta::assert_snapshot!(spans(&rules, zone, "2026-12-01").join("\n"), @r"
        2026-12-01T05:00:00+07:00 2026-12-01T12:00:00+07:00
        2026-12-01T13:30:00+07:00 2026-12-01T21:00:00+07:00
        ");
        assert!(rules.sound(zone, date("2026-12-06")).is_empty(), "a Sunday");
        assert_eq!(rules.quiet_at("03:15".parse().unwrap()).unwrap().1.as_str(), "xa");
        assert_eq!(rules.quiet_at("15:15".parse().unwrap()), None);
    }

    #[test]
    fn quiet_from_midnight_to_midnight_is_a_whole_day() {
        let rules = Rules::of([&Policy { quiet: vec![hours("00:00", "00:00")], ..policy("p") }]);
        assert!(rules.sound(chrono_tz::UTC, date("2026-12-01")).is_empty());
    }

    #[test]
    fn in_no_zone_a_clock_change_makes_a_quiet_time_loud() {
        let quiet = [hours("01:15", "02:45"), hours("23:20", "00:40")];
        let rules = Rules::of([&Policy { quiet: quiet.to_vec(), ..policy("p") }]);
        let mut looked = 0;
        for zone in TZ_VARIANTS {
            let mut day = date("2024-01-01");
            while day < date("2026-01-01") {
                day = shift(day, 1);
                let (from, to) = wall::day(zone, day);
                if to.since(from) == 86_400_000 && !day.ordinal().is_multiple_of(90) {
                    continue; // only days with a change, and a few others
                }
                for span in rules.sound(zone, day) {
                    let mut at = span.from();
                    while at < span.to() {
                        looked += 1;
                        let shown = wall::reading(zone, at);
                        let time = LocalTime(shown.num_seconds_from_midnight());
                        assert!(
                            !quiet.iter().any(|hours| hours.contains(time)),
                            "{shown} in {zone} is loud"
                        );
                        at = at.plus(300_000);
                    }
                }
            }
        }
        assert!(looked > 100_000, "looked at {looked} instants only");
    }
}
