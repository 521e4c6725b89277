use super::board::{Panel, Turn, Wall, WallError};
use super::colour::{Depth, Rgb};
use super::design::{Blink, Motion};
use super::face::Face;
use super::scene::Reading;
use super::*;
use crate::domain::ids::Digest;
use crate::domain::playlist::{Align, Effect, Page};
use crate::domain::profile::BoardProfile;
use crate::domain::time::UtcMs;
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;

fn mono(width_px: u32, height_px: u32) -> Board {
    Board::new(width_px, height_px, Depth::Mono, 40)
}

fn at(text: &str) -> UtcMs {
    text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().into()
}

/// Tuesday 17 February 2026, 07:05:09 in Viet Nam: the first day of the year Bính Ngọ.
fn scene() -> Scene {
    Scene::at(at("2026-02-17T00:05:09Z"))
}

fn still(text: &str) -> Design {
    Design::still(text, 8_000)
}

fn pictures(design: &Design, board: &Board) -> String {
    let (faces, scene) = (Faces::built_in(), scene());
    let pass = Pass::new(design, board, &faces, &scene);
    let shown = pass.frames().map(|s| format!("{} ms\n{}", s.hold_ms, s.frame.picture()));
    shown.collect::<Vec<_>>().join("\n")
}

fn first(design: &Design, board: &Board) -> Frame {
    Pass::new(design, board, &Faces::built_in(), &scene()).first()
}

#[test]
fn two_lines_stand_in_the_middle_of_a_panel() {
    insta::assert_snapshot!("two_lines", pictures(&still("Ế Ộ Ậ\nđường"), &mono(64, 32)));
}

#[test]
fn a_heading_and_a_name_are_broken_into_even_lines() {
    let text = "THÔNG BÁO LỊCH CẮT ĐIỆN\nỦy ban nhân dân xã Nghĩa Đồng";
    insta::assert_snapshot!("even_lines", pictures(&still(text), &mono(128, 64)));
}

#[test]
fn a_number_stays_with_its_unit_and_a_long_word_breaks_at_its_slash() {
    let mut design = still("Cắt điện từ 7 giờ 30 theo 123/KH-UBND-VHXH\n\nThứ Ba");
    design.font = Some("loa-11".into());
    insta::assert_snapshot!("units", pictures(&design, &mono(48, 96)));
}

#[test]
fn a_low_panel_has_one_line_of_eleven_rows() {
    let mut design = still("Ẫ Ữ Ỗ Ể ngưỡng");
    design.font = Some("loa-11".into());
    insta::assert_snapshot!("low_panel", pictures(&design, &mono(96, 16)));
}

#[test]
fn long_text_turns_screens_that_share_its_time() {
    let mut design = still("Không cung cấp mã OTP cho bất kỳ ai");
    design.dwell_ms = 9_000;
    insta::assert_snapshot!("screens", pictures(&design, &mono(64, 32)));
}

#[test]
fn between_screens_the_board_may_be_dark_for_a_moment() {
    let mut design = still("một hai ba bốn");
    (design.gap_ms, design.dwell_ms) = (300, 4_000);
    let board = mono(40, 16);
    let (faces, scene) = (Faces::built_in(), scene());
    let pass = Pass::new(&design, &board, &faces, &scene);
    let dark = Frame::dark(&board);
    let holds: Vec<(i64, bool)> = pass.frames().map(|s| (s.hold_ms, s.frame == dark)).collect();
    assert_eq!(holds, [(1_700, false), (300, true), (2_000, false)]);
}

#[test]
fn decomposed_text_gives_the_same_pixels() {
    let text = "Uỷ ban nhân dân xã";
    let apart: String = text.nfd().collect();
    assert_ne!(apart, text);
    assert_eq!(first(&still(&apart), &mono(128, 32)), first(&still(text), &mono(128, 32)));
}

#[test]
fn a_letter_that_the_font_lacks_is_a_box_and_never_a_bare_letter() {
    let board = mono(32, 16);
    let boxed = first(&still("□"), &board).picture();
    // A Chinese character; a letter with a mark that no composed form has.
    for text in ["好", "q\u{301}", "👍🏽"] {
        assert_eq!(first(&still(text), &board).picture(), boxed, "{text}");
    }
    let mut wide = still("好");
    wide.font = Some("unifont".into());
    assert_ne!(first(&wide, &board).picture(), boxed);
}

