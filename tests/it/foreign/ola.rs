//! A second judge that others wrote: the Open Lighting Architecture's daemon takes the gateway's
//! E1.31 from the network and tells by its own API what each channel holds.

use super::families::drawn;
use super::rig::{Plan, Rig};
use crate::support::mosquitto::free_port;
use crate::support::wait;
use std::process::{Child, Command, Stdio};

/// Universes of a board of 16 by 16: 170 pixels and the rest.
const UNIVERSES: [u16; 2] = [4_711, 4_712];

const PROFILE: &str = r#"
title = "Bảng E1.31, 16×16 điểm"
storage_mib = 1

[board]
width_px = 16
height_px = 16
colours = ["white", "red"]

[dialect]
version = 1

[dialect.settings]
host = "127.0.0.1"

[dialect.transport]
kind = "udp"

[[dialect.actions.show_frame]]
send = "pixels"

[dialect.limits]
max_payload = 1024
per_minute = 600

[dialect.timing]
ends = "scheduler"
refresh = "500ms"

[dialect.pixels]
protocol = "e131"
host = "${host}"
universe = 4711
"#;

struct Daemon {
    child: Child,
    http: u16,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    fn get(&self, path: &str) -> Option<serde_json::Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let text = ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Starts the daemon with E1.31 as its only plugin, one input for each universe.
    async fn start(folder: &std::path::Path) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let config = folder.join("config");
        std::fs::create_dir(&config).unwrap();
        let others = [
            "artnet",
            "dummy",
            "espnet",
            "ftdidmx",
            "gpio",
            "karate",
            "kinet",
            "milinst",
            "nanoleaf",
            "opendmx",
            "openpixelcontrol",
            "osc",
            "pathport",
            "renard",
            "sandnet",
            "shownet",
            "spi",
            "spidmx",
            "spinet",
            "stageprofi",
            "uartdmx",
            "usbdmx",
            "usbpro",
            "usbserial",
        ];
        for name in others {
            let path = config.join(format!("ola-{name}.conf"));
            std::fs::write(path, "enabled = false\n").unwrap();
        }
        let own = "enabled = true\ninput_ports = 2\noutput_ports = 0\nip = 127.0.0.1\n";
        std::fs::write(config.join("ola-e131.conf"), own).unwrap();
        for path in [folder, &config] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        let (http, rpc) = (free_port(), free_port());
        let log = std::fs::File::create(folder.join("log")).unwrap();
        // It refuses to run as root.
        let root = rustix::process::getuid().is_root();
        let mut command = Command::new(if root { "setpriv" } else { "olad" });
        if root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "olad"]);
        }
        let child = command
            .args(["-i", "127.0.0.1", "-l", "3", "-p", &http.to_string(), "-r", &rpc.to_string()])
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("OLA is installed by `make setup`");
        let daemon = Self { child, http };
        wait::until("OLA has its E1.31 ports", || {
            let ports = daemon.get("/json/get_ports");
            ports.is_some_and(|ports| ports.as_array().is_some_and(|ports| !ports.is_empty()))
        })
        .await;
        for (port, universe) in UNIVERSES.iter().enumerate() {
            // The list holds the next free port of each device.
            let ports = daemon.get("/json/get_ports").unwrap();
            let id = ports[0]["id"].as_str().unwrap().to_owned();
            let url = format!("http://127.0.0.1:{}/new_universe", daemon.http);
            let form = [("id", universe.to_string()), ("name", format!("p{port}"))];
            let form = form.into_iter().chain([("add_ports", id)]);
            let answer = ureq::post(&url).send_form(form).unwrap().body_mut().read_to_string();
            assert!(answer.unwrap().contains("\"ok\": true"));
        }
        daemon
    }

    /// Channels of a universe.
    fn channels(&self, universe: u16) -> Vec<u8> {
        let told = self.get(&format!("/get_dmx?u={universe}"));
        let list = told.and_then(|told| told["dmx"].as_array().cloned()).unwrap_or_default();
        list.iter().map(|value| u8::try_from(value.as_u64().unwrap()).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ola_holds_the_pixels_of_the_page_and_darkness_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path()).await;
    let plan = Plan::read("bang-e131", PROFILE);
    let profile = plan.profile.board.clone().unwrap();
    let mut rig = Rig::start(plan, None);
    let (rgb, hash) = drawn(&profile, "Ồ");
    let seen = async {
        loop {
            let held = UNIVERSES.map(|universe| daemon.channels(universe)).concat();
            if held == rgb {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let (shown, ()) =
        wait::within("OLA holds the page", async { tokio::join!(rig.show(&["Ồ"], 4_000), seen) })
            .await;
    let (pass, grade) = shown;
    assert_eq!((grade, pass.frame, pass.whole), (0, Some(hash), true), "{pass:?}");
    drop(rig.finish().await);
    wait::until("OLA holds darkness", || {
        UNIVERSES.iter().all(|universe| daemon.channels(*universe).iter().all(|value| *value == 0))
    })
    .await;
}
