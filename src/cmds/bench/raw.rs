//! The floor under everything that goes through the broker: the embedded broker alone in a
//! process, with clients that do nothing but what is compared.

use super::host::Process;
use super::simulated::{Answering, Simulated};
use crate::app::link::{Acked, Link, LinkEvent};
use crate::broker::{Broker, BrokerConfig, Gate, SERVER_BYTES, Who};
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::{Answer, runtime, serve};
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::mqtt::{self, BrokerUrl, MqttConfig, Password};
use crate::wire::doc::{State, StateKind};
use crate::wire::topic::{Topic, Topics};
use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Messages under way at once, as the courier of assets has them.
const WINDOW: usize = 8;
/// Longest that the clients may take.
const PATIENCE_MS: i64 = 300_000;
/// Where the devices of a district are.
const UNITS: [&str; 2] = ["90001", "90001-thon1"];

/// Where a bare broker listens, in one line on its stdout.
#[derive(Debug, Serialize, Deserialize)]
struct Listening {
    devices: SocketAddr,
    server: SocketAddr,
    user: String,
    password: String,
}

/// Lets everybody in who has an id.
struct Anyone(Arc<[UnitId]>);

impl Gate for Anyone {
    fn login(&self, user: &str, _: &[u8], _: &str) -> Option<Who> {
        self.who(user)
    }
    fn who(&self, user: &str) -> Option<Who> {
        Some(Who::Device { id: user.parse().ok()?, units: self.0.clone(), behind: None })
    }
}

/// Runs the embedded broker alone, on loopback, until killed.
#[expect(clippy::print_stdout, reason = "who started it reads where it listens")]
pub fn broker() -> anyhow::Result<Answer> {
    serve::raise_descriptors();
    let units = UNITS.iter().map(|unit| unit.parse()).collect::<Result<Vec<UnitId>, _>>()?;
    runtime()?.block_on(async {
        let config = BrokerConfig {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
            topics: Topics::default(),
            max_devices: 20_000,
            server_bytes: SERVER_BYTES,
        };
        let broker = Broker::start(config, Arc::new(Anyone(units.into()))).await?;
        let (server, user, password) = broker.server();
        let listening = Listening {
            devices: broker.devices(),
            server,
            user: user.to_owned(),
            password: password.to_owned(),
        };
        println!("{}", serde_json::to_string(&listening)?);
        std::future::pending().await
    })
}

/// A bare broker.
pub struct Raw {
    pub process: Process,
    listening: Listening,
}

impl Raw {
    /// Starts it.
    pub fn start() -> anyhow::Result<Self> {
        let (process, line) = Process::broker()?;
        let listening = serde_json::from_str(&line).context("a broker that says nothing")?;
        Ok(Self { process, listening })
    }

    fn line(&self, n: usize) -> anyhow::Result<MqttConfig> {
        let id: DeviceId = format!("loa-{n:04}").parse()?;
        let mut config =
            MqttConfig::device(url(self.listening.devices), id.as_str(), Password::new("x"));
        config.backoff = (Duration::from_millis(200), Duration::from_millis(500));
        Ok(config)
    }

