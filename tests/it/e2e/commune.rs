//! A commune in a temporary folder: station folder, server, devices.

use super::process::{Running, binary, free_port, json, run, wait_for};
use super::sound::write_chirp;
use loa::clock::{Clock as _, SystemClock};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The clip of every sounding cue, in seconds.
pub const CLIP_S: i64 = 3;

/// A commune with a loudspeaker `loa-dinh-lang` and a board `bang-cong`.
pub struct Commune {
    http: u16,
    mqtt: u16,
    pub server: Option<Running>,
    /// Goes last: a server that is dropped may have something to say from its log.
    folder: TempDir,
}

/// One time of day in the station's zone, `seconds` from now.
pub fn in_seconds(seconds: i64) -> i64 {
    (SystemClock::new().now().0 / 1000 + seconds) * 1000
}

/// Hours by which the station's zone is ahead of UTC, such that it is about noon there: at night
/// devices keep quiet, as they must, and no day ends in the middle of a test.
fn ahead() -> i64 {
    static AHEAD: OnceLock<i64> = OnceLock::new();
    *AHEAD.get_or_init(|| 12 - SystemClock::new().now().0.rem_euclid(86_400_000) / 3_600_000)
}

/// The name of that zone; these names have the sign of the other direction.
pub fn zone() -> String {
    format!("Etc/GMT{:+}", -ahead())
}

/// The station's date at an instant, `YYYY-MM-DD`.
pub fn local_date(ms: i64) -> String {
    let local = chrono::DateTime::from_timestamp_millis(ms + ahead() * 3_600_000).unwrap();
    local.format("%Y-%m-%d").to_string()
}

