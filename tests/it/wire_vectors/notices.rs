//! Vectors of what reaches the devices of a unit: notices, drills, withdrawals, holds.

use super::build::{
    NOW, NOW_S, body, edit, first, forge, header, key, me, payload, second, sign_text, vector, with,
};
use loa::domain::ids::{Digest, UnitId};
use loa::domain::time::UtcMs;
use loa::domain::timetable::sheet::AssetEntry;
use loa::wire::doc::{self, Document, Drill, Hold, NoticeAsset, Paper, Repeat, Urgent, Withdrawal};
use loa::wire::jws::{self, Typ};
use loa::wire::topic::{Topic, Topics};
use serde_json::{Value, json};

const UNITS: [&str; 3] = ["00070-thon1", "00070", "19"];

fn unit(text: &str) -> UnitId {
    text.parse().unwrap()
}

fn urgent() -> Urgent {
    Urgent {
        v: 1,
        iss: "Đài truyền thanh xã Tân Lập".to_owned(),
        units: vec![unit("00070")],
        iat: NOW_S,
        exp: NOW_S + 3_600,
        jti: "n-0123456789abcdef".to_owned(),
        reason: "nước sông Cầu vượt báo động 3".to_owned(),
        document: Paper {
            number: "05/CĐ-UBND".to_owned(),
            issuer: "UBND xã Tân Lập".to_owned(),
            at_ms: UtcMs(NOW.0 - 600_000),
        },
        text: "LŨ KHẨN CẤP: bà con xóm Bến sơ tán ngay lên nhà văn hoá".to_owned(),
        asset: Some(NoticeAsset {
            sha256: Digest::of(b"siren"),
            entry: AssetEntry {
                bytes: 5,
                media_type: "audio/mpeg".to_owned(),
                ms: 12_000,
                gain_cb: -10,
                lufs_cb: -140,
                sums: [("64".to_owned(), Digest::of(&Digest::of(b"siren").0))].into(),
                title: "Còi báo lũ".to_owned(),
            },
        }),
        repeat: Repeat { times: 3, gap_ms: 5_000 },
        volume: 100,
    }
}

fn withdrawal() -> Withdrawal {
    Withdrawal {
        v: 1,
        iss: urgent().iss,
        withdraws: urgent().jti,
        iat: NOW_S + 60,
        exp: urgent().exp,
    }
}

fn hold() -> Hold {
    Hold {
        v: 1,
        iss: urgent().iss,
        unit: unit("00070"),
        iat: NOW_S,
        ver: NOW.0,
        jti: "h-0123456789abcdef".to_owned(),
        until_ms: UtcMs(NOW.0 + 7_200_000),
        reason: "lễ tang tại nhà văn hoá thôn 1".to_owned(),
        by: "nguyen-thi-hoa".to_owned(),
    }
}

fn release() -> Hold {
    Hold { ver: NOW.0 + 1, jti: "h-1".to_owned(), until_ms: UtcMs(0), ..hold() }
}

fn signer(typ: Typ) -> &'static str {
    if typ == Typ::Hold { "schedule" } else { "urgent" }
}

fn topic(typ: Typ) -> String {
    let unit = unit("00070");
    let topic = match typ {
        Typ::Hold => Topic::Hold(unit),
        _ => Topic::Urgent { unit, id: urgent().jti },
    };
    Topics::default().of(&topic)
}

fn stated(typ: Typ, name: &str, expect: &str, body: &str, why: &str) -> Value {
    let stated = with(vector(name, expect, body, why), "typ", typ.as_str());
    with(stated, "topic", topic(typ))
}

fn sign<T: Document>(doc: &T) -> String {
    doc::sign(&key(signer(T::TYP)), doc).unwrap()
}

/// Signs what `doc::sign` would not.
fn refuse<T: Document>(name: &str, expect: &str, doc: &T, why: &str) -> Value {
    let text = jws::sign(&key(signer(T::TYP)), T::TYP, doc);
    stated(T::TYP, name, expect, &text, why)
}

fn good<T: Document>(name: &str, doc: &T, why: &str) -> Value {
    let text = sign(doc);
    let claims: Value = serde_json::from_str(&payload(&text)).unwrap();
    let sha256 = Digest::of(text.as_bytes()).to_string();
    let vector = with(stated(T::TYP, name, "accept", &text, why), "claims", claims);
    with(vector, "sha256", sha256)
}

