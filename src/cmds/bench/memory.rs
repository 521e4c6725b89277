//! Memory of a server that carries a large district: a thousand devices, enrolled by code,
//! connected to the embedded broker, fetching two clips and proving themselves, all at once.

use super::Row;
use super::fleet::{Fleet, Manner};
use super::host::{Host, Tone};
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::runtime;
use std::sync::atomic::Ordering;
use std::time::Duration;

const DEVICES: usize = 1_000;
/// Longest that a step may take.
const PATIENCE_MS: i64 = 300_000;
const CLIPS: [Tone; 2] = [
    Tone { name: "mo-dau", hertz: 440, seconds: 10 },
    Tone { name: "noi-dung", hertz: 523, seconds: 10 },
];

/// Measures it.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    Ok(vec![
        server()?,
        #[cfg(all(feature = "speaker", feature = "board"))]
        super::agent::row()?,
    ])
}

fn server() -> anyhow::Result<Row> {
    let host = Host::district(DEVICES, &CLIPS)?;
    let server = host.serve()?;
    let empty = server.process.memory()?.now;
    let runtime = runtime()?;
    let devices = runtime.block_on(host.enrol(&server, DEVICES))?;
    let clock = SystemClock::new();
    let fleet = runtime.block_on(async { Fleet::start(&devices, &Manner::default()) })?;
    fleet.wait(DEVICES, PATIENCE_MS, |progress| {
        vec![&progress.connected, &progress.planned, &progress.ready, &progress.receipted]
    })?;
    let taken_s = clock.mono_ms() as f64 / 1_000.0;
    let chunks = fleet.progress.chunks.load(Ordering::Relaxed);
    // Calm again: what stays when everybody holds everything.
    std::thread::sleep(Duration::from_secs(10));
    let memory = server.process.memory()?;
    drop(fleet);
    runtime.shutdown_background();
    Ok(Row::at_most("memory of a server with 1,000 devices", memory.now, 150.0, "MB").note(
        format!(
            "resident once all hold two clips; {:.0} MB at the most while {chunks} chunks went \
                 out in {taken_s:.0} s, {empty:.0} MB without devices",
            memory.most
        ),
    ))
}
