//! Devices, and what they write.

use super::{MIN, hex, jws, key, sha};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// A device under way.
#[derive(Clone)]
pub struct Device {
    pub name: String,
    pub key: SigningKey,
    pub chain: [u8; 16],
    pub seq: u64,
    pub boot: u64,
    pub prev: Option<String>,
}

impl Device {
    pub fn new(n: u8) -> Self {
        let name = format!("loa-thon-{n}");
        Self { name, key: key(n), chain: [n; 16], seq: 0, boot: 1, prev: None }
    }

    pub fn sign(&mut self, at_ms: i64, seen: &Value, body: &Value) -> String {
        self.seq += 1;
        let text = self.sign_as(self.seq, self.prev.clone(), at_ms, seen, body);
        self.prev = Some(hex(&sha(text.as_bytes())));
        text
    }

    pub fn sign_as(
        &self,
        seq: u64,
        prev: Option<String>,
        at_ms: i64,
        seen: &Value,
        body: &Value,
    ) -> String {
        let mut claims = json!({
            "v": 1, "dev": self.name, "chain": hex(&self.chain), "boot": self.boot, "seq": seq,
            "prev": prev, "at_ms": at_ms, "mono_ms": 5, "seen": seen, "attestor": "device",
            "clock": {"src": "server", "age_s": 5, "err_ms": 20}
        });
        for (name, value) in body.as_object().unwrap() {
            claims[name] = value.clone();
        }
        jws(&self.key, "loa-record+jwt", &claims)
    }
}

pub fn beat() -> Value {
    json!({"kind": "beat", "head": null, "pending": 0, "stored": 1})
}

pub fn play(cue: &str, at: i64, played_ms: i64) -> Value {
    json!({
        "kind": "play", "cue": cue, "n": 1, "sheet": null, "item": "p/tin", "asset": null,
        "title": "Bản tin", "lufs_cb": null, "gain_cb": null, "due_ms": at, "due_len_ms": 2 * MIN,
        "started_ms": at, "ended_ms": at + played_ms, "played_ms": played_ms,
        "outcome": if played_ms == 2 * MIN { "played" } else { "partial" }, "cause": "end",
        "by": null, "volume": 80, "skew_ms": 0, "grade": 3, "method": "samples",
        "score_permille": null
    })
}

/// A play of an urgent notice.
pub fn notice(jti: &str, at: i64, played_ms: i64) -> Value {
    let mut play = play("", at, played_ms);
    let members = play.as_object_mut().unwrap();
    members.remove("cue");
    members.insert("jti".to_owned(), json!(jti));
    play
}

pub fn start(cue: &str, at: i64) -> Value {
    json!({"kind": "start", "cue": cue, "n": 1, "started_ms": at})
}
