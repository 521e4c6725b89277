//! What the tests of this room share: keys, leaves, a second opinion on trees, a disk that fails.

mod model;

pub use model::ModelDisk;

use super::leaf::{Leaf, ServerBody};
use super::sequencer::{Adopt, Setup};
use crate::domain::time::UtcMs;
pub use crate::wire::tlog::testing::{
    OtherTree, cosigner, hashes, name, origin, other_root, signer,
};
use std::path::Path;

/// A small generator of our own: the same seed gives the same run.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// The leaf at a place: the first names what was before, the others are records of varied length.
pub fn leaf(index: u64) -> Leaf {
    let at = UtcMs(1_800_000_000_000 + i64::try_from(index).unwrap() * 10);
    if index == 0 {
        return Leaf::server(at, &ServerBody::Shard { previous: None }).unwrap();
    }
    let body = "x".repeat(usize::try_from(index % 97).unwrap());
    Leaf::record(at, &format!("record.{index}.{body}")).unwrap()
}

pub fn leaves(from: u64, to: u64) -> Vec<Leaf> {
    (from..to).map(leaf).collect()
}

pub fn other_tree(size: u64) -> OtherTree {
    let mut tree = OtherTree::new();
    for leaf in leaves(0, size) {
        tree.push(leaf.bytes().to_vec());
    }
    tree
}

pub fn setup(data: &Path, heads: &Path) -> Setup {
    Setup {
        origin: origin(),
        folder: data.join("2027"),
        head_file: heads.join("2027.head"),
        signers: vec![signer(1)],
        claims: Vec::new(),
        adopt: Adopt::Refuse,
    }
}
