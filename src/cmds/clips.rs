//! Clips as the station folder asks for them: measured by `audio`, once for each version.

use crate::audio::inspect;
use crate::audio::inspect::Limits;
use crate::config::ClipSource;
use crate::domain::station::AssetFacts;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a file looks like from outside; measured again when it changes.
type Version = (u64, Option<SystemTime>);

/// Measures clips, and remembers what it measured while it lives.
#[derive(Debug, Default)]
pub struct Measured {
    known: HashMap<PathBuf, (Version, Result<AssetFacts, String>)>,
}

impl ClipSource for Measured {
    fn facts(&mut self, path: &Path) -> Result<AssetFacts, String> {
        let meta = fs::metadata(path).map_err(|error| error.to_string())?;
        let version = (meta.len(), meta.modified().ok());
        if let Some((seen, facts)) = self.known.get(path)
            && *seen == version
        {
            return facts.clone();
        }
        let seen = inspect(path, &Limits::default());
        let facts = seen
            .facts()
            .ok_or_else(|| seen.error.unwrap_or_else(|| "cannot be used as a clip".to_owned()));
        self.known.insert(path.to_owned(), (version, facts.clone()));
        facts
    }
}

/// Does not look at clips, for commands that need only names and times.
#[derive(Debug)]
pub struct Unseen;

impl ClipSource for Unseen {
    fn facts(&mut self, _path: &Path) -> Result<AssetFacts, String> {
        Err("not looked at".to_owned())
    }
}
