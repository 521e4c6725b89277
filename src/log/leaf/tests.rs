//! Tests of leaves.

use super::*;
use crate::domain::ids::{ChainId, DeviceId, Digest, UnitId};
use proptest::prelude::*;

const AT: UtcMs = UtcMs(1_800_000_000_123);

fn bodies() -> Vec<ServerBody> {
    let dev = || DeviceId::new("loa-thon-1").unwrap();
    let by = || "nguyen-thi-lan".to_owned();
    let unit = || UnitId::new("17329").unwrap();
    let head = || LeafHead { origin: "loa.example.vn/log/2026".into(), size: 9, root: "r".into() };
    let (chain, hash) = (ChainId([3; 16]), Digest([9; 32]));
    let reason = || "mất thiết bị".to_owned();
    vec![
        ServerBody::Shard { previous: Some(head()) },
        ServerBody::Shard { previous: None },
        ServerBody::Restored { known: Some(head()), witnessed: None, reason: reason(), by: by() },
        ServerBody::Enrol {
            dev: dev(),
            kid: "k".into(),
            key: "x".into(),
            alg: "Ed25519".into(),
            units: vec![unit()],
            by: by(),
        },
        ServerBody::Revoke {
            dev: dev(),
            kid: "k".into(),
            from: Some(LeafPlace { origin: "o".into(), index: 4 }),
            reason: reason(),
            by: by(),
        },
        ServerBody::TimetablePublished {
            dev: dev(),
            ver: 7,
            timetable: hash,
            sheets: vec![hash],
            first_cue_ms: Some(AT),
        },
        ServerBody::Withdrawn { document: hash, by_document: None, reason: reason(), by: by() },
        ServerBody::Urgent {
            notice: NoticeKind::Drill,
            jti: "n-1".into(),
            document: hash,
            units: vec![unit()],
            by: by(),
        },
        ServerBody::Approval { of: hash, what: "playlist".into(), role: "editor".into(), by: by() },
        ServerBody::Hold {
            unit: unit(),
            ver: 3,
            document: hash,
            until_ms: AT,
            reason: reason(),
            by: by(),
        },
        ServerBody::Gap { dev: dev(), chain, from: 2, to: 5 },
        ServerBody::Conflict { dev: dev(), chain, seq: 2, first: hash, second: Digest([8; 32]) },
        ServerBody::Late { dev: dev(), chain, from: 2, to: 4, record: hash, width_ms: Some(99) },
        ServerBody::Late { dev: dev(), chain, from: 2, to: 2, record: hash, width_ms: None },
        ServerBody::Correction { of: hash, with: None, text: reason(), by: by() },
        ServerBody::Correction { of: hash, with: Some(hash), text: reason(), by: by() },
        ServerBody::Manual(Manual {
            entry: "m-1".into(),
            channel: Channel::School,
            unit: unit(),
            title: "Nói chuyện dưới cờ".into(),
            file: hash,
            bytes: 12,
            on: "2027-01-05".parse().unwrap(),
            sha256: hash,
            by: by(),
        }),
        ServerBody::Report { name: "thang-3.xlsx".into(), file: hash, head: head() },
    ]
}

#[test]
fn a_leaf_is_format_time_and_the_exact_envelope() {
    let leaf = Leaf::record(AT, "aaa.bbb.ccc").unwrap();
    assert_eq!(leaf.bytes(), b"\x01\0\0\x01\xa3\x18\x5c\x50\x7baaa.bbb.ccc");
    assert_eq!(leaf.content(), b"aaa.bbb.ccc");
    let imported = Leaf::imported(AT, "aaa.bbb.ccc").unwrap();
    assert_eq!(imported.bytes()[0], 3);
    assert_eq!(imported.format(), Format::Imported);
    assert!(leaf.statement().is_none() && !leaf.begins_a_shard());
}

#[test]
fn every_statement_of_the_server_is_read_as_it_was_written() {
    for body in bodies() {
        let leaf = Leaf::server(AT, &body).unwrap();
        let read = Leaf::parse(leaf.bytes().to_vec()).unwrap();
        assert_eq!((&read, read.received_ms()), (&leaf, AT));
        let statement = read.statement().unwrap().unwrap();
        assert_eq!(statement, ServerLeaf { v: 1, body: body.clone() });
        let begins = matches!(body, ServerBody::Shard { .. } | ServerBody::Restored { .. });
        assert_eq!(leaf.begins_a_shard(), begins);
        assert_eq!(Leaf::server(AT, &body).unwrap(), leaf, "the same bytes again");
    }
}

