//! Reports of a province from the days that a real store keeps: a month and a year of 5,000
//! loudspeakers, 16 plays a day each; and what the store grows by.

use super::Row;
use crate::app::ports::{JudgedPage, Marked, NameKind, PageKey, Registry as _, RollupStore as _};
use crate::app::reports::{Ask, Form, LogAt, Reports};
use crate::app::rollup::{Rollup, content_name};
use crate::app::trail::Actor;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::UnitId;
use crate::domain::proof::outcome::{Plan, Stage, Verdict};
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use crate::report::airing::Airing;
use crate::report::contents::{Content, ContentNo, Contents, Subject, SubjectNo};
use crate::report::document::ReportKind;
use crate::report::period::{Period, midnight};
use crate::report::places::{DeviceNo, UnitNo};
use crate::report::render::Format;
use crate::report::rollup::{Page, Touch};
use crate::store::SqliteStore;
use anyhow::Context as _;
use chrono::{Datelike, NaiveDate};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const COMMUNES: u32 = 98;
const DEVICES: u32 = 5_000;
const PLAYS: usize = 16;
const ZONE: chrono_tz::Tz = chrono_tz::Asia::Ho_Chi_Minh;

/// Measures.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("loa-bench-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = super::super::runtime()?.block_on(measure(&folder));
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn code(commune: u32) -> String {
    format!("{}", 10_000 + commune)
}

async fn register(store: &SqliteStore, since: UtcMs) -> anyhow::Result<()> {
    let unit = |id: String, parent: Option<UnitId>| {
        anyhow::Ok(Unit {
            id: id.parse()?,
            name: format!("Xã {id}"),
            parent,
            valid_from: None,
            valid_until: None,
            successors: Vec::new(),
            population: None,
        })
    };
    let mut units = vec![unit("51".into(), None)?];
    for n in 0..COMMUNES {
        units.push(unit(code(n), Some("51".parse()?))?);
    }
    store.put_units(&units).await?;
    let mut devices = Vec::new();
    for n in 0..DEVICES {
        devices.push(Device {
            id: format!("loa-{n:05}").parse()?,
            name: format!("Cụm loa {n}"),
            unit: code(n % COMMUNES).parse()?,
            tags: Vec::new(),
            profile: "loa-ip".parse()?,
            volume_cap: 100,
            trim_ms: 0,
            behind: None,
        });
    }
    store.put_devices(&devices, since).await?;
    let names: Vec<String> = devices.iter().map(|device| device.id.to_string()).collect();
    store.number(NameKind::Device, &names).await?;
    Ok(())
}

/// What is aired on a day: other titles each day, as a station has them.
fn aired(day: NaiveDate, contents: &mut Contents) -> Vec<ContentNo> {
    let content = |n: usize| Content {
        item: format!("pl-{n}/tin-{}", day.ordinal()),
        title: format!("Bản tin số {n} ngày {day}"),
        author: Some(format!("Tác giả {n}")),
        reader: Some("Người đọc".into()),
        document: None,
        subject: Subject {
            kind: Kind::Clip,
            line: Some(format!("ke-hoach/{}", n % 6)),
            topics: vec![format!("T{}", n % 10)],
        },
    };
    (0..PLAYS).map(|n| contents.add(content(n))).collect()
}

fn airing(device: u32, content: ContentNo, at: UtcMs, result: Verdict) -> Airing {
    let played = result == Verdict::Played;
    Airing {
        device: DeviceNo(device),
        content,
        at_ms: at,
        end_ms: at.plus(290_000),
        plan: Plan::Planned,
        result: Some(result),
        stage: Stage::Final,
        due_ms: 290_000,
        played_ms: if played { 290_000 } else { 0 },
        started_ms: played.then(|| at.plus(100)),
        grade: 3,
    }
}

