//! `loa demo`: a sample commune in a temporary folder, to see and hear it work.
//!
//! Everything is real: the same binary runs as server, as two loudspeakers and as a board, each a
//! process of its own, over the embedded broker; records are signed, sent and stored.

pub(in crate::cmds) mod commune;
mod crew;
mod watch;

use super::{Answer, failed, runtime};
use crate::clock::{Clock as _, SystemClock};
use crate::lifecycle::Lifecycle;
use anyhow::Context as _;
use commune::Commune;
use crew::Crew;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use watch::Server;

/// Runs a sample commune: server, two loudspeakers and one board, with cues in the next minute
///
/// Prints where to look and every record that comes in; ends with Ctrl-C and leaves nothing behind.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the first loudspeaker sounds: `default` (the sound card) or `wav`; the sound card
    /// when there is one, unless said. The second always plays into a WAV file
    #[arg(long, value_name = "SINK", value_parser = ["default", "wav"])]
    sink: Option<String>,
    /// Where the board shows: `terminal` or `png`; the terminal when there is one, unless said
    #[arg(long, value_name = "OUTPUT", value_parser = ["terminal", "png"])]
    output: Option<String>,
    /// A clip to play instead of the sample's
    #[arg(long, value_name = "FILE")]
    clip: Option<PathBuf>,
    /// Let the first clip sound so many seconds from now; devices need some to come up
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(10..=600))]
    first: u32,
    /// End by itself after so many seconds; exit code 1 when no play and no showing was proved
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Keep the folder afterwards
    #[arg(long)]
    keep: bool,
}

/// Runs the demo.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let root = std::env::temp_dir().join(format!("loa-demo-{:08x}", getrandom::u32()?));
    let answer = in_folder(&args, &root);
    if args.keep {
        eprintln!("Kept: {}", root.display());
    } else if root.exists() {
        std::fs::remove_dir_all(&root).with_context(|| format!("removing `{}`", root.display()))?;
    }
    answer
}

fn in_folder(args: &Args, root: &Path) -> anyhow::Result<Answer> {
    let now = SystemClock::new().now();
    let commune = Commune::make(root, now, args.first, args.clip.as_deref())?;
    let ports = [free_port()?, free_port()?];
    let runtime = runtime()?;
    let answer = runtime.block_on(async {
        let lifecycle = Lifecycle::new();
        lifecycle.catch_signals().context("listening for signals")?;
        let stop = lifecycle.token();
        let mut crew = Crew::new(std::env::current_exe().context("finding this program")?);
        let answer = show(args, &commune, ports, &mut crew, &stop).await;
        crew.dismiss().await;
        answer
    });
    runtime.shutdown_timeout(Duration::from_millis(300));
    answer
}

/// Starts everybody, says where to look, and tells every record until the end.
async fn show(
    args: &Args,
    commune: &Commune,
    [http, mqtt]: [u16; 2],
    crew: &mut Crew,
    stop: &CancellationToken,
) -> anyhow::Result<Answer> {
    let token = crew.init(commune).await?;
    crew.serve(commune, http, mqtt)?;
    let server = Server::new(format!("http://127.0.0.1:{http}"), token);
    server.wait_until_ready(crew, stop).await?;

    let sound = args.sink.as_deref().map_or_else(has_sound_card, |sink| sink == "default");
    let screen = args
        .output
        .as_deref()
        .map_or_else(|| std::io::stdout().is_terminal(), |output| output == "terminal");
    let wav =
        |device: &str| format!("wav:{}", commune.root.join(format!("{device}.wav")).display());
    let sinks =
        [if sound { "default".to_owned() } else { wav("loa-thon-dong") }, wav("loa-thon-doai")];
    for (device, sink) in ["loa-thon-dong", "loa-thon-doai"].into_iter().zip(&sinks) {
        let code = server.code(device).await?;
        crew.speaker(commune, device, &code, sink)?;
    }
    let frames = commune.root.join("khung-hinh");
    let output = if screen { "terminal".to_owned() } else { format!("png:{}", frames.display()) };
    let code = server.code("bang-uy-ban").await?;
    crew.board(commune, "bang-uy-ban", &code, &output)?;

    eprintln!("{}", commune.said(http, &sinks, &output, sound));
    let end = args.seconds.map(Duration::from_secs);
    let seen = server.tell(crew, stop, end).await?;
    eprintln!(
        "\nProved: {} plays, {} showings, {} records in all",
        seen.plays, seen.shows, seen.records
    );
    if args.seconds.is_some() && (seen.plays == 0 || seen.shows == 0) {
        return Ok(Answer::No);
    }
    Ok(Answer::Yes)
}

/// Picks a free port; the server listens there a moment later.
fn free_port() -> anyhow::Result<u16> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(TcpListener::bind(any).context("finding a free port")?.local_addr()?.port())
}

/// Says whether something here is likely to sound: a PulseAudio (or PipeWire) socket, or a card.
fn has_sound_card() -> bool {
    if !cfg!(feature = "rodio") {
        return false;
    }
    let pulse = std::env::var_os("PULSE_SERVER").is_some()
        || std::env::var_os("XDG_RUNTIME_DIR")
            .is_some_and(|dir| Path::new(&dir).join("pulse/native").exists());
    let card = std::fs::read_dir("/dev/snd").into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("pcm") && name.ends_with('p')
    });
    pulse || card
}

/// Ends with what to do when a part of the demo did not come up.
fn broke(what: &str, log: &Path) -> anyhow::Error {
    let shown = std::fs::read_to_string(log).unwrap_or_default();
    let tail: Vec<&str> = shown.lines().rev().take(5).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    failed(
        anyhow::anyhow!("{what}:\n{}", tail.join("\n")),
        "run it again with `--keep` and look at the logs in the folder",
    )
}
