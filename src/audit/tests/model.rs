//! A small station for tests: devices that sign, a log that grows, witnesses, and the pack of it.

mod device;

pub use crate::audit::text::to_hex as hex;
use crate::domain::time::UtcMs;
use crate::log::edge::Edge;
use crate::log::leaf::{Leaf, ServerBody};
use crate::pack::{About, AboutLog, Tiles, Writer};
use crate::wire::tlog::{Checkpoint, Cosigner, LogSigner, Name, SignedCheckpoint};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
pub use device::{Device, beat, notice, play, start};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub const MIN: i64 = 60_000;
pub const HOUR: i64 = 60 * MIN;
pub const DAY_MS: i64 = 24 * HOUR;
/// The first instant of the day that is asked about.
pub const DAY: i64 = 1_800_000_000_000;
pub const CUES: i64 = 8;

pub fn sha(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn kid(key: &SigningKey) -> String {
    B64.encode(crate::audit::record::thumbprint(&key.verifying_key().to_bytes()))
}

pub fn jws(key: &SigningKey, typ: &str, claims: &Value) -> String {
    let header = json!({"alg": "EdDSA", "typ": typ, "kid": kid(key)});
    let mut text = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let signature = key.sign(text.as_bytes()).to_bytes();
    text.push('.');
    text.push_str(&B64.encode(signature));
    text
}

pub fn cue(n: i64) -> String {
    format!("{n:032x}")
}

/// A day's sheet: a clip of two minutes each hour, from 00:30 on.
pub fn sheet(day: i64) -> Vec<u8> {
    let cues: Vec<Value> = (0..CUES)
        .map(|n| {
            let at = day + n * HOUR + HOUR / 2;
            json!({
                "id": cue(day / DAY_MS * 100 + n), "at_ms": at, "end_ms": at + 2 * MIN,
                "priority": "routine", "item": "p/tin", "volume": 80, "fade_ms": 0, "line": null,
                "approval": null
            })
        })
        .collect();
    json!({
        "v": 1, "from_ms": day, "to_ms": day + DAY_MS, "sound": [], "assets": {},
        "items": {"p/tin": {"kind": "clip", "title": "Bản tin", "asset": hex(&[1; 32])}},
        "cues": cues
    })
    .to_string()
    .into_bytes()
}

pub fn cue_of(day: i64, n: i64) -> String {
    cue(day / DAY_MS * 100 + n)
}

/// A log that grows in memory.
#[derive(Clone)]
pub struct Log {
    pub origin: String,
    pub signer: LogSigner,
    pub witnesses: Vec<Cosigner>,
    pub edge: Edge,
    pub waiting: Vec<Leaf>,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Cosigned, by day.
    pub cosigned: BTreeMap<String, String>,
    pub newest: String,
    /// What devices quote.
    pub seen: Value,
    /// From this leaf on nothing is left out.
    pub first: u64,
    pub kept: BTreeSet<u64>,
}

impl Log {
    pub fn new(year: u16) -> Self {
        let origin = format!("loa.example.vn/log/{year}");
        let name = Name::new(origin.clone()).unwrap();
        let secret = |n: u8| crate::wire::jws::SecretKey::from_seed(&[n; 32]);
        let witness = |n: u8| {
            let name = Name::new(format!("witness.example/w{n}")).unwrap();
            Cosigner::new(name, secret(200 + n))
        };
        Self {
            origin,
            signer: LogSigner::new(name, secret(u8::try_from(year % 100).unwrap() + 100)),
            witnesses: vec![witness(1), witness(2)],
            edge: Edge::default(),
            waiting: Vec::new(),
            files: BTreeMap::new(),
            cosigned: BTreeMap::new(),
            newest: String::new(),
            seen: Value::Null,
            first: 0,
            kept: BTreeSet::new(),
        }
    }

    pub fn size(&self) -> u64 {
        self.edge.size() + self.waiting.len() as u64
    }

    pub fn record(&mut self, at_ms: i64, text: &str) -> u64 {
        self.waiting.push(Leaf::record(UtcMs(at_ms), text).unwrap());
        self.size() - 1
    }

    pub fn say(&mut self, at_ms: i64, body: &ServerBody) -> u64 {
        self.waiting.push(Leaf::server(UtcMs(at_ms), body).unwrap());
        self.size() - 1
    }

    pub fn head(&self) -> Checkpoint {
        let origin = Name::new(self.origin.clone()).unwrap();
        Checkpoint { origin, size: self.edge.size(), root: self.edge.root() }
    }

    /// Signs what waits; the witnesses named cosign.
    pub fn checkpoint(&mut self, at_ms: i64, witnesses: &[usize]) -> String {
        let waiting = std::mem::take(&mut self.waiting);
        let growth = self.edge.grow(waiting.iter().map(Leaf::bytes)).unwrap();
        for (resource, bytes) in growth.files {
            self.files.insert(resource.to_string(), bytes);
        }
        self.edge = growth.edge;
        let signed = self.sign(&self.head(), at_ms, witnesses);
        self.newest = signed.clone();
        if !witnesses.is_empty() {
            let day = format!("2027-01-{:02}", 10 + (at_ms - DAY + 5 * DAY_MS) / DAY_MS);
            let kept = self.cosigned.entry(day).or_default();
            kept.push_str(&signed);
            kept.push('\n');
            let head = self.head();
            self.seen = json!({
                "origin": self.origin, "size": head.size, "root": head.root.to_string()
            });
        }
        signed
    }

    pub fn sign(&self, head: &Checkpoint, at_ms: i64, witnesses: &[usize]) -> String {
        let signed: SignedCheckpoint = head.sign(std::slice::from_ref(&self.signer));
        let mut lines = signed.note().lines().to_vec();
        let time = u64::try_from(at_ms / 1_000).unwrap();
        for witness in witnesses {
            lines.push(self.witnesses[*witness].sign(time, signed.note().text()));
        }
        signed.note().with_lines(lines).to_string()
    }
}

/// A station with all that a pack is made from.
#[derive(Clone)]
pub struct World {
    pub devices: Vec<Device>,
    pub logs: Vec<Log>,
    pub timetables: BTreeMap<String, Vec<u8>>,
    pub sheets: BTreeMap<String, Vec<u8>>,
    pub notices: BTreeMap<String, Vec<u8>>,
    pub keys: Option<Vec<u8>>,
    pub receipts: String,
    pub window: (i64, i64),
    /// What timetables name from now on.
    pub units: Vec<String>,
    pub unit: Option<String>,
    pub tokens: Vec<(usize, u64, String, Vec<u8>)>,
}

impl World {
    pub fn new(devices: u8) -> Self {
        Self {
            devices: (1..=devices).map(Device::new).collect(),
            logs: vec![Log::new(2027)],
            timetables: BTreeMap::new(),
            sheets: BTreeMap::new(),
            notices: BTreeMap::new(),
            keys: None,
            receipts: String::new(),
            window: (DAY, DAY + DAY_MS),
            units: vec!["17329".to_owned()],
            unit: None,
            tokens: Vec::new(),
        }
    }

    pub fn log(&mut self) -> &mut Log {
        self.logs.last_mut().unwrap()
    }

    pub fn enrol(&mut self, at_ms: i64, n: usize) -> u64 {
        let device = self.devices[n].clone();
        let body = ServerBody::Enrol {
            dev: device.name.parse().unwrap(),
            kid: kid(&device.key),
            key: B64.encode(device.key.verifying_key().to_bytes()),
            alg: "Ed25519".into(),
            units: vec!["17329".parse().unwrap()],
            by: "nguyen-thi-lan".parse().unwrap(),
        };
        self.log().say(at_ms, &body)
    }

    pub fn revoke(&mut self, at_ms: i64, n: usize, from: Option<u64>) -> u64 {
        let device = self.devices[n].clone();
        let origin = self.log().origin.clone();
        let body = ServerBody::Revoke {
            dev: device.name.parse().unwrap(),
            kid: kid(&device.key),
            from: from.map(|index| crate::log::leaf::LeafPlace { origin, index }),
            reason: "mất".into(),
            by: "nguyen-thi-lan".parse().unwrap(),
        };
        self.log().say(at_ms, &body)
    }

    /// Publishes a timetable over sheets of whole days.
    pub fn publish(&mut self, at_ms: i64, n: usize, ver: i64, days: &[Vec<u8>], first: i64) {
        let names: Vec<String> = days.iter().map(|sheet| hex(&sha(sheet))).collect();
        let entries: Vec<Value> = days
            .iter()
            .zip(&names)
            .map(|(sheet, name)| {
                let sheet: Value = serde_json::from_slice(sheet).unwrap();
                json!({"from_ms": sheet["from_ms"], "to_ms": sheet["to_ms"], "sheet": name})
            })
            .collect();
        let device = self.devices[n].name.clone();
        let claims = json!({
            "v": 1, "iss": "xa", "aud": device, "iat": at_ms / 1_000, "exp": at_ms / 1_000 + 9,
            "ver": ver, "units": self.units, "volume_cap": 100, "trim_ms": 0, "fetch_spread_s": 9,
            "days": entries
        });
        let text = jws(&key(90), "loa-timetable+jwt", &claims);
        let digest = hex(&sha(text.as_bytes()));
        for (sheet, name) in days.iter().zip(&names) {
            self.sheets.insert(name.clone(), sheet.clone());
        }
        let body = ServerBody::TimetablePublished {
            dev: device.parse().unwrap(),
            ver,
            timetable: digest.parse().unwrap(),
            sheets: names.iter().map(|name| name.parse().unwrap()).collect(),
            first_cue_ms: Some(UtcMs(first)),
        };
        self.timetables.insert(digest, text.into_bytes());
        self.log().say(at_ms, &body);
    }

    /// A device writes a record, which arrives at once.
    pub fn tell(&mut self, n: usize, at_ms: i64, body: &Value) -> u64 {
        let seen = self.log().seen.clone();
        let text = self.devices[n].sign(at_ms, &seen, body);
        self.log().record(at_ms + 500, &text)
    }

    /// The policy that an auditor holds: both logs, one witness of two.
    pub fn policy(&self) -> String {
        let mut text = String::from("# policy\n");
        for log in &self.logs {
            let _ = writeln!(text, "log {}", log.signer.verifier());
        }
        for (n, witness) in self.logs[0].witnesses.iter().enumerate() {
            let _ = writeln!(text, "witness w{n} {}", witness.verifier());
        }
        text + "group any any w0 w1\nquorum any\n"
    }

    /// Everything but page, description and manifest, in order.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![("policy".to_owned(), self.policy().into_bytes())];
        files.extend(self.keys.iter().map(|keys| ("keys.json".to_owned(), keys.clone())));
        if !self.receipts.is_empty() {
            files.push(("receipts".into(), self.receipts.clone().into_bytes()));
        }
        let named = |folder: &str, files: &BTreeMap<String, Vec<u8>>| -> Vec<_> {
            files.iter().map(|(name, b)| (format!("{folder}/{name}"), b.clone())).collect()
        };
        files.extend(named("timetables", &self.timetables));
        files.extend(named("sheets", &self.sheets));
        files.extend(named("notices", &self.notices));
        for (n, log) in (1..).zip(&self.logs) {
            files.push((format!("logs/{n}/checkpoint"), log.newest.clone().into_bytes()));
            for (day, notes) in &log.cosigned {
                files.push((format!("logs/{n}/cosigned/{day}"), notes.clone().into_bytes()));
            }
            for (_, size, note, token) in self.tokens.iter().filter(|(of, ..)| of + 1 == n) {
                files.push((format!("logs/{n}/tokens/{size}.note"), note.clone().into_bytes()));
                files.push((format!("logs/{n}/tokens/{size}.tsr"), token.clone()));
            }
            let tiles = Tiles {
                size: log.edge.size(),
                first: log.first,
                kept: log.kept.clone(),
                hashes: (0..log.first / 256).collect(),
            };
            for path in tiles.paths() {
                files.push((format!("logs/{n}/{path}"), log.files[&path].clone()));
            }
        }
        files
    }

    pub fn about(&self) -> About {
        let logs = self
            .logs
            .iter()
            .map(|log| AboutLog { origin: log.origin.clone(), first: log.first })
            .collect();
        About::new(self.window.0, self.window.1, self.unit.clone(), logs)
    }

    /// Writes files as a pack with its own true manifest.
    pub fn write(&self, files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &self.about()).unwrap();
        for (name, bytes) in files {
            writer.add(name, bytes).unwrap();
        }
        writer.finish().unwrap()
    }

    pub fn pack(&self) -> Vec<u8> {
        self.write(&self.files())
    }
}
