//! What to install on a mosquitto that carries our topics: settings, access list, passwords.
//!
//! The same rules as the embedded broker's, as far as mosquitto can state them. Its limits: below
//! `a/`, `s/` and `f/` it allows wildcards (a device could ask for the whole library), it grants every
//! SUBSCRIBE and filters on delivery, payloads have one limit for all, and it cannot refuse to keep
//! a message: what a device keeps under its own `r/` comes again, and the server knows it already.
//!
//! Invariant: a device appears only with what [`crate::wire::topic`] spells, so that the two
//! brokers cannot drift apart; tests hold both against the same hostile client.

use super::ports::{Registered, Standing};
use super::registry::lineage;
use crate::domain::ids::{DeviceId, UnitId};
pub use crate::domain::login::check_server_user;
use crate::domain::station::Unit;
use crate::wire::limits;
use crate::wire::topic::{Topic, Topics};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha512;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// User name of the server's own client unless configured. No device can have it: ids have no dot.
pub const SERVER_USER: &str = "loa.server";

/// Rounds of PBKDF2, mosquitto's own figure; a device's password has 128 random bits.
const ROUNDS: u32 = 101;

/// What a client may do on topics that a filter covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub access: Access,
    /// Topic, or filter with wildcards.
    pub filter: String,
}

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To the client: what it subscribes to.
    Read,
    /// From the client: what it publishes.
    Write,
}

impl Rule {
    fn read(filter: String) -> Self {
        Self { access: Access::Read, filter }
    }

    fn write(filter: String) -> Self {
        Self { access: Access::Write, filter }
    }
}

/// As mosquitto's access list writes it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        write!(f, "{word} {}", self.filter)
    }
}

/// Returns what every device may do.
pub fn common_rules(topics: &Topics) -> Vec<Rule> {
    let below = |rest: &str| format!("{}/{rest}", topics.prefix());
    vec![
        Rule::read(topics.of(&Topic::Keys)),
        Rule::read(topics.of(&Topic::Server)),
        Rule::read(below("s/+")),
        Rule::read(below("a/+/+/+")),
        Rule::read(below("f/+")),
    ]
}

/// Returns what a device may do because of its id.
pub fn device_rules(topics: &Topics, device: &DeviceId) -> Vec<Rule> {
    vec![
        Rule::write(topics.of(&Topic::State(device.clone()))),
        Rule::write(topics.of(&Topic::Records(device.clone()))),
        Rule::read(format!("{}/d/{device}/+", topics.prefix())),
    ]
}

/// Returns what the devices of a unit may do, and those of the units below it.
pub fn unit_rules(topics: &Topics, unit: &UnitId) -> Vec<Rule> {
    vec![Rule::read(topics.of(&Topic::Hold(unit.clone()))), Rule::read(topics.urgent_filter(unit))]
}

/// A device that may log in.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    pub device: &'a DeviceId,
    /// Those of its timetable, from hamlet to province.
    pub units: Vec<UnitId>,
    /// The devices for which it acts, each with its units.
    pub behind: Vec<(&'a DeviceId, Vec<UnitId>)>,
}

impl<'a> Login<'a> {
    /// Returns who may log in by the register: whoever is not revoked, and no device that stands
    /// behind a gateway.
    pub fn all(devices: &'a [Registered], units: &[Unit]) -> Vec<Self> {
        let of = |known: &'a Registered| (&known.device.id, lineage(&known.device.unit, units));
        let mut behind: BTreeMap<&DeviceId, Vec<_>> = BTreeMap::new();
        for known in devices {
            if let (Some(gateway), Standing::Enrolled { .. }) =
                (&known.device.behind, &known.standing)
            {
                behind.entry(gateway).or_default().push(of(known));
            }
        }
        let own = devices.iter().filter(|known| {
            known.device.behind.is_none() && !matches!(known.standing, Standing::Revoked { .. })
        });
        own.map(|known| {
            let (device, units) = of(known);
            Self { device, units, behind: behind.remove(device).unwrap_or_default() }
        })
        .collect()
    }
}

/// Returns the access list: the server may use everything below the prefix, each device what the
/// contract says.
pub fn acl<'a>(
    topics: &Topics,
    server_users: &[impl AsRef<str>],
    devices: impl IntoIterator<Item = Login<'a>>,
) -> String {
    let mut text = String::from(
        "# Access list for mosquitto; print it again when devices or units change.\n\n",
    );
    for user in server_users {
        let _ = writeln!(text, "user {}\ntopic readwrite {topics}/#\n", user.as_ref());
    }
    let _ = writeln!(text, "# Every device; its user name is its id.");
    for line in ["write {}/d/%u/state", "read {}/d/%u/+"] {
        let _ = writeln!(text, "pattern {}", line.replace("{}", topics.prefix()));
    }
    for rule in common_rules(topics) {
        let _ = writeln!(text, "pattern {rule}");
    }
    for Login { device, units, behind } in devices {
        let records = topics.of(&Topic::Records(device.clone()));
        let _ = writeln!(text, "\nuser {device}\ntopic write {records}");
        for rule in behind.iter().flat_map(|(child, _)| device_rules(topics, child)) {
            let _ = writeln!(text, "topic {rule}");
        }
        // Each once, in the order in which they come.
        let mut seen = BTreeSet::new();
        let of_all = units.iter().chain(behind.iter().flat_map(|(_, units)| units));
        let of_all = of_all.filter(|unit| seen.insert(*unit));
        for rule in of_all.flat_map(|unit| unit_rules(topics, unit)) {
            let _ = writeln!(text, "topic {rule}");
        }
    }
    text
}

