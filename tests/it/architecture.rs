//! The allowed directions between rooms, read from the sources (`use crate::…` and `crate::…`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may name. A room that is missing here is a fault of this table.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &["domain"]),
    ("wire", &["domain"]),
    ("raster", &["domain"]),
    ("audio", &["domain", "clock"]),
    ("plan", &["domain"]),
    ("draw", &["domain"]),
    ("stamp", &["domain"]),
    ("dialect", &["domain"]),
    ("config", &["domain", "clock", "dialect", "raster", "plan", "draw"]),
    ("log", &["domain", "wire"]),
    (
        "app",
        &["domain", "wire", "log", "report", "clock", "config", "raster", "audio", "plan", "draw"],
    ),
    ("store", &["domain", "wire", "log", "report", "clock", "app", "plan"]),
    ("report", &["domain"]),
    ("mqtt", &["domain", "wire", "clock", "app"]),
    ("broker", &["domain", "wire", "clock", "app"]),
    ("http", &["domain", "wire", "log", "report", "clock", "app", "config", "plan", "draw"]),
    ("device", &["domain", "dialect", "wire", "clock", "app", "raster", "audio", "config"]),
    ("conform", &["domain", "wire", "clock", "app", "raster"]),
    (
        "cmds",
        &[
            "conform",
            "domain",
            "dialect",
            "wire",
            "clock",
            "app",
            "config",
            "store",
            "mqtt",
            "broker",
            "http",
            "log",
            "report",
            "device",
            "raster",
            "audio",
            "plan",
            "telemetry",
            "lifecycle",
            "audit",
            "pack",
            "stamp",
            "draw",
        ],
    ),
    // Judge and writer of packs, from the formats alone: neither may lean on what wrote the log.
    ("audit", &[]),
    ("pack", &[]),
    ("telemetry", &["clock", "config"]),
    ("lifecycle", &["clock"]),
];

/// What the pure core may depend on besides `std` and itself.
const DOMAIN_CRATES: &[&str] = &[
    "std",
    "core",
    "crate",
    "self",
    "super",
    "serde",
    "thiserror",
    "chrono",
    "chrono_tz",
    "cron",
    "sha2",
    "unicode_normalization",
    "unicode_segmentation",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The part of a file before its unit tests; tests may reach further.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Words that follow `prefix` in code (comments left out).
fn words_after(text: &str, prefix: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.match_indices(prefix).map(|(at, _)| {
                let before = line[..at].chars().next_back();
                let rest = &line[at + prefix.len()..];
                let word: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    String::new()
                } else {
                    word
                }
            })
        })
        .filter(|word| !word.is_empty())
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn room_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn rooms_use_each_other_only_in_the_allowed_directions() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut faults = Vec::new();
    for path in files {
        // Unit tests in a file of their own may reach further, like those beside the code.
        if path.to_string_lossy().ends_with("tests.rs")
            || path.components().any(|part| part.as_os_str() == "tests")
        {
            continue;
        }
        let room = room_of(&path);
        if room == "main" || room == "lib" {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("room `{room}` stands in no line of the table"));
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        for used in words_after(without_tests(&text), "crate::") {
            let is_room = MAY_USE.iter().any(|(name, _)| *name == used);
            if is_room && used != room && !allowed.contains(&used.as_str()) {
                faults.push(format!("{}: `{room}` must not use `{used}`", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_pure_core_depends_on_nothing_that_acts() {
    let mut files = Vec::new();
    sources(&root().join("src/domain"), &mut files);
    let mut faults = Vec::new();
    for path in files {
        // Files of tests (`tests.rs`, `tests/…`) may use what tests use.
        if path
            .components()
            .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
        {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = without_tests(&text);
        // Only lines that begin as an import: sentences hold the word too.
        let imports: String = text
            .lines()
            .map(str::trim_start)
            .filter(|line| line.starts_with("use ") || line.starts_with("pub"))
            .flat_map(|line| [line, "\n"])
            .collect();
        for used in words_after(&imports, "use ") {
            let local = used.chars().next().is_some_and(char::is_uppercase)
                || text.contains(&format!("mod {used};"));
            if !local && !DOMAIN_CRATES.contains(&used.as_str()) {
                faults.push(format!("{}: `{used}`", path.display()));
            }
        }
        for forbidden in ["std::fs", "std::net", "std::process", "std::thread", "tokio::", "async "]
        {
            if text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains(forbidden)) {
                faults.push(format!("{}: `{forbidden}`", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_test_file_is_forgotten() {
    let folder = root().join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    let mut faults = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name != "main" && name != "snapshots" && !main.contains(&format!("mod {name};")) {
            faults.push(name);
        }
    }
    assert!(faults.is_empty(), "not named in tests/it/main.rs: {faults:?}");
}
