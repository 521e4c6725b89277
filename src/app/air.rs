//! What is due now and next, over all devices: what was scheduled, not what was heard.
//!
//! Pure. Devices that follow the same sheet are looked at once.

use crate::domain::ids::{CueId, DeviceId};
use crate::domain::playlist::Priority;
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::{DaySheet, SheetItem};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A cue on one or more devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Airing {
    pub cue: CueId,
    pub at_ms: UtcMs,
    pub end_ms: UtcMs,
    pub priority: Priority,
    /// Title of the item.
    pub title: String,
    /// `playlist/item`.
    pub item: String,
    /// Whether boards show it; loudspeakers play it otherwise.
    pub board: bool,
    pub volume: u8,
    /// Where, in order.
    pub devices: Vec<DeviceId>,
}

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Air {
    /// Begun and not ended.
    pub now: Vec<Airing>,
    /// To come, soonest first, bounded.
    pub next: Vec<Airing>,
}

/// Collects what is on at `now` and the `most` next cues that begin before `until`.
pub fn due<'a>(
    sheets: impl Iterator<Item = (&'a DeviceId, &'a Arc<DaySheet>)>,
    now: UtcMs,
    until: UtcMs,
    most: usize,
) -> Air {
    let mut followers: BTreeMap<*const DaySheet, (&DaySheet, Vec<&DeviceId>)> = BTreeMap::new();
    for (device, sheet) in sheets {
        // A cue may end in the day after its own, at most a day later.
        if sheet.from_ms < until && now < sheet.to_ms.plus(86_400_000) {
            let entry = followers.entry(Arc::as_ptr(sheet)).or_insert((sheet, Vec::new()));
            entry.1.push(device);
        }
    }
    let mut found: BTreeMap<(UtcMs, String, CueId), Airing> = BTreeMap::new();
    for (sheet, devices) in followers.values() {
        for cue in sheet.cues.iter().filter(|cue| now < cue.end_ms && cue.at_ms < until) {
            let (title, board) = match sheet.items.get(&cue.item) {
                Some(SheetItem::Clip { title, .. }) => (title.as_str(), false),
                Some(SheetItem::Pages { title, .. }) => (title.as_str(), true),
                Some(SheetItem::Unknown) | None => (cue.item.as_str(), false),
            };
            let airing =
                found.entry((cue.at_ms, cue.item.clone(), cue.id)).or_insert_with(|| Airing {
                    cue: cue.id,
                    at_ms: cue.at_ms,
                    end_ms: cue.end_ms,
                    priority: cue.priority,
                    title: title.to_owned(),
                    item: cue.item.clone(),
                    board,
                    volume: cue.volume,
                    devices: Vec::new(),
                });
            airing.devices.extend(devices.iter().map(|id| (*id).clone()));
        }
    }
    let (mut running, mut next): (Vec<_>, Vec<_>) =
        found.into_values().partition(|airing| airing.at_ms <= now);
    next.truncate(most);
    for airing in running.iter_mut().chain(&mut next) {
        airing.devices.sort();
        airing.devices.dedup();
    }
    Air { now: running, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timetable::sheet::Cue;

    fn sheet(cues: &[(u8, i64, i64)]) -> Arc<DaySheet> {
        let item = SheetItem::Pages { title: "Tin".into(), pages: Vec::new() };
        Arc::new(DaySheet {
            v: 1,
            from_ms: UtcMs(0),
            to_ms: UtcMs(86_400_000),
            sound: Vec::new(),
            assets: BTreeMap::new(),
            items: BTreeMap::from([("p/tin".to_owned(), item)]),
            cues: cues
                .iter()
                .map(|(id, at, end)| Cue {
                    id: CueId([*id; 16]),
                    at_ms: UtcMs(*at),
                    end_ms: UtcMs(*end),
                    priority: Priority::Routine,
                    item: "p/tin".into(),
                    volume: 80,
                    fade_ms: 0,
                    line: None,
                    approval: None,
                })
                .collect(),
        })
    }

    #[test]
    fn devices_on_one_cue_are_named_together_and_ends_are_exclusive() {
        let (a, b) = (DeviceId::new("loa-a").unwrap(), DeviceId::new("loa-b").unwrap());
        let shared = sheet(&[(1, 0, 10), (2, 10, 20), (3, 20, 30)]);
        let other = sheet(&[(2, 10, 20)]);
        let all = [(&b, &shared), (&a, &other), (&a, &shared)];
        let air = due(all.into_iter(), UtcMs(10), UtcMs(1000), 1);
        let ids = |airings: &[Airing]| {
            airings.iter().map(|x| (x.cue.0[0], x.devices.clone())).collect::<Vec<_>>()
        };
        assert_eq!(ids(&air.now), [(2, vec![a.clone(), b.clone()])]);
        assert_eq!(ids(&air.next), [(3, vec![a, b])]);
        assert_eq!(air.now[0].title, "Tin");
    }
}
