//! `loa audit`: the evidence checked by whoever does not want to trust the station.
//!
//! | Command | Does |
//! |---|---|
//! | `pack` | puts everything that shows what devices did into one file, while the server runs |
//! | `verify` | checks a pack by a policy: without server, network or clock, in every build of `loa` |

mod bar;
#[cfg(feature = "server")]
mod pack;
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
    #[cfg(feature = "server")]
    Pack(pack::Args),
    Verify(verify::Args),
}

/// Does what was asked for.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        #[cfg(feature = "server")]
        Act::Pack(args) => pack::run(&args),
        Act::Verify(args) => verify::run(&args),
    }
}
