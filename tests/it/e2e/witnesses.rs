//! A witness that other people wrote vouches for a real log beside ours, two of two.

use super::commune::Commune;
use super::process::{Running, free_port, json, wait_for};
use super::witness;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use loa::wire::jws::SecretKey;
use loa::wire::tlog::{AddCheckpoint, Checkpoint, LogSigner, Name, TreeHash};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The witness `aics-witness` in a folder of its own.
struct Other {
    config: String,
    log: std::path::PathBuf,
    port: u16,
}

impl Other {
    fn run(&self, args: &[&str]) -> String {
        let (name, rest) = args.split_first().unwrap();
        let out = self.command(name).args(rest).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn command(&self, name: &str) -> Command {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
        assert!(python.exists(), "no Python environment: run `make setup`");
        let mut command = Command::new(python);
        command.args(["-m", "aics_witness", name, "--config", &self.config]);
        command
    }

    /// Makes it; returns it with its key.
    fn init(commune: &Commune) -> (Self, String) {
        fs::create_dir(commune.path("aics")).unwrap();
        let config = commune.path("aics/witness.json").display().to_string();
        let other = Self { config, log: commune.path("aics.log"), port: free_port() };
        let listen = format!("127.0.0.1:{}", other.port);
        let said = other.run(&["init", "--name", "aics.example/w2", "--listen", &listen]);
        let key = said.lines().find(|line| line.starts_with("aics.example/w2+")).unwrap();
        let key = key.trim().to_owned();
        (other, key)
    }

    fn serve(&self) -> Running {
        Running::start(self.command("serve"), &self.log)
    }

    /// Asks it to vouch; returns status and answer.
    fn ask(&self, request: &str) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}/add-checkpoint", self.port);
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.post(&url).send(request).unwrap();
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_to_string().unwrap())
    }
}

fn ready(commune: &Commune) -> Value {
    let (_, text) = commune.get("/readyz").unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Waits until so many leaves are vouched for by as many witnesses as the station asks for.
fn enough(commune: &Commune, least: u64) -> u64 {
    wait_for("two witnesses of two", 60, || {
        let log = ready(commune)["log"].clone();
        let size = log["witnessed"].as_u64().filter(|_| log["quorum"] == true)?;
        (size >= least).then_some(size)
    })
}

#[test]
fn two_witnesses_of_two_by_different_hands_vouch_for_a_log_and_refuse_its_fork() {
    let mut commune = Commune::new();
    let (other, second) = Other::init(&commune);
    let port = free_port();
    let first = witness::init(&commune, "w1");
    commune.more(&format!(
        "[log]\nquorum = 2\nwitnesses = [\"{first} http://127.0.0.1:{port}\", \
         \"{second} http://127.0.0.1:{}\"]\n",
        other.port
    ));
    let token = commune.init_with(&[])["token"].as_str().unwrap().to_owned();
    let log = witness::name_log(&commune);
    witness::watch(&commune, "w1", &log);
    let _first = witness::serve(&commune, "w1", port);
    commune.serve();
    let alarms = || commune.api("GET", "station", &token, "").1["alarms"].to_string();
    wait_for("an alarm: one of two is not enough", 30, || {
        alarms().contains("log-unwitnessed").then_some(())
    });

    // The other one is told of the log by its name and key.
    let data = commune.path("data").display().to_string();
    let shown = json(&["log", "show", "--data", &data, "--json"]);
    let origin = shown["shards"][0]["origin"].as_str().unwrap();
    let secret = fs::read_to_string(commune.path("data/log-key.txt")).unwrap();
    let seed: [u8; 32] = B64.decode(secret.trim()).unwrap().try_into().unwrap();
    let signer = LogSigner::new(Name::new(origin).unwrap(), SecretKey::from_seed(&seed));
    let key = signer.verifier().to_string();
    other.run(&["add-log", "--origin", origin, "--vkey", &key]);
    let second = other.serve();
    let vouched = enough(&commune, 1);
    wait_for("the end of the alarm", 20, || (!alarms().contains("log-unwitnessed")).then_some(()));
    let shard = shown["shards"][0]["shard"].as_str().unwrap();
    let (_, note) = commune.get(&format!("/log/{shard}/checkpoint")).unwrap();
    for name in ["\u{2014} audit.example/w1 ", "\u{2014} aics.example/w2 "] {
        assert!(note.contains(name), "{note}");
    }

    // Another tree, signed by the log's own key: neither a larger one nor one of the same size.
    for more in [7, 0] {
        let mut old = vouched;
        let (status, said) = wait_for("an answer about the size it knows", 10, || {
            let tree = Checkpoint {
                origin: Name::new(origin).unwrap(),
                size: old + more,
                root: TreeHash::leaf(b"other"),
            };
            let proof = if more == 0 { Vec::new() } else { vec![TreeHash::leaf(b"x")] };
            let checkpoint = tree.sign(std::slice::from_ref(&signer));
            let request = AddCheckpoint { old, proof, checkpoint };
            let (status, said) = other.ask(&request.to_string());
            if status == 409 && said.trim() != old.to_string() {
                old = said.trim().parse().unwrap();
                return None;
            }
            Some((status, said))
        });
        assert!([409, 422].contains(&status), "{status} {said}");
        assert!(!said.contains("aics.example/w2 "), "{said}");
        assert_eq!(status, 422, "{said}");
    }
    let hold = |commune: &Commune, reason: &str| {
        commune.ordered(&["hold", "99901", "--until", "2h", "--wait", "0", "--reason", reason]);
    };
    hold(&commune, "mưa");
    let vouched = enough(&commune, vouched + 1);

    // One of the two is gone: the log goes on, and says that it is not vouched for.
    second.kill();
    hold(&commune, "lũ");
    wait_for("a log that goes on alone", 30, || {
        let log = ready(&commune)["log"].clone();
        (log["size"].as_u64()? > log["witnessed"].as_u64()?).then_some(())
    });
    wait_for("the alarm", 30, || alarms().contains("log-unwitnessed").then_some(()));
    assert_eq!(ready(&commune)["ready"], true, "it holds nothing up");
    let (_, page) = commune.get("/").unwrap();
    assert!(page.contains("chưa đủ nhân chứng"), "{page}");
    let _second = other.serve();
    enough(&commune, vouched + 1);
    wait_for("the end of the alarm", 20, || (!alarms().contains("log-unwitnessed")).then_some(()));
}
