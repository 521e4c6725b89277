//! What the device accepts: documents from the broker, judged by signature, role, version, time.
//!
//! The broker is not trusted. What is accepted is returned with what must be persisted before it
//! takes effect; everything else is refused with a word, or parked until its key is known.
//!
//! # Invariants
//! * An empty body changes nothing.
//! * Versions only rise, over restarts too: the accepted document itself is kept, and its version
//!   is read from it again.

use super::orders::{Fallen, Order, Orders};
use super::values::Values;
use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::time::UtcMs;
use crate::wire::Refusal;
use crate::wire::doc::{self, Command, Floor, Presence, Receipt, TimeAnswer, Timetable};
use crate::wire::epoch::{Advance, KeySet};
use crate::wire::judge::{self, Judged, Stamp, Verdict};
use crate::wire::jws::{Keys as _, Kid, Opened, Role};
use crate::wire::topic::Topic;

/// What came in, judged.
#[derive(Debug)]
pub enum Accepted {
    /// A longer chain of key epochs: it is in force; persist the body, drop what a revoked key
    /// signed, judge parked documents.
    Keys {
        /// The timetable is void, its sheets with it.
        timetable_void: bool,
        /// The quiet floor is void.
        floor_void: bool,
        /// Notices and holds that are void.
        orders: Fallen,
    },
    /// Persist the bytes, then follow.
    Timetable(Box<Timetable>),
    /// Persist the bytes, then follow.
    Floor(Box<Floor>),
    /// Obey, unless it was obeyed before.
    Command(Box<Command>),
    /// An answer to the nonce.
    Time(TimeAnswer),
    /// Persist [`Gate::orders`], then obey.
    Order(Order),
    /// [`Gate::values`] has a new value.
    Value,
    /// Records are durable.
    Receipt(Box<Receipt>),
    /// The server says how it is.
    Presence(Box<Presence>),
    /// Nothing to do and nothing to report.
    Nothing,
    /// Keep what is in force; count it.
    Refused(Refusal),
    /// A notice or drill that the server signed for this device, and that it does not take: count
    /// it, and answer, since people wait for a word of each device.
    Declined { jti: String, drill: bool, refusal: Refusal },
    /// Keep the bytes until the next key epoch.
    Parked,
}

/// The register of the device: keys and the newest accepted documents.
#[derive(Debug)]
pub struct Gate {
    device: DeviceId,
    pin: Kid,
    keys: KeySet,
    timetable: Option<InForce>,
    floor: Option<InForce>,
    timetable_void: bool,
    units: Vec<UnitId>,
    orders: Orders,
    values: Values,
}

/// What is remembered of a document in force.
#[derive(Clone, Copy, Debug)]
struct InForce {
    stamp: Stamp,
    kid: Kid,
}

impl InForce {
    fn of<T: Judged>(opened: &Opened<T>) -> Self {
        Self { stamp: Stamp::of(opened), kid: opened.kid }
    }
}

impl Gate {
    /// Returns the gate as it was left.
    /// `units` are those of the enrolment: what holds before the first timetable.
    pub fn new(device: DeviceId, pin: Kid, keys: KeySet, units: Vec<UnitId>) -> Self {
        Self {
            device,
            pin,
            keys,
            timetable: None,
            floor: None,
            timetable_void: false,
            units,
            orders: Orders::default(),
            values: Values::default(),
        }
    }

    /// Returns the values of feeds.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Returns the values of feeds, to say which are followed.
    pub fn values_mut(&mut self) -> &mut Values {
        &mut self.values
    }

    /// Reads the values that were accepted before.
    pub fn restore_values(&mut self, bytes: &[u8]) {
        self.values.restore(bytes, &self.keys, &self.device);
    }

    /// Returns the keys in force.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Returns the versions in force: timetable and floor, 0 when there is none.
    pub fn versions(&self) -> (i64, i64) {
        let ver = |known: Option<InForce>| known.map_or(0, |known| known.stamp.ver);
        (ver(self.timetable), ver(self.floor))
    }

