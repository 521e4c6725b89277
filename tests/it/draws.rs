//! Draws and uploads over HTTP: who may, what is refused, what comes back.

use crate::http::{Front, Got, front, json};
use loa::app::draws::{Document, HeadText, Play, Question, VouchedBy};
use loa::app::people::{Grant, Person, Role};
use loa::app::ports::{Draws as _, People as _, StoredDraw};
use loa::app::trail::Actor;
use loa::app::{access, logbook};
use loa::domain::ids::{CueId, Digest};
use loa::domain::time::UtcMs;
use loa::draw::ground::{Head, Period};
use loa::draw::{Ground, draw};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const NOW: UtcMs = UtcMs(1_795_219_200_000);
const FROM: UtcMs = UtcMs(NOW.0 - 48 * 3_600_000);
const TO: UtcMs = UtcMs(NOW.0 - 24 * 3_600_000);

fn question(unit: Option<&str>, word: &str) -> Question {
    Question {
        from_ms: FROM,
        to_ms: TO,
        after_ms: TO,
        unit: unit.map(|unit| unit.parse().unwrap()),
        plays: 2,
        word: word.to_owned(),
        line: None,
    }
}

/// Keeps a draw of two plays out of three, as the server would have made it.
async fn made(front: &Front, question: Question) -> Document {
    let head = HeadText {
        origin: "loa/x/2026".into(),
        size: 90,
        before: 0,
        root: "cm9vdA==".into(),
        vouched_ms: TO.plus(60_000),
        by: VouchedBy::Witnesses,
    };
    let HeadText { origin, size, before, root, vouched_ms, .. } = head.clone();
    let over = Period { from_ms: FROM, to_ms: TO, scope: question.unit.clone() };
    let list = Digest::of(b"list");
    let base = Head { origin, size, before, root, vouched_ms };
    let ground = Ground::of_list(base, over, 3, list, &question.word).unwrap();
    let play = |number| Play {
        number,
        device: "loa-thon-1".parse().unwrap(),
        name: "Loa thôn 1".into(),
        place: "Thôn Đình, Xã Đông Hoà".into(),
        cue: CueId([u8::try_from(number).unwrap(); 16]),
        began: FROM.datetime().naive_utc(),
        title: format!("Bản tin {number}"),
        shard: "2026".into(),
        index: 10 + number,
    };
    let drawn = draw(&ground.seed(), 3, 2).into_iter().map(play).collect();
    let id = question.id();
    let document = Document { v: 1, id: id.clone(), question, head, plays: 3, list, drawn };
    let unit = document.question.unit.clone();
    let body = document.to_bytes().unwrap().into();
    let stored = StoredDraw { id: id.clone(), made_ms: NOW, by: "mai".into(), unit, body };
    let leaf = logbook::drawn(&stored, &document).unwrap();
    let entry = Actor::server().did(NOW, "draw-plays", &id);
    front.store.put_draw(&stored, &leaf, &entry).await.unwrap();
    document
}

/// Adds a person with one role and returns a bearer of a token.
async fn person(front: &Front, id: &str, role: Role, unit: Option<&str>) -> String {
    let unit = unit.map(|unit| unit.parse().unwrap());
    let who = Person::new(id.parse().unwrap(), id, NOW, vec![Grant { role, unit }]);
    let entry = Actor::server().did(NOW, "add-person", &who.id);
    front.store.put_person(&who, &entry).await.unwrap();
    let token = access::grant(&*front.store, "x", Some(&who.id), access::API, NOW, None);
    format!("Bearer {}", token.await.unwrap().reveal())
}

