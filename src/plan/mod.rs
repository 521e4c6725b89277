//! What administrative plans order, and how far it was done.
//!
//! A plan line says what, for whom, how often, by whom and for how much money; records of devices
//! say what sounded. This room holds the lines as accepted, the doubts that their own figures
//! raise, and the comparison of lines with counts. Reading files belongs to `config`, counting
//! plays to those who know outcomes, tables to `report`.
//!
//! | Word | Vietnamese | Type |
//! |---|---|---|
//! | plan | kế hoạch | [`Plan`] |
//! | plan line | dòng kế hoạch, nhiệm vụ | [`PlanLine`] |
//! | lead, coordinating | chủ trì, phối hợp | fields of [`PlanLine`] |
//! | programme, broadcast | chương trình, lần phát | [`Counted`] |
//! | topic, field | chủ đề, lĩnh vực | [`Topic`], [`TopicList`] |
//! | evidence by hand | minh chứng nhập tay | [`manual::Entry`] |
//!
//! # Invariants
//! * A line that orders no number is never called met or missing: it is only counted.
//! * What a line counts, and over which units, stands with every number: "2 a month" is another
//!   duty for a province than for each of its communes.
//! * Evidence brought by hand is counted beside what devices proved, never added to it.
//! * A period that is not over is running, not missing.
//! * A doubt about a plan's figures refuses nothing: the plan is what was signed, mistakes and all.
//!
//! Pure: no files, no clock.

pub mod compare;
pub mod doubt;
pub mod line;
pub mod manual;
pub mod money;
pub mod month;
pub mod topic;

pub use compare::{Comparison, Done, Duty, Row, Standing, compare};
pub use doubt::{Doubt, doubts};
pub use line::{
    Basis, Budget, Counted, Funds, Least, LineRef, Means, Per, Plan, PlanLine, Scope, Total,
};
pub use money::{Dong, MoneyError};
pub use month::{Month, MonthError, Months};
pub use topic::{Topic, TopicCode, TopicError, TopicList, TopicRef};

#[cfg(test)]
mod tests;
