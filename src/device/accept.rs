//! What the device accepts: documents from the broker, judged by signature, role, version, time.
//!
//! The broker is not trusted. What is accepted is returned with what must be persisted before it
//! takes effect; everything else is refused with a word, or parked until its key is known.
//!
//! # Invariants
//! * An empty body changes nothing.
//! * Versions only rise, over restarts too: the accepted document itself is kept, and its version
//!   is read from it again.

use crate::domain::ids::DeviceId;
use crate::domain::time::UtcMs;
use crate::wire::Refusal;
use crate::wire::doc::{self, Command, Floor, Presence, Receipt, TimeAnswer, Timetable};
use crate::wire::epoch::{Advance, KeySet};
use crate::wire::judge::{self, Stamp, Verdict};
use crate::wire::jws::Kid;
use crate::wire::topic::Topic;

/// What came in, judged.
#[derive(Debug)]
pub enum Accepted {
    /// A longer chain of key epochs: it is in force; persist the body, judge parked documents.
    Keys,
    /// Persist the bytes, then follow.
    Timetable(Box<Timetable>),
    /// Persist the bytes, then follow.
    Floor(Box<Floor>),
    /// Obey, unless it was obeyed before.
    Command(Box<Command>),
    /// An answer to the nonce.
    Time(TimeAnswer),
    /// Records are durable.
    Receipt(Box<Receipt>),
    /// The server says how it is.
    Presence(Box<Presence>),
    /// Nothing to do and nothing to report.
    Nothing,
    /// Keep what is in force; count it.
    Refused(Refusal),
    /// Keep the bytes until the next key epoch.
    Parked,
}

/// The register of the device: keys and the newest accepted documents.
#[derive(Debug)]
pub struct Gate {
    device: DeviceId,
    pin: Kid,
    keys: KeySet,
    timetable: Option<Stamp>,
    floor: Option<Stamp>,
}

impl Gate {
    /// Returns the gate as it was left.
    pub fn new(device: DeviceId, pin: Kid, keys: KeySet) -> Self {
        Self { device, pin, keys, timetable: None, floor: None }
    }

    /// Returns the keys in force.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Returns the versions in force: timetable and floor, 0 when there is none.
    pub fn versions(&self) -> (i64, i64) {
        let ver = |stamp: Option<Stamp>| stamp.map_or(0, |s| s.ver);
        (ver(self.timetable), ver(self.floor))
    }

    /// Reads a timetable that was accepted before.
    pub fn restore_timetable(&mut self, bytes: &[u8]) -> Result<Timetable, Refusal> {
        let opened = doc::open::<Timetable>(bytes, &self.keys)?;
        judge::addressed(&opened.claims, &self.device)?;
        self.timetable = Some(Stamp::of(&opened));
        Ok(opened.claims)
    }

    /// Reads a floor that was accepted before.
    pub fn restore_floor(&mut self, bytes: &[u8]) -> Result<Floor, Refusal> {
        let opened = doc::open::<Floor>(bytes, &self.keys)?;
        judge::addressed(&opened.claims, &self.device)?;
        self.floor = Some(Stamp::of(&opened));
        Ok(opened.claims)
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
            Err(refusal) if refusal.may_be_parked() => Accepted::Parked,
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
                    self.keys = *keys;
                    Ok(Accepted::Keys)
                }
            },
            Topic::Timetable(device) if *device == self.device => {
                let opened = doc::open::<Timetable>(bytes, &self.keys)?;
                match judge::judge(&opened, &self.device, self.timetable.as_ref(), now) {
                    Verdict::Accept => {
                        self.timetable = Some(Stamp::of(&opened));
                        Ok(Accepted::Timetable(Box::new(opened.claims)))
                    }
                    Verdict::Same => Ok(Accepted::Nothing),
                    Verdict::Refuse(refusal) => Err(refusal),
                }
            }
            Topic::Floor(device) if *device == self.device => {
                let opened = doc::open::<Floor>(bytes, &self.keys)?;
                match judge::judge(&opened, &self.device, self.floor.as_ref(), now) {
                    Verdict::Accept => {
                        self.floor = Some(Stamp::of(&opened));
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
            Topic::Server => {
                let opened = doc::open::<Presence>(bytes, &self.keys)?;
                Ok(Accepted::Presence(Box::new(opened.claims)))
            }
            _ => Ok(Accepted::Nothing),
        }
    }
}
