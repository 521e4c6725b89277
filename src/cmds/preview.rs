//! `loa preview`: what the pages of a playlist look like on a board, pixel by pixel.
//!
//! The engine that draws on boards draws here, so that pictures and boards agree to the pixel, and
//! a frame's hash is the one that a board records. Dates, times and counts are those of `--at`;
//! values that a server reads for boards (`{temp}`) stand as they do when there is none.

use super::check::profiles_of;
use super::clips::Measured;
use super::overlay::RegisterOption;
use super::{Answer, failed, print_json, print_text, table, wrong_use};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, LastGood};
use crate::domain::ids::{ItemId, PlaylistId, ProfileId};
use crate::domain::playlist::{Content, Item, Page, Playlist};
use crate::domain::profile::Profile;
use crate::domain::recurrence::wall;
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::raster::encode::{self, EncodeError, Limits, Look};
use crate::raster::{Board, Design, Faces, Pass, Scene};
use chrono::{DateTime, NaiveDateTime};
use chrono_tz::Tz;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How long the local time that a preview shows may be asked for: a pass lasts a day at the most.
const AHEAD_MS: i64 = 2 * 86_400_000;

/// Draws the pages of a playlist as boards will show them
///
/// Makes one moving picture (APNG) of each kind of board that the playlist reaches, or a picture
/// of each page. Needs no server and no board. An earlier preview of the same name is replaced.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The playlist: its id or its file
    #[arg(value_name = "PLAYLIST")]
    playlist: String,
    /// Profile of the board; every board that the playlist reaches unless given
    #[arg(long, value_name = "PROFILE")]
    board: Option<ProfileId>,
    /// Only this item
    #[arg(long, value_name = "ITEM")]
    item: Option<ItemId>,
    /// `apng`: one moving picture of everything; `png`, `svg`: the beginning of each page;
    /// `text`: the same with `#` and `.`, printed
    #[arg(long, value_enum, default_value = "apng")]
    format: Format,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// When the first page begins, for dates, times and counts: `2026-11-22T05:00` or RFC 3339;
    /// now unless given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Each lamp so many pixels wide and high
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(1..=16))]
    scale: u32,
    /// The station folder
    #[arg(long, value_name = "DIR", default_value = "playlists")]
    playlists: PathBuf,
    /// Folder of device profiles; `device-profiles` here or beside the station folder unless given
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    #[command(flatten)]
    register: RegisterOption,
    /// Print `[{board, item?, page?, file?, text?, frames, ms, whole, frame}]`
    #[arg(long)]
    json: bool,
}

/// What a preview is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Apng,
    Png,
    Svg,
    Text,
}

/// What was made. `ms` is how long it stands; `whole` is false where a moving picture was cut;
/// `frame` is the hash of its first frame, as a board records it.
#[derive(Debug, Serialize)]
struct Made {
    board: ProfileId,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<ItemId>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    frames: usize,
    ms: i64,
    whole: bool,
    frame: String,
}

/// A page in its turn.
struct Turn<'a> {
    item: &'a Item,
    /// From 1.
    number: usize,
    design: Design,
    scene: Scene,
}

/// Draws what the arguments name.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let id = playlist_id(&args.playlist)?;
    let station = station(&args, &id)?;
    let Some(playlist) = station.playlists.get(&id) else { return Err(unknown(&id, &station)) };
    let at = match &args.at {
        None => SystemClock::new().now(),
        Some(text) => instant(text, station.zone)?,
    };
    let items: Vec<(&Item, &[Page])> = pages(playlist, args.item.as_ref())?;
    let mut made = Vec::new();
    for profile in boards(&station, playlist, args.board.as_ref())? {
        let Some(board) = &profile.board else { continue };
        let (grid, faces) = (Board::from(board), Faces::of_profile(board));
        let turns = turns(&items, &grid, &faces, at, station.zone);
        draw(&args, &id, profile, &grid, &faces, &turns, &mut made)?;
    }
    if args.json {
        print_json(&made)?;
    } else {
        print_text(&shown(&made))?;
        for one in made.iter().filter(|one| !one.whole) {
            eprintln!("note: the picture for `{}` was cut: name one `--item`", one.board);
        }
    }
    Ok(Answer::Yes)
}

/// Reads a playlist's id, or the name of its file.
fn playlist_id(text: &str) -> anyhow::Result<PlaylistId> {
    let name = Path::new(text).file_name().and_then(|name| name.to_str()).unwrap_or(text);
    config::playlist_id(name).or_else(|| name.parse().ok()).ok_or_else(|| {
        wrong_use(
            format!("`{text}` is not a playlist"),
            "name its id (`tin-sang`) or its file (`playlists/tin-sang.toml`)",
        )
    })
}

