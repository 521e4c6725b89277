//! When a batch is cut: often enough to be witnessed soon, seldom enough to be cheap.
//!
//! Pure. A batch costs a handful of synced files whether it holds one leaf or thousands, so leaves
//! wait up to `wait_ms` for company, go at once when `full` are there, and a backlog goes in large
//! batches that end where a tile ends: such tiles are written once, never partially. Rounds keep
//! `gap_ms` apart unless the largest batch waits, so that a flood of records does not make the log
//! contend with the store for the disk: 5,000 a second make 4 rounds a second, not 20.

use crate::wire::tlog::TILE;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// So many leaves are not kept waiting.
    pub full: usize,
    /// The oldest leaf waits no longer than this.
    pub wait_ms: i64,
    /// From the beginning of one round to that of the next, under load.
    pub gap_ms: i64,
    /// Leaves of the largest batch; bounds memory and the time of one round.
    pub most: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { full: 256, wait_ms: 1_500, gap_ms: 250, most: 4_096 }
    }
}

/// What to do with the leaves that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing waits.
    Idle,
    /// Look again after so long, or when a leaf arrives.
    Wait { ms: i64 },
    /// Append so many, oldest first, and ask again.
    Take { leaves: usize },
}

impl Pace {
    /// Decides for a tree of that size, so many waiting leaves, the age of the oldest and the time
    /// since the last round began, on a clock that never steps.
    pub fn cut(&self, size: u64, waiting: usize, oldest_ms: i64, since_ms: i64) -> Cut {
        if waiting == 0 {
            return Cut::Idle;
        }
        let most = waiting.min(self.most.max(1));
        let rest = self.gap_ms.saturating_sub(since_ms.max(0));
        if waiting < self.most && rest > 0 {
            return Cut::Wait { ms: rest };
        }
        if waiting < self.full {
            let left = self.wait_ms.saturating_sub(oldest_ms.max(0));
            return if left > 0 { Cut::Wait { ms: left } } else { Cut::Take { leaves: most } };
        }
        let tile = usize::from(TILE);
        let begun = usize::try_from(size % u64::from(TILE)).unwrap_or(0);
        let beyond = (begun + most) % tile;
        // To the end of the last tile that fills; all of them when none does.
        Cut::Take { leaves: if beyond < most { most - beyond } else { most } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACE: Pace = Pace { full: 256, wait_ms: 1_500, gap_ms: 250, most: 4_096 };

    fn cut(size: u64, waiting: usize, oldest_ms: i64) -> Cut {
        PACE.cut(size, waiting, oldest_ms, 9_999)
    }

    #[test]
    fn a_single_leaf_waits_for_company_but_not_for_ever() {
        assert_eq!(cut(0, 0, 9_999), Cut::Idle);
        assert_eq!(cut(0, 1, 0), Cut::Wait { ms: 1_500 });
        assert_eq!(cut(0, 255, 1_499), Cut::Wait { ms: 1 });
        assert_eq!(cut(0, 255, 1_500), Cut::Take { leaves: 255 });
        assert_eq!(cut(0, 1, -99_999), Cut::Wait { ms: 1_500 });
    }

    #[test]
    fn a_backlog_ends_where_a_tile_ends() {
        assert_eq!(cut(0, 256, 0), Cut::Take { leaves: 256 });
        assert_eq!(cut(100, 256, 0), Cut::Take { leaves: 156 });
        assert_eq!(cut(0, 5_000, 0), Cut::Take { leaves: 4_096 });
        assert_eq!(cut(1, 5_000, 0), Cut::Take { leaves: 4_095 });
    }

    #[test]
    fn rounds_keep_apart_unless_the_largest_batch_waits() {
        assert_eq!(PACE.cut(0, 300, 10, 100), Cut::Wait { ms: 150 });
        assert_eq!(PACE.cut(0, 300, 10, 250), Cut::Take { leaves: 256 });
        assert_eq!(PACE.cut(0, 300, 10, -5), Cut::Wait { ms: 250 });
        assert_eq!(PACE.cut(0, 1, 9_999, 249), Cut::Wait { ms: 1 });
        assert_eq!(PACE.cut(0, 4_096, 10, 0), Cut::Take { leaves: 4_096 });
    }

    proptest! {
        #[test]
        fn waiting_leaves_are_all_taken_in_few_batches(
            mut size in 0_u64..100_000, mut waiting in 1_usize..20_000, full in 1_usize..600,
            most in 0_usize..9_000,
        ) {
            let pace = Pace { full, wait_ms: 1_000, gap_ms: 250, most };
            let batches = waiting / most.max(1) + waiting / 256 + 40;
            for _ in 0..batches.max(waiting.min(20_000)) {
                let Cut::Take { leaves } = pace.cut(size, waiting, 1_000, 250) else { break };
                prop_assert!((1..=waiting.min(most.max(1))).contains(&leaves));
                size += leaves as u64;
                waiting -= leaves;
            }
            prop_assert_eq!(pace.cut(size, waiting, 1_000, 250), Cut::Idle);
        }
    }
}
