//! A device from its code to its signed records, over a broker in memory: the real loop, the real
//! player, files on disk, real time.

use crate::sound::onset;
use crate::support::clips::likeness;
use crate::support::wait::until;
mod forgery;

use loa::app::link::hub::Hub;
use loa::app::link::{Link, LinkEvent, LinkEvents};
use loa::clock::{SharedClock, SystemClock};
use loa::device::enrol::{self, Dates, EnrolError};
use loa::device::hardware::Hardware;
use loa::device::identity::Home;
use loa::device::player::SinkSpec;
use loa::device::run::{Device, Settings};
use loa::device::trust::ClockMode;
use loa::domain::chunk::{ChunkSize, concat, hashes};
use loa::domain::ids::{CueId, DeviceId, Digest, ProfileId, UnitId};
use loa::domain::playlist::Priority;
use loa::domain::profile::Profile;
use loa::domain::proof::record::{Body, Play, Record, Said, Subject};
use loa::domain::time::{Span, UtcMs};
use loa::domain::timetable::sheet::{AssetEntry, Cue, DaySheet, SheetItem};
use loa::wire::doc::Timetable;
use loa::wire::doc::{
    self, Command, DayEntry, Do, Floor, Hold, NoticeAsset, Paper, Receipt, Repeat, State,
    StateKind, TimeAnswer, Urgent, Withdrawal,
};
use loa::wire::enrol::{Answer, Code, Request, Secret, Welcome};
use loa::wire::epoch::{self, KeysBody};
use loa::wire::jws::{OneKey, PublicKey, Role, SecretKey};
use loa::wire::record as wire_record;
use loa::wire::server_keys::ServerKeys;
use loa::wire::sheet;
use loa::wire::topic::{Topic, Topics};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(30);

/// A server of a few lines: what a device needs to hear and to be asked.
struct Server {
    hub: Hub,
    link: Link,
    events: LinkEvents,
    keys: ServerKeys,
    root: SecretKey,
    device: DeviceId,
    device_key: Option<PublicKey>,
    clock: SharedClock,
    topics: Topics,
    ver: i64,
    records: Vec<Record>,
    texts: Vec<String>,
    states: Vec<State>,
    receipts: bool,
    units: Vec<UnitId>,
}

impl Server {
    async fn new() -> Self {
        let hub = Hub::new();
        let (link, events) = hub.connect("server");
        link.subscribe(vec!["loa/1/d/+/state".into(), "loa/1/r/+/+".into()]).await.unwrap();
        Self {
            hub,
            link,
            events,
            keys: ServerKeys::from_seeds(&[[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]]),
            root: SecretKey::from_seed(&[6; 32]),
            device: "loa-thon-1".parse().unwrap(),
            device_key: None,
            clock: Arc::new(SystemClock::new()),
            topics: Topics::default(),
            ver: 1,
            records: Vec::new(),
            texts: Vec::new(),
            states: Vec::new(),
            receipts: true,
            units: Vec::new(),
        }
    }

    fn epochs(&self) -> KeysBody {
        let iat = self.clock.now().numeric_date() - 60;
        KeysBody::new(vec![epoch::first(&self.root, &self.keys, iat)])
    }

    /// No quiet hours, whatever time the test runs at.
    fn floor(&self) -> String {
        let now = self.clock.now();
        let mut floor = Floor::first(self.device.clone(), now.0, now.numeric_date(), 420);
        floor.to = floor.from;
        doc::sign(&self.keys.policy, &floor).unwrap()
    }

