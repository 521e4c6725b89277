//! The as-run log: every cue on every device, as it was and why.
//!
//! The one report whose rows are single plays; a province's month has millions, so rows are made
//! one at a time: [`head`], then a [`row`] each, written by [`super::render::csv::Writer`] or as
//! lines by [`super::render::json`]. As a document it is bounded. Of a hamlet it can be asked too.

use super::airing::Airing;
use super::document::{Cell, Column, Document, Part, ReportKind, Table, column};
use super::evidence::Evidence;
use super::question::{Question, ReportError};
use super::words;
use crate::domain::ids::{CueId, Digest};
use crate::domain::proof::outcome::{Reason, Stage};

/// Most rows of a document.
pub const MOST_ROWS: usize = 200_000;

/// One cue on one device with why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub airing: Airing,
    pub cue: CueId,
    pub reason: Reason,
    /// Volume of the play, 0-100, when the device says so.
    pub volume: Option<u8>,
    /// The record that says so: its SHA-256 and its index in the log, when there is one.
    pub record: Option<(Digest, Option<u64>)>,
}

/// The columns.
pub const COLUMNS: [Column; 20] = [
    column("at", "Giờ theo lịch", "Due", 18),
    column("started", "Giờ bắt đầu", "Started", 18),
    column("unit", "Mã đơn vị", "Unit", 9),
    column("unit_name", "Đơn vị", "Unit name", 22),
    column("device", "Thiết bị", "Device", 18),
    column("device_name", "Tên thiết bị", "Device name", 24),
    column("title", "Tin, bài", "Title", 30),
    column("item", "Mã tin, bài", "Item", 16),
    column("line", "Dòng kế hoạch", "Plan line", 10),
    column("result", "Kết quả", "Result", 14),
    column("reason", "Lý do", "Reason", 26),
    column("plan", "So với lịch", "Against schedule", 10),
    column("stage", "Tình trạng", "Stage", 10),
    column("due_ms", "Thời lượng theo lịch", "Due length", 9),
    column("played_ms", "Thời lượng đã phát", "Played", 9),
    column("grade", "Mức bằng chứng", "Grade", 7),
    column("volume", "Âm lượng", "Volume", 7),
    column("cue", "Mã lượt phát", "Cue", 32),
    column("record", "SHA-256 bản ghi", "Record", 34),
    column("index", "Vị trí trong nhật ký", "Log index", 10),
];

/// Makes the row of one run.
pub fn row(question: &Question, evidence: Evidence<'_>, run: &Run) -> Vec<Cell> {
    let (places, airing) = (evidence.places, &run.airing);
    let day = super::period::day_of(airing.at_ms, question.zone);
    let unit = places.stood(airing.device, day);
    let device = places.device(airing.device);
    let content = evidence.contents.get(airing.content);
    let text = |text: Option<&str>| Cell::text(text.unwrap_or_default());
    vec![
        Cell::Instant(airing.at_ms),
        airing.started_ms.map_or(Cell::Empty, Cell::Instant),
        text(unit.and_then(|no| places.unit(no)).map(|unit| unit.id.as_str())),
        Cell::text(&unit.map(|no| places.name(no)).unwrap_or_default()),
        text(device.map(|device| device.id.as_str())),
        text(device.map(|device| device.name.as_str())),
        text(content.map(|content| content.title.as_str())),
        text(content.map(|content| content.item.as_str())),
        text(content.and_then(|content| content.subject.line.as_deref())),
        Cell::text(words::verdict(airing.result)),
        Cell::text(&words::reason(&run.reason, question.zone)),
        Cell::text(words::plan(airing.plan)),
        Cell::text(words::stage(airing.stage)),
        Cell::Length(airing.due_ms),
        Cell::Length(airing.played_ms),
        Cell::Count(u64::from(airing.grade)),
        run.volume.map_or(Cell::Empty, |volume| Cell::Count(u64::from(volume))),
        Cell::text(&run.cue.to_string()),
        run.record.as_ref().map_or(Cell::Empty, |(digest, _)| Cell::text(&digest.to_string())),
        run.record.and_then(|(_, index)| index).map_or(Cell::Empty, Cell::Count),
    ]
}

/// Returns the head of the log: what was asked and what it is made from, without rows.
pub fn head(
    question: &Question,
    evidence: Evidence<'_>,
    unsettled: u64,
) -> Result<Document, ReportError> {
    let (unit, _) = question.scope(evidence.places)?;
    let standing = question.standing(unsettled);
    let name = evidence.places.name(unit);
    let mut document = Document::new(ReportKind::AsRun, name, question, standing);
    document.notes = vec![
        "Giờ bắt đầu theo đồng hồ của thiết bị; bản ghi gốc tra theo SHA-256 trong nhật ký bằng chứng."
            .to_owned(),
    ];
    Ok(document)
}

/// Makes the log as a document, by time, device and cue; runs of other units or days are left out.
pub fn as_run(
    question: &Question,
    evidence: Evidence<'_>,
    runs: &[Run],
) -> Result<Document, ReportError> {
    let (_, scope) = question.scope(evidence.places)?;
    let mut inside: Vec<&Run> =
        runs.iter().filter(|run| belongs(question, evidence, &scope, run)).collect();
    if inside.len() > MOST_ROWS {
        return Err(ReportError::TooMany {
            table: "as-run",
            what: "document",
            rows: inside.len(),
            most: MOST_ROWS,
        });
    }
    inside.sort_by_key(|run| (run.airing.at_ms, run.airing.device, run.cue));
    let unsettled = inside.iter().filter(|run| run.airing.stage != Stage::Final).count() as u64;
    let mut document = head(question, evidence, unsettled)?;
    let mut table = Table::new("as-run", "Từng lượt phát trên từng thiết bị", &COLUMNS);
    for run in inside {
        table.push(row(question, evidence, run));
    }
    document.parts.push(Part::Table(table));
    Ok(document)
}

/// Says whether a run belongs to the answer.
pub fn belongs(
    question: &Question,
    evidence: Evidence<'_>,
    scope: &super::places::Scope,
    run: &Run,
) -> bool {
    let day = super::period::day_of(run.airing.at_ms, question.zone);
    question.period.contains(day)
        && evidence.places.stood(run.airing.device, day).is_some_and(|unit| scope.holds(unit))
}
