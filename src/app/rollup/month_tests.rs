//! A golden month: December 2026 of a province with three communes and 40 loudspeakers, one clip at
//! five each morning, published, signed, taken in and added up like any other.
//!
//! Bình An (14) is without power on 10 and 11 December. Tịnh Khê (14) becomes part of Sơn Mỹ (12)
//! on the 16th. One loudspeaker of Sơn Mỹ is dead. On the 20th a storm is warned of, on the 21st
//! that is rehearsed. What must come out was counted by hand.

mod storm;

use super::*;
use crate::app::ingest::tests::{Signer, server_keys};
use crate::app::ingest::{Arrived, Ingest};
use crate::app::keyring::Keyring;
use crate::app::publish::tests::{item, playlist, station};
use crate::app::publish::{Publisher, Settings};
use crate::app::reports::{Ask, Form, LogAt, Made, Reports};
use crate::app::trail::Actor;
use crate::clock::{Clock as _, ManualClock};
use crate::domain::ids::{ChainId, CueId};
use crate::domain::proof::record::{
    Attestor, Body, ClockNote, ClockSource, Head, Play, Record, Said, Subject,
};
use crate::domain::station::{Device, Station, Unit};
use crate::report::document::ReportKind;
use crate::report::number::share;
use crate::report::period::midnight;
use crate::report::question::Standing;
use crate::report::render::Format;
use crate::store::SqliteStore;
use crate::wire::record;
use crate::wire::topic::Topics;
use calamine::{Data, Reader as _, Xlsx};
use std::io::Cursor;
use std::time::Duration;

const ZONE: Tz = chrono_tz::Asia::Ho_Chi_Minh;
const MINUTE: i64 = 60_000;

fn day(n: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, n).unwrap()
}

fn at(n: u32, minute: i64) -> UtcMs {
    midnight(day(n), ZONE).plus(minute * MINUTE)
}

fn unit(id: &str, name: &str) -> Unit {
    Unit {
        id: id.parse().unwrap(),
        name: name.into(),
        parent: (id != "51").then(|| "51".parse().unwrap()),
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
        population: None,
    }
}

/// Commune and number of each loudspeaker.
fn places() -> Vec<(u32, u32)> {
    [(1, 14), (2, 14), (3, 12)]
        .into_iter()
        .flat_map(|(commune, last)| (1..=last).map(move |n| (commune, n)))
        .collect()
}

fn device(commune: u32, n: u32, merged: bool) -> Device {
    let unit = if commune == 2 && merged { 3 } else { commune };
    Device {
        id: format!("loa-{commune}-{n:02}").parse().unwrap(),
        name: format!("Cụm loa thôn {n}"),
        unit: format!("1000{unit}").parse().unwrap(),
        tags: Vec::new(),
        profile: "loa".parse().unwrap(),
        volume_cap: 100,
        trim_ms: 0,
        behind: None,
    }
}

fn province(merged: bool) -> Station {
    let mut base = station(1);
    let mut communes = [
        unit("51", "Tỉnh Quảng Ngãi"),
        unit("10001", "Xã Bình An"),
        unit("10002", "Xã Tịnh Khê"),
        unit("10003", "Xã Sơn Mỹ"),
    ];
    if merged {
        communes[2].valid_until = Some(day(15));
        communes[2].successors = vec!["10003".parse().unwrap()];
    }
    base.units = communes.into_iter().map(|unit| (unit.id.clone(), unit)).collect();
    let devices = places().into_iter().map(|(commune, n)| device(commune, n, merged));
    base.devices = devices.map(|device| (device.id.clone(), device)).collect();
    let mut news = playlist("ban-tin", &["51"], &["05:00"], vec![item("m1", "a.mp3")]);
    news.topic = Some("T1".into());
    news.items[0].author = Some("Nguyễn Thị Lan".into());
    news.items[0].reader = Some("Đỗ Văn Bình".into());
    base.playlists = std::collections::BTreeMap::from([(news.id.clone(), news)]);
    base
}

struct Month {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    publisher: Publisher<dyn Store>,
    ingest: Ingest,
    signers: Vec<(u32, u32, Signer)>,
    reports: Reports,
}