#[test]
fn scrolling_text_passes_as_a_whole_in_the_time_its_length_needs() {
    let mut design = still("Thôn Đoài");
    (design.motion, design.dwell_ms) = (Motion::Scroll { px_s: None }, 2_000);
    let (board, faces, scene) = (mono(64, 16), Faces::built_in(), scene());
    let pass = Pass::new(&design, &board, &faces, &scene);
    let shown: Vec<Shown> = pass.frames().collect();
    let dark = Frame::dark(&board);
    assert_eq!(shown.first().map(|s| &s.frame), Some(&dark));
    // 64 and 56 pixels at 40 a second, two a step: no step shorter than 40 ms, no time lost.
    assert_eq!(pass.duration_ms(), shown.iter().map(|s| s.hold_ms).sum::<i64>());
    assert!((2_900..3_100).contains(&pass.duration_ms()), "{}", pass.duration_ms());
    assert!(shown.iter().all(|s| s.hold_ms >= 40));
    // Each step moves the picture by as many pixels to the left.
    for pair in shown.windows(2) {
        for (x, y) in (0..62).flat_map(|x| (0..16).map(move |y| (x, y))) {
            assert_eq!(pair[0].frame.lit(x + 2, y), pair[1].frame.lit(x, y));
        }
    }
    insta::assert_snapshot!("scrolled", shown[34].frame.picture());
}

#[test]
fn a_page_may_name_its_own_speed_and_stays_dark_until_its_time_is_over() {
    let mut design = still("a");
    (design.motion, design.dwell_ms) = (Motion::Scroll { px_s: Some(100) }, 10_000);
    let (board, faces, scene) = (mono(64, 16), Faces::built_in(), scene());
    let pass = Pass::new(&design, &board, &faces, &scene);
    let shown: Vec<Shown> = pass.frames().collect();
    assert_eq!(shown.iter().map(|s| s.hold_ms).sum::<i64>(), 10_000);
    let last = shown.last().unwrap();
    assert!(last.frame == Frame::dark(&board) && last.hold_ms > 9_000);
}

#[test]
fn a_wipe_opens_the_screen_from_the_left() {
    let mut design = still("Xã");
    design.motion = Motion::Wipe { ms: 400 };
    let (board, faces, scene) = (mono(40, 16), Faces::built_in(), scene());
    let pass = Pass::new(&design, &board, &faces, &scene);
    let shown: Vec<Shown> = pass.frames().collect();
    let lit = |frame: &Frame| frame.packed().iter().map(|b| b.count_ones()).sum::<u32>();
    assert_eq!(shown.len(), 11);
    assert!(shown.windows(2).all(|pair| lit(&pair[0].frame) <= lit(&pair[1].frame)));
    assert!(shown[..10].iter().all(|s| s.hold_ms == 40) && lit(&shown[0].frame) == 0);
    assert_eq!(shown.last().map(|s| s.frame.clone()), Some(first(&still("Xã"), &board)));
}

#[test]
fn nothing_blinks_unless_asked_and_never_faster_than_once_a_second() {
    let board = mono(40, 16);
    let (faces, scene) = (Faces::built_in(), scene());
    let mut design = still("Xã");
    assert_eq!(Pass::new(&design, &board, &faces, &scene).frames().count(), 1);
    design.blink = Some(Blink::new(1, 1));
    let pass = Pass::new(&design, &board, &faces, &scene);
    let holds: Vec<i64> = pass.frames().map(|s| s.hold_ms).collect();
    assert_eq!(holds, [500; 16]);
}

