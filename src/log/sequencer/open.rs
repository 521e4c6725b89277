//! Takes up a log where it stands, or refuses and says how to go on.

use super::super::check::check_growth;
use super::super::disk::{Disk, DiskError, replace, settle};
use super::super::edge::Edge;
use super::super::folder::{Folder, FolderError};
use super::super::head::{HeadError, HeadFile};
use super::super::prove::Prover;
use super::append::sweep;
use super::{Sequencer, verifiers};
use crate::wire::tlog::{Checkpoint, LogSigner, Name, Resource, SignedCheckpoint, TreeHash};
use std::path::PathBuf;

/// Where a log lies and who signs it.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The log's name.
    pub origin: Name,
    /// Its folder: what is served.
    pub folder: PathBuf,
    /// The head file, outside that folder, best on another disk.
    pub head_file: PathBuf,
    /// Signs in this order; all under the log's name.
    pub signers: Vec<LogSigner>,
    /// What others say they saw.
    pub claims: Vec<Claim>,
    /// What to do when the head file is missing although the log is there.
    pub adopt: Adopt,
}

/// Whether a log whose head file is lost may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopt {
    /// Refuse: the data may be a backup.
    Refuse,
    /// An operator says that the data is the newest there is.
    AsItStands,
}

/// A head that somebody outside knows: a witness's answer, or what a device quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who says so.
    pub by: String,
    /// Leaves.
    pub size: u64,
    /// The root; `None` when only the size is known.
    pub root: Option<TreeHash>,
}

/// Why a log is not taken up. Nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the log `{origin}` has no key")]
    NoKey { origin: Name },
    #[error("the key `{name}` is not under the log's name `{origin}`")]
    ForeignKey { name: Name, origin: Name },
    #[error("the log's folder cannot be read")]
    Folder(#[from] FolderError),
    #[error("the log's folder cannot be written")]
    Disk(#[from] DiskError),
    #[error("the second place of the head cannot be used")]
    Head(#[from] HeadError),
    #[error("the head file `{}` is missing although the log has {size} leaves", path.display())]
    HeadMissing { path: PathBuf, size: u64 },
    #[error("the head file is of `{got}`, not of `{want}`")]
    HeadForeign { got: Name, want: Name },
    #[error("{by} knows {theirs} leaves of `{origin}`, here are {ours}")]
    Behind { origin: Name, by: String, ours: u64, theirs: u64 },
    #[error("{by} knows another tree of `{origin}` at {size} leaves")]
    Forked { origin: Name, by: String, size: u64 },
}

impl OpenError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoKey { .. } | Self::ForeignKey { .. } => {
                "name the key file that `loa init` made for this log"
            }
            Self::Folder(error) => error.hint(),
            Self::Disk(error) => error.hint(),
            Self::Head(error) => error.hint(),
            Self::HeadMissing { .. } => {
                "mount its disk; if it is lost for good and no backup was restored, let the log \
                 adopt the tree as it stands after asking the witnesses"
            }
            Self::HeadForeign { .. } => "give each log a head file of its own",
            Self::Behind { .. } => {
                "an older state was restored: rebuild the tail with `loa log rebuild` from the \
                 store, or copy newer tiles from a mirror or audit pack; if the tail is lost, \
                 begin a new shard, whose first leaf `restored` says so"
            }
            Self::Forked { .. } => {
                "do not sign on: keep this folder as evidence, find out which copy is the true \
                 one, and go on in a new shard"
            }
        }
    }
}

/// What the folder holds, before others are asked.
struct Standing {
    head: Option<Checkpoint>,
    published: Option<SignedCheckpoint>,
    kept: Option<Checkpoint>,
}

impl<D: Disk> Sequencer<D> {
    /// Takes up the log: finishes a round that was cut off, checks the right edge, compares with
    /// head file and claims. Reads a few tiles, however large the tree.
    pub fn open(disk: D, setup: Setup) -> Result<Self, OpenError> {
        check_keys(&setup)?;
        if let Some(above) = setup.head_file.parent() {
            settle(&disk, above)?;
        }
        let head_file = HeadFile::hold(&disk, &setup.head_file, &setup.folder)?;
        let folder = Folder::new(disk, setup.folder.clone());
        let Standing { head, published, kept } = stand(&folder, &head_file, &setup)?;
        let (size, root) = head.as_ref().map_or((0, TreeHash::EMPTY), |h| (h.size, h.root));
        let edge = folder.edge(size, root)?;
        for claim in &setup.claims {
            check_claim(&folder, &setup.origin, (size, root), claim)?;
        }
        settle(folder.disk(), folder.path())?;
        if let Some(head) = head.as_ref().filter(|head| kept.as_ref() != Some(*head)) {
            head_file.write(folder.disk(), head)?; // first: what follows may be seen
        }
        let published = match (head, published) {
            (Some(head), Some(published)) if published.checkpoint().size == head.size => {
                Some(published)
            }
            (Some(head), _) => {
                let signed = head.sign(&setup.signers);
                publish(&folder, &signed)?;
                Some(signed)
            }
            (None, _) => None,
        };
        sweep(&folder, size);
        let Setup { origin, signers, .. } = setup;
        Ok(Self { folder, head_file, origin, signers, edge, published })
    }
}

