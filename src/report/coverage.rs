//! Coverage by unit, topic and hour: how many devices and communes, of how many.
//!
//! Communes without a confirmed play come first. A topic's counts name every item that carries it,
//! so that topics do not add up to the whole; the table says so.

use super::airing::Tally;
use super::diary::confirmed_note;
use super::document::{Cell, Column, Document, Part, ReportKind, Table, column};
use super::evidence::{Cut, Evidence};
use super::period::local;
use super::places::{DeviceNo, UnitNo};
use super::question::{Question, ReportError};
use chrono::Timelike;
use std::collections::{BTreeMap, BTreeSet};

const TALLY: [Column; 8] = [
    column("plays", "Lượt phát xác nhận", "Confirmed plays", 22),
    column("whole", "Phát trọn (mọi mức bằng chứng)", "Played, any grade", 12),
    column("partial", "Phát một phần", "Partial", 9),
    column("explained", "Không phát, có lý do", "Explained", 10),
    column("missing", "Không phát, không rõ", "Missing", 10),
    column("pending", "Chờ kết quả", "Pending", 8),
    column("beside", "Ngoài lịch, đã rút", "Beside the schedule", 9),
    column("played_ms", "Thời lượng đã phát", "Length played", 12),
];

fn cells(tally: &Tally) -> [Cell; 8] {
    [
        Cell::Share { part: tally.confirmed(), whole: tally.expected },
        Cell::Count(tally.whole()),
        Cell::Count(tally.partial),
        Cell::Count(tally.explained()),
        Cell::Count(tally.missing),
        Cell::Count(tally.pending),
        Cell::Count(tally.unplanned + tally.superseded),
        Cell::Length(tally.played_ms),
    ]
}

fn with(first: &[Column]) -> Vec<Column> {
    first.iter().chain(&TALLY).copied().collect()
}

/// Makes the report.
pub fn coverage(question: &Question, evidence: Evidence<'_>) -> Result<Document, ReportError> {
    let cut = evidence.cut(question)?;
    let tally = cut.tally();
    let standing = question.standing(tally.unsettled);
    let mut document = Document::new(ReportKind::Coverage, cut.name(cut.unit), question, standing);
    for table in [units(&cut), topics(&cut), hours(question, &cut), grades(&tally)] {
        document.parts.push(Part::Table(table));
    }
    document.notes = vec![
        confirmed_note(),
        "Một tin, bài có nhiều chủ đề được đếm ở mỗi chủ đề, nên cộng các chủ đề có thể lớn hơn tổng.".to_owned(),
    ];
    Ok(document)
}

/// Counts of one commune: all its airings, the devices that confirm, the devices it has.
type Commune = (Tally, BTreeSet<DeviceNo>, u64);

/// Counts by commune, those without a confirmed play first.
pub(super) fn units(cut: &Cut<'_>) -> Table {
    let first = [
        column("unit", "Mã", "Code", 8),
        column("name", "Xã, phường, đặc khu", "Commune", 32),
        column("devices", "Thiết bị có phát xác nhận", "Devices that confirm", 18),
    ];
    let mut table = Table::new("units", "Theo xã", &with(&first));
    let places = cut.all.places;
    let mut found: BTreeMap<UnitNo, Commune> =
        cut.communes().into_iter().map(|unit| (unit, Commune::default())).collect();
    for aired in cut.aired() {
        found.entry(aired.unit).or_default().0.merge(&aired.broadcast.tally);
    }
    for (key, days) in cut.all.rollups.reach().within(cut.period, &cut.scope) {
        if days.confirmed != 0 {
            found.entry(key.unit).or_default().1.insert(key.device);
        }
    }
    for (unit, devices) in cut.devices_by_commune() {
        found.entry(unit).or_default().2 = devices;
    }
    let mut rows: Vec<_> = found.into_iter().collect();
    rows.sort_by_key(|(unit, (_, confirmed, _))| (!confirmed.is_empty(), *unit));
    let mut sum = Tally::default();
    for (unit, (tally, confirmed, devices)) in rows {
        sum.merge(&tally);
        let mut row = vec![
            Cell::text(places.unit(unit).map_or("", |unit| unit.id.as_str())),
            Cell::text(&places.name(unit)),
            Cell::Share { part: confirmed.len() as u64, whole: devices },
        ];
        row.extend(cells(&tally));
        table.push(row);
    }
    let mut row = vec![
        Cell::text("Cộng"),
        Cell::Empty,
        Cell::Share {
            part: cut.confirmed_devices().len() as u64,
            whole: cut.devices().len() as u64,
        },
    ];
    row.extend(cells(&sum));
    table.sum(row);
    table
}

