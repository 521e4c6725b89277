//! The complaint desk: what sounded at a place and time, how loud, and by whose order.
//!
//! # Invariants
//! * "Nothing of ours sounded" is said only when every loudspeaker of the place has handed in its
//!   records around that time; else the answer is that it is not known, and of which devices.
//! * A play counts when it may have sounded within the time asked for, its clock's error included.

use super::document::{Cell, Column, Document, Part, ReportKind, Table, column};
use super::number;
use super::places::{DeviceNo, Places};
use super::question::{Question, ReportError, Standing};
use super::words::{self, clean};
use crate::domain::ids::Digest;
use crate::domain::proof::outcome::Reason;
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// Widest time asked for, to either side.
pub const MOST_MARGIN_MS: i64 = 12 * 3_600_000;
/// Most plays of one answer.
const MOST_ROWS: usize = 20_000;

/// Where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The place in the asker's words.
    pub words: String,
    pub at: UtcMs,
    /// How far the asker's clock and memory may be off, to either side.
    pub margin_ms: i64,
    /// The devices that could be heard there; boards among them are left out.
    pub devices: Vec<DeviceNo>,
}

/// By whose order something sounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A playlist, approved.
    Approval { by: String, at: UtcMs, hash: Digest },
    /// An urgent notice.
    Notice { document: String, by: String },
    /// A command such as a self-test.
    Command { what: String, by: String },
    /// The record names no order that the server gave.
    Unknown,
}

/// Something that sounded, as the device signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sounding {
    pub device: DeviceNo,
    pub from: UtcMs,
    /// `None` while its end is not reported.
    pub to: Option<UtcMs>,
    pub title: String,
    pub item: String,
    pub volume: Option<u8>,
    /// Loudness of the clip before the gain, in centibel.
    pub lufs_cb: Option<i64>,
    pub gain_cb: Option<i64>,
    pub order: Order,
    pub grade: u8,
    /// Estimated error of the device's clock; `None` when it did not know.
    pub clock_err_ms: Option<i64>,
    /// The record's SHA-256 and its index in the log, when it has one.
    pub record: Digest,
    pub index: Option<u64>,
}

/// What the records of a device say about the time asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// All of them have come, without a gap.
    All,
    /// Some may lack.
    Lacking(Reason),
}

const COLUMNS: [Column; 15] = [
    column("started", "Bắt đầu", "From", 18),
    column("ended", "Kết thúc", "To", 18),
    column("device", "Thiết bị", "Device", 16),
    column("device_name", "Vị trí", "Where it stands", 26),
    column("title", "Nội dung", "What", 30),
    column("item", "Mã tin, bài", "Item", 14),
    column("volume", "Âm lượng đặt (0-100)", "Volume", 9),
    column("loudness", "Độ to của bài (LUFS)", "Loudness", 10),
    column("level", "Mức phát ra so với bài gốc (dB)", "Level", 11),
    column("order", "Theo lệnh", "By order of", 34),
    column("certain", "Trùng giờ phản ánh", "Within the time", 12),
    column("clock_error_ms", "Sai số đồng hồ", "Clock error", 9),
    column("grade", "Bằng chứng", "Evidence", 20),
    column("record", "SHA-256 bản ghi", "Record", 34),
    column("index", "Vị trí trong nhật ký", "Log index", 10),
];

/// Error taken for a clock that did not know its own: the limit above which devices play nothing.
const UNKNOWN_ERR_MS: i64 = 120_000;

