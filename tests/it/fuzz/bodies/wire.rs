//! Documents, signatures, topics.

use ed25519_dalek::{Signer as _, SigningKey};
use loa::domain::chunk::ChunkSize;
use loa::domain::ids::{ChainId, CueId, DeviceId, Digest};
use loa::domain::proof::record::{
    Attestor, Body, ClockNote, ClockSource, Head, Play, Record, Said, Subject,
};
use loa::domain::time::UtcMs;
use loa::domain::timetable::sheet::{AssetEntry, SheetItem};
use loa::wire::chunk::Sums;
use loa::wire::doc::{self, Document, State};
use loa::wire::enrol::{Answer, Code, Request};
use loa::wire::epoch::{Advance, KeySet, KeysBody};
use loa::wire::jws::{self, Keys, Kid, OneKey, Role, SecretKey, Typ};
use loa::wire::topic::Topics;
use loa::wire::{Refusal, b64, limits, record as wire_record, sheet as wire_sheet};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The instant at which the golden vectors are judged.
const NOW: UtcMs = UtcMs(1_790_000_000_000);

/// A key of the golden vectors.
fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(&seed(name))
}

fn seed(name: &str) -> [u8; 32] {
    Digest::of(format!("loa test key, never use: {name}").as_bytes()).0
}

fn me() -> DeviceId {
    "loa-thon-1".parse().expect("an id")
}

/// The chain of the golden vectors, as its first corpus entry carries it.
static CHAIN: LazyLock<KeySet> = LazyLock::new(|| {
    let body = include_bytes!("../../../fuzz/corpus/keys/two-epochs");
    KeySet::verify(body, &pin()).expect("the golden chain")
});

fn pin() -> Kid {
    key("root").kid()
}

/// A refusal is told in words that are short, whatever the peer wrote.
fn told(refusal: &Refusal) {
    let text = refusal.to_string();
    assert!(!text.is_empty() && text.len() < 700, "{} bytes: {text}", text.len());
    assert!(!text.contains('\0') && !refusal.hint().is_empty(), "{text:?}");
    let word = refusal.reason();
    assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{word}");
}

