//! Where the log of a server lies, and under which name and key.

use crate::log::disk::RealDisk;
use crate::log::folder::{Folder, FolderError};
use crate::log::head::HeadFile;
use crate::log::sequencer::{Adopt, Claim, Setup};
use crate::log::shard::ShardName;
use crate::wire::jws::SecretKey;
use crate::wire::tlog::{Checkpoint, LogSigner, Name, NameError, SignedCheckpoint, VerifierKey};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Clone, Debug)]
pub struct LogPlace {
    /// Holds a folder a shard; what is served.
    pub folder: PathBuf,
    /// Holds a head file a shard, outside the data folder.
    pub heads: PathBuf,
    /// The name that shards are under.
    pub base: Name,
    /// Signs the heads.
    pub key: SecretKey,
}

/// End of a head file's name.
const HEAD: &str = ".head";

impl LogPlace {
    /// Returns the name of a shard as others know it.
    pub fn origin(&self, shard: ShardName) -> Result<Name, NameError> {
        shard.origin(&self.base)
    }

    /// Returns the key that checks a shard's heads.
    pub fn verifier(&self, shard: ShardName) -> Result<VerifierKey, NameError> {
        Ok(VerifierKey::log(self.origin(shard)?, self.key.public()))
    }

    /// Returns the folder of a shard.
    pub fn shard(&self, shard: ShardName) -> Folder<RealDisk> {
        Folder::new(RealDisk, self.folder.join(shard.to_string()))
    }

    /// Returns the head file of a shard.
    pub fn head(&self, shard: ShardName) -> PathBuf {
        self.heads.join(format!("{shard}{HEAD}"))
    }

    /// Returns the published checkpoint of a shard.
    pub fn checkpoint(&self, shard: ShardName) -> Result<Option<SignedCheckpoint>, FolderError> {
        let Ok(verifier) = self.verifier(shard) else { return Ok(None) };
        self.shard(shard).checkpoint(verifier.name(), std::slice::from_ref(&verifier))
    }

    /// Returns what the head file of a shard holds; `None` also when it cannot be read.
    pub fn kept(&self, shard: ShardName) -> Option<Checkpoint> {
        let folder = self.folder.join(shard.to_string());
        HeadFile::hold(&RealDisk, &self.head(shard), &folder).ok()?.read(&RealDisk).ok()?
    }

    /// Returns the shards whose folders are here, in order.
    pub fn shards(&self) -> io::Result<Vec<ShardName>> {
        names(&self.folder, "")
    }

    /// Returns the shards whose head files are here, in order.
    pub fn known(&self) -> io::Result<Vec<ShardName>> {
        names(&self.heads, HEAD)
    }

    /// Returns what the writer of a shard needs.
    pub fn setup(
        &self,
        shard: ShardName,
        claims: Vec<Claim>,
        adopt: Adopt,
    ) -> Result<Setup, NameError> {
        let origin = self.origin(shard)?;
        Ok(Setup {
            signers: vec![LogSigner::new(origin.clone(), self.key.clone())],
            origin,
            folder: self.folder.join(shard.to_string()),
            head_file: self.head(shard),
            claims,
            adopt,
        })
    }
}

/// Reads the shards' names in a folder; a folder that is not there has none.
fn names(folder: &Path, end: &str) -> io::Result<Vec<ShardName>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found: Vec<ShardName> = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(end));
        found.extend(name.and_then(|name| name.parse::<ShardName>().ok()));
    }
    found.sort();
    Ok(found)
}
