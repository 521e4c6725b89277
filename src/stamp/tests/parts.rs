//! Tokens put together again from the parts of others: each part is bound to the rest.

use super::*;
use crate::stamp::der::{Element, Reader, SEQUENCE, SET, context, element};
use crate::stamp::request::token_of;

/// The parts of a token that these tests exchange.
struct Parts {
    kind: Vec<u8>,
    /// Version, hashes, statement.
    before: Vec<Vec<u8>>,
    certificates: Vec<u8>,
    /// Version, name, hash, attributes, algorithm, signature.
    signer: Vec<Vec<u8>>,
}

fn all(element: Element<'_>) -> Vec<Element<'_>> {
    let mut reader = element.reader();
    let mut found = Vec::new();
    while !reader.is_empty() {
        found.push(reader.any("").unwrap());
    }
    found
}

fn raw(elements: &[Element<'_>]) -> Vec<Vec<u8>> {
    elements.iter().map(|one| one.raw.to_vec()).collect()
}

impl Parts {
    fn of(token: &Token) -> Self {
        let outer = all(Reader::new(token.bytes()).any("").unwrap());
        let data = all(all(outer[1])[0]);
        let signer = all(all(data[4])[0]);
        Self {
            kind: outer[0].raw.to_vec(),
            before: raw(&data[..3]),
            certificates: data[3].body.to_vec(),
            signer: raw(&signer),
        }
    }

    fn token(&self) -> Token {
        let certificates = element(context(0), &self.certificates);
        let signers = element(SET, &element(SEQUENCE, &self.signer.concat()));
        let data = [self.before.concat(), certificates, signers].concat();
        let wrapped = element(context(0), &element(SEQUENCE, &data));
        Token::parse(&element(SEQUENCE, &[self.kind.clone(), wrapped].concat())).unwrap()
    }

    /// Leaves out the attribute at that place of the set.
    fn without_attribute(mut self, place: usize) -> Self {
        let attributes = Reader::new(&self.signer[3]).any("").unwrap();
        let mut kept = raw(&all(attributes));
        kept.remove(place);
        self.signer[3] = element(context(0), &kept.concat());
        self
    }
}

fn token(authority: &Authority, file: &[u8]) -> Token {
    token_of(&authority.answer(&Request::of(file, NONCE).bytes(), "tsa", None)).unwrap()
}

#[test]
fn put_together_again_as_it_was_a_token_is_believed() {
    let authority = Authority::usual();
    let token = token(&authority, NOTE);
    assert_eq!(Parts::of(&token).token(), token);
    token.verify(NOTE, &trust(&authority)).unwrap();
}

#[test]
fn the_statement_of_another_token_is_refused() {
    let authority = Authority::usual();
    let other = b"another note";
    let mut parts = Parts::of(&token(&authority, NOTE));
    parts.before = Parts::of(&token(&authority, other)).before;
    let error = parts.token().verify(other, &trust(&authority)).unwrap_err();
    assert_eq!(error, StampError::Signature { what: "statement's hash" });
}

#[test]
fn another_certificate_of_the_same_key_is_refused() {
    let authority = Authority::usual();
    let right = token(&authority, NOTE);
    // The same key and name once more, say with other dates.
    authority.certify_again("tsa", "ca", "stamps");
    let again = Parts::of(&token(&authority, NOTE));
    let mut parts = Parts::of(&right);
    parts.certificates.clone_from(&again.certificates);
    parts.signer[1].clone_from(&again.signer[1]);
    let error = parts.token().verify(NOTE, &trust(&authority)).unwrap_err();
    assert_eq!(error, StampError::Signature { what: "name of the signer's certificate" });
    // Without the name's change the certificate is not even found.
    let mut parts = Parts::of(&right);
    parts.certificates = again.certificates;
    assert_eq!(parts.token().verify(NOTE, &trust(&authority)), Err(StampError::NoSigner));
}

#[test]
fn a_token_without_its_certificates_needs_the_signers_among_the_trusted() {
    let authority = Authority::usual();
    let mut parts = Parts::of(&token(&authority, NOTE));
    parts.certificates.clear();
    assert_eq!(parts.token().verify(NOTE, &trust(&authority)), Err(StampError::NoSigner));
    let both = [authority.read("ca.pem"), authority.read("tsa.pem")].concat();
    let trust = Trust::from_pem(&both).unwrap();
    assert_eq!(parts.token().verify(NOTE, &trust).unwrap().authority, "tsa");
}

#[test]
fn an_attribute_that_is_missing_is_named() {
    let authority = Authority::usual();
    let token = token(&authority, NOTE);
    let missing = |place| {
        let changed = Parts::of(&token).without_attribute(place).token();
        changed.verify(NOTE, &trust(&authority)).unwrap_err().to_string()
    };
    // openssl writes them in this order; the second, the time of signing, proves nothing, but it
    // is signed.
    assert_eq!(missing(0), "the signed attributes have no single `content type`");
    assert_eq!(missing(1), "the signature of the time stamp does not fit");
    assert_eq!(missing(2), "the signed attributes have no single `message digest`");
    assert_eq!(missing(3), "the signed attributes have no single `signing certificate`");
}

#[test]
fn a_token_with_two_signers_or_none_is_refused() {
    let authority = Authority::usual();
    let token = token(&authority, NOTE);
    let Parts { kind, before, certificates, signer } = Parts::of(&token);
    let one = element(SEQUENCE, &signer.concat());
    let with = |signers: &[u8]| {
        let certificates = element(context(0), &certificates);
        let data = [before.concat(), certificates, element(SET, signers)].concat();
        let wrapped = element(context(0), &element(SEQUENCE, &data));
        Token::parse(&element(SEQUENCE, &[kind.clone(), wrapped].concat()))
    };
    assert!(with(&one).is_ok());
    assert_eq!(with(&one.repeat(2)), Err(StampError::Signers { got: 2 }));
    assert_eq!(with(&[]), Err(StampError::Signers { got: 0 }));
}

#[test]
fn more_certificates_than_any_way_needs_are_refused_before_they_are_read() {
    let authority = Authority::usual();
    let mut parts = Parts::of(&token(&authority, NOTE));
    let certificates = parts.certificates.repeat(17);
    parts.certificates = certificates;
    let Parts { kind, before, certificates, signer } = parts;
    let signers = element(SET, &element(SEQUENCE, &signer.concat()));
    let data = [before.concat(), element(context(0), &certificates), signers].concat();
    let wrapped = element(context(0), &element(SEQUENCE, &data));
    let bytes = element(SEQUENCE, &[kind, wrapped].concat());
    let error = Token::parse(&bytes).unwrap_err();
    let StampError::Der { what: "time stamp", source } = error else { panic!("{error:?}") };
    assert_eq!(source.why, "are more than 16");
}