impl Month {
    async fn over(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::new(at(1, 0).plus(-60 * MINUTE)));
        let shared: crate::clock::SharedClock = clock.clone();
        let schedule = server_keys().schedule.clone();
        let publisher =
            Publisher::new(store.clone(), Settings::default(), schedule, shared.clone());
        let keys = Keyring::rooted(&server_keys());
        let ingest = Ingest::new(store.clone(), keys, Topics::default(), "Đài tỉnh".into(), shared);
        let mut signers = Vec::new();
        for (seed, (commune, n)) in (1_u8..).zip(places()) {
            let mut signer = Signer::new(&format!("loa-{commune}-{n:02}"), seed);
            signer.chain = ChainId([seed; 16]);
            signer.enrol(&*store).await;
            signers.push((commune, n, signer));
        }
        let reports = Reports::new(Arc::new(Rollup::new(store.clone())));
        let mut month = Self { store, clock, publisher, ingest, signers, reports };
        month.register(&province(false), UtcMs(0)).await;
        month.publish(&province(false)).await;
        month
    }

    async fn register(&self, station: &Station, since: UtcMs) {
        let units: Vec<_> = station.units.values().cloned().collect();
        self.store.put_units(&units).await.unwrap();
        let devices: Vec<_> = station.devices.values().cloned().collect();
        self.store.put_devices(&devices, since).await.unwrap();
    }

    async fn publish(&mut self, station: &Station) {
        let round = self.publisher.plan(&Arc::new(station.clone())).await.unwrap();
        assert!(round.faults.is_empty(), "{:?}", round.faults);
        let versions: Vec<_> = round.timetables.iter().map(|t| (t.device.clone(), t.ver)).collect();
        self.publisher.published(&versions).await.unwrap();
    }

    /// Every loudspeaker that has power says so before and after the clip, and plays it.
    async fn morning(&mut self, n: u32) {
        let now = at(n, 330);
        let first = self.signers[20].2.id.clone();
        let due = self.reports.rollup().outcomes_of(&first, day(n), ZONE, now).await.unwrap();
        let (cue, due_ms) = (due[0].0.cue, due[0].0.at_ms);
        assert_eq!(due_ms, at(n, 300), "day {n}");
        let mut arrived = Vec::new();
        for (commune, no, signer) in &mut self.signers {
            let dark = *commune == 1 && (n == 10 || n == 11);
            let dead = (*commune, *no) == (3, 1);
            if dark || dead {
                continue;
            }
            let from = signer.lines.len();
            sign(signer, at(n, 290), Body::Beat { head: None, pending: 0, stored: 0 });
            sign(signer, at(n, 301), played(cue, due_ms));
            sign(signer, at(n, 320), Body::Beat { head: None, pending: 0, stored: 0 });
            arrived.push(signer.raw(&signer.lines[from..].join("\n")));
        }
        self.clock.set(now);
        let arrived: Vec<Arrived> = arrived;
        self.ingest.take(&arrived).await.unwrap();
    }

    async fn make(&self, kind: ReportKind, unit: &str, format: Format) -> Made {
        let ask = Ask {
            kind,
            unit: unit.parse().unwrap(),
            period: Period::month(2026, 12).unwrap(),
            format,
            zone: ZONE,
            spot: None,
            form: Form::default(),
            only_final: false,
        };
        let log = LogAt { folder: "/nowhere".into(), patience: Duration::ZERO };
        let who = Actor::new("lan", "10.0.0.7");
        self.reports.make(&ask, &log, self.clock.now(), &who).await.unwrap()
    }
}

fn sign(signer: &mut Signer, at_ms: UtcMs, body: Body) {
    let head = Head {
        v: 1,
        dev: signer.id.clone(),
        chain: signer.chain,
        boot: 1,
        seq: signer.lines.len() as u64 + 1,
        prev: signer.lines.last().map(|line| record::digest(line)),
        at_ms,
        mono_ms: 0,
        clock: ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(5) },
        seen: None,
        attestor: Attestor::Device,
    };
    let line = record::sign(&signer.key, &Record { head, body }).unwrap();
    signer.lines.push(line);
}

fn played(cue: CueId, due_ms: UtcMs) -> Body {
    Body::Play(Play {
        subject: Subject::Cue { cue },
        n: 1,
        sheet: None,
        item: "ban-tin/m1".into(),
        asset: None,
        title: "Tin m1".into(),
        lufs_cb: None,
        gain_cb: None,
        due_ms,
        due_len_ms: 60_000,
        started_ms: Some(due_ms),
        ended_ms: Some(due_ms.plus(60_000)),
        played_ms: 60_000,
        outcome: Said::Played,
        cause: "end".into(),
        by: None,
        volume: 80,
        skew_ms: Some(2),
        grade: 3,
        method: "samples".into(),
        score_permille: None,
    })
}

/// Returns a sheet of a workbook as text, row by row.
fn sheet(made: &Made, name: &str) -> Vec<Vec<String>> {
    let mut book = Xlsx::new(Cursor::new(made.rendered.bytes.clone())).unwrap();
    let range = book.worksheet_range(name).unwrap();
    let text = |cell: &Data| match cell {
        Data::Float(figure) => format!("{}", (figure * 10_000.0).round() / 10_000.0),
        Data::DateTime(at) => format!("{}", (at.as_f64() * 10_000.0).round() / 10_000.0),
        other => other.to_string(),
    };
    range.rows().map(|row| row.iter().map(text).collect()).collect()
}

