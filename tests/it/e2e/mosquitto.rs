//! A mosquitto installed as `loa broker acl` says, and operated as an administrator would.

use super::commune::Commune;
use super::process::{Running, free_port, wait_for};
use crate::support::mosquitto::{ADMIN, plugin};
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

pub const PASSWORD: &str = "mật khẩu của máy chủ";

/// The broker of a commune.
pub struct Mosquitto {
    port: u16,
    folder: PathBuf,
    passwords: PathBuf,
    users: Vec<&'static str>,
    running: Option<Running>,
}

impl Mosquitto {
    /// Installs it for a commune that has been initialised and names it in the station file.
    pub fn install(commune: &Commune) -> Self {
        Self::install_as(commune, &["loa.server"], "mqtt", "", "")
    }

    /// Installs it for several servers and others who may read everything, each by its own name.
    pub fn install_for(commune: &Commune, users: &[&'static str]) -> Self {
        Self::install_as(commune, users, "mqtt", "", "")
    }

    /// Installs it with a certificate of the station's own authority.
    pub fn install_with_tls(commune: &Commune) -> Self {
        let out = commune.path("mosquitto/tls").display().to_string();
        let playlists = commune.path("playlists").display().to_string();
        commune.json(&["tls", "issue", "127.0.0.1", "--out", &out, "--playlists", &playlists]);
        let listener = format!("certfile {out}/chain.pem\nkeyfile {out}/key.pem\n");
        Self::install_as(commune, &["loa.server"], "mqtts", "ca_file = \"tls/ca.pem\"\n", &listener)
    }

    /// Installs it with the dynamic-security plugin, as `loa broker acl --format dynsec` says;
    /// the station file names its administrator.
    pub fn install_dynsec(commune: &Commune) -> Self {
        let port = free_port();
        let folder = commune.path("mosquitto");
        fs::create_dir_all(&folder).unwrap();
        plugin::write_blank(&folder);
        commune.write("playlists/broker-admin-password", ADMIN.1);
        commune.more(&format!(
            "[broker]\nurl = \"mqtt://127.0.0.1:{port}\"\nadmin = \"dynsec\"\n\
             admin_password_file = \"broker-admin-password\"\n"
        ));
        let shown = commune.json(&["broker", "acl", "--format", "dynsec"]);
        let config = plugin::here(shown["config"].as_str().unwrap())
            .replace("/etc/mosquitto/loa", &folder.display().to_string())
            .replace("listener 1883", &format!("listener {port} 127.0.0.1"));
        fs::write(folder.join("config"), format!("user root\n{config}\n")).unwrap();
        let passwords = commune.path("data/mosquitto/passwords");
        let mut broker = Self { port, folder, passwords, users: Vec::new(), running: None };
        broker.start();
        broker
    }

    /// Cuts it off and starts it again; its plugin knows the administrator alone.
    pub fn lose_accounts(&mut self) {
        self.running.take().unwrap().kill();
        plugin::write_blank(&self.folder);
        self.start();
    }

    fn install_as(
        commune: &Commune,
        users: &[&'static str],
        scheme: &str,
        trust: &str,
        listener: &str,
    ) -> Self {
        let port = free_port();
        let folder = commune.path("mosquitto");
        let passwords = commune.path("data/mosquitto/passwords");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(passwords.parent().unwrap()).unwrap();
        fs::write(&passwords, "").unwrap();
        for user in users {
            let done = Command::new("mosquitto_passwd")
                .args(["-b", &passwords.display().to_string(), user, PASSWORD])
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        commune.write("playlists/broker-password", PASSWORD);
        commune.more(&format!(
            "[broker]\nurl = \"{scheme}://127.0.0.1:{port}\"\nuser = \"loa.server\"\n\
             password_file = \"broker-password\"\n{trust}"
        ));
        let mut broker = Self { port, folder, passwords, users: users.to_vec(), running: None };
        let shown = broker.write_list(commune);
        let config = shown["config"]
            .as_str()
            .unwrap()
            .replace("/etc/mosquitto/loa/passwords", &broker.passwords.display().to_string())
            .replace("/etc/mosquitto/loa", &broker.folder.display().to_string())
            .replace("listener 1883", &format!("listener {port} 127.0.0.1"));
        fs::write(broker.folder.join("config"), format!("user root\n{config}\n{listener}"))
            .unwrap();
        broker.start();
        broker
    }

    fn write_list(&self, commune: &Commune) -> serde_json::Value {
        let shown = {
            let users = self.users.iter().flat_map(|user| ["--server-user", user]);
            let args = ["broker", "acl", "--format", "mosquitto"].into_iter().chain(users);
            commune.json(&args.collect::<Vec<_>>())
        };
        let list = self.folder.join("acl");
        fs::write(&list, shown["acl"].as_str().unwrap()).unwrap();
        shown
    }

    fn start(&mut self) {
        let mut command = Command::new("mosquitto");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("-c").arg(self.folder.join("config"));
        let mut running = Running::start(command, &self.folder.join("log"));
        wait_for("a listening mosquitto", 20, || {
            running.assert_alive();
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self.running = Some(running);
    }

    /// Where it listens on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Installs the access list anew and makes the broker read list and passwords again.
    pub fn reload(&self, commune: &Commune) {
        self.write_list(commune);
        let id = self.running.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// Waits until the server has noted the password of a device that enrols, then reloads.
    pub fn admit(&self, commune: &Commune, device: &str) {
        wait_for("the password of the device", 30, || {
            let known = fs::read_to_string(&self.passwords).unwrap();
            known.lines().any(|line| line.starts_with(&format!("{device}:"))).then_some(())
        });
        self.reload(commune);
    }

    /// Cuts it off and starts it again, empty.
    pub fn cut(&mut self) {
        self.running.take().unwrap().kill();
        self.start();
    }
}
