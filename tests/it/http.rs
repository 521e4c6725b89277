//! The HTTP front over the in-memory store: who gets in, what is refused, what travels.

use loa::app::assets::{FileLibrary, MemoryLibrary};
use loa::app::draws::Drawing;
use loa::app::hold::Holds;
use loa::app::keyring::Keyring;
use loa::app::live::{Live, Picture};
use loa::app::outlet::Outlet;
use loa::app::people::{Grant, Person, Role};
use loa::app::ports::{
    Enrolled, Enrolment, EnrolmentCode, People as _, Registry as _, Standing, Store,
};
use loa::app::registry::{PasswordSeed, Reach, Register};
use loa::app::reports::Reports;
use loa::app::rollup::Rollup;
use loa::app::trail::Actor;
use loa::app::urgent::Notices;
use loa::app::{access, people};
use loa::clock::{ManualClock, SharedClock};
use loa::domain::ids::Digest;
use loa::domain::station::{Device, Unit};
use loa::domain::time::UtcMs;
use loa::http::door::{Door, Peer};
use loa::http::{AppState, EvidenceFiles, LogFolder, Shelf, Site, Turnstile, router};
use loa::store::memory::MemoryStore;
use loa::wire::enrol::{Answer, Code, Request};
use loa::wire::epoch::{KeySet, KeysBody, first};
use loa::wire::jws::SecretKey;
use loa::wire::server_keys::ServerKeys;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use ureq::http::Response;

const NOW: UtcMs = UtcMs(1_795_219_200_000);

/// A server on loopback with a clock that stands.
pub(crate) struct Front {
    pub(crate) url: String,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) live: Arc<Live>,
    clock: Arc<ManualClock>,
    pub(crate) token: String,
    shelf: tempfile::TempDir,
    agent: ureq::Agent,
}

pub(crate) async fn front() -> Front {
    let store = Arc::new(MemoryStore::default());
    let clock = Arc::new(ManualClock::new(NOW));
    let shared: SharedClock = clock.clone();
    let live = Arc::new(Live::new(Picture::empty("mqtt://127.0.0.1:1883")));
    let root = SecretKey::from_seed(&[9; 32]);
    let keys = ServerKeys::from_seeds(&[[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]]);
    let chain = KeysBody::new(vec![first(&root, &keys, NOW.numeric_date())]);
    let epochs = KeySet::verify(&chain.encode(), &root.kid()).unwrap();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let reach = Reach {
        name: "Đài thử".to_owned(),
        url: url.clone(),
        ca: None,
        broker: "mqtt://127.0.0.1:1883".to_owned(),
        broker_ca: None,
        topics: loa::wire::topic::Topics::default(),
        offset_min: 420,
    };
    let keys = Keyring::new(keys, epochs);
    let register = Register::new(
        store.clone(),
        keys.clone(),
        shared.clone(),
        reach,
        PasswordSeed::new([7; 32]),
    )
    .telling(live.clone());
    store.put_units(&[unit("95", None), unit("90001", Some("95"))]).await.unwrap();
    store.put_devices(&[device("loa-thon-1")], NOW).await.unwrap();
    let units = store.units().await.unwrap();
    live.set_register(store.devices().await.unwrap(), &units);
    let admin = people::first_administrator(NOW);
    let entry = Actor::server().did(NOW, "init", &admin.id);
    store.put_person(&admin, &entry).await.unwrap();
    let token = access::grant(&*store, "test", Some(&admin.id), access::API, NOW, None);
    let token = token.await.unwrap();
    let shelf = tempfile::tempdir().unwrap();
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let (topics, outlet) = (loa::wire::topic::Topics::default(), Arc::new(Outlet::default()));
    let library = Arc::new(FileLibrary::open(shelf.path()).unwrap());
    let all: Arc<dyn Store> = store.clone();
    let notices = Notices::new(
        all.clone(),
        keys.clone(),
        topics.clone(),
        shared.clone(),
        live.clone(),
        library,
        outlet.clone(),
    );
    let holds = Holds::new(all, keys, topics, shared.clone(), live.clone(), outlet);
    let state = AppState {
        notices: Arc::new(notices),
        holds: Arc::new(holds),
        store: store.clone(),
        live: live.clone(),
        register: Arc::new(register),
        clock: shared,
        draws: Drawing::new(
            store.clone(),
            shelf.path().join("log"),
            chrono_tz::Asia::Ho_Chi_Minh,
            false,
        ),
        log: LogFolder(Arc::new(shelf.path().join("log"))),
        reports: Arc::new(Reports::new(Arc::new(Rollup::new(store.clone())))),
        evidence: EvidenceFiles::new(Arc::new(MemoryLibrary::default())),
        shelf: Shelf(Arc::new(shelf.path().to_owned())),
        site: Site { tls: false },
        turnstile: Turnstile::default(),
        previews: loa::app::previews::Previews::new(clock.clone()),
        metrics: recorder.handle(),
    };
    let door = Door::open(listener, None).unwrap();
    let service = router(state).into_make_service_with_connect_info::<Peer>();
    tokio::spawn(async move { axum::serve(door, service).await });
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let token = token.reveal().to_owned();
    Front { url, store, live, clock, token, shelf, agent: config.build().into() }
}

