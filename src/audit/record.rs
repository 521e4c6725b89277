//! Records: compact JWS of devices, verified strictly and read as far as the verdict needs.
//!
//! # Invariants
//! * Algorithm and key never come from the header: it must say exactly `alg`, `typ` and `kid`, and
//!   the key is the one that was enrolled under that name.
//! * What is signed is judged as received; nothing is serialised again.
//! * A member of another type than the contract's never hides the others.

use super::hash::{Hash, sha256};
use super::signature::is_by;
use super::text::{base64, base64url, hex, to_base64url};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The name of a cue.
pub type Cue = [u8; 16];

/// Returns the RFC 7638 thumbprint of an Ed25519 key.
pub fn thumbprint(key: &[u8; 32]) -> Hash {
    let x = to_base64url(key);
    sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes())
}

/// A compact JWS taken apart, its signature not yet judged.
#[derive(Debug)]
pub struct Jws<'a> {
    pub kid: Hash,
    signed: &'a [u8],
    payload: &'a [u8],
    signature: Signature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    #[serde(borrow)]
    kid: Cow<'a, str>,
}

impl<'a> Jws<'a> {
    /// Takes a document of that type apart; `None` when it is none.
    pub fn parse(text: &'a [u8], typ: &str) -> Option<Self> {
        let mut dots = text.iter().enumerate().filter(|(_, b)| **b == b'.').map(|(at, _)| at);
        let (first, second) = (dots.next()?, dots.next()?);
        if dots.next().is_some() {
            return None;
        }
        let header = base64url(&text[..first]).filter(|header| header.len() <= 512)?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        if header.alg != "EdDSA" || header.typ != typ {
            return None;
        }
        let kid = base64url(header.kid.as_bytes())?.try_into().ok()?;
        let signature = base64url(&text[second + 1..])?;
        Some(Self {
            kid,
            signed: &text[..second],
            payload: &text[first + 1..second],
            signature: Signature::from_slice(&signature).ok()?,
        })
    }

    /// Returns the claims when the key signed them.
    pub fn verify(&self, key: &VerifyingKey) -> Option<Vec<u8>> {
        if is_by(key, self.signed, &self.signature) { self.claims() } else { None }
    }

    /// Returns the claims of a document whose signature was judged before.
    pub fn claims(&self) -> Option<Vec<u8>> {
        base64url(self.payload)
    }
}

/// What a record speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Cue(Cue),
    /// An urgent notice, by the beginning of the SHA-256 of its id.
    Notice([u8; 16]),
}

/// Returns the short name of an urgent notice.
pub fn notice(jti: &str) -> [u8; 16] {
    let mut name = [0; 16];
    name.copy_from_slice(&sha256(jti.as_bytes())[..16]);
    name
}

/// What a record says of a cue or notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub subject: Subject,
    /// What it was played from: the day sheet that it names, of a notice the asset.
    pub source: Option<Hash>,
    pub what: What,
    /// When the record itself says it was due; for a start, when it began.
    pub at_ms: i64,
    pub end_ms: i64,
    /// How long it sounded or was shown.
    pub ms: i64,
    pub said: Said,
    pub grade: u8,
}

/// Which record speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Start,
    Play,
    Show,
}

/// The device's word on a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Played,
    Partial,
    Failed,
    PreEmpted,
    Refused,
}

/// What the verdict needs of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Told(Told),
    Lost {
        from: u64,
        to: u64,
        hash: Hash,
    },
    Other,
    /// Not what the contract says of its kind: it has a place and says nothing.
    Unreadable,
}

/// A checkpoint that the device quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// A record's place and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub dev: Option<String>,
    pub chain: [u8; 16],
    pub seq: u64,
    pub prev: Option<Hash>,
    pub boot: u64,
    pub at_ms: i64,
    /// Whether the device trusted its clock, and its error as it estimates it.
    pub clock: Option<i64>,
    pub seen: Option<Seen>,
    pub body: Body,
}

/// A value of a JSON document, as far as members of records go; others are [`Value::Odd`].
#[derive(Clone, Debug, Default)]
enum Value<'a> {
    #[default]
    Absent,
    Null,
    Number(i64),
    Text(Cow<'a, str>),
    /// The first few members.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
    Odd,
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Values)
    }
}

/// Members of an inner object that are looked at.
const MEMBERS: usize = 8;

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value::Odd)
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(n).map_or(Value::Odd, Value::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Odd)
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Odd)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut members = Vec::new();
        while members.len() < MEMBERS
            && let Some(member) = map.next_entry()?
        {
            members.push(member);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(members))
    }
}

impl<'a> Value<'a> {
    fn number(&self) -> Option<i64> {
        match self {
            Self::Number(n) => Some(*n),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn member(&self, name: &str) -> Option<&Value<'a>> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, v)| v),
            _ => None,
        }
    }

    fn counted(&self) -> Option<u64> {
        self.number().and_then(|n| u64::try_from(n).ok())
    }

