//! Drawing a scrolling Vietnamese text on a board of 256 by 64: frames a second on one core, and
//! how long the first one takes, the font read for the first time included.

use super::Row;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::playlist::{Effect, Page};
use crate::domain::profile::BoardProfile;
use crate::domain::time::UtcMs;
use crate::raster::{Board, Design, Faces, Frame, Pass, Scene};

const TEXT: &str = "Ủy ban nhân dân xã Nghĩa Đồng thông báo: từ 7 giờ 30 đến 11 giờ ngày \
    {date:long} ({lunar:long}) ngừng cấp điện để sửa chữa đường dây tại thôn Đoài, thôn Thượng và \
    khu tái định cư. Đề nghị bà con chủ động nước sinh hoạt; mọi phản ánh gọi 1900 6769.";
const RUNS: usize = 5;
/// How long a run goes on at least, in microseconds.
const RUN_US: i64 = 400_000;

/// Measures boards with and without colours.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let clock = SystemClock::new();
    let colour = BoardProfile {
        width_px: 256,
        height_px: 64,
        colours: vec!["rgb".to_owned()],
        fonts: vec!["loa-13".to_owned()],
        ..BoardProfile::default()
    };
    let mono = BoardProfile { colours: Vec::new(), ..colour.clone() };
    let page = |effect| Page { effect, ..Page::still(TEXT, 60_000) };
    let (moving, still) = (page(Effect::Scroll), page(Effect::Still));
    // Nothing has been drawn in this process before: fonts are read now.
    let begun = clock.mono_us();
    let first = first(&colour, &still);
    let cold_ms = (clock.mono_us() - begun) as f64 / 1_000.0;
    anyhow::ensure!(first.packed().iter().any(|byte| *byte != 0), "the first frame is dark");
    let warm: Vec<f64> = (0..101)
        .map(|_| {
            let begun = clock.mono_us();
            std::hint::black_box(self::first(&colour, &still));
            (clock.mono_us() - begun) as f64 / 1_000.0
        })
        .collect();
    let rates = |board: &BoardProfile| -> Vec<f64> {
        (0..RUNS).map(|_| rate(&clock, board, &moving)).collect()
    };
    let (in_colour, on_off) = (middle(rates(&colour)), middle(rates(&mono)));
    Ok(vec![
        Row::at_least("scrolling text, 256×64 in colour, one core", in_colour, 2_000.0, "frames/s"),
        Row::at_least("scrolling text, 256×64 on and off, one core", on_off, 2_000.0, "frames/s"),
        Row::at_most("first frame of a page, 256×64", cold_ms, 5.0, "ms")
            .note(format!("fonts read for the first time; {:.3} ms from then on", middle(warm))),
    ])
}

fn first(profile: &BoardProfile, page: &Page) -> Frame {
    let (design, board, faces) =
        (Design::from(page), Board::from(profile), Faces::of_profile(profile));
    Pass::new(&design, &board, &faces, &Scene::at(UtcMs(1_771_286_709_000))).first()
}

/// Frames a second, each with its own memory as an output gets it.
fn rate(clock: &SystemClock, profile: &BoardProfile, page: &Page) -> f64 {
    let (design, board, faces) =
        (Design::from(page), Board::from(profile), Faces::of_profile(profile));
    let scene = Scene::at(UtcMs(1_771_286_709_000));
    let (begun, mut frames) = (clock.mono_us(), 0_u32);
    loop {
        let pass = Pass::new(&design, &board, &faces, &scene);
        for shown in pass.frames() {
            std::hint::black_box(&shown.frame);
            frames += 1;
        }
        let us = clock.mono_us() - begun;
        if us >= RUN_US {
            return f64::from(frames) * 1_000_000.0 / us as f64;
        }
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
