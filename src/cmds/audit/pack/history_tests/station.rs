//! A province with three communes whose people change their minds.

use super::{Draw, MINUTE};
use crate::app::ports::{
    DocumentRef, NoticeContent, NoticeKind, RetainedDocument, SentNotice, StoredHold, StoredNotice,
};
use crate::app::publish::tests::{item, playlist, station};
use crate::app::trail::{Actor, Entry};
use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::station::{Device, Station, Unit};
use crate::domain::time::UtcMs;
use crate::wire::jws::{SecretKey, Typ, sign};
use chrono::NaiveDate;
use serde_json::json;
use std::collections::BTreeMap;

const COMMUNES: [&str; 3] = ["10001", "10002", "10003"];
const TIMES: [&str; 8] = ["00:00", "05:00", "05:30", "11:00", "11:01", "17:00", "17:02", "23:59"];

/// Playlists by name: targets, time, clips.
type Lists = BTreeMap<String, (Vec<&'static str>, &'static str, Vec<&'static str>)>;

pub(in super::super) struct Town {
    stands: BTreeMap<DeviceId, &'static str>,
    lists: Lists,
    merged: Option<NaiveDate>,
    orders: u32,
}

impl Town {
    pub fn new(devices: usize) -> Self {
        let device = |n: usize| (format!("loa-{n}").parse().unwrap(), COMMUNES[n % COMMUNES.len()]);
        let morning = (vec!["51"], "05:00", vec!["a.mp3", "b.mp3"]);
        let evening = (vec!["10001", "10002"], "17:00", vec!["c.mp3"]);
        Self {
            stands: (0..devices).map(device).collect(),
            lists: BTreeMap::from([("sang".into(), morning), ("chieu".into(), evening)]),
            merged: None,
            orders: 0,
        }
    }

    pub fn devices(&self) -> Vec<DeviceId> {
        self.stands.keys().cloned().collect()
    }

    pub fn station(&self) -> Station {
        let mut base = station(1);
        let unit = |id: &str| Unit {
            id: id.parse().unwrap(),
            name: format!("Xã {id}"),
            parent: (id != "51").then(|| "51".parse().unwrap()),
            valid_from: None,
            valid_until: None,
            successors: Vec::new(),
            population: None,
        };
        let mut units: Vec<Unit> = ["51"].iter().chain(&COMMUNES).map(|id| unit(id)).collect();
        if let Some(day) = self.merged {
            units[2].valid_until = Some(day);
            units[2].successors = vec![COMMUNES[2].parse().unwrap()];
        }
        base.units = units.into_iter().map(|unit| (unit.id.clone(), unit)).collect();
        let device = |(id, stands): (&DeviceId, &&str)| Device {
            id: id.clone(),
            name: format!("Cụm {id}"),
            unit: stands.parse().unwrap(),
            tags: Vec::new(),
            profile: "loa".parse().unwrap(),
            volume_cap: 100,
            trim_ms: 0,
            behind: None,
        };
        base.devices =
            self.stands.iter().map(device).map(|device| (device.id.clone(), device)).collect();
        let list = |(id, (units, at, clips)): (&String, &(Vec<&str>, &str, Vec<&str>))| {
            let merged = |unit: &&str| !(self.merged.is_some() && *unit == COMMUNES[1]);
            let units: Vec<&str> = units.iter().copied().filter(merged).collect();
            let items = (0..).zip(clips).map(|(n, clip)| item(&format!("m{n}"), clip)).collect();
            let list = playlist(id, &units, &[at], items);
            (!units.is_empty()).then(|| (list.id.clone(), list))
        };
        base.playlists = self.lists.iter().filter_map(list).collect();
        base
    }

    /// A playlist comes, goes, moves or sounds otherwise.
    pub fn edit(&mut self, draw: &mut Draw) {
        let names = ["sang", "trua", "chieu", "toi"];
        let at = usize::try_from(draw.below(names.len() as u64)).unwrap();
        let time = TIMES[usize::try_from(draw.below(TIMES.len() as u64)).unwrap()];
        let clips = [vec!["a.mp3"], vec!["a.mp3", "b.mp3"], vec!["c.mp3", "a.mp3", "c.mp3"]];
        let clips = clips[usize::try_from(draw.below(3)).unwrap()].clone();
        let units = [vec!["51"], vec!["10001"], vec!["10002", "10003"]];
        let units = units[usize::try_from(draw.below(3)).unwrap()].clone();
        match (self.lists.get_mut(names[at]), draw.below(4)) {
            (Some(_), 0) => {
                self.lists.remove(names[at]);
            }
            (Some(list), 1) => list.1 = time,
            (Some(list), 2) => list.2 = clips,
            _ => {
                self.lists.insert(names[at].into(), (units, time, clips));
            }
        }
    }

    /// A device is put up elsewhere.
    pub fn moves(&mut self, draw: &mut Draw) {
        let at = usize::try_from(draw.below(self.stands.len() as u64)).unwrap();
        let to = usize::try_from(draw.below(3)).unwrap();
        let to = if self.merged.is_some() && to == 1 { 2 } else { to };
        if let Some(stands) = self.stands.values_mut().nth(at) {
            *stands = COMMUNES[to];
        }
    }

    /// The second commune becomes part of the third.
    pub fn merge(&mut self, today: NaiveDate) {
        if self.merged.is_none() {
            self.merged = today.pred_opt();
            for stands in self.stands.values_mut().filter(|stands| **stands == COMMUNES[1]) {
                *stands = COMMUNES[2];
            }
        }
    }

    fn order(&mut self) -> u32 {
        self.orders += 1;
        self.orders
    }

    pub fn hold(&mut self, now: UtcMs, draw: &mut Draw) -> (StoredHold, RetainedDocument, Entry) {
        let unit: UnitId = COMMUNES[usize::try_from(draw.below(3)).unwrap()].parse().unwrap();
        let jti = format!("h-{}", self.order());
        let hold = StoredHold {
            unit: unit.clone(),
            ver: now.0,
            jti,
            made_ms: now,
            until_ms: if draw.one_in(3) { UtcMs(0) } else { now.plus(90 * MINUTE) },
            reason: "đám tang".into(),
            by: "lan".into(),
            jws: "a.b.c".into(),
        };
        let document = RetainedDocument {
            topic: format!("loa/1/u/{unit}/hold"),
            ver: now.0,
            made_ms: now,
            body: b"a.b.c".as_slice().into(),
        };
        (hold, document, Actor::new("lan", "10.0.0.7").did(now, "hold-unit", unit))
    }

    pub fn notice(&mut self, now: UtcMs, draw: &mut Draw) -> (StoredNotice, SentNotice, Entry) {
        let jti = format!("n-{}", self.order());
        let kind = if draw.one_in(3) { NoticeKind::Drill } else { NoticeKind::Urgent };
        let content = NoticeContent {
            units: vec!["51".parse().unwrap()],
            reason: "bão".into(),
            document: DocumentRef { number: "01/CĐ".into(), issuer: "BCH".into(), at_ms: now },
            text: "Bão".into(),
            asset: None,
            times: 1,
            gap_ms: 0,
            volume: 80,
            lasts_ms: 60 * MINUTE,
        };
        let notice = StoredNotice {
            jti: jti.clone(),
            kind,
            content,
            made_ms: now,
            made_by: "lan".into(),
            sent: None,
            withdrawn: None,
            cleared: false,
        };
        let sent = SentNotice {
            at_ms: now,
            by: "minh".into(),
            exp_ms: now.plus(60 * MINUTE),
            jws: sign(&SecretKey::from_seed(&[9; 32]), Typ::Urgent, &json!({"jti": jti})).into(),
            reached: self.devices(),
        };
        (notice, sent, Actor::new("minh", "10.0.0.7").did(now, "send-urgent", jti))
    }
}
