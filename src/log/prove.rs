//! Makes proofs from the tiles of a log's folder.
//!
//! Reads a handful of tiles a proof, each once. Whatever is handed out was checked against the
//! root before, so that a damaged tile is found here and not by a device or an auditor.

use super::disk::Disk;
use super::edge::join;
use super::folder::{Folder, FolderError};
use crate::wire::tlog::{
    ProofFile, SignedCheckpoint, Span, Subtree, TILE, Tile, TreeHash, check_consistency,
    check_inclusion, consistency_spans, inclusion_spans, subtrees,
};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Tiles kept by one prover; a proof needs fewer.
const KEPT: usize = 64;

/// Proves about one tree of a folder.
#[derive(Debug)]
pub struct Prover<'a, D> {
    folder: &'a Folder<D>,
    size: u64,
    root: TreeHash,
    tiles: RefCell<BTreeMap<(u8, u64), Vec<TreeHash>>>,
}

impl<'a, D: Disk> Prover<'a, D> {
    /// Returns a prover about the tree of that size and root; tiles are as wide as it makes them.
    pub fn new(folder: &'a Folder<D>, size: u64, root: TreeHash) -> Self {
        Self { folder, size, root, tiles: RefCell::default() }
    }

    fn outside(&self, index: u64) -> FolderError {
        let path = self.folder.path().to_owned();
        FolderError::Outside { path, index, size: self.size }
    }

    fn wrong(&self) -> FolderError {
        FolderError::Root { path: self.folder.path().to_owned(), size: self.size }
    }

    /// Returns the hash over a complete subtree.
    fn subtree(&self, part: Subtree) -> Result<TreeHash, FolderError> {
        let outside = || self.outside(part.index);
        let level = u8::try_from(part.height / 8).map_err(|_| outside())?;
        let count = 1_usize << (part.height % 8);
        let first = part.index << (part.height % 8);
        let tile = Tile::holding(level, first, self.size).ok_or_else(outside)?;
        let at = usize::try_from(first % u64::from(TILE)).map_err(|_| outside())?;
        let mut tiles = self.tiles.borrow_mut();
        let key = (level, tile.index());
        if !tiles.contains_key(&key) {
            if tiles.len() == KEPT {
                tiles.clear();
            }
            tiles.insert(key, self.folder.hashes(tile)?);
        }
        let row = tiles.get(&key).and_then(|row| row.get(at..at + count));
        row.map(join).ok_or_else(outside)
    }

    fn span(&self, span: Span) -> Result<TreeHash, FolderError> {
        let mut joined = None;
        for part in subtrees(span).into_iter().rev() {
            let left = self.subtree(part)?;
            joined = Some(joined.map_or(left, |right| TreeHash::node(&left, &right)));
        }
        Ok(joined.unwrap_or(TreeHash::EMPTY))
    }

    fn spans(&self, spans: Vec<Span>) -> Result<Vec<TreeHash>, FolderError> {
        spans.into_iter().map(|span| self.span(span)).collect()
    }

    /// Returns the root of the tree as it was at an earlier size; it is proven to be the beginning
    /// of the tree.
    pub fn root_at(&self, size: u64) -> Result<TreeHash, FolderError> {
        self.consistency(size).map(|(root, _)| root)
    }

    /// Returns the hash of a leaf, with the path from it to the root.
    pub fn inclusion(&self, index: u64) -> Result<(TreeHash, Vec<TreeHash>), FolderError> {
        if index >= self.size {
            return Err(self.outside(index));
        }
        let leaf = self.subtree(Subtree { height: 0, index })?;
        let path = self.spans(inclusion_spans(index, self.size))?;
        check_inclusion(index, self.size, leaf, &path, self.root).map_err(|_| self.wrong())?;
        Ok((leaf, path))
    }

    /// Returns the root at an earlier size, with the proof that the tree grew from it.
    pub fn consistency(&self, old: u64) -> Result<(TreeHash, Vec<TreeHash>), FolderError> {
        if old > self.size {
            return Err(self.outside(old));
        }
        let old_root = self.span(Span { from: 0, to: old })?;
        let path = self.spans(consistency_spans(old, self.size))?;
        check_consistency((old, old_root), (self.size, self.root), &path)
            .map_err(|_| self.wrong())?;
        Ok((old_root, path))
    }
}

/// Returns the proof file of a leaf under a checkpoint of the folder's log.
pub fn proof_file<D: Disk>(
    folder: &Folder<D>,
    index: u64,
    checkpoint: &SignedCheckpoint,
) -> Result<ProofFile, FolderError> {
    let tree = checkpoint.checkpoint();
    let (_, path) = Prover::new(folder, tree.size, tree.root).inclusion(index)?;
    Ok(ProofFile { extra: None, index, path, checkpoint: checkpoint.clone() })
}
