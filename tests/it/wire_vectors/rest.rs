//! Vectors of records, sheets, chunks, enrolment, states, names and JSON texts.

use super::build::{
    DAY, NOW, NOW_S, edit, first, key, me, payload, second, sign_text, vector, with,
};
use loa::domain::chunk::{self, AssetHasher, ChunkSize};
use loa::domain::ids::{ChainId, CueId, DeviceId, Digest};
use loa::domain::playlist::{Align, Effect, Page, Priority};
use loa::domain::proof::record::{
    Attestor, Body, ClockNote, ClockSource, Head, Play, Record, Said, Show, Subject,
};
use loa::domain::time::{Span, UtcMs};
use loa::domain::timetable::sheet::{AssetEntry, Cue, DaySheet, SheetItem};
use loa::wire::b64;
use loa::wire::doc::{self, Floor, State, StateKind};
use loa::wire::enrol::{Answer, Code, Request, Secret, Welcome};
use loa::wire::epoch::KeysBody;
use loa::wire::jws::Typ;
use loa::wire::{record, sheet, topic};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn clip() -> Vec<u8> {
    (0..70_000_u32).map(|n| (n * 7 + n / 256).to_le_bytes()[0]).collect()
}

fn asset() -> (Digest, AssetEntry) {
    let mut hasher = AssetHasher::new(&[ChunkSize::Kib16, ChunkSize::Kib64]);
    hasher.update(&clip());
    let name = hasher.finish();
    let entry = AssetEntry {
        bytes: name.bytes,
        media_type: "audio/mpeg".to_owned(),
        ms: 4_375,
        gain_cb: -12,
        lufs_cb: -148,
        sums: name.sums,
        title: "Cảnh giác lừa đảo trên mạng".to_owned(),
    };
    (name.sha256, entry)
}

fn cue(item: &str, at: i64, ms: i64, k: u32) -> Cue {
    let (playlist, item_id) = item.split_once('/').unwrap();
    let at_ms = UtcMs(DAY + at);
    Cue {
        id: CueId::derive(
            &playlist.parse().unwrap(),
            &"sang".parse().unwrap(),
            UtcMs(DAY + 5 * 3_600_000),
            &item_id.parse().unwrap(),
            k,
        ),
        at_ms,
        end_ms: at_ms.plus(ms),
        priority: Priority::Routine,
        item: item.to_owned(),
        volume: 80,
        fade_ms: 1_500,
        line: Some("III.2".to_owned()),
        approval: None,
    }
}

fn day_sheet() -> DaySheet {
    const FIVE: i64 = 5 * 3_600_000;
    let (sha256, entry) = asset();
    let page = |text: &str| Page {
        text: text.to_owned(),
        align: Align::Centre,
        effect: Effect::Still,
        dwell_ms: 6_000,
        colour: Some("red".to_owned()),
        font: None,
    };
    let text = |title: &str, text: &str| SheetItem::Pages {
        title: title.to_owned(),
        pages: vec![page(text)],
    };
    DaySheet {
        v: 1,
        from_ms: UtcMs(DAY),
        to_ms: UtcMs(DAY + 86_400_000),
        sound: vec![
            Span::new(UtcMs(DAY + FIVE), UtcMs(DAY + 6 * 3_600_000)).unwrap(),
            Span::new(UtcMs(DAY + 17 * 3_600_000), UtcMs(DAY + 18 * 3_600_000)).unwrap(),
        ],
        assets: BTreeMap::from([(sha256, entry)]),
        items: BTreeMap::from([
            (
                "an-toan/lua-dao".to_owned(),
                SheetItem::Clip {
                    title: "Cảnh giác lừa đảo trên mạng".to_owned(),
                    asset: sha256,
                    fallback: None,
                },
            ),
            ("cong-xa/chao".to_owned(), text("Lời chào", "UBND xã Tân Lập\nkính chào quý khách")),
            ("cong-xa/otp".to_owned(), text("Mã OTP", "Không đưa mã OTP cho bất kỳ ai")),
        ]),
        cues: vec![
            cue("an-toan/lua-dao", FIVE, 4_375, 0),
            cue("cong-xa/chao", FIVE, 3_600_000, 0),
            cue("cong-xa/otp", FIVE, 3_600_000, 0),
            cue("an-toan/lua-dao", FIVE + 4_375, 4_375, 1),
        ],
    }
}

