//! Which parts of a tree a proof is made of, as spans of leaves (RFC 6962 §2.1.1, §2.1.2).
//!
//! Pure arithmetic; whoever holds the hashes computes each span's.

/// Leaves `from..to` of which one hash is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First leaf.
    pub from: u64,
    /// One past the last leaf.
    pub to: u64,
}

/// A complete subtree: 2^`height` leaves, the `index`-th such group of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree {
    /// Levels above the leaves.
    pub height: u32,
    /// Position on its level.
    pub index: u64,
}

/// Largest power of two below `leaves`, which is at least 2.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// Returns the spans of an inclusion proof, from the leaf's sibling up. Empty when `index` lies
/// outside.
pub fn inclusion_spans(index: u64, size: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    let (mut from, mut to) = (0, size);
    while index < size && to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            spans.push(Span { from: middle, to });
            to = middle;
        } else {
            spans.push(Span { from, to: middle });
            from = middle;
        }
    }
    spans.reverse();
    spans
}

/// Returns the spans of a consistency proof. Empty when there is nothing to prove.
pub fn consistency_spans(old: u64, new: u64) -> Vec<Span> {
    if old == 0 || old >= new {
        return Vec::new();
    }
    let mut spans = Vec::new();
    let (mut from, mut to) = (0, new);
    // Invariant: from < old ≤ to.
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            spans.push(Span { from: middle, to });
            to = middle;
        } else {
            spans.push(Span { from, to: middle });
            from = middle;
        }
    }
    if from != 0 {
        spans.push(Span { from, to }); // otherwise it is the old root itself, which is known
    }
    spans.reverse();
    spans
}

/// Takes a span as it occurs in proofs (`from` is a multiple of the largest group) apart into
/// complete subtrees, left to right; their hashes are joined from the right.
pub fn subtrees(span: Span) -> Vec<Subtree> {
    let mut parts = Vec::new();
    let mut from = span.from;
    while from < span.to {
        let fits = (span.to - from).ilog2();
        let height = if from == 0 { fits } else { fits.min(from.trailing_zeros()) };
        parts.push(Subtree { height, index: from >> height });
        from += 1 << height;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_proofs_of_rfc_6962_have_their_parts() {
        // The tree of seven leaves in RFC 6962 §2.1.3.
        let span = |from, to| Span { from, to };
        assert_eq!(inclusion_spans(0, 7), [span(1, 2), span(2, 4), span(4, 7)]);
        assert_eq!(inclusion_spans(3, 7), [span(2, 3), span(0, 2), span(4, 7)]);
        assert_eq!(inclusion_spans(4, 7), [span(5, 6), span(6, 7), span(0, 4)]);
        assert_eq!(inclusion_spans(6, 7), [span(4, 6), span(0, 4)]);
        assert_eq!(consistency_spans(3, 7), [span(2, 3), span(3, 4), span(0, 2), span(4, 7)]);
        assert_eq!(consistency_spans(4, 7), [span(4, 7)]);
        assert_eq!(consistency_spans(6, 7), [span(4, 6), span(6, 7), span(0, 4)]);
        assert_eq!(inclusion_spans(7, 7), []);
        assert_eq!(consistency_spans(7, 7), []);
    }

    proptest! {
        #[test]
        fn parts_are_few_and_cover_their_span(size in 1..=(1_u64 << 62), at in any::<u64>()) {
            let index = at % size;
            let spans = inclusion_spans(index, size);
            prop_assert!(spans.len() <= 63);
            let covered: u64 = spans.iter().map(|s| s.to - s.from).sum();
            prop_assert_eq!(covered, size - 1);
            for span in spans.into_iter().chain(consistency_spans(index, size)) {
                let parts = subtrees(span);
                prop_assert!(parts.len() <= 63);
                let mut next = span.from;
                for part in &parts {
                    prop_assert_eq!(part.index << part.height, next);
                    next += 1 << part.height;
                }
                prop_assert_eq!(next, span.to);
                prop_assert!(parts.is_sorted_by(|a, b| a.height > b.height));
            }
        }
    }
}
