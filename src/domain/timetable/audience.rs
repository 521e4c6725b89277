//! Which playlists and policies reach a device: devices with the same answer are compiled once.
//!
//! A unit in the targets reaches itself and everything below it, on dates on which it is valid;
//! exclusions and policies hold whatever the validity of the unit, since silence is the safe side.

use super::reason::Cause;
use crate::domain::ids::{DeviceId, PlaylistId, ProfileId, Tag, UnitId};
use crate::domain::playlist::Playlist;
use crate::domain::policy::{Policy, Rules, volume_cap};
use crate::domain::station::{AssetFacts, Device, Station, Unit};
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A unit that is valid for a time only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Window {
    unit: UnitId,
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
}

impl Window {
    /// Returns the window, or `None` for a unit that is always valid.
    fn of(unit: &Unit) -> Option<Self> {
        (unit.valid_from.is_some() || unit.valid_until.is_some()).then(|| Self {
            unit: unit.id.clone(),
            from: unit.valid_from,
            until: unit.valid_until,
        })
    }

    fn holds(&self, date: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= date) && self.until.is_none_or(|until| date <= until)
    }
}

/// A playlist that reaches a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    /// The playlist's version.
    pub version: u64,
    /// The device's own unit, when it is valid for a time only.
    own: Option<Window>,
    /// The units through which it reaches the device; empty when it always does.
    through: Vec<Window>,
}

impl Request {
    /// Says why it does not reach the device on a date.
    pub fn not_valid_on(&self, date: NaiveDate) -> Option<Cause> {
        let cause = |window: &Window| Cause::UnitNotValid { unit: window.unit.clone() };
        if let Some(own) = self.own.as_ref().filter(|own| !own.holds(date)) {
            return Some(cause(own));
        }
        if self.through.iter().any(|window| window.holds(date)) {
            return None;
        }
        self.through.first().map(cause)
    }
}

/// What a profile means for planning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Abilities {
    /// Codecs and longest clip.
    pub speaker: Option<(BTreeSet<String>, i64)>,
    pub board: bool,
}

impl Abilities {
    /// Says whether the loudspeaker plays the clip, or why not.
    pub fn takes(&self, facts: &AssetFacts) -> Result<(), Cause> {
        match &self.speaker {
            Some((codecs, _)) if !codecs.contains(&facts.media_type) => {
                Err(Cause::Codec { media_type: facts.media_type.clone() })
            }
            Some((_, longest_ms)) if facts.ms > *longest_ms => {
                Err(Cause::ClipTooLong { ms: facts.ms, longest_ms: *longest_ms })
            }
            _ => Ok(()),
        }
    }
}

/// All that the days of a device depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// By rank: the first wins.
    pub requests: Vec<Request>,
    pub rules: Arc<Rules>,
    pub abilities: Arc<Abilities>,
}

/// Devices that nothing tells apart.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub key: Arc<Key>,
    /// The lowest cap of the policies.
    pub cap: Option<u8>,
}

/// Who is named by unit, tag and device: indices, ascending.
struct Index<'a> {
    all: Vec<usize>,
    units: HashMap<&'a UnitId, Vec<usize>>,
    tags: HashMap<&'a Tag, Vec<usize>>,
    devices: HashMap<&'a DeviceId, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new() -> Self {
        let (units, tags, devices) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { all: Vec::new(), units, tags, devices }
    }

    fn add(&mut self, at: usize, units: &'a [UnitId], tags: &'a [Tag], devices: &'a [DeviceId]) {
        for unit in units {
            self.units.entry(unit).or_default().push(at);
        }
        for tag in tags {
            self.tags.entry(tag).or_default().push(at);
        }
        for device in devices {
            self.devices.entry(device).or_default().push(at);
        }
    }

    fn by_tag_and_device<'b>(&'b self, device: &'b Device) -> impl Iterator<Item = usize> + 'b {
        let tags = device.tags.iter().filter_map(|tag| self.tags.get(tag));
        tags.chain(self.devices.get(&device.id)).flatten().copied()
    }

    fn by_unit<'b>(&'b self, unit: &'b UnitId) -> impl Iterator<Item = usize> + 'b {
        self.units.get(unit).into_iter().flatten().copied()
    }
}

type Likeness<'a> = (&'a UnitId, &'a [Tag], &'a ProfileId);

/// Finds the group of each device.
pub(super) struct Audience<'a> {
    station: &'a Station,
    /// Versions of the playlists, by rank.
    ranked: Vec<u64>,
    targets: Index<'a>,
    exclusions: Index<'a>,
    policies: Index<'a>,
    abilities: HashMap<&'a ProfileId, Arc<Abilities>>,
    rules: HashMap<Vec<usize>, (Arc<Rules>, Option<u8>)>,
    lineages: HashMap<&'a UnitId, Arc<[UnitId]>>,
    groups: HashMap<Likeness<'a>, Group>,
    keys: HashSet<Arc<Key>>,
}

