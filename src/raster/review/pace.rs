//! Whether there is time to read.

use super::{Finding, Motion};
use crate::raster::board::Board;
use crate::raster::design::{Design, LEAST_STILL_MS};
use crate::raster::layout::Block;
use crate::raster::pass::Pass;

/// Letters of a word that is read in one second.
const WORD_LETTERS: usize = 8;
/// Time for a word, in milliseconds.
const WORD_MS: i64 = 1_000;
/// Most letters a second that scrolling text may pass with.
const MOST_LETTERS_S: u32 = 10;

/// Counts words as readers take them in: neighbours of together at most eight letters are one.
fn words(text: &str) -> u32 {
    let (mut words, mut letters) = (0, 0);
    for word in text.split_whitespace() {
        let own = word.chars().filter(|c| c.is_alphanumeric()).count();
        if own == 0 {
            continue;
        }
        if letters == 0 || letters + own > WORD_LETTERS {
            words += 1;
            letters = 0;
        }
        letters += own;
    }
    words
}

/// Returns how long it takes to read a text on a board, in milliseconds: two seconds at least.
pub fn reading_ms(text: &str) -> i64 {
    (i64::from(words(text)) * WORD_MS).max(LEAST_STILL_MS)
}

pub(super) fn pace(
    design: &Design,
    board: &Board,
    pass: &Pass<'_>,
    block: &Block<'_>,
    found: &mut Vec<Finding>,
) {
    let text = pass.text();
    if text.trim().is_empty() {
        return;
    }
    let dwell_ms = design.dwell_ms;
    if let Motion::Scroll { px_s } = design.motion {
        let px_s = px_s.unwrap_or(board.scroll_px_s()).clamp(1, 1_000);
        let cells = block.lines.iter().map(|line| line.cells.len()).sum::<usize>().max(1);
        let width_px: u32 = block.lines.iter().map(|line| line.width_px).sum();
        let letter_px = (f64::from(width_px * design.scale_px()) / cells as f64).max(1.0);
        let letters = (f64::from(px_s) / letter_px).floor();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
        let letters_s = letters as u32;
        if letters_s > MOST_LETTERS_S {
            found.push(Finding::ScrollFast { letters_s });
        }
        let sight_ms = i64::from(board.width_px()) * 1_000 / i64::from(px_s);
        if sight_ms < LEAST_STILL_MS {
            found.push(Finding::ScrollBrief { sight_ms });
        }
        return;
    }
    let screens = pass.screen_count();
    let least = LEAST_STILL_MS.saturating_mul(i64::try_from(screens).unwrap_or(i64::MAX));
    let need_ms = reading_ms(&text).max(least);
    if screens > 1 && dwell_ms < need_ms {
        found.push(Finding::DoesNotFit { screens, need_ms, dwell_ms });
    } else if dwell_ms < need_ms {
        found.push(Finding::TooFast { words: words(&text), need_ms, dwell_ms });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_two_short_syllables_is_read_as_one() {
        for (text, seconds) in [
            ("", 2),
            ("Tết", 2),
            ("Ủy ban nhân dân xã Nghĩa Đồng", 4),
            ("THÔNG BÁO", 2),
            ("Không cung cấp mã OTP cho bất kỳ ai", 4),
            ("– , .", 2),
        ] {
            assert_eq!(reading_ms(text), seconds * 1_000, "{text}");
        }
    }
}