#[test]
fn fields_show_the_moment_and_go_with_it() {
    let board = mono(160, 64);
    let (faces, mut scene) = (Faces::built_in(), scene());
    let says = |text: &str, scene: &Scene| {
        let design = still(text);
        Pass::new(&design, &board, &faces, scene).text()
    };
    for (text, shown) in [
        ("{time} {time:s}", "07:05 07:05:09"),
        ("{weekday}, {date}", "Thứ ba, 17/02/2026"),
        ("{date:long}", "Thứ ba, 17/02/2026"),
        ("{lunar} {lunar:year}", "1/1 Bính Ngọ"),
        ("{lunar:long}", "mùng 1 tháng Giêng năm Bính Ngọ"),
        ("còn {days:2026-03-01} ngày", "còn 12 ngày"),
        ("{days:tet} {days:2020-01-01}", "0 0"),
        ("{countdown:2026-02-18T09:05}", "1 ngày 01:59"),
        ("{countdown:2026-02-17T07:06} {countdown:2026-01-01}", "00:00:51 00:00:00"),
        ("{{time}} {tme} {", "{time} {tme} {"),
    ] {
        assert_eq!(says(text, &scene), shown);
    }
    let design = still("{time:s}");
    let pass = Pass::new(&design, &board, &faces, &scene);
    let shown: Vec<Shown> = pass.frames().collect();
    assert_eq!(shown.len(), 8, "one picture a second");
    let mut later = scene.clone();
    later.now = scene.now.plus(7_000);
    assert_eq!(shown[7].frame, Pass::new(&design, &board, &faces, &later).first());
    // The clock of minutes turns when the minute does, 51 s from now.
    scene.now = scene.now.plus(50_000);
    let design = still("{time}");
    let pass = Pass::new(&design, &board, &faces, &scene);
    let holds: Vec<i64> = pass.frames().map(|s| s.hold_ms).collect();
    assert_eq!(holds, [1_000, 7_000]);
}

#[test]
fn a_value_is_shown_while_it_is_fresh_and_never_after() {
    let mut scene = scene();
    let reading = |text: &str, ago_ms: i64, stale_after_ms| Reading {
        text: text.to_owned(),
        at: scene.now.plus(-ago_ms),
        stale_after_ms,
    };
    let readings = [
        ("water", reading("1.234,567 m", 55_000, 60_000)),
        ("cold", reading("-0,5", 0, 60_000)),
        ("old", reading("1", 60_000, 60_000)),
        ("ahead", reading("1", -200_000, 60_000)),
        ("odd", reading("1\n2", 0, 60_000)),
        ("words", reading("  Cấp 3 ", 0, 60_000)),
        ("long", reading(&"x".repeat(100), 0, 60_000)),
    ];
    scene.readings = readings.map(|(name, reading)| (name.to_owned(), reading)).into();
    let text = "{feed:water} {feed:cold} {feed:old} {feed:ahead} {feed:odd} {feed:words} \
        {feed:long} {feed:none}";
    let (design, board, faces) = (still(text), mono(256, 64), Faces::built_in());
    let pass = Pass::new(&design, &board, &faces, &scene);
    assert_eq!(pass.text(), "1.234,567 m -0,5 -- -- -- Cấp 3 -- --");
    let holds: Vec<i64> = pass.frames().map(|s| s.hold_ms).collect();
    assert_eq!(holds, [5_000, 3_000], "the water level is late after five seconds");
}

#[test]
fn a_scrolling_text_never_carries_a_value_beyond_its_time() {
    let mut scene = scene();
    let at = scene.now;
    let mut reading = |stale_after_ms| {
        let reading = Reading { text: "310 cm".into(), at, stale_after_ms };
        scene.readings = [("water".to_owned(), reading)].into();
        let (board, faces) = (mono(64, 16), Faces::built_in());
        let page =
            Page { effect: Effect::Scroll, ..Page::still("Mực nước {feed:water}", 2_000) };
        let design = Design::from(&page);
        let pass = Pass::new(&design, &board, &faces, &scene);
        let marked = Design { text: "Mực nước --".into(), ..design.clone() };
        let marked = Pass::new(&marked, &board, &faces, &scene);
        let frames = |pass: &Pass<'_>| pass.frames().map(|shown| shown.frame).collect::<Vec<_>>();
        (pass.duration_ms(), frames(&pass) == frames(&marked))
    };
    let (whole_ms, marked) = reading(600_000);
    assert!(!marked && whole_ms > 3_000);
    assert!(reading(whole_ms - 1).1, "it would be late before its last letter is gone");
    assert!(!reading(whole_ms + 1).1);
}

