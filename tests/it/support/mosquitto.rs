//! A real mosquitto on a free port of the loopback, killed on drop.
//!
//! Its settings, access list and passwords are those that `loa broker acl` prints: what is tested
//! is what an operator installs. `make test` installs mosquitto, so its absence is a failure.

pub mod plugin;

use super::wait;
use loa::app::mosquitto as texts;
use loa::domain::ids::{DeviceId, UnitId};
use loa::wire::topic::Topics;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A device that may connect.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: DeviceId,
    pub password: String,
    pub units: Vec<UnitId>,
}

/// Name and password of the server's client.
pub const SERVER: (&str, &str) = ("loa.server", "ch\u{1ee7} \u{111}\u{e0}i");

/// A second server on the same store.
pub const SECOND: (&str, &str) = ("loa.server-2", "ch\u{1ee7} \u{111}\u{e0}i hai");

/// Who may do everything, where a test asked for it: nothing passes by without its notice.
pub const WATCHER: (&str, &str) = ("watcher", "th\u{1ea5}y h\u{1ebf}t");

/// Who connects besides the devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// The server, as an operator installs it.
    Server,
    /// Two servers and the watcher.
    Watched,
}

/// How a mosquitto knows who may what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By access list and password file.
    Files,
    /// By the dynamic-security plugin.
    Plugin,
}

/// The plugin's administrator, as an operator makes it.
pub const ADMIN: (&str, &str) = ("admin", "mật khẩu quản trị");

/// A running mosquitto.
pub struct Mosquitto {
    pub at: SocketAddr,
    pub known: Known,
    folder: TempDir,
    child: Child,
}

impl Mosquitto {
    /// Starts one that knows the server and the given devices; done when it listens.
    pub async fn start(accounts: &[Account]) -> Self {
        Self::start_with(accounts, Company::Server).await
    }

    /// Starts one for that company.
    pub async fn start_with(accounts: &[Account], company: Company) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), accounts, company);
        Self::start_in(folder, Known::Files).await
    }

    /// Starts one for that company that knows all of it by the plugin.
    pub async fn start_by_plugin(accounts: &[Account], company: Company) -> Self {
        let folder = tempfile::tempdir().unwrap();
        plugin::write_file(folder.path(), accounts, company);
        Self::start_in(folder, Known::Plugin).await
    }

    /// Starts one whose plugin knows its administrator alone.
    pub async fn start_blank() -> Self {
        let folder = tempfile::tempdir().unwrap();
        plugin::write_blank(folder.path());
        Self::start_in(folder, Known::Plugin).await
    }

    async fn start_in(folder: TempDir, known: Known) -> Self {
        for _ in 0..20 {
            // The port may be taken between our asking and its binding: then another one.
            let port = free_port();
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut child = spawn(folder.path(), at, known);
            if listens(at, &mut child).await {
                return Self { at, known, folder, child };
            }
        }
        panic!("mosquitto does not start:\n{}", log_of(folder.path()));
    }

    /// Kills it and starts it again on the same port; its plugin knows the administrator alone.
    pub async fn lose_accounts(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        plugin::write_blank(self.folder.path());
        self.kill_and_restart().await;
    }

    /// Kills it without a farewell and starts it again on the same port, empty.
    pub async fn kill_and_restart(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
        let (at, folder) = (self.at, self.folder.path());
        for _ in 0..50 {
            self.child = spawn(folder, at, self.known);
            if listens(at, &mut self.child).await {
                return;
            }
        }
        panic!("mosquitto does not come back:\n{}", log_of(folder));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a port of the loopback that nothing listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn write_files(folder: &Path, accounts: &[Account], company: Company) {
    let salt = |n: usize| std::array::from_fn(|i| u8::try_from((n * 7 + i) % 256).unwrap());
    let (servers, watchers): (&[_], &[_]) = match company {
        Company::Server => (&[SERVER], &[]),
        Company::Watched => (&[SERVER, SECOND], &[WATCHER]),
    };
    let devices = accounts.iter().map(|account| (account.id.as_str(), &*account.password));
    let users = servers.iter().chain(watchers).copied().chain(devices);
    let lines =
        users.enumerate().map(|(n, (user, word))| texts::password_line(user, word, salt(n)) + "\n");
    let devices = accounts.iter().map(|account| texts::Login {
        device: &account.id,
        units: account.units.clone(),
        behind: Vec::new(),
    });
    let names: Vec<&str> = servers.iter().map(|(user, _)| *user).collect();
    let mut acl = texts::acl(&Topics::default(), &names, devices);
    for (watcher, _) in watchers {
        acl += &["\nuser ", watcher, "\ntopic readwrite #\ntopic readwrite $SYS/#\n"].concat();
    }
    fs::write(folder.join("passwords"), lines.collect::<String>()).unwrap();
    fs::write(folder.join("acl"), acl).unwrap();
}

fn spawn(folder: &Path, at: SocketAddr, known: Known) -> Child {
    let listener = format!("{} {}", at.port(), at.ip());
    let place = folder.to_string_lossy();
    let mut config = match known {
        Known::Files => texts::config(&listener, &place),
        Known::Plugin => plugin::config(&listener, &place),
    };
    // Started by root it would become the user `mosquitto`, who may not read this folder.
    config.push_str("user root\nsys_interval 1\n");
    fs::write(folder.join("mosquitto.conf"), config).unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    let program = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"];
    let program = program.iter().map(PathBuf::from).find(|path| path.exists());
    Command::new(program.expect("mosquitto is installed: run `make setup`"))
        .arg("-v")
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

async fn listens(at: SocketAddr, child: &mut Child) -> bool {
    let mut up = false;
    wait::until("mosquitto listens or gives up", || {
        up = TcpStream::connect(at).is_ok();
        up || child.try_wait().unwrap().is_some()
    })
    .await;
    // Another program's listener on that port would answer as well.
    up && child.try_wait().unwrap().is_none()
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_else(|error: io::Error| error.to_string())
}
