//! Why a backup was not written or is not used.

use super::super::sealed::SealError;
use crate::domain::ids::Digest;
use std::io;
use std::path::PathBuf;

/// Why a backup was not written or is not used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("reading `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("writing `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("`{path}` changed while it was read")]
    Changed { path: PathBuf },
    #[error("`{path}` is no backup of loa, or it is cut short: its last line is missing")]
    Foreign { path: PathBuf },
    #[error("`{path}` is damaged: its bytes have the hash {found}, its last line says {said}")]
    Damaged { path: PathBuf, found: Digest, said: Digest },
    #[error("`{path}`: member `{member}` is {what}")]
    Member { path: PathBuf, member: String, what: &'static str },
    #[error("`{path}`: its list of members cannot be read")]
    List { path: PathBuf, source: serde_json::Error },
    #[error("`{path}`")]
    Sealed { path: PathBuf, source: SealError },
    #[error("`{path}` has version {v}; this program reads version 1 and 2")]
    Version { path: PathBuf, v: u32 },
}

impl ArchiveError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check the path and its permissions",
            Self::Write { .. }
            | Self::Sealed { source: SealError::Io(_) | SealError::Random(_), .. } => {
                "check permissions and free space; nothing was replaced"
            }
            Self::Changed { .. } => "run the command again",
            Self::Member { .. } | Self::List { .. } => {
                "no `loa backup` writes such a file: do not trust where it came from"
            }
            Self::Sealed { source: SealError::Passphrase, .. } => {
                "try another one; `--without-keys` restores all but the private files"
            }
            Self::Foreign { .. } | Self::Damaged { .. } | Self::Sealed { .. } => {
                "take another copy, or the backup before it; nothing was restored"
            }
            Self::Version { .. } => "restore it with the version of loa that wrote it, or a newer",
        }
    }
}
