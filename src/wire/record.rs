//! Records on the wire: signed once, kept as text, readable as far as this version knows them.
//!
//! A rightly signed record is always worth storing: its head may be read though its body is of
//! unknown kind, and even an unreadable one keeps its bytes and hash.

use super::jws::{self, Keys, Kid, Opened, Role, SecretKey, Typ};
use super::limits;
use super::refusal::Refusal;
use crate::domain::ids::Digest;
use crate::domain::proof::record::{Body, Head, Record};

/// Signs a record; the text is the record from then on. Refuses one that no batch could carry.
pub fn sign(key: &SecretKey, record: &Record) -> Result<String, Refusal> {
    jws::sign_within(key, Typ::Record, record)
}

/// A rightly signed record with what could be read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRecord {
    /// The compact JWS as received.
    pub text: String,
    /// SHA-256 of it: what the next record names as `prev`.
    pub digest: Digest,
    /// Who signed.
    pub kid: Kid,
    /// Who says so and where in the chain, or why that cannot be read.
    pub head: Result<Head, Refusal>,
    /// What happened ([`Body::Unknown`] for unknown kinds), or why that cannot be read.
    pub body: Result<Body, Refusal>,
}

/// Verifies the signature and reads what can be read; refuses only what is not rightly signed.
pub fn verify(text: &str, keys: &dyn Keys) -> Result<SignedRecord, Refusal> {
    let verified = jws::verify(text, Typ::Record, Role::Device, keys)?;
    let (head, body) = match verified.read::<Record>() {
        Ok(record) => (sound(record.head), Ok(record.body)),
        Err(fault) => (verified.read::<Head>().and_then(sound), Err(fault)),
    };
    Ok(SignedRecord {
        text: text.to_owned(),
        digest: verified.digest,
        kid: verified.kid,
        head,
        body,
    })
}

/// Verifies a record and reads its head, whatever its kind.
pub fn open_head(text: &str, keys: &dyn Keys) -> Result<Opened<Head>, Refusal> {
    let opened = jws::open::<Head>(text, Typ::Record, Role::Device, keys)?;
    let claims = sound(opened.claims)?;
    Ok(Opened { claims, ..opened })
}

/// Verifies and reads a whole record; its body is [`Body::Unknown`] for unknown kinds.
pub fn open(text: &str, keys: &dyn Keys) -> Result<Opened<Record>, Refusal> {
    jws::open(text, Typ::Record, Role::Device, keys)
}

/// Returns the SHA-256 of a record: its name, and the `prev` of the next.
pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn sound(head: Head) -> Result<Head, Refusal> {
    if head.seq == 0 || head.boot == 0 {
        return Err(Refusal::content("`seq` and `boot` count from 1"));
    }
    if (head.seq == 1) != head.prev.is_none() {
        return Err(Refusal::content("`prev` is null exactly in the first record of a chain"));
    }
    Ok(head)
}

/// Takes a batch apart into its lines; an empty body, a foreign byte or too much refuses it.
/// One newline at the end is allowed.
pub fn lines(body: &[u8]) -> Result<Vec<&str>, Refusal> {
    if body.is_empty() {
        return Err(Refusal::Empty);
    }
    Refusal::limit("bytes", body.len(), limits::BATCH_BYTES)?;
    let text = std::str::from_utf8(body)
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or(Refusal::Jws { why: "a batch is lines of compact JWS" })?;
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    Refusal::limit("records", lines.len(), limits::BATCH_RECORDS)?;
    Ok(lines)
}

/// Puts as many records, oldest first, into one batch as fit; returns the body and how many.
/// A record beyond its own limit ends the batch before it.
pub fn batch<'a>(records: impl IntoIterator<Item = &'a str>) -> (Vec<u8>, usize) {
    let mut body = Vec::new();
    let mut taken = 0;
    for record in records {
        let more = record.len() + usize::from(taken > 0);
        if taken == limits::BATCH_RECORDS
            || record.len() > limits::RECORD_BYTES
            || body.len() + more > limits::BATCH_BYTES
        {
            break;
        }
        if taken > 0 {
            body.push(b'\n');
        }
        body.extend_from_slice(record.as_bytes());
        taken += 1;
    }
    (body, taken)
}

