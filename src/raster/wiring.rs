//! A frame as the bytes that lamps take: panels in the order of their chain, rows as they are
//! wired, colours in the order of the lamps, light along their curve.
//!
//! What comes out is what an output sends, and no part of [`Frame::hash`]: the same page on the
//! same board has the same hash, however its panels are chained.

use super::board::{Wall, WallError, place};
use super::colour::Rgb;
use super::frame::Frame;
use crate::domain::profile::{BoardProfile, LampOrder, LampRows};

/// The way from a board's picture to its lamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// For each lamp of the chain, which pixel it shows.
    pixels: Vec<(u32, u32)>,
    /// Driven light for wanted light.
    levels: Vec<u8>,
    order: LampOrder,
}

impl Wiring {
    /// Returns the wiring of a profile, or why its panels make no board.
    pub fn of_profile(profile: &BoardProfile) -> Result<Self, WallError> {
        let wall = Wall::of_profile(profile)?;
        let mut pixels = Vec::new();
        for panel in wall.panels() {
            for y in 0..panel.height_px {
                let back = profile.lamps.rows == LampRows::Zigzag && y % 2 == 1;
                let row =
                    (0..panel.width_px).map(|x| if back { panel.width_px - 1 - x } else { x });
                pixels.extend(row.map(|x| place(panel, x, y)));
            }
        }
        let (gamma, most) = (profile.lamps.gamma_percent, profile.lamps.brightness_percent);
        let levels = (0..=255).map(|light| level(light, gamma, most)).collect();
        Ok(Self { pixels, levels, order: profile.lamps.order })
    }

    /// Returns how many lamps there are.
    pub fn lamps(&self) -> usize {
        self.pixels.len()
    }

    /// Returns three bytes a lamp, in the order of the chain.
    pub fn bytes(&self, frame: &Frame) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.pixels.len() * 3);
        for (x, y) in &self.pixels {
            let Rgb(red, green, blue) = frame.pixel(*x, *y);
            let driven = |light: u8| self.levels[usize::from(light)];
            let (r, g, b) = (driven(red), driven(green), driven(blue));
            bytes.extend(match self.order {
                LampOrder::Rgb => [r, g, b],
                LampOrder::Rbg => [r, b, g],
                LampOrder::Grb => [g, r, b],
                LampOrder::Gbr => [g, b, r],
                LampOrder::Brg => [b, r, g],
                LampOrder::Bgr => [b, g, r],
            });
        }
        bytes
    }
}

/// Driven light: the curve, then the cap. What is lit at all stays lit.
fn level(light: u8, gamma_percent: u32, most_percent: u32) -> u8 {
    if light == 0 {
        return 0;
    }
    let share = f64::from(light) / 255.0;
    let curved = share.powf(f64::from(gamma_percent.clamp(10, 1_000)) / 100.0);
    let driven = (curved * f64::from(most_percent.min(100)) / 100.0 * 255.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 255")]
    let driven = driven.clamp(1.0, 255.0) as u8;
    driven
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::profile::{Lamps, Panel, Turn};
    use crate::raster::Board;

    fn profile(lamps: Lamps, panels: Vec<Panel>) -> BoardProfile {
        let colours = vec!["rgb".to_owned()];
        BoardProfile {
            width_px: 4,
            height_px: 2,
            colours,
            lamps,
            panels,
            ..BoardProfile::default()
        }
    }

    /// Pixels whose red is their number from the top left, from 10 on.
    fn ramp(profile: &BoardProfile) -> Frame {
        let mut frame = Frame::dark(&Board::from(profile));
        for (x, y) in (0..2).flat_map(|y| (0..4).map(move |x| (x, y))) {
            frame.set(x, y, Rgb(u8::try_from(10 + y * 4 + x).unwrap(), 100, 200));
        }
        frame
    }

    fn reds(profile: &BoardProfile) -> Vec<u8> {
        let wiring = Wiring::of_profile(profile).unwrap();
        assert_eq!(wiring.lamps(), 8);
        wiring.bytes(&ramp(profile)).chunks(3).map(|lamp| lamp[0]).collect()
    }

    #[test]
    fn lamps_follow_the_chain_of_panels_and_rows() {
        let straight = Lamps::default();
        let zigzag = Lamps { rows: LampRows::Zigzag, ..straight };
        let half = |left_px, turn| Panel { left_px, top_px: 0, width_px: 2, height_px: 2, turn };
        let two = vec![half(2, Turn::None), half(0, Turn::Half)];
        let row = |top_px, turn| Panel { left_px: 0, top_px, width_px: 4, height_px: 1, turn };
        let snake = vec![row(0, Turn::None), row(1, Turn::Half)];
        assert_eq!(reds(&profile(straight, vec![])), [10, 11, 12, 13, 14, 15, 16, 17]);
        assert_eq!(reds(&profile(zigzag, vec![])), [10, 11, 12, 13, 17, 16, 15, 14]);
        assert_eq!(reds(&profile(straight, snake)), [10, 11, 12, 13, 17, 16, 15, 14]);
        assert_eq!(reds(&profile(straight, two.clone())), [12, 13, 16, 17, 15, 14, 11, 10]);
        assert_eq!(reds(&profile(zigzag, two)), [12, 13, 17, 16, 15, 14, 10, 11]);
    }

    #[test]
    fn a_panel_on_its_side_is_read_along_its_own_rows() {
        let side = |left_px, turn| Panel { left_px, top_px: 0, width_px: 2, height_px: 2, turn };
        let quarters = vec![side(0, Turn::Quarter), side(2, Turn::ThreeQuarters)];
        let chain = reds(&profile(Lamps::default(), quarters));
        assert_eq!(chain, [11, 15, 10, 14, 16, 12, 17, 13]);
    }

    #[test]
    fn lamps_get_their_colours_in_their_order() {
        for (name, order) in LampOrder::ALL {
            let profile = profile(Lamps { order, ..Lamps::default() }, vec![]);
            let lamp = Wiring::of_profile(&profile).unwrap().bytes(&ramp(&profile));
            let wanted: Vec<u8> = name
                .chars()
                .map(|colour| match colour {
                    'r' => 10,
                    'g' => 100,
                    _ => 200,
                })
                .collect();
            assert_eq!(lamp[..3], wanted, "{name}");
        }
    }

    #[test]
    fn light_is_curved_and_capped_but_a_lit_lamp_is_never_put_out() {
        for (light, gamma, most, driven) in [
            (0, 220, 50, 0),
            (255, 220, 100, 255),
            (255, 100, 50, 128),
            (128, 100, 100, 128),
            (128, 220, 100, 56),
            (1, 400, 1, 1),
            (255, 0, 999, 255),
        ] {
            assert_eq!(level(light, gamma, most), driven, "{light} {gamma} {most}");
        }
    }

    #[test]
    fn panels_that_make_no_board_have_no_wiring() {
        let panel = Panel { left_px: 0, top_px: 0, width_px: 4, height_px: 1, turn: Turn::None };
        let error = Wiring::of_profile(&profile(Lamps::default(), vec![panel])).unwrap_err();
        assert_eq!(error.to_string(), "4 pixels of the board belong to no panel, the first at 0,1");
    }
}
