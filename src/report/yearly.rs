//! The yearly report on grassroots information work, in the administrative form.
//!
//! Sentences and tables that evidence can make; what only people know (difficulties, proposals)
//! is handed in. Manual evidence stands in a section of its own and is never added to plays.

use super::airing::Tally;
use super::compare::{Kept, PlanLine, judge, summary};
use super::coverage::{grades, topics, units};
use super::diary::confirmed_note;
use super::document::{Cell, Document, Part, ReportKind, Table, column};
use super::evidence::{Cut, Evidence};
use super::letter::Letter;
use super::manual::{Manual, channels, list};
use super::number;
use super::places::{DeviceNo, UnitNo};
use super::question::{Question, ReportError, Standing};
use super::urgent::{Notice, chosen, counts, sentence};
use super::words::clean;
use crate::domain::timetable::Kind;
use chrono::{Datelike, NaiveDate};
use std::collections::{BTreeMap, BTreeSet};

/// Day and month by which units and departments report each year.
pub const DEADLINES: [(u32, u32); 2] = [(30, 11), (15, 12)];

/// Communes named in one sentence before the rest is counted.
const MOST_NAMED: usize = 20;

/// What the report is made of besides evidence.
#[derive(Clone, Debug, Default)]
pub struct Additions<'a> {
    pub letter: Letter,
    pub lines: &'a [PlanLine],
    pub notices: &'a [Notice],
    pub manual: &'a [Manual],
    /// Difficulties, a paragraph each.
    pub difficulties: &'a [String],
    /// Proposals, a paragraph each.
    pub proposals: &'a [String],
}

/// Returns the next day on which a report is due, the day itself included.
pub fn deadline(day: NaiveDate) -> Option<NaiveDate> {
    let years = [day.year(), day.year().checked_add(1)?];
    let days = years.into_iter().flat_map(|year| {
        DEADLINES
            .into_iter()
            .filter_map(move |(day, month)| NaiveDate::from_ymd_opt(year, month, day))
    });
    days.filter(|due| *due >= day).min()
}

/// Makes the report.
pub fn yearly(
    question: &Question,
    evidence: Evidence<'_>,
    additions: Additions<'_>,
) -> Result<Document, ReportError> {
    question.at_most(400)?;
    let letter = additions.letter.clone().checked()?;
    let cut = evidence.cut(question)?;
    let tally = cut.tally();
    let standing = question.standing(tally.unsettled);
    let mut document = Document::new(ReportKind::Yearly, cut.name(cut.unit), question, standing);
    let parts = &mut document.parts;
    parts.push(heading("I. PHẠM VI VÀ NGUỒN SỐ LIỆU"));
    parts.extend(sources(question, &cut, standing));
    parts.push(heading("II. KẾT QUẢ TRÊN HỆ THỐNG TRUYỀN THANH VÀ BẢNG ĐIỆN TỬ"));
    parts.extend(results(&cut, &tally));
    parts.push(heading("III. ĐỐI CHIẾU VỚI KẾ HOẠCH"));
    parts.extend(plans(question, &cut, &additions));
    parts.push(heading("IV. THÔNG BÁO KHẨN"));
    parts.extend(notices(question, &cut, additions.notices));
    parts.push(heading("V. HÌNH THỨC TUYÊN TRUYỀN KHÁC"));
    parts.extend(manual(&cut, additions.manual));
    parts.push(heading("VI. TỒN TẠI, KHÓ KHĂN VÀ KIẾN NGHỊ"));
    parts.extend(open(&cut, &tally, &additions));
    parts.push(text(format!("Trên đây là báo cáo kết quả {}./.", question.period.name())));
    parts.push(Part::Annex("Số liệu chi tiết".to_owned()));
    parts.push(Part::Table(units(&cut)));
    parts.push(Part::Table(topics(&cut).named("topics-full", "Theo chủ đề, đầy đủ")));
    if !additions.lines.is_empty() {
        let judged = judge(question, &cut, additions.lines, additions.manual);
        let full =
            summary(&judged, additions.lines).named("summary-full", "Theo dòng kế hoạch, đầy đủ");
        parts.push(Part::Table(full));
    }
    let entered = list(&cut, additions.manual);
    if !entered.rows.is_empty() {
        parts.push(Part::Table(entered));
    }
    document.notes = vec![confirmed_note()];
    document.letter = Some(letter);
    Ok(document)
}

fn heading(text: &str) -> Part {
    Part::Heading(text.to_owned())
}

fn text(text: String) -> Part {
    Part::Text(text)
}

