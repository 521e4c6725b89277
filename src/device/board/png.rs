//! A board as pictures in a folder.

use super::{Output, OutputError};
use crate::raster::Frame;
use std::fs;
use std::path::PathBuf;

/// Most pictures kept by hash; beyond it only `frame.png` changes.
const MOST_KEPT: usize = 2_000;

/// Shortest hold of a frame that is kept by its hash: steps of scrolling are not.
const KEPT_FROM_MS: i64 = 500;

/// Writes `frame.png` (what stands now, replaced as a whole) and `<hash>.png` (still frames).
#[derive(Debug)]
pub struct PngFolder {
    folder: PathBuf,
    last: Option<Frame>,
    kept: usize,
}

impl PngFolder {
    /// Opens the folder and makes it where it is missing.
    pub fn open(folder: PathBuf) -> Result<Self, OutputError> {
        let failed = |source| OutputError::Write { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        let kept = fs::read_dir(&folder).map_err(failed)?.count();
        Ok(Self { folder, last: None, kept })
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        let path = self.folder.join(name);
        let part = self.folder.join(".part");
        fs::write(&part, bytes)
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|source| OutputError::Write { path, source })
    }
}

/// Returns the frame as a PNG of its own size, grey or RGB.
pub fn encode(frame: &Frame) -> Result<Vec<u8>, OutputError> {
    let (width_px, height_px) = (frame.width_px(), frame.height_px());
    let failed = |source| OutputError::Encode { width_px, height_px, source };
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, width_px, height_px);
    if frame.colour().is_some() {
        encoder.set_color(::png::ColorType::Rgb);
        encoder.set_depth(::png::BitDepth::Eight);
    } else {
        encoder.set_color(::png::ColorType::Grayscale);
        encoder.set_depth(::png::BitDepth::One);
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&frame.packed()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

impl Output for PngFolder {
    fn show(&mut self, frame: &Frame) -> Result<(), OutputError> {
        let bytes = encode(frame)?;
        self.replace("frame.png", &bytes)?;
        let name = format!("{}.png", frame.hash());
        if frame.hold_ms >= KEPT_FROM_MS
            && self.kept < MOST_KEPT
            && !self.folder.join(&name).exists()
        {
            self.replace(&name, &bytes)?;
            self.kept += 1;
        }
        self.last = Some(frame.clone());
        Ok(())
    }

    fn blank(&mut self) -> Result<(), OutputError> {
        match self.last.take() {
            Some(last) => self.replace("frame.png", &encode(&last.darkened())?),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::playlist::{Align, Effect, Page};
    use crate::domain::profile::BoardProfile;

    fn page(text: &str) -> Page {
        Page {
            text: text.into(),
            align: Align::Centre,
            effect: Effect::Still,
            dwell_ms: 3_000,
            colour: Some("red".into()),
            font: None,
        }
    }

    #[test]
    fn a_picture_holds_the_very_pixels_that_the_hash_names() {
        let folder = tempfile::tempdir().unwrap();
        for colours in [vec![], vec!["red".to_owned()]] {
            let board = BoardProfile {
                width_px: 60,
                height_px: 16,
                colours,
                fonts: vec![],
                scroll_px_s: 32,
            };
            let frame = crate::raster::render(&page("Xã Ba Vì"), &board).remove(0);
            let mut output = PngFolder::open(folder.path().join("ảnh")).unwrap();
            output.show(&frame).unwrap();
            let path = folder.path().join(format!("ảnh/{}.png", frame.hash()));
            let file = std::io::BufReader::new(fs::File::open(path).unwrap());
            let mut reader = ::png::Decoder::new(file).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels, frame.packed());
            output.blank().unwrap();
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_a_fault_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = PngFolder::open(file.clone()).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
        assert_eq!(error.hint(), "free space, or name a folder that can be written to");
    }
}
