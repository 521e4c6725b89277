//! Outputs without a clock of their own: paced by the machine's.

use super::{Output, RATE_HZ, SharedTimeline, SinkError, lock};
use crate::clock::SharedClock;
use crate::device::speaker::CHANNELS;
use crate::device::speaker::timeline::Ask;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Frames asked for at a time: 10 ms.
const BLOCK: u64 = RATE_HZ as u64 / 100;
/// How far ahead of its instant a frame is asked for.
const LEAD_US: i64 = 50_000;
/// After a longer pause (the machine slept) time goes on where it is.
const LONGEST_GAP_US: i64 = 5_000_000;

/// What takes the samples.
pub trait Taker: Send + 'static {
    /// Takes samples in stereo.
    fn take(&mut self, samples: &[f32]) -> std::io::Result<()>;
    /// Learns that so many frames were left out.
    fn pass(&mut self, frames: u64) -> std::io::Result<()>;
    /// Is called once a second and at the end.
    fn settle(&mut self) -> std::io::Result<()>;
}

/// Sound is asked for and dropped.
pub struct Nowhere;

impl Taker for Nowhere {
    fn take(&mut self, _samples: &[f32]) -> std::io::Result<()> {
        Ok(())
    }

    fn pass(&mut self, _frames: u64) -> std::io::Result<()> {
        Ok(())
    }

    fn settle(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Paced {
    stop: Arc<AtomicBool>,
    lost: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Output for Paced {
    fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it cannot be told any more if it fell over
        }
    }
}

/// Starts the thread of an output.
pub fn start(
    clock: &SharedClock,
    timeline: &SharedTimeline,
    mut taker: impl Taker,
) -> Result<Box<dyn Output>, SinkError> {
    let (stop, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
    let (clock, timeline) = (Arc::clone(clock), Arc::clone(timeline));
    let (stopped, told) = (Arc::clone(&stop), Arc::clone(&lost));
    let thread = std::thread::Builder::new()
        .name("output".to_owned())
        .spawn(move || {
            let result = run(&clock, &timeline, &stopped, &mut taker);
            if let Err(error) = result.and_then(|()| taker.settle()) {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
        })
        .map_err(SinkError::Thread)?;
    Ok(Box::new(Paced { stop, lost, thread: Some(thread) }))
}

fn run(
    clock: &SharedClock,
    timeline: &SharedTimeline,
    stop: &AtomicBool,
    taker: &mut impl Taker,
) -> std::io::Result<()> {
    let rate = i64::from(RATE_HZ);
    let mut origin_us = clock.mono_us();
    let mut frames = 0i64;
    let mut settled_us = origin_us;
    let mut block = vec![0f32; usize::try_from(BLOCK).unwrap_or(480) * CHANNELS];
    while !stop.load(Ordering::Relaxed) {
        let now_us = clock.mono_us();
        let mut leaves_us = origin_us + frames * 1_000_000 / rate;
        if now_us - leaves_us > LONGEST_GAP_US {
            let gap = u64::try_from((now_us - leaves_us) * rate / 1_000_000).unwrap_or(0);
            taker.pass(gap)?;
            (origin_us, frames, leaves_us) = (now_us, 0, now_us);
        }
        while leaves_us < now_us + LEAD_US {
            let ask = Ask { wall_us: clock.now_us(), now_us: clock.mono_us(), leaves_us };
            lock(timeline).render(ask, &mut block);
            taker.take(&block)?;
            frames += BLOCK.cast_signed();
            leaves_us = origin_us + frames * 1_000_000 / rate;
        }
        if now_us - settled_us >= 1_000_000 {
            settled_us = now_us;
            taker.settle()?;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
