//! Decides what must be published: compiles, encodes each sheet once, signs what changed.
//!
//! # Why the horizon is extended at a moment of the device's own
//! A list of days that began today would change for every device at midnight: thousands of
//! signatures, and a fetch by every device at once. Instead a device's list begins at the local
//! date of `now − jitter`, with a jitter below 24 hours derived from its id; between two such
//! moments nothing changes, and with 16 days at least 14 full ones always remain. The day before
//! the list is added when one of its cues still sounds at the list's beginning.

use super::assets::needs;
use super::{AssetNeed, Publication, PublishFault, Round, TimetablePublication};
use crate::app::ports::{CueOutput, CueRow, StoredDay, StoredSheet, StoredTimetable};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::station::{AssetFacts, Station};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::{AssetEntry, DaySheet, SheetItem};
use crate::domain::timetable::{Compiled, Compiler, DayPlan, DevicePlan, Horizon};
use crate::wire::Refusal;
use crate::wire::doc::{self, DayEntry, Timetable};
use crate::wire::jws::{self, SecretKey, Typ};
use crate::wire::topic::{Topic, Topics};
use crate::wire::{limits, sheet, version};
use bytes::Bytes;
use chrono::{Days, NaiveDate};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Days of a timetable.
pub const HORIZON_DAYS: u32 = 16;

/// Characters of a standby clip's title in a timetable.
const STANDBY_TITLE: usize = 80;

/// Timetables signed by one thread before another is worth starting.
const SIGNED_ALONE: usize = 64;

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
    pub round: Round,
    compiled: Compiled,
    spread_s: u32,
    begins: BTreeMap<DeviceId, NaiveDate>,
    gone: Vec<DeviceId>,
    kept_faults: bool,
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

/// A list of days, with what identifies it.
#[derive(Clone)]
struct Listed {
    days: Arc<[StoredDay]>,
    entries: Arc<[DayEntry]>,
}

/// A timetable that is to be signed.
struct Unsigned {
    claims: Timetable,
    content: Digest,
    days: Arc<[StoredDay]>,
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
        let round = self.round(assets, &sheets, &signed, &gone, &named, faults);
        Planned {
            kept_faults: !round.faults.is_empty(),
            sheets,
            timetables: signed,
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

/// One plan in the making.
struct Work<'a> {
    planner: &'a mut Planner,
    station: &'a Station,
    now: UtcMs,
    spread_s: u32,
    /// By address of the days, first date and limit of the sheet: what is alike is made once.
    lists: HashMap<(usize, NaiveDate, usize), (Listed, Vec<NaiveDate>)>,
    sheets: BTreeMap<Digest, StoredSheet>,
    faults: BTreeMap<(NaiveDate, Digest, usize), PublishFault>,
    unsigned: Vec<Unsigned>,
}

impl Work<'_> {
    /// Returns the devices that can have changed since the last plan.
    fn concerned(
        &self,
        compiled: &Compiled,
        begins: &BTreeMap<DeviceId, NaiveDate>,
    ) -> Vec<DeviceId> {
        let all = || compiled.devices().map(|(id, _)| id.clone()).collect();
        let Some(last) = &self.planner.last else { return all() };
        let common = (&last.name, last.spread_s, last.standby);
        let now = (&self.station.name, self.spread_s, standby_digest(self.station));
        if common != now || last.faults {
            return all();
        }
        let mut ids: BTreeSet<&DeviceId> =
            compiled.changed_since(&last.compiled).into_iter().collect();
        ids.extend(
            begins.iter().filter(|(id, day)| last.begins.get(id) != Some(day)).map(|(id, _)| id),
        );
        // A profile can state another limit for the same days; there are few of those changes.
        ids.into_iter().cloned().collect()
    }

    fn device(&mut self, id: &DeviceId, plan: &DevicePlan, begin: NaiveDate) {
        let profile =
            self.station.devices.get(id).and_then(|d| self.station.profiles.get(&d.profile));
        let limit = profile
            .map_or(limits::SHEET_BYTES, |p| (p.sheet_bytes as usize).min(limits::SHEET_BYTES));
        let key = (plan.days().as_ptr().addr(), begin, limit);
        let known = self.lists.get(&key).cloned();
        let (listed, refused) = known.unwrap_or_else(|| {
            let made = self.list(plan, begin, limit);
            self.lists.insert(key, made.clone());
            made
        });
        let listed = if refused.is_empty() {
            listed
        } else {
            self.patched(id, plan, &listed, &refused, limit)
        };
        let Some(last_day) = listed.days.last() else { return };
        let standby = profile.map_or_else(BTreeMap::new, |p| self.station.standby_for(p));
        let content = content(&self.station.name, plan, self.spread_s, &listed.days, &standby);
        let newest = self.planner.newest.get(id);
        if newest.is_some_and(|newest| newest.content == content) {
            return;
        }
        let claims = Timetable {
            v: 1,
            iss: doc::issuer(&self.station.name),
            aud: id.clone(),
            iat: self.now.numeric_date(),
            exp: last_day.to_ms.numeric_date(),
            ver: version::next(newest.map(|newest| newest.ver), self.now),
            units: plan.units().iter().take(limits::UNITS).cloned().collect(),
            volume_cap: plan.volume_cap(),
            trim_ms: plan.trim_ms(),
            fetch_spread_s: self.spread_s,
            days: listed.entries.to_vec(),
            standby: standby.into_iter().map(|(sha256, facts)| (sha256, held(facts))).collect(),
            idle: None,
        };
        self.unsigned.push(Unsigned { claims, content, days: listed.days });
    }

