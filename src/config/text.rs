//! Text at the edge: NFC, suspicious letters, lengths of time, ids from file names, near misses.

use super::problem::Problem;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Returns the text composed (NFC), as it is compared, stored and shown everywhere.
pub fn nfc(text: &str) -> String {
    text.nfc().collect()
}

/// Counts what a reader sees as characters.
pub(super) fn graphemes(text: &str) -> usize {
    text.graphemes(true).count()
}

/// Shortens a value for a message: long values hide the sentence around them.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.graphemes(true).take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// Lowers, takes off diacritics and turns the rest to `-`: `Bản tin sáng` becomes
/// `ban-tin-sang`. A text that is an id already stays as it is; may come out empty.
pub(super) fn slug(text: &str) -> String {
    let mut id = String::new();
    for c in text.nfd() {
        match c {
            'đ' | 'Đ' => id.push('d'),
            c if c.is_ascii_alphanumeric() => id.push(c.to_ascii_lowercase()),
            c if is_mark(c) => {}
            _ if id.ends_with('-') || id.is_empty() => {}
            _ => id.push('-'),
        }
        if id.len() >= 40 {
            break;
        }
    }
    id.trim_end_matches('-').to_owned()
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}')
}

/// Notes letters that look Vietnamese and are not. Cheap signs only: each is a letter that
/// Vietnamese text in Unicode never holds.
pub(super) fn suspicious(key: &str, text: &str) -> Option<Problem> {
    let look_alike = |found, meant| Problem::LookAlike {
        key: key.to_owned(),
        found,
        code: u32::from(found),
        meant,
    };
    let mut before = ' ';
    for c in text.chars() {
        match c {
            'Ð' | 'Ɖ' => return Some(look_alike(c, 'Đ')),
            'ð' | 'ɖ' => return Some(look_alike(c, 'đ')),
            // The bytes of TCVN3 read as Latin-1, next to a letter: `TiÕng ViÖt`, `®µi`.
            '®' | 'µ' | '¸' | '¶' | '·' | '¹' | '¨' | '»' | '¾' | '¼' | '½' | '©'
                if before.is_alphabetic() && before != 'µ' =>
            {
                return Some(Problem::OldFont { key: key.to_owned() });
            }
            'Ö' | 'Õ' | '×' | 'Ø' | 'Þ' | 'ß' if before.is_lowercase() => {
                return Some(Problem::OldFont { key: key.to_owned() });
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// Reads `15m`, `90s`, `1h30m`, `500ms`: numbers with units, larger units first.
pub fn duration_ms(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total: i64 = 0;
    let mut last = i64::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "h" => 3_600_000,
            "m" | "min" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest[letters..].trim_start();
    }
    Some(total)
}

/// Returns the known word nearest to a misspelt one: at most a third of its letters differ.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    let most = (word.len() / 3).clamp(1, 4);
    known
        .into_iter()
        .filter(|k| !k.is_empty())
        .map(|k| (distance(&word, k), k))
        .filter(|(steps, _)| *steps <= most)
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, k)| k)
}

/// As [`nearest`], among ids.
pub(super) fn nearest_id<T: AsRef<str>>(word: &str, known: &BTreeSet<T>) -> Option<String> {
    nearest(word, known.iter().map(AsRef::as_ref)).map(str::to_owned)
}

/// Counts insertions, deletions, changes and exchanges of neighbours between two words.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(ca != cb)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_with_diacritics_gives_an_id() {
        assert_eq!(slug("Bản tin  sáng (Đoài)"), "ban-tin-sang-doai");
        assert_eq!(slug(&"Bản tin sáng".nfd().collect::<String>()), "ban-tin-sang");
        assert_eq!(slug("ban-tin-1"), "ban-tin-1");
        assert_eq!(slug("***"), "");
    }

    #[test]
    fn lengths_of_time_are_read_with_their_units() {
        assert_eq!(duration_ms("15m"), Some(900_000));
        assert_eq!(duration_ms("1h30m"), Some(5_400_000));
        assert_eq!(duration_ms("1m 30s"), Some(90_000));
        assert_eq!(duration_ms("500ms"), Some(500));
        for wrong in ["", "15", "m", "30m1h", "15 phút", "1.5m", "-1m", "99999999999999999999h"] {
            assert_eq!(duration_ms(wrong), None, "{wrong}");
        }
        assert_eq!(duration_ms("9223372036854775807h"), None);
    }

    #[test]
    fn a_misspelt_word_finds_its_neighbour_and_nonsense_finds_none() {
        let known = ["title", "targets", "volume"];
        assert_eq!(nearest("tilte", known), Some("title"));
        assert_eq!(nearest("Volumne", known), Some("volume"));
        assert_eq!(nearest("xyz", known), None);
    }

    #[test]
    fn letters_of_other_alphabets_and_old_fonts_are_noticed() {
        assert!(matches!(suspicious("t", "Ðài"), Some(Problem::LookAlike { meant: 'Đ', .. })));
        assert!(matches!(suspicious("t", "TiÕng ViÖt"), Some(Problem::OldFont { .. })));
        assert_eq!(suspicious("t", "Đài truyền thanh xã, 50 µg"), None);
    }
}