fn unit(id: &str, parent: Option<&str>) -> Unit {
    Unit {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
        population: None,
    }
}

fn device(id: &str) -> Device {
    Device {
        id: id.parse().unwrap(),
        name: "Loa thôn 1".to_owned(),
        unit: "90001".parse().unwrap(),
        tags: Vec::new(),
        profile: "loa-ip".parse().unwrap(),
        volume_cap: 100,
        trim_ms: 0,
        behind: None,
    }
}

pub(crate) type Got = Response<ureq::Body>;

impl Front {
    /// Sends a request off the async threads, with extra headers.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Got {
        let mut request = ureq::http::Request::builder().method(method);
        request = request.uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).unwrap();
        let agent = self.agent.clone();
        tokio::task::spawn_blocking(move || agent.run(request).unwrap()).await.unwrap()
    }

    pub(crate) async fn ask_as_token(&self, method: &str, path: &str, body: &str) -> Got {
        let bearer = format!("Bearer {}", self.token);
        self.ask(method, path, &[("authorization", &bearer)], body).await
    }

    async fn get(&self, path: &str) -> Got {
        let bearer = format!("Bearer {}", self.token);
        self.ask("GET", path, &[("authorization", &bearer)], "").await
    }

    async fn post(&self, path: &str, body: &str) -> Got {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.ask("POST", path, &headers, body).await
    }

    /// Issues a code for the device and returns it.
    async fn code(&self) -> Code {
        let issued = json(self.post("/api/v1/devices/loa-thon-1/enrolment-codes", "{}").await);
        assert!(issued["qr_svg"].as_str().unwrap().starts_with("<?xml"));
        issued["code"].as_str().unwrap().parse().unwrap()
    }

    async fn enrol(&self, request: &str) -> Got {
        self.ask("POST", "/enrol", &[], request).await
    }
}

pub(crate) fn json(mut got: Got) -> serde_json::Value {
    serde_json::from_slice(&bytes(&mut got)).unwrap()
}

fn bytes(got: &mut Got) -> Vec<u8> {
    got.body_mut().read_to_vec().unwrap()
}

