//! Real clips in every format, made by ffmpeg where the tests run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Two channels that differ, swell and pause, like speech over music: 3.3 s at 44.1 kHz, an odd
/// number of frames.
pub const FRAMES: u64 = 145_531;

/// A folder of clips.
#[derive(Debug)]
pub struct Clips {
    folder: TempDir,
}

impl Clips {
    /// Makes the folder with `source.wav` in it.
    pub fn new() -> Self {
        let clips = Self { folder: tempfile::tempdir().unwrap() };
        let source = "aevalsrc=exprs='0.5*sin(2*PI*(300+200*t)*t)*(0.6+0.4*sin(5*t))\
                      |0.4*sin(2*PI*(500+90*t)*t)*(0.6+0.4*sin(3*t))':s=44100:d=4";
        let cut = format!("atrim=end_sample={FRAMES}");
        Self::ffmpeg(&["-f", "lavfi", "-i", source, "-af", &cut, &clips.text("source.wav")]);
        clips
    }

    /// Returns the path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Makes a file of the source.
    pub fn make(&self, name: &str, options: &str) -> PathBuf {
        self.make_of("source.wav", name, options)
    }

    /// Makes a file of another.
    pub fn make_of(&self, from: &str, name: &str, options: &str) -> PathBuf {
        let (from, to) = (self.text(from), self.text(name));
        let options: Vec<&str> = options.split_whitespace().collect();
        Self::ffmpeg(&[&["-i", &from], options.as_slice(), &[&to]].concat());
        self.path(name)
    }

    /// Writes a file as it is.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn ffmpeg(args: &[&str]) {
        let output = Command::new("ffmpeg")
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("ffmpeg is installed by `make setup`");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Returns what ffmpeg decodes of a file, interleaved.
pub fn by_ffmpeg(path: &Path) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(path)
        .args(["-f", "f32le", "-"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Returns how much two signals are the same: 1 for equal ones, whatever their levels.
pub fn likeness(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    let shorter = a.len().min(b.len());
    let (a, b) = (&a[..shorter], &b[..shorter]);
    product(a, b) / (product(a, a) * product(b, b)).sqrt().max(1e-12)
}
