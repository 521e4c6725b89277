//! A commune: the server's own parts over its real store, devices of the real loop with their
//! folders, a broker in memory between them. Each has a clock of its own that is told the time.

use super::street::Street;
use crate::support::wait::within;
use loa::app::ingest::{Arrived, Ingest};
use loa::app::keyring::Keyring;
use loa::app::link::hub::Hub;
use loa::app::link::{Link, LinkEvent, LinkEvents};
use loa::app::ports::{
    Enrolment, EnrolmentCode, Evidence as _, Page, RecordFilter, Registry as _, Store, StoredRecord,
};
use loa::app::publish::{Publication, Publisher, Settings as Publishing};
use loa::clock::{Clock as _, ManualClock};
use loa::config::{self, ClipSource};
use loa::device::executor::Output;
use loa::device::hardware::Hardware;
use loa::device::identity::{Home, Identity};
use loa::device::run::{Device, DeviceError, Settings};
use loa::device::trust::ClockMode;
use loa::domain::chunk::{ChunkSize, concat, hashes};
use loa::domain::ids::{DeviceId, Digest};
use loa::domain::station::{AssetFacts, Station};
use loa::domain::time::UtcMs;
use loa::store::SqliteStore;
use loa::wire::b64;
use loa::wire::doc::{self, Floor, State, TimeAnswer};
use loa::wire::epoch::{self, KeysBody};
use loa::wire::jws::SecretKey;
use loa::wire::server_keys::ServerKeys;
use loa::wire::topic::{Topic, Topics};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2026-12-01 04:30 in Hà Nội.
pub const DAWN: UtcMs = UtcMs(1_796_074_200_000);
pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// Sound is looked at so often: the journal promises three seconds ahead.
const CLOSE: i64 = SECOND;
/// When nothing is near.
const FAR: i64 = 10 * MINUTE;

/// Clips are files that hold a length in milliseconds; nothing here decodes them.
struct Lengths;

impl ClipSource for Lengths {
    fn facts(&mut self, path: &Path) -> Result<AssetFacts, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let ms = text.trim().parse().map_err(|_| "it holds no length".to_owned())?;
        let sums = |size: &ChunkSize| {
            let sums = Digest::of(&concat(&hashes(text.as_bytes(), *size)));
            (size.kib().to_string(), sums)
        };
        Ok(AssetFacts {
            sha256: Digest::of(text.as_bytes()),
            bytes: text.len() as u64,
            media_type: "audio/mpeg".into(),
            ms,
            gain_cb: 0,
            lufs_cb: -160,
            sums: ChunkSize::ALL.iter().map(sums).collect(),
            title: path.file_name().unwrap().to_string_lossy().into_owned(),
        })
    }
}

/// One device and what stands at its wires.
pub struct Unit {
    pub id: DeviceId,
    pub key: SecretKey,
    pub dir: PathBuf,
    pub clock: Arc<ManualClock>,
    pub street: Street,
    mode: ClockMode,
    stop: CancellationToken,
    task: JoinHandle<Result<(), DeviceError>>,
    running: bool,
}

pub struct Commune {
    pub dir: TempDir,
    pub store: Arc<SqliteStore>,
    pub clock: Arc<ManualClock>,
    pub units: Vec<Unit>,
    pub states: BTreeMap<DeviceId, State>,
    /// How often each device said how it is.
    pub said: BTreeMap<DeviceId, u32>,
    hub: Hub,
    link: Link,
    events: LinkEvents,
    topics: Topics,
    keys: Arc<ServerKeys>,
    root: SecretKey,
    publisher: Publisher<dyn Store>,
    ingest: Ingest,
    clips: BTreeMap<Digest, String>,
    /// Instants near which everybody looks closely.
    near: BTreeSet<UtcMs>,
}

