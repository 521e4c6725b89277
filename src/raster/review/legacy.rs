//! Text in the encodings from before Unicode, TCVN3 (ABC) and VNI, pasted as if it were Unicode.
//!
//! In both, fonts gave other looks to the letters of Latin-1: `Th«ng b¸o` and `Thoâng baùo` are
//! `Thông báo`. On a board they are nonsense. A text is recognised by decoding it: when words
//! that are no syllables become syllables, it was written so.
//!
//! Sources: TCVN 5712:1993 (set 3); the table of VNI for Windows as its fonts have it.

use super::syllable::is_syllable;
use unicode_normalization::UnicodeNormalization as _;

/// An encoding from before Unicode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Legacy {
    /// TCVN3, also called ABC: fonts named `.VnTime`.
    Tcvn3,
    /// VNI for Windows: fonts named `VNI-Times`.
    Vni,
}

impl Legacy {
    /// Returns its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcvn3 => "TCVN3 (ABC)",
            Self::Vni => "VNI",
        }
    }
}

/// TCVN3's code points from Latin-1, each with its letter.
const TCVN3: &str = "¡Ă¢Â£Ê¤Ô¥Ơ¦Ư§Đ¨ă©âªê«ô¬ơ\u{ad}ư®đµà¶ả·ã¸á¹ạ»ằ¼ẳ½ẵ¾ắÆặÇầÈẩÉẫÊấËậÌèÎẻÏẽÐéÑẹ\
    ÒềÓểÔễÕếÖệ×ìØỉÜĩÝíÞịßòáỏâõãóäọåồæổçỗèốéộêờëởìỡíớîợïùñủòũóúôụõừöử÷ữøứùựúỳûỷüỹýýþỵ";

/// VNI's letters that stand alone.
const VNI_ALONE: &str = "ñđÑĐôơÔƠöưÖƯæỉÆỈóĩÓĨòịÒỊîỵÎỴ";
/// VNI's second bytes, each with the marks it puts on the letter before it.
const VNI_MARKS: &[(char, &str)] = &[
    ('ù', "\u{301}"),
    ('ø', "\u{300}"),
    ('û', "\u{309}"),
    ('õ', "\u{303}"),
    ('ï', "\u{323}"),
    ('â', "\u{302}"),
    ('á', "\u{302}\u{301}"),
    ('à', "\u{302}\u{300}"),
    ('å', "\u{302}\u{309}"),
    ('ã', "\u{302}\u{303}"),
    ('ä', "\u{302}\u{323}"),
    ('ê', "\u{306}"),
    ('é', "\u{306}\u{301}"),
    ('è', "\u{306}\u{300}"),
    ('ú', "\u{306}\u{309}"),
    ('ü', "\u{306}\u{303}"),
    ('ë', "\u{306}\u{323}"),
];

fn looked_up(table: &str, c: char) -> Option<char> {
    let mut chars = table.chars();
    while let (Some(from), Some(to)) = (chars.next(), chars.next()) {
        if from == c {
            return Some(to);
        }
    }
    None
}

fn decode(encoding: Legacy, text: &str) -> String {
    match encoding {
        Legacy::Tcvn3 => text.chars().map(|c| looked_up(TCVN3, c).unwrap_or(c)).collect(),
        Legacy::Vni => {
            let mut decoded = String::new();
            for c in text.chars() {
                let lower = c.to_lowercase().next().unwrap_or(c);
                let after_vowel = decoded.chars().last().is_some_and(|c| {
                    matches!(
                        c,
                        'a' | 'e'
                            | 'i'
                            | 'o'
                            | 'u'
                            | 'y'
                            | 'ơ'
                            | 'ư'
                            | 'A'
                            | 'E'
                            | 'I'
                            | 'O'
                            | 'U'
                            | 'Y'
                            | 'Ơ'
                            | 'Ư'
                    )
                });
                let mark = VNI_MARKS.iter().find(|(byte, _)| *byte == lower);
                match mark.filter(|_| after_vowel) {
                    Some((_, mark)) => decoded.push_str(mark),
                    None => decoded.push(looked_up(VNI_ALONE, c).unwrap_or(c)),
                }
            }
            decoded.nfc().collect()
        }
    }
}

/// Returns the encoding a text was written in, and what it says.
pub(super) fn recognise(text: &str) -> Option<(Legacy, String)> {
    let composed: String = text.nfc().collect();
    let words: Vec<&str> = composed
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation() || c.is_ascii_digit()))
        .filter(|word| !word.is_ascii())
        .collect();
    if words.is_empty() {
        return None;
    }
    let wrong: Vec<&str> = words.iter().copied().filter(|word| !is_syllable(word)).collect();
    let right = words.len() - wrong.len();
    if wrong.len() <= right {
        return None;
    }
    let found = [Legacy::Tcvn3, Legacy::Vni].into_iter().map(|encoding| {
        let becomes = |word: &&&str| is_syllable(&decode(encoding, word));
        (wrong.iter().filter(becomes).count(), encoding)
    });
    let (gained, encoding) = found.max_by_key(|(gained, _)| *gained)?;
    // A foreign name among right words is no encoding; a text that turns right by half is.
    let likely = gained > right && gained * 2 >= words.len();
    likely.then(|| (encoding, decode(encoding, &composed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_text_is_recognised_and_read() {
        for (text, encoding, says) in [
            ("Th«ng b¸o lÞch c¾t ®iÖn", Legacy::Tcvn3, "Thông báo lịch cắt điện"),
            ("ñy ban nh©n d©n x·", Legacy::Tcvn3, "ủy ban nhân dân xã"),
            ("Thoâng baùo lòch caét ñieän", Legacy::Vni, "Thông báo lịch cắt điện"),
            ("Uûy ban nhaân daân xaõ", Legacy::Vni, "Ủy ban nhân dân xã"),
            ("nöôùc saïch, ñöôøng phoá", Legacy::Vni, "nước sạch, đường phố"),
        ] {
            let (found, read) = recognise(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found, encoding, "{text}");
            assert_eq!(read, says);
        }
    }

    #[test]
    fn right_text_is_never_taken_for_an_old_encoding() {
        for text in [
            "Thông báo lịch cắt điện",
            "Nhiệt độ 25 °C, 12 m²",
            "Café «Phố»",
            "Zürich, Málaga",
            "Ủy ban nhân dân xã Nghĩa Đồng",
            "",
            "plain",
            "Buôn Đôn, Đắk Lắk, Krông Pắc",
        ] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }
}
