//! The register, in memory.

use super::{MemoryStore, State};
use crate::app::ports::{
    CodeUse, DeviceKey, Enrolled, Enrolment, EnrolmentCode, KeyEnd, Registered, Registry, Standing,
    StoreError, Token,
};
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use async_trait::async_trait;

impl State {
    pub(super) fn put_unit(&mut self, unit: &Unit) {
        self.units.insert(unit.id.clone(), unit.clone());
    }

    pub(super) fn remove_unit(&mut self, id: &UnitId) {
        if let Some(unit) = self.units.remove(id) {
            self.rolled.unit_goes(&unit);
        }
    }

    /// Says whether it stands behind another gateway than before: `settle` follows.
    pub(super) fn put_device(&mut self, device: &Device, now: UtcMs) -> bool {
        let stood = self.devices.get(&device.id).and_then(|known| known.device.behind.clone());
        let known = self.devices.entry(device.id.clone()).or_insert_with(|| Registered {
            device: device.clone(),
            registered_ms: now,
            standing: Standing::Awaiting,
        });
        known.device = device.clone();
        self.rolled.stands(device, Some(&device.unit), now);
        stood != device.behind
    }

    pub(super) fn remove_device(&mut self, id: &DeviceId, now: UtcMs) {
        self.cards.remove(id);
        self.stands.remove(id);
        if let Some(known) = self.devices.remove(id) {
            self.rolled.stands(&known.device, None, now);
        }
        let behind = self.devices.values().filter(|d| d.device.behind.as_ref() == Some(id));
        let behind: Vec<_> = behind.map(|known| known.device.id.clone()).collect();
        for device in behind {
            // Without a gateway there is nothing to say, which alone could fail.
            drop(settle(self, &device, now));
        }
    }
}

/// Returns a device's unit and those above it, so that a question about any of them finds it.
fn units_of(state: &State, device: &DeviceId) -> Vec<UnitId> {
    let mut units: Vec<UnitId> = Vec::new();
    let mut next = state.devices.get(device).map(|known| known.device.unit.clone());
    while let Some(unit) = next.filter(|_| units.len() < crate::wire::limits::UNITS) {
        next = state.units.get(&unit).and_then(|known| known.parent.clone());
        units.push(unit);
    }
    units
}

/// Gives a device the key that signs for it where it stands now, or none.
pub(super) fn settle(state: &mut State, device: &DeviceId, now: UtcMs) -> Result<(), StoreError> {
    let behind = state.devices.get(device).and_then(|known| known.device.behind.clone());
    let gateway = behind.and_then(|gateway| state.devices.get(&gateway));
    let key = gateway.and_then(|gateway| match &gateway.standing {
        Standing::Enrolled { kid, .. } => {
            state.keys.get(&(gateway.device.id.clone(), kid.clone())).cloned()
        }
        Standing::Awaiting | Standing::Revoked { .. } => None,
    });
    let spent = |key: &DeviceKey| {
        let own = state.keys.get(&(device.clone(), key.kid.clone()));
        own.is_some_and(|own| matches!(own.end, KeyEnd::Revoked { .. }))
    };
    let key = key.filter(|key| !spent(key));
    let kid = key.as_ref().map(|key| key.kid.clone());
    for own in state.keys.values_mut().filter(|own| own.device == *device) {
        if own.end == KeyEnd::Open && kid.as_ref() != Some(&own.kid) {
            own.end = KeyEnd::Replaced { at_ms: now };
        }
    }
    let Some(key) = key else {
        if let Some(known) = state.devices.get_mut(device)
            && matches!(known.standing, Standing::Enrolled { .. })
        {
            known.standing = Standing::Awaiting;
        }
        return Ok(());
    };
    let gateway = key.device.clone();
    let (device, kid) = (device.clone(), key.kid.clone());
    let new = DeviceKey {
        device: device.clone(),
        since_ms: now,
        gateway: Some(gateway.clone()),
        end: KeyEnd::Open,
        ..key
    };
    let leaf = crate::app::logbook::signed_for(&new, &gateway, &units_of(state, &device))?;
    if let Some(known) = state.devices.get_mut(&device) {
        let password = Standing::NO_PASSWORD;
        known.standing = Standing::Enrolled { since_ms: now, kid: kid.clone(), password };
    }
    let own = state.keys.entry((device, kid)).or_insert(new);
    (own.end, own.gateway) = (KeyEnd::Open, Some(gateway));
    state.say(leaf);
    Ok(())
}

