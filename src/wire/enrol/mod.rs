//! Enrolment: the code an operator hands over, what the device asks, what the server answers.
//!
//! The code pins the root key and, where there is TLS, a certificate. The request proves the
//! secret without showing it and the device's key by a signature; the answer is bound to the
//! request by its hash. Pure: secrets and nonces come from outside.

use super::doc::Floor;
use super::epoch::{KeySet, KeysBody};
use super::jws::{self, Keys as _, Kid, OneKey, Opened, PublicKey, Role, SecretKey, Typ};
use super::refusal::Refusal;
use super::{b64, json, limits};
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::time::UtcMs;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::{Zeroize as _, Zeroizing};

/// The 128-bit secret of a code. `Debug` does not show it; it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 16]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Secret {
    /// Takes 16 bytes from the system's randomness.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the name by which the server finds the code: 32 hexadecimal digits.
    pub fn code_id(&self) -> String {
        let full: [u8; 32] =
            Sha256::new().chain_update(b"loa-enrol-id-1\n").chain_update(self.0).finalize().into();
        let mut id = Digest(full).to_string();
        id.truncate(32);
        id
    }

    /// Returns the secret as text (22 characters of base64url), for the server's store.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(b64::encode(&self.0))
    }

    /// Reads what [`Self::text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        b64::decode_exact(text).map(Self)
    }

    fn mac(&self, kid: &Kid, nonce: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("loa-enrol-1\n{kid}\n{nonce}").as_bytes());
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What an operator hands to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Where the server listens: `https://host:port`, no path, no slash at its end.
    pub url: String,
    /// Proves that the device was given the code.
    pub secret: Secret,
    /// Thumbprint of the root key.
    pub root: Kid,
    /// SHA-256 of the DER certificate that the TLS chain must hold; `None` without TLS.
    pub ca: Option<Digest>,
    /// When the code ends, seconds.
    pub exp: i64,
}

const TEXT_FORM: &str = "loa1.";
const URL_FORM: &str = "/enrol#";

#[derive(Serialize, Deserialize)]
struct CodeBody {
    v: i64,
    url: String,
    secret: String,
    root: Kid,
    ca: Option<Digest>,
    exp: i64,
}

impl Drop for CodeBody {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl Code {
    /// Writes the text form: `loa1.` and base64url of a small JSON object.
    pub fn text(&self) -> Zeroizing<String> {
        let body = CodeBody {
            v: 1,
            url: self.url.clone(),
            secret: self.secret.text().to_string(),
            root: self.root,
            ca: self.ca,
            exp: self.exp,
        };
        let json = Zeroizing::new(serde_json::to_vec(&body).expect("a structure with text keys"));
        Zeroizing::new(format!("{TEXT_FORM}{}", b64::encode(&json)))
    }

    /// Writes the URL form for a QR code. Browsers keep what follows `#` to themselves, so the
    /// secret does not reach the server's log when somebody opens it.
    pub fn url_form(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{URL_FORM}{}", self.url, *self.text()))
    }

    /// Says whether the code has ended.
    pub fn is_expired(&self, now: UtcMs) -> bool {
        UtcMs::from_numeric_date(self.exp) <= now
    }
}

impl FromStr for Code {
    type Err = Refusal;

    /// Reads either form; white space around it is allowed.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        Refusal::limit("bytes", text.len(), limits::CODE_BYTES)?;
        let (before, code) = match text.split_once(URL_FORM) {
            Some((url, code)) => (Some(url), code),
            None => (None, text),
        };
        let body = code
            .strip_prefix(TEXT_FORM)
            .ok_or(Refusal::Code { why: "it does not begin with `loa1.`" })?;
        let body = b64::decode(body)
            .map(Zeroizing::new)
            .ok_or(Refusal::Code { why: "not canonical base64url: is a part missing?" })?;
        let body: CodeBody = json::read(&body, "bytes", limits::CODE_BYTES)?;
        if body.v != 1 {
            return Err(Refusal::Unsupported { v: body.v });
        }
        let host = ["https://", "http://"].iter().find_map(|s| body.url.strip_prefix(s));
        if !host.is_some_and(is_host) {
            return Err(Refusal::Code { why: "`url` is not http(s)://host[:port]" });
        }
        if before.is_some_and(|url| url != body.url) {
            return Err(Refusal::Code { why: "it stands behind the URL of another server" });
        }
        let secret = Secret::from_text(&body.secret)
            .ok_or(Refusal::Code { why: "`secret` is not 16 bytes of base64url" })?;
        Ok(Self { url: body.url.clone(), secret, root: body.root, ca: body.ca, exp: body.exp })
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

/// What a device asks: a JWS by its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Version of the document, 1.
    pub v: u8,
    /// Which code: [`Secret::code_id`].
    pub code: String,
    /// The device's public key; its thumbprint is the header's `kid`.
    pub key: PublicKey,
    /// 16 random bytes, base64url: a request is never the same twice.
    pub nonce: String,
    /// HMAC-SHA256 by the secret over `loa-enrol-1\nkid\nnonce`, base64url.
    pub mac: String,
    /// The device's program, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fw: String,
}

impl Request {
    /// Makes and signs a request.
    pub fn sign(key: &SecretKey, secret: &Secret, nonce: &[u8; 16], fw: &str) -> String {
        let nonce = b64::encode(nonce);
        let mac = secret.mac(&key.kid(), &nonce).finalize().into_bytes();
        let request = Self {
            v: 1,
            code: secret.code_id(),
            key: key.public(),
            mac: b64::encode(&mac),
            nonce,
            fw: fw.to_owned(),
        };
        jws::sign(key, Typ::EnrolRequest, &request)
    }

