//! What is changed under a running server: certificates and keys are taken over, nobody is put out.

use super::commune::{Commune, claims, in_seconds};
use super::mosquitto::Mosquitto;
use super::process::{Running, free_port, json, run, wait_for};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The certificate that a port shows to who trusts the authority; `None` when it lets nobody in.
fn shown(port: u16, authority: &Path) -> Option<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    while client.is_handshaking() {
        client.complete_io(&mut stream).ok()?;
    }
    Some(client.peer_certificates()?.first()?.to_vec())
}

/// Plays one cue and waits for its record and for the receipt that covers it.
fn plays_and_proves(commune: &Commune) {
    let before = commune.records_of("loa-dinh-lang", "play").len();
    let at = in_seconds(7);
    commune.playlist(&[at]);
    let play = wait_for("a record of the play", 60, || {
        commune.records_of("loa-dinh-lang", "play").split_off(before).pop()
    });
    assert_eq!(
        (&claims(&play)["outcome"], &claims(&play)["due_ms"]),
        (&"played".into(), &at.into())
    );
    let meta = commune.path("loa-dinh-lang/ledger/meta.json");
    let seq = play["seq"].as_u64().unwrap();
    wait_for("a receipt on the device", 30, || {
        let meta = fs::read_to_string(&meta).ok()?;
        let meta: serde_json::Value = serde_json::from_str(&meta).ok()?;
        let upto = meta["upto"].as_object()?.values().filter_map(serde_json::Value::as_u64).max();
        (upto? >= seq).then_some(())
    });
}

fn connections(device: &Running) -> usize {
    device.said().matches("Connected to the broker").count()
}

/// Rotates all keys under the root key that `init` left; returns what the command said.
fn rotate(commune: &Commune) -> String {
    let [data, root] =
        ["data", "data/root-key.txt"].map(|file| commune.path(file).display().to_string());
    let (code, _, said) = run(&["keys", "rotate", "--data", &data, "--root", &root]);
    assert_eq!(code, 0, "{said}");
    said
}

#[test]
fn renewed_certificates_and_rotated_keys_come_into_force_and_the_device_stays_connected() {
    let mut commune = Commune::new();
    commune.init_with(&["--tls", "loa.xa-dong-hoa.vn"]);
    commune.serve();
    commune.enrol("loa-dinh-lang");
    let speaker = commune.device("loa-dinh-lang");
    wait_for("a connection", 30, || (connections(&speaker) > 0).then_some(()));
    let (http, mqtt) = commune.ports();
    let authority = commune.path("data/ca/ca.pem");
    let both = || Some((shown(http, &authority)?, shown(mqtt, &authority)?));
    let before = both().unwrap();
    assert_eq!(before.0, before.1, "page and broker show the same");

    let [data, playlists, profiles] =
        ["data", "playlists", "profiles"].map(|folder| commune.path(folder).display().to_string());
    let place = ["--data", &data, "--playlists", &playlists, "--profiles", &profiles, "--json"];
    json(&[&["tls", "renew", "--name", "127.0.0.1,loa.xa"][..], &place].concat());
    let after = wait_for("the new certificate at both ports", 30, || {
        both().filter(|now| now.0 != before.0 && now.1 != before.1)
    });
    assert_eq!(after.0, after.1);

    let said = rotate(&commune);
    assert!(said.contains("The server that runs takes them over"), "{said}");
    let server = || commune.server.as_ref().unwrap().said();
    wait_for("the new keys in use", 20, || {
        server().contains("Signed anew under the keys in use").then_some(())
    });
    plays_and_proves(&commune);
    assert_eq!(connections(&speaker), 1, "{}", speaker.said());

    // A key that does not fit is told, and what was shown is still shown.
    let key = commune.path("playlists/tls/key.pem");
    let own = fs::read_to_string(&key).unwrap();
    fs::write(&key, fs::read_to_string(commune.path("data/ca/key.pem")).unwrap()).unwrap();
    wait_for("a word on the page", 20, || {
        let (_, page) = commune.get("/")?;
        page.contains("Chứng thư TLS mới không dùng được").then_some(())
    });
    assert_eq!(both().unwrap(), after);
    fs::write(&key, own).unwrap();
    wait_for("its end", 20, || {
        let (_, page) = commune.get("/")?;
        (!page.contains("Chứng thư TLS mới không dùng được")).then_some(())
    });
    assert_eq!(connections(&speaker), 1, "{}", speaker.said());
}

#[test]
fn of_two_servers_both_sign_with_the_new_keys_and_devices_obey_both() {
    let mut commune = Commune::new();
    commune.init();
    let broker = Mosquitto::install_for(&commune, &["loa.server", "loa.server-2"]);
    commune.serve();
    let http = free_port();
    let address = format!("127.0.0.1:{http}");
    let other =
        commune.start_server("second.log", &["--http", &address, "--broker-user", "loa.server-2"]);
    wait_for("a second server that stands by", 30, || {
        other.said().contains("Standing by").then_some(())
    });
    commune.enrol("loa-dinh-lang");
    let _speaker = commune.device("loa-dinh-lang");
    broker.admit(&commune, "loa-dinh-lang");
    wait_for("its first record", 30, || commune.records_of("loa-dinh-lang", "boot").pop());
    rotate(&commune);
    for server in [commune.server.as_ref().unwrap(), &other] {
        wait_for("the new keys in use", 20, || {
            server.said().contains("Signing with the keys of a new epoch").then_some(())
        });
    }
    // Ordered of the one that only stands by: signed by its keys, obeyed by the device.
    let (server, token) =
        (format!("http://{address}"), commune.path("token").display().to_string());
    let args = [
        "hold",
        "99901-dinh",
        "--until",
        "10m",
        "--reason",
        "thử khoá mới",
        "--wait",
        "20",
        "--server",
        &server,
        "--token-file",
        &token,
        "--json",
    ];
    // It reads the register every few seconds; until then it knows of no device there.
    let held = wait_for("the second server to know the device", 60, || {
        let held: serde_json::Value = serde_json::from_str(&run(&args).1).ok()?;
        (!held["devices"].as_array()?.is_empty()).then_some(held)
    });
    assert_eq!((&held["confirmed"], &held["unconfirmed"]), (&1.into(), &0.into()), "{held}");
    let gone =
        commune.ordered(&["hold", "99901-dinh", "--release", "--reason", "xong", "--wait", "20"]);
    assert_eq!(gone["unconfirmed"], 0, "{gone}");
    plays_and_proves(&commune);
}
