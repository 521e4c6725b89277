//! `loa check`: every fault of station folders, playlists and profiles, with place and remedy.

use super::clips::Measured;
use super::overlay::RegisterOption;
use super::{Answer, print_json, print_text, wrong_use};

use crate::config::{self, Fault, LastGood, Overlay, Severity};
use serde::Serialize;
use std::collections::BTreeSet;
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
    #[command(flatten)]
    register: RegisterOption,
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
    let overlay = args.register.overlay()?;
    let mut judge = Judge { profiles: args.profiles, overlay, clips: Measured::default() };
    let mut kept: Vec<Fault> = Vec::new();
    for path in &paths {
        for fault in judge.faults_of(path)? {
            if !kept.contains(&fault) {
                kept.push(fault);
            }
        }
    }
    if let Some(note) = unmade(&paths, &kept) {
        eprintln!("{note}");
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

/// Says how clips come to be that a folder makes by itself and has not made yet.
fn unmade(paths: &[PathBuf], faults: &[Fault]) -> Option<String> {
    let maker = paths.iter().map(|path| {
        let station = if path.is_dir() { path.as_path() } else { path.parent()? };
        Some(station.join("clips/make.sh")).filter(|maker| maker.is_file())
    });
    let maker = maker.flatten().next()?;
    let clips = maker.parent()?;
    let names = faults.iter().filter(|fault| fault.message.ends_with(": no such file"));
    let names = names.filter_map(|fault| fault.message.split('`').nth(1)?.strip_prefix("clips/"));
    let unmade: BTreeSet<&str> =
        names.filter(|name| clips.join(name).with_extension("txt").is_file()).collect();
    (!unmade.is_empty()).then(|| {
        format!(
            "note: {} clips of this folder are read out from their texts and not made yet: run \
             `make setup`, or `{}` where espeak-ng and ffmpeg are installed",
            unmade.len(),
            maker.display()
        )
    })
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

/// What all paths of one call are judged by.
struct Judge {
    profiles: Option<PathBuf>,
    overlay: Overlay,
    clips: Measured,
}

impl Judge {
    /// Returns the faults of a station folder, of one file in it, or of profiles.
    fn faults_of(&mut self, path: &Path) -> anyhow::Result<Vec<Fault>> {
        if path.is_dir() {
            let overlay = self.overlay.clone();
            return Ok(self.faults_in(path, &overlay));
        }
        if !path.is_file() {
            return Err(wrong_use(
                format!("no file or folder `{}`", path.display()),
                "name a station folder (it holds station.toml) or a file in one",
            ));
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A register that is named itself is judged as the file it is: before it is imported.
        let mut overlay = self.overlay.clone();
        overlay.files.remove(&name);
        let faults = if is_profiles(folder, self.profiles.as_deref()) {
            config::profile_faults(folder)
        } else {
            let station = station_of(folder);
            if !station.join("station.toml").exists() {
                let shown = path.display();
                eprintln!("note: `{shown}` lies in no station folder; names are not checked");
            }
            self.faults_in(&station, &overlay)
        };
        let same = |fault: &Fault| {
            let named = Path::new(&fault.file);
            named.file_name() == Path::new(&config::label(folder, &name)).file_name()
                && named.parent().map(Path::canonicalize).and_then(Result::ok)
                    == folder.canonicalize().ok()
        };
        Ok(faults.into_iter().filter(same).collect())
    }

    /// Returns the faults of a folder: of profiles, or a station's.
    fn faults_in(&mut self, folder: &Path, overlay: &Overlay) -> Vec<Fault> {
        if is_profiles(folder, self.profiles.as_deref()) {
            return config::profile_faults(folder);
        }
        let profiles = profiles_of(folder, self.profiles.as_deref());
        let last = LastGood::default();
        let loaded = config::load_over(folder, &profiles, &mut self.clips, &last, overlay);
        // What only a server sends, only a server's program measures.
        #[cfg(feature = "server")]
        let oversize = super::oversize::faults(folder, &loaded);
        #[cfg(not(feature = "server"))]
        let oversize = Vec::new();
        // A contradiction in a plan is the plan's own: `loa plan check` tells it.
        let plans = config::plan_folder(folder).faults;
        let plans = plans.into_iter().filter(|fault| fault.severity == Severity::Error);
        loaded.faults.into_iter().chain(oversize).chain(plans).collect()
    }
}

/// Returns the station folder of a folder in it, as `policies` or `plans`, or of itself.
fn station_of(folder: &Path) -> PathBuf {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let folders = ["policies", "calendars", "plans", "topics"];
    let below = real.file_name().is_some_and(|name| folders.iter().any(|one| name == *one));
    match folder.parent() {
        Some(parent) if below && !parent.as_os_str().is_empty() => parent.to_owned(),
        _ if below => folder.join(".."),
        _ => folder.to_owned(),
    }
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