fn sources(question: &Question, cut: &Cut<'_>, standing: Standing) -> Vec<Part> {
    let kinds = |kind| {
        let of_kind = |no: &DeviceNo| cut.all.places.device(*no).is_some_and(|d| d.kind == kind);
        number::count(cut.devices().iter().filter(|no| of_kind(no)).count() as u64)
    };
    let settled = match standing {
        Standing::Final => "Số liệu là số liệu cuối cùng.".to_owned(),
        Standing::Lacking { devices } => {
            format!("Còn {} thiết bị chưa gửi đủ bản ghi.", number::count(devices))
        }
        Standing::Provisional { unsettled } => format!(
            "Số liệu là số liệu tạm thời: {}; báo cáo cuối cùng được lập lại khi hết kỳ và hết hạn nhận bản ghi.",
            match unsettled {
                0 => "kỳ báo cáo chưa kết thúc".to_owned(),
                some => format!("còn {} lượt phát có thể thay đổi", number::count(some)),
            }
        ),
    };
    vec![
        text(format!(
            "Báo cáo tính {}, trên {} xã, phường, đặc khu với {} cụm loa và {} bảng điện tử có trong danh mục.",
            question.period.name(),
            number::count(cut.communes().len() as u64),
            kinds(Kind::Clip),
            kinds(Kind::Pages),
        )),
        text(format!(
            "Số liệu lập từ bản ghi do từng thiết bị ký, chốt lúc {}; điểm kiểm tra nhật ký: {}. {settled}",
            number::instant(question.cut_off, question.zone),
            super::document::checkpoint(question.checkpoint.as_ref()),
        )),
    ]
}

fn results(cut: &Cut<'_>, tally: &Tally) -> Vec<Part> {
    let communes: BTreeSet<UnitNo> =
        cut.aired().filter(super::evidence::Aired::is_confirmed).map(|aired| aired.unit).collect();
    let broadcasts = cut.aired().filter(super::evidence::Aired::is_confirmed).count() as u64;
    vec![
        text(format!(
            "Có {} lần phát được xác nhận tại {} xã; {} thiết bị có ít nhất một lượt phát xác nhận.",
            number::count(broadcasts),
            number::share(communes.len() as u64, cut.communes().len() as u64),
            number::share(cut.confirmed_devices().len() as u64, cut.devices().len() as u64),
        )),
        text(format!(
            "Tính theo từng thiết bị: {} lượt theo lịch được xác nhận phát trọn; phát một phần {}; không phát, có \
             lý do {}; không phát, không rõ lý do {}; chờ kết quả {}. Ngoài lịch hoặc đã rút khỏi lịch: {} lượt.",
            number::share(tally.confirmed(), tally.expected),
            number::count(tally.partial),
            number::count(tally.explained()),
            number::count(tally.missing),
            number::count(tally.pending),
            number::count(tally.unplanned + tally.superseded),
        )),
        Part::Table(months(cut)),
        Part::Table(topics(cut).only(&[
            "topic",
            "name",
            "broadcasts",
            "communes",
            "devices",
            "plays",
        ])),
        Part::Table(grades(tally)),
    ]
}

fn months(cut: &Cut<'_>) -> Table {
    let columns = [
        column("month", "Tháng", "Month", 12),
        column("broadcasts", "Lần phát có xác nhận", "Confirmed broadcasts", 14),
        column("plays", "Lượt thiết bị xác nhận", "Confirmed plays", 24),
        column("devices", "Thiết bị có phát xác nhận", "Devices that confirm", 18),
        column("missing", "Không phát, không rõ", "Missing", 12),
    ];
    let mut table = Table::new("months", "Kết quả theo tháng", &columns);
    let mut found: BTreeMap<NaiveDate, (Tally, u64)> = BTreeMap::new();
    for aired in cut.aired() {
        let month = found.entry(aired.day.with_day(1).unwrap_or(aired.day)).or_default();
        month.0.merge(&aired.broadcast.tally);
        month.1 += u64::from(aired.is_confirmed());
    }
    for month in cut.period.months() {
        let first = month.first().with_day(1).unwrap_or(month.first());
        let (tally, broadcasts) = found.get(&first).copied().unwrap_or_default();
        let confirmed: BTreeSet<DeviceNo> = cut
            .all
            .rollups
            .reach()
            .within(month, &cut.scope)
            .filter(|(_, days)| days.confirmed != 0)
            .map(|(key, _)| key.device)
            .collect();
        let devices = cut.all.places.devices_in(&cut.scope, month.first(), month.last()).len();
        table.push(vec![
            Cell::text(&first.format("%m/%Y").to_string()),
            Cell::Count(broadcasts),
            Cell::Share { part: tally.confirmed(), whole: tally.expected },
            Cell::Share { part: confirmed.len() as u64, whole: devices as u64 },
            Cell::Count(tally.missing),
        ]);
    }
    table
}

