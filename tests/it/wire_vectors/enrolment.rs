//! Vectors of enrolment: code, request, answer.

use super::build::{NOW, NOW_S, edit, first, key, me, payload, second, sign_text, vector, with};
use loa::domain::ids::{DeviceId, Digest};
use loa::wire::b64;
use loa::wire::doc::{self, Floor};
use loa::wire::enrol::{Answer, Code, Request, Secret, Welcome};
use loa::wire::epoch::KeysBody;
use loa::wire::jws::Typ;
use serde_json::{Value, json};

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
        String::from_utf8(Answer::new(&key(signer), keys, floor, welcome).unwrap().encode())
            .unwrap()
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