    /// Returns the device's units: those of the newest timetable.
    pub fn units(&self) -> &[UnitId] {
        &self.units
    }

    /// Returns what was accepted for them.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Takes the units of a timetable; drops the holds of those it left.
    pub fn move_to(&mut self, units: &[UnitId]) -> Fallen {
        self.units = units.to_vec();
        self.orders.leave(&self.units)
    }

    /// Reads what was accepted for the units before; returns what is still to be obeyed.
    pub fn restore_orders(&mut self, bytes: &[u8]) -> Vec<Order> {
        self.orders.restore(bytes, &self.keys, &self.units)
    }

    /// Reads a timetable that was accepted before.
    pub fn restore_timetable(&mut self, bytes: &[u8]) -> Result<Timetable, Refusal> {
        let opened = doc::open::<Timetable>(bytes, &self.keys).inspect_err(|refusal| {
            self.timetable_void = matches!(refusal, Refusal::Revoked { .. });
        })?;
        judge::addressed(&opened.claims, &self.device)?;
        self.timetable = Some(InForce::of(&opened));
        self.units.clone_from(&opened.claims.units);
        Ok(opened.claims)
    }

    /// Reads a floor that was accepted before.
    pub fn restore_floor(&mut self, bytes: &[u8]) -> Result<Floor, Refusal> {
        let opened = doc::open::<Floor>(bytes, &self.keys)?;
        judge::addressed(&opened.claims, &self.device)?;
        self.floor = Some(InForce::of(&opened));
        Ok(opened.claims)
    }

    /// Says whether the kept timetable was signed by a key that is revoked: its days are void too.
    pub fn timetable_void(&self) -> bool {
        self.timetable_void
    }

    /// Takes new keys and forgets what a revoked one signed; versions begin anew, since the epoch
    /// of the next key comes before them.
    fn rekey(&mut self, keys: KeySet) -> Accepted {
        // A key that is left out without a word is as good as revoked.
        let void = |known: Option<InForce>, role| {
            known.is_some_and(|known| keys.find(&known.kid, role).is_err())
        };
        let timetable_void = void(self.timetable, Role::Schedule);
        let floor_void = void(self.floor, Role::Policy);
        self.keys = keys;
        if timetable_void {
            self.timetable = None;
        }
        if floor_void {
            self.floor = None;
        }
        let orders = self.orders.rekey(&self.keys);
        self.values.rekey(&self.keys);
        Accepted::Keys { timetable_void, floor_void, orders }
    }

    /// Judges a message. `now` is trusted time; `nonce` is the question that stands.
    pub fn judge(
        &mut self,
        topic: &Topic,
        bytes: &[u8],
        now: Option<UtcMs>,
        nonce: Option<&str>,
    ) -> Accepted {
        if bytes.is_empty() {
            return Accepted::Nothing;
        }
        match self.weigh(topic, bytes, now, nonce) {
            Ok(accepted) => accepted,
            // A chain explains itself: no later epoch makes a forged one good.
            Err(refusal) if refusal.may_be_parked() && *topic != Topic::Keys => Accepted::Parked,
            Err(refusal) => Accepted::Refused(refusal),
        }
    }

