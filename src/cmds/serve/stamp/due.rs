//! What is to be stamped next: the last head of a shard that is over, and of today's one head.

use crate::domain::time::UtcMs;
use crate::log::disk::{DiskError, RealDisk};
use crate::log::folder::Folder;
use crate::log::shard::ShardName;
use crate::log::tokens;
use crate::stamp::Token;
use crate::wire::tlog::{CheckpointError, NOTE_BYTES, SignedCheckpoint};
use chrono::Timelike as _;
use chrono_tz::Tz;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// From this hour on a head of the day before is stamped when none was signed since midnight.
const PATIENCE_H: u32 = 1;

/// A head that is to be stamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub shard: ShardName,
    pub size: u64,
    pub note: Vec<u8>,
    /// Whether it is the head of the day, not the last one of a shard that is over.
    pub of_day: bool,
}

/// Why it cannot be said what is to be stamped.
#[derive(Debug, thiserror::Error)]
pub enum DueError {
    #[error("`{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the time stamps cannot be read")]
    Disk(#[from] DiskError),
    #[error("`{}` is no head", path.display())]
    Note {
        path: PathBuf,
        #[source]
        source: CheckpointError,
    },
}

impl DueError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check that the folder is there and belongs to this user",
            Self::Disk(error) => error.hint(),
            Self::Note { .. } => "`loa log check` tells whether the log is whole",
        }
    }
}

/// The moment at which is asked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: UtcMs,
    pub zone: Tz,
    /// When the newest head was first seen.
    pub head_seen: UtcMs,
    /// When a head was stamped last, by our clock.
    pub stamped: Option<UtcMs>,
}

impl Moment {
    fn is_today(&self, at: UtcMs) -> bool {
        let day = |at: UtcMs| at.datetime().with_timezone(&self.zone).date_naive();
        day(at) == day(self.now)
    }

    /// Says whether it is time for the head of the day.
    fn calls_for(&self, last: Option<UtcMs>) -> bool {
        if last.is_some_and(|at| self.is_today(at))
            || self.stamped.is_some_and(|at| self.is_today(at))
        {
            return false;
        }
        let hour = self.now.datetime().with_timezone(&self.zone).hour();
        self.is_today(self.head_seen) || hour >= PATIENCE_H
    }
}

/// Returns what is to be stamped now. `newest` names the file of the newest head that enough
/// witnesses vouched for.
pub fn due(folder: &Path, newest: &Path, moment: &Moment) -> Result<Option<Job>, DueError> {
    let mut shards = shards(folder)?;
    let Some(current) = shards.pop() else { return Ok(None) };
    for shard in shards {
        let place = folder.join(shard.to_string());
        let Some((size, note)) =
            head(&place.join("checkpoint"))?.map(|(_, size, note)| (size, note))
        else {
            continue;
        };
        if !tokens::sizes(&Folder::new(RealDisk, place))?.contains(&size) {
            return Ok(Some(Job { shard, size, note, of_day: false }));
        }
    }
    let Some((of, size, note)) = head(newest)? else { return Ok(None) };
    if of != current.to_string() {
        return Ok(None); // a new shard has begun, and nobody has vouched for it yet
    }
    let place = Folder::new(RealDisk, folder.join(of));
    let sizes = tokens::sizes(&place)?;
    let last = match sizes.last() {
        Some(last) => tokens::read(&place, *last)?,
        None => None,
    };
    let last = last.and_then(|last| Token::parse(&last.stamp).ok()?.stated_at().ok());
    let wanted = !sizes.contains(&size) && moment.calls_for(last);
    Ok(wanted.then_some(Job { shard: current, size, note, of_day: true }))
}

/// Returns the shards whose folders are here, in order.
pub fn shards(folder: &Path) -> Result<Vec<ShardName>, DueError> {
    let wrong = |source| DueError::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(wrong)?,
    };
    let mut found: Vec<ShardName> = Vec::new();
    for entry in entries {
        let name = entry.map_err(wrong)?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse::<ShardName>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads a head: the last part of its log's name, its size, the note; `None` when there is none.
fn head(path: &Path) -> Result<Option<(String, u64, Vec<u8>)>, DueError> {
    let mut note = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(NOTE_BYTES as u64 + 1).read_to_end(&mut note));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|source| DueError::Read { path: path.to_owned(), source })?,
    };
    let wrong = |source| DueError::Note { path: path.to_owned(), source };
    let head = SignedCheckpoint::parse(&note).map_err(wrong)?;
    let tree = head.checkpoint();
    let shard = tree.origin.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Some((shard, tree.size, note)))
}
