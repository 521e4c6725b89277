//! What is secret is shown by no `Debug`, no error, and lies in no file that others may read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use loa::wire::enrol::{Answer, Code, Request, Secret, Welcome};
use loa::wire::epoch::{self, KeysBody};
use loa::wire::jws::SecretKey;
use loa::wire::server_keys::{ServerKeys, secret_from_text, secret_text};
use std::fmt::{Debug, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

/// Every spelling in which bytes could be shown.
pub fn spellings(bytes: &[u8]) -> Vec<String> {
    let mut all = vec![format!("{bytes:?}"), format!("{bytes:x?}")];
    let hex = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    all.extend([hex.to_uppercase(), hex]);
    // Inside a longer text, base64 has one of three phases; the first and last letters depend on
    // the neighbours.
    for phase in 0..3 {
        let shifted = [&[0; 2][..phase], bytes].concat();
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            let text = text.trim_end_matches('=');
            let (from, to) = (if phase == 0 { 0 } else { phase + 1 }, text.len() - 1);
            all.push(text[from..to].to_owned());
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        all.push(text.to_owned());
    }
    // The pretty and the plain list of a `Vec<u8>` or an array.
    all.push(bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",\n    "));
    all
}

/// Returns where a text gives a secret away.
pub fn leak<'a>(text: &str, secrets: &'a [(String, Vec<u8>)]) -> Option<&'a str> {
    let shown = |bytes: &[u8]| spellings(bytes).iter().any(|spelling| text.contains(spelling));
    secrets.iter().find(|(_, bytes)| shown(bytes)).map(|(name, _)| &**name)
}