    fn weigh(
        &mut self,
        topic: &Topic,
        bytes: &[u8],
        now: Option<UtcMs>,
        nonce: Option<&str>,
    ) -> Result<Accepted, Refusal> {
        match topic {
            Topic::Keys => match self.keys.advance(bytes, &self.pin)? {
                Advance::Same => Ok(Accepted::Nothing),
                Advance::Newer(keys) => {
                    keys.timely(now)?;
                    Ok(self.rekey(*keys))
                }
            },
            Topic::Timetable(device) if *device == self.device => {
                let opened = doc::open::<Timetable>(bytes, &self.keys)?;
                let last = self.timetable.map(|known| known.stamp);
                match judge::judge(&opened, &self.device, last.as_ref(), now) {
                    Verdict::Accept => {
                        self.timetable = Some(InForce::of(&opened));
                        Ok(Accepted::Timetable(Box::new(opened.claims)))
                    }
                    Verdict::Same => Ok(Accepted::Nothing),
                    Verdict::Refuse(refusal) => Err(refusal),
                }
            }
            Topic::Floor(device) if *device == self.device => {
                let opened = doc::open::<Floor>(bytes, &self.keys)?;
                let last = self.floor.map(|known| known.stamp);
                match judge::judge(&opened, &self.device, last.as_ref(), now) {
                    Verdict::Accept => {
                        self.floor = Some(InForce::of(&opened));
                        Ok(Accepted::Floor(Box::new(opened.claims)))
                    }
                    Verdict::Same => Ok(Accepted::Nothing),
                    Verdict::Refuse(refusal) => Err(refusal),
                }
            }
            Topic::Command(device) if *device == self.device => {
                let opened = doc::open::<Command>(bytes, &self.keys)?;
                // Whether it was obeyed before is the executor's knowledge; a repeat is silent.
                opened.claims.judge(&self.device, now, |_| false)?;
                Ok(Accepted::Command(Box::new(opened.claims)))
            }
            Topic::Time(device) if *device == self.device => {
                let opened = doc::open::<TimeAnswer>(bytes, &self.keys)?;
                opened.claims.judge(&self.device, nonce.unwrap_or_default())?;
                Ok(Accepted::Time(opened.claims))
            }
            Topic::Receipt(device) if *device == self.device => {
                let opened = doc::open::<Receipt>(bytes, &self.keys)?;
                judge::addressed(&opened.claims, &self.device)?;
                Ok(Accepted::Receipt(Box::new(opened.claims)))
            }
            Topic::Urgent { .. } => {
                // The signed list of units decides, not the topic.
                match self.orders.judge_urgent(bytes, &self.keys, &self.units, now) {
                    Ok(order) => Ok(order.map_or(Accepted::Nothing, Accepted::Order)),
                    Err(refusal) => match self.orders.declined(bytes, &self.keys, &refusal) {
                        Some((jti, drill)) => Ok(Accepted::Declined { jti, drill, refusal }),
                        None => Err(refusal),
                    },
                }
            }
            Topic::Hold(unit) => {
                let (keys, me) = (&self.keys, &self.device);
                let order = self.orders.judge_hold(bytes, keys, me, unit, &self.units, now)?;
                Ok(order.map_or(Accepted::Nothing, Accepted::Order))
            }
            Topic::Feed(feed) => {
                let is_new = self.values.judge(bytes, feed, &self.keys, &self.device, now)?;
                Ok(if is_new { Accepted::Value } else { Accepted::Nothing })
            }
            Topic::Server => {
                let opened = doc::open::<Presence>(bytes, &self.keys)?;
                Ok(Accepted::Presence(Box::new(opened.claims)))
            }
            _ => Ok(Accepted::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Digest;
    use crate::wire::epoch::{self, Epoch, KeysBody};
    use crate::wire::jws::{self, SecretKey, Typ};
    use crate::wire::server_keys::ServerKeys;

    const NOW: UtcMs = UtcMs(1_800_000_000_000);

    fn server(n: u8) -> ServerKeys {
        ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|role| [10 * n + role; 32]))
    }

    fn root() -> SecretKey {
        SecretKey::from_seed(&[200; 32])
    }

    fn me() -> DeviceId {
        DeviceId::new("loa-thon-1").unwrap()
    }

    fn first() -> String {
        epoch::first(&root(), &server(1), NOW.numeric_date() - 10)
    }

    /// A second epoch that revokes the first schedule and policy keys.
    fn second(iat: i64) -> Vec<u8> {
        let epoch = Epoch {
            v: 1,
            epoch: 2,
            prev: Some(Digest::of(first().as_bytes())),
            iat,
            root: root().public(),
            roles: server(2).public(),
            retired: Vec::new(),
            revoked: vec![server(1).schedule.kid(), server(1).policy.kid()],
            log: None,
        };
        KeysBody::new(vec![first(), jws::sign(&root(), Typ::Keys, &epoch)]).encode()
    }

    fn gate() -> Gate {
        let body = KeysBody::new(vec![first()]).encode();
        Gate::new(me(), root().kid(), KeySet::verify(&body, &root().kid()).unwrap(), Vec::new())
    }

    fn timetable(keys: &ServerKeys, ver: i64) -> Vec<u8> {
        let claims = Timetable {
            v: 1,
            iss: "x".to_owned(),
            aud: me(),
            iat: NOW.numeric_date(),
            exp: NOW.numeric_date() + 86_400,
            ver,
            units: Vec::new(),
            volume_cap: 100,
            trim_ms: 0,
            fetch_spread_s: 0,
            days: Vec::new(),
            standby: std::collections::BTreeMap::new(),
            idle: None,
            local: Vec::new(),
        };
        doc::sign(&keys.schedule, &claims).unwrap().into_bytes()
    }

    fn floor(keys: &ServerKeys, ver: i64) -> Vec<u8> {
        let claims = Floor::first(me(), ver, NOW.numeric_date(), 420);
        doc::sign(&keys.policy, &claims).unwrap().into_bytes()
    }

    fn take(gate: &mut Gate, topic: &Topic, bytes: &[u8]) -> Accepted {
        gate.judge(topic, bytes, Some(NOW), None)
    }

    #[test]
    fn what_a_revoked_key_signed_is_void_at_once_and_after_a_restart() {
        let mut gate = gate();
        let table = Topic::Timetable(me());
        let old = timetable(&server(1), NOW.0 + 5);
        assert!(matches!(take(&mut gate, &table, &old), Accepted::Timetable(_)));
        let old_floor = floor(&server(1), 7);
        assert!(matches!(take(&mut gate, &Topic::Floor(me()), &old_floor), Accepted::Floor(_)));
        let keys = take(&mut gate, &Topic::Keys, &second(NOW.numeric_date()));
        assert!(matches!(keys, Accepted::Keys { timetable_void: true, floor_void: true, .. }));
        assert_eq!(gate.versions(), (0, 0));
        let again = take(&mut gate, &table, &old);
        assert!(matches!(again, Accepted::Refused(Refusal::Revoked { .. })), "{again:?}");
        // A new key counts anew, although its version is lower.
        let new = timetable(&server(2), NOW.0);
        assert!(matches!(take(&mut gate, &table, &new), Accepted::Timetable(_)));

        let keys = KeySet::verify(&second(NOW.numeric_date()), &root().kid()).unwrap();
        let mut restarted = Gate::new(me(), root().kid(), keys, Vec::new());
        assert!(!restarted.timetable_void());
        assert!(restarted.restore_timetable(&old).is_err());
        assert!(restarted.timetable_void());
    }

    #[test]
    fn keys_made_more_than_a_day_ahead_are_refused() {
        let mut gate = gate();
        let ahead = take(&mut gate, &Topic::Keys, &second(NOW.numeric_date() + 86_401));
        assert!(matches!(ahead, Accepted::Refused(Refusal::Ahead { .. })), "{ahead:?}");
        assert_eq!(gate.keys().epoch(), 1);
    }

    #[test]
    fn a_document_by_an_unknown_key_waits_and_an_empty_one_is_nothing() {
        let mut gate = gate();
        let table = Topic::Timetable(me());
        assert!(matches!(take(&mut gate, &table, &timetable(&server(2), 1)), Accepted::Parked));
        assert!(matches!(take(&mut gate, &table, b""), Accepted::Nothing));
        assert!(matches!(take(&mut gate, &table, b"x"), Accepted::Refused(Refusal::Jws { .. })));
    }
}