fn accepted() -> Vec<Value> {
    let many = |n: u32| (0..n).map(|n| unit(&format!("{n:05}"))).collect::<Vec<_>>();
    let all = Urgent { units: [many(63), vec![unit("19")]].concat(), ..urgent() };
    let elsewhere = Topic::Urgent { unit: unit("19"), id: "other".to_owned() };
    vec![
        good("urgent", &urgent(), "a siren, three times, 5 s apart"),
        good("urgent-text", &Urgent { asset: None, ..urgent() }, "for boards alone"),
        good("urgent-units", &all, "64 units, the last one is the device's own"),
        with(
            good("urgent-other-topic", &urgent(), "the signed list decides, not the topic"),
            "topic",
            Topics::default().of(&elsewhere),
        ),
        good("drill", &Drill(urgent()), "judged and answered; neither sounds nor shows"),
        good("withdrawal", &withdrawal(), "takes it back, also when it comes first"),
        good("hold", &hold(), "silence for two hours"),
        good(
            "hold-longest",
            &Hold { until_ms: UtcMs(NOW_S * 1_000 + 31_622_400_000), ..hold() },
            "silence for 366 days",
        ),
        good("release", &release(), "`until_ms` 0 and a higher version"),
        with(
            good("hold-without-time", &hold(), "silence needs no trusted time"),
            "now_ms",
            Value::Null,
        ),
    ]
}

