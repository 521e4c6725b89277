//! kill -9 at every step, on the machine's own disk.
//!
//! The test runs itself as another process that appends and kills itself at a step drawn from a
//! printed seed, half way through a write if it is one; then looks at the folder. `LOA_LOG_KILLS`
//! sets how many kills; `LOA_SEED` repeats a run.

use super::*;
use crate::log::disk::{Disk, Hold, RealDisk};
use crate::log::testing::Draw;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

const FOLDER: &str = "LOA_TEST_KILL_FOLDER";
const STEP: &str = "LOA_TEST_KILL_STEP";
const SEED: &str = "LOA_SEED";
const KILLS: &str = "LOA_LOG_KILLS";
/// Leaves a process appends if nobody kills it.
const ROUND: u64 = 2_000;

/// The machine's disk, on which one step is the last.
struct KillingDisk {
    real: RealDisk,
    left: AtomicU64,
    notes: PathBuf,
}

impl KillingDisk {
    fn step(&self, what: &str, half: impl FnOnce()) {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        half();
        let mut notes = fs::File::options().create(true).append(true).open(&self.notes).unwrap();
        writeln!(notes, "{what}").unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .unwrap();
        std::thread::park();
    }
}

impl Disk for KillingDisk {
    fn read(&self, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        self.real.read(path, most)
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step("write", || drop(self.real.write(path, &bytes[..bytes.len() / 2])));
        self.real.write(path, bytes)
    }
    fn sync(&self, files: &[PathBuf]) -> io::Result<()> {
        self.step("sync", || ());
        self.real.sync(files)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", || ());
        self.real.rename(from, to)
    }
    fn sync_folders(&self, folders: &[PathBuf]) -> io::Result<()> {
        self.step("sync folders", || ());
        self.real.sync_folders(folders)
    }
    fn make_folder(&self, folder: &Path) -> io::Result<bool> {
        self.step("make folder", || ());
        self.real.make_folder(folder)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.real.list(folder)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step("remove", || ());
        self.real.remove(path)
    }
    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.step("remove folder", || ());
        self.real.remove_folder(folder)
    }
    fn hold(&self, path: &Path) -> io::Result<Option<Hold>> {
        self.real.hold(path)
    }
}

fn places(folder: &Path) -> Setup {
    setup(&folder.join("data"), &folder.join("heads"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
#[ignore = "the process that is killed; run by the test below"]
fn appends_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { panic!("run by the test below") };
    let folder = Path::new(&folder);
    let disk = KillingDisk {
        real: RealDisk,
        left: AtomicU64::new(number(STEP).unwrap()),
        notes: folder.join("notes"),
    };
    let mut draw = Draw(number(SEED).unwrap());
    let mut log = Sequencer::open(disk, places(folder)).unwrap();
    let to = log.size() + ROUND;
    while log.size() < to {
        let more = [1, 5, 90, 256, 700][usize::try_from(draw.below(5)).unwrap()];
        // A little of what is logged already goes along, as after a start of the server.
        let from = log.size().saturating_sub(draw.below(4));
        let next = log.size() + more;
        log = log.append(from, &leaves(from, next)).unwrap();
    }
}

/// All files of a folder but partial tiles and unfinished ones.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if is_whole(&path) {
                found.insert(
                    path.strip_prefix(folder).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

#[test]
fn a_process_killed_at_any_step_leaves_one_tree_without_a_gap() {
    let seed = number(SEED).unwrap_or_else(|| u64::from(std::process::id()));
    let wanted = number(KILLS).unwrap_or(200);
    println!("{SEED}={seed}");
    let mut draw = Draw(seed);
    let dir = tempfile::tempdir().unwrap();
    let child = format!("{}::appends_until_it_is_killed", module_path!());
    let child = child.split_once("::").unwrap().1;
    let (mut kills, mut runs, mut published) = (0, 0, 0);
    let mut other = other_tree(0);
    while kills < wanted {
        runs += 1;
        assert!(runs < wanted * 3, "{kills} of {runs} processes were killed: too few");
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--test-threads=1", child])
            .env(FOLDER, dir.path())
            .env(STEP, (1 + draw.below(70)).to_string())
            .env(SEED, draw.below(1 << 30).to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        use std::os::unix::process::ExitStatusExt as _;
        match status.signal() {
            Some(9) => kills += 1,
            _ => assert!(status.success(), "run {runs}: {status}"),
        }
        // What is published now is a tree of the same leaves, and not smaller than before.
        let path = dir.path().join("data/2027/checkpoint");
        let Ok(bytes) = fs::read(&path) else { continue };
        let keys = [signer(1).verifier().clone()];
        let shown = SignedCheckpoint::open(&bytes, &origin(), &keys).unwrap();
        let head = shown.checkpoint();
        assert!(head.size >= published, "{published} leaves were published, now {}", head.size);
        (published..head.size).for_each(|index| other.push(leaf(index).bytes().to_vec()));
        published = head.size;
        assert_eq!(head.root, other_root(&other), "run {runs}: another tree");
    }
    // One more round, beyond all that a killed one can have left behind.
    let log = Sequencer::open(RealDisk, places(dir.path())).unwrap();
    let (first, size) = (log.size(), log.size() + 1_000);
    let log = log.append(first, &leaves(first, size)).unwrap();
    println!("{kills} kills in {runs} processes, {size} leaves");
    // Every leaf is there, and the folder is the one that no kill would have made.
    for index in (0..size).step_by(211).chain([size - 1]) {
        assert_eq!(log.folder().entry(index, size).unwrap(), leaf(index).bytes());
    }
    drop(log);
    let calm = tempfile::tempdir().unwrap();
    let log = Sequencer::open(RealDisk, places(calm.path())).unwrap();
    drop(log.append(0, &leaves(0, size)).unwrap());
    let (killed, calm) = (files(&dir.path().join("data")), files(&calm.path().join("data")));
    assert!(killed.keys().eq(calm.keys()), "{:?} {:?}", killed.keys(), calm.keys());
    for (path, bytes) in &calm {
        assert!(killed[path] == *bytes, "{} differs", path.display());
    }
    let notes = fs::read_to_string(dir.path().join("notes")).unwrap();
    let kinds: BTreeSet<&str> = notes.lines().collect();
    println!("killed at {kinds:?}");
    if wanted >= 200 {
        let all =
            ["make folder", "remove", "remove folder", "rename", "sync", "sync folders", "write"];
        assert!(kinds.into_iter().eq(all), "some step was never the last: {notes}");
    }
}

#[test]
fn two_processes_never_write_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let first = Sequencer::open(RealDisk, places(dir.path())).unwrap();
    let error = Sequencer::open(RealDisk, places(dir.path())).unwrap_err();
    assert!(error.to_string().contains("second place"), "{error}");
    let OpenError::Head(error) = error else { panic!("{error}") };
    assert!(error.to_string().starts_with("another process writes this log"), "{error}");
    drop(first);
    Sequencer::open(RealDisk, places(dir.path())).unwrap();
}
