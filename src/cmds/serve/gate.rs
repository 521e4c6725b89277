//! Who may log in at the embedded broker: the register, from memory.

use crate::app::live::Live;
use crate::app::ports::{Registered, Standing};
use crate::broker::{Gate, Who};
use crate::domain::ids::{DeviceId, Digest};
use std::sync::Arc;

/// Answers from what the server knows right now.
pub struct RegisterGate {
    live: Arc<Live>,
}

impl RegisterGate {
    /// Returns a gate over what the server knows.
    pub fn new(live: Arc<Live>) -> Self {
        Self { live }
    }

    fn enrolled(&self, user: &str) -> Option<(Registered, Digest)> {
        let id: DeviceId = user.parse().ok()?;
        let known = self.live.devices().get(&id).cloned()?;
        match &known.standing {
            // Its gateway comes in for it.
            Standing::Enrolled { .. } if known.device.behind.is_some() => None,
            Standing::Enrolled { password, .. } => {
                let password = *password;
                Some((known, password))
            }
            Standing::Awaiting | Standing::Revoked { .. } => None,
        }
    }

    fn device(&self, known: Registered) -> Who {
        let behind = self.live.behind(&known.device.id);
        Who::Device { units: self.live.lineage(&known.device.unit), id: known.device.id, behind }
    }
}

impl Gate for RegisterGate {
    fn login(&self, user: &str, password: &[u8], client_id: &str) -> Option<Who> {
        let (known, wanted) = self.enrolled(user).filter(|_| user == client_id)?;
        // Hashes of 128 random bits: what the time of comparing them tells is of no use.
        (Digest::of(password) == wanted).then(|| self.device(known))
    }

    fn who(&self, user: &str) -> Option<Who> {
        self.enrolled(user).map(|(known, _)| self.device(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::live::Picture;
    use crate::domain::station::{Device, Unit};
    use crate::domain::time::UtcMs;

    #[test]
    fn only_an_enrolled_device_with_its_own_name_and_password_comes_in() {
        let live = Arc::new(Live::new(Picture::empty("test")));
        let id = DeviceId::new("loa-thon-1").unwrap();
        let unit = |id: &str, parent: Option<&str>| Unit {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            parent: parent.map(|p| p.parse().unwrap()),
            valid_from: None,
            valid_until: None,
            successors: Vec::new(),
            population: None,
        };
        let device = Device {
            id: id.clone(),
            name: "Loa".into(),
            unit: "90001".parse().unwrap(),
            tags: Vec::new(),
            profile: "loa-ip".parse().unwrap(),
            volume_cap: 100,
            trim_ms: 0,
            behind: None,
        };
        let standing = Standing::Enrolled {
            since_ms: UtcMs(0),
            kid: String::new(),
            password: Digest::of(b"secret"),
        };
        let registered = Registered { device, registered_ms: UtcMs(0), standing };
        live.set_register(vec![registered.clone()], &[unit("95", None), unit("90001", Some("95"))]);
        let gate = RegisterGate::new(Arc::clone(&live));
        let units = ["90001", "95"].map(|id| id.parse().unwrap()).into();
        assert_eq!(
            gate.login("loa-thon-1", b"secret", "loa-thon-1"),
            Some(Who::Device { id: id.clone(), units, behind: None })
        );
        assert_eq!(gate.login("loa-thon-1", b"wrong", "loa-thon-1"), None);
        assert_eq!(gate.login("loa-thon-1", b"secret", "loa-thon-2"), None);
        assert_eq!(gate.login("loa.server", b"secret", "loa.server"), None);
        let revoked = Standing::Revoked { at_ms: UtcMs(1), reason: "lost".into() };
        live.set_register(vec![Registered { standing: revoked, ..registered }], &[]);
        assert_eq!(gate.login("loa-thon-1", b"secret", "loa-thon-1"), None);
        assert_eq!(gate.who("loa-thon-1"), None);
    }
}