async fn ask(front: &Front, bearer: &str, method: &str, path: &str, body: &str) -> Got {
    let headers = [("authorization", bearer), ("content-type", "application/json")];
    front.ask(method, &format!("/api/v1/{path}"), &headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn draws_are_seen_below_their_unit_and_made_and_judged_by_auditors_alone() {
    let front = front().await;
    let own = made(&front, question(Some("90001"), "")).await;
    let all = made(&front, question(None, "")).await;
    let auditor = person(&front, "mai", Role::Auditor, Some("90001")).await;
    let operator = person(&front, "lan", Role::Operator, Some("90001")).await;
    assert_eq!(ask(&front, "Bearer x", "GET", "draws", "").await.status(), 401);
    for bearer in [&auditor, &operator] {
        let listed = json(ask(&front, bearer, "GET", "draws", "").await);
        assert_eq!(listed["draws"].as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(listed["draws"][0]["id"], own.id.as_str());
    }
    let asked = |unit: Option<&str>| {
        let at = |ms: UtcMs| ms.datetime().to_rfc3339();
        serde_json::json!({"from": at(FROM), "to": at(TO), "unit": unit, "plays": 2}).to_string()
    };
    let found = format!("draws/{}/findings", own.id);
    let (other, paper) = (format!("draws/{}", all.id), format!("draws/{}/list", own.id));
    for (bearer, method, path, body, status) in [
        // The same question is the same draw, whoever asks.
        (&auditor, "POST", "draws", asked(Some("90001")), 200),
        (&operator, "POST", "draws", asked(Some("90001")), 403),
        (&auditor, "POST", "draws", asked(None), 403),
        (&auditor, "POST", "draws", asked(Some("95")), 403),
        (&auditor, "GET", other.as_str(), String::new(), 404),
        (&operator, "GET", paper.as_str(), String::new(), 200),
        (&operator, "POST", found.as_str(), "code,play,finding,by,date,note\n".into(), 403),
        (&auditor, "POST", found.as_str(), "code,play,finding,by,date,note\n".into(), 200),
        (&auditor, "POST", found.as_str(), "code,play\n1,2\n".into(), 422),
        (&auditor, "POST", found.as_str(), "x".repeat((1 << 20) + 1), 413),
        (&auditor, "GET", "draws/0000000000000000", String::new(), 404),
        (&auditor, "GET", "draws?limit=x", String::new(), 400),
    ] {
        let got = ask(&front, bearer, method, path, &body).await;
        assert_eq!(got.status(), status, "{method} {path}");
        if status == 200 && path == "draws" {
            assert_eq!(json(got)["draw"], serde_json::to_value(&own).unwrap());
        } else if path.ends_with("/list") {
            let kind = got.headers().get("content-type").unwrap().to_str().unwrap().to_owned();
            let bytes = got.into_body().read_to_vec().unwrap();
            assert!(kind == "application/pdf" && bytes.starts_with(b"%PDF-"), "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draws_come_in_pages() {
    let front = front().await;
    let mut ids = Vec::new();
    for word in ["một", "hai", "ba"] {
        ids.push(made(&front, question(None, word)).await.id);
    }
    let page = async |path: &str| json(front.ask_as_token("GET", path, "").await);
    let newest = page("/api/v1/draws?limit=1").await;
    assert_eq!((&newest["draws"][0]["id"], &newest["next"]), (&ids[2].as_str().into(), &().into()));
    let first = page("/api/v1/draws?after=0&limit=2").await;
    let next = first["next"].as_i64().unwrap();
    let second = page(&format!("/api/v1/draws?after={next}&limit=2")).await;
    let of = |page: &serde_json::Value| -> Vec<String> {
        let draws = page["draws"].as_array().unwrap().iter();
        draws.map(|draw| draw["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!([of(&first), of(&second)].concat(), ids);
    assert!(second["next"].is_null());
}

/// Sends a head that promises a large body and none of it; returns how the answer begins.
async fn promise(front: &Front, bearer: &str, length: u64) -> String {
    let address = front.url.strip_prefix("http://").unwrap();
    let mut line = tokio::net::TcpStream::connect(address).await.unwrap();
    let query = "channel=leaflet&unit=90001&title=t&date=2026-11-01&person=lan&file=a.png";
    let head = format!(
        "POST /api/v1/evidence?{query} HTTP/1.1\r\nhost: {address}\r\nauthorization: {bearer}\r\n\
         content-length: {length}\r\n\r\n"
    );
    line.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    let read = line.read_exact(&mut answer);
    let limit = std::time::Duration::from_secs(5);
    tokio::time::timeout(limit, read).await.expect("an answer without a body").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_evidence_is_refused_before_a_byte_of_it_is_read() {
    let front = front().await;
    let operator = person(&front, "lan", Role::Operator, Some("90001")).await;
    let auditor = person(&front, "mai", Role::Auditor, Some("90001")).await;
    assert_eq!(promise(&front, "Bearer x", 40_000_000).await, "HTTP/1.1 401");
    assert_eq!(promise(&front, &auditor, 40_000_000).await, "HTTP/1.1 403");
    assert_eq!(promise(&front, &operator, 1 << 40).await, "HTTP/1.1 413");
    // One that says nothing of its length is cut off at the bound; a right one is kept.
    let path = "evidence?channel=leaflet&unit=90001&title=t&date=2026-11-01&person=lan&file=a.png";
    let kept = ask(&front, &operator, "POST", path, "tờ rơi").await;
    assert_eq!(kept.status(), 201);
    let kept = json(kept);
    assert_eq!(kept["sha256"], Digest::of("tờ rơi".as_bytes()).to_string());
    assert_eq!(kept["bytes"], "tờ rơi".len());
    let file = format!("evidence/{}/file", kept["id"].as_str().unwrap());
    let got = ask(&front, &operator, "GET", &file, "").await;
    assert_eq!(got.into_body().read_to_string().unwrap(), "tờ rơi");
}