    /// Makes the list of days that begins at `begin`; also the dates whose sheet may not travel.
    fn list(
        &mut self,
        plan: &DevicePlan,
        begin: NaiveDate,
        limit: usize,
    ) -> (Listed, Vec<NaiveDate>) {
        let end = begin.checked_add_days(Days::new(HORIZON_DAYS.into())).unwrap_or(begin);
        let mut days = Vec::new();
        let mut refused = Vec::new();
        for day in plan.plans() {
            let reaches_in = || {
                day.date.succ_opt() == Some(begin)
                    && day.day.sheet.cues.iter().any(|cue| cue.end_ms > day.day.to_ms)
            };
            if day.date >= end || (day.date < begin && !reaches_in()) {
                continue;
            }
            let encoded = self.planner.encode(&day.day.sheet).clone();
            if encoded.refused.is_some() || encoded.bytes.len() > limit {
                refused.push(day.date);
                continue;
            }
            let sheet = encoded.digest;
            let stored = StoredDay { from_ms: day.day.from_ms, to_ms: day.day.to_ms, sheet };
            days.push(stored);
            if !self.sheets.contains_key(&sheet) && !self.planner.held.contains(&sheet) {
                self.sheets.insert(sheet, stored_sheet(&encoded));
            }
        }
        (listed(days), refused)
    }

    /// Puts the last good sheet in for days whose new one may not travel, and says so.
    fn patched(
        &mut self,
        id: &DeviceId,
        plan: &DevicePlan,
        list: &Listed,
        refused: &[NaiveDate],
        limit: usize,
    ) -> Listed {
        let mut days = list.days.to_vec();
        for date in refused {
            let Some(day) = plan.plans().iter().find(|day| day.date == *date) else { continue };
            self.fault(id, day, limit);
            let good = self.planner.newest.get(id).and_then(|newest| {
                newest.days.iter().find(|known| known.from_ms == day.day.from_ms)
            });
            days.extend(good.copied());
        }
        days.sort();
        listed(days)
    }

    fn fault(&mut self, id: &DeviceId, day: &DayPlan, limit: usize) {
        let encoded = self.planner.encode(&day.day.sheet);
        let (digest, bytes, refused) =
            (encoded.digest, encoded.bytes.len(), encoded.refused.clone());
        let fault = self.faults.entry((day.date, digest, limit)).or_insert_with(|| match refused {
            Some(why) if bytes <= limit => {
                PublishFault::SheetRefused { day: day.date, devices: vec![], why }
            }
            _ => PublishFault::SheetTooLarge { day: day.date, devices: vec![], bytes, limit },
        });
        match fault {
            PublishFault::SheetTooLarge { devices, .. }
            | PublishFault::SheetRefused { devices, .. } => devices.push(id.clone()),
            PublishFault::TimetableTooLarge { .. } | PublishFault::TimetableRefused { .. } => {}
        }
    }
}

fn listed(days: Vec<StoredDay>) -> Listed {
    let entries = days
        .iter()
        .map(|day| DayEntry { from_ms: day.from_ms, to_ms: day.to_ms, sheet: day.sheet })
        .collect();
    Listed { days: days.into(), entries }
}

/// Returns what a timetable says of a standby clip; a long title is cut, since it stands in every
/// one of them.
fn held(facts: &AssetFacts) -> AssetEntry {
    let title = facts.title.chars().take(STANDBY_TITLE).collect();
    AssetEntry { title, ..AssetEntry::from(facts) }
}

/// Names the standby clips of a station: another one concerns every loudspeaker.
fn standby_digest(station: &Station) -> Digest {
    let mut bytes = Vec::new();
    for template in station.standby.keys() {
        if let Some(facts) = station.standby_clip(*template) {
            bytes.extend_from_slice(&facts.sha256.0);
            bytes.extend_from_slice(facts.title.as_bytes());
        }
    }
    Digest::of(&bytes)
}

