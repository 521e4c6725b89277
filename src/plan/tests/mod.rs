//! Figures of plans: what they order, where they contradict themselves, what was done.

mod compared;
mod doubted;
mod words;

use super::*;
use chrono::NaiveDate;

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

fn months(from: &str, until: &str) -> Months {
    Months::new(month(from), month(until)).unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A line like that of the Kon Tum plan: 2 programmes a month for the whole province.
fn line() -> PlanLine {
    PlanLine {
        id: "ii-1".parse().unwrap(),
        citation: "Phụ lục 01, mục II.1".into(),
        also_cited: vec!["mục IV.2.b".into()],
        task: "Tuyên truyền qua hệ thống thông tin cơ sở".into(),
        topics: vec!["T4".parse().unwrap()],
        means: vec![Means::Loudspeaker],
        scope: Scope::Whole,
        units: Vec::new(),
        counted: Counted::Programme,
        least: Some(Least { count: 2, per: Per::Month }),
        months: months("2021-07", "2025-12"),
        lead: vec!["UBND cấp huyện".into()],
        coordinating: Vec::new(),
        product: Some("Chương trình".into()),
        budget: Some(Budget {
            dong: Some(Dong(742_000_000)),
            each_dong: Some(Dong(7_000_000)),
            source: "ngân sách huyện".into(),
        }),
        deadline: None,
        note: None,
    }
}

fn plan(lines: Vec<PlanLine>) -> Plan {
    Plan {
        id: "kon-tum-3630".parse().unwrap(),
        title: "Kế hoạch".into(),
        number: "3630/KH-UBND".into(),
        issuer: "UBND tỉnh Kon Tum".into(),
        date: date("2021-06-08"),
        topics: "an-toan-thong-tin".parse().unwrap(),
        bases: Vec::new(),
        totals: Vec::new(),
        funds: Vec::new(),
        lines,
    }
}
