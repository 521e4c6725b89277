//! A disk in memory that loses, at a cut of power, anything that was not synced.
//!
//! Stricter than real ones: each unsynced name and content survives or not by chance of its own,
//! and an unsynced content may be torn.

use super::super::disk::{Disk, Hold};
use super::Draw;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    contents: Vec<Content>,
    live: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    durable_folders: BTreeSet<PathBuf>,
    /// Steps until the power goes.
    left: Option<u64>,
    /// Steps taken so far.
    taken: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct ModelDisk(Arc<Mutex<State>>);

impl ModelDisk {
    /// Lets the power go after so many more steps that change something.
    pub fn cut_after(&self, steps: u64) {
        self.0.lock().unwrap().left = Some(steps);
    }

    /// Takes steps again, with all as it was left: the process was killed, not the machine.
    pub fn go_on(&self) {
        self.0.lock().unwrap().left = None;
    }

    /// Returns how many such steps were taken.
    pub fn taken(&self) -> u64 {
        self.0.lock().unwrap().taken
    }

    /// Returns the disk as it is found when the power is back.
    pub fn after_cut(&self, draw: &mut Draw) -> Self {
        let mut state = self.0.lock().unwrap().clone();
        let names: BTreeSet<PathBuf> =
            state.live.keys().chain(state.durable.keys()).cloned().collect();
        let mut kept = BTreeMap::new();
        for name in names {
            let (live, durable) = (state.live.get(&name), state.durable.get(&name));
            let found = if draw.below(2) == 0 { live } else { durable };
            kept.extend(found.map(|found| (name, *found)));
        }
        let mut folders = state.durable_folders.clone();
        for folder in &state.folders {
            if draw.below(2) == 0 {
                folders.insert(folder.clone());
            }
        }
        // A folder that is lost takes along what is in it.
        let there = |path: &Path| {
            path.ancestors().skip(1).all(|above| above == Path::new("/") || folders.contains(above))
        };
        let folders: BTreeSet<PathBuf> = folders.iter().filter(|f| there(f)).cloned().collect();
        kept.retain(|path, _| there(path));
        for content in &mut state.contents {
            let unsynced = content.durable.as_ref() != Some(&content.live);
            if unsynced {
                let length = content.live.len() as u64;
                let torn = usize::try_from(draw.below(length + 1)).unwrap();
                content.live = match (draw.below(3), &content.durable) {
                    (0, Some(durable)) => durable.clone(),
                    (1, _) => content.live.clone(),
                    _ => content.live[..torn].to_vec(),
                };
            }
            content.durable = Some(content.live.clone());
        }
        let contents = state.contents;
        Self(Arc::new(Mutex::new(State {
            contents,
            live: kept.clone(),
            durable: kept,
            folders: folders.clone(),
            durable_folders: folders,
            left: None,
            taken: 0,
        })))
    }

    /// Returns a copy of all files, as a backup would.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }

    /// Puts the files below `folder` back to those of a backup.
    pub fn restore(&self, backup: &Self, folder: &Path) {
        let old = backup.0.lock().unwrap().clone();
        let mut state = self.0.lock().unwrap();
        state.live.retain(|path, _| !path.starts_with(folder));
        for (path, at) in old.live.iter().filter(|(path, _)| path.starts_with(folder)) {
            let content = old.contents[*at].live.clone();
            state.contents.push(Content { live: content.clone(), durable: Some(content) });
            let at = state.contents.len() - 1;
            state.live.insert(path.clone(), at);
        }
        state.durable = state.live.clone();
    }

    /// Changes a file behind everybody's back; the file must be there.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock().unwrap();
        let at = state.live[path];
        change(&mut state.contents[at].live);
    }

    /// Removes a file behind everybody's back; the file must be there.
    pub fn lose(&self, path: &Path) {
        self.0.lock().unwrap().live.remove(path).unwrap();
    }

    /// Returns all files with their contents.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.0.lock().unwrap();
        state.live.iter().map(|(p, at)| (p.clone(), state.contents[*at].live.clone())).collect()
    }

    /// Makes the folder and those above it.
    pub fn with_folder(self, folder: &Path) -> Self {
        {
            let mut state = self.0.lock().unwrap();
            let all = folder.ancestors().map(Path::to_owned);
            state.folders.extend(all.clone());
            state.durable_folders.extend(all);
        }
        self
    }

    fn sync_names(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        if !state.folders.contains(folder) {
            return Err(absent());
        }
        let inside = |path: &Path| path.parent() == Some(folder);
        state.durable.retain(|path, _| !inside(path));
        let live: Vec<_> =
            state.live.iter().filter(|(p, _)| inside(p)).map(|(p, at)| (p.clone(), *at)).collect();
        state.durable.extend(live);
        let folders: Vec<_> = state.folders.iter().filter(|f| inside(f)).cloned().collect();
        state.durable_folders.retain(|f| !inside(f));
        state.durable_folders.extend(folders);
        Ok(())
    }

    fn step(&self) -> io::Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.0.lock().unwrap();
        match &mut state.left {
            Some(0) => return Err(io::Error::other("the power is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        state.taken += 1;
        Ok(state)
    }
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for ModelDisk {
    fn read(&self, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        let state = self.0.lock().unwrap();
        let Some(at) = state.live.get(path) else { return Ok(None) };
        let bytes = state.contents[*at].live.clone();
        if bytes.len() as u64 > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(bytes))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.step()?;
        if !state.folders.contains(path.parent().unwrap()) {
            return Err(absent());
        }
        // Truncated in place when it is there, like a real file.
        let at = if let Some(at) = state.live.get(path) {
            *at
        } else {
            state.contents.push(Content::default());
            let at = state.contents.len() - 1;
            state.live.insert(path.to_owned(), at);
            at
        };
        state.contents[at].live = bytes.to_vec();
        Ok(())
    }

    fn sync(&self, files: &[PathBuf]) -> io::Result<()> {
        for path in files {
            let mut state = self.step()?;
            let at = *state.live.get(path).ok_or_else(absent)?;
            let live = state.contents[at].live.clone();
            state.contents[at].durable = Some(live);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let at = state.live.remove(from).ok_or_else(absent)?;
        state.live.insert(to.to_owned(), at);
        Ok(())
    }

    fn sync_folders(&self, folders: &[PathBuf]) -> io::Result<()> {
        folders.iter().try_for_each(|folder| self.sync_names(folder))
    }

    fn make_folder(&self, folder: &Path) -> io::Result<bool> {
        if self.0.lock().unwrap().folders.contains(folder) {
            return Ok(false);
        }
        let mut state = self.step()?;
        if !state.folders.contains(folder.parent().unwrap()) {
            return Err(absent());
        }
        Ok(state.folders.insert(folder.to_owned()))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock().unwrap();
        let inside = |path: &&PathBuf| path.parent() == Some(folder);
        let names = state.live.keys().chain(&state.folders).filter(inside);
        Ok(names.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?.live.remove(path);
        Ok(())
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.step()?.folders.remove(folder);
        Ok(())
    }

    fn hold(&self, _: &Path) -> io::Result<Option<Hold>> {
        Ok(Some(Hold::none()))
    }
}
