//! The files of a station folder: found, bounded, read as a whole, named in NFC.
//!
//! Invariants: only regular files are opened, and only such as lie in the folder after all links
//! are followed; no read is longer than its bound; a name on disk is found whatever its
//! normalisation.

use super::fault::{Faults, FileRef, Place};
use super::problem::Problem;
use super::text::{nearest, nfc};
use super::{KnownPlans, Overlay};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest TOML file and largest register in bytes.
const MOST_TOML: u64 = 1 << 20;
const MOST_CSV: u64 = 16 << 20;
/// Largest font, and most bytes of all fonts together.
const MOST_FONT: u64 = 4 << 20;
const MOST_FONTS: usize = 32 << 20;

/// Most files of one kind.
const MOST_FILES: usize = 2_000;

/// Prefix of the keys of device profiles, which lie outside the folder.
pub(super) const PROFILES: &str = "profiles/";

/// Prefix of the keys of fonts that stand in a folder of their own.
const FONTS: &str = "profiles/fonts/";

/// Prefixes of the keys of plans and topic lists.
pub(super) const PLANS: &str = "plans/";
pub(super) const TOPICS: &str = "topics/";

/// What lies in a station folder, by key: the path in the folder, or `profiles/…`.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// The bytes, or `None` for a file that could not be read.
    pub bytes: BTreeMap<String, Option<Arc<[u8]>>>,
    /// What playlists may name; asked of nobody where it is empty.
    pub plans: Arc<KnownPlans>,
    /// How people name each file.
    pub labels: BTreeMap<String, String>,
}

/// What a file is, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Station,
    Units,
    Devices,
    Skips,
    Policy,
    Calendar,
    Feed,
    Profile,
    Font,
    Playlist,
}

impl FileKind {
    /// Returns what the file of that key is.
    pub fn of(key: &str) -> Self {
        match key {
            "station.toml" => Self::Station,
            "units.csv" => Self::Units,
            "devices.csv" => Self::Devices,
            "skips.toml" => Self::Skips,
            _ if key.starts_with("policies/") => Self::Policy,
            _ if key.starts_with("calendars/") => Self::Calendar,
            _ if key.starts_with(PROFILES) && has_end(key, ".bdf") => Self::Font,
            _ if key.starts_with("feeds/") => Self::Feed,
            _ if key.starts_with(PROFILES) => Self::Profile,
            _ => Self::Playlist,
        }
    }

    /// Says whether the station can do without a file of this kind.
    pub fn stands_alone(self) -> bool {
        matches!(self, Self::Playlist | Self::Feed)
    }
}

/// Says whether a path is relative and never leaves its folder, by its text alone.
pub(super) fn is_inside(path: &str) -> bool {
    let plain = |name: &str| !matches!(name, "" | "." | "..");
    path.split('/').all(plain) && path.split('/').count() <= 16 && !path.contains(['\\', ':', '\0'])
}

impl Files {
    /// Reads all files of the folder and of the profiles, but those that the overlay brings.
    pub fn read(dir: &Path, profiles: &Path, overlay: &Overlay, faults: &Faults) -> Self {
        let mut files = Self::default();
        files.folder(dir, "", faults, overlay);
        for (key, bytes) in &overlay.files {
            files.bytes.insert(key.clone(), Some(Arc::clone(bytes)));
            files.labels.insert(key.clone(), format!("register {key}"));
        }
        for required in ["station.toml", "units.csv", "devices.csv"] {
            if !files.bytes.contains_key(required) {
                files.bytes.insert(required.to_owned(), None);
                let label = label(dir, required);
                let file = FileRef { key: required, label: &label };
                faults.add(file, Place::START, &Problem::NoFile { name: required });
                files.labels.insert(required.to_owned(), label);
            }
        }
        for below in ["policies/", "calendars/", "feeds/"] {
            if dir.join(below).is_dir() {
                files.folder(&dir.join(below), below, faults, overlay);
            }
        }
        if profiles.is_dir() {
            files.profiles(profiles, faults, overlay);
        } else {
            let path = profiles.display().to_string();
            // Noted at the register, since that is the file that has use for profiles.
            let label = files.labels.get("devices.csv").cloned().unwrap_or_default();
            let file = FileRef { key: "devices.csv", label: &label };
            faults.add(file, Place::START, &Problem::NoProfiles { path });
        }
        files
    }

