//! What must not be believed, each with its name.

use super::*;

#[test]
fn a_stamp_of_another_file_is_refused() {
    let authority = Authority::usual();
    let request = Request::of(NOTE, NONCE);
    let answer = authority.answer(&request.bytes(), "tsa", None);
    let other = [NOTE, b"\n"].concat();
    let error = request.accept(&answer, &other, &trust(&authority)).unwrap_err();
    assert_eq!(error, StampError::File);
    authority.write("other", &other);
    assert!(!authority.believed_by_openssl(&answer, &authority.path("other")));
}

#[test]
fn a_stamp_of_another_authority_is_refused_even_of_one_with_the_same_name() {
    let authority = Authority::usual();
    let other = Authority::usual();
    let request = Request::of(NOTE, NONCE);
    let answer = other.answer(&request.bytes(), "tsa", None);
    let error = request.accept(&answer, NOTE, &trust(&authority)).unwrap_err();
    assert_eq!(error, StampError::Signature { what: "signature of a certificate" });
    other.root("elsewhere");
    let foreign = Trust::from_pem(&other.read("elsewhere.pem")).unwrap();
    let error = request.accept(&answer, NOTE, &foreign).unwrap_err();
    assert_eq!(error, StampError::Untrusted { subject: "tsa".into() });
}

#[test]
fn a_stamp_of_an_expired_certificate_is_refused() {
    let authority = Authority::new();
    authority.expired("tsa");
    let error = judged(&authority, "tsa", None).unwrap_err();
    let StampError::Expired { subject, until, .. } = &error else { panic!("{error:?}") };
    assert_eq!((subject.as_str(), until.0), ("tsa", 1_580_428_800_000));
    assert!(
        error.to_string().contains("from 2020-01-01T00:00:00.000Z to 2020-01-31T00:00:00.000Z")
    );
}

#[test]
fn a_stamp_under_another_policy_is_refused() {
    let authority = Authority::usual();
    let request = Request::of(NOTE, NONCE);
    let answer = authority.answer(&request.bytes(), "tsa", None);
    let only = trust(&authority).under(vec!["1.2.3.4.5".parse().unwrap()]);
    let error = request.accept(&answer, NOTE, &only).unwrap_err();
    assert_eq!(error.to_string(), "policy `1.2.3.4.1` of the time stamp is none of those accepted");
    // An answer that ignores the policy that was asked for is none to this request.
    let asked = request.under("1.2.3.4.5".parse().unwrap());
    let error = asked.accept(&answer, NOTE, &trust(&authority)).unwrap_err();
    assert_eq!(error, StampError::Foreign { what: "policy" });
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let authority = Authority::usual();
    let answer = authority.answer(&Request::of(NOTE, [7; 16]).bytes(), "tsa", None);
    let error = Request::of(NOTE, NONCE).accept(&answer, NOTE, &trust(&authority)).unwrap_err();
    assert_eq!(error, StampError::Foreign { what: "nonce" });
}

#[test]
fn a_refusal_of_the_authority_is_told_in_its_words() {
    let authority = Authority::usual();
    let request = Request::of(NOTE, NONCE).under("1.2.3.4.9".parse().unwrap());
    let answer = authority.answer(&request.bytes(), "tsa", None);
    let error = request.accept(&answer, NOTE, &trust(&authority)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authority refused: status 2, `Requested policy is not supported.`, \
         it does not know the policy"
    );
}

#[test]
fn a_certificate_for_other_purposes_is_refused() {
    let authority = Authority::new();
    authority.certificate("tsa", "ca", "stamps", Key::P256);
    // openssl itself refuses to sign with such a one: the right key under a wrong certificate.
    for (section, why) in [
        ("stamps-among-others", "is not for time stamping, critically and alone"),
        ("may-not-sign", "may not sign"),
        ("not-an-authority", "is not for time stamping, critically and alone"),
    ] {
        authority.certificate("other", "ca", section, Key::P256);
        let other = authority.read("other.pem");
        let other = Trust::from_pem(&other).unwrap();
        let certificate = &other.certificates()[0];
        let error = certificate.check_signer().unwrap_err();
        assert_eq!(error, StampError::Unfit { subject: "other".into(), why }, "{section}");
    }
}

