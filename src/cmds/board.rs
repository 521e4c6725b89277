//! `loa board`: a LED board that shows alone and proves what it did.

use super::agent::{self, DeviceArgs};
use super::{Advise as _, Answer, failed, wrong_use};
use crate::device::board::OutputKind;
use crate::device::hardware::Hardware;
use crate::domain::profile::BoardProfile;

/// Runs a LED board
///
/// Enrol once with the operator's code (`--enrol CODE`); from then on the folder alone is enough.
/// The board shows on without a line, keeps signed records and delivers them when it can.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Where text goes: `terminal`, `png:DIR` (the newest frame and each different one), `null`,
    /// or lamps: `ddp://HOST`, `e131://HOST?universe=1`, `e131://multicast?universe=1`,
    /// `artnet://HOST?universe=0`, `wled://HOST`, each with `&refresh=MS` and `&from=ADDRESS`
    #[arg(long, default_value = "terminal", value_name = "OUTPUT")]
    output: String,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let kind: OutputKind = args
        .output
        .parse()
        .map_err(|e: crate::device::board::OutputKindError| wrong_use(&e, e.hint()))?;
    let grade = kind.grade();
    let usual = agent::usual(None, Some(usual_board()));
    agent::run(
        || args.device.open(usual),
        |opened| {
            let Some(board) = opened.profile.board.clone() else {
                return Err(wrong_use(
                    format!("profile `{}` has no board", opened.profile.id),
                    "run it with `loa speaker`, or name another profile",
                ));
            };
            let output = kind.open(&board, opened.device.id().as_str()).map_err(|error| {
                let hint = error.hint();
                failed(error, hint)
            })?;
            let (clock, props) = (opened.device.clock(), opened.device.props());
            Hardware::board(output, board, grade, clock, props)
                .advise("the system starts no more threads")
        },
    )
}

/// The panel of a board without a profile.
pub fn usual_board() -> BoardProfile {
    BoardProfile {
        width_px: 128,
        height_px: 32,
        colours: vec!["red".to_owned()],
        fonts: vec!["unifont".to_owned()],
        scroll_px_s: 40,
        ..BoardProfile::default()
    }
}
