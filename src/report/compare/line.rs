//! Lines of administrative plans, as the comparison reads them.

use crate::domain::ids::UnitId;
use crate::report::period::Period;

/// What a line counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Programmes: different items, however often they are broadcast.
    Programmes,
    /// Broadcasts: each time an item is broadcast in a commune.
    Broadcasts,
    /// Minutes of confirmed broadcasts.
    Minutes,
}

impl Counted {
    /// Names the unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Programmes => "chương trình",
            Self::Broadcasts => "lần phát",
            Self::Minutes => "phút",
        }
    }
}

/// In which unit a line's least count must be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanScope {
    /// In every commune.
    EachCommune,
    /// In each of these units.
    Each(Vec<UnitId>),
    /// In all of the scope together.
    Together,
}

/// How often it must be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    Month,
    Year,
    /// Once between the line's first and last day.
    Term,
}

/// A line of an administrative plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLine {
    /// As items name it.
    pub id: String,
    pub citation: String,
    pub title: String,
    pub scope: PlanScope,
    pub counted: Counted,
    pub every: Every,
    pub least: u64,
    pub term: Period,
    pub lead: Option<String>,
    pub coordinating: Vec<String>,
}
