//! What was accepted for the units of the device: notices, drills, withdrawals, holds.
//!
//! Kept as signed and judged anew at each start, so that what a key signed falls with the key.
//!
//! # Invariants
//! * A `jti` stands for one text; a withdrawn one is not taken again.
//! * At most [`limits::NOTICES`] notices and as many withdrawals; what is over goes a day
//!   after, in case the clock is set back, or at once when room is needed.

use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Document, Drill, Hold, Urgent, Withdrawal};
use crate::wire::epoch::KeySet;
use crate::wire::judge::{Stamp, Verdict};
use crate::wire::jws::{Kid, Opened, Typ};
use crate::wire::{Refusal, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Forgotten only so long after the end.
const REMEMBER_MS: i64 = limits::AHEAD_MS;

/// A document for units, accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// To be heard and seen.
    Urgent(Box<Urgent>),
    /// To be answered only.
    Drill(Box<Urgent>),
    /// Ends the notice of this id.
    Withdrawal(String),
    /// Silence, or its end.
    Hold(Box<Hold>),
}

/// What fell: with a revoked key, or with a unit the device left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallen {
    /// Ids of notices and drills.
    pub notices: Vec<String>,
    /// Units whose holds fell.
    pub holds: Vec<UnitId>,
}

impl Fallen {
    /// Says whether nothing fell.
    pub fn is_empty(&self) -> bool {
        self.notices.is_empty() && self.holds.is_empty()
    }
}

#[derive(Clone, Debug)]
struct Kept {
    text: String,
    kid: Kid,
    digest: Digest,
    exp: UtcMs,
    order: Order,
}

#[derive(Clone, Debug)]
struct KeptHold {
    text: String,
    kid: Kid,
    stamp: Stamp,
    hold: Hold,
}

/// As they lie on disk: signed texts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    #[serde(default)]
    notices: Vec<String>,
    #[serde(default)]
    withdrawals: Vec<(String, i64)>,
    #[serde(default)]
    holds: Vec<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Orders {
    notices: BTreeMap<String, Kept>,
    withdrawals: BTreeMap<String, Kept>,
    holds: BTreeMap<UnitId, KeptHold>,
}

impl Orders {
    /// Reads what an earlier run kept; returns what is still to be obeyed, holds first. What no
    /// key stands for any more is dropped.
    pub fn restore(&mut self, bytes: &[u8], keys: &KeySet, units: &[UnitId]) -> Vec<Order> {
        let file: File = serde_json::from_slice(bytes).unwrap_or_default();
        for text in file.holds.into_iter().take(limits::UNITS) {
            if let Ok(opened) = doc::open::<Hold>(text.as_bytes(), keys)
                && units.contains(&opened.claims.unit)
            {
                self.keep_hold(text, opened);
            }
        }
        for (text, until) in file.withdrawals.into_iter().take(limits::NOTICES) {
            if let Ok(opened) = doc::open::<Withdrawal>(text.as_bytes(), keys) {
                let id = opened.claims.withdraws.clone();
                let order = Order::Withdrawal(id.clone());
                let kept = Kept::of(text, &opened, UtcMs(until), order);
                self.withdrawals.insert(id, kept);
            }
        }
        for text in file.notices.into_iter().take(limits::NOTICES) {
            if let Ok((opened, order)) = open_notice(text.as_bytes(), keys) {
                let exp = UtcMs::from_numeric_date(opened.claims.exp);
                let kept = Kept::of(text, &opened, exp, order);
                self.notices.insert(opened.claims.jti, kept);
            }
        }
        let holds = self.holds.values().map(|kept| Order::Hold(Box::new(kept.hold.clone())));
        let rest = self.withdrawals.values().chain(self.notices.values());
        holds.chain(rest.map(|kept| kept.order.clone())).collect()
    }

