//! What the street would hear, as a file: 16 bit, stereo, 48 kHz, with silence between plays.
//!
//! Position in the file is time since the file was begun, also across restarts: the header holds
//! the instant of the first sample, and the time a program was away is filled with silence (a
//! hole in the file, no space on disk). The header is rewritten each second after the samples, so
//! a killed program leaves a valid file that is at most a second short; opening it again makes
//! good. A file that would pass the limit of the format (4 GB, six hours) is put aside under the
//! name of its first instant, and a new one is begun.

use super::paced::Taker;
use super::{RATE_HZ, SinkError};
use crate::device::speaker::CHANNELS;
use crate::domain::time::UtcMs;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const FRAME: u64 = 2 * CHANNELS as u64;
const HEADER: u64 = 64;
/// Data bytes after which a new file is begun.
const MOST: u64 = 4_000_000_000;

/// A sound file that grows.
#[derive(Debug)]
pub struct WavFile {
    path: PathBuf,
    file: File,
    begun: UtcMs,
    /// Frames, silence at the end included.
    frames: u64,
    bytes: Vec<u8>,
}

impl WavFile {
    /// Opens or begins the file; `now` is the instant of the next sample.
    pub fn open(path: &Path, now: UtcMs) -> Result<Self, SinkError> {
        let error = |source| SinkError::File { path: path.to_path_buf(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(error)?;
        let length = file.metadata().map_err(error)?.len();
        if length == 0 {
            return Self::begin(path, now).map_err(error);
        }
        let mut head = Vec::new();
        (&file).take(HEADER).read_to_end(&mut head).map_err(error)?;
        let Some(begun) = begun(&head) else {
            return Err(SinkError::ForeignFile { path: path.to_path_buf() });
        };
        let frames = length.saturating_sub(HEADER) / FRAME;
        let mut wav = Self { path: path.to_path_buf(), file, begun, frames, bytes: Vec::new() };
        let end = begun.plus(i64::try_from(frames * 1000 / u64::from(RATE_HZ)).unwrap_or(0));
        let away = u64::try_from(now.since(end)).unwrap_or(0) * u64::from(RATE_HZ) / 1000;
        wav.pass(away).and_then(|()| wav.settle()).map_err(error)?;
        Ok(wav)
    }

    fn begin(path: &Path, now: UtcMs) -> std::io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let path = path.to_path_buf();
        let mut wav = Self { path, file, begun: now, frames: 0, bytes: Vec::new() };
        wav.settle()?;
        Ok(wav)
    }

    /// Puts the full file aside and begins the next.
    fn turn_over(&mut self) -> std::io::Result<()> {
        self.settle()?;
        let ms = i64::try_from(self.frames * 1000 / u64::from(RATE_HZ)).unwrap_or(0);
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let aside = format!("{stem}-{}.wav", self.begun.datetime().format("%Y%m%dT%H%M%SZ"));
        std::fs::rename(&self.path, self.path.with_file_name(aside))?;
        *self = Self::begin(&self.path, self.begun.plus(ms))?;
        Ok(())
    }
}

impl Taker for WavFile {
    fn take(&mut self, samples: &[f32]) -> std::io::Result<()> {
        let frames = (samples.len() / CHANNELS) as u64;
        if (self.frames + frames) * FRAME > MOST {
            self.turn_over()?;
        }
        if samples.iter().any(|&sample| sample != 0.0) {
            self.bytes.clear();
            for &sample in samples {
                #[expect(clippy::cast_possible_truncation, reason = "clamped to ±1 before")]
                let value = (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16;
                self.bytes.extend(value.to_le_bytes());
            }
            self.file.seek(SeekFrom::Start(HEADER + self.frames * FRAME))?;
            self.file.write_all(&self.bytes)?;
        }
        self.frames += frames;
        Ok(())
    }

    fn pass(&mut self, mut frames: u64) -> std::io::Result<()> {
        while (self.frames + frames) * FRAME > MOST {
            let fits = (MOST / FRAME).saturating_sub(self.frames).min(frames);
            self.frames += fits;
            frames -= fits;
            self.turn_over()?;
            // Nobody was there to hear weeks of silence: the rest begins a file of its own.
            if frames * FRAME > MOST {
                let ms = i64::try_from(frames * 1000 / u64::from(RATE_HZ)).unwrap_or(0);
                self.begun = self.begun.plus(ms);
                frames = 0;
            }
        }
        self.frames += frames;
        Ok(())
    }

    fn settle(&mut self) -> std::io::Result<()> {
        self.file.set_len(HEADER + self.frames * FRAME)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.begun, self.frames * FRAME))
    }
}