#[test]
fn colours_are_those_the_board_can_show() {
    let profile = |colours: &[&str]| BoardProfile {
        width_px: 64,
        height_px: 16,
        colours: colours.iter().map(|c| (*c).to_owned()).collect(),
        fonts: vec![],
        scroll_px_s: 40,
        ..BoardProfile::default()
    };
    let (red, green, amber) = (Rgb(255, 0, 0), Rgb(0, 255, 0), Rgb(255, 160, 0));
    let used = |design: &Design, board: &Board| {
        let frame = first(design, board);
        let all = frame.packed().chunks(3).map(|p| Rgb(p[0], p[1], p[2]));
        let lit: std::collections::BTreeSet<Rgb> = all.filter(|c| *c != Rgb::BLACK).collect();
        lit.into_iter().collect::<Vec<_>>()
    };
    let tri = Board::from(&profile(&["amber", "red", "green"]));
    let mut design = still("Bão {red}cấp 9{/}");
    assert_eq!(used(&design, &tri), [red, amber]);
    design.colour = Some("green".into());
    assert_eq!(used(&design, &tri), [green, red]);
    design.colour = Some("blue".into());
    assert_eq!(used(&design, &tri), [red, amber], "blue is none of the board's");
    let full = Board::new(64, 16, Depth::Full, 40);
    assert_eq!(used(&design, &full), [Rgb(0, 0, 255), red]);
    let mono = Board::from(&profile(&[]));
    assert_eq!(first(&design, &mono).packed().len(), 64 * 16 / 8);
}

#[test]
fn the_hash_is_that_of_the_packed_pixels() {
    let board = mono(13, 8);
    let mut frame = Frame::dark(&board);
    assert_eq!(frame.packed(), [0; 16]);
    frame.set(0, 0, Rgb::WHITE);
    frame.set(12, 7, Rgb::WHITE);
    frame.set(13, 7, Rgb::WHITE);
    let mut bytes = [0; 16];
    (bytes[0], bytes[15]) = (0x80, 0x08);
    assert_eq!(frame.packed(), bytes);
    assert_eq!(frame.hash(), Digest::of(&bytes));
    let mut colour = Frame::dark(&Board::new(2, 1, Depth::Full, 40));
    colour.set(1, 0, Rgb(1, 2, 3));
    assert_eq!(colour.packed(), [0, 0, 0, 1, 2, 3]);
    assert_eq!(colour.hash(), Digest::of(&[0, 0, 0, 1, 2, 3]));
    assert_eq!(colour.darkened().packed(), [0; 6]);
}

#[test]
fn frames_keep_their_hashes_from_release_to_release() {
    // A change here means that records and auditors see other pixels: say so in the change log.
    let mut lines = Vec::new();
    for font in ["loa-11", "loa-13", "unifont"] {
        for (width_px, height_px) in [(64, 16), (128, 32), (1_024, 256)] {
            for (depth, name) in [(Depth::Mono, "bits"), (Depth::Full, "rgb")] {
                let mut design = still("Ủy ban nhân dân xã Nghĩa Đồng");
                design.font = Some(font.into());
                let board = Board::new(width_px, height_px, depth, 40);
                let hash = first(&design, &board).hash();
                lines.push(format!("{font} {width_px}×{height_px} {name} {hash}"));
            }
        }
    }
    insta::assert_snapshot!("hashes", lines.join("\n"));
}

#[test]
fn spare_bits_of_a_row_stay_dark_because_they_are_hashed() {
    let mut design = still("mmmmmmmmmmmm");
    design.align = Align::Left;
    design.motion = Motion::Scroll { px_s: Some(50) };
    let (board, faces, scene) = (mono(13, 16), Faces::built_in(), scene());
    for shown in Pass::new(&design, &board, &faces, &scene).frames() {
        assert!(shown.frame.packed().chunks(2).all(|row| row[1].trailing_zeros() >= 3));
    }
}

