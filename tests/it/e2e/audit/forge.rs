//! A pack taken apart, and the log in it written anew by those who hold all its keys: what a
//! station could do at worst, with the witness on its side.

use super::super::commune::Commune;
use loa::domain::time::UtcMs;
use loa::log::edge::Edge;
use loa::log::history;
use loa::log::leaf::Leaf;
use loa::pack::{About, AboutLog, Writer};
use loa::wire::jws::SecretKey;
use loa::wire::server_keys::secret_from_text;
use loa::wire::tlog::{Bundle, Cosigner, LogSigner, Name, SignedCheckpoint};
use loa::wire::{b64, tlog::Checkpoint};
use serde_json::Value;
use std::fs;

/// A pack by its files, without README, description and manifest, which the writer makes.
#[derive(Clone)]
pub struct Pack {
    pub window: (i64, i64),
    pub origin: String,
    pub files: Vec<(String, Vec<u8>)>,
}

/// Reads an archive; names and bytes in their order.
pub fn unpack(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    use std::io::Read as _;
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (name, content)
    });
    entries.collect()
}

impl Pack {
    pub fn read(bytes: &[u8]) -> Self {
        let mut files = unpack(bytes);
        let about: Value = serde_json::from_slice(&files[1].1).unwrap();
        files.retain(|(name, _)| {
            !["README.txt", "pack.json", "manifest.sha256"].contains(&name.as_str())
        });
        let window = (about["from_ms"].as_i64().unwrap(), about["to_ms"].as_i64().unwrap());
        assert_eq!(about["logs"].as_array().unwrap().len(), 1);
        Self { window, origin: about["logs"][0]["origin"].as_str().unwrap().to_owned(), files }
    }

    pub fn write(&self) -> Vec<u8> {
        let logs = vec![AboutLog { origin: self.origin.clone(), first: 0 }];
        let about = About::new(self.window.0, self.window.1, None, logs);
        let mut writer = Writer::new(Vec::new(), &about).unwrap();
        for (name, bytes) in &self.files {
            writer.add(name, bytes).unwrap();
        }
        writer.finish().unwrap()
    }

    pub fn file(&mut self, part: &str) -> &mut Vec<u8> {
        let found = self.files.iter_mut().find(|(name, _)| name.contains(part));
        &mut found.unwrap_or_else(|| panic!("no `{part}`")).1
    }

    /// The leaves of its one bundle or more, in order.
    pub fn leaves(&self) -> Vec<Vec<u8>> {
        let bundles = self.files.iter().filter(|(name, _)| name.contains("tile/entries"));
        let entries = bundles.flat_map(|(name, bytes)| {
            let width = name.rsplit_once(".p/").map_or(256, |(_, width)| width.parse().unwrap());
            let bundle = Bundle::parse(bytes.clone(), width).unwrap();
            bundle.entries().map(<[u8]>::to_vec).collect::<Vec<_>>()
        });
        entries.collect()
    }
}

/// All keys of a station's log.
pub struct Forger {
    pub log: LogSigner,
    witness: Cosigner,
}

impl Forger {
    pub fn of(commune: &Commune, pack: &Pack) -> Self {
        let text = fs::read_to_string(commune.path("data/log-key.txt")).unwrap();
        let name = Name::new(pack.origin.clone()).unwrap();
        let log = LogSigner::new(name, secret_from_text(text.trim()).unwrap());
        let text = fs::read_to_string(commune.path("w1/key.json")).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let secret = secret_from_text(file["seed"].as_str().unwrap()).unwrap();
        let name = Name::new(file["name"].as_str().unwrap().to_owned()).unwrap();
        Self { log, witness: Cosigner::new(name, secret) }
    }

    /// Signs a head, with the witness or without.
    pub fn sign(&self, head: &Checkpoint, time_s: Option<u64>) -> String {
        let signed: SignedCheckpoint = head.sign(std::slice::from_ref(&self.log));
        let mut lines = signed.note().lines().to_vec();
        lines.extend(time_s.map(|time_s| self.witness.sign(time_s, signed.note().text())));
        signed.note().with_lines(lines).to_string()
    }

    /// Writes the log anew over other leaves, and lets the witness vouch for it now.
    pub fn rewrite(&self, pack: &Pack, leaves: &[Vec<u8>]) -> Pack {
        let growth = Edge::default().grow(leaves.iter().map(Vec::as_slice)).unwrap();
        let origin = Name::new(pack.origin.clone()).unwrap();
        let head = Checkpoint { origin, size: growth.edge.size(), root: growth.edge.root() };
        let last = Leaf::parse(leaves.last().unwrap().clone()).unwrap().received_ms();
        let time_s = u64::try_from(last.0 / 1_000).unwrap() + 1;
        let mut files = pack.files.clone();
        files.retain(|(name, _)| !name.starts_with("logs/"));
        // What the witness had vouched for before the first change still holds.
        let before = pack.leaves();
        let common = before.iter().zip(leaves).take_while(|(old, new)| old == new).count() as u64;
        let cosigned = pack.files.iter().filter(|(name, _)| name.contains("/cosigned/"));
        let kept = cosigned.filter_map(|(name, bytes)| {
            let notes = history::parse(bytes).unwrap();
            let old = notes.iter().filter(|note| note.checkpoint().size <= common);
            let text = old.fold(String::new(), |text, note| text + &note.note().to_string() + "\n");
            (!text.is_empty()).then(|| (name.clone(), text.into_bytes()))
        });
        files.push(("logs/1/checkpoint".into(), self.sign(&head, Some(time_s)).into_bytes()));
        files.extend(kept);
        let mut tiles: Vec<(String, Vec<u8>)> = growth
            .files
            .into_iter()
            .map(|(resource, bytes)| (format!("logs/1/{resource}"), bytes))
            .collect();
        // Partial tiles of hashes come first, as the order of a pack wants it.
        tiles.sort_by_key(|(name, _)| name.contains("entries"));
        files.extend(tiles);
        Pack { files, ..pack.clone() }
    }
}

/// Claims of the record in a leaf; `None` when it is none.
pub fn claims(leaf: &[u8]) -> Option<Value> {
    let leaf = Leaf::parse(leaf.to_vec()).ok()?;
    let text = std::str::from_utf8(leaf.content()).ok()?;
    serde_json::from_slice(&b64::decode(text.split('.').nth(1)?)?).ok()
}

/// The statement in a leaf.
pub fn statement(leaf: &[u8]) -> Option<Value> {
    let leaf = Leaf::parse(leaf.to_vec()).ok()?;
    leaf.statement()?.ok()?;
    serde_json::from_slice(leaf.content()).ok()
}

/// The same leaf, as if it had been received at another time.
pub fn received(leaf: &[u8], at: UtcMs) -> Vec<u8> {
    let mut leaf = leaf.to_vec();
    leaf[1..9].copy_from_slice(&u64::try_from(at.0).unwrap().to_be_bytes());
    leaf
}

/// Signs claims as a record.
pub fn record(key: &SecretKey, at: UtcMs, claims: &Value) -> Vec<u8> {
    let text = loa::wire::jws::sign(key, loa::wire::jws::Typ::Record, claims);
    Leaf::record(at, &text).unwrap().bytes().to_vec()
}
