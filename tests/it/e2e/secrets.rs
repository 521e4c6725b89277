//! With everything logged, no process says a secret, and no file with one is open to others.

use super::commune::Commune;
use super::process::{Running, binary, run, wait_for};
use crate::secrets::leak;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const LOA: &str = "loa-dinh-lang";

/// A commune in which everything is logged.
struct Traced {
    commune: Commune,
    secrets: Vec<(String, Vec<u8>)>,
    /// What commands said beside their answer.
    said: Vec<(String, String)>,
}

impl Traced {
    fn secret(&mut self, name: &str, bytes: &[u8]) {
        assert!(bytes.len() >= 16, "{name} is too short to be looked for");
        self.secrets.push((name.to_owned(), bytes.to_vec()));
    }

    /// A text, and what it spells in base64url.
    fn text(&mut self, name: &str, text: &str) {
        self.secret(name, text.as_bytes());
        if let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) {
            self.secret(name, &bytes);
        }
    }

    /// Runs a command at the most talkative level; returns its answer.
    fn ask(&mut self, args: &[&str]) -> Value {
        let data = self.commune.path("data").display().to_string();
        let all = [&["--log", "trace"], args, &["--data", &data, "--json"]].concat();
        let (code, out, err) = run(&all);
        assert_eq!(code, 0, "{args:?}\n{out}\n{err}");
        self.said.push((format!("stderr of {}", args.join(" ")), err));
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}"))
    }

    /// Runs a command that shall fail; all it says is searched.
    fn fails(&mut self, args: &[&str]) {
        let (code, out, err) = run(&[&["--log", "trace"], args].concat());
        assert_ne!(code, 0, "{args:?}\n{out}");
        assert!(!err.is_empty());
        self.said.push((format!("what {} says", args[..2].join(" ")), out + &err));
    }

    /// Starts a process at that level.
    fn start(&self, args: &[&str], data: &str, log: &str) -> Running {
        let mut command = Command::new(binary());
        command.args(["--log", "trace"]).args(args).arg("--data").arg(self.commune.path(data));
        command.arg("--profiles").arg(self.commune.path("profiles"));
        // Libraries that look at the usual variable are as talkative.
        command.env("RUST_LOG", "trace");
        Running::start(command, &self.commune.path(log))
    }

    /// Every secret that lies in the folders of the server.
    fn gather_keys(&mut self, when: &str) {
        let keys: Value =
            serde_json::from_slice(&fs::read(self.commune.path("data/keys.json")).unwrap())
                .unwrap();
        for (role, seed) in keys["seeds"].as_object().unwrap() {
            self.text(&format!("the {role} key {when}"), seed.as_str().unwrap());
        }
    }

    fn gather_pem(&mut self, file: &str) {
        let text = fs::read_to_string(self.commune.path(file)).unwrap();
        assert!(text.contains("PRIVATE KEY"), "{file}");
        let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('-')).collect();
        for line in &body {
            if line.len() >= 32 {
                self.secret(file, line.as_bytes());
            }
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(body.concat()).unwrap();
        // PKCS #8 begins alike for all keys of a kind.
        self.secret(file, &bytes[bytes.len() / 2..]);
    }

    fn judge(&self, logs: &[&str]) {
        assert!(self.secrets.len() > 25, "{}", self.secrets.len());
        let mut texts = self.said.clone();
        for log in logs {
            let said = fs::read_to_string(self.commune.path(log)).unwrap();
            assert!(said.contains(" TRACE ") || said.contains(" DEBUG "), "{log} is talkative");
            texts.push(((*log).to_owned(), said));
        }
        for (name, text) in &texts {
            for line in text.lines() {
                assert_eq!(leak(line, &self.secrets), None, "{name}: {line}");
            }
        }
    }
}

fn page(commune: &Commune, path: &str, more: &[&str]) -> u16 {
    commune.curl(path, &[&["--insecure", "--output", "/dev/null"], more].concat()).unwrap().0
}

