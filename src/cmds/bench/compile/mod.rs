//! Compiling and signing a province: 5,000 loudspeakers, 14 days, 50 distinct day sets, 16 cues
//! a device and day.
//!
//! Measured alone: what compile, encode and sign cost on one thread, since that is what the goals
//! speak of; and what the server's planner does with the same station, as a check on the whole.

mod province;

use super::Row;
#[cfg(feature = "server")]
use crate::app::publish::{Planner, Settings};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::{DeviceId, Digest};
#[cfg(feature = "server")]
use crate::domain::recurrence::wall;
use crate::domain::station::Station;
use crate::domain::timetable::sheet::DaySheet;
use crate::domain::timetable::{Compiled, Compiler, DevicePlan, Horizon};
use crate::wire::doc::{self, DayEntry, Timetable};
use crate::wire::jws::SecretKey;
use crate::wire::sheet;
use chrono::NaiveDate;
use province::{louder, only, province};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const DEVICES: usize = 5_000;
const SETS: usize = 50;
const DAYS: u32 = 14;
const RUNS: usize = 7;
const FROM: NaiveDate = match NaiveDate::from_ymd_opt(2026, 12, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

/// Measures all of it.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let key = SecretKey::from_seed(&[7; 32]);
    let horizon = Horizon { from: FROM, days: DAYS };
    let (station, double) = (province(DEVICES)?, province(2 * DEVICES)?);
    // In turn, so that what else the machine does falls on both alike.
    let (mut whole, mut twice) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        whole.push(median(1, || publish(&mut Compiler::new(), &station, horizon, &key)));
        twice.push(median(1, || publish(&mut Compiler::new(), &double, horizon, &key)));
    }
    let (whole, twice) = (middle(whole), middle(twice));
    let compiled = Compiler::new().compile(&station, horizon);
    let cues: usize = compiled.devices().map(|(_, plan)| plan.cues().count()).sum();
    let sheets = compiled.sheets().len();

    let shared = median(RUNS, || encode(&Compiler::new().compile(&station, horizon)).len());
    let alone: Vec<Station> = station.devices.keys().map(|id| only(&station, id)).collect();
    let apart = median(1, || {
        alone.iter().map(|one| encode(&Compiler::new().compile(one, horizon)).len()).sum::<usize>()
    });

    let (change, concerned) = changes(&station, horizon, &key);
    #[cfg_attr(not(feature = "server"), expect(unused_mut, reason = "more rows follow"))]
    let mut rows = vec![
        Row::at_most("compile and sign 5,000 devices, 14 days", whole / 1000.0, 1.0, "s")
            .note(format!("{cues} cues, {sheets} sheets, one thread, median of {RUNS}")),
        Row::at_least("compiled together, not each device by itself", apart / shared, 20.0, "×")
            .note(format!("compile and encode: {shared:.0} ms against {apart:.0} ms")),
        Row::at_most("a change that concerns 100 of 5,000 devices", change, 20.0, "ms")
            .note(format!("compile, encode and sign; {concerned} timetables change")),
        Row::at_most("10,000 devices against 5,000", twice / whole, 2.2, "×")
            .note(format!("{twice:.0} ms against {whole:.0} ms")),
    ];
    #[cfg(feature = "server")]
    rows.extend(server(&station, &key));
    Ok(rows)
}

/// Runs something several times; returns milliseconds.
fn median<T>(runs: usize, mut work: impl FnMut() -> T) -> f64 {
    let clock = SystemClock::new();
    let taken = (0..runs)
        .map(|_| {
            let begun = clock.mono_us();
            let made = work();
            let taken = (clock.mono_us() - begun) as f64 / 1000.0;
            drop(made);
            taken
        })
        .collect();
    middle(taken)
}

