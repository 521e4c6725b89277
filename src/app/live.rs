//! What the server knows right now, for page, API, metrics and readiness.
//!
//! Written by the loop, read by handlers. Holds no truth of its own: all of it can be found again
//! from station folder, store and broker. States of devices are hints (they say so themselves)
//! and enter no outcome.
//!
//! Locks are held for moments only, never two at once and never across an await.

use super::approval::Proposal;
use super::feeds::FeedLight;
use super::ports::{Registered, Standing, StoredTail, TailStand};
use crate::config::Fault;
use crate::domain::ids::{DeviceId, FeedId, UnitId};
use crate::domain::station::{Station, Unit};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::DaySheet;
use crate::wire::doc::{State, StateKind};
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// The parts that change seldom, as one value.
#[derive(Clone)]
pub struct Picture {
    /// The station in force, register included.
    pub station: Option<Arc<Station>>,
    /// The sheets that each device follows, oldest first; equal days are one sheet.
    pub schedule: Arc<BTreeMap<DeviceId, Vec<Arc<DaySheet>>>>,
    /// Name of the station, also before the folder is valid.
    pub name: String,
    /// Zone of the station.
    pub zone: Tz,
    /// Faults of the station folder.
    pub faults: Arc<[Fault]>,
    /// What could not be published and why, and other things a person must act upon.
    pub alarms: Vec<Alarm>,
    /// What waits for approval.
    pub proposals: Vec<Arc<Proposal>>,
    /// The files in force, by name.
    pub files: Arc<BTreeSet<String>>,
    /// Things a person should know: listeners without TLS, folder and register differ.
    pub notices: Vec<Alarm>,
    /// When the folder was last read whole.
    pub read_ms: Option<UtcMs>,
    /// When everything due had been published and acknowledged.
    pub published_ms: Option<UtcMs>,
    /// The broker.
    pub broker: BrokerLight,
    /// The log, once it has a head.
    pub log: Option<LogLight>,
    /// Time stamps of the log's heads, where an authority is asked for them.
    pub tokens: Option<TokenLight>,
    /// Whether the store took its last write; the loop writes every few seconds.
    pub writable: bool,
}

/// Something to say to a person, in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Stable word for programs, kebab-case.
    pub code: &'static str,
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

/// How it stands with the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLight {
    /// Name of the shard being written.
    pub origin: String,
    /// Its leaves.
    pub size: u64,
    /// The root over them, base64.
    pub root: String,
    /// The newest head as signed.
    pub note: String,
    /// When it was signed.
    pub at_ms: UtcMs,
    /// Leaves that wait.
    pub waiting: u64,
    /// What witnesses last vouched for.
    pub witnessed: Option<WitnessLight>,
}

/// What witnesses last vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessLight {
    /// Leaves of the head.
    pub size: u64,
    /// When, by the server's clock.
    pub at_ms: UtcMs,
    /// Whether they were as many as the station asks for.
    pub enough: bool,
}

/// How it stands with the time stamps of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenLight {
    /// The newest.
    pub last: Option<StampedHead>,
    /// Why there is no newer one, until there is.
    pub why: Option<String>,
}

/// A head that an authority has stamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampedHead {
    /// Name of its shard.
    pub shard: String,
    /// Its leaves.
    pub size: u64,
    /// The authority's time.
    pub at_ms: UtcMs,
    /// The name in its certificate.
    pub authority: String,
}

/// How it stands with the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerLight {
    /// Its address, without user and password.
    pub address: String,
    /// Whether the server is connected.
    pub connected: bool,
    /// Why not.
    pub why: Option<String>,
}

/// Nothing valid is in force yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no valid station folder has been read yet")]
pub struct NoStation;

impl Picture {
    /// Returns what there is before anything has been read.
    pub fn empty(broker: impl Into<String>) -> Self {
        Self {
            station: None,
            schedule: Arc::default(),
            name: "Loa".to_owned(),
            zone: chrono_tz::Asia::Ho_Chi_Minh,
            faults: Arc::from([]),
            alarms: Vec::new(),
            log: None,
            tokens: None,
            notices: Vec::new(),
            proposals: Vec::new(),
            files: Arc::default(),
            read_ms: None,
            published_ms: None,
            broker: BrokerLight { address: broker.into(), connected: false, why: None },
            writable: false,
        }
    }

