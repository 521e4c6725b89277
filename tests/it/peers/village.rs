//! A village without wires: a station folder on disk, the server's parts over its real store, and
//! a loudspeaker of the real executor and the real ledger, under one clock that is told the time.

use loa::app::ingest::{Arrived, Ingest, Taken};
use loa::app::keyring::Keyring;
use loa::app::outcome::Outcomes;
use loa::app::ports::{
    Enrolment, EnrolmentCode, Page, RecordFilter, Registry as _, Store, StoredRecord,
};
use loa::app::publish::{Publisher, Round, Settings};
use loa::clock::{Clock as _, ManualClock};
use loa::config::{self, ClipSource, Loaded};
use loa::device::executor::{
    Action, DayRef, Ended, Event, Executor, Moment, Output, Past, PlayOrder, Schedule, Time,
};
use loa::device::floor::QuietFloor;
use loa::device::ledger::delivery::Span as Wanted;
use loa::device::ledger::{Ledger, LedgerConfig, Stamp};
use loa::domain::ids::{DeviceId, Digest};
use loa::domain::proof::outcome::Outcome;
use loa::domain::proof::record::{Attestor, Body, ClockNote, ClockSource, Play};
use loa::domain::station::{AssetFacts, Station};
use loa::domain::time::{Span, UtcMs};
use loa::store::SqliteStore;
use loa::wire::doc::{Receipt, Timetable};
use loa::wire::jws::{self, OneKey, Role, SecretKey, Typ};
use loa::wire::server_keys::ServerKeys;
use loa::wire::topic::Topics;
use loa::wire::{limits, record, sheet};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// 2026-12-01 04:30 in Hà Nội.
pub const DAWN: UtcMs = UtcMs(1_796_074_200_000);
/// 05:00 of that day.
pub const FIVE: UtcMs = UtcMs(DAWN.0 + 30 * MINUTE);

/// Clips are text files that hold a length in milliseconds.
pub struct Lengths;

impl ClipSource for Lengths {
    fn facts(&mut self, path: &Path) -> Result<AssetFacts, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let ms = text.trim().parse().map_err(|_| "it holds no length".to_owned())?;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Ok(AssetFacts {
            sha256: Digest::of(name.as_bytes()),
            bytes: 1_000,
            media_type: "audio/mpeg".into(),
            ms,
            gain_cb: 0,
            lufs_cb: -160,
            sums: BTreeMap::from([("64".to_owned(), Digest::of(b"sums"))]),
            title: name,
        })
    }
}

/// The text of a playlist for the loudspeaker: a slot and its clips.
pub fn playlist(slot: &str, clips: &[&str]) -> String {
    let mut text = "title = \"Bản tin\"\n[targets]\nunits = [\"99901\"]\n".to_owned();
    let ids: Vec<String> = (0..clips.len()).map(|n| format!("\"tin-{n}\"")).collect();
    for (id, clip) in ids.iter().zip(clips) {
        text.push_str(&["[[items]]\nid = ", id, "\ntitle = \"Tin ", clip].concat());
        text.push_str(&["\"\nclip = \"clips/", clip, "\"\n"].concat());
    }
    text.push_str("[[slots]]\nid = \"sang\"\n");
    text.push_str(slot);
    text.push_str(&["\nitems = [", &ids.join(", "), "]\n"].concat());
    text
}

pub struct Village {
    pub dir: TempDir,
    pub store: Arc<SqliteStore>,
    pub clock: Arc<ManualClock>,
    pub ingest: Ingest,
    keys: Arc<ServerKeys>,
    publisher: Publisher<dyn Store>,
    pub loa: Loudspeaker,
}

