//! Makes reports: gathers what a document is made of, renders it, and puts its hash into the log.
//!
//! Leaves what documents say to [`crate::report`], days added up to [`super::rollup`].
//!
//! # Invariants
//! * A file that is handed out is in the log by its hash, with the checkpoint it was made from, and
//!   in the trail with who asked; the same file again adds nothing.
//! * As long as nothing of an answer has changed, and no local midnight has passed that could count,
//!   the same question gives the same bytes, whatever else goes on at the station, and after a
//!   restart.
//!
//! # Why an answer is made with the former cut-off first
//! Cut-off and checkpoint stand in the file. A station gets a heartbeat a second, so a file made
//! with the newest head would differ every second without saying anything else, and each would be
//! logged. Made again as of the last time, an unchanged answer is the same file; anything new in it
//! makes another one, with the head of now.

mod heard;
mod notices;
mod plans;
mod runs;

pub use heard::{MOST_DEVICES, Spot, locate};

use super::logbook;
use super::outcome::OutcomeError;
use super::ports::{ReportFile, Store, StoreError};
use super::rollup::{Loaded, Rollup, RollupError};
use super::trail::Actor;
use crate::domain::ids::UnitId;
use crate::domain::proof::outcome::FINAL_MS;
use crate::domain::time::UtcMs;
use crate::report::document::{Document, ReportKind};
use crate::report::evidence::Evidence;
use crate::report::letter::Letter;
use crate::report::period::{Period, day_of};
use crate::report::places::Places;
use crate::report::question::{Checkpoint, Question, ReportError, Standing};
use crate::report::render::{Format, Rendered, render};
use crate::report::yearly::Additions;
use crate::report::{as_run, compare, coverage, diary, pay, urgent, yearly};
use crate::wire::tlog::SignedCheckpoint;
use chrono_tz::Tz;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Days of devices that an as-run log judges at once.
pub const MOST_DEVICE_DAYS: i64 = 6_000;
/// Reports made at the same time.
const AT_ONCE: usize = 2;
/// How often the log is looked at while a report waits for its head.
const LOOK: Duration = Duration::from_millis(100);

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    pub kind: ReportKind,
    pub unit: UnitId,
    pub period: Period,
    pub format: Format,
    pub zone: Tz,
    /// For [`ReportKind::Heard`]: where and when.
    pub spot: Option<Spot>,
    /// For [`ReportKind::Yearly`]: head and foot, and what only people know.
    pub form: Form,
    /// Refuse an answer whose numbers may still change.
    pub only_final: bool,
}

/// What people add to a yearly report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Form {
    #[serde(flatten)]
    pub letter: LetterForm,
    /// Difficulties, a paragraph each.
    pub difficulties: Vec<String>,
    /// Proposals, a paragraph each.
    pub proposals: Vec<String>,
}

/// Head and foot of a letter; what lacks is filled in from the unit, or stays open for a hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LetterForm {
    pub above: Option<String>,
    pub agency: Option<String>,
    pub number: Option<u32>,
    pub symbol: Option<String>,
    pub place: Option<String>,
    pub date: Option<chrono::NaiveDate>,
    pub to: Vec<String>,
    pub about: Option<String>,
    pub grounds: Vec<String>,
    pub recipients: Vec<String>,
    pub archive: Option<String>,
    pub behalf: Option<String>,
    pub office: Option<String>,
    pub signer: Option<String>,
}

