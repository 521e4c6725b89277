//! A clip of 5 MB to a thousand devices at once, against the same bytes through the bare broker.

use super::fleet::{Fleet, Manner};
use super::host::{Host, Tone};
use super::raw::Raw;
use super::{Row, middle};
use crate::cmds::runtime;
use crate::domain::chunk::ChunkSize;
use std::time::Duration;
use tokio::sync::watch;

const PATIENCE_MS: i64 = 300_000;
const CLIP: Tone = Tone { name: "ban-tin", hertz: 440, seconds: 60 };
/// The bytes of its file: a header, and 16 bits 44,100 times a second.
const BYTES: usize = 44 + 2 * 44_100 * 60;
/// The chunks of the fan-out: the largest that the contract knows, so that the floor is one that
/// no choice of ours has raised.
const FLOOR: ChunkSize = ChunkSize::Kib64;

/// How often it is measured, each time between two fan-outs.
const ROUNDS: usize = 3;

/// Measures it with so many devices.
pub fn rows(devices: usize) -> anyhow::Result<Vec<Row>> {
    let runtime = runtime()?;
    let floor = || {
        let raw = Raw::start()?;
        runtime.block_on(raw.fan_out(devices, BYTES, FLOOR))
    };
    let host = Host::district(devices, &[CLIP])?;
    let server = host.serve()?;
    let enrolled = runtime.block_on(host.enrol(&server, devices))?;
    let (mut taken, mut floors, mut calm) = (Vec::new(), vec![floor()?], 0.0);
    for round in 0..ROUNDS {
        let (go, fetch) = watch::channel(false);
        let manner = Manner { fetch: Some(fetch), ..Manner::default() };
        let fleet = runtime.block_on(async { Fleet::start(&enrolled, &manner) })?;
        fleet.wait(devices, PATIENCE_MS, |progress| vec![&progress.sheets, &progress.receipted])?;
        // The server lays a new clip on the broker by itself; it is there long before anybody asks.
        std::thread::sleep(Duration::from_secs(2));
        if round == 0 {
            calm = server.process.memory()?.now;
        }
        go.send_replace(true);
        let ms = fleet.wait(devices, PATIENCE_MS, |progress| vec![&progress.ready])?;
        taken.push(ms as f64 / 1_000.0);
        drop(fleet);
        floors.push(floor()?);
    }
    let most = server.process.memory()?.most;
    drop(server);
    runtime.shutdown_background();
    let (taken, floor) = (middle(taken), middle(floors));
    // Half as fast is the goal: twice the time.
    let work = format!("5 MB clip to {devices} devices at once");
    Ok(vec![Row::at_most(work, taken, 2.0 * floor, "s").note(format!(
        "{:.2} of a bare fan-out by the same broker, in {} KiB chunks, to clients that hash the \
         same bytes ({floor:.2} s; {ROUNDS} rounds in turn); server {calm:.0} MB before, \
         {most:.0} MB at the most",
        floor / taken,
        FLOOR.kib(),
    ))])
}
