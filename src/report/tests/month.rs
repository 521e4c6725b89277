//! A golden month: October 2026 in a province of three communes with 40 devices.
//!
//! Bình An (14 loudspeakers, a board) is without power on 10 and 11 October. Tịnh Khê (14 and 1)
//! is merged into Sơn Mỹ (9 and 1) on 16 October. One loudspeaker of Sơn Mỹ is dead. On 20 October
//! an urgent notice cuts the news and pre-empts the warning. Tịnh Khê never schedules the warning.

use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::proof::outcome::{Plan, Stage, Verdict};
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use crate::report::airing::Airing;
use crate::report::compare::{Counted, Every, PlanLine, PlanScope};
use crate::report::contents::{Content, ContentNo, Contents, Subject};
use crate::report::evidence::Evidence;
use crate::report::period::{Period, midnight};
use crate::report::places::{Device, DeviceNo, Places, Unit};
use crate::report::question::{Checkpoint, Question};
use crate::report::rollup::Rollups;
use crate::report::urgent::{Notice, NoticeDevice, Reached};
use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use std::collections::BTreeMap;

pub const ZONE: Tz = chrono_tz::Asia::Ho_Chi_Minh;
const MINUTE: i64 = 60_000;

pub struct Month {
    pub places: Places,
    pub contents: Contents,
    pub rollups: Rollups,
    pub airings: Vec<Airing>,
    pub topics: BTreeMap<String, String>,
}

impl Month {
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence {
            places: &self.places,
            contents: &self.contents,
            rollups: &self.rollups,
            topics: &self.topics,
        }
    }
}

pub fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub fn unit_id(text: &str) -> UnitId {
    UnitId::new(text).unwrap()
}

pub fn question(scope: &str) -> Question {
    Question {
        scope: unit_id(scope),
        period: Period::month(2026, 10).unwrap(),
        zone: ZONE,
        cut_off: midnight(day("2026-11-05"), ZONE),
        checkpoint: Some(Checkpoint {
            origin: "nhatky.quangngai.example/2026".into(),
            size: 12_345,
            root: "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=".into(),
        }),
    }
}

fn unit(id: &str, name: &str, until: Option<&str>, successor: Option<&str>) -> Unit {
    Unit {
        id: unit_id(id),
        name: name.into(),
        parent: (id != "51").then(|| unit_id("51")),
        valid_from: None,
        valid_until: until.map(day),
        successors: successor.map(unit_id).into_iter().collect(),
    }
}

fn device(commune: u32, number: u32) -> Device {
    let board = if commune == 3 { 10 } else { 15 };
    let kind = if number == board { Kind::Pages } else { Kind::Clip };
    let word = if kind == Kind::Clip { "Cụm loa thôn" } else { "Bảng điện tử" };
    let mut stood = vec![(day("2026-01-01"), unit_id(&format!("1000{commune}")))];
    if commune == 2 {
        stood.push((day("2026-10-16"), unit_id("10003")));
    }
    Device {
        id: DeviceId::new(format!("loa-{commune:02}-{number:02}")).unwrap(),
        name: format!("{word} {number}"),
        kind,
        stood,
        until: None,
    }
}

pub fn places() -> Places {
    places_and(&[])
}

/// The register with more units.
pub fn places_and(extra: &[(&str, &str)]) -> Places {
    let more = extra.iter().map(|(id, name)| unit(id, name, None, None));
    let units = [
        unit("51", "Tỉnh Quảng Ngãi", None, None),
        unit("10001", "Xã Bình An", None, None),
        unit("10002", "Xã Tịnh Khê", Some("2026-10-15"), Some("10003")),
        unit("10003", "Xã Sơn Mỹ", None, None),
    ];
    let units = units.into_iter().chain(more).collect();
    let devices = [(1, 15), (2, 15), (3, 10)]
        .into_iter()
        .flat_map(|(commune, last)| (1..=last).map(move |number| device(commune, number)))
        .collect();
    Places::new(units, devices).unwrap()
}

pub fn content(
    item: &str,
    title: &str,
    people: (&str, &str),
    line: &str,
    topics: &[&str],
) -> Content {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Content {
        item: item.into(),
        title: title.into(),
        author: some(people.0),
        reader: some(people.1),
        document: None,
        subject: Subject {
            kind: if item.starts_with("bang/") { Kind::Pages } else { Kind::Clip },
            line: some(line),
            topics: topics.iter().map(ToString::to_string).collect(),
        },
    }
}

pub fn news() -> Content {
    let people = ("Nguyễn Thị Lan", "Đỗ Văn Bình");
    content("sang/thoi-su", "Bản tin thời sự", people, "kh-01", &["t1"])
}

pub fn warning() -> Content {
    let people = ("Trần Minh", "Đỗ Văn Bình");
    content("sang/canh-bao", "Cảnh báo lừa đảo trực tuyến", people, "kh-02", &["t10", "t5"])
}