pub fn sheets() -> Value {
    let (bytes, digest) = sheet::encode(&day_sheet());
    let text = String::from_utf8(bytes).unwrap();
    let good = with(
        vector("sheet", "accept", &text, "a morning: two plays of a clip, a rotation of two texts"),
        "sha256",
        digest.to_string(),
    );
    let changed = |name: &str, expect: &str, from: &str, to: &str, why: &str| {
        let text = edit(&text, from, to);
        let sha256 = Digest::of(text.as_bytes()).to_string();
        with(vector(name, expect, &text, why), "sha256", sha256)
    };
    let unknown = |name: &str, from: &str, to: &str, items: &[&str], why: &str| {
        with(changed(name, "accept", from, to, why), "unsupported_items", items)
    };
    let at = |ms: i64| format!(r#""at_ms":{}"#, DAY + ms);
    let five = 5 * 3_600_000;
    let (sha256, _) = asset();
    let vectors = vec![
        with(good.clone(), "unsupported_items", json!([])),
        with(with(good.clone(), "name", "other-name"), "sha256", Digest::of(b"other").to_string()),
        with(with(good.clone(), "name", "one-byte-more"), "body", format!("{text} ")),
        with(with(good, "name", "small-device"), "limit", 1_000),
        unknown(
            "unknown-kind",
            r#"{"kind":"clip""#,
            r#"{"kind":"stream","url":"x""#,
            &["an-toan/lua-dao"],
            "its cues fail as `unsupported`, the others are shown",
        ),
        unknown(
            "unknown-effect",
            r#""effect":"still""#,
            r#""effect":"explode""#,
            &["cong-xa/chao"],
            "a page this version cannot show",
        ),
        unknown(
            "frames",
            r#""text":"Không đưa mã OTP cho bất kỳ ai","align":"centre","effect":"still""#,
            r#""frames":"x""#,
            &["cong-xa/otp"],
            "a page of unknown kind",
        ),
        unknown(
            "short-asset-name",
            &format!(r#""asset":"{sha256}""#),
            r#""asset":"00""#,
            &["an-toan/lua-dao"],
            "an item that cannot be read",
        ),
        unknown(
            "unknown-member",
            r#""v":1"#,
            r#""v":1,"mood":1"#,
            &[],
            "unknown members are ignored",
        ),
        changed("version-2", "unsupported", r#""v":1"#, r#""v":2"#, "another version of the sheet"),
        changed("twice", "json", r#""v":1"#, r#""v":1,"v":1"#, "a member stands twice"),
        changed("fraction", "json", r#""volume":80"#, r#""volume":80.5"#, "numbers are whole"),
        changed("volume-101", "content", r#""volume":80"#, r#""volume":101"#, "a volume above 100"),
        changed(
            "no-such-item",
            "content",
            r#""item":"an-toan/lua-dao""#,
            r#""item":"an-toan/khac""#,
            "a cue names an item that is not there",
        ),
        changed(
            "not-described",
            "content",
            &format!(r#""assets":{{"{sha256}""#),
            &format!(r#""assets":{{"{}""#, "0".repeat(64)),
            "an asset that the sheet does not describe",
        ),
        changed("not-sorted", "content", &at(five), &at(five + 1), "cues are sorted"),
        changed("overlap", "content", &at(five + 4_375), &at(five + 4_374), "two clips at a time"),
        changed(
            "outside-the-day",
            "content",
            &format!(r#""to_ms":{},"sound""#, DAY + 86_400_000),
            &format!(r#""to_ms":{},"sound""#, DAY + five),
            "a cue stands in the sheet in which it starts",
        ),
        changed(
            "sound-empty",
            "member",
            &format!(r#""to_ms":{}"#, DAY + 6 * 3_600_000),
            &format!(r#""to_ms":{}"#, DAY + five),
            "a span without length",
        ),
        changed("short-id", "member", &day_sheet().cues[0].id.to_string(), "00", "32 digits"),
        with(
            vector("long", "limit", &" ".repeat(65_537), "more than 65,536 bytes"),
            "sha256",
            Digest::of(" ".repeat(65_537).as_bytes()).to_string(),
        ),
        with(
            vector("empty", "empty", "", "an empty body never changes anything"),
            "sha256",
            Digest::of(b"").to_string(),
        ),
    ];
    let expects = [("other-name", "hash"), ("one-byte-more", "hash"), ("small-device", "limit")];
    let vectors: Vec<Value> = vectors
        .into_iter()
        .map(|v| match expects.iter().find(|(name, _)| v["name"] == *name) {
            Some((_, expect)) => with(v, "expect", *expect),
            None => v,
        })
        .collect();
    json!({
        "note": "Day sheets as they arrive; `sha256` is the name by which the timetable asked. \
                 `limit` is what the device's profile states, 65,536 when absent.",
        "given": {},
        "vectors": vectors,
    })
}

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
        );
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

pub fn chunks() -> Value {
    let (sha256, entry) = asset();
    let mut vectors = Vec::new();
    for size in [ChunkSize::Kib64, ChunkSize::Kib16] {
        let kib = size.kib();
        let sums = chunk::concat(&chunk::hashes(&clip(), size));
        let mut name = |name: &str, expect: &str, sums: &[u8], why: &str| {
            vectors.push(with(
                with(vector(&format!("sums-{kib}-{name}"), expect, &hex(sums), why), "kib", kib),
                "kind",
                "sums",
            ));
        };
        name("good", "accept", &sums, "the hashes of all chunks");
        name("short", "hash", &sums[32..], "one hash is missing");
        name("empty", "empty", b"", "an empty body never changes anything");
        let mut swapped = sums.clone();
        swapped.rotate_left(32);
        name("swapped", "hash", &swapped, "another order");
        for (n, piece) in clip().chunks(size.bytes()).enumerate() {
            let mut chunk = |name: String, expect: &str, piece: &[u8], why: &str| {
                let vector = vector(&name, expect, &Digest::of(piece).to_string(), why);
                let vector = with(with(vector, "kib", kib), "kind", "chunk");
                vectors.push(with(with(vector, "n", n), "from", n * size.bytes()));
            };
            chunk(
                format!("chunk-{kib}-{n}"),
                "accept",
                piece,
                "`body` is the SHA-256 of the piece",
            );
        }
    }
    json!({
        "note": "An asset of 70,000 bytes; byte n is (7 n + floor(n / 256)) mod 256. \
                 Bodies of `sums` are in hexadecimal; of chunks only the SHA-256 is shown.",
        "given": {"sha256": sha256.to_string(), "asset": serde_json::to_value(&entry).unwrap()},
        "vectors": vectors,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|part| {
            let mut full = [0; 32];
            full[..part.len()].copy_from_slice(part);
            Digest(full).to_string()[..part.len() * 2].to_owned()
        })
        .collect()
}

pub fn enrolment() -> Value {
    let code = Code {
        url: "https://loa.example:8443".to_owned(),
        secret: Secret::new([0x5a; 16]),
        root: key("root").kid(),
        ca: Some(Digest::of(b"certificate")),
        exp: NOW_S + 86_400,
    };
    let request = Request::sign(&key("device"), &code.secret, &[0x11; 16], "board.py 1");
    let welcome = Welcome {
        v: 1,
        iss: "Đài truyền thanh xã Tân Lập".to_owned(),
        iat: NOW_S,
        request: Digest::of(request.as_bytes()),
        id: me(),
        broker: "mqtts://loa.example:8883".to_owned(),
        ca: None,
        prefix: "loa/1".to_owned(),
        user: "loa-thon-1".to_owned(),
        password: b64::encode(&[0x22; 16]),
        units: ["00070-thon1", "00070", "19"].map(|u| u.parse().unwrap()).to_vec(),
        http: Some("https://loa.example:8443".to_owned()),
    };
    let floor = |id: &str| {
        let floor = Floor::first(DeviceId::new(id).unwrap(), NOW.0, NOW_S, 420);
        doc::sign(&key("policy"), &floor).unwrap()
    };
    let answer = |signer: &str, floor: String, welcome: &Welcome| {
        let keys = KeysBody::new(vec![first(), second()]);
        String::from_utf8(Answer::new(&key(signer), keys, floor, welcome).encode()).unwrap()
    };
    let good = answer("policy", floor("loa-thon-1"), &welcome);
    let other = Welcome { request: Digest::of(b"another request"), ..welcome.clone() };
    let text = code.text().to_string();
    let kind = |kind: &str, vector: Value| with(vector, "kind", kind);
    let asked = |name: &str, expect: &str, body: &str, why: &str| {
        kind("request", vector(name, expect, body, why))
    };
    let got = |name: &str, expect: &str, body: &str, why: &str| {
        kind("answer", vector(name, expect, body, why))
    };
    let typed = |name: &str, expect: &str, body: &str, why: &str| {
        kind("code", vector(name, expect, body, why))
    };
    let claims: Value = serde_json::from_str(&payload(&request)).unwrap();
    let mac = claims["mac"].as_str().unwrap().to_owned();
    let wrong_mac = edit(&payload(&request), &mac, &b64::encode(&[0; 32]));
    let vectors = vec![
        with(
            typed("code-text", "accept", &text, "the text form"),
            "claims",
            serde_json::from_slice::<Value>(&b64::decode(&text[5..]).unwrap()).unwrap(),
        ),
        typed("code-url", "accept", code.url_form().as_str(), "the URL form, for QR"),
        typed("code-cut", "code", &text[..text.len() - 1], "a part is missing"),
        typed("code-other", "code", &edit(&text, "loa1.", "loa2."), "another kind of code"),
        typed(
            "code-behind-other-url",
            "code",
            &format!("https://evil.example/enrol#{text}"),
            "the URL must be the one inside",
        ),
        with(
            asked("request", "accept", &request, "by the device's key, with proof of the secret"),
            "claims",
            claims,
        ),
        asked(
            "request-wrong-secret",
            "mac",
            &sign_text("device", Typ::EnrolRequest, &wrong_mac),
            "the proof does not fit",
        ),
        asked(
            "request-other-key",
            "unknown-key",
            &sign_text("device-2", Typ::EnrolRequest, &payload(&request)),
            "not signed by the key it names",
        ),
        with(
            got("answer", "accept", &good, "who you are and where to connect"),
            "claims",
            json!({
                "body": serde_json::to_value(&welcome).unwrap(),
            }),
        ),
        got(
            "answer-to-another",
            "nonce",
            &answer("policy", floor("loa-thon-1"), &other),
            "it answers another request",
        ),
        got(
            "answer-wrong-role",
            "role",
            &answer("schedule", floor("loa-thon-1"), &welcome),
            "only a policy key enrols",
        ),
        got(
            "answer-wrong-floor",
            "aud",
            &answer("policy", floor("loa-thon-2"), &welcome),
            "the floor is another device's",
        ),
        with(
            got("answer-other-root", "root", &good, "the code pins another root"),
            "pin",
            key("stranger").kid().to_string(),
        ),
        got("answer-empty", "empty", "", "nothing"),
    ];
    json!({
        "note": "One enrolment. HMAC-SHA256 by the 16 bytes of `secret` over `loa-enrol-1`, a newline, \
                 `kid`, a newline, `nonce`; `code` is the first 32 hexadecimal digits of SHA-256 over \
                 `loa-enrol-id-1`, a newline and the 16 bytes.",
        "given": {"secret": b64::encode(&[0x5a; 16]), "pin": key("root").kid().to_string(),
                  "request": request, "code": text, "now_ms": NOW.0},
        "vectors": vectors,
    })
}

pub fn states() -> Value {
    let bare = String::from_utf8(State::bare(StateKind::Lost, 7).encode()).unwrap();
    let full = format!(
        r#"{{"v":1,"state":"ready","conn":7,"nonce":"AAECAwQFBgcICQoLDA0ODw","chain":"{}","head":"{}","seq":13,"upto":12,"ver":{{"keys":2,"timetable":{now},"following":{now},"floor":{now}}},"held":["{asset}"],"want":[{{"kind":"sheet","sha256":"{asset}"}},{{"kind":"asset","sha256":"{asset}","kib":64}}],"storage":{{"total":1000000,"free":900000,"pending":1,"stored":13}},"clock":{{"src":"server","age_s":60,"err_ms":25}},"fw":"board.py 1"}}"#,
        ChainId([0xab; 16]),
        Digest::of(b"record 13"),
        now = NOW.0,
        asset = asset().0,
    );
    json!({
        "note": "States a device publishes: plain JSON.",
        "given": {},
        "vectors": [
            vector("will", "accept", &bare, "a last will carries no more"),
            vector("ready", "accept", &full, "everything a device may say"),
            vector("unknown-member", "accept", &edit(&bare, r#""v":1"#, r#""v":1,"mood":"good""#), "unknown members are ignored"),
            vector("version-2", "unsupported", &edit(&bare, r#""v":1"#, r#""v":2"#), "another version"),
            vector("unknown-state", "member", &edit(&bare, "lost", "happy"), "five states"),
            vector("no-counter", "member", &edit(&bare, r#","conn":7"#, ""), "the connection counter is missing"),
            vector("twice", "json", &edit(&bare, r#""v":1"#, r#""v":1,"v":1"#), "a member stands twice"),
            vector("long", "limit", &" ".repeat(16_385), "more than 16,384 bytes"),
            vector("empty", "empty", "", "an empty body never changes anything"),
        ],
    })
}

pub fn names() -> Value {
    let mut vectors = Vec::new();
    for (slot, nominal, item, k) in [
        ("sang", 1_790_028_000_000_i64, "lua-dao", 0_u32),
        ("sang", 1_790_028_000_000, "lua-dao", 1),
        ("chieu", 1_790_071_200_000, "lua-dao", 0),
    ] {
        let id = CueId::derive(
            &"an-toan".parse().unwrap(),
            &slot.parse().unwrap(),
            UtcMs(nominal),
            &item.parse().unwrap(),
            k,
        );
        let body = format!("an-toan\n{slot}\n{nominal}\n{item}\n{k}");
        let name = format!("cue-{slot}-{k}");
        vectors.push(with(
            with(vector(&name, "accept", &body, "first 128 bits of SHA-256"), "kind", "cue"),
            "id",
            id.to_string(),
        ));
    }
    for device in ["loa-thon-1", "loa-thon-2", "bang-cong-xa", "abc"] {
        let id = DeviceId::new(device).unwrap();
        let p = topic::partition(&id).to_string();
        vectors.push(with(
            with(
                vector(&format!("partition-{device}"), "accept", device, "first digit of SHA-256"),
                "kind",
                "partition",
            ),
            "p",
            p,
        ));
    }
    for name in ["root", "device"] {
        let x = b64::encode(&key(name).public().to_bytes());
        vectors.push(with(
            with(
                vector(&format!("kid-{name}"), "accept", &x, "RFC 7638 thumbprint"),
                "kind",
                "kid",
            ),
            "kid",
            key(name).kid().to_string(),
        ));
    }
    let sha = Digest::of(b"x");
    for (n, text) in [
        "loa/1/keys".to_owned(),
        "loa/1/server".to_owned(),
        "loa/1/epoch".to_owned(),
        "loa/1/d/loa-thon-1/timetable".to_owned(),
        "loa/1/d/loa-thon-1/state".to_owned(),
        format!("loa/1/s/{sha}"),
        format!("loa/1/a/{sha}/64/0"),
        format!("loa/1/a/{sha}/16/4095"),
        format!("loa/1/a/{sha}/64/sums"),
        "loa/1/u/00070-thon1/urgent/n-1".to_owned(),
        "loa/1/u/00070/hold".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        vectors.push(with(
            vector(&format!("topic-{n}"), "accept", text, "a topic of the contract"),
            "kind",
            "topic",
        ));
    }
    for (n, text) in [
        "loa/1/keys/".to_owned(),
        "loa/1/d/+/state".to_owned(),
        "loa/1/d/LOA/state".to_owned(),
        format!("loa/1/a/{sha}/32/0"),
        format!("loa/1/a/{sha}/64/00"),
        format!("loa/1/a/{sha}/64/4096"),
        "loa/2/keys".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        vectors.push(with(
            vector(&format!("no-topic-{n}"), "none", text, "not of the contract"),
            "kind",
            "topic",
        ));
    }
    json!({
        "note": "Names that are derived: cue ids, partitions, key thumbprints; and the topics.",
        "given": {},
        "vectors": vectors,
    })
}

pub fn json_texts() -> Value {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let vectors: Vec<Value> = [
        ("object", "accept", r#"{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}"#.to_owned()),
        ("largest", "accept", "9007199254740991".to_owned()),
        ("smallest", "accept", "-9007199254740991".to_owned()),
        ("escape", "accept", r#""\u1ea1""#.to_owned()),
        ("nested-16", "accept", nested(16)),
        ("nested-17", "json", nested(17)),
        ("twice", "json", r#"{"a":1,"a":1}"#.to_owned()),
        ("twice-escaped", "json", r#"{"a":1,"\u0061":2}"#.to_owned()),
        ("twice-deep", "json", r#"{"b":[{"x":{"a":1,"a":2}}]}"#.to_owned()),
        ("too-large", "json", "9007199254740992".to_owned()),
        ("too-small", "json", "-9007199254740992".to_owned()),
        ("fraction", "json", "1.0".to_owned()),
        ("exponent", "json", "1e3".to_owned()),
        ("minus-zero", "json", "-0".to_owned()),
        ("leading-zero", "json", "01".to_owned()),
        ("nan", "json", "NaN".to_owned()),
        ("byte-order-mark", "json", "\u{feff}{}".to_owned()),
        ("two-values", "json", "{} {}".to_owned()),
        ("comma", "json", r#"{"a":1,}"#.to_owned()),
        ("half-a-pair", "json", r#""\ud800""#.to_owned()),
        ("control", "json", "\"\t\"".to_owned()),
        ("empty", "empty", String::new()),
    ]
    .into_iter()
    .map(|(name, expect, text)| vector(name, expect, &text, ""))
    .collect();
    json!({
        "note": "Texts for the strict JSON reader that every document passes first.",
        "given": {},
        "vectors": vectors,
    })
}
