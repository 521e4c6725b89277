//! The list for authors' and readers' pay (nhuận bút): whose items were broadcast, and confirmed.
//!
//! A broadcast counts once however many devices confirm it. Rates are the commune's own and stay
//! open for a hand; what was due and never confirmed is listed apart, not left out.

use super::contents::Content;
use super::diary::confirmed_note;
use super::document::{Cell, Column, Document, Part, ReportKind, Table, column};
use super::evidence::{Cut, Evidence};
use super::question::{Question, ReportError};
use super::words;
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet};

const COLUMNS: [Column; 13] = [
    column("number", "STT", "No.", 6),
    column("person", "Họ và tên", "Name", 22),
    column("role", "Công việc", "Role", 10),
    column("title", "Tin, bài", "Title", 34),
    column("item", "Mã tin, bài", "Item", 18),
    column("document", "Văn bản, nguồn", "Document", 16),
    column("first_date", "Ngày phát đầu", "First broadcast", 11),
    column("length_ms", "Thời lượng", "Length", 9),
    column("broadcasts", "Số lần phát xác nhận", "Confirmed broadcasts", 11),
    column("plays", "Lượt thiết bị xác nhận", "Confirmed plays", 20),
    column("rate", "Mức chi (đồng)", "Rate", 11),
    column("sum", "Thành tiền (đồng)", "Sum", 12),
    column("signed", "Ký nhận", "Signature", 12),
];

const OPEN_COLUMNS: [Column; 5] = [
    column("person", "Họ và tên", "Name", 22),
    column("role", "Công việc", "Role", 10),
    column("title", "Tin, bài", "Title", 34),
    column("item", "Mã tin, bài", "Item", 18),
    column("plays", "Lượt thiết bị xác nhận", "Confirmed plays", 20),
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Author,
    Reader,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Author => "tác giả",
            Self::Reader => "người đọc",
        }
    }
}

#[derive(Default)]
struct Work {
    confirmed: BTreeSet<UtcMs>,
    first: Option<NaiveDate>,
    length_ms: i64,
    plays: u64,
    expected: u64,
}

/// Makes the list.
pub fn pay(question: &Question, evidence: Evidence<'_>) -> Result<Document, ReportError> {
    question.at_most(366)?;
    let cut = evidence.cut(question)?;
    let standing = question.standing(cut.tally().unsettled);
    let mut document = Document::new(ReportKind::Pay, cut.name(cut.unit), question, standing);
    let works = works(&cut);
    let mut paid = Table::new("pay", "Tin, bài có lượt phát xác nhận", &COLUMNS);
    let mut open = Table::new("unconfirmed", "Tin, bài chưa có lượt phát xác nhận", &OPEN_COLUMNS);
    let mut number = 0;
    for ((order, role, content), work) in &works {
        let person = Cell::text(&order.1);
        let plays = Cell::Share { part: work.plays, whole: work.expected };
        if work.confirmed.is_empty() {
            open.push(vec![
                person,
                Cell::text(role.name()),
                Cell::text(&content.title),
                Cell::text(&content.item),
                plays,
            ]);
            continue;
        }
        number += 1;
        paid.push(vec![
            Cell::Count(number),
            person,
            Cell::text(role.name()),
            Cell::text(&content.title),
            Cell::text(&content.item),
            Cell::text(content.document.as_deref().unwrap_or_default()),
            work.first.map_or(Cell::Empty, Cell::Date),
            Cell::Length(work.length_ms),
            Cell::Count(work.confirmed.len() as u64),
            plays,
        ]);
    }
    document.parts.push(Part::Table(paid));
    if !open.rows.is_empty() {
        document.parts.push(Part::Table(open));
    }
    document.notes = vec![
        "Một lần phát được tính khi có ít nhất một thiết bị xác nhận, không phụ thuộc số thiết bị."
            .to_owned(),
        confirmed_note(),
        "Mức chi, thành tiền và ký nhận do đơn vị ghi theo quy chế chi tiêu của mình.".to_owned(),
    ];
    document.signers = vec!["NGƯỜI LẬP BẢNG", "KẾ TOÁN", "THỦ TRƯỞNG ĐƠN VỊ"];
    Ok(document)
}

type Key<'a> = ((String, String), Role, &'a Content);

fn works<'a>(cut: &'a Cut<'_>) -> BTreeMap<Key<'a>, Work> {
    let mut works: BTreeMap<Key<'a>, Work> = BTreeMap::new();
    for aired in cut.aired() {
        let people = [(&aired.content.author, Role::Author), (&aired.content.reader, Role::Reader)];
        for (person, role) in people {
            let Some(person) = person else { continue };
            let work = works.entry((words::order(person), role, aired.content)).or_default();
            work.plays += aired.broadcast.tally.confirmed();
            work.expected += aired.broadcast.tally.expected;
            work.length_ms = work.length_ms.max(aired.length_ms());
            if aired.is_confirmed() {
                work.confirmed.insert(aired.broadcast.at_ms);
                work.first = Some(work.first.map_or(aired.day, |known| known.min(aired.day)));
            }
        }
    }
    works
}
