//! Where a finished backup goes, and which older ones go for it.

use super::super::{Advise as _, failed};
use crate::domain::time::UtcMs;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Names a backup by its time, UTC: names sort as they were made.
pub fn name_by_time(now: UtcMs) -> PathBuf {
    now.datetime().format("loa-%Y%m%d-%H%M%S.loa").to_string().into()
}

/// Gives the finished file its name, unless that has been taken meanwhile.
pub fn give_name(part: &Path, out: &Path) -> anyhow::Result<()> {
    let hint = "nothing was replaced; name another file";
    match fs::hard_link(part, out) {
        Ok(()) => {}
        // A stick with FAT has no links.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists && !out.exists() => {
            fs::rename(part, out).advise(hint)?;
        }
        Err(error) => return Err(failed(error, hint)),
    }
    let folder = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).advise("check the disk")
}

/// Removes the oldest of those that are named by their time; returns which.
pub fn keep_newest(folder: &Path, keep: u32) -> anyhow::Result<Vec<PathBuf>> {
    let place = || format!("reading `{}`", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let plain = entry.file_type().with_context(place)?.is_file();
        if plain && entry.file_name().to_str().is_some_and(is_named_by_time) {
            found.push(entry.path());
        }
    }
    found.sort();
    let gone = found.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    found.truncate(gone);
    for path in &found {
        fs::remove_file(path).advise("the new backup is whole; remove the older ones by hand")?;
    }
    Ok(found)
}

fn is_named_by_time(name: &str) -> bool {
    let time = name.strip_prefix("loa-").and_then(|rest| rest.strip_suffix(".loa"));
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    time.and_then(|time| time.split_once('-'))
        .is_some_and(|(day, second)| digits(day, 8) && digits(second, 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_what_a_person_named_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut names = vec!["loa-cu.loa".to_owned(), "loa-20260101-05000x.loa".to_owned()];
        for day in 1..=4 {
            let now = UtcMs(1_795_219_200_000 + day * 86_400_000);
            names.push(name_by_time(now).display().to_string());
        }
        for name in &names {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let gone = keep_newest(dir.path(), 2).unwrap();
        let expected: Vec<_> = names[2..4].iter().map(|name| dir.path().join(name)).collect();
        assert_eq!(gone, expected);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
        assert_eq!(keep_newest(dir.path(), 2).unwrap(), Vec::<PathBuf>::new());
    }
}
