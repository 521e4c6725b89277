//! Files that persons bring, and tables that name many of them.

use super::{PlaceOption, at_desk, shown, told};
use crate::app::byhand::NewEntry;
use crate::app::ports::PlansInForce;
use crate::cmds::{Advise as _, Answer, print_json, print_text, wrong_use};
use crate::config::{Fault, entries_from_csv};
use crate::domain::ids::Digest;
use crate::plan::manual::{Entry, FILE_BYTES, Found};
use anyhow::Context as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Longest table that is read; its reader says what is too long.
const MOST_TABLE: u64 = (4 << 20) + 1;

fn bytes_of(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let hint = "name the file that shows it: a photograph, a scan, a saved page";
    let file = File::open(path).with_context(|| format!("reading `{}`", path.display()));
    let file = file.advise(hint)?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(wrong_use(format!("`{}` is not a file", path.display()), hint));
    }
    let mut bytes = Vec::new();
    file.take(most)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading `{}`", path.display()))?;
    Ok(bytes)
}

/// Reads a file that somebody brings.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = bytes_of(path, FILE_BYTES + 1)?;
    if u64::try_from(bytes.len()).is_ok_and(|bytes| bytes > FILE_BYTES) {
        return Err(wrong_use(
            format!("`{}` has more than {FILE_BYTES} bytes", path.display()),
            "give a smaller photograph or scan, or a part of it",
        ));
    }
    Ok(bytes)
}

/// Reads the file of an entry, which lies in the folder also after all links are followed.
fn inside(folder: &Path, entry: &Entry) -> anyhow::Result<Option<Vec<u8>>> {
    let root = folder.canonicalize().with_context(|| format!("reading `{}`", folder.display()))?;
    let Ok(path) = root.join(&entry.file).canonicalize() else { return Ok(None) };
    if !path.starts_with(&root) || !path.is_file() {
        return Ok(None);
    }
    bytes_of(&path, FILE_BYTES + 1).map(Some)
}

/// Enters a table: all of it or, with any fault, nothing.
pub fn import(
    place: &PlaceOption,
    table: &Path,
    files: &Path,
    json: bool,
) -> anyhow::Result<Answer> {
    let label = table.display().to_string();
    let read = entries_from_csv(&label, &bytes_of(table, MOST_TABLE)?);
    let entries = match read {
        Ok(read) => read.value,
        Err(faults) => return Ok(refused(&faults)),
    };
    at_desk(place, async |desk| {
        let plans = PlansInForce::of(desk.store).await?;
        let mut wrong = 0_usize;
        let mut say = |text: String, hint: &str| {
            eprintln!("{label}: {text}\n    hint: {hint}");
            wrong += 1;
        };
        for entry in &entries {
            let bytes = inside(files, entry)?;
            let found = bytes.as_deref().map(|bytes| Found {
                sha256: Digest::of(bytes),
                bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            });
            for fault in entry.check(found, desk.today, |line| plans.line(line)) {
                say(fault.to_string(), fault.hint());
            }
            if let Some(found) = found {
                match desk.judge(again(entry), found).await {
                    Err(crate::app::byhand::HandError::Faults(_)) | Ok(_) => {}
                    Err(error) => say(format!("entry `{}`: {error}", entry.id), error.hint()),
                }
            }
            if desk.store.entry(&entry.id).await?.is_some_and(|known| known.entry != *entry) {
                let hint = "nothing is edited: correct it with `loa evidence correct`";
                say(format!("entry `{}` is there with other content", entry.id), hint);
            }
        }
        if wrong > 0 {
            eprintln!("{wrong} faults; nothing was changed");
            return Ok(Answer::No);
        }
        let mut kept = Vec::new();
        for entry in &entries {
            let bytes =
                inside(files, entry)?.with_context(|| format!("`{}` is gone", entry.file))?;
            kept.push(desk.add(again(entry), bytes.into(), None).await.map_err(told)?);
        }
        if json {
            print_json(&kept.iter().map(shown::row).collect::<Vec<_>>())?;
        } else {
            print_text(&shown::listed(&kept))?;
        }
        Ok(Answer::Yes)
    })
}

fn again(entry: &Entry) -> NewEntry {
    NewEntry { id: Some(entry.id.clone()), ..NewEntry::again(entry) }
}

fn refused(faults: &[Fault]) -> Answer {
    for fault in faults {
        eprintln!("{fault}");
        if let Some(hint) = &fault.hint {
            eprintln!("    hint: {hint}");
        }
    }
    eprintln!("nothing was changed");
    Answer::No
}