    /// Answers one enrolment over HTTP and returns its code.
    fn enrolment(&self) -> (Code, std::thread::JoinHandle<PublicKey>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let code = Code {
            url: format!("http://{}", listener.local_addr().unwrap()),
            secret: Secret::new([9; 16]),
            root: self.root.kid(),
            ca: None,
            exp: self.clock.now().numeric_date() + 600,
        };
        let (secret, keys, floor) = (code.secret.clone(), self.epochs(), self.floor());
        let (policy, id) = (self.keys.policy.clone(), self.device.clone());
        let iat = self.clock.now().numeric_date();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 4_096];
            let request = loop {
                let read = stream.read(&mut buffer).unwrap();
                asked.extend(&buffer[..read]);
                let text = String::from_utf8_lossy(&asked).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: "));
                    if body.len() == length.unwrap().parse::<usize>().unwrap() {
                        break body.to_owned();
                    }
                }
            };
            let opened = Request::open(&request).unwrap();
            assert!(opened.claims.proves(&secret));
            let welcome = Welcome {
                v: 1,
                iss: "Đài xã Hoà Bình".into(),
                iat,
                request: Digest::of(request.as_bytes()),
                id,
                broker: "mqtt://127.0.0.1:1883".into(),
                ca: None,
                prefix: "loa/1".into(),
                user: "loa-thon-1".into(),
                password: "geheim".into(),
                units: Vec::new(),
                http: None,
            };
            let body = Answer::new(&policy, keys, floor, &welcome).unwrap().encode();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            opened.claims.key
        });
        (code, thread)
    }

    async fn put(&self, topic: &Topic, body: impl Into<bytes::Bytes>, retain: bool) {
        self.link.publish(self.topics.of(topic), body, retain).await.unwrap();
    }

    async fn put_keys(&self) {
        self.put(&Topic::Keys, self.epochs().encode(), true).await;
    }

    /// Publishes clips, sheet and timetable, in that order, as the contract says.
    async fn put_day(&mut self, clips: &[(&str, &[u8], i64, UtcMs)]) {
        let mut assets = BTreeMap::new();
        let mut items = BTreeMap::new();
        let mut cues = Vec::new();
        for (name, bytes, ms, at_ms) in clips {
            let sha256 = Digest::of(bytes);
            let size = ChunkSize::Kib64;
            let sums = concat(&hashes(bytes, size));
            for (n, chunk) in (0..).zip(bytes.chunks(size.bytes())) {
                self.put(&Topic::Chunk { sha256, size, n }, chunk.to_vec(), true).await;
            }
            self.put(&Topic::Sums { sha256, size }, sums.clone(), true).await;
            let entry = AssetEntry {
                bytes: bytes.len() as u64,
                media_type: "audio/wav".into(),
                ms: *ms,
                gain_cb: 0,
                lufs_cb: -160,
                sums: [("64".to_owned(), Digest::of(&sums))].into(),
                title: (*name).into(),
            };
            assets.insert(sha256, entry);
            let title = format!("Tin {name}");
            let item = SheetItem::Clip { title, asset: sha256, fallback: None };
            items.insert(format!("sang/{name}"), item);
            cues.push(Cue {
                id: cue_id(name),
                at_ms: *at_ms,
                end_ms: at_ms.plus(*ms),
                priority: Priority::Routine,
                item: format!("sang/{name}"),
                volume: 80,
                fade_ms: 100,
                line: None,
                approval: None,
            });
        }
        let now = self.clock.now();
        let (from_ms, to_ms) = (now.plus(-3_600_000), now.plus(3_600_000));
        let sound = vec![Span::new(from_ms, to_ms).unwrap()];
        let (bytes, name) =
            sheet::encode(&DaySheet { v: 1, from_ms, to_ms, sound, assets, items, cues });
        self.put(&Topic::Sheet(name), bytes, true).await;
        self.ver += 1;
        let timetable = Timetable {
            v: 1,
            iss: "Đài xã".into(),
            aud: self.device.clone(),
            iat: now.numeric_date(),
            exp: to_ms.numeric_date() + 1,
            ver: self.ver,
            units: self.units.clone(),
            volume_cap: 90,
            trim_ms: 0,
            fetch_spread_s: 0,
            days: vec![DayEntry { from_ms, to_ms, sheet: name }],
            standby: BTreeMap::new(),
            idle: None,
            local: Vec::new(),
        };
        let text = doc::sign(&self.keys.schedule, &timetable).unwrap();
        self.put(&Topic::Timetable(self.device.clone()), text, true).await;
    }

    fn urgent(&self, jti: &str, clip: &[u8], ms: i64) -> Urgent {
        let now = self.clock.now();
        let sums = concat(&hashes(clip, ChunkSize::Kib64));
        Urgent {
            v: 1,
            iss: "Đài xã".into(),
            units: self.units.clone(),
            iat: now.numeric_date(),
            exp: now.numeric_date() + 600,
            jti: jti.into(),
            reason: "nước lên".into(),
            document: Paper { number: "01/CĐ".into(), issuer: "UBND xã".into(), at_ms: now },
            text: "SƠ TÁN".into(),
            asset: Some(NoticeAsset {
                sha256: Digest::of(clip),
                entry: AssetEntry {
                    bytes: clip.len() as u64,
                    media_type: "audio/wav".into(),
                    ms,
                    gain_cb: 0,
                    lufs_cb: -160,
                    sums: [("64".to_owned(), Digest::of(&sums))].into(),
                    title: "Còi".into(),
                },
            }),
            repeat: Repeat { times: 1, gap_ms: 0 },
            volume: 100,
        }
    }

    async fn put_clip(&self, bytes: &[u8]) {
        let (sha256, size) = (Digest::of(bytes), ChunkSize::Kib64);
        for (n, chunk) in (0..).zip(bytes.chunks(size.bytes())) {
            self.put(&Topic::Chunk { sha256, size, n }, chunk.to_vec(), true).await;
        }
        let sums = concat(&hashes(bytes, size));
        self.put(&Topic::Sums { sha256, size }, sums, true).await;
    }

    fn urgent_topic(&self, jti: &str) -> Topic {
        Topic::Urgent { unit: self.units[0].clone(), id: jti.to_owned() }
    }

    async fn put_urgent(&self, notice: &Urgent) {
        let text = doc::sign(&self.keys.urgent, notice).unwrap();
        self.put(&self.urgent_topic(&notice.jti), text, true).await;
    }

    async fn put_hold(&mut self, until_ms: UtcMs) -> String {
        let now = self.clock.now();
        self.ver += 1;
        let jti = format!("h-{}", self.ver);
        let hold = Hold {
            v: 1,
            iss: "Đài xã".into(),
            unit: self.units[0].clone(),
            iat: now.numeric_date(),
            ver: self.ver,
            jti: jti.clone(),
            until_ms,
            reason: "tang lễ".into(),
            by: "hoa".into(),
        };
        let text = doc::sign(&self.keys.schedule, &hold).unwrap();
        self.put(&Topic::Hold(hold.unit), text, true).await;
        jti
    }

    /// The answers of the device about an id: what it did and with which result.
    fn answers(&self, id: &str) -> Vec<(String, String)> {
        let answer = |r: &Record| match &r.body {
            Body::Did { jti, what, result } if jti == id => Some((what.clone(), result.clone())),
            _ => None,
        };
        self.records.iter().filter_map(answer).collect()
    }

    /// Starts of a notice: the number of each repeat.
    fn alarms(&self, id: &str) -> Vec<u32> {
        let alarm = |r: &Record| match &r.body {
            Body::Start { subject: Subject::Notice { jti }, n, .. } if jti == id => Some(*n),
            _ => None,
        };
        self.records.iter().filter_map(alarm).collect()
    }

    async fn put_command(&self, jti: &str, act: Do) {
        let iat = self.clock.now().numeric_date();
        let command = Command {
            v: 1,
            iss: "Đài xã".into(),
            aud: self.device.clone(),
            iat,
            exp: iat + 60,
            jti: jti.into(),
            act,
        };
        let text = doc::sign(&self.keys.schedule, &command).unwrap();
        self.put(&Topic::Command(self.device.clone()), text, false).await;
    }

    /// Serves until something holds.
    async fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !holds(self) {
            let event = tokio::time::timeout_at(deadline, self.events.next()).await;
            let event = event.unwrap_or_else(|_| panic!("not in time: {what}"));
            let Some(LinkEvent::Message { topic, payload, .. }) = event else { continue };
            match self.topics.parse(&topic) {
                Some(Topic::State(_)) => self.take_state(&payload).await,
                Some(Topic::Records(_)) => self.take_records(&payload).await,
                _ => {}
            }
        }
    }

    async fn take_state(&mut self, payload: &[u8]) {
        let state = State::decode(payload).unwrap();
        if let Some(nonce) = &state.nonce {
            let now_ms = self.clock.now();
            let (aud, nonce) = (self.device.clone(), nonce.clone());
            let answer = TimeAnswer { v: 1, aud, iat: now_ms.numeric_date(), nonce, now_ms };
            let text = doc::sign(&self.keys.time, &answer).unwrap();
            self.put(&Topic::Time(self.device.clone()), text, false).await;
        }
        self.states.push(state);
    }

    async fn take_records(&mut self, payload: &[u8]) {
        let keys = OneKey { key: self.device_key.clone().unwrap(), role: Role::Device };
        for line in wire_record::lines(payload).unwrap() {
            let record = wire_record::open(line, &keys).unwrap().claims;
            let known = self.records.len() as u64;
            if record.head.seq == known + 1 {
                let prev = self.texts.last().map(|text| wire_record::digest(text));
                assert_eq!(record.head.prev, prev, "the chain is unbroken");
                self.records.push(record);
                self.texts.push(line.to_owned());
            } else {
                let index = usize::try_from(record.head.seq - 1).unwrap();
                assert_eq!(self.texts[index], line, "a record never changes");
            }
        }
        if self.receipts {
            self.put_receipt().await;
        }
    }

    async fn put_receipt(&self) {
        let Some(last) = self.records.last() else { return };
        let receipt = Receipt {
            v: 1,
            aud: self.device.clone(),
            iat: self.clock.now().numeric_date(),
            chain: last.head.chain,
            upto: last.head.seq,
            head: self.texts.last().map(|text| wire_record::digest(text)),
            logged: None,
            checkpoint: None,
        };
        let text = doc::sign(&self.keys.receipt, &receipt).unwrap();
        self.put(&Topic::Receipt(self.device.clone()), text, true).await;
    }

    fn plays(&self) -> Vec<Play> {
        let play = |r: &Record| if let Body::Play(p) = &r.body { Some(p.clone()) } else { None };
        self.records.iter().filter_map(play).collect()
    }

    fn starts(&self) -> usize {
        self.records.iter().filter(|r| matches!(r.body, Body::Start { .. })).count()
    }

    fn last_state(&self) -> Option<&State> {
        self.states.last()
    }
}

