//! Records end to end: over MQTT, verified, durable, receipted; with as many connections as a
//! large district has. Generator, broker and server share this machine. The same server without the
//! log, in turns with the one that keeps it, shows what the log costs.

use super::Row;
use super::host::{Host, Server, Tone};
use super::simulated::Simulated;
use crate::app::link::LinkEvent;
use crate::app::ports::Evidence as _;
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::serve::Logging;
use crate::cmds::{runtime, serve};
use crate::domain::ids::ChainId;
use crate::mqtt;
use crate::wire::doc::Receipt;
use crate::wire::topic::{Topic, Topics};
use crate::wire::{b64, record};
use anyhow::Context as _;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Records of a message.
const BATCH: usize = 50;
/// Messages that wait for their receipt at a time.
const UNDER_WAY: usize = 512;
/// Records for the measurement of bare signature checks.
const SAMPLE: usize = 10_000;
const PATIENCE_MS: i64 = 600_000;
/// Rest between the last connection and the first record.
const CALM: Duration = Duration::from_secs(3);
const CLIP: Tone = Tone { name: "ban-tin", hertz: 440, seconds: 10 };

/// A device with the messages it is to send.
struct Sender {
    device: Arc<Simulated>,
    chain: ChainId,
    batches: Vec<Bytes>,
}

/// Whether the log is kept: each way as often, and neither always first, so that what slows the
/// machine down for a while slows both.
const TURNS: [Logging; 4] = [Logging::On, Logging::LeftOut, Logging::LeftOut, Logging::On];

/// What a turn came to.
#[derive(Clone, Copy, Debug)]
struct Turn {
    logging: Logging,
    records: u64,
    seconds: f64,
    /// Time of processors that the server took.
    cpu_s: f64,
    /// Memory of the server once all were connected, and at the most, in MB.
    connected: f64,
    most: f64,
}

/// Measures it: so many devices, and records for about so many seconds.
pub fn rows(devices: usize, seconds: u64) -> anyhow::Result<Vec<Row>> {
    serve::raise_descriptors();
    let runtime = runtime()?;
    let host = Host::district(devices, &[CLIP])?;
    let first = host.serve()?;
    let (http, mqtt) = first.ports;
    let enrolled = runtime.block_on(host.enrol(&first, devices))?;
    first.process.end()?;
    let alone = verify_strict(&enrolled[0])?;
    // For that long at the rate that is aimed for.
    let wanted = alone * 0.45 * seconds as f64 / TURNS.len() as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let each = (wanted / (devices * BATCH) as f64).ceil().max(1.0) as usize;
    let mut turns = Vec::with_capacity(TURNS.len());
    for logging in TURNS {
        eprintln!("signing {} records …", devices * each * BATCH);
        let senders = sign(&enrolled, each)?;
        let server = match logging {
            Logging::On => host.serve_at(http, mqtt)?,
            Logging::LeftOut => host.serve_unlogged(http, mqtt)?,
        };
        let turn = turn(&host, &server, &runtime, senders, logging)?;
        eprintln!(
            "{}: {:.0} records a second, {:.1} µs of the server's time each",
            if logging == Logging::On { "with the log" } else { "without it" },
            turn.records as f64 / turn.seconds,
            turn.cpu_s * 1e6 / turn.records as f64
        );
        turns.push(turn);
        server.process.end()?;
    }
    runtime.shutdown_background();
    Ok(told(&turns, alone, devices))
}

