//! The sound card, through rodio and cpal, on PulseAudio where it runs, else on ALSA.
//!
//! The time line is a rodio source without end. rodio's own output drops what the callback is
//! told about time, so the stream is opened through the cpal that rodio brings, and the source is
//! drained in its callback, which knows when the first of the frames will leave the loudspeaker.

use super::{Output, RATE_HZ, SharedTimeline, SinkError, lock};
use crate::clock::SharedClock;
use crate::device::speaker::CHANNELS;
use crate::device::speaker::instant::Offset;
use crate::device::speaker::timeline::Ask;
use ::rodio::cpal::traits::{DeviceTrait as _, HostTrait as _, StreamTrait as _};
use ::rodio::cpal::{self, BufferSize, ErrorKind, OutputCallbackInfo, SampleFormat, StreamConfig};
use ::rodio::{ChannelCount, SampleRate, Source};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Frames the output asks for at a time; two such blocks are on their way: 2 × 100 ms. Shorter
/// ones gain nothing, because each sample is placed by its instant, and run dry on a busy board.
const PERIOD: u32 = RATE_HZ / 10;
/// [`CHANNELS`] as rodio counts them.
const STEREO: ChannelCount = NonZero::<u16>::MIN.saturating_add(1);
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

struct Card {
    lost: Arc<Mutex<Option<String>>>,
    _stream: cpal::Stream,
}

impl Output for Card {
    fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Opens the default output.
pub fn open(clock: &SharedClock, timeline: &SharedTimeline) -> Result<Box<dyn Output>, SinkError> {
    let device_error = |error: cpal::Error| SinkError::Device { reason: error.to_string() };
    let none = || SinkError::Device { reason: "neither PulseAudio nor a sound card".to_owned() };
    let host = cpal::default_host();
    // Asked for a card where there is none, the ALSA library writes pages to stderr.
    if host.id() == cpal::HostId::Alsa && !has_card() {
        return Err(none());
    }
    let device = host.default_output_device().ok_or_else(none)?;
    let config = StreamConfig {
        channels: STEREO.get(),
        sample_rate: RATE_HZ,
        buffer_size: BufferSize::Fixed(PERIOD),
    };
    let lost = Arc::new(Mutex::new(None));
    let told = Arc::clone(&lost);
    let mut placed = Placed::new(clock, timeline);
    let stream = device
        .build_output_stream_raw(
            config,
            SampleFormat::F32,
            move |data, info| {
                if let Some(samples) = data.as_slice_mut::<f32>() {
                    placed.fill(samples, info);
                }
            },
            move |error: cpal::Error| {
                if is_fatal(&error) {
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    told.get_or_insert_with(|| error.to_string());
                }
            },
            Some(OPEN_TIMEOUT),
        )
        .map_err(device_error)?;
    stream.play().map_err(device_error)?;
    Ok(Box::new(Card { lost, _stream: stream }))
}

fn has_card() -> bool {
    std::fs::read_to_string("/proc/asound/cards")
        .is_ok_and(|cards| !cards.contains("no soundcards"))
}

/// An output that ran dry once goes on; a server that went away does not.
fn is_fatal(error: &cpal::Error) -> bool {
    !matches!(error.kind(), ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged)
}

/// The source, and the reckoning of when its frames leave.
struct Placed {
    clock: SharedClock,
    sound: Sound,
    frames: i64,
    /// Instant of frame 0 of this stream, from many readings.
    origin: Offset,
}

impl Placed {
    fn new(clock: &SharedClock, timeline: &SharedTimeline) -> Self {
        let sound =
            Sound { timeline: Arc::clone(timeline), block: Vec::new(), taken: 0, ask: None };
        Self { clock: Arc::clone(clock), sound, frames: 0, origin: Offset::default() }
    }

    fn fill(&mut self, out: &mut [f32], info: &OutputCallbackInfo) {
        let time = info.timestamp();
        let latency = time.playback.duration_since(time.callback);
        let (wall_us, now_us) = (self.clock.now_us(), self.clock.mono_us());
        let latency_us = i64::try_from(latency.as_micros()).unwrap_or(0);
        let passed_us = self.frames.saturating_mul(1_000_000) / i64::from(RATE_HZ);
        self.origin.read(now_us + latency_us - passed_us);
        let leaves_us = self.origin.us() + passed_us;
        self.sound.prepare(Ask { wall_us, now_us, leaves_us }, out.len());
        for (to, from) in out.iter_mut().zip(&mut self.sound) {
            *to = from;
        }
        self.frames += (out.len() / CHANNELS).cast_signed() as i64;
    }
}

/// The time line as a source of sound.
struct Sound {
    timeline: SharedTimeline,
    block: Vec<f32>,
    taken: usize,
    ask: Option<Ask>,
}

impl Sound {
    /// Says what the next samples are asked for.
    fn prepare(&mut self, ask: Ask, samples: usize) {
        self.block.resize(samples, 0.0);
        self.taken = 0;
        self.ask = Some(ask);
    }
}

impl Iterator for Sound {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if let Some(ask) = self.ask.take() {
            lock(&self.timeline).render(ask, &mut self.block);
        }
        let sample = self.block.get(self.taken).copied().unwrap_or(0.0);
        self.taken += 1;
        Some(sample)
    }
}

impl Source for Sound {
    fn current_span_len(&self) -> Option<usize> {
        None
    }

    fn channels(&self) -> ChannelCount {
        STEREO
    }

    fn sample_rate(&self) -> SampleRate {
        NonZero::new(RATE_HZ).unwrap_or(NonZero::<u32>::MIN)
    }

    fn total_duration(&self) -> Option<Duration> {
        None
    }
}
