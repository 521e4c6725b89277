//! Receipts that devices kept: the server's signed word that a record is durable. One whose record
//! the log does not hold shows that the server lost or left it out.
//!
//! The keys that sign receipts come from the pack's chain of epochs, each signed by the root of the
//! one before; who holds the root's thumbprint from elsewhere names it.

use super::hash::Hash;
use super::record::{Jws, thumbprint};
use super::register::Place;
use super::signature;
use super::text::{base64url, hex};
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// Receipts of one audit.
const RECEIPTS: usize = 100_000;
/// Epochs of a chain.
const EPOCHS: usize = 64;
/// Bytes of a receipt.
const RECEIPT_BYTES: usize = 4_096;

#[derive(Deserialize)]
struct Body {
    v: i64,
    epochs: Vec<String>,
}

#[derive(Deserialize)]
struct Epoch {
    v: i64,
    #[serde(rename = "epoch")]
    number: u64,
    prev: Option<String>,
    root: Jwk,
    roles: BTreeMap<String, Vec<Jwk>>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
}

impl Jwk {
    fn key(&self) -> Option<([u8; 32], VerifyingKey)> {
        let bytes: [u8; 32] = base64url(self.x.as_bytes())?.try_into().ok()?;
        (self.kty == "OKP" && self.crv == "Ed25519").then_some((bytes, signature::key(&bytes)?))
    }
}

/// Reads the keys that may ever have signed receipts; `root` is the pinned thumbprint.
pub fn keys(body: &[u8], root: Option<&Hash>) -> Result<HashMap<Hash, VerifyingKey>, &'static str> {
    let unreadable = "it is no chain of key epochs";
    let body: Body = serde_json::from_slice(body).map_err(|_| unreadable)?;
    if body.v != 1 || body.epochs.is_empty() || body.epochs.len() > EPOCHS {
        return Err(unreadable);
    }
    let mut signer: Option<([u8; 32], VerifyingKey)> = None;
    let mut prev: Option<Hash> = None;
    let mut pinned = root.is_none();
    let mut found = HashMap::new();
    for (number, text) in (1..).zip(&body.epochs) {
        let jws = Jws::parse(text.as_bytes(), "loa-keys+jwt").ok_or(unreadable)?;
        let read =
            |claims: Option<Vec<u8>>| -> Option<Epoch> { serde_json::from_slice(&claims?).ok() };
        // The first is signed by the root that it names itself.
        let (bytes, key) = match &signer {
            Some(known) => *known,
            None => read(jws.claims()).and_then(|epoch| epoch.root.key()).ok_or(unreadable)?,
        };
        let epoch = read(jws.verify(&key)).ok_or("an epoch is not signed by the root before it")?;
        let linked = match (&epoch.prev, &prev) {
            (None, None) => true,
            (Some(text), Some(prev)) => hex(text).as_ref() == Some(prev),
            _ => false,
        };
        if epoch.v != 1 || epoch.number != number || !linked || jws.kid != thumbprint(&bytes) {
            return Err("its epochs do not follow each other");
        }
        pinned |= root == Some(&jws.kid);
        for key in epoch.roles.get("receipt").into_iter().flatten().take(EPOCHS) {
            let (bytes, key) = key.key().ok_or(unreadable)?;
            found.insert(thumbprint(&bytes), key);
        }
        signer = Some(epoch.root.key().ok_or(unreadable)?);
        prev = Some(super::hash::sha256(text.as_bytes()));
    }
    if pinned { Ok(found) } else { Err("no epoch is signed by the root that was named") }
}

#[derive(Deserialize)]
struct Claims {
    v: i64,
    aud: String,
    iat: i64,
    chain: String,
    upto: u64,
    head: Option<String>,
}

/// A receipt whose signature is right.
#[derive(Debug)]
pub struct Receipt {
    pub device: String,
    pub chain: [u8; 16],
    pub upto: u64,
    head: Hash,
    pub made_ms: i64,
    /// Where its record stands.
    pub found: Option<Place>,
    /// Whether the device declared the number lost.
    pub lost: bool,
}

/// Places of the receipts of a chain, by number.
type ByNumber = BTreeMap<u64, Vec<usize>>;

/// Receipts by device, chain and number.
#[derive(Debug, Default)]
pub struct Receipts {
    all: Vec<Receipt>,
    /// By device, chain and number: their places in `all`.
    by_record: HashMap<String, HashMap<[u8; 16], ByNumber>>,
}

impl Receipts {
    /// Reads receipts, one compact JWS a line; returns the lines that are none.
    pub fn read(&mut self, lines: &[u8], keys: &HashMap<Hash, VerifyingKey>) -> Vec<usize> {
        let mut bad = Vec::new();
        for (number, line) in (1..).zip(lines.split(|b| *b == b'\n')) {
            if line.is_empty() {
                continue;
            }
            match (self.all.len() < RECEIPTS).then(|| read(line, keys)).flatten() {
                // Up to 0 says nothing.
                Some(None) => {}
                Some(Some(receipt)) => {
                    let of = self.by_record.entry(receipt.device.clone()).or_default();
                    let of = of.entry(receipt.chain).or_default();
                    of.entry(receipt.upto).or_default().push(self.all.len());
                    self.all.push(receipt);
                }
                None => bad.push(number),
            }
        }
        bad
    }

    /// Says whether there are any.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Notes that a record stands in the log.
    pub fn see(&mut self, device: &str, chain: [u8; 16], seq: u64, digest: &Hash, place: Place) {
        let of = self.by_record.get(device).and_then(|of| of.get(&chain));
        for at in of.and_then(|of| of.get(&seq)).into_iter().flatten() {
            if let Some(receipt) = self.all.get_mut(*at).filter(|known| known.head == *digest) {
                receipt.found.get_or_insert(place);
            }
        }
    }

    /// Notes which numbers their device declared lost; the receipt then names that declaration.
    pub fn lose(&mut self, device: &str, chain: [u8; 16], from: u64, to: u64, hash: &Hash) {
        let of = self.by_record.get(device).and_then(|of| of.get(&chain));
        let inside = of.filter(|_| from <= to).map(|of| of.range(from..=to));
        for at in inside.into_iter().flatten().flat_map(|(_, places)| places) {
            if let Some(receipt) = self.all.get_mut(*at) {
                receipt.lost |= receipt.head == *hash;
            }
        }
    }

    /// Returns those whose record is neither in the log nor declared lost.
    pub fn without_record(&self) -> impl Iterator<Item = &Receipt> {
        self.all.iter().filter(|receipt| receipt.found.is_none() && !receipt.lost)
    }
}

/// Reads a receipt; inner `None` when it receipts nothing.
#[expect(clippy::option_option, reason = "what receipts nothing is right, what is unsigned is not")]
fn read(line: &[u8], keys: &HashMap<Hash, VerifyingKey>) -> Option<Option<Receipt>> {
    if line.len() > RECEIPT_BYTES {
        return None;
    }
    let jws = Jws::parse(line, "loa-receipt+jwt")?;
    let claims = jws.verify(keys.get(&jws.kid)?)?;
    let Claims { v: 1, aud, iat, chain, upto, head } = serde_json::from_slice(&claims).ok()? else {
        return None;
    };
    let Some(head) = head.filter(|_| upto > 0) else { return Some(None) };
    Some(Some(Receipt {
        device: aud,
        chain: hex(&chain)?,
        upto,
        head: hex(&head)?,
        made_ms: iat.saturating_mul(1_000),
        found: None,
        lost: false,
    }))
}
