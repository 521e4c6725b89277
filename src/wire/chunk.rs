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

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(bytes: &[u8]) -> AssetEntry {
        let mut hasher = AssetHasher::new(&ChunkSize::ALL);
        hasher.update(bytes);
        let name = hasher.finish();
        AssetEntry {
            bytes: name.bytes,
            media_type: "audio/mpeg".to_owned(),
            ms: 1,
            gain_cb: 0,
            lufs_cb: 0,
            sums: name.sums,
            title: String::new(),
        }
    }

    #[test]
    fn each_chunk_is_checked_by_hashes_that_the_sheet_vouches_for() {
        let bytes: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
        for size in ChunkSize::ALL {
            let body = concat(&hashes(&bytes, size));
            let sums = Sums::verify(body.clone(), &asset(&bytes), size).unwrap();
            let mut joined = Vec::new();
            for n in 0..sums.count() {
                let (from, len) = sums.place(n).unwrap();
                let from = usize::try_from(from).unwrap();
                let chunk = &bytes[from..from + len];
                assert_eq!(sums.check(n, chunk), Ok(()));
                assert_eq!(sums.check(n, &chunk[1..]), Err(Refusal::Hash));
                assert!(sums.check(n + 1, chunk).is_err());
                joined.extend_from_slice(chunk);
            }
            assert_eq!(joined, bytes);
            assert_eq!(sums.check(0, b""), Err(Refusal::Empty));
            assert_eq!(sums.place(sums.count()), None);
            assert_eq!(sums.place(u32::MAX), None);
            let short = body[..body.len() - 32].to_vec();
            assert_eq!(Sums::verify(short, &asset(&bytes), size), Err(Refusal::Hash));
        }
    }

    #[test]
    fn sums_beyond_the_limits_are_refused() {
        let mut huge = asset(b"x");
        let body = || Digest::of(b"x").0.to_vec();
        huge.bytes = u64::MAX;
        let refused = Sums::verify(body(), &huge, ChunkSize::Kib64).unwrap_err();
        assert_eq!(refused.reason(), "limit");
        let long = vec![0; limits::SUMS_BYTES + 1];
        assert_eq!(Sums::verify(long, &huge, ChunkSize::Kib64).unwrap_err().reason(), "limit");
        let empty = Sums::verify(Vec::new(), &huge, ChunkSize::Kib64).unwrap_err();
        assert_eq!(empty, Refusal::Empty);
        let mut one = asset(b"x");
        one.sums.remove("16");
        assert_eq!(Sums::verify(body(), &one, ChunkSize::Kib16).unwrap_err().reason(), "content");
        assert!(Sums::verify(body(), &one, ChunkSize::Kib64).is_ok());
    }
}
