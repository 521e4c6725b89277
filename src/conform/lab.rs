//! The bench on which a device is tested: what every chapter has at hand.

use super::author::{Author, sign};
use super::clerk::{Clerk, Kept};
use super::power::{Rig, RigError};
use super::rows::{Check, Row, Rows, Verdict};
use super::tap::Tap;
use super::trace::{Trace, What, was_sent};
use crate::app::link::Link;
use crate::clock::SharedClock;
use crate::domain::ids::Digest;
use crate::domain::profile::BoardProfile;
use crate::wire::chunk::{AssetHasher, ChunkSize, concat, hashes};
use crate::wire::topic::Topic;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How long a device may take for what it should do at once.
pub const SOON: u64 = 20_000;
/// How long it may take to ask again for what came wrong, or to send again what has no receipt:
/// 15 and 20 s by the contract, and something for its own pace.
pub const AGAIN: u64 = 50_000;

/// Why a chapter cannot go on; the check that was under way fails with it.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error("{what} within {} s", ms / 1000)]
    Waited { what: &'static str, ms: u64 },
    #[error(transparent)]
    Rig(#[from] RigError),
    #[error("our own connection to the broker: {0}")]
    Link(#[from] crate::app::link::LinkError),
    #[error("no randomness")]
    Random(#[from] std::io::Error),
}

pub type Step<T = ()> = Result<T, Stop>;

/// A clip to play, or bytes to fetch.
#[derive(Clone, Debug)]
pub struct Asset {
    pub name: Digest,
    pub bytes: Vec<u8>,
    pub entry: Value,
}

impl Asset {
    /// A sine of so many milliseconds as WAV, 16 bits, one channel.
    pub fn tone(ms: i64, rate: u32, hertz: f64) -> Self {
        let samples = u32::try_from(ms.max(0) * i64::from(rate) / 1000).unwrap_or(0);
        let data = samples * 2;
        let mut bytes = Vec::with_capacity(data as usize + 44);
        bytes.extend_from_slice(b"RIFF");
        bytes.extend_from_slice(&(data + 36).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt ");
        bytes.extend_from_slice(&16_u32.to_le_bytes());
        bytes.extend_from_slice(&[1, 0, 1, 0]);
        bytes.extend_from_slice(&rate.to_le_bytes());
        bytes.extend_from_slice(&(rate * 2).to_le_bytes());
        bytes.extend_from_slice(&[2, 0, 16, 0]);
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&data.to_le_bytes());
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        for n in 0..samples {
            #[expect(clippy::cast_possible_truncation, reason = "a sine below 16 bits")]
            let sample = ((f64::from(n) * step).sin() * 8_000.0) as i16;
            bytes.extend_from_slice(&sample.to_le_bytes());
        }
        let mut hasher = AssetHasher::new(&ChunkSize::ALL);
        hasher.update(&bytes);
        let named = hasher.finish();
        let entry = json!({
            "bytes": named.bytes, "type": "audio/wav", "ms": ms, "gain_cb": 0, "lufs_cb": -160,
            "sums": named.sums, "title": "Tiếng thử",
        });
        Self { name: named.sha256, bytes, entry }
    }

    /// Returns a chunk.
    pub fn chunk(&self, size: ChunkSize, n: usize) -> &[u8] {
        self.bytes.chunks(size.bytes()).nth(n).unwrap_or_default()
    }

    pub fn count(&self, size: ChunkSize) -> usize {
        self.bytes.len().div_ceil(size.bytes())
    }

    pub fn sums(&self, size: ChunkSize) -> Vec<u8> {
        concat(&hashes(&self.bytes, size))
    }
}

/// A day in the making.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub cues: Vec<Value>,
    pub items: Map<String, Value>,
    pub assets: Map<String, Value>,
    pub sound: Option<Value>,
}

/// The bench.
pub struct Lab {
    pub author: Author,
    pub trace: Trace,
    pub tap: Tap,
    pub clerk: Clerk,
    pub link: Link,
    pub clock: SharedClock,
    pub rig: Rig,
    /// The panel of a board; `None` for a loudspeaker.
    pub board: Option<BoardProfile>,
    /// The clip of every sounding cue.
    pub tone: Asset,
    pub password: String,
    /// First and last instant of the only day of every timetable.
    pub day: (i64, i64),
    /// How long a device is given to show that it took what it must refuse.
    pub settle_ms: u64,
    /// The version of the newest timetable that the device took.
    pub force: i64,
    /// The mark in the trace at which the newest connection begins.
    pub since: usize,
    pub rows: Rows,
    pub only: BTreeSet<String>,
    pub checks: &'static [Check],
    pub current: Option<(Check, i64)>,
    pub told: Box<dyn Fn(&Row) + Send>,
}

impl Lab {
    // ---- verdicts

    /// Begins a check.
    pub fn begin(&mut self, id: &str) {
        let check = self.checks.iter().find(|check| check.id == id);
        self.current = check.map(|check| (*check, self.clock.mono_ms()));
    }

    pub fn end(&mut self, verdict: Verdict, evidence: impl Into<String>) {
        let Some((check, begun)) = self.current.take() else { return };
        if !self.wants(check.id) {
            return;
        }
        let ms = self.clock.mono_ms() - begun;
        let row = Row { check, verdict, evidence: evidence.into(), ms };
        (self.told)(&row);
        self.rows.put(row);
    }

    pub fn wants(&self, id: &str) -> bool {
        let of = |only: &String| id == only || id.split('-').next() == Some(only);
        self.only.is_empty() || self.only.iter().any(of)
    }

    pub fn pass(&mut self, evidence: impl Into<String>) {
        self.end(Verdict::Pass, evidence);
    }

    pub fn fail(&mut self, evidence: impl Into<String>) {
        self.end(Verdict::Fail, evidence);
    }

    pub fn skip(&mut self, why: impl Into<String>) {
        self.end(Verdict::Skip, why);
    }

    /// Ends the check: nothing wrong means pass.
    pub fn judge(&mut self, wrong: &[String], evidence: impl Into<String>) {
        if wrong.is_empty() {
            self.pass(evidence);
        } else {
            self.fail(wrong.join("; "));
        }
    }

    // ---- time

    pub fn now(&self) -> i64 {
        self.clock.now().0
    }

    pub async fn rest(&self, ms: i64) {
        self.clock.sleep(ms).await;
    }

    /// Waits until a wall-clock instant.
    pub async fn until(&self, at: i64) {
        self.rest((at - self.now()).max(0)).await;
    }

    // ---- publishing

    pub fn topic(&self, topic: &Topic) -> String {
        self.author.topics.of(topic)
    }

    pub async fn publish(&self, topic: &Topic, body: impl Into<Vec<u8>>, retain: bool) -> Step {
        Ok(self.link.publish(self.topic(topic), body.into(), retain).await?)
    }

    pub async fn timetable(&self, text: String) -> Step {
        self.publish(&Topic::Timetable(self.author.device.clone()), text, true).await
    }

    /// Publishes all pieces of an asset.
    pub async fn assets(&self, asset: &Asset) -> Step {
        for size in ChunkSize::ALL {
            let sums = Topic::Sums { sha256: asset.name, size };
            self.publish(&sums, asset.sums(size), true).await?;
            for n in 0..asset.count(size) {
                self.chunk(asset, size, n, asset.chunk(size, n).to_vec()).await?;
            }
        }
        Ok(())
    }

    pub async fn chunk(&self, asset: &Asset, size: ChunkSize, n: usize, body: Vec<u8>) -> Step {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        self.publish(&Topic::Chunk { sha256: asset.name, size, n }, body, true).await
    }

    /// Returns a plan that holds nothing yet but what every sheet of this device needs.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        if self.board.is_none() {
            plan.assets.insert(self.tone.name.to_string(), self.tone.entry.clone());
        }
        plan
    }

    /// Puts a cue that this device plays into the plan; returns its id.
    pub fn cue(&mut self, plan: &mut Plan, at: i64, end: i64) -> Step<String> {
        let n = self.author.word("chu");
        let item = if self.board.is_some() {
            let page = json!({"text": "Kiểm tra", "dwell_ms": 1_000});
            json!({"kind": "pages", "title": n, "pages": [page]})
        } else {
            json!({"kind": "clip", "title": n, "asset": self.tone.name})
        };
        self.cue_of(plan, at, end, item)
    }

    /// As [`Lab::cue`], for an item of one's own.
    pub fn cue_of(&mut self, plan: &mut Plan, at: i64, end: i64, item: Value) -> Step<String> {
        let id = u128::from_be_bytes(super::author::random()?);
        let id = format!("{id:032x}");
        let key = self.author.word("kiem-tra/muc");
        plan.items.insert(key.clone(), item);
        plan.cues.push(json!({
            "id": id, "at_ms": at, "end_ms": end, "priority": "routine", "item": key,
            "volume": 80, "fade_ms": 100, "line": null, "approval": null,
        }));
        Ok(id)
    }

    /// Writes the sheet; no two are alike.
    pub fn sheet(&mut self, plan: &Plan) -> (Vec<u8>, Digest) {
        let (from_ms, to_ms) = self.day;
        let whole = json!([{"from_ms": from_ms, "to_ms": to_ms}]);
        let sheet = json!({
            "v": 1, "from_ms": from_ms, "to_ms": to_ms,
            "sound": plan.sound.clone().unwrap_or(whole), "assets": plan.assets,
            "items": plan.items, "cues": plan.cues, "conform": self.author.word("to"),
        });
        let bytes = sheet.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        (bytes, digest)
    }

    /// Publishes sheet and timetable and waits until the device has the sheet.
    pub async fn install(&mut self, plan: &Plan) -> Step<Digest> {
        let (bytes, name) = self.sheet(plan);
        let claims = self.author.timetable(&name, self.day.0, self.day.1);
        let text = sign(&self.author.keys.schedule, "timetable", &claims);
        self.give(bytes, name, text).await?;
        Ok(name)
    }

    /// Publishes a sheet and the timetable that names it, and waits until the sheet is there.
    pub async fn give(&mut self, bytes: Vec<u8>, name: Digest, timetable: String) -> Step {
        let mark = self.trace.mark();
        self.publish(&Topic::Sheet(name), bytes, true).await?;
        self.timetable(timetable).await?;
        let topic = self.topic(&Topic::Sheet(name));
        if !self.trace.sent(mark, &topic, &name, SOON).await {
            let what = "the device did not ask for the sheet of a good timetable";
            return Err(Stop::Waited { what, ms: SOON });
        }
        self.force = self.author.ver();
        Ok(())
    }

    /// Returns the version of the newest timetable that the device took.
    pub fn in_force(&self) -> i64 {
        self.force
    }

    // ---- what the device says

    /// Signs and sends a command; returns its `jti`.
    pub async fn command(&mut self, what: &str, more: &Value) -> Step<String> {
        let (jti, claims) = self.author.command(what, more);
        let text = sign(&self.author.keys.schedule, "command", &claims);
        self.publish(&Topic::Command(self.author.device.clone()), text, false).await?;
        Ok(jti)
    }

    /// Sends an order that every device answers at once and that changes nothing.
    pub async fn probe(&mut self) -> Step<String> {
        self.command("volume", &json!({"volume": 80})).await
    }

    /// Waits for the answer to an order.
    pub async fn did(&self, jti: &str, ms: u64) -> Option<String> {
        self.record(ms, |kept| kept.text("kind") == "did" && kept.claims["jti"] == jti)
            .await
            .map(|kept| kept.text("result").to_owned())
    }

    /// Waits for a record.
    pub async fn record(&self, ms: u64, find: impl Fn(&Kept) -> bool) -> Option<Kept> {
        self.clerk.until(ms, |heard| heard.records.iter().rev().find(|r| find(r)).cloned()).await
    }

    /// Returns all records that came of a cue so far.
    pub fn told_of(&self, cue: &str) -> Vec<Kept> {
        self.clerk.lock().records.iter().filter(|kept| kept.tells_of(cue)).cloned().collect()
    }

    /// Waits for a record of a play or showing of a cue, and returns all of them.
    pub async fn result(&self, cue: &str, ms: u64) -> Vec<Kept> {
        let cue_told = |kept: &Kept| kept.tells_of(cue);
        if self.record(ms, cue_told).await.is_none() {
            return Vec::new();
        }
        self.told_of(cue)
    }

    /// Returns the `start` of a cue, if it was told.
    pub fn started(&self, subject: &str, id: &str) -> Option<Kept> {
        let heard = self.clerk.lock();
        let start = |kept: &&Kept| kept.text("kind") == "start" && kept.claims[subject] == id;
        heard.records.iter().find(start).cloned()
    }

    // ---- the line

    /// Waits until the device has connected since the mark and says that it is ready.
    pub async fn ready(&mut self, mark: usize, ms: u64) -> Step {
        let state = self.topic(&Topic::State(self.author.device.clone()));
        let found = self.trace.until(mark, ms, |seen| {
            let said = |word: &str, one: &What| match one {
                What::Published(m) if m.topic == state => {
                    let told: Value = serde_json::from_slice(&m.payload).unwrap_or_default();
                    told["state"] == word
                }
                _ => false,
            };
            let hello = seen.iter().rposition(|one| matches!(one.what, What::Hello(_)))?;
            let conn = seen[hello].conn;
            let ready = |one: &super::trace::Seen| one.conn == conn && said("ready", &one.what);
            seen[hello..].iter().any(ready).then_some(hello)
        });
        let Some(at) = found.await else {
            return Err(Stop::Waited { what: "no connection that says `ready`", ms });
        };
        self.since = mark + at;
        Ok(())
    }

    /// Breaks the line for so long, and waits until the device is back.
    pub async fn interrupt(&mut self, ms: i64) -> Step {
        let mark = self.trace.mark();
        self.tap.shut();
        self.rest(ms).await;
        self.tap.open();
        self.ready(mark, 60_000).await
    }

    /// Says whether these bytes went to the device since the mark.
    pub fn was_sent(&self, mark: usize, topic: &Topic, digest: &Digest) -> bool {
        let topic = self.topic(topic);
        self.trace.look(mark, |seen| was_sent(seen, &topic, digest))
    }
}

/// What records of one cue add up to.
pub fn total(records: &[Kept]) -> i64 {
    let part = |kept: &Kept| match kept.text("kind") {
        "show" => kept.number("shown_ms"),
        _ => kept.number("played_ms"),
    };
    records.iter().map(part).sum()
}

/// Outcome and cause of each record, for people.
pub fn outcomes(records: &[Kept]) -> String {
    if records.is_empty() {
        return "no record of it came".to_owned();
    }
    let one = |kept: &Kept| {
        let ms = total(std::slice::from_ref(kept));
        format!("{} ({}), {ms} ms", kept.text("outcome"), kept.text("cause"))
    };
    records.iter().map(one).collect::<Vec<_>>().join(" + ")
}
