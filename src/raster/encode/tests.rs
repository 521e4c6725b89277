use super::*;
use crate::domain::time::UtcMs;
use crate::raster::colour::Depth;
use crate::raster::design::Motion;
use crate::raster::{Board, Design, Faces, Pass, Scene};

fn frame(depth: Depth) -> Frame {
    let board = Board::new(60, 16, depth, 60);
    let (design, faces) = (Design::still("Xã Ba Vì", 3_000), Faces::built_in());
    Pass::new(&design, &board, &faces, &Scene::at(UtcMs(0))).first()
}

fn decoded(file: &[u8]) -> (png::OutputInfo, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    pixels.truncate(info.buffer_size());
    (info, pixels)
}

#[test]
fn a_png_holds_the_very_pixels_that_the_hash_names() {
    for depth in [Depth::Mono, Depth::Palette(vec![Rgb(255, 160, 0)]), Depth::Full] {
        let frame = frame(depth);
        let (info, pixels) = decoded(&png(&frame).unwrap());
        assert_eq!((info.width, info.height), (60, 16));
        assert_eq!(pixels, frame.packed());
    }
}

#[test]
fn a_preview_shows_each_pixel_as_a_lamp() {
    let frame = frame(Depth::Mono);
    let look = Look { scale: 4, lamp: Rgb(255, 0, 0) };
    let (info, pixels) = decoded(&preview(&frame, look).unwrap());
    assert_eq!((info.width, info.height), (240, 64));
    for y in 0..64_usize {
        for x in 0..240_usize {
            let at = (y * 240 + x) * 3;
            let lit = frame.lit(u32::try_from(x / 4).unwrap(), u32::try_from(y / 4).unwrap());
            let lamp = if lit { [255, 0, 0] } else { [20; 3] };
            let wanted = if x % 4 == 3 || y % 4 == 3 { [0; 3] } else { lamp };
            assert_eq!(pixels[at..at + 3], wanted, "{x},{y}");
        }
    }
}

#[test]
fn a_moving_preview_has_all_pictures_with_their_times() {
    let board = Board::new(64, 16, Depth::Mono, 50);
    let mut design = Design::still("Thôn Đoài", 2_000);
    design.motion = Motion::Scroll { px_s: None };
    let (faces, scene) = (Faces::built_in(), Scene::at(UtcMs(0)));
    let pass = Pass::new(&design, &board, &faces, &scene);
    let look = Look { scale: 1, ..Look::default() };
    let moving_file = moving(pass.frames(), look, Limits::default()).unwrap();
    assert_eq!((moving_file.duration_ms, moving_file.whole), (pass.duration_ms(), true));
    let mut reader =
        png::Decoder::new(std::io::Cursor::new(&moving_file.file)).read_info().unwrap();
    let control = reader.info().animation_control.unwrap();
    assert_eq!((control.num_frames as usize, control.num_plays), (moving_file.frames, 0));
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let mut told_ms = 0;
    for _ in 0..control.num_frames {
        reader.next_frame(&mut pixels).unwrap();
        let frame = reader.info().frame_control.unwrap();
        assert_eq!(frame.delay_den, 1_000);
        told_ms += i64::from(frame.delay_num);
    }
    assert_eq!(told_ms, pass.duration_ms());
}

#[test]
fn a_preview_that_grows_too_large_says_what_it_left_out() {
    let shown = |at_ms: i64, lit: u32| {
        let mut frame = Frame::dark(&Board::new(8, 8, Depth::Mono, 50));
        frame.set(lit % 8, lit / 8 % 8, Rgb::WHITE);
        Shown { frame, at_ms, hold_ms: 1_000 }
    };
    let all = || (0..10).map(|n| shown(i64::from(n) * 1_000, n));
    let look = Look { scale: 1, ..Look::default() };
    let few = moving(all(), look, Limits { frames: 4, bytes: 1 << 20 }).unwrap();
    assert_eq!((few.frames, few.duration_ms, few.whole), (4, 4_000, false));
    let small = moving(all(), look, Limits { frames: 100, bytes: 3 * 64 * 3 }).unwrap();
    assert_eq!((small.frames, small.whole), (3, false));
    // Equal neighbours are one; what stands two minutes is said twice.
    let mut long = shown(0, 1);
    long.hold_ms = 120_000;
    let held = moving([long, shown(120_000, 1)], look, Limits::default()).unwrap();
    assert_eq!((held.frames, held.duration_ms, held.whole), (2, 121_000, true));
    assert!(matches!(moving([], look, Limits::default()), Err(EncodeError::Empty)));
}

#[test]
fn an_svg_names_lamps_in_runs_and_escapes_its_title() {
    let mut frame = Frame::dark(&Board::new(4, 2, Depth::Full, 50));
    for (x, colour) in [(0, Rgb(255, 0, 0)), (1, Rgb(255, 0, 0)), (3, Rgb(0, 255, 0))] {
        frame.set(x, 1, colour);
    }
    let look = Look { scale: 2, ..Look::default() };
    insta::assert_snapshot!(svg(&frame, look, "Bão & \"mưa\" <lớn>\n\u{7}"), @r###"<svg xmlns="http://www.w3.org/2000/svg" role="img" width="8" height="4" viewBox="0 0 4 2" shape-rendering="crispEdges"><title>Bão &amp; "mưa" &lt;lớn&gt; </title><rect width="4" height="2" fill="#141414"/><path fill="#00ff00" d="M3 1h1v1H3z"/><path fill="#ff0000" d="M0 1h2v1H0z"/></svg>"###);
}