fn middle(mut taken: Vec<f64>) -> f64 {
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Each distinct sheet as bytes, by address.
fn encode(compiled: &Compiled) -> HashMap<*const DaySheet, (Vec<u8>, Digest)> {
    let sheets = compiled.sheets().into_iter();
    sheets.map(|sheet| (Arc::as_ptr(sheet), sheet::encode(sheet))).collect()
}

/// Compiles, encodes and signs; returns the plan and how many timetables were signed.
fn publish(
    compiler: &mut Compiler,
    station: &Station,
    horizon: Horizon,
    key: &SecretKey,
) -> (Compiled, usize) {
    let compiled = compiler.compile(station, horizon);
    let encoded = encode(&compiled);
    let digest = |sheet: &Arc<DaySheet>| encoded.get(&Arc::as_ptr(sheet)).map(|(_, name)| *name);
    let signed = compiled.devices().map(|(id, plan)| sign(id, plan, &digest, key).len());
    let signed = signed.filter(|bytes| *bytes > 0).count();
    (compiled, signed)
}

fn sign(
    id: &DeviceId,
    plan: &DevicePlan,
    digest: &impl Fn(&Arc<DaySheet>) -> Option<Digest>,
    key: &SecretKey,
) -> String {
    let days = plan.days().iter().filter_map(|day| {
        Some(DayEntry { from_ms: day.from_ms, to_ms: day.to_ms, sheet: digest(&day.sheet)? })
    });
    let timetable = Timetable {
        v: 1,
        iss: "bench".into(),
        aud: id.clone(),
        iat: 1_795_000_000,
        exp: 1_797_000_000,
        ver: 1,
        units: plan.units().to_vec(),
        volume_cap: plan.volume_cap(),
        trim_ms: plan.trim_ms(),
        fetch_spread_s: 60,
        days: days.collect(),
        standby: BTreeMap::new(),
        idle: None,
        local: Vec::new(),
    };
    doc::sign(key, &timetable).expect("a timetable within the limits")
}

/// One commune changes its volume, to and fro; milliseconds, and how many devices it concerns.
fn changes(station: &Station, horizon: Horizon, key: &SecretKey) -> (f64, usize) {
    let mut compiler = Compiler::new();
    let mut last = compiler.compile(station, horizon);
    let louder = louder(station);
    let mut turn = 0;
    let mut concerned = 0;
    let taken = median(RUNS, || {
        turn += 1;
        let now = compiler.compile(if turn % 2 == 1 { &louder } else { station }, horizon);
        let changed = now.changed_since(&last);
        let mut encoded: HashMap<*const DaySheet, Digest> = HashMap::new();
        for plan in changed.iter().filter_map(|id| now.device(id)) {
            for day in plan.days() {
                encoded
                    .entry(Arc::as_ptr(&day.sheet))
                    .or_insert_with(|| sheet::encode(&day.sheet).1);
            }
        }
        let digest = |sheet: &Arc<DaySheet>| encoded.get(&Arc::as_ptr(sheet)).copied();
        let plans = changed.iter().filter_map(|id| now.device(id).map(|plan| (*id, plan)));
        let signed: usize = plans.map(|(id, plan)| sign(id, plan, &digest, key).len()).sum();
        concerned = changed.len();
        last = now;
        signed
    });
    (taken, concerned)
}

/// The same by the server's planner: all at once, then a change.
#[cfg(feature = "server")]
fn server(station: &Station, key: &SecretKey) -> [Row; 2] {
    let (now, _) = wall::day(station.zone, FROM);
    let planner = || Planner::new(Settings::default(), key.clone(), &[], []);
    let whole = median(3, || planner().plan(station, now));
    let mut planner = planner();
    let first = planner.plan(station, now);
    planner.adopt(station, first);
    let louder = louder(station);
    let mut turn = 0;
    let change = median(RUNS, || {
        turn += 1;
        let station = if turn % 2 == 1 { &louder } else { station };
        let planned = planner.plan(station, now.plus(turn));
        planner.adopt(station, planned);
    });
    [
        Row::at_most("the server's planner, 5,000 devices, 16 days", whole / 1000.0, 1.0, "s")
            .note("also chooses what to publish, and when each device's horizon moves"),
        Row::at_most("the server's planner, a change for 100 devices", change, 20.0, "ms"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_province_measured_is_the_one_promised() {
        let station = province(500).unwrap();
        let compiled = Compiler::new().compile(&station, Horizon { from: FROM, days: 2 });
        assert_eq!(compiled.sheets().len(), 2 * SETS, "50 distinct day sets");
        for (id, plan) in compiled.devices() {
            assert_eq!((plan.cues().count(), plan.left_out().count()), (32, 0), "{id}");
            let alone = Compiler::new().compile(&only(&station, id), compiled.horizon());
            assert_eq!(alone.device(id).unwrap().days(), plan.days(), "alone as together");
        }
        let louder = Compiler::new().compile(&louder(&station), compiled.horizon());
        let changed = |(a, b): (&DevicePlan, &DevicePlan)| a.days() != b.days();
        let plans = compiled.devices().zip(louder.devices());
        let count = plans.filter(|((_, a), (_, b))| changed((a, b))).count();
        assert_eq!(count, 500 / SETS);
    }
}