    /// Returns the station in force.
    pub fn station(&self) -> Result<Arc<Station>, NoStation> {
        self.station.clone().ok_or(NoStation)
    }

    /// Says whether a version of the file is in force, by its name as faults tell it: the folder
    /// may stand before it.
    pub fn has_in_force(&self, file: &str) -> bool {
        let is = |name: &String| {
            file.strip_suffix(name.as_str())
                .is_some_and(|front| front.is_empty() || front.ends_with('/'))
        };
        self.files.iter().any(is)
    }

    /// Returns each device with each sheet it follows.
    pub fn sheets(&self) -> impl Iterator<Item = (&DeviceId, &Arc<DaySheet>)> {
        self.schedule.iter().flat_map(|(id, sheets)| sheets.iter().map(move |sheet| (id, sheet)))
    }
}

/// What a device last said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The server's clock.
    pub at_ms: UtcMs,
    pub state: State,
}

/// How a device stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Light {
    /// Its key is revoked.
    Revoked,
    /// Not connected.
    Lost,
    /// Enrolled, never heard of since the server started.
    Silent,
    /// Connected, still fetches or starts.
    Preparing,
    /// Registered, not enrolled.
    Awaiting,
    /// Asleep by its own word.
    Sleeping,
    /// Connected and has what it needs.
    Ready,
}

impl Light {
    /// Judges a device by register and its last word.
    pub fn of(standing: &Standing, heard: Option<&Heard>) -> Self {
        match (standing, heard) {
            (Standing::Revoked { .. }, _) => Self::Revoked,
            (Standing::Awaiting, _) => Self::Awaiting,
            (Standing::Enrolled { .. }, None) => Self::Silent,
            (Standing::Enrolled { .. }, Some(heard)) => match heard.state.state {
                StateKind::Init => Self::Preparing,
                StateKind::Ready if !heard.state.want.is_empty() => Self::Preparing,
                StateKind::Ready => Self::Ready,
                StateKind::Sleeping => Self::Sleeping,
                StateKind::Disconnected | StateKind::Lost => Self::Lost,
            },
        }
    }

    /// Says whether the device is connected.
    pub fn is_online(self) -> bool {
        matches!(self, Self::Ready | Self::Preparing)
    }
}

/// Which unit lies below which.
#[derive(Clone, Debug, Default)]
pub struct Lineages(BTreeMap<UnitId, Option<UnitId>>);

impl Lineages {
    /// Reads them off the units.
    pub fn of(units: &[Unit]) -> Self {
        Self(units.iter().map(|unit| (unit.id.clone(), unit.parent.clone())).collect())
    }

    /// Returns the unit and all above it, nearest first; nothing for an unknown one.
    pub fn above(&self, unit: &UnitId) -> Arc<[UnitId]> {
        let mut found = Vec::new();
        let mut next = Some(unit);
        while let Some((id, parent)) = next.and_then(|id| self.0.get_key_value(id)) {
            if found.len() == crate::wire::limits::UNITS {
                break;
            }
            found.push(id.clone());
            next = parent.as_ref();
        }
        found.into()
    }
}

/// What the server knows right now.
pub struct Live {
    picture: RwLock<Arc<Picture>>,
    devices: RwLock<Arc<BTreeMap<DeviceId, Registered>>>,
    units: RwLock<Lineages>,
    behind: RwLock<Arc<BTreeMap<DeviceId, Arc<Acts>>>>,
    heard: RwLock<BTreeMap<DeviceId, Arc<Heard>>>,
    tails: RwLock<Arc<CutTails>>,
    feeds: RwLock<BTreeMap<FeedId, FeedLight>>,
}

/// Ends of chains that did not come, by device.
pub type CutTails = BTreeMap<DeviceId, Vec<StoredTail>>;