/// RIFF, the format, the first instant as text in an information list, the data.
fn header(begun: UtcMs, data: u64) -> Vec<u8> {
    let data = u32::try_from(data).unwrap_or(u32::MAX);
    let rate = RATE_HZ;
    let mut head = Vec::with_capacity(64);
    head.extend(b"RIFF");
    head.extend(data.saturating_add(56).to_le_bytes());
    head.extend(b"WAVEfmt \x10\0\0\0\x01\0\x02\0");
    head.extend(rate.to_le_bytes());
    head.extend((rate * 4).to_le_bytes());
    head.extend(b"\x04\0\x10\0");
    head.extend(b"loa \x0c\0\0\0utc1");
    head.extend(begun.0.to_le_bytes());
    head.extend(b"data");
    head.extend(data.to_le_bytes());
    head
}

/// Returns the first instant from the head of a file of ours.
fn begun(head: &[u8]) -> Option<UtcMs> {
    let begun = i64::from_le_bytes(head.get(48..56)?.try_into().ok()?);
    let same =
        |range: std::ops::Range<usize>| head.get(range.clone()) == header(UtcMs(0), 0).get(range);
    (head.len() == 64 && same(0..4) && same(8..48) && same(56..60)).then_some(UtcMs(begun))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    const START: UtcMs = UtcMs(1_790_000_000_000);

    fn sound(frames: usize, level: f32) -> Vec<f32> {
        vec![level; frames * CHANNELS]
    }

    #[test]
    fn position_is_time_across_restarts_and_silence_takes_no_space() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phố.wav");
        let mut wav = WavFile::open(&path, START).unwrap();
        wav.take(&sound(48_000, 0.5)).unwrap();
        wav.settle().unwrap();
        drop(wav);
        // Away for an hour, less the second that is in the file.
        let mut wav = WavFile::open(&path, START.plus(3_600_000)).unwrap();
        wav.take(&sound(48_000, 0.25)).unwrap();
        wav.settle().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let sample = |second: usize| {
            let at = 64 + second * 48_000 * 4;
            i16::from_le_bytes([bytes[at], bytes[at + 1]])
        };
        assert_eq!((sample(0), sample(1), sample(3_599), sample(3_600)), (16_384, 0, 0, 8_192));
        assert_eq!(bytes.len(), 64 + 3_601 * 48_000 * 4);
        assert!(std::fs::metadata(&path).unwrap().blocks() * 512 < 2_000_000);
        assert_eq!(crate::audio::decode::open(&path).unwrap().promised(), Some(3_601 * 48_000));
    }

    #[test]
    fn a_killed_program_leaves_a_valid_file_and_the_next_repairs_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut wav = WavFile::open(&path, START).unwrap();
        wav.take(&sound(480, 0.5)).unwrap();
        std::mem::forget(wav.file.try_clone().unwrap());
        drop(wav); // no settle: the header says nothing of these samples
        let mut half = OpenOptions::new().append(true).open(&path).unwrap();
        half.write_all(&[1]).unwrap();
        assert!(crate::audio::decode::open(&path).is_ok());
        WavFile::open(&path, START).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 64 + 480 * 4);
        assert_eq!(bytes[60..64], (480u32 * 4).to_le_bytes());
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, "bản tin").unwrap();
        let error = WavFile::open(&path, START).unwrap_err();
        assert!(matches!(error, SinkError::ForeignFile { .. }));
        assert_eq!(std::fs::read(&path).unwrap(), "bản tin".as_bytes());
    }

    #[test]
    fn a_full_file_is_put_aside_under_its_first_instant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut wav = WavFile::open(&path, START).unwrap();
        wav.pass(7 * 3600 * 48_000).unwrap();
        wav.take(&sound(480, 0.5)).unwrap();
        wav.settle().unwrap();
        let aside = folder.path().join("a-20260921T141320Z.wav");
        let first = std::fs::metadata(aside).unwrap().len() - 64;
        let second = std::fs::metadata(&path).unwrap().len() - 64;
        assert_eq!(first + second, (7 * 3600 * 48_000 + 480) * 4);
        assert!(first <= MOST);
    }
}
