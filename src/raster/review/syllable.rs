//! Whether a word can be a Vietnamese syllable: the measure by which broken text is recognised.
//!
//! A syllable is an onset, a rhyme and a tone. The rhymes are a closed list (after Đoàn Thiện
//! Thuật, *Ngữ âm tiếng Việt*), and those that end in `c`, `ch`, `p`, `t` bear only sắc or nặng. So
//! `LICH`, `CAT`, `DIEN` cannot be read as they stand: they have lost their marks.

use std::collections::HashSet;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization as _;

/// Onsets, the longer first.
const ONSETS: &[&str] = &[
    "ngh", "ch", "gh", "gi", "kh", "ng", "nh", "ph", "qu", "th", "tr", "b", "c", "d", "đ", "g",
    "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "x", "",
];

/// Rhymes without tone.
const RHYMES: &str = "a ac ach ai am an ang anh ao ap at au ay ăc ăm ăn ăng ăp ăt \
    âc âm ân âng âp ât âu ây e ec em en eng eo ep et ê êch êm ên êng ênh êp êt êu \
    i ia ich im in inh ip it iu iêc iêm iên iêng iêp iêt iêu \
    o oa oac oach oai oam oan oang oanh oao oap oat oay oăc oăm oăn oăng oăt oc oe oem oen oeo oet \
    oi om on ong ooc oong op ot ô ôc ôi ôm ôn ông ôp ôt ơ ơi ơm ơn ơp ơt \
    u ua uân uâng uât uây uc ui um un ung up ut uê uêch uênh uôc uôi uôm uôn uông uôt uơ uy uya \
    uych uyên uyêt uynh uyp uyt uyu ư ưa ưc ưi ưng ưt ưu ươc ươi ươm ươn ương ươp ươt ươu \
    y yêm yên yêng yêt yêu ynh yt ych";

static WHOLE: LazyLock<HashSet<&str>> = LazyLock::new(|| RHYMES.split_whitespace().collect());
/// The rhymes without any mark.
static BARE: LazyLock<HashSet<String>> = LazyLock::new(|| {
    RHYMES.split_whitespace().map(|rhyme| rhyme.nfd().filter(char::is_ascii).collect()).collect()
});

/// Tones as combining marks.
const TONES: [char; 5] = ['\u{300}', '\u{301}', '\u{303}', '\u{309}', '\u{323}'];

/// Says whether the word, in any case, is a syllable with all its marks.
pub(super) fn is_syllable(word: &str) -> bool {
    let lower = word.to_lowercase();
    let decomposed: Vec<char> = lower.nfd().take(32).collect();
    let tones: Vec<char> = decomposed.iter().copied().filter(|c| TONES.contains(c)).collect();
    let base: String = decomposed.iter().copied().filter(|c| !TONES.contains(c)).nfc().collect();
    if tones.len() > 1 {
        return false;
    }
    let stopped = |rhyme: &str| rhyme.ends_with(['c', 'p', 't']) || rhyme.ends_with("ch");
    let sharp = matches!(tones.first(), Some('\u{301}' | '\u{323}'));
    splits(&base).any(|rhyme| WHOLE.contains(rhyme) && (sharp || !stopped(rhyme)))
}

/// Says whether the word is no syllable as it stands and would be one with marks.
pub(super) fn lost_marks(word: &str) -> bool {
    let lower = word.to_lowercase();
    lower.is_ascii() && !is_syllable(&lower) && splits(&lower).any(|rhyme| BARE.contains(rhyme))
}

/// The rests of the word after each onset it may have.
fn splits(word: &str) -> impl Iterator<Item = &str> {
    ONSETS.iter().filter_map(move |onset| word.strip_prefix(onset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_are_told_from_what_only_looks_like_them() {
        let text = "Cộng hòa xã hội chủ nghĩa Việt Nam Độc lập Tự do Hạnh phúc quốc giếng gì nghiêng \
            khuya quyển thuở hươu rượu yêu ỳ oải ngoằn ngoèo xoong đường ưỡn ỦY BAN NHÂN DÂN";
        for word in text.split_whitespace() {
            assert!(is_syllable(word), "{word}");
        }
        for word in ["lich", "cat", "dien", "viet", "nuoc", "stop", "báó", "Th«ng", "", "hz"] {
            assert!(!is_syllable(word), "{word}");
        }
    }

    #[test]
    fn words_that_need_marks_are_known_by_their_endings() {
        for word in ["LICH", "CAT", "DIEN", "NUOC", "VIET", "TUYEN"] {
            assert!(lost_marks(word), "{word}");
        }
        for word in ["THONG", "BAO", "OTP", "VNPT", "LỊCH", "COVID", "NAM"] {
            assert!(!lost_marks(word), "{word}");
        }
    }
}
