//! The auditor's tool against what its signatures alone cost: a pack of many records, verified in a
//! process of its own so that its memory is that of verifying, beside bare strict signatures on all
//! cores.

use super::Row;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::time::UtcMs;
use crate::log::edge::Edge;
use crate::log::leaf::{Leaf, ServerBody};
use crate::pack::{About, AboutLog, Tiles, Writer};
use crate::wire::b64;
use crate::wire::jws::{SecretKey, Typ, sign};
use crate::wire::tlog::{Checkpoint, Cosigner, LogSigner, Name};
use anyhow::Context as _;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// 2027-01-15T08:00:00Z.
const DAY: i64 = 1_800_000_000_000;
const MIN: i64 = 60_000;
/// Records of a device: about a month of a loudspeaker.
const EACH: u64 = 500;
/// Devices of a commune: they share their days.
const COMMUNE: u64 = 50;
/// Cues of a day.
const CUES: u64 = 16;
/// Days that a timetable reaches ahead.
const HORIZON: i64 = 16;
/// Records whose signatures are checked alone.
const SAMPLES: usize = 20_000;

/// A loudspeaker that plays all the time.
struct Device {
    name: String,
    key: SecretKey,
    chain: String,
    seq: u64,
    prev: Option<String>,
}

fn hex(bytes: &[u8]) -> String {
    crate::domain::ids::Digest::of(bytes).to_string()
}

fn cue(commune: u64, at: i64) -> String {
    hex(format!("{commune} {at}").as_bytes())[..32].to_owned()
}

impl Device {
    fn new(n: u64) -> Self {
        let seed: [u8; 32] = Sha256::digest(n.to_be_bytes()).into();
        Self {
            name: format!("loa-thon-{n}"),
            key: SecretKey::from_seed(&seed),
            chain: hex(&seed)[..32].to_owned(),
            seq: 0,
            prev: None,
        }
    }

    /// A play of usual length, as a device writes it.
    fn play(&mut self, at: i64, seen: &Value, cue: &str, sheet: &str) -> String {
        self.seq += 1;
        let claims = json!({
            "v": 1, "kind": "play", "dev": self.name, "chain": self.chain, "boot": 3,
            "seq": self.seq, "prev": self.prev, "at_ms": at, "mono_ms": 12_345_678,
            "clock": {"src": "server", "age_s": 120, "err_ms": 26}, "seen": seen,
            "attestor": "device", "cue": cue, "n": 1, "sheet": sheet,
            "item": "ban-tin-sang/tin-1", "asset": hex(b"asset"),
            "title": "Bản tin buổi sáng của xã", "lufs_cb": -160, "gain_cb": -10,
            "due_ms": at - 2 * MIN, "due_len_ms": 2 * MIN, "started_ms": at - 2 * MIN,
            "ended_ms": at, "played_ms": 2 * MIN, "outcome": "played", "cause": "end",
            "by": null, "volume": 80, "skew_ms": 2, "grade": 3, "method": "samples",
            "score_permille": null
        });
        let text = sign(&self.key, Typ::Record, &claims);
        self.prev = Some(hex(text.as_bytes()));
        text
    }
}

/// A day sheet with as many cues as are played of it.
fn sheet(commune: u64, day: i64) -> String {
    let cues: Vec<_> = (0..i64::try_from(CUES).unwrap_or(16))
        .map(|n| {
            let at = day + n * 60 * MIN;
            json!({"id": cue(commune, at), "at_ms": at, "end_ms": at + 2 * MIN, "priority": "routine",
                   "item": "a", "volume": 80, "fade_ms": 0, "line": null, "approval": null})
        })
        .collect();
    json!({"v": 1, "from_ms": day, "to_ms": day + 1_440 * MIN, "sound": [], "assets": {},
           "items": {"a": {"kind": "clip", "title": "Bản tin", "asset": hex(b"asset")}},
           "cues": cues})
    .to_string()
}

/// The tiles of a log that grows: full ones on disk, those at the edge in memory.
struct Grown<'d> {
    folder: &'d Path,
    edge: Edge,
    partial: BTreeMap<String, (String, Vec<u8>)>,
}

impl Grown<'_> {
    fn take(&mut self, leaves: &[Leaf]) -> anyhow::Result<()> {
        let growth = self.edge.grow(leaves.iter().map(Leaf::bytes))?;
        for (resource, bytes) in growth.files {
            let name = resource.to_string();
            if let Some((of, _)) = name.split_once(".p/") {
                self.partial.insert(of.to_owned(), (name.clone(), bytes));
                continue;
            }
            self.partial.remove(&name);
            let path = self.folder.join(&name);
            fs::create_dir_all(path.parent().context("a tile lies in a folder")?)?;
            fs::write(path, bytes)?;
        }
        self.edge = growth.edge;
        Ok(())
    }

    fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        let edge = path.split_once(".p/").and_then(|(of, _)| self.partial.get(of));
        match edge.filter(|(name, _)| name == path) {
            Some((_, bytes)) => Ok(bytes.clone()),
            None => fs::read(self.folder.join(path)),
        }
    }
}

