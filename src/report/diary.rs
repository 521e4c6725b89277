//! The commune's monthly broadcast diary (sổ nhật ký phát thanh): what sounded on which day.
//!
//! One row a broadcast, in the order of time, with the devices that confirm it beside those it was
//! due on; then one row a day with its sessions and minutes, and the urgent notices. A session is what sounds less than 15
//! minutes apart; its minutes run from the first start to the last end.

use super::document::{Cell, Column, Document, Part, ReportKind, Table, column};
use super::evidence::{Aired, Cut, Evidence};
use super::number;
use super::question::{Question, ReportError};
use super::urgent::{Notice, tell};
use super::words;
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// Longest diary in days.
const MOST_DAYS: i64 = 366;
/// Sound further apart than this is another session.
const SESSION_GAP_MS: i64 = 15 * 60_000;

const COLUMNS: [Column; 14] = [
    column("date", "Ngày", "Date", 11),
    column("due", "Giờ theo lịch", "Due", 9),
    column("started", "Giờ phát thực tế", "First start", 10),
    column("title", "Nội dung tin, bài", "Title", 34),
    column("item", "Mã tin, bài", "Item", 18),
    column("author", "Tác giả", "Author", 16),
    column("reader", "Người đọc", "Reader", 16),
    column("kind", "Thiết bị", "Output", 10),
    column("length_ms", "Thời lượng", "Length", 9),
    column("confirmed", "Thiết bị xác nhận phát trọn", "Devices that confirm", 18),
    column("partial", "Phát một phần", "Partial", 8),
    column("explained", "Không phát, có lý do", "Explained", 9),
    column("missing", "Không phát, không rõ", "Missing", 9),
    column("note", "Ghi chú", "Note", 18),
];

const DAY_COLUMNS: [Column; 5] = [
    column("date", "Ngày", "Date", 12),
    column("sessions", "Số buổi phát thanh", "Sessions", 12),
    column("length_ms", "Thời lượng phát thanh", "Length of sound", 14),
    column("broadcasts", "Số tin, bài đã phát", "Broadcasts", 14),
    column("confirmed", "Lượt thiết bị xác nhận", "Confirmed plays", 22),
];

/// Makes the diary of a commune, or of what lies in a larger unit.
pub fn diary(
    question: &Question,
    evidence: Evidence<'_>,
    notices: &[Notice],
) -> Result<Document, ReportError> {
    question.at_most(MOST_DAYS)?;
    let cut = evidence.cut(question)?;
    let tally = cut.tally();
    let standing = question.standing(tally.unsettled);
    let mut document = Document::new(ReportKind::Diary, cut.name(cut.unit), question, standing);
    let several = cut.communes().len() > 1;
    document.parts.push(Part::Table(broadcasts(question, &cut, several)));
    document.parts.push(Part::Table(days(&cut)));
    let urgent = tell(question, evidence.places, &cut.scope, notices).notices;
    if !urgent.rows.is_empty() {
        let keys = ["sent", "document", "issuer", "reason", "by", "mode", "began", "first_ms"];
        document.parts.push(Part::Table(urgent.only(&keys)));
    }
    document.notes = vec![
        "Mỗi dòng là một lần phát một tin, bài tại một xã; giờ phát thực tế là giờ thiết bị đầu tiên bắt đầu."
            .to_owned(),
        confirmed_note(),
        "Một buổi phát thanh gồm các tin, bài phát cách nhau dưới 15 phút.".to_owned(),
    ];
    document.signers = vec!["NGƯỜI LẬP SỔ", "PHỤ TRÁCH ĐÀI TRUYỀN THANH"];
    Ok(document)
}

/// Says what a confirmed play is.
pub(super) fn confirmed_note() -> String {
    format!(
        "Lượt phát xác nhận: thiết bị ký bản ghi đã phát từ 98 % thời lượng (bảng điện tử 95 %), mức bằng \
         chứng từ {} ({}) trở lên. Số liệu đếm thiết bị và lượt phát, không phải số người nghe.",
        super::airing::CONFIRMED_GRADE,
        words::grade(super::airing::CONFIRMED_GRADE)
    )
}

