//! The station that `compile` measures, and what is derived from it.

use super::SETS;
use crate::domain::ids::{
    DeviceId, Digest, IdError, ItemId, PlaylistId, PolicyId, ProfileId, SlotId, UnitId,
};
use crate::domain::playlist::{
    ClipPath, Content, Item, Order, Overrun, Playlist, Priority, Slot, Targets,
};
use crate::domain::policy::{Policy, QuietHours};
use crate::domain::profile::{Profile, SpeakerProfile};
use crate::domain::recurrence::Recurrence;
use crate::domain::station::{AssetFacts, Clip, Device, Library, Station, Unit};
use std::collections::BTreeMap;

pub(super) fn louder(station: &Station) -> Station {
    let mut louder = station.clone();
    let changed = louder.playlists.values_mut().find(|list| list.targets.units[0].as_str() != "34");
    for slot in changed.into_iter().flat_map(|list| list.slots.iter_mut()) {
        slot.volume = 70;
    }
    louder
}

/// What concerns one device and nothing else.
pub(super) fn only(station: &Station, id: &DeviceId) -> Station {
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
        feeds: BTreeMap::new(),
        units,
        devices,
        playlists,
    }
}

/// A province of 50 communes: its own bulletin everywhere, and each commune's.
pub(super) fn province(devices: usize) -> Result<Station, IdError> {
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
        feeds: BTreeMap::new(),
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
                behind: None,
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
            topic: None,
            plan_line: None,
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
