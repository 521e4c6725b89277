//! Documents on paper, read back by another program (`pdftotext` of poppler-utils).

use super::month::{self, day, line, month, question};
use crate::report::compare::{Counted, PlanScope};
use crate::report::coverage::coverage;
use crate::report::diary::diary;
use crate::report::document::{Cell, Document, Part, ReportKind, Table, column};
use crate::report::letter::Letter;
use crate::report::manual::Manual;
use crate::report::question::Standing;
use crate::report::render::{Format, render};
use crate::report::yearly::{Additions, yearly};
use std::io::Write;
use std::process::{Command, Stdio};

/// Returns the text of a PDF as another program reads it.
fn read(pdf: &[u8]) -> String {
    let mut child = Command::new("pdftotext")
        .args(["-layout", "-enc", "UTF-8", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("pdftotext of the package poppler-utils is installed");
    let mut stdin = child.stdin.take().unwrap();
    let bytes = pdf.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn letter() -> Letter {
    Letter {
        above: Some("UBND tỉnh Quảng Ngãi".into()),
        agency: "Sở Văn hóa, Thể thao và Du lịch".into(),
        number: None,
        symbol: "BC-SVHTTDL".into(),
        place: "Quảng Ngãi".into(),
        date: None,
        to: vec!["Ủy ban nhân dân tỉnh Quảng Ngãi".into()],
        about: "Kết quả tuyên truyền trên hệ thống thông tin cơ sở tháng 10 năm 2026".into(),
        grounds: vec!["Thực hiện Kế hoạch số 103/KH-UBND ngày 23/6/2022 của UBND tỉnh.".into()],
        recipients: vec![
            "Như trên".into(),
            "Giám đốc, các Phó Giám đốc".into(),
            "UBND các xã, phường".into(),
        ],
        archive: "VT, TTCS".into(),
        behalf: None,
        office: "Giám đốc".into(),
        signer: Some("Trần Thị Hoa".into()),
    }
}

fn report() -> Document {
    let month = month();
    let lines = [
        line("kh-01", PlanScope::EachCommune, Counted::Broadcasts, 20),
        line("kh-02", PlanScope::EachCommune, Counted::Programmes, 2),
    ];
    let manual =
        [("tờ rơi", "a"), ("tin nhắn SMS", "b"), ("tờ rơi", "a")].map(|(channel, file)| Manual {
            date: day("2026-10-12"),
            channel: channel.into(),
            unit: Some(month::unit_id("10001")),
            title: "Cảnh báo lừa đảo".into(),
            line: None,
            topic: None,
            person: "Lê Văn Sơn".into(),
            file: crate::domain::ids::Digest::of(file.as_bytes()),
        });
    let notices = [month::notice(&month.places)];
    let additions = Additions {
        letter: letter(),
        lines: &lines,
        notices: &notices,
        manual: &manual,
        difficulties: &["một số cụm loa cũ hay mất nguồn".to_owned()],
        proposals: &["bố trí kinh phí thay thế thiết bị hỏng".to_owned()],
    };
    yearly(&question("51"), month.evidence(), additions).unwrap()
}

#[test]
fn the_yearly_report_stands_in_the_administrative_form() {
    let document = report();
    let pdf = render(&document, Format::Pdf).unwrap();
    let text = read(&pdf.bytes);
    for said in [
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
        "Độc lập - Tự do - Hạnh phúc",
        "UBND TỈNH QUẢNG NGÃI",
        "/BC-SVHTTDL",
        "BÁO CÁO",
        "Kính gửi: Ủy ban nhân dân tỉnh Quảng Ngãi.",
        "Nơi nhận:",
        "- Lưu: VT, TTCS.",
        "GIÁM ĐỐC",
        "Trần Thị Hoa",
        "PHỤ LỤC",
        "1.985/2.177 (91,2 %)",
        "tờ rơi",
    ] {
        assert!(text.contains(said), "`{said}` lacks in:\n{text}");
    }
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains(
            "tính tháng 10 năm 2026, trên 3 xã, phường, đặc khu với 37 cụm loa và 3 bảng điện tử"
        ),
        "{flat}"
    );
    assert!(flat.contains("Đơn vị còn thiếu: Xã Bình An; Xã Sơn Mỹ."));
    assert!(!flat.contains("người nghe đã"), "people reached are never claimed");
    // The foot stands before the annex.
    assert!(text.find("Nơi nhận:").unwrap() < text.find("PHỤ LỤC").unwrap());
    // Manual evidence is told apart: three entries of two files, never among the plays.
    let manual = document.tables().find(|table| table.key == "manual").unwrap();
    assert_eq!(manual.rows[0], [Cell::Text("tin nhắn SMS".into()), Cell::Count(1), Cell::Count(1)]);
    assert_eq!(manual.rows[1], [Cell::Text("tờ rơi".into()), Cell::Count(2), Cell::Count(1)]);
}

#[test]
fn a_report_for_30_november_says_that_the_year_is_not_over() {
    let month = month();
    let mut asked = question("51");
    asked.period = crate::report::period::Period::closing_year(2026).unwrap();
    let additions = Additions { letter: letter(), ..Additions::default() };
    let document = yearly(&asked, month.evidence(), additions).unwrap();
    assert_eq!(document.standing, Standing::Provisional { unsettled: 58 });
    let text = read(&render(&document, Format::Pdf).unwrap().bytes);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("Số liệu là số liệu tạm thời: còn 58 lượt phát có thể thay đổi"),
        "{flat}"
    );
    assert!(flat.contains("Chưa có dòng kế hoạch nào được nhập."));
    assert!(flat.contains("Trong kỳ không có thông báo khẩn."));
    assert_eq!(document.tables().find(|table| table.key == "months").unwrap().rows.len(), 13);
    // Asked again when all is settled, the same words are final.
    asked.cut_off = crate::report::period::midnight(day("2027-02-01"), month::ZONE);
    let additions = Additions { letter: letter(), ..Additions::default() };
    let document = yearly(&asked, month.evidence(), additions).unwrap();
    assert_eq!(document.standing, Standing::Final);
}

#[test]
fn every_letter_of_the_language_can_be_read_back_whole_or_in_parts() {
    use unicode_normalization::UnicodeNormalization;
    let letters = "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ";
    let both = format!("{letters} {}", letters.to_uppercase());
    let standing = Standing::Final;
    let mut document = Document::new(ReportKind::Diary, "Xã".into(), &question("10001"), standing);
    let columns = [column("nfc", "Dựng sẵn", "NFC", 20), column("nfd", "Tổ hợp", "NFD", 20)];
    let mut table = Table::new("letters", "Chữ", &columns);
    for chunk in both.split_whitespace().flat_map(|part| {
        let letters: Vec<char> = part.chars().collect();
        letters.chunks(12).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>()
    }) {
        let parts: String = chunk.nfd().collect();
        assert_ne!(parts, chunk);
        table.push(vec![Cell::text(&chunk), Cell::text(&parts)]);
    }
    document.parts.push(Part::Table(table.clone()));
    let text = read(&render(&document, Format::Pdf).unwrap().bytes);
    for row in &table.rows {
        let Cell::Text(chunk) = &row[0] else { panic!("no text") };
        assert_eq!(text.matches(chunk.as_str()).count(), 2, "`{chunk}` in:\n{text}");
    }
}

#[test]
fn letters_that_the_face_lacks_are_marked_and_counted() {
    let standing = Standing::Final;
    let mut document = Document::new(ReportKind::Diary, "Xã".into(), &question("10001"), standing);
    document.parts.push(Part::Text("Tiếng Chăm: ꨀꨇꩉ".into()));
    let text = read(&render(&document, Format::Pdf).unwrap().bytes);
    assert!(text.contains("Tiếng Chăm: ???"), "{text}");
    assert!(text.contains("3 ký tự không có trong phông chữ"), "{text}");
}

#[test]
fn long_tables_repeat_their_headings_and_every_page_names_the_checkpoint() {
    let month = month();
    let document = diary(&question("10003"), month.evidence(), &[]).unwrap();
    let pdf = render(&document, Format::Pdf).unwrap();
    assert_eq!(pdf, render(&document, Format::Pdf).unwrap(), "the same bytes again");
    assert_eq!(pdf.file, "diary_10003_2026-10.pdf");
    let text = read(&pdf.bytes);
    let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() > 3);
    for (at, page) in pages.iter().enumerate() {
        assert!(page.contains("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="), "page {at}");
        assert!(page.contains(&format!("trang {}/{}", at + 1, pages.len())), "page {at}");
    }
    assert!(pages[1].contains("Tác giả") || pages[1].contains("Ngày"));
    // Every row is there: 123 broadcasts.
    assert_eq!(text.matches("sang/thoi-su").count(), 46);
}

