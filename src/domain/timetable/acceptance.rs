//! What must be refused before anything is planned: a slot that would call at 03:15.
//!
//! Looks at times of day and weekdays, not at dates: a slot that recurs once a year is refused
//! today, not found in the night before. What is merely too long is cut by compile, with a reason.

use super::audience::Audience;
use super::reason::Cause;
use crate::domain::ids::{DeviceId, PlaylistId, SlotId};
use crate::domain::playlist::{Content, Playlist, Slot};
use crate::domain::policy::Rules;
use crate::domain::recurrence::LocalTime;
use crate::domain::station::Station;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A slot whose clips no policy would let sound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forbidden {
    pub playlist: PlaylistId,
    pub slot: SlotId,
    /// The time of day, or `None` when every weekday of the slot is forbidden.
    pub time: Option<LocalTime>,
    /// Quiet hours or days, and of which policy.
    pub cause: Cause,
    /// The first device for which this holds.
    pub device: DeviceId,
    /// How many devices it holds for.
    pub devices: usize,
}

/// Finds every start of clips in quiet hours and every slot on forbidden weekdays only, for the
/// devices that it reaches. Sorted.
pub fn forbidden(station: &Station) -> Vec<Forbidden> {
    let numbered: BTreeMap<&PlaylistId, u64> = station.playlists.keys().zip(0..).collect();
    let playlists: Vec<&Playlist> = station.playlists.values().collect();
    let mut audience = Audience::new(station, |id| numbered.get(id).copied());
    let mut reached: BTreeMap<(u64, *const Rules), (Arc<Rules>, &DeviceId, usize)> =
        BTreeMap::new();
    for device in station.devices.values() {
        let key = audience.group(device).key;
        if key.abilities.speaker.is_none() {
            continue;
        }
        for request in &key.requests {
            let of = (request.version, Arc::as_ptr(&key.rules));
            let (.., count) =
                reached.entry(of).or_insert_with(|| (Arc::clone(&key.rules), &device.id, 0));
            *count += 1;
        }
    }
    let mut found = Vec::new();
    for ((number, _), (rules, device, devices)) in reached {
        let playlist = usize::try_from(number).ok().and_then(|number| playlists.get(number));
        for (playlist, slot) in playlist.iter().flat_map(|p| p.slots.iter().map(move |s| (p, s))) {
            if !has_clips(playlist, slot) {
                continue;
            }
            for (time, cause) in faults(slot, &rules) {
                found.push(Forbidden {
                    playlist: playlist.id.clone(),
                    slot: slot.id.clone(),
                    time,
                    cause,
                    device: device.clone(),
                    devices,
                });
            }
        }
    }
    found.sort();
    found
}

fn has_clips(playlist: &Playlist, slot: &Slot) -> bool {
    playlist
        .items
        .iter()
        .any(|item| matches!(item.content, Content::Clip { .. }) && slot.items.contains(&item.id))
}

fn faults(slot: &Slot, rules: &Rules) -> Vec<(Option<LocalTime>, Cause)> {
    let mut found = Vec::new();
    let days = rules.days().fold(slot.when.weekdays(), |left, (days, _)| left.intersection(*days));
    if days.0 == 0
        && let Some((_, policy)) = rules.days().next()
    {
        found.push((None, Cause::DayNotAllowed { policy: policy.clone() }));
    }
    for time in slot.when.times_of_day() {
        if let Some((hours, policy)) = rules.quiet_at(time) {
            let cause = Cause::QuietHours { policy: policy.clone(), hours: hours.to_string() };
            found.push((Some(time), cause));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;
    use crate::domain::policy::Policy;
    use crate::domain::recurrence::{Recurrence, Weekdays};

    #[test]
    fn a_call_at_a_quarter_past_three_is_refused_before_any_date_is_looked_at() {
        let mut station = station(chrono_tz::Asia::Ho_Chi_Minh);
        station.policies = vec![
            Policy { quiet: vec![quiet("21:30", "04:45")], ..policy("dem") },
            Policy { days: Some(Weekdays::parse(&["Mon-Sat"]).unwrap()), ..policy("ngay") },
        ];
        let call = |id: &str, when: &str, item| {
            let when = Recurrence::cron(when).unwrap();
            playlist(id, vec![item], vec![slot("s", when, 5, &["a"])])
        };
        add(&mut station, call("dem", "15 3 1 1 *", clip("a", "a.mp3", None)));
        add(&mut station, call("chieu", "15 15 1 1 *", clip("a", "a.mp3", None)));
        add(&mut station, call("le", "0 9 * * sun", clip("a", "a.mp3", None)));
        add(&mut station, call("bang", "15 3 * * sun", pages("a", "Xin chào")));
        let told: Vec<String> = forbidden(&station)
            .iter()
            .map(|f| {
                let time = f.time.map_or_else(|| "-".into(), |t| t.to_string());
                format!(
                    "{}/{} {time} {} ({} devices: {})",
                    f.playlist, f.slot, f.cause, f.devices, f.device
                )
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        dem/s 03:15 quiet hours 21:30-04:45 of policy `dem` (3 devices: ca-hai-1)
        le/s - policy `ngay` allows no sound on this weekday (3 devices: ca-hai-1)
        ");
    }
}
