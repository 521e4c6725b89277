//! Memory of one loudspeaker agent with everything it does: line, schedule, clips, records, sound.

use super::Row;
use super::host::{Host, tone};
use crate::app::ports::{Evidence as _, Page, RecordFilter};
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::demo::commune::Commune;
use crate::cmds::runtime;
use anyhow::Context as _;
use std::fs;
use std::time::Duration;

/// Longest that it may take.
const PATIENCE_MS: i64 = 300_000;
/// When the loudspeaker first sounds, after its commune is made.
const FIRST_S: u32 = 20;

/// A loudspeaker of the demo's commune, until the server has the proof of its first play.
pub fn row() -> anyhow::Result<Row> {
    let host = Host::new()?;
    let clip = std::env::temp_dir().join(format!("loa-bench-{:08x}.wav", getrandom::u32()?));
    fs::write(&clip, tone(440, 20))?;
    let commune = Commune::make(host.root(), SystemClock::new().now(), FIRST_S, Some(&clip));
    fs::remove_file(&clip)?;
    commune?;
    host.init()?;
    let server = host.serve()?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let store = host.store().await?;
        let register = host.register(&server, &store)?;
        let code = register.issue(&"loa-thon-dong".parse()?, None).await?.code;
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let (data, profiles) = (text(host.root().join("device")), text(host.profiles()));
        let sound = format!("wav:{}", text(host.root().join("street.wav")));
        let args =
            ["speaker", "--data", &data, "--profiles", &profiles, "--profile", "loa-ip", "--sink"];
        let args: Vec<&str> = args.into_iter().chain([sound.as_str()]).collect();
        let mut speaker = host.start("speaker.log", &args, &code)?;
        let clock = SystemClock::new();
        let plays = RecordFilter { kind: Some("play".to_owned()), ..RecordFilter::default() };
        loop {
            let said = || fs::read_to_string(host.root().join("speaker.log")).unwrap_or_default();
            anyhow::ensure!(speaker.runs(), "the loudspeaker ended:\n{}", said());
            let waited = clock.mono_ms() < PATIENCE_MS;
            anyhow::ensure!(waited, "the loudspeaker has proved no play:\n{}", said());
            let played = store.records(&plays, Page::Newest { limit: 1 }).await?;
            if !played.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let memory = speaker.memory().context("looking at the loudspeaker")?;
        store.close().await;
        Ok(Row::at_most("memory of a whole loudspeaker agent", memory.most, 30.0, "MB").note(
            format!(
                "peak resident, from enrolment to the receipt of its first play; {:.0} MB after it",
                memory.now
            ),
        ))
    })
}