#[cfg(test)]
mod tests {
    use super::super::jws::{OneKey, sign_bytes};
    use super::*;
    use crate::domain::ids::{ChainId, CueId, DeviceId};
    use crate::domain::proof::record::{
        Attestor, ClockNote, ClockSource, Play, Said, Show, Subject,
    };
    use crate::domain::time::UtcMs;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn key() -> SecretKey {
        SecretKey::from_seed(&[9; 32])
    }

    fn keys() -> OneKey {
        OneKey { key: key().public(), role: Role::Device }
    }

    fn head(seq: u64) -> Head {
        Head {
            v: 1,
            dev: DeviceId::new("loa-thon-1").unwrap(),
            chain: ChainId([3; 16]),
            boot: 2,
            seq,
            prev: (seq > 1).then(|| Digest::of(b"before")),
            at_ms: UtcMs(1_800_000_000_123),
            mono_ms: 77,
            clock: ClockNote { src: ClockSource::Server, age_s: Some(5), err_ms: None },
            seen: None,
            attestor: Attestor::Device,
        }
    }

    fn bodies() -> Vec<Body> {
        let cue = || Subject::Cue { cue: CueId([1; 16]) };
        let notice = || Subject::Notice { jti: "n-1".to_owned() };
        let at = UtcMs(1_800_000_000_000);
        let play = |subject| Play {
            subject,
            n: 1,
            sheet: Some(Digest::of(b"sheet")),
            item: "p/clip".to_owned(),
            asset: Some(Digest::of(b"clip")),
            title: "Bản tin".to_owned(),
            lufs_cb: Some(-160),
            gain_cb: None,
            due_ms: at,
            due_len_ms: 1_000,
            started_ms: Some(at),
            ended_ms: None,
            played_ms: 990,
            outcome: Said::PreEmpted,
            cause: "pre-empted".to_owned(),
            by: Some("n-1".to_owned()),
            volume: 80,
            skew_ms: Some(-3),
            grade: 3,
            method: "samples".to_owned(),
            score_permille: None,
        };
        vec![
            Body::Start { subject: cue(), n: 1, started_ms: at },
            Body::Start { subject: notice(), n: 2, started_ms: at },
            Body::Play(play(cue())),
            Body::Play(play(notice())),
            Body::Show(Show {
                subject: cue(),
                n: 1,
                sheet: None,
                item: "p/text".to_owned(),
                title: "Chữ".to_owned(),
                frame: Some(Digest::of(b"pixels")),
                from_ms: at,
                to_ms: at.plus(900_000),
                times: 4,
                shown_ms: 20_000,
                outcome: Said::Played,
                cause: "end".to_owned(),
                grade: 3,
            }),
            Body::Did { jti: "c-1".into(), what: "stop".into(), result: "done".into() },
            Body::Refuse {
                topic: "loa/1/keys".into(),
                reason: "json".into(),
                n: 3,
                first: Digest::of(b"bad"),
                from_ms: at,
            },
            Body::Boot { fw: "loa 0.1".into(), reason: "start".into(), unclean: true },
            Body::Beat { head: Some(Digest::of(b"x")), pending: 1, stored: 2 },
            Body::Clock { old_ms: at, new_ms: at.plus(-5) },
            Body::Chain { why: "enrolled".into() },
            Body::Lost { from: 1, to: 9, n: 9, hash: Digest::of(b"x") },
            Body::SelfTest { method: "microphone".into(), score_permille: 990 },
        ]
    }

    #[test]
    fn every_kind_of_record_is_read_as_it_was_signed() {
        for body in bodies() {
            for seq in [1, 2] {
                let record = Record { head: head(seq), body: body.clone() };
                let text = sign(&key(), &record).unwrap();
                assert!(text.len() <= limits::RECORD_BYTES);
                let signed = verify(&text, &keys()).unwrap();
                assert_eq!(signed.head.as_ref(), Ok(&record.head));
                assert_eq!(signed.body.as_ref(), Ok(&record.body));
                assert_eq!(signed.digest, digest(&text));
                assert_eq!(open_head(&text, &keys()).unwrap().claims, record.head);
                assert_eq!(open(&text, &keys()).unwrap().claims, record);
            }
        }
    }