#[test]
fn at_the_most_talkative_level_no_process_says_a_secret_and_no_file_of_one_is_open() {
    let commune = Commune::new();
    let usb = commune.path("usb.txt").display().to_string();
    let (playlists, profiles) = [commune.path("playlists"), commune.path("profiles")]
        .map(|p| p.display().to_string())
        .into();
    let folders = ["--playlists", &playlists, "--profiles", &profiles];
    let mut all = Traced { commune, secrets: Vec::new(), said: Vec::new() };
    let init = ["init", "--approval", "off", "--tls", "loa.xa.vn", "--root-out", &usb];
    let made = all.ask(&[&init, &folders[..]].concat());
    all.text("the first token", made["token"].as_str().unwrap());
    let paper = fs::read_to_string(&usb).unwrap();
    let root = paper.lines().find_map(|line| line.strip_prefix("Key:")).unwrap().trim().to_owned();
    all.text("the root key", &root);
    all.gather_keys("at first");
    all.gather_pem("data/ca/key.pem");
    all.gather_pem("playlists/tls/key.pem");

    let mut server = all.start(&["serve", "--playlists", &playlists], "data", "server.log");
    wait_for("a ready server", 30, || {
        server.assert_alive();
        all.commune.get("/readyz").filter(|(status, _)| *status == 200)
    });

    // A device enrols, also with codes that are wrong.
    let code = all.ask(&[&["device", "enrol", LOA], &folders[..]].concat());
    let code = code["code"].as_str().unwrap().to_owned();
    let body: Value = serde_json::from_slice(
        &URL_SAFE_NO_PAD.decode(code.strip_prefix("loa1.").unwrap()).unwrap(),
    )
    .unwrap();
    all.text("the secret of the code", body["secret"].as_str().unwrap());
    all.secret("the code", code.as_bytes());
    let elsewhere = all.commune.path("khác").display().to_string();
    let broken = &code[..code.len() - 5];
    all.fails(&["speaker", "--enrol", broken, "--data", &elsewhere]);
    let device = all.start(&["speaker", "--enrol", &code, "--sink", "null"], LOA, "device.log");
    let identity = all.commune.path(&format!("{LOA}/identity.json"));
    wait_for("the first records", 60, || {
        (!all.commune.records_of(LOA, "boot").is_empty()).then_some(())
    });
    let identity: Value = serde_json::from_slice(&fs::read(identity).unwrap()).unwrap();
    all.text("the device's password", identity["password"].as_str().unwrap());
    let key = fs::read_to_string(all.commune.path(&format!("{LOA}/key"))).unwrap();
    all.text("the device's key", key.trim());
    // A code that was used once more.
    all.fails(&["speaker", "--enrol", &code, "--data", &elsewhere]);

    // People, right and wrong tokens, the page.
    let add = ["user", "add", "lan", "--name", "Lan", "--role", "operator", "--token"];
    let token = all.ask(&add)["token"].as_str().unwrap().to_owned();
    all.text("a person's token", &token);
    for (given, status) in [(token.clone(), 200), (format!("{}x", &token[1..]), 401)] {
        let bearer = format!("authorization: Bearer {given}");
        assert_eq!(page(&all.commune, "/api/v1/devices", &["--header", &bearer]), status);
        all.secret("a token that was shown", given.as_bytes());
    }
    let link = all.ask(&[&["link"], &folders[..]].concat())["link"].as_str().unwrap().to_owned();
    let secret = link.rsplit_once("/in/").unwrap().1.to_owned();
    all.text("a link", &secret);
    let jar = all.commune.path("cookies").display().to_string();
    let path = format!("/in/{secret}");
    assert_eq!(page(&all.commune, &path, &["--cookie-jar", &jar]), 303);
    assert_eq!(page(&all.commune, "/", &["--cookie", &jar]), 200);
    assert_ne!(page(&all.commune, &path, &[]), 303, "a link works once");
    let cookies = fs::read_to_string(&jar).unwrap();
    let session = cookies.split_whitespace().last().unwrap().to_owned();
    all.text("a session of the page", &session);

    // Keys are rotated and everything is backed up while it runs.
    all.ask(&["keys", "rotate", "--root", &usb]);
    all.gather_keys("after the rotation");
    let backup = all.commune.path("sao lưu.loa").display().to_string();
    let passphrase = "bốn từ không ai đoán";
    all.text("the passphrase of the backup", passphrase);
    all.commune.write("pw", passphrase);
    let pw = all.commune.path("pw").display().to_string();
    let with = ["--with-keys", "--passphrase-file", &pw, "--out", &backup];
    all.ask(&[&["backup"], &with[..], &folders[..]].concat());
    device.terminate(20);
    server.terminate(20);
    all.judge(&["server.log", "device.log"]);

    // What lies there is its owner's alone.
    for folder in ["data", "data/assets", "data/ca", LOA, "playlists/tls"] {
        assert_eq!(mode(&all.commune.path(folder)), 0o700, "{folder}");
    }
    let mut holders = Vec::new();
    for folder in ["data", LOA, "playlists"] {
        walk(&all.commune.path(folder), &mut |path| {
            let bytes = fs::read(path).unwrap();
            if leak(&String::from_utf8_lossy(&bytes), &all.secrets).is_some() {
                assert_eq!(mode(path), 0o600, "{}", path.display());
                holders.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        });
    }
    for known in ["keys.json", "key.pem", "key", "identity.json"] {
        assert!(holders.iter().any(|name| name == known), "{known} holds none of {holders:?}");
    }
    // The store holds the secrets of open codes.
    for file in [&all.commune.path("data/store.db"), Path::new(&backup), Path::new(&usb)] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Shows every file below. A closed folder closes what is in it, but a copy of a file keeps the
/// file's own mode.
fn walk(folder: &Path, show: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, show) } else { show(&path) }
    }
}
