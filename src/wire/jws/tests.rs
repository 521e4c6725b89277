use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    v: u8,
    text: String,
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn keys() -> OneKey {
    OneKey { key: key().public(), role: Role::Time }
}

fn said(text: &str) -> Said {
    Said { v: 1, text: text.to_owned() }
}

fn reason(text: &str) -> &'static str {
    match open::<Said>(text, Typ::Time, Role::Time, &keys()) {
        Ok(_) => "accepted",
        Err(refusal) => refusal.reason(),
    }
}

/// Signs with any header and payload at all.
fn forge(header: &str, payload: &[u8]) -> String {
    let signed = format!("{}.{}", b64::encode(header.as_bytes()), b64::encode(payload));
    let signature = b64::encode(&key().sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn header(extra: &str) -> String {
    format!(r#"{{"alg":"EdDSA","typ":"loa-time+jwt","kid":"{}"{extra}}}"#, key().kid())
}

#[test]
fn what_was_signed_opens_with_its_name_and_hash() {
    let text = sign(&key(), Typ::Time, &said("Thôn Đông"));
    let opened: Opened<Said> = open(&text, Typ::Time, Role::Time, &keys()).unwrap();
    assert_eq!(opened.claims, said("Thôn Đông"));
    assert_eq!(opened.kid, key().kid());
    assert_eq!(opened.digest, Digest::of(text.as_bytes()));
}

#[test]
fn a_header_that_brings_its_own_rules_is_refused() {
    let good = br#"{"v":1,"text":""}"#;
    assert_eq!(reason(&forge(&header(""), good)), "accepted");
    for member in ["crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "cty"] {
        let text = forge(&header(&format!(r#","{member}":["b64"]"#)), good);
        assert_eq!(reason(&text), "header", "{member}");
    }
    let twice = header(r#","kid":"x""#);
    assert_eq!(reason(&forge(&twice, good)), "json");
    for alg in ["none", "HS256", "ES256", "Ed25519", "EDDSA", ""] {
        assert_eq!(reason(&forge(&header("").replace("EdDSA", alg), good)), "alg", "{alg}");
    }
    for typ in ["loa-time", "LOA-time+jwt", "application/loa-time+jwt", "loa-command+jwt", "JWT"] {
        let text = forge(&header("").replace("loa-time+jwt", typ), good);
        assert_eq!(reason(&text), "typ", "{typ}");
    }
    let long = header(&format!(r#","x":"{}""#, "y".repeat(limits::HEADER_BYTES)));
    assert_eq!(reason(&forge(&long, good)), "limit");
}

#[test]
fn other_spellings_of_the_same_bytes_are_refused() {
    let text = sign(&key(), Typ::Time, &said("x"));
    for bad in [
        format!("{text}="),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}."),
        format!(".{text}"),
        text.replace('.', ".."),
        text.replace('.', ""),
        format!("{text}Ạ"),
    ] {
        assert_eq!(reason(&bad), "jws", "{bad}");
    }
    // 64 bytes leave four loose bits in the last character.
    let loose = ['B', 'R', 'h', 'x'].map(|last| format!("{}{last}", &text[..text.len() - 1]));
    for bad in loose {
        assert_eq!(reason(&bad), "jws", "{bad}");
    }
}

#[test]
fn the_key_comes_from_the_register_and_its_role_counts() {
    let other = SecretKey::from_seed(&[2; 32]);
    assert_eq!(reason(&sign(&other, Typ::Time, &said(""))), "unknown-key");
    let stolen = sign(&other, Typ::Time, &said(""));
    let (_, signature) = stolen.rsplit_once('.').unwrap();
    let own = sign(&key(), Typ::Time, &said(""));
    let (signed, _) = own.rsplit_once('.').unwrap();
    assert_eq!(reason(&format!("{signed}.{signature}")), "signature");
    let wrong = open::<Said>(&own, Typ::Time, Role::Policy, &keys()).unwrap_err();
    assert_eq!(wrong.reason(), "role");
}

#[test]
fn content_is_judged_after_the_signature() {
    for (payload, wanted) in [
        (&br#"{"v":2,"text":""}"#[..], "unsupported"),
        (br#"{"text":""}"#, "member"),
        (br#"{"v":1}"#, "member"),
        (br#"{"v":1,"text":"","text":""}"#, "json"),
        (br#"{"v":1,"text":"","more":1.5}"#, "json"),
        (br#"{"v":1,"text":"","more":{"x":[1]}}"#, "accepted"),
        (b"[]", "member"),
        (b"", "empty"),
    ] {
        let text = forge(&header(""), payload);
        assert_eq!(reason(&text), wanted, "{}", String::from_utf8_lossy(payload));
    }
}

#[test]
fn a_document_made_after_its_key_was_retired_is_refused() {
    struct Retiring(UtcMs);
    impl Keys for Retiring {
        fn find(&self, _: &Kid, _: Role) -> Result<Found, Refusal> {
            Ok(Found { key: key().public(), epoch: 1, retired: Some(self.0) })
        }
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Dated {
        v: u8,
        iat: i64,
    }
    let text = sign(&key(), Typ::Time, &Dated { v: 1, iat: 100 });
    let at = |ms| open::<Dated>(&text, Typ::Time, Role::Time, &Retiring(UtcMs(ms)));
    assert!(at(100_000).is_ok());
    assert_eq!(at(99_999).unwrap_err().reason(), "retired");
    let undated = sign(&key(), Typ::Time, &said(""));
    let opened = open::<Said>(&undated, Typ::Time, Role::Time, &Retiring(UtcMs(100_000)));
    assert_eq!(opened.unwrap_err().reason(), "retired");
}

proptest! {
    #[test]
    fn what_is_signed_opens(text in any::<String>(), seed in any::<[u8; 32]>()) {
        let key = SecretKey::from_seed(&seed);
        let keys = OneKey { key: key.public(), role: Role::Time };
        let claims = Said { v: 1, text: text.chars().take(100).collect() };
        let signed = sign(&key, Typ::Time, &claims);
        let opened = open::<Said>(&signed, Typ::Time, Role::Time, &keys).unwrap();
        prop_assert_eq!(opened.claims, claims);
    }

    #[test]
    fn a_flipped_bit_is_refused(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let mut bytes = sign(&key(), Typ::Time, &said("Nhiệt độ")).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let opened = open_bytes::<Said>(&bytes, Typ::Time, Role::Time, &keys());
        prop_assert!(opened.is_err(), "byte {} bit {}", at, bit);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for typ in Typ::ALL {
            let _ = open_bytes::<Said>(&bytes, typ, typ.role(), &keys());
        }
    }

    #[test]
    fn no_text_of_three_parts_panics(
        header in any::<Vec<u8>>(), payload in any::<Vec<u8>>(), tail in any::<[u8; 64]>()
    ) {
        let text = [&header[..], &payload, &tail].map(b64::encode).join(".");
        prop_assert!(open::<Said>(&text, Typ::Time, Role::Time, &keys()).is_err());
    }
}
