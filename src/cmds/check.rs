//! `loa check`: every fault of station folders, playlists and profiles, with place and remedy.

use super::clips::Measured;
use super::{Answer, print_json, print_text, wrong_use};
use crate::config::{self, Fault, Severity};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Lists every fault of station folders, playlists and device profiles
///
/// Touches nothing. Exit code 1 when there is any error; warnings alone are no error.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Station folders, or files in them; `playlists` unless given
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder of device profiles; `device-profiles` here or beside the station folder unless given
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Print `{ok, errors, warnings, faults: [{file, line, column, severity, message, hint, refuses}]}`
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of a kind of file instead, for editors
    #[arg(long, value_name = "KIND", conflicts_with_all = ["paths", "profiles", "json"],
          value_parser = clap::builder::PossibleValuesParser::new(config::KINDS))]
    schema: Option<String>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    ok: bool,
    errors: usize,
    warnings: usize,
    faults: Vec<Fault>,
}

/// Checks what the arguments name.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    if let Some(schema) = args.schema.as_deref().and_then(config::schema) {
        print_json(&schema)?;
        return Ok(Answer::Yes);
    }
    let paths = if args.paths.is_empty() { vec![PathBuf::from("playlists")] } else { args.paths };
    let mut clips = Measured::default();
    let mut faults = Vec::new();
    for path in &paths {
        faults.extend(faults_of(path, args.profiles.as_deref(), &mut clips)?);
    }
    let mut kept: Vec<Fault> = Vec::new();
    for fault in faults {
        if !kept.contains(&fault) {
            kept.push(fault);
        }
    }
    let errors = kept.iter().filter(|f| f.severity == Severity::Error).count();
    let report = Report { ok: errors == 0, errors, warnings: kept.len() - errors, faults: kept };
    if args.json {
        print_json(&report)?;
    } else {
        print_text(&shown(&report.faults))?;
        if report.faults.is_empty() {
            eprintln!("no faults");
        } else {
            eprintln!("{} errors, {} warnings", report.errors, report.warnings);
        }
    }
    Ok(if report.ok { Answer::Yes } else { Answer::No })
}

fn shown(faults: &[Fault]) -> String {
    let mut text = String::new();
    for fault in faults {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{fault}");
        if let Some(hint) = &fault.hint {
            let _ = writeln!(text, "    hint: {hint}");
        }
    }
    text
}

/// Returns the faults of a station folder, of one file in it, or of profiles.
fn faults_of(
    path: &Path,
    profiles: Option<&Path>,
    clips: &mut Measured,
) -> anyhow::Result<Vec<Fault>> {
    let missing = |path: &Path| {
        let hint = "name a station folder (it holds station.toml) or a file in one";
        wrong_use(format!("no file or folder `{}`", path.display()), hint)
    };
    if path.is_dir() {
        if is_profiles(path, profiles) {
            return Ok(config::profile_faults(path));
        }
        return Ok(config::load(path, &profiles_of(path, profiles), clips).faults);
    }
    if !path.is_file() {
        return Err(missing(path));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let faults = if is_profiles(folder, profiles) {
        config::profile_faults(folder)
    } else {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let below = real.file_name().is_some_and(|name| name == "policies" || name == "calendars");
        let above = folder.join("..");
        let station = match folder.parent() {
            Some(parent) if below && !parent.as_os_str().is_empty() => parent,
            _ if below => above.as_path(),
            _ => folder,
        };
        if !station.join("station.toml").exists() {
            eprintln!(
                "note: `{}` lies in no station folder; names are not checked",
                path.display()
            );
        }
        config::load(station, &profiles_of(station, profiles), clips).faults
    };
    let same = |fault: &Fault| {
        let named = Path::new(&fault.file);
        named.file_name() == Path::new(&config::label(folder, &name_of(path))).file_name()
            && named.parent().map(Path::canonicalize).and_then(Result::ok)
                == folder.canonicalize().ok()
    };
    Ok(faults.into_iter().filter(same).collect())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Says whether a folder is one of profiles: by `--profiles` or by its name.
fn is_profiles(folder: &Path, given: Option<&Path>) -> bool {
    let Ok(real) = folder.canonicalize() else { return false };
    let same = given.and_then(|given| given.canonicalize().ok()).is_some_and(|g| g == real);
    let named = real.file_name().is_some_and(|n| n == "device-profiles" || n == "profiles");
    same || (named && !folder.join("station.toml").exists())
}

/// Returns the folder of profiles for a station folder.
pub fn profiles_of(station: &Path, given: Option<&Path>) -> PathBuf {
    let usual = PathBuf::from("device-profiles");
    match given {
        Some(given) => given.to_owned(),
        None if usual.is_dir() => usual,
        None => {
            // Seen from the real folder, so that `.` has a neighbour too.
            let real = station.canonicalize().unwrap_or_else(|_| station.to_owned());
            let beside = real.parent().map(|parent| parent.join("device-profiles"));
            beside.filter(|beside| beside.is_dir()).unwrap_or(usual)
        }
    }
}
