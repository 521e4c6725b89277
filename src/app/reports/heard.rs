//! The complaint desk's rows: what the loudspeakers of a place signed around a time.

use super::{Ask, Reports, ReportsError};
use crate::app::outcome::content;
use crate::app::ports::{Page, RecordFilter, StoredRecord};
use crate::domain::ids::{ChainId, DeviceId, Digest, UnitId};
use crate::domain::proof::outcome::{Reason, SETTLE_MS};
use crate::domain::proof::record::{Body, Subject};
use crate::domain::time::UtcMs;
use crate::report::document::Document;
use crate::report::heard::{MOST_MARGIN_MS, Order, Place, Sounding, Told, heard};
use crate::report::period::day_of;
use crate::report::places::{DeviceNo, Places};
use crate::report::question::{Question, ReportError};
use crate::report::words::clean;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Longest that something may have sounded before the time asked for, and whose record came after.
const LONGEST_MS: i64 = 26 * 3_600_000;
/// Records read at once.
const PAGE: u32 = 1_000;
/// Devices of one answer: several times those of a commune. Days of records are read of each.
pub const MOST_DEVICES: usize = 500;
/// Places named where one asked for may be several.
const MOST_NAMED: usize = 5;

/// Where and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// The place in the asker's words.
    pub words: String,
    pub at: UtcMs,
    pub margin_ms: i64,
    /// The device that is meant; all of the unit when `None`.
    pub device: Option<DeviceId>,
}

/// Finds the place that is meant: a device's id, a unit's code, or words of the name of either;
/// returns its unit, and the device if it is one. What the asker does not see is not there: of
/// several places of a name it is hers, and none of the others is told.
pub fn locate(
    places: &Places,
    words: &str,
    at: UtcMs,
    zone: chrono_tz::Tz,
    sees: impl Fn(&UnitId) -> bool,
) -> Result<(UnitId, Option<DeviceId>), ReportsError> {
    let day = day_of(at, zone);
    let of_device = |no: DeviceNo| {
        let unit = places.stood(no, day).and_then(|no| places.unit(no))?;
        let unit = Some(unit).filter(|unit| sees(&unit.id))?;
        Some((unit.id.clone(), places.device(no).map(|device| device.id.clone())))
    };
    let words = clean(words);
    if let Some(no) = DeviceId::new(words.clone()).ok().and_then(|id| places.device_no(&id))
        && let Some(found) = of_device(no)
    {
        return Ok(found);
    }
    if let Some(no) = UnitId::new(words.clone()).ok().and_then(|id| places.unit_no(&id))
        && let Some(unit) = places.unit(no).filter(|unit| sees(&unit.id))
    {
        return Ok((unit.id.clone(), None));
    }
    let lower = words.to_lowercase();
    let named = |name: &str| !lower.is_empty() && clean(name).to_lowercase().contains(&lower);
    let units = places.units().filter(|(_, unit)| named(&unit.name) && sees(&unit.id));
    let units = units.map(|(_, unit)| (unit.id.clone(), None));
    let mut found: Vec<(UnitId, Option<DeviceId>)> = units.collect();
    if found.is_empty() {
        let devices = places.devices().filter(|(_, device)| named(&device.name));
        found.extend(devices.filter_map(|(no, _)| of_device(no)));
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (None, _) => Err(ReportsError::NoPlace { words }),
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(found).take(MOST_NAMED);
            let name = |(unit, device): (UnitId, Option<DeviceId>)| match device {
                Some(device) => format!("`{device}`"),
                None => format!("`{unit}`"),
            };
            let found: Vec<String> = all.map(name).collect();
            Err(ReportsError::Ambiguous { words, found: found.join(", ") })
        }
    }
}

/// The rows of an answer.
pub(super) struct Heard {
    place: Place,
    soundings: Vec<Sounding>,
    told: BTreeMap<DeviceNo, Told>,
}

