//! Frames as files that a browser or a person opens: PNG, moving PNG (APNG), SVG, text.
//!
//! For previews and kept pictures; what a board gets is [`Frame::packed`]. A moving preview is an
//! APNG and no GIF: every browser of the last years shows it, it keeps all colours, and the
//! `png` crate writes it, so that no further crate is needed.
//!
//! # Invariants
//! * With scale 1 a PNG holds the very pixels that the hash names, one bit a pixel on a board
//!   without colours.
//! * A preview is bounded: [`Limits`] says how many frames and bytes of pixels; what lies beyond
//!   is left out and said in [`Moving::whole`].

mod svg;

pub use svg::svg;

use super::colour::Rgb;
use super::frame::Frame;
use super::pass::Shown;

/// How a preview looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Each pixel of the board so many wide and high, 1-16; from 3 on lamps are drawn apart.
    pub scale: u32,
    /// The colour of a board without colours.
    pub lamp: Rgb,
}

impl Default for Look {
    fn default() -> Self {
        Self { scale: 4, lamp: Rgb(255, 96, 0) }
    }
}

impl Look {
    fn scale_px(self) -> u32 {
        self.scale.clamp(1, 16)
    }

    /// The lit colour of a pixel, as a preview shows it.
    fn of(self, frame: &Frame, x: u32, y: u32) -> Rgb {
        match frame.pixel(x, y) {
            Rgb::BLACK => Rgb(20, 20, 20),
            _ if frame.is_mono() => self.lamp,
            lit => lit,
        }
    }
}

/// Why a picture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("cannot encode a picture of {width_px}×{height_px}")]
    Png {
        width_px: u32,
        height_px: u32,
        #[source]
        source: png::EncodingError,
    },
    #[error("there is no frame to encode")]
    Empty,
}

impl EncodeError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Png { .. } => "check the size of the board in its profile",
            Self::Empty => "give the item a page",
        }
    }
}

/// Returns the exact pixels of a frame as PNG.
pub fn png(frame: &Frame) -> Result<Vec<u8>, EncodeError> {
    let (width_px, height_px) = (frame.width_px(), frame.height_px());
    let (kind, depth) = if frame.is_mono() {
        (png::ColorType::Grayscale, png::BitDepth::One)
    } else {
        (png::ColorType::Rgb, png::BitDepth::Eight)
    };
    let fault = |source| EncodeError::Png { width_px, height_px, source };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width_px, height_px);
    encoder.set_color(kind);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().map_err(fault)?;
    writer.write_image_data(frame.packed()).map_err(fault)?;
    writer.finish().map_err(fault)?;
    Ok(file)
}

/// The pixels of a preview, three bytes each.
fn enlarged(frame: &Frame, look: Look) -> Vec<u8> {
    let scale = look.scale_px();
    let mut bytes = Vec::new();
    for y in 0..frame.height_px() {
        let mut row = Vec::with_capacity((frame.width_px() * scale * 3) as usize);
        for x in 0..frame.width_px() {
            let Rgb(r, g, b) = look.of(frame, x, y);
            for column in 0..scale {
                let apart = scale > 2 && column == scale - 1;
                row.extend(if apart { [0, 0, 0] } else { [r, g, b] });
            }
        }
        for line in 0..scale {
            if scale > 2 && line == scale - 1 {
                bytes.resize(bytes.len() + row.len(), 0);
            } else {
                bytes.extend_from_slice(&row);
            }
        }
    }
    bytes
}

/// Returns a frame as a PNG for people, enlarged.
pub fn preview(frame: &Frame, look: Look) -> Result<Vec<u8>, EncodeError> {
    let scale = look.scale_px();
    let (width_px, height_px) = (frame.width_px() * scale, frame.height_px() * scale);
    let fault = |source| EncodeError::Png { width_px, height_px, source };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width_px, height_px);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(fault)?;
    writer.write_image_data(&enlarged(frame, look)).map_err(fault)?;
    writer.finish().map_err(fault)?;
    Ok(file)
}

/// How large a moving preview may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most different pictures.
    pub frames: usize,
    /// Most bytes of pixels before compression.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frames: 2_000, bytes: 256 << 20 }
    }
}

/// A moving preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moving {
    /// The file: an APNG that repeats for ever.
    pub file: Vec<u8>,
    /// How many pictures it holds.
    pub frames: usize,
    /// How long it runs, in milliseconds.
    pub duration_ms: i64,
    /// Whether everything is in it; `false` when a limit was met.
    pub whole: bool,
}

/// Returns frames as a moving PNG. Equal neighbours are one picture; a picture that stands longer
/// than a file can say (65 s) is repeated.
pub fn moving(
    frames: impl IntoIterator<Item = Shown>,
    look: Look,
    limits: Limits,
) -> Result<Moving, EncodeError> {
    let mut kept: Vec<(Frame, i64)> = Vec::new();
    let (mut bytes, mut whole, mut duration_ms) = (0_usize, true, 0);
    for shown in frames {
        let longest = i64::from(u16::MAX);
        let mut left_ms = shown.hold_ms.max(1);
        if let Some((last, hold_ms)) = kept.last_mut()
            && *last == shown.frame
            && *hold_ms + left_ms <= longest
        {
            *hold_ms += left_ms;
            duration_ms += left_ms;
            continue;
        }
        while left_ms > 0 && whole {
            let scale = look.scale_px() as usize;
            let size = shown.frame.width_px() as usize * shown.frame.height_px() as usize;
            bytes = bytes.saturating_add(size * scale * scale * 3);
            if kept.len() >= limits.frames || bytes > limits.bytes {
                whole = false;
            } else {
                let hold_ms = left_ms.min(longest);
                kept.push((shown.frame.clone(), hold_ms));
                duration_ms += hold_ms;
                left_ms -= hold_ms;
            }
        }
        if !whole {
            break;
        }
    }
    let Some((first, _)) = kept.first() else { return Err(EncodeError::Empty) };
    let scale = look.scale_px();
    let (width_px, height_px) = (first.width_px() * scale, first.height_px() * scale);
    let fault = |source| EncodeError::Png { width_px, height_px, source };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width_px, height_px);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let count = u32::try_from(kept.len()).unwrap_or(u32::MAX);
    if count > 1 {
        encoder.set_animated(count, 0).map_err(fault)?;
    }
    let mut writer = encoder.write_header().map_err(fault)?;
    for (frame, hold_ms) in &kept {
        if count > 1 {
            let hold = u16::try_from(*hold_ms).unwrap_or(u16::MAX);
            writer.set_frame_delay(hold, 1_000).map_err(fault)?;
        }
        writer.write_image_data(&enlarged(frame, look)).map_err(fault)?;
    }
    writer.finish().map_err(fault)?;
    Ok(Moving { file, frames: kept.len(), duration_ms, whole })
}

#[cfg(test)]
mod tests;
