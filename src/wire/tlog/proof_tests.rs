//! Tests of proofs against another implementation, and that nothing false is proven.

use super::*;
use crate::wire::tlog::testing::{OtherTree, hashes, leaf, other_root};
use proptest::prelude::*;

const MOST: u64 = 70;

fn tree(size: u64) -> OtherTree {
    let mut tree = OtherTree::new();
    (0..size).for_each(|index| tree.push(leaf(index)));
    tree
}

fn leaf_hash(index: u64) -> TreeHash {
    TreeHash::leaf(&leaf(index))
}

fn at(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

#[test]
fn inclusion_holds_for_every_leaf_of_every_small_tree_and_for_no_other() {
    for size in 1..=MOST {
        let tree = tree(size);
        let root = other_root(&tree);
        for index in 0..size {
            let path = hashes(tree.prove_inclusion(at(index)).as_bytes());
            assert_eq!(check_inclusion(index, size, leaf_hash(index), &path, root), Ok(()));
            for other in (0..size).filter(|other| *other != index) {
                let elsewhere = check_inclusion(other, size, leaf_hash(index), &path, root);
                assert!(elsewhere.is_err(), "{index} passes as {other} of {size}");
            }
            let mut longer = path.clone();
            longer.push(root);
            assert!(check_inclusion(index, size, leaf_hash(index), &longer, root).is_err());
            if let Some((_, shorter)) = path.split_last() {
                assert!(check_inclusion(index, size, leaf_hash(index), shorter, root).is_err());
            }
        }
        let beyond = check_inclusion(size, size, leaf_hash(0), &[], root);
        assert_eq!(beyond, Err(ProofError::Outside { index: size, size }));
    }
}

#[test]
fn consistency_holds_between_all_small_trees_and_with_no_other_root() {
    let roots: Vec<TreeHash> = (0..=MOST).map(|size| other_root(&tree(size))).collect();
    for new in 0..=MOST {
        let tree = tree(new);
        for old in 0..=new {
            let path = match old {
                0 => Vec::new(),
                old => hashes(tree.prove_consistency(at(new - old)).as_bytes()),
            };
            let (old_root, new_root) = (roots[at(old)], roots[at(new)]);
            let check = |old_root, new_root, path: &[TreeHash]| {
                check_consistency((old, old_root), (new, new_root), path)
            };
            assert_eq!(check(old_root, new_root, &path), Ok(()), "{old} to {new}");
            let other = TreeHash::leaf(b"other");
            assert!(check(other, new_root, &path).is_err(), "{old} to {new}");
            if old > 0 {
                assert!(check(old_root, other, &path).is_err(), "{old} to {new}");
            }
            let mut longer = path.clone();
            longer.push(other);
            assert!(check(old_root, new_root, &longer).is_err());
            for changed in 0..path.len() {
                let mut path = path.clone();
                path[changed].0[5] ^= 1;
                assert!(check(old_root, new_root, &path).is_err(), "{old} to {new}");
            }
            if let Some((_, shorter)) = path.split_last() {
                assert!(check(old_root, new_root, shorter).is_err());
            }
        }
        let shrunk = check_consistency((new + 1, roots[0]), (new, roots[at(new)]), &[]);
        assert_eq!(shrunk, Err(ProofError::Shrunk { old: new + 1, new }));
    }
}

#[test]
fn a_fault_names_the_side_that_does_not_fit() {
    let (two, three) = (other_root(&tree(2)), other_root(&tree(3)));
    let path = hashes(tree(3).prove_consistency(1).as_bytes());
    let other = TreeHash::leaf(b"other");
    let check = |old, new| check_consistency((2, old), (3, new), &path);
    assert_eq!(check(two, other), Err(ProofError::Root { got: three, want: other }));
    assert!(matches!(
        check(other, three),
        Err(ProofError::Root { .. } | ProofError::OldRoot { .. })
    ));
    assert_eq!(
        check_consistency((0, other), (3, three), &[]),
        Err(ProofError::OldRoot { got: TreeHash::EMPTY, want: other })
    );
    assert_eq!(
        check_consistency((3, three), (3, other), &[]),
        Err(ProofError::Root { got: three, want: other })
    );
}

proptest! {
    #[test]
    fn no_numbers_and_hashes_panic(
        a: u64, b: u64, path in proptest::collection::vec(any::<[u8; 32]>(), 0..70), root: [u8; 32],
    ) {
        let path: Vec<TreeHash> = path.into_iter().map(TreeHash).collect();
        let root = TreeHash(root);
        prop_assert!(check_inclusion(a, b, root, &path, TreeHash::EMPTY).is_err());
        prop_assert!(check_consistency((a, root), (b, TreeHash::EMPTY), &path).is_err());
        let _ = root_of_inclusion(b / 2, b, root, &path);
    }
}
