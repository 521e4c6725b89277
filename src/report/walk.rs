//! The walking list of an inspector's draw on paper, with room for what is found.
//!
//! Says nothing of how plays are drawn: what stands on the list is handed in. Invariant: text of
//! records is made fit before it is laid out, and the paper names the draw and what it rests on.

use super::words::clean;
use crate::domain::time::UtcMs;
use chrono::NaiveDateTime;
use chrono_tz::Tz;

/// A play to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Its number on the list.
    pub play: u32,
    /// When it was due, by the clock on the wall there.
    pub began: NaiveDateTime,
    pub title: String,
    /// Where its record stands in the log.
    pub index: u64,
}

/// A cluster to go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What the inspector writes down.
    pub code: String,
    pub device: String,
    pub name: String,
    pub place: String,
    pub visits: Vec<Visit>,
}

/// The list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkSheet {
    /// Number of the draw.
    pub draw: String,
    /// What was asked and found: label and value.
    pub facts: Vec<(&'static str, String)>,
    pub stops: Vec<Stop>,
    /// The lines whose SHA-256 is the seed, and that hash: public, both.
    pub ground: Vec<String>,
    pub lot: String,
    /// When the head that decides was vouched for.
    pub at: UtcMs,
    pub zone: Tz,
}

impl WalkSheet {
    /// Makes every text fit for paper.
    #[must_use]
    pub fn fit(mut self) -> Self {
        for (_, value) in &mut self.facts {
            *value = clean(value);
        }
        for stop in &mut self.stops {
            for text in [&mut stop.code, &mut stop.device, &mut stop.name, &mut stop.place] {
                *text = clean(text);
            }
            for visit in &mut stop.visits {
                visit.title = clean(&visit.title);
            }
        }
        for line in &mut self.ground {
            *line = clean(line);
        }
        self
    }
}
