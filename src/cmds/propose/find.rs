//! Which proposal is meant: by hash, by files, or the only one.

use super::super::wrong_use;
use crate::app::approval::{Desk, Proposal, Stand};
use crate::app::ports::Approvals as _;
use crate::domain::ids::Digest;
use crate::store::SqliteStore;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use unicode_normalization::UnicodeNormalization as _;

/// How long a running server may take to read a file that was just saved.
const PATIENCE: Duration = Duration::from_secs(8);
const AGAIN: Duration = Duration::from_millis(300);

/// What somebody stands for.
pub enum Wanted {
    Hash(Digest),
    Files(BTreeSet<String>),
}

impl Wanted {
    /// Finds what is named, or the only one that nobody stands for. Waits until its files are
    /// the ones of the folder: nobody stands for what he has not got before him.
    pub async fn find(store: &SqliteStore, what: &[String], folder: &Path) -> anyhow::Result<Self> {
        let is_file = |text: &String| text.contains(['.', '/']);
        match what {
            [hash] if !is_file(hash) => {
                return Ok(Self::Hash(find_hash(store, Some(hash)).await?));
            }
            _ => {}
        }
        if let Some(other) = what.iter().find(|text| !is_file(text)) {
            return Err(wrong_use(
                format!("`{other}` is no file of the station folder"),
                "name files, or one hash",
            ));
        }
        let files: BTreeSet<String> = what.iter().map(|text| key(text, folder)).collect();
        let mut waited = Duration::ZERO;
        loop {
            let pending = Desk::pending(store).await?;
            let tried = if files.is_empty() {
                only_one(&pending, folder)
            } else {
                all_wait(&pending, files.clone(), folder)
            };
            match tried {
                Ok(found) => return Ok(found),
                Err((message, hint)) if waited >= PATIENCE => {
                    return Err(wrong_use(message, hint));
                }
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
            waited += AGAIN;
        }
    }
}

/// Why nothing was found yet, and what to do.
type Not = (String, &'static str);

fn only_one(pending: &[Proposal], folder: &Path) -> Result<Wanted, Not> {
    let free = |one: &&Proposal| one.stand == Stand::Open && one.author.is_none();
    let free: Vec<&Proposal> = pending.iter().filter(free).collect();
    match &*free {
        [] => Err((
            "nothing waits that nobody stands for".to_owned(),
            "save the file; a running server sees it within seconds. `loa proposals` lists all",
        )),
        [one] => same_on_disk(one, folder).map(|()| Wanted::Hash(one.hash)),
        several => {
            let names: Vec<_> = several.iter().flat_map(|one| one.names()).take(20).collect();
            Err((format!("several changes wait: {}", names.join(", ")), "name your files"))
        }
    }
}

fn all_wait(pending: &[Proposal], files: BTreeSet<String>, folder: &Path) -> Result<Wanted, Not> {
    for file in &files {
        let Some(one) = pending.iter().find(|one| one.names().contains(&file.as_str())) else {
            return Err((
                format!("`{file}` does not wait for approval"),
                "is the server running, and the file free of faults? `loa check` says; what only \
                 silences is in force at once",
            ));
        };
        same_on_disk(one, folder)?;
    }
    Ok(Wanted::Files(files))
}

fn same_on_disk(one: &Proposal, folder: &Path) -> Result<(), Not> {
    let differs = one.change.files.iter().find(|(name, entry)| {
        // Registers are the store's, profiles lie elsewhere.
        let elsewhere =
            matches!(name.as_str(), "units.csv" | "devices.csv") || name.starts_with("profiles/");
        !elsewhere && on_disk(folder, name) != entry.map(|entry| entry.sha256)
    });
    match differs {
        None => Ok(()),
        Some((file, _)) => Err((
            format!("`{file}` in `{}` is not what waits", folder.display()),
            "is the server running, and the file free of faults? `loa check` says",
        )),
    }
}

/// Names are NFC in proposals; the folder may hold them otherwise.
fn on_disk(folder: &Path, name: &str) -> Option<Digest> {
    let decomposed: String = name.nfd().collect();
    let read = std::fs::read(folder.join(name)).or_else(|_| std::fs::read(folder.join(decomposed)));
    read.ok().map(|bytes| Digest::of(&bytes))
}

/// Returns the name in the station folder of what was typed, from there or from here.
fn key(text: &str, folder: &Path) -> String {
    let typed = Path::new(text);
    let inside = || {
        let (typed, folder) = (typed.canonicalize().ok()?, folder.canonicalize().ok()?);
        Some(typed.strip_prefix(folder).ok()?.to_str()?.to_owned())
    };
    let fallback = || {
        // A file that is gone cannot be found: its name from the folder, or as it was typed.
        let below = typed.strip_prefix(folder).unwrap_or(typed);
        below.to_str().unwrap_or(text).to_owned()
    };
    inside().unwrap_or_else(fallback).nfc().collect()
}

/// Returns the hash that the text begins, or the only one that waits.
pub async fn find_hash(store: &SqliteStore, text: Option<&str>) -> anyhow::Result<Digest> {
    let Some(text) = text else {
        let pending = Desk::pending(store).await?;
        return match &*pending {
            [] => Err(wrong_use("nothing waits for approval", "`loa proposals --all`")),
            [one] => Ok(one.hash),
            several => Err(wrong_use(
                format!("{} proposals wait", several.len()),
                "name one by its hash: `loa proposals` lists them",
            )),
        };
    };
    if let Ok(hash) = text.parse() {
        return Ok(hash);
    }
    let mut all = store.proposals(1000).await?;
    all.extend(Desk::pending(store).await?);
    let found: BTreeSet<Digest> =
        all.iter().map(|one| one.hash).filter(|h| h.to_string().starts_with(text)).collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(hash), None) if text.len() >= 6 => Ok(hash),
        (Some(_), _) => Err(wrong_use(
            format!("`{text}` names no single proposal"),
            "give more digits of the hash, six at least",
        )),
        (None, _) => {
            Err(wrong_use(format!("no proposal `{text}`"), "`loa proposals --all` lists all"))
        }
    }
}
