//! Plan against actual: what administrative plans order, beside what evidence confirms.
//!
//! A line is judged for each unit it counts in and each of its periods that meets the days asked
//! for; what is missing comes first. A period that is not over is open, never missing.
//!
//! # Invariants
//! * What was ordered and what counts is printed beside every number: no figure without its unit.
//! * A commune of the scope without a device or a broadcast has its row like the others.

mod judge;
mod line;

pub(super) use judge::judge;
pub use judge::{Judged, Kept};
pub use line::{Counted, Every, PlanLine, PlanScope};

use super::diary::confirmed_note;
use super::document::{Cell, Column, Document, Part, ReportKind, Table, column};
use super::evidence::{Cut, Evidence};
use super::manual::Manual;
use super::number;
use super::question::{Question, ReportError};
use super::words::clean;
use judge::sums;
use std::collections::{BTreeMap, BTreeSet};

const COLUMNS: [Column; 14] = [
    column("kept", "Kết quả", "Result", 11),
    column("unit", "Mã", "Code", 7),
    column("name", "Đơn vị", "Unit", 26),
    column("period", "Kỳ", "Period", 18),
    column("line", "Dòng kế hoạch", "Plan line", 12),
    column("title", "Nội dung", "What", 28),
    column("citation", "Căn cứ", "Citation", 22),
    column("counted", "Đơn vị tính", "Counted", 11),
    column("least", "Kế hoạch (ít nhất)", "Ordered", 9),
    column("actual", "Thực hiện", "Actual", 9),
    column("short", "Còn thiếu", "Short by", 8),
    column("devices", "Thiết bị xác nhận / theo lịch", "Devices", 18),
    column("manual", "Minh chứng nhập tay (không cộng)", "Entered by hand", 10),
    column("lead", "Chủ trì; phối hợp", "Lead; coordinating", 24),
];

/// Makes the report.
pub fn compare(
    question: &Question,
    evidence: Evidence<'_>,
    lines: &[PlanLine],
    manual: &[Manual],
) -> Result<Document, ReportError> {
    let cut = evidence.cut(question)?;
    let standing = question.standing(cut.tally().unsettled);
    let mut document = Document::new(ReportKind::Compare, cut.name(cut.unit), question, standing);
    let judged = judge(question, &cut, lines, manual);
    document.parts.push(Part::Table(summary(&judged, lines)));
    document.parts.push(Part::Table(rows(&cut, &judged)));
    let unknown = [unknown(&cut, lines), strangers(&cut, lines)];
    let unknown = unknown.into_iter().filter(|table| !table.rows.is_empty());
    document.parts.extend(unknown.map(Part::Table));
    document.notes = vec![
        "Dòng thiếu đứng trước. Xã sáp nhập, chia tách hoặc mới lập trong kỳ có dòng riêng, không tính là thiếu."
            .to_owned(),
        "Kỳ chưa kết thúc hoặc nằm ngoài thời gian hỏi được ghi “chưa hết kỳ”.".to_owned(),
        "Chương trình: tin, bài khác nhau có ít nhất một lượt phát xác nhận; lần phát: mỗi lần một tin, bài \
         được phát tại một xã; phút: thời lượng các lần phát có xác nhận."
            .to_owned(),
        confirmed_note(),
    ];
    Ok(document)
}

