//! Decodes a clip ahead of its use, in the rate and the channels of the output.
//!
//! One thread per play; at most five seconds wait in a bounded channel, then the thread sleeps
//! until blocks are taken. It ends when the clip does or when the other side is dropped.

use super::{AHEAD_MS, CHANNELS};
use crate::audio::decode::{Decoder, open};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, OnceLock};

/// Frames of a block: 20 ms at 48 kHz.
const BLOCK: usize = 960;

/// What the thread sends.
enum Piece {
    Samples(Vec<f32>),
    /// The clip is over.
    End,
    Broken(String),
}

/// The receiving side: frames of a clip in order, as far as they are decoded.
#[derive(Debug)]
pub struct Feed {
    pieces: Receiver<Piece>,
    block: Vec<f32>,
    /// Samples of `block` that were taken.
    taken: usize,
    /// Place in the clip of the next frame.
    next: u64,
    state: State,
    /// How many frames the clip has, known as soon as it is decoded to the end.
    total: Arc<OnceLock<u64>>,
}

#[derive(Debug)]
enum State {
    Open,
    /// All frames are here.
    Over,
    Broken(String),
}

impl Feed {
    /// Starts decoding so that the first frame is the given one, counted in the output's rate.
    pub fn start(path: PathBuf, from: u64, rate_hz: u32) -> std::io::Result<Self> {
        let ahead = usize::try_from(AHEAD_MS * u64::from(rate_hz) / 1000).unwrap_or(0) / BLOCK;
        let (sender, pieces) = sync_channel(ahead);
        let total = Arc::new(OnceLock::new());
        let known = Arc::clone(&total);
        std::thread::Builder::new().name("decode".to_owned()).spawn(move || {
            // A decoder that falls over a hostile file must not take the loudspeaker with it.
            let fed =
                catch_unwind(AssertUnwindSafe(|| feed(&path, from, rate_hz, &sender, &known)));
            let last = match fed {
                Ok(Ok(())) => Piece::End,
                Ok(Err(reason)) => Piece::Broken(reason),
                Err(_) => Piece::Broken("the decoder gave up".to_owned()),
            };
            let _ = sender.send(last); // nobody listens any more: fine
        })?;
        Ok(Self { pieces, block: Vec::new(), taken: 0, next: from, state: State::Open, total })
    }

    /// Returns the place of the next frame in the clip.
    pub fn next_frame(&self) -> u64 {
        self.next
    }

    /// Returns how many frames the clip has, once the end is decoded.
    pub fn total(&self) -> Option<u64> {
        self.total.get().copied()
    }

    /// Says whether all frames of the clip are taken.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over) && self.taken == self.block.len()
    }

    /// Returns why decoding ended early, once all that was decoded is taken.
    pub fn broken(&self) -> Option<&str> {
        match &self.state {
            State::Broken(reason) if self.taken == self.block.len() => Some(reason),
            _ => None,
        }
    }

    /// Returns decoded samples, at least one frame, or none when there are none yet.
    pub fn ready(&mut self) -> &[f32] {
        while self.taken == self.block.len() && matches!(self.state, State::Open) {
            match self.pieces.try_recv() {
                Ok(Piece::Samples(samples)) => (self.block, self.taken) = (samples, 0),
                Ok(Piece::End) => self.state = State::Over,
                Ok(Piece::Broken(reason)) => self.state = State::Broken(reason),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.state = State::Broken("decoding ended without a word".to_owned());
                }
            }
        }
        &self.block[self.taken..]
    }

    /// Takes frames that [`Self::ready`] showed.
    pub fn take(&mut self, frames: usize) {
        self.taken = (self.taken + frames * CHANNELS).min(self.block.len());
        self.next += frames as u64;
    }
}

/// A feed whose samples (equal left and right) are all there from the start.
#[cfg(test)]
pub fn test_feed(from: u64, samples: &[f32]) -> Feed {
    let (sender, pieces) = sync_channel(samples.len() / BLOCK + 2);
    let stereo: Vec<f32> = samples.iter().flat_map(|&sample| [sample; CHANNELS]).collect();
    for block in stereo.chunks(BLOCK * CHANNELS) {
        sender.send(Piece::Samples(block.to_vec())).unwrap();
    }
    sender.send(Piece::End).unwrap();
    let total = Arc::new(OnceLock::from(from + samples.len() as u64));
    Feed { pieces, block: Vec::new(), taken: 0, next: from, state: State::Open, total }
}

/// The sender found nobody to send to.
struct Unheard;