    /// Reads a folder of profiles alone.
    pub fn read_profiles(profiles: &Path, faults: &Faults) -> Self {
        let mut files = Self::default();
        files.profiles(profiles, faults, &Overlay::default());
        files
    }

    /// Reads profiles and their fonts.
    fn profiles(&mut self, dir: &Path, faults: &Faults, overlay: &Overlay) {
        self.folder(dir, PROFILES, faults, overlay);
        if dir.join("fonts").is_dir() {
            self.folder(&dir.join("fonts"), FONTS, faults, overlay);
        }
    }

    /// Bytes of the fonts read so far.
    fn font_bytes(&self) -> usize {
        let fonts = self.bytes.iter().filter(|(key, _)| FileKind::of(key) == FileKind::Font);
        fonts.map(|(_, bytes)| bytes.as_ref().map_or(0, |bytes| bytes.len())).sum()
    }

    /// Reads the plans and topic lists of a station folder alone.
    pub fn read_plans(dir: &Path, faults: &Faults) -> Self {
        let mut files = Self::default();
        for below in [TOPICS, PLANS] {
            if dir.join(below).is_dir() {
                files.folder(&dir.join(below), below, faults, &Overlay::default());
            }
        }
        files
    }

    /// Reads the files of one folder; their keys begin with `prefix`.
    fn folder(&mut self, dir: &Path, prefix: &str, faults: &Faults, overlay: &Overlay) {
        let mut count = 0;
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => {
                let label = dir.display().to_string();
                let key = if prefix.is_empty() { "station.toml" } else { prefix };
                let problem = Problem::Unreadable { name: label.clone(), why: error.to_string() };
                faults.add(FileRef { key, label: &label }, Place::START, &problem);
                return;
            }
        };
        let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let shown = nfc(&name.to_string_lossy());
            let wanted = (has_end(&shown, ".toml") && prefix != FONTS)
                || (prefix.starts_with(PROFILES) && has_end(&shown, ".bdf"))
                || (prefix.is_empty() && matches!(shown.as_str(), "units.csv" | "devices.csv"));
            if !wanted || shown.starts_with('.') {
                continue;
            }
            let key = format!("{prefix}{shown}");
            if overlay.files.contains_key(&key) {
                continue;
            }
            let label = label(dir, &shown);
            let file = FileRef { key: &key, label: &label };
            count += 1;
            if count > MOST_FILES {
                let problem = Problem::TooMany { what: "files in a folder", most: MOST_FILES };
                faults.add(file, Place::START, &problem);
                break;
            }
            if self.bytes.contains_key(&key) {
                // Two names on disk that differ only in normalisation.
                let (id, other) = (shown.clone(), shown.clone());
                faults.add(file, Place::START, &Problem::SameId { name: shown, id, other });
                continue;
            }
            let most = match FileKind::of(&key) {
                FileKind::Units | FileKind::Devices => MOST_CSV,
                FileKind::Font => MOST_FONT,
                _ => MOST_TOML,
            };
            let bytes = match read(&dir.join(&name), dir, most) {
                Ok(bytes)
                    if FileKind::of(&key) == FileKind::Font
                        && self.font_bytes() + bytes.len() > MOST_FONTS =>
                {
                    let (what, most) = ("bytes of fonts", MOST_FONTS);
                    faults.add(file, Place::START, &Problem::TooMany { what, most });
                    None
                }
                Ok(bytes) => Some(bytes),
                Err(problem) => {
                    faults.add(file, Place::START, &problem);
                    None
                }
            };
            self.bytes.insert(key.clone(), bytes);
            self.labels.insert(key, label);
        }
    }

    /// Returns the file as faults name it.
    pub fn file<'a>(&'a self, key: &'a str) -> FileRef<'a> {
        FileRef { key, label: self.labels.get(key).map_or(key, String::as_str) }
    }
}

fn has_end(name: &str, end: &str) -> bool {
    name.len() > end.len() && name.ends_with(end)
}

/// Returns how faults name a file of a folder.
pub fn label(dir: &Path, name: &str) -> String {
    nfc(&dir.join(name).display().to_string())
}

/// Reads a regular file that lies in `dir`, at most `most` bytes.
fn read(path: &Path, dir: &Path, most: u64) -> Result<Arc<[u8]>, Box<Problem>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unreadable = |error: std::io::Error| {
        Box::new(Problem::Unreadable { name: name.clone(), why: error.to_string() })
    };
    if !lies_in(path, dir).map_err(unreadable)? {
        return Err(Box::new(Problem::Escapes { path: name }));
    }
    // Asked before opening: a named pipe would block the open.
    let meta = fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(Box::new(Problem::Unreadable { name, why: "not a regular file".to_owned() }));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(Box::new(Problem::TooLarge { bytes: meta.len().max(most + 1), most }));
    }
    Ok(bytes.into())
}