/// A gateway is revoked: so is its key for whatever it signed for.
fn fall(
    state: &mut State,
    gateway: &DeviceId,
    reason: &str,
    by: &str,
    now: UtcMs,
) -> Result<(), StoreError> {
    let of = |key: &&mut DeviceKey| {
        key.gateway.as_ref() == Some(gateway) && !matches!(key.end, KeyEnd::Revoked { .. })
    };
    let mut ended = Vec::new();
    for key in state.keys.values_mut().filter(of) {
        key.end = KeyEnd::Revoked { at_ms: now };
        ended.push((key.device.clone(), key.since_ms, key.kid.clone()));
    }
    ended.sort();
    for (device, _, kid) in ended {
        let reason = format!("gateway {gateway}: {reason}");
        state.say(crate::app::logbook::revoked(&device, &kid, &reason, by, now)?);
    }
    for known in state.devices.values_mut() {
        if known.device.behind.as_ref() == Some(gateway)
            && matches!(known.standing, Standing::Enrolled { .. })
        {
            known.standing = Standing::Awaiting;
        }
    }
    Ok(())
}

#[async_trait]
impl Registry for MemoryStore {
    async fn units(&self) -> Result<Vec<Unit>, StoreError> {
        Ok(self.read().units.values().cloned().collect())
    }

    async fn put_units(&self, units: &[Unit]) -> Result<(), StoreError> {
        let mut state = self.write()?;
        for unit in units {
            state.put_unit(unit);
        }
        Ok(())
    }

    async fn remove_units(&self, ids: &[UnitId]) -> Result<(), StoreError> {
        let mut state = self.write()?;
        for id in ids {
            state.remove_unit(id);
        }
        Ok(())
    }

    async fn devices(&self) -> Result<Vec<Registered>, StoreError> {
        Ok(self.read().devices.values().cloned().collect())
    }

    async fn device(&self, id: &DeviceId) -> Result<Option<Registered>, StoreError> {
        Ok(self.read().devices.get(id).cloned())
    }

