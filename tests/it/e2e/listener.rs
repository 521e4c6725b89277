//! An ear on the street: says when, by this machine's clock, a loudspeaker's file took sound.
//!
//! Silence is a hole in the file, so its blocks on the disk grow exactly when something sounds.
//! What a device believes about the time does not enter.

use loa::clock::{Clock as _, SystemClock};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(50);
/// What a file may grow by without a sound: the list of its holes takes a block of its own when the
/// system writes it back, seconds later. 50 ms of sound take more.
const LIST: u64 = 8;

/// Listens until it is asked what it heard.
pub struct Ear {
    stop: Arc<AtomicBool>,
    heard: JoinHandle<Vec<(i64, i64)>>,
}

impl Ear {
    /// Listens to what a loudspeaker writes.
    pub fn at(file: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, file) = (Arc::clone(&stop), file.to_owned());
        Self { stop, heard: thread::spawn(move || listen(&file, &stopped)) }
    }

    /// Returns the spans within which there was sound, each no longer than needed to tell.
    pub fn heard(self) -> Vec<(i64, i64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.heard.join().unwrap()
    }
}

fn listen(file: &PathBuf, stop: &AtomicBool) -> Vec<(i64, i64)> {
    let clock = SystemClock::new();
    let mut heard = Vec::new();
    let mut before = (clock.now().0, 0);
    while !stop.load(Ordering::Relaxed) {
        let at = clock.now().0;
        let blocks = std::fs::metadata(file).map_or(0, |meta| meta.blocks());
        // The first block is the file's head.
        if blocks > before.1 + LIST && before.1 > 0 {
            heard.push((before.0, at));
        }
        before = (at, blocks);
        thread::sleep(EVERY);
    }
    heard
}
