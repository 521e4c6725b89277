//! `loa audit sample`: plays drawn for a check on the spot, as a walking list.

use super::super::check::profiles_of;
use super::super::data::{DataFolder, DataOption};
use super::super::server::NoClips;
use super::super::trail::command_line;
use super::super::{Answer, failed, print_json, print_text, runtime, wrong_use};
use super::walking::{csv, document_json};
use crate::app::draws::{DrawError, Drawing, Made, Question, VouchedBy};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, StationConfig};
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use chrono::{NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
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
    /// Folder of the station
    #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
    playlists: PathBuf,
    /// Folder of device profiles; `device-profiles`, or the one beside the station, unless given
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    #[command(flatten)]
    data: DataOption,
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

/// Draws.
pub fn run(args: &Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let station = station(&args.playlists, args.profiles.as_deref())?;
    let to_ms = args.to.end(station.zone)?;
    let question = Question {
        from_ms: args.from.begin(station.zone)?,
        to_ms,
        after_ms: args.after.map_or(Ok(to_ms), |after| after.begin(station.zone))?,
        unit: args.unit.clone(),
        plays: args.n,
        word: args.word.clone(),
    };
    let made: Made = runtime()?.block_on(async {
        let store = Arc::new(folder.open_store().await?);
        let witnessed = !station.log.witnesses.is_empty();
        let drawing = Drawing::new(store.clone(), folder.log(), station.zone, witnessed);
        let now = SystemClock::new().now();
        let made = drawing.make(question, &command_line(), now).await.map_err(told);
        store.close().await;
        anyhow::Ok(made?)
    })?;
    show(args, &made)
}

fn show(args: &Args, made: &Made) -> anyhow::Result<Answer> {
    let list = made.document.walking_list().map_err(told)?;
    if args.json {
        print_json(&document_json(&made.document, &list))?;
    } else if args.csv {
        print_text(&csv(&list))?;
    } else {
        let id = &made.document.id;
        print_text(&format!("{}\nBốc thăm số (draw): {id}\n", list.text()))?;
    }
    if !made.new {
        let at = made.stored.made_ms.datetime().format("%Y-%m-%dT%H:%M:%SZ");
        eprintln!("note: this was drawn at {at} by {}; a question is drawn once", made.stored.by);
    }
    if made.document.head.by == VouchedBy::Server {
        eprintln!(
            "note: the station has no witnesses, so the time of the head is its own word; name \
             some in `[log]` of station.toml"
        );
    }
    Ok(Answer::Yes)
}
