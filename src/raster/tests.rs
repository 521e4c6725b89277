use super::*;
use proptest::prelude::*;

fn board(width_px: u32, height_px: u32) -> BoardProfile {
    BoardProfile { width_px, height_px, colours: vec![], fonts: vec![], scroll_px_s: 40 }
}

fn page(text: &str, effect: Effect, dwell_ms: i64) -> Page {
    Page { text: text.into(), align: Align::Centre, effect, dwell_ms, colour: None, font: None }
}

#[test]
fn two_lines_stand_in_the_middle_of_a_panel() {
    let frames = render(&page("Ế Ộ Ậ\nđường", Effect::Still, 5_000), &board(64, 32));
    assert_eq!((frames.len(), frames[0].hold_ms), (1, 5_000));
    insta::assert_snapshot!("two_lines", frames[0].picture());
}

#[test]
fn long_text_turns_screens_that_share_its_time() {
    let text = "Không cung cấp mã OTP cho bất kỳ ai";
    let frames = render(&page(text, Effect::Still, 9_000), &board(64, 32));
    let pictures: Vec<String> = frames.iter().map(Frame::picture).collect();
    assert_eq!(frames.iter().map(|f| f.hold_ms).sum::<i64>(), 9_000);
    insta::assert_snapshot!("screens", pictures.join("\n"));
}

#[test]
fn decomposed_text_gives_the_same_pixels() {
    use unicode_normalization::UnicodeNormalization as _;
    let text = "Uỷ ban nhân dân xã";
    let composed = render(&page(text, Effect::Still, 2_000), &board(128, 32));
    let apart: String = text.nfd().collect();
    assert_ne!(apart, text);
    assert_eq!(render(&page(&apart, Effect::Still, 2_000), &board(128, 32)), composed);
}

#[test]
fn every_letter_of_vietnamese_has_pixels_of_its_own() {
    let bases = "aăâeêioôơuưy";
    let mut letters: Vec<String> = vec!["đ".into()];
    for base in bases.chars() {
        letters.extend(["", "\u{300}", "\u{301}", "\u{303}", "\u{309}", "\u{323}"].map(|tone| {
            use unicode_normalization::UnicodeNormalization as _;
            format!("{base}{tone}").nfc().collect()
        }));
    }
    letters.extend(letters.clone().iter().map(|l| l.to_uppercase()));
    let missing = render(&page("□", Effect::Still, 2_000), &board(16, 16))[0].picture();
    let mut seen = std::collections::BTreeMap::new();
    for letter in &letters {
        let picture = render(&page(letter, Effect::Still, 2_000), &board(16, 16))[0].picture();
        assert_ne!(picture, missing, "no glyph for `{letter}`");
        if let Some(other) = seen.insert(picture, letter) {
            panic!("`{letter}` looks like `{other}`");
        }
    }
    assert_eq!(seen.len(), 146); // 134 with marks, and a e i o u y both ways
}

#[test]
fn scrolling_text_passes_as_a_whole_in_the_time_its_length_needs() {
    let frames = render(&page("Thôn Đoài", Effect::Scroll, 2_000), &board(64, 16));
    // 64 + 72 px at 40 px a second take 3.4 s; the dwell time is shorter.
    let total: i64 = frames.iter().map(|f| f.hold_ms).sum();
    assert!((3_400..3_500).contains(&total), "{total}");
    let dark = Frame::dark(&board(64, 16)).picture();
    assert_eq!(frames[0].picture(), dark);
    assert_eq!(frames.last().unwrap().picture(), dark);
    assert!(frames.iter().all(|f| f.hold_ms >= 40));
    insta::assert_snapshot!("scrolled", frames[34].picture());
}

#[test]
fn scrolling_text_that_is_through_early_stays_dark_until_its_time() {
    let frames = render(&page("a", Effect::Scroll, 10_000), &board(64, 16));
    assert_eq!(frames.iter().map(|f| f.hold_ms).sum::<i64>(), 10_000);
}

#[test]
fn a_colour_the_board_cannot_show_becomes_its_first() {
    let mut rgb = board(16, 16);
    rgb.colours = vec!["amber".into(), "green".into()];
    let mut page = page("a", Effect::Still, 2_000);
    page.colour = Some("blue".into());
    assert_eq!(render(&page, &rgb)[0].colour(), Some(Rgb(255, 160, 0)));
    page.colour = Some("green".into());
    let frame = &render(&page, &rgb)[0];
    assert_eq!(frame.packed().len(), 16 * 16 * 3);
    assert!(frame.packed().chunks(3).all(|p| p == [0, 0, 0] || p == [0, 255, 0]));
}

#[test]
fn the_hash_is_that_of_the_packed_pixels() {
    let frame = Frame::dark(&board(16, 8));
    assert_eq!(frame.packed(), vec![0; 16]);
    assert_eq!(frame.hash(), Digest::of(&[0; 16]));
}

proptest! {
    #[test]
    fn any_text_on_any_board_has_frames_and_keeps_its_time(
        text in "\\PC{0,60}|[ a-zđệ\n]{0,200}",
        width_px in 0..200_u32,
        height_px in 0..70_u32,
        scroll_px_s in 0..2_000_u32,
        dwell_ms in 0..20_000_i64,
        scroll in any::<bool>(),
    ) {
        let mut board = board(width_px, height_px);
        board.scroll_px_s = scroll_px_s;
        let effect = if scroll { Effect::Scroll } else { Effect::Still };
        let page = page(&text, effect, dwell_ms);
        let frames = render(&page, &board);
        prop_assert!(!frames.is_empty() && frames.len() <= MOST_FRAMES as usize);
        let total: i64 = frames.iter().map(|f| f.hold_ms).sum();
        // A screen more than divides the dwell time evenly may lose a millisecond each.
        prop_assert!(total + i64::try_from(frames.len()).unwrap() > dwell_ms);
        prop_assert_eq!(render(&page, &board), frames);
    }
}
