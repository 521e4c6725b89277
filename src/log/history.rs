//! Cosigned checkpoints of earlier days: what encloses each record in time.
//!
//! `checkpoint` shows the newest only. That a record was logged *by* some time is shown by the
//! first cosigned checkpoint that holds it, so those are kept, in one text file a day (UTC) in the
//! log's folder, `cosigned/2027-03-14`: notes one after another, each followed by an empty line.
//! The file is replaced as a whole, so it is never torn; one checkpoint a minute makes it less than
//! 1 MB.
//!
//! # Invariants
//! * Checkpoints of a file are in order of size; one that is kept is never dropped.
//! * What is read back is not believed here: the policy judges it.

use super::disk::{Disk, DiskError, replace};
use super::folder::Folder;
use crate::domain::time::UtcMs;
use crate::wire::tlog::{CheckpointError, SignedCheckpoint};
use std::path::PathBuf;

/// Bytes of the longest file.
pub const DAY_BYTES: usize = 16 * 1024 * 1024;
const FOLDER: &str = "cosigned";

/// Why the checkpoints of a day cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the cosigned checkpoints cannot be used")]
    Disk(#[from] DiskError),
    #[error("checkpoint {number} of `{}` is damaged", path.display())]
    Damaged {
        path: PathBuf,
        number: usize,
        #[source]
        source: CheckpointError,
    },
    #[error("`{}` holds all the checkpoints of a day that it can", path.display())]
    Full { path: PathBuf },
}

impl HistoryError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Disk(error) => error.hint(),
            Self::Damaged { .. } => {
                "take the file from a backup, a mirror or an audit pack; until then this day's \
                 records are enclosed less tightly"
            }
            Self::Full { .. } => "keep checkpoints less often",
        }
    }
}

/// Returns the file of the day that holds this second.
fn file_of<D: Disk>(folder: &Folder<D>, time_s: u64) -> PathBuf {
    let at = UtcMs::from_numeric_date(i64::try_from(time_s).unwrap_or(i64::MAX));
    folder.path().join(FOLDER).join(at.datetime().format("%Y-%m-%d").to_string())
}

/// Reads the cosigned checkpoints of the day that holds this second; none when there is no file.
pub fn of_day<D: Disk>(
    folder: &Folder<D>,
    time_s: u64,
) -> Result<Vec<SignedCheckpoint>, HistoryError> {
    let path = file_of(folder, time_s);
    let bytes =
        folder.disk().read(&path, DAY_BYTES as u64).map_err(DiskError::at("read", &path))?;
    parse(&bytes.unwrap_or_default()).map_err(|(number, source)| HistoryError::Damaged {
        path,
        number,
        source,
    })
}

/// Takes a day's file apart; a fault comes with the number of its checkpoint, from 1.
pub fn parse(bytes: &[u8]) -> Result<Vec<SignedCheckpoint>, (usize, CheckpointError)> {
    let mut notes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        // A note is a text, an empty line and signatures; another empty line ends it.
        let mut ends = rest.windows(2).enumerate().filter(|(_, pair)| *pair == b"\n\n");
        let end = ends.nth(1).map_or(rest.len(), |(at, _)| at + 1);
        let note = SignedCheckpoint::parse(&rest[..end]).map_err(|e| (notes.len() + 1, e))?;
        notes.push(note);
        rest = rest.get(end + 1..).unwrap_or(&[]);
    }
    Ok(notes)
}

/// Keeps a cosigned checkpoint under the day of `now_s`, unless a smaller gap than `every_s` lies
/// behind the last one that was kept (`last_s`), or the day has it or a larger one already.
/// Returns whether it is there now.
pub fn keep<D: Disk>(
    folder: &Folder<D>,
    cosigned: &SignedCheckpoint,
    now_s: u64,
    last_s: Option<u64>,
    every_s: u64,
) -> Result<bool, HistoryError> {
    if last_s.is_some_and(|last| (last..last.saturating_add(every_s)).contains(&now_s)) {
        return Ok(false);
    }
    let kept = of_day(folder, now_s)?;
    let size = cosigned.checkpoint().size;
    if kept.last().is_some_and(|last| last.checkpoint().size >= size) {
        return Ok(false);
    }
    let all = kept.iter().chain([cosigned]).map(|kept| format!("{}\n", kept.note()));
    let text: String = all.collect();
    let path = file_of(folder, now_s);
    if text.len() > DAY_BYTES {
        return Err(HistoryError::Full { path });
    }
    replace(folder.disk(), folder.path(), &[(path, text.as_bytes())])?;
    Ok(true)
}

