//! `loa init`: keys, data folder, station folder, first token.

use super::data::{DataFolder, DataOption, write_private};
use super::trail::command_line;
use super::{Answer, print_json, print_text, runtime, sample, tls, wrong_use};
use crate::app::ports::People as _;
use crate::app::{access, people};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::time::UtcMs;
use crate::wire::epoch::{self, KeysBody};
use crate::wire::jws::SecretKey;
use crate::wire::server_keys::{ServerKeys, secret_text};
use anyhow::Context as _;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Makes a server: its keys, its data folder, a station folder if there is none, a first token
///
/// The root key is written to a file of its own. Print it, copy it to a USB stick, put both into
/// a safe, and delete the file: the server never needs it, and whoever has it owns all devices.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataOption,
    /// Station folder; a small sample is put there if the folder does not exist
    #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
    playlists: PathBuf,
    /// Folder of device profiles; a sample is put there if it does not exist
    #[arg(long, value_name = "DIR", default_value = "device-profiles", env = "LOA_PROFILES")]
    profiles: PathBuf,
    /// Where the root key goes, best straight to a USB stick; `root-key.txt` in the data folder
    /// unless said
    #[arg(long, value_name = "FILE")]
    root_out: Option<PathBuf>,
    /// Also make a certificate authority of the station's own, and a certificate for HTTP and MQTT
    /// with these host names and addresses: those by which devices and browsers reach the server
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    tls: Vec<String>,
    /// Whether a second person approves what sounds. `off` holds only while `station.toml` says
    /// so too
    #[arg(long, value_name = "WHICH", value_parser = ["required", "off"], default_value = "required")]
    approval: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was made. The token is shown here and never again.
#[derive(Serialize)]
struct Made {
    data: PathBuf,
    playlists: PathBuf,
    profiles: PathBuf,
    /// Whether the sample was copied into the station folder.
    sample: bool,
    /// Thumbprint of the root key: devices pin it.
    root: String,
    root_file: PathBuf,
    token: String,
    /// Names on the certificate that was made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls: Vec<String>,
}

/// Makes a server.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::at(&args.data.data);
    if folder.is_made() {
        return Err(wrong_use(
            format!("`{}` already holds the keys of a server", folder.path().display()),
            "nothing was changed; start it with `loa serve`, or name another folder by `--data`",
        ));
    }
    let root_file = args.root_out.clone().unwrap_or_else(|| folder.root_key());
    if root_file.exists() {
        return Err(wrong_use(
            format!("`{}` already exists", root_file.display()),
            "nothing was changed; move the file away or name another one by `--root-out`",
        ));
    }
    let now = SystemClock::new().now();
    folder.make()?;
    let root = make_keys(&folder, &root_file, now)?;
    let token = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let admin = people::first_administrator(now);
        let entry = command_line().did(now, "init", &admin.id).after("administrator");
        store.put_person(&admin, &entry).await?;
        let token = access::grant(&store, "init", Some(&admin.id), access::API, now, None).await?;
        if args.approval == "off" {
            super::approve::put(&store, true, now).await?;
        }
        store.close().await;
        anyhow::Ok(token)
    })?;
    sample::copy_profiles(&args.profiles)?;
    let copied = sample::copy_station(&args.playlists)?;
    let made = Made {
        data: args.data.data,
        playlists: args.playlists,
        profiles: args.profiles,
        sample: copied,
        root,
        root_file,
        token: token.reveal().to_owned(),
        tls: args.tls,
    };
    if !made.tls.is_empty() {
        // The server stands without it, so its token is told whatever happens here.
        if let Err(error) = tls::make(&folder, &made.playlists, &made.profiles, &made.tls, now) {
            eprintln!("Token for the API, shown once: {}", made.token);
            return Err(error.context("the server was made, its certificate was not"));
        }
    }
    if args.json {
        print_json(&made)?;
    } else {
        print_text(&steps(&made, args.approval == "off"))?;
    }
    Ok(Answer::Yes)
}

