//! What tests of the log's formats share: keys, leaves, a second opinion on trees.

use super::{Cosigner, LogSigner, Name, TreeHash};
use crate::wire::jws::SecretKey;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2_next::Sha256;

/// A tree kept by other people's code.
pub type OtherTree = MemoryBackedTree<Sha256, Vec<u8>>;

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn origin() -> Name {
    name("loa.example.vn/log/2027")
}

pub fn signer(seed: u8) -> LogSigner {
    LogSigner::new(origin(), SecretKey::from_seed(&[seed; 32]))
}

pub fn cosigner(text: &str, seed: u8) -> Cosigner {
    Cosigner::new(name(text), SecretKey::from_seed(&[seed; 32]))
}

/// Some leaf, of varied length.
pub fn leaf(index: u64) -> Vec<u8> {
    format!("record.{index}.{}", "x".repeat(usize::try_from(index % 97).unwrap())).into_bytes()
}

pub fn other_root(tree: &OtherTree) -> TreeHash {
    TreeHash(tree.root().as_bytes().as_slice().try_into().unwrap())
}

pub fn hashes(bytes: &[u8]) -> Vec<TreeHash> {
    bytes.chunks(32).map(|hash| TreeHash(hash.try_into().unwrap())).collect()
}
