//! Urgent notices: how soon they sounded, on how many of the devices they were for, and which
//! devices they did not reach.
//!
//! Invariant: a device that a notice was for is in exactly one count; times to the first play are
//! of those that began, and stand beside how many that are.

use super::document::{Cell, Column, Document, Part, ReportKind, Table, column};
use super::number;
use super::places::{DeviceNo, Places, Scope};
use super::question::{Question, ReportError, Standing};
use super::words::{self, clean};
use crate::domain::time::UtcMs;
use std::collections::BTreeMap;

/// How far a device has come with a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// No record of it.
    Not,
    /// It has the notice, and did not begin.
    Held,
    /// It began, at so many milliseconds after sending.
    Began { after_ms: i64 },
    /// It refused.
    Refused,
    /// It was taken back before it began.
    Withdrawn,
}

/// One device of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeDevice {
    pub device: DeviceNo,
    pub reached: Reached,
    /// The device's own word why.
    pub why: Option<String>,
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub id: String,
    pub reason: String,
    /// Number of the document it rests on.
    pub document: String,
    pub issuer: String,
    pub by: String,
    pub sent: UtcMs,
    pub expires: UtcMs,
    /// A drill sounds nowhere: its row says so and it has no times.
    pub drill: bool,
    pub devices: Vec<NoticeDevice>,
}

/// Counts of one notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub devices: u64,
    pub began: u64,
    pub held: u64,
    pub refused: u64,
    pub withdrawn: u64,
    pub not_reached: u64,
    /// Milliseconds to the first play of those that began, sorted.
    pub after_ms: Vec<i64>,
}

impl Counts {
    /// Returns the time within which so many percent of those that began had begun.
    pub fn within(&self, percent: usize) -> Option<i64> {
        let rank = (self.after_ms.len() * percent).div_ceil(100).max(1);
        self.after_ms.get(rank - 1).copied()
    }
}

const COLUMNS: [Column; 17] = [
    column("sent", "Giờ gửi", "Sent", 18),
    column("document", "Số văn bản", "Document", 16),
    column("issuer", "Cơ quan ban hành", "Issuer", 22),
    column("reason", "Lý do", "Reason", 28),
    column("by", "Người gửi", "Sent by", 16),
    column("mode", "Hình thức", "Mode", 10),
    column("began", "Thiết bị đã phát", "Began", 18),
    column("held", "Đã nhận, chưa phát", "Held", 9),
    column("refused", "Từ chối", "Refused", 8),
    column("withdrawn", "Rút trước khi phát", "Withdrawn", 9),
    column("not_reached", "Không liên lạc được", "Not reached", 10),
    column("first_ms", "Sớm nhất", "First", 9),
    column("median_ms", "Một nửa sau", "Median", 9),
    column("most_ms", "90 % sau", "90 %", 9),
    column("last_ms", "Muộn nhất", "Last", 9),
    column("expires", "Hết hiệu lực", "Expires", 18),
    column("notice", "Mã thông báo", "Notice", 24),
];

const MISSED: [Column; 7] = [
    column("document", "Số văn bản", "Document", 16),
    column("sent", "Giờ gửi", "Sent", 18),
    column("unit", "Xã", "Commune", 24),
    column("device", "Thiết bị", "Device", 18),
    column("device_name", "Vị trí", "Where it stands", 30),
    column("state", "Tình trạng", "State", 18),
    column("why", "Lý do thiết bị báo", "Its own word", 26),
];

/// What the notices of a question came to.
pub(super) struct Told {
    /// A row a notice.
    pub notices: Table,
    /// A row a device that did not begin.
    pub missed: Table,
    /// Devices that may still begin.
    pub open: u64,
}

/// Tells the notices sent in the period to devices of the scope.
pub(super) fn tell(
    question: &Question,
    places: &Places,
    scope: &Scope,
    notices: &[Notice],
) -> Told {
    let mut told = Told {
        notices: Table::new("notices", "Thông báo khẩn đã gửi", &COLUMNS),
        missed: Table::new("not-reached", "Thiết bị chưa phát", &MISSED),
        open: 0,
    };
    for notice in chosen(question, notices) {
        let day = super::period::day_of(notice.sent, question.zone);
        let stands = |no: DeviceNo| places.stood(no, day).is_some_and(|unit| scope.holds(unit));
        let inside = notice.devices.iter().filter(|one| stands(one.device));
        let devices: BTreeMap<DeviceNo, &NoticeDevice> =
            inside.map(|one| (one.device, one)).collect();
        if devices.is_empty() {
            continue;
        }
        let counts = counts(devices.values().copied());
        if notice.expires > question.cut_off {
            told.open += counts.devices - counts.began;
        }
        told.notices.push(row(notice, &counts));
        let began = |one: &NoticeDevice| matches!(one.reached, Reached::Began { .. });
        for one in devices.values().filter(|one| !notice.drill && !began(one)) {
            told.missed.push(missed_row(places, notice, one, day));
        }
    }
    told
}

