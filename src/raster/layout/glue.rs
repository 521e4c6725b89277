//! Which neighbours stay on one line when there is room: `7 giờ`, `số 12/KH-UBND`, `25 °C`.
//!
//! Vietnamese writes syllables apart, so a blank may stand inside a word; a break there is usual
//! and read without trouble. A number without its unit or its label is not: it is read wrong from
//! a passing motorbike.

/// Words that belong to the number after them.
const BEFORE: &[&str] = &[
    "số",
    "ngày",
    "mùng",
    "tháng",
    "năm",
    "lúc",
    "từ",
    "đến",
    "khoá",
    "khóa",
    "thôn",
    "xóm",
    "khu",
    "tổ",
    "ấp",
    "bản",
    "đội",
    "quận",
    "phường",
    "đợt",
    "kỳ",
    "lần",
    "cấp",
    "mức",
    "thứ",
    "quý",
    "điều",
    "khoản",
    "giờ",
    "hotline",
    "đt",
    "sđt",
    "tel",
    "km",
    "ql",
    "đường",
];

/// Units that belong to the number before them.
const AFTER: &[&str] = &[
    "giờ", "phút", "giây", "h", "h.", "ngày", "tháng", "năm", "tuần", "đồng", "đ", "₫", "vnđ",
    "triệu", "tỷ", "nghìn", "ngàn", "m", "cm", "mm", "km", "m²", "m2", "m³", "m3", "ha", "kg", "g",
    "tấn", "tạ", "yến", "lít", "l", "ml", "kw", "kv", "kwh", "v", "%", "°", "°c", "độ", "người",
    "hộ", "em", "cháu", "tuổi", "lần", "liều", "ca", "cấp",
];

/// Weekdays, which belong to `thứ`.
const DAYS: &[&str] = &["hai", "ba", "tư", "năm", "sáu", "bảy"];

/// Marks that close what stands before them.
const CLOSING: &[char] = &[',', '.', ';', ':', '!', '?', ')', ']', '}', '”', '’', '»', '…', '%'];
/// Marks that open what stands after them.
const OPENING: &[char] = &['(', '[', '{', '“', '‘', '«'];

/// Says whether two words that follow each other should stay together.
pub(super) fn together(first: &str, second: &str) -> bool {
    let only =
        |word: &str, marks: &[char]| !word.is_empty() && word.chars().all(|c| marks.contains(&c));
    if only(second, CLOSING) || only(first, OPENING) {
        return true;
    }
    // A dash as a word stays with what stands before it, so that no line begins with one.
    if matches!(second, "-" | "–" | "—" | "/") {
        return true;
    }
    // A number that ends a sentence has nothing to do with what follows.
    if first.ends_with(['.', '!', '?', ';', ':', ',']) {
        return false;
    }
    // `Nghĩa Đồng`, `Nguyễn Văn Trỗi`; capitals throughout are emphasis and tell nothing.
    let is_name = |word: &str| {
        word.starts_with(char::is_uppercase) && word.chars().skip(1).all(char::is_lowercase)
    };
    if is_name(first) && is_name(second.trim_end_matches(CLOSING)) {
        return true;
    }
    let bare =
        |word: &str| word.trim_start_matches(OPENING).trim_end_matches(CLOSING).to_lowercase();
    let has_digit = |word: &str| word.bytes().any(|b| b.is_ascii_digit());
    (has_digit(second) && BEFORE.contains(&bare(first).as_str()))
        || (has_digit(first) && AFTER.contains(&bare(second).as_str()))
        || match bare(first).as_str() {
            "thứ" => DAYS.contains(&bare(second).as_str()),
            "chủ" => bare(second) == "nhật",
            _ => false,
        }
}

/// Says whether a word that is too long for a line may be broken after this cluster.
pub(super) fn breaks_after(cluster: &str) -> bool {
    matches!(cluster, "-" | "–" | "—" | "/" | "_" | "@" | "." | "," | "&" | "=" | "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_with_what_they_count_and_name() {
        for (first, second) in [
            ("7", "giờ"),
            ("số", "12/KH-UBND"),
            ("25", "°C,"),
            ("(ngày", "5/6"),
            ("Thứ", "Bảy"),
            ("Chủ", "nhật"),
            ("nước", ":"),
            ("“", "Nhà"),
            ("2", "–"),
            ("500.000", "đồng."),
            ("Nghĩa", "Đồng,"),
            ("Văn", "Trỗi"),
        ] {
            assert!(together(first, second), "{first} {second}");
        }
        for (first, second) in [
            ("nhân", "dân"),
            ("năm", "học"),
            ("7.", "giờ"),
            ("xã", "12A"),
            ("giờ", "phút"),
            ("", ""),
            ("xã", "Nghĩa"),
            ("NHÂN", "DÂN"),
            ("Đồng,", "Nghệ"),
        ] {
            assert!(!together(first, second), "{first} {second}");
        }
    }
}