impl Heard {
    pub(super) fn document(
        &self,
        question: &Question,
        places: &Places,
    ) -> Result<Document, ReportError> {
        heard(question, places, &self.place, &self.soundings, &self.told)
    }
}

/// Starts without an end yet, and what ended, by what they answer to.
type Began = BTreeMap<(Subject, u32), (UtcMs, Digest, (ChainId, u64), Option<i64>)>;

impl Reports {
    pub(super) async fn heard(
        &self,
        ask: &Ask,
        places: &Places,
        now: UtcMs,
    ) -> Result<Heard, ReportsError> {
        let spot =
            ask.spot.clone().ok_or_else(|| ReportsError::NoPlace { words: String::new() })?;
        let day = day_of(spot.at, ask.zone);
        let unit = places.unit_no(&ask.unit);
        let unit = unit.ok_or_else(|| ReportError::NoUnit { unit: ask.unit.clone() })?;
        let devices = match &spot.device {
            Some(device) => places.device_no(device).into_iter().collect(),
            None => places.devices_in(&places.scope(unit), day, day),
        };
        if devices.len() > MOST_DEVICES {
            return Err(ReportsError::Wide { devices: devices.len() });
        }
        let margin = spot.margin_ms.clamp(0, MOST_MARGIN_MS);
        let (from, to) = (spot.at.plus(-margin), spot.at.plus(margin));
        let (mut soundings, mut told) = (Vec::new(), BTreeMap::new());
        for no in &devices {
            let Some(device) = places.device(*no) else { continue };
            let filter = RecordFilter {
                device: Some(device.id.clone()),
                from_ms: Some(from.plus(-LONGEST_MS)),
                to_ms: Some(to.plus(LONGEST_MS)),
                ..RecordFilter::default()
            };
            let mut began = Began::new();
            let mut ended = BTreeSet::new();
            let mut position = 0;
            loop {
                let page = Page::After { position, limit: PAGE };
                let listed = self.store().records(&filter, page).await?;
                for listed in &listed {
                    let record = &listed.record;
                    if matches!(record.kind.as_str(), "start" | "play") {
                        let sounding = self.sounding(*no, record, &mut began, &mut ended).await?;
                        soundings.extend(sounding);
                    }
                }
                match listed.last() {
                    Some(last) if listed.len() == PAGE as usize => position = last.position,
                    _ => break,
                }
            }
            for ((subject, n), (started, digest, place, err)) in began {
                if !ended.contains(&(subject.clone(), n)) {
                    let order = self.order(&subject, None).await?;
                    soundings.push(Sounding {
                        device: *no,
                        from: started,
                        to: None,
                        title: String::new(),
                        item: String::new(),
                        volume: None,
                        lufs_cb: None,
                        gain_cb: None,
                        order,
                        grade: 0,
                        clock_err_ms: err,
                        record: digest,
                        index: self.index(&device.id, place).await?,
                    });
                }
            }
            told.insert(*no, self.told(&device.id, from, to, now).await?);
        }
        let Spot { words, at, margin_ms, .. } = spot;
        Ok(Heard { place: Place { words, at, margin_ms, devices }, soundings, told })
    }

    /// Returns what a record says that sounded; starts wait for their end.
    async fn sounding(
        &self,
        device: DeviceNo,
        record: &StoredRecord,
        began: &mut Began,
        ended: &mut BTreeSet<(Subject, u32)>,
    ) -> Result<Option<Sounding>, ReportsError> {
        let Some(read) = content(record) else { return Ok(None) };
        let err = read.head.clock.err_ms;
        let place = (record.chain, record.seq);
        match read.body {
            Body::Start { subject, n, started_ms } => {
                began.insert((subject, n), (started_ms, record.digest, place, err));
                Ok(None)
            }
            Body::Play(play) => {
                ended.insert((play.subject.clone(), play.n));
                let Some(from) = play.started_ms.filter(|_| play.played_ms > 0) else {
                    return Ok(None);
                };
                let order = self.order(&play.subject, play.sheet).await?;
                let to = play.ended_ms.unwrap_or_else(|| from.plus(play.played_ms));
                Ok(Some(Sounding {
                    device,
                    from,
                    to: Some(to),
                    title: play.title,
                    item: play.item,
                    volume: Some(play.volume),
                    lufs_cb: play.lufs_cb,
                    gain_cb: play.gain_cb,
                    order,
                    grade: play.grade,
                    clock_err_ms: err,
                    record: record.digest,
                    index: self.index(&record.device, place).await?,
                }))
            }
            _ => Ok(None),
        }
    }