#[test]
fn a_cell_longer_than_a_page_goes_on_and_too_many_rows_are_refused_with_a_remedy() {
    let standing = Standing::Final;
    let mut document = Document::new(ReportKind::Diary, "Xã".into(), &question("10001"), standing);
    let columns = [column("a", "Một", "One", 1), column("b", "Hai", "Two", 99)];
    let mut table = Table::new("long", "Dài", &columns);
    table.push(vec![Cell::text(&"chữ ".repeat(500)), Cell::text("hết")]);
    document.parts.push(Part::Table(table.clone()));
    let text = read(&render(&document, Format::Pdf).unwrap().bytes);
    assert!(text.matches('\u{c}').count() > 1);
    for _ in 0..20_001 {
        table.push(Vec::new());
    }
    document.parts = vec![Part::Table(table)];
    let error = render(&document, Format::Pdf).unwrap_err();
    assert_eq!(error.to_string(), "`20002` rows in table `long`, a PDF holds `20000`");
    assert!(error.hint().contains("CSV"));
}

/// Writes examples for eyes when `LOA_SHOW` names a folder.
#[test]
fn examples_are_drawn() {
    let month = month();
    let notices = [month::notice(&month.places)];
    let lines = [line("kh-02", PlanScope::EachCommune, Counted::Broadcasts, 40)];
    let documents = [
        report(),
        diary(&question("10003"), month.evidence(), &[]).unwrap(),
        coverage(&question("51"), month.evidence()).unwrap(),
        crate::report::pay::pay(&question("10001"), month.evidence()).unwrap(),
        crate::report::urgent::urgent(&question("51"), &month.places, &notices).unwrap(),
        crate::report::compare::compare(&question("51"), month.evidence(), &lines, &[]).unwrap(),
        super::desk::example(),
    ];
    for document in &documents {
        for format in Format::ALL {
            let rendered = render(document, format).unwrap();
            assert!(rendered.bytes.len() > 500, "{}", rendered.file);
            if let Some(folder) = std::env::var_os("LOA_SHOW") {
                std::fs::write(std::path::Path::new(&folder).join(&rendered.file), &rendered.bytes)
                    .unwrap();
            }
        }
    }
}
