//! The checks by name, and what came of each.

use serde::Serialize;

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its id, stable: what `--only` names.
    pub id: &'static str,
    /// Where the contract says so.
    pub place: &'static str,
    /// What must hold, in plain words.
    pub says: &'static str,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    Fail,
    /// It does not concern this device, or could not be asked for: the evidence says why.
    Skip,
    /// Not reached, since something before it went wrong.
    Unreached,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
            Self::Unreached => "not reached",
        }
    }
}

/// A check with its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub check: Check,
    pub verdict: Verdict,
    /// What was seen, for people.
    pub evidence: String,
    /// How long it took, in milliseconds.
    pub ms: i64,
}

/// All rows of a run.
#[derive(Debug, Default)]
pub struct Rows {
    rows: Vec<Row>,
}

impl Rows {
    /// Returns the rows in the order in which they were judged.
    pub fn all(&self) -> &[Row] {
        &self.rows
    }

    pub fn put(&mut self, row: Row) {
        if !self.rows.iter().any(|old| old.check.id == row.check.id) {
            self.rows.push(row);
        }
    }

    pub fn of(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.check.id == id)
    }

    /// Says whether the device passed: nothing failed, and nothing was left out by a failure.
    pub fn passed(&self) -> bool {
        let bad = |row: &Row| matches!(row.verdict, Verdict::Fail | Verdict::Unreached);
        !self.rows.is_empty() && !self.rows.iter().any(bad)
    }

    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }
}