    /// Verifies the signature by the key that the request itself names. What it is worth
    /// depends on [`Self::proves`].
    pub fn open(text: &str) -> Result<Opened<Self>, Refusal> {
        #[derive(Deserialize)]
        struct Named {
            key: PublicKey,
        }
        let parts = jws::split(text, Typ::EnrolRequest)?;
        let named: Named = json::read(&parts.payload, "bytes", limits::ENROL_REQUEST_BYTES)?;
        let keys = OneKey { key: named.key, role: Role::Device };
        let opened = jws::open::<Self>(text, Typ::EnrolRequest, Role::Device, &keys)?;
        for text in [&opened.claims.code, &opened.claims.nonce, &opened.claims.fw] {
            Refusal::limit("bytes of a word", text.len(), limits::WORD_BYTES)?;
        }
        if b64::decode_exact::<16>(&opened.claims.nonce).is_none() {
            return Err(Refusal::content("`nonce` is not 16 bytes of base64url"));
        }
        Ok(opened)
    }

    /// Says whether the sender knows the secret; compares in constant time.
    pub fn proves(&self, secret: &Secret) -> bool {
        let Some(mac) = b64::decode_exact::<32>(&self.mac) else { return false };
        secret.mac(&self.key.kid(), &self.nonce).verify_slice(&mac).is_ok()
    }
}

/// What the server answers. Its `body` holds the password, and signed is not sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Version of the document, 1.
    pub v: u8,
    /// The chain of key epochs.
    pub keys: KeysBody,
    /// The first quiet floor, a compact JWS.
    pub floor: String,
    /// [`Welcome`], a compact JWS.
    pub body: String,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The signed part of the answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// When it was made, seconds.
    pub iat: i64,
    /// SHA-256 of the request's compact JWS.
    pub request: Digest,
    /// Who the device is from now on.
    pub id: DeviceId,
    /// `mqtt://host:port` or `mqtts://host:port`.
    pub broker: String,
    /// Certificate authority of the broker, PEM; null to trust the machine's own.
    pub ca: Option<String>,
    /// Prefix of all topics.
    pub prefix: String,
    /// MQTT user name.
    pub user: String,
    /// MQTT password: 128 random bits, base64url.
    pub password: String,
    /// The device's units, nearest first.
    pub units: Vec<UnitId>,
    /// `https://host:port` of `GET /a/{sha256}`; null where there is none.
    pub http: Option<String>,
}

impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Welcome")
            .field("id", &self.id)
            .field("broker", &self.broker)
            .field("units", &self.units)
            .finish_non_exhaustive()
    }
}

/// A verified answer: what a device keeps.
#[derive(Debug)]
pub struct Enrolled {
    /// The register of keys.
    pub keys: KeySet,
    /// The first floor, as received.
    pub floor_text: String,
    /// The first floor.
    pub floor: Opened<Floor>,
    /// Who the device is and where to connect.
    pub welcome: Welcome,
}

impl Answer {
    /// Signs an answer to a verified request.
    ///
    /// # Errors
    /// Refuses what every device would refuse: over the limits of the contract.
    pub fn new(
        policy: &SecretKey,
        keys: KeysBody,
        floor: String,
        welcome: &Welcome,
    ) -> Result<Self, Refusal> {
        Refusal::limit("units", welcome.units.len(), limits::UNITS)?;
        let body = jws::sign_within(policy, Typ::EnrolAnswer, welcome)?;
        Ok(Self { v: 1, keys, floor, body })
    }

    /// Writes the answer.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a structure with text keys")
    }

    /// Verifies an answer against the code and the request it must answer.
    pub fn open(bytes: &[u8], code: &Code, request: &str) -> Result<Enrolled, Refusal> {
        let answer: Self = json::read(bytes, "bytes", limits::ENROL_ANSWER_BYTES)?;
        if answer.v != 1 {
            return Err(Refusal::Unsupported { v: i64::from(answer.v) });
        }
        let keys = KeySet::verify(&answer.keys.encode(), &code.root)?;
        let welcome: Welcome =
            jws::open(&answer.body, Typ::EnrolAnswer, Role::Policy, &keys)?.claims;
        if welcome.request != Digest::of(request.as_bytes()) {
            return Err(Refusal::Nonce);
        }
        Refusal::limit("units", welcome.units.len(), limits::UNITS)?;
        let floor: Opened<Floor> = jws::open(&answer.floor, Typ::Floor, Role::Policy, &keys)?;
        floor.claims.check()?;
        super::judge::addressed(&floor.claims, &welcome.id)?;
        keys.find(&floor.kid, Role::Policy)?;
        Ok(Enrolled { keys, floor_text: answer.floor.clone(), floor, welcome })
    }
}

#[cfg(test)]
mod tests;
