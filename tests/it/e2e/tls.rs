//! TLS end to end with an authority of the station's own: enrolment, broker, and who is refused.

use super::commune::{Commune, claims, in_seconds};
use super::mosquitto::Mosquitto;
use super::process::{binary, run, wait_for};
use loa::app::ca::Authority;
use loa::clock::{Clock as _, SystemClock};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Plays one cue and waits for its record and for the receipt that covers it.
fn plays_and_proves(commune: &Commune) {
    commune.playlist(&[in_seconds(6)]);
    let play =
        wait_for("a record of the play", 60, || commune.records_of("loa-dinh-lang", "play").pop());
    assert_eq!(claims(&play)["outcome"], "played");
    assert!(play["fault"].is_null(), "{play}");
    let meta = commune.path("loa-dinh-lang/ledger/meta.json");
    let seq = play["seq"].as_u64().unwrap();
    wait_for("a receipt on the device", 30, || {
        let meta = fs::read_to_string(&meta).ok()?;
        let meta: serde_json::Value = serde_json::from_str(&meta).ok()?;
        let upto = meta["upto"].as_object()?.values().filter_map(serde_json::Value::as_u64).max();
        (upto? >= seq).then_some(())
    });
}

/// Puts another chain and key in the place of the server's.
fn show(commune: &Commune, chain: &str, key: &str) {
    fs::write(commune.path("playlists/tls/chain.pem"), chain).unwrap();
    fs::write(commune.path("playlists/tls/key.pem"), key).unwrap();
}

