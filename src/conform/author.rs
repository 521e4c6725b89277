//! Writes what a scheduler signs, and what nobody should: the right documents and the wrong ones.
//!
//! Documents are written as JSON values here and not by the types of `wire`, which would refuse
//! to write most of the wrong ones.

use crate::clock::SharedClock;
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::wire::b64;
use crate::wire::epoch::{self, KeysBody};
use crate::wire::jws::{SecretKey, sign_bytes};
use crate::wire::server_keys::ServerKeys;
use crate::wire::topic::{Topic, Topics};
use serde_json::{Value, json};

/// The keys of a scheduler and what it has said so far.
pub struct Author {
    pub keys: ServerKeys,
    pub root: SecretKey,
    pub epochs: Vec<String>,
    pub device: DeviceId,
    pub units: Vec<UnitId>,
    pub topics: Topics,
    clock: SharedClock,
    ver: i64,
    count: u64,
}

/// Fresh bytes of the system.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
    Ok(bytes)
}

impl Author {
    pub fn new(device: DeviceId, units: Vec<UnitId>, clock: SharedClock) -> std::io::Result<Self> {
        let root = SecretKey::from_seed(&random()?);
        let mut seeds = [[0; 32]; 5];
        for seed in &mut seeds {
            *seed = random()?;
        }
        let keys = ServerKeys::from_seeds(&seeds);
        let now = clock.now();
        let first = epoch::first(&root, &keys, now.numeric_date() - 60);
        Ok(Self {
            keys,
            root,
            epochs: vec![first],
            device,
            units,
            topics: Topics::default(),
            clock,
            ver: now.0,
            count: 0,
        })
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now().0
    }

    pub fn now_s(&self) -> i64 {
        self.clock.now().numeric_date()
    }

    /// Returns a topic of the device or of all.
    pub fn topic(&self, topic: &Topic) -> String {
        self.topics.of(topic)
    }

    /// Returns the body of `keys`.
    pub fn chain(&self) -> Vec<u8> {
        KeysBody::new(self.epochs.clone()).encode()
    }

    /// Returns the next version: each is above the one before.
    pub fn next_ver(&mut self) -> i64 {
        self.ver = (self.ver + 1).max(self.now_ms());
        self.ver
    }

    /// Returns the version given last.
    pub fn ver(&self) -> i64 {
        self.ver
    }

    /// Returns a word that was not used before in this run.
    pub fn word(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}-{}", self.count, self.now_ms() % 1_000_000)
    }

    /// Returns the claims of a good timetable that names these sheets for today (and on).
    pub fn timetable(&mut self, sheet: &Digest, from_ms: i64, to_ms: i64) -> Value {
        json!({
            "v": 1, "iss": "loa conform", "aud": self.device, "iat": self.now_s(),
            "exp": to_ms / 1000, "ver": self.next_ver(), "units": self.units, "volume_cap": 100,
            "trim_ms": 0, "fetch_spread_s": 0,
            "days": [{"from_ms": from_ms, "to_ms": to_ms, "sheet": sheet}],
        })
    }

    pub fn command(&mut self, what: &str, more: &Value) -> (String, Value) {
        let jti = self.word("lenh");
        let mut claims = json!({
            "v": 1, "iss": "loa conform", "aud": self.device, "iat": self.now_s(),
            "exp": self.now_s() + 120, "jti": jti, "do": what,
        });
        merge(&mut claims, more);
        (jti, claims)
    }

    pub fn hold(&mut self, unit: &UnitId, until_ms: i64) -> (String, Value) {
        let jti = self.word("im");
        let claims = json!({
            "v": 1, "iss": "loa conform", "unit": unit, "iat": self.now_s(),
            "ver": self.next_ver(), "jti": jti, "until_ms": until_ms, "reason": "Kiểm tra",
            "by": "loa conform",
        });
        (jti, claims)
    }

    pub fn notice(
        &mut self,
        units: &[UnitId],
        life_s: i64,
        asset: Option<&Value>,
    ) -> (String, Value) {
        let jti = self.word("khan");
        let mut claims = json!({
            "v": 1, "iss": "loa conform", "units": units, "iat": self.now_s(),
            "exp": self.now_s() + life_s, "jti": jti, "reason": "Kiểm tra",
            "document": {"number": "1/KT", "issuer": "loa conform", "at_ms": self.now_ms()},
            "text": "Thông báo khẩn", "repeat": {"times": 1, "gap_ms": 0}, "volume": 80,
        });
        if let Some(asset) = asset {
            claims["asset"] = asset.clone();
        }
        (jti, claims)
    }

    pub fn withdrawal(&self, jti: &str, life_s: i64) -> Value {
        json!({
            "v": 1, "iss": "loa conform", "withdraws": jti, "iat": self.now_s(),
            "exp": self.now_s() + life_s,
        })
    }

    pub fn time(&self, nonce: &str) -> Value {
        let now = self.now_ms();
        json!({"v": 1, "aud": self.device, "iat": now / 1000, "nonce": nonce, "now_ms": now})
    }
}

/// Puts members over those of a document.
pub fn merge(claims: &mut Value, more: &Value) {
    if let (Some(claims), Some(more)) = (claims.as_object_mut(), more.as_object()) {
        claims.extend(more.clone());
    }
}

/// Signs claims under a `typ`, given without `loa-` and `+jwt`.
pub fn sign(key: &SecretKey, typ: &str, claims: &Value) -> String {
    sign_text(key, typ, &claims.to_string())
}

/// As [`sign`], for a payload that is written out already (and may be no good JSON).
pub fn sign_text(key: &SecretKey, typ: &str, payload: &str) -> String {
    sign_bytes(key, &format!("loa-{typ}+jwt"), payload.as_bytes())
}

/// Signs under a header of one's own.
pub fn sign_header(key: &SecretKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| b64::encode(value.to_string().as_bytes());
    let mut text = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(text.as_bytes());
    text.push('.');
    text.push_str(&b64::encode(&signature));
    text
}
