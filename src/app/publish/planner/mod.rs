//! Decides what must be published: compiles, encodes each sheet once, signs what changed.
//!
//! # Why the horizon is extended at a moment of the device's own
//! A list of days that began today would change for every device at midnight: thousands of
//! signatures, and a fetch by every device at once. Instead a device's list begins at the local
//! date of `now − jitter`, with a jitter below 24 hours derived from its id; between two such
//! moments nothing changes, and with 16 days at least 14 full ones always remain. The day before
//! the list is added when one of its cues still sounds at the list's beginning.

mod sign;
mod stored;
mod told;
mod work;

pub(super) use stored::{sheet_publication, timetable_publication};

use super::assets::needs;
use super::{AssetNeed, PublishFault, Round};
use crate::app::ports::{Descriptions, StoredDay, StoredSheet, StoredTimetable};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::DaySheet;
use crate::domain::timetable::{Compiled, Compiler, Horizon};
use crate::wire::jws::{self, SecretKey, Typ};
use crate::wire::sheet;
use crate::wire::topic::{Topic, Topics};
use chrono::{Days, NaiveDate};
use sign::sign_all;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use work::{Work, standby_digest};

/// Days of a timetable.
pub const HORIZON_DAYS: u32 = 16;

/// What the planner is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Topics under the configured prefix.
    pub topics: Topics,
    /// What the server's port carries, bytes a second: fetches are spread over half of it.
    pub port_bytes_per_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { topics: Topics::default(), port_bytes_per_s: 12_500_000 }
    }
}

/// The newest timetable of a device.
#[derive(Clone, Debug)]
struct Newest {
    ver: i64,
    content: Digest,
    days: Arc<[StoredDay]>,
}

/// A sheet as bytes, kept as long as a schedule names it.
#[derive(Clone, Debug)]
struct Encoded {
    /// Keeps the address taken.
    sheet: Arc<DaySheet>,
    digest: Digest,
    bytes: Arc<[u8]>,
    /// Why it may not travel at all.
    refused: Option<String>,
}

/// What was decided; to be stored, then adopted, then published.
#[derive(Debug)]
pub struct Planned {
    pub sheets: Vec<StoredSheet>,
    pub timetables: Vec<StoredTimetable>,
    pub told: Descriptions,
    pub round: Round,
    compiled: Compiled,
    spread_s: u32,
    begins: BTreeMap<DeviceId, NaiveDate>,
    gone: Vec<DeviceId>,
    kept_faults: bool,
    described: Digest,
}

/// Remembers what is in force, and decides what follows from a station.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    key: SecretKey,
    compiler: Compiler,
    newest: BTreeMap<DeviceId, Newest>,
    encoded: HashMap<usize, Encoded>,
    /// Sheets of the schedules in force: published before.
    held: BTreeSet<Digest>,
    /// Sheets of earlier schedules that a broker may still retain.
    stale: BTreeSet<Digest>,
    /// The last plan adopted, for the short way.
    last: Option<Last>,
    /// How items were described when that was last kept.
    described: Option<Digest>,
}

#[derive(Debug)]
struct Last {
    name: String,
    /// Names the standby templates.
    standby: Digest,
    compiled: Compiled,
    spread_s: u32,
    begins: BTreeMap<DeviceId, NaiveDate>,
    /// Something was refused: look at every device again.
    faults: bool,
}

