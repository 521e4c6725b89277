//! A clip of 5 MB to a thousand devices at once, against the same bytes through the bare broker.

use super::Row;
use super::fleet::{Fleet, Manner};
use super::host::{Host, Tone};
use super::raw::Raw;
use crate::cmds::runtime;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

const PATIENCE_MS: i64 = 300_000;
/// 81 chunks: 5.3 MB.
const CLIP: Tone = Tone { name: "ban-tin", hertz: 440, seconds: 60 };
const CHUNKS: usize = 81;

/// Measures it with so many devices.
pub fn rows(devices: usize) -> anyhow::Result<Vec<Row>> {
    let runtime = runtime()?;
    let floor = || {
        let raw = Raw::start()?;
        runtime.block_on(raw.fan_out(devices, CHUNKS))
    };
    let before = floor()?;
    let host = Host::district(devices, &[CLIP])?;
    let server = host.serve()?;
    let enrolled = runtime.block_on(host.enrol(&server, devices))?;
    let (go, fetch) = watch::channel(false);
    let manner = Manner { fetch: Some(fetch), ..Manner::default() };
    let fleet = runtime.block_on(async { Fleet::start(&enrolled, &manner) })?;
    fleet.wait(devices, PATIENCE_MS, |progress| vec![&progress.sheets, &progress.receipted])?;
    // The server lays a new clip on the broker by itself; it is there long before anybody asks.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let calm = server.process.memory()?.now;
    go.send_replace(true);
    let taken = fleet.wait(devices, PATIENCE_MS, |progress| vec![&progress.ready])?;
    let taken = taken as f64 / 1_000.0;
    let chunks = fleet.progress.chunks.load(Ordering::Relaxed);
    let most = server.process.memory()?.most;
    drop(fleet);
    drop(server);
    let after = floor()?;
    runtime.shutdown_background();
    let floor = f64::midpoint(before, after);
    // Half as fast is the goal: twice the time.
    let work = format!("5 MB clip to {devices} devices at once");
    Ok(vec![Row::at_most(work, taken, 2.0 * floor, "s").note(format!(
        "{:.2} of a bare fan-out by the same broker to clients that hash the same bytes \
         ({before:.2} s before, {after:.2} s after); {chunks} chunks; server {calm:.0} MB before, \
         {most:.0} MB at the most",
        floor / taken
    ))])
}