/// Returns the settings that the access list relies on; files are named as they lie beside it.
pub fn config(listener: &str, folder: &str) -> String {
    format!(
        "# Settings for mosquitto 2.
per_listener_settings false
listener {listener}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
# One device = one client id = one user name.
use_username_as_clientid true
# The server republishes what is kept; a broker that comes up empty is filled again.
persistence false
max_packet_size {packet}
message_size_limit {message}
max_inflight_messages 20
max_queued_messages 10000
max_keepalive 3600
allow_zero_length_clientid false
# certfile {folder}/cert.pem
# keyfile {folder}/key.pem
",
        packet = limits::PACKET_BYTES,
        message = limits::SUMS_BYTES,
    )
}

/// Returns the settings for a mosquitto whose accounts the server keeps.
pub fn dynsec_config(listener: &str, folder: &str) -> String {
    let all = config(listener, folder);
    let replaced = ["password_file", "acl_file", "use_username_as_clientid", "# One device ="];
    let mut text = String::new();
    for line in all.lines().filter(|line| !replaced.iter().any(|word| line.starts_with(word))) {
        let _ = writeln!(text, "{line}");
        if line.starts_with("allow_anonymous") {
            // Debian for 64-bit PCs; elsewhere the folder has the machine's name.
            let _ = writeln!(text, "plugin {PLUGIN}");
            let _ = writeln!(text, "plugin_opt_config_file {folder}/dynamic-security.json");
        }
    }
    text
}

/// Where Debian's mosquitto has the plugin.
const PLUGIN: &str = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so";

/// Returns a line of mosquitto's password file. `salt` must be random.
pub fn password_line(user: &str, password: &str, salt: [u8; 12]) -> String {
    let hash = STANDARD.encode(pbkdf2(password.as_bytes(), &salt));
    format!("{user}:$7${ROUNDS}${}${hash}", STANDARD.encode(salt))
}

/// PBKDF2-HMAC-SHA512 (RFC 8018) of one block, which is all mosquitto takes.
fn pbkdf2(password: &[u8], salt: &[u8]) -> [u8; 64] {
    let keyed = Hmac::<Sha512>::new_from_slice(password).expect("HMAC takes keys of any length");
    let mut block: [u8; 64] = keyed
        .clone()
        .chain_update(salt)
        .chain_update(1_u32.to_be_bytes())
        .finalize()
        .into_bytes()
        .into();
    let mut result = block;
    for _ in 1..ROUNDS {
        block = keyed.clone().chain_update(block).finalize().into_bytes().into();
        result.iter_mut().zip(block).for_each(|(all, one)| *all ^= one);
    }
    result
}

/// Mosquitto's password file, kept while devices enrol: only then their passwords are known.
///
/// mosquitto reads it again when it is told to (`systemctl reload mosquitto`, or SIGHUP); until then
/// a new device is refused and tries again.
///
/// Only its owner may read a new file. One that is there keeps owner, group and mode, so that a
/// mosquitto of another user can be let in by group; everybody else is put out.
#[derive(Debug)]
pub struct Passwords {
    path: PathBuf,
    turn: Mutex<()>,
}

