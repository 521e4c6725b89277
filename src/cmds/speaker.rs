//! `loa speaker`: a loudspeaker that plays alone and proves what it did.

use super::agent::{self, DeviceArgs};
use super::{Answer, failed, wrong_use};
use crate::device::hardware::Hardware;
use crate::device::player::SinkSpec;
use crate::domain::profile::SpeakerProfile;

/// Runs a loudspeaker
///
/// Enrol once with the operator's code (`--enrol CODE`); from then on the folder alone is enough.
/// The device plays on without a line, keeps signed records and delivers them when it can.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Where sound goes: `default` (the sound card), `null` (nowhere, in real time), `wav:FILE`
    /// (what the street would hear, with the silence between plays)
    #[arg(long, default_value = "default", value_name = "SINK")]
    sink: String,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let sink: SinkSpec = args
        .sink
        .parse()
        .map_err(|e: crate::device::player::SinkSpecError| wrong_use(&e, e.hint()))?;
    let codecs = ["audio/mpeg", "audio/mp4", "audio/wav", "audio/flac", "audio/ogg"];
    let speaker =
        SpeakerProfile { codecs: codecs.map(str::to_owned).to_vec(), longest_ms: 3_600_000 };
    let usual = agent::usual(Some(speaker), None);
    agent::run(
        || {
            let opened = args.device.open(usual)?;
            if opened.profile.speaker.is_none() {
                return Err(wrong_use(
                    format!("profile `{}` has no loudspeaker", opened.profile.id),
                    "run it with `loa board`, or name another profile",
                ));
            }
            Ok(opened)
        },
        |opened| {
            Hardware::speaker(sink, opened.device.clock()).map_err(|error| {
                let hint = error.hint();
                failed(error, hint)
            })
        },
    )
}
