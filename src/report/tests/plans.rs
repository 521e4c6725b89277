//! The golden month against plans, pay and urgent notices.

use super::month::{self, day, line, month, question};
use super::{shown, table};
use crate::domain::ids::Digest;
use crate::report::compare::{Counted, Every, PlanScope, compare};
use crate::report::coverage::coverage;
use crate::report::diary::diary;
use crate::report::document::Cell;
use crate::report::manual::Manual;
use crate::report::pay::pay;
use crate::report::period::{Period, midnight};
use crate::report::question::{ReportError, Standing};
use crate::report::rollup::Rollups;
use crate::report::urgent::{Reached, urgent};

#[test]
fn what_is_missing_of_the_plan_comes_first_and_an_open_period_is_not_missing() {
    let month = month();
    let lines = [
        line("kh-01", PlanScope::EachCommune, Counted::Broadcasts, 20),
        line("kh-02", PlanScope::EachCommune, Counted::Broadcasts, 40),
        line("kh-03", PlanScope::Together, Counted::Programmes, 2),
    ];
    let document = compare(&question("51"), month.evidence(), &lines, &[]).unwrap();
    let rows = table(&document, "compare");
    let told: Vec<String> = ["kept", "unit", "line", "least", "actual", "short", "devices"]
        .map(|key| shown(rows, key))
        .into_iter()
        .reduce(|left, right| left.iter().zip(right).map(|(l, r)| format!("{l} | {r}")).collect())
        .unwrap();
    insta::assert_snapshot!(told.join("\n"), @r"
    THIẾU | 10001 | kh-02 | 40 | 28 | 12 | 14/14 (100,0 %)
    THIẾU | 10003 | kh-02 | 40 | 30 | 10 | 22/23 (95,7 %)
    THIẾU | 51 | kh-03 | 2 | 0 | 2 | 0/0
    xã không tồn tại trọn kỳ | 10002 | kh-01 | 20 | 15 | 5 | 14/14 (100,0 %)
    xã không tồn tại trọn kỳ | 10002 | kh-02 | 40 | 0 | 40 | 0/0
    đạt | 10001 | kh-01 | 20 | 28 | 0 | 14/14 (100,0 %)
    đạt | 10003 | kh-01 | 20 | 30 | 0 | 22/23 (95,7 %)
    ");
}

#[test]
fn programmes_minutes_years_and_single_units_are_counted_as_their_line_says() {
    let month = month();
    let mut year = line("kh-01", PlanScope::Together, Counted::Minutes, 10_000);
    year.every = Every::Year;
    let named = PlanScope::Each(vec![month::unit_id("10001"), month::unit_id("99999")]);
    let mut late = line("kh-02", named, Counted::Programmes, 1);
    late.term = Period::new(day("2026-10-30"), day("2026-12-31")).unwrap();
    let lines = [year, late];
    let document = compare(&question("51"), month.evidence(), &lines, &[]).unwrap();
    let rows = table(&document, "compare");
    assert_eq!(shown(rows, "kept"), ["chưa hết kỳ", "đạt"]);
    // News of five minutes: 28, 15 and 30 confirmed mornings in the three communes.
    assert_eq!(shown(rows, "actual"), ["365", "1"]);
    assert_eq!(shown(rows, "period"), ["năm 2026", "từ ngày 30/10/2026 đến hết ngày 31/10/2026"]);
    assert_eq!(shown(table(&document, "unknown-units"), "unit"), ["99999"]);
    let summary = table(&document, "summary");
    assert_eq!(shown(summary, "ordered")[0], "ít nhất 10.000 phút mỗi năm, toàn địa bàn");
}

#[test]
fn what_people_entered_stands_in_its_own_column_and_a_closing_year_is_a_year() {
    let month = month();
    let entry = |unit: &str, date: &str| Manual {
        date: day(date),
        channel: "tờ rơi".into(),
        unit: Some(month::unit_id(unit)),
        title: "Cảnh báo".into(),
        line: Some("kh-02".into()),
        topic: None,
        person: "Lê Văn Sơn".into(),
        file: Digest::of(date.as_bytes()),
    };
    let manual = [
        entry("10001-thon9", "2026-10-02"),
        entry("10001", "2026-10-03"),
        entry("10001", "2026-12-15"),
        entry("99999", "2026-10-03"),
    ];
    let mut line = line("kh-02", PlanScope::EachCommune, Counted::Broadcasts, 29);
    line.every = Every::Year;
    let mut asked = question("10001");
    asked.period = Period::closing_year(2026).unwrap();
    asked.cut_off = midnight(day("2026-12-15"), month::ZONE);
    let document = compare(&asked, month.evidence(), std::slice::from_ref(&line), &manual).unwrap();
    let rows = table(&document, "compare");
    assert_eq!(shown(rows, "kept"), ["THIẾU"], "two leaflets do not make up for one broadcast");
    assert_eq!(
        (shown(rows, "actual"), shown(rows, "manual")),
        (vec!["28".into()], vec!["2".into()])
    );
    assert_eq!(shown(rows, "period"), ["từ ngày 15/12/2025 đến hết ngày 14/12/2026"]);
}

#[test]
fn authors_and_readers_are_paid_by_confirmed_broadcasts_not_by_devices() {
    let month = month();
    let document = pay(&question("10001"), month.evidence()).unwrap();
    let paid = table(&document, "pay");
    assert_eq!(
        shown(paid, "person"),
        ["Đỗ Văn Bình", "Đỗ Văn Bình", "Nguyễn Thị Lan", "Trần Minh"]
    );
    assert_eq!(shown(paid, "role"), ["người đọc", "người đọc", "tác giả", "tác giả"]);
    // 31 mornings less two without power and the one that was cut.
    assert_eq!(shown(paid, "broadcasts"), ["28", "28", "28", "28"]);
    assert_eq!(shown(paid, "plays")[0], "392/434 (90,3 %)");
    assert_eq!(shown(paid, "first_date")[3], "01/10/2026");
    assert!(paid.rows.iter().all(|row| row[10] == Cell::Empty), "rates are the commune's own");
    let only_out = Period::new(day("2026-10-10"), day("2026-10-11")).unwrap();
    let mut dark = question("10001");
    dark.period = only_out;
    let document = pay(&dark, month.evidence()).unwrap();
    assert!(table(&document, "pay").rows.is_empty());
    assert_eq!(table(&document, "unconfirmed").rows.len(), 4, "nothing is left out");
}

#[test]
fn an_urgent_notice_tells_how_soon_and_whom_it_did_not_reach() {
    let month = month();
    let notices = [month::notice(&month.places)];
    let document = urgent(&question("51"), &month.places, &notices).unwrap();
    let rows = table(&document, "notices");
    assert_eq!(shown(rows, "began"), ["35/37 (94,6 %)"]);
    assert_eq!(rows.rows[0][11], Cell::Length(200), "the second device was the first to begin");
    assert_eq!(rows.rows[0][14], Cell::Length(3_700));
    let missed = table(&document, "not-reached");
    assert_eq!(shown(missed, "device"), ["loa-01-01", "loa-03-01"]);
    assert_eq!(shown(missed, "state"), ["từ chối", "không liên lạc được"]);
    assert_eq!(shown(missed, "why"), ["đồng hồ không tin cậy", ""]);
    let one = urgent(&question("10002"), &month.places, &notices).unwrap();
    assert_eq!(table(&one, "notices").rows.len(), 0, "on that day its devices stood in Sơn Mỹ");
}

#[test]
fn a_commune_without_devices_and_a_hamlet_are_not_passed_over() {
    let mut month = month();
    let extra = [("10004", "Xã Trà Bồng"), ("10001-thon1", "Thôn 1")];
    month.places = month::places_and(&extra);
    // Numbers of units follow their ids: made anew.
    month.rollups = Rollups::of(&month.airings, &month.places, &month.contents, month::ZONE);
    let document = coverage(&question("51"), month.evidence()).unwrap();
    let units = table(&document, "units");
    assert_eq!(shown(units, "unit"), ["10004", "10001", "10002", "10003"], "the silent one first");
    assert_eq!((&*shown(units, "devices")[0], &*shown(units, "plays")[0]), ("0/0", "0/0"));
    let lines = [line("kh-01", PlanScope::EachCommune, Counted::Broadcasts, 1)];
    let document = compare(&question("51"), month.evidence(), &lines, &[]).unwrap();
    let rows = table(&document, "compare");
    assert_eq!((&*shown(rows, "kept")[0], &*shown(rows, "unit")[0]), ("THIẾU", "10004"));
    let error = diary(&question("10001-thon1"), month.evidence(), &[]).unwrap_err();
    assert!(matches!(error, ReportError::Hamlet { .. }), "{error}");
}

#[test]
fn a_drill_has_no_times_and_a_notice_in_force_may_still_reach_more() {
    let month = month();
    let mut drill = month::notice(&month.places);
    drill.drill = true;
    for one in &mut drill.devices {
        one.reached = Reached::Held;
    }
    let document = urgent(&question("51"), &month.places, &[drill]).unwrap();
    let rows = table(&document, "notices");
    assert_eq!(shown(rows, "mode"), ["diễn tập"]);
    assert_eq!(
        (shown(rows, "held"), shown(rows, "first_ms")),
        (vec!["37".into()], vec![String::new()])
    );
    assert!(table(&document, "not-reached").rows.is_empty(), "a drill is not to sound");
    let mut long = month::notice(&month.places);
    long.expires = midnight(day("2026-12-01"), month::ZONE);
    let document = urgent(&question("51"), &month.places, &[long]).unwrap();
    assert_eq!(document.standing, Standing::Lacking { devices: 2 });
}
