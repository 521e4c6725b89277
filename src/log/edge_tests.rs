//! Tests of the right edge against another implementation.

use super::*;
use crate::log::testing::{leaf, leaves, other_root, other_tree};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn grow(edge: &Edge, to: u64) -> Growth {
    let leaves = leaves(edge.size(), to);
    edge.grow(leaves.iter().map(crate::log::leaf::Leaf::bytes)).unwrap()
}

#[test]
fn roots_are_those_of_another_implementation_at_every_size() {
    let mut edge = Edge::default();
    let mut other = other_tree(0);
    assert_eq!(edge.root(), TreeHash::EMPTY);
    for size in 1..=1_100 {
        edge = grow(&edge, size).edge;
        other.push(leaf(size - 1).bytes().to_vec());
        assert_eq!((edge.size(), edge.root()), (size, other_root(&other)), "{size}");
    }
}

#[test]
fn a_bundle_and_a_tile_go_together_and_levels_follow() {
    let growth = grow(&Edge::default(), 70_000);
    let names: Vec<String> =
        growth.files.iter().map(|(resource, _)| resource.to_string()).collect();
    assert_eq!(names.len(), 273 * 2 + 1 + 4);
    assert_eq!(names[0..2], ["tile/0/000", "tile/entries/000"]);
    let last = &names[names.len() - 4..];
    assert_eq!(
        last,
        ["tile/0/273.p/112", "tile/entries/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    );
}

#[test]
fn an_edge_that_does_not_lead_to_the_root_is_refused() {
    let edge = grow(&Edge::default(), 300).edge;
    let root = edge.root();
    let open = |size, root, rows: &Vec<Vec<TreeHash>>, bundle: &Bundle| {
        Edge::open(size, root, rows.clone(), bundle.clone())
    };
    let (rows, bundle) = (edge.rows.clone(), edge.bundle.clone());
    assert_eq!(open(300, root, &rows, &bundle), Ok(edge));
    assert!(matches!(open(300, TreeHash::EMPTY, &rows, &bundle), Err(EdgeError::Root { .. })));
    assert!(matches!(open(301, root, &rows, &bundle), Err(EdgeError::Width { level: 0, .. })));
    assert!(matches!(open(300, root, &rows, &Bundle::default()), Err(EdgeError::Width { .. })));
    let mut other = Bundle::default();
    (256..300)
        .for_each(|index| other.push(leaf(if index == 290 { 7 } else { index }).bytes()).unwrap());
    assert_eq!(open(300, root, &rows, &other), Err(EdgeError::Entry { index: 290 }));
    let mut changed = rows;
    changed[1][0].0[0] ^= 1;
    assert!(matches!(open(300, root, &changed, &bundle), Err(EdgeError::Root { .. })));
}

#[test]
fn an_entry_that_does_not_fit_changes_nothing() {
    let edge = grow(&Edge::default(), 10).edge;
    let long = vec![0; 65_536];
    assert!(edge.grow([b"x".as_slice(), &long]).is_err());
    assert_eq!(edge, grow(&Edge::default(), 10).edge);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn batches_of_any_sizes_make_the_same_files(steps in proptest::collection::vec(1_u64..400, 1..8)) {
        let to: u64 = steps.iter().sum();
        let at_once = grow(&Edge::default(), to);
        let mut edge = Edge::default();
        let mut written: BTreeMap<Resource, Vec<u8>> = BTreeMap::new();
        for step in steps {
            let growth = grow(&edge, edge.size() + step);
            for (resource, bytes) in growth.files {
                let before = written.insert(resource, bytes.clone());
                prop_assert!(before.is_none_or(|before| before == bytes), "{} changed", resource);
            }
            edge = growth.edge;
        }
        prop_assert_eq!(&edge, &at_once.edge);
        for (resource, bytes) in at_once.files {
            prop_assert_eq!(written.get(&resource), Some(&bytes), "{}", resource);
        }
    }
}