/// Keeps the pages of a day, as the loop would.
async fn keep(store: &SqliteStore, day: NaiveDate, seed: &mut u64) -> anyhow::Result<()> {
    let mut contents = Contents::default();
    let items = aired(day, &mut contents);
    let names: Vec<String> = contents.contents().cloned().map(content_name).collect();
    let numbers = store.number(NameKind::Content, &names).await?;
    let subjects: Result<Vec<String>, _> = contents.subjects().map(serde_json::to_string).collect();
    let subjects = store.number(NameKind::Subject, &subjects?).await?;
    let morning = midnight(day, ZONE);
    for commune in 0..COMMUNES {
        let mut airings = Vec::with_capacity(1_000);
        for device in (commune..DEVICES).step_by(COMMUNES as usize) {
            for (n, content) in (0_i64..).zip(&items) {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let result = match *seed >> 33 & 31 {
                    0 => Verdict::Offline,
                    1 => Verdict::Partial,
                    2 => Verdict::Missing,
                    _ => Verdict::Played,
                };
                airings.push(airing(
                    device,
                    *content,
                    morning.plus(18_000_000 + n * 300_000),
                    result,
                ));
            }
        }
        let folded = Page::fold(day, UnitNo(commune), &airings, &contents);
        let mut broadcasts = folded.broadcasts;
        for broadcast in &mut broadcasts {
            broadcast.content = ContentNo(numbers[broadcast.content.0 as usize]);
        }
        let touches = folded
            .touches
            .into_iter()
            .map(|touch| Touch { subject: SubjectNo(subjects[touch.subject.0 as usize]), ..touch });
        let page = JudgedPage {
            key: PageKey { day, unit: code(commune).parse()? },
            upto: 0,
            judged_ms: morning,
            next_ms: None,
            broadcasts,
            touches: touches.collect(),
            open: Vec::new(),
        };
        store.put_page(&page, None).await?;
    }
    Ok(())
}

fn bytes(file: &Path) -> anyhow::Result<f64> {
    Ok(std::fs::metadata(file).context("the store's file")?.len() as f64)
}

async fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let (clock, file) = (SystemClock::new(), folder.join("store.db"));
    let store = Arc::new(SqliteStore::open(&file).await?);
    let year = Period::year(2026)?;
    let (from, after) = year.instants(ZONE);
    register(&store, from).await?;
    // Nothing is left to be looked at.
    let opened = Some(crate::report::period::day_of(after.plus(1), ZONE));
    store.mark(&[], Marked { records: 0, opened }, i64::MAX).await?;
    let (mut seed, mut sizes) = (7, Vec::new());
    for day in year.first().iter_days().take_while(|day| year.contains(*day)) {
        keep(&store, day, &mut seed).await?;
        if day == Period::month(2026, day.month())?.last() {
            // What still lies in the log of the file counts when it has gone over.
            let copy = folder.join(format!("{day}.db"));
            store.copy_to(&copy).await?;
            sizes.push(bytes(&copy)?);
            std::fs::remove_file(copy)?;
        }
    }
    let mut rows = Vec::new();
    let month = Period::month(2026, 10)?;
    for (what, period, goal) in
        [("a month, 2.5 million plays", month, 1.0), ("a year, 29 million plays", year, 5.0)]
    {
        for kind in [ReportKind::Coverage, ReportKind::Compare, ReportKind::Yearly] {
            let reports = Reports::new(Arc::new(Rollup::new(store.clone())));
            let ask = Ask {
                kind,
                unit: "51".parse()?,
                period,
                format: Format::Xlsx,
                zone: ZONE,
                spot: None,
                form: Form::default(),
                only_final: false,
            };
            let log = LogAt { folder: folder.to_owned(), patience: Duration::ZERO };
            let began = clock.mono_ms();
            let made = reports.make(&ask, &log, after.plus(1), &Actor::server()).await?;
            let seconds = (clock.mono_ms() - began) as f64 / 1_000.0;
            let work = format!("{} report of 5,000 devices over {what}", kind.as_str());
            let note = format!("XLSX of {} bytes, from the store on", made.rendered.bytes.len());
            rows.push(Row::at_most(work, seconds, goal, "s").note(note));
        }
    }
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let days = f64::from(COMMUNES) * 334.0;
    let early = (sizes[1] - first) / (f64::from(COMMUNES) * 28.0);
    let late = (last - sizes[sizes.len() - 2]) / (f64::from(COMMUNES) * 31.0);
    let work = "growth of the store a commune and day: December against February";
    let note = format!("mean of the year {:.0} bytes, 51 devices, 16 plays", (last - first) / days);
    rows.push(Row::at_most(work, late, early * 1.2, "bytes").note(note));
    store.close().await;
    Ok(rows)
}