fn plans(question: &Question, cut: &Cut<'_>, additions: &Additions<'_>) -> Vec<Part> {
    let lines = additions.lines;
    if lines.is_empty() {
        return vec![text("Chưa có dòng kế hoạch nào được nhập.".to_owned())];
    }
    let judged = judge(question, cut, lines, additions.manual);
    let count = |kept: Kept| judged.iter().filter(|one| one.kept == kept).count() as u64;
    let (met, missing) = (count(Kept::Met), count(Kept::Missing));
    let mut parts = vec![text(format!(
        "Đối chiếu {} dòng kế hoạch: đạt {} lần xét (mỗi đơn vị, mỗi kỳ); thiếu {}; chưa hết kỳ {}.",
        number::count(lines.len() as u64),
        number::share(met, met + missing),
        number::count(missing),
        number::count(count(Kept::Open)),
    ))];
    let behind: BTreeSet<UnitNo> =
        judged.iter().filter(|one| one.kept == Kept::Missing).map(|one| one.unit).collect();
    if !behind.is_empty() {
        parts.push(text(format!("Đơn vị còn thiếu: {}.", named(cut, &behind))));
    }
    let brief =
        summary(&judged, lines).only(&["line", "ordered", "met", "missing", "partly", "open"]);
    parts.push(Part::Table(brief));
    parts
}

fn named(cut: &Cut<'_>, units: &BTreeSet<UnitNo>) -> String {
    let names: Vec<String> = units.iter().take(MOST_NAMED).map(|unit| cut.name(*unit)).collect();
    let rest = units.len().saturating_sub(MOST_NAMED);
    match rest {
        0 => names.join("; "),
        rest => format!(
            "{} và {} đơn vị khác (xem phụ lục)",
            names.join("; "),
            number::count(rest as u64)
        ),
    }
}

fn notices(question: &Question, cut: &Cut<'_>, notices: &[Notice]) -> Vec<Part> {
    let mut said = Vec::new();
    for notice in chosen(question, notices).into_iter().filter(|notice| !notice.drill) {
        let day = super::period::day_of(notice.sent, question.zone);
        let stands =
            |no: DeviceNo| cut.all.places.stood(no, day).is_some_and(|unit| cut.scope.holds(unit));
        let counts = counts(notice.devices.iter().filter(|one| stands(one.device)));
        if counts.devices > 0 {
            said.push(text(sentence(question, notice, &counts)));
        }
    }
    if said.is_empty() {
        said.push(text("Trong kỳ không có thông báo khẩn.".to_owned()));
    }
    said
}

fn manual(cut: &Cut<'_>, entries: &[Manual]) -> Vec<Part> {
    let table = channels(cut, entries);
    if table.rows.is_empty() {
        return vec![text("Không có minh chứng nhập tay trong kỳ.".to_owned())];
    }
    vec![
        text(
            "Các hình thức dưới đây do cán bộ nhập kèm tệp minh chứng, không do thiết bị xác nhận và không cộng vào \
             số liệu ở các mục trên."
                .to_owned(),
        ),
        Part::Table(table),
    ]
}

fn open(cut: &Cut<'_>, tally: &Tally, additions: &Additions<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    let heard: BTreeSet<UnitNo> =
        cut.aired().filter(super::evidence::Aired::is_confirmed).map(|aired| aired.unit).collect();
    let silent: BTreeSet<UnitNo> =
        cut.communes().into_iter().filter(|unit| !heard.contains(unit)).collect();
    if !silent.is_empty() {
        let share = number::share(silent.len() as u64, cut.communes().len() as u64);
        parts.push(text(format!(
            "Xã không có lượt phát xác nhận: {share}: {}.",
            named(cut, &silent)
        )));
    }
    let confirmed = cut.confirmed_devices();
    let mute = cut.devices().into_iter().filter(|no| !confirmed.contains(no)).count() as u64;
    parts.push(text(format!(
        "Thiết bị không có lượt phát xác nhận nào: {}. Lượt theo lịch mất liên lạc: {}; không rõ lý do: {}.",
        number::share(mute, cut.devices().len() as u64),
        number::share(tally.offline, tally.expected),
        number::share(tally.missing, tally.expected),
    )));
    for (title, said) in [("Khó khăn", additions.difficulties), ("Kiến nghị", additions.proposals)]
    {
        for paragraph in said.iter().map(|said| clean(said)).filter(|said| !said.is_empty()) {
            parts.push(text(format!("{title}: {paragraph}")));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_report_is_due_on_30_november_15_december_or_the_year_after() {
        let day = |text: &str| -> NaiveDate { text.parse().unwrap() };
        assert_eq!(deadline(day("2026-01-01")), Some(day("2026-11-30")));
        assert_eq!(deadline(day("2026-11-30")), Some(day("2026-11-30")));
        assert_eq!(deadline(day("2026-12-01")), Some(day("2026-12-15")));
        assert_eq!(deadline(day("2026-12-16")), Some(day("2027-11-30")));
    }
}
