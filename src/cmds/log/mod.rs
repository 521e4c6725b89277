//! `loa log`: what the evidence log holds, whether it is whole, proofs, and the ways on after a loss.
//!
//! Reading needs no server and disturbs none; rebuilding and adopting want it stopped, which the
//! head file tells.

mod mend;
mod policy;
mod read;

pub use policy::policy_text;

use super::Answer;
use super::data::{DataFolder, DataOption};
use crate::domain::ids::{ChainId, DeviceId};
use crate::log::shard::ShardName;
use std::path::PathBuf;

/// Shows, checks and proves the evidence log; goes on after a loss
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists the shards of the log with their heads, and what waits
    Show(Show),
    /// Reads every leaf and every tile and compares them with the signed head; exit 1 when
    /// anything is wrong
    Check(Check),
    /// Proves that a leaf is in the log: a file that anybody can check (C2SP tlog-proof)
    Prove(Prove),
    /// Prints the policy by which auditors believe the log (C2SP tlog-policy): which keys sign it,
    /// which witnesses vouch for it and how many are enough
    Policy(Place),
    /// Writes lost or older tiles again from the store, up to the head that was signed
    Rebuild(Place),
    /// Goes on in a new shard after leaves were lost for good; a running server does so within
    /// seconds, another at its start
    Begin(Begin),
    /// Takes the log as it stands although its head file is lost. Ask the witnesses first: if the
    /// log had been longer, this makes a fork
    Adopt(Place),
}

/// Where the log lies.
#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    data: DataOption,
    /// Folder for the heads of the log, as `loa serve` is told; the data folder's name with
    /// `.heads` unless said
    #[arg(long, value_name = "DIR", env = "LOA_LOG_HEADS")]
    log_heads: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    place: Place,
    /// One leaf instead: its place in the shard, from 0
    #[arg(long, value_name = "INDEX")]
    leaf: Option<u64>,
    /// The shard of the leaf; the newest unless said
    #[arg(long, value_name = "SHARD")]
    shard: Option<ShardName>,
}

#[derive(Debug, clap::Args)]
struct Check {
    #[command(flatten)]
    place: Place,
    /// Only this shard
    #[arg(long, value_name = "SHARD")]
    shard: Option<ShardName>,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["index", "device"])))]
struct Prove {
    #[command(flatten)]
    place: Place,
    /// Place of the leaf in its shard, from 0
    #[arg(value_name = "INDEX")]
    index: Option<u64>,
    /// The shard of that place; the newest unless said
    #[arg(long, value_name = "SHARD", requires = "index")]
    shard: Option<ShardName>,
    /// A record of this device instead
    #[arg(long, value_name = "ID", requires_all = ["chain", "seq"])]
    device: Option<DeviceId>,
    /// The record's chain
    #[arg(long, value_name = "HEX", requires = "device")]
    chain: Option<ChainId>,
    /// The record's number
    #[arg(long, value_name = "N", requires = "device")]
    seq: Option<u64>,
    /// Write the proof to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Begin {
    #[command(flatten)]
    place: Place,
    /// What happened; stands in the log for ever
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Place {
    fn folder(&self) -> anyhow::Result<DataFolder> {
        DataFolder::existing(&self.data.data)
    }

    fn log(&self) -> anyhow::Result<crate::app::scribe::LogPlace> {
        self.folder()?.log_place(self.log_heads.as_deref())
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.what {
        What::Show(args) => read::show(&args),
        What::Check(args) => read::check(&args),
        What::Prove(args) => read::prove(&args),
        What::Policy(place) => policy::policy(&place),
        What::Rebuild(place) => mend::rebuild(&place),
        What::Begin(args) => mend::begin(&args),
        What::Adopt(place) => mend::adopt(&place),
    }
}
