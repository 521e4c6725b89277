//! Vietnamese words for what rows say, and outside text made fit for paper.
//!
//! Invariant: text that enters a document is NFC, without control or direction characters, and
//! bounded; what was cut ends in `…`.

use super::contents::Content;
use crate::domain::proof::outcome::{Plan, Reason, Stage, Verdict};
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use chrono_tz::Tz;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Longest text of one cell, in characters.
pub const LONGEST: usize = 2_000;

/// Makes outside text fit for a document.
pub fn clean(text: &str) -> String {
    // Nearly all text is fit as it is, and a log has millions of cells.
    let composed = || is_nfc_quick(text.chars()) == IsNormalized::Yes;
    if text.len() <= LONGEST && composed() && !text.chars().any(is_hidden) {
        return text.trim().to_owned();
    }
    let mut found = String::with_capacity(text.len().min(4 * LONGEST));
    // Composing can only shorten; four marks a letter are more than any writing of the country has.
    let mut chars = text.chars().take(4 * LONGEST).nfc();
    for _ in 0..LONGEST {
        match chars.next() {
            Some(letter) if is_hidden(letter) => found.push(' '),
            Some(letter) => found.push(letter),
            None => return found.trim().to_owned(),
        }
    }
    if chars.next().is_some() {
        found.pop();
        found.push('…');
    }
    found.trim().to_owned()
}

fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

/// Returns what a name is sorted by: its letters without marks, then itself.
pub fn order(name: &str) -> (String, String) {
    let bare = name
        .nfd()
        .filter(|letter| !unicode_normalization::char::is_combining_mark(*letter))
        .flat_map(char::to_lowercase)
        .flat_map(|letter| if letter == 'đ' { vec!['d', '~'] } else { vec![letter] })
        .collect();
    (bare, name.to_owned())
}

/// Makes every text of a content fit.
pub(super) fn clean_all(content: &mut Content) {
    for text in [&mut content.item, &mut content.title] {
        *text = clean(text);
    }
    for text in
        [&mut content.author, &mut content.reader, &mut content.document, &mut content.subject.line]
    {
        *text = text.as_deref().map(clean).filter(|text| !text.is_empty());
    }
    for topic in &mut content.subject.topics {
        *topic = clean(topic);
    }
    content.subject.topics.retain(|topic| !topic.is_empty());
}

/// Names an outcome.
pub fn verdict(result: Option<Verdict>) -> &'static str {
    match result {
        Some(Verdict::Played) => "đã phát trọn",
        Some(Verdict::Partial) => "phát một phần",
        Some(Verdict::Failed) => "không phát được",
        Some(Verdict::PreEmpted) => "nhường tin ưu tiên",
        Some(Verdict::Refused) => "bị từ chối theo quy định",
        Some(Verdict::Offline) => "mất liên lạc",
        Some(Verdict::Missing) => "không phát, không rõ lý do",
        None => "chưa có kết quả",
    }
}

/// Names how settled an outcome is.
pub fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Pending => "chờ kết quả",
        Stage::Provisional => "tạm thời",
        Stage::Final => "cuối cùng",
    }
}

/// Names how a cue stands to the schedule.
pub fn plan(plan: Plan) -> &'static str {
    match plan {
        Plan::Planned => "theo lịch",
        Plan::Superseded => "đã rút khỏi lịch",
        Plan::Unplanned => "ngoài lịch",
    }
}

/// Names a kind of device.
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Clip => "cụm loa",
        Kind::Pages => "bảng điện tử",
    }
}

/// Names a cause, a word of the contract with devices; words it does not know stay as they are.
pub fn cause(word: &str) -> String {
    let known = match word {
        "end" => "hết bài",
        "withdrawn" => "lịch bị rút",
        "pre-empted" => "nhường tin ưu tiên",
        "power" => "mất điện",
        "clock" => "đồng hồ không tin cậy",
        "missing" => "thiếu tệp nội dung",
        "unsupported" => "thiết bị không hỗ trợ",
        "quiet" => "giờ yên tĩnh",
        "hold" => "lệnh tạm dừng",
        "stop" => "lệnh dừng",
        "output" => "lỗi đầu ra âm thanh",
        "expired" => "hết hiệu lực",
        _ => return clean(word),
    };
    known.to_owned()
}

