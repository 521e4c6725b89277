//! Plans, topics, evidence brought by hand and findings of inspectors, as files.
//!
//! Plans and topic lists are TOML in the station folder (`plans/`, `topics/`); lines of a plan,
//! entries and findings also come as tables (CSV). What does not fit together in a plan's own
//! figures is a warning at the line it is about ([`crate::plan::doubts`]); everything else wrong
//! refuses the file, with all faults at once.

mod entries;
mod findings;
mod folder;
mod kind;
mod line;
mod lines;
mod names;
mod plan;
mod topics;

pub use entries::{entries_from_csv, entries_to_csv};
pub use findings::findings_from_csv;
pub use folder::{PlanFolder, plan_folder};
pub use kind::{PlanFile, plan_file, plan_id};
pub use lines::{plan_from_csv, plan_lines_from_csv, plan_lines_to_csv};
pub use names::KnownPlans;
pub(super) use plan::PLAN;
pub use plan::plan_from_toml;
pub(super) use topics::TOPIC_LIST;
pub use topics::topics_from_toml;

use super::fault::{At, Fault, Faults, FileRef, Place};
use super::problem::Problem;
use super::read::Source;
use super::text::{nearest, nfc, shown};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Bytes of the longest file: as for all TOML of the folder, and for a table of entries.
const MOST_TOML: u64 = 1 << 20;
const MOST_CSV: u64 = 4 << 20;

/// Where topic lists are looked for.
const TOPIC_LISTS: &str = "the folder `topics/` or be imported";

/// What was read, and what is to be told all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<T> {
    pub value: T,
    /// Faults that refuse nothing.
    pub warnings: Vec<Fault>,
}

/// Reads a file by itself; all faults at once.
fn gather<T>(
    label: &str,
    bytes: &[u8],
    most: u64,
    read: impl FnOnce(&Source<'_>) -> Option<T>,
) -> Result<Told<T>, Vec<Fault>> {
    let faults = Faults::default();
    let file = FileRef { key: label, label };
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let found = if length > most {
        faults.add(file, Place::START, &Problem::TooLarge { bytes: length, most });
        None
    } else {
        Source::decode(file, bytes, &faults).and_then(|source| read(&source))
    };
    match found {
        Some(value) if faults.refused().is_empty() => {
            Ok(Told { value, warnings: faults.into_sorted() })
        }
        _ => Err(faults.into_sorted()),
    }
}

/// Where faults of one file go.
type Sink<'a> = &'a dyn Fn(Place, &Problem);

/// Returns the meaning of a word; case does not matter, the first `listed` are recommended.
fn word<T: Copy>(
    key: &str,
    text: &At<String>,
    words: &[(&'static str, T)],
    listed: usize,
    sink: Sink<'_>,
) -> Option<T> {
    let said = nfc(&text.value).to_lowercase();
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == said) {
        return Some(*meaning);
    }
    let near = nearest(&said, words.iter().map(|(word, _)| *word)).map(str::to_owned);
    let listed: Vec<&str> = words.iter().take(listed).map(|(word, _)| *word).collect();
    let (key, shown) = (key.to_owned(), shown(&text.value));
    sink(text.place, &Problem::Choice { key, text: shown, near, all: listed.join(", ") });
    None
}

/// Notes a text that a spreadsheet would compute: what is read here goes out again as tables. A
/// dash before a space is how documents begin a line.
fn no_formula(text: &At<String>, sink: Sink<'_>) {
    let mut chars = text.value.chars();
    let formula = match chars.next() {
        Some('=' | '@' | '\t' | '\r') => true,
        Some('+' | '-') => chars.next().is_some_and(|next| !next.is_whitespace()),
        _ => false,
    };
    if formula {
        sink(text.place, &Problem::Formula { text: shown(&text.value) });
    }
}

/// Notes an id that stands a second time.
fn unique<T: Ord + Clone + Display>(
    what: &'static str,
    id: &At<T>,
    seen: &mut BTreeMap<T, Place>,
    sink: Sink<'_>,
) {
    if let Some(first) = seen.get(&id.value) {
        let problem = Problem::Duplicate { what, id: id.value.to_string(), first: *first };
        sink(id.place, &problem);
    } else {
        seen.insert(id.value.clone(), id.place);
    }
}

#[cfg(test)]
mod tests;