/// Devices that confirm and all that it was due on, and those explained, of each broadcast.
async fn diary_cells(month: &Month) {
    let told = |made: &Made| -> Vec<[String; 5]> {
        let rows = sheet(made, "Nhật ký phát thanh");
        let rows = rows.into_iter().filter(|row| row.iter().any(|cell| cell == "Tin m1"));
        rows.map(|row| [9, 10, 11, 12, 4].map(|at| row[at].clone())).collect()
    };
    let row = |confirmed: u64, due: u64| {
        let explained = (due - confirmed).to_string();
        [share(confirmed, due), "0".into(), explained, "0".into(), "ban-tin/m1".into()]
    };
    let dark = |n: u32| n == 10 || n == 11;
    let own = month.make(ReportKind::Diary, "10001", Format::Xlsx).await;
    let expected = (1..=31).map(|n| row(if dark(n) { 0 } else { 14 }, 14));
    assert_eq!(told(&own), expected.collect::<Vec<_>>());
    let both = month.make(ReportKind::Diary, "10003", Format::Xlsx).await;
    let before = (1..=15).flat_map(|_| [row(14, 14), row(11, 12)]);
    let expected = before.chain((16..=31).map(|_| row(25, 26)));
    assert_eq!(told(&both), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn the_golden_month_comes_out_of_a_real_store_as_counted_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("loa.db")).await.unwrap());
    let mut month = Month::over(store).await;
    for n in 1..=31 {
        if n == 16 {
            month.clock.set(at(16, 0));
            month.register(&province(true), at(16, 0)).await;
            month.publish(&province(true)).await;
        }
        if n % 7 == 0 {
            month.clock.set(at(n, 60));
            month.publish(&province(n >= 16)).await;
        }
        month.morning(n).await;
        if n == 20 {
            month.storm().await;
        }
        if n == 21 {
            month.drill().await;
        }
    }
    // Thirty days later nothing changes any more.
    month.clock.set(at(31, 0).plus(32 * 24 * 60 * MINUTE));
    let made = month.make(ReportKind::Coverage, "51", Format::Xlsx).await;
    assert_eq!(made.standing, Standing::Final);
    let rows = sheet(&made, "Theo xã");
    let row =
        |code: &str| rows.iter().find(|row| row[0] == code).unwrap_or_else(|| panic!("{rows:?}"));
    // Devices that confirm of those there are, plays confirmed of those due; whole, partly,
    // explained, missing, pending, beside; length: a minute is a 1,440th of a day.
    let counted = [
        ("10001", [14, 14, 406, 434, 28]),
        ("10002", [14, 14, 210, 210, 0]),
        ("10003", [25, 26, 565, 596, 31]),
        ("Cộng", [39, 40, 1_181, 1_240, 59]),
    ];
    for (code, [confirming, devices, confirmed, due, explained]) in counted {
        let length = f64::from(u32::try_from(confirmed).unwrap()) / 1_440.0;
        let expected = [
            share(confirming, devices),
            share(confirmed, due),
            confirmed.to_string(),
            "0".to_owned(),
            explained.to_string(),
            "0".to_owned(),
            "0".to_owned(),
            "0".to_owned(),
            format!("{}", (length * 10_000.0).round() / 10_000.0),
        ];
        assert_eq!(row(code)[2..], expected, "{code}");
    }
    assert!(row("10002")[1].contains("nhập vào Xã Sơn Mỹ"), "{:?}", row("10002"));

    // The diary of the commune that both became: a row a broadcast, by day.
    let diary = month.make(ReportKind::Diary, "10003", Format::Xlsx).await;
    let rows = sheet(&diary, "Nhật ký phát thanh");
    let aired = rows.iter().filter(|row| row.iter().any(|cell| cell == "Tin m1")).count();
    assert_eq!(aired, 31 + 15, "its own, and those of the commune that became part of it");
    storm::is_told(&month).await;
    diary_cells(&month).await;
    assert!(
        rows.iter()
            .skip(1)
            .filter(|row| row.len() > 5)
            .any(|row| { row.iter().any(|cell| cell == "Nguyễn Thị Lan") })
    );
    let pay = month.make(ReportKind::Pay, "51", Format::Csv).await;
    let text = String::from_utf8(pay.rendered.bytes).unwrap();
    assert!(text.contains("Nguyễn Thị Lan") && text.contains("Đỗ Văn Bình"), "{text}");

    // Pages that came day by day are those made anew in one go, and files are the same bytes.
    let (first, last) = (day(1), day(31));
    let before = month.store.pages(first, last, None).await.unwrap();
    let places = month.reports.rollup().places(ZONE).await.unwrap();
    let names = month.store.names(crate::app::ports::NameKind::Unit, 0).await.unwrap();
    for page in before.iter().filter(|page| page.day.format("%d").to_string().ends_with('0')) {
        let unit = names[page.unit as usize].parse().unwrap();
        let key = PageKey { day: page.day, unit };
        let now = month.clock.now();
        month.reports.rollup().make(&places, ZONE, &key, None, now).await.unwrap();
    }
    assert_eq!(month.store.pages(first, last, None).await.unwrap(), before);
    let again = month.make(ReportKind::Coverage, "51", Format::Xlsx).await;
    assert_eq!(again.rendered.sha256, made.rendered.sha256);
}
