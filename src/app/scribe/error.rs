//! Why the log does not go on.

use super::super::ports::StoreError;
use crate::log::folder::FolderError;
use crate::log::leaf::ServerLeafError;
use crate::log::sequencer::{AppendError, OpenError};
use crate::log::shard::ShardLost;
use crate::wire::tlog::NameError;
use std::io;
use std::path::PathBuf;

/// See the module. Nothing was signed; what waits stays in the store.
#[derive(Debug, thiserror::Error)]
pub enum ScribeError {
    #[error("the queue of the log cannot be used")]
    Store(#[from] StoreError),
    #[error("`{}` cannot be listed", path.display())]
    Listed {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the newest shard of the log is lost")]
    Lost(#[from] ShardLost),
    #[error("the log is not taken up")]
    Open(#[from] OpenError),
    #[error("the log takes no leaves")]
    Append(#[from] AppendError),
    #[error("the log cannot be read")]
    Folder(#[from] FolderError),
    #[error("the log cannot have this name")]
    Name(#[from] NameError),
    #[error("the beginning of a shard cannot be said")]
    Leaf(#[from] ServerLeafError),
    #[error("the store names a shard `{name}`, which is none")]
    Shard { name: String },
    #[error("a round of the log broke off")]
    Broken,
}

impl ScribeError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Store(error) => error.hint(),
            Self::Open(OpenError::Behind { .. }) | Self::Lost(_) => {
                "an older state was restored, or the log's folder was lost: `loa log rebuild` \
                 writes it again from the store; if leaves are lost for good, `loa log begin` \
                 goes on in a new shard that says so"
            }
            Self::Open(OpenError::HeadMissing { .. }) => {
                "mount the disk of the head files (`--log-heads`); after a move to another \
                 machine, `loa log begin` goes on in a new shard, or `loa log adopt` with the tree \
                 as it stands, after asking the witnesses"
            }
            Self::Open(OpenError::Forked { .. }) | Self::Append(AppendError::Differs { .. }) => {
                "store and log do not belong together: keep both as they are, and go on in a new \
                 shard with `loa log begin`"
            }
            Self::Open(error) => error.hint(),
            Self::Append(error) => error.hint(),
            Self::Folder(error) => error.hint(),
            Self::Name(error) => error.hint(),
            Self::Leaf(error) => error.hint(),
            Self::Listed { .. } => "check that the folder is mounted and belongs to this user",
            Self::Shard { .. } => "restore the last backup of the store",
            Self::Broken => "look at the server's own messages; it tries again by itself",
        }
    }

    /// Says whether the log cannot go on where it stood, so that a new shard may be begun.
    pub fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Lost(_)
                | Self::Open(
                    OpenError::Behind { .. }
                        | OpenError::Forked { .. }
                        | OpenError::HeadMissing { .. }
                        | OpenError::Folder(_)
                )
                | Self::Append(AppendError::Differs { .. })
        )
    }
}