fn forged() -> Vec<Value> {
    let claims = payload(&sign(&urgent()));
    let silence = payload(&sign(&hold()));
    let by = |name: &str, expect: &str, signer: &str, typ: Typ, claims: &str, why: &str| {
        stated(typ, name, expect, &sign_text(signer, typ, claims), why)
    };
    let drill = sign(&Drill(urgent()));
    let parts: Vec<&str> = drill.split('.').collect();
    let head = loa::wire::b64::encode(header("urgent", Typ::Urgent).as_bytes());
    let turned = [head.as_str(), parts[1], parts[2]].join(".");
    let order = payload(&sign(&withdrawal()));
    vec![
        by("urgent-schedule", "role", "schedule", Typ::Urgent, &claims, "makes no urgent notice"),
        by("urgent-policy", "role", "policy", Typ::Urgent, &claims, "nor does this key"),
        by("urgent-root", "role", "root", Typ::Urgent, &claims, "not even this one"),
        by("urgent-device", "unknown-key", "device", Typ::Urgent, &claims, "nor a device"),
        by("drill-schedule", "role", "schedule", Typ::Drill, &claims, "nor a drill"),
        by("withdrawal-schedule", "role", "schedule", Typ::Withdrawal, &order, "nor ends one"),
        by("hold-urgent", "role", "urgent", Typ::Hold, &silence, "makes no hold"),
        by("hold-revoked", "revoked", "schedule-1", Typ::Hold, &silence, "by the stolen key"),
        stated(Typ::Urgent, "drill-turned", "signature", &turned, "a drill with another `typ`"),
        stated(Typ::Urgent, "drill-as-urgent", "typ", &drill, "a drill is no notice"),
        stated(Typ::Urgent, "urgent-empty", "empty", "", "an empty body withdraws nothing"),
        stated(Typ::Hold, "hold-empty", "empty", "", "and releases nothing"),
        stated(
            Typ::Urgent,
            "urgent-unsigned",
            "alg",
            &forge("urgent", r#"{"alg":"none","typ":"loa-urgent+jwt","kid":"x"}"#, &claims),
            "no algorithm",
        ),
    ]
}

fn content() -> Vec<Value> {
    let changed = |name: &str, expect: &str, why: &str, change: fn(&mut Urgent)| {
        let mut doc = urgent();
        change(&mut doc);
        refuse(name, expect, &doc, why)
    };
    let claims = payload(&sign(&urgent()));
    let number = edit(&claims, r#""number":"05/CĐ-UBND","#, "");
    let asset = |doc: &mut Urgent, change: fn(&mut AssetEntry)| {
        change(&mut doc.asset.as_mut().unwrap().entry);
    };
    let mut hollow = urgent();
    asset(&mut hollow, |entry| entry.bytes = 0);
    vec![
        changed("no-unit", "content", "for nobody", |d| d.units.clear()),
        changed("units-65", "limit", "more units than 64", |d| d.units = vec![unit("00070"); 65]),
        changed("no-reason", "content", "a notice has a reason", |d| d.reason = " ".into()),
        stated(
            Typ::Urgent,
            "no-number",
            "member",
            &sign_text("urgent", Typ::Urgent, &number),
            "and the number of a paper",
        ),
        changed("number-empty", "content", "which is not empty", |d| d.document.number.clear()),
        changed("no-text", "content", "boards need it, and so do people", |d| d.text.clear()),
        changed("text-long", "limit", "longer than a page", |d| d.text = "x".repeat(2_001)),
        changed("times-0", "content", "sounds at least once", |d| d.repeat.times = 0),
        changed("times-101", "content", "at most 100 times", |d| d.repeat.times = 101),
        changed("gap-below-0", "content", "repeats do not overlap", |d| d.repeat.gap_ms = -1),
        changed("gap-long", "content", "at most 6 h apart", |d| d.repeat.gap_ms = 21_600_001),
        changed("urgent-volume-101", "content", "a volume above 100", |d| d.volume = 101),
        changed("life-0", "content", "it has a life", |d| d.exp = d.iat),
        changed("life-long", "content", "of at most three days", |d| d.exp = d.iat + 259_201),
        changed("jti-level", "content", "`jti` is one level of a topic", |d| d.jti = "a/b".into()),
        changed("jti-wild", "content", "and no wildcard", |d| d.jti = "+".into()),
        refuse("asset-hollow", "content", &hollow, "an asset without bytes"),
        refuse(
            "drill-times-0",
            "content",
            &Drill(Urgent { repeat: Repeat { times: 0, gap_ms: 0 }, ..urgent() }),
            "a drill is checked alike",
        ),
        refuse(
            "withdrawal-life",
            "content",
            &Withdrawal { exp: NOW_S + 60 + 259_201, ..withdrawal() },
            "remembered for three days at most",
        ),
        refuse("hold-ver-0", "content", &Hold { ver: 0, ..hold() }, "versions count from 1"),
        refuse("hold-until", "content", &Hold { until_ms: UtcMs(-1), ..hold() }, "no such time"),
        refuse(
            "hold-long",
            "content",
            &Hold { until_ms: UtcMs(NOW_S * 1_000 + 31_622_400_001), ..hold() },
            "silence for more than 366 days",
        ),
        refuse("hold-nobody", "content", &Hold { by: String::new(), ..hold() }, "by somebody"),
    ]
}

fn in_time() -> Vec<Value> {
    let text = sign(&hold());
    let last = |epoch: u32, ver: i64, text: &str| json!({"epoch": epoch, "ver": ver, "sha256": Digest::of(text.as_bytes()).to_string()});
    let hold_with = |name: &str, expect: &str, why: &str, last: Value| {
        with(stated(Typ::Hold, name, expect, &text, why), "last", last)
    };
    let foreign = Urgent { units: vec![unit("00071"), unit("00070-thon2")], ..urgent() };
    let old = Urgent { iat: NOW_S - 3_600, exp: NOW_S, ..urgent() };
    let ahead = Urgent { iat: NOW_S + 86_401, exp: NOW_S + 90_000, ..urgent() };
    let gone = Withdrawal { iat: NOW_S - 3_600, exp: NOW_S, ..withdrawal() };
    let commune = Topics::default().of(&Topic::Hold(unit("19")));
    vec![
        refuse("unit-foreign", "unit", &foreign, "none of the device's units is in the list"),
        refuse("urgent-expired", "expired", &old, "it is over"),
        refuse("urgent-ahead", "ahead", &ahead, "made more than a day ahead"),
        refuse("drill-foreign", "unit", &Drill(foreign.clone()), "a drill for others"),
        refuse("withdrawal-expired", "expired", &gone, "as its notice is"),
        with(
            stated(Typ::Hold, "hold-topic", "unit", &text, "on the topic of another own unit"),
            "topic",
            commune,
        ),
        with(
            refuse(
                "hold-foreign",
                "unit",
                &Hold { unit: unit("00071"), ..hold() },
                "a unit that is not the device's",
            ),
            "topic",
            Topics::default().of(&Topic::Hold(unit("00071"))),
        ),
        refuse(
            "hold-ahead",
            "ahead",
            &Hold { ver: NOW.0 + 86_400_001, ..hold() },
            "a version more than a day ahead",
        ),
        hold_with("hold-same", "same", "the retained copy again", last(2, NOW.0, &text)),
        hold_with("hold-conflict", "conflict", "other bytes", last(2, NOW.0, "other")),
        hold_with("hold-low", "version-low", "a hold put back", last(2, NOW.0 + 1, "release")),
        hold_with("hold-high", "accept", "newer than the release", last(2, NOW.0 - 1, "release")),
    ]
}

pub fn make() -> Value {
    let keys = body(&[&first(), &second()]);
    let vectors = [accepted(), forged(), content(), in_time()].concat();
    json!({
        "note": "What reaches the devices of a unit. Judge each as `typ`, come on `topic`, by the \
                 keys given, as device `me` of `units`, at `now_ms` (null: no trusted time); `last` \
                 is the hold accepted before. A vector's own value comes before the given one.",
        "given": {
            "me": me(), "units": UNITS, "pin": key("root").kid().to_string(), "keys": keys,
            "now_ms": NOW.0,
        },
        "vectors": vectors,
    })
}