/// Says why an outcome is as it is.
pub fn reason(reason: &Reason, zone: Tz) -> String {
    let at = |at: &UtcMs| super::number::instant(*at, zone);
    match reason {
        Reason::Device { cause: word, by: Some(by) } => format!("{} ({})", cause(word), clean(by)),
        Reason::Device { cause: word, by: None } => cause(word),
        Reason::Superseded { withdrawn_ms } => format!("lịch đã rút lúc {}", at(withdrawn_ms)),
        Reason::Short { cause: word } => format!("phát ngắn hơn quy định, {}", cause(word)),
        Reason::NoEnd => "đã bắt đầu, chưa có báo kết thúc".to_owned(),
        Reason::Awaited => "chưa hết giờ phát".to_owned(),
        Reason::NeverHeard => "thiết bị không có bản ghi nào quanh giờ phát".to_owned(),
        Reason::Silent { since_ms } => format!("thiết bị im lặng từ {}", at(since_ms)),
        Reason::Restarted { at_ms } => format!("thiết bị khởi động lại lúc {}", at(at_ms)),
        Reason::Gap { from, to, .. } => format!("bản ghi {from} đến {to} chưa về"),
        Reason::NoPlay => "thiết bị hoạt động nhưng không báo phát".to_owned(),
    }
}

/// Names a grade of evidence.
pub fn grade(grade: u8) -> &'static str {
    match grade {
        0 => "đã gửi",
        1 => "thiết bị đã nhận",
        2 => "thiết bị báo đã phát",
        3 => "thiết bị đếm mẫu âm thanh, khung hình",
        4 => "đo được tín hiệu điện",
        5 => "cảm biến của thiết bị",
        _ => "cảm biến độc lập",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_becomes_nfc_loses_what_cannot_be_seen_and_is_cut_with_a_mark() {
        assert_eq!(clean("  Thôn\u{202e} Bi\u{0300}nh\r\nAn\u{0} "), "Thôn  Bình  An");
        let long = clean(&"ộ".repeat(3_000));
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.ends_with('…'));
        assert_eq!(clean(&"a".repeat(LONGEST)).chars().last(), Some('a'));
        let marks = clean(&"a\u{0300}\u{0301}\u{0302}\u{0303}".repeat(100_000));
        assert!(marks.chars().count() <= LONGEST);
    }

    #[test]
    fn names_are_sorted_by_their_letters_and_d_with_a_bar_comes_after_d() {
        let mut names = ["Đỗ Văn Bình", "Lê Ánh", "Dương An", "lê an", "Ôn Lành"];
        names.sort_by_key(|name| order(name));
        assert_eq!(names, ["Dương An", "Đỗ Văn Bình", "lê an", "Lê Ánh", "Ôn Lành"]);
    }

    #[test]
    fn every_outcome_and_cause_has_its_words() {
        let zone = chrono_tz::Asia::Ho_Chi_Minh;
        let quiet = Reason::Device { cause: "quiet".into(), by: None };
        assert_eq!(reason(&quiet, zone), "giờ yên tĩnh");
        let unknown =
            Reason::Device { cause: "=HYPERLINK\u{7}".into(), by: Some("tin\u{0}".into()) };
        assert_eq!(reason(&unknown, zone), "=HYPERLINK (tin)");
        let silent = Reason::Silent { since_ms: UtcMs(1_790_935_200_000) };
        assert_eq!(reason(&silent, zone), "thiết bị im lặng từ 02/10/2026 17:00:00");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(text in any::<String>()) {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(!once.chars().any(is_hidden));
        }
    }
}
