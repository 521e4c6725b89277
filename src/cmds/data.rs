//! The data folder of a server: keys, store, assets, and who holds it.
//!
//! ```text
//! keys.json      the server's signing keys, 0600     epochs.json  the root-signed key chain
//! store.db …     register, schedules, evidence       assets/      clips by SHA-256
//! log/           the log, a folder a shard           log-key.txt  the key of its heads, 0600
//! password-seed.txt  what the devices' passwords at the broker follow from, 0600
//! evidence/      files that persons brought, by SHA-256
//! root.txt       thumbprint of the root key          lock
//! root-key.txt   the root key itself, until a person takes it away
//! ca/            the station's own certificate authority, if it has one: ca.pem, key.pem
//! ```

use super::{failed, wrong_use};
use crate::app::assets::FileLibrary;
use crate::app::registry::PasswordSeed;
use crate::app::scribe::LogPlace;
use crate::store::SqliteStore;
use crate::wire::b64;
use crate::wire::epoch::KeySet;
use crate::wire::jws::SecretKey;
use crate::wire::server_keys::{ServerKeys, secret_from_text};
use crate::wire::tlog::Name;
use anyhow::Context as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where everything of a server lies.
#[derive(Clone, Debug)]
pub struct DataFolder {
    path: PathBuf,
}

/// `--data`, the same for all commands that use the folder.
#[derive(Clone, Debug, clap::Args)]
pub struct DataOption {
    /// Data folder: keys, store, assets
    #[arg(long, value_name = "DIR", default_value = "data", env = "LOA_DATA")]
    pub data: PathBuf,
}

/// How often a server that shares the folder asks for it while another comes up, 50 ms apart.
const COMING_UP: u32 = 100;

/// Whether other processes may use the folder at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// This process runs the broker of this folder: no second server beside it.
    Alone,
    /// Several servers share the work over an external broker.
    Shared,
}

/// The lock on a data folder; given back when dropped, also by a crash.
#[derive(Debug)]
pub struct Held {
    /// Open as long as the lock is held.
    file: File,
    sole: bool,
}

impl Held {
    /// Says whether no other server is alive on this folder, and none can come up yet.
    pub fn is_sole(&self) -> bool {
        self.sole
    }

    /// Lets others in, where several may share the folder.
    pub fn share(self, hold: Hold) -> anyhow::Result<Self> {
        if hold == Hold::Alone || !self.sole {
            return Ok(self);
        }
        // Somebody may slip in between the two locks; a moment later the folder is shared again.
        self.file.unlock().context("sharing the data folder")?;
        share(&self.file).map_err(anyhow::Error::from).context("sharing the data folder")?;
        Ok(Self { sole: false, ..self })
    }
}

impl DataFolder {
    /// Names a folder that may or may not be there.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Names a folder that `loa init` has made.
    pub fn existing(path: &Path) -> anyhow::Result<Self> {
        let folder = Self::at(path);
        if folder.is_made() {
            return Ok(folder);
        }
        Err(wrong_use(
            format!("`{}` is not the data folder of a server", path.display()),
            format!("make one: `loa init --data {}`", path.display()),
        ))
    }

    /// Says whether keys have been made here.
    pub fn is_made(&self) -> bool {
        self.keys().exists()
    }