/// Returns the first of these checkpoints, in order of size, that holds a leaf.
pub fn first_with(kept: &[SignedCheckpoint], index: u64) -> Option<&SignedCheckpoint> {
    kept.get(kept.partition_point(|kept| kept.checkpoint().size <= index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::{Draw, ModelDisk, cosigner, origin, signer};
    use crate::wire::tlog::{Checkpoint, TreeHash};
    use proptest::prelude::*;
    use std::path::Path;

    /// 2027-01-15T08:00:00Z.
    const NOW: u64 = 1_800_000_000;

    fn cosigned(size: u64) -> SignedCheckpoint {
        let tree = Checkpoint { origin: origin(), size, root: TreeHash::leaf(b"x") };
        let signed = tree.sign(&[signer(1)]);
        let mut lines = signed.note().lines().to_vec();
        lines.push(cosigner("w1", 9).sign(NOW, signed.note().text()));
        signed.with_note(signed.note().with_lines(lines)).unwrap()
    }

    fn folder(disk: &ModelDisk) -> Folder<ModelDisk> {
        Folder::new(disk.clone(), "/log")
    }

    fn disk() -> ModelDisk {
        ModelDisk::default().with_folder(Path::new("/log"))
    }

    #[test]
    fn one_checkpoint_a_minute_is_kept_under_its_day() {
        let disk = disk();
        let log = folder(&disk);
        let mut last = None;
        for second in (0..600).step_by(7) {
            let now = NOW + second;
            if keep(&log, &cosigned(second + 1), now, last, 60).unwrap() {
                last = Some(now);
            }
        }
        let kept = of_day(&log, NOW + 80_000 - 30_000).unwrap();
        assert_eq!(kept.len(), 10);
        assert_eq!((&kept[0], &kept[1]), (&cosigned(1), &cosigned(64)));
        assert!(of_day(&log, NOW + 86_400).unwrap().is_empty());
        let files: Vec<_> = disk.files().into_keys().collect();
        assert_eq!(files, [Path::new("/log/cosigned/2027-01-15")]);
        // A clock that went back does not stop it; a size that is held already is not doubled.
        assert!(keep(&log, &cosigned(5_000), NOW - 3_600, last, 60).unwrap());
        assert!(!keep(&log, &cosigned(5_000), NOW + 3_600, None, 60).unwrap());
    }

    #[test]
    fn the_first_checkpoint_with_a_leaf_is_found() {
        let kept = [cosigned(5), cosigned(9), cosigned(20)];
        let first = |index| first_with(&kept, index).map(|kept| kept.checkpoint().size);
        assert_eq!([first(0), first(4), first(5), first(8)], [Some(5), Some(5), Some(9), Some(9)]);
        assert_eq!([first(19), first(20)], [Some(20), None]);
    }

    #[test]
    fn a_cut_of_power_loses_nothing_that_was_kept() {
        for step in 0..5 {
            for chance in 0..6 {
                let disk = disk();
                keep(&folder(&disk), &cosigned(1), NOW, None, 60).unwrap();
                disk.cut_after(step);
                let second = keep(&folder(&disk), &cosigned(2), NOW, None, 60);
                let found = of_day(&folder(&disk.after_cut(&mut Draw(step * 9 + chance))), NOW);
                let found = found.unwrap().len();
                assert!(found == 2 || (found == 1 && second.is_err()), "{found} after {step}");
            }
        }
    }

    #[test]
    fn a_damaged_file_is_named_with_its_checkpoint() {
        let disk = disk();
        let log = folder(&disk);
        for size in 1..4 {
            keep(&log, &cosigned(size), NOW, None, 60).unwrap();
        }
        let path = Path::new("/log/cosigned/2027-01-15");
        let whole = disk.files()[path].clone();
        let at = whole.windows(3).position(|w| w == b"\n2\n").unwrap();
        disk.tamper(path, |bytes| bytes[at + 1] = b'x');
        let error = of_day(&log, NOW).unwrap_err();
        assert!(matches!(error, HistoryError::Damaged { number: 2, .. }), "{error}");
        assert!(keep(&log, &cosigned(9), NOW, None, 60).is_err(), "and is not written over");
        disk.tamper(path, |bytes| *bytes = vec![b'\n'; DAY_BYTES + 1]);
        assert!(matches!(of_day(&log, NOW), Err(HistoryError::Disk(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "([a-z0-9/=— ]{0,9}\n){0,12}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }
    }
}
