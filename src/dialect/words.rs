//! Vietnamese on devices that cannot draw it.

use unicode_normalization::UnicodeNormalization as _;

/// Why a text cannot go to a device as text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the device cannot draw `{letters}`")]
    Letters { letters: String },
    #[error("{length} {unit} of text on a device that takes {most}")]
    Long { length: usize, most: u32, unit: &'static str },
    #[error("the device takes `{found}` for a command")]
    Command { found: String },
}

impl Refused {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Letters { .. } => {
                "let the profile fall back to pixels, or write a text in its letters"
            }
            Self::Long { .. } => "split the text over several pages",
            Self::Command { .. } => "write it differently",
        }
    }
}

/// Takes off what ASCII lacks: `Đài truyền thanh` becomes `Dai truyen thanh`. Signs that have no
/// plain form become `?`, so that a loss is seen.
pub fn ascii(text: &str) -> String {
    let plain = |c: char| match c {
        '\u{300}'..='\u{36F}' => None,
        'đ' => Some('d'),
        'Đ' => Some('D'),
        '“' | '”' => Some('"'),
        '‘' | '’' => Some('\''),
        '–' | '—' => Some('-'),
        '\u{A0}' => Some(' '),
        c if c.is_ascii() => Some(c),
        _ => Some('?'),
    };
    text.nfd().filter_map(plain).collect()
}

/// Reads a range of letters: `20-7E`, `1EA0-1EF9`, or one code.
pub fn letters(text: &str) -> Option<(char, char)> {
    let code = |t: &str| {
        let hex = (1..=6).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(t, 16).ok().and_then(char::from_u32)).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (code(first.trim())?, code(last.trim())?);
    (first <= last).then_some((first, last))
}

/// Named sets of letters.
pub const SETS: &[(&str, &[(char, char)])] = &[
    ("ascii", &[(' ', '~')]),
    ("latin1", &[(' ', '~'), ('\u{A0}', '\u{FF}')]),
    (
        "vietnamese",
        &[
            (' ', '~'),
            ('À', 'Ã'),
            ('È', 'Ê'),
            ('Ì', 'Í'),
            ('Ò', 'Õ'),
            ('Ù', 'Ú'),
            ('Ý', 'Ý'),
            ('à', 'ã'),
            ('è', 'ê'),
            ('ì', 'í'),
            ('ò', 'õ'),
            ('ù', 'ú'),
            ('ý', 'ý'),
            ('Ă', 'ă'),
            ('Đ', 'đ'),
            ('Ĩ', 'ĩ'),
            ('Ũ', 'ũ'),
            ('Ơ', 'ơ'),
            ('Ư', 'ư'),
            ('Ạ', 'ỹ'),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_set_holds_exactly_the_134_vietnamese_letters_beside_ascii() {
        let (_, ranges) = SETS.iter().find(|(name, _)| *name == "vietnamese").unwrap();
        let set: std::collections::BTreeSet<char> =
            ranges.iter().flat_map(|(a, z)| *a..=*z).filter(|c| !c.is_ascii()).collect();
        let mut letters = std::collections::BTreeSet::new();
        for base in "aăâeêioôơuưy".chars() {
            for tone in ["", "\u{300}", "\u{301}", "\u{303}", "\u{309}", "\u{323}"] {
                letters.extend(format!("{base}{tone}").nfc());
            }
        }
        letters.insert('đ');
        letters.retain(|c| !c.is_ascii());
        letters.extend(letters.clone().iter().flat_map(|c| c.to_uppercase()));
        assert_eq!(letters.len(), 134);
        assert_eq!(set, letters);
    }

    #[test]
    fn ascii_keeps_the_words_and_shows_what_is_lost() {
        assert_eq!(
            ascii("Đề nghị “bà con” giữ vệ sinh – 5 €"),
            "De nghi \"ba con\" giu ve sinh - 5 ?"
        );
    }

    #[test]
    fn ranges_of_letters_are_hexadecimal_and_rise() {
        assert_eq!(letters("20-7E"), Some((' ', '~')));
        assert_eq!(letters("1EF9"), Some('ỹ').map(|c| (c, c)));
        for wrong in ["", "7E-20", "D800", "110000", "xx", "20-", "-", "+20", "20-7E-80"] {
            assert_eq!(letters(wrong), None, "{wrong}");
        }
    }
}
