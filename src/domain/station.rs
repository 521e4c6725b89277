//! The station as accepted: registers, playlists, policies, library. What compile reads.
//!
//! Invariants: parents exist and make no circle; every device has a unit of the register and a
//! profile; every clip that a playlist names stands in the library (as known or as missing).

use super::feed::Feed;
use super::ids::{DeviceId, Digest, FeedId, ItemId, PlaylistId, ProfileId, SlotId, Tag, UnitId};
use super::playlist::{ClipPath, Playlist, Targets};
use super::policy::Policy;
use super::profile::Profile;
use super::recurrence::Calendar;
use super::standby::{Standby, Template};
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::BTreeMap;

/// Everything that decides what sounds where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// Name for people.
    pub name: String,
    /// The zone in which hours and dates are meant.
    pub zone: Tz,
    /// Units by id.
    pub units: BTreeMap<UnitId, Unit>,
    /// Devices by id.
    pub devices: BTreeMap<DeviceId, Device>,
    /// Profiles by id.
    pub profiles: BTreeMap<ProfileId, Profile>,
    /// Policies in force, in the order of their ids.
    pub policies: Vec<Policy>,
    /// Calendars of named dates.
    pub calendars: Vec<Calendar>,
    /// Playlists by id.
    pub playlists: BTreeMap<PlaylistId, Playlist>,
    /// What is known about every clip that a playlist or a standby template names.
    pub library: Library,
    /// Standby templates of urgent notices.
    pub standby: BTreeMap<Template, Standby>,
    /// Feeds by id.
    pub feeds: BTreeMap<FeedId, Feed>,
}

/// An administrative unit: data with validity dates, never an enum (units merge and split).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Code as text.
    pub id: UnitId,
    /// Name for people.
    pub name: String,
    /// The unit above, or `None` for a province.
    pub parent: Option<UnitId>,
    /// First day of validity; open when `None`.
    pub valid_from: Option<NaiveDate>,
    /// Last day of validity (inclusive); open when `None`.
    pub valid_until: Option<NaiveDate>,
    /// Units that followed it after a merge or split.
    pub successors: Vec<UnitId>,
    /// Declared inhabitants, for reports.
    pub population: Option<u32>,
}

/// Devices that may stand behind one gateway.
pub const BEHIND: usize = 1_000;

/// A loudspeaker cluster, board or gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id, also its MQTT client id and user name.
    pub id: DeviceId,
    /// Name or place for people.
    pub name: String,
    /// The unit it stands in.
    pub unit: UnitId,
    /// Tags, sorted.
    pub tags: Vec<Tag>,
    /// What it can do.
    pub profile: ProfileId,
    /// Cap for this device, 0-100; 100 when nothing is said.
    pub volume_cap: u8,
    /// Correction of its start in milliseconds, −1000..=1000 (positive plays later).
    pub trim_ms: i64,
    /// The gateway that speaks and signs for it; `None` for a device that speaks our contract.
    pub behind: Option<DeviceId>,
}

/// What is known about the clips that playlists name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    /// By path as named in playlists.
    pub clips: BTreeMap<ClipPath, Clip>,
}

/// A clip of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clip {
    /// Measured and good.
    Known(AssetFacts),
    /// Not usable; cues of it are planned nowhere and stand in `left_out`.
    Missing {
        /// Why, in one sentence.
        why: String,
    },
}

/// What a day sheet says about an asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetFacts {
    /// SHA-256 of the untouched bytes.
    pub sha256: Digest,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Media type: `audio/mpeg`, `audio/mp4`, `audio/wav`, `audio/flac`, `audio/ogg`, `image/png`.
    pub media_type: String,
    /// Length from decoded samples, milliseconds, rounded up.
    pub ms: i64,
    /// Gain to apply in centibel, to −16 LUFS under a −1 dBTP ceiling.
    pub gain_cb: i64,
    /// Integrated loudness in centibel LUFS (−230 = −23.0 LUFS).
    pub lufs_cb: i64,
    /// SHA-256 of the concatenated chunk hashes, by chunk size in KiB ("64").
    pub sums: BTreeMap<String, Digest>,
    /// Title from the file's tags or name.
    pub title: String,
}

/// Where in the playlists something stands: for faults and reasons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemRef {
    pub playlist: PlaylistId,
    pub slot: SlotId,
    pub item: ItemId,
}

impl Station {
    /// Returns the clip of a standby template, unless there is none or it cannot be used.
    pub fn standby_clip(&self, template: Template) -> Option<&AssetFacts> {
        let Clip::Known(facts) = self.library.clips.get(&self.standby.get(&template)?.clip)? else {
            return None;
        };
        Some(facts)
    }

    /// Returns the standby clips that a device of this profile can play, each once.
    pub fn standby_for(&self, profile: &Profile) -> BTreeMap<Digest, &AssetFacts> {
        let Some(speaker) = &profile.speaker else { return BTreeMap::new() };
        let clips = self.standby.keys().filter_map(|template| self.standby_clip(*template));
        let suits = |facts: &&AssetFacts| {
            speaker.codecs.contains(&facts.media_type) && facts.ms <= speaker.longest_ms
        };
        clips.filter(suits).map(|facts| (facts.sha256, facts)).collect()
    }

    /// Returns the unit and everything above it, nearest first; empty when unknown.
    pub fn lineage(&self, unit: &UnitId) -> Vec<&Unit> {
        let mut found = Vec::new();
        let mut next = Some(unit.clone());
        while let Some(id) = next.take() {
            let Some(unit) = self.units.get(&id) else { break };
            if found.len() > 8 {
                break; // registers are checked for circles; this only bounds a broken one
            }
            found.push(unit);
            next.clone_from(&unit.parent);
        }
        found
    }

    /// Says whether the targets mean a device, on whatever date; exclusions win.
    pub fn means(&self, targets: &Targets, device: &Device) -> bool {
        let lineage = self.lineage(&device.unit);
        let named = |units: &[UnitId], tags: &[Tag], devices: &[DeviceId]| {
            devices.contains(&device.id)
                || tags.iter().any(|tag| device.tags.contains(tag))
                || units.iter().any(|unit| lineage.iter().any(|above| above.id == *unit))
        };
        named(&targets.units, &targets.tags, &targets.devices)
            && !named(&targets.except_units, &targets.except_tags, &targets.except_devices)
    }
}
