//! `loa audit sample`: plays drawn for a check on the spot, as a walking list.
//!
//! Out of a server's data, where the draw is kept and logged, or out of a pack, anywhere.

mod offline;

use super::super::check::profiles_of;
use super::super::data::{DataFolder, DataOption};
use super::super::server::NoClips;
use super::super::trail::command_line;
use super::super::{Answer, failed, print_json, print_text, runtime, wrong_use};
use super::walking::{csv, document_json};
use crate::app::draws::{Document, DrawError, Drawing, Made, Question, VouchedBy, pdf};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, StationConfig};
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use anyhow::Context as _;
use chrono::{NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Draws plays at random for a check on the spot, and prints a walking list
///
/// The plays are drawn by a head of the log that was signed after the period, so nobody could
/// prepare. The same question is drawn once: asked again, it gives the draw that was made, and each
/// draw is in the log for everybody to see.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many plays to draw
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    n: u32,
    /// First day of the period, `2027-05-01`, or an instant with offset
    #[arg(long, value_name = "DATE")]
    from: Bound,
    /// Last day of the period, or the first instant after it
    #[arg(long, value_name = "DATE")]
    to: Bound,
    /// Only a unit with all below it
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    /// The first head signed from the beginning of this day on decides; the day after the period
    /// unless said. Devices that were offline bring their records late: a week later more count
    #[arg(long, value_name = "DATE")]
    after: Option<Bound>,
    /// A word of your own that enters the draw: dice, a headline. At most 200 characters
    #[arg(long, value_name = "TEXT", default_value = "")]
    word: String,
    /// Only plays of this plan line, in the words in which playlists name it
    #[arg(long, value_name = "LINE")]
    plan_line: Option<String>,
    /// Draw out of a pack instead, without a server: the same question gives the same draw.
    /// Nothing is kept; `loa audit findings` takes the file of `--json`
    #[arg(long, value_name = "FILE", requires = "policy")]
    pack: Option<PathBuf>,
    /// Policy file by which the pack counts; take it from elsewhere than the pack
    #[arg(long, value_name = "FILE", requires = "pack")]
    policy: Option<PathBuf>,
    /// Zone of days and hours, with `--pack`
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh", requires = "pack")]
    zone: Tz,
    /// Folder of the station
    #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
    playlists: PathBuf,
    /// Folder of device profiles; `device-profiles`, or the one beside the station, unless given
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    #[command(flatten)]
    data: DataOption,
    /// Write the list as PDF, with room for what is found; never overwritten
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
    /// Print a table to fill in: code, play, finding, by, date, note
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Turns an error of a draw into one of the command.
pub fn told(error: DrawError) -> anyhow::Error {
    let hint = error.hint();
    match error {
        DrawError::Store(_) | DrawError::Outcome(_) | DrawError::BrokeOff => failed(error, hint),
        error => wrong_use(format!("{:#}", anyhow::Error::from(error)), hint),
    }
}

/// Reads the station file of a folder.
fn station(playlists: &Path, profiles: Option<&Path>) -> anyhow::Result<StationConfig> {
    let loaded = config::load(playlists, &profiles_of(playlists, profiles), &mut NoClips);
    loaded.config.ok_or_else(|| {
        wrong_use(
            format!("`{}` has no valid station", playlists.display()),
            "name the station folder with `--playlists DIR`; `loa check` lists its faults",
        )
    })
}

/// A day, or an instant.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Day(NaiveDate),
    At(UtcMs),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(day) = text.parse() {
            return Ok(Self::Day(day));
        }
        let at = chrono::DateTime::parse_from_rfc3339(text);
        let at = at.map(|at| Self::At(UtcMs(at.timestamp_millis())));
        at.map_err(|_| "a day as in `2027-05-01`, or `2027-05-01T17:00:00+07:00`".to_owned())
    }
}

impl Bound {
    /// Returns the instant, or the first one of the local day.
    fn begin(self, zone: Tz) -> anyhow::Result<UtcMs> {
        let day = match self {
            Self::At(at) => return Ok(at),
            Self::Day(day) => day,
        };
        let at = zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest();
        let at = at.ok_or_else(|| wrong_use(format!("{day} has no midnight"), "name another"))?;
        Ok(UtcMs(at.timestamp_millis()))
    }

    /// Returns the instant, or the first one after the local day.
    fn end(self, zone: Tz) -> anyhow::Result<UtcMs> {
        let Self::Day(day) = self else { return self.begin(zone) };
        let next = day.succ_opt();
        let next = next.ok_or_else(|| wrong_use(format!("{day} is the last day"), "name another"));
        Self::Day(next?).begin(zone)
    }
}

fn question(args: &Args, zone: Tz) -> anyhow::Result<Question> {
    let to_ms = args.to.end(zone)?;
    Ok(Question {
        from_ms: args.from.begin(zone)?,
        to_ms,
        after_ms: args.after.map_or(Ok(to_ms), |after| after.begin(zone))?,
        unit: args.unit.clone(),
        plays: args.n,
        word: args.word.clone(),
        line: args.plan_line.as_deref().map(config::nfc),
    })
}

/// Draws.
pub fn run(args: &Args) -> anyhow::Result<Answer> {
    let now = SystemClock::new().now();
    if let (Some(pack), Some(policy)) = (&args.pack, &args.policy) {
        let question = question(args, args.zone)?;
        let document = offline::make(pack, policy, question, args.zone, now)?;
        return show(args, &document, args.zone);
    }
    let folder = DataFolder::existing(&args.data.data)?;
    let station = station(&args.playlists, args.profiles.as_deref())?;
    let question = question(args, station.zone)?;
    let made: Made = runtime()?.block_on(async {
        let store = Arc::new(folder.open_store().await?);
        let witnessed = !station.log.witnesses.is_empty();
        let drawing = Drawing::new(store.clone(), folder.log(), station.zone, witnessed);
        let made = drawing.make(question, &command_line(), now).await.map_err(told);
        store.close().await;
        anyhow::Ok(made?)
    })?;
    if !made.new {
        let at = made.stored.made_ms.datetime().format("%Y-%m-%dT%H:%M:%SZ");
        eprintln!("note: this was drawn at {at} by {}; a question is drawn once", made.stored.by);
    }
    show(args, &made.document, station.zone)
}

fn show(args: &Args, document: &Document, zone: Tz) -> anyhow::Result<Answer> {
    if let Some(path) = &args.pdf {
        let bytes = pdf(document, zone).map_err(told)?;
        let made = OpenOptions::new().write(true).create_new(true).open(path);
        let written = made.and_then(|mut file| file.write_all(&bytes));
        written.with_context(|| format!("writing `{}`", path.display()))?;
    }
    let list = document.walking_list().map_err(told)?;
    if args.json {
        print_json(&document_json(document, &list))?;
    } else if args.csv {
        print_text(&csv(&list))?;
    } else {
        print_text(&format!("{}\nBốc thăm số (draw): {}\n", list.text(), document.id))?;
    }
    if document.head.by == VouchedBy::Server {
        eprintln!(
            "note: the station has no witnesses, so the time of the head is its own word; name \
             some in `[log]` of station.toml"
        );
    }
    Ok(Answer::Yes)
}
