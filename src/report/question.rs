//! What is asked, and what the answer was made from; stands at the head of every document.
//!
//! Invariant: two answers to equal questions from equal rows are equal bytes; whatever else may
//! change an answer (cut-off, checkpoint, zone) is part of the question.

use super::period::{MOST_DAYS, Period};
use super::places::{Places, Scope, UnitNo};
use crate::domain::ids::UnitId;
use crate::domain::proof::outcome::FINAL_MS;
use crate::domain::time::UtcMs;
use chrono_tz::Tz;

/// The signed head of the evidence log that the rows were read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    /// Base64 of the root, as the checkpoint itself writes it.
    pub root: String,
}

/// Whether later records may change the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// So many airings may still change, or the period is not over.
    Provisional { unsettled: u64 },
    /// So many devices have not told all yet.
    Lacking { devices: u64 },
    /// Nothing changes any more.
    Final,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub scope: UnitId,
    pub period: Period,
    pub zone: Tz,
    /// What was known until then.
    pub cut_off: UtcMs,
    /// `None` before the log exists.
    pub checkpoint: Option<Checkpoint>,
}

/// Why a report cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    #[error("the register has no unit `{unit}`")]
    NoUnit { unit: UnitId },
    #[error("unit `{unit}` is a hamlet, this report adds up communes")]
    Hamlet { unit: UnitId },
    #[error("`{rows}` rows in table `{table}`, a {what} holds `{most}`")]
    TooMany { table: &'static str, what: &'static str, rows: usize, most: usize },
    #[error("`{days}` days asked for, this report is made of at most `{most}`")]
    TooLong { days: i64, most: i64 },
    #[error("the workbook could not be written")]
    Workbook(#[source] super::render::WorkbookError),
    #[error("the PDF could not be written: {why}")]
    Pdf { why: String },
}

impl ReportError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoUnit { .. } => {
                "`loa unit export` lists the units of the register; `loa serve` fills it from \
                 `units.csv` of the station when it starts"
            }
            Self::Hamlet { .. } => "ask for its commune, or for the as-run log of the hamlet",
            Self::TooMany { .. } => "ask for CSV or JSON, a smaller unit or fewer days",
            Self::TooLong { .. } => "ask for the months one by one",
            Self::Workbook(_) | Self::Pdf { .. } => {
                "ask for CSV or JSON, and report the fault with this message"
            }
        }
    }
}

impl Question {
    /// Returns the scope's unit and what lies in it.
    pub fn scope(&self, places: &Places) -> Result<(UnitNo, Scope), ReportError> {
        let unit = places
            .unit_no(&self.scope)
            .ok_or_else(|| ReportError::NoUnit { unit: self.scope.clone() })?;
        Ok((unit, places.scope(unit)))
    }

    /// Refuses a period longer than the report is made of.
    pub fn at_most(&self, most: i64) -> Result<(), ReportError> {
        let days = self.period.days();
        if days > most.min(MOST_DAYS) {
            return Err(ReportError::TooLong { days, most });
        }
        Ok(())
    }

    /// Says whether an answer with so many unsettled airings is final: the period is over, and
    /// long enough ago that nothing counts which comes later, or nothing is open.
    pub fn standing(&self, unsettled: u64) -> Standing {
        let (_, end) = self.period.instants(self.zone);
        let over = end <= self.cut_off;
        let aged = end.plus(FINAL_MS) <= self.cut_off;
        if aged || (over && unsettled == 0) {
            Standing::Final
        } else {
            Standing::Provisional { unsettled }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(cut_off: &str) -> Question {
        Question {
            scope: UnitId::new("51").unwrap(),
            period: Period::month(2026, 10).unwrap(),
            zone: chrono_tz::Asia::Ho_Chi_Minh,
            cut_off: UtcMs(
                chrono::DateTime::parse_from_rfc3339(cut_off).unwrap().timestamp_millis(),
            ),
            checkpoint: None,
        }
    }

    #[test]
    fn an_answer_is_final_when_the_days_are_over_and_nothing_is_open_or_thirty_days_later() {
        let open = Standing::Provisional { unsettled: 3 };
        assert_eq!(
            question("2026-10-31T23:59:59+07:00").standing(0),
            Standing::Provisional { unsettled: 0 }
        );
        assert_eq!(question("2026-11-01T00:00:00+07:00").standing(0), Standing::Final);
        assert_eq!(question("2026-11-30T23:59:59+07:00").standing(3), open);
        assert_eq!(question("2026-12-01T00:00:00+07:00").standing(3), Standing::Final);
    }

    #[test]
    fn a_unit_that_the_register_lacks_is_refused_with_a_remedy() {
        let error = question("2026-11-01T00:00:00+07:00").scope(&Places::default()).unwrap_err();
        assert_eq!(error.to_string(), "the register has no unit `51`");
        assert!(error.hint().contains("loa unit"));
    }
}
