//! The pieces in which an asset travels: equal chunks, each with its hash.
//!
//! `audio` computes the sums when a clip comes in, `wire` and the device check chunks against
//! them; both use this file, so that there is one arithmetic. Invariant: chunk `n` holds the
//! bytes `n·size .. (n+1)·size` of the asset, the last one may be shorter, none is empty.

use super::ids::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Most chunks of one asset in any size.
pub const MOST: u64 = 4_096;

/// How large the chunks of an asset are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChunkSize {
    /// 16 KiB, for devices that cannot hold more.
    Kib16,
    /// 32 KiB, the usual size.
    Kib32,
    /// 64 KiB: fewer messages, for brokers that can afford it.
    Kib64,
}

impl ChunkSize {
    /// All sizes, smallest first.
    pub const ALL: [Self; 3] = [Self::Kib16, Self::Kib32, Self::Kib64];

    /// What a device takes unless its profile says otherwise. A broker may keep a write buffer as
    /// large as a chunk for each connection (rmqtt 0.24 does: 71 MB for 1,000 devices with 64 KiB),
    /// while the time of a transfer is the network's, not the broker's.
    pub const USUAL: Self = Self::Kib32;

    /// Returns the size in KiB, as topics and `sums` write it.
    pub fn kib(self) -> u32 {
        match self {
            Self::Kib16 => 16,
            Self::Kib32 => 32,
            Self::Kib64 => 64,
        }
    }

    /// Returns the size in bytes.
    pub fn bytes(self) -> usize {
        self.kib() as usize * 1024
    }

    /// Returns the size of so many KiB, or `None` when the contract knows no such size.
    pub fn from_kib(kib: u32) -> Option<Self> {
        match kib {
            16 => Some(Self::Kib16),
            32 => Some(Self::Kib32),
            64 => Some(Self::Kib64),
            _ => None,
        }
    }

    /// Returns how many chunks an asset of so many bytes has.
    pub fn count(self, asset_bytes: u64) -> u64 {
        asset_bytes.div_ceil(self.bytes() as u64)
    }
}

/// Returns the SHA-256 of each chunk, in order; none for no bytes.
pub fn hashes(asset: &[u8], size: ChunkSize) -> Vec<Digest> {
    asset.chunks(size.bytes()).map(Digest::of).collect()
}

/// Returns the body of the `sums` topic: the concatenated chunk hashes.
pub fn concat(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Takes an asset in pieces of any length and yields its name and its sums.
#[derive(Clone, Debug)]
pub struct AssetHasher {
    whole: Sha256,
    bytes: u64,
    sizes: Vec<Sums>,
}

#[derive(Clone, Debug)]
struct Sums {
    size: ChunkSize,
    chunk: Sha256,
    filled: usize,
    all: Sha256,
}

/// What an asset is called and how its chunks are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetName {
    /// SHA-256 of the whole.
    pub sha256: Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the concatenated chunk hashes, by chunk size in KiB.
    pub sums: BTreeMap<String, Digest>,
}

impl AssetHasher {
    /// Returns a hasher that also keeps sums for the given sizes.
    pub fn new(sizes: &[ChunkSize]) -> Self {
        let sums = |&size| Sums { size, chunk: Sha256::new(), filled: 0, all: Sha256::new() };
        Self { whole: Sha256::new(), bytes: 0, sizes: sizes.iter().map(sums).collect() }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.bytes += bytes.len() as u64;
        for sums in &mut self.sizes {
            let mut rest = bytes;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(sums.size.bytes() - sums.filled));
                sums.chunk.update(now);
                sums.filled += now.len();
                if sums.filled == sums.size.bytes() {
                    sums.close();
                }
                rest = later;
            }
        }
    }

    /// Returns name and sums of all bytes taken.
    pub fn finish(mut self) -> AssetName {
        for sums in &mut self.sizes {
            if sums.filled > 0 {
                sums.close();
            }
        }
        let sums = self
            .sizes
            .into_iter()
            .map(|sums| (sums.size.kib().to_string(), Digest(sums.all.finalize().into())))
            .collect();
        AssetName { sha256: Digest(self.whole.finalize().into()), bytes: self.bytes, sums }
    }
}

impl Sums {
    fn close(&mut self) {
        self.all.update(self.chunk.finalize_reset());
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_of_any_length_give_the_sums_of_the_whole(
            asset in proptest::collection::vec(any::<u8>(), 0..200_000),
            cut in 1usize..70_000,
        ) {
            let mut hasher = AssetHasher::new(&ChunkSize::ALL);
            for piece in asset.chunks(cut) {
                hasher.update(piece);
            }
            let name = hasher.finish();
            prop_assert_eq!(name.sha256, Digest::of(&asset));
            prop_assert_eq!(name.bytes, asset.len() as u64);
            for size in ChunkSize::ALL {
                let single = hashes(&asset, size);
                prop_assert_eq!(single.len() as u64, size.count(name.bytes));
                let sums = name.sums.get(&size.kib().to_string());
                prop_assert_eq!(sums, Some(&Digest::of(&concat(&single))));
            }
        }
    }
}
