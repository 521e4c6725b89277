//! `loa audit verify`: a pack and a policy in, a verdict out.

use super::super::{Answer, failed, print_text, wrong_use};
use super::bar::Bar;
#[cfg(feature = "server")]
use crate::audit::TokenJudge;
use crate::audit::{Options, Policy, PolicyError, Progress, Source, Verdict, verify};
#[cfg(feature = "server")]
use crate::stamp::{Token, Trust};
use anyhow::Context as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes of the longest policy that is read; one more shows that it is longer.
const POLICY_BYTES: u64 = 65_537;
/// Bytes of the longest file of certificates.
#[cfg(feature = "server")]
const CA_BYTES: u64 = 1 << 20;
/// Bytes of the longest file of receipts.
const RECEIPTS_BYTES: u64 = 64 << 20;

/// Checks a pack: whether anything is wrong, and what was played
///
/// Needs neither server nor network. Ends with code 0 when nothing is wrong, 1 when anything is;
/// each fault names file, place in the log, device and number.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pack, as `loa audit pack` writes it
    #[arg(value_name = "PACK")]
    pack: PathBuf,
    /// Policy file: which logs and witnesses count (C2SP tlog-policy); take it from a witness or
    /// the inspectorate, never from the pack
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Receipts brought from devices, one a line: what they receipt must be in the log
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    /// Thumbprint of the station's root key, where you know it: receipts are then judged by it
    #[arg(long, value_name = "THUMBPRINT")]
    root: Option<String>,
    /// Certificates of the time-stamp authority (PEM): time stamps are then checked, too
    #[cfg(feature = "server")]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A record whose time is enclosed less tightly than this many minutes is late
    #[arg(long, value_name = "MINUTES", default_value = "60", value_parser = clap::value_parser!(u32).range(1..=525_600))]
    late: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
pub fn run(args: &Args) -> anyhow::Result<Answer> {
    let policy = policy(&args.policy)?;
    let receipts = match &args.receipts {
        Some(path) => read(path, RECEIPTS_BYTES)?,
        None => Vec::new(),
    };
    let root = args.root.as_deref().map(thumbprint).transpose()?;
    #[cfg(feature = "server")]
    let stamps = args.ca.as_deref().map(Stamps::trusting).transpose()?;
    let options = Options {
        late_ms: i64::from(args.late) * 60_000,
        receipts: &receipts,
        root,
        #[cfg(feature = "server")]
        tokens: stamps.as_ref().map(|stamps| stamps as &dyn TokenJudge),
        ..Options::default()
    };
    let verdict = judge(&args.pack, &policy, &options)?;
    if args.json {
        print_text(&(verdict.json() + "\n"))?;
    } else {
        print_text(&verdict.table())?;
    }
    Ok(if verdict.ok { Answer::Yes } else { Answer::No })
}

/// Judges time stamps by the certificates of an authority.
#[cfg(feature = "server")]
struct Stamps(Trust);

#[cfg(feature = "server")]
impl Stamps {
    fn trusting(path: &Path) -> anyhow::Result<Self> {
        let pem = read(path, CA_BYTES)?;
        Trust::from_pem(&pem).map(Self).map_err(|error| {
            let hint = error.hint();
            wrong_use(format!("`{}`: {error}", path.display()), hint)
        })
    }
}

#[cfg(feature = "server")]
impl TokenJudge for Stamps {
    fn judge(&self, token: &[u8], note: &[u8]) -> Result<(), String> {
        let judged = Token::parse(token).and_then(|token| token.verify(note, &self.0));
        judged.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Reads the policy that an auditor pins.
pub fn policy(path: &Path) -> anyhow::Result<Policy> {
    let bytes = read(path, POLICY_BYTES)?;
    Policy::parse(&bytes).map_err(|error: PolicyError| {
        wrong_use(format!("`{}`: {error}", path.display()), error.hint())
    })
}

fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("reading `{}`", path.display()))?;
    file.take(most)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading `{}`", path.display()))?;
    if bytes.len() as u64 == most {
        return Err(wrong_use(
            format!("`{}` has {most} bytes or more", path.display()),
            format!("give a file of less than {most} bytes"),
        ));
    }
    Ok(bytes)
}

fn thumbprint(text: &str) -> anyhow::Result<[u8; 32]> {
    crate::wire::b64::decode_exact::<32>(text.trim()).ok_or_else(|| {
        wrong_use(
            format!("`{text}` is no thumbprint of a key"),
            "43 letters and digits, as `root.txt` of the server or the paper of the root key \
                 says",
        )
    })
}

/// Audits a file; what is no file at all is no pack.
pub fn judge(pack: &Path, policy: &Policy, options: &Options<'_>) -> anyhow::Result<Verdict> {
    let about = fs::metadata(pack).with_context(|| format!("reading `{}`", pack.display()))?;
    let mut bar = Bar::new();
    // A folder or a pipe has no places to read at.
    if about.is_file() {
        let file = File::open(pack).with_context(|| format!("reading `{}`", pack.display()))?;
        audit(&file, policy, options, &mut bar)
    } else {
        audit(&[] as &[u8], policy, options, &mut bar)
    }
}

fn audit<S: Source + ?Sized>(
    source: &S,
    policy: &Policy,
    options: &Options<'_>,
    bar: &mut Bar,
) -> anyhow::Result<Verdict> {
    let mut show = |Progress { walk, done, bytes }| match walk {
        0 => bar.show("looking through", done, bytes),
        walk => bar.show(&format!("checking, walk {walk}"), done, bytes),
    };
    verify(source, policy, options, &mut show).map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })
}
