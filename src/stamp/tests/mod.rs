//! The room against `openssl ts`: what it asks is understood, what is right is believed, and what
//! is not is refused by name.

pub mod authority;
mod bytes;
mod parts;
mod refusals;

use super::*;
use authority::{Authority, Key};

const NOTE: &[u8] = b"loa.example.vn/log/2027\n42\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n\n\xe2\x80\x94 loa.example.vn/log/2027 AAAA\n";
const NONCE: [u8; 16] = [0, 0, 0x9a, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn trust(authority: &Authority) -> Trust {
    Trust::from_pem(&authority.read("ca.pem")).unwrap()
}

fn judged(authority: &Authority, signer: &str, chain: Option<&str>) -> Result<Stamp, StampError> {
    let request = Request::of(NOTE, NONCE);
    let answer = authority.answer(&request.bytes(), signer, chain);
    request.accept(&answer, NOTE, &trust(authority)).map(|(_, stamp)| stamp)
}

#[test]
fn openssl_understands_the_request() {
    let authority = Authority::new();
    let request = Request::of(NOTE, NONCE).under("1.2.3.4.5".parse().unwrap());
    authority.write("request.tsq", &request.bytes());
    let (said, good) = authority.openssl("ts -query -in request.tsq -text");
    assert!(good, "{said}");
    for line in [
        "Hash Algorithm: sha256",
        "Policy OID: 1.2.3.4.5",
        "Nonce: 0x9A030405060708090A0B0C0D0E0F",
        "Certificate required: yes",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    // The same words make the same bytes, but for the nonce, which openssl draws itself.
    authority.write("note", NOTE);
    let (_, good) = authority.openssl(
        "ts -query -data note -sha256 -no_nonce -cert -tspolicy 1.2.3.4.5 -out theirs.tsq",
    );
    assert!(good);
    let ours = request.bytes();
    let theirs = authority.read("theirs.tsq");
    let without = [&ours[2..ours.len() - 20], &ours[ours.len() - 3..]].concat();
    assert_eq!(without, theirs[2..], "all but the head and the nonce, 17 bytes with its sign");
}

#[test]
fn a_right_stamp_is_believed_by_us_and_by_openssl() {
    let authority = Authority::usual();
    let request = Request::of(NOTE, NONCE);
    let answer = authority.answer(&request.bytes(), "tsa", None);
    authority.write("note", NOTE);
    assert!(authority.believed_by_openssl(&answer, &authority.path("note")));

    let (token, stamp) = request.accept(&answer, NOTE, &trust(&authority)).unwrap();
    assert_eq!(stamp.policy.to_string(), "1.2.3.4.1");
    assert_eq!(stamp.authority, "tsa");
    assert_eq!(stamp.serial, "02", "openssl counts before it signs");
    assert_eq!(stamp.accuracy_ms, Some(1_501), "rounded up");
    let days = stamp.holds_until.since(stamp.at) / 86_400_000;
    assert!((19..=20).contains(&days), "the signer's own end comes first: {days} days");

    // What is kept is enough to judge again, without the request.
    let kept = Token::parse(token.bytes()).unwrap();
    assert_eq!(kept.verify(NOTE, &trust(&authority)), Ok(stamp));
    authority.write("kept.tst", kept.bytes());
    let (said, good) =
        authority.openssl("ts -verify -in kept.tst -token_in -data note -CAfile ca.pem");
    assert!(good && said.contains("Verification: OK"), "{said}");
}

#[test]
fn all_usual_kinds_of_keys_and_hashes_are_believed() {
    for (key, digest) in [
        (Key::Rsa, "sha256"),
        (Key::Rsa, "sha384"),
        (Key::Rsa, "sha512"),
        (Key::P256, "sha512"),
        (Key::P384, "sha384"),
        (Key::P384, "sha256"),
        (Key::P521, "sha512"),
    ] {
        let authority = Authority::with(digest, "sha512");
        authority.certificate("tsa", "ca", "stamps", key);
        judged(&authority, "tsa", None).unwrap();
    }
}

#[test]
fn an_authority_that_names_its_certificate_by_sha1_is_believed() {
    let authority = Authority::with("sha256", "sha1");
    authority.certificate("tsa", "ca", "stamps", Key::P256);
    judged(&authority, "tsa", None).unwrap();
}

#[test]
fn authorities_between_are_found_among_what_the_stamp_brings() {
    let authority = Authority::new();
    authority.certificate("between", "ca", "middle", Key::Rsa);
    authority.certificate("tsa", "between", "stamps", Key::P256);
    judged(&authority, "tsa", Some("between.pem")).unwrap();
    let alone = judged(&authority, "tsa", None).unwrap_err();
    assert_eq!(alone, StampError::Untrusted { subject: "tsa".into() });
    // Trusting the one between, or the signer itself, is enough too.
    let request = Request::of(NOTE, NONCE);
    let answer = authority.answer(&request.bytes(), "tsa", None);
    for trusted in ["between.pem", "tsa.pem"] {
        let trust = Trust::from_pem(&authority.read(trusted)).unwrap();
        request.accept(&answer, NOTE, &trust).unwrap();
    }
}

#[test]
fn a_file_with_the_whole_chain_is_trusted_as_authorities_publish_it() {
    let authority = Authority::new();
    authority.certificate("between", "ca", "middle", Key::Rsa);
    authority.certificate("tsa", "between", "stamps", Key::P256);
    authority.write("note", NOTE);
    let read = |name: &str| String::from_utf8(authority.read(name)).unwrap();
    let (root, middle) = (read("ca.pem"), read("between.pem"));
    let request = Request::of(NOTE, NONCE);
    // With the one between in the stamp or left out, the root first or last.
    for brought in [None, Some("between.pem")] {
        let answer = authority.answer(&request.bytes(), "tsa", brought);
        for chain in [format!("{root}{middle}"), format!("Issued by x\n{middle}\n{root}")] {
            let trust = Trust::from_pem(chain.as_bytes()).unwrap();
            let (token, stamp) = request.accept(&answer, NOTE, &trust).unwrap();
            assert_eq!(stamp.authority, "tsa");
            authority.write("chain.pem", chain.as_bytes());
            authority.write("kept.tst", token.bytes());
            let line = "ts -verify -in kept.tst -token_in -data note -CAfile chain.pem";
            let (said, good) = authority.openssl(line);
            assert!(good && said.contains("Verification: OK"), "{said}");
        }
    }
    // Of another branch below the same root is no way up.
    authority.certificate("other", "ca", "middle", Key::Rsa);
    let answer = authority.answer(&request.bytes(), "tsa", None);
    let chain = format!("{root}{}", read("other.pem"));
    let trust = Trust::from_pem(chain.as_bytes()).unwrap();
    let error = request.accept(&answer, NOTE, &trust).unwrap_err();
    assert_eq!(error, StampError::Untrusted { subject: "tsa".into() });
}

#[test]
fn a_stamp_under_an_accepted_policy_is_believed() {
    let authority = Authority::usual();
    let request = Request::of(NOTE, NONCE).under("1.2.3.4.5".parse().unwrap());
    let answer = authority.answer(&request.bytes(), "tsa", None);
    let only = trust(&authority).under(vec!["1.2.3.4.5".parse().unwrap()]);
    let (_, stamp) = request.accept(&answer, NOTE, &only).unwrap();
    assert_eq!(stamp.policy.to_string(), "1.2.3.4.5");
}
