//! Pictures and icons: PNG to pixels, and pixels to what a panel can show.
//!
//! A picture comes from outside and may be a bomb: a few bytes that unpack to gigabytes. Sizes
//! are read before anything is unpacked, and no memory is taken beyond what they allow.
//!
//! # SVG
//! Curves are drawn with floating point, whose last digit may differ between processors; a frame
//! must be the same on board, preview and auditor's laptop, because its hash is evidence. An SVG
//! is therefore drawn once, where it is taken in (`svg`, for the server), and kept as the PNG
//! that [`Picture::to_png`] gives; boards only ever see that.

#[cfg(feature = "server")]
mod svg;

#[cfg(feature = "server")]
pub use svg::SvgError;

use super::colour::{Depth, Rgb};
use super::frame::Frame;

/// Largest file taken, in bytes.
pub const MOST_BYTES: usize = 4 << 20;
/// Most pixels across and down; a board has at most 1,024 by 256.
pub const MOST_SIDE_PX: u32 = 2_048;

/// Why a file is no picture for boards.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("{bytes} bytes, more than a picture may have ({MOST_BYTES})")]
    Large { bytes: usize },
    #[error("{width_px}×{height_px} pixels, more than {MOST_SIDE_PX}×{MOST_SIDE_PX}")]
    Size { width_px: u32, height_px: u32 },
    #[error("not a PNG that can be read")]
    Png(#[source] png::DecodingError),
    #[error("a PNG of a kind that is not read")]
    Kind,
}

impl PictureError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Large { .. } | Self::Size { .. } => "scale it to the size of the board",
            Self::Png(_) | Self::Kind => "save it again as a plain PNG, RGB or RGBA, 8 bits",
        }
    }
}

/// A picture as read: pixels over black.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width_px: u32,
    height_px: u32,
    pixels: Vec<Rgb>,
}

impl Picture {
    /// Reads a PNG of any kind; what is transparent lets black through.
    pub fn png(file: &[u8]) -> Result<Self, PictureError> {
        if file.len() > MOST_BYTES {
            return Err(PictureError::Large { bytes: file.len() });
        }
        let limits = png::Limits { bytes: 64 << 20 };
        let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(file), limits);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let header = decoder.read_header_info().map_err(PictureError::Png)?;
        let (width_px, height_px) = (header.width, header.height);
        let fits = |side: u32| (1..=MOST_SIDE_PX).contains(&side);
        if !fits(width_px) || !fits(height_px) {
            return Err(PictureError::Size { width_px, height_px });
        }
        let mut reader = decoder.read_info().map_err(PictureError::Png)?;
        let bytes = reader.output_buffer_size().ok_or(PictureError::Kind)?;
        let mut buffer = vec![0; bytes];
        let info = reader.next_frame(&mut buffer).map_err(PictureError::Png)?;
        let over_black = |value: u8, alpha: u8| {
            u8::try_from(u16::from(value) * u16::from(alpha) / 255).unwrap_or(u8::MAX)
        };
        let pixel = |p: &[u8]| match *p {
            [grey] => Rgb(grey, grey, grey),
            [grey, alpha] => {
                let grey = over_black(grey, alpha);
                Rgb(grey, grey, grey)
            }
            [r, g, b] => Rgb(r, g, b),
            [r, g, b, a] => Rgb(over_black(r, a), over_black(g, a), over_black(b, a)),
            _ => Rgb::BLACK,
        };
        let size = info.color_type.samples();
        let rows = buffer.chunks(info.line_size.max(1)).take(height_px as usize);
        let wide = width_px as usize;
        let pixels: Vec<Rgb> =
            rows.flat_map(|row| row.chunks_exact(size).take(wide).map(pixel)).collect();
        if (info.width, info.height) != (width_px, height_px)
            || pixels.len() != wide * height_px as usize
        {
            return Err(PictureError::Kind);
        }
        Ok(Self { width_px, height_px, pixels })
    }

    /// Returns the picture as a PNG, 8 bits a colour: what is kept of a picture drawn from curves.
    pub fn to_png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width_px, self.height_px);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        let bytes: Vec<u8> = self.pixels.iter().flat_map(|p| [p.0, p.1, p.2]).collect();
        writer.write_image_data(&bytes)?;
        writer.finish()?;
        Ok(file)
    }

    /// Returns the width in pixels.
    pub fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Returns the height in pixels.
    pub fn height_px(&self) -> u32 {
        self.height_px
    }

    fn pixel(&self, x: u32, y: u32) -> Rgb {
        let inside = x < self.width_px && y < self.height_px;
        let at = (y * self.width_px + x) as usize;
        self.pixels.get(at).copied().filter(|_| inside).unwrap_or(Rgb::BLACK)
    }

    /// Returns the size it takes within a box: as it is when it fits, else smaller in the same
    /// proportions; at least one pixel.
    pub fn fitted(&self, width_px: u32, height_px: u32) -> (u32, u32) {
        let (w, h) = (u64::from(self.width_px), u64::from(self.height_px));
        let (most_w, most_h) = (u64::from(width_px.max(1)), u64::from(height_px.max(1)));
        if w <= most_w && h <= most_h {
            return (self.width_px, self.height_px);
        }
        let (wide, high) = if w * most_h >= h * most_w {
            (most_w, (h * most_w / w).max(1))
        } else {
            ((w * most_h / h).max(1), most_h)
        };
        (u32::try_from(wide).unwrap_or(1), u32::try_from(high).unwrap_or(1))
    }

    /// Returns the mean colour of the picture's pixels below one pixel of a smaller one.
    fn mean(&self, (x, y): (u32, u32), (wide, high): (u32, u32)) -> Rgb {
        let from = |at: u32, of: u32, all: u32| {
            u32::try_from(u64::from(at) * u64::from(all) / u64::from(of)).unwrap_or(0)
        };
        let (x0, y0) = (from(x, wide, self.width_px), from(y, high, self.height_px));
        let x1 = from(x + 1, wide, self.width_px).max(x0 + 1);
        let y1 = from(y + 1, high, self.height_px).max(y0 + 1);
        let mut sum = [0_u64; 3];
        for row in y0..y1 {
            for column in x0..x1 {
                let Rgb(red, green, blue) = self.pixel(column, row);
                for (sum, value) in sum.iter_mut().zip([red, green, blue]) {
                    *sum += u64::from(value);
                }
            }
        }
        let count = (u64::from(x1 - x0) * u64::from(y1 - y0)).max(1);
        let [red, green, blue] = sum.map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX));
        Rgb(red, green, blue)
    }

    /// Draws the picture into a box of the frame, in the middle, scaled down where it is larger.
    pub(super) fn draw(
        &self,
        frame: &mut Frame,
        depth: &Depth,
        (left, top): (i64, i64),
        (width_px, height_px): (u32, u32),
    ) {
        let size = self.fitted(width_px, height_px);
        let left = left + i64::from(width_px.saturating_sub(size.0)) / 2;
        let top = top + i64::from(height_px.saturating_sub(size.1)) / 2;
        let shown = |at: i64, most: u32| u32::try_from(at).ok().filter(|at| *at < most);
        for y in 0..size.1 {
            let Some(to_y) = shown(top + i64::from(y), frame.height_px()) else { continue };
            for x in 0..size.0 {
                let Some(to_x) = shown(left + i64::from(x), frame.width_px()) else { continue };
                let colour = depth.nearest(self.mean((x, y), size));
                if colour != Rgb::BLACK {
                    frame.set(to_x, to_y, colour);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