    /// Connects so many devices that subscribe to what is theirs, leave a state, and stay until
    /// `stop`; done when all have.
    pub async fn idle(&self, devices: usize, stop: &CancellationToken) -> anyhow::Result<()> {
        let there = Arc::new(AtomicUsize::new(0));
        for n in 0..devices {
            let config = self.line(n)?;
            let id: DeviceId = config.client_id.parse()?;
            let topics = Topics::default();
            let mut filters = Vec::new();
            for topic in [Topic::Keys, Topic::Server, Topic::Timetable(id.clone())]
                .into_iter()
                .chain([Topic::Floor(id.clone()), Topic::Command(id.clone())])
                .chain([Topic::Time(id.clone()), Topic::Receipt(id.clone())])
            {
                filters.push(topics.of(&topic));
            }
            for unit in UNITS {
                let unit: UnitId = unit.parse()?;
                filters.push(topics.of(&Topic::Hold(unit.clone())));
                filters.push(topics.urgent_filter(&unit));
            }
            let (link, mut events, driver) = mqtt::prepare(config, Box::new(|| None))?;
            tokio::spawn(driver.run(stop.clone()));
            let (stop, there) = (stop.clone(), there.clone());
            let state = topics.of(&Topic::State(id));
            tokio::spawn(async move {
                let mut first = true;
                loop {
                    let event = tokio::select! {
                        () = stop.cancelled() => return,
                        event = events.next() => event,
                    };
                    match event {
                        None => return,
                        Some(LinkEvent::Connected) => {
                            let _ = link.subscribe(filters.clone()).await;
                            let body = State::bare(StateKind::Ready, 1).encode();
                            let told = link.publish(state.clone(), body, true).await.is_ok();
                            if told && std::mem::take(&mut first) {
                                there.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Some(_) => {}
                    }
                }
            });
        }
        wait(|| there.load(Ordering::Relaxed) == devices).await
    }

    /// Publishes so many bytes in chunks of a size to so many clients that hash each; returns the
    /// seconds until the last one has them all.
    pub async fn fan_out(
        &self,
        devices: usize,
        bytes: usize,
        size: ChunkSize,
    ) -> anyhow::Result<f64> {
        let chunks = bytes.div_ceil(size.bytes());
        let stop = CancellationToken::new();
        let _guard = stop.clone().drop_guard();
        let (ready, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // Any topic that a device may read and the server may write.
        let topic = Topics::default().of(&Topic::Server);
        for n in 0..devices {
            let (link, mut events, driver) = mqtt::prepare(self.line(n)?, Box::new(|| None))?;
            tokio::spawn(driver.run(stop.clone()));
            let (ready, done, topic) = (ready.clone(), done.clone(), topic.clone());
            tokio::spawn(async move {
                let mut taken = 0;
                while let Some(event) = events.next().await {
                    match event {
                        LinkEvent::Connected => {
                            if link.subscribe(vec![topic.clone()]).await.is_ok() {
                                ready.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        LinkEvent::Message { payload, .. } => {
                            std::hint::black_box(Digest::of(&payload));
                            taken += 1;
                            if taken == chunks {
                                done.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        LinkEvent::Disconnected { .. } => {}
                    }
                }
            });
        }
        wait(|| ready.load(Ordering::Relaxed) >= devices).await?;
        let link = self.server(&stop).await?;
        let chunk = Bytes::from(vec![0x5a; size.bytes()]);
        let clock = SystemClock::new();
        let mut flying = VecDeque::new();
        for n in 0..chunks {
            if flying.len() == WINDOW
                && let Some(first) = flying.pop_front()
            {
                let acked: Acked = first;
                acked.await?;
            }
            let chunk = chunk.slice(..size.bytes().min(bytes - n * size.bytes()));
            flying.push_back(link.enqueue(topic.clone(), chunk, false).await?);
        }
        wait(|| done.load(Ordering::Relaxed) == devices).await?;
        Ok(clock.mono_ms() as f64 / 1_000.0)
    }

    /// Connects as the server does.
    async fn server(&self, stop: &CancellationToken) -> anyhow::Result<Link> {
        let Listening { server, user, password, .. } = &self.listening;
        let login = Some((user.clone(), Password::new(password.clone())));
        let config = MqttConfig::server(url(*server), user, login);
        let (link, mut events, driver) = mqtt::prepare(config, Box::new(|| None))?;
        tokio::spawn(driver.run(stop.clone()));
        let first = events.next().await;
        anyhow::ensure!(matches!(first, Some(LinkEvent::Connected)), "no line: {first:?}");
        tokio::spawn(async move { while events.next().await.is_some() {} });
        Ok(link)
    }

    /// Connects clients that judge the orders of a unit as these devices do, answer them signed,
    /// and do nothing else; nobody takes their answers from the broker.
    pub async fn answering(
        &self,
        devices: &[Arc<Simulated>],
        unit: &UnitId,
    ) -> anyhow::Result<Answerers> {
        let stop = CancellationToken::new();
        let (ready, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let topics = Topics::default();
        let filters = vec![topics.of(&Topic::Hold(unit.clone())), topics.urgent_filter(unit)];
        for (n, device) in devices.iter().enumerate() {
            let (link, mut events, driver) = mqtt::prepare(self.line(n)?, Box::new(|| None))?;
            tokio::spawn(driver.run(stop.clone()));
            let (ready, answered, filters) = (ready.clone(), answered.clone(), filters.clone());
            let mut answering = Answering::new(device.clone())?;
            let (topics, records) =
                (topics.clone(), topics.of(&Topic::Records(device.id().clone())));
            tokio::spawn(async move {
                let clock = SystemClock::new();
                while let Some(event) = events.next().await {
                    match event {
                        LinkEvent::Connected => {
                            if link.subscribe(filters.clone()).await.is_ok() {
                                ready.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        LinkEvent::Message { topic, payload, .. } => {
                            let Some(known) = topics.parse(&topic) else { continue };
                            let answer = answering.answer(&known, &payload, clock.now());
                            if let Ok(Some(batch)) = answer
                                && link.publish(records.clone(), batch, false).await.is_ok()
                            {
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            answering.receipted(u64::MAX);
                        }
                        LinkEvent::Disconnected { .. } => {}
                    }
                }
            });
        }
        wait(|| ready.load(Ordering::Relaxed) >= devices.len()).await?;
        let link = self.server(&stop).await?;
        Ok(Answerers { link, answered, devices: devices.len() as u64, _stop: stop.drop_guard() })
    }
}

/// Clients of a bare broker that answer orders.
pub struct Answerers {
    link: Link,
    answered: Arc<AtomicU64>,
    devices: u64,
    _stop: DropGuard,
}

impl Answerers {
    /// Publishes an order; returns the seconds until the broker has everybody's signed answer.
    pub async fn order(&self, topic: String, order: Bytes) -> anyhow::Result<f64> {
        let until = self.answered.load(Ordering::Relaxed) + self.devices;
        let clock = SystemClock::new();
        self.link.publish(topic, order, true).await?;
        wait(|| self.answered.load(Ordering::Relaxed) >= until).await?;
        Ok(clock.mono_us() as f64 / 1e6)
    }
}

fn url(at: SocketAddr) -> BrokerUrl {
    BrokerUrl { host: at.ip().to_string(), port: at.port(), tls: false }
}

async fn wait(done: impl Fn() -> bool) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    while !done() {
        anyhow::ensure!(clock.mono_ms() < PATIENCE_MS, "the clients of the bare broker stall");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
