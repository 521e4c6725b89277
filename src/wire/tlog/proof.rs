//! Checks proofs: that a leaf lies in a tree, and that one tree is the beginning of another.
//!
//! The algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2, with the two trivial cases of consistency
//! (same tree, empty tree) spelled out. Nothing here trusts lengths: a proof has exactly as many
//! hashes as the numbers demand.

use super::hash::TreeHash;

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum ProofError {
    #[error("index {index} lies outside a tree of {size} leaves")]
    Outside { index: u64, size: u64 },
    #[error("a tree of {old} leaves cannot have become one of {new}")]
    Shrunk { old: u64, new: u64 },
    #[error("the proof has {got} hashes, which does not fit sizes and index")]
    Length { got: usize },
    #[error("the proof leads to root {got}, not to {want}")]
    Root { got: TreeHash, want: TreeHash },
    #[error("the proof leads to old root {got}, not to {want}")]
    OldRoot { got: TreeHash, want: TreeHash },
}

impl ProofError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Root { .. } | Self::OldRoot { .. } => {
                "leaf, proof or checkpoint was changed, or the log was rewritten: keep all three"
            }
            _ => "proof and checkpoint do not belong together; ask for both again",
        }
    }
}

/// Follows the path from a leaf; returns the root it leads to.
pub fn root_of_inclusion(
    index: u64,
    size: u64,
    leaf: TreeHash,
    path: &[TreeHash],
) -> Result<TreeHash, ProofError> {
    if index >= size {
        return Err(ProofError::Outside { index, size });
    }
    let length = || ProofError::Length { got: path.len() };
    let (mut at, mut last) = (index, size - 1);
    let mut root = leaf;
    for sibling in path {
        if last == 0 {
            return Err(length());
        }
        if at & 1 == 1 || at == last {
            root = TreeHash::node(sibling, &root);
            // The right edge of an incomplete tree skips levels that hold no sibling.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = TreeHash::node(&root, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(root) } else { Err(length()) }
}

/// Checks that the leaf stands at `index` of the tree of that size and root.
pub fn check_inclusion(
    index: u64,
    size: u64,
    leaf: TreeHash,
    path: &[TreeHash],
    root: TreeHash,
) -> Result<(), ProofError> {
    let got = root_of_inclusion(index, size, leaf, path)?;
    if got == root { Ok(()) } else { Err(ProofError::Root { got, want: root }) }
}

/// Checks that the old tree is the beginning of the new one.
pub fn check_consistency(
    old: (u64, TreeHash),
    new: (u64, TreeHash),
    path: &[TreeHash],
) -> Result<(), ProofError> {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return Err(ProofError::Shrunk { old: old_size, new: new_size });
    }
    let length = || ProofError::Length { got: path.len() };
    if old_size == new_size || old_size == 0 {
        // Nothing to prove but that nothing is nothing, and that equal sizes have equal roots.
        return if !path.is_empty() {
            Err(length())
        } else if old_size == 0 && old_root != TreeHash::EMPTY {
            Err(ProofError::OldRoot { got: TreeHash::EMPTY, want: old_root })
        } else if old_size == new_size && old_root != new_root {
            Err(ProofError::Root { got: old_root, want: new_root })
        } else {
            Ok(())
        };
    }
    // Up from the last old leaf, past the levels on which it ends a complete subtree.
    let skip = (old_size - 1).trailing_ones();
    let (mut at, mut last) = ((old_size - 1) >> skip, (new_size - 1) >> skip);
    let (start, rest) = if old_size.is_power_of_two() {
        (old_root, path)
    } else {
        let (first, rest) = path.split_first().ok_or_else(length)?;
        (*first, rest)
    };
    if rest.is_empty() {
        return Err(length()); // sizes differ, so at least one new hash is needed
    }
    let (mut old_got, mut new_got) = (start, start);
    for sibling in rest {
        if last == 0 {
            return Err(length());
        }
        if at & 1 == 1 || at == last {
            old_got = TreeHash::node(sibling, &old_got);
            new_got = TreeHash::node(sibling, &new_got);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_got = TreeHash::node(&new_got, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        Err(length())
    } else if old_got != old_root {
        Err(ProofError::OldRoot { got: old_got, want: old_root })
    } else if new_got != new_root {
        Err(ProofError::Root { got: new_got, want: new_root })
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
