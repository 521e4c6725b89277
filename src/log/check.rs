//! Reads a stretch of a log whole: every entry hashed, every tile compared.
//!
//! A start trusts what was published and looks at the right edge only; what lies between the
//! published head and one that may have been signed is read with this, since a round (or a
//! rebuilding) that was cut off may have left gaps to the left of a sound edge. From an empty edge
//! it checks a whole log.

use super::disk::Disk;
use super::edge::Edge;
use super::folder::{Folder, FolderError};
use crate::wire::tlog::{Checkpoint, HASH_BYTES, Resource, Tile, TreeHash};

/// Checks that the folder holds all that makes `head` out of the tree that ends with `edge`.
/// Memory is that of one bundle, however long the stretch.
pub fn check_growth<D: Disk>(
    folder: &Folder<D>,
    mut edge: Edge,
    head: &Checkpoint,
) -> Result<(), FolderError> {
    let wrong = || FolderError::Root { path: folder.path().to_owned(), size: head.size };
    while edge.size() < head.size {
        let first = edge.size();
        let tile = Tile::holding(0, first, head.size).ok_or_else(wrong)?;
        let known = usize::try_from(first - tile.first_leaf()).map_err(|_| wrong())?;
        let bundle = folder.entries(tile)?;
        let new = bundle.entries().take(usize::from(tile.width())).skip(known);
        let growth = edge.grow(new).map_err(|_| wrong())?;
        if growth.edge.size() == first {
            return Err(wrong());
        }
        for (resource, bytes) in &growth.files {
            // Partial tiles on the way were never written; entries are where this came from.
            if let Resource::Hashes(tile) = resource
                && tile.is_full()
            {
                let hashes = folder.hashes(*tile)?;
                let (wanted, _) = bytes.as_chunks::<HASH_BYTES>();
                if !hashes.into_iter().eq(wanted.iter().map(|hash| TreeHash(*hash))) {
                    return Err(wrong());
                }
            }
        }
        edge = growth.edge;
    }
    if edge.size() != head.size || edge.root() != head.root {
        return Err(wrong());
    }
    folder.edge(head.size, head.root).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sequencer::Sequencer;
    use crate::log::testing::{ModelDisk, leaves, setup};
    use std::path::Path;

    #[test]
    fn a_gap_or_a_changed_byte_anywhere_is_found() {
        let folders = ["/data", "/heads"].map(Path::new);
        let disk = folders.iter().fold(ModelDisk::default(), |disk, f| disk.with_folder(f));
        let log = Sequencer::open(disk.clone(), setup(folders[0], folders[1])).unwrap();
        let log = log.append(0, &leaves(0, 700)).unwrap();
        let head = log.checkpoint().unwrap().checkpoint().clone();
        let check = || check_growth(log.folder(), Edge::default(), &head);
        check().unwrap();
        let tiles =
            disk.files().into_iter().filter(|(path, _)| path.starts_with("/data/2027/tile"));
        let mut found = 0;
        for (path, bytes) in tiles {
            disk.tamper(&path, |bytes| bytes[20] ^= 1);
            assert!(check().is_err(), "{} changed", path.display());
            disk.lose(&path);
            assert!(check().is_err(), "{} missing", path.display());
            disk.write(&path, &bytes).unwrap();
            found += 1;
        }
        assert_eq!(found, 7);
        check().unwrap();
        let other = Checkpoint { root: TreeHash::EMPTY, ..head.clone() };
        assert!(check_growth(log.folder(), Edge::default(), &other).is_err());
        let longer = Checkpoint { size: 701, ..head };
        assert!(check_growth(log.folder(), Edge::default(), &longer).is_err());
    }
}
