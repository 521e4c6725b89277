//! A document as data: what every renderer writes, whatever the format.
//!
//! Invariants: every row has as many cells as its table has columns; text of cells was made fit
//! ([`super::words::clean`]) when it entered; keys are stable, kebab-case for tables and snake_case
//! for columns, since machines read them.

use super::letter::Letter;
use super::number;
use super::question::{Checkpoint, Question, Standing};
use super::words::clean;
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use chrono_tz::Tz;

/// What kind of report it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportKind {
    /// Sổ nhật ký phát thanh.
    Diary,
    /// Bảng kê nhuận bút, thù lao.
    Pay,
    /// Trả lời phản ánh.
    Heard,
    /// Kế hoạch và thực hiện.
    Compare,
    /// Nhật ký chi tiết.
    AsRun,
    /// Độ phủ.
    Coverage,
    /// Thông báo khẩn.
    Urgent,
    /// Báo cáo năm.
    Yearly,
}

impl ReportKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Diary,
        Self::Pay,
        Self::Heard,
        Self::Compare,
        Self::AsRun,
        Self::Coverage,
        Self::Urgent,
        Self::Yearly,
    ];

    /// Returns the word that commands, the API and file names use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Diary => "diary",
            Self::Pay => "pay",
            Self::Heard => "heard",
            Self::Compare => "compare",
            Self::AsRun => "as-run",
            Self::Coverage => "coverage",
            Self::Urgent => "urgent",
            Self::Yearly => "yearly",
        }
    }

    /// Returns its short Vietnamese name, as commands take it with or without marks.
    pub fn vi(self) -> &'static str {
        match self {
            Self::Diary => "nhật-ký",
            Self::Pay => "nhuận-bút",
            Self::Heard => "phản-ánh",
            Self::Compare => "kế-hoạch",
            Self::AsRun => "chi-tiết",
            Self::Coverage => "độ-phủ",
            Self::Urgent => "khẩn",
            Self::Yearly => "báo-cáo-năm",
        }
    }

    /// Returns the kind of a word: its English word or its Vietnamese name, in small letters or not,
    /// with marks or without, parted by spaces or hyphens.
    pub fn named(word: &str) -> Option<Self> {
        let bare = |text: &str| {
            let text: String = text.chars().take(60).collect();
            super::words::order(text.trim()).0.replace('~', "").replace([' ', '_'], "-")
        };
        let word = bare(word);
        let names = |kind: &Self| [kind.as_str(), kind.vi(), kind.title().0].map(bare);
        Self::ALL.into_iter().find(|kind| names(kind).contains(&word))
    }

    /// Returns its title, Vietnamese and English.
    pub fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Diary => ("Sổ nhật ký phát thanh", "Broadcast diary"),
            Self::Pay => ("Bảng kê nhuận bút, thù lao", "List for authors' and readers' pay"),
            Self::Heard => ("Tra cứu phản ánh về âm thanh", "What sounded at a place and time"),
            Self::Compare => ("Đối chiếu kế hoạch và thực hiện", "Plan against actual"),
            Self::AsRun => ("Nhật ký phát chi tiết", "As-run log"),
            Self::Coverage => ("Độ phủ phát thanh", "Coverage"),
            Self::Urgent => ("Thông báo khẩn", "Urgent notices"),
            Self::Yearly => ("Báo cáo kết quả tuyên truyền", "Yearly report"),
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Empty,
    Text(String),
    Count(u64),
    /// A part and what it is a part of.
    Share {
        part: u64,
        whole: u64,
    },
    /// Milliseconds, shown as hours, minutes and seconds.
    Length(i64),
    Instant(UtcMs),
    Date(NaiveDate),
}

impl Cell {
    /// Returns outside text, made fit.
    pub fn text(text: &str) -> Self {
        let text = clean(text);
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }

    /// Returns it as people read it.
    pub fn shown(&self, zone: Tz) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => number::count(*count),
            Self::Share { part, whole } => number::share(*part, *whole),
            Self::Length(ms) => number::duration(*ms),
            Self::Instant(at) => number::instant(*at, zone),
            Self::Date(day) => number::date(*day),
        }
    }

    /// Says whether it is a figure, which stands to the right.
    pub fn is_figure(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Share { .. } | Self::Length(_))
    }
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its stable name.
    pub key: &'static str,
    /// Its heading in Vietnamese.
    pub vi: &'static str,
    /// And in English.
    pub en: &'static str,
    /// How wide it is beside the others, about a character a unit.
    pub width: u8,
}

/// Returns a column.
pub const fn column(key: &'static str, vi: &'static str, en: &'static str, width: u8) -> Column {
    Column { key, vi, en, width }
}

/// Rows under headings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its stable name, at most 31 characters.
    pub key: &'static str,
    pub title: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
    /// The row of sums, or none where sums would mislead.
    pub total: Option<Vec<Cell>>,
}

impl Table {
    /// Returns a table without rows.
    pub fn new(key: &'static str, title: impl Into<String>, columns: &[Column]) -> Self {
        Self { key, title: title.into(), columns: columns.to_vec(), rows: Vec::new(), total: None }
    }

    /// Adds a row; cells that lack are empty, cells too many are left out.
    pub fn push(&mut self, mut row: Vec<Cell>) {
        row.resize(self.columns.len(), Cell::Empty);
        self.rows.push(row);
    }