fn cue_id(name: &str) -> CueId {
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(name.as_bytes()).0[..16]);
    CueId(id)
}

/// A WAV file of 16 bits, 8 kHz, mono: a tone.
fn tone(ms: u32) -> Vec<u8> {
    let frames = ms * 8;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + frames * 2).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(8_000u32.to_le_bytes());
    file.extend(16_000u32.to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend((frames * 2).to_le_bytes());
    for n in 0..frames {
        let high = (n / 8) % 2 == 0;
        file.extend((if high { 8_000i16 } else { -8_000 }).to_le_bytes());
    }
    file
}

fn profile() -> Profile {
    Profile {
        id: ProfileId::new("thu").unwrap(),
        title: "Thử".into(),
        speaker: None,
        board: None,
        storage_bytes: 1 << 24,
        sheet_bytes: 65_536,
        chunk_kib: 64,
        clock_ppm: 50,
    }
}

/// A running device.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(dir: &Path, hub: &Hub, clock: ClockMode) -> Self {
        Self::start_on(dir, hub, clock, SinkSpec::Null)
    }

    fn start_on(dir: &Path, hub: &Hub, clock: ClockMode, sink: SinkSpec) -> Self {
        let home = Home::open(dir).unwrap();
        let settings =
            Settings { clock, profile: profile(), ledger_bytes: 1 << 24, fw: "loa thử".into() };
        let device = Device::open(home, settings, Arc::new(SystemClock::new())).unwrap();
        let (link, events) = hub.connect_with("loa-thon-1", device.wills());
        let (hardware, outputs) = Hardware::speaker(sink, device.clock()).unwrap();
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move {
            device.run(hardware, outputs, link, events, token).await.unwrap();
        });
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
    }
}

