//! `loa audit`: the evidence checked by whoever does not want to trust the station.
//!
//! | Command | Does |
//! |---|---|
//! | `pack` | puts everything that shows what devices did into one file, while the server runs |
//! | `faults` | lists every kind of fault with its remedy |
//! | `verify` | checks a pack by a policy: without server, network or clock, in every build of `loa` |
//! | `sample` | draws plays for a check on the spot, from a server's data or out of a pack |
//! | `findings` | takes what was found, says which share is confirmed |

mod bar;
#[cfg(feature = "server")]
mod findings;
#[cfg(feature = "server")]
mod pack;
#[cfg(feature = "server")]
mod sample;
mod verify;
#[cfg(feature = "server")]
mod walking;

use super::{Answer, print_json, print_text, table};
use crate::audit::FaultKind;
use serde_json::{Value, json};

/// Checks the evidence of a station without trusting it
///
/// A pack is one file with everything that shows what devices did. Check it on your own machine by
/// a policy that you got from elsewhere than the station: from a witness or the inspectorate.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    #[cfg(feature = "server")]
    Pack(pack::Args),
    Verify(verify::Args),
    /// Lists every kind of fault that `verify` can find, with what to do about it
    Faults {
        /// Print one JSON array `{kind, remedy}`
        #[arg(long)]
        json: bool,
    },
    #[cfg(feature = "server")]
    Sample(sample::Args),
    #[cfg(feature = "server")]
    Findings(findings::Args),
}

/// Does what was asked for.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        #[cfg(feature = "server")]
        Act::Pack(args) => pack::run(&args),
        Act::Verify(args) => verify::run(&args),
        Act::Faults { json } => faults(json),
        #[cfg(feature = "server")]
        Act::Sample(args) => sample::run(&args),
        #[cfg(feature = "server")]
        Act::Findings(args) => findings::run(&args),
    }
}

fn faults(json: bool) -> anyhow::Result<Answer> {
    if json {
        let row = |kind: &FaultKind| json!({ "kind": kind, "remedy": kind.hint() });
        print_json(&FaultKind::ALL.iter().map(row).collect::<Vec<Value>>())?;
    } else {
        let row = |kind: &FaultKind| vec![kind.to_string(), kind.hint().to_owned()];
        let rows: Vec<_> = FaultKind::ALL.iter().map(row).collect();
        print_text(&table(&["KIND", "WHAT TO DO"], &rows))?;
    }
    Ok(Answer::Yes)
}