/// Reads the folder that the playlist lies in.
fn station(args: &Args, id: &PlaylistId) -> anyhow::Result<Station> {
    let given = Path::new(&args.playlist);
    let beside = given.parent().filter(|dir| given.is_file() && !dir.as_os_str().is_empty());
    let folder = beside.unwrap_or(&args.playlists);
    let profiles = profiles_of(folder, args.profiles.as_deref());
    let (overlay, last) = (args.register.overlay()?, LastGood::default());
    let mut clips = Measured::default();
    let loaded = config::load_over(folder, &profiles, &mut clips, &last, &overlay);
    let own = format!("{id}.toml");
    let refused = loaded.faults.iter().filter(|fault| fault.refuses);
    let first = refused.clone().find(|fault| fault.file.ends_with(&own)).or(refused.clone().next());
    match (loaded.station, first) {
        (Some(station), first) if station.playlists.contains_key(id) || first.is_none() => {
            Ok(station)
        }
        (_, first) => {
            let told = first.map_or_else(|| "no station".to_owned(), ToString::to_string);
            let hint = first.and_then(|fault| fault.hint.clone());
            let hint = hint.unwrap_or_else(|| "`loa check` lists all faults".to_owned());
            Err(failed(anyhow::Error::msg(told), hint))
        }
    }
}

fn unknown(id: &PlaylistId, station: &Station) -> anyhow::Error {
    let names: Vec<&str> = station.playlists.keys().take(8).map(PlaylistId::as_str).collect();
    let more = if station.playlists.len() > names.len() { " …" } else { "" };
    let hint = match names.as_slice() {
        [] => "the folder has no playlist".to_owned(),
        names => format!("the folder has {}{more}", names.join(", ")),
    };
    wrong_use(format!("no playlist `{id}`"), hint)
}

fn instant(text: &str, zone: Tz) -> anyhow::Result<UtcMs> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(UtcMs(at.timestamp_millis()));
    }
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = local.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    local.map(|local| wall::first(zone, local)).ok_or_else(|| {
        wrong_use(format!("`--at {text}` is not a time"), "`2026-11-22T05:00`, or RFC 3339")
    })
}

/// Returns the items that are shown.
fn pages<'a>(
    playlist: &'a Playlist,
    wanted: Option<&ItemId>,
) -> anyhow::Result<Vec<(&'a Item, &'a [Page])>> {
    let shown = playlist.items.iter().filter_map(|item| match &item.content {
        Content::Pages(pages) => Some((item, pages.as_slice())),
        Content::Clip { .. } => None,
    });
    let items: Vec<_> =
        shown.filter(|(item, _)| wanted.is_none_or(|wanted| item.id == *wanted)).collect();
    if !items.is_empty() {
        return Ok(items);
    }
    let what = wanted.map_or_else(String::new, |wanted| format!(" `{wanted}`"));
    Err(wrong_use(
        format!("playlist `{}` has no item{what} with pages", playlist.id),
        "pages stand under `[[items.pages]]`",
    ))
}

/// Returns the kinds of boards that are meant.
fn boards<'a>(
    station: &'a Station,
    playlist: &Playlist,
    wanted: Option<&ProfileId>,
) -> anyhow::Result<Vec<&'a Profile>> {
    let with_board = |profile: &&Profile| profile.board.is_some();
    let all: Vec<&Profile> = station.profiles.values().filter(with_board).collect();
    let names = |profiles: &[&Profile]| {
        let names: Vec<&str> = profiles.iter().map(|profile| profile.id.as_str()).collect();
        names.join(", ")
    };
    if let Some(wanted) = wanted {
        return match all.iter().find(|profile| profile.id == *wanted) {
            Some(profile) => Ok(vec![profile]),
            None => Err(wrong_use(
                format!("no profile `{wanted}` of a board"),
                format!("boards: {}", names(&all)),
            )),
        };
    }
    let reached =
        station.devices.values().filter(|device| station.means(&playlist.targets, device));
    let ids: BTreeSet<&ProfileId> = reached.map(|device| &device.profile).collect();
    let found: Vec<&Profile> =
        all.iter().copied().filter(|profile| ids.contains(&profile.id)).collect();
    if found.is_empty() {
        return Err(wrong_use(
            format!("playlist `{}` reaches no board", playlist.id),
            format!("name one with `--board`: {}", names(&all)),
        ));
    }
    Ok(found)
}