/// Writes an instant as the station's local time, `HH:MM:SS`.
pub fn local_time(ms: i64) -> String {
    let of_day = (ms / 1000 + ahead() * 3600).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

impl Commune {
    /// Lays out the folder; nothing runs yet.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("xã Đông Hoà ").tempdir().unwrap();
        let commune = Self { folder, http: free_port(), mqtt: free_port(), server: None };
        let playlists = commune.path("playlists");
        fs::create_dir_all(playlists.join("clips")).unwrap();
        fs::create_dir_all(commune.path("profiles")).unwrap();
        commune.station("");
        commune.write(
            "playlists/units.csv",
            "id,name,parent\n51,Tỉnh Quảng Ngãi,\n99901,Xã Đông Hoà,51\n99901-dinh,Thôn Đình,99901\n",
        );
        commune.write(
            "playlists/devices.csv",
            "id,name,unit,tags,profile\n\
             loa-dinh-lang,Loa đình làng,99901-dinh,loa,loa-thu\n\
             bang-cong,Bảng cổng Uỷ ban,99901,bang,bang-thu\n",
        );
        commune.write(
            "profiles/loa-thu.toml",
            "title = \"Loa thử\"\nstorage_mib = 64\n[speaker]\ncodecs = [\"wav\", \"mp3\"]\n",
        );
        commune.write(
            "profiles/bang-thu.toml",
            "title = \"Bảng thử\"\nstorage_mib = 64\n[board]\nwidth_px = 64\nheight_px = 32\n",
        );
        write_chirp(&playlists.join("clips/tiếng còi.wav"), CLIP_S as f64);
        commune
    }

    /// The ports of `http` and of the embedded broker.
    pub fn ports(&self) -> (u16, u16) {
        (self.http, self.mqtt)
    }

    /// Writes the station file, with further sections.
    pub fn station(&self, more: &str) {
        let (http, mqtt) = (self.http, self.mqtt);
        self.write(
            "playlists/station.toml",
            &format!(
                "name = \"Đài truyền thanh xã Đông Hoà\"\nzone = \"{}\"\napproval = \"off\"\n\
                 [listen]\nhttp = \"127.0.0.1:{http}\"\nmqtt = \"127.0.0.1:{mqtt}\"\n{more}",
                zone()
            ),
        );
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn write(&self, below: &str, text: &str) {
        fs::write(self.path(below), text).unwrap();
    }

    /// Writes the playlist `thu`: the chirp at each of the instants, and a text for the board
    /// that stands for a minute from the first of them on.
    pub fn playlist(&self, instants: &[i64]) {
        let mut at = String::new();
        for instant in instants {
            let _ = write!(at, "\"{}\", ", local_time(*instant));
        }
        let text = format!(
            r#"title = "Bản tin thử"
[targets]
units = ["99901"]
[[items]]
id = "coi"
title = "Tiếng còi"
clip = "clips/tiếng còi.wav"
origin = "xã"
[[items]]
id = "chu"
title = "Chữ trên bảng"
[[items.pages]]
text = "Kính chào bà con"
dwell = "2s"
[[slots]]
id = "loa"
at = [{at}]
longest = "10s"
items = ["coi"]
[[slots]]
id = "bang"
at = ["{}"]
longest = "20s"
items = ["chu"]
"#,
            local_time(instants[0])
        );
        self.write("playlists/thu.toml", &text);
    }

    fn arg(&self, below: &str) -> String {
        self.path(below).display().to_string()
    }

    /// Runs a command that needs the data folder and prints JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let data = self.arg("data");
        let mut all = args.to_vec();
        all.extend(["--data", &data, "--json"]);
        json(&all)
    }

    pub fn init(&self) {
        self.init_with(&[]);
    }

    /// Initialises with further options; returns what was printed.
    pub fn init_with(&self, more: &[&str]) -> Value {
        let (playlists, profiles) = (self.arg("playlists"), self.arg("profiles"));
        let mut args =
            vec!["init", "--approval", "off", "--playlists", &playlists, "--profiles", &profiles];
        args.extend(more);
        let made = self.json(&args);
        self.write("token", made["token"].as_str().unwrap());
        made
    }

    /// Orders something of the server, as the person whose token was printed at first.
    pub fn ordered(&self, args: &[&str]) -> Value {
        let (server, token) = (format!("http://127.0.0.1:{}", self.http), self.arg("token"));
        let mut all = args.to_vec();
        all.extend(["--server", &server, "--token-file", &token, "--json"]);
        let (code, out, err) = run(&all);
        // 1 means that a device has not confirmed yet: the answer says which.
        assert!(code <= 1, "{args:?}\n{out}\n{err}");
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}\n{err}"))
    }

    /// Initialises so that a second person approves what sounds; returns what was printed.
    pub fn init_with_approval(&self) -> Value {
        let (playlists, profiles) = (self.arg("playlists"), self.arg("profiles"));
        self.json(&["init", "--playlists", &playlists, "--profiles", &profiles])
    }

    /// Asks the API with a token; returns status and answer.
    pub fn api(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.http);
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(body.to_owned())
            .unwrap();
        let mut answer = agent.run(request).unwrap();
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().unwrap();
        let value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{method} {path}: {status}, {error}\n{text}"));
        (status, value)
    }

    /// Puts sections at the end of the station file.
    pub fn more(&self, sections: &str) {
        let file = self.path("playlists/station.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{text}{sections}")).unwrap();
    }

    /// Puts lines before the sections of the station file.
    pub fn front(&self, lines: &str) {
        let file = self.path("playlists/station.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{lines}{text}")).unwrap();
    }

    /// Starts the server and waits until it says that it is ready.
    pub fn serve(&mut self) {
        self.serve_with(&[]);
    }

    /// Starts the server with further options.
    pub fn serve_with(&mut self, more: &[&str]) {
        let mut server = self.start_server("server.log", more);
        wait_for("a ready server", 30, || {
            server.assert_alive();
            self.get("/readyz").filter(|(status, _)| *status == 200)
        });
        self.server = Some(server);
    }

    /// Starts a server and does not wait for anything.
    pub fn start_server(&self, log: &str, more: &[&str]) -> Running {
        let mut command = Command::new(binary());
        command.args(["--log", "info", "serve", "--data", &self.arg("data")]);
        command.args(["--playlists", &self.arg("playlists")]);
        command.args(["--profiles", &self.arg("profiles")]).args(more);
        Running::start(command, &self.path(log))
    }

    /// Makes an enrolment code.
    pub fn code(&self, device: &str) -> String {
        let code = self.json(&[
            "device",
            "enrol",
            device,
            "--playlists",
            &self.arg("playlists"),
            "--profiles",
            &self.arg("profiles"),
        ]);
        code["code"].as_str().unwrap().to_owned()
    }

    /// Enrols a device; it ends when that is done or stays as an agent, as `run` says.
    pub fn enrol(&self, device: &str) {
        fs::write(self.path(&format!("{device}.code")), self.code(device)).unwrap();
    }

    /// Starts the agent of a device; the first time it enrols.
    pub fn device(&self, device: &str) -> Running {
        let mut command = Command::new(binary());
        let kind = if device.starts_with("loa") { "speaker" } else { "board" };
        command.args(["--log", "info", kind, "--data", &self.arg(device)]);
        let code = self.path(&format!("{device}.code"));
        if code.exists() && !self.path(device).exists() {
            command.args(["--enrol", &fs::read_to_string(code).unwrap()]);
        }
        if kind == "speaker" {
            command.args(["--sink", &format!("wav:{}", self.arg("street.wav"))]);
        } else {
            command.args(["--output", &format!("png:{}", self.arg("frames"))]);
        }
        Running::start(command, &self.path(&format!("{device}.log")))
    }

    /// Asks the server; `None` when it does not answer. Over TLS whatever certificate it shows.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        if self.path("playlists/tls/chain.pem").exists() {
            return self.curl(path, &["--insecure"]);
        }
        self.get_plain(path)
    }

    /// Asks over TLS.
    pub fn curl(&self, path: &str, options: &[&str]) -> Option<(u16, String)> {
        let url = format!("https://127.0.0.1:{}{path}", self.http);
        let mut command = Command::new("curl");
        command.args(["--silent", "--max-time", "10", "--write-out", "\n%{http_code}"]);
        let out = command.args(options).arg(url).output().unwrap();
        let text = String::from_utf8(out.stdout).ok().filter(|_| out.status.success())?;
        let (body, status) = text.rsplit_once('\n')?;
        Some((status.parse().ok()?, body.to_owned()))
    }

    /// Asks in the clear.
    pub fn get_plain(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(&url).call().ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    }

    /// All records in the store, oldest first.
    pub fn records(&self) -> Vec<Value> {
        self.json(&["records", "--limit", "10000"]).as_array().unwrap().clone()
    }

    /// Records of a kind that a device made.
    pub fn records_of(&self, device: &str, kind: &str) -> Vec<Value> {
        let all = self.records();
        all.into_iter().filter(|r| r["device"] == device && r["kind"] == kind).collect()
    }

    pub fn street(&self) -> PathBuf {
        self.path("street.wav")
    }
}

/// Reads the claims of a record.
pub fn claims(record: &Value) -> &Value {
    &record["claims"]
}

/// Says whether any file lies in the folder.
pub fn has_files(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
