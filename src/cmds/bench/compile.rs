//! Compiling and signing a province: 5,000 loudspeakers, 14 days, 50 distinct day sets, 16 cues
//! a device and day.
//!
//! Measured alone: what compile, encode and sign cost on one thread, since that is what the goals
//! speak of; and what the server's planner does with the same station, as a check on the whole.

use super::Row;
#[cfg(feature = "server")]
use crate::app::publish::{Planner, Settings};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::{
    DeviceId, Digest, IdError, ItemId, PlaylistId, PolicyId, ProfileId, SlotId, UnitId,
};
use crate::domain::playlist::{
    ClipPath, Content, Item, Order, Overrun, Playlist, Priority, Slot, Targets,
};
use crate::domain::policy::{Policy, QuietHours};
use crate::domain::profile::{Profile, SpeakerProfile};
use crate::domain::recurrence::Recurrence;
#[cfg(feature = "server")]
use crate::domain::recurrence::wall;
use crate::domain::station::{AssetFacts, Clip, Device, Library, Station, Unit};
use crate::domain::timetable::sheet::DaySheet;
use crate::domain::timetable::{Compiled, Compiler, DevicePlan, Horizon};
use crate::wire::doc::{self, DayEntry, Timetable};
use crate::wire::jws::SecretKey;
use crate::wire::sheet;
use chrono::NaiveDate;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const DEVICES: usize = 5_000;
const SETS: usize = 50;
const DAYS: u32 = 14;
const RUNS: usize = 7;
const FROM: NaiveDate = match NaiveDate::from_ymd_opt(2026, 12, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

/// Measures all of it.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let key = SecretKey::from_seed(&[7; 32]);
    let horizon = Horizon { from: FROM, days: DAYS };
    let (station, double) = (province(DEVICES)?, province(2 * DEVICES)?);
    // In turn, so that what else the machine does falls on both alike.
    let (mut whole, mut twice) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        whole.push(median(1, || publish(&mut Compiler::new(), &station, horizon, &key)));
        twice.push(median(1, || publish(&mut Compiler::new(), &double, horizon, &key)));
    }
    let (whole, twice) = (middle(whole), middle(twice));
    let compiled = Compiler::new().compile(&station, horizon);
    let cues: usize = compiled.devices().map(|(_, plan)| plan.cues().count()).sum();
    let sheets = compiled.sheets().len();

    let shared = median(RUNS, || encode(&Compiler::new().compile(&station, horizon)).len());
    let alone: Vec<Station> = station.devices.keys().map(|id| only(&station, id)).collect();
    let apart = median(1, || {
        alone.iter().map(|one| encode(&Compiler::new().compile(one, horizon)).len()).sum::<usize>()
    });

    let (change, concerned) = changes(&station, horizon, &key);
    #[cfg_attr(not(feature = "server"), expect(unused_mut, reason = "more rows follow"))]
    let mut rows = vec![
        Row::at_most("compile and sign 5,000 devices, 14 days", whole / 1000.0, 1.0, "s")
            .note(format!("{cues} cues, {sheets} sheets, one thread, median of {RUNS}")),
        Row::at_least("compiled together, not each device by itself", apart / shared, 20.0, "×")
            .note(format!("compile and encode: {shared:.0} ms against {apart:.0} ms")),
        Row::at_most("a change that concerns 100 of 5,000 devices", change, 20.0, "ms")
            .note(format!("compile, encode and sign; {concerned} timetables change")),
        Row::at_most("10,000 devices against 5,000", twice / whole, 2.2, "×")
            .note(format!("{twice:.0} ms against {whole:.0} ms")),
    ];
    #[cfg(feature = "server")]
    rows.extend(server(&station, &key));
    Ok(rows)
}

/// Runs something several times; returns milliseconds.
fn median<T>(runs: usize, mut work: impl FnMut() -> T) -> f64 {
    let clock = SystemClock::new();
    let taken = (0..runs)
        .map(|_| {
            let begun = clock.mono_us();
            let made = work();
            let taken = (clock.mono_us() - begun) as f64 / 1000.0;
            drop(made);
            taken
        })
        .collect();
    middle(taken)
}