/// Puts the pages in their order: each begins when the one before has passed.
fn turns<'a>(
    items: &[(&'a Item, &'a [Page])],
    board: &Board,
    faces: &Faces,
    at: UtcMs,
    zone: Tz,
) -> Vec<Turn<'a>> {
    let local = wall::offsets(zone, at, at.plus(AHEAD_MS));
    let mut turns = Vec::new();
    let mut now = at;
    for (item, pages) in items {
        for (number, page) in (1..).zip(*pages) {
            let (design, scene) = (Design::from(page), Scene::with(now, local.clone()));
            now = now.plus(Pass::new(&design, board, faces, &scene).duration_ms());
            turns.push(Turn { item, number, design, scene });
        }
    }
    turns
}

fn draw(
    args: &Args,
    id: &PlaylistId,
    profile: &Profile,
    board: &Board,
    faces: &Faces,
    turns: &[Turn<'_>],
    made: &mut Vec<Made>,
) -> anyhow::Result<()> {
    let look = Look { scale: args.scale, ..Look::default() };
    let passes: Vec<Pass<'_>> =
        turns.iter().map(|t| Pass::new(&t.design, board, faces, &t.scene)).collect();
    let drawn = |error: EncodeError| {
        let hint = error.hint();
        failed(error, hint)
    };
    if args.format == Format::Apng {
        let Some(first) = passes.first() else { return Ok(()) };
        let frames = passes.iter().flat_map(Pass::frames);
        let moving = encode::moving(frames, look, Limits::default()).map_err(drawn)?;
        let name = match &args.item {
            None => format!("{id}_{}.png", profile.id),
            Some(item) => format!("{id}_{item}_{}.png", profile.id),
        };
        made.push(Made {
            board: profile.id.clone(),
            item: args.item.clone(),
            page: None,
            file: Some(written(&args.out, &name, &moving.file)?),
            text: None,
            frames: moving.frames,
            ms: moving.duration_ms,
            whole: moving.whole,
            frame: first.first().hash().to_string(),
        });
        return Ok(());
    }
    for (turn, pass) in turns.iter().zip(&passes) {
        let frame = pass.first();
        let stem = format!("{id}_{}_{}_{}", turn.item.id, turn.number, profile.id);
        let (ending, bytes) = match args.format {
            Format::Svg => {
                let title = format!("{}: {}", turn.item.title, turn.design.text);
                ("svg", encode::svg(&frame, look, &title).into_bytes())
            }
            Format::Text => ("", Vec::new()),
            Format::Png | Format::Apng => ("png", encode::preview(&frame, look).map_err(drawn)?),
        };
        let text = (args.format == Format::Text).then(|| frame.picture());
        let file = match text {
            Some(_) => None,
            None => Some(written(&args.out, &format!("{stem}.{ending}"), &bytes)?),
        };
        made.push(Made {
            board: profile.id.clone(),
            item: Some(turn.item.id.clone()),
            page: Some(turn.number),
            file,
            text,
            frames: 1,
            ms: pass.duration_ms(),
            whole: true,
            frame: frame.hash().to_string(),
        });
    }
    Ok(())
}

/// Writes a picture whole or not at all.
fn written(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    use super::Advise as _;
    let (path, part) = (folder.join(name), folder.join(format!(".{name}.part")));
    let write = || {
        fs::create_dir_all(folder)?;
        fs::write(&part, bytes)?;
        fs::rename(&part, &path)
    };
    write().advise("free space, or name a folder that can be written to with `--out`")?;
    Ok(path)
}

fn shown(made: &[Made]) -> String {
    if made.iter().any(|one| one.text.is_some()) {
        let one = |one: &Made| {
            let item = one.item.as_ref().map_or("", ItemId::as_str);
            let (page, text) = (one.page.unwrap_or(1), one.text.as_deref().unwrap_or_default());
            format!("{} {item} {page} ({} s)\n{text}\n", one.board, seconds(one.ms))
        };
        return made.iter().map(one).collect();
    }
    let row = |one: &Made| {
        let file = one.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
        let short: String = one.frame.chars().take(12).collect();
        vec![one.board.to_string(), file, seconds(one.ms), one.frames.to_string(), short]
    };
    let rows: Vec<Vec<String>> = made.iter().map(row).collect();
    table(&["board", "file", "seconds", "pictures", "first frame"], &rows)
}

fn seconds(ms: i64) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}