#[test]
fn a_way_over_one_that_may_not_certify_is_refused() {
    for (section, want) in [
        ("not-an-authority", "certificate `between` may not certify others"),
        ("may-not-certify", "certificate `between` may not certify others"),
        (
            "constrained",
            "a certificate holds the critical extension `2.5.29.30`, which is unknown here",
        ),
    ] {
        let authority = Authority::new();
        authority.certificate("between", "ca", section, Key::P256);
        authority.certificate("tsa", "between", "stamps", Key::P256);
        let error = judged(&authority, "tsa", Some("between.pem")).unwrap_err();
        assert_eq!(error.to_string(), want, "{section}");
    }
}

#[test]
fn a_way_longer_than_a_certificate_allows_is_refused() {
    let authority = Authority::new();
    authority.certificate("upper", "ca", "middle", Key::P256);
    authority.certificate("lower", "upper", "middle", Key::P256);
    authority.certificate("tsa", "lower", "stamps", Key::P256);
    authority
        .write("both.pem", &[authority.read("upper.pem"), authority.read("lower.pem")].concat());
    let error = judged(&authority, "tsa", Some("both.pem")).unwrap_err();
    assert_eq!(error.to_string(), "certificate `upper` has more authorities below it than it may");
}

#[test]
fn faults_of_the_trusted_certificates_name_their_line() {
    let authority = Authority::new();
    let pem = String::from_utf8(authority.read("ca.pem")).unwrap();
    let told = |text: &str| Trust::from_pem(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(told(""), "the trusted certificates: there is none");
    assert_eq!(
        told("x\n-----END CERTIFICATE-----\n"),
        "line 2 of the trusted certificates: an end without its beginning"
    );
    let (head, _) = pem.split_at(pem.len() - 30);
    assert_eq!(
        told(&format!("Gốc:\n{head}")),
        "line 2 of the trusted certificates: the block has no end"
    );
    assert_eq!(
        told(&format!("{head}\n{pem}")).split(": ").nth(1),
        Some("a beginning within a block")
    );
    assert_eq!(told(&pem.replace('M', "!")), "line 1 of the trusted certificates: not base64");
    assert_eq!(told(&pem.repeat(33)).split(": ").nth(1), Some("more than 32 certificates"));
    assert_eq!(
        told(&"x".repeat(300_000)),
        "the trusted certificates: the file is longer than 256 KiB"
    );
    assert!(Trust::from_pem(&[0xff, 0xfe]).is_err());
    assert_eq!(
        Trust::from_pem(pem.replace('\n', "\r\n").as_bytes()),
        Trust::from_pem(pem.as_bytes())
    );
}

#[test]
fn every_message_says_what_to_do() {
    let oid: Oid = "1.2.3".parse().unwrap();
    let der = DerError { at: 4, what: "time", why: "is cut off" };
    let all = [
        StampError::Long { got: 70_000 },
        StampError::Der { what: "answer", source: der },
        StampError::Refused { status: 2, detail: String::new() },
        StampError::Empty,
        StampError::Foreign { what: "nonce" },
        StampError::Kind { what: "content", got: "1.2".into(), want: "signed data" },
        StampError::Signers { got: 2 },
        StampError::File,
        StampError::Policy { got: oid.clone() },
        StampError::Algorithm { what: "the signer", oid: oid.clone() },
        StampError::Critical { what: "the time stamp", oid },
        StampError::Attribute { what: "content type" },
        StampError::Signature { what: "signature of the time stamp" },
        StampError::NoSigner,
        StampError::Unfit { subject: "tsa".into(), why: "may not sign" },
        StampError::Untrusted { subject: "tsa".into() },
        StampError::Pem { line: 3, why: "not base64" },
        StampError::Anchors { why: "there is none" },
    ];
    let told: Vec<String> = all.iter().map(|e| format!("{e}\n  {}", e.hint())).collect();
    insta::assert_snapshot!(told.join("\n"));
}