impl Village {
    /// A village at dawn whose playlist calls at five: a clip of a minute.
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("store.db")).await.unwrap());
        let clock = Arc::new(ManualClock::new(DAWN));
        let keys = Arc::new(ServerKeys::from_seeds(&[[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]]));
        let shared: Arc<dyn Store> = store.clone();
        let publisher = Publisher::new(
            shared.clone(),
            Settings::default(),
            keys.schedule.clone(),
            clock.clone(),
        );
        let root = SecretKey::from_seed(&[9; 32]);
        let ring = Keyring::first((*keys).clone(), &root, DAWN.numeric_date()).unwrap();
        let ingest = Ingest::new(shared, ring, Topics::default(), "Đài".into(), clock.clone());
        let loa = Loudspeaker::new(dir.path(), clock.now());
        let village = Self { dir, store, clock, ingest, keys, publisher, loa };
        village.write("station.toml", "name = \"Đài xã\"\napproval = \"off\"\n");
        village.write("units.csv", "id,name,parent\n51,Tỉnh,\n99901,Xã,51\n");
        village.write("devices.csv", "id,name,unit,profile\nloa-1,Loa,99901,loa\n");
        village.write("profiles/loa.toml", "title = \"Loa\"\n[speaker]\ncodecs = [\"mp3\"]\n");
        village.write("clips/a.mp3", "60000");
        let slot = "at = [\"05:00\"]\nlongest = \"10m\"";
        village.write("ban-tin.toml", &playlist(slot, &["a.mp3"]));
        village.register().await;
        village
    }

    async fn register(&self) {
        let (id, code) = (self.loa.id.clone(), Digest([7; 32]));
        let station = self.station();
        let devices: Vec<_> = station.devices.values().cloned().collect();
        self.store.put_devices(&devices, DAWN).await.unwrap();
        let made = EnrolmentCode {
            id: code,
            device: id.clone(),
            secret: vec![1],
            made_ms: DAWN,
            expires_ms: DAWN.plus(1_000),
            used: None,
            refused: 0,
            last_refusal: None,
        };
        self.store.put_code(&made).await.unwrap();
        let (kid, key) = (self.loa.key.kid().to_string(), self.loa.key.public().to_bytes());
        let password = Digest([0; 32]);
        let enrolment = Enrolment { code, device: id, kid, key, password, at_ms: DAWN };
        self.store.enrol(&enrolment).await.unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("station").join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn load(&self) -> Loaded {
        config::load(&self.path(""), &self.path("profiles"), &mut Lengths)
    }

    pub fn station(&self) -> Station {
        let loaded = self.load();
        assert!(loaded.faults.iter().all(|fault| !fault.refuses), "{:?}", loaded.faults);
        loaded.station.unwrap()
    }

    /// Plans what the folder says; the loudspeaker hears of it at once and holds all clips.
    pub async fn publish(&mut self) -> Round {
        let round = self.plan().await;
        self.hand_over(&round);
        for sha256 in round.assets.keys() {
            self.loa.tell(Event::AssetHeld(*sha256));
        }
        round
    }

    /// Plans what the folder says; nobody hears of it yet.
    pub async fn plan(&mut self) -> Round {
        let round = self.publisher.plan(&Arc::new(self.station())).await.unwrap();
        assert_eq!(round.faults, []);
        let versions: Vec<_> = round.timetables.iter().map(|t| (t.device.clone(), t.ver)).collect();
        self.publisher.published(&versions).await.unwrap();
        round
    }

    /// Gives the loudspeaker timetable and sheets, verified as it would.
    pub fn hand_over(&mut self, round: &Round) {
        let own = round.timetables.iter().find(|t| t.device == self.loa.id);
        let Some(own) = own else { return };
        let text = std::str::from_utf8(&own.publication.payload).unwrap();
        let key = OneKey { key: self.keys.schedule.public(), role: Role::Schedule };
        let opened = jws::open::<Timetable>(text, Typ::Timetable, Role::Schedule, &key).unwrap();
        let days = opened.claims.days.iter();
        let days = days.map(|d| DayRef { from_ms: d.from_ms, to_ms: d.to_ms, sheet: d.sheet });
        self.loa.tell(Event::Timetable(Schedule {
            volume_cap: opened.claims.volume_cap,
            trim_ms: 0,
            days: days.collect(),
            standby: BTreeMap::new(),
            idle: None,
            local: Vec::new(),
        }));
        for sheet in &round.sheets {
            let decoded = sheet::decode(&sheet.payload, limits::SHEET_BYTES).unwrap();
            let name = Digest::of(&sheet.payload);
            self.loa.tell(Event::SheetHeld(name, Arc::new(decoded)));
        }
        self.loa.tell(Event::Tick);
    }

    /// Lets time pass for everybody.
    pub fn pass_until(&mut self, end: UtcMs) {
        self.loa.run(&self.clock, end);
    }

    /// Hands lines to ingest as the broker would.
    pub async fn arrive(&mut self, lines: &[&str]) -> Taken {
        let lines = lines.join("\n").into_bytes().into();
        let arrived = Arrived { device: self.loa.id.clone(), lines };
        self.ingest.take(&[arrived]).await.unwrap()
    }

    /// The line is up: the loudspeaker sends what waits until all is receipted.
    pub async fn deliver(&mut self) {
        while let Some(span) = self.loa.ledger.waiting() {
            let (body, _) = self.loa.ledger.batch(span).unwrap().unwrap();
            let arrived = Arrived { device: self.loa.id.clone(), lines: body.into() };
            let taken = self.ingest.take(&[arrived]).await.unwrap();
            let receipt = self.receipt(&taken);
            assert!(receipt.upto >= span.from, "it moves on");
            let head = receipt.head.as_ref();
            self.loa.ledger.receipt(receipt.chain, receipt.upto, head).unwrap();
        }
    }

    /// Returns the receipt among what ingest answered.
    pub fn receipt(&self, taken: &Taken) -> Receipt {
        let key = OneKey { key: self.keys.receipt.public(), role: Role::Receipt };
        let found = taken.publications.iter().find(|p| p.topic.ends_with("/receipt")).unwrap();
        let text = std::str::from_utf8(&found.payload).unwrap();
        jws::open::<Receipt>(text, Typ::Receipt, Role::Receipt, &key).unwrap().claims
    }

    pub async fn stored(&self) -> Vec<StoredRecord> {
        use loa::app::ports::Evidence as _;
        let page = Page::After { position: 0, limit: 100_000 };
        let listed = self.store.records(&RecordFilter::default(), page).await.unwrap();
        let mut records: Vec<_> = listed.into_iter().map(|listed| listed.record).collect();
        records.sort_by_key(|record| record.seq);
        records
    }

    pub async fn outcomes(&self, from: UtcMs, to: UtcMs) -> Vec<Outcome> {
        let outcomes = Outcomes::new(self.store.clone());
        let period = Span::new(from, to).unwrap();
        outcomes.of_device(&self.loa.id, period, self.clock.now()).await.unwrap()
    }
}