impl Passwords {
    /// Names the file, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), turn: Mutex::new(()) }
    }

    /// Returns where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a user or replaces its password; the others stay. Blocks for one small write.
    pub fn put(&self, user: &str, password: &str) -> io::Result<()> {
        let mut salt = [0; 12];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        self.change(user, Some(&password_line(user, password, salt)))
    }

    /// Removes a user; mosquitto lets it in until it is told to read the file again.
    pub fn remove(&self, user: &str) -> io::Result<()> {
        if self.path.exists() { self.change(user, None) } else { Ok(()) }
    }

    fn change(&self, user: &str, line: Option<&str>) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let old = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            old => old?,
        };
        let others = old.lines().filter(|old| old.split(':').next() != Some(user));
        let mut lines: Vec<&str> = others.chain(line).collect();
        lines.sort_unstable();
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let part = self.path.with_extension("part");
        // What a broken attempt left may have another mode.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        if let Ok(old) = fs::metadata(&self.path) {
            // Only a member of the group (or root) may pass it on.
            let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o770))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(part, &self.path)?;
        // A device that was told its password must find it after a power cut too.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_gets_what_is_its_own() {
        let device: DeviceId = "loa-thon-1".parse().unwrap();
        let units: Vec<UnitId> = ["00070-thon1", "01"].map(|u| u.parse().unwrap()).into();
        let login = Login { device: &device, units, behind: Vec::new() };
        let text = acl(&Topics::default(), &["loa.server"], [login]);
        insta::assert_snapshot!(text, @r"
        # Access list for mosquitto; print it again when devices or units change.

        user loa.server
        topic readwrite loa/1/#

        # Every device; its user name is its id.
        pattern write loa/1/d/%u/state
        pattern read loa/1/d/%u/+
        pattern read loa/1/keys
        pattern read loa/1/server
        pattern read loa/1/s/+
        pattern read loa/1/a/+/+/+
        pattern read loa/1/f/+

        user loa-thon-1
        topic write loa/1/r/3/loa-thon-1
        topic read loa/1/u/00070-thon1/hold
        topic read loa/1/u/00070-thon1/urgent/+
        topic read loa/1/u/01/hold
        topic read loa/1/u/01/urgent/+
        ");
    }

    #[test]
    fn a_gateway_gets_what_belongs_to_those_behind_it() {
        let [device, child] = ["cong-1", "loa-1"].map(|id| id.parse::<DeviceId>().unwrap());
        let units = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<Vec<_>>();
        let behind = vec![(&child, units(&["00071", "01"]))];
        let login = Login { device: &device, units: units(&["00070", "01"]), behind };
        let text = acl(&Topics::default(), &["loa.server"], [login]);
        let own = &text[text.find("user cong-1").unwrap()..];
        insta::assert_snapshot!(own, @r"
        user cong-1
        topic write loa/1/r/5/cong-1
        topic write loa/1/d/loa-1/state
        topic write loa/1/r/f/loa-1
        topic read loa/1/d/loa-1/+
        topic read loa/1/u/00070/hold
        topic read loa/1/u/00070/urgent/+
        topic read loa/1/u/01/hold
        topic read loa/1/u/01/urgent/+
        topic read loa/1/u/00071/hold
        topic read loa/1/u/00071/urgent/+
        ");
    }

    #[test]
    fn the_password_hash_is_the_one_of_the_rfc_scheme() {
        // Reference: Python's hashlib.pbkdf2_hmac("sha512", b"secret", bytes(range(12)), 101).
        let line = password_line("u", "secret", std::array::from_fn(|i| u8::try_from(i).unwrap()));
        insta::assert_snapshot!(line, @"u:$7$101$AAECAwQFBgcICQoL$Xr99N9ym9ys8TWxis5ajETJq6EVYzmc6nb8t3pUYnPBbCAbICS4xejTltonXWCtJNBvA+By+TXUqU6qCblO00w==");
    }

    #[test]
    fn a_user_put_again_has_the_new_password_and_the_others_keep_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let passwords = Passwords::at(folder.path().join("mosquitto/passwords"));
        passwords.put("loa-2", "a").unwrap();
        passwords.put("loa-1", "b").unwrap();
        let before = fs::read_to_string(passwords.path()).unwrap();
        passwords.put("loa-1", "c").unwrap();
        let after = fs::read_to_string(passwords.path()).unwrap();
        let of = |text: &str, n: usize| text.lines().nth(n).unwrap().to_owned();
        assert_eq!(after.lines().count(), 2);
        assert!(of(&after, 0).starts_with("loa-1:$7$101$"));
        assert_ne!(of(&before, 0), of(&after, 0));
        assert_eq!(of(&before, 1), of(&after, 1));
        assert_eq!(fs::read_dir(folder.path().join("mosquitto")).unwrap().count(), 1);
        passwords.remove("loa-1").unwrap();
        passwords.remove("loa-9").unwrap();
        let left = fs::read_to_string(passwords.path()).unwrap();
        assert_eq!(left, format!("{}\n", of(&after, 1)));
    }

    #[test]
    fn nobody_else_reads_the_password_file_and_a_group_let_in_stays_in() {
        let folder = tempfile::tempdir().unwrap();
        let passwords = Passwords::at(folder.path().join("mosquitto/passwords"));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        passwords.put("loa-1", "a").unwrap();
        assert_eq!(mode(passwords.path()), 0o600);
        assert_eq!(mode(&folder.path().join("mosquitto")), 0o700);
        for (given, kept) in [(0o640, 0o640), (0o644, 0o640), (0o600, 0o600)] {
            fs::set_permissions(passwords.path(), fs::Permissions::from_mode(given)).unwrap();
            passwords.put("loa-2", "b").unwrap();
            assert_eq!(mode(passwords.path()), kept, "given {given:o}");
        }
        // A part that a broken attempt left open to all is not written into.
        let part = folder.path().join("mosquitto/passwords.part");
        fs::write(&part, "x").unwrap();
        passwords.put("loa-3", "c").unwrap();
        assert_eq!(mode(passwords.path()), 0o600);
        assert!(!part.exists());
    }
}
