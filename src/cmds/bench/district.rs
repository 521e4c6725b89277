//! A district of 5,000 devices: start of its server, everybody coming back at once, memory.

use super::Row;
use super::fleet::{Fleet, Manner};
use super::host::{Host, Tone};
use super::raw::Raw;
use crate::cmds::{runtime, serve};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PATIENCE_MS: i64 = 300_000;
/// How often the server is started.
const STARTS: usize = 3;
const CLIP: Tone = Tone { name: "ban-tin", hertz: 440, seconds: 10 };

/// Measures it with so many devices.
pub fn rows(devices: usize) -> anyhow::Result<Vec<Row>> {
    serve::raise_descriptors();
    let runtime = runtime()?;
    let host = Host::district(devices, &[CLIP])?;
    let server = host.serve()?;
    let first = server.ready_s;
    let ports = server.ports;
    let enrolled = runtime.block_on(host.enrol(&server, devices))?;
    drop(server);

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(host.serve_at(ports.0, ports.1)?.ready_s);
    }
    starts.sort_by(f64::total_cmp);
    let start = starts[STARTS / 2];
    let mut rows = vec![
        Row::at_most(format!("start of `loa serve` with {devices} devices"), start, 3.0, "s").note(
            format!("to ready, after being killed; median of {STARTS}; the first: {first:.2} s"),
        ),
    ];

    let server = host.serve_at(ports.0, ports.1)?;
    let empty = server.process.memory()?.now;
    // Nobody fetches the clip: what is looked at is what a connection costs.
    let (_go, fetch) = watch::channel(false);
    let first = Manner { fetch: Some(fetch.clone()), ..Manner::default() };
    let fleet = runtime.block_on(async { Fleet::start(&enrolled, &first) })?;
    fleet.wait(devices, PATIENCE_MS, |progress| vec![&progress.sheets, &progress.receipted])?;
    std::thread::sleep(Duration::from_secs(5));
    let memory = server.process.memory()?;
    drop(fleet);

    let shortly = Duration::from_millis(200);
    let again = Manner { fetch: Some(fetch), backoff: (shortly, shortly), sheets: false };
    let storm = runtime.block_on(async { Fleet::start(&enrolled, &again) })?;
    let taken = storm.wait(devices, PATIENCE_MS, |progress| {
        vec![&progress.told, &progress.planned, &progress.receipted]
    })?;
    let broken = storm.progress.broken.load(Ordering::Relaxed);
    let work = format!("{devices} devices come back at once");
    rows.push(Row::at_most(work, taken as f64 / 1_000.0, 10.0, "s").note(format!(
        "until each has its timetable and receipt and its state was taken; no TLS, no jitter; \
         {broken} attempts failed and were repeated"
    )));
    drop(storm);
    drop(server);

    let bare = bare(&runtime, devices)?;
    let work =
        format!("memory of a server with {devices} devices, beyond the broker's connections");
    rows.push(Row::at_most(work, memory.now - bare, 250.0, "MB").note(format!(
        "{:.0} MB resident, {:.0} MB at the most, {empty:.0} MB without connections; the same \
         connections cost the bare broker {bare:.0} MB",
        memory.now, memory.most
    )));
    runtime.shutdown_background();
    Ok(rows)
}

/// Returns what so many connections cost the broker alone, in MB.
fn bare(runtime: &tokio::runtime::Runtime, devices: usize) -> anyhow::Result<f64> {
    let raw = Raw::start()?;
    let empty = raw.process.memory()?.now;
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    runtime.block_on(raw.idle(devices, &stop))?;
    std::thread::sleep(Duration::from_secs(2));
    Ok(raw.process.memory()?.now - empty)
}
