//! Who may publish and subscribe to what: the access list of the contract, pure.
//!
//! # Invariants
//! * A device publishes its own `state` and its own records, nothing else; only `state` is kept.
//! * A device subscribes to exact topics, but for its own `d/{device}/+` and the urgent notices of
//!   its units: one subscription cannot ask for the library, or for all feeds. `$share`, `$SYS`, `#` and `+` at the
//!   top are not in the list, so they are refused.
//! * What is not allowed by name is refused.

use super::Who;
use crate::app::live::Acts;
use crate::domain::ids::{DeviceId, UnitId};
use crate::wire::limits;
use crate::wire::topic::{Topic, Topics};
use std::sync::Arc;

/// Why a publish is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not a topic this client may use")]
    Topic,
    #[error("{bytes} bytes, above the limit of {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("this topic is not kept")]
    Retained,
}

/// What a publish or a will brings.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    pub topic: &'a str,
    pub bytes: usize,
    pub retain: bool,
}

/// Judges a publish, or the will of a client that connects.
pub fn may_publish(topics: &Topics, who: &Who, publish: Publish<'_>) -> Result<(), Refused> {
    let topic = topics.parse(publish.topic).ok_or(Refused::Topic)?;
    let limit = match (who, &topic) {
        (Who::Server, _) => limits::PACKET_BYTES,
        (Who::Device { id, behind, .. }, Topic::State(device))
            if device == id || acts_for(behind.as_ref(), device) =>
        {
            limits::STATE_BYTES
        }
        (Who::Device { id, behind, .. }, Topic::Records(device))
            if device == id || acts_for(behind.as_ref(), device) =>
        {
            if publish.retain {
                return Err(Refused::Retained);
            }
            limits::BATCH_BYTES
        }
        (Who::Device { .. }, _) => return Err(Refused::Topic),
    };
    if publish.bytes > limit {
        return Err(Refused::TooLarge { bytes: publish.bytes, limit });
    }
    Ok(())
}

/// Says whether a client may subscribe to a filter.
pub fn may_subscribe(topics: &Topics, who: &Who, filter: &str) -> bool {
    let (id, units, behind) = match who {
        Who::Server => return filter.strip_prefix(topics.prefix()).is_some_and(below),
        Who::Device { id, units, behind } => (id, units, behind),
    };
    let own = |device: &_| device == id || acts_for(behind.as_ref(), device);
    match topics.parse(filter) {
        Some(
            Topic::Keys
            | Topic::Server
            | Topic::Sheet(_)
            | Topic::Chunk { .. }
            | Topic::Sums { .. }
            | Topic::Feed(_),
        ) => true,
        Some(
            Topic::Timetable(device)
            | Topic::Floor(device)
            | Topic::Command(device)
            | Topic::Time(device)
            | Topic::Receipt(device)
            | Topic::State(device)
            | Topic::Behind(device),
        ) => own(&device),
        Some(Topic::Urgent { unit, .. } | Topic::Hold(unit)) => {
            units.contains(&unit) || concerned(behind.as_ref(), &unit)
        }
        Some(Topic::Epoch | Topic::Records(_)) => false,
        None => {
            filter == format!("{topics}/d/{id}/+")
                || units.iter().any(|unit| filter == topics.urgent_filter(unit))
                || behind.as_ref().is_some_and(|acts| of_those_behind(topics, acts, filter))
        }
    }
}

fn acts_for(behind: Option<&Arc<Acts>>, device: &DeviceId) -> bool {
    behind.is_some_and(|acts| acts.devices.contains(device))
}

fn concerned(behind: Option<&Arc<Acts>>, unit: &UnitId) -> bool {
    behind.is_some_and(|acts| acts.units.contains(unit))
}

/// Says whether a filter asks for all of one device behind a gateway, or for the notices of a unit
/// that concern one.
fn of_those_behind(topics: &Topics, behind: &Acts, filter: &str) -> bool {
    let rest = filter.strip_prefix(topics.prefix()).and_then(|rest| rest.strip_prefix('/'));
    match rest.map(|rest| rest.split('/').collect::<Vec<_>>()).as_deref() {
        Some(["d", device, "+"]) => device.parse().is_ok_and(|id| behind.devices.contains(&id)),
        Some(["u", unit, "urgent", "+"]) => unit.parse().is_ok_and(|id| behind.units.contains(&id)),
        _ => false,
    }
}