pub fn slogan() -> Content {
    content("bang/khau-hieu", "Bảo vệ dữ liệu cá nhân", ("", ""), "", &["t5"])
}

fn airing(device: DeviceNo, content: ContentNo, at: UtcMs, length: i64) -> Airing {
    Airing {
        device,
        content,
        at_ms: at,
        end_ms: at.plus(length),
        plan: Plan::Planned,
        result: Some(Verdict::Played),
        stage: Stage::Final,
        due_ms: length,
        played_ms: length,
        started_ms: Some(at.plus(250)),
        grade: 3,
    }
}

/// What became of one cue, told as the story goes.
fn tell(airing: &mut Airing, device: &Device, date: NaiveDate, part: char) {
    let id = device.id.as_str();
    let silent = |airing: &mut Airing, result| {
        airing.result = Some(result);
        airing.played_ms = 0;
        airing.started_ms = None;
        airing.grade = 0;
    };
    if id == "loa-03-01" {
        silent(airing, Verdict::Missing);
    } else if id.starts_with("loa-01") && (date.day() == 10 || date.day() == 11) {
        silent(airing, Verdict::Offline);
        airing.stage = Stage::Provisional;
    } else if date.day() == 20 && part == 'a' {
        airing.result = Some(Verdict::Partial);
        airing.played_ms = 2 * MINUTE;
    } else if date.day() == 20 && part == 'b' {
        silent(airing, Verdict::PreEmpted);
    }
}

pub fn airings(places: &Places, contents: &mut Contents) -> Vec<Airing> {
    let (a, b, c) = (contents.add(news()), contents.add(warning()), contents.add(slogan()));
    let mut found = Vec::new();
    for date in day("2026-10-01").iter_days().take(31) {
        let morning = midnight(date, ZONE);
        for (no, device) in places.devices() {
            if device.kind == Kind::Pages {
                let mut one = airing(no, c, morning.plus(420 * MINUTE), 60 * MINUTE);
                tell(&mut one, device, date, 'c');
                found.push(one);
                continue;
            }
            let mut one = airing(no, a, morning.plus(300 * MINUTE), 5 * MINUTE);
            tell(&mut one, device, date, 'a');
            found.push(one);
            if !device.id.as_str().starts_with("loa-02") || date.day() >= 16 {
                let mut one = airing(no, b, morning.plus(305 * MINUTE), 2 * MINUTE);
                tell(&mut one, device, date, 'b');
                found.push(one);
            }
        }
    }
    found
}

pub fn month() -> Month {
    let places = places();
    let mut contents = Contents::default();
    let airings = airings(&places, &mut contents);
    let rollups = Rollups::of(&airings, &places, &contents, ZONE);
    let names =
        [("t1", "Chủ trương, pháp luật"), ("t10", "Cảnh báo nguy cơ"), ("t5", "Dữ liệu cá nhân")];
    let topics = names.into_iter().map(|(code, name)| (code.to_owned(), name.to_owned())).collect();
    Month { places, contents, rollups, airings, topics }
}

pub fn line(id: &str, scope: PlanScope, counted: Counted, least: u64) -> PlanLine {
    PlanLine {
        id: id.into(),
        citation: "KH 3630/KH-UBND, PL 01, II.1".into(),
        title: format!("Tuyên truyền an toàn thông tin ({id})"),
        scope,
        counted,
        every: Every::Month,
        least,
        term: Period::new(day("2021-07-01"), day("2026-12-31")).unwrap(),
        lead: Some("UBND xã".into()),
        coordinating: vec!["Sở Văn hóa, Thể thao và Du lịch".into()],
    }
}

/// The notice of 20 October: all but the dead loudspeaker and one that refused began.
pub fn notice(places: &Places) -> Notice {
    let sent = midnight(day("2026-10-20"), ZONE).plus(302 * MINUTE);
    let speakers = places.devices().filter(|(_, device)| device.kind == Kind::Clip);
    let devices = (1_i64..).zip(speakers).map(|(number, (no, device))| {
        let (reached, why) = match device.id.as_str() {
            "loa-03-01" => (Reached::Not, None),
            "loa-01-01" => (Reached::Refused, Some("clock".to_owned())),
            _ => (Reached::Began { after_ms: number * 100 }, None),
        };
        NoticeDevice { device: no, reached, why }
    });
    Notice {
        id: "lu-2026-10-20".into(),
        reason: "Lũ khẩn cấp trên sông Trà Khúc".into(),
        document: "15/CĐ-PCTT".into(),
        issuer: "Ban Chỉ huy PTDS tỉnh".into(),
        by: "nguyen-van-a".into(),
        sent,
        expires: sent.plus(60 * MINUTE),
        drill: false,
        devices: devices.collect(),
    }
}
