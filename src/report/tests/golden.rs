//! The golden month: what each report says, counted by hand and by a second way.

use super::month::{self, day, month, question};
use super::{shown, table, total};
use crate::domain::ids::{CueId, Digest};
use crate::domain::proof::outcome::{Reason, Verdict};
use crate::domain::time::UtcMs;
use crate::report::as_run::{COLUMNS, Run, as_run, belongs, head, row};
use crate::report::coverage::coverage;
use crate::report::diary::diary;
use crate::report::document::Document;
use crate::report::pay::pay;
use crate::report::period::Period;
use crate::report::question::{ReportError, Standing};
use crate::report::render::{Format, csv, json, render};
use crate::report::rollup::Rollups;
use calamine::{Data, Reader, Xlsx};
use std::io::Cursor;

fn figure(cell: &Data) -> Option<f64> {
    match cell {
        Data::Float(figure) => Some(*figure),
        Data::DateTime(at) => Some(at.as_f64()),
        _ => None,
    }
}

fn sheets(document: &Document) -> Xlsx<Cursor<Vec<u8>>> {
    Xlsx::new(Cursor::new(render(document, Format::Xlsx).unwrap().bytes)).unwrap()
}

#[test]
fn the_workbook_of_a_diary_holds_every_cell_that_the_story_tells() {
    let month = month();
    let document = diary(&question("10001"), month.evidence(), &[]).unwrap();
    let mut book = sheets(&document);
    assert_eq!(book.sheet_names(), ["Tổng quan", "Nhật ký phát thanh", "Tổng hợp theo ngày"]);
    let range = book.worksheet_range("Nhật ký phát thanh").unwrap();
    let mut rows = range.rows();
    let heads: Vec<String> = rows.next().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(heads[..4], ["Ngày", "Giờ theo lịch", "Giờ phát thực tế", "Nội dung tin, bài"]);
    // Excel counts days: 1 October 2026 is 46,296.
    for date in 0..31_u32 {
        let (out, urgent) = (date == 9 || date == 10, date == 19);
        for part in ['a', 'b', 'c'] {
            let row = rows.next().unwrap();
            let (due, title, author, minutes, devices) = match part {
                'a' => ("05:00", "Bản tin thời sự", "Nguyễn Thị Lan", 5.0, 14),
                'b' => ("05:05", "Cảnh báo lừa đảo trực tuyến", "Trần Minh", 2.0, 14),
                _ => ("07:00", "Bảo vệ dữ liệu cá nhân", "", 60.0, 1),
            };
            let cut = urgent && part != 'c';
            let played = if out || cut { 0 } else { devices };
            let began = !(out || (urgent && part == 'b'));
            assert_eq!(figure(&row[0]), Some(f64::from(46_296 + date)), "{row:?}");
            assert_eq!(row[1], Data::String(due.into()));
            assert_eq!(row[2], if began { Data::String(due.into()) } else { Data::Empty });
            assert_eq!(row[3], Data::String(title.into()));
            assert_eq!(row[5].to_string(), author);
            assert!((figure(&row[8]).unwrap() * 1_440.0 - minutes).abs() < 1e-9);
            let whole = played == devices && devices > 0;
            let share = format!("{played}/{devices} ({} %)", if whole { "100,0" } else { "0,0" });
            assert_eq!(row[9], Data::String(share), "{date} {part}");
            let partial = if urgent && part == 'a' { devices } else { 0 };
            assert_eq!(figure(&row[10]), Some(f64::from(partial)));
            let explained = if out || (urgent && part == 'b') { devices } else { 0 };
            assert_eq!(figure(&row[11]), Some(f64::from(explained)));
            assert_eq!(figure(&row[12]), Some(0.0));
            assert_eq!(row[13], Data::Empty);
        }
    }
    let sum = rows.next().unwrap();
    // 14 loudspeakers × 28 mornings × 2, and a board on 29 days.
    assert_eq!(sum[9], Data::String("813/899 (90,4 %)".into()));
    assert!(rows.next().is_none());
    let range = book.worksheet_range("Tổng hợp theo ngày").unwrap();
    let days: Vec<&[Data]> = range.rows().collect();
    assert_eq!(days.len(), 1 + 31 + 1);
    assert_eq!(figure(&days[1][1]), Some(1.0), "one session a morning");
    assert!((figure(&days[1][2]).unwrap() * 1_440.0 - 7.0).abs() < 0.01, "of seven minutes");
    assert_eq!(figure(&days[10][1]), Some(0.0), "and none without power");
    assert_eq!(figure(&days[32][1]), Some(29.0));
}