fn header<'a>(got: &'a Got, name: &str) -> &'a str {
    got.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_nothing_of_the_api_is_told() {
    let front = front().await;
    for bad in ["", "Bearer", "Bearer x", "Basic eA==", "bearer  "] {
        let got = front.ask("GET", "/api/v1/devices", &[("authorization", bad)], "").await;
        assert_eq!(got.status(), 401, "{bad}");
        assert_eq!(header(&got, "content-type"), "application/problem+json");
        assert_eq!(json(got)["code"], "unauthorised");
    }
    let got = front.get("/api/v1/devices").await;
    assert_eq!(got.status(), 200);
    assert_eq!(json(got)["devices"][0]["light"], "awaiting");
    // A session of the page is no token of the API, and the other way round.
    let page = access::grant(&*front.store, "x", None, access::PAGE, NOW, None).await.unwrap();
    let bearer = format!("Bearer {}", page.reveal());
    let got = front.ask("GET", "/api/v1/devices", &[("authorization", &bearer)], "").await;
    assert_eq!(got.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_what_the_roles_say_below_their_units_and_the_trail_tells_of_it() {
    let front = front().await;
    front
        .store
        .put_devices(&[Device { unit: "95".parse().unwrap(), ..device("loa-tinh") }], NOW)
        .await
        .unwrap();
    let lan = Person::new(
        "lan".parse().unwrap(),
        "Lan",
        NOW,
        vec![
            Grant { role: Role::Technician, unit: Some("90001".parse().unwrap()) },
            Grant { role: Role::Operator, unit: Some("90001".parse().unwrap()) },
        ],
    );
    let entry = Actor::server().did(NOW, "add-person", &lan.id);
    front.store.put_person(&lan, &entry).await.unwrap();
    let token = access::grant(&*front.store, "x", Some(&lan.id), access::API, NOW, None);
    let bearer = format!("Bearer {}", token.await.unwrap().reveal());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let ask = async |method: &'static str, path: &'static str, body: &'static str| {
        let got = front.ask(method, &format!("/api/v1/{path}"), &headers, body).await;
        (got.status().as_u16(), json(got))
    };
    let (_, listed) = ask("GET", "devices", "").await;
    assert_eq!(listed["devices"].as_array().unwrap().len(), 1, "only her own: {listed}");
    assert_eq!(ask("GET", "me", "").await.1["grants"][0]["role"], "operator");
    for (method, path, body, status) in [
        ("GET", "devices/loa-thon-1", "", 200),
        ("GET", "devices/loa-tinh", "", 404),
        ("GET", "records?device=loa-thon-1", "", 200),
        ("GET", "records", "", 403),
        ("GET", "trail", "", 403),
        ("GET", "people", "", 403),
        ("POST", "links", "", 403),
        ("POST", "devices/loa-thon-1/enrolment-codes", "{}", 201),
        ("POST", "devices/loa-tinh/enrolment-codes", "{}", 404),
        ("POST", "devices", r#"{"id":"loa-moi","name":"x","unit":"95","profile":"loa-ip"}"#, 403),
        (
            "POST",
            "devices",
            r#"{"id":"loa-moi","name":"x","unit":"90001","profile":"loa-ip"}"#,
            201,
        ),
    ] {
        let (got, said) = ask(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {said}");
        if status == 403 {
            assert_eq!(said["code"], "forbidden");
            assert!(said["hint"].is_string(), "{said}");
        }
    }
    let told = json(front.get("/api/v1/trail?after=0").await);
    let told: Vec<_> = told["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["who"] == "lan")
        .map(|entry| format!("{} {} {}", entry["from"], entry["action"], entry["subject"]))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    "127.0.0.1" "issue-code" "loa-thon-1"
    "127.0.0.1" "add-device" "loa-moi"
    "127.0.0.1" "issue-code" "loa-moi"
    "#);
    let ended = Person { ended_ms: Some(NOW), ..lan };
    front.store.put_person(&ended, &entry).await.unwrap();
    assert_eq!(ask("GET", "devices", "").await.0, 401, "who has ended is nobody");
}

/// Enrols a device in the store, and lets the picture know.
async fn enrol(front: &Front, device: &str) {
    let (id, key) = (Digest::of(b"code"), SecretKey::from_seed(&[77; 32]));
    let code = EnrolmentCode {
        id,
        device: device.parse().unwrap(),
        secret: vec![1],
        made_ms: NOW,
        expires_ms: NOW.plus(1_000),
        used: None,
        refused: 0,
        last_refusal: None,
    };
    front.store.put_code(&code).await.unwrap();
    let enrolment = Enrolment {
        code: id,
        device: code.device,
        kid: key.kid().to_string(),
        key: key.public().to_bytes(),
        password: Digest::of(b"x"),
        at_ms: NOW,
    };
    assert_eq!(front.store.enrol(&enrolment).await.unwrap(), Enrolled::Done);
    let (known, units) = (front.store.devices().await, front.store.units().await);
    front.live.set_register(known.unwrap(), &units.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_prepares_and_holds_but_only_an_approver_sends_a_notice() {
    let front = front().await;
    enrol(&front, "loa-thon-1").await;
    let join = async |id: &str, role: Role| {
        let grant = Grant { role, unit: Some("90001".parse().unwrap()) };
        let person = Person::new(id.parse().unwrap(), id, NOW, vec![grant]);
        let entry = Actor::server().did(NOW, "add-person", id);
        front.store.put_person(&person, &entry).await.unwrap();
        let token = access::grant(&*front.store, "x", Some(&person.id), access::API, NOW, None);
        format!("Bearer {}", token.await.unwrap().reveal())
    };
    let (lan, minh) = (join("lan", Role::Operator).await, join("minh", Role::Approver).await);
    let ask = async |who: &str, method: &str, path: &str, body: &str| {
        let headers = [("authorization", who), ("content-type", "application/json")];
        let got = front.ask(method, &format!("/api/v1/{path}"), &headers, body).await;
        let status = got.status().as_u16();
        let said = json(got);
        (status, said["code"].as_str().unwrap_or("").to_owned(), said)
    };
    let notice = |unit: &str, number: &str| {
        format!(
            r#"{{"units":["{unit}"],"reason":"Lũ lên nhanh","text":"Sơ tán ngay",
                "document":{{"number":"{number}","issuer":"UBND tỉnh"}}}}"#
        )
    };
    let refused = ask(&lan, "POST", "urgent", &notice("90001", " ")).await;
    assert_eq!((refused.0, refused.1.as_str()), (422, "invalid"));
    assert_eq!(refused.2["detail"], "`document.number` is empty");
    assert_eq!(ask(&lan, "POST", "urgent", &notice("95", "05/CĐ")).await.0, 403, "not her unit");
    let (status, _, preview) = ask(&lan, "POST", "urgent", &notice("90001", "05/CĐ")).await;
    assert_eq!((status, &preview["devices"][0]["device"]), (201, &"loa-thon-1".into()));
    let jti = preview["notice"]["jti"].as_str().unwrap().to_owned();
    let send = format!("urgent/{jti}/send");
    let confirm = format!(r#"{{"confirm":{}}}"#, preview["confirm"]);
    assert_eq!(ask(&lan, "POST", &send, &confirm).await.0, 403);
    let other = format!(r#"{{"confirm":"{}"}}"#, "0".repeat(64));
    assert_eq!(ask(&minh, "POST", &send, &other).await.1, "unconfirmed");
    let (status, _, sent) = ask(&minh, "POST", &send, &confirm).await;
    assert_eq!((status, &sent["told"]), (202, &"waiting".into()), "there is no broker here");
    assert_eq!(sent["notice"]["sent_by"], "minh");
    assert_eq!(sent["tally"]["not_reached"], 1);
    assert_eq!(ask(&minh, "POST", &send, &confirm).await.1, "sent-already");
    let end = format!("urgent/{jti}/withdraw");
    assert_eq!(ask(&lan, "POST", &end, r#"{"reason":" "}"#).await.0, 422);
    assert_eq!(ask(&lan, "POST", &end, r#"{"reason":"báo nhầm"}"#).await.0, 202);
    assert_eq!(ask(&lan, "GET", "urgent", "").await.2["notices"][0]["state"], "withdrawn");
    assert_eq!(ask(&lan, "GET", "urgent/khong-co", "").await.0, 404);

    // A clip may be larger than other bodies, and is refused for what it is, not for its size.
    let (status, _, said) = ask(&lan, "POST", "urgent/clips", &"x".repeat(200_000)).await;
    assert_eq!(status, 422, "{said}");
    assert!(said["detail"].as_str().unwrap().starts_with("the clip cannot be used"), "{said}");

    let hold = r#"{"minutes":60,"reason":"Quốc tang"}"#;
    assert_eq!(ask(&lan, "PUT", "holds/95", hold).await.0, 403);
    let (status, _, held) = ask(&lan, "PUT", "holds/90001", hold).await;
    assert_eq!((status, &held["unconfirmed"]), (202, &1.into()));
    assert_eq!(held["devices"][0]["device"], "loa-thon-1");
    assert_eq!(ask(&lan, "PUT", "holds/90001", r#"{"reason":"x"}"#).await.0, 422, "until when?");
    let release = r#"{"reason":"xong"}"#;
    assert_eq!(ask(&lan, "POST", "holds/90001/release", release).await.0, 202);
    assert_eq!(ask(&lan, "POST", "holds/90001/release", release).await.1, "not-held");
    assert_eq!(ask(&minh, "GET", "holds", "").await.2["holds"][0]["state"], "released");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_answers_and_says_when_nothing_is_in_force() {
    let front = front().await;
    for path in [
        "station",
        "station/faults",
        "units",
        "devices",
        "devices/loa-thon-1",
        "records",
        "enrolment-codes",
        "people",
        "me",
        "trail",
        "outcomes?device=loa-thon-1",
        "openapi.json",
    ] {
        let got = front.get(&format!("/api/v1/{path}")).await;
        assert_eq!(got.status(), 200, "{path}");
        assert!(json(got).is_object(), "{path}");
    }
    for path in ["playlists", "on-air", "assets", "devices/loa-thon-1/timetable"] {
        let got = front.get(&format!("/api/v1/{path}")).await;
        assert_eq!(got.status(), 503, "{path}");
        assert_eq!(json(got)["code"], "not-ready", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_with_place_value_and_remedy() {
    let front = front().await;
    let cases = [
        ("/api/v1/records?device=X", 422, "invalid", "`X` is not a device id"),
        ("/api/v1/records?from=yesterday", 422, "invalid", "`yesterday` is not an instant"),
        ("/api/v1/records?limt=5", 400, "invalid", "limt"),
        ("/api/v1/outcomes", 400, "invalid", "device"),
        ("/api/v1/devices/loa-nowhere", 404, "not-found", "no device `loa-nowhere`"),
        ("/api/v1/nothing", 404, "not-found", "/api/v1/nothing"),
        ("/nothing", 404, "not-found", "/nothing"),
        ("/a/xyz", 422, "invalid", "`xyz` is not a SHA-256"),
    ];
    for (path, status, code, detail) in cases {
        let got = front.get(path).await;
        assert_eq!(got.status(), status, "{path}");
        let problem = json(got);
        assert_eq!(problem["code"], code, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{path}: {problem}");
    }
    let path = "/api/v1/devices";
    for (body, status, detail) in [
        ("{", 400, "JSON"),
        ("{}", 422, "missing field"),
        (r#"{"id":"a b","name":"x","unit":"90001","profile":"p"}"#, 422, "`a b` is not a device"),
        (r#"{"id":"loa-2","name":"x","unit":"90009","profile":"p"}"#, 422, "no unit `90009`"),
        (r#"{"id":"loa-thon-1","name":"x","unit":"90001","profile":"p"}"#, 409, "registered"),
        (r#"{"id":"loa-2","name":" ","unit":"90001","profile":"p"}"#, 422, "name"),
    ] {
        let got = front.post(path, body).await;
        assert_eq!(got.status(), status, "{body}");
        let problem = json(got);
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{body}: {problem}");
    }
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(100_000));
    assert_eq!(front.post(path, &large).await.status(), 413);
    let got = front.ask("DELETE", "/healthz", &[], "").await;
    assert_eq!((got.status().as_u16(), json(got)["code"].clone()), (405, "method".into()));
    assert_eq!(front.store.devices().await.unwrap().len(), 1, "nothing was registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_registers_by_api_and_enrols_once() {
    let front = front().await;
    let body = r#"{"id":"loa-moi","name":"Loa mới","unit":"90001","profile":"loa-ip"}"#;
    let got = front.post("/api/v1/devices", body).await;
    assert_eq!(got.status(), 201);
    let registered = json(got);
    let code: Code = registered["code"]["code"].as_str().unwrap().parse().unwrap();
    let key = SecretKey::from_seed(&[7; 32]);
    let request = Request::sign(&key, &code.secret, &[1; 16], "test");
    let mut got = front.enrol(&request).await;
    assert_eq!(got.status(), 200);
    let enrolled = Answer::open(&bytes(&mut got), &code, &request).unwrap();
    assert_eq!(enrolled.welcome.id.as_str(), "loa-moi");
    let units: Vec<_> = enrolled.welcome.units.iter().map(ToString::to_string).collect();
    assert_eq!(units, ["90001", "95"]);
    // The picture knows the password before the device does: it logs in at once.
    let known = front.live.devices().get(&enrolled.welcome.id).cloned().unwrap();
    let Standing::Enrolled { password, kid, .. } = known.standing else { panic!("not enrolled") };
    assert_eq!(password, Digest::of(enrolled.welcome.password.as_bytes()));
    assert_eq!(kid, key.kid().to_string());

    let again = Request::sign(&SecretKey::from_seed(&[8; 32]), &code.secret, &[2; 16], "test");
    let got = front.enrol(&again).await;
    assert_eq!(got.status(), 410);
    assert_eq!(json(got)["code"], "code-used");
    let codes = json(front.get("/api/v1/enrolment-codes").await);
    assert_eq!(codes["codes"][0]["state"], "used");
    assert_eq!(codes["codes"][0]["refused"], 1);
    assert_eq!(codes["codes"][0]["last_refusal"], "code-used");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_unknown_or_mismatching_code_enrols_nothing_and_is_shown() {
    let front = front().await;
    let code = front.code().await;
    let key = SecretKey::from_seed(&[7; 32]);
    // Right code, wrong proof: the name of the code is public, its secret is not.
    let mut forged = front.code().await;
    forged.secret = loa::wire::enrol::Secret::new([0; 16]);
    let unknown = Request::sign(&key, &forged.secret, &[1; 16], "test");
    let got = front.enrol(&unknown).await;
    assert_eq!((got.status().as_u16(), json(got)["code"].clone()), (403, "code-unknown".into()));
    let honest = Request::sign(&key, &code.secret, &[1; 16], "test");
    let claims = Request::open(&honest).unwrap().claims;
    let mismatching = Request { mac: claims.nonce.clone() + &claims.nonce[..21], ..claims };
    let mismatching = loa::wire::jws::sign(&key, loa::wire::jws::Typ::EnrolRequest, &mismatching);
    let got = front.enrol(&mismatching).await;
    assert_eq!((got.status().as_u16(), json(got)["code"].clone()), (403, "code-mismatch".into()));
    for garbage in ["", "x", "a.b.c", &"x".repeat(20_000)] {
        assert_eq!(front.enrol(garbage).await.status(), 422);
    }
    front.clock.pass(73 * 3_600_000);
    let got = front.enrol(&honest).await;
    assert_eq!((got.status().as_u16(), json(got)["code"].clone()), (410, "code-expired".into()));
    let codes = json(front.get("/api/v1/enrolment-codes").await);
    let of_code = codes["codes"].as_array().unwrap().iter().find(|c| c["refused"] == 2).unwrap();
    assert_eq!(of_code["last_refusal"], "code-expired");
    let standing = front.store.devices().await.unwrap().remove(0).standing;
    assert_eq!(standing, Standing::Awaiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_guess_codes_for_long() {
    let front = front().await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(front.enrol("x").await.status().as_u16());
    }
    assert_eq!(statuses.first(), Some(&422));
    assert_eq!(statuses.last(), Some(&429));
    front.clock.pass(60_000);
    assert_eq!(front.enrol("x").await.status(), 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_links_lock_the_address_out_and_the_answer_says_for_how_long() {
    let front = front().await;
    for _ in 0..5 {
        assert_eq!(front.get("/in/wrong").await.status(), 401);
    }
    let refused = front.get("/in/wrong").await;
    assert_eq!(refused.status(), 429);
    let wait: u32 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=901).contains(&wait), "{wait}");
    assert_eq!(json(refused)["code"], "too-many");
    front.clock.pass(i64::from(wait) * 1_000);
    assert_eq!(front.get("/in/wrong").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_lock_guessers_out_and_not_who_has_a_good_one_at_the_same_address() {
    let front = front().await;
    // What a proxy may say is not believed: each request counts for who really connected.
    let guess = async |n: u32| {
        let from = format!("10.0.0.{n}");
        let headers = [("authorization", "Bearer wrong"), ("x-forwarded-for", from.as_str())];
        front.ask("GET", "/api/v1/station", &headers, "").await.status().as_u16()
    };
    for n in 0..5 {
        assert_eq!(guess(n).await, 401);
    }
    assert_eq!(guess(9).await, 429);
    assert_eq!(front.get("/api/v1/station").await.status(), 200, "the administrator comes in");
    assert_eq!(guess(9).await, 429, "which opens nothing to who guesses");
    front.clock.pass(15 * 60_000 + 1);
    assert_eq!(guess(9).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_is_served_whole_and_in_ranges() {
    let front = front().await;
    let asset: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let name = Digest::of(&asset);
    std::fs::write(front.shelf.path().join(name.to_string()), &asset).unwrap();
    let path = format!("/a/{name}");
    let mut got = front.ask("GET", &path, &[], "").await;
    assert_eq!(got.status(), 200);
    assert_eq!(header(&got, "accept-ranges"), "bytes");
    let etag = header(&got, "etag").to_owned();
    assert_eq!(bytes(&mut got), asset);
    let mut got = front.ask("GET", &path, &[("range", "bytes=100000-150000")], "").await;
    assert_eq!(got.status(), 206);
    assert_eq!(header(&got, "content-range"), "bytes 100000-150000/200000");
    assert_eq!(bytes(&mut got), &asset[100_000..=150_000]);
    let got = front.ask("GET", &path, &[("range", "bytes=200000-")], "").await;
    assert_eq!(got.status(), 416);
    assert_eq!(header(&got, "content-range"), "bytes */200000");
    let got = front.ask("GET", &path, &[("if-none-match", &etag)], "").await;
    assert_eq!(got.status(), 304);
    let range = [("range", "bytes=0-9"), ("if-range", "\"other\"")];
    assert_eq!(front.ask("GET", &path, &range, "").await.status(), 200);
    let got = front.ask("GET", &format!("/a/{}", Digest::of(b"none")), &[], "").await;
    assert_eq!(got.status(), 404);
    for sly in ["/a/..%2f..%2fetc%2fpasswd", "/a/%00", "/a/"] {
        let status = front.ask("GET", sly, &[], "").await.status();
        assert!(status == 422 || status == 404, "{sly}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_for_this_machine_or_for_who_has_a_link() {
    let front = front().await;
    let foreign = [("host", "loa.example.vn")];
    let got = front.ask("GET", "/", &foreign, "").await;
    assert_eq!(got.status(), 401, "a name that is not loopback is somebody else's");
    let proxied = [("x-forwarded-for", "10.1.2.3")];
    assert_eq!(front.ask("GET", "/", &proxied, "").await.status(), 401);
    let mut got = front.ask("GET", "/", &[], "").await;
    assert_eq!(got.status(), 200, "this machine");
    let policy = header(&got, "content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(header(&got, "x-content-type-options"), "nosniff");
    let page = String::from_utf8(bytes(&mut got)).unwrap();
    assert!(page.contains("Loa thôn 1") && page.contains("Asia/Ho_Chi_Minh"));
    assert_eq!(front.ask("GET", "/style.css", &foreign, "").await.status(), 200);

    let link = json(front.post("/api/v1/links", "").await)["path"].as_str().unwrap().to_owned();
    let got = front.ask("GET", &link, &foreign, "").await;
    assert_eq!(got.status(), 303);
    let cookie = header(&got, "set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let session = cookie.split(';').next().unwrap().to_owned();
    let with = [("host", "loa.example.vn"), ("cookie", session.as_str())];
    assert_eq!(front.ask("GET", "/", &with, "").await.status(), 200);
    assert_eq!(front.ask("GET", &link, &foreign, "").await.status(), 401, "a link works once");
    front.clock.pass(access::SESSION_MS);
    assert_eq!(front.ask("GET", "/", &with, "").await.status(), 401, "a session ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_what_is_missing() {
    let front = front().await;
    assert_eq!(front.ask("GET", "/healthz", &[], "").await.status(), 200);
    let got = front.ask("GET", "/readyz", &[], "").await;
    assert_eq!(got.status(), 503);
    let missing = json(got);
    for part in ["store", "station", "broker", "published", "ready"] {
        assert_eq!(missing[part], false, "{part}");
    }
    let mut got = front.ask("GET", "/metrics", &[], "").await;
    assert_eq!(got.status(), 200);
    assert!(header(&got, "content-type").starts_with("text/plain; version=0.0.4"));
    let _ = bytes(&mut got);
    let foreign = [("host", "loa.example.vn")];
    assert_eq!(front.ask("GET", "/metrics", &foreign, "").await.status(), 401);
}

#[tokio::test]
async fn a_revoked_device_is_out_at_once_and_its_replacement_comes_in_by_a_new_code() {
    let front = front().await;
    let first = SecretKey::from_seed(&[50; 32]);
    let old_code = front.code().await;
    let code = front.code().await;
    let request = Request::sign(&first, &code.secret, &[1; 16], "loa/0.1");
    assert_eq!(front.enrol(&request).await.status(), 200);
    let early = front.ask_as_token("DELETE", "/api/v1/devices/loa-thon-1", "").await;
    assert_eq!(json(early).get("code").unwrap(), "has-enrolled");

    front.clock.pass(5_000);
    let path = "/api/v1/devices/loa-thon-1/revocation";
    assert_eq!(front.post(path, r#"{"reason":" "}"#).await.status(), 422);
    let revoked = json(front.post(path, r#"{"reason":"mất trộm"}"#).await);
    assert_eq!(revoked["standing"], "revoked");
    let standing = front.live.devices().values().next().unwrap().standing.clone();
    assert!(matches!(standing, Standing::Revoked { .. }), "the broker's gate knows: {standing:?}");
    // A code that went with the device opens nothing any more, nor does its key ever again.
    let thief = Request::sign(&SecretKey::from_seed(&[51; 32]), &old_code.secret, &[2; 16], "");
    assert_eq!(json(front.enrol(&thief).await)["code"], "code-expired");

    let path = "/api/v1/devices/loa-thon-1/replacement";
    let issued = json(front.post(path, r#"{"reason":"cháy bo mạch","hours":2}"#).await);
    let code: Code = issued["code"].as_str().unwrap().parse().unwrap();
    let back = Request::sign(&first, &code.secret, &[3; 16], "");
    assert_eq!(json(front.enrol(&back).await)["code"], "key-spent");
    let second = Request::sign(&SecretKey::from_seed(&[52; 32]), &code.secret, &[4; 16], "");
    assert_eq!(front.enrol(&second).await.status(), 200);
    let trail = front.get("/api/v1/trail").await.body_mut().read_to_string().unwrap();
    assert!(trail.contains("revoke-device") && trail.contains("replace-device"), "{trail}");
    assert!(trail.contains("cháy bo mạch"), "{trail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_however_much_was_decided_since() {
    use loa::app::approval::{ChangeSet, Proposal, Stand, Together};
    use loa::app::ports::{ApprovalStep, Approvals as _};
    use loa::domain::approval::Preview;
    let front = front().await;
    let proposal = |n: i64, stand: Stand| Proposal {
        hash: Digest::of(&n.to_be_bytes()),
        revision: 0,
        made_ms: NOW.plus(n),
        base: 0,
        author: None,
        stand,
        votes: Vec::new(),
        change: ChangeSet::default(),
        together: Together::Alone,
        preview: Preview::default(),
        reach: std::collections::BTreeSet::new(),
        judged_ms: NOW,
    };
    let over = |n| proposal(n, Stand::Superseded { at_ms: NOW });
    let proposals = std::iter::once(proposal(0, Stand::Open)).chain((1..=300).map(over)).collect();
    let step = ApprovalStep { proposals, ..ApprovalStep::default() };
    front.store.approval_step(&step).await.unwrap();
    let listed = json(front.get("/api/v1/proposals").await);
    let hashes: Vec<_> =
        listed["proposals"].as_array().unwrap().iter().map(|p| &p["hash"]).collect();
    assert_eq!(hashes, [&Digest::of(&0_i64.to_be_bytes()).to_string()]);
    let all = json(front.get("/api/v1/proposals?all=true").await);
    assert_eq!(all["proposals"].as_array().unwrap().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_a_file_with_its_hash_and_nobody_sees_anothers_unit() {
    let front = front().await;
    front.store.put_units(&[unit("51", None), unit("90001", Some("51"))]).await.unwrap();
    front.store.put_devices(&[device("loa-1")], NOW).await.unwrap();
    let at = "/api/v1/reports/diary?unit=90001&month=2026-11";
    let mut first = front.get(&format!("{at}&format=csv")).await;
    assert_eq!(first.status(), 200);
    assert_eq!(header(&first, "content-type"), "text/csv; charset=utf-8");
    assert_eq!(header(&first, "loa-provisional"), "true");
    let tag = header(&first, "etag").to_owned();
    let name = header(&first, "content-disposition").to_owned();
    assert!(name.contains("diary_90001_2026-11.csv"), "{name}");
    let file = bytes(&mut first);
    assert_eq!(tag, format!("\"{}\"", Digest::of(&file)));
    let bearer = format!("Bearer {}", front.token);
    let known = [("authorization", bearer.as_str()), ("if-none-match", tag.as_str())];
    let same = front.ask("GET", &format!("{at}&format=csv"), &known, "").await;
    assert_eq!(same.status(), 304);
    let listed = json(front.get("/api/v1/reports").await);
    assert_eq!(listed["files"][0]["sha256"].as_str(), Some(tag.trim_matches('"')));
    assert_eq!(listed["files"].as_array().unwrap().len(), 1, "the same file again is not another");

    // Every fault has its status and a remedy.
    let refused = [
        ("/api/v1/reports/diary?unit=90009&month=2026-11", 404),
        ("/api/v1/reports/nothing?unit=90001&month=2026-11", 404),
        ("/api/v1/reports/heard?unit=90001&month=2026-11", 404),
        ("/api/v1/reports/diary?unit=90001", 422),
        ("/api/v1/reports/diary?unit=90001&month=2026-13", 422),
        ("/api/v1/reports/diary?unit=90001&from=2020-01-01&to=2026-01-01", 422),
        ("/api/v1/reports/diary?unit=90001&month=2026-11&format=doc", 422),
        ("/api/v1/reports/diary?unit=90001&month=2026-11&final=true", 409),
        ("/api/v1/heard?place=m%E1%BA%B7t%20tr%C4%83ng&at=2026-11-01T05:00:00Z", 404),
        ("/api/v1/heard?place=90001&at=yesterday", 422),
        ("/api/v1/heard?place=90001&at=2026-11-01T05:00:00Z&margin=9999", 422),
    ];
    for (path, status) in refused {
        let got = front.get(path).await;
        assert_eq!(got.status(), status, "{path}");
        let problem = json(got);
        assert!(problem["hint"].is_string() || status == 404, "{path}: {problem}");
    }
    let heard = front.get("/api/v1/heard?place=90001&at=2026-11-01T05:00:00Z").await;
    assert_eq!(json(heard)["answer"], "unknown", "a silent device is no proof of silence");
    let nobody = front.ask("GET", at, &[], "").await;
    assert_eq!(nobody.status(), 401);
}
