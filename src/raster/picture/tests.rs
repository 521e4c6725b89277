use super::*;
use crate::domain::time::UtcMs;
use crate::raster::{Board, Design, Faces, Pass, Scene};
use proptest::prelude::*;

/// A PNG of these pixels.
fn encoded(kind: png::ColorType, width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(kind);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn pictures_of_every_kind_are_read_over_black() {
    let cases: [(png::ColorType, &[u8], [Rgb; 2]); 4] = [
        (png::ColorType::Grayscale, &[0, 200], [Rgb::BLACK, Rgb(200, 200, 200)]),
        (png::ColorType::GrayscaleAlpha, &[200, 255, 200, 0], [Rgb(200, 200, 200), Rgb::BLACK]),
        (png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6], [Rgb(1, 2, 3), Rgb(4, 5, 6)]),
        (
            png::ColorType::Rgba,
            &[200, 100, 50, 255, 200, 100, 50, 127],
            [Rgb(200, 100, 50), Rgb(99, 49, 24)],
        ),
    ];
    for (kind, bytes, wanted) in cases {
        let picture = Picture::png(&encoded(kind, 2, 1, bytes)).unwrap();
        assert_eq!((picture.pixel(0, 0), picture.pixel(1, 0)), (wanted[0], wanted[1]), "{kind:?}");
    }
}

#[test]
fn a_picture_that_is_no_picture_or_a_bomb_is_refused() {
    let good = encoded(png::ColorType::Grayscale, 2, 2, &[255; 4]);
    // The size stands in bytes 16 to 23, its checksum in 29 to 32.
    let mut bomb = good.clone();
    bomb[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&100_000_u32.to_be_bytes());
    let sum = crc(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&sum.to_be_bytes());
    let error = Picture::png(&bomb).unwrap_err();
    assert_eq!(error.to_string(), "100000×100000 pixels, more than 2048×2048");
    assert_eq!(error.hint(), "scale it to the size of the board");
    let large = Picture::png(&vec![0; MOST_BYTES + 1]).unwrap_err();
    assert!(matches!(large, PictureError::Large { bytes } if bytes == MOST_BYTES + 1));
    for end in 0..good.len() - 12 {
        let error = Picture::png(&good[..end]).unwrap_err();
        assert!(matches!(error, PictureError::Png(_)), "cut at {end}: {error}");
    }
    assert!(matches!(Picture::png(b"<svg/>"), Err(PictureError::Png(_))));
}

/// CRC-32 of PNG chunks (ISO 3309), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)))
    })
}

fn chequered(width: u32, height: u32) -> Picture {
    let pixel = |n: u32| if (n % width + n / width).is_multiple_of(2) { 255 } else { 0 };
    let pixels: Vec<u8> = (0..width * height).map(pixel).collect();
    Picture::png(&encoded(png::ColorType::Grayscale, width, height, &pixels)).unwrap()
}

#[test]
fn a_picture_keeps_its_proportions_and_is_never_blown_up() {
    let picture = chequered(100, 50);
    for (size, fitted) in [
        ((200, 200), (100, 50)),
        ((64, 32), (64, 32)),
        ((64, 16), (32, 16)),
        ((10, 200), (10, 5)),
        ((1, 1), (1, 1)),
    ] {
        assert_eq!(picture.fitted(size.0, size.1), fitted, "{size:?}");
    }
}

#[test]
fn a_picture_of_the_boards_size_is_shown_pixel_for_pixel_and_a_larger_one_as_its_mean() {
    let board = Board::new(16, 8, Depth::Full, 40);
    let faces = Faces::built_in();
    let mut design = Design::still("", 5_000);
    design.picture = Some("co".into());
    let shown = |picture: Picture| {
        let mut scene = Scene::at(UtcMs(0));
        scene.pictures.insert("co".into(), picture);
        Pass::new(&design, &board, &faces, &scene).first()
    };
    let exact = shown(chequered(16, 8));
    for (x, y) in (0..16).flat_map(|x| (0..8).map(move |y| (x, y))) {
        assert_eq!(exact.lit(x, y), (x + y) % 2 == 0);
    }
    let mean = shown(chequered(32, 16));
    assert!((0..16).all(|x| mean.pixel(x, 3) == Rgb(127, 127, 127)));
    // A smaller one stands in the middle.
    let small = shown(chequered(2, 2));
    assert!(small.lit(7, 3) && small.lit(8, 4) && !small.lit(0, 0));
}

#[test]
fn an_icon_stands_in_the_line_at_its_height() {
    let board = Board::new(64, 16, Depth::Mono, 40);
    let faces = Faces::built_in();
    let mut scene = Scene::at(UtcMs(0));
    let white = encoded(png::ColorType::Grayscale, 40, 40, &[255; 1_600]);
    scene.pictures.insert("sun".into(), Picture::png(&white).unwrap());
    let frame = |text: &str| {
        let design = Design::still(text, 5_000);
        Pass::new(&design, &board, &faces, &scene).first()
    };
    let icon = frame("{icon:sun}");
    let lit: u32 = icon.packed().iter().map(|b| b.count_ones()).sum();
    assert_eq!(lit, 13 * 13, "as high as the line of loa-13");
    assert_eq!(frame("{icon:moon}").picture(), frame("□").picture());
    assert!(frame("25 {icon:sun}").packed() != icon.packed());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        file.extend(&bytes);
        let _ = Picture::png(&file);
        let _ = Picture::png(&bytes);
    }

    #[test]
    fn any_change_of_a_picture_is_read_or_refused(at in 8..80_usize, byte in any::<u8>()) {
        let mut file = encoded(png::ColorType::Rgb, 3, 3, &[7; 27]);
        if let Some(changed) = file.get_mut(at) {
            *changed = byte;
        }
        if let Ok(picture) = Picture::png(&file) {
            prop_assert!(picture.width_px() <= MOST_SIDE_PX);
        }
    }
}