/// Makes and writes all keys; `keys.json` last, since its presence means the folder is whole.
pub(super) fn make_keys(
    folder: &DataFolder,
    root_file: &Path,
    now: UtcMs,
) -> anyhow::Result<String> {
    let root = SecretKey::from_seed(&*seed()?);
    let mut seeds = Zeroizing::new([[0; 32]; 5]);
    for slot in seeds.iter_mut() {
        *slot = *seed()?;
    }
    let keys = ServerKeys::from_seeds(&seeds);
    let chain = KeysBody::new(vec![epoch::first(&root, &keys, now.numeric_date())]);
    let thumbprint = root.kid().to_string();
    // An earlier attempt that broke off half-way left files that no device trusts yet.
    for path in [folder.epochs(), folder.root_name()] {
        if path.exists() {
            std::fs::remove_file(&path)
                .with_context(|| format!("removing `{}`", path.display()))?;
        }
    }
    write_private(root_file, &root_text(&root, &thumbprint))?;
    write_private(&folder.root_name(), &format!("{thumbprint}\n"))?;
    write_private(&folder.epochs(), std::str::from_utf8(&chain.encode())?)?;
    write_private(&folder.keys(), &keys.to_file())?;
    Ok(thumbprint)
}

/// Draws the seed of a key.
pub(super) fn seed() -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).context("the system gave no random numbers")?;
    Ok(seed)
}

/// Writes a root key for paper and USB.
pub(super) fn root_text(root: &SecretKey, thumbprint: &str) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "LOA – KHOÁ GỐC / ROOT KEY\n\
         Thumbprint: {thumbprint}\n\
         Key:        {}\n\n\
         In ra giấy, chép vào USB, cất cả hai vào nơi an toàn, rồi xoá tệp này khỏi máy chủ.\n\
         Print this, copy it to a USB stick, keep both in a safe, then delete this file.\n",
        &*Zeroizing::new(secret_text(root)),
    ))
}

fn steps(made: &Made, alone: bool) -> String {
    let Made { data, playlists, profiles, root_file, token, root, sample, tls } = made;
    let station = if *sample {
        format!("A sample station was put into `{}`.", playlists.display())
    } else {
        format!("The station folder `{}` was left as it is.", playlists.display())
    };
    let mut serve = String::new();
    for (option, path, usual) in [
        ("--data", data, "data"),
        ("--playlists", playlists, "playlists"),
        ("--profiles", profiles, "device-profiles"),
    ] {
        if path.as_os_str() != usual {
            let _ = write!(serve, " {option} {}", typed(path));
        }
    }
    let on_data =
        if data.as_os_str() == "data" { String::new() } else { format!(" --data {}", typed(data)) };
    let approval = if alone {
        "Runs without approval while `station.toml` says so too; every page tells".to_owned()
    } else {
        format!(
            "Nothing sounds before a second person approves it: loa user add, loa proposals,\n\
             \x20  loa approve. To try Loa alone: loa approval off{on_data}"
        )
    };
    format!(
        "Made the keys of a server in `{}`. {station}\n\n\
         1. Take the root key away: print `{}`, copy it to a USB stick, then delete it.\n\
         \x20  Its thumbprint is {root}\n\
         2. Keep this token for the API; it is not shown again:\n\
         \x20  {token}\n\
         3. Check the station:      loa check{}\n\
         4. Start the server:       loa serve{serve}\n\
         5. Enrol a device:         loa device enrol{on_data} DEVICE\n\
         6. Open the page:          loa link{on_data}\n\
         7. {approval}\n{}",
        data.display(),
        root_file.display(),
        if playlists.as_os_str() == "playlists" {
            String::new()
        } else {
            format!(" {}", typed(playlists))
        },
        tls::next_steps(tls),
    )
}

/// Returns the path as one types it at a shell.
fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@,~".contains(c);
    if !text.starts_with('~') && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
