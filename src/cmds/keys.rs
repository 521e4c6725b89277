//! `loa keys`: what the server signs with, changed under the offline root key.
//!
//! The root key comes from its paper or USB file, is used for one signature and kept nowhere. The
//! new keys and the longer chain are on disk before anything else happens; servers that run on the
//! folder take them over within seconds.

use super::check::profiles_of;
use super::data::{DataFolder, DataOption, write_private};
use super::init::{root_text, seed};
use super::serve::cosign_rule;
use super::server::NoClips;
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime, table, wrong_use};
use crate::app::ports::{Lease, Leases as _, Trail as _};
use crate::app::trail::Entry;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, StationConfig};
use crate::domain::time::UtcMs;
use crate::wire::epoch::{self, Change, KeySet, LogChange, LogRule, LogTrust};
use crate::wire::jws::{Keys as _, Kid, Role, SecretKey};
use crate::wire::limits;
use crate::wire::server_keys::{ServerKeys, secret_from_text};
use crate::wire::tlog::VerifierKey;
use anyhow::Context as _;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest file in which a root key is looked for.
const ROOT_BYTES: u64 = 65_536;

/// Shows, rotates and revokes the keys that the server signs with
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Shows the keys in use, retired and revoked, and the chain of epochs
    Show {
        #[command(flatten)]
        data: DataOption,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Makes new keys in a new epoch; what the old ones signed holds until it expires
    Rotate {
        #[command(flatten)]
        common: Common,
        /// Only the key of this role; may be given several times; all unless said
        #[arg(long = "role", value_name = "ROLE", value_parser = role)]
        roles: Vec<Role>,
        /// Also make a new root key and write it to this file; the old one signs for it
        #[arg(long, value_name = "FILE")]
        new_root: Option<PathBuf>,
    },
    /// Names the evidence log and its witnesses in `keys`, as `[log]` of the station file says;
    /// from then on devices keep each record until enough witnesses vouch for a tree that holds it
    Log {
        #[command(flatten)]
        common: Common,
        /// Station folder
        #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
        playlists: PathBuf,
        /// Folder of device profiles; `device-profiles` here or beside the station folder unless said
        #[arg(long, value_name = "DIR", env = "LOA_PROFILES")]
        profiles: Option<PathBuf>,
        /// Name no log any more: devices forget what is receipted
        #[arg(long)]
        none: bool,
    },
    /// Revokes a key at once: devices drop what it signed as soon as they hear of it
    Revoke {
        #[command(flatten)]
        common: Common,
        /// A role, for its key in use (a new one is made), or the thumbprint of a key
        #[arg(value_name = "ROLE|KEY")]
        key: String,
        /// Why, for the trail
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    data: DataOption,
    /// File with the root key, best on the USB stick it was copied to; `-` for stdin
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn role(text: &str) -> Result<Role, String> {
    let known = Role::NAMED.map(Role::as_str).join(", ");
    let found = Role::NAMED.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| format!("one of {known}; the root key is changed by `--new-root`"))
}

/// The chain as `--json` prints it.
#[derive(Serialize)]
struct Shown {
    epoch: u32,
    made_ms: UtcMs,
    /// The root key that signed the newest epoch.
    root: Kid,
    /// The one that signs the next: another one only for a moment.
    next_root: Kid,
    keys: Vec<Row>,
    /// Of the longest body that devices take.
    bytes: usize,
    bytes_max: usize,
}

#[derive(Serialize)]
struct Row {
    key: Kid,
    role: Option<String>,
    /// `in-use`, `retired` or `revoked`.
    standing: &'static str,
    /// The epoch that first named it.
    since_epoch: Option<u32>,
    retired_ms: Option<UtcMs>,
}

impl Shown {
    fn of(chain: &KeySet) -> Self {
        let mut keys = Vec::new();
        if let Some(current) = chain.current() {
            for role in Role::NAMED {
                for key in current.roles.get(role.as_str()).into_iter().flatten() {
                    let since_epoch = chain.find(&key.kid(), role).ok().map(|found| found.epoch);
                    let (key, role) = (key.kid(), Some(role.as_str().to_owned()));
                    keys.push(Row { key, role, standing: "in-use", since_epoch, retired_ms: None });
                }
            }
            keys.extend(current.retired.iter().map(|retired| Row {
                key: retired.key.kid(),
                role: Some(retired.role.clone()),
                standing: "retired",
                since_epoch: None,
                retired_ms: Some(retired.retired_ms),
            }));
        }
        keys.extend(chain.revoked().map(|key| Row {
            key: *key,
            role: None,
            standing: "revoked",
            since_epoch: None,
            retired_ms: None,
        }));
        Self {
            epoch: chain.epoch(),
            made_ms: UtcMs::from_numeric_date(chain.iat()),
            root: chain.signer(),
            next_root: chain.root(),
            keys,
            bytes: chain.body_bytes(),
            bytes_max: limits::KEYS_BYTES,
        }
    }

    fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return print_json(self);
        }
        let cells = |row: &Row| {
            let role = row.role.clone().unwrap_or_else(|| "–".to_owned());
            let since = row.since_epoch.map_or_else(|| "–".to_owned(), |n| n.to_string());
            vec![role, row.key.to_string(), row.standing.to_owned(), since]
        };
        let rows: Vec<_> = self.keys.iter().map(cells).collect();
        print_text(&format!(
            "Epoch {} of at most {}, root key {}; {} of {} bytes\n\n",
            self.epoch,
            limits::EPOCHS,
            self.root,
            self.bytes,
            self.bytes_max
        ))?;
        print_text(&table(&["ROLE", "KEY", "STANDING", "SINCE EPOCH"], &rows))
    }
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::Show { data, json } => {
            let folder = DataFolder::existing(&data.data)?;
            let chain = folder.read_epochs(&folder.read_keys()?)?;
            Shown::of(&chain).print(json)?;
        }
        Act::Rotate { common, roles, new_root } => rotate(&common, &roles, new_root.as_deref())?,
        Act::Log { common, playlists, profiles, none } => {
            let profiles = profiles_of(&playlists, profiles.as_deref());
            name_log(&common, (!none).then_some((&playlists, &profiles)))?;
        }
        Act::Revoke { common, key, reason } => revoke(&common, &key, &reason)?,
    }
    Ok(Answer::Yes)
}