fn told(turns: &[Turn], alone: f64, devices: usize) -> Vec<Row> {
    let of = |logging: Logging| turns.iter().filter(move |turn| turn.logging == logging);
    let records = |logging| of(logging).map(|turn| turn.records).sum::<u64>() as f64;
    let rate = |logging| records(logging) / of(logging).map(|turn| turn.seconds).sum::<f64>();
    let cpu = |logging| of(logging).map(|turn| turn.cpu_s).sum::<f64>() * 1e6 / records(logging);
    let (with, without) = (rate(Logging::On), rate(Logging::LeftOut));
    let most = of(Logging::On).map(|turn| turn.most).fold(0.0, f64::max);
    let connected = of(Logging::On).map(|turn| turn.connected).fold(0.0, f64::max);
    let seconds: f64 = of(Logging::On).map(|turn| turn.seconds).sum();
    vec![
        Row::at_least("records verified, durable, receipted and logged", with, 5_000.0, "/s").note(
            format!(
                "{:.0} records, {BATCH} a message, {devices} connections, {seconds:.0} s; none \
                 lost; server {connected:.0} MB with all connected, {most:.0} MB at the most",
                records(Logging::On)
            ),
        ),
        Row::at_most("cost of the log in that", (1.0 - with / without) * 100.0, 15.0, "%").note(
            format!(
                "{without:.0}/s by the same server without the log, in turns; of its processors' \
                 time {:.1} µs a record with it, {:.1} µs without",
                cpu(Logging::On),
                cpu(Logging::LeftOut)
            ),
        ),
        Row::at_least("the same, of `verify_strict` alone on one core", with / alone, 0.4, "×")
            .note(format!("{alone:.0} signatures a second, measured before")),
    ]
}

/// Delivers what the senders have.
fn turn(
    host: &Host,
    server: &Server,
    runtime: &Runtime,
    senders: Vec<Sender>,
    logging: Logging,
) -> anyhow::Result<Turn> {
    let devices = senders.len();
    let total = senders.iter().map(|sender| sender.batches.len() * BATCH).sum::<usize>() as u64;
    let before = runtime.block_on(stored(host))?;
    let receipted = Arc::new(AtomicU64::new(0));
    let begun = Arc::new(tokio::sync::watch::channel(false).0);
    let connected = Arc::new(AtomicU64::new(0));
    let stop = CancellationToken::new();
    let under_way = Arc::new(Semaphore::new(UNDER_WAY));
    runtime.block_on(async {
        for sender in senders {
            let (receipted, connected) = (receipted.clone(), connected.clone());
            let (under_way, begin, stop) = (under_way.clone(), begun.subscribe(), stop.clone());
            let run = sender.run(begin, under_way, connected, receipted, &stop)?;
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = run => {}
                }
            });
        }
        anyhow::Ok(())
    })?;
    let wait = |counter: &AtomicU64, until: u64| {
        let clock = SystemClock::new();
        while counter.load(Ordering::Relaxed) < until {
            let now = counter.load(Ordering::Relaxed);
            anyhow::ensure!(clock.mono_ms() < PATIENCE_MS, "{now} of {until} when time was up");
            std::thread::sleep(Duration::from_millis(5));
        }
        anyhow::Ok(clock.mono_ms() as f64 / 1_000.0)
    };
    wait(&connected, devices as u64)?;
    // What the server does once all are there is not what is measured.
    std::thread::sleep(CALM);
    let (memory, cpu_s) = (server.process.memory()?.now, server.process.cpu_s()?);
    begun.send_replace(true);
    let seconds = wait(&receipted, total)?;
    let cpu_s = server.process.cpu_s()? - cpu_s;
    stop.cancel();
    let kept = runtime.block_on(stored(host))? - before;
    anyhow::ensure!(kept == total, "{total} records were receipted, {kept} are in the store");
    let most = server.process.memory()?.most;
    Ok(Turn { logging, records: total, seconds, cpu_s, connected: memory, most })
}

async fn stored(host: &Host) -> anyhow::Result<u64> {
    let store = host.store().await?;
    let counts = store.evidence_counts().await?;
    store.close().await;
    Ok(counts.records)
}