fn check_keys(setup: &Setup) -> Result<(), OpenError> {
    let origin = &setup.origin;
    let names = setup.signers.iter().map(|signer| signer.verifier().name());
    match names.into_iter().find(|name| *name != origin) {
        Some(name) => Err(OpenError::ForeignKey { name: name.clone(), origin: origin.clone() }),
        None if setup.signers.is_empty() => Err(OpenError::NoKey { origin: origin.clone() }),
        None => Ok(()),
    }
}

/// Finds the head that may have been signed: the newer of head file and checkpoint, provided that
/// the tiles lead to both.
fn stand<D: Disk>(
    folder: &Folder<D>,
    head_file: &HeadFile,
    setup: &Setup,
) -> Result<Standing, OpenError> {
    let origin = &setup.origin;
    let published = folder.checkpoint(origin, &verifiers(&setup.signers))?;
    let shown = published.as_ref().map(SignedCheckpoint::checkpoint).cloned();
    let kept = head_file.read(folder.disk())?;
    if let Some(got) = kept.as_ref().map(|kept| &kept.origin).filter(|got| *got != origin) {
        return Err(OpenError::HeadForeign { got: got.clone(), want: origin.clone() });
    }
    let by = || format!("the head file `{}`", head_file.path().display());
    let head = match (shown, kept.clone()) {
        (None, None) => None,
        (Some(shown), None) => match setup.adopt {
            Adopt::AsItStands => {
                // Only a tree that is whole is worth adopting.
                folder.edge(shown.size, shown.root)?;
                Some(shown)
            }
            Adopt::Refuse => {
                let path = head_file.path().to_owned();
                return Err(OpenError::HeadMissing { path, size: shown.size });
            }
        },
        (None, Some(kept)) => {
            whole(folder, None, &kept, by)?;
            Some(kept)
        }
        (Some(shown), Some(kept)) if kept.size > shown.size => {
            whole(folder, Some(&shown), &kept, by)?;
            Some(kept)
        }
        (Some(shown), Some(kept)) => {
            let tree = (shown.size, shown.root);
            check_root(folder, origin, tree, (kept.size, kept.root), by())?;
            Some(shown)
        }
    };
    Ok(Standing { head, published, kept })
}

/// Checks that all is there that leads from the published tree to a head that may have been signed;
/// when it is not, the folder is behind.
fn whole<D: Disk>(
    folder: &Folder<D>,
    shown: Option<&Checkpoint>,
    head: &Checkpoint,
    by: impl Fn() -> String,
) -> Result<(), OpenError> {
    let edge = match shown {
        Some(shown) => folder.edge(shown.size, shown.root)?,
        None => Edge::default(),
    };
    match check_growth(folder, edge, head) {
        Ok(()) => Ok(()),
        Err(FolderError::Disk(error)) => Err(FolderError::Disk(error).into()),
        Err(_) => {
            let ours = shown.map_or(0, |shown| shown.size);
            Err(OpenError::Behind {
                origin: head.origin.clone(),
                by: by(),
                ours,
                theirs: head.size,
            })
        }
    }
}

/// Checks that a head is the beginning of the tree.
fn check_root<D: Disk>(
    folder: &Folder<D>,
    origin: &Name,
    tree: (u64, TreeHash),
    head: (u64, TreeHash),
    by: String,
) -> Result<(), OpenError> {
    let found = if head.0 == tree.0 {
        tree.1
    } else {
        Prover::new(folder, tree.0, tree.1).root_at(head.0)?
    };
    if found == head.1 {
        Ok(())
    } else {
        Err(OpenError::Forked { origin: origin.clone(), by, size: head.0 })
    }
}

fn check_claim<D: Disk>(
    folder: &Folder<D>,
    origin: &Name,
    tree: (u64, TreeHash),
    claim: &Claim,
) -> Result<(), OpenError> {
    if claim.size > tree.0 {
        let (origin, by) = (origin.clone(), claim.by.clone());
        return Err(OpenError::Behind { origin, by, ours: tree.0, theirs: claim.size });
    }
    match claim.root {
        Some(root) => check_root(folder, origin, tree, (claim.size, root), claim.by.clone()),
        None => Ok(()),
    }
}

pub(super) fn publish<D: Disk>(
    folder: &Folder<D>,
    signed: &SignedCheckpoint,
) -> Result<(), DiskError> {
    let path = folder.place(Resource::Checkpoint);
    replace(folder.disk(), folder.path(), &[(path, signed.note().to_string().as_bytes())])
}