/// A pack that was made, with what is needed to judge it.
struct Made {
    devices: u64,
    policy: String,
    samples: Vec<(usize, String)>,
    keys: Vec<[u8; 32]>,
}

/// The days of each commune, as they are published.
struct Days {
    texts: BTreeMap<String, String>,
    /// Of each commune, by day.
    names: Vec<Vec<String>>,
}

impl Days {
    fn new(communes: u64, days: i64) -> Self {
        let mut texts = BTreeMap::new();
        let mut name = |commune, day| {
            let text = sheet(commune, DAY + day * 1_440 * MIN);
            let name = hex(text.as_bytes());
            texts.insert(name.clone(), text);
            name
        };
        let names = (0..communes).map(|of| (0..days + HORIZON).map(|day| name(of, day)).collect());
        let names = names.collect();
        Self { texts, names }
    }

    fn of(&self, device: u64, day: i64) -> &[String] {
        let names = usize::try_from(device / COMMUNE).ok().and_then(|of| self.names.get(of));
        let from = usize::try_from(day).unwrap_or(usize::MAX);
        names.and_then(|names| names.get(from..)).unwrap_or(&[])
    }
}

/// All devices play one cue; written on all cores.
fn played(devices: &mut [Device], days: &Days, (day, at): (i64, i64), seen: &Value) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let part = devices.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let write = |(n, part_of): (usize, &mut [Device])| -> Vec<String> {
            let play = |(device, known): (u64, &mut Device)| {
                let sheet = days.of(device, day).first().map_or("", |sheet| sheet);
                known.play(at + 2 * MIN, seen, &cue(device / COMMUNE, at), sheet)
            };
            ((n * part) as u64..).zip(part_of).map(play).collect()
        };
        let parts = devices.chunks_mut(part).enumerate();
        let workers: Vec<_> = parts.map(|part| scope.spawn(move || write(part))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    })
}

fn make(folder: &Path, records: u64) -> anyhow::Result<Made> {
    let name = Name::new("bench.example/2027")?;
    let signer = LogSigner::new(name.clone(), SecretKey::from_seed(&[1; 32]));
    let witness = Cosigner::new(Name::new("witness.example/w")?, SecretKey::from_seed(&[2; 32]));
    let count = (records / EACH).clamp(20, 20_000);
    let rounds = records.div_ceil(count);
    let mut devices: Vec<Device> = (0..count).map(Device::new).collect();
    let lasts = i64::try_from(rounds / CUES)? + 2;
    let days = Days::new(count.div_ceil(COMMUNE), lasts);
    let mut log = Grown { folder, edge: Edge::default(), partial: BTreeMap::new() };
    let (mut cosigned, mut newest, mut seen) = (String::new(), String::new(), Value::Null);
    let mut samples: Vec<(usize, String)> = Vec::new();
    let mut waiting = vec![Leaf::server(UtcMs(DAY), &ServerBody::Shard { previous: None })?];
    for device in &devices {
        let body = ServerBody::Enrol {
            dev: device.name.parse()?,
            kid: device.key.kid().to_string(),
            key: b64::encode(&device.key.public().to_bytes()),
            alg: "EdDSA".into(),
            units: vec!["17329".parse()?],
            by: "lan".into(),
        };
        waiting.push(Leaf::server(UtcMs(DAY), &body)?);
    }
    for round in 0..rounds {
        // Sixteen cues a day, an hour apart.
        let day = i64::try_from(round / CUES)? + 1;
        let begin = DAY + day * 1_440 * MIN;
        let at = begin + i64::try_from(round % CUES)? * 60 * MIN;
        if round % CUES == 0 {
            for (n, device) in (0_u64..).zip(&devices) {
                let ahead = days.of(n, day).iter().take(usize::try_from(HORIZON)?);
                let body = ServerBody::TimetablePublished {
                    dev: device.name.parse()?,
                    ver: begin,
                    timetable: hex(format!("{} {day}", device.name).as_bytes()).parse()?,
                    sheets: ahead.map(|sheet| sheet.parse()).collect::<Result<_, _>>()?,
                    first_cue_ms: Some(UtcMs(at)),
                };
                waiting.push(Leaf::server(UtcMs(at - 60 * MIN), &body)?);
            }
        }
        let texts = played(&mut devices, &days, (day, at), &seen);
        for (n, text) in texts.into_iter().enumerate() {
            waiting.push(Leaf::record(UtcMs(at + 2 * MIN + 300), &text)?);
            if samples.len() < SAMPLES {
                samples.push((n, text));
            }
        }
        log.take(&std::mem::take(&mut waiting))?;
        let head =
            Checkpoint { origin: name.clone(), size: log.edge.size(), root: log.edge.root() };
        let signed = head.sign(std::slice::from_ref(&signer));
        let mut lines = signed.note().lines().to_vec();
        lines.push(witness.sign(u64::try_from((at + 3 * MIN) / 1_000)?, signed.note().text()));
        newest = signed.note().with_lines(lines).to_string();
        cosigned.push_str(&newest);
        cosigned.push('\n');
        seen = json!({"origin": name.as_str(), "size": head.size, "root": head.root.to_string()});
    }
    let logs = vec![AboutLog { origin: name.as_str().to_owned(), first: 0 }];
    let about = About::new(DAY, DAY + lasts * 1_440 * MIN, None, logs);
    let out = std::io::BufWriter::new(fs::File::create(folder.join("pack"))?);
    let mut writer = Writer::new(out, &about)?;
    for (digest, text) in &days.texts {
        writer.add(&format!("sheets/{digest}"), text.as_bytes())?;
    }
    writer.add("logs/1/checkpoint", newest.as_bytes())?;
    writer.add("logs/1/cosigned/2027-01-15", cosigned.as_bytes())?;
    let tiles = Tiles { size: log.edge.size(), ..Tiles::default() };
    writer.tiles(1, &tiles, |path| log.read(path))?;
    writer.finish()?.flush()?;
    let policy = format!("log {}\nwitness w {}\nquorum w\n", signer.verifier(), witness.verifier());
    let keys = devices.iter().map(|device| device.key.public().to_bytes()).collect();
    Ok(Made { devices: count, policy, samples, keys })
}