#[test]
fn text_may_be_drawn_larger() {
    let small = first(&still("Ộ"), &mono(16, 16));
    let mut design = still("Ộ");
    design.scale = 4;
    let large = first(&design, &mono(64, 64));
    let find = |frame: &Frame| {
        let all = (0..frame.height_px()).flat_map(|y| (0..frame.width_px()).map(move |x| (x, y)));
        let lit: Vec<(u32, u32)> = all.filter(|(x, y)| frame.lit(*x, *y)).collect();
        let (x, y) =
            (lit.iter().map(|p| p.0).min().unwrap(), lit.iter().map(|p| p.1).min().unwrap());
        (x, y, lit)
    };
    let ((x0, y0, from), (x1, y1, to)) = (find(&small), find(&large));
    assert_eq!(from.len() * 16, to.len());
    assert!(to.iter().all(|(x, y)| small.lit((x - x1) / 4 + x0, (y - y1) / 4 + y0)));
}

#[test]
fn pages_of_a_playlist_become_designs() {
    let page = Page {
        align: Align::Right,
        effect: Effect::Scroll,
        colour: Some("red".into()),
        font: Some("loa-11".into()),
        speed_px_s: Some(32),
        ..Page::still("Xã", 5_000)
    };
    let design = Design::from(&page);
    assert_eq!((design.align, design.motion), (Align::Right, Motion::Scroll { px_s: Some(32) }));
    assert_eq!((design.dwell_ms, design.scale, design.blink), (5_000, 1, None));
    let wiped = Page {
        effect: Effect::Wipe,
        scale: Some(2),
        gap_ms: Some(300),
        blink: true,
        ..Page::still("Xã", 5_000)
    };
    let wiped = Design::from(&wiped);
    assert_eq!((wiped.motion, wiped.scale), (Motion::Wipe { ms: 600 }, 2));
    assert_eq!((wiped.gap_ms, wiped.blink), (300, Some(Blink::new(1_500, 500))));
    assert_eq!((design.colour.as_deref(), design.font.as_deref()), (Some("red"), Some("loa-11")));
}

#[test]
fn a_wall_of_panels_shows_the_whole_picture_once() {
    let board = mono(128, 64);
    let frame = first(&still("THÔNG BÁO\nLỊCH CẮT ĐIỆN\nđường số 3"), &board);
    let wall = Wall::rows(&board, (64, 32), true).unwrap();
    let turns: Vec<Turn> = wall.panels().iter().map(|p| p.turn).collect();
    assert_eq!(turns, [Turn::None, Turn::None, Turn::Half, Turn::Half]);
    let parts = wall.split(&frame);
    // The chain comes back upside down: its third panel is the lower right one.
    for (x, y) in (0..64).flat_map(|x| (0..32).map(move |y| (x, y))) {
        assert_eq!(parts[1].lit(x, y), frame.lit(x + 64, y));
        assert_eq!(parts[2].lit(x, y), frame.lit(127 - x, 63 - y));
    }
    let quarter = |turn| Panel { left_px: 0, top_px: 0, width_px: 64, height_px: 128, turn };
    for turn in [Turn::Quarter, Turn::ThreeQuarters] {
        let turned = Wall::new(&board, vec![quarter(turn)]).unwrap().split(&frame).remove(0);
        assert_eq!((turned.width_px(), turned.height_px()), (64, 128));
        let count = |f: &Frame| f.packed().iter().map(|b| b.count_ones()).sum::<u32>();
        assert_eq!(count(&turned), count(&frame));
        let (x, y) = if turn == Turn::Quarter { (63, 0) } else { (0, 127) };
        let mut dot = Frame::dark(&board);
        dot.set(0, 0, Rgb::WHITE);
        let turned = Wall::new(&board, vec![quarter(turn)]).unwrap().split(&dot).remove(0);
        assert!(turned.lit(0, 127) == (turn == Turn::Quarter) || turned.lit(x, y), "{turn:?}");
    }
}