/// Code of the alarm about them.
const TAIL: &str = "tail-missing";
/// Devices that the alarm names.
const NAMED: usize = 5;

impl Live {
    /// Returns a server that knows nothing yet.
    pub fn new(picture: Picture) -> Self {
        Self {
            picture: RwLock::new(Arc::new(picture)),
            devices: RwLock::new(Arc::new(BTreeMap::new())),
            units: RwLock::default(),
            behind: RwLock::default(),
            heard: RwLock::new(BTreeMap::new()),
            tails: RwLock::default(),
            feeds: RwLock::default(),
        }
    }

    /// Returns the picture as it is.
    pub fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.picture.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the picture; readers keep the one they have.
    pub fn change(&self, change: impl FnOnce(&mut Picture)) {
        let mut picture = self.picture.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut picture));
    }

    /// Raises an alarm, in the place of an earlier one of that code.
    pub fn set_alarm(&self, alarm: Alarm) {
        self.change(|picture| {
            picture.alarms.retain(|known| known.code != alarm.code);
            picture.alarms.push(alarm);
        });
    }

    /// Takes an alarm back.
    pub fn clear_alarm(&self, code: &str) {
        if self.picture().alarms.iter().any(|alarm| alarm.code == code) {
            self.change(|picture| picture.alarms.retain(|alarm| alarm.code != code));
        }
    }

    /// Returns the register as last read.
    pub fn devices(&self) -> Arc<BTreeMap<DeviceId, Registered>> {
        Arc::clone(&self.devices.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the register as read.
    pub fn set_register(&self, devices: Vec<Registered>, units: &[Unit]) {
        let devices = devices.into_iter().map(|known| (known.device.id.clone(), known)).collect();
        *self.devices.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(devices);
        *self.units.write().unwrap_or_else(PoisonError::into_inner) = Lineages::of(units);
        self.look_behind();
    }

    /// Reads off the register for whom its gateways act: those that a gateway's key speaks for.
    fn look_behind(&self) {
        let devices = self.devices();
        let mut found: BTreeMap<DeviceId, Acts> = BTreeMap::new();
        for known in devices.values() {
            if let (Some(gateway), Standing::Enrolled { .. }) =
                (&known.device.behind, &known.standing)
            {
                let acts = found.entry(gateway.clone()).or_default();
                acts.devices.insert(known.device.id.clone());
                acts.units.extend(self.lineage(&known.device.unit).iter().cloned());
            }
        }
        let found = found.into_iter().map(|(id, acts)| (id, Arc::new(acts))).collect();
        *self.behind.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
    }

    /// Returns for whom a gateway acts; `None` for whoever acts for nobody.
    pub fn behind(&self, gateway: &DeviceId) -> Option<Arc<Acts>> {
        self.behind.read().unwrap_or_else(PoisonError::into_inner).get(gateway).cloned()
    }

    /// Takes one device as just changed, before anybody is told of the change.
    pub fn put_device(&self, known: Registered) {
        self.put_devices(vec![known]);
    }

    /// Takes devices as just changed, before anybody is told of the change.
    pub fn put_devices(&self, changed: Vec<Registered>) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        let mut gateways = false;
        let all = Arc::make_mut(&mut devices);
        for known in changed {
            let behind = known.device.behind.is_some();
            let old = all.insert(known.device.id.clone(), known);
            gateways |= behind || old.is_some_and(|old| old.device.behind.is_some());
        }
        drop(devices);
        if gateways {
            self.look_behind();
        }
    }

    /// Returns the unit and all above it, nearest first.
    pub fn lineage(&self, unit: &UnitId) -> Arc<[UnitId]> {
        self.units.read().unwrap_or_else(PoisonError::into_inner).above(unit)
    }

    /// Notes what a device says. Returns what it had said before. A will that belongs to an
    /// older connection than the newest birth is dropped: then the answer is `Err`.
    pub fn hear(
        &self,
        device: &DeviceId,
        at_ms: UtcMs,
        state: State,
    ) -> Result<Option<Arc<Heard>>, StaleWill> {
        let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        let before = heard.get(device).cloned();
        if state.state == StateKind::Lost
            && before.as_ref().is_some_and(|before| before.state.conn > state.conn)
        {
            return Err(StaleWill);
        }
        heard.insert(device.clone(), Arc::new(Heard { at_ms, state }));
        Ok(before)
    }

    /// Returns what a device last said. One behind a gateway that is gone is gone too: a connection
    /// has one will, that of the gateway.
    pub fn heard(&self, device: &DeviceId) -> Option<Arc<Heard>> {
        let gateway = self.devices().get(device).and_then(|known| known.device.behind.clone());
        let heard = self.heard.read().unwrap_or_else(PoisonError::into_inner);
        let own = heard.get(device)?;
        let gateway = gateway.and_then(|gateway| heard.get(&gateway));
        Some(gateway.and_then(|gateway| with_gateway(own, gateway)).unwrap_or_else(|| own.clone()))
    }

    /// Takes the ends of chains that did not come, and calls a person where one should look.
    pub fn set_tails(&self, tails: CutTails) {
        let missing = |tail: &&StoredTail| tail.stand == TailStand::Missing;
        let named: Vec<&StoredTail> = tails.values().flatten().filter(missing).collect();
        let list = |word: &str| {
            let some = named.iter().take(NAMED);
            let mut some: Vec<String> =
                some.map(|tail| format!("{} ({}/{})", tail.device, tail.came, tail.seq)).collect();
            if named.len() > NAMED {
                some.push(format!("{word} {}", named.len() - NAMED));
            }
            some.join(", ")
        };
        let alarm = (!named.is_empty()).then(|| Alarm {
            code: TAIL,
            vi: format!(
                "Thiết bị báo có bản ghi mà máy chủ chưa nhận được (đã nhận/đã báo): {}",
                list("và thiết bị khác:")
            ),
            en: format!(
                "Devices tell of records that never came (came/told): {}",
                list("and others:")
            ),
        });
        *self.tails.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tails);
        match alarm {
            Some(alarm) if self.picture().alarms.contains(&alarm) => {}
            Some(alarm) => self.set_alarm(alarm),
            None => self.clear_alarm(TAIL),
        }
    }

    /// Returns the ends of chains that did not come.
    pub fn tails(&self) -> Arc<CutTails> {
        Arc::clone(&self.tails.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes how a feed goes; `None` where it is one no more.
    pub fn set_feed(&self, feed: &FeedId, light: Option<FeedLight>) {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        match light {
            Some(light) => drop(feeds.insert(feed.clone(), light)),
            None => drop(feeds.remove(feed)),
        }
    }

    /// Returns how a feed goes, where this process reads it.
    pub fn feed(&self, feed: &FeedId) -> Option<FeedLight> {
        self.feeds.read().unwrap_or_else(PoisonError::into_inner).get(feed).cloned()
    }

    /// Returns what all devices last said.
    pub fn all_heard(&self) -> BTreeMap<DeviceId, Arc<Heard>> {
        let devices = self.devices();
        let mut all = self.heard.read().unwrap_or_else(PoisonError::into_inner).clone();
        for known in devices.values() {
            let Some(gateway) = known.device.behind.as_ref().and_then(|id| all.get(id)) else {
                continue;
            };
            let Some(own) = all.get(&known.device.id) else { continue };
            if let Some(gone) = with_gateway(own, gateway) {
                all.insert(known.device.id.clone(), gone);
            }
        }
        all
    }
}

/// For whom a gateway acts: the devices that its key speaks for, and all units above them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acts {
    pub devices: BTreeSet<DeviceId>,
    pub units: BTreeSet<UnitId>,
}