/// Says whether a path lies in the folder after all links are followed.
fn lies_in(path: &Path, dir: &Path) -> std::io::Result<bool> {
    Ok(path.canonicalize()?.starts_with(dir.canonicalize()?))
}

/// Finds files by NFC names, whatever their normalisation on disk.
#[derive(Debug)]
pub(super) struct Finder {
    root: PathBuf,
    /// Names of each folder looked into: NFC to what stands on disk.
    listed: BTreeMap<PathBuf, BTreeMap<String, OsString>>,
}

/// Why a file was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotFound {
    pub why: String,
    /// A name that stands there and looks alike.
    pub near: Option<String>,
}

impl Finder {
    /// Returns a finder for a station folder.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), listed: BTreeMap::new() }
    }

    /// Returns where the file of a relative path lies; a regular file within the folder.
    pub fn find(&mut self, path: &str) -> Result<PathBuf, NotFound> {
        let mut at = self.root.clone();
        for name in path.split('/') {
            let names = self.listed.entry(at.clone()).or_insert_with(|| list(&at));
            let Some(on_disk) = names.get(name) else {
                let near = nearest(name, names.keys().map(String::as_str)).map(|near| {
                    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    if parent.is_empty() { near.to_owned() } else { format!("{parent}/{near}") }
                });
                // Left out most often: the folder where clips lie.
                let clips = format!("clips/{path}");
                let near = if self.lies(&clips) { Some(clips) } else { near };
                return Err(NotFound { why: "no such file".to_owned(), near });
            };
            at.push(on_disk);
        }
        let refuse = |why: String| NotFound { why, near: None };
        match lies_in(&at, &self.root) {
            Ok(true) if at.is_file() => Ok(at),
            Ok(true) => Err(refuse("not a regular file".to_owned())),
            Ok(false) => Err(refuse("a link that leaves the station folder".to_owned())),
            Err(error) => Err(refuse(error.to_string())),
        }
    }

    fn lies(&mut self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.root.join(folder);
        self.listed.entry(folder.clone()).or_insert_with(|| list(&folder)).contains_key(name)
    }
}

fn list(dir: &Path) -> BTreeMap<String, OsString> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .filter_map(|name| Some((nfc(name.to_str()?), name.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization as _;

    #[test]
    fn a_path_that_could_leave_the_folder_is_refused_by_its_text() {
        for good in ["clips/a.mp3", "a", "clips/bản tin/đoài.mp3", "..a/b.."] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "C:/x", "a\\b"] {
            assert!(!is_inside(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_is_found_in_either_normalisation() {
        let dir = tempfile::tempdir().unwrap();
        let apart: String = "bản tin.mp3".nfd().collect();
        fs::write(dir.path().join(&apart), "x").unwrap();
        fs::write(dir.path().join("đài.mp3"), "x").unwrap();
        let mut finder = Finder::new(dir.path());
        assert_eq!(finder.find("bản tin.mp3").unwrap(), dir.path().join(&apart));
        assert!(finder.find("đài.mp3").is_ok());
        let missing = finder.find("bản tim.mp3").unwrap_err();
        assert_eq!(missing.near.as_deref(), Some("bản tin.mp3"));
    }

    #[test]
    fn a_name_without_the_folder_of_clips_is_found_there() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("clips")).unwrap();
        fs::write(dir.path().join("clips/đài.mp3"), "x").unwrap();
        let missing = Finder::new(dir.path()).find("đài.mp3").unwrap_err();
        assert_eq!(missing.near.as_deref(), Some("clips/đài.mp3"));
        let missing = Finder::new(dir.path()).find("clips/clips/đài.mp3").unwrap_err();
        assert_eq!(missing.near, None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), dir.path().join("a.mp3"))
            .unwrap();
        let refused = Finder::new(dir.path()).find("a.mp3").unwrap_err();
        assert_eq!(refused.why, "a link that leaves the station folder");
        let problem = read(&dir.path().join("a.mp3"), dir.path(), 10).unwrap_err();
        assert_eq!(*problem, Problem::Escapes { path: "a.mp3".into() });
    }
}