fn broadcasts(question: &Question, cut: &Cut<'_>, several: bool) -> Table {
    let mut table = Table::new("diary", "Nhật ký phát thanh", &COLUMNS);
    let mut aired: Vec<Aired<'_>> = cut.aired().collect();
    aired.sort_by(|a, b| {
        let key = |aired: &Aired<'_>| {
            (
                aired.day,
                aired.broadcast.at_ms,
                cut.all.places.unit(aired.unit).map(|u| u.id.clone()),
            )
        };
        key(a).cmp(&key(b)).then_with(|| a.content.cmp(b.content))
    });
    let mut sum = super::airing::Tally::default();
    for aired in &aired {
        let tally = &aired.broadcast.tally;
        sum.merge(tally);
        table.push(vec![
            Cell::Date(aired.day),
            Cell::text(&number::clock(aired.broadcast.at_ms, question.zone)),
            aired
                .broadcast
                .first_ms
                .map_or(Cell::Empty, |at| Cell::text(&number::clock(at, question.zone))),
            Cell::text(&aired.content.title),
            Cell::text(&aired.content.item),
            Cell::text(aired.content.author.as_deref().unwrap_or_default()),
            Cell::text(aired.content.reader.as_deref().unwrap_or_default()),
            Cell::text(words::kind(aired.content.subject.kind)),
            Cell::Length(aired.length_ms()),
            Cell::Share { part: tally.confirmed(), whole: tally.expected },
            Cell::Count(tally.partial),
            Cell::Count(tally.explained()),
            Cell::Count(tally.missing),
            Cell::text(&note(cut, aired, several)),
        ]);
    }
    table.sum(vec![
        Cell::text("Cộng"),
        Cell::Empty,
        Cell::Empty,
        Cell::text(&format!("{} lần phát", number::count(aired.len() as u64))),
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::Share { part: sum.confirmed(), whole: sum.expected },
        Cell::Count(sum.partial),
        Cell::Count(sum.explained()),
        Cell::Count(sum.missing),
    ]);
    table
}

fn note(cut: &Cut<'_>, aired: &Aired<'_>, several: bool) -> String {
    let tally = &aired.broadcast.tally;
    let mut said = Vec::new();
    if several || aired.unit != cut.unit {
        said.push(cut.name(aired.unit));
    }
    for (number, what) in [
        (tally.pending, "chờ kết quả"),
        (tally.superseded, "phát dù đã rút khỏi lịch"),
        (tally.unplanned, "phát ngoài lịch"),
    ] {
        if number > 0 {
            said.push(format!("{} thiết bị {what}", number::count(number)));
        }
    }
    said.join("; ")
}

#[derive(Default)]
struct Day {
    /// Sound by start and end.
    sound: Vec<(UtcMs, UtcMs)>,
    broadcasts: u64,
    tally: super::airing::Tally,
}

fn days(cut: &Cut<'_>) -> Table {
    let mut table = Table::new("days", "Tổng hợp theo ngày", &DAY_COLUMNS);
    let mut days: BTreeMap<NaiveDate, Day> = BTreeMap::new();
    for aired in cut.aired() {
        let day = days.entry(aired.day).or_default();
        day.tally.merge(&aired.broadcast.tally);
        if let Some(first) = aired.broadcast.first_ms {
            day.broadcasts += 1;
            if aired.content.subject.kind == Kind::Clip {
                day.sound.push((first, first.plus(aired.sounded_ms())));
            }
        }
    }
    let (mut sessions_sum, mut length_sum, mut broadcasts_sum) = (0, 0_i64, 0);
    let mut tally_sum = super::airing::Tally::default();
    for (date, mut day) in days {
        let (sessions, length) = sessions(&mut day.sound);
        sessions_sum += sessions;
        length_sum = length_sum.saturating_add(length);
        broadcasts_sum += day.broadcasts;
        tally_sum.merge(&day.tally);
        table.push(vec![
            Cell::Date(date),
            Cell::Count(sessions),
            Cell::Length(length),
            Cell::Count(day.broadcasts),
            Cell::Share { part: day.tally.confirmed(), whole: day.tally.expected },
        ]);
    }
    table.sum(vec![
        Cell::text("Cộng"),
        Cell::Count(sessions_sum),
        Cell::Length(length_sum),
        Cell::Count(broadcasts_sum),
        Cell::Share { part: tally_sum.confirmed(), whole: tally_sum.expected },
    ]);
    table
}

/// Returns how many sessions there are and how long they last together.
fn sessions(sound: &mut [(UtcMs, UtcMs)]) -> (u64, i64) {
    sound.sort();
    let mut found: Vec<(UtcMs, UtcMs)> = Vec::new();
    for (from, to) in sound.iter().copied() {
        match found.last_mut() {
            Some(last) if from.since(last.1) < SESSION_GAP_MS => last.1 = last.1.max(to),
            _ => found.push((from, to)),
        }
    }
    let lengths = found.iter().map(|(from, to)| to.since(*from));
    let length = lengths.fold(0_i64, i64::saturating_add);
    (found.len() as u64, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_less_than_fifteen_minutes_apart_is_one_session_with_its_pauses() {
        let minute = |m: i64| UtcMs(m * 60_000);
        let mut sound =
            vec![(minute(30), minute(40)), (minute(0), minute(10)), (minute(24), minute(26))];
        assert_eq!(sessions(&mut sound), (1, 40 * 60_000));
        sound.push((minute(55), minute(56)));
        assert_eq!(sessions(&mut sound), (2, 41 * 60_000));
        assert_eq!(sessions(&mut []), (0, 0));
    }
}
