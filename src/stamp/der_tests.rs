use super::super::oid::Oid;
use super::*;

fn why(bytes: &[u8]) -> String {
    Reader::new(bytes).any("part").unwrap_err().to_string()
}

#[test]
fn only_the_shortest_form_of_a_length_is_read() {
    let long = [[0x04, 0x81, 0x80].as_slice(), &[7; 128]].concat();
    let element = Reader::new(&long).take(OCTET_STRING, "part").unwrap();
    assert_eq!((element.body.len(), element.raw.len()), (128, 131));
    assert_eq!(
        why(&[0x04, 0x81, 0x01, 7]),
        "byte 0: part has a length that is not in its shortest form"
    );
    assert_eq!(
        why(&[0x04, 0x82, 0x00, 0x81]),
        "byte 0: part has a length that is not in its shortest form"
    );
    assert_eq!(why(&[0x30, 0x80, 0, 0]), "byte 0: part has no definite length");
    assert_eq!(
        why(&[0x04, 0x85, 1, 1, 1, 1, 1]),
        "byte 0: part has a length of more than four bytes"
    );
    assert_eq!(why(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]), "byte 0: part is cut off");
    assert_eq!(why(&[0x1f, 0x85, 0x01, 0]), "byte 0: part has a tag of more than one byte");
    assert_eq!(why(&[]), "byte 0: part is cut off");
}

#[test]
fn a_fault_names_its_byte() {
    let bytes = [0x30, 0x05, 0x02, 0x01, 0x05, 0x01, 0x00];
    let mut inner = Reader::new(&bytes).take(SEQUENCE, "list").unwrap().reader();
    assert_eq!(inner.take(INTEGER, "number").unwrap().small("number"), Ok(5));
    assert_eq!(inner.end("list").unwrap_err().to_string(), "byte 5: list has more than it should");
    let empty = inner.take(BOOLEAN, "answer").unwrap();
    assert_eq!(empty.boolean("answer").unwrap_err().at, 7);
    assert_eq!(inner.end("list"), Ok(()));
}

#[test]
fn numbers_are_whole_not_negative_and_in_their_shortest_form() {
    let number = |body: &[u8]| {
        let bytes = element(INTEGER, body);
        let read = Reader::new(&bytes).take(INTEGER, "n").unwrap().small("n");
        read.map_err(|error| error.why)
    };
    assert_eq!(number(&[0]), Ok(0));
    assert_eq!(number(&[0, 0x80]), Ok(128));
    assert_eq!(number(&[0x7f, 0xff]), Ok(32_767));
    assert_eq!(number(&[0x7f; 8]), Ok(0x7f7f_7f7f_7f7f_7f7f));
    assert_eq!(number(&[0, 0x7f]), Err("is a number that is not in its shortest form"));
    assert_eq!(number(&[0x80]), Err("is a negative number"));
    assert_eq!(number(&[]), Err("is empty"));
    assert_eq!(number(&[0, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err("is too large a number"));
    assert_eq!(unsigned(&[0, 0, 0x80]), [INTEGER, 2, 0, 0x80]);
    assert_eq!(unsigned(&[0, 0]), [INTEGER, 1, 0]);
}

#[test]
fn times_are_read_to_the_millisecond_and_only_in_utc() {
    let time = |tag: u8, text: &str| {
        let bytes = element(tag, text.as_bytes());
        Reader::new(&bytes).any("time").unwrap().time("time").ok().map(|at| at.0)
    };
    assert_eq!(time(GENERALIZED_TIME, "19700101000001Z"), Some(1_000));
    assert_eq!(time(GENERALIZED_TIME, "20270228235959.5Z"), Some(1_803_859_199_500));
    assert_eq!(time(GENERALIZED_TIME, "20270228235959.123456789Z"), Some(1_803_859_199_123));
    assert_eq!(time(UTC_TIME, "491231235959Z"), Some(2_524_607_999_000));
    assert_eq!(time(UTC_TIME, "700101000000Z"), Some(0));
    for wrong in [
        "20270228235959",
        "20270229000000Z",
        "20270228235959.50Z",
        "20270228235959.Z",
        "20270228235960Z",
        "202702282359Z",
        "20270228235959+0700",
        "2027022823595٣Z",
        "Z",
        "+9700101000001Z",
    ] {
        assert_eq!(time(GENERALIZED_TIME, wrong), None, "{wrong}");
    }
    assert_eq!(time(UTC_TIME, "700101000000.5Z"), None);
}

#[test]
fn object_identifiers_read_back_as_written() {
    for text in [
        "1.2.840.113549.1.9.16.1.4",
        "2.999.3",
        "0.0",
        "1.39",
        "2.16.840.1.101.3.4.2.1",
        "1.2.18446744073709551615",
    ] {
        assert_eq!(text.parse::<Oid>().unwrap().to_string(), text);
    }
    for wrong in [
        "",
        "1",
        "3.1",
        "1.40",
        "1.2.",
        "1.2.03",
        "1.2.x",
        "1.2.18446744073709551616",
        "2.18446744073709551615",
        "1.-2",
    ] {
        let error = wrong.parse::<Oid>().unwrap_err();
        assert_eq!(error.to_string(), format!("`{wrong}` is not an object identifier"));
    }
    // A part with leading zeros, and one that does not end.
    for body in [[0x2a, 0x80, 0x01].as_slice(), &[0x2a, 0x86], &[], &[0x2a; 65]] {
        assert_eq!(Oid::from_body(body), None, "{body:02x?}");
    }
}