/// Enrols a board into a folder of its own; returns exit code and what it said.
fn enrols(commune: &Commune, folder: &str, clock: &str) -> (bool, String) {
    let code = fs::read_to_string(commune.path("bang-cong.code")).unwrap();
    let mut command = Command::new(binary());
    command.args(["board", "--enrol", &code, "--clock", clock, "--output", "null"]);
    command.arg("--data").arg(commune.path(folder));
    command.arg("--profiles").arg(commune.path("profiles"));
    // Refused, it ends by itself; enrolled, it runs on.
    let log = commune.path(&format!("{folder}.log"));
    let mut running = super::process::Running::start(command, &log);
    let enrolled = wait_for("an end or an enrolment", 30, || {
        let done = running.said().contains("Enrolled as");
        (done || running.ended().is_some()).then_some(done)
    });
    let said = running.said();
    (enrolled, said)
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_device_pins_the_authority_and_plays_and_strangers_are_refused() {
    let mut commune = Commune::new();
    commune.init_with(&["--tls", "loa.xa-dong-hoa.vn"]);
    let (chain, key) = ("playlists/tls/chain.pem", "playlists/tls/key.pem");
    assert_eq!((mode(&commune.path(key)), mode(&commune.path("data/ca/key.pem"))), (0o600, 0o600));
    commune.serve();
    assert!(commune.get_plain("/healthz").is_none(), "nothing answers in the clear");
    let authority = commune.path("data/ca/ca.pem").display().to_string();
    assert_eq!(commune.curl("/healthz", &["--cacert", &authority]).unwrap().0, 200);
    commune.enrol("loa-dinh-lang");
    commune.enrol("bang-cong");
    let speaker = commune.device("loa-dinh-lang");
    plays_and_proves(&commune);
    let identity = fs::read_to_string(commune.path("loa-dinh-lang/identity.json")).unwrap();
    assert!(identity.contains("mqtts://127.0.0.1:"), "{identity}");
    drop(speaker);

    // The same host shows a certificate of another authority: nobody enrols, nobody connects.
    commune.server.take().unwrap().terminate(10);
    let [own_chain, own_key] =
        [chain, key].map(|file| fs::read_to_string(commune.path(file)).unwrap());
    let now = SystemClock::new().now();
    let stranger = Authority::make("Kẻ lạ", now).unwrap();
    let theirs = stranger.issue(&[], now).unwrap();
    show(&commune, &theirs.chain, &theirs.key);
    commune.serve();
    let (enrolled, said) = enrols(&commune, "bang-1", "system");
    assert!(!enrolled && said.contains("shows another certificate"), "{said}");
    assert!(said.contains("hint: if the server's certificate was replaced on purpose"), "{said}");
    let speaker = commune.device("loa-dinh-lang");
    wait_for("a refusal with place and remedy", 30, || {
        let said = speaker.said();
        (said.contains("of another authority than the one pinned") && said.contains("mqtts://"))
            .then_some(())
    });
    // A chain that names the pinned authority behind a certificate it never signed.
    commune.server.take().unwrap().terminate(10);
    let leaf = theirs.chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let authority = fs::read_to_string(authority).unwrap();
    show(&commune, &format!("{leaf}{authority}"), &theirs.key);
    commune.serve();
    let (enrolled, said) = enrols(&commune, "bang-2", "server");
    assert!(!enrolled && said.contains("shows another certificate"), "{said}");

    // Its own authority, but the certificate ended long ago: a device that trusts its clock
    // refuses, one that does not enrols and learns the time.
    commune.server.take().unwrap().terminate(10);
    let ca_key = fs::read_to_string(commune.path("data/ca/key.pem")).unwrap();
    let own = Authority::read(&authority, &ca_key).unwrap();
    let old = own.issue(&[], now.plus(-900 * 86_400_000)).unwrap();
    show(&commune, &old.chain, &old.key);
    // Without its key the server cannot renew by itself.
    fs::rename(commune.path("data/ca/key.pem"), commune.path("away.pem")).unwrap();
    commune.serve();
    let (enrolled, said) = enrols(&commune, "bang-3", "system");
    assert!(!enrolled && said.contains("does not hold at this time"), "{said}");
    assert!(said.contains("loa tls renew"), "{said}");
    let (enrolled, said) = enrols(&commune, "bang-4", "server");
    assert!(enrolled, "{said}");

    // With its key it renews at the start, and the device that was shut out comes back.
    commune.server.take().unwrap().terminate(10);
    fs::rename(commune.path("away.pem"), commune.path("data/ca/key.pem")).unwrap();
    commune.serve();
    assert_ne!(fs::read_to_string(commune.path(chain)).unwrap(), old.chain, "renewed");
    let before = speaker.said().matches("Connected to the broker").count();
    wait_for("the device to come back", 60, || {
        (speaker.said().matches("Connected to the broker").count() > before).then_some(())
    });
    assert_ne!((own_chain, own_key), (old.chain, old.key.to_string()));
}

#[test]
fn a_mosquitto_with_tls_serves_a_device_that_was_given_its_authority() {
    let mut commune = Commune::new();
    commune.init_with(&["--tls", "127.0.0.1"]);
    let broker = Mosquitto::install_with_tls(&commune);
    commune.serve();
    commune.enrol("loa-dinh-lang");
    let _speaker = commune.device("loa-dinh-lang");
    broker.admit(&commune, "loa-dinh-lang");
    plays_and_proves(&commune);
    let pinned = fs::read_to_string(commune.path("loa-dinh-lang/broker-ca.pem")).unwrap();
    assert_eq!(pinned, fs::read_to_string(commune.path("data/ca/ca.pem")).unwrap());
}

#[test]
fn a_listener_beyond_loopback_needs_tls_or_plain_words() {
    let mut commune = Commune::new();
    commune.init_with(&[]);
    let serve = |more: &[&str]| {
        let [data, playlists, profiles] = ["data", "playlists", "profiles"]
            .map(|folder| commune.path(folder).display().to_string());
        let mut args = vec!["serve", "--data", &data, "--playlists", &playlists];
        args.extend(["--profiles", &profiles]);
        args.extend(more);
        run(&args)
    };
    let (code, _, said) = serve(&["--http", "0.0.0.0:0"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("http://0.0.0.0:0 would be readable by everybody"), "{said}");
    assert!(said.contains("insecure_lan = true"), "{said}");
    let (code, _, said) = serve(&["--broker", "mqtt://192.0.2.1:1883"]);
    assert_eq!(code, 2, "{said}");
    // Said in so many words it listens, and the page says what that means.
    commune.front("insecure_lan = true\n");
    commune.more("public_mqtt = \"127.0.0.1:1883\"\n");
    commune.serve_with(&["--mqtt", "0.0.0.0:0"]);
    let (status, page) = commune.get("/").unwrap();
    assert_eq!(status, 200);
    assert!(page.contains("Kết nối không mã hoá"), "{page}");
}
