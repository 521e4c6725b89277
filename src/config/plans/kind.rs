//! What a file is by its name and its bytes: a plan, lines of one, or a topic list.

use super::super::text::slug;
use crate::domain::ids::PlanId;
use toml::de::{DeTable, DeValue};

/// What somebody gives when asked for plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlanFile {
    /// A topic list; before plans, since these speak of them.
    Topics,
    /// A plan, or what tries to be one.
    Plan,
    /// A table of lines, whose head comes from elsewhere.
    Lines,
}

/// Says what a file is. What is no TOML at all counts as a plan, so that its reader tells why.
pub fn plan_file(name: &str, bytes: &[u8]) -> PlanFile {
    if name.to_lowercase().ends_with(".csv") {
        return PlanFile::Lines;
    }
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let (table, _) = DeTable::parse_recoverable(text.trim_start_matches('\u{feff}'));
    match table.get_ref().get("topics").map(toml::Spanned::get_ref) {
        Some(DeValue::Array(_)) => PlanFile::Topics,
        _ => PlanFile::Plan,
    }
}

/// Returns the id that a file's name gives its plan, as in the folder `plans/`.
pub fn plan_id(name: &str) -> Option<PlanId> {
    let stem = [".toml", ".csv"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    slug(stem).parse().ok()
}
