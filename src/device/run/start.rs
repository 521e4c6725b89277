//! From an opened folder to a running loop: what was kept comes into force again.

use super::assets::Assets;
use super::mailer::Mailer;
use super::report::Reporter;
use super::values::Keeping;
use super::{Agent, Connection, Device, DeviceError, RECENT_MS, Started, quiet, random};
use crate::app::link::Link;
use crate::device::disk;
use crate::device::executor::{Event, Executor, Past, tone};
use crate::device::fetch::{FetchConfig, Fetcher, window};
use crate::device::floor::QuietFloor;
use crate::device::hardware::Hardware;
use crate::device::identity::Home;
use crate::device::ledger::delivery::Delivery;
use crate::device::pace::Pace;
use crate::device::refusals::Refusals;
use crate::device::vouched::Vouched;
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::Digest;
use crate::wire::Refusal;
use std::collections::VecDeque;
use tokio::sync::mpsc;

impl Agent {
    pub(super) fn start(
        device: Device,
        hardware: Hardware,
        outputs: mpsc::Receiver<Event>,
        link: &Link,
    ) -> Result<Started, DeviceError> {
        let Device {
            home,
            settings,
            topics,
            time,
            ledger,
            progress,
            journal,
            storage,
            mut gate,
            connections,
            props,
        } = device;
        let unclean = journal.as_ref().map_or(ledger.last() > 0, |journal| !journal.clean);
        let recent = ledger.recent(RECENT_MS)?;
        let past = Past::read(journal, recent);
        let floor = restore(&home, "floor.jws", |bytes| gate.restore_floor(bytes));
        let floor = floor.as_ref().map_or_else(QuietFloor::default, quiet);
        let timetable = restore(&home, "timetable.jws", |bytes| gate.restore_timetable(bytes));
        let days = past.days.clone();
        let me = home.identity.id.as_str();
        let executor = Executor::new(me, hardware.output(), floor, past, time.moment());
        let tone = tone();
        let tone_name = Digest::of(&tone);
        if let Err(error) = disk::write(&home.dir.join("tone.wav"), &tone) {
            tracing::warn!(%error, "Cannot keep the test tone");
        }
        let size = ChunkSize::from_kib(settings.profile.chunk_kib).unwrap_or(ChunkSize::USUAL);
        let config = FetchConfig {
            topics: topics.clone(),
            sheet_bytes: settings.profile.sheet_bytes as usize,
            window: window(size),
            ..FetchConfig::default()
        };
        let fetcher = Fetcher::new(config, random());
        let now_mono = time.moment().mono_ms;
        let vouched = disk::read(&home.dir.join("log.json")).unwrap_or_default();
        let vouched = Vouched::restore(&vouched);
        let (assets, checked) = Assets::new(size);
        let mut agent = Self {
            mailer: Mailer::start(link.clone()),
            reporter: Reporter::new(connections),
            delivery: Delivery::default(),
            refusals: Refusals::default(),
            vouched,
            connection: Connection::Down,
            unsaved: VecDeque::new(),
            orders_pace: Pace::default(),
            beat_mono: now_mono,
            prune_mono: now_mono,
            vouch_mono: now_mono,
            done: false,
            tone_name,
            home,
            settings,
            topics,
            time,
            ledger,
            progress,
            storage,
            gate,
            hardware,
            executor,
            fetcher,
            assets,
            values: Keeping::default(),
            props,
        };
        agent.follow_log();
        agent.record_boot(unclean);
        let mut names: Vec<Digest> = days.iter().map(|day| day.sheet).collect();
        if let Some(timetable) = &timetable {
            names.extend(timetable.days.iter().map(|day| day.sheet));
        }
        agent.load_sheets(&names);
        if let Some(timetable) = timetable {
            agent.follow(timetable);
        } else if agent.gate.timetable_void() {
            agent.void_timetable();
        }
        if let Some(bytes) = disk::read(&agent.home.dir.join("orders.json")) {
            for order in agent.gate.restore_orders(&bytes) {
                agent.obey_order(order);
            }
        }
        if let Some(bytes) = disk::read(&agent.home.dir.join("values.json")) {
            agent.gate.restore_values(&bytes);
        }
        agent.values.named_anew = true;
        agent.check_assets();
        let time = agent.time.timing().time;
        agent.feed(Event::Clock(time));
        agent.feed(Event::Tick);
        Ok((agent, outputs, checked))
    }
}

fn restore<T>(
    home: &Home,
    name: &str,
    read: impl FnOnce(&[u8]) -> Result<T, Refusal>,
) -> Option<T> {
    let bytes = disk::read(&home.dir.join(name))?;
    match read(&bytes) {
        Ok(document) => Some(document),
        Err(refusal) => {
            tracing::warn!(file = name, error = %refusal, "A kept document is not used");
            None
        }
    }
}