fn middle(mut taken: Vec<f64>) -> f64 {
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Each distinct sheet as bytes, by address.
fn encode(compiled: &Compiled) -> HashMap<*const DaySheet, (Vec<u8>, Digest)> {
    let sheets = compiled.sheets().into_iter();
    sheets.map(|sheet| (Arc::as_ptr(sheet), sheet::encode(sheet))).collect()
}

/// Compiles, encodes and signs; returns the plan and how many timetables were signed.
fn publish(
    compiler: &mut Compiler,
    station: &Station,
    horizon: Horizon,
    key: &SecretKey,
) -> (Compiled, usize) {
    let compiled = compiler.compile(station, horizon);
    let encoded = encode(&compiled);
    let digest = |sheet: &Arc<DaySheet>| encoded.get(&Arc::as_ptr(sheet)).map(|(_, name)| *name);
    let signed = compiled.devices().map(|(id, plan)| sign(id, plan, &digest, key).len());
    let signed = signed.filter(|bytes| *bytes > 0).count();
    (compiled, signed)
}

fn sign(
    id: &DeviceId,
    plan: &DevicePlan,
    digest: &impl Fn(&Arc<DaySheet>) -> Option<Digest>,
    key: &SecretKey,
) -> String {
    let days = plan.days().iter().filter_map(|day| {
        Some(DayEntry { from_ms: day.from_ms, to_ms: day.to_ms, sheet: digest(&day.sheet)? })
    });
    let timetable = Timetable {
        v: 1,
        iss: "bench".into(),
        aud: id.clone(),
        iat: 1_795_000_000,
        exp: 1_797_000_000,
        ver: 1,
        units: plan.units().to_vec(),
        volume_cap: plan.volume_cap(),
        trim_ms: plan.trim_ms(),
        fetch_spread_s: 60,
        days: days.collect(),
        standby: BTreeMap::new(),
        idle: None,
    };
    doc::sign(key, &timetable).expect("a timetable within the limits")
}

/// One commune changes its volume, to and fro; milliseconds, and how many devices it concerns.
fn changes(station: &Station, horizon: Horizon, key: &SecretKey) -> (f64, usize) {
    let mut compiler = Compiler::new();
    let mut last = compiler.compile(station, horizon);
    let louder = louder(station);
    let mut turn = 0;
    let mut concerned = 0;
    let taken = median(RUNS, || {
        turn += 1;
        let now = compiler.compile(if turn % 2 == 1 { &louder } else { station }, horizon);
        let changed = now.changed_since(&last);
        let mut encoded: HashMap<*const DaySheet, Digest> = HashMap::new();
        for plan in changed.iter().filter_map(|id| now.device(id)) {
            for day in plan.days() {
                encoded
                    .entry(Arc::as_ptr(&day.sheet))
                    .or_insert_with(|| sheet::encode(&day.sheet).1);
            }
        }
        let digest = |sheet: &Arc<DaySheet>| encoded.get(&Arc::as_ptr(sheet)).copied();
        let plans = changed.iter().filter_map(|id| now.device(id).map(|plan| (*id, plan)));
        let signed: usize = plans.map(|(id, plan)| sign(id, plan, &digest, key).len()).sum();
        concerned = changed.len();
        last = now;
        signed
    });
    (taken, concerned)
}

/// The same by the server's planner: all at once, then a change.
#[cfg(feature = "server")]
fn server(station: &Station, key: &SecretKey) -> [Row; 2] {
    let (now, _) = wall::day(station.zone, FROM);
    let planner = || Planner::new(Settings::default(), key.clone(), &[], []);
    let whole = median(3, || planner().plan(station, now));
    let mut planner = planner();
    let first = planner.plan(station, now);
    planner.adopt(station, first);
    let louder = louder(station);
    let mut turn = 0;
    let change = median(RUNS, || {
        turn += 1;
        let station = if turn % 2 == 1 { &louder } else { station };
        let planned = planner.plan(station, now.plus(turn));
        planner.adopt(station, planned);
    });
    [
        Row::at_most("the server's planner, 5,000 devices, 16 days", whole / 1000.0, 1.0, "s")
            .note("also chooses what to publish, and when each device's horizon moves"),
        Row::at_most("the server's planner, a change for 100 devices", change, 20.0, "ms"),
    ]
}

fn louder(station: &Station) -> Station {
    let mut louder = station.clone();
    let changed = louder.playlists.values_mut().find(|list| list.targets.units[0].as_str() != "34");
    for slot in changed.into_iter().flat_map(|list| list.slots.iter_mut()) {
        slot.volume = 70;
    }
    louder
}

/// What concerns one device and nothing else.
fn only(station: &Station, id: &DeviceId) -> Station {
    let devices: BTreeMap<DeviceId, Device> =
        station.devices.get(id).map(|device| (id.clone(), device.clone())).into_iter().collect();
    let unit = devices.values().next().map(|device| device.unit.clone());
    let units: BTreeMap<UnitId, Unit> = unit
        .iter()
        .flat_map(|unit| station.lineage(unit))
        .map(|unit| (unit.id.clone(), unit.clone()))
        .collect();
    let reaches = |targets: &[UnitId]| targets.iter().any(|unit| units.contains_key(unit));
    let playlists: BTreeMap<PlaylistId, Playlist> = station
        .playlists
        .iter()
        .filter(|(_, list)| reaches(&list.targets.units))
        .map(|(id, list)| (id.clone(), list.clone()))
        .collect();
    let clips = playlists.values().flat_map(|list| list.items.iter()).filter_map(|item| {
        let Content::Clip { clip, .. } = &item.content else { return None };
        Some((clip.clone(), station.library.clips.get(clip)?.clone()))
    });
    Station {
        name: station.name.clone(),
        zone: station.zone,
        profiles: station.profiles.clone(),
        policies: station.policies.iter().filter(|p| reaches(&p.units)).cloned().collect(),
        calendars: vec![],
        library: Library { clips: clips.collect() },
        standby: BTreeMap::new(),
        units,
        devices,
        playlists,
    }
}

/// A province of 50 communes: its own bulletin everywhere, and each commune's.
fn province(devices: usize) -> Result<Station, IdError> {
    let province = UnitId::new("34")?;
    let profile = Profile {
        id: ProfileId::new("loa-ip")?,
        title: "Cụm loa IP".into(),
        speaker: Some(SpeakerProfile { codecs: vec!["audio/mpeg".into()], longest_ms: 7_200_000 }),
        board: None,
        storage_bytes: 1 << 30,
        sheet_bytes: 65_536,
        chunk_kib: 64,
        clock_ppm: 50,
    };
    let mut station = Station {
        name: "Tỉnh".into(),
        zone: chrono_tz::Asia::Ho_Chi_Minh,
        units: BTreeMap::new(),
        devices: BTreeMap::new(),
        profiles: BTreeMap::from([(profile.id.clone(), profile)]),
        policies: vec![quiet("tinh", &province, 22 * 3600, 4 * 3600 + 1800)?],
        calendars: vec![],
        playlists: BTreeMap::new(),
        library: Library::default(),
        standby: BTreeMap::new(),
    };
    add_unit(&mut station, &province, None);
    add_playlist(&mut station, "tinh", &province, &["06:00", "18:00"], 2)?;
    for set in 0..SETS {
        let commune = UnitId::new(format!("{:05}", 10_000 + set))?;
        add_unit(&mut station, &commune, Some(&province));
        station.policies.push(quiet(&format!("xa-{set}"), &commune, 21 * 3600, 4 * 3600 + 2700)?);
        add_playlist(&mut station, &format!("xa-{set}"), &commune, &["05:00", "17:00"], 6)?;
        for hamlet in 0..10 {
            add_unit(&mut station, &UnitId::new(format!("{commune}-t{hamlet}"))?, Some(&commune));
        }
        for cluster in 0..devices / SETS {
            let id = DeviceId::new(format!("loa-{commune}-{cluster:03}"))?;
            let device = Device {
                name: format!("Cụm loa {cluster}"),
                unit: UnitId::new(format!("{commune}-t{}", cluster % 10))?,
                tags: vec![],
                profile: ProfileId::new("loa-ip")?,
                volume_cap: 100,
                trim_ms: 0,
                id: id.clone(),
            };
            station.devices.insert(id, device);
        }
    }
    Ok(station)
}

fn quiet(id: &str, unit: &UnitId, from: u32, to: u32) -> Result<Policy, IdError> {
    use crate::domain::recurrence::LocalTime;
    Ok(Policy {
        id: PolicyId::new(id)?,
        title: id.into(),
        source: None,
        units: vec![unit.clone()],
        tags: vec![],
        devices: vec![],
        quiet: vec![QuietHours { from: LocalTime(from), to: LocalTime(to) }],
        days: None,
        sessions_per_day: Some(4),
        minutes_per_session: Some(45),
        volume_cap: Some(90),
    })
}

fn add_unit(station: &mut Station, id: &UnitId, parent: Option<&UnitId>) {
    let unit = Unit {
        id: id.clone(),
        name: format!("Đơn vị {id}"),
        parent: parent.cloned(),
        valid_from: None,
        valid_until: None,
        successors: vec![],
        population: None,
    };
    station.units.insert(id.clone(), unit);
}

/// A playlist with so many clips in each of two slots.
fn add_playlist(
    station: &mut Station,
    id: &str,
    unit: &UnitId,
    times: &[&str],
    clips: usize,
) -> Result<(), IdError> {
    let mut items = Vec::new();
    for number in 0..clips {
        let path = ClipPath(format!("clips/{id}-{number}.mp3"));
        let facts = AssetFacts {
            sha256: Digest::of(path.0.as_bytes()),
            bytes: 2_000_000,
            media_type: "audio/mpeg".into(),
            ms: 120_000 + 1000 * i64::try_from(number).unwrap_or(0),
            gain_cb: -20,
            lufs_cb: -180,
            sums: BTreeMap::from([("64".to_owned(), Digest::of(id.as_bytes()))]),
            title: format!("Bản tin an toàn thông tin số {number}"),
        };
        station.library.clips.insert(path.clone(), Clip::Known(facts));
        items.push(Item {
            id: ItemId::new(format!("bai-{number}"))?,
            title: format!("Bản tin an toàn thông tin số {number}"),
            author: None,
            reader: None,
            origin: None,
            document: None,
            language: "vi".into(),
            content: Content::Clip { clip: path, fallback: None },
        });
    }
    let mut slots = Vec::new();
    for (number, time) in times.iter().enumerate() {
        // The times are constants above.
        let Ok(when) = Recurrence::at(&[time], &[]) else { continue };
        slots.push(Slot {
            id: SlotId::new(format!("buoi-{number}"))?,
            when,
            except: vec![],
            only: vec![],
            skips: vec![],
            longest_ms: 40 * 60_000,
            order: Order::Rotate,
            volume: 80,
            fade_ms: 500,
            overrun: Overrun::Fade,
            items: items.iter().map(|item| item.id.clone()).collect(),
        });
    }
    let playlist = Playlist {
        id: PlaylistId::new(id)?,
        title: format!("Danh sách {id}"),
        targets: Targets { units: vec![unit.clone()], ..Targets::default() },
        priority: Priority::Routine,
        valid_from: None,
        valid_until: None,
        topic: None,
        plan_line: Some("KH 103/KH-UBND, III.1".into()),
        lead: None,
        coordinating: vec![],
        order: None,
        accepted: 0,
        approval: None,
        items,
        slots,
    };
    station.playlists.insert(playlist.id.clone(), playlist);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_province_measured_is_the_one_promised() {
        let station = province(500).unwrap();
        let compiled = Compiler::new().compile(&station, Horizon { from: FROM, days: 2 });
        assert_eq!(compiled.sheets().len(), 2 * SETS, "50 distinct day sets");
        for (id, plan) in compiled.devices() {
            assert_eq!((plan.cues().count(), plan.left_out().count()), (32, 0), "{id}");
            let alone = Compiler::new().compile(&only(&station, id), compiled.horizon());
            assert_eq!(alone.device(id).unwrap().days(), plan.days(), "alone as together");
        }
        let louder = Compiler::new().compile(&louder(&station), compiled.horizon());
        let changed = |(a, b): (&DevicePlan, &DevicePlan)| a.days() != b.days();
        let plans = compiled.devices().zip(louder.devices());
        let count = plans.filter(|((_, a), (_, b))| changed((a, b))).count();
        assert_eq!(count, 500 / SETS);
    }
}