#[test]
fn the_diary_has_urgent_notices_and_one_wrong_clock_moves_no_start() {
    let mut month = month();
    let first = month.airings[0].at_ms;
    month.airings[0].started_ms = Some(UtcMs(i64::MIN));
    month.airings[2].started_ms = Some(first.plus(-2_000));
    month.rollups = Rollups::of(&month.airings, &month.places, &month.contents, month::ZONE);
    let notices = [month::notice(&month.places)];
    let document = diary(&question("10001"), month.evidence(), &notices).unwrap();
    assert_eq!(shown(table(&document, "diary"), "started")[0], "04:59:58");
    let urgent = table(&document, "notices");
    assert_eq!(shown(urgent, "reason"), ["Lũ khẩn cấp trên sông Trà Khúc"]);
    assert_eq!(shown(urgent, "began"), ["13/14 (92,9 %)"]);
    // On the morning of the notice the news sounded for two of its five minutes.
    assert_eq!(shown(table(&document, "days"), "length_ms")[19], "2:00");
}

#[test]
fn a_merged_commune_stands_in_the_diary_of_the_one_that_followed_it() {
    let month = month();
    let document = diary(&question("10003"), month.evidence(), &[]).unwrap();
    let diary = table(&document, "diary");
    let notes = shown(diary, "note");
    let old = "Xã Tịnh Khê (từ 16/10/2026 nhập vào Xã Sơn Mỹ)";
    // Tịnh Khê: news and slogan on 15 days; Sơn Mỹ: three on 31 days.
    assert_eq!(notes.iter().filter(|note| *note == old).count(), 30);
    assert_eq!(notes.iter().filter(|note| *note == "Xã Sơn Mỹ").count(), 93);
    let confirmed = shown(diary, "confirmed");
    assert!(confirmed.contains(&"8/9 (88,9 %)".to_owned()), "the dead one lacks before the merger");
    assert!(confirmed.contains(&"22/23 (95,7 %)".to_owned()), "and after it");
    assert_eq!(total(diary, "missing"), "62");
}

#[test]
fn the_month_of_the_province_adds_up_to_what_was_counted_by_hand() {
    let month = month();
    let document = coverage(&question("51"), month.evidence()).unwrap();
    assert_eq!(document.standing, Standing::Provisional { unsettled: 58 });
    let units = table(&document, "units");
    assert_eq!(shown(units, "unit"), ["10001", "10002", "10003"]);
    assert_eq!(shown(units, "devices"), ["15/15 (100,0 %)", "15/15 (100,0 %)", "24/25 (96,0 %)"]);
    // 37 loudspeakers × 31 + 937 warnings + 3 boards × 31.
    assert_eq!(total(units, "plays"), "1.985/2.177 (91,2 %)");
    assert_eq!(total(units, "devices"), "39/40 (97,5 %)", "each device once, though 15 moved");
    assert_eq!(total(units, "partial"), "36");
    assert_eq!(total(units, "explained"), "94");
    assert_eq!(total(units, "missing"), "62");
    let topics = table(&document, "topics");
    assert_eq!(shown(topics, "topic"), ["t1", "t10", "t5"]);
    assert_eq!(
        shown(topics, "plays"),
        ["1.052/1.147 (91,7 %)", "842/937 (89,9 %)", "933/1.030 (90,6 %)"]
    );
    assert_eq!(shown(topics, "communes"), ["3/3 (100,0 %)", "2/3 (66,7 %)", "3/3 (100,0 %)"]);
    assert_eq!(shown(topics, "devices"), ["36/40 (90,0 %)", "36/40 (90,0 %)", "39/40 (97,5 %)"]);
    let hours = table(&document, "hours");
    assert_eq!(shown(hours, "hour"), ["05:00-05:59", "07:00-07:59"]);
    assert_eq!(shown(hours, "plays"), ["1.894/2.084 (90,9 %)", "91/93 (97,8 %)"]);
    assert_eq!(shown(table(&document, "grades"), "plays")[3], "1.985/1.985 (100,0 %)");
    let asked: Vec<String> = document.facts().into_iter().map(|(_, value)| value).collect();
    assert!(asked.contains(&"tạm thời (còn 58 lượt phát có thể thay đổi)".to_owned()), "{asked:?}");
}