/// Answers what sounded.
pub fn heard(
    question: &Question,
    places: &Places,
    place: &Place,
    soundings: &[Sounding],
    told: &BTreeMap<DeviceNo, Told>,
) -> Result<Document, ReportError> {
    let (unit, _) = question.scope(places)?;
    let margin = place.margin_ms.clamp(0, MOST_MARGIN_MS);
    let (from, to) = (place.at.plus(-margin), place.at.plus(margin));
    let speakers: BTreeSet<DeviceNo> = place
        .devices
        .iter()
        .copied()
        .filter(|no| places.device(*no).is_some_and(|device| device.kind == Kind::Clip))
        .collect();
    let overlaps = |sounding: &Sounding, error: i64| {
        let end = sounding.to.unwrap_or(question.cut_off).max(sounding.from);
        sounding.from.plus(-error) <= to && from <= end.plus(error)
    };
    let error = |sounding: &Sounding| {
        sounding.clock_err_ms.unwrap_or(UNKNOWN_ERR_MS).clamp(0, MOST_MARGIN_MS)
    };
    let mut found: Vec<&Sounding> = soundings
        .iter()
        .filter(|sounding| {
            speakers.contains(&sounding.device) && overlaps(sounding, error(sounding))
        })
        .collect();
    found.sort_by_key(|sounding| (sounding.from, sounding.device, sounding.record));
    found.dedup_by_key(|sounding| sounding.record);
    if found.len() > MOST_ROWS {
        let rows = found.len();
        return Err(ReportError::TooMany {
            table: "heard",
            what: "document",
            rows,
            most: MOST_ROWS,
        });
    }
    let lacking: BTreeMap<DeviceNo, Option<&Reason>> = speakers
        .iter()
        .filter_map(|no| match told.get(no) {
            Some(Told::All) => None,
            Some(Told::Lacking(reason)) => Some((*no, Some(reason))),
            None => Some((*no, None)),
        })
        .collect();
    let standing = match lacking.len() as u64 {
        0 => Standing::Final,
        devices => Standing::Lacking { devices },
    };
    let mut document = Document::new(ReportKind::Heard, places.name(unit), question, standing);
    let zone = question.zone;
    let window = format!("{} đến {}", number::instant(from, zone), number::instant(to, zone));
    document.asked = vec![
        ("Địa điểm phản ánh", "place", clean(&place.words)),
        ("Thời điểm phản ánh", "at", number::instant(place.at, zone)),
        ("Khoảng xét", "window", window.clone()),
    ];
    let certain = found.iter().filter(|sounding| overlaps(sounding, 0)).count();
    let answer =
        answer(&clean(&place.words), &window, &found, certain, speakers.len(), lacking.len());
    document.answer = Some(match (speakers.len(), found.len(), lacking.len()) {
        (0, ..) => "no-device",
        (_, 0, 0) => "silent",
        (_, 0, _) => "unknown",
        _ if certain == 0 => "maybe",
        _ => "sounded",
    });
    document.parts.push(Part::Heading("Trả lời".to_owned()));
    document.parts.push(Part::Text(answer));
    if !found.is_empty() {
        let mut table = Table::new("heard", "Những gì đã phát ra âm thanh", &COLUMNS);
        for sounding in &found {
            table.push(row(question, places, sounding, overlaps(sounding, 0)));
        }
        document.parts.push(Part::Table(table));
    }
    if !lacking.is_empty() {
        document.parts.push(Part::Table(unknown(question, places, &lacking)));
    }
    document.parts.push(Part::Table(asked(places, &speakers, &lacking, &found)));
    document.notes = vec![
        "Giờ theo đồng hồ của thiết bị; “có thể” nghĩa là chỉ trùng khi tính cả sai số đồng hồ.".to_owned(),
        "Âm lượng đặt: 100 là nguyên mức của bài, mỗi nấc giảm 0,5 dB; đây không phải mức ồn đo tại nơi nghe."
            .to_owned(),
        "Bản ghi gốc có chữ ký của thiết bị, tra theo SHA-256 hoặc vị trí trong nhật ký bằng chứng.".to_owned(),
    ];
    Ok(document)
}

fn answer(
    place: &str,
    window: &str,
    found: &[&Sounding],
    certain: usize,
    speakers: usize,
    lacking: usize,
) -> String {
    let devices = |found: &[&Sounding]| {
        let devices: BTreeSet<DeviceNo> = found.iter().map(|sounding| sounding.device).collect();
        number::count(devices.len() as u64)
    };
    let count = |count: usize| number::count(count as u64);
    let mut said = match (speakers, found.len()) {
        (0, _) => format!("Hệ thống không có cụm loa nào tại {place}."),
        (all, 0) if lacking == 0 => format!(
            "Không có thiết bị nào của hệ thống phát âm thanh tại {place} trong khoảng {window}: cả {} cụm loa đã \
             gửi đủ bản ghi và không bản ghi nào có âm thanh.",
            count(all)
        ),
        (all, 0) => format!(
            "Chưa kết luận được: {} trong {} cụm loa tại {place} chưa gửi đủ bản ghi cho khoảng {window}; các cụm \
             còn lại không phát.",
            count(lacking),
            count(all)
        ),
        (all, plays) if certain == 0 => format!(
            "Có thể: {} lượt phát của {} trong {} cụm loa tại {place} chỉ trùng khoảng {window} khi tính cả sai số \
             đồng hồ.",
            count(plays),
            devices(found),
            count(all)
        ),
        (all, plays) => format!(
            "Có: {} trong {} cụm loa tại {place} phát {} lượt trong khoảng {window} ({} lượt chắc chắn trùng giờ).",
            devices(found),
            count(all),
            count(plays),
            count(certain)
        ),
    };
    if !found.is_empty() && lacking > 0 {
        said.push_str(" Ngoài ra ");
        said.push_str(&count(lacking));
        said.push_str(" cụm loa chưa gửi đủ bản ghi, chưa biết có phát hay không.");
    }
    said
}