/// A file, and what it says of itself.
#[derive(Clone, Debug)]
pub struct Made {
    pub rendered: Rendered,
    pub standing: Standing,
    pub cut_off: UtcMs,
    pub head: Option<Checkpoint>,
}

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportsError {
    #[error("the report cannot be made")]
    Report(#[from] ReportError),
    #[error("its rows could not be read")]
    Rollup(#[from] RollupError),
    #[error("its rows could not be read")]
    Store(#[from] StoreError),
    #[error("plays could not be judged")]
    Outcome(#[from] OutcomeError),
    #[error(
        "`{devices}` devices over `{days}` days: at most `{MOST_DEVICE_DAYS}` days of devices are listed one by one"
    )]
    TooMuch { devices: usize, days: i64 },
    #[error("more than `{most}` {what} lie in the period")]
    TooMany { what: &'static str, most: usize },
    #[error("`{devices}` devices stand there: at most {MOST_DEVICES} are asked what sounded")]
    Wide { devices: usize },
    #[error("nothing is known of a place `{words}`")]
    NoPlace { words: String },
    #[error("`{words}` may be {found}")]
    Ambiguous { words: String, found: String },
    #[error("its numbers may still change")]
    Provisional,
    #[error("a report that you asked for is still being made")]
    Busy,
    #[error("making it was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl ReportsError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Report(error) => error.hint(),
            Self::Rollup(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Outcome(error) => error.hint(),
            Self::TooMuch { .. } => "ask for a commune, or for fewer days",
            Self::TooMany { .. } => "ask for fewer days",
            Self::Wide { .. } => "name a commune, a hamlet or a device",
            Self::NoPlace { .. } => {
                "a device's id, a unit's code, or words of the name of either; `loa device list`"
            }
            Self::Ambiguous { .. } => "name one of them by its id or code",
            Self::Provisional => {
                "ask when the days are over and all records are in, at the latest 30 days after, or \
                 without `final`"
            }
            Self::Busy => "wait for it",
            Self::Interrupted(_) => "try again",
        }
    }
}

/// What one question is: equal questions have equal text.
#[derive(Serialize)]
struct Asked<'a> {
    kind: &'static str,
    unit: &'a str,
    period: Period,
    format: &'static str,
    zone: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    spot: Option<&'a Spot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<&'a Form>,
}

/// Makes reports over a store.
pub struct Reports {
    rollup: Arc<Rollup>,
    /// Who has a report in the making: one at a time each.
    busy: Mutex<BTreeSet<String>>,
    /// Reports in the making: each may hold a year of a province in memory.
    turns: Arc<Semaphore>,
}

/// Everything that a document is made of, apart from what was asked.
struct Rows {
    places: Places,
    loaded: Loaded,
    topics: BTreeMap<String, String>,
    lines: Vec<compare::PlanLine>,
    manual: Vec<crate::report::manual::Manual>,
    notices: Vec<urgent::Notice>,
    runs: Vec<as_run::Run>,
    heard: Option<heard::Heard>,
    letter: Letter,
}

impl Reports {
    /// Returns reports over roll-ups.
    pub fn new(rollup: Arc<Rollup>) -> Self {
        Self { rollup, busy: Mutex::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Returns the roll-ups below.
    pub fn rollup(&self) -> &Rollup {
        &self.rollup
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.rollup.store()
    }

    /// Makes a report, logs its hash unless it was logged before.
    pub async fn make(
        &self,
        ask: &Ask,
        log: &LogAt,
        now: UtcMs,
        who: &Actor,
    ) -> Result<Made, ReportsError> {
        let _busy = self.busy(who)?;
        // Held by the work, which goes on when whoever asked has gone.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok().map(Arc::new);
        let rows = Arc::new(self.rows(ask, now).await?);
        let question = asked(ask);
        if let Some(last) = self.store().last_report(&question).await?
            && still_counts(ask, last.cut_ms, now)
        {
            let again =
                self.build(ask, &rows, turn.as_ref(), last.cut_ms, last.head.clone()).await?;
            if again.rendered.sha256 == last.sha256 {
                return settled(ask, again);
            }
        }
        let head = log.head(&**self.store()).await?;
        let made = settled(ask, self.build(ask, &rows, turn.as_ref(), now, head).await?)?;
        let Rendered { file, bytes, sha256, .. } = &made.rendered;
        let report = ReportFile {
            sha256: *sha256,
            question,
            name: file.clone(),
            bytes: bytes.len() as u64,
            made_ms: now,
            made_by: who.who.clone(),
            cut_ms: now,
            head: made.head.clone(),
        };
        let leaf = match &made.head {
            Some(head) => Some(logbook::reported(file, *sha256, head, now)?),
            None => None,
        };
        let entry = who.did(now, "make-report", file).after(sha256);
        self.store().put_report(&report, leaf.as_ref(), &entry).await?;
        Ok(made)
    }

    fn busy(&self, who: &Actor) -> Result<Busy<'_>, ReportsError> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if !busy.insert(who.who.clone()) {
            return Err(ReportsError::Busy);
        }
        Ok(Busy { reports: self, who: who.who.clone() })
    }

    async fn build(
        &self,
        ask: &Ask,
        rows: &Arc<Rows>,
        turn: Option<&Arc<OwnedSemaphorePermit>>,
        cut_off: UtcMs,
        head: Option<Checkpoint>,
    ) -> Result<Made, ReportsError> {
        let (ask, rows, turn) = (ask.clone(), Arc::clone(rows), turn.cloned());
        let build = tokio::task::spawn_blocking(move || {
            let document = rows.document(&ask, cut_off, head.clone())?;
            let rendered = render(&document, ask.format)?;
            drop(turn);
            Ok::<_, ReportError>(Made { rendered, standing: document.standing, cut_off, head })
        });
        Ok(build.await??)
    }

    async fn rows(&self, ask: &Ask, now: UtcMs) -> Result<Rows, ReportsError> {
        let places = self.rollup.places(ask.zone).await?;
        let unit = places.unit_no(&ask.unit);
        let unit = unit.ok_or_else(|| ReportError::NoUnit { unit: ask.unit.clone() })?;
        let scope = places.scope(unit);
        let mut rows = Rows {
            letter: letter(&ask.form.letter, &places, &ask.unit),
            places,
            loaded: Loaded::default(),
            topics: BTreeMap::new(),
            lines: Vec::new(),
            manual: Vec::new(),
            notices: Vec::new(),
            runs: Vec::new(),
            heard: None,
        };
        use ReportKind as Kind;
        match ask.kind {
            Kind::Heard => rows.heard = Some(self.heard(ask, &rows.places, now).await?),
            Kind::AsRun => {
                (rows.runs, rows.loaded.contents) =
                    self.runs(ask, &rows.places, &scope, now).await?;
            }
            Kind::Urgent => rows.notices = self.notices(ask, &rows.places, now).await?,
            Kind::Diary | Kind::Pay | Kind::Compare | Kind::Coverage | Kind::Yearly => {
                let inside = |page: &super::ports::PageKey| {
                    rows.places.unit_no(&page.unit).is_some_and(|unit| scope.holds(unit))
                };
                let settled =
                    self.rollup.settle(&rows.places, ask.zone, ask.period, inside, now).await?;
                tracing::debug!(settled, "Brought roll-ups up to date for a report");
                let ordered = self.ordered().await?;
                (rows.lines, rows.topics) = (ordered.lines, ordered.topics);
                if matches!(ask.kind, Kind::Compare | Kind::Yearly) {
                    rows.manual = self.by_hand(ask.period).await?;
                }
                let (places, period) = (&rows.places, ask.period);
                rows.loaded = self.rollup.load(places, &scope, period, ordered.renamed).await?;
                if matches!(ask.kind, Kind::Diary | Kind::Yearly) {
                    rows.notices = self.notices(ask, &rows.places, now).await?;
                }
            }
        }
        Ok(rows)
    }
}

impl Rows {
    fn document(
        &self,
        ask: &Ask,
        cut_off: UtcMs,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Document, ReportError> {
        let question = Question {
            scope: ask.unit.clone(),
            period: ask.period,
            zone: ask.zone,
            cut_off,
            checkpoint,
        };
        let evidence = Evidence {
            places: &self.places,
            contents: &self.loaded.contents,
            rollups: &self.loaded.rollups,
            topics: &self.topics,
        };
        match ask.kind {
            ReportKind::Diary => diary::diary(&question, evidence, &self.notices),
            ReportKind::Pay => pay::pay(&question, evidence),
            ReportKind::Heard => match &self.heard {
                Some(heard) => heard.document(&question, &self.places),
                None => Err(ReportError::NoUnit { unit: ask.unit.clone() }),
            },
            ReportKind::Compare => compare::compare(&question, evidence, &self.lines, &self.manual),
            ReportKind::AsRun => as_run::as_run(&question, evidence, &self.runs),
            ReportKind::Coverage => coverage::coverage(&question, evidence),
            ReportKind::Urgent => urgent::urgent(&question, &self.places, &self.notices),
            ReportKind::Yearly => {
                let additions = Additions {
                    letter: self.letter.clone(),
                    lines: &self.lines,
                    notices: &self.notices,
                    manual: &self.manual,
                    difficulties: &ask.form.difficulties,
                    proposals: &ask.form.proposals,
                };
                yearly::yearly(&question, evidence, additions)
            }
        }
    }
}

fn asked(ask: &Ask) -> String {
    let asked = Asked {
        kind: ask.kind.as_str(),
        unit: ask.unit.as_str(),
        period: ask.period,
        format: ask.format.as_str(),
        zone: ask.zone.name(),
        spot: ask.spot.as_ref(),
        form: Some(&ask.form).filter(|_| ask.kind == ReportKind::Yearly),
    };
    serde_json::to_string(&asked).expect("texts and numbers are always JSON")
}

/// Says whether an answer as of then may still be the answer: what time alone changes is how days
/// stand to the cut-off, and when nothing that comes later counts any more.
fn still_counts(ask: &Ask, cut_off: UtcMs, now: UtcMs) -> bool {
    let (_, end) = ask.period.instants(ask.zone);
    let aged = |at: UtcMs| end.plus(FINAL_MS) <= at;
    let same_day = day_of(cut_off, ask.zone) == day_of(now, ask.zone);
    same_day || (end <= cut_off && aged(cut_off) == aged(now))
}

/// Fills a letter in from the unit.
fn letter(form: &LetterForm, places: &Places, unit: &UnitId) -> Letter {
    let known = places.unit_no(unit).and_then(|no| places.unit(no));
    let name = known.map_or_else(|| unit.to_string(), |unit| unit.name.clone());
    let parent = known.and_then(|unit| unit.parent.as_ref());
    let parent = parent.and_then(|id| places.unit_no(id)).and_then(|no| places.unit(no));
    let committee = |name: &str| format!("ỦY BAN NHÂN DÂN {}", name.to_uppercase());
    let or = |given: &Option<String>, own: &str| given.clone().unwrap_or_else(|| own.to_owned());
    let bare = name.split_once(' ').map_or(name.as_str(), |(kind, rest)| {
        if ["xã", "phường", "tỉnh", "huyện"].contains(&kind.to_lowercase().as_str()) {
            rest
        } else {
            name.as_str()
        }
    });
    Letter {
        above: form.above.clone().or_else(|| parent.map(|unit| committee(&unit.name))),
        agency: or(&form.agency, &committee(&name)),
        number: form.number,
        symbol: or(&form.symbol, "BC-UBND"),
        place: or(&form.place, bare),
        date: form.date,
        to: form.to.clone(),
        about: or(&form.about, "Kết quả tuyên truyền trên hệ thống truyền thanh và bảng điện tử"),
        grounds: form.grounds.clone(),
        recipients: form.recipients.clone(),
        archive: or(&form.archive, "VT"),
        behalf: form.behalf.clone().or_else(|| Some("TM. ỦY BAN NHÂN DÂN".to_owned())),
        office: or(&form.office, "CHỦ TỊCH"),
        signer: form.signer.clone(),
    }
}

/// Refuses what was to be final and is not.
fn settled(ask: &Ask, made: Made) -> Result<Made, ReportsError> {
    if ask.only_final && made.standing != Standing::Final {
        return Err(ReportsError::Provisional);
    }
    Ok(made)
}

/// Whose report is in the making; over when dropped.
struct Busy<'a> {
    reports: &'a Reports,
    who: String,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut busy = self.reports.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.who);
    }
}

