//! A device without a loudspeaker: enrolled, with a key of its own and a chain of records.

use crate::app::registry::Register;
use crate::domain::ids::{ChainId, DeviceId};
use crate::domain::proof::record::{Attestor, Body, ClockNote, ClockSource, Head, Record};
use crate::domain::time::UtcMs;
use crate::mqtt::{MqttConfig, Password};
use crate::wire::enrol::{Answer, Code, Request, Welcome};
use crate::wire::jws::{PublicKey, SecretKey};
use crate::wire::record;

/// An enrolled device: its key and what the server told it.
#[derive(Debug)]
pub struct Simulated {
    key: SecretKey,
    chain: ChainId,
    welcome: Welcome,
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
        Ok(Self { key, chain: ChainId(nonce), welcome: enrolled.welcome })
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
        let mut prev = None;
        let mut signed = Vec::new();
        for seq in 1..=records {
            let body = if seq == 1 {
                Body::Boot { fw: "bench".into(), reason: "start".into(), unclean: false }
            } else {
                Body::Beat { head: prev, pending: seq, stored: seq }
            };
            let clock = ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(20) };
            let head = Head {
                v: 1,
                dev: self.welcome.id.clone(),
                chain,
                boot: 1,
                seq,
                prev,
                at_ms: UtcMs(1_795_000_000_000).plus(i64::try_from(seq)? * 1_000),
                mono_ms: 1_000,
                clock,
                seen: None,
                attestor: Attestor::Device,
            };
            let text = record::sign(&self.key, &Record { head, body })?;
            prev = Some(record::digest(&text));
            signed.push(text);
        }
        Ok(signed)
    }
}
