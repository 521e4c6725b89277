//! Why nothing was drawn, or findings do not count.

use crate::app::outcome::OutcomeError;
use crate::app::ports::StoreError;
use crate::domain::time::UtcMs;
use crate::draw::{FindingError, GroundError, PopulationError, WalkError};
use crate::log::history::HistoryError;
use crate::report::question::ReportError;
use crate::wire::tlog::CheckpointError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    #[error("{got} plays cannot be drawn, at least 1 and at most {most}")]
    Plays { got: u32, most: u32 },
    #[error("the period from {from:?} to {to:?} is empty or longer than a year")]
    Period { from: UtcMs, to: UtcMs },
    #[error("`{line}` names no plan line")]
    Line { line: String, most: usize },
    #[error("the head of {after:?} would be older than the end of the period, {to:?}")]
    Early { after: UtcMs, to: UtcMs },
    #[error("{after:?} is still to come, it is {now:?}")]
    Future { after: UtcMs, now: UtcMs },
    #[error("no head of the log has been vouched for since {after:?}")]
    NoHead { after: UtcMs },
    #[error("the head of `{shard}` with {size} leaves is not among those kept")]
    Lost { shard: String, size: u64 },
    #[error("the log's head cannot be read")]
    Note(#[source] std::io::Error),
    #[error("the log's head cannot be read")]
    Checkpoint(#[source] CheckpointError),
    #[error("the heads of the log cannot be read")]
    History(#[source] HistoryError),
    #[error("another draw is being made")]
    Busy,
    #[error("the draw takes longer than an answer may, and goes on")]
    Going,
    #[error("the work broke off")]
    BrokeOff,
    #[error("no unit `{unit}`")]
    Unit { unit: String },
    #[error(transparent)]
    Ground(#[from] GroundError),
    #[error(transparent)]
    Population(#[from] PopulationError),
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error("{} findings do not fit the list", .0.len())]
    Findings(Vec<(usize, FindingError)>),
    #[error("{most} files of findings were handed in for this draw already")]
    ManyFindings { most: usize },
    #[error("a draw or findings of {got} bytes are not read")]
    Long { got: usize },
    #[error("the list cannot be put on paper")]
    Paper(#[source] ReportError),
    #[error("this is no draw")]
    Document(#[source] serde_json::Error),
    #[error("a draw of version {v} is not known")]
    Version { v: u8 },
    #[error("record of play {number} cannot be found again")]
    Record { number: u64 },
    #[error("schedules and records could not be read")]
    Outcome(#[from] OutcomeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DrawError {
    /// Says what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Plays { .. } => "30 are usual".to_owned(),
            Self::Period { .. } => "name a period of at most 366 days that is over".to_owned(),
            Self::Line { most, .. } => {
                format!("the words of `plan_line` in the playlist, at most {most} characters")
            }
            Self::Early { .. } => {
                "the head must be unknown while the plays happen: the end of the period or later"
                    .to_owned()
            }
            Self::Future { .. } => "ask again when the period is over".to_owned(),
            Self::NoHead { .. } => {
                "wait until the witnesses have vouched for one: `loa log show`, and the page says \
                 when they are silent"
                    .to_owned()
            }
            Self::Lost { .. } | Self::Note(_) | Self::Checkpoint(_) => {
                "`loa log check` tells whether the log is whole; take what lacks from a backup"
                    .to_owned()
            }
            Self::History(error) => error.hint().to_owned(),
            Self::Going => {
                "ask the same again in half a minute: a question is drawn once".to_owned()
            }
            Self::Busy | Self::BrokeOff => "ask again in a minute".to_owned(),
            Self::Unit { .. } => "`loa unit list` names them".to_owned(),
            Self::Ground(error) => error.hint().to_owned(),
            Self::Population(error) => error.hint().to_owned(),
            Self::Walk(error) => error.hint().to_owned(),
            Self::Findings(faults) => {
                faults.first().map(|(_, error)| error.hint()).unwrap_or_default()
            }
            Self::ManyFindings { .. } => {
                "all stay and the newest counts: draw anew, by another word, to check further"
                    .to_owned()
            }
            Self::Long { .. } => "give the file that was made by the draw".to_owned(),
            Self::Paper(error) => error.hint().to_owned(),
            Self::Document(_) | Self::Version { .. } => {
                "give the file that `loa audit sample --json` wrote, or a newer version of loa"
                    .to_owned()
            }
            Self::Record { .. } => {
                "retention may have deleted it: draw from a younger period".to_owned()
            }
            Self::Outcome(error) => error.hint().to_owned(),
            Self::Store(error) => error.hint().to_owned(),
        }
    }
}