    fn signed(change: impl FnOnce(&mut Value)) -> SignedRecord {
        let record = Record { head: head(2), body: Body::Chain { why: "enrolled".into() } };
        let mut value = serde_json::to_value(record).unwrap();
        change(&mut value);
        let text = sign_bytes(&key(), Typ::Record.as_str(), value.to_string().as_bytes());
        verify(&text, &keys()).unwrap()
    }

    #[test]
    fn a_record_of_unknown_kind_still_says_who_and_where() {
        let record = signed(|v| v["kind"] = json!("dance"));
        assert_eq!(record.head, Ok(head(2)));
        assert_eq!(record.body, Ok(Body::Unknown));
    }

    #[test]
    fn a_rightly_signed_record_is_kept_with_its_fault() {
        let broken = signed(|v| v["why"] = json!(5));
        assert_eq!(broken.head, Ok(head(2)));
        assert_eq!(broken.body.unwrap_err().reason(), "member");
        let headless = signed(|v| v["dev"] = json!("NOT AN ID"));
        assert_eq!(headless.head.unwrap_err().reason(), "member");
        let later = signed(|v| v["v"] = json!(2));
        assert_eq!(later.head.unwrap_err().reason(), "unsupported");
        let rootless = signed(|v| v["prev"] = json!(null));
        assert_eq!(rootless.head.unwrap_err().reason(), "content");
        let zero = signed(|v| v["seq"] = json!(0));
        assert_eq!(zero.head.unwrap_err().reason(), "content");
        let text = sign_bytes(&key(), Typ::Record.as_str(), b"\xff not JSON");
        let garbage = verify(&text, &keys()).unwrap();
        assert_eq!(garbage.head.unwrap_err().reason(), "json");
        assert_eq!(garbage.digest, digest(&text));
    }

    #[test]
    fn a_batch_holds_what_fits_and_is_taken_apart_again() {
        let texts: Vec<String> = (1..=200)
            .map(|seq| Record { head: head(seq), body: bodies()[2].clone() })
            .map(|record| sign(&key(), &record).unwrap())
            .collect();
        let mut rest: &[String] = &texts;
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let (body, taken) = batch(rest.iter().map(String::as_str));
            assert!(taken > 0 && body.len() <= limits::BATCH_BYTES);
            seen.extend(lines(&body).unwrap().into_iter().map(str::to_owned));
            rest = &rest[taken..];
        }
        assert_eq!(seen, texts);
        let (body, taken) = batch(["a", "b"]);
        assert_eq!((body.as_slice(), taken), (&b"a\nb"[..], 2));
        assert_eq!(lines(b"a\nb\n").unwrap(), ["a", "b"]);
        let long = "x".repeat(limits::RECORD_BYTES + 1);
        assert_eq!(batch(["a", long.as_str(), "b"]).1, 1);
    }

    #[test]
    fn a_batch_beyond_its_limits_is_refused() {
        assert_eq!(lines(b"").unwrap_err().reason(), "empty");
        assert_eq!(lines(&vec![b'a'; limits::BATCH_BYTES + 1]).unwrap_err().reason(), "limit");
        assert_eq!(lines(&[b'\n'; limits::BATCH_RECORDS + 1]).unwrap_err().reason(), "limit");
        assert_eq!(lines("Ạ".as_bytes()).unwrap_err().reason(), "jws");
    }

    proptest! {
        #[test]
        fn no_batch_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for line in lines(&bytes).unwrap_or_default() {
                let _ = verify(line, &keys());
            }
        }

        #[test]
        fn no_signed_content_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let text = sign_bytes(&key(), Typ::Record.as_str(), &bytes);
            prop_assert!(verify(&text, &keys()).is_ok());
        }
    }
}