/// Returns how a device stands whose gateway is gone; `None` while the gateway is there.
fn with_gateway(own: &Arc<Heard>, gateway: &Heard) -> Option<Arc<Heard>> {
    let kind = gateway.state.state;
    let gone = matches!(kind, StateKind::Lost | StateKind::Disconnected);
    let mut heard = gone.then(|| Heard::clone(own))?;
    heard.state.state = kind;
    heard.at_ms = heard.at_ms.max(gateway.at_ms);
    Some(Arc::new(heard))
}

/// A will of an older connection: the device is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleWill;

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> DeviceId {
        DeviceId::new("loa-thon-1").unwrap()
    }

    #[test]
    fn a_late_will_does_not_kill_a_newer_connection() {
        let live = Live::new(Picture::empty("test"));
        live.hear(&id(), UtcMs(1), State::bare(StateKind::Ready, 7)).unwrap();
        let late = live.hear(&id(), UtcMs(2), State::bare(StateKind::Lost, 6));
        assert_eq!(late, Err(StaleWill));
        assert_eq!(live.heard(&id()).unwrap().state.state, StateKind::Ready);
        live.hear(&id(), UtcMs(3), State::bare(StateKind::Lost, 7)).unwrap();
        assert_eq!(live.heard(&id()).unwrap().state.state, StateKind::Lost);
    }

    #[test]
    fn what_stands_behind_a_lost_gateway_is_lost_and_comes_back_with_it() {
        use crate::domain::station::Device;
        let live = Live::new(Picture::empty("test"));
        let [gateway, child] = ["cong-1", "loa-1"].map(|id| DeviceId::new(id).unwrap());
        let registered = |id: &DeviceId, behind: Option<&DeviceId>| Registered {
            device: Device {
                id: id.clone(),
                name: String::new(),
                unit: "01".parse().unwrap(),
                tags: Vec::new(),
                profile: "x".parse().unwrap(),
                volume_cap: 100,
                trim_ms: 0,
                behind: behind.cloned(),
            },
            registered_ms: UtcMs(0),
            standing: Standing::Enrolled {
                since_ms: UtcMs(0),
                kid: String::new(),
                password: Standing::NO_PASSWORD,
            },
        };
        live.put_device(registered(&gateway, None));
        assert_eq!(live.behind(&gateway), None);
        live.put_device(registered(&child, Some(&gateway)));
        assert!(live.behind(&gateway).unwrap().devices.contains(&child));
        let said = |id: &DeviceId, at, kind, conn| {
            live.hear(id, UtcMs(at), State::bare(kind, conn)).unwrap();
        };
        let stands = || {
            let one = live.heard(&child).unwrap().state.state;
            assert_eq!(live.all_heard()[&child].state.state, one);
            one
        };
        said(&child, 1, StateKind::Ready, 4);
        assert_eq!(stands(), StateKind::Ready, "nothing is known of the gateway");
        said(&gateway, 2, StateKind::Ready, 9);
        assert_eq!(stands(), StateKind::Ready);
        said(&gateway, 3, StateKind::Lost, 9);
        assert_eq!(stands(), StateKind::Lost);
        said(&gateway, 4, StateKind::Init, 10);
        assert_eq!(stands(), StateKind::Ready);
        live.put_device(registered(&child, None));
        said(&gateway, 5, StateKind::Lost, 10);
        assert_eq!(stands(), StateKind::Ready, "it stands by itself now");
        assert_eq!(live.behind(&gateway), None);
    }

    #[test]
    fn a_device_that_still_wants_something_is_not_ready() {
        use crate::domain::ids::Digest;
        use crate::wire::doc::{Wanted, WantedKind};
        let standing = Standing::Enrolled {
            since_ms: UtcMs(0),
            kid: String::new(),
            password: Digest::of(b"x"),
        };
        let mut heard = Heard { at_ms: UtcMs(1), state: State::bare(StateKind::Ready, 1) };
        assert_eq!(Light::of(&standing, Some(&heard)), Light::Ready);
        heard.state.want =
            vec![Wanted { kind: WantedKind::Asset, sha256: Digest::of(b"x"), kib: Some(64) }];
        assert_eq!(Light::of(&standing, Some(&heard)), Light::Preparing);
        assert_eq!(Light::of(&standing, None), Light::Silent);
        assert_eq!(Light::of(&Standing::Awaiting, None), Light::Awaiting);
    }
}
