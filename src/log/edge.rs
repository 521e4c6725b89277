//! The right edge of a tree: all that is needed to append to it.
//!
//! Pure. Holds the unfinished row of each level and the unfinished bundle, at most a few hundred
//! hashes however large the tree; growing it tells exactly which files change.
//!
//! # Invariants
//! * `rows[l]` holds `size / 256^l mod 256` hashes; higher rows are empty or absent.
//! * [`Edge::grow`] depends on leaves and size only, so a repeated step writes the same bytes.

use crate::wire::tlog::{Bundle, BundleError, HASH_BYTES, Resource, TILE, Tile, TreeHash};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    rows: Vec<Vec<TreeHash>>,
    bundle: Bundle,
}

/// A grown edge with the files that the growth changes.
#[derive(Debug)]
pub struct Growth {
    /// The edge afterwards.
    pub edge: Edge,
    /// What is to be written: each finished tile and bundle, and the unfinished ones that changed.
    pub files: Vec<(Resource, Vec<u8>)>,
}

/// Rows or a bundle that do not make the edge of a tree of that size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    #[error("the tiles hash to root {got}, not to {want}")]
    Root { got: TreeHash, want: TreeHash },
    #[error("entry {index} does not hash to its leaf")]
    Entry { index: u64 },
    #[error("level {level} has {got} hashes at its edge, not {want}")]
    Width { level: usize, got: usize, want: u64 },
}

impl Edge {
    /// Takes up the edge of a tree that stands on disk; believes it when it leads to the root.
    pub fn open(
        size: u64,
        root: TreeHash,
        rows: Vec<Vec<TreeHash>>,
        bundle: Bundle,
    ) -> Result<Self, EdgeError> {
        for (level, row) in rows.iter().enumerate() {
            let want = width(size, level);
            if row.len() as u64 != want {
                return Err(EdgeError::Width { level, got: row.len(), want });
            }
        }
        let first = size - size % u64::from(TILE);
        let leaves = rows.first().map_or(&[][..], Vec::as_slice);
        if bundle.entries().count() != leaves.len() {
            let want = width(size, 0);
            return Err(EdgeError::Width { level: 0, got: usize::from(bundle.width()), want });
        }
        for ((index, leaf), entry) in (first..).zip(leaves).zip(bundle.entries()) {
            if TreeHash::leaf(entry) != *leaf {
                return Err(EdgeError::Entry { index });
            }
        }
        let edge = Self { size, rows, bundle };
        let got = edge.root();
        if got == root { Ok(edge) } else { Err(EdgeError::Root { got, want: root }) }
    }

    /// Returns the leaves of the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root.
    pub fn root(&self) -> TreeHash {
        let mut root = None;
        for row in &self.rows {
            root = peaks(row).into_iter().rev().fold(root, |below, peak| {
                Some(below.map_or(peak, |below| TreeHash::node(&peak, &below)))
            });
        }
        root.unwrap_or(TreeHash::EMPTY)
    }

    /// Appends entries; changes nothing when one of them does not fit.
    pub fn grow<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Growth, BundleError> {
        let mut edge = self.clone();
        let mut files = Vec::new();
        for entry in entries {
            edge.bundle.push(entry)?;
            edge.push(0, TreeHash::leaf(entry), &mut files);
            edge.size += 1;
            if edge.bundle.width() == TILE {
                let index = (edge.size - 1) / u64::from(TILE);
                let bytes = std::mem::take(&mut edge.bundle).bytes().to_vec();
                files.extend(Tile::new(0, index, TILE).map(|t| (Resource::Entries(t), bytes)));
            }
        }
        for (level, row) in (0_u8..).zip(&edge.rows) {
            let below = 8 * u32::from(level);
            let grown = edge.size >> below != self.size >> below;
            let last = (edge.size >> below).checked_sub(1);
            let tile = last.and_then(|last| Tile::holding(level, last, edge.size));
            if let Some(tile) = tile.filter(|_| grown && !row.is_empty()) {
                files.push((Resource::Hashes(tile), bytes_of(row)));
                if level == 0 {
                    files.push((Resource::Entries(tile), edge.bundle.bytes().to_vec()));
                }
            }
        }
        Ok(Growth { edge, files })
    }

    fn push(&mut self, level: u8, hash: TreeHash, files: &mut Vec<(Resource, Vec<u8>)>) {
        let at = usize::from(level);
        if self.rows.len() == at {
            self.rows.push(Vec::with_capacity(usize::from(TILE)));
        }
        let row = &mut self.rows[at];
        row.push(hash);
        if row.len() == usize::from(TILE) {
            let (bytes, above) = (bytes_of(row), join(row));
            row.clear();
            // The leaf that filled it is not counted yet.
            let index = self.size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            files.extend(Tile::new(level, index, TILE).map(|t| (Resource::Hashes(t), bytes)));
            self.push(level + 1, above, files);
        }
    }
}

/// Returns how many hashes the unfinished tile of a level holds.
fn width(size: u64, level: usize) -> u64 {
    let shift = u32::try_from(8 * level).unwrap_or(u32::MAX);
    size.checked_shr(shift).unwrap_or(0) % u64::from(TILE)
}

fn bytes_of(row: &[TreeHash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(row.len() * HASH_BYTES);
    for hash in row {
        bytes.extend_from_slice(&hash.0);
    }
    bytes
}

/// Joins the hashes of a complete subtree (a power of two of them) into its root.
pub(super) fn join(row: &[TreeHash]) -> TreeHash {
    let mut row = row.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => TreeHash::node(left, right),
                rest => rest[0],
            })
            .collect();
    }
    row.first().copied().unwrap_or(TreeHash::EMPTY)
}

/// Returns the roots of the complete subtrees that a row begins with, largest first.
fn peaks(row: &[TreeHash]) -> Vec<TreeHash> {
    let mut rest = row;
    let mut peaks = Vec::new();
    while !rest.is_empty() {
        let (full, more) = rest.split_at(1 << rest.len().ilog2());
        peaks.push(join(full));
        rest = more;
    }
    peaks
}

#[cfg(test)]
#[path = "edge_tests.rs"]
mod tests;