async fn enrolled(server: &mut Server, dir: &Path) {
    let (code, thread) = server.enrolment();
    let folder = dir.to_owned();
    let now = server.clock.now();
    let identity = tokio::task::spawn_blocking(move || {
        enrol::enrol(&folder, &code, false, "loa thử", now, Dates::Judged).unwrap()
    });
    assert_eq!(identity.await.unwrap().id, server.device);
    server.device_key = Some(thread.join().unwrap());
    server.put_keys().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_enrols_fetches_plays_proves_and_says_goodbye() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::new().await;
    enrolled(&mut server, dir.path()).await;
    let again = enrol::enrol(dir.path(), &server.enrolment().0, false, "", UtcMs(0), Dates::Judged);
    assert!(matches!(again, Err(EnrolError::Already { .. })));
    let at = server.clock.now().plus(5_000);
    server
        .put_day(&[("mot", &tone(1_500), 1_500, at), ("hai", &tone(1_000), 1_000, at.plus(1_500))])
        .await;
    let device = Running::start(dir.path(), &server.hub, ClockMode::Server);
    server.until("both clips are played", |s| s.plays().len() == 2).await;
    for (play, name) in server.plays().iter().zip(["mot", "hai"]) {
        assert_eq!((play.outcome, play.cause.as_str()), (Said::Played, "end"), "{play:?}");
        assert_eq!(play.item, format!("sang/{name}"));
        assert!(play.skew_ms.unwrap().abs() < 500, "{play:?}");
    }
    assert_eq!(server.starts(), 2);
    // The time came from the server, and the records say so.
    let clock = server.records.last().unwrap().head.clock;
    assert_eq!(clock.src, loa::domain::proof::record::ClockSource::Server);
    assert!(server.records.iter().any(|r| matches!(r.body, Body::Chain { .. })));
    let total = server.records.len() as u64;
    server
        .until("the receipt is known", |s| s.last_state().is_some_and(|st| st.upto >= Some(total)))
        .await;
    let state = server.last_state().unwrap();
    assert_eq!(state.ver.unwrap().following, server.ver);
    assert_eq!(state.held.len(), 2);
    device.end().await;
    server
        .until("it says goodbye", |s| s.last_state().unwrap().state == StateKind::Disconnected)
        .await;

    // The second start goes on in the same chain.
    let device = Running::start(dir.path(), &server.hub, ClockMode::Server);
    server
        .until("a second boot is recorded", |s| {
            s.records
                .iter()
                .any(|r| r.head.boot == 2 && matches!(r.body, Body::Boot { unclean: false, .. }))
        })
        .await;
    assert_eq!(server.plays().len(), 2, "nothing plays twice");
    device.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_line_changes_nothing_and_what_was_not_receipted_comes_again() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::new().await;
    enrolled(&mut server, dir.path()).await;
    let at = server.clock.now().plus(4_000);
    server.put_day(&[("mot", &tone(2_000), 2_000, at)]).await;
    server.receipts = false;
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server.until("it sounds", |s| s.starts() == 1).await;
    let conn = server.last_state().unwrap().conn;
    server.hub.cut("loa-thon-1");
    server.until("the will says so", |s| s.last_state().unwrap().state == StateKind::Lost).await;
    assert_eq!(server.last_state().unwrap().conn, conn, "birth and will bear one number");
    server.hub.restore("loa-thon-1");
    server.until("it is back", |s| s.last_state().unwrap().state == StateKind::Ready).await;
    assert!(server.last_state().unwrap().conn > conn);
    server.until("the whole play is told", |s| s.plays().len() == 1).await;
    assert_eq!(server.plays()[0].outcome, Said::Played, "the line does not matter to the sound");
    // Asked for from the beginning, the same bytes come again; a repeated order acts once.
    let (chain, to) = (server.records[0].head.chain, server.records.len() as u64);
    server.put_command("lai-1", Do::Resend { chain, from: 1, to }).await;
    server.put_command("lai-1", Do::Resend { chain, from: 1, to }).await;
    server
        .until("it is answered", |s| {
            s.records.iter().any(|r| {
                matches!(&r.body, Body::Did { jti, result, .. }
            if jti == "lai-1" && result == "done")
            })
        })
        .await;
    server.receipts = true;
    server.put_receipt().await;
    device.end().await;
    let answers = server.records.iter().filter(|r| matches!(r.body, Body::Did { .. })).count();
    assert_eq!(answers, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_for_this_device_changes_nothing_and_is_counted() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::new().await;
    enrolled(&mut server, dir.path()).await;
    let at = server.clock.now().plus(4_000);
    server.put_day(&[("mot", &tone(1_000), 1_000, at)]).await;
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server
        .until("it follows", |s| {
            s.last_state().and_then(|st| st.ver).is_some_and(|v| v.following == s.ver)
        })
        .await;
    let mine = Topic::Timetable(server.device.clone());
    let good = server.hub.retained()[&server.topics.of(&mine)].clone();
    // Empty, garbage, another key, another device, an old version, a flipped bit.
    let thief = SecretKey::from_seed(&[77; 32]);
    let opened: doc::Timetable = {
        let keys = epoch::KeySet::verify(&server.epochs().encode(), &server.root.kid()).unwrap();
        doc::open::<Timetable>(&good, &keys).unwrap().claims
    };
    let foreign = Timetable { aud: "loa-thon-2".parse().unwrap(), ver: 99, ..opened.clone() };
    let old = Timetable { ver: 1, days: Vec::new(), ..opened.clone() };
    let empty = Timetable { ver: 99, days: Vec::new(), ..opened.clone() };
    let mut flipped = good.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for body in [
        Vec::new(),
        b"{}".to_vec(),
        vec![b'a'; 9_000],
        flipped,
        doc::sign(&thief, &empty).unwrap().into_bytes(),
        doc::sign(&server.keys.policy, &empty).unwrap().into_bytes(),
        doc::sign(&server.keys.schedule, &foreign).unwrap().into_bytes(),
        doc::sign(&server.keys.schedule, &old).unwrap().into_bytes(),
    ] {
        server.put(&mine, body, false).await;
    }
    server.until("it played all the same", |s| s.plays().len() == 1).await;
    assert_eq!(server.plays()[0].outcome, Said::Played);
    device.end().await;
    // At the end of the program what was counted is recorded; it is delivered at the next start.
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server
        .until("refusals are told", |s| {
            s.records.iter().filter(|r| matches!(r.body, Body::Refuse { .. })).count() >= 5
        })
        .await;
    let mut reasons: Vec<_> = server
        .records
        .iter()
        .filter_map(|r| {
            if let Body::Refuse { reason, .. } = &r.body { Some(reason.as_str()) } else { None }
        })
        .collect();
    reasons.sort_unstable();
    for reason in ["aud", "role", "version-low", "limit"] {
        assert!(reasons.contains(&reason), "{reason} in {reasons:?}");
    }
    device.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_clip_on_disk_is_fetched_again_and_a_damaged_sheet_too() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::new().await;
    enrolled(&mut server, dir.path()).await;
    let clip = tone(1_000);
    let at = server.clock.now().plus(7_000);
    server.put_day(&[("mot", &clip, 1_000, at)]).await;
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server
        .until("it holds the clip", |s| s.last_state().is_some_and(|st| st.held.len() == 1))
        .await;
    device.end().await;
    let path = dir.path().join("assets").join(Digest::of(&clip).to_string());
    let mut damaged = clip.clone();
    damaged[100] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    for file in std::fs::read_dir(dir.path().join("sheets")).unwrap() {
        std::fs::write(file.unwrap().path(), "{").unwrap();
    }
    server.states.clear();
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server.until("it is played", |s| s.plays().len() == 1).await;
    assert_eq!(server.plays()[0].outcome, Said::Played, "{:?}", server.plays());
    assert_eq!(std::fs::read(&path).unwrap(), clip);
    device.end().await;
}

/// A device of a commune, ready, with a silent quarter of an hour ahead unless clips are named.
async fn of_a_commune(
    dir: &Path,
    clips: &[(&str, &[u8], i64, i64)],
    sink: SinkSpec,
) -> (Server, Running) {
    let mut server = Server::new().await;
    server.units = vec!["00070".parse().unwrap(), "19".parse().unwrap()];
    enrolled(&mut server, dir).await;
    let now = server.clock.now();
    let clips: Vec<_> = clips
        .iter()
        .map(|(name, bytes, ms, in_ms)| (*name, *bytes, *ms, now.plus(*in_ms)))
        .collect();
    server.put_day(&clips).await;
    let assets: std::collections::BTreeSet<_> =
        clips.iter().map(|(_, bytes, ..)| Digest::of(bytes)).collect();
    let assets = assets.len();
    let device = Running::start_on(dir, &server.hub, ClockMode::System, sink);
    server
        .until("it follows and holds its clips", |s| {
            let state = s.last_state();
            let follows = state.and_then(|st| st.ver).is_some_and(|v| v.following == s.ver);
            follows && state.is_some_and(|st| st.held.len() >= assets)
        })
        .await;
    (server, device)
}

/// Samples of a WAV file that the sink wrote.
fn samples(path: &Path) -> Vec<f32> {
    let mut decoder = loa::audio::decode::open(path).unwrap();
    assert_eq!(decoder.rate_hz(), 48_000);
    let (mut samples, channels) = (Vec::new(), decoder.channels());
    while let Some(block) = decoder.next_block().unwrap() {
        samples.extend(block.iter().step_by(channels));
    }
    samples
}

fn wave(file: &[u8]) -> Vec<f32> {
    let sample = |b: &[u8]| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0;
    file[44..].chunks(2).map(sample).collect()
}

/// Finds a clip within a tenth of a second of where it should lie.
fn place(clip: &[f32], heard: &[f32], near: usize) -> usize {
    let like = |n: usize| likeness(&clip[2_400..2_640], &heard[n + 2_400..n + 2_640]);
    let places = near.saturating_sub(4_800)..near + 4_800;
    let best = places.max_by(|a, b| like(*a).total_cmp(&like(*b))).unwrap();
    let whole = likeness(clip, &heard[best..best + clip.len()]);
    assert!(whole > 0.95, "like by {whole}");
    best
}

/// A WAV file of noise at the output's rate: each place is like no other.
fn noise(ms: u32, seed: u32) -> Vec<u8> {
    let frames = ms * 48;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + frames * 2).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(48_000u32.to_le_bytes());
    file.extend(96_000u32.to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend((frames * 2).to_le_bytes());
    let mut state = seed;
    for _ in 0..frames {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let sample = i16::from_le_bytes([state.to_be_bytes()[1], state.to_be_bytes()[0]]) / 4;
        file.extend(sample.to_le_bytes());
    }
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_street_an_urgent_notice_cuts_a_clip_which_rejoins_where_it_would_be() {
    let dir = TempDir::new().unwrap();
    let (music, siren) = (noise(7_000, 1), noise(1_500, 2));
    let street = dir.path().join("đường.wav");
    let (mut server, device) =
        of_a_commune(dir.path(), &[("nhac", &music, 7_000, 3_500)], SinkSpec::Wav(street.clone()))
            .await;
    server.put_clip(&siren).await;
    server.until("the clip sounds", |s| s.starts() == 1).await;
    let heard_until = server.clock.now().plus(1_500);
    until("some of it is heard", || server.clock.now() >= heard_until).await;
    server.put_urgent(&server.urgent("n", &siren, 1_500)).await;
    server.until("all is told", |s| s.plays().len() == 3).await;
    device.end().await;
    let plays = server.plays();
    assert_eq!((plays[0].outcome, plays[0].cause.as_str()), (Said::PreEmpted, "pre-empted"));
    assert_eq!(plays[0].by.as_deref(), Some("n"));
    assert_eq!(plays[1].subject, Subject::Notice { jti: "n".into() });
    assert_eq!((plays[1].outcome, plays[1].n, plays[1].volume), (Said::Played, 1, 100));
    assert_eq!((plays[2].outcome, plays[2].cause.as_str()), (Said::Partial, "pre-empted"));
    // The street: the siren whole, and the music before and after on one line of time.
    let heard = samples(&street);
    let (music, siren) = (wave(&music), wave(&siren));
    let frames = |ms: i64| usize::try_from(ms * 48).unwrap();
    let begun = place(&music[..24_000], &heard, onset(&heard, 0));
    let after = plays[1].started_ms.unwrap().since(plays[0].started_ms.unwrap());
    let rang = place(&siren, &heard, begun + frames(after));
    let rejoined = plays[2].started_ms.unwrap().since(plays[0].started_ms.unwrap());
    assert!(begun + frames(rejoined) + 480 > rang + siren.len(), "none beside it");
    let at = frames(rejoined + 500);
    let found = place(&music[at..at + 24_000], &heard, begun + at);
    let off = found.abs_diff(begun + at);
    assert!(off < frames(50), "rejoined {off} frames off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_silences_within_seconds_is_kept_and_obeyed_without_the_broker() {
    let dir = TempDir::new().unwrap();
    let (long, short) = (tone(5_000), tone(1_000));
    let clips: [(&str, &[u8], i64, i64); 3] = [
        ("mot", &long, 5_000, 3_000),
        ("hai", &short, 1_000, 11_000),
        ("ba", &short, 1_000, 16_000),
    ];
    let (mut server, device) = of_a_commune(dir.path(), &clips, SinkSpec::Null).await;
    server.until("it sounds", |s| s.starts() == 1).await;
    let ordered = server.clock.now();
    let hold = server.put_hold(ordered.plus(600_000)).await;
    server.until("it is confirmed", |s| !s.answers(&hold).is_empty()).await;
    assert!(server.clock.now().since(ordered) < 5_000, "within seconds");
    assert_eq!(server.answers(&hold), [("hold".to_owned(), "done".to_owned())]);
    let cut = server.plays()[0].clone();
    assert_eq!((cut.outcome, cut.cause.as_str()), (Said::Partial, "hold"));
    let ver = server.ver;
    let unit = server.units[0].clone();
    server
        .until("its state names the hold", |s| {
            s.last_state().is_some_and(|st| st.holds == [(unit.clone(), ver)].into())
        })
        .await;
    device.end().await;
    // Without the broker, and although somebody cleared what it retained.
    server.put(&Topic::Hold(unit.clone()), Vec::new(), true).await;
    server.hub.cut("loa-thon-1");
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server.hub.restore("loa-thon-1");
    server.until("the next clip is refused", |s| s.plays().len() == 2).await;
    let refused = server.plays()[1].clone();
    assert_eq!((refused.outcome, refused.cause.as_str()), (Said::Refused, "hold"), "{refused:?}");
    assert_eq!(refused.by.as_deref(), Some(hold.as_str()));
    let release = server.put_hold(UtcMs(0)).await;
    server.until("the release is confirmed", |s| !s.answers(&release).is_empty()).await;
    assert_eq!(server.answers(&hold).len(), 1, "confirmed once");
    assert_eq!(server.starts(), 1, "nothing began in the hold");
    server.until("the clip after that plays", |s| s.starts() == 2).await;
    device.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_notices_do_nothing_and_a_withdrawn_one_never_comes_back() {
    let dir = TempDir::new().unwrap();
    let (mut server, device) = of_a_commune(dir.path(), &[], SinkSpec::Null).await;
    let siren = tone(1_000);
    server.put_clip(&siren).await;
    // By the schedule key, for another unit, over, unsigned, empty: nothing of it sounds.
    let notice = |jti: &str| server.urgent(jti, &siren, 1_000);
    let topic = server.urgent_topic("x");
    let stolen = doc::sign(&server.keys.schedule, &notice("a")).unwrap();
    let foreign = Urgent { units: vec!["00071".parse().unwrap()], ..notice("b") };
    let foreign = doc::sign(&server.keys.urgent, &foreign).unwrap();
    let old = Urgent { iat: 1_000, exp: 2_000, ..notice("c") };
    let old = doc::sign(&server.keys.urgent, &old).unwrap();
    for body in [stolen.into_bytes(), foreign.into_bytes(), old.into_bytes(), b"{}".to_vec()] {
        server.put(&topic, body, false).await;
    }
    // The withdrawal comes first, then its notice, then another one.
    let now = server.clock.now().numeric_date();
    let gone =
        Withdrawal {
            v: 1, iss: "Đài xã".into(), withdraws: "n".into(), iat: now, exp: now + 600
        };
    let gone = doc::sign(&server.keys.urgent, &gone).unwrap();
    server.put(&server.urgent_topic("n"), gone, false).await;
    server.put_urgent(&server.urgent("n", &siren, 1_000)).await;
    server.put_urgent(&server.urgent("m", &siren, 1_000)).await;
    server.until("the other one is over", |s| s.plays().len() == 1).await;
    assert_eq!(server.alarms("m"), [1]);
    assert_eq!(server.answers("n"), [("withdrawal".to_owned(), "kept".to_owned())]);
    // Neither a restart nor the retained copies bring anything back; an empty body ends nothing.
    device.end().await;
    server.put(&server.urgent_topic("k"), Vec::new(), false).await;
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server.put_urgent(&server.urgent("sau", &siren, 1_000)).await;
    server.until("a later one sounds", |s| s.alarms("sau") == [1]).await;
    assert_eq!((server.alarms("m").len(), server.alarms("n").len()), (1, 0));
    for forged in ["a", "b", "c"] {
        assert!(server.alarms(forged).is_empty());
    }
    device.end().await;
}
