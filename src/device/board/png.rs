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

fn encode(frame: &Frame) -> Result<Vec<u8>, OutputError> {
    Ok(crate::raster::encode::png(frame)?)
}

impl Output for PngFolder {
    fn show(&mut self, frame: &Frame, hold_ms: i64) -> Result<(), OutputError> {
        let bytes = encode(frame)?;
        self.replace("frame.png", &bytes)?;
        let name = format!("{}.png", frame.hash());
        if hold_ms >= KEPT_FROM_MS && self.kept < MOST_KEPT && !self.folder.join(&name).exists() {
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
    use crate::domain::playlist::Page;
    use crate::domain::profile::BoardProfile;
    use crate::domain::time::UtcMs;
    use crate::raster::{Board, Design, Faces, Pass, Scene};

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
                ..BoardProfile::default()
            };
            let page = Page { colour: Some("red".into()), ..Page::still("Xã Ba Vì", 3_000) };
            let (design, scene) = (Design::from(&page), Scene::at(UtcMs(0)));
            let (board, faces) = (Board::from(&board), Faces::of_profile(&board));
            let frame = Pass::new(&design, &board, &faces, &scene).first();
            let mut output = PngFolder::open(folder.path().join("ảnh")).unwrap();
            output.show(&frame, 3_000).unwrap();
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
