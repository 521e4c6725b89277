//! Vectors of records: one chain of all kinds, and what is wrong with some.

use super::build::{NOW, edit, key, me, payload, sign_text, vector, with};
use super::sheets::{asset, day_sheet};
use loa::domain::ids::{ChainId, Digest};
use loa::domain::proof::record::{
    Attestor, Body, ClockNote, ClockSource, Head, Play, Record, Said, Show, Subject,
};
use loa::domain::time::UtcMs;
use loa::wire::jws::Typ;
use loa::wire::{record, sheet, topic};
use serde_json::{Value, json};

fn head(seq: u64, prev: Option<&str>) -> Head {
    Head {
        v: 1,
        dev: me(),
        chain: ChainId([0xab; 16]),
        boot: 1,
        seq,
        prev: prev.map(record::digest),
        at_ms: UtcMs(NOW.0 + i64::try_from(seq).unwrap() * 1_000),
        mono_ms: i64::try_from(seq).unwrap() * 1_000,
        clock: ClockNote { src: ClockSource::Server, age_s: Some(60), err_ms: Some(25) },
        seen: None,
        attestor: Attestor::Device,
    }
}

fn bodies() -> Vec<Body> {
    let sheet = sheet::encode(&day_sheet()).1;
    let (asset, entry) = asset();
    let cues = day_sheet().cues;
    let at = cues[0].at_ms;
    let subject = || Subject::Cue { cue: cues[0].id };
    vec![
        Body::Boot { fw: "board.py 1".into(), reason: "power".into(), unclean: false },
        Body::Chain { why: "enrolled".into() },
        Body::Clock { old_ms: UtcMs(NOW.0 - 5_000), new_ms: NOW },
        Body::Beat { head: None, pending: 3, stored: 3 },
        Body::Start { subject: subject(), n: 1, started_ms: at.plus(4) },
        Body::Play(Play {
            subject: subject(),
            n: 1,
            sheet: Some(sheet),
            item: "an-toan/lua-dao".into(),
            asset: Some(asset),
            title: entry.title,
            lufs_cb: Some(entry.lufs_cb),
            gain_cb: Some(entry.gain_cb),
            due_ms: at,
            due_len_ms: 4_375,
            started_ms: Some(at.plus(4)),
            ended_ms: Some(at.plus(4_379)),
            played_ms: 4_375,
            outcome: Said::Played,
            cause: "end".into(),
            by: None,
            volume: 80,
            skew_ms: Some(4),
            grade: 3,
            method: "samples".into(),
            score_permille: None,
        }),
        Body::Show(Show {
            subject: Subject::Cue { cue: cues[1].id },
            n: 1,
            sheet: Some(sheet),
            item: "cong-xa/chao".into(),
            title: "Lời chào".into(),
            frame: Some(Digest::of(b"packed pixels")),
            from_ms: at,
            to_ms: at.plus(900_000),
            times: 75,
            shown_ms: 450_000,
            outcome: Said::Played,
            cause: "end".into(),
            grade: 3,
        }),
        Body::Did {
            jti: "c-0123456789abcdef".into(),
            what: "identify".into(),
            result: "done".into(),
        },
        Body::Refuse {
            topic: "loa/1/d/loa-thon-1/timetable".into(),
            reason: "signature".into(),
            n: 2,
            first: Digest::of(b"garbage"),
            from_ms: NOW,
        },
        Body::Lost { from: 1, to: 2, n: 2, hash: Digest::of(b"two records") },
        Body::SelfTest { method: "microphone".into(), score_permille: 985 },
        Body::Start { subject: Subject::Notice { jti: "n-1".into() }, n: 2, started_ms: at },
    ]
}

pub fn records() -> Value {
    let mut vectors = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    for (seq, body) in (1..).zip(bodies()) {
        let text = record::sign(
            &key("device"),
            &Record { head: head(seq, texts.last().map(String::as_str)), body },
        )
        .unwrap();
        let claims: Value = serde_json::from_str(&payload(&text)).unwrap();
        let name = format!("record-{seq}-{}", claims["kind"].as_str().unwrap());
        let vector = with(
            vector(&name, "accept", &text, "one chain, each names the one before"),
            "claims",
            claims,
        );
        vectors.push(with(
            with(vector, "sha256", record::digest(&text).to_string()),
            "content",
            "accept",
        ));
        texts.push(text);
    }
    let part = |record: usize, n: usize| texts[record].split('.').nth(n).unwrap();
    let swapped = [part(1, 0), part(2, 1), part(1, 2)].join(".");
    let claims = payload(&texts[1]);
    let changed = |name: &str, content: &str, from: &str, to: &str, why: &str| {
        let text = sign_text("device", Typ::Record, &edit(&claims, from, to));
        with(vector(name, "accept", &text, why), "content", content)
    };
    let refused = |name: &str, expect: &str, text: &str, why: &str| {
        with(vector(name, expect, text, why), "content", "none")
    };
    vectors.extend([
        changed(
            "unknown-kind",
            "unknown",
            r#""kind":"chain""#,
            r#""kind":"dance""#,
            "stored and counted: its head is readable",
        ),
        changed(
            "faulty-body",
            "member",
            r#""why":"enrolled""#,
            r#""why":7"#,
            "stored and counted with its fault",
        ),
        changed(
            "faulty-head",
            "member",
            r#""dev":"loa-thon-1""#,
            r#""dev":"LOA""#,
            "rightly signed, so kept",
        ),
        changed(
            "no-prev",
            "content",
            &format!(r#""prev":"{}""#, record::digest(&texts[0])),
            r#""prev":null"#,
            "only the first record of a chain has no `prev`",
        ),
        changed("seq-zero", "content", r#""seq":2"#, r#""seq":0"#, "numbers count from 1"),
        changed(
            "twice",
            "json",
            r#""kind":"chain""#,
            r#""kind":"chain","kind":"beat""#,
            "a member stands twice",
        ),
        changed("version-2", "unsupported", r#""v":1"#, r#""v":2"#, "another version of records"),
        refused("signature", "signature", &swapped, "the payload of another record"),
        refused(
            "other-device",
            "unknown-key",
            &sign_text("device-2", Typ::Record, &claims),
            "the key is not the device's",
        ),
        refused(
            "typ",
            "typ",
            &sign_text("device", Typ::Receipt, &claims),
            "a receipt is no record",
        ),
        refused(
            "long",
            "limit",
            &sign_text("device", Typ::Record, &edit(&claims, "enrolled", &"x".repeat(8_000))),
            "more than 8,192 bytes",
        ),
    ]);
    let (batch, taken) = record::batch(texts.iter().map(String::as_str));
    json!({
        "note": "Records by the key `device`. `expect` says whether the record is rightly signed and \
                 must be stored; `content` what can be read of it (`unknown`: an unknown kind).",
        "given": {"keys": [key("device").kid().to_string()]},
        "vectors": vectors,
        "batch": {"body": String::from_utf8(batch).unwrap(), "records": taken,
                  "topic": topic::Topics::default().of(&topic::Topic::Records(me()))},
    })
}
