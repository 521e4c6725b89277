//! Clips of the station folder: measured once, remembered in the store, kept by hash.
//!
//! A file is measured again when its path, length, change time or the rules of measuring are
//! other than remembered. Its untouched bytes are copied onto the shelf under their SHA-256 before
//! any schedule names them, so a clip that is deleted or replaced in the folder stays what it was.

use crate::app::assets::{FileLibrary, Library as _};
use crate::app::ports::KnownClip;
use crate::audio::inspect;
use crate::audio::inspect::Limits;
use crate::config::ClipSource;
use crate::domain::ids::Digest;
use crate::domain::station::AssetFacts;
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Version of the rules of measuring: raised whenever `audio` would say something else.
const RULES: u32 = 2;

/// Measures clips, remembers them over restarts, and keeps their bytes.
#[derive(Debug)]
pub struct StoredClips {
    library: Arc<FileLibrary>,
    known: BTreeMap<String, KnownClip>,
    fresh: Vec<KnownClip>,
}

/// What is remembered of a file, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Remembered {
    Good {
        bytes: u64,
        media_type: String,
        ms: i64,
        gain_cb: i64,
        lufs_cb: i64,
        sums: BTreeMap<String, Digest>,
        title: String,
    },
    Refused {
        why: String,
    },
}

impl StoredClips {
    /// Returns a source over what the store remembers.
    pub fn new(library: Arc<FileLibrary>, known: Vec<KnownClip>) -> Self {
        let known = known.into_iter().map(|clip| (clip.path.clone(), clip)).collect();
        Self { library, known, fresh: Vec::new() }
    }

    /// Takes what was measured since the last call, to be remembered.
    pub fn take_fresh(&mut self) -> Vec<KnownClip> {
        std::mem::take(&mut self.fresh)
    }

    fn remembered(&self, key: &str, bytes: u64, modified_ms: UtcMs) -> Option<Facts> {
        let known = self.known.get(key)?;
        let same = known.bytes == bytes && known.modified_ms == modified_ms && known.rules == RULES;
        let read = serde_json::from_str(&known.inspection).ok().filter(|_| same)?;
        Some(facts(known.sha256, read))
    }

    /// Takes the file into the library; refuses when its bytes are not the ones measured.
    fn keep(&self, path: &Path, facts: &AssetFacts) -> Result<(), String> {
        let there = self.library.bytes(&facts.sha256);
        if there.is_ok_and(|bytes| bytes == Some(facts.bytes)) {
            return Ok(());
        }
        let most = Limits::default().max_bytes;
        match self.library.import_file(path, most) {
            Ok(name) if name.sha256 == facts.sha256 => Ok(()),
            Ok(_) => Err("changed while it was read".to_owned()),
            Err(error) => Err(format!("cannot be kept: {error}; {}", error.hint())),
        }
    }
}

type Facts = Result<AssetFacts, String>;

fn facts(sha256: Digest, remembered: Remembered) -> Facts {
    match remembered {
        Remembered::Good { bytes, media_type, ms, gain_cb, lufs_cb, sums, title } => {
            Ok(AssetFacts { sha256, bytes, media_type, ms, gain_cb, lufs_cb, sums, title })
        }
        Remembered::Refused { why } => Err(why),
    }
}

impl ClipSource for StoredClips {
    fn facts(&mut self, path: &Path) -> Facts {
        let meta = fs::metadata(path).map_err(|error| error.to_string())?;
        let since = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified_ms = UtcMs(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0)));
        let key = path.to_string_lossy().into_owned();
        let facts = if let Some(facts) = self.remembered(&key, meta.len(), modified_ms) {
            facts
        } else {
            let seen = inspect(path, &Limits::default());
            let sha256 = seen.measured.as_ref().map_or(Digest([0; 32]), |m| m.sha256);
            let remembered = match seen.facts() {
                Some(good) => Remembered::Good {
                    bytes: good.bytes,
                    media_type: good.media_type,
                    ms: good.ms,
                    gain_cb: good.gain_cb,
                    lufs_cb: good.lufs_cb,
                    sums: good.sums,
                    title: good.title,
                },
                None => Remembered::Refused {
                    why: seen.error.unwrap_or_else(|| "cannot be used as a clip".to_owned()),
                },
            };
            let inspection = serde_json::to_string(&remembered).map_err(|e| e.to_string())?;
            let clip = KnownClip {
                path: key.clone(),
                bytes: meta.len(),
                modified_ms,
                sha256,
                rules: RULES,
                inspection,
            };
            self.fresh.push(clip.clone());
            self.known.insert(key.clone(), clip);
            facts(sha256, remembered)
        }?;
        if let Err(why) = self.keep(path, &facts) {
            // Measured and copied are not the same bytes, or there is no room: look again.
            self.known.remove(&key);
            self.fresh.retain(|clip| clip.path != key);
            return Err(why);
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(path: &Path, samples: u32) {
        let bytes = samples * 2;
        let mut out = Vec::new();
        out.extend(b"RIFF");
        out.extend((36 + bytes).to_le_bytes());
        out.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        out.extend(8000_u32.to_le_bytes());
        out.extend(16000_u32.to_le_bytes());
        out.extend(b"\x02\0\x10\0data");
        out.extend(bytes.to_le_bytes());
        for n in 0..samples {
            let sample: i16 = if n / 10 % 2 == 0 { 8000 } else { -8000 };
            out.extend(sample.to_le_bytes());
        }
        fs::write(path, out).unwrap();
    }

    #[test]
    fn a_clip_is_measured_once_and_its_bytes_outlive_the_file() {
        let root = tempfile::tempdir().unwrap();
        let (clip, shelf) = (root.path().join("còi.wav"), root.path().join("assets"));
        wav(&clip, 8000);
        let library = Arc::new(FileLibrary::open(&shelf).unwrap());
        let mut clips = StoredClips::new(library.clone(), Vec::new());
        let facts = clips.facts(&clip).unwrap();
        assert_eq!(facts.ms, 1000);
        let remembered = clips.take_fresh();
        assert_eq!(remembered.len(), 1);
        let kept = fs::read(shelf.join(facts.sha256.to_string())).unwrap();
        assert_eq!(Digest::of(&kept), facts.sha256);

        let mut again = StoredClips::new(library, remembered);
        assert_eq!(again.facts(&clip).unwrap(), facts);
        assert_eq!(again.take_fresh(), []);

        fs::remove_file(&clip).unwrap();
        assert!(again.facts(&clip).is_err());
        assert!(shelf.join(facts.sha256.to_string()).exists());
    }

    #[test]
    fn a_refused_file_is_remembered_with_its_reason() {
        let root = tempfile::tempdir().unwrap();
        let clip = root.path().join("x.mp3");
        fs::write(&clip, "not audio").unwrap();
        let library = Arc::new(FileLibrary::open(root.path().join("assets")).unwrap());
        let mut clips = StoredClips::new(library.clone(), Vec::new());
        let why = clips.facts(&clip).unwrap_err();
        let mut again = StoredClips::new(library, clips.take_fresh());
        assert_eq!(again.facts(&clip), Err(why));
    }
}