fn feed(
    path: &Path,
    from: u64,
    rate_hz: u32,
    sender: &SyncSender<Piece>,
    known: &OnceLock<u64>,
) -> Result<(), String> {
    let mut decoder = open(path).map_err(|refusal| refusal.to_string())?;
    let clip_hz = u64::from(decoder.rate_hz());
    let start = from * clip_hz / u64::from(rate_hz);
    if start > 0 {
        decoder.seek(start).map_err(|refusal| refusal.to_string())?;
    }
    let mut out = Out::new(&decoder, rate_hz, sender)?;
    // The first decoded frame may stand a fraction before the wanted one of the output's rate.
    out.place = start * u64::from(rate_hz) / clip_hz;
    out.drop_until = from;
    let channels = decoder.channels();
    while let Some(block) = decoder.next_block().map_err(|refusal| refusal.to_string())? {
        if out.put(block, channels).is_err() {
            return Ok(());
        }
    }
    let total = (decoder.position() * u64::from(rate_hz)).div_ceil(clip_hz);
    if out.finish(total).is_ok() {
        let _ = known.set(total); // set here alone
    }
    Ok(())
}

/// Resamples to the output's rate and cuts into blocks.
struct Out<'a> {
    resampler: Option<Resampler>,
    sender: &'a SyncSender<Piece>,
    block: Vec<f32>,
    /// Place of the next frame in the clip.
    place: u64,
    drop_until: u64,
}

struct Resampler {
    fft: Fft<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Frames of the resampler's own delay still to drop.
    delay: usize,
}

impl<'a> Out<'a> {
    fn new(decoder: &Decoder, rate_hz: u32, sender: &'a SyncSender<Piece>) -> Result<Self, String> {
        let resampler = if decoder.rate_hz() == rate_hz {
            None
        } else {
            let (from, to) = (decoder.rate_hz() as usize, rate_hz as usize);
            let fft = Fft::new(from, to, 1024, CHANNELS, FixedSync::Input)
                .map_err(|error| error.to_string())?;
            let delay = fft.output_delay();
            let output = vec![0.0; fft.output_frames_max() * CHANNELS];
            Some(Resampler { fft, input: Vec::new(), output, delay })
        };
        Ok(Self { resampler, sender, block: Vec::new(), place: 0, drop_until: 0 })
    }

    fn put(&mut self, samples: &[f32], channels: usize) -> Result<(), Unheard> {
        let stereo = |frame: &[f32]| [frame[0], frame[channels - 1]];
        let Some(mut resampler) = self.resampler.take() else {
            for frame in samples.chunks_exact(channels) {
                self.push(stereo(frame))?;
            }
            return Ok(());
        };
        resampler.input.extend(samples.chunks_exact(channels).flat_map(stereo));
        let result = resampler.run(self);
        self.resampler = Some(resampler);
        result
    }

    /// Ends the clip at exactly `total` frames.
    fn finish(&mut self, total: u64) -> Result<(), Unheard> {
        if let Some(mut resampler) = self.resampler.take() {
            // Silence pushes the rest out of the filter; what it adds beyond the end is cut.
            for _ in 0..64 {
                if self.place >= total {
                    break;
                }
                let frames = resampler.fft.input_frames_next();
                resampler.input.resize(resampler.input.len() + frames * CHANNELS, 0.0);
                let missing = total - self.place;
                resampler.run_at_most(self, missing)?;
            }
        }
        let rest = std::mem::take(&mut self.block);
        if rest.is_empty() { Ok(()) } else { self.send(rest) }
    }

    fn push(&mut self, frame: [f32; CHANNELS]) -> Result<(), Unheard> {
        self.place += 1;
        if self.place <= self.drop_until {
            return Ok(());
        }
        self.block.extend(frame);
        if self.block.len() == BLOCK * CHANNELS {
            let full = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK * CHANNELS));
            self.send(full)?;
        }
        Ok(())
    }

    fn send(&self, samples: Vec<f32>) -> Result<(), Unheard> {
        self.sender.send(Piece::Samples(samples)).map_err(|_| Unheard)
    }
}

impl Resampler {
    fn run(&mut self, out: &mut Out<'_>) -> Result<(), Unheard> {
        self.run_at_most(out, u64::MAX)
    }

    fn run_at_most(&mut self, out: &mut Out<'_>, mut most: u64) -> Result<(), Unheard> {
        let mut used = 0;
        loop {
            let wants = self.fft.input_frames_next() * CHANNELS;
            let Some(input) = self.input.get(used..used + wants) else { break };
            let frames = self.output.len() / CHANNELS;
            let produced = {
                let Ok(from) = InterleavedSlice::new(input, CHANNELS, wants / CHANNELS) else {
                    break;
                };
                let Ok(mut to) = InterleavedSlice::new_mut(&mut self.output, CHANNELS, frames)
                else {
                    break;
                };
                self.fft.process_into_buffer(&from, &mut to, None::<&Indexing>)
            };
            let Ok((_, produced)) = produced else { break };
            used += wants;
            let skip = self.delay.min(produced);
            self.delay -= skip;
            let fresh = &self.output[skip * CHANNELS..produced * CHANNELS];
            for frame in fresh.chunks_exact(CHANNELS) {
                if most == 0 {
                    break;
                }
                most -= 1;
                out.push([frame[0], frame[1]])?;
            }
        }
        self.input.drain(..used);
        Ok(())
    }
}