/// The pure executor with a ledger on disk; what it is ordered to sound, sounds.
pub struct Loudspeaker {
    pub id: DeviceId,
    pub key: SecretKey,
    pub ledger: Ledger,
    /// From, to and asset of all that sounded.
    pub heard: Vec<(UtcMs, UtcMs, Digest)>,
    executor: Executor,
    now: Moment,
    lengths: BTreeMap<Digest, i64>,
    /// Ordered ahead; begins at its instant.
    waiting: Vec<PlayOrder>,
    playing: Option<PlayOrder>,
    beat_ms: i64,
}

impl Loudspeaker {
    fn new(dir: &Path, utc: UtcMs) -> Self {
        let (id, key): (DeviceId, _) = ("loa-1".parse().unwrap(), SecretKey::from_seed(&[9; 32]));
        let config = LedgerConfig {
            device: id.clone(),
            key: key.clone(),
            most_bytes: 16 << 20,
            attestor: Attestor::Device,
        };
        let ledger = Ledger::open(&dir.join("ledger"), config).unwrap();
        let now = Moment { utc, mono_ms: 0 };
        let output = Output::Speaker { grade: 3, method: "samples" };
        let executor =
            Executor::new(id.as_str(), output, QuietFloor::default(), Past::default(), now);
        let mut loa = Self {
            id,
            key,
            ledger,
            heard: Vec::new(),
            executor,
            now,
            lengths: BTreeMap::new(),
            waiting: Vec::new(),
            playing: None,
            beat_ms: 0,
        };
        loa.tell(Event::Clock(Time::Fit));
        loa
    }

