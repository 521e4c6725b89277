//! What was measured and accepted: clips, files of the station folder.

use super::{Fence, StoreError};
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use async_trait::async_trait;

/// What inspection said of a file, kept so that no start inspects an hour of audio again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClip {
    /// Path as opened.
    pub path: String,
    /// Length and change time when it was inspected: another of either means inspect again.
    pub bytes: u64,
    pub modified_ms: UtcMs,
    pub sha256: Digest,
    /// Version of the inspection's rules: a newer program inspects again.
    pub rules: u32,
    /// The inspection as JSON.
    pub inspection: String,
}

/// The last good version of a file of the station folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationFile {
    /// Path below the folder.
    pub path: String,
    pub sha256: Digest,
    pub bytes: Vec<u8>,
    pub accepted_ms: UtcMs,
    /// Running number of acceptance, for the order among equals.
    pub accepted: u64,
}

/// Caches and last good versions.
#[async_trait]
pub trait Facts: Send + Sync {
    /// Returns all known clips by path.
    async fn clips(&self) -> Result<Vec<KnownClip>, StoreError>;
    /// Adds or replaces by path.
    async fn put_clips(&self, clips: &[KnownClip]) -> Result<(), StoreError>;
    /// Returns the last good version of each file by path.
    async fn station_files(&self) -> Result<Vec<StationFile>, StoreError>;
    /// Adds or replaces by path, and drops `gone`, together, while the lease is held.
    async fn put_station_files(
        &self,
        files: &[StationFile],
        gone: &[String],
        fence: Option<Fence>,
    ) -> Result<(), StoreError>;
}