/// Checks nothing but strict signatures on all cores; returns how many a second.
fn alone(made: &Made) -> anyhow::Result<f64> {
    let keys: Vec<VerifyingKey> =
        made.keys.iter().map(VerifyingKey::from_bytes).collect::<Result<_, _>>()?;
    let parts: Vec<(&[u8], Signature, usize)> = made
        .samples
        .iter()
        .filter_map(|(n, text)| {
            let at = text.rfind('.')?;
            let signature = Signature::from_slice(&b64::decode(&text[at + 1..])?).ok()?;
            Some((&text.as_bytes()[..at], signature, *n))
        })
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let clock = SystemClock::new();
    let right: usize = std::thread::scope(|scope| {
        let chunks = parts.chunks(parts.len().div_ceil(cores).max(1));
        let workers: Vec<_> = chunks
            .map(|part| {
                let keys = &keys;
                let right = |(message, signature, n): &&(&[u8], Signature, usize)| {
                    keys[*n].verify_strict(message, signature).is_ok()
                };
                scope.spawn(move || part.iter().filter(right).count())
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum()
    });
    anyhow::ensure!(right == parts.len(), "a signature of the sample does not fit");
    Ok(right as f64 / (clock.mono_ms().max(1) as f64 / 1_000.0))
}

/// Returns the most memory that a process had so far, in MB.
fn peak(id: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1_024.0 / 1e6)
}

/// Measures it: a pack of so many records, and one two and a half times as large, as a month of five
/// thousand devices is to a million.
pub fn rows(records: u64) -> anyhow::Result<Vec<Row>> {
    let mut rows = measured(records)?.to_vec();
    rows.extend(measured(records.saturating_mul(5) / 2)?);
    Ok(rows)
}

fn measured(records: u64) -> anyhow::Result<[Row; 2]> {
    let folder = super::super::backup::log::ScratchFolder::make(
        std::env::temp_dir().join(format!("loa-bench-audit-{}", std::process::id())),
    )?;
    let clock = SystemClock::new();
    let made = make(&folder.0, records)?;
    let making = clock.mono_ms() as f64 / 1_000.0;
    fs::write(folder.0.join("policy"), &made.policy)?;
    let before = alone(&made)?;
    let clock = SystemClock::new();
    let mut command = Command::new(std::env::current_exe().context("where this program lies")?);
    command.args(["audit", "verify", "--json"]).arg(folder.0.join("pack"));
    command.arg("--policy").arg(folder.0.join("policy")).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting the auditor's tool")?;
    let mut most = 0.0_f64;
    while child.try_wait()?.is_none() {
        most = most.max(peak(child.id()).unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let seconds = clock.mono_ms() as f64 / 1_000.0;
    let verdict: Value = serde_json::from_slice(&child.wait_with_output()?.stdout)?;
    anyhow::ensure!(verdict["ok"] == true, "the pack is not right: {}", verdict["faults"]);
    let after = alone(&made)?;
    let (count, limit) =
        (verdict["records"]["verified"].as_f64().unwrap_or(0.0), f64::midpoint(before, after));
    let rate = count / seconds;
    let pack = format!("{count:.0} records of {} devices", made.devices);
    let work = format!("verify a pack of {pack}, all cores");
    Ok([
        Row::at_least(work, rate, 0.8 * limit, "records/s").note(format!(
            "in {seconds:.1} s, made in {making:.1} s; the limit is 0.8 of {limit:.0} strict Ed25519 \
             signatures a second, measured before and after: {:.2} of them",
            rate / limit
        )),
        Row::at_most(format!("memory of it, {pack}"), most, 200.0, "MB"),
    ])
}
