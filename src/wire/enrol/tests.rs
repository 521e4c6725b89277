use super::super::doc;
use super::super::epoch;
use super::super::server_keys::ServerKeys;
use super::*;
use proptest::prelude::*;

const NOW: UtcMs = UtcMs(1_800_000_000_000);

fn root() -> SecretKey {
    SecretKey::from_seed(&[200; 32])
}

fn server() -> ServerKeys {
    ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|n| [n; 32]))
}

fn device() -> SecretKey {
    SecretKey::from_seed(&[50; 32])
}

fn code() -> Code {
    Code {
        url: "https://loa.example:8443".to_owned(),
        secret: Secret::new([7; 16]),
        root: root().kid(),
        ca: Some(Digest::of(b"certificate")),
        exp: NOW.numeric_date() + 3_600,
    }
}

fn request() -> String {
    Request::sign(&device(), &code().secret, &[8; 16], "loa 0.1.0")
}

fn welcome() -> Welcome {
    Welcome {
        v: 1,
        iss: "Đài xã Tân Lập".to_owned(),
        iat: NOW.numeric_date(),
        request: Digest::of(request().as_bytes()),
        id: DeviceId::new("loa-thon-1").unwrap(),
        broker: "mqtts://loa.example:8883".to_owned(),
        ca: None,
        prefix: "loa/1".to_owned(),
        user: "loa-thon-1".to_owned(),
        password: b64::encode(&[9; 16]),
        units: vec!["00070-thon1".parse().unwrap(), "00070".parse().unwrap()],
        http: None,
    }
}

fn floor(id: &str) -> String {
    let floor = Floor::first(DeviceId::new(id).unwrap(), NOW.0, NOW.numeric_date(), 420);
    doc::sign(&server().policy, &floor).unwrap()
}

fn answer(policy: &SecretKey, floor: String, welcome: &Welcome) -> Vec<u8> {
    let keys = KeysBody::new(vec![epoch::first(&root(), &server(), NOW.numeric_date())]);
    Answer::new(policy, keys, floor, welcome).unwrap().encode()
}

#[test]
fn a_code_is_read_back_from_both_forms() {
    for text in [code().text(), code().url_form(), Zeroizing::new(format!(" {}\n", *code().text()))]
    {
        assert_eq!(text.parse::<Code>(), Ok(code()), "{}", *text);
    }
    assert!(code().url_form().starts_with("https://loa.example:8443/enrol#loa1."));
    assert!(!code().is_expired(NOW) && code().is_expired(NOW.plus(3_600_000)));
    let shown = format!("{:?}", code());
    assert!(!shown.contains(code().secret.text().as_str()) && !shown.contains("7, 7"));
}

#[test]
fn a_damaged_code_is_refused() {
    let text = code().text().to_string();
    for bad in [
        String::new(),
        "loa1.".to_owned(),
        text[..text.len() - 1].to_owned(),
        text.replacen("loa1", "loa2", 1),
        format!("https://evil.example/enrol#{text}"),
        "x".repeat(limits::CODE_BYTES + 1),
    ] {
        assert!(bad.parse::<Code>().is_err(), "{bad}");
    }
    for url in ["ftp://x", "https://", "https://x/y", "https://x?y", "https://u@x", "x"] {
        let bad = Code { url: url.to_owned(), ..code() };
        assert_eq!(bad.text().parse::<Code>().unwrap_err().reason(), "code", "{url}");
    }
}

#[test]
fn a_request_proves_key_and_secret() {
    let opened = Request::open(&request()).unwrap();
    assert_eq!(opened.kid, device().kid());
    assert_eq!(opened.claims.code, code().secret.code_id());
    assert!(opened.claims.proves(&code().secret));
    assert!(!opened.claims.proves(&Secret::new([6; 16])));
    // Another key with the same proof: the proof names the key.
    let mut stolen = opened.claims.clone();
    stolen.key = SecretKey::from_seed(&[51; 32]).public();
    let text = jws::sign(&SecretKey::from_seed(&[51; 32]), Typ::EnrolRequest, &stolen);
    assert!(!Request::open(&text).unwrap().claims.proves(&code().secret));
    // A request that names a key it is not signed by.
    let text = jws::sign(&SecretKey::from_seed(&[51; 32]), Typ::EnrolRequest, &opened.claims);
    assert_eq!(Request::open(&text).unwrap_err().reason(), "unknown-key");
}

#[test]
fn an_answer_enrols_only_whom_it_answers() {
    let good = answer(&server().policy, floor("loa-thon-1"), &welcome());
    let enrolled = Answer::open(&good, &code(), &request()).unwrap();
    assert_eq!(enrolled.welcome, welcome());
    assert_eq!(enrolled.floor.claims.aud, welcome().id);
    assert_eq!(enrolled.keys.epoch(), 1);

    let open = |bytes: &[u8], code: &Code, request: &str| {
        Answer::open(bytes, code, request).unwrap_err().reason()
    };
    let another = Request::sign(&device(), &code().secret, &[1; 16], "loa 0.1.0");
    assert_eq!(open(&good, &code(), &another), "nonce");
    let foreign = Code { root: device().kid(), ..code() };
    assert_eq!(open(&good, &foreign, &request()), "root");
    let wrong_role = answer(&server().schedule, floor("loa-thon-1"), &welcome());
    assert_eq!(open(&wrong_role, &code(), &request()), "role");
    let wrong_floor = answer(&server().policy, floor("loa-thon-2"), &welcome());
    assert_eq!(open(&wrong_floor, &code(), &request()), "aud");
    assert_eq!(open(b"{}", &code(), &request()), "member");
    assert_eq!(open(b"", &code(), &request()), "empty");
    assert!(!format!("{enrolled:?}").contains(&welcome().password));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Answer::open(&bytes, &code(), "");
        let text = String::from_utf8_lossy(&bytes);
        let _ = text.parse::<Code>();
        let _ = Request::open(&text);
        let _ = format!("loa1.{}", b64::encode(&bytes)).parse::<Code>();
    }
}