impl Planner {
    /// Returns a planner that knows what is in force. `stale`: sheets that a broker may still
    /// retain from earlier; those not in force are cleared by the first plan.
    pub fn new(
        settings: Settings,
        schedule_key: SecretKey,
        in_force: &[StoredTimetable],
        stale: impl IntoIterator<Item = Digest>,
    ) -> Self {
        let newest = in_force.iter().map(|timetable| {
            // What another key signed is signed anew by the first plan.
            let ours = jws::kept::<serde::de::IgnoredAny>(&timetable.jws, Typ::Timetable)
                .is_ok_and(|(kid, _)| kid == schedule_key.kid());
            let newest = Newest {
                ver: timetable.ver,
                content: if ours { timetable.content } else { Digest([0; 32]) },
                days: Arc::clone(&timetable.days),
            };
            (timetable.device.clone(), newest)
        });
        let newest = newest.collect();
        Self {
            settings,
            key: schedule_key,
            compiler: Compiler::new(),
            held: named(&newest),
            newest,
            encoded: HashMap::new(),
            stale: stale.into_iter().collect(),
            last: None,
            described: None,
        }
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns what was compiled last, with reasons; `None` before the first plan.
    pub fn compiled(&self) -> Option<&Compiled> {
        self.last.as_ref().map(|last| &last.compiled)
    }

    /// Decides what must be published for this station now. Nothing changes until
    /// [`Self::adopt`].
    pub fn plan(&mut self, station: &Station, now: UtcMs) -> Planned {
        let today = now.datetime().with_timezone(&station.zone).date_naive();
        let from = today.checked_sub_days(Days::new(2)).unwrap_or(today);
        let compiled = self.compiler.compile(station, Horizon { from, days: HORIZON_DAYS + 3 });
        let assets = needs(station, &compiled, now);
        let spread_s = spread(&assets, &self.settings);
        let begins: BTreeMap<DeviceId, NaiveDate> = compiled
            .devices()
            .map(|(id, _)| {
                let at = now.plus(-jitter_ms(id)).datetime().with_timezone(&station.zone);
                (id.clone(), at.date_naive())
            })
            .collect();
        let mut work = Work {
            planner: &mut *self,
            station,
            now,
            spread_s,
            lists: HashMap::new(),
            sheets: BTreeMap::new(),
            faults: BTreeMap::new(),
            unsigned: Vec::new(),
        };
        for id in work.concerned(&compiled, &begins) {
            let Some(plan) = compiled.device(&id) else { continue };
            work.device(&id, plan, begins[&id]);
        }
        let Work { sheets, faults, unsigned, .. } = work;
        let mut faults: Vec<PublishFault> = faults.into_values().collect();
        let signed = sign_all(&self.key, unsigned, now, &mut faults);
        faults.sort();
        let gone: Vec<DeviceId> =
            self.newest.keys().filter(|id| compiled.device(id).is_none()).cloned().collect();
        let named = self.named_after(&signed, &gone);
        let sheets: Vec<StoredSheet> = sheets
            .into_values()
            .filter(|sheet| named.contains(&sheet.sha256) && !self.held.contains(&sheet.sha256))
            .collect();
        let described = told::described(station);
        let new: BTreeSet<Digest> = sheets.iter().map(|sheet| sheet.sha256).collect();
        let anew = self.described != Some(described);
        let told = if anew || !new.is_empty() {
            let known = self.encoded.values().filter(|encoded| named.contains(&encoded.digest));
            let changed = known.filter(|encoded| anew || new.contains(&encoded.digest));
            told::told(station, changed, now)
        } else {
            Descriptions::default()
        };
        let round = self.round(assets, &sheets, &signed, &gone, &named, faults);
        Planned {
            kept_faults: !round.faults.is_empty(),
            sheets,
            timetables: signed,
            told,
            described,
            round,
            compiled,
            spread_s,
            begins,
            gone,
        }
    }

    /// Takes over what was planned, once it is stored; returns what to publish.
    pub fn adopt(&mut self, station: &Station, planned: Planned) -> Round {
        for timetable in &planned.timetables {
            let newest = Newest {
                ver: timetable.ver,
                content: timetable.content,
                days: Arc::clone(&timetable.days),
            };
            self.newest.insert(timetable.device.clone(), newest);
        }
        for id in &planned.gone {
            self.newest.remove(id);
        }
        self.held = named(&self.newest);
        self.stale.clear();
        let in_use: BTreeSet<usize> =
            planned.compiled.sheets().into_iter().map(|s| Arc::as_ptr(s).addr()).collect();
        self.encoded.retain(|address, _| in_use.contains(address));
        self.described = Some(planned.described);
        self.last = Some(Last {
            name: station.name.clone(),
            standby: standby_digest(station),
            compiled: planned.compiled,
            spread_s: planned.spread_s,
            begins: planned.begins,
            faults: planned.kept_faults,
        });
        planned.round
    }

    fn named_after(&self, signed: &[StoredTimetable], gone: &[DeviceId]) -> BTreeSet<Digest> {
        let changed: BTreeMap<&DeviceId, &StoredTimetable> =
            signed.iter().map(|timetable| (&timetable.device, timetable)).collect();
        let gone: BTreeSet<&DeviceId> = gone.iter().collect();
        let mut lists: HashMap<usize, &Arc<[StoredDay]>> = HashMap::new();
        for (id, newest) in self.newest.iter().filter(|(id, _)| !gone.contains(id)) {
            let days = changed.get(id).map_or(&newest.days, |timetable| &timetable.days);
            lists.insert(days.as_ptr().addr(), days);
        }
        for timetable in signed {
            lists.insert(timetable.days.as_ptr().addr(), &timetable.days);
        }
        lists.values().flat_map(|days| days.iter().map(|day| day.sheet)).collect()
    }

    fn round(
        &self,
        assets: BTreeMap<Digest, AssetNeed>,
        sheets: &[StoredSheet],
        timetables: &[StoredTimetable],
        gone: &[DeviceId],
        named: &BTreeSet<Digest>,
        faults: Vec<PublishFault>,
    ) -> Round {
        let topics = &self.settings.topics;
        let old: BTreeSet<&Digest> = self.held.union(&self.stale).collect();
        let old = old.into_iter().filter(|digest| !named.contains(digest));
        let old = old.map(|digest| topics.of(&Topic::Sheet(*digest)));
        let gone = gone.iter().map(|id| topics.of(&Topic::Timetable(id.clone())));
        Round {
            assets,
            sheets: sheets.iter().map(|sheet| sheet_publication(topics, sheet)).collect(),
            timetables: timetables.iter().map(|t| timetable_publication(topics, t)).collect(),
            clear: old.chain(gone).collect(),
            faults,
        }
    }

    fn encode(&mut self, day: &Arc<DaySheet>) -> &Encoded {
        self.encoded.entry(Arc::as_ptr(day).addr()).or_insert_with(|| {
            let (bytes, digest) = sheet::encode(day);
            let refused = sheet::check(day).err().map(|refusal| refusal.to_string());
            Encoded { sheet: Arc::clone(day), digest, bytes: bytes.into(), refused }
        })
    }
}

fn named(newest: &BTreeMap<DeviceId, Newest>) -> BTreeSet<Digest> {
    let lists: HashMap<usize, &Arc<[StoredDay]>> =
        newest.values().map(|newest| (newest.days.as_ptr().addr(), &newest.days)).collect();
    lists.values().flat_map(|days| days.iter().map(|day| day.sheet)).collect()
}

/// Returns the moment of the day, after midnight, at which a device's horizon moves on.
fn jitter_ms(id: &DeviceId) -> i64 {
    let hash = Digest::of(id.as_str().as_bytes()).0;
    let mut first = [0; 8];
    first.copy_from_slice(&hash[8..16]);
    i64::try_from(u64::from_be_bytes(first) % 86_400_000).unwrap_or(0)
}

/// Spreads the fetching of the largest asset over half the port. Rounded up to a power of two,
/// so that one device more does not change the timetable of all.
fn spread(assets: &BTreeMap<Digest, AssetNeed>, settings: &Settings) -> u32 {
    let half = (settings.port_bytes_per_s / 2).max(1);
    let most = assets
        .values()
        .map(|need| need.bytes.saturating_mul(u64::from(need.devices)) / half)
        .max()
        .unwrap_or(0);
    match u32::try_from(most).unwrap_or(u32::MAX).min(3_600) {
        0 => 0,
        seconds => seconds.next_power_of_two(),
    }
}