/// Names what a timetable says apart from when and under which number.
fn content(
    name: &str,
    plan: &DevicePlan,
    spread_s: u32,
    days: &[StoredDay],
    standby: &BTreeMap<Digest, &AssetFacts>,
) -> Digest {
    let mut bytes = Vec::with_capacity(256 + days.len() * 48);
    bytes.extend_from_slice(name.as_bytes());
    for unit in plan.units() {
        bytes.push(b'\n');
        bytes.extend_from_slice(unit.as_str().as_bytes());
    }
    let rest = format!("\n\n{} {} {spread_s}\n", plan.volume_cap(), plan.trim_ms());
    bytes.extend_from_slice(rest.as_bytes());
    for day in days {
        bytes.extend_from_slice(&day.from_ms.0.to_be_bytes());
        bytes.extend_from_slice(&day.to_ms.0.to_be_bytes());
        bytes.extend_from_slice(&day.sheet.0);
    }
    // Without templates the same bytes as before there were any: an upgrade signs nothing anew.
    for (sha256, facts) in standby {
        bytes.extend_from_slice(&sha256.0);
        bytes.extend_from_slice(facts.title.as_bytes());
        bytes.extend_from_slice(&facts.gain_cb.to_be_bytes());
    }
    Digest::of(&bytes)
}

/// Signs all of them, on as many threads as there are cores; what is too large is a fault.
fn sign_all(
    key: &SecretKey,
    unsigned: Vec<Unsigned>,
    now: UtcMs,
    faults: &mut Vec<PublishFault>,
) -> Vec<StoredTimetable> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let part = unsigned.len().div_ceil(cores).max(SIGNED_ALONE);
    let signed: Vec<Result<String, Refusal>> = std::thread::scope(|scope| {
        let threads: Vec<_> = unsigned
            .chunks(part)
            .map(|chunk| {
                scope.spawn(move || {
                    let sign = |u: &Unsigned| doc::sign(key, &u.claims);
                    chunk.iter().map(sign).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("signing a checked structure does not panic"))
            .collect()
    });
    let mut timetables = Vec::with_capacity(signed.len());
    for (Unsigned { claims, content, days }, jws) in unsigned.into_iter().zip(signed) {
        let jws = match jws {
            Ok(jws) => jws,
            Err(refusal) => {
                faults.push(refused(claims.aud, &refusal));
                continue;
            }
        };
        timetables.push(StoredTimetable {
            device: claims.aud,
            ver: claims.ver,
            made_ms: now,
            exp_ms: UtcMs::from_numeric_date(claims.exp),
            content,
            days,
            jws: jws.into(),
            published_ms: None,
        });
    }
    timetables
}

fn refused(device: DeviceId, refusal: &Refusal) -> PublishFault {
    match refusal {
        Refusal::Limit { what: "bytes", got, max } => PublishFault::TimetableTooLarge {
            device,
            bytes: usize::try_from(*got).unwrap_or(usize::MAX),
            limit: usize::try_from(*max).unwrap_or(usize::MAX),
        },
        _ => PublishFault::TimetableRefused { device, why: refusal.to_string() },
    }
}

fn named(newest: &BTreeMap<DeviceId, Newest>) -> BTreeSet<Digest> {
    let lists: HashMap<usize, &Arc<[StoredDay]>> =
        newest.values().map(|newest| (newest.days.as_ptr().addr(), &newest.days)).collect();
    lists.values().flat_map(|days| days.iter().map(|day| day.sheet)).collect()
}

fn stored_sheet(encoded: &Encoded) -> StoredSheet {
    let sheet = &encoded.sheet;
    let cues = sheet.cues.iter().filter_map(|cue| {
        let (title, output) = match sheet.items.get(&cue.item)? {
            SheetItem::Clip { title, .. } => (title.clone(), CueOutput::Clip),
            SheetItem::Pages { title, .. } => (title.clone(), CueOutput::Pages),
            SheetItem::Unknown => return None,
        };
        let (at_ms, end_ms, item) = (cue.at_ms, cue.end_ms, cue.item.clone());
        Some(CueRow { cue: cue.id, at_ms, end_ms, item, title, output })
    });
    StoredSheet {
        sha256: encoded.digest,
        from_ms: sheet.from_ms,
        to_ms: sheet.to_ms,
        bytes: Arc::clone(&encoded.bytes),
        cues: cues.collect(),
    }
}

pub(super) fn sheet_publication(topics: &Topics, sheet: &StoredSheet) -> Publication {
    Publication {
        topic: topics.of(&Topic::Sheet(sheet.sha256)),
        payload: Bytes::copy_from_slice(&sheet.bytes),
        retain: true,
    }
}

pub(super) fn timetable_publication(
    topics: &Topics,
    timetable: &StoredTimetable,
) -> TimetablePublication {
    TimetablePublication {
        device: timetable.device.clone(),
        ver: timetable.ver,
        publication: Publication {
            topic: topics.of(&Topic::Timetable(timetable.device.clone())),
            payload: Bytes::copy_from_slice(timetable.jws.as_bytes()),
            retain: true,
        },
    }
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