/// Signs bytes that need not be JSON, as the role of the type would.
fn signed(typ: Typ, body: &[u8]) -> String {
    let name = match typ.role() {
        Role::Schedule => "schedule",
        Role::Urgent => "urgent",
        Role::Policy => "policy",
        Role::Time => "time",
        Role::Receipt => "receipt",
        Role::Root => "root",
        Role::Device => "device",
    };
    let kid = key(name).kid();
    let header = format!(r#"{{"alg":"EdDSA","typ":"{}","kid":"{kid}"}}"#, typ.as_str());
    let mut text = format!("{}.{}", b64::encode(header.as_bytes()), b64::encode(body));
    let signature = SigningKey::from_bytes(&seed(name)).sign(text.as_bytes()).to_bytes();
    text.push('.');
    text.push_str(&b64::encode(&signature));
    text
}

/// The chain for server roles, one key for a device's and the root's own.
struct Register;

impl Keys for Register {
    fn find(&self, kid: &Kid, role: Role) -> Result<jws::Found, Refusal> {
        match role {
            Role::Device => OneKey { key: key("device").public(), role }.find(kid, role),
            Role::Root => OneKey { key: key("root").public(), role }.find(kid, role),
            _ => CHAIN.find(kid, role),
        }
    }
}

/// Compact JWS as they come off the wire.
pub fn jws(bytes: &[u8]) {
    for typ in Typ::ALL {
        match jws::open_bytes::<serde_json::Value>(bytes, typ, typ.role(), &Register) {
            Ok(opened) => {
                assert_eq!(opened.digest, Digest::of(bytes), "named by its bytes");
                assert!(bytes.len() <= typ.max_bytes());
                let mut other = bytes.to_vec();
                let last = other.len() - 20;
                other[last] = if other[last] == b'A' { b'B' } else { b'A' };
                let forged =
                    jws::open_bytes::<serde_json::Value>(&other, typ, typ.role(), &Register);
                assert!(forged.is_err(), "one changed character is another signature");
            }
            Err(refusal) => told(&refusal),
        }
    }
}

/// The first byte names the type, the rest is what its right key signed.
pub fn claims(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    match first {
        b't' => reread::<doc::Timetable>(body),
        b'f' => reread::<doc::Floor>(body),
        b'c' => reread::<doc::Command>(body),
        b'n' => reread::<doc::TimeAnswer>(body),
        b'r' => reread::<doc::Receipt>(body),
        b'p' => reread::<doc::Presence>(body),
        b'u' => reread::<doc::Urgent>(body),
        b'd' => reread::<doc::Drill>(body),
        b'w' => reread::<doc::Withdrawal>(body),
        b'h' => reread::<doc::Hold>(body),
        _ => {}
    }
}

fn reread<T: Document + PartialEq + std::fmt::Debug>(body: &[u8]) {
    let text = signed(T::TYP, body);
    let opened = match doc::open::<T>(text.as_bytes(), &Register) {
        Ok(opened) => opened,
        Err(refusal) => return told(&refusal),
    };
    for now in [None, Some(NOW), Some(UtcMs(i64::MIN)), Some(UtcMs(i64::MAX))] {
        let _ = loa::wire::judge::judge(&opened, &me(), None, now);
    }
    let signer = match T::TYP.role() {
        Role::Schedule => key("schedule"),
        Role::Urgent => key("urgent"),
        Role::Policy => key("policy"),
        Role::Time => key("time"),
        _ => key("receipt"),
    };
    match doc::sign(&signer, &opened.claims) {
        Ok(again) => {
            let again = doc::open::<T>(again.as_bytes(), &Register).expect("written by us");
            assert_eq!(again.claims, opened.claims, "what is accepted is written and read alike");
        }
        // Our spelling may be longer than the peer's (an omitted member that has a usual value).
        Err(refusal) => assert_eq!(refusal.reason(), "limit", "{refusal}"),
    }
}

/// Bodies of `keys`.
pub fn keys(bytes: &[u8]) {
    match KeySet::verify(bytes, &pin()) {
        Ok(set) => sound_set(&set),
        Err(refusal) => told(&refusal),
    }
    match CHAIN.advance(bytes, &pin()) {
        Ok(Advance::Newer(set)) => assert!(set.epoch() > CHAIN.epoch()),
        Ok(Advance::Same) => {}
        Err(refusal) => told(&refusal),
    }
}

/// Lines, each the claims of an epoch that the root key signed.
pub fn epochs(bytes: &[u8]) {
    let mut prev: Option<Digest> = None;
    let mut chain = Vec::new();
    for line in bytes.split(|b| *b == b'\n').take(limits::EPOCHS + 1) {
        // `PREV` stands for the hash of the line before, which no mutation would ever guess.
        let text = String::from_utf8_lossy(line);
        let name = prev.map_or("null".to_owned(), |digest| format!("\"{digest}\""));
        let jws = signed(Typ::Keys, text.replace("\"PREV\"", &name).as_bytes());
        prev = Some(Digest::of(jws.as_bytes()));
        chain.push(jws);
    }
    match KeySet::verify(&KeysBody::new(chain).encode(), &pin()) {
        Ok(set) => sound_set(&set),
        Err(refusal) => told(&refusal),
    }
}

fn sound_set(set: &KeySet) {
    let body = set.body().encode();
    let again = KeySet::verify(&body, &pin()).expect("its own body");
    assert_eq!(again, *set);
    assert_eq!(set.advance(&body, &pin()), Ok(Advance::Same));
    for name in ["schedule", "urgent", "policy", "time", "receipt", "root", "schedule-1"] {
        let kid = key(name).kid();
        let roles: Vec<Role> =
            Role::NAMED.into_iter().filter(|role| set.find(&kid, *role).is_ok()).collect();
        assert!(roles.len() <= 1 || set.epoch() > 1, "{name} has {roles:?}");
        assert!(!set.is_revoked(&kid) || roles.is_empty(), "{name} is revoked");
    }
}

/// Day sheets.
pub fn sheet(bytes: &[u8]) {
    let sheet = match wire_sheet::decode(bytes, limits::SHEET_BYTES) {
        Ok(sheet) => sheet,
        Err(refusal) => return told(&refusal),
    };
    assert!(sheet.cues.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
    let (written, name) = wire_sheet::encode(&sheet);
    let whole = sheet.items.values().all(|item| *item != SheetItem::Unknown);
    if whole && written.len() <= limits::SHEET_BYTES {
        let again = wire_sheet::open(&written, &name, limits::SHEET_BYTES).expect("ours");
        assert_eq!(again, sheet);
    }
    for cue in sheet.cues.iter().take(8) {
        let title = match sheet.items.get(&cue.item) {
            Some(SheetItem::Clip { title, .. } | SheetItem::Pages { title, .. }) => title.clone(),
            _ => String::new(),
        };
        let plain = !cue.item.chars().chain(title.chars()).any(|c| c.is_control() || c == '\u{7f}');
        let record = play(cue.id, cue.item.clone(), title);
        let fits = wire_record::sign(&key("device"), &record);
        assert!(fits.is_ok() || !plain, "a play of `{}` fits into no batch: {fits:?}", cue.item);
    }
}

/// The longest record of a cue.
fn play(cue: CueId, item: String, title: String) -> Record {
    let some = Digest([0xaa; 32]);
    let clock = ClockNote { src: ClockSource::Server, age_s: Some(i64::MAX), err_ms: Some(1) };
    Record {
        head: Head {
            v: 1,
            dev: me(),
            chain: ChainId([1; 16]),
            boot: 9_999_999,
            seq: limits::INTEGER.unsigned_abs(),
            prev: Some(some),
            at_ms: UtcMs(limits::INTEGER),
            mono_ms: limits::INTEGER,
            clock,
            seen: None,
            attestor: Attestor::Device,
        },
        body: Body::Play(Play {
            subject: Subject::Cue { cue },
            n: 1,
            sheet: Some(some),
            item,
            asset: Some(some),
            title,
            lufs_cb: Some(limits::INTEGER),
            gain_cb: Some(limits::INTEGER),
            due_ms: UtcMs(limits::INTEGER),
            due_len_ms: limits::INTEGER,
            started_ms: Some(UtcMs(limits::INTEGER)),
            ended_ms: Some(UtcMs(limits::INTEGER)),
            played_ms: limits::INTEGER,
            outcome: Said::PreEmpted,
            cause: "pre-empted".to_owned(),
            by: Some("0123456789abcdef".repeat(8)),
            volume: 100,
            skew_ms: Some(limits::INTEGER),
            grade: 6,
            method: "samples-counted".to_owned(),
            score_permille: Some(1_000),
        }),
    }
}

/// Batches of records.
pub fn batch(bytes: &[u8]) {
    let lines = match wire_record::lines(bytes) {
        Ok(lines) => lines,
        Err(refusal) => return told(&refusal),
    };
    assert!(!lines.is_empty() && lines.len() <= limits::BATCH_RECORDS);
    let joined = lines.join("\n");
    assert_eq!(joined.as_bytes(), bytes.strip_suffix(b"\n").unwrap_or(bytes), "nothing is lost");
    for line in lines {
        match wire_record::verify(line, &Register) {
            Ok(record) => assert_eq!(record.text, line, "kept as received"),
            Err(refusal) => told(&refusal),
        }
    }
}

/// What a device's key rightly signed: always worth storing.
pub fn record(bytes: &[u8]) {
    let text = signed(Typ::Record, bytes);
    let kept = match wire_record::verify(&text, &Register) {
        Ok(kept) => kept,
        Err(refusal) => {
            assert_eq!(refusal.reason(), "limit", "rightly signed, yet not kept: {refusal}");
            return;
        }
    };
    match (&kept.head, &kept.body) {
        (Ok(head), Ok(body)) => {
            assert!(head.seq > 0 && head.boot > 0);
            if *body != Body::Unknown {
                let record = Record { head: head.clone(), body: body.clone() };
                if let Ok(again) = wire_record::sign(&key("device"), &record) {
                    let again = wire_record::open(&again, &Register).expect("written by us");
                    assert_eq!(again.claims, record);
                }
            }
        }
        (Err(refusal), _) | (_, Err(refusal)) => told(refusal),
    }
}

/// States of devices.
pub fn state(bytes: &[u8]) {
    match State::decode(bytes) {
        Ok(state) => assert_eq!(State::decode(&state.encode()), Ok(state), "written alike"),
        Err(refusal) => told(&refusal),
    }
}

/// Enrolment codes as people paste them.
pub fn code(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Code>() {
        Ok(code) => {
            assert_eq!(code.text().parse(), Ok(code.clone()));
            assert_eq!(code.url_form().parse(), Ok(code));
        }
        Err(refusal) => told(&refusal),
    }
}

/// Requests of devices that nobody knows yet: raw, and rightly signed.
pub fn enrol_request(bytes: &[u8]) {
    let text = signed(Typ::EnrolRequest, bytes);
    for text in [String::from_utf8_lossy(bytes).as_ref(), &text] {
        match Request::open(text) {
            Ok(opened) => {
                assert_eq!(opened.claims.key.kid(), opened.kid, "signed by the key it names");
                assert!(!opened.claims.proves(&loa::wire::enrol::Secret::new([0; 16])));
            }
            Err(refusal) => told(&refusal),
        }
    }
}

/// What a device hears at enrolment: raw, and with a body that the right key signed.
pub fn enrol_answer(bytes: &[u8]) {
    let code = include_str!("../../../fuzz/corpus/code/plain").parse::<Code>().expect("golden");
    let request = Request::sign(&key("device"), &code.secret, &[7; 16], "");
    let digest = Digest::of(request.as_bytes()).to_string();
    let welcome = String::from_utf8_lossy(bytes).replace("REQUEST", &digest);
    let floor = loa::wire::doc::Floor::first(me(), 1, NOW.numeric_date(), 420);
    let answer = Answer {
        v: 1,
        keys: CHAIN.body(),
        floor: doc::sign(&key("policy"), &floor).expect("a floor"),
        body: signed(Typ::EnrolAnswer, welcome.as_bytes()),
    };
    for bytes in [bytes, &answer.encode()] {
        match Answer::open(bytes, &code, &request) {
            Ok(enrolled) => {
                assert_eq!(enrolled.welcome.request.to_string(), digest, "it answers this request");
                assert_eq!(enrolled.floor.claims.aud, enrolled.welcome.id);
                assert!(enrolled.welcome.units.len() <= limits::UNITS);
                let shown = format!("{:?}", enrolled.welcome);
                let secret = &enrolled.welcome.password;
                assert!(secret.len() < 12 || !shown.contains(secret.as_str()));
            }
            Err(refusal) => told(&refusal),
        }
    }
}

/// Topics and prefixes.
pub fn topic(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (prefix, text) = text.split_once('\n').unwrap_or(("loa/1", &text));
    match Topics::new(prefix) {
        Ok(topics) => {
            assert_eq!(topics.prefix(), prefix);
            if let Some(topic) = topics.parse(text) {
                assert_eq!(topics.of(&topic), text, "one spelling");
                assert!(!text.contains(['+', '#', '\0', ' ']) && text.len() <= limits::TOPIC_BYTES);
            }
        }
        Err(error) => assert!(error.to_string().len() < 700 && !error.hint().is_empty()),
    }
}

/// Chunk hashes, against a sheet that vouches for them.
pub fn sums(bytes: &[u8]) {
    let Some((count, body)) = bytes.split_first() else { return };
    let asset = AssetEntry {
        bytes: u64::from(*count) * 16_384 + 1,
        media_type: "audio/mpeg".to_owned(),
        ms: 1,
        gain_cb: 0,
        lufs_cb: 0,
        sums: BTreeMap::from([("16".to_owned(), Digest::of(body))]),
        title: String::new(),
    };
    match Sums::verify(body.to_vec(), &asset, ChunkSize::Kib16) {
        Ok(sums) => {
            assert_eq!(sums.count(), u32::from(*count) + 1);
            let (from, len) = sums.place(u32::from(*count)).expect("the last");
            assert_eq!((from, len), (u64::from(*count) * 16_384, 1));
            assert!(sums.check(0, body).is_err() || Digest::of(body).0 == body[..32]);
        }
        Err(refusal) => told(&refusal),
    }
}
