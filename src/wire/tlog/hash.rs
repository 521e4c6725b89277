//! Hashes of leaves and nodes (RFC 6962 §2.1, SHA-256).
//!
//! Invariant: a leaf's hash can never be a node's, since one byte before the input tells them
//! apart.

use super::text::{base64, unbase64_exact};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// A hash of the tree; as text base64, as checkpoints and proofs write it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash(pub [u8; HASH_BYTES]);

/// A text that is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 of 44 base64 characters")]
pub struct HashError;

impl TreeHash {
    /// The root of the tree without leaves: SHA-256 of nothing.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// Returns the hash of a leaf.
    pub fn leaf(entry: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
    }

    /// Returns the hash of the node above two others.
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut input = [0; 1 + 2 * HASH_BYTES];
        input[0] = 1;
        input[1..=HASH_BYTES].copy_from_slice(&left.0);
        input[1 + HASH_BYTES..].copy_from_slice(&right.0);
        Self(Sha256::digest(input).into())
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64(&self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TreeHash {
    type Err = HashError;
    fn from_str(text: &str) -> Result<Self, HashError> {
        unbase64_exact(text).map(Self).ok_or(HashError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_tree_hashes_to_sha_256_of_nothing() {
        assert_eq!(TreeHash::EMPTY.0, <[u8; 32]>::from(Sha256::digest([])));
    }

    #[test]
    fn leaves_and_nodes_never_share_a_hash() {
        let (left, right) = (TreeHash::leaf(b"a"), TreeHash::leaf(b"b"));
        let joined = [left.0, right.0].concat();
        assert_ne!(TreeHash::node(&left, &right), TreeHash::leaf(&joined));
        // The hash of the empty leaf, as RFC 6962 implementations publish it.
        assert_eq!(TreeHash::leaf(b"").to_string(), "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=");
    }

    #[test]
    fn a_hash_is_read_from_its_own_text_only() {
        let hash = TreeHash::leaf(b"a");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "AA==", &format!("{hash} "), &hash.to_string().replace('=', "")] {
            assert_eq!(bad.parse::<TreeHash>(), Err(HashError), "{bad:?}");
        }
    }
}
