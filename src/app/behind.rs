//! What gateways are told: for whom they may act, and the quiet floor of each such device.
//!
//! Made of the register by whoever publishes, as often as it changes; what has not changed is not
//! signed again. A gateway that loses its last device is told an empty list, so that it lets go of
//! what it acted for; one that is revoked as well.

use super::ports::{Registered, RetainedDocument, Standing, Store, StoreError};
use super::registry::lineage;
use crate::domain::ids::{DeviceId, ProfileId, UnitId};
use crate::domain::station::Unit;
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Behind, Floor, Group};
use crate::wire::jws::{self, SecretKey, Typ};
use crate::wire::topic::{Topic, Topics};
use crate::wire::version;
use std::collections::{BTreeMap, BTreeSet};

/// Who tells, and how.
pub struct Teller<'a> {
    pub store: &'a dyn Store,
    /// The key of `policy`.
    pub policy: &'a SecretKey,
    pub topics: &'a Topics,
    /// Name of the station.
    pub name: &'a str,
    /// Minutes that local time is ahead of UTC, for first floors.
    pub offset_min: i32,
}

/// Brings the documents of gateways to what the register says; says how many were made.
pub async fn renew(teller: &Teller<'_>, now: UtcMs) -> Result<usize, StoreError> {
    let (devices, units) = (teller.store.devices().await?, teller.store.units().await?);
    let kept = teller.store.retained().await?;
    let kept: BTreeMap<&str, &RetainedDocument> =
        kept.iter().map(|document| (document.topic.as_str(), document)).collect();
    let mut made = Vec::new();
    for (gateway, groups) in wanted(&devices, &units) {
        let topic = teller.topics.of(&Topic::Behind(gateway.clone()));
        let old = kept.get(topic.as_str());
        if old.map_or(groups.is_empty(), |old| groups_of(old) == Some(groups.clone())) {
            continue;
        }
        let ver = version::next(old.map(|old| old.ver), now);
        let list = Behind {
            v: 1,
            iss: doc::issuer(teller.name),
            aud: gateway.clone(),
            iat: now.numeric_date(),
            ver,
            groups,
        };
        match doc::sign(teller.policy, &list) {
            Ok(text) => made.push(RetainedDocument {
                topic,
                ver,
                made_ms: now,
                body: text.into_bytes().into(),
            }),
            Err(error) => {
                let hint = error.hint();
                tracing::error!(device.id = %gateway, %error, hint, "Cannot tell a gateway whom it acts for");
            }
        }
    }
    for known in devices.iter().filter(|known| is_acted_for(known)) {
        let id = &known.device.id;
        let topic = teller.topics.of(&Topic::Floor(id.clone()));
        if kept.contains_key(topic.as_str()) {
            continue;
        }
        let ver = version::next(None, now);
        let floor = Floor::first(id.clone(), ver, now.numeric_date(), teller.offset_min);
        match doc::sign(teller.policy, &floor) {
            Ok(text) => made.push(RetainedDocument {
                topic,
                ver,
                made_ms: now,
                body: text.into_bytes().into(),
            }),
            Err(error) => tracing::error!(device.id = %id, %error, "Cannot sign a quiet floor"),
        }
    }
    if !made.is_empty() {
        match teller.store.put_retained(&made).await {
            // Another process has told a newer register already; this one reads it next.
            Ok(()) | Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(made.len())
}

fn is_acted_for(known: &Registered) -> bool {
    known.device.behind.is_some() && matches!(known.standing, Standing::Enrolled { .. })
}

/// Returns for each device whom it acts for: empty lists for whoever acts for nobody.
fn wanted(devices: &[Registered], units: &[Unit]) -> BTreeMap<DeviceId, Vec<Group>> {
    let mut found: BTreeMap<&DeviceId, BTreeMap<(&ProfileId, &UnitId), BTreeSet<&DeviceId>>> =
        devices.iter().map(|known| (&known.device.id, BTreeMap::new())).collect();
    for known in devices.iter().filter(|known| is_acted_for(known)) {
        let device = &known.device;
        let groups = device.behind.as_ref().and_then(|gateway| found.get_mut(gateway));
        if let Some(groups) = groups {
            groups.entry((&device.profile, &device.unit)).or_default().insert(&device.id);
        }
    }
    let group = |((profile, unit), ids): ((&ProfileId, &UnitId), BTreeSet<&DeviceId>)| Group {
        profile: profile.clone(),
        units: lineage(unit, units),
        ids: ids.into_iter().cloned().collect(),
    };
    let all = found.into_iter();
    all.map(|(id, groups)| (id.clone(), groups.into_iter().map(group).collect())).collect()
}

fn groups_of(kept: &RetainedDocument) -> Option<Vec<Group>> {
    let text = std::str::from_utf8(&kept.body).ok()?;
    let (_, list) = jws::kept::<Behind>(text, Typ::Behind).ok()?;
    Some(list.groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::ports::{Enrolment, EnrolmentCode, Plans as _, Registry as _};
    use crate::domain::ids::Digest;
    use crate::domain::station::Device;
    use crate::store::memory::MemoryStore;
    use crate::wire::doc::Document;
    use crate::wire::jws::OneKey;

    const NOW: UtcMs = UtcMs(1_800_000_000_000);

    fn device(id: &str, behind: Option<&str>) -> Device {
        Device {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            unit: "00070".parse().unwrap(),
            tags: Vec::new(),
            profile: if behind.is_some() { "mopidy" } else { "cong" }.parse().unwrap(),
            volume_cap: 100,
            trim_ms: 0,
            behind: behind.map(|id| id.parse().unwrap()),
        }
    }

    async fn enrol(store: &MemoryStore, id: &str, key: u8) {
        let code = EnrolmentCode {
            id: Digest([key; 32]),
            device: id.parse().unwrap(),
            secret: vec![1],
            made_ms: NOW,
            expires_ms: NOW.plus(1_000),
            used: None,
            refused: 0,
            last_refusal: None,
        };
        store.put_code(&code).await.unwrap();
        let enrolment = Enrolment {
            code: code.id,
            device: code.device,
            kid: format!("kid-{key}"),
            key: [key; 32],
            password: Digest([key; 32]),
            at_ms: NOW,
        };
        store.enrol(&enrolment).await.unwrap();
    }

    #[tokio::test]
    async fn a_gateway_is_told_whom_it_acts_for_and_when_it_no_longer_does() {
        let store = MemoryStore::default();
        let unit = |id: &str, parent: Option<&str>| Unit {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            parent: parent.map(|id| id.parse().unwrap()),
            valid_from: None,
            valid_until: None,
            successors: Vec::new(),
            population: None,
        };
        store.put_units(&[unit("19", None), unit("00070", Some("19"))]).await.unwrap();
        let all = [device("loa-1", Some("cong-1")), device("cong-1", None), device("loa-2", None)];
        store.put_devices(&all, NOW).await.unwrap();
        let (policy, topics) = (SecretKey::from_seed(&[9; 32]), Topics::default());
        let teller = Teller {
            store: &store,
            policy: &policy,
            topics: &topics,
            name: "Xã Tân Lập",
            offset_min: 420,
        };
        assert_eq!(renew(&teller, NOW).await.unwrap(), 0, "nobody signs for it yet");
        enrol(&store, "cong-1", 1).await;
        assert_eq!(renew(&teller, NOW).await.unwrap(), 2, "a list and a floor");
        assert_eq!(renew(&teller, NOW.plus(5)).await.unwrap(), 0, "nothing changed");
        let list = async || {
            let topic = topics.of(&Topic::Behind("cong-1".parse().unwrap()));
            let kept = store.retained().await.unwrap();
            let kept = kept.into_iter().find(|document| document.topic == topic).unwrap();
            let keys = OneKey { key: policy.public(), role: Behind::TYP.role() };
            doc::open::<Behind>(&kept.body, &keys).unwrap().claims
        };
        let told = list().await;
        let ids: Vec<_> = told.devices().map(|(id, group)| (id.as_str(), group)).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!((ids[0].0, ids[0].1.profile.as_str()), ("loa-1", "mopidy"));
        assert_eq!(ids[0].1.units, ["00070", "19"].map(|id| id.parse().unwrap()));
        store.put_devices(&[device("loa-2", Some("cong-1"))], NOW).await.unwrap();
        assert_eq!(renew(&teller, NOW.plus(9)).await.unwrap(), 2);
        assert_eq!(list().await.devices().count(), 2);
        store.revoke(&"cong-1".parse().unwrap(), "mất", "lan", NOW).await.unwrap();
        assert_eq!(renew(&teller, NOW.plus(20)).await.unwrap(), 1);
        let empty = list().await;
        assert_eq!(empty.devices().count(), 0, "it lets go of all");
        assert!(empty.ver > told.ver);
    }
}
