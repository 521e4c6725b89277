//! One cue on one device as judged, and counts of many.
//!
//! Invariant: what stood in the schedule in force is in exactly one of the counts, whatever became
//! of it; what sounded beside the schedule is counted apart and never among what was expected.

use super::contents::ContentNo;
use super::places::DeviceNo;
use crate::domain::proof::outcome::{Outcome, Plan, Stage, Verdict};
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};

/// The lowest grade of evidence that confirms a play: the device itself says that it started or
/// ended our item. Counts by grade stand beside it.
pub const CONFIRMED_GRADE: u8 = 2;

/// One cue on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Airing {
    pub device: DeviceNo,
    pub content: ContentNo,
    pub at_ms: UtcMs,
    pub end_ms: UtcMs,
    pub plan: Plan,
    /// `None` while nothing is known.
    pub result: Option<Verdict>,
    pub stage: Stage,
    pub due_ms: i64,
    pub played_ms: i64,
    pub started_ms: Option<UtcMs>,
    /// Grade of the evidence, 0-6.
    pub grade: u8,
}

impl Airing {
    /// Returns the airing of an outcome on a device.
    pub fn of(device: DeviceNo, content: ContentNo, outcome: &Outcome) -> Self {
        Self {
            device,
            content,
            at_ms: outcome.at_ms,
            end_ms: outcome.end_ms,
            plan: outcome.plan,
            result: outcome.result,
            stage: outcome.stage,
            due_ms: outcome.due_ms,
            played_ms: outcome.played_ms,
            started_ms: outcome.started_ms,
            grade: outcome.grade,
        }
    }

    /// Says whether it counts as a confirmed play.
    pub fn is_confirmed(&self) -> bool {
        self.plan == Plan::Planned
            && self.stage != Stage::Pending
            && self.result == Some(Verdict::Played)
            && self.grade >= CONFIRMED_GRADE
    }
}

/// How many airings became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// In the schedule in force at their start.
    pub expected: u64,
    /// Played whole, by grade of the evidence.
    pub played: [u64; 7],
    pub partial: u64,
    pub failed: u64,
    pub pre_empted: u64,
    pub refused: u64,
    pub offline: u64,
    pub missing: u64,
    /// Not over yet.
    pub pending: u64,
    /// Of the expected, those that later records may change.
    pub unsettled: u64,
    /// Sounded although withdrawn before; not among the expected.
    pub superseded: u64,
    /// Sounded without any schedule; not among the expected.
    pub unplanned: u64,
    /// What was due of the expected, in milliseconds.
    pub due_ms: i64,
    /// What sounded or was shown of the expected.
    pub played_ms: i64,
}

impl Tally {
    /// Counts one airing.
    pub fn add(&mut self, airing: &Airing) {
        match airing.plan {
            Plan::Superseded => {
                self.superseded += 1;
                return;
            }
            Plan::Unplanned => {
                self.unplanned += u64::from(airing.played_ms > 0);
                return;
            }
            Plan::Planned => {}
        }
        self.expected += 1;
        self.unsettled += u64::from(airing.stage != Stage::Final);
        self.due_ms = self.due_ms.saturating_add(airing.due_ms.max(0));
        self.played_ms = self.played_ms.saturating_add(airing.played_ms.max(0));
        let grade = usize::from(airing.grade.min(6));
        // Before its end nothing is said for good, whatever has been heard of it.
        *match airing.result.filter(|_| airing.stage != Stage::Pending) {
            Some(Verdict::Played) => &mut self.played[grade],
            Some(Verdict::Partial) => &mut self.partial,
            Some(Verdict::Failed) => &mut self.failed,
            Some(Verdict::PreEmpted) => &mut self.pre_empted,
            Some(Verdict::Refused) => &mut self.refused,
            Some(Verdict::Offline) => &mut self.offline,
            Some(Verdict::Missing) => &mut self.missing,
            None => &mut self.pending,
        } += 1;
    }

    /// Adds the counts of others.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.expected, other.expected),
            (&mut self.partial, other.partial),
            (&mut self.failed, other.failed),
            (&mut self.pre_empted, other.pre_empted),
            (&mut self.refused, other.refused),
            (&mut self.offline, other.offline),
            (&mut self.missing, other.missing),
            (&mut self.pending, other.pending),
            (&mut self.unsettled, other.unsettled),
            (&mut self.superseded, other.superseded),
            (&mut self.unplanned, other.unplanned),
        ];
        for (mine, theirs) in pairs.into_iter().chain(self.played.iter_mut().zip(other.played)) {
            *mine = mine.saturating_add(theirs);
        }
        self.due_ms = self.due_ms.saturating_add(other.due_ms);
        self.played_ms = self.played_ms.saturating_add(other.played_ms);
    }

    /// Returns how many played whole, whatever the evidence.
    pub fn whole(&self) -> u64 {
        self.played.iter().sum()
    }

    /// Returns how many confirmed plays there are.
    pub fn confirmed(&self) -> u64 {
        self.played.iter().skip(usize::from(CONFIRMED_GRADE)).sum()
    }

    /// Returns how many were not played, and say why.
    pub fn explained(&self) -> u64 {
        self.failed + self.pre_empted + self.refused + self.offline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_airing() -> impl Strategy<Value = Airing> {
        let verdict = prop_oneof![
            Just(None),
            Just(Some(Verdict::Played)),
            Just(Some(Verdict::Partial)),
            Just(Some(Verdict::Failed)),
            Just(Some(Verdict::PreEmpted)),
            Just(Some(Verdict::Refused)),
            Just(Some(Verdict::Offline)),
            Just(Some(Verdict::Missing)),
        ];
        let plan = prop_oneof![Just(Plan::Planned), Just(Plan::Superseded), Just(Plan::Unplanned)];
        let stage = prop_oneof![Just(Stage::Pending), Just(Stage::Provisional), Just(Stage::Final)];
        (verdict, plan, stage, any::<u8>(), any::<i64>(), any::<i64>()).prop_map(
            |(result, plan, stage, grade, due_ms, played_ms)| Airing {
                device: DeviceNo(0),
                content: ContentNo(0),
                at_ms: UtcMs(0),
                end_ms: UtcMs(1),
                plan,
                result,
                stage,
                due_ms,
                played_ms,
                started_ms: None,
                grade,
            },
        )
    }

    proptest! {
        #[test]
        fn every_airing_is_counted_once_and_parts_add_up(
            airings in proptest::collection::vec(any_airing(), 0..60), cut in 0_usize..60,
        ) {
            let mut all = Tally::default();
            for airing in &airings { all.add(airing); }
            let told = all.whole() + all.partial + all.explained() + all.missing + all.pending;
            prop_assert_eq!(told, all.expected);
            // Without a schedule and without a sound there is nothing to count.
            let silent = |one: &&Airing| one.plan == Plan::Unplanned && one.played_ms <= 0;
            let silent = airings.iter().filter(silent).count() as u64;
            let counted = all.expected + all.superseded + all.unplanned;
            prop_assert_eq!(counted + silent, airings.len() as u64);
            prop_assert_eq!(
                all.confirmed(),
                airings.iter().filter(|airing| airing.is_confirmed()).count() as u64
            );
            let (left, right) = airings.split_at(cut.min(airings.len()));
            let mut parts = Tally::default();
            for part in [right, left] {
                let mut tally = Tally::default();
                for airing in part { tally.add(airing); }
                parts.merge(&tally);
            }
            prop_assert_eq!(Tally { due_ms: 0, played_ms: 0, ..parts }, Tally { due_ms: 0, played_ms: 0, ..all });
        }
    }
}