/// Makes the report over the notices sent in the period to devices of the scope.
pub fn urgent(
    question: &Question,
    places: &Places,
    notices: &[Notice],
) -> Result<Document, ReportError> {
    let (unit, scope) = question.scope(places)?;
    let Told { notices, missed, open } = tell(question, places, &scope, notices);
    let standing = match question.standing(0) {
        Standing::Provisional { unsettled: 0 } => Standing::Provisional { unsettled: 0 },
        _ if open > 0 => Standing::Lacking { devices: open },
        standing => standing,
    };
    let mut document = Document::new(ReportKind::Urgent, places.name(unit), question, standing);
    if notices.rows.is_empty() {
        let none = format!("Không có thông báo khẩn nào trong {}.", question.period.name());
        document.parts.push(Part::Text(none));
    }
    document.parts.extend([notices, missed].map(Part::Table));
    document.notes = vec![
        "Thời gian tính từ lúc gửi đến lúc thiết bị bắt đầu phát, theo đồng hồ thiết bị; chỉ của thiết bị \
         đã phát."
            .to_owned(),
        "Diễn tập không phát âm thanh; thiết bị chỉ trả lời.".to_owned(),
    ];
    Ok(document)
}

/// Returns the notices of the period, by time and name.
pub(super) fn chosen<'a>(question: &Question, notices: &'a [Notice]) -> Vec<&'a Notice> {
    let (from, to) = question.period.instants(question.zone);
    let mut chosen: Vec<&Notice> =
        notices.iter().filter(|notice| from <= notice.sent && notice.sent < to).collect();
    chosen.sort_by(|a, b| (a.sent, &a.id).cmp(&(b.sent, &b.id)));
    chosen
}

/// Counts the devices of a notice.
pub(super) fn counts<'a>(devices: impl Iterator<Item = &'a NoticeDevice>) -> Counts {
    let mut counts = Counts::default();
    for one in devices {
        counts.devices += 1;
        match one.reached {
            Reached::Not => counts.not_reached += 1,
            Reached::Held => counts.held += 1,
            Reached::Refused => counts.refused += 1,
            Reached::Withdrawn => counts.withdrawn += 1,
            Reached::Began { after_ms } => {
                counts.began += 1;
                counts.after_ms.push(after_ms.max(0));
            }
        }
    }
    counts.after_ms.sort_unstable();
    counts
}

fn row(notice: &Notice, counts: &Counts) -> Vec<Cell> {
    let length = |ms: Option<i64>| ms.filter(|_| !notice.drill).map_or(Cell::Empty, Cell::Length);
    vec![
        Cell::Instant(notice.sent),
        Cell::text(&notice.document),
        Cell::text(&notice.issuer),
        Cell::text(&notice.reason),
        Cell::text(&notice.by),
        Cell::text(if notice.drill { "diễn tập" } else { "phát thật" }),
        Cell::Share { part: counts.began, whole: counts.devices },
        Cell::Count(counts.held),
        Cell::Count(counts.refused),
        Cell::Count(counts.withdrawn),
        Cell::Count(counts.not_reached),
        length(counts.after_ms.first().copied()),
        length(counts.within(50)),
        length(counts.within(90)),
        length(counts.after_ms.last().copied()),
        Cell::Instant(notice.expires),
        Cell::text(&notice.id),
    ]
}

fn missed_row(
    places: &Places,
    notice: &Notice,
    one: &NoticeDevice,
    day: chrono::NaiveDate,
) -> Vec<Cell> {
    let device = places.device(one.device);
    let commune = places.commune(one.device, day);
    let state = match one.reached {
        Reached::Not => "không liên lạc được",
        Reached::Held => "đã nhận, chưa phát",
        Reached::Refused => "từ chối",
        Reached::Withdrawn => "rút trước khi phát",
        Reached::Began { .. } => "đã phát",
    };
    vec![
        Cell::text(&clean(&notice.document)),
        Cell::Instant(notice.sent),
        Cell::text(&commune.map(|no| places.name(no)).unwrap_or_default()),
        Cell::text(device.map_or("", |device| device.id.as_str())),
        Cell::text(device.map_or("", |device| &device.name)),
        Cell::text(state),
        Cell::text(&one.why.as_deref().map(words::cause).unwrap_or_default()),
    ]
}

/// Says one notice in a sentence, for the yearly report.
pub(super) fn sentence(question: &Question, notice: &Notice, counts: &Counts) -> String {
    let mut said = format!(
        "{}: {} ({}), {} thiết bị đã phát",
        number::instant(notice.sent, question.zone),
        clean(&notice.reason),
        clean(&notice.document),
        number::share(counts.began, counts.devices)
    );
    if let Some(half) = counts.within(50) {
        said.push_str(", một nửa số đó sau ");
        said.push_str(&number::duration(half));
    }
    said.push('.');
    said
}
