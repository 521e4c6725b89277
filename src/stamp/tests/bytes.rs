//! Bytes of anybody: nothing panics, and nothing changed is believed as something else.

use super::*;
use crate::stamp::request::token_of;
use proptest::prelude::*;

#[test]
fn no_changed_byte_makes_the_stamp_say_anything_else() {
    let authority = Authority::usual();
    let request = Request::of(NOTE, NONCE);
    let answer = authority.answer(&request.bytes(), "tsa", None);
    let trust = trust(&authority);
    let (_, right) = request.accept(&answer, NOTE, &trust).unwrap();
    let mut refused = 0;
    for at in 0..answer.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = answer.clone();
            changed[at] ^= flip;
            match request.accept(&changed, NOTE, &trust) {
                Ok((_, stamp)) => assert_eq!(stamp, right, "byte {at} changed by {flip:#x}"),
                Err(_) => refused += 1,
            }
        }
    }
    // What may change unseen is not signed: the list of hashes before the statement, versions,
    // the null that may follow an algorithm. Nearly all else is.
    let tried = answer.len() * 3;
    assert!(refused * 100 > tried * 95, "{refused} of {tried} refused");
}

#[test]
fn a_cut_or_lengthened_answer_is_refused() {
    let authority = Authority::usual();
    let request = Request::of(NOTE, NONCE);
    let answer = authority.answer(&request.bytes(), "tsa", None);
    for length in 0..answer.len() {
        assert!(token_of(&answer[..length]).is_err(), "{length}");
    }
    assert!(token_of(&[&answer[..], &[0]].concat()).is_err());
    assert_eq!(token_of(&vec![0x30; 70_000]), Err(StampError::Long { got: 70_000 }));
    assert_eq!(Token::parse(&vec![0x30; 70_000]), Err(StampError::Long { got: 70_000 }));
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = token_of(&bytes);
        let _ = Token::parse(&bytes);
        let _ = certificate::Certificate::parse(&bytes);
        let _ = Trust::from_pem(&bytes);
    }

    #[test]
    fn no_shuffled_structure_makes_the_readers_panic(
        parts in prop::collection::vec(
            (prop::sample::select(vec![0x30_u8, 0x31, 0xa0, 0x02, 0x04, 0x06, 0x03, 0x17, 0x18]),
             prop::collection::vec(any::<u8>(), 0..12)), 0..12)
    ) {
        let mut bytes = Vec::new();
        for (tag, body) in parts {
            bytes = der::element(tag, &[bytes, der::element(tag, &body)].concat());
        }
        let _ = token_of(&bytes);
        let _ = Token::parse(&bytes);
        let _ = certificate::Certificate::parse(&bytes);
    }
}
