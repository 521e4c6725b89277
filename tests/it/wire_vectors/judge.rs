//! Judges one vector with the library and returns the word for what came out.

use loa::device::vouched::{Vouched, Word};
use loa::domain::chunk::ChunkSize;
use loa::domain::ids::{ChainId, CueId, DeviceId, Digest, UnitId};
use loa::domain::proof::record::Body;
use loa::domain::time::UtcMs;
use loa::domain::timetable::sheet::{AssetEntry, SheetItem};
use loa::wire::chunk::Sums;
use loa::wire::doc::{
    self, Behind, Command, Document, Drill, Feed, Floor, Hold, Presence, Receipt, State,
    TimeAnswer, Timetable, Urgent, Withdrawal,
};
use loa::wire::enrol::{Answer, Code, Request, Secret};
use loa::wire::epoch::{Advance, KeySet, LogTrust};
use loa::wire::judge::{self as wire_judge, Stamp, Verdict};
use loa::wire::jws::{Kid, OneKey, Role};
use loa::wire::tlog::Policy;
use loa::wire::topic::{Topic, Topics};
use loa::wire::{Refusal, b64, json as wire_json, limits, record, sheet, topic};
use serde_json::{Value, json};

pub fn judge(file: &str, given: &Value, vector: &Value) -> String {
    let found = match file {
        "epochs.json" => epochs(given, vector),
        "documents.json" => document(given, vector),
        "notices.json" => notice(given, vector),
        "records.json" => one_record(vector),
        "sheets.json" => one_sheet(vector),
        "chunks.json" => one_chunk(given, vector),
        "enrolment.json" => enrolment(given, vector),
        "states.json" => State::decode(body(vector).as_bytes()).map(|_| "accept".to_owned()),
        "names.json" => return name(vector),
        "checkpoints.json" => checkpoint(given, vector),
        "json.json" => {
            wire_json::check(body(vector).as_bytes(), "bytes", 65_536).map(|_| "accept".to_owned())
        }
        other => panic!("no judge for `{other}`"),
    };
    found.unwrap_or_else(|refusal| refusal.reason().to_owned())
}

fn checkpoint(given: &Value, vector: &Value) -> Result<String, Refusal> {
    let policy = Policy::parse(text(given, "policy").as_bytes()).unwrap();
    let logs = of(given, vector, "before");
    let mut vouched = Vouched::restore(json!({ "logs": logs }).to_string().as_bytes());
    let receipt = Receipt {
        v: 1,
        aud: "loa-thon-1".parse().unwrap(),
        iat: 1,
        chain: ChainId([1; 16]),
        upto: 1,
        head: Some(Digest([0; 32])),
        logged: Some(1),
        checkpoint: Some(body(vector).to_owned()),
    };
    let word = vouched.judge(&LogTrust::By(Box::new(policy)), &receipt)?;
    Ok(match word {
        Word::Counts { fresh: true } => "accept",
        Word::Counts { fresh: false } => "same",
        Word::Nothing => "older",
    }
    .to_owned())
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().unwrap_or_else(|| panic!("`{member}` of {vector}"))
}

fn body(vector: &Value) -> &str {
    text(vector, "body")
}

fn of<'a>(given: &'a Value, vector: &'a Value, member: &str) -> &'a Value {
    vector.get(member).unwrap_or(&given[member])
}

fn pin(given: &Value, vector: &Value) -> Kid {
    of(given, vector, "pin").as_str().unwrap().parse().unwrap()
}

fn now(given: &Value, vector: &Value) -> Option<UtcMs> {
    of(given, vector, "now_ms").as_i64().map(UtcMs)
}

fn word(verdict: Verdict) -> Result<String, Refusal> {
    match verdict {
        Verdict::Accept => Ok("accept".to_owned()),
        Verdict::Same => Ok("same".to_owned()),
        Verdict::Refuse(refusal) => Err(refusal),
    }
}

fn epochs(given: &Value, vector: &Value) -> Result<String, Refusal> {
    let (pin, now) = (pin(given, vector), now(given, vector));
    if let Some(before) = vector.get("before") {
        let before = KeySet::verify(before.as_str().unwrap().as_bytes(), &pin)?;
        return Ok(match before.advance(body(vector).as_bytes(), &pin)? {
            Advance::Same => "same".to_owned(),
            Advance::Newer(set) => set.timely(now).map(|()| "accept".to_owned())?,
        });
    }
    let set = KeySet::verify(body(vector).as_bytes(), &pin)?;
    set.timely(now)?;
    if let Some(claims) = vector.get("claims").and_then(Value::as_array) {
        assert_eq!(set.epoch() as usize, claims.len());
    }
    Ok("accept".to_owned())
}