    /// Returns by whose order it sounded, as far as the server gave one.
    async fn order(&self, subject: &Subject, sheet: Option<Digest>) -> Result<Order, ReportsError> {
        match subject {
            Subject::Notice { jti } => Ok(match self.store().notice(jti).await? {
                Some(notice) => Order::Notice {
                    document: notice.content.document.number,
                    by: notice.sent.map_or(notice.made_by, |sent| sent.by),
                },
                None => Order::Unknown,
            }),
            Subject::Cue { cue } => {
                let Some(sheet) = sheet else { return Ok(Order::Unknown) };
                let sheets = self.store().sheets(&[sheet]).await?;
                let Some(sheet) = sheets.first() else { return Ok(Order::Unknown) };
                let read = crate::wire::sheet::decode(&sheet.bytes, sheet.bytes.len());
                let named = read.ok().and_then(|sheet| {
                    let cue = sheet.cues.iter().find(|known| known.id == *cue)?;
                    Some(cue.approval)
                });
                let none = Order::Command {
                    what: "lịch phát, đài chạy không cần duyệt".to_owned(),
                    by: "–".to_owned(),
                };
                let Some(approval) = named else { return Ok(Order::Unknown) };
                let Some(hash) = approval else { return Ok(none) };
                let Some(version) = self.store().version_by(&hash).await? else {
                    return Ok(Order::Unknown);
                };
                let proposal = self.store().proposal(&hash).await?;
                let votes = proposal.into_iter().flat_map(|proposal| proposal.votes);
                let votes: Vec<String> = votes.map(|person| person.to_string()).collect();
                let by = if votes.is_empty() { "–".to_owned() } else { votes.join(", ") };
                Ok(Order::Approval { by, at: version.at_ms, hash })
            }
        }
    }

    /// Returns a record's place in the log, when it is logged.
    async fn index(
        &self,
        device: &DeviceId,
        (chain, seq): (ChainId, u64),
    ) -> Result<Option<u64>, ReportsError> {
        let Some(leaf) = self.store().leaf_of(device, &chain, seq).await? else { return Ok(None) };
        let shards = self.store().shards().await?;
        let shard = shards.iter().rev().find(|shard| shard.first <= leaf);
        Ok(shard.filter(|shard| leaf <= shard.logged).and_then(|shard| shard.index(leaf)))
    }

    /// Says whether all records of the stretch have come.
    async fn told(
        &self,
        device: &DeviceId,
        from: UtcMs,
        to: UtcMs,
        now: UtcMs,
    ) -> Result<Told, ReportsError> {
        let chains = self.store().chains_of(device).await?;
        let covers = |first: UtcMs, upto: UtcMs| first <= from && to.plus(SETTLE_MS) <= upto;
        let complete = chains
            .iter()
            .filter_map(|chain| chain.first_at_ms.zip(chain.upto_at_ms))
            .any(|(first, upto)| covers(first, upto));
        if complete && to <= now {
            return Ok(Told::All);
        }
        let newest = chains.iter().filter_map(|chain| chain.upto_at_ms).max();
        Ok(Told::Lacking(match newest {
            Some(since_ms) => Reason::Silent { since_ms },
            None => Reason::NeverHeard,
        }))
    }
}