fn row(question: &Question, places: &Places, sounding: &Sounding, certain: bool) -> Vec<Cell> {
    let device = places.device(sounding.device);
    let text = |text: Option<&str>| Cell::text(text.unwrap_or_default());
    // Half a decibel a step below 100; nought is mute.
    let step_cb = sounding
        .volume
        .filter(|volume| *volume > 0)
        .map(|volume| (i64::from(volume.min(100)) - 100) * 5);
    let level = step_cb
        .zip(sounding.gain_cb)
        .map(|(step, gain)| number::decibel(step.saturating_add(gain)));
    let order = match &sounding.order {
        Order::Approval { by, at, hash } => format!(
            "lịch do {} duyệt lúc {} ({}…)",
            clean(by),
            number::instant(*at, question.zone),
            &hash.to_string()[..12]
        ),
        Order::Notice { document, by } => {
            format!("thông báo khẩn {}, {}", clean(document), clean(by))
        }
        Order::Command { what, by } => format!("lệnh {} của {}", clean(what), clean(by)),
        Order::Unknown => "không có lệnh nào của hệ thống".to_owned(),
    };
    vec![
        Cell::Instant(sounding.from),
        sounding.to.map_or(Cell::Empty, Cell::Instant),
        text(device.map(|device| device.id.as_str())),
        text(device.map(|device| device.name.as_str())),
        Cell::text(&sounding.title),
        Cell::text(&sounding.item),
        sounding.volume.map_or(Cell::Empty, |volume| Cell::Count(u64::from(volume))),
        sounding.lufs_cb.map_or(Cell::Empty, |cb| Cell::text(&number::decibel(cb))),
        level.map_or(Cell::Empty, |level| Cell::text(&level)),
        Cell::text(&order),
        Cell::text(if certain { "có" } else { "có thể" }),
        sounding.clock_err_ms.map_or(Cell::text("không rõ"), Cell::Length),
        Cell::text(words::grade(sounding.grade)),
        Cell::text(&sounding.record.to_string()),
        sounding.index.map_or(Cell::Empty, Cell::Count),
    ]
}

fn unknown(
    question: &Question,
    places: &Places,
    lacking: &BTreeMap<DeviceNo, Option<&Reason>>,
) -> Table {
    let columns = [
        column("device", "Thiết bị", "Device", 18),
        column("device_name", "Vị trí", "Where it stands", 34),
        column("why", "Vì sao chưa biết", "Why it is not known", 48),
    ];
    let mut table = Table::new("unknown", "Cụm loa chưa gửi đủ bản ghi", &columns);
    for (no, reason) in lacking {
        let Some(device) = places.device(*no) else { continue };
        let why = reason.map_or("chưa có bản ghi nào".to_owned(), |reason| {
            words::reason(reason, question.zone)
        });
        table.push(vec![
            Cell::text(device.id.as_str()),
            Cell::text(&device.name),
            Cell::text(&why),
        ]);
    }
    table
}

fn asked(
    places: &Places,
    speakers: &BTreeSet<DeviceNo>,
    lacking: &BTreeMap<DeviceNo, Option<&Reason>>,
    found: &[&Sounding],
) -> Table {
    let columns = [
        column("device", "Thiết bị", "Device", 18),
        column("device_name", "Vị trí", "Where it stands", 34),
        column("answer", "Trong khoảng xét", "Within the time", 26),
    ];
    let mut table = Table::new("devices", "Các cụm loa được xét", &columns);
    let sounded: BTreeSet<DeviceNo> = found.iter().map(|sounding| sounding.device).collect();
    for no in speakers {
        let Some(device) = places.device(*no) else { continue };
        let answer = match (sounded.contains(no), lacking.contains_key(no)) {
            (true, _) => "có phát",
            (false, true) => "chưa biết",
            (false, false) => "không phát",
        };
        table.push(vec![
            Cell::text(device.id.as_str()),
            Cell::text(&device.name),
            Cell::text(answer),
        ]);
    }
    table
}
