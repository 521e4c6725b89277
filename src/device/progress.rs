//! The journal on disk: two files written in turn, so that a torn write leaves the other one.

use super::executor::Journal;
use sha2::{Digest as _, Sha256};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const HEAD: usize = 8 + 4 + 8;

/// See the module.
#[derive(Debug)]
pub struct Progress {
    files: [PathBuf; 2],
    turn: u64,
}

impl Progress {
    /// Opens the files and returns the newest journal that is whole.
    pub fn open(dir: &Path) -> (Self, Option<Journal>) {
        let files = [dir.join("journal.0"), dir.join("journal.1")];
        let newest = files.iter().filter_map(|path| read(path)).max_by_key(|(turn, _)| *turn);
        let turn = newest.as_ref().map_or(0, |(turn, _)| *turn);
        (Self { files, turn }, newest.map(|(_, journal)| journal))
    }

    /// Writes a journal; durable when it returns.
    pub fn write(&mut self, journal: &Journal) -> io::Result<()> {
        let turn = self.turn.saturating_add(1);
        let json = serde_json::to_vec(journal).map_err(io::Error::other)?;
        let length = u32::try_from(json.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(HEAD + json.len());
        bytes.extend(turn.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(check(turn, &json));
        bytes.extend(json);
        let path = &self.files[usize::from(turn % 2 == 1)];
        let fresh = !path.exists();
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        if fresh {
            super::disk::sync_folder(path)?;
        }
        self.turn = turn;
        Ok(())
    }
}

fn read(path: &Path) -> Option<(u64, Journal)> {
    let bytes = super::disk::read(path)?;
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let turn = u64::from_le_bytes(head[..8].try_into().ok()?);
    let length = u32::from_le_bytes(head[8..12].try_into().ok()?) as usize;
    let json = rest.get(..length)?;
    if head[12..] != check(turn, json) {
        return None;
    }
    Some((turn, serde_json::from_slice(json).ok()?))
}

fn check(turn: u64, json: &[u8]) -> [u8; 8] {
    let hash: [u8; 32] =
        Sha256::new().chain_update(turn.to_le_bytes()).chain_update(json).finalize().into();
    let mut eight = [0; 8];
    eight.copy_from_slice(&hash[..8]);
    eight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::UtcMs;
    use tempfile::TempDir;

    fn journal(n: i64) -> Journal {
        Journal { alive: Some(UtcMs(n)), ..Journal::default() }
    }

    #[test]
    fn a_journal_torn_at_any_byte_leaves_the_one_before() {
        let dir = TempDir::new().unwrap();
        let (mut progress, none) = Progress::open(dir.path());
        assert_eq!(none, None);
        progress.write(&journal(1)).unwrap();
        progress.write(&journal(2)).unwrap();
        let path = dir.path().join("journal.0");
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(Progress::open(dir.path()).1, Some(journal(1)), "cut at {cut}");
        }
        std::fs::write(&path, &whole).unwrap();
        let (mut progress, newest) = Progress::open(dir.path());
        assert_eq!(newest, Some(journal(2)));
        progress.write(&journal(3)).unwrap();
        assert_eq!(Progress::open(dir.path()).1, Some(journal(3)));
    }
}
