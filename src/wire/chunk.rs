//! Chunks as they arrive: the hashes are checked by the sheet, each chunk by its hash.

use super::limits;
use super::refusal::Refusal;
use crate::domain::ids::Digest;
use crate::domain::timetable::sheet::AssetEntry;

pub use crate::domain::chunk::{AssetHasher, ChunkSize, concat, hashes};

/// The verified chunk hashes of one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    size: ChunkSize,
    bytes: u64,
    hashes: Vec<u8>,
}

impl Sums {
    /// Checks a body of `…/{kib}/sums` against what a sheet says of the asset.
    pub fn verify(body: Vec<u8>, asset: &AssetEntry, size: ChunkSize) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Err(Refusal::Empty);
        }
        Refusal::limit("bytes", body.len(), limits::SUMS_BYTES)?;
        let wanted = asset
            .sums
            .get(&size.kib().to_string())
            .ok_or_else(|| Refusal::content("the sheet names no sums for this chunk size"))?;
        let chunks = size.count(asset.bytes);
        if chunks > limits::CHUNKS {
            return Err(Refusal::Limit { what: "chunks", got: chunks, max: limits::CHUNKS });
        }
        if body.len() as u64 != chunks * 32 || Digest::of(&body) != *wanted {
            return Err(Refusal::Hash);
        }
        Ok(Self { size, bytes: asset.bytes, hashes: body })
    }

    /// Returns how many chunks there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.hashes.len() / 32).unwrap_or(u32::MAX)
    }

    /// Returns the offset and length of a chunk; `None` beyond the last.
    pub fn place(&self, n: u32) -> Option<(u64, usize)> {
        let size = self.size.bytes() as u64;
        let from = u64::from(n).checked_mul(size).filter(|from| *from < self.bytes)?;
        Some((from, usize::try_from(size.min(self.bytes - from)).ok()?))
    }

    /// Checks a chunk.
    pub fn check(&self, n: u32, chunk: &[u8]) -> Result<(), Refusal> {
        if chunk.is_empty() {
            return Err(Refusal::Empty);
        }
        let Some((_, len)) = self.place(n) else {
            return Err(Refusal::content("the asset has no such chunk"));
        };
        let at = n as usize * 32;
        let wanted = self.hashes.get(at..at + 32);
        if chunk.len() == len && wanted == Some(Digest::of(chunk).0.as_slice()) {
            Ok(())
        } else {
            Err(Refusal::Hash)
        }
    }
}