    fn is_there(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

macro_rules! members {
    ($($name:ident)*) => {
        #[derive(Deserialize)]
        struct Raw<'a> {
            $(#[serde(default, borrow)] $name: Value<'a>,)*
        }
    };
}

members! {
    v kind dev chain boot seq prev at_ms clock seen cue jti n sheet asset item title started_ms ended_ms due_ms due_len_ms
    played_ms outcome cause volume grade method from_ms to_ms times shown_ms from to hash
}

/// Reads the claims of a record; `None` when they do not say where it belongs.
pub fn read(claims: &[u8]) -> Option<Record> {
    let raw: Raw<'_> = serde_json::from_slice(claims).ok()?;
    let prev = match &raw.prev {
        Value::Text(text) => Some(hex(text)?),
        Value::Null | Value::Absent => None,
        _ => return None,
    };
    let seq = raw.seq.counted().filter(|seq| (1..=1 << 53).contains(seq))?;
    let seen = || {
        let root = base64(raw.seen.member("root")?.text()?)?.try_into().ok()?;
        let size = raw.seen.member("size")?.counted()?;
        Some(Seen { origin: raw.seen.member("origin")?.text()?.to_owned(), size, root })
    };
    let clock = || {
        raw.clock.member("src")?.text().filter(|src| *src != "none")?;
        raw.clock.member("err_ms")?.number().filter(|ms| *ms >= 0)
    };
    let boot = raw.boot.counted().filter(|boot| *boot > 0);
    let body = if raw.v.number() == Some(1) && boot.is_some() {
        body(&raw).unwrap_or(Body::Unreadable)
    } else {
        Body::Unreadable
    };
    Some(Record {
        dev: raw.dev.text().map(str::to_owned),
        chain: hex(raw.chain.text()?)?,
        seq,
        prev,
        boot: boot.unwrap_or(0),
        at_ms: raw.at_ms.number()?,
        clock: clock(),
        seen: seen(),
        body,
    })
}

fn body(raw: &Raw<'_>) -> Option<Body> {
    let subject = || match raw.cue.text() {
        Some(text) => hex(text).map(Subject::Cue),
        None => raw.jti.text().map(|jti| Subject::Notice(notice(jti))),
    };
    let notice = raw.cue.text().is_none();
    let source = (if notice { &raw.asset } else { &raw.sheet }).text().and_then(hex);
    Some(match raw.kind.text()? {
        "start" => {
            raw.n.counted()?;
            let at_ms = raw.started_ms.number()?;
            let subject = subject()?;
            let (what, end_ms, said) = (What::Start, at_ms, Said::Partial);
            Body::Told(Told { subject, source, what, at_ms, end_ms, ms: 0, said, grade: 0 })
        }
        "play" => {
            let there = [&raw.item, &raw.title, &raw.cause, &raw.method];
            let words = there.iter().all(|word| word.text().is_some());
            let sound = words && raw.n.counted().is_some() && raw.volume.counted().is_some();
            let times = raw.started_ms.is_there() || !raw.ended_ms.is_there();
            let at_ms = raw.due_ms.number().filter(|_| sound && times)?;
            let end_ms = at_ms.saturating_add(raw.due_len_ms.number()?.max(0));
            let (ms, grade) = (raw.played_ms.number()?.max(0), grade(raw)?);
            let said = said(raw)?;
            let subject = subject()?;
            Body::Told(Told { subject, source, what: What::Play, at_ms, end_ms, ms, said, grade })
        }
        "show" => {
            let there = [&raw.item, &raw.title, &raw.cause];
            let words = there.iter().all(|word| word.text().is_some());
            let sound = words && raw.n.counted().is_some() && raw.times.counted().is_some();
            let at_ms = raw.from_ms.number().filter(|_| sound)?;
            let end_ms = raw.to_ms.number()?;
            let ms = raw.shown_ms.number()?.clamp(0, end_ms.saturating_sub(at_ms).max(0));
            let (grade, said) = (grade(raw)?, said(raw)?);
            let subject = subject()?;
            Body::Told(Told { subject, source, what: What::Show, at_ms, end_ms, ms, said, grade })
        }
        "lost" => {
            raw.n.counted()?;
            let (from, to) = (raw.from.counted()?, raw.to.counted()?);
            Body::Lost { from, to, hash: hex(raw.hash.text()?)? }
        }
        _ => Body::Other,
    })
}

fn grade(raw: &Raw<'_>) -> Option<u8> {
    // A grade that does not exist claims nothing.
    let known = |grade: &u8| *grade <= 6;
    raw.grade.counted().map(|grade| u8::try_from(grade).ok().filter(known).unwrap_or(0))
}

fn said(raw: &Raw<'_>) -> Option<Said> {
    Some(match raw.outcome.text()? {
        "played" => Said::Played,
        "partial" => Said::Partial,
        "failed" => Said::Failed,
        "pre-empted" => Said::PreEmpted,
        "refused" => Said::Refused,
        _ => return None,
    })
}