fn below(rest: &str) -> bool {
    rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Digest;

    fn device() -> Who {
        let units = ["01", "00070", "00070-thon1"].map(|unit| unit.parse().unwrap());
        Who::Device { id: "loa-1".parse().unwrap(), units: units.into(), behind: None }
    }

    #[test]
    fn a_gateway_acts_for_those_behind_it_and_for_nobody_else() {
        let topics = Topics::default();
        let (child, unit) = ("loa-2".parse::<DeviceId>().unwrap(), "00071".parse().unwrap());
        let Who::Device { id, units, .. } = device() else { unreachable!() };
        let acts = Acts { devices: [child.clone()].into(), units: [unit].into() };
        let behind = Some(Arc::new(acts));
        let gateway = Who::Device { id, units, behind };
        for filter in [
            "loa/1/d/loa-1/behind",
            "loa/1/d/loa-2/timetable",
            "loa/1/d/loa-2/command",
            "loa/1/d/loa-2/+",
            "loa/1/u/00071/hold",
            "loa/1/u/00071/urgent/+",
        ] {
            assert!(may_subscribe(&topics, &gateway, filter), "{filter}");
        }
        for filter in [
            "loa/1/d/loa-3/timetable",
            "loa/1/d/loa-3/+",
            "loa/1/d/loa-2/#",
            "loa/1/d/+/timetable",
            "loa/1/u/00072/hold",
            "loa/1/u/00072/urgent/+",
            "loa/1/u/+/urgent/+",
            "loa/1/r/+/+",
        ] {
            assert!(!may_subscribe(&topics, &gateway, filter), "{filter}");
        }
        let try_it = |topic: &str, retain| {
            may_publish(&topics, &gateway, Publish { topic, bytes: 9, retain })
        };
        assert_eq!(try_it("loa/1/d/loa-2/state", true), Ok(()));
        assert_eq!(try_it(&topics.of(&Topic::Records(child.clone())), false), Ok(()));
        assert_eq!(try_it(&topics.of(&Topic::Records(child)), true), Err(Refused::Retained));
        for topic in ["loa/1/d/loa-3/state", "loa/1/d/loa-2/timetable", "loa/1/d/loa-1/behind"] {
            assert_eq!(try_it(topic, true), Err(Refused::Topic), "{topic}");
        }
    }

    #[test]
    fn a_device_subscribes_to_what_is_its_own_and_to_exact_pieces() {
        let topics = Topics::default();
        let hash = Digest::of(b"x");
        let allowed = [
            "loa/1/keys".to_owned(),
            "loa/1/server".into(),
            "loa/1/d/loa-1/timetable".into(),
            "loa/1/d/loa-1/+".into(),
            "loa/1/d/loa-1/receipt".into(),
            "loa/1/u/00070/urgent/+".into(),
            "loa/1/u/01/hold".into(),
            format!("loa/1/s/{hash}"),
            format!("loa/1/a/{hash}/64/0"),
            format!("loa/1/a/{hash}/16/sums"),
            "loa/1/f/muc-nuoc".into(),
        ];
        for filter in &allowed {
            assert!(may_subscribe(&topics, &device(), filter), "{filter}");
        }
        let refused = [
            "#".to_owned(),
            "+".into(),
            "+/1/d/loa-2/command".into(),
            "$SYS/#".into(),
            "$share/g/loa/1/d/loa-1/timetable".into(),
            "$share/g/loa/1/r/+/+".into(),
            "loa/#".into(),
            "loa/1/#".into(),
            "loa/1/d/+/state".into(),
            "loa/1/d/loa-2/timetable".into(),
            "loa/1/d/loa-1/#".into(),
            "loa/1/d/loa-11/+".into(),
            "loa/1/epoch".into(),
            "loa/1/r/+/+".into(),
            "loa/1/s/+".into(),
            "loa/1/f/+".into(),
            "loa/1/f/#".into(),
            "loa/1/s/#".into(),
            format!("loa/1/a/{hash}/64/+"),
            format!("loa/1/a/{hash}/#"),
            format!("loa/1/a/{hash}/64/00"),
            "loa/1/a/+/64/0".into(),
            "loa/1/u/00071/hold".into(),
            "loa/1/u/00071/urgent/+".into(),
            "loa/1/u/+/hold".into(),
            "loa/1/u/00070/#".into(),
            "loa/2/keys".into(),
            String::new(),
        ];
        for filter in &refused {
            assert!(!may_subscribe(&topics, &device(), filter), "{filter}");
        }
    }

    #[test]
    fn a_device_publishes_its_state_and_its_records() {
        let topics = Topics::default();
        let try_it = |topic: &str, bytes, retain| {
            may_publish(&topics, &device(), Publish { topic, bytes, retain })
        };
        let records = topics.of(&Topic::Records("loa-1".parse().unwrap()));
        assert_eq!(try_it("loa/1/d/loa-1/state", 100, true), Ok(()));
        assert_eq!(try_it("loa/1/d/loa-1/state", 0, true), Ok(()));
        assert_eq!(try_it(&records, limits::BATCH_BYTES, false), Ok(()));
        assert_eq!(try_it(&records, 1, true), Err(Refused::Retained));
        let bytes = limits::STATE_BYTES + 1;
        let large = Refused::TooLarge { bytes, limit: limits::STATE_BYTES };
        assert_eq!(try_it("loa/1/d/loa-1/state", bytes, true), Err(large));
        let foreign = [
            "loa/1/d/loa-2/state",
            "loa/1/d/loa-1/timetable",
            "loa/1/d/loa-1/receipt",
            "loa/1/keys",
            "loa/1/server",
            "loa/1/epoch",
            "loa/1/u/01/hold",
            "loa/1/u/01/urgent/x",
            "loa/1/r/0/loa-1/x",
            "$SYS/x",
            "x",
            "",
        ];
        for topic in foreign {
            assert_eq!(try_it(topic, 1, false), Err(Refused::Topic), "{topic}");
        }
        let hash = Digest::of(b"x");
        assert_eq!(try_it(&format!("loa/1/s/{hash}"), 1, true), Err(Refused::Topic));
        assert_eq!(try_it(&format!("loa/1/a/{hash}/64/0"), 1, true), Err(Refused::Topic));
        // Another partition than its own.
        let wrong = records.replace("/r/", "/r/x");
        assert_eq!(try_it(&wrong, 1, false), Err(Refused::Topic));
    }

    #[test]
    fn the_server_uses_its_prefix_and_nothing_else() {
        let topics = Topics::new("xa/1").unwrap();
        assert!(may_subscribe(&topics, &Who::Server, "xa/1/r/+/+"));
        assert!(!may_subscribe(&topics, &Who::Server, "#"));
        assert!(!may_subscribe(&topics, &Who::Server, "xa/10/#"));
        let publish = Publish { topic: "xa/1/d/loa-1/timetable", bytes: 10, retain: true };
        assert_eq!(may_publish(&topics, &Who::Server, publish), Ok(()));
    }
}
