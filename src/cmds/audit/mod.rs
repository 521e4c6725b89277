//! `loa audit`: the evidence checked by whoever does not want to trust the station.
//!
//! | Command | Does |
//! |---|---|
//! | `verify` | checks a pack by a policy: without server, network or clock, in every build of `loa` |

mod verify;

use super::Answer;

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
    Verify(verify::Args),
}

/// Does what was asked for.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::Verify(args) => verify::run(&args),
    }
}