    async fn put_devices(&self, devices: &[Device], now: UtcMs) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let mut moved = Vec::new();
        for device in devices {
            if state.put_device(device, now) {
                moved.push(device.id.clone());
            }
        }
        for device in moved {
            settle(&mut state, &device, now)?;
        }
        Ok(())
    }

    async fn remove_devices(&self, ids: &[DeviceId], now: UtcMs) -> Result<(), StoreError> {
        let mut state = self.write()?;
        for id in ids {
            state.remove_device(id, now);
        }
        Ok(())
    }

    async fn revoke(
        &self,
        id: &DeviceId,
        reason: &str,
        by: &str,
        now: UtcMs,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        fall(&mut state, id, reason, by, now)?;
        let of = |key: &&DeviceKey| key.device == *id && !matches!(key.end, KeyEnd::Revoked { .. });
        let mut ended: Vec<_> =
            state.keys.values().filter(of).map(|key| (key.since_ms, key.kid.clone())).collect();
        ended.sort();
        for (_, kid) in ended {
            let leaf = crate::app::logbook::revoked(id, &kid, reason, by, now)?;
            state.say(leaf);
        }
        if let Some(known) = state.devices.get_mut(id)
            && !matches!(known.standing, Standing::Revoked { .. })
        {
            known.standing = Standing::Revoked { at_ms: now, reason: reason.to_owned() };
        }
        for key in state.keys.values_mut().filter(|key| key.device == *id) {
            if !matches!(key.end, KeyEnd::Revoked { .. }) {
                key.end = KeyEnd::Revoked { at_ms: now };
            }
        }
        Ok(())
    }

    async fn keys_of(&self, id: &DeviceId) -> Result<Vec<DeviceKey>, StoreError> {
        let mut keys: Vec<_> =
            self.read().keys.values().filter(|key| key.device == *id).cloned().collect();
        keys.sort_by(|a, b| (a.since_ms, &a.kid).cmp(&(b.since_ms, &b.kid)));
        Ok(keys)
    }

    async fn put_code(&self, code: &EnrolmentCode) -> Result<(), StoreError> {
        self.write()?.codes.entry(code.id).or_insert_with(|| code.clone());
        Ok(())
    }

    async fn code(&self, id: &Digest) -> Result<Option<EnrolmentCode>, StoreError> {
        Ok(self.read().codes.get(id).cloned())
    }

    async fn codes(&self) -> Result<Vec<EnrolmentCode>, StoreError> {
        let mut codes: Vec<_> = self.read().codes.values().cloned().collect();
        codes.sort_by(|a, b| (b.made_ms, a.id).cmp(&(a.made_ms, b.id)));
        Ok(codes)
    }

    async fn refuse_code(&self, id: &Digest, reason: &str) -> Result<(), StoreError> {
        if let Some(code) = self.write()?.codes.get_mut(id) {
            code.refused = code.refused.saturating_add(1);
            code.last_refusal = Some(reason.to_owned());
        }
        Ok(())
    }

    async fn enrol(&self, enrolment: &Enrolment) -> Result<Enrolled, StoreError> {
        let Enrolment { code, device, kid, key, password, at_ms } = enrolment;
        let mut state = self.write()?;
        let Some(found) = state.codes.get(code).filter(|found| found.device == *device) else {
            return Ok(Enrolled::UnknownCode);
        };
        if let Some(by) = &found.used {
            return Ok(Enrolled::UsedCode { by: by.clone() });
        }
        if found.expires_ms <= *at_ms {
            return Ok(Enrolled::ExpiredCode { at_ms: found.expires_ms });
        }
        let spent = state.keys.values().any(|known| {
            known.kid == *kid
                && if known.device == *device {
                    matches!(known.end, KeyEnd::Revoked { .. })
                } else {
                    known.gateway.as_ref() != Some(device)
                }
        });
        if spent {
            return Ok(Enrolled::SpentKey);
        }
        let Some(known) = state.devices.get_mut(device) else {
            return Ok(Enrolled::UnknownDevice);
        };
        known.standing =
            Standing::Enrolled { since_ms: *at_ms, kid: kid.clone(), password: *password };
        if let Some(found) = state.codes.get_mut(code) {
            found.used = Some(CodeUse { at_ms: *at_ms, kid: kid.clone() });
            found.secret.clear();
        }
        for known in state.keys.values_mut() {
            if known.device == *device && known.kid != *kid && known.end == KeyEnd::Open {
                known.end = KeyEnd::Replaced { at_ms: *at_ms };
            }
        }
        state
            .keys
            .entry((device.clone(), kid.clone()))
            .or_insert_with(|| DeviceKey {
                device: device.clone(),
                kid: kid.clone(),
                key: *key,
                since_ms: *at_ms,
                gateway: None,
                end: KeyEnd::Open,
            })
            .end = KeyEnd::Open;
        if let Some(own) = state.keys.get_mut(&(device.clone(), kid.clone())) {
            own.gateway = None;
        }
        let units = units_of(&state, device);
        state.say(crate::app::logbook::enrolled(enrolment, &units)?);
        let behind = state.devices.values().filter(|d| d.device.behind.as_ref() == Some(device));
        let behind: Vec<_> = behind.map(|known| known.device.id.clone()).collect();
        for device in behind {
            settle(&mut state, &device, *at_ms)?;
        }
        Ok(Enrolled::Done)
    }

    async fn put_token(&self, token: &Token) -> Result<(), StoreError> {
        self.write()?.tokens.entry(token.hash).or_insert_with(|| token.clone());
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens: Vec<_> = self.read().tokens.values().cloned().collect();
        tokens.sort_by_key(|token| (token.made_ms, token.hash));
        Ok(tokens)
    }

    async fn use_token(&self, hash: &Digest, now: UtcMs) -> Result<Option<Token>, StoreError> {
        let found = self.read().tokens.get(hash).cloned();
        let Some(mut found) = found else { return Ok(None) };
        if found.expires_ms.is_some_and(|at| at <= now) {
            return Ok(None);
        }
        let Some(left) = found.uses_left else { return Ok(Some(found)) };
        let Some(left) = left.checked_sub(1) else { return Ok(None) };
        found.uses_left = Some(left);
        self.write()?.tokens.insert(*hash, found.clone());
        Ok(Some(found))
    }

    async fn remove_token(&self, hash: &Digest) -> Result<bool, StoreError> {
        Ok(self.write()?.tokens.remove(hash).is_some())
    }
}