    /// Returns it with these columns alone, in its own order.
    pub fn only(&self, keys: &[&str]) -> Self {
        let kept: Vec<bool> =
            self.columns.iter().map(|column| keys.contains(&column.key)).collect();
        let cut = |row: &Vec<Cell>| {
            let cells = row.iter().zip(&kept).filter(|(_, kept)| **kept);
            cells.map(|(cell, _)| cell.clone()).collect()
        };
        let columns = self.columns.iter().zip(&kept).filter(|(_, kept)| **kept);
        Self {
            key: self.key,
            title: self.title.clone(),
            columns: columns.map(|(column, _)| *column).collect(),
            rows: self.rows.iter().map(cut).collect(),
            total: self.total.as_ref().map(cut),
        }
    }

    /// Returns it under another key and title.
    pub fn named(self, key: &'static str, title: &str) -> Self {
        Self { key, title: title.to_owned(), ..self }
    }

    /// Sets the row of sums.
    pub fn sum(&mut self, mut row: Vec<Cell>) {
        row.resize(self.columns.len(), Cell::Empty);
        self.total = Some(row);
    }
}

/// One part of a document, in reading order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Heading(String),
    Text(String),
    Table(Table),
    /// An annex begins: a letter's foot stands before it.
    Annex(String),
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub kind: ReportKind,
    /// The title, upper case left to the renderer.
    pub title: String,
    /// Name of the scope.
    pub scope: String,
    pub question: Question,
    pub standing: Standing,
    /// The answer in one word for machines, where there is one.
    pub answer: Option<&'static str>,
    /// What else was asked: label, key and value.
    pub asked: Vec<(&'static str, &'static str, String)>,
    pub parts: Vec<Part>,
    /// How numbers are meant.
    pub notes: Vec<String>,
    /// Who signs at the foot, when it is no letter.
    pub signers: Vec<&'static str>,
    /// The administrative form, for those that are sent.
    pub letter: Option<Letter>,
}

impl Document {
    /// Returns an empty document over a question.
    pub fn new(kind: ReportKind, scope: String, question: &Question, standing: Standing) -> Self {
        Self {
            kind,
            title: kind.title().0.to_owned(),
            scope,
            question: question.clone(),
            standing,
            answer: None,
            asked: Vec::new(),
            parts: Vec::new(),
            notes: Vec::new(),
            signers: Vec::new(),
            letter: None,
        }
    }

    /// Returns its tables in order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.parts.iter().filter_map(|part| match part {
            Part::Table(table) => Some(table),
            Part::Heading(_) | Part::Text(_) | Part::Annex(_) => None,
        })
    }

    /// Returns what stands at its head: what was asked and what it was made from.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let zone = self.question.zone;
        let mut facts = vec![("Phạm vi", format!("{} (mã {})", self.scope, self.question.scope))];
        if self.kind != ReportKind::Heard {
            facts.push(("Thời gian", self.question.period.name()));
        }
        facts.extend(self.asked.iter().map(|(label, _, value)| (*label, value.clone())));
        facts.push(("Thời điểm chốt số liệu", number::instant(self.question.cut_off, zone)));
        facts.push(("Tình trạng số liệu", standing(self.standing)));
        facts.push((
            "Điểm kiểm tra nhật ký bằng chứng",
            checkpoint(self.question.checkpoint.as_ref()),
        ));
        facts
    }

    /// Returns a name for a file of it, without an ending.
    pub fn slug(&self) -> String {
        let question = &self.question;
        format!("{}_{}_{}", self.kind.as_str(), question.scope, question.period.slug())
    }
}

/// Says whether numbers may change.
pub fn standing(standing: Standing) -> String {
    match standing {
        Standing::Final => "cuối cùng".to_owned(),
        Standing::Lacking { devices } => {
            format!("tạm thời (còn {} thiết bị chưa gửi đủ bản ghi)", number::count(devices))
        }
        Standing::Provisional { unsettled: 0 } => "tạm thời (chưa hết kỳ)".to_owned(),
        Standing::Provisional { unsettled } => {
            format!("tạm thời (còn {} lượt phát có thể thay đổi)", number::count(unsettled))
        }
    }
}

/// Writes a checkpoint on one line.
pub fn checkpoint(checkpoint: Option<&Checkpoint>) -> String {
    match checkpoint {
        Some(Checkpoint { origin, size, root }) => {
            format!("{}, {} mục, gốc {}", clean(origin), number::count(*size), clean(root))
        }
        None => "chưa có".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_by_either_name_with_marks_or_without() {
        for kind in ReportKind::ALL {
            assert_eq!(ReportKind::named(kind.as_str()), Some(kind));
            assert_eq!(ReportKind::named(kind.vi()), Some(kind));
            assert_eq!(ReportKind::named(&kind.title().0.to_uppercase()), Some(kind));
        }
        assert_eq!(ReportKind::named("do phu"), Some(ReportKind::Coverage));
        assert_eq!(ReportKind::named("Nhuan-But"), Some(ReportKind::Pay));
        assert_eq!(ReportKind::named(""), None);
        assert_eq!(ReportKind::named("nhật"), None);
    }
}