fn rotate(common: &Common, roles: &[Role], new_root: Option<&Path>) -> anyhow::Result<()> {
    let desk = Desk::open(common)?;
    let roles = if roles.is_empty() { &Role::NAMED } else { roles };
    let mut keys = desk.keys.clone();
    for role in roles {
        keys.set(*role, SecretKey::from_seed(&*seed()?));
    }
    let fresh = match new_root {
        Some(path) => {
            if path.exists() {
                return Err(wrong_use(
                    format!("`{}` already exists", path.display()),
                    "nothing was changed; name another file by `--new-root`",
                ));
            }
            Some((path, SecretKey::from_seed(&*seed()?)))
        }
        None => None,
    };
    let nothing = BTreeSet::new();
    let root = fresh.as_ref().map(|(_, key)| key.public());
    let mut chain = desk
        .next(&Change { keys: &keys, revoke: &nothing, root, log: LogChange::Keep }, &desk.root)?;
    if let Some((path, key)) = &fresh {
        // The new root speaks at once: a root that was only named has vouched for nothing.
        let change = Change { keys: &keys, revoke: &nothing, root: None, log: LogChange::Keep };
        chain = epoch::next(&chain, key, &change, desk.now).map_err(refused)?;
        write_private(path, &root_text(key, &key.kid().to_string()))?;
    }
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let after = match &fresh {
        Some((_, key)) => format!("new keys for {}; root key {}", names.join(", "), key.kid()),
        None => format!("new keys for {}", names.join(", ")),
    };
    let entry = desk.entry("rotate-keys", &chain).after(after);
    let served = desk.put(&keys, &chain, entry)?;
    if let Some((path, _)) = &fresh {
        eprintln!(
            "The new root key lies in `{}`: print it, copy it to a USB stick, keep both in a safe, \
             then delete the file. The old one signs nothing any more.",
            path.display()
        );
    }
    finish(&chain, served, common.json)
}

fn name_log(common: &Common, station_of: Option<(&Path, &Path)>) -> anyhow::Result<()> {
    let desk = Desk::open(common)?;
    let (log, after) = if let Some((playlists, profiles)) = station_of {
        let station = station(playlists, profiles)?;
        let place = desk.folder.log_place(None)?;
        let key = VerifierKey::log(place.base, place.key.public());
        let rule = cosign_rule(&key, &station.log, playlists)?;
        let after = format!("log `{}`, {} witnesses", key.name(), rule.policy.witness_keys().len());
        (LogChange::Set(LogRule::new(&rule.policy)), after)
    } else {
        (LogChange::Clear, "no log is named".to_owned())
    };
    let nothing = BTreeSet::new();
    let change = Change { keys: &desk.keys, revoke: &nothing, root: None, log };
    let chain = desk.next(&change, &desk.root)?;
    let entry = desk.entry("name-log", &chain).after(after);
    let served = desk.put(&desk.keys, &chain, entry)?;
    if let LogTrust::By(policy) = chain.log() {
        for key in policy.logs() {
            eprintln!("Witnesses watch the log by this key: loa witness add {key}");
        }
    }
    finish(&chain, served, common.json)
}

/// Reads the station file alone.
fn station(playlists: &Path, profiles: &Path) -> anyhow::Result<StationConfig> {
    let loaded = config::load(playlists, profiles, &mut NoClips);
    loaded.config.ok_or_else(|| {
        wrong_use(
            format!("`{}` has no valid station file", playlists.display()),
            format!("`loa check {}` lists every fault", playlists.display()),
        )
    })
}