    /// Tells the executor something and does what it says.
    pub fn tell(&mut self, event: Event) {
        if let Event::SheetHeld(_, sheet) = &event {
            self.lengths.extend(sheet.assets.iter().map(|(name, asset)| (*name, asset.ms)));
        }
        for action in self.executor.handle(self.now, event) {
            match action {
                Action::Record(body) => self.write(&[*body]),
                Action::Play(order) => self.waiting.push(order),
                Action::Halt { token, .. } => self.end(token, Ended::Halted),
                _ => {}
            }
        }
    }

    /// Signs and keeps records.
    pub fn write(&mut self, bodies: &[Body]) {
        let clock = ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(5) };
        let stamp = Stamp { at: self.now.utc, mono_ms: self.now.mono_ms, clock };
        self.ledger.append(bodies, stamp).unwrap();
    }

    fn end(&mut self, wanted: u64, by: Ended) {
        let (at, mut played_ms) = (self.now.utc, 0);
        if let Some(order) = self.playing.take_if(|order| order.token == wanted) {
            played_ms = at.since(order.at);
            self.heard.push((order.at, at, order.asset));
        } else if let Some(n) = self.waiting.iter().position(|order| order.token == wanted) {
            self.waiting.remove(n);
        } else {
            return;
        }
        self.tell(Event::Ended { token: wanted, at, played_ms, by });
    }

    /// Runs in steps of 100 ms while something is near, of a minute else.
    fn run(&mut self, clock: &ManualClock, end: UtcMs) {
        while clock.now() < end {
            let next =
                self.executor.needed(self.now.utc).iter().filter_map(|want| want.first).min();
            let near = next.is_some_and(|at| at.since(self.now.utc) <= MINUTE);
            let step = if near || self.playing.is_some() || !self.waiting.is_empty() {
                100
            } else {
                MINUTE
            };
            clock.pass(step.min(end.since(clock.now())));
            self.now = Moment { utc: clock.now(), mono_ms: clock.mono_ms() };
            self.sound();
            self.tell(Event::Tick);
            if self.now.mono_ms - self.beat_ms >= 30 * MINUTE {
                self.beat_ms = self.now.mono_ms;
                let (pending, stored) = self.ledger.counts();
                self.write(&[Body::Beat { head: self.ledger.head(), pending, stored }]);
            }
        }
    }

    fn sound(&mut self) {
        let now = self.now.utc;
        if let Some(PlayOrder { token, asset, at, offset_ms, end, .. }) = self.playing.clone() {
            if now.since(at) >= self.lengths[&asset] - offset_ms {
                self.end(token, Ended::Clip);
            } else if now >= end {
                self.end(token, Ended::Time);
            }
        }
        if let Some(n) = self.waiting.iter().position(|order| now >= order.at) {
            let order = self.waiting.remove(n);
            assert!(self.playing.is_none(), "two sounds at once");
            let (token, at) = (order.token, order.at);
            self.playing = Some(order);
            self.tell(Event::Started { token, at });
        }
    }

    /// Returns all signed lines, as they lie on disk.
    pub fn lines(&self) -> Vec<String> {
        let (chain, mut from, mut lines) = (self.ledger.chain(), 1, Vec::new());
        while let Some((body, last)) =
            self.ledger.batch(Wanted { chain, from, to: u64::MAX }).unwrap()
        {
            lines.extend(record::lines(&body).unwrap().into_iter().map(str::to_owned));
            from = last + 1;
        }
        lines
    }

    /// Returns what it says it played.
    pub fn plays(&self) -> Vec<Play> {
        let keys = OneKey { key: self.key.public(), role: Role::Device };
        let play = |line: &String| match record::open(line, &keys).unwrap().claims.body {
            Body::Play(play) => Some(play),
            _ => None,
        };
        self.lines().iter().filter_map(play).collect()
    }
}