/// Counts how many units and periods met each line.
pub(in crate::report) fn summary(judged: &[Judged<'_>], lines: &[PlanLine]) -> Table {
    let columns = [
        column("line", "Dòng kế hoạch", "Plan line", 12),
        column("title", "Nội dung", "What", 34),
        column("citation", "Căn cứ", "Citation", 24),
        column("ordered", "Mức phải đạt", "Ordered", 34),
        column("met", "Đạt / số kỳ đã hết của các đơn vị", "Met", 18),
        column("missing", "Thiếu", "Missing", 8),
        column("partly", "Xã không tồn tại trọn kỳ", "Merged or new", 10),
        column("open", "Chưa hết kỳ", "Open", 8),
    ];
    let mut table = Table::new("summary", "Tổng hợp theo dòng kế hoạch", &columns);
    let mut lines: Vec<&PlanLine> = lines.iter().collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    for line in lines {
        let count = |kept: Kept| {
            judged.iter().filter(|j| j.line.id == line.id && j.kept == kept).count() as u64
        };
        let met_over = count(Kept::Met);
        table.push(vec![
            Cell::text(&line.id),
            Cell::text(&line.title),
            Cell::text(&line.citation),
            Cell::text(&ordered(line)),
            Cell::Share { part: met_over, whole: met_over + count(Kept::Missing) },
            Cell::Count(count(Kept::Missing)),
            Cell::Count(count(Kept::Partly)),
            Cell::Count(count(Kept::Open)),
        ]);
    }
    table
}

fn ordered(line: &PlanLine) -> String {
    let every = match line.every {
        Every::Month => "mỗi tháng".to_owned(),
        Every::Year => "mỗi năm".to_owned(),
        Every::Term => line.term.name(),
    };
    let scope = match &line.scope {
        PlanScope::EachCommune => "mỗi xã".to_owned(),
        PlanScope::Each(units) => {
            format!("mỗi đơn vị trong {} đơn vị", number::count(units.len() as u64))
        }
        PlanScope::Together => "toàn địa bàn".to_owned(),
    };
    format!("ít nhất {} {} {every}, {scope}", number::count(line.least), line.counted.name())
}

fn rows(cut: &Cut<'_>, judged: &[Judged<'_>]) -> Table {
    let mut table = Table::new("compare", "Kế hoạch và thực hiện", &COLUMNS);
    for judged in judged {
        let line = judged.line;
        let lead: Vec<String> =
            line.lead.iter().chain(&line.coordinating).map(|unit| clean(unit)).collect();
        table.push(vec![
            Cell::text(judged.kept.name()),
            Cell::text(cut.all.places.unit(judged.unit).map_or("", |unit| unit.id.as_str())),
            Cell::text(&cut.name(judged.unit)),
            Cell::text(&judged.period.name()),
            Cell::text(&line.id),
            Cell::text(&line.title),
            Cell::text(&line.citation),
            Cell::text(line.counted.name()),
            Cell::Count(line.least),
            Cell::Count(judged.actual),
            Cell::Count(line.least.saturating_sub(judged.actual)),
            Cell::Share { part: judged.devices.0, whole: judged.devices.1 },
            Cell::Count(judged.manual),
            Cell::text(&lead.join("; ")),
        ]);
    }
    table
}

/// Lists units that lines name and the register does not have: nobody is judged for them.
fn strangers(cut: &Cut<'_>, lines: &[PlanLine]) -> Table {
    let columns = [
        column("line", "Dòng kế hoạch", "Plan line", 24),
        column("unit", "Mã đơn vị không có trong danh mục", "Unknown unit", 24),
    ];
    let mut table = Table::new("unknown-units", "Đơn vị không có trong danh mục", &columns);
    let mut found = BTreeSet::new();
    for line in lines {
        if let PlanScope::Each(units) = &line.scope {
            let unknown = units.iter().filter(|unit| cut.all.places.unit_no(unit).is_none());
            found.extend(unknown.map(|unit| (line.id.as_str(), unit)));
        }
    }
    for (line, unit) in found {
        table.push(vec![Cell::text(line), Cell::text(unit.as_str())]);
    }
    table
}

/// Lists lines that items name and no plan has: their broadcasts would count for nothing.
fn unknown(cut: &Cut<'_>, lines: &[PlanLine]) -> Table {
    let columns = [
        column("line", "Dòng kế hoạch ghi ở tin, bài", "Plan line named", 24),
        column("broadcasts", "Lần phát có xác nhận", "Confirmed broadcasts", 14),
    ];
    let mut table = Table::new("unknown-lines", "Dòng kế hoạch không có trong danh mục", &columns);
    let known: BTreeSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for (line, by_unit) in sums(cut).into_iter().filter(|(line, _)| !known.contains(line)) {
        let days = by_unit.values().flat_map(|sums| sums.days.values());
        *found.entry(line).or_default() += days.map(|counts| counts.broadcasts).sum::<u64>();
    }
    for (line, broadcasts) in found {
        table.push(vec![Cell::text(line), Cell::Count(broadcasts)]);
    }
    table
}
