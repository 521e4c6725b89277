//! Vectors of the documents a server signs for a device.

use super::build::{
    DAY, NOW, NOW_S, body, edit, first, forge, header, key, me, payload, second, sign_text, vector,
    with,
};
use loa::domain::ids::{ChainId, DeviceId, Digest};
use loa::domain::time::UtcMs;
use loa::wire::doc::{
    self, Behind, Command, DayEntry, Do, Document, Feed, Floor, Group, Presence, Receipt,
    ServerState, TimeAnswer, Timetable,
};
use loa::wire::jws::{self, Typ};
use loa::wire::topic::{Topic, Topics};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;
const NONCE: &str = "AAECAwQFBgcICQoLDA0ODw";

fn day(n: i64) -> DayEntry {
    DayEntry {
        from_ms: UtcMs(DAY + n * DAY_MS),
        to_ms: UtcMs(DAY + (n + 1) * DAY_MS),
        sheet: Digest::of(format!("day {n}").as_bytes()),
    }
}

fn timetable() -> Timetable {
    Timetable {
        v: 1,
        iss: "Đài truyền thanh xã Tân Lập".to_owned(),
        aud: me(),
        iat: NOW_S,
        exp: day(15).to_ms.0 / 1_000,
        ver: NOW.0,
        units: ["00070-thon1", "00070", "19"].map(|u| u.parse().unwrap()).to_vec(),
        volume_cap: 90,
        trim_ms: 0,
        fetch_spread_s: 60,
        days: (0..16).map(day).collect(),
        standby: BTreeMap::new(),
        idle: None,
        local: Vec::new(),
    }
}

fn command(act: Do) -> Command {
    Command {
        v: 1,
        iss: "Đài truyền thanh xã Tân Lập".to_owned(),
        aud: me(),
        iat: NOW_S,
        exp: NOW_S + 300,
        jti: "c-0123456789abcdef".to_owned(),
        act,
    }
}

fn receipt() -> Receipt {
    Receipt {
        v: 1,
        aud: me(),
        iat: NOW_S,
        chain: ChainId([0xab; 16]),
        upto: 13,
        head: Some(Digest::of(b"record 13")),
        logged: None,
        checkpoint: None,
    }
}

fn presence(state: ServerState) -> Presence {
    Presence {
        v: 1,
        iss: "Đài truyền thanh xã Tân Lập".to_owned(),
        iat: NOW_S,
        state,
        conn: "b5f0c6a1".to_owned(),
        build: "loa 0.1.0".to_owned(),
        checkpoint: None,
    }
}

fn time() -> TimeAnswer {
    TimeAnswer { v: 1, aud: me(), iat: NOW_S, nonce: NONCE.to_owned(), now_ms: UtcMs(NOW.0 + 250) }
}

fn feed() -> Feed {
    Feed {
        v: 1,
        iss: "Đài truyền thanh xã Tân Lập".to_owned(),
        feed: "muc-nuoc".parse().unwrap(),
        iat: NOW_S,
        ver: NOW.0,
        value: "312 cm".to_owned(),
        at_ms: UtcMs(NOW.0 - 60_000),
        stale_after_s: 1_800,
    }
}

fn signer(typ: Typ) -> &'static str {
    match typ {
        Typ::Timetable | Typ::Command | Typ::Feed => "schedule",
        Typ::Time => "time",
        Typ::Receipt | Typ::Server => "receipt",
        _ => "policy",
    }
}

fn sign<T: Document>(doc: &T) -> String {
    doc::sign(&key(signer(T::TYP)), doc).unwrap()
}

/// Signs what `doc::sign` would not.
fn sign_any<T: Document>(doc: &T) -> String {
    jws::sign(&key(signer(T::TYP)), T::TYP, doc)
}

fn stated<T: Document>(name: &str, expect: &str, body: &str, why: &str) -> Value {
    let topic = match T::TYP {
        Typ::Timetable => Topic::Timetable(me()),
        Typ::Floor => Topic::Floor(me()),
        Typ::Behind => Topic::Behind(me()),
        Typ::Command => Topic::Command(me()),
        Typ::Time => Topic::Time(me()),
        Typ::Receipt => Topic::Receipt(me()),
        Typ::Feed => Topic::Feed(feed().feed),
        _ => Topic::Server,
    };
    let mut vector = vector(name, expect, body, why);
    vector["typ"] = T::TYP.as_str().into();
    vector["topic"] = Topics::default().of(&topic).into();
    vector
}

