//! Which devices stand behind a gateway: for whom it may act.

use super::{Document, positive};
use crate::domain::ids::{DeviceId, ProfileId, UnitId};
use crate::wire::judge::Judged;
use crate::wire::jws::Typ;
use crate::wire::limits;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A signed list of the devices behind a gateway. Whoever is not in it is no longer acted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// The gateway.
    pub aud: DeviceId,
    /// When it was made, seconds.
    pub iat: i64,
    /// Its version.
    pub ver: i64,
    /// The devices, by what they have in common.
    pub groups: Vec<Group>,
}

/// Devices of one profile in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Their profile: what they can do, and how they are spoken to.
    pub profile: ProfileId,
    /// Their units, nearest first, until their timetables say.
    pub units: Vec<UnitId>,
    /// Their ids.
    pub ids: Vec<DeviceId>,
}

impl Behind {
    /// Returns the devices with the group in which each stands.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &Group)> {
        self.groups.iter().flat_map(|group| group.ids.iter().map(move |id| (id, group)))
    }
}

impl Document for Behind {
    const TYP: Typ = Typ::Behind;

    fn check(&self) -> Result<(), Refusal> {
        Refusal::limit("devices", self.devices().count(), limits::BEHIND)?;
        Refusal::limit("groups", self.groups.len(), limits::BEHIND)?;
        Refusal::limit("bytes of `iss`", self.iss.len(), limits::WORD_BYTES)?;
        positive(self.ver, "ver")?;
        for group in &self.groups {
            Refusal::limit("units", group.units.len(), limits::UNITS)?;
        }
        let mut seen = BTreeSet::new();
        if self.devices().any(|(id, _)| *id == self.aud || !seen.insert(id)) {
            return Err(Refusal::content("a device stands behind itself, or twice"));
        }
        Ok(())
    }
}

impl Judged for Behind {
    fn aud(&self) -> Option<&DeviceId> {
        Some(&self.aud)
    }
    fn iat(&self) -> i64 {
        self.iat
    }
    fn ver(&self) -> Option<i64> {
        Some(self.ver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::doc;
    use crate::wire::jws::SecretKey;

    fn behind(devices: usize) -> Behind {
        let group = |n: usize| Group {
            profile: "amply-shelly-gen-2-kem-cot-loa".parse().unwrap(),
            units: [format!("00070-thon{n:04}").as_str(), "00070", "19"]
                .map(|unit| unit.parse().unwrap())
                .to_vec(),
            ids: (0..devices)
                .filter(|id| id % 100 == n)
                .map(|id| format!("loa-thon-doai-dong-xa-tan-lap-{id:04}").parse().unwrap())
                .collect(),
        };
        Behind {
            v: 1,
            iss: "Đài truyền thanh xã Tân Lập".to_owned(),
            aud: "cong-1".parse().unwrap(),
            iat: 1_800_000_000,
            ver: 1_800_000_000_000,
            groups: (0..devices.min(100)).map(group).collect(),
        }
    }

    #[test]
    fn as_many_devices_as_may_stand_behind_a_gateway_fit_into_one_document() {
        let key = SecretKey::from_seed(&[1; 32]);
        let text = doc::sign(&key, &behind(limits::BEHIND)).unwrap();
        assert!(text.len() <= limits::BEHIND_BYTES, "{}", text.len());
        let many = doc::sign(&key, &behind(limits::BEHIND + 1)).unwrap_err();
        assert_eq!(many.reason(), "limit");
    }

    #[test]
    fn a_device_stands_in_it_once_and_the_gateway_not_at_all() {
        let key = SecretKey::from_seed(&[1; 32]);
        let mut twice = behind(2);
        twice.groups[1].ids = twice.groups[0].ids.clone();
        assert_eq!(doc::sign(&key, &twice).unwrap_err().reason(), "content");
        let mut itself = behind(1);
        itself.groups[0].ids = vec![itself.aud.clone()];
        assert_eq!(doc::sign(&key, &itself).unwrap_err().reason(), "content");
    }
}
