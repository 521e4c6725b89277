//! Places and faults: what is wrong, where, and what to do about it.
//!
//! Leaves the judging to the readers of each file. Invariant: a fault names a file, a line and a
//! column that an editor can jump to, both counted from 1, the column in characters.

use super::problem::Problem;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

/// Most faults kept of one load; then one more says that there are too many.
const MOST: usize = 1_000;

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Wrong: `check` answers no.
    Error,
    /// Probably not meant; `check` answers yes.
    Warning,
}

/// A line and a column of a file, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    /// The beginning of a file, for faults of the file as a whole.
    pub const START: Place = Place { line: 1, column: 1 };
}

/// Where the lines of a text begin, so that places in long files are found quickly.
#[derive(Debug)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Returns the lines of a text.
    pub fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Self { starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// Returns the place of a byte offset in that text; an offset inside a character counts as
    /// that character.
    pub fn place(&self, text: &str, offset: usize) -> Place {
        let offset = offset.min(text.len());
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0).min(offset);
        // Every byte that does not continue a UTF-8 sequence begins a character.
        let before = &text.as_bytes()[start..offset];
        let chars = before.iter().filter(|b| **b & 0xC0 != 0x80).count();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { line: number(line), column: number(chars.saturating_add(1)) }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub place: Place,
}

/// One thing that is wrong in the station folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file as a person at the command line names it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong: lower case, values in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the file cannot be used as it is, so that its last good version stays in force.
    pub refuses: bool,
}

impl fmt::Display for Fault {
    /// Writes `file:line:column: message`, the form editors and CI understand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}:{}:{}: {kind}{}", self.file, self.line, self.column, self.message)
    }
}

/// The faults of one load, gathered from all files.
#[derive(Debug, Default)]
pub struct Faults {
    kept: RefCell<Vec<Fault>>,
    /// Complete, however many faults there are: acceptance rests on it.
    refused: RefCell<BTreeSet<String>>,
}

impl Faults {
    /// Notes a problem. `key` names the file inside the load, `label` for people.
    pub fn add(&self, file: FileRef<'_>, place: Place, problem: &Problem) {
        if problem.refuses() {
            self.refused.borrow_mut().insert(file.key.to_owned());
        }
        let mut kept = self.kept.borrow_mut();
        let too_many = Problem::TooMany { what: "faults", most: MOST };
        let problem = match kept.len() {
            0..MOST => problem,
            MOST => &too_many,
            _ => return,
        };
        kept.push(Fault {
            file: file.label.to_owned(),
            line: place.line,
            column: place.column,
            severity: problem.severity(),
            message: problem.to_string(),
            hint: problem.hint(),
            refuses: problem.refuses(),
        });
    }

    /// Returns the keys of the files that cannot be used as they are.
    pub fn refused(&self) -> BTreeSet<String> {
        self.refused.borrow().clone()
    }

    /// Returns the faults sorted by file and place.
    pub fn into_sorted(self) -> Vec<Fault> {
        let mut all = self.kept.into_inner();
        all.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
        });
        all.dedup();
        all
    }
}

/// A file as the load and as people name it.
#[derive(Clone, Copy, Debug)]
pub struct FileRef<'a> {
    pub key: &'a str,
    pub label: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters_not_bytes() {
        let text = "tên = \"Đài\"\nxã = 1\n";
        let place = |offset| Lines::of(text).place(text, offset);
        assert_eq!(place(text.find('1').unwrap()), Place { line: 2, column: 6 });
        assert_eq!(place(0), Place::START);
        assert_eq!(place(9_999), Place { line: 3, column: 1 });
    }
}