#[derive(Default)]
struct Topic {
    tally: Tally,
    broadcasts: u64,
    communes: BTreeSet<UnitNo>,
    devices: BTreeSet<DeviceNo>,
}

/// Counts by topic, by code.
pub(super) fn topics(cut: &Cut<'_>) -> Table {
    let first = [
        column("topic", "Mã", "Code", 10),
        column("name", "Chủ đề", "Topic", 32),
        column("broadcasts", "Lần phát có xác nhận", "Confirmed broadcasts", 11),
        column("communes", "Xã có phát xác nhận", "Communes", 16),
        column("devices", "Thiết bị có phát xác nhận", "Devices that confirm", 18),
    ];
    let mut table = Table::new("topics", "Theo chủ đề", &with(&first));
    let mut found: BTreeMap<&str, Topic> = BTreeMap::new();
    for aired in cut.aired() {
        for code in codes(&aired.content.subject.topics) {
            let topic = found.entry(code).or_default();
            topic.tally.merge(&aired.broadcast.tally);
            if aired.is_confirmed() {
                topic.broadcasts += 1;
                topic.communes.insert(aired.unit);
            }
        }
    }
    for (key, days) in cut.all.rollups.reach().within(cut.period, &cut.scope) {
        let subject = cut.all.contents.subject(key.subject).filter(|_| days.confirmed != 0);
        for code in subject.into_iter().flat_map(|subject| codes(&subject.topics)) {
            found.entry(code).or_default().devices.insert(key.device);
        }
    }
    let (communes, devices) = (cut.communes().len() as u64, cut.devices().len() as u64);
    for (code, topic) in found {
        let name = if code.is_empty() {
            "chưa gắn chủ đề"
        } else {
            cut.all.topics.get(code).map_or("", |name| name)
        };
        let mut row = vec![
            Cell::text(code),
            Cell::text(name),
            Cell::Count(topic.broadcasts),
            Cell::Share { part: topic.communes.len() as u64, whole: communes },
            Cell::Share { part: topic.devices.len() as u64, whole: devices },
        ];
        row.extend(cells(&topic.tally));
        table.push(row);
    }
    table
}

/// Returns the topics, or the empty one of what has none.
fn codes(topics: &[String]) -> impl Iterator<Item = &str> {
    topics.iter().map(String::as_str).chain(topics.is_empty().then_some(""))
}

/// Counts by the local hour in which broadcasts were due.
fn hours(question: &Question, cut: &Cut<'_>) -> Table {
    let first = [
        column("hour", "Giờ", "Hour", 12),
        column("broadcasts", "Lần phát có xác nhận", "Confirmed broadcasts", 12),
    ];
    let mut table = Table::new("hours", "Theo giờ trong ngày", &with(&first));
    let mut found: BTreeMap<u32, (Tally, u64)> = BTreeMap::new();
    for aired in cut.aired() {
        let local = local(aired.broadcast.at_ms, question.zone);
        let hour = found.entry(local.hour()).or_default();
        hour.0.merge(&aired.broadcast.tally);
        hour.1 += u64::from(aired.is_confirmed());
    }
    for (hour, (tally, broadcasts)) in found {
        let mut row =
            vec![Cell::text(&format!("{hour:02}:00-{hour:02}:59")), Cell::Count(broadcasts)];
        row.extend(cells(&tally));
        table.push(row);
    }
    table
}

/// Counts what played whole by the grade of its evidence.
pub(super) fn grades(tally: &Tally) -> Table {
    let columns = [
        column("grade", "Mức", "Grade", 6),
        column("name", "Bằng chứng", "Evidence", 40),
        column("plays", "Lượt phát trọn", "Played", 26),
    ];
    let mut table = Table::new("grades", "Theo mức bằng chứng", &columns);
    for (grade, plays) in (0_u8..).zip(tally.played) {
        table.push(vec![
            Cell::Count(u64::from(grade)),
            Cell::text(super::words::grade(grade)),
            Cell::Share { part: plays, whole: tally.whole() },
        ]);
    }
    table
}
