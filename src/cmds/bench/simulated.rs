//! A device without a loudspeaker: enrolled, with a key of its own and a chain of records.
//!
//! Orders are judged by the very gate of a real device and answered with the records that one
//! signs; nothing is kept on disk and nothing sounds.

use crate::app::registry::Register;
use crate::device::accept::{Accepted, Gate};
use crate::device::orders::Order;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::record::{Attestor, Body, ClockNote, ClockSource, Head, Record, Subject};
use crate::domain::time::UtcMs;
use crate::mqtt::{MqttConfig, Password};
use crate::wire::enrol::{Answer, Code, Request, Welcome};
use crate::wire::epoch::KeySet;
use crate::wire::jws::{Kid, PublicKey, SecretKey};
use crate::wire::record;
use crate::wire::topic::Topic;
use std::sync::Arc;

/// An enrolled device: its key and what the server told it.
#[derive(Debug)]
pub struct Simulated {
    key: SecretKey,
    chain: ChainId,
    welcome: Welcome,
    pin: Kid,
    keys: KeySet,
}

impl Simulated {
    /// Enrols by a code of its own. Past HTTP, whose door admits a few a minute from one address.
    pub async fn enrol(register: &Register, id: &DeviceId) -> anyhow::Result<Self> {
        let code: Code = register.issue(id, None).await?.code.parse()?;
        let mut seed = [0; 32];
        let mut nonce = [0; 16];
        getrandom::fill(&mut seed)?;
        getrandom::fill(&mut nonce)?;
        let key = SecretKey::from_seed(&seed);
        let request = Request::sign(&key, &code.secret, &nonce, "bench");
        let answer = register.enrol(&request).await?;
        let enrolled = Answer::open(&answer, &code, &request)?;
        let (welcome, pin, keys) = (enrolled.welcome, code.root, enrolled.keys);
        Ok(Self { key, chain: ChainId(nonce), welcome, pin, keys })
    }

    /// Returns its id.
    pub fn id(&self) -> &DeviceId {
        &self.welcome.id
    }

    /// Returns what the server told it at its enrolment.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Returns its chain of records.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// Returns what its signatures are checked with.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// Returns how it reaches the broker.
    pub fn line(&self) -> anyhow::Result<MqttConfig> {
        let welcome = &self.welcome;
        let password = Password::new(&welcome.password);
        Ok(MqttConfig::device(welcome.broker.parse()?, welcome.id.as_str(), password))
    }

    /// Signs records of one chain, the first ones of it, as they would come in a day.
    pub fn chain_of(&self, chain: ChainId, records: u64) -> anyhow::Result<Vec<String>> {
        let mut scribe = Scribe { chain, seq: 0, prev: None };
        let mut signed = Vec::new();
        for seq in 1..=records {
            let body = if seq == 1 {
                Body::Boot { fw: "bench".into(), reason: "start".into(), unclean: false }
            } else {
                Body::Beat { head: scribe.prev, pending: seq, stored: seq }
            };
            let at = UtcMs(1_795_000_000_000).plus(i64::try_from(seq)? * 1_000);
            signed.push(scribe.sign(self, at, body)?);
        }
        Ok(signed)
    }
}

/// Where a chain of records stands.
struct Scribe {
    chain: ChainId,
    seq: u64,
    prev: Option<Digest>,
}

impl Scribe {
    /// Signs the next record.
    fn sign(&mut self, device: &Simulated, at: UtcMs, body: Body) -> anyhow::Result<String> {
        let clock = ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(20) };
        let head = Head {
            v: 1,
            dev: device.welcome.id.clone(),
            chain: self.chain,
            boot: 1,
            seq: self.seq + 1,
            prev: self.prev,
            at_ms: at,
            mono_ms: 1_000,
            clock,
            seen: None,
            attestor: Attestor::Device,
        };
        let text = record::sign(&device.key, &Record { head, body })?;
        (self.seq, self.prev) = (self.seq + 1, Some(record::digest(&text)));
        Ok(text)
    }
}

/// What a device does with orders: judges them, signs what it answers, and keeps that until it
/// has a receipt for it.
pub struct Answering {
    device: Arc<Simulated>,
    gate: Gate,
    scribe: Scribe,
    /// Records without a receipt, oldest first.
    waiting: Vec<String>,
}

impl Answering {
    /// Returns a device whose chain begins with a boot and a beat, which are still to be sent.
    pub fn new(device: Arc<Simulated>) -> anyhow::Result<Self> {
        let waiting = device.chain_of(device.chain, 2)?;
        let prev = waiting.last().map(|last| record::digest(last));
        let scribe = Scribe { chain: device.chain, seq: waiting.len() as u64, prev };
        let Welcome { id, units, .. } = &device.welcome;
        let gate = Gate::new(id.clone(), device.pin, device.keys.clone(), units.clone());
        Ok(Self { device, gate, scribe, waiting })
    }

    /// Judges a document of its units. Returns the records to send when it is an order that was
    /// not known yet: that it came and that it sounds, or that all is silent.
    pub fn answer(
        &mut self,
        topic: &Topic,
        document: &[u8],
        now: UtcMs,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let did = |jti: &str, what: &str, result: &str| Body::Did {
            jti: jti.to_owned(),
            what: what.to_owned(),
            result: result.to_owned(),
        };
        let bodies = match self.gate.judge(topic, document, Some(now), None) {
            Accepted::Order(Order::Urgent(notice)) => {
                let subject = Subject::Notice { jti: notice.jti.clone() };
                let start = Body::Start { subject, n: 1, started_ms: now };
                vec![did(&notice.jti, "urgent", "received"), start]
            }
            Accepted::Order(Order::Hold(hold)) => vec![did(&hold.jti, "hold", "done")],
            Accepted::Refused(refusal) => return Err(refusal.into()),
            _ => return Ok(None),
        };
        let first = self.waiting.len();
        for body in bodies {
            let text = self.scribe.sign(&self.device, now, body)?;
            self.waiting.push(text);
        }
        let (batch, _) = record::batch(self.waiting[first..].iter().map(String::as_str));
        Ok(Some(batch))
    }

    /// Returns everything that has no receipt yet, as one message.
    pub fn unreceipted(&self) -> Vec<u8> {
        record::batch(self.waiting.iter().map(String::as_str)).0
    }

    /// Takes a receipt: all records up to this number are durable. Says whether that is all.
    pub fn receipted(&mut self, upto: u64) -> bool {
        let kept = usize::try_from(self.scribe.seq.saturating_sub(upto)).unwrap_or(usize::MAX);
        let gone = self.waiting.len().saturating_sub(kept);
        self.waiting.drain(..gone);
        self.waiting.is_empty()
    }
}