    /// Makes the folder for its owner alone.
    pub fn make(&self) -> anyhow::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .with_context(|| format!("making `{}`", self.path.display()))?;
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&self.path, owner)
            .with_context(|| format!("closing `{}` to others", self.path.display()))
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file of the server's keys.
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys.json")
    }

    /// Returns the file of the key chain.
    pub fn epochs(&self) -> PathBuf {
        self.path.join("epochs.json")
    }

    /// Returns the file in which the root key lies until a person takes it away.
    pub fn root_key(&self) -> PathBuf {
        self.path.join("root-key.txt")
    }

    /// Returns the file that holds the root key's thumbprint.
    pub fn root_name(&self) -> PathBuf {
        self.path.join("root.txt")
    }

    /// Returns the file of the store.
    pub fn store(&self) -> PathBuf {
        self.path.join("store.db")
    }

    /// Returns the folder of the assets.
    pub fn assets(&self) -> PathBuf {
        self.path.join("assets")
    }

    /// Opens the folder in which the files of evidence by hand lie, by their hashes.
    pub fn evidence_files(&self) -> anyhow::Result<FileLibrary> {
        FileLibrary::open(self.path.join("evidence")).map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })
    }

    /// Returns the folder of the log: a folder a shard.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Returns the file of the key that signs the log's heads.
    pub fn log_key(&self) -> PathBuf {
        self.path.join("log-key.txt")
    }

    /// Returns where the log lies, under which name and key; makes what is not there yet. Its name
    /// comes from the root key of the station's beginning and stays whatever is rotated later.
    pub fn log_place(&self, heads: Option<&Path>) -> anyhow::Result<LogPlace> {
        let key = self.read_log_key()?;
        let file = self.log().join("origin");
        if !file.exists() {
            let root = fs::read_to_string(self.root_name())
                .with_context(|| format!("reading `{}`", self.root_name().display()))?;
            fs::create_dir_all(self.log())
                .with_context(|| format!("making `{}`", self.log().display()))?;
            replace_private(&file, &format!("loa/{}\n", root.trim()))?;
        }
        let base =
            fs::read_to_string(&file).with_context(|| format!("reading `{}`", file.display()))?;
        let base = Name::new(base.trim()).map_err(|error| {
            let hint = "restore the file from a backup: it names the log for ever";
            failed(anyhow::Error::new(error).context(format!("in `{}`", file.display())), hint)
        })?;
        let heads = heads.map_or_else(|| self.log_heads(), Path::to_owned);
        Ok(LogPlace { folder: self.log(), heads, base, key })
    }

    /// Returns where the heads of the log are kept unless another place is named: beside the data.
    pub fn log_heads(&self) -> PathBuf {
        let whole = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let mut name = whole.file_name().unwrap_or_default().to_owned();
        name.push(".heads");
        whole.with_file_name(name)
    }

    /// Reads the key of the log; makes it where a server has none yet.
    fn read_log_key(&self) -> anyhow::Result<SecretKey> {
        let text = self.read_or_make(&self.log_key())?;
        secret_from_text(&text).ok_or_else(|| {
            failed(
                anyhow::anyhow!(
                    "`{}` holds no key of 43 characters of base64url",
                    self.log_key().display()
                ),
                "restore the file from a backup: the log is checked by this key",
            )
        })
    }

    /// Reads what the passwords of devices follow from; makes it where a server has none yet.
    pub fn read_password_seed(&self) -> anyhow::Result<PasswordSeed> {
        let path = self.path.join("password-seed.txt");
        let text = self.read_or_make(&path)?;
        let seed = zeroize::Zeroizing::new(b64::decode_exact::<32>(&text).ok_or_else(|| {
            failed(
                anyhow::anyhow!("`{}` holds no 43 characters of base64url", path.display()),
                "restore the file from a backup; without it a broker that lost its accounts \
                 cannot be told them again",
            )
        })?);
        Ok(PasswordSeed::new(*seed))
    }

    /// Reads a private file of 32 random bytes in base64url; makes it where there is none.
    fn read_or_make(&self, path: &Path) -> anyhow::Result<zeroize::Zeroizing<String>> {
        let _turn = self.keys_turn()?;
        if !path.exists() {
            let mut seed = zeroize::Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).context("the system gave no random numbers")?;
            let text = zeroize::Zeroizing::new(b64::encode(&*seed));
            write_private(path, &zeroize::Zeroizing::new(format!("{}\n", &*text)))?;
        }
        let text = zeroize::Zeroizing::new(
            fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?,
        );
        Ok(zeroize::Zeroizing::new(text.trim().to_owned()))
    }

    /// Returns the folder of the station's own certificate authority.
    pub fn authority(&self) -> PathBuf {
        self.path.join("ca")
    }

    /// Returns the password file for an external mosquitto.
    pub fn mosquitto_passwords(&self) -> PathBuf {
        self.path.join("mosquitto").join("passwords")
    }

    /// Puts other keys and a longer chain in place of the old, as one step: what breaks off
    /// half-way is finished or undone by whoever reads the keys next.
    pub fn replace_keys(&self, keys: &ServerKeys, chain: &KeySet) -> anyhow::Result<()> {
        let _turn = self.keys_turn()?;
        let [new_keys, new_epochs] = self.coming();
        self.drop_coming()?;
        write_private(&new_keys, &keys.to_file())?;
        write_private(&new_epochs, std::str::from_utf8(&chain.body().encode())?)?;
        // From here on the new keys are the keys.
        rename(&new_epochs, &self.epochs())?;
        rename(&new_keys, &self.keys())?;
        let name = self.path.join("root.new.txt");
        drop(fs::remove_file(&name));
        write_private(&name, &format!("{}\n", chain.signer()))?;
        rename(&name, &self.root_name())
    }

    /// Finishes or undoes a change of keys that broke off.
    fn settle_keys(&self) -> anyhow::Result<()> {
        let [new_keys, _] = self.coming();
        if !new_keys.exists() {
            return Ok(());
        }
        let _turn = self.keys_turn()?;
        let read = |path: &Path| fs::read_to_string(path).map(zeroize::Zeroizing::new).ok();
        let coming = read(&new_keys).and_then(|text| ServerKeys::from_file(&text).ok());
        let pin = read(&self.root_name()).and_then(|text| text.trim().parse().ok());
        let chain = fs::read(self.epochs()).ok().zip(pin);
        let chain = chain.and_then(|(body, pin)| KeySet::verify(&body, &pin).ok());
        let named = chain.as_ref().and_then(KeySet::current).map(|current| &current.roles);
        match coming {
            Some(coming) if named == Some(&coming.public()) => rename(&new_keys, &self.keys())?,
            _ => {}
        }
        self.drop_coming()
    }

    fn coming(&self) -> [PathBuf; 2] {
        ["keys.new.json", "epochs.new.json"].map(|name| self.path.join(name))
    }

    fn drop_coming(&self) -> anyhow::Result<()> {
        for path in self.coming() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing `{}`", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits until no other process changes the keys.
    fn keys_turn(&self) -> anyhow::Result<File> {
        let path = self.path.join("keys.lock");
        let mut open = OpenOptions::new();
        open.create(true).truncate(false).write(true).mode(0o600);
        let file = open.open(&path).with_context(|| format!("opening `{}`", path.display()))?;
        file.lock().with_context(|| format!("locking `{}`", path.display()))?;
        Ok(file)
    }

    /// Reads the server's keys.
    pub fn read_keys(&self) -> anyhow::Result<ServerKeys> {
        self.settle_keys()?;
        let path = self.keys();
        let text = zeroize::Zeroizing::new(
            fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?,
        );
        ServerKeys::from_file(&text).map_err(|error| {
            let error = anyhow::Error::new(error).context(format!("in `{}`", path.display()));
            failed(error, "restore the file from a backup: devices trust these keys")
        })
    }

    /// Reads the chain of key epochs and checks that it fits the keys.
    pub fn read_epochs(&self, keys: &ServerKeys) -> anyhow::Result<KeySet> {
        use crate::wire::jws::{Keys as _, Role};
        let path = self.epochs();
        let hint = "restore the file from a backup: devices trust this chain";
        let bytes = fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?;
        let place = || format!("in `{}`", path.display());
        let pin = fs::read_to_string(self.root_name())
            .with_context(|| format!("reading `{}`", self.root_name().display()))?;
        let pin = pin.trim().parse().with_context(|| self.root_name().display().to_string())?;
        let set = KeySet::verify(&bytes, &pin)
            .map_err(|error| failed(anyhow::Error::new(error).context(place()), hint))?;
        for role in Role::NAMED {
            let Some(key) = keys.of(role) else { continue };
            set.find(&key.kid(), role)
                .map_err(|error| failed(anyhow::Error::new(error).context(place()), hint))?;
        }
        Ok(set)
    }

    /// Opens the store.
    pub async fn open_store(&self) -> anyhow::Result<SqliteStore> {
        let path = self.store();
        SqliteStore::open(&path).await.map_err(|error| {
            let hint = error.hint();
            failed(anyhow::Error::new(error).context(format!("opening `{}`", path.display())), hint)
        })
    }

    /// Takes the folder for a server.
    pub fn hold(&self, hold: Hold) -> anyhow::Result<Held> {
        let path = self.path.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("opening `{}`", path.display()))?;
        let taken = match (file.try_lock(), hold) {
            (Err(fs::TryLockError::WouldBlock), Hold::Shared) => share(&file).map(|()| false),
            (taken, _) => taken.map(|()| true),
        };
        match taken {
            Ok(sole) => Ok(Held { file, sole }),
            Err(fs::TryLockError::WouldBlock) => Err(failed(
                anyhow::anyhow!("another `loa serve` uses `{}`", self.path.display()),
                "one server runs the embedded broker alone; several share a store only with \
                 `--broker mqtt(s)://HOST:PORT` given to all of them",
            )),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("locking `{}`", path.display()))
            }
        }
    }
}

/// Replaces a file as a whole, or makes it; only its owner can read it.
pub fn replace_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing `{}`", beside.display()));
        }
        _ => {}
    }
    write_private(&beside, text)?;
    fs::rename(&beside, path).with_context(|| format!("writing `{}`", path.display()))?;
    sync_folder(path)
}

/// Gives a file its name, durably.
fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(from, to)
        .and_then(|()| File::open(folder)?.sync_all())
        .with_context(|| format!("writing `{}`", to.display()))
}

/// Takes the lock beside others, waiting a little while one of them comes up.
fn share(file: &File) -> Result<(), fs::TryLockError> {
    for _ in 0..COMING_UP {
        match file.try_lock_shared() {
            Err(fs::TryLockError::WouldBlock) => {
                std::thread::sleep(Duration::from_millis(50));
            }
            taken => return taken,
        }
    }
    Err(fs::TryLockError::WouldBlock)
}

/// Writes a new file that only its owner can read, durably; refuses to overwrite.
pub fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("making `{}`", path.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("writing `{}`", path.display()))?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("writing `{}`", folder.display()))
}