fn document(given: &Value, vector: &Value) -> Result<String, Refusal> {
    match text(vector, "typ") {
        "loa-timetable+jwt" => versioned::<Timetable>(given, vector),
        "loa-behind+jwt" => versioned::<Behind>(given, vector),
        "loa-floor+jwt" => versioned::<Floor>(given, vector),
        "loa-command+jwt" => {
            let seen = |jti: &str| {
                vector["seen"].as_array().into_iter().flatten().any(|known| known == jti)
            };
            let opened = open::<Command>(given, vector)?;
            opened.claims.judge(&me(given), now(given, vector), seen).map(|()| "accept".to_owned())
        }
        "loa-time+jwt" => {
            let opened = open::<TimeAnswer>(given, vector)?;
            opened.claims.judge(&me(given), text(vector, "nonce")).map(|()| "accept".to_owned())
        }
        "loa-feed+jwt" => {
            let Some(Topic::Feed(feed)) = Topics::default().parse(text(vector, "topic")) else {
                panic!("no topic of a feed: {vector}");
            };
            let last = stamp(vector);
            let opened = open::<Feed>(given, vector)?;
            word(Feed::judge(&opened, &me(given), &feed, last.as_ref(), now(given, vector)))
        }
        "loa-receipt+jwt" => unversioned::<Receipt>(given, vector),
        "loa-server+jwt" => unversioned::<Presence>(given, vector),
        other => panic!("no judge for `{other}`"),
    }
}

fn notice(given: &Value, vector: &Value) -> Result<String, Refusal> {
    let units: Vec<UnitId> = serde_json::from_value(given["units"].clone()).unwrap();
    let now = now(given, vector);
    match text(vector, "typ") {
        "loa-urgent+jwt" => open::<Urgent>(given, vector)?.claims.judge(&units, now)?,
        "loa-drill+jwt" => open::<Drill>(given, vector)?.claims.judge(&units, now)?,
        "loa-withdrawal+jwt" => open::<Withdrawal>(given, vector)?.claims.judge(now)?,
        "loa-hold+jwt" => {
            let Some(Topic::Hold(unit)) = Topics::default().parse(text(vector, "topic")) else {
                panic!("{vector}");
            };
            let opened = open::<Hold>(given, vector)?;
            let last = stamp(vector);
            return word(Hold::judge(&opened, &me(given), &unit, &units, last.as_ref(), now));
        }
        other => panic!("no judge for `{other}`"),
    }
    Ok("accept".to_owned())
}

fn stamp(vector: &Value) -> Option<Stamp> {
    vector.get("last").map(|last| Stamp {
        epoch: u32::try_from(last["epoch"].as_u64().unwrap()).unwrap(),
        ver: last["ver"].as_i64().unwrap(),
        digest: text(last, "sha256").parse().unwrap(),
    })
}

fn me(given: &Value) -> DeviceId {
    text(given, "me").parse().unwrap()
}

fn open<T: Document>(given: &Value, vector: &Value) -> Result<loa::wire::jws::Opened<T>, Refusal> {
    let keys = KeySet::verify(text(given, "keys").as_bytes(), &pin(given, vector)).unwrap();
    let opened = doc::open::<T>(body(vector).as_bytes(), &keys)?;
    if let Some(sha256) = vector.get("sha256") {
        assert_eq!(*sha256, opened.digest.to_string());
    }
    Ok(opened)
}

fn versioned<T: Document>(given: &Value, vector: &Value) -> Result<String, Refusal> {
    let opened = open::<T>(given, vector)?;
    let last = stamp(vector);
    word(wire_judge::judge(&opened, &me(given), last.as_ref(), now(given, vector)))
}

fn unversioned<T: Document>(given: &Value, vector: &Value) -> Result<String, Refusal> {
    let opened = open::<T>(given, vector)?;
    wire_judge::addressed(&opened.claims, &me(given))?;
    wire_judge::timely(&opened.claims, now(given, vector))?;
    Ok("accept".to_owned())
}