/// Where the log lies.
#[derive(Clone, Debug)]
pub struct LogAt {
    pub folder: PathBuf,
    /// How long to wait for what is known now to be under a signed head.
    pub patience: Duration,
}

impl LogAt {
    /// Returns the newest signed head, when it can be one that holds all that is known now; `None`
    /// before the first.
    async fn head(&self, store: &dyn Store) -> Result<Option<Checkpoint>, StoreError> {
        let newest = store.newest_leaf().await?;
        let mut waited = Duration::ZERO;
        let shard = loop {
            let shard = store.shards().await?.pop();
            let logged = shard.as_ref().map_or(0, |shard| shard.logged);
            if newest <= logged || self.patience <= waited {
                break shard;
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        };
        let Some(shard) = shard else { return Ok(None) };
        let path = self.folder.join(&shard.name).join("checkpoint");
        let read = tokio::task::spawn_blocking(move || {
            let mut note = Vec::new();
            let file = std::fs::File::open(path)?;
            let mut bounded = std::io::Read::take(file, crate::wire::tlog::NOTE_BYTES as u64);
            std::io::Read::read_to_end(&mut bounded, &mut note)?;
            Ok::<_, std::io::Error>(note)
        });
        let head = read.await.ok().and_then(Result::ok);
        let head = head.and_then(|note| SignedCheckpoint::parse(&note).ok());
        Ok(head.map(|head| {
            let tree = head.checkpoint();
            let (origin, root) = (tree.origin.to_string(), tree.root.to_string());
            Checkpoint { origin, size: tree.size, root }
        }))
    }
}
