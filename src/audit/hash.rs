//! Hashes of trees (RFC 6962 §2.1) and of files.

use super::text::to_base64;
use sha2::{Digest as _, Sha256};

/// SHA-256 of a leaf, node or file.
pub type Hash = [u8; 32];

/// Returns the SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Hashes an entry into its leaf.
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// Hashes two nodes into the one above.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut both = [1; 65];
    both[1..33].copy_from_slice(left);
    both[33..].copy_from_slice(right);
    sha256(&both)
}

/// Returns the root of a complete subtree; of a row that is not a power of two, nothing useful.
pub fn join(row: &[Hash]) -> Hash {
    match row {
        [] => sha256(b""),
        [only] => *only,
        _ => {
            let (left, right) = row.split_at(row.len() / 2);
            node(&join(left), &join(right))
        }
    }
}

/// Returns the root of a tree from the unfinished rows at its right edge, lowest level first.
pub fn root<'a>(rows: impl IntoIterator<Item = &'a [Hash]>) -> Hash {
    let mut root: Option<Hash> = None;
    for row in rows {
        let mut peaks = Vec::new();
        let mut rest = row;
        while !rest.is_empty() {
            let (full, more) = rest.split_at(1 << rest.len().ilog2());
            peaks.push(join(full));
            rest = more;
        }
        for peak in peaks.into_iter().rev() {
            root = Some(root.map_or(peak, |below| node(&peak, &below)));
        }
    }
    root.unwrap_or_else(|| sha256(b""))
}

/// Returns the beginning of a hash: enough to tell one thing from another by chance.
pub fn short(hash: &Hash) -> u64 {
    hash.first_chunk().map_or(0, |beginning| u64::from_be_bytes(*beginning))
}

/// Returns the text of a root as checkpoints write it.
pub fn text(hash: &Hash) -> String {
    to_base64(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, without tiles.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(b""),
            [only] => *only,
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(half);
                node(&naive(left), &naive(right))
            }
        }
    }

    #[test]
    fn the_root_from_rows_is_the_root_of_the_definition() {
        let leaves: Vec<Hash> = (0_u32..70_000).map(|n| leaf(&n.to_be_bytes())).collect();
        let level = |rows: &[Hash]| -> Vec<Hash> { rows.chunks_exact(256).map(join).collect() };
        for size in [0, 1, 2, 3, 255, 256, 257, 513, 65_535, 65_536, 65_537, 70_000] {
            let first = level(&leaves[..size]);
            let second = level(&first);
            let edge = |row: &[Hash]| row[row.len() / 256 * 256..].to_vec();
            let rows = [edge(&leaves[..size]), edge(&first), edge(&second)];
            assert_eq!(root(rows.iter().map(Vec::as_slice)), naive(&leaves[..size]), "{size}");
        }
    }
}