/// Returns how many signatures one core checks in a second, without anything else.
fn verify_strict(device: &Simulated) -> anyhow::Result<f64> {
    let records = device.chain_of(ChainId([1; 16]), SAMPLE as u64)?;
    let mut parts = Vec::with_capacity(records.len());
    for text in &records {
        let (signed, signature) = text.rsplit_once('.').context("a record without signature")?;
        let signature = b64::decode(signature).context("a signature that is not base64url")?;
        let signature: [u8; 64] = signature[..].try_into()?;
        parts.push((signed.as_bytes(), signature));
    }
    let key = device.public_key();
    let clock = SystemClock::new();
    for (signed, signature) in &parts {
        key.verify(signed, signature)?;
    }
    Ok(SAMPLE as f64 * 1e6 / clock.mono_us() as f64)
}

/// Signs all messages, on all cores.
fn sign(devices: &[Arc<Simulated>], each: usize) -> anyhow::Result<Vec<Sender>> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = devices.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = devices
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    let senders = share.iter().map(|device| Sender::new(device.clone(), each));
                    senders.collect::<anyhow::Result<Vec<_>>>()
                })
            })
            .collect();
        let mut senders = Vec::with_capacity(devices.len());
        for worker in workers {
            let signed = worker.join().map_err(|_| anyhow::anyhow!("signing failed"))?;
            senders.extend(signed?);
        }
        Ok(senders)
    })
}

impl Sender {
    fn new(device: Arc<Simulated>, each: usize) -> anyhow::Result<Self> {
        let mut chain = [0; 16];
        getrandom::fill(&mut chain)?;
        let chain = ChainId(chain);
        let records = device.chain_of(chain, (each * BATCH) as u64)?;
        let mut batches = Vec::with_capacity(each);
        for part in records.chunks(BATCH) {
            let (batch, taken) = record::batch(part.iter().map(String::as_str));
            anyhow::ensure!(taken == part.len(), "{BATCH} records are no message");
            batches.push(Bytes::from(batch));
        }
        Ok(Self { device, chain, batches })
    }

    /// Connects at once; sends from the word on, a message at a time, the next one when the
    /// receipt of the last is there.
    fn run(
        self,
        mut begin: tokio::sync::watch::Receiver<bool>,
        under_way: Arc<Semaphore>,
        connected: Arc<AtomicU64>,
        receipted: Arc<AtomicU64>,
        stop: &CancellationToken,
    ) -> anyhow::Result<impl Future<Output = Option<()>> + use<>> {
        let mut config = self.device.line()?;
        config.backoff = (Duration::from_millis(200), Duration::from_millis(500));
        let (link, mut events, driver) = mqtt::prepare(config, Box::new(|| None))?;
        tokio::spawn(driver.run(stop.clone()));
        let topics = Topics::default();
        let receipt = topics.of(&Topic::Receipt(self.device.id().clone()));
        let topic = topics.of(&Topic::Records(self.device.id().clone()));
        Ok(async move {
            while !matches!(events.next().await?, LinkEvent::Connected) {}
            link.subscribe(vec![receipt]).await.ok()?;
            connected.fetch_add(1, Ordering::Relaxed);
            begin.wait_for(|begin| *begin).await.ok()?;
            let mut upto = 0;
            for batch in self.batches {
                let _place = under_way.acquire().await.ok()?;
                upto += BATCH as u64;
                link.publish(topic.clone(), batch.clone(), false).await.ok()?;
                loop {
                    match events.next().await? {
                        LinkEvent::Message { payload, .. } => {
                            let claims = std::str::from_utf8(&payload).ok()?.split('.').nth(1)?;
                            let said: Receipt =
                                serde_json::from_slice(&b64::decode(claims)?).ok()?;
                            if said.chain == self.chain && said.upto >= upto {
                                break;
                            }
                        }
                        // What was on its way may be gone; the server knows duplicates.
                        LinkEvent::Connected => {
                            link.publish(topic.clone(), batch.clone(), false).await.ok()?;
                        }
                        LinkEvent::Disconnected { .. } => {}
                    }
                }
                receipted.fetch_add(BATCH as u64, Ordering::Relaxed);
            }
            Some(())
        })
    }
}