#[test]
fn the_search_finds_a_secret_in_every_spelling() {
    let secret: Vec<u8> = (0..32u8).map(|n| n.wrapping_mul(37).wrapping_add(11)).collect();
    let known = [("a secret".to_owned(), secret.clone())];
    let json = format!(r#"{{"password":"{}"}}"#, URL_SAFE_NO_PAD.encode(&secret));
    for shown in [
        format!("{secret:?}"),
        format!("{secret:#?}"),
        format!("key={}", STANDARD.encode(&secret)),
        format!("key={}", URL_SAFE_NO_PAD.encode(&secret)),
        STANDARD.encode([b"ab".as_slice(), &secret, b"cd"].concat()),
        STANDARD.encode([b"a".as_slice(), &secret].concat()),
        spellings(&secret)[2].clone(),
        json,
    ] {
        assert_eq!(leak(&shown, &known), Some("a secret"), "{shown}");
    }
    assert_eq!(leak("key=AAAA 1, 2, 3", &known), None);
}

/// Secrets of the values below, each of its own bytes.
struct Values {
    secrets: Vec<(String, Vec<u8>)>,
    shown: Vec<(&'static str, String)>,
}

impl Values {
    fn seed(&mut self, name: &str, start: u8) -> [u8; 32] {
        let bytes: [u8; 32] = std::array::from_fn(|i| {
            start.wrapping_add(u8::try_from(i).unwrap().wrapping_mul(29)) | 1
        });
        self.secrets.push((name.to_owned(), bytes.to_vec()));
        bytes
    }

    fn text(&mut self, name: &str, text: &str) -> String {
        self.secrets.push((name.to_owned(), text.as_bytes().to_vec()));
        text.to_owned()
    }

    fn show(&mut self, name: &'static str, value: &impl Debug) {
        self.shown.push((name, format!("{value:?}")));
        self.shown.push((name, format!("{value:#?}")));
    }

    fn say(&mut self, name: &'static str, error: &dyn std::error::Error) {
        self.shown.push((name, format!("{error:?}")));
        let mut next = Some(error);
        while let Some(error) = next {
            self.shown.push((name, error.to_string()));
            next = error.source();
        }
    }

    fn judge(&self) {
        assert!(self.shown.len() > 4);
        for (name, text) in &self.shown {
            assert_eq!(leak(text, &self.secrets), None, "{name} shows it: {text}");
        }
    }
}

fn values() -> Values {
    Values { secrets: Vec::new(), shown: Vec::new() }
}

#[test]
fn keys_and_what_holds_them_show_names_alone() {
    let mut all = values();
    let seeds = [10, 20, 30, 40, 50].map(|n| all.seed(&format!("the server's seed {n}"), n));
    let keys = ServerKeys::from_seeds(&seeds);
    all.show("ServerKeys", &keys);
    let root = SecretKey::from_seed(&all.seed("the root's seed", 60));
    all.show("SecretKey", &root);
    all.show("its clone", &Some(root.clone()));
    all.show("an epoch", &epoch::first(&root, &keys, 1_700_000_000));
    all.show("epochs", &KeysBody::new(vec![epoch::first(&root, &keys, 1_700_000_000)]));
    // Damaged files.
    let file = keys.to_file();
    for bad in
        [&file[..file.len() - 3], &file.replacen('"', "", 1), &file.replace("\"v\"", "\"w\"")]
    {
        all.say("a damaged key file", &ServerKeys::from_file(bad).unwrap_err());
    }
    let short = file.replacen(&*secret_text(&keys.time), &secret_text(&keys.time)[..40], 1);
    all.say("a key file with a short seed", &ServerKeys::from_file(&short).unwrap_err());
    all.show("a key read", &secret_from_text(&secret_text(&root)));
    all.judge();
}

#[test]
fn enrolment_shows_neither_code_nor_password() {
    let mut all = values();
    let secret: [u8; 16] = all.seed("the code's secret", 70)[..16].try_into().unwrap();
    all.secrets = vec![("the code's secret".into(), secret.to_vec())];
    let policy = SecretKey::from_seed(&all.seed("the policy seed", 80));
    let root = SecretKey::from_seed(&all.seed("the root's seed", 100));
    let device = SecretKey::from_seed(&all.seed("the device's seed", 90));
    let password = all.text("the password", "Zm9vYmFyYmF6cXV1eHh5enp5");
    let code = Code {
        url: "https://loa.example.vn:8443".into(),
        secret: Secret::new(secret),
        root: root.kid(),
        ca: None,
        exp: 1_800_000_000,
    };
    all.show("Secret", &code.secret);
    all.show("Code", &code);
    let text = code.text();
    for bad in
        [&text[..text.len() - 4], &text.replacen("loa1.", "loa2.", 1), &format!("{}x", *text)]
    {
        all.say("a damaged code", &bad.parse::<Code>().unwrap_err());
    }
    let request = Request::sign(&device, &code.secret, &[3; 16], "thử");
    all.show("Request", &Request::open(&request).unwrap().claims);
    let welcome = Welcome {
        v: 1,
        iss: "Đài xã".into(),
        iat: 1_700_000_000,
        request: loa::domain::ids::Digest::of(request.as_bytes()),
        id: "loa-1".parse().unwrap(),
        broker: "mqtts://127.0.0.1:8883".into(),
        ca: None,
        prefix: "loa/1".into(),
        user: "loa-1".into(),
        password,
        units: Vec::new(),
        http: None,
    };
    all.show("Welcome", &welcome);
    let others = ServerKeys::from_seeds(&[[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]]);
    let keys = ServerKeys { policy: policy.clone(), ..others };
    let epochs = KeysBody::new(vec![epoch::first(&root, &keys, 1_700_000_000)]);
    let floor = loa::wire::doc::Floor::first("loa-1".parse().unwrap(), 1, 1_700_000_000, 420);
    let floor = loa::wire::doc::sign(&policy, &floor).unwrap();
    let answer = Answer::new(&policy, epochs, floor, &welcome).unwrap();
    all.show("Answer", &answer);
    let bytes = answer.encode();
    for bad in [&bytes[..bytes.len() - 9], &[bytes.as_slice(), b"}"].concat()] {
        all.say("a damaged answer", &Answer::open(bad, &code, &request).unwrap_err());
    }
    all.show("Enrolled", &Answer::open(&bytes, &code, &request).unwrap());
    all.judge();
}

#[test]
fn connections_and_their_addresses_show_no_password() {
    use loa::mqtt::{BrokerUrl, MqttConfig, Password};
    let mut all = values();
    let word = all.text("the password", "mat-khau-rat-kin-123");
    all.show("Password", &Password::new(&*word));
    let url: BrokerUrl = "mqtt://127.0.0.1:1883".parse().unwrap();
    all.show("a device's", &MqttConfig::device(url.clone(), "loa-1", Password::new(&*word)));
    let login = Some(("loa.server".to_owned(), Password::new(&*word)));
    all.show("the server's", &MqttConfig::server(url, "loa.server", login));
    for address in [
        format!("mqtt://loa:{word}@127.0.0.1:1883"),
        format!("mqtt://{word}@127.0.0.1:1883"),
        format!("http://loa:{word}@127.0.0.1:1883"),
        format!("mqtts://loa:{word}@"),
        format!("mqtt://127.0.0.1:1883/?password={word}"),
        format!("mqtt://127.0.0.1:{word}"),
    ] {
        let error = address.parse::<BrokerUrl>().unwrap_err();
        if address.contains('@') {
            all.say("an address with a password", &error);
        }
    }
    all.judge();
}

#[cfg(feature = "server")]
#[test]
fn tokens_and_the_stations_authority_show_nothing() {
    use loa::app::access;
    use loa::app::ca::Authority;
    use loa::domain::time::UtcMs;
    let mut all = values();
    let token = access::Secret::random().unwrap();
    all.text("the token", token.reveal());
    all.show("a token", &token);
    let authority = Authority::make("Đài xã", UtcMs(1_700_000_000_000)).unwrap();
    let pem = authority.key_pem();
    let line = pem.lines().nth(1).unwrap().to_owned();
    all.text("the authority's key", &line);
    all.show("Authority", &authority);
    let cut = &pem[..pem.len() - 40];
    all.say("a damaged key", &Authority::read(authority.pem(), cut).unwrap_err());
    let other = Authority::make("Khác", UtcMs(1_700_000_000_000)).unwrap();
    if let Err(error) = Authority::read(other.pem(), &pem) {
        all.say("a key of another", &error);
    }
    all.show("again", &(1, &authority));
    all.judge();
}

/// Fields that hold no secret although they are called like one, and why.
const HARMLESS: &[(&str, &str)] = &[
    // Listening of `loa bench`: the password of a broker that lives for one measurement, on its
    // own stdout for the process that started it.
    ("Listening", "password"),
];

/// A new type with a secret in it must hide it: text or bytes under such a name may not stand in
/// a structure whose `Debug` is derived.
#[test]
fn no_derived_debug_holds_text_or_bytes_called_secret() {
    let mut found = Vec::new();
    let mut structures = 0;
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let live = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (name, field, kind) in shown_fields(live) {
            structures += 1;
            let words = ["password", "secret", "seed", "token", "passphrase", "bearer", "mac"];
            let called = words.iter().any(|word| field.split('_').any(|part| part == *word));
            let plain = ["String", "str", "Vec<u8>", "[u8", "Bytes"];
            let plain = plain.iter().any(|plain| kind.contains(plain));
            // The request's MAC proves one key and nonce once; it travels in the clear.
            let known =
                HARMLESS.contains(&(&*name, &*field)) || (name == "Request" && field == "mac");
            let called = called && !field.ends_with("_file");
            if (called && plain || kind.contains("Zeroizing")) && !known {
                found.push(format!("{}: {name}.{field}: {kind}", file.display()));
            }
        }
    }
    assert!(structures > 500, "only {structures} fields were read");
    assert!(found.is_empty(), "hide it in `Debug`, or give it a type that does: {found:#?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// Named fields of structures and variants whose `Debug` is derived: structure, field, type.
fn shown_fields(text: &str) -> Vec<(String, String, String)> {
    let mut fields = Vec::new();
    let (mut derived, mut inside): (bool, Option<(String, usize)>) = (false, None);
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let code = line.trim();
        if let Some((name, outer)) = &inside {
            if code.starts_with('}') && indent <= *outer {
                inside = None;
            } else if let Some((field, kind)) = code.split_once(": ") {
                let field = field.rsplit([' ', '{']).next().unwrap_or(field);
                let word = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
                if !code.starts_with("//") && !code.starts_with("#[") && field.chars().all(word) {
                    fields.push((
                        name.clone(),
                        field.to_owned(),
                        kind.split(',').next().unwrap_or(kind).to_owned(),
                    ));
                }
            }
            continue;
        }
        if code.starts_with("#[derive(") {
            derived = code.contains("Debug");
        } else if let Some(rest) = code
            .split_once("struct ")
            .or_else(|| code.split_once("enum "))
            .filter(|(before, _)| before.is_empty() || before.starts_with("pub"))
            .map(|(_, rest)| rest)
        {
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
            if derived && code.ends_with('{') {
                inside = Some((name.to_owned(), indent));
            }
            derived = false;
        }
    }
    fields
}

#[test]
fn the_reader_of_structures_reads_them() {
    let text = "#[derive(Clone, Debug)]\npub struct A {\n    /// Its password: kept.\n    pub password: String,\n}\nstruct B {\n    seed: [u8; 32],\n}\n#[derive(Debug)]\nenum C {\n    D { token: String },\n}\n";
    let fields = shown_fields(text);
    let names: Vec<_> = fields.iter().map(|(name, field, _)| (&**name, &**field)).collect();
    assert_eq!(names, [("A", "password"), ("C", "token")]);
}
