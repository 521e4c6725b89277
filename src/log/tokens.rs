//! Time stamps of heads, kept in the log's folder: `tokens/SIZE.note` and `tokens/SIZE.tsr`.
//!
//! An authority that the law knows stamps a head about once a day. The note that was stamped is
//! kept beside its token byte for byte, since a token says nothing about any other bytes; whoever
//! has the authority's certificate checks the pair without us (`openssl ts -verify -in SIZE.tsr
//! -token_in -data SIZE.note -CAfile …`).
//!
//! # Invariants
//! * A token that is there has its note, which is durable first.
//! * Nothing is ever removed or written over: a head of one size is stamped once.
//! * What is read back is not believed here: who has the certificate judges it.

use super::disk::{Disk, DiskError, replace};
use super::folder::Folder;
use crate::wire::tlog::{NOTE_BYTES, text};
use std::path::PathBuf;

/// Name of the folder below a shard's.
pub const FOLDER: &str = "tokens";
/// Bytes of the longest token that is kept or read.
pub const TOKEN_BYTES: usize = 65_536;

/// A head that was stamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The signed note, byte for byte.
    pub note: Vec<u8>,
    /// The authority's word on it.
    pub stamp: Vec<u8>,
}

/// A part of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What was stamped.
    Note,
    /// The authority's word.
    Token,
}

impl Part {
    fn end(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Token => "tsr",
        }
    }
}

/// Returns the name of a file in the folder.
pub fn file_name(size: u64, part: Part) -> String {
    format!("{size}.{}", part.end())
}

/// Reads the name of a file in the folder; `None` for any other.
pub fn parse_name(name: &str) -> Option<(u64, Part)> {
    let (size, end) = name.split_once('.')?;
    let part = [Part::Note, Part::Token].into_iter().find(|part| part.end() == end)?;
    Some((text::decimal(size)?, part))
}

fn path<D: Disk>(folder: &Folder<D>, size: u64, part: Part) -> PathBuf {
    folder.path().join(FOLDER).join(file_name(size, part))
}

/// Returns the sizes of the heads that were stamped, in order.
pub fn sizes<D: Disk>(folder: &Folder<D>) -> Result<Vec<u64>, DiskError> {
    let tokens = folder.path().join(FOLDER);
    let names = folder.disk().list(&tokens).map_err(DiskError::at("list", &tokens))?;
    let stamped = |name: String| match parse_name(&name) {
        Some((size, Part::Token)) => Some(size),
        _ => None,
    };
    let mut sizes: Vec<u64> = names.into_iter().filter_map(stamped).collect();
    sizes.sort_unstable();
    Ok(sizes)
}

/// Reads the note that was stamped at a size with its token; `None` when there is none.
pub fn read<D: Disk>(folder: &Folder<D>, size: u64) -> Result<Option<Stamped>, DiskError> {
    let part = |part, most: usize| {
        let path = path(folder, size, part);
        folder.disk().read(&path, most as u64).map_err(DiskError::at("read", &path))
    };
    let note = part(Part::Note, NOTE_BYTES)?;
    let pair = note.zip(part(Part::Token, TOKEN_BYTES)?);
    Ok(pair.map(|(note, stamp)| Stamped { note, stamp }))
}

/// Keeps a token with the note that it stamps; durable when it returns.
pub fn keep<D: Disk>(
    folder: &Folder<D>,
    size: u64,
    note: &[u8],
    token: &[u8],
) -> Result<(), DiskError> {
    // One after the other: of two names in one step, a cut of power may keep only the second.
    for (part, bytes) in [(Part::Note, note), (Part::Token, token)] {
        replace(folder.disk(), folder.path(), &[(path(folder, size, part), bytes)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::{Draw, ModelDisk};
    use std::path::Path;

    fn disk() -> ModelDisk {
        ModelDisk::default().with_folder(Path::new("/log"))
    }

    fn folder(disk: &ModelDisk) -> Folder<ModelDisk> {
        Folder::new(disk.clone(), "/log")
    }

    #[test]
    fn a_file_of_the_folder_has_one_name() {
        for (name, found) in [("7.note", (7, Part::Note)), ("70000.tsr", (70_000, Part::Token))] {
            assert_eq!(parse_name(name), Some(found));
            assert_eq!(file_name(found.0, found.1), name);
        }
        for other in ["", "7", "7.", ".tsr", "07.tsr", "+7.tsr", "7.tsr.new", "7.TSR", "../7.tsr"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn tokens_are_found_by_the_size_of_their_head() {
        let disk = disk();
        assert!(sizes(&folder(&disk)).unwrap().is_empty());
        for size in [300, 7, 41] {
            keep(&folder(&disk), size, format!("note {size}").as_bytes(), b"token").unwrap();
        }
        assert_eq!(sizes(&folder(&disk)).unwrap(), [7, 41, 300]);
        let found = read(&folder(&disk), 41).unwrap().unwrap();
        assert_eq!((&found.note[..], &found.stamp[..]), (&b"note 41"[..], &b"token"[..]));
        assert_eq!(read(&folder(&disk), 42).unwrap(), None);
        disk.tamper(Path::new("/log/tokens/41.tsr"), |bytes| *bytes = vec![0; TOKEN_BYTES + 1]);
        assert!(read(&folder(&disk), 41).is_err(), "no file makes the reader take more");
    }

    #[test]
    fn a_cut_of_power_leaves_no_token_without_its_note() {
        for step in 0..8 {
            for chance in 0..6 {
                let disk = disk();
                keep(&folder(&disk), 1, b"one", b"first").unwrap();
                disk.cut_after(step);
                let second = keep(&folder(&disk), 2, b"two", b"second");
                let after = disk.after_cut(&mut Draw(step * 9 + chance));
                let found = sizes(&folder(&after)).unwrap();
                assert!(found == [1, 2] || (found == [1] && second.is_err()), "{found:?} {step}");
                for size in found {
                    let Stamped { note, stamp } = read(&folder(&after), size).unwrap().unwrap();
                    let whole: [&[u8]; 2] =
                        if size == 1 { [b"one", b"first"] } else { [b"two", b"second"] };
                    assert_eq!([&note[..], &stamp[..]], whole);
                }
            }
        }
    }
}
