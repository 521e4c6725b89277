//! A picture as foreign devices take it: three bytes a pixel, row by row from the top left.

use crate::domain::ids::Digest;

/// Most pixels of a side: what profiles allow.
pub const MOST_WIDTH: u32 = 1_024;
/// Most rows.
pub const MOST_HEIGHT: u32 = 256;

/// A picture of one page.
///
/// Invariant: three bytes for each of width × height pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

/// Bytes that are no picture of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are no picture of {width} by {height}")]
pub struct NoFrame {
    pub width: u32,
    pub height: u32,
    pub bytes: usize,
}

impl Frame {
    /// Returns the picture of these bytes.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, NoFrame> {
        let sized = (1..=MOST_WIDTH).contains(&width) && (1..=MOST_HEIGHT).contains(&height);
        if sized && rgb.len() as u64 == u64::from(width) * u64::from(height) * 3 {
            return Ok(Self { width, height, rgb });
        }
        Err(NoFrame { width, height, bytes: rgb.len() })
    }

    /// Returns a picture with no pixel lit; sizes out of range are brought into it.
    pub fn dark(width: u32, height: u32) -> Self {
        let (width, height) = (width.clamp(1, MOST_WIDTH), height.clamp(1, MOST_HEIGHT));
        Self { width, height, rgb: vec![0; (width * height * 3) as usize] }
    }

    /// Returns the width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns red, green and blue of each pixel.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Returns each pixel as one number of 24 bits.
    pub fn colours(&self) -> impl Iterator<Item = u32> + '_ {
        let pixels = self.rgb.chunks_exact(3);
        pixels.map(|p| u32::from(p[0]) << 16 | u32::from(p[1]) << 8 | u32::from(p[2]))
    }

    /// Returns each pixel as one number of 16 bits: five, six and five bits of colour.
    pub fn colours565(&self) -> impl Iterator<Item = u32> + '_ {
        let pixels = self.rgb.chunks_exact(3);
        pixels
            .map(|p| u32::from(p[0] >> 3) << 11 | u32::from(p[1] >> 2) << 5 | u32::from(p[2] >> 3))
    }

    /// Names the picture by its bytes.
    pub fn hash(&self) -> Digest {
        Digest::of(&self.rgb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_as_numbers_of_24_and_16_bits() {
        let frame = Frame::new(2, 1, vec![255, 0, 1, 8, 4, 8]).unwrap();
        assert_eq!(frame.colours().collect::<Vec<_>>(), [0xFF_00_01, 0x08_04_08]);
        assert_eq!(frame.colours565().collect::<Vec<_>>(), [0xF800, 1 << 11 | 1 << 5 | 1]);
    }

    #[test]
    fn bytes_of_another_size_are_no_picture() {
        for (width, height, bytes) in [(1, 1, 2), (0, 1, 0), (1_025, 1, 3_075), (1, 257, 771)] {
            assert!(Frame::new(width, height, vec![0; bytes]).is_err(), "{width}×{height}");
        }
    }
}