fn good<T: Document>(name: &str, doc: &T, why: &str) -> Value {
    let text = sign(doc);
    let claims: Value = serde_json::from_str(&payload(&text)).unwrap();
    let sha256 = Digest::of(text.as_bytes()).to_string();
    let vector = with(stated::<T>(name, "accept", &text, why), "claims", claims);
    with(vector, "sha256", sha256)
}

fn behind() -> Behind {
    let group = |profile: &str, ids: &[&str]| Group {
        profile: profile.parse().unwrap(),
        units: ["00070-thon1", "00070", "19"].map(|unit| unit.parse().unwrap()).to_vec(),
        ids: ids.iter().map(|id| id.parse().unwrap()).collect(),
    };
    Behind {
        v: 1,
        iss: timetable().iss,
        aud: me(),
        iat: NOW_S,
        ver: NOW.0,
        groups: vec![group("awtrix3", &["bang-cong"]), group("mopidy", &["loa-a", "loa-b"])],
    }
}

fn last(epoch: u32, ver: i64, text: &str) -> Value {
    json!({"epoch": epoch, "ver": ver, "sha256": Digest::of(text.as_bytes()).to_string()})
}

fn accepted() -> Vec<Value> {
    let chain = ChainId([0xab; 16]);
    let late = Timetable {
        exp: 4_102_419_600,
        days: vec![DayEntry {
            from_ms: UtcMs(4_102_333_200_000),
            to_ms: UtcMs(4_102_419_600_000),
            ..day(0)
        }],
        ..timetable()
    };
    let unknown = edit(&payload(&sign(&command(Do::Stop))), r#""do":"stop""#, r#""do":"dance""#);
    let spaced = payload(&sign(&time())).replace(':', " : ").replace(',', "\n ,");
    let more = edit(&payload(&sign(&receipt())), r#""v":1"#, r#""v":1,"mood":{"a":[1]}"#);
    let reordered =
        format!(r#"{{"kid":"{}","typ":"loa-time+jwt","alg":"EdDSA"}}"#, key("time").kid());
    let nobody = Behind { groups: Vec::new(), ..behind() };
    let (mut twice, mut itself) = (behind(), behind());
    let ids = twice.groups[1].ids.clone();
    twice.groups[0].ids = ids;
    itself.groups[0].ids = vec![me()];
    vec![
        good("timetable", &timetable(), "sixteen days"),
        good(
            "timetable-2099",
            &late,
            "expires on 2099-12-31 at 17:00Z: good for stock JWT libraries",
        ),
        good(
            "floor",
            &Floor::first(me(), NOW.0, NOW_S, 420),
            "quiet from 21:30 to 04:45 in Viet Nam",
        ),
        good("behind", &behind(), "two loudspeakers and a board behind a gateway"),
        good("behind-nobody", &nobody, "the gateway acts for nobody any more"),
        stated::<Behind>(
            "behind-twice",
            "content",
            &sign_any(&twice),
            "a device stands there twice",
        ),
        stated::<Behind>("behind-itself", "content", &sign_any(&itself), "a gateway behind itself"),
        good("command-stop", &command(Do::Stop), "ends the running cue"),
        good("command-volume", &command(Do::Volume { volume: 60 }), "sets the volume of what runs"),
        good("command-self-test", &command(Do::SelfTest), "a test sound"),
        good("command-identify", &command(Do::Identify), "show yourself"),
        good(
            "command-resend",
            &command(Do::Resend { chain, from: 3, to: 9 }),
            "records 3 to 9 again",
        ),
        stated::<Command>(
            "command-unknown",
            "accept",
            &sign_text("schedule", Typ::Command, &unknown),
            "an unknown order is obeyed by nobody and answered `unsupported`",
        ),
        with(good("time", &time(), "answers the nonce"), "nonce", NONCE),
        with(
            stated::<TimeAnswer>(
                "white-space",
                "accept",
                &sign_text("time", Typ::Time, &spaced),
                "JSON may hold white space: sign and hash bytes, not values",
            ),
            "nonce",
            NONCE,
        ),
        with(
            stated::<TimeAnswer>(
                "header-order",
                "accept",
                &forge("time", &reordered, &payload(&sign(&time()))),
                "header members in another order",
            ),
            "nonce",
            NONCE,
        ),
        good("receipt", &receipt(), "records up to 13 are durable"),
        good(
            "receipt-logged",
            &Receipt {
                logged: Some(12),
                checkpoint: Some(super::checkpoints::good()),
                ..receipt()
            },
            "records up to 12 are in the log, vouched for",
        ),
        good(
            "receipt-checkpoint",
            &Receipt { checkpoint: Some(super::checkpoints::good()), ..receipt() },
            "a checkpoint to quote; none of the records is in it yet",
        ),
        good("receipt-zero", &Receipt { upto: 0, head: None, ..receipt() }, "no record yet"),
        stated::<Receipt>(
            "unknown-member",
            "accept",
            &sign_text("receipt", Typ::Receipt, &more),
            "unknown members are ignored",
        ),
        good("feed", &feed(), "boards show `312 cm` for half an hour after it was measured"),
        good(
            "feed-words",
            &Feed { value: "Báo động 2".to_owned(), stale_after_s: 604_800, ..feed() },
            "a value in words, for the longest time",
        ),
        good("server-ready", &presence(ServerState::Ready), "the server is there"),
        good("server-lost", &presence(ServerState::Lost), "its last will"),
    ]
}

fn forged() -> Vec<Value> {
    let text = sign(&timetable());
    let claims = payload(&text);
    let good_header = header("schedule", Typ::Timetable);
    let refuse = |name: &str, expect: &str, body: &str, why: &str| {
        stated::<Timetable>(name, expect, body, why)
    };
    let with_header = |name: &str, expect: &str, from: &str, to: &str, why: &str| {
        refuse(name, expect, &forge("schedule", &edit(&good_header, from, to), &claims), why)
    };
    let parts: Vec<&str> = text.split('.').collect();
    let other = sign(&Timetable { volume_cap: 89, ..timetable() });
    let swapped = [parts[0], other.split('.').nth(1).unwrap(), parts[2]].join(".");
    let (last_char, loose) = match text.chars().last().unwrap() {
        'A' => ('A', 'B'),
        'Q' => ('Q', 'R'),
        'g' => ('g', 'h'),
        _ => ('w', 'x'),
    };
    assert!(text.ends_with(last_char));
    vec![
        refuse("payload-swapped", "signature", &swapped, "the signature is of another payload"),
        refuse(
            "signed-by-other",
            "signature",
            &forge("stranger", &good_header, &claims),
            "`kid` names a key that did not sign",
        ),
        refuse(
            "unknown-key",
            "unknown-key",
            &sign_text("stranger", Typ::Timetable, &claims),
            "park it: the key may come with the next epoch",
        ),
        refuse(
            "wrong-role",
            "role",
            &sign_text("policy", Typ::Timetable, &claims),
            "a policy key signs no timetable",
        ),
        refuse(
            "role-root",
            "role",
            &sign_text("root", Typ::Timetable, &claims),
            "not even the root key does",
        ),
        refuse(
            "revoked",
            "revoked",
            &sign_text("schedule-1", Typ::Timetable, &claims),
            "signed with the stolen key",
        ),
        with_header(
            "typ-command",
            "typ",
            "loa-timetable+jwt",
            "loa-command+jwt",
            "another document",
        ),
        with_header(
            "typ-case",
            "typ",
            "loa-timetable+jwt",
            "LOA-timetable+jwt",
            "`typ` is compared byte by byte",
        ),
        with_header("typ-jwt", "typ", "loa-timetable+jwt", "JWT", "a plain JWT"),
        with_header("typ-drill", "typ", "loa-timetable+jwt", "loa-drill+jwt", "reserved for later"),
        with_header("typ-none", "typ", r#""typ":"loa-timetable+jwt","#, "", "no `typ`"),
        with_header("alg-none", "alg", "EdDSA", "none", "no algorithm"),
        with_header("alg-hs256", "alg", "EdDSA", "HS256", "the public key as an HMAC secret"),
        with_header("alg-number", "alg", r#""EdDSA""#, "7", "`alg` is a text"),
        with_header("crit", "header", "{", r#"{"crit":["exp"],"#, "extensions are refused"),
        with_header("jwk", "header", "{", r#"{"jwk":{"kty":"OKP"},"#, "a header brings no key"),
        with_header(
            "jku",
            "header",
            "{",
            r#"{"jku":"https://evil.example","#,
            "nor the address of one",
        ),
        with_header(
            "x5u",
            "header",
            "{",
            r#"{"x5u":"https://evil.example","#,
            "nor of a certificate",
        ),
        with_header("b64", "header", "{", r#"{"b64":false,"#, "only `alg`, `typ`, `kid`"),
        with_header(
            "kid-short",
            "jws",
            &key("schedule").kid().to_string(),
            "schedule",
            "`kid` is a thumbprint",
        ),
        with_header("kid-twice", "json", "{", r#"{"kid":"x","#, "a header member stands twice"),
        refuse(
            "header-long",
            "limit",
            &forge("schedule", &format!("{good_header}{}", " ".repeat(512)), &claims),
            "a header beyond 512 bytes",
        ),
        refuse("padded", "jws", &format!("{text}=="), "base64url without padding"),
        refuse(
            "loose-bits",
            "jws",
            &format!("{}{loose}", &text[..text.len() - 1]),
            "the same 64 bytes spelled differently",
        ),
        refuse("plus-slash", "jws", &edit(&text, ".", "+."), "the other alphabet"),
        refuse("newline", "jws", &format!("{text}\n"), "nothing after it"),
        refuse("two-parts", "jws", &parts[..2].join("."), "no signature"),
        refuse("four-parts", "jws", &format!("{text}.AA"), "one part too many"),
        refuse(
            "short-signature",
            "jws",
            &format!("{}.{}", parts[..2].join("."), &parts[2][..82]),
            "64 bytes",
        ),
        refuse("plain-json", "jws", &claims, "not signed at all"),
        refuse("empty", "empty", "", "an empty body never changes anything"),
    ]
}

fn content() -> Vec<Value> {
    let claims = payload(&sign(&timetable()));
    let refuse = |name: &str, expect: &str, from: &str, to: &str, why: &str| {
        let text = sign_text("schedule", Typ::Timetable, &edit(&claims, from, to));
        stated::<Timetable>(name, expect, &text, why)
    };
    let changed = |name: &str, why: &str, change: fn(&mut Timetable)| {
        let mut doc = timetable();
        change(&mut doc);
        stated::<Timetable>(name, "content", &sign_any(&doc), why)
    };
    let deep = format!(r#""v":1,"x":{}{}"#, "[".repeat(20), "]".repeat(20));
    let long = format!(r#""v":1,"x":"{}""#, "x".repeat(7_000));
    let order = |name: &str, doc: &Command, why: &str| {
        stated::<Command>(name, "content", &sign_any(doc), why)
    };
    let value = |name: &str, expect: &str, change: &dyn Fn(&mut Feed), why: &str| {
        let mut doc = feed();
        change(&mut doc);
        stated::<Feed>(name, expect, &sign_any(&doc), why)
    };
    vec![
        refuse("twice", "json", r#""v":1"#, r#""v":1,"v":1"#, "a member stands twice"),
        refuse(
            "twice-escaped",
            "json",
            r#""v":1"#,
            r#""v":1,"\u0076":1"#,
            "twice, once spelled with an escape",
        ),
        refuse(
            "twice-inside",
            "json",
            r#""days":[{"#,
            r#""days":[{"from_ms":1,"#,
            "twice in an inner object",
        ),
        refuse("fraction", "json", r#""trim_ms":0"#, r#""trim_ms":0.5"#, "numbers are whole"),
        refuse("exponent", "json", r#""trim_ms":0"#, r#""trim_ms":1e1"#, "and written as such"),
        refuse(
            "beyond-2-53",
            "json",
            r#""v":1"#,
            r#""v":1,"x":9007199254740992"#,
            "beyond what every reader keeps",
        ),
        refuse("deep", "json", r#""v":1"#, &deep, "nested too deep"),
        refuse("not-json", "json", r#"{"v""#, "{v", "a damaged text, rightly signed"),
        refuse("too-long", "limit", r#""v":1"#, &long, "more than 8,192 bytes"),
        refuse(
            "version-2",
            "unsupported",
            r#""v":1"#,
            r#""v":2"#,
            "another version of the document",
        ),
        refuse("no-version", "member", r#""v":1,"#, "", "`v` is missing"),
        refuse("no-units", "member", r#""units""#, r#""unots""#, "a member is missing"),
        refuse(
            "text-for-number",
            "member",
            r#""volume_cap":90"#,
            r#""volume_cap":"90""#,
            "a number as text",
        ),
        refuse(
            "upper-case-hash",
            "member",
            &day(0).sheet.to_string(),
            &day(0).sheet.to_string().to_uppercase(),
            "digests are lower case",
        ),
        refuse(
            "aud",
            "aud",
            r#""aud":"loa-thon-1""#,
            r#""aud":"loa-thon-2""#,
            "meant for another device",
        ),
        changed("cap-101", "a volume above 100", |t| t.volume_cap = 101),
        changed("trim", "a correction beyond a second", |t| t.trim_ms = 1_001),
        changed("days-swapped", "days are sorted", |t| t.days.swap(0, 1)),
        changed("day-empty", "a day has length", |t| t.days[3].to_ms = t.days[3].from_ms),
        changed("ver-zero", "versions count from 1", |t| t.ver = 0),
        order(
            "command-long-life",
            &Command { exp: NOW_S + 301, ..command(Do::Stop) },
            "at most five minutes",
        ),
        order("command-volume-101", &command(Do::Volume { volume: 101 }), "a volume above 100"),
        order(
            "command-resend-0",
            &command(Do::Resend { chain: ChainId([1; 16]), from: 0, to: 1 }),
            "records count from 1",
        ),
        stated::<Receipt>(
            "receipt-headless",
            "content",
            &sign_any(&Receipt { head: None, ..receipt() }),
            "`head` is null exactly when `upto` is 0",
        ),
        stated::<Receipt>(
            "receipt-logged-above",
            "content",
            &sign_any(&Receipt {
                logged: Some(14),
                checkpoint: Some(super::checkpoints::good()),
                ..receipt()
            }),
            "`logged` is at most `upto`",
        ),
        stated::<Receipt>(
            "receipt-logged-alone",
            "content",
            &sign_any(&Receipt { logged: Some(1), ..receipt() }),
            "`logged` says nothing without a checkpoint",
        ),
        stated::<Receipt>(
            "receipt-checkpoint-long",
            "limit",
            &sign_any(&Receipt { checkpoint: Some("x".repeat(2_561)), ..receipt() }),
            "a checkpoint has at most 2,560 bytes",
        ),
        value("feed-empty", "content", &|f| f.value = " ".into(), "a value has words"),
        value("feed-lines", "content", &|f| f.value = "1\n2".into(), "no control characters"),
        value("feed-long", "limit", &|f| f.value = "x".repeat(65), "at most 64 characters"),
        value("feed-no-time", "content", &|f| f.stale_after_s = 0, "never to be shown"),
        value("feed-for-ever", "content", &|f| f.stale_after_s = 604_801, "beyond a week"),
        value(
            "feed-from-ahead",
            "content",
            &|f| f.at_ms = UtcMs(NOW.0 + 122_000),
            "measured more than two minutes after it was signed",
        ),
        value(
            "feed-other",
            "content",
            &|f| f.feed = "nhiet-do".parse().unwrap(),
            "`feed` is not that of the topic",
        ),
        with(
            stated::<TimeAnswer>(
                "time-iat",
                "content",
                &sign_any(&TimeAnswer { iat: NOW_S + 1, ..time() }),
                "`iat` is `now_ms` in seconds",
            ),
            "nonce",
            NONCE,
        ),
    ]
}

fn in_time() -> Vec<Value> {
    let text = sign(&timetable());
    let old = sign(&Timetable { iat: NOW_S - 40 * 86_400, exp: NOW_S, ..timetable() });
    let stop = sign(&command(Do::Stop));
    let day_ms = DAY_MS;
    let made =
        |iat: i64, ver: i64| sign(&Timetable { iat, ver, exp: NOW_S + 9_000_000, ..timetable() });
    let table = |name: &str, expect: &str, body: &str, why: &str| {
        stated::<Timetable>(name, expect, body, why)
    };
    let other = DeviceId::new("loa-thon-2").unwrap();
    let foreign = sign(&Floor::first(other, NOW.0, NOW_S, 420));
    let retired =
        |iat: i64| jws::sign(&key("receipt-1"), Typ::Receipt, &Receipt { iat, ..receipt() });
    vec![
        table("expired", "expired", &old, "`exp` has passed; stock JWT libraries refuse it too"),
        with(
            table(
                "expired-without-time",
                "accept",
                &old,
                "without trusted time nothing is judged by the clock",
            ),
            "now_ms",
            Value::Null,
        ),
        table(
            "iat-day-ahead",
            "accept",
            &made(NOW_S + 86_400, NOW.0),
            "a day ahead of trusted time is bearable",
        ),
        table("iat-ahead", "ahead", &made(NOW_S + 86_401, NOW.0), "more is not"),
        table("ver-ahead", "ahead", &made(NOW_S, NOW.0 + day_ms + 1), "the same for `ver`"),
        with(
            table("same", "same", &text, "the retained copy again: ignore it silently"),
            "last",
            last(2, NOW.0, &text),
        ),
        with(
            table("same-though-expired", "same", &old, "also when it has expired meanwhile"),
            "last",
            last(2, NOW.0, &old),
        ),
        with(
            table("conflict", "conflict", &text, "the same version, other bytes"),
            "last",
            last(2, NOW.0, "other"),
        ),
        with(
            table("version-low", "version-low", &text, "older than what is in force"),
            "last",
            last(2, NOW.0 + 1, "other"),
        ),
        with(
            table("version-high", "accept", &text, "newer than what is in force"),
            "last",
            last(2, NOW.0 - 1, "other"),
        ),
        with(
            table(
                "epoch-outranks",
                "accept",
                &text,
                "a newer key outranks any version of an older one",
            ),
            "last",
            last(1, NOW.0 + day_ms, "other"),
        ),
        with(
            stated::<Feed>("feed-low", "version-low", &sign(&feed()), "an older value again"),
            "last",
            last(2, NOW.0 + 1, "other"),
        ),
        with(
            stated::<Floor>(
                "epoch-low",
                "version-low",
                &sign(&Floor::first(me(), NOW.0, NOW_S, 420)),
                "an older key does not come back",
            ),
            "last",
            last(2, 1, "other"),
        ),
        stated::<Floor>("floor-aud", "aud", &foreign, "meant for another device"),
        with(
            stated::<Command>("command-expired", "expired", &stop, "five minutes are over"),
            "now_ms",
            NOW.0 + 300_000,
        ),
        with(
            stated::<Command>("command-replay", "replay", &stop, "a `jti` acts once"),
            "seen",
            json!(["c-0123456789abcdef"]),
        ),
        with(
            stated::<TimeAnswer>(
                "time-nonce",
                "nonce",
                &sign(&time()),
                "an answer to another question",
            ),
            "nonce",
            "AQECAwQFBgcICQoLDA0ODw",
        ),
        stated::<Receipt>(
            "retired-before",
            "accept",
            &retired(NOW_S - 600_000),
            "made before its key was retired",
        ),
        stated::<Receipt>(
            "retired-after",
            "retired",
            &retired(NOW_S),
            "made after its key was retired",
        ),
    ]
}

pub fn make() -> Value {
    let keys = body(&[&first(), &second()]);
    let vectors = [accepted(), forged(), content(), in_time()].concat();
    json!({
        "note": "Documents a server signs. Judge each by the keys given, as device `me`, at `now_ms` \
                 (null: no trusted time); `last` is what was accepted before, `seen` the `jti`s obeyed, \
                 `nonce` the one asked. A vector's own value comes before the given one.",
        "given": {"me": me(), "pin": key("root").kid().to_string(), "keys": keys, "now_ms": NOW.0},
        "vectors": vectors,
    })
}