fn revoke(common: &Common, key: &str, reason: &str) -> anyhow::Result<()> {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    if reason.is_empty() || reason.len() > limits::TITLE_BYTES {
        return Err(wrong_use("`--reason` has 1 to 512 bytes", "say what happened to the key"));
    }
    let desk = Desk::open(common)?;
    let current = desk.chain.current().context("the chain of epochs is empty")?;
    let in_use = |role: &Role| desk.keys.of(*role).map(SecretKey::kid);
    let (kid, of) = if let Ok(role) = role(key) {
        (in_use(&role), Some(role))
    } else {
        let kid: Option<Kid> = key.parse().ok();
        (kid, Role::NAMED.into_iter().find(|role| kid.is_some() && in_use(role) == kid))
    };
    let retired = |kid: &Kid| current.retired.iter().any(|known| known.key.kid() == *kid);
    let Some(kid) = kid.filter(|kid| of.is_some() || retired(kid)) else {
        return Err(wrong_use(
            format!("`{}` is neither a role nor a key in use or retired", key.escape_debug()),
            "nothing was changed; `loa keys show` lists all keys",
        ));
    };
    let mut keys = desk.keys.clone();
    if let Some(role) = of {
        keys.set(role, SecretKey::from_seed(&*seed()?));
    }
    let revoke = BTreeSet::from([kid]);
    let chain = desk.next(
        &Change { keys: &keys, revoke: &revoke, root: None, log: LogChange::Keep },
        &desk.root,
    )?;
    let entry = desk.entry("revoke-key", kid).after(format!("revoked: {reason}"));
    let served = desk.put(&keys, &chain, entry)?;
    finish(&chain, served, common.json)
}

fn finish(chain: &KeySet, served: Served, json: bool) -> anyhow::Result<()> {
    Shown::of(chain).print(json)?;
    eprintln!(
        "{} It publishes everything anew under the new keys, and devices follow when they connect.",
        match served {
            Served::Now => "The server that runs takes them over within seconds, by itself.",
            Served::Later => "No server runs on this folder: the next `loa serve` uses them.",
        }
    );
    Ok(())
}

/// Whether a server runs on the folder.
#[derive(Clone, Copy)]
enum Served {
    Now,
    Later,
}

/// What every change begins with.
struct Desk {
    folder: DataFolder,
    keys: ServerKeys,
    chain: KeySet,
    root: SecretKey,
    now: UtcMs,
}

impl Desk {
    fn open(common: &Common) -> anyhow::Result<Self> {
        let folder = DataFolder::existing(&common.data.data)?;
        let keys = folder.read_keys()?;
        let chain = folder.read_epochs(&keys)?;
        let root = read_root(&common.root, &chain.root())?;
        Ok(Self { folder, keys, chain, root, now: SystemClock::new().now() })
    }

    fn next(&self, change: &Change<'_>, root: &SecretKey) -> anyhow::Result<KeySet> {
        epoch::next(&self.chain, root, change, self.now).map_err(refused)
    }

    fn entry(&self, action: &str, subject: impl EntrySubject) -> Entry {
        let before = format!("epoch {}", self.chain.epoch());
        command_line().did(self.now, action, subject.text()).before(before)
    }

    /// Puts keys and chain in their place, then tells the trail.
    fn put(&self, keys: &ServerKeys, chain: &KeySet, entry: Entry) -> anyhow::Result<Served> {
        runtime()?.block_on(async {
            // Opened first: what could not be told must not happen.
            let store = self.folder.open_store().await?;
            self.folder.replace_keys(keys, chain)?;
            store
                .append(&entry)
                .await
                .context("the keys were changed, but the trail was not told")?;
            let alive = |lease: &Lease| lease.until_ms > self.now;
            let served = store.leases().await?.iter().any(alive);
            store.close().await;
            anyhow::Ok(if served { Served::Now } else { Served::Later })
        })
    }
}

/// What an entry of the trail is about.
trait EntrySubject {
    fn text(&self) -> String;
}

impl EntrySubject for &KeySet {
    fn text(&self) -> String {
        format!("epoch {}", self.epoch())
    }
}

impl EntrySubject for Kid {
    fn text(&self) -> String {
        self.to_string()
    }
}

fn refused(error: crate::wire::Refusal) -> anyhow::Error {
    failed(error, "nothing was changed; the chain holds at most 64 epochs and 65,536 bytes")
}

/// Finds the root key in the text that `loa init` wrote, or in the bare key.
fn read_root(path: &Path, wanted: &Kid) -> anyhow::Result<SecretKey> {
    let shown = path.display();
    let mut text = Zeroizing::new(String::new());
    if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(ROOT_BYTES)
            .read_to_string(&mut text)
            .context("reading stdin")?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(ROOT_BYTES).read_to_string(&mut text))
            .with_context(|| format!("reading `{shown}`"))?;
    }
    let mut found = text.split_whitespace().filter_map(secret_from_text);
    found.find(|key| key.kid() == *wanted).ok_or_else(|| {
        wrong_use(
            format!("`{shown}` does not hold the root key `{wanted}`"),
            "nothing was changed; name the file that `loa init` (or the last `--new-root`) wrote",
        )
    })
}
