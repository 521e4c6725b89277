//! Where sound goes: the sound card, a file, or nowhere.
//!
//! An output asks the [`Timeline`] for frames at its own pace and says when they will leave.
//! Opening returns a guard; dropping it closes the output. An output that fails says so once in
//! [`Output::lost`] and asks no more; the player then opens another.

mod paced;
#[cfg(feature = "rodio")]
mod rodio;
pub mod wav;

use super::timeline::Timeline;
use crate::clock::SharedClock;
use crate::device::player::SinkSpec;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The rate of every output. Sound servers convert; clips are resampled once, here.
pub const RATE_HZ: u32 = 48_000;

/// A time line shared between the player and its output.
pub type SharedTimeline = Arc<Mutex<Timeline>>;

/// Why an output cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("`{path}` cannot be written")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` is not a sound file of this program")]
    ForeignFile { path: PathBuf },
    #[error("no sound output: {reason}")]
    Device { reason: String },
    #[error("this build has no sound card output")]
    NotBuilt,
    #[error("no thread for the sound")]
    Thread(#[source] std::io::Error),
}

impl SinkError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "check that the folder exists and may be written",
            Self::ForeignFile { .. } => "name a file that does not exist yet",
            Self::Device { .. } => "start PulseAudio, or use `--sink wav:FILE` or `--sink null`",
            Self::NotBuilt => "build with the feature `rodio`, or use `--sink wav:FILE`",
            Self::Thread(_) => "the system is out of threads or memory",
        }
    }
}

/// An open output.
pub trait Output {
    /// Returns why it works no longer, if so.
    fn lost(&self) -> Option<String>;
}

/// Opens an output.
pub fn open(
    spec: &SinkSpec,
    clock: &SharedClock,
    timeline: &SharedTimeline,
) -> Result<Box<dyn Output>, SinkError> {
    match spec {
        SinkSpec::Null => paced::start(clock, timeline, paced::Nowhere),
        SinkSpec::Wav(path) => {
            paced::start(clock, timeline, wav::WavFile::open(path, clock.now())?)
        }
        #[cfg(feature = "rodio")]
        SinkSpec::Default => rodio::open(clock, timeline),
        #[cfg(not(feature = "rodio"))]
        SinkSpec::Default => Err(SinkError::NotBuilt),
    }
}

/// Locks the time line. A thread that fell over while it held the lock left a whole time line:
/// each change of it is complete or not begun.
pub fn lock(timeline: &Mutex<Timeline>) -> MutexGuard<'_, Timeline> {
    timeline.lock().unwrap_or_else(PoisonError::into_inner)
}