#[test]
fn the_form_of_statements_is_fixed() {
    let texts: Vec<String> = bodies()
        .iter()
        .map(|body| String::from_utf8(Leaf::server(AT, body).unwrap().content().to_vec()).unwrap())
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_kind_of_a_later_version_is_read_as_unknown_and_never_written() {
    let bytes = [&[2][..], &[0; 8], br#"{"v":1,"kind":"dance","steps":3}"#].concat();
    let read = Leaf::parse(bytes).unwrap().statement().unwrap().unwrap();
    assert_eq!(read.body, ServerBody::Unknown);
    assert!(matches!(Leaf::server(AT, &ServerBody::Unknown), Err(ServerLeafError::Unknown)));
    let later = [&[2][..], &[0; 8], br#"{"v":2,"kind":"gap"}"#].concat();
    let error = Leaf::parse(later).unwrap().statement().unwrap().unwrap_err();
    assert!(matches!(error, ServerLeafError::Json(_) | ServerLeafError::Version { v: 2 }));
}

#[test]
fn what_should_not_be_kept_for_ever_is_not_logged() {
    let by = || "lan".to_owned();
    let hash = Digest([0; 32]);
    let withdrawn = |reason: String| ServerBody::Withdrawn {
        document: hash,
        by_document: None,
        reason,
        by: by(),
    };
    let wrong = |body: &ServerBody| Leaf::server(AT, body).unwrap_err();
    assert!(matches!(
        wrong(&withdrawn(String::new())),
        ServerLeafError::Empty { member: "reason" }
    ));
    assert!(matches!(wrong(&withdrawn("  ".into())), ServerLeafError::Empty { .. }));
    let long = wrong(&withdrawn("ạ".repeat(300)));
    assert_eq!(
        long.to_string(),
        "`reason` of a server's leaf has 900 bytes or entries, at most 800 are logged"
    );
    let dev = DeviceId::new("loa-thon-1").unwrap();
    let gap = |from, to| ServerBody::Gap { dev: dev.clone(), chain: ChainId([1; 16]), from, to };
    assert!(matches!(wrong(&gap(3, 2)), ServerLeafError::Gap { from: 3, to: 2 }));
    assert!(matches!(wrong(&gap(0, 2)), ServerLeafError::Gap { .. }));
    assert!(matches!(wrong(&gap(1, u64::MAX)), ServerLeafError::Number { member: "seq", .. }));
    let sheets = ServerBody::TimetablePublished {
        dev,
        ver: 1,
        timetable: hash,
        sheets: vec![hash; 65],
        first_cue_ms: None,
    };
    assert!(matches!(wrong(&sheets), ServerLeafError::Long { member: "sheets", .. }));
}

#[test]
fn bytes_that_are_no_leaf_are_refused() {
    let parse = |bytes: &[u8]| Leaf::parse(bytes.to_vec()).unwrap_err();
    assert_eq!(parse(b""), LeafError::Short { got: 0 });
    assert_eq!(parse(&[1; 8]), LeafError::Short { got: 8 });
    assert_eq!(parse(&[0; 10]), LeafError::Format { byte: 0 });
    assert_eq!(parse(&[4; 10]), LeafError::Format { byte: 4 });
    assert!(matches!(parse(&[1; 10]), LeafError::Time { .. }));
    assert_eq!(parse(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), LeafError::Empty);
    let long = [&[1][..], &[0; 8], &vec![b'x'; CONTENT_BYTES + 1]].concat();
    assert_eq!(parse(&long), LeafError::Long { got: CONTENT_BYTES + 1 });
    assert_eq!(Leaf::record(AT, "").unwrap_err(), LeafError::Empty);
    assert!(matches!(Leaf::record(UtcMs(-1), "x"), Err(LeafError::Time { ms: -1 })));
    assert!(Leaf::record(UtcMs::MAX, &"x".repeat(CONTENT_BYTES)).is_ok());
    assert!(Leaf::record(UtcMs::MAX.plus(1), "x").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_kept_as_they_are(bytes: Vec<u8>, format in 0_u8..4) {
        let headed = [&[format][..], &[0; 3], bytes.as_slice()].concat();
        for bytes in [bytes, headed] {
            if let Ok(leaf) = Leaf::parse(bytes.clone()) {
                prop_assert_eq!(leaf.bytes(), bytes.as_slice());
                let _ = leaf.statement();
            }
        }
    }
}