impl Commune {
    /// A commune at dawn; `folder` is its station folder.
    pub async fn new(folder: &[(&str, &str)]) -> Self {
        // Thousands of synced writes: in memory where the machine has such a place.
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("store.db")).await.unwrap());
        let clock = Arc::new(ManualClock::new(DAWN));
        let keys = Arc::new(ServerKeys::from_seeds(&[[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]]));
        let shared: Arc<dyn Store> = store.clone();
        let publisher = Publisher::new(
            shared.clone(),
            Publishing::default(),
            keys.schedule.clone(),
            clock.clone(),
        );
        let topics = Topics::default();
        let root = SecretKey::from_seed(&[9; 32]);
        let ring = Keyring::first((*keys).clone(), &root, DAWN.numeric_date() - 60).unwrap();
        let ingest = Ingest::new(shared, ring, topics.clone(), "Đài".into(), clock.clone());
        let hub = Hub::new();
        let (link, events) = hub.connect("server");
        link.subscribe(vec!["loa/1/d/+/state".into(), "loa/1/r/+/+".into()]).await.unwrap();
        let mut commune = Self {
            dir,
            store,
            clock,
            units: Vec::new(),
            states: BTreeMap::new(),
            said: BTreeMap::new(),
            hub,
            link,
            events,
            topics,
            keys,
            root: SecretKey::from_seed(&[6; 32]),
            publisher,
            ingest,
            clips: BTreeMap::new(),
            near: BTreeSet::new(),
        };
        for (name, text) in folder {
            commune.write(name, text);
        }
        commune.put(&Topic::Keys, commune.epochs().encode()).await;
        let devices: Vec<_> = commune.station().devices.values().cloned().collect();
        commune.store.put_devices(&devices, DAWN).await.unwrap();
        commune
    }

    pub fn write(&mut self, name: &str, text: &str) {
        let path = self.dir.path().join("station").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        if name.starts_with("clips/") {
            self.clips.insert(Digest::of(text.as_bytes()), text.to_owned());
        }
    }

    pub fn station(&self) -> Station {
        let dir = self.dir.path().join("station");
        let loaded = config::load(&dir, &dir.join("profiles"), &mut Lengths);
        assert!(loaded.faults.iter().all(|fault| !fault.refuses), "{:?}", loaded.faults);
        loaded.station.unwrap()
    }

    fn epochs(&self) -> KeysBody {
        KeysBody::new(vec![epoch::first(&self.root, &self.keys, DAWN.numeric_date() - 60)])
    }

    /// Enrols a device of the folder's register and starts it.
    pub async fn enrol(&mut self, id: &str, output: Output, mode: ClockMode) {
        let id: DeviceId = id.parse().unwrap();
        let n = u8::try_from(self.units.len()).unwrap();
        let key = SecretKey::from_seed(&[100 + n; 32]);
        let code = Digest([n; 32]);
        let made = EnrolmentCode {
            id: code,
            device: id.clone(),
            secret: vec![1],
            made_ms: DAWN,
            expires_ms: DAWN.plus(SECOND),
            used: None,
            refused: 0,
            last_refusal: None,
        };
        self.store.put_code(&made).await.unwrap();
        let (kid, public) = (key.kid().to_string(), key.public().to_bytes());
        let (device, password) = (id.clone(), Digest([0; 32]));
        let enrolment = Enrolment { code, device, kid, key: public, password, at_ms: DAWN };
        self.store.enrol(&enrolment).await.unwrap();
        let dir = self.dir.path().join(id.as_str());
        self.write_home(&dir, &id, [100 + n; 32]);
        let clock = Arc::new(ManualClock::new(self.clock.now()));
        let (stop, task, street) = self.start(&dir, &id, output, mode, &clock);
        self.units.push(Unit { id, key, dir, clock, street, mode, stop, task, running: true });
    }

    fn write_home(&self, dir: &Path, id: &DeviceId, seed: [u8; 32]) {
        fs::create_dir_all(dir).unwrap();
        let identity = Identity {
            v: 1,
            id: id.clone(),
            server: "Đài".into(),
            root: self.root.kid(),
            broker: "mqtt://127.0.0.1:1".into(),
            broker_ca: false,
            prefix: "loa/1".into(),
            user: id.to_string(),
            password: "geheim".into(),
            units: Vec::new(),
            insecure_lan: false,
        };
        fs::write(dir.join("identity.json"), serde_json::to_vec(&identity).unwrap()).unwrap();
        fs::write(dir.join("key"), b64::encode(&seed)).unwrap();
        fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(dir.join("keys.json"), self.epochs().encode()).unwrap();
        let floor = Floor::first(id.clone(), DAWN.0, DAWN.numeric_date(), 420);
        let floor = doc::sign(&self.keys.policy, &floor).unwrap();
        fs::write(dir.join("floor.jws"), floor).unwrap();
    }

    /// Opens the folder of a device.
    pub fn open(
        &self,
        dir: &Path,
        id: &DeviceId,
        mode: ClockMode,
        clock: &Arc<ManualClock>,
    ) -> Device {
        let station = self.station();
        let profile = station.profiles[&station.devices[id].profile].clone();
        let settings =
            Settings { clock: mode, profile, ledger_bytes: 16 << 20, fw: "thử".into() };
        Device::open(Home::open(dir).unwrap(), settings, clock.clone()).unwrap()
    }

    fn start(
        &self,
        dir: &Path,
        id: &DeviceId,
        output: Output,
        mode: ClockMode,
        clock: &Arc<ManualClock>,
    ) -> (CancellationToken, JoinHandle<Result<(), DeviceError>>, Street) {
        let device = self.open(dir, id, mode, clock);
        let (link, events) = self.hub.connect_with(id.as_str(), device.wills());
        let (hardware, outputs, stage) = Hardware::elsewhere(output);
        let lengths: BTreeMap<Digest, i64> =
            self.clips.iter().map(|(name, text)| (*name, text.trim().parse().unwrap())).collect();
        let street = Street::new(stage, device.clock(), lengths);
        let stop = CancellationToken::new();
        let task = tokio::spawn(device.run(hardware, outputs, link, events, stop.clone()));
        (stop, task, street)
    }

    async fn put(&self, topic: &Topic, body: impl Into<bytes::Bytes>) {
        self.link.publish(self.topics.of(topic), body, true).await.unwrap();
    }

    async fn publish(&self, publication: Publication) {
        let Publication { topic, payload, retain } = publication;
        self.link.publish(topic, payload, retain).await.unwrap();
    }

    /// Plans what the folder says and publishes it: assets, sheets, timetables.
    pub async fn plan(&mut self) {
        let round = self.publisher.plan(&Arc::new(self.station())).await.unwrap();
        assert_eq!(round.faults, []);
        for (sha256, need) in &round.assets {
            let bytes = self.clips[sha256].as_bytes();
            for kib in &need.kib {
                let size = ChunkSize::from_kib(*kib).unwrap();
                for (n, chunk) in (0..).zip(bytes.chunks(size.bytes())) {
                    self.put(&Topic::Chunk { sha256: *sha256, size, n }, chunk.to_vec()).await;
                }
                let sums = concat(&hashes(bytes, size));
                self.put(&Topic::Sums { sha256: *sha256, size }, sums).await;
            }
        }
        for sheet in &round.sheets {
            let limit = loa::wire::limits::SHEET_BYTES;
            let decoded = loa::wire::sheet::decode(&sheet.payload, limit).unwrap();
            for cue in decoded.cues {
                // Ordered three seconds ahead.
                self.near.extend([cue.at_ms.plus(-3_000), cue.at_ms.plus(-2_000), cue.at_ms]);
                self.near.extend([cue.end_ms, cue.end_ms.plus(SECOND)]);
            }
            self.publish(sheet.clone()).await;
        }
        let mut versions = Vec::new();
        for timetable in round.timetables {
            versions.push((timetable.device.clone(), timetable.ver));
            self.publish(timetable.publication).await;
        }
        self.publisher.published(&versions).await.unwrap();
    }

    pub fn unit(&mut self, id: &str) -> &mut Unit {
        self.units.iter_mut().find(|unit| unit.id.as_str() == id).unwrap()
    }

    /// No device reaches the broker any more.
    pub async fn cut_off(&mut self) {
        for unit in &self.units {
            self.hub.refuse(unit.id.as_str());
        }
        self.settle().await;
    }

    pub async fn reconnect(&mut self) {
        for unit in &self.units {
            self.hub.restore(unit.id.as_str());
        }
        self.settle().await;
    }

    /// The power of a device is cut.
    pub async fn kill(&mut self, id: &str) {
        let unit = self.unit(id);
        unit.task.abort();
        unit.street.cut();
        unit.running = false;
        let task = std::mem::replace(&mut unit.task, tokio::spawn(async { Ok(()) }));
        assert!(task.await.unwrap_err().is_cancelled());
    }

    /// It comes back.
    pub async fn revive(&mut self, id: &str, output: Output) {
        let n = self.units.iter().position(|unit| unit.id.as_str() == id).unwrap();
        let Unit { dir, id, clock, mode, .. } = &self.units[n];
        let (stop, task, mut street) = self.start(dir, id, output, *mode, clock);
        let unit = &mut self.units[n];
        street.heard = std::mem::take(&mut unit.street.heard);
        street.shown = std::mem::take(&mut unit.street.shown);
        (unit.stop, unit.task, unit.street, unit.running) = (stop, task, street, true);
        self.settle().await;
    }

    /// Lets time pass for everybody until the server's clock reads `end`.
    pub async fn pass_until(&mut self, end: UtcMs) {
        while self.clock.now() < end {
            let now = self.clock.now();
            // A clock that was set is near the same instants at another time.
            let near = self.units.iter().filter_map(|unit| {
                let now = unit.clock.now();
                self.near.range(now.plus(1)..).next().map(|at| at.since(now))
            });
            let street = self.units.iter().filter_map(|unit| {
                let next = unit.street.next()?;
                let sounds = if unit.street.is_sounding() { CLOSE } else { FAR };
                Some(next.since(unit.clock.now()).clamp(1, sounds))
            });
            let step = street.chain(near).chain([FAR, end.since(now)]).min().unwrap_or(FAR);
            self.pass(step).await;
        }
    }

    /// Lets so much time pass at once.
    pub async fn pass(&mut self, ms: i64) {
        self.clock.pass(ms);
        for unit in &self.units {
            unit.clock.pass(ms);
        }
        self.settle().await;
    }

    /// Lets time pass in the steps of a busy loop until something holds.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        within(what, async {
            while !holds(self) {
                self.pass(200).await;
                // Files are checked by threads of their own.
                tokio::task::spawn_blocking(|| ()).await.unwrap();
            }
        })
        .await;
    }

    /// Waits until every device has looked at its clock and nothing is under way.
    async fn settle(&mut self) {
        within("every device looks at its clock", async {
            let mut quiet = 0;
            while quiet < 2 {
                for _ in 0..6 {
                    tokio::task::yield_now().await;
                }
                let served = self.serve().await;
                let lived = self.units.iter_mut().filter(|u| u.running).any(|u| u.street.live());
                let asleep = self.units.iter().filter(|unit| unit.running).all(|unit| {
                    assert!(!unit.task.is_finished(), "`{}` ended", unit.id);
                    let now = unit.clock.mono_ms();
                    unit.clock.waits().first().is_some_and(|until| *until > now)
                });
                quiet = if served || lived || !asleep { 0 } else { quiet + 1 };
            }
        })
        .await;
    }

    /// Does what a server does with what has come; says whether anything had.
    async fn serve(&mut self) -> bool {
        let mut arrived = Vec::new();
        let mut busy = false;
        while let Some(event) = self.events.try_next() {
            let LinkEvent::Message { topic, payload, .. } = event else { continue };
            busy = true;
            match self.topics.parse(&topic) {
                Some(Topic::State(device)) => self.take_state(device, &payload).await,
                Some(Topic::Records(device)) => arrived.push(Arrived { device, lines: payload }),
                _ => {}
            }
        }
        if !arrived.is_empty() {
            let taken = self.ingest.take(&arrived).await.unwrap();
            for publication in taken.publications {
                self.publish(publication).await;
            }
        }
        busy
    }

    async fn take_state(&mut self, device: DeviceId, payload: &[u8]) {
        let state = State::decode(payload).unwrap();
        if let Some(nonce) = state.nonce.clone() {
            let now_ms = self.clock.now();
            let aud = device.clone();
            let answer = TimeAnswer { v: 1, aud, iat: now_ms.numeric_date(), nonce, now_ms };
            let text = doc::sign(&self.keys.time, &answer).unwrap();
            let topic = self.topics.of(&Topic::Time(device.clone()));
            self.link.publish(topic, text, false).await.unwrap();
        }
        *self.said.entry(device.clone()).or_default() += 1;
        self.states.insert(device, state);
    }

    /// Returns everything the server holds of a device, in order of its chain.
    pub async fn stored(&self, device: &DeviceId) -> Vec<StoredRecord> {
        let filter = RecordFilter { device: Some(device.clone()), ..RecordFilter::default() };
        let page = Page::After { position: 0, limit: 100_000 };
        let listed = self.store.records(&filter, page).await.unwrap();
        let mut records: Vec<_> = listed.into_iter().map(|listed| listed.record).collect();
        records.sort_by_key(|record| record.seq);
        records
    }

    /// Ends all devices in order.
    pub async fn end(&mut self) {
        for unit in &mut self.units {
            unit.stop.cancel();
            let task = std::mem::replace(&mut unit.task, tokio::spawn(async { Ok(()) }));
            unit.running = false;
            within("it ends", async {
                while !task.is_finished() {
                    tokio::task::yield_now().await;
                    unit.street.live();
                }
            })
            .await;
            task.await.unwrap().unwrap();
        }
        self.serve().await;
    }
}
