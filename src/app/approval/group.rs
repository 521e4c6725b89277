//! Which pieces of a change wait together: one file by itself, unless it cannot be.
//!
//! A playlist that names a calendar which is new waits with that calendar; what a person proposed
//! together stays together; everything else is a proposal of its own, so that nobody waits for
//! somebody else's change.

use super::Together;
use std::collections::BTreeSet;

/// Most proposals that wait at a time.
pub const MOST_OPEN: usize = 100;
/// Most pieces of one proposal.
pub const MOST_PIECES: usize = 1_000;

type Group = (BTreeSet<String>, Together);

/// Parts the pieces into groups, each of which fits what is in force by itself; also says how
/// many pieces have no place. `known` groups stay as they are as far as their pieces are left.
pub fn groups(
    pieces: &BTreeSet<String>,
    known: &[Group],
    fits: &mut dyn FnMut(&BTreeSet<String>) -> bool,
) -> (Vec<Group>, usize) {
    let mut made: Vec<Group> = Vec::new();
    let mut left = pieces.clone();
    for (group, together) in known {
        if !group.is_empty() && group.iter().all(|piece| left.contains(piece)) {
            left.retain(|piece| !group.contains(piece));
            made.push((group.clone(), *together));
        }
    }
    let older = made.len();
    for piece in &left {
        let alone = BTreeSet::from([piece.clone()]);
        if fits(&alone) {
            made.push((alone, Together::Alone));
        } else {
            made.push((needed(piece, pieces, fits), Together::Needed));
        }
    }
    let mut joined = join(made);
    let older = older.min(joined.len());
    joined[older..].sort();
    let rest: BTreeSet<String> =
        joined.iter().skip(MOST_OPEN - 1).flat_map(|group| group.0.iter().cloned()).collect();
    if joined.len() <= MOST_OPEN {
        return (joined, 0);
    }
    joined.truncate(MOST_OPEN - 1);
    if rest.len() <= MOST_PIECES && fits(&rest) {
        joined.push((rest, Together::Many));
        return (joined, 0);
    }
    (joined, rest.len())
}

/// Returns the piece with what it cannot be without: from all pieces, those are left out again
/// that are not missed, first many at a time.
fn needed(
    piece: &str,
    all: &BTreeSet<String>,
    fits: &mut dyn FnMut(&BTreeSet<String>) -> bool,
) -> BTreeSet<String> {
    let mut kept: Vec<String> = all.iter().filter(|other| *other != piece).cloned().collect();
    let with = |kept: &[String]| -> BTreeSet<String> {
        kept.iter().cloned().chain([piece.to_owned()]).collect()
    };
    if !fits(&with(&kept)) {
        return with(&kept);
    }
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < kept.len() {
            let end = (at + size).min(kept.len());
            let fewer: Vec<String> = kept[..at].iter().chain(&kept[end..]).cloned().collect();
            if fits(&with(&fewer)) {
                kept = fewer;
            } else {
                at = end;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    with(&kept)
}

/// Puts groups that share a piece together.
fn join(groups: Vec<Group>) -> Vec<Group> {
    let mut made: Vec<Group> = Vec::new();
    for (mut pieces, mut together) in groups {
        let mut at = None;
        let mut index = 0;
        while index < made.len() {
            if made[index].0.is_disjoint(&pieces) {
                index += 1;
                continue;
            }
            let (other, its) = made.remove(index);
            at.get_or_insert(index);
            if other.len() != pieces.len() || other != pieces {
                together = if its == Together::Person { its } else { Together::Needed };
            }
            pieces.extend(other);
        }
        made.insert(at.unwrap_or(made.len()), (pieces, together));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_needs_another_waits_with_it_and_the_rest_by_itself() {
        let all = set(&["a", "b", "c", "d", "e"]);
        // `a` names what `c` brings.
        let mut fits = |some: &BTreeSet<String>| !some.contains("a") || some.contains("c");
        let (found, beyond) = groups(&all, &[], &mut fits);
        assert_eq!(beyond, 0);
        let alone = |name: &str| (set(&[name]), Together::Alone);
        assert_eq!(
            found,
            [(set(&["a", "c"]), Together::Needed), alone("b"), alone("d"), alone("e")]
        );
    }

    #[test]
    fn what_a_person_proposed_together_stays_together_while_all_of_it_is_left() {
        let pair = (set(&["a", "b"]), Together::Person);
        let (found, _) = groups(&set(&["a", "b", "c"]), std::slice::from_ref(&pair), &mut |_| true);
        assert_eq!(found, [pair.clone(), (set(&["c"]), Together::Alone)]);
        let (found, _) = groups(&set(&["a", "c"]), &[pair], &mut |_| true);
        assert_eq!(found.len(), 2, "one of them is as it was again: {found:?}");
    }

    #[test]
    fn more_than_may_wait_wait_together_and_those_that_waited_keep_their_place() {
        let names: Vec<String> = (0..150).map(|n| format!("{n:03}")).collect();
        let all: BTreeSet<String> = names.iter().cloned().collect();
        let known = (set(&["149"]), Together::Alone);
        let (found, beyond) = groups(&all, std::slice::from_ref(&known), &mut |_| true);
        assert_eq!((found.len(), beyond), (MOST_OPEN, 0));
        assert_eq!(found[0], known);
        assert_eq!(found[MOST_OPEN - 1].1, Together::Many);
        let told: usize = found.iter().map(|group| group.0.len()).sum();
        assert_eq!(told, 150, "each has its place once");
        let (found, beyond) = groups(&all, &[], &mut |some| some.len() == 1);
        assert_eq!((found.len(), beyond), (MOST_OPEN - 1, 51), "or says how many have none");
    }
}
