//! Evidence that a person entered: leaflets, web pages, messages, schools, access points.
//!
//! Invariant: what people enter stands in columns and tables of its own and is never added to what
//! devices confirm.

use super::document::{Cell, Table, column};
use super::evidence::Cut;
use super::places::UnitNo;
use super::words::clean;
use crate::domain::ids::{Digest, UnitId};
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manual {
    pub date: NaiveDate,
    /// How it was spread: leaflet, web page, text message.
    pub channel: String,
    /// Where; all of the scope when `None`.
    pub unit: Option<UnitId>,
    pub title: String,
    /// The plan line it serves.
    pub line: Option<String>,
    pub topic: Option<String>,
    /// Who entered it.
    pub person: String,
    /// SHA-256 of the file that shows it.
    pub file: Digest,
}

impl Manual {
    /// Returns the unit it counts in: a hamlet's commune, or the scope's own; `None` when it is
    /// not of the scope or the days.
    pub(super) fn counts_in(&self, cut: &Cut<'_>) -> Option<UnitNo> {
        let unit = match &self.unit {
            None => cut.unit,
            Some(id) => {
                let commune = id.commune_of_hamlet();
                cut.all.places.unit_no(commune.as_ref().unwrap_or(id))?
            }
        };
        (cut.scope.holds(unit) && cut.period.contains(self.date)).then_some(unit)
    }
}

/// Counts entries by channel.
pub(super) fn channels(cut: &Cut<'_>, entries: &[Manual]) -> Table {
    let columns = [
        column("channel", "Hình thức", "Channel", 40),
        column("entries", "Số minh chứng nhập tay", "Entries", 16),
        column("files", "Số tệp minh chứng khác nhau", "Different files", 16),
    ];
    let mut table = Table::new("manual", "Minh chứng nhập tay", &columns);
    let mut found: BTreeMap<String, (u64, BTreeSet<Digest>)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.counts_in(cut).is_some()) {
        let channel = found.entry(clean(&entry.channel)).or_default();
        channel.0 += 1;
        channel.1.insert(entry.file);
    }
    for (channel, (entries, files)) in found {
        let files = Cell::Count(files.len() as u64);
        table.push(vec![Cell::text(&channel), Cell::Count(entries), files]);
    }
    table
}

/// Lists the entries, by day.
pub(super) fn list(cut: &Cut<'_>, entries: &[Manual]) -> Table {
    let columns = [
        column("date", "Ngày", "Date", 11),
        column("channel", "Hình thức", "Channel", 18),
        column("unit", "Đơn vị", "Unit", 24),
        column("title", "Nội dung", "Title", 34),
        column("line", "Dòng kế hoạch", "Plan line", 12),
        column("topic", "Chủ đề", "Topic", 10),
        column("person", "Người nhập", "Entered by", 18),
        column("file", "SHA-256 tệp minh chứng", "File", 34),
    ];
    let mut table = Table::new("manual-full", "Minh chứng nhập tay, đầy đủ", &columns);
    let inside = entries.iter().filter_map(|entry| Some((entry, entry.counts_in(cut)?)));
    let mut inside: Vec<(&Manual, UnitNo)> = inside.collect();
    inside.sort_by(|(a, _), (b, _)| {
        (a.date, &a.channel, &a.title, a.file).cmp(&(b.date, &b.channel, &b.title, b.file))
    });
    for (entry, unit) in inside {
        table.push(vec![
            Cell::Date(entry.date),
            Cell::text(&entry.channel),
            Cell::text(&cut.name(unit)),
            Cell::text(&entry.title),
            Cell::text(entry.line.as_deref().unwrap_or_default()),
            Cell::text(entry.topic.as_deref().unwrap_or_default()),
            Cell::text(&entry.person),
            Cell::text(&entry.file.to_string()),
        ]);
    }
    table
}