    /// Returns what must be on disk before what was accepted last is obeyed.
    pub fn encode(&self) -> Vec<u8> {
        let file = File {
            notices: self.notices.values().map(|kept| kept.text.clone()).collect(),
            withdrawals: self.withdrawals.values().map(|k| (k.text.clone(), k.exp.0)).collect(),
            holds: self.holds.values().map(|kept| kept.text.clone()).collect(),
        };
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// Returns the versions of holds and releases by unit.
    pub fn holds(&self) -> BTreeMap<UnitId, i64> {
        self.holds.iter().map(|(unit, kept)| (unit.clone(), kept.stamp.ver)).collect()
    }

    /// Judges a notice, a drill or a withdrawal; `None` when there is nothing to do.
    pub fn judge_urgent(
        &mut self,
        bytes: &[u8],
        keys: &KeySet,
        units: &[UnitId],
        now: Option<UtcMs>,
    ) -> Result<Option<Order>, Refusal> {
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match open_notice(bytes, keys) {
            Ok((opened, order)) => {
                opened.claims.judge(units, now)?;
                let jti = opened.claims.jti.clone();
                if self.withdrawals.contains_key(&jti) {
                    return Ok(None);
                }
                if let Some(known) = self.notices.get(&jti) {
                    return if known.digest == opened.digest {
                        Ok(None)
                    } else {
                        Err(Refusal::Conflict { ver: opened.claims.iat })
                    };
                }
                forget(&mut self.notices, now);
                self.drop_expired(now);
                Refusal::limit("notices", self.notices.len() + 1, limits::NOTICES)?;
                let exp = UtcMs::from_numeric_date(opened.claims.exp);
                self.notices.insert(jti, Kept::of(text(), &opened, exp, order.clone()));
                Ok(Some(order))
            }
            Err(Refusal::Typ { got, .. }) if got == Typ::Withdrawal.as_str() => {
                let opened = doc::open::<Withdrawal>(bytes, keys)?;
                opened.claims.judge(now)?;
                let id = opened.claims.withdraws.clone();
                if self.withdrawals.contains_key(&id) {
                    return Ok(None);
                }
                // Its notice may live longer than it says: then so does the memory of it.
                let known = self.notices.remove(&id).map_or(UtcMs(0), |kept| kept.exp);
                let exp = UtcMs::from_numeric_date(opened.claims.exp).max(known);
                forget(&mut self.withdrawals, now);
                while self.withdrawals.len() >= limits::NOTICES {
                    let first = self.withdrawals.iter().min_by_key(|(_, kept)| kept.exp);
                    let Some(id) = first.map(|(id, _)| id.clone()) else { break };
                    self.withdrawals.remove(&id);
                }
                let order = Order::Withdrawal(id.clone());
                self.withdrawals.insert(id, Kept::of(text(), &opened, exp, order.clone()));
                Ok(Some(order))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Names the notice or drill of which the server must hear that it was refused: rightly signed
    /// and new to the device. Whatever else is refused is only counted: who owns the broker can
    /// plant it without end.
    pub fn declined(
        &self,
        bytes: &[u8],
        keys: &KeySet,
        refusal: &Refusal,
    ) -> Option<(String, bool)> {
        let own = matches!(
            refusal,
            Refusal::Expired { .. } | Refusal::Ahead { .. } | Refusal::Limit { .. }
        );
        let (opened, order) = open_notice(bytes, keys).ok().filter(|_| own)?;
        let jti = opened.claims.jti;
        let known = self.notices.contains_key(&jti) || self.withdrawals.contains_key(&jti);
        (!known).then_some((jti, matches!(order, Order::Drill(_))))
    }

    /// Judges a hold that came on the topic of a unit.
    pub fn judge_hold(
        &mut self,
        bytes: &[u8],
        keys: &KeySet,
        me: &DeviceId,
        unit: &UnitId,
        units: &[UnitId],
        now: Option<UtcMs>,
    ) -> Result<Option<Order>, Refusal> {
        let opened = doc::open::<Hold>(bytes, keys)?;
        let last = self.holds.get(unit).map(|kept| kept.stamp);
        match Hold::judge(&opened, me, unit, units, last.as_ref(), now) {
            Verdict::Accept => {
                let order = Order::Hold(Box::new(opened.claims.clone()));
                self.keep_hold(String::from_utf8_lossy(bytes).into_owned(), opened);
                Ok(Some(order))
            }
            Verdict::Same => Ok(None),
            Verdict::Refuse(refusal) => Err(refusal),
        }
    }

    /// Makes room for a notice where one is over.
    fn drop_expired(&mut self, now: Option<UtcMs>) {
        while self.notices.len() >= limits::NOTICES {
            let first = self.notices.iter().min_by_key(|(_, kept)| kept.exp);
            let over = first.filter(|(_, kept)| now.is_some_and(|now| kept.exp <= now));
            let Some(jti) = over.map(|(jti, _)| jti.clone()) else { return };
            self.notices.remove(&jti);
        }
    }

    fn keep_hold(&mut self, text: String, opened: Opened<Hold>) {
        let stamp = Stamp::of(&opened);
        let unit = opened.claims.unit.clone();
        self.holds.insert(unit, KeptHold { text, kid: opened.kid, stamp, hold: opened.claims });
    }

    /// Drops what a revoked key signed.
    pub fn rekey(&mut self, keys: &KeySet) -> Fallen {
        let gone = |kid: &Kid| keys.is_revoked(kid);
        let notices = self.notices.iter().filter(|(_, kept)| gone(&kept.kid));
        let holds = self.holds.iter().filter(|(_, kept)| gone(&kept.kid));
        let fallen = Fallen {
            notices: notices.map(|(jti, _)| jti.clone()).collect(),
            holds: holds.map(|(unit, _)| unit.clone()).collect(),
        };
        self.notices.retain(|_, kept| !gone(&kept.kid));
        self.withdrawals.retain(|_, kept| !gone(&kept.kid));
        self.holds.retain(|_, kept| !gone(&kept.kid));
        fallen
    }

    /// Drops the holds of units that the device left.
    pub fn leave(&mut self, units: &[UnitId]) -> Fallen {
        let left: Vec<UnitId> =
            self.holds.keys().filter(|unit| !units.contains(unit)).cloned().collect();
        self.holds.retain(|unit, _| units.contains(unit));
        Fallen { notices: Vec::new(), holds: left }
    }
}

impl Kept {
    fn of<T>(text: String, opened: &Opened<T>, exp: UtcMs, order: Order) -> Self {
        Self { text, kid: opened.kid, digest: opened.digest, exp, order }
    }
}

/// Opens a notice or a drill, by what its header says it is.
fn open_notice(bytes: &[u8], keys: &KeySet) -> Result<(Opened<Urgent>, Order), Refusal> {
    match doc::open::<Urgent>(bytes, keys) {
        Err(Refusal::Typ { got, .. }) if got == Drill::TYP.as_str() => {
            let Opened { claims: Drill(claims), kid, epoch, digest } =
                doc::open::<Drill>(bytes, keys)?;
            let order = Order::Drill(Box::new(claims.clone()));
            Ok((Opened { claims, kid, epoch, digest }, order))
        }
        Ok(opened) => {
            let order = Order::Urgent(Box::new(opened.claims.clone()));
            Ok((opened, order))
        }
        Err(refusal) => Err(refusal),
    }
}

fn forget(kept: &mut BTreeMap<String, Kept>, now: Option<UtcMs>) {
    if let Some(now) = now {
        kept.retain(|_, kept| now < kept.exp.plus(REMEMBER_MS));
    }
}

#[cfg(test)]
mod tests;