fn one_record(vector: &Value) -> Result<String, Refusal> {
    let keys = OneKey { key: super::build::key("device").public(), role: Role::Device };
    let signed = record::verify(body(vector), &keys)?;
    let content = match (&signed.head, &signed.body) {
        (Err(fault), _) | (_, Err(fault)) => fault.reason(),
        (_, Ok(Body::Unknown)) => "unknown",
        _ => "accept",
    };
    assert_eq!(vector["content"], content, "{}", vector["name"]);
    if let Some(sha256) = vector.get("sha256") {
        assert_eq!(*sha256, signed.digest.to_string());
    }
    Ok("accept".to_owned())
}

fn one_sheet(vector: &Value) -> Result<String, Refusal> {
    let name: Digest = text(vector, "sha256").parse().unwrap();
    let limit = vector.get("limit").and_then(Value::as_u64).unwrap_or(65_536);
    let sheet = sheet::open(body(vector).as_bytes(), &name, usize::try_from(limit).unwrap())?;
    let unknown: Vec<&String> = sheet
        .items
        .iter()
        .filter(|(_, item)| **item == SheetItem::Unknown)
        .map(|(key, _)| key)
        .collect();
    assert_eq!(vector["unsupported_items"], serde_json::json!(unknown), "{}", vector["name"]);
    Ok("accept".to_owned())
}

fn one_chunk(given: &Value, vector: &Value) -> Result<String, Refusal> {
    let asset: AssetEntry = serde_json::from_value(given["asset"].clone()).unwrap();
    let kib = u32::try_from(vector["kib"].as_u64().unwrap()).unwrap();
    let size = ChunkSize::from_kib(kib).unwrap();
    let bytes: Vec<u8> = (0..asset.bytes).map(|n| (7 * n + n / 256).to_le_bytes()[0]).collect();
    let sums = loa::wire::chunk::concat(&loa::wire::chunk::hashes(&bytes, size));
    if vector["kind"] == "sums" {
        let body = (0..body(vector).len() / 2)
            .map(|at| u8::from_str_radix(&body(vector)[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        Sums::verify(body, &asset, size)?;
    } else {
        let sums = Sums::verify(sums, &asset, size)?;
        let n = u32::try_from(vector["n"].as_u64().unwrap()).unwrap();
        let (from, len) = sums.place(n).unwrap();
        assert_eq!(vector["from"], from);
        let from = usize::try_from(from).unwrap();
        let piece = &bytes[from..from + len];
        assert_eq!(body(vector), Digest::of(piece).to_string());
        sums.check(n, piece)?;
    }
    Ok("accept".to_owned())
}

fn enrolment(given: &Value, vector: &Value) -> Result<String, Refusal> {
    match text(vector, "kind") {
        "code" => body(vector).parse::<Code>().map(|_| "accept".to_owned()),
        "request" => {
            let opened = Request::open(body(vector))?;
            let secret = Secret::from_text(text(given, "secret")).unwrap();
            assert_eq!(opened.claims.code, secret.code_id());
            Ok(if opened.claims.proves(&secret) { "accept" } else { "mac" }.to_owned())
        }
        "answer" => {
            let mut code: Code = text(given, "code").parse().unwrap();
            code.root = pin(given, vector);
            let enrolled = Answer::open(body(vector).as_bytes(), &code, text(given, "request"))?;
            assert_eq!(enrolled.welcome.id.as_str(), "loa-thon-1");
            Ok("accept".to_owned())
        }
        other => panic!("no judge for `{other}`"),
    }
}

fn name(vector: &Value) -> String {
    let accept = |right: bool| if right { "accept" } else { "none" }.to_owned();
    match text(vector, "kind") {
        "cue" => {
            let parts: Vec<&str> = body(vector).split('\n').collect();
            let id = CueId::derive(
                &parts[0].parse().unwrap(),
                &parts[1].parse().unwrap(),
                UtcMs(parts[2].parse().unwrap()),
                &parts[3].parse().unwrap(),
                parts[4].parse().unwrap(),
            );
            accept(vector["id"] == id.to_string())
        }
        "partition" => {
            let device: DeviceId = body(vector).parse().unwrap();
            accept(vector["p"] == topic::partition(&device).to_string())
        }
        "kid" => {
            let bytes = b64::decode_exact(body(vector)).unwrap();
            let key = loa::wire::jws::PublicKey::from_bytes(&bytes).unwrap();
            accept(vector["kid"] == key.kid().to_string())
        }
        "topic" => {
            assert!(body(vector).len() <= limits::TOPIC_BYTES);
            accept(Topics::default().parse(body(vector)).is_some())
        }
        other => panic!("no judge for `{other}`"),
    }
}