#[test]
fn panels_that_leave_a_hole_or_overlap_are_no_wall() {
    let board = mono(128, 32);
    let panel =
        |left_px, width_px| Panel { left_px, top_px: 0, width_px, height_px: 32, turn: Turn::None };
    let wall = |panels| Wall::new(&board, panels).unwrap_err();
    let cases = [
        (wall(vec![panel(0, 64)]), WallError::Bare { bare: 64 * 32, x: 64, y: 0 }),
        (wall(vec![panel(0, 64), panel(60, 68)]), WallError::Overlap { first: 1, second: 2 }),
        (wall(vec![]), WallError::Number { panels: 0 }),
        (wall(vec![panel(0, 0)]), WallError::Size { panel: 1, width_px: 0, height_px: 32 }),
    ];
    for (found, wanted) in cases {
        assert_eq!(found, wanted);
        assert!(!found.hint().is_empty() && !found.to_string().is_empty());
    }
    let outside = wall(vec![panel(0, 64), panel(64, u32::MAX)]);
    assert!(matches!(outside, WallError::Outside { panel: 2, .. }), "{outside}");
}

#[test]
fn faces_are_found_by_name_and_the_first_is_the_default() {
    let names = |faces: &Faces| faces.names().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(&Faces::built_in()), ["loa-13", "loa-11", "unifont"]);
    assert_eq!(names(&Faces::for_height(11)), ["loa-11"]);
    assert_eq!(Faces::built_in().face(Some("none")).name(), "loa-13");
    let font = font::compose::compose(font::own::SOURCES[0].1).unwrap();
    let faces = Faces::only(vec![Face::file(font)]).unwrap();
    assert_eq!((faces.face(None).name(), faces.face(None).height_px()), ("loa-11", 11));
    assert!(Faces::only(vec![]).is_none());
    assert_eq!(names(&faces.with(Face::Unifont).with(Face::Unifont)), ["loa-11", "unifont"]);
}

fn any_motion() -> impl Strategy<Value = Motion> {
    prop_oneof![
        Just(Motion::Still),
        (0..3_000_u32).prop_map(|ms| Motion::Wipe { ms }),
        proptest::option::of(0..2_000_u32).prop_map(|px_s| Motion::Scroll { px_s }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_on_any_board_has_frames_and_keeps_its_time(
        text in "\\PC{0,60}|[ a-zđệ\n]{0,200}|(\\{(time:s|lunar|feed:a|red|/|days:tet|)\\}| |ngưỡng){0,9}",
        (width_px, height_px) in (0..130_u32, 0..70_u32),
        dwell_ms in -5..6_000_i64,
        (motion, scale, gap_ms) in (any_motion(), 0..20_u32, -5..5_000_i64),
        (full, blink) in (any::<bool>(), any::<bool>()),
    ) {
        let depth = if full { Depth::Full } else { Depth::Mono };
        let board = Board::new(width_px, height_px, depth, 700);
        let mut design = Design::still(&text, dwell_ms);
        (design.motion, design.scale, design.gap_ms) = (motion, scale, gap_ms);
        design.blink = blink.then(|| Blink::new(0, 700));
        let (faces, scene) = (Faces::built_in(), scene());
        let pass = Pass::new(&design, &board, &faces, &scene);
        let mut next = 0;
        let mut count = 0;
        for shown in pass.frames() {
            prop_assert_eq!(shown.at_ms, next);
            prop_assert!(shown.hold_ms > 0);
            next += shown.hold_ms;
            count += 1;
            // What stands at the end of a hold is what was shown.
            if count % 16 == 0 {
                let mut again = Frame::dark(&board);
                pass.draw(next - 1, &mut again);
                prop_assert_eq!(again, shown.frame);
            }
        }
        prop_assert_eq!(next, pass.duration_ms());
        prop_assert!(next >= dwell_ms);
        let _ = review::review(&design, &board, &faces, &scene);
    }

    #[test]
    fn no_line_is_wider_than_the_board_and_no_letter_is_lost(
        words in proptest::collection::vec("[a-zđệ]{1,30}", 0..20),
        width_px in 8..120_u32,
    ) {
        let text = words.join(" ");
        let (faces, scene) = (Faces::built_in(), scene());
        let board = mono(width_px, 256);
        let design = still(&text);
        let pass = Pass::new(&design, &board, &faces, &scene);
        let block = pass.block(0);
        prop_assert!(block.lines.iter().all(|line| line.width_px <= width_px));
        let cells: usize = block.lines.iter().map(|line| line.cells.len()).sum();
        prop_assert_eq!(cells, text.chars().filter(|c| *c != ' ').count());
    }
}