impl<'a> Audience<'a> {
    /// `version` names the content of each playlist of the station.
    pub fn new(station: &'a Station, version: impl Fn(&PlaylistId) -> Option<u64>) -> Self {
        let mut ranked: Vec<&Playlist> = station.playlists.values().collect();
        ranked.sort_by_key(|playlist| {
            let order = playlist.order.map_or((1, 0), |order| (0, order));
            (std::cmp::Reverse(playlist.priority), order, playlist.accepted, &playlist.id)
        });
        let (mut targets, mut exclusions) = (Index::new(), Index::new());
        for (rank, playlist) in ranked.iter().enumerate() {
            let to = &playlist.targets;
            targets.add(rank, &to.units, &to.tags, &to.devices);
            exclusions.add(rank, &to.except_units, &to.except_tags, &to.except_devices);
        }
        let mut policies = Index::new();
        for (at, policy) in station.policies.iter().enumerate() {
            policies.add(at, &policy.units, &policy.tags, &policy.devices);
            policies.all.extend(policy.binds_all().then_some(at));
        }
        Self {
            station,
            ranked: ranked.iter().filter_map(|playlist| version(&playlist.id)).collect(),
            targets,
            exclusions,
            policies,
            abilities: station
                .profiles
                .iter()
                .map(|(id, p)| (id, Arc::new(abilities(p))))
                .collect(),
            rules: HashMap::new(),
            lineages: HashMap::new(),
            groups: HashMap::new(),
            keys: HashSet::new(),
        }
    }

    /// Returns the units of a unit, itself first.
    pub fn units(&mut self, unit: &'a UnitId) -> Arc<[UnitId]> {
        let station = self.station;
        let found = self.lineages.entry(unit).or_insert_with(|| {
            let lineage = station.lineage(unit);
            lineage.into_iter().map(|unit| unit.id.clone()).collect()
        });
        Arc::clone(found)
    }

    /// Returns the group of a device. Equal keys are one `Arc`.
    pub fn group(&mut self, device: &'a Device) -> Group {
        let named = [&self.targets, &self.exclusions, &self.policies]
            .iter()
            .any(|index| index.devices.contains_key(&device.id));
        let likeness = (&device.unit, device.tags.as_slice(), &device.profile);
        if !named && let Some(group) = self.groups.get(&likeness) {
            return group.clone();
        }
        let group = self.work_out(device);
        if !named {
            self.groups.insert(likeness, group.clone());
        }
        group
    }

    fn work_out(&mut self, device: &'a Device) -> Group {
        let lineage = self.station.lineage(&device.unit);
        let own = lineage.first().and_then(|unit| Window::of(unit));
        let mut excluded: BTreeSet<usize> = self.exclusions.by_tag_and_device(device).collect();
        let mut bound = self.policies.all.clone();
        bound.extend(self.policies.by_tag_and_device(device));
        // Rank → units through which it comes; none for "always".
        let mut reached: BTreeMap<usize, Vec<Window>> = BTreeMap::new();
        let mut always: BTreeSet<usize> = self.targets.by_tag_and_device(device).collect();
        for unit in &lineage {
            excluded.extend(self.exclusions.by_unit(&unit.id));
            bound.extend(self.policies.by_unit(&unit.id));
            for rank in self.targets.by_unit(&unit.id) {
                match Window::of(unit) {
                    Some(window) => reached.entry(rank).or_default().push(window),
                    None => {
                        always.insert(rank);
                    }
                }
            }
        }
        for rank in always {
            reached.insert(rank, Vec::new());
        }
        let requests = reached
            .into_iter()
            .filter(|(rank, _)| !excluded.contains(rank))
            .filter_map(|(rank, through)| {
                let version = *self.ranked.get(rank)?;
                Some(Request { version, own: own.clone(), through })
            })
            .collect();
        bound.sort_unstable();
        bound.dedup();
        let station = self.station;
        let (rules, cap) = self.rules.entry(bound).or_insert_with_key(|bound| {
            let policies: Vec<&Policy> =
                bound.iter().filter_map(|at| station.policies.get(*at)).collect();
            let cap = volume_cap(policies.iter().copied()).map(|(cap, _)| cap);
            (Arc::new(Rules::of(policies)), cap)
        });
        let abilities = self.abilities.get(&device.profile).cloned().unwrap_or_default();
        let key = Arc::new(Key { requests, rules: Arc::clone(rules), abilities });
        let cap = *cap;
        if let Some(known) = self.keys.get(&key) {
            return Group { key: Arc::clone(known), cap };
        }
        self.keys.insert(Arc::clone(&key));
        Group { key, cap }
    }
}

fn abilities(profile: &crate::domain::profile::Profile) -> Abilities {
    Abilities {
        speaker: profile
            .speaker
            .as_ref()
            .map(|speaker| (speaker.codecs.iter().cloned().collect(), speaker.longest_ms)),
        board: profile.board.is_some(),
    }
}