#[test]
fn the_as_run_log_tells_each_play_with_reason_and_record_in_pieces_as_well_as_whole() {
    let month = month();
    let runs: Vec<Run> = month
        .airings
        .iter()
        .filter(|airing| airing.device.0 < 2)
        .map(|airing| Run {
            airing: *airing,
            cue: CueId([7; 16]),
            reason: match airing.result {
                Some(Verdict::Offline) => Reason::Silent { since_ms: airing.at_ms.plus(-60_000) },
                Some(Verdict::PreEmpted) => {
                    Reason::Device { cause: "pre-empted".into(), by: Some("lu-2026-10-20".into()) }
                }
                _ => Reason::Device { cause: "end".into(), by: None },
            },
            volume: Some(90),
            record: Some((Digest::of(b"record"), Some(u64::from(airing.device.0)))),
        })
        .collect();
    let mut asked = question("10001");
    asked.period = Period::new(day("2026-10-10"), day("2026-10-20")).unwrap();
    let document = as_run(&asked, month.evidence(), &runs).unwrap();
    let rows = table(&document, "as-run");
    assert_eq!(rows.rows.len(), 2 * 2 * 11);
    assert_eq!(
        shown(rows, "at")[..3],
        ["10/10/2026 05:00:00", "10/10/2026 05:00:00", "10/10/2026 05:05:00"]
    );
    assert_eq!(shown(rows, "result")[0], "mất liên lạc");
    assert_eq!(shown(rows, "reason")[0], "thiết bị im lặng từ 10/10/2026 04:59:00");
    assert_eq!(shown(rows, "reason")[43], "nhường tin ưu tiên (lu-2026-10-20)");
    assert_eq!(document.standing, Standing::Provisional { unsettled: 8 });
    // Row by row, as a log of any length is written, comes the same as whole.
    let mut writer = csv::Writer::begin(Vec::new(), &COLUMNS, month::ZONE).unwrap();
    let (_, scope) = asked.scope(&month.places).unwrap();
    let mut sorted: Vec<&Run> =
        runs.iter().filter(|run| belongs(&asked, month.evidence(), &scope, run)).collect();
    sorted.sort_by_key(|run| (run.airing.at_ms, run.airing.device));
    let mut lines = Vec::new();
    for run in sorted {
        let row = row(&asked, month.evidence(), run);
        writer.row(&row).unwrap();
        json::line(&mut lines, &COLUMNS, &row, month::ZONE).unwrap();
    }
    assert_eq!(writer.end().unwrap(), csv::table(rows, month::ZONE));
    let head = head(&asked, month.evidence(), 8).unwrap();
    let begun = csv::Writer::of(Vec::new(), &head, &COLUMNS).unwrap().end().unwrap();
    let begun = String::from_utf8(begun).unwrap();
    assert!(
        begun.contains("gốc CsUYapGGPo4dkMgIAUqom") && begun.contains("\r\n\r\n\"Giờ theo lịch\",")
    );
    let head: serde_json::Value = serde_json::from_slice(&json::document(&head)).unwrap();
    assert_eq!((&head["unsettled"], &head["checkpoint"]["size"]), (&8.into(), &12_345.into()));
    let first: serde_json::Value =
        serde_json::from_slice(lines.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(first["at"], "2026-10-10T05:00:00.000+07:00");
    assert_eq!((&first["index"], &first["due_ms"]), (&0.into(), &300_000.into()));
}

#[test]
fn what_cannot_be_made_is_refused_with_value_and_remedy() {
    let month = month();
    let mut asked = question("51");
    asked.period = Period::new(day("2020-01-01"), day("2026-12-31")).unwrap();
    let told = [
        diary(&asked, month.evidence(), &[]).unwrap_err(),
        pay(&question("99"), month.evidence()).unwrap_err(),
        ReportError::Hamlet { unit: month::unit_id("10001-thon1") },
        ReportError::TooMany { table: "as-run", what: "document", rows: 300_000, most: 200_000 },
        ReportError::Pdf { why: "a page has no size".into() },
    ];
    let told: Vec<String> = told.iter().map(|error| format!("{error}; {}", error.hint())).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    `2557` days asked for, this report is made of at most `366`; ask for the months one by one
    the register has no unit `99`; `loa unit export` lists the units of the register; `loa serve` fills it from `units.csv` of the station when it starts
    unit `10001-thon1` is a hamlet, this report adds up communes; ask for its commune, or for the as-run log of the hamlet
    `300000` rows in table `as-run`, a document holds `200000`; ask for CSV or JSON, a smaller unit or fewer days
    the PDF could not be written: a page has no size; ask for CSV or JSON, and report the fault with this message
    ");
    let wrong = "docx".parse::<Format>().unwrap_err();
    assert_eq!(
        format!("{wrong}; {}", wrong.hint()),
        "`docx` is not a format; one of xlsx, csv, json, pdf"
    );
}

#[test]
fn csv_names_what_was_asked_and_keeps_formulas_out() {
    let mut month = month();
    let mut evil = month::news();
    evil.title = "=HYPERLINK(\"http://x\",\"Bản tin\")".into();
    let no = month.contents.add(evil);
    for airing in &mut month.airings {
        airing.content = no;
    }
    month.rollups = Rollups::of(&month.airings, &month.places, &month.contents, month::ZONE);
    let document = diary(&question("10001"), month.evidence(), &[]).unwrap();
    let text = String::from_utf8(render(&document, Format::Csv).unwrap().bytes).unwrap();
    assert!(text.starts_with(
        "\u{feff}\"Sổ nhật ký phát thanh\"\r\n\"Phạm vi\",\"Xã Bình An (mã 10001)\"\r\n"
    ));
    assert!(text.contains("\"'=HYPERLINK(\"\"http://x\"\",\"\"Bản tin\"\")\""), "{text}");
    assert!(text.contains("12.345 mục, gốc CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="));
    let alone = csv::table(table(&document, "days"), month::ZONE);
    assert!(alone.starts_with("\u{feff}\"Ngày\",\"Số buổi phát thanh\"".as_bytes()));
    let mut book = sheets(&document);
    let range = book.worksheet_range("Nhật ký phát thanh").unwrap();
    assert_eq!(
        range.get_value((1, 3)).unwrap().to_string(),
        "=HYPERLINK(\"http://x\",\"Bản tin\")"
    );
    assert!(
        book.worksheet_formula("Nhật ký phát thanh")
            .unwrap()
            .rows()
            .flatten()
            .all(String::is_empty)
    );
}

#[test]
fn json_has_stable_names_and_plain_numbers() {
    let month = month();
    let document = coverage(&question("51"), month.evidence()).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&render(&document, Format::Json).unwrap().bytes).unwrap();
    assert_eq!(json["report"], "coverage");
    assert_eq!(json["standing"], "provisional");
    assert_eq!(json["checkpoint"]["size"], 12_345);
    assert_eq!(json["cut_off"], "2026-11-05T00:00:00.000+07:00");
    assert_eq!(json["tables"]["units"]["total"]["plays"]["part"], 1_985);
    assert_eq!(json["tables"]["units"]["rows"][2]["devices"]["whole"], 25);
}
