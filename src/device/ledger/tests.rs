use super::chain::segments_of;
use super::delivery::Span;
use super::*;
use crate::domain::proof::record::ClockSource;
use crate::wire::jws::{OneKey, Role};
use proptest::prelude::*;
use tempfile::TempDir;

fn key() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

fn config() -> LedgerConfig {
    LedgerConfig {
        device: "loa-thon-1".parse().unwrap(),
        key: key(),
        most_bytes: 16 << 20,
        attestor: Attestor::Device,
    }
}

fn stamp(at: i64) -> Stamp {
    let clock = ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(5) };
    Stamp { at: UtcMs(at), mono_ms: at, clock }
}

fn beat(n: u64) -> Body {
    Body::Beat { head: None, pending: n, stored: n }
}

fn open(dir: &TempDir) -> Ledger {
    Ledger::open(dir.path(), config()).unwrap()
}

/// Every record of a chain, checked as a server would.
fn checked(ledger: &Ledger, chain: ChainId) -> Vec<Record> {
    let keys = OneKey { key: key().public(), role: Role::Device };
    let mut records: Vec<Record> = Vec::new();
    let mut from = 1;
    let mut prev = None;
    while let Some((body, last)) = ledger.batch(Span { chain, from, to: u64::MAX }).unwrap() {
        for line in wire_record::lines(&body).unwrap() {
            let opened = wire_record::open(line, &keys).unwrap();
            assert_eq!(opened.claims.head.seq, records.len() as u64 + 1, "no gap");
            assert_eq!(opened.claims.head.prev, prev, "the chain is unbroken");
            prev = Some(opened.digest);
            records.push(opened.claims);
        }
        from = last + 1;
    }
    records
}

#[test]
fn records_are_chained_over_starts_of_the_program() {
    let dir = TempDir::new().unwrap();
    for boot in 1..=3 {
        let mut ledger = open(&dir);
        assert_eq!(ledger.boot(), boot);
        assert_eq!(ledger.begun, (boot == 1).then_some("enrolment"));
        ledger.append(&[beat(boot), beat(boot)], stamp(1)).unwrap();
    }
    let ledger = open(&dir);
    let records = checked(&ledger, ledger.chain());
    let boots: Vec<u64> = records.iter().map(|r| r.head.boot).collect();
    assert_eq!(boots, [1, 1, 2, 2, 3, 3]);
}

#[test]
fn a_record_too_long_for_any_batch_is_cut_and_holds_up_nothing() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    let long = "\u{1}ế".repeat(5_000);
    let did = Body::Did { jti: long.clone(), what: long.clone(), result: long };
    ledger.append(&[beat(1), did, beat(2)], stamp(1)).unwrap();
    let records = checked(&ledger, ledger.chain());
    assert_eq!(records.len(), 3);
    let Body::Did { jti, .. } = &records[1].body else { panic!("{:?}", records[1].body) };
    assert_eq!(jti.chars().count(), WORDS);
}

#[test]
fn a_ledger_torn_at_any_byte_goes_on_without_gap() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    for n in 1..=3 {
        ledger.append(&[beat(n)], stamp(1)).unwrap();
    }
    let chain = ledger.chain();
    let path = ledger.chains[0].segments[0].path.clone();
    let whole = std::fs::read(&path).unwrap();
    let meta = std::fs::read(dir.path().join("meta.json")).unwrap();
    let ends: Vec<usize> =
        ledger.chains[0].entries().map(|entry| entry.offset + entry.len).collect();
    // Every byte of a file is torn in `frame`'s tests; here the files are really written.
    let near = |cut: usize| ends.iter().any(|end| end.abs_diff(cut) <= 3) || cut % 97 == 1;
    for cut in (1..=whole.len()).filter(|cut| near(*cut)) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        std::fs::write(dir.path().join("meta.json"), &meta).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count() as u64;
        let mut ledger = open(&dir);
        if kept == 0 {
            assert_eq!(ledger.begun, Some("storage"), "cut at {cut}");
            assert_ne!(ledger.chain(), chain);
        } else {
            assert_eq!((ledger.last(), ledger.begun), (kept, None), "cut at {cut}");
        }
        ledger.append(&[beat(9)], stamp(2)).unwrap();
        let chain = ledger.chain();
        assert_eq!(checked(&open(&dir), chain).len() as u64, kept + 1, "cut at {cut}");
        for name in segments_of(dir.path(), chain).unwrap() {
            if name != path {
                std::fs::remove_file(name).unwrap();
            }
        }
    }
}

#[test]
fn damage_in_the_middle_is_declared_and_the_rest_is_delivered() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    for n in 1..=5 {
        ledger.append(&[beat(n)], stamp(1)).unwrap();
    }
    let path = ledger.chains[0].segments[0].path.clone();
    let third = ledger.chains[0].entries().nth(2).copied().unwrap();
    let hash = wire_record::digest(&ledger.chains[0].text(3).unwrap().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[third.offset + 10] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut ledger = open(&dir);
    assert_eq!(ledger.last(), 5);
    assert_eq!(ledger.take_gaps(), [Body::Lost { from: 3, to: 3, n: 1, hash }]);
    assert_eq!(ledger.counts(), (4, 4));
}

#[test]
fn receipts_only_rise_and_a_foreign_head_is_a_conflict() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    ledger.append(&[beat(1), beat(2), beat(3)], stamp(1)).unwrap();
    let chain = ledger.chain();
    let head =
        |ledger: &Ledger, seq| wire_record::digest(&ledger.chains[0].text(seq).unwrap().unwrap());
    let second = head(&ledger, 2);
    assert_eq!(ledger.waiting(), Some(Span { chain, from: 1, to: 3 }));
    assert_eq!(ledger.receipt(chain, 2, Some(&Digest([1; 32]))).unwrap(), Receipted::Conflict);
    assert_eq!(ledger.receipt(chain, 2, Some(&second)).unwrap(), Receipted::Raised);
    assert_eq!(ledger.receipt(chain, 2, Some(&second)).unwrap(), Receipted::Known);
    assert_eq!(ledger.receipt(chain, 1, None).unwrap(), Receipted::Known);
    assert_eq!(ledger.receipt(ChainId([3; 16]), 9, None).unwrap(), Receipted::Known);
    assert_eq!(ledger.waiting(), Some(Span { chain, from: 3, to: 3 }));
    let ledger = open(&dir);
    assert_eq!(ledger.upto(), 2, "a receipt survives a restart");
    assert_eq!(ledger.counts(), (1, 3), "receipted records are kept");
}

#[test]
fn a_tail_that_only_the_server_holds_begins_a_new_chain_and_the_old_one_is_delivered() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    ledger.append(&[beat(1), beat(2)], stamp(1)).unwrap();
    let old = ledger.chain();
    assert_eq!(ledger.receipt(old, 5, None).unwrap(), Receipted::Ahead);
    assert_ne!(ledger.chain(), old);
    ledger.append(&[Body::Chain { why: "storage".to_owned() }], stamp(2)).unwrap();
    assert_eq!(ledger.waiting().map(|w| w.chain), Some(old), "older records go first");
    let mut ledger = open(&dir);
    ledger.receipt(old, 2, None).unwrap();
    assert_eq!(ledger.waiting().map(|w| w.chain), Some(ledger.chain()));
}

#[test]
fn old_receipted_records_go_and_unreceipted_ones_stay() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    let day = 86_400_000;
    let big = || Body::Chain { why: "x".repeat(4_000) };
    for n in 0..200 {
        ledger.append(&[big()], stamp(n * day)).unwrap();
    }
    assert!(ledger.chains[0].segments.len() > 2);
    ledger.prune(UtcMs(300 * day)).unwrap();
    assert_eq!(ledger.counts(), (200, 200), "nothing without a receipt is deleted");
    ledger.receipt(ledger.chain(), 150, None).unwrap();
    ledger.prune(UtcMs(120 * day)).unwrap();
    let (pending, stored) = ledger.counts();
    assert_eq!(pending, 50);
    assert!((50..200).contains(&stored), "{stored}");
    let missing = ledger.missing(Span { chain: ledger.chain(), from: 1, to: 500 });
    assert!(matches!(missing, Some(Body::Lost { from: 1, n, .. }) if n == 200 - stored));
}

#[test]
fn a_full_disk_drops_the_oldest_and_says_which() {
    let dir = TempDir::new().unwrap();
    let most_bytes = 4 * SEGMENT_BYTES as u64;
    let mut ledger = Ledger::open(dir.path(), LedgerConfig { most_bytes, ..config() }).unwrap();
    let big = Body::Chain { why: "x".repeat(4_000) };
    for n in 0..400 {
        ledger.append(std::slice::from_ref(&big), stamp(n)).unwrap();
    }
    let used: usize = ledger.chains[0].segments.iter().map(|s| s.bytes).sum();
    assert!(used as u64 <= most_bytes + 2 * SEGMENT_BYTES as u64);
    let mut declared = 0;
    for record in ledger.recent(i64::MAX).unwrap() {
        if let Body::Lost { from, to, n, .. } = record.body {
            assert_eq!(n, to - from + 1);
            declared = to;
        }
    }
    let first = ledger.chains[0].entries().next().unwrap().seq;
    assert_eq!(declared + 1, first, "exactly what is gone is declared");
}

#[test]
fn a_full_disk_costs_what_can_be_had_again_before_it_costs_records() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    let big = Body::Chain { why: "x".repeat(4_000) };
    while ledger.chains[0].segments.last().is_none_or(|s| s.bytes < SEGMENT_BYTES) {
        ledger.append(std::slice::from_ref(&big), stamp(1)).unwrap();
    }
    let before = ledger.counts().0;
    // The next file cannot grow.
    let next = dir.path().join(format!("{}-{:020}.log", ledger.chain(), ledger.last() + 1));
    std::os::unix::fs::symlink("/dev/full", &next).unwrap();
    let mut relieved = 0;
    let relief = || {
        relieved += 1;
        std::fs::remove_file(&next).unwrap();
        true
    };
    ledger.append_relieved(&[beat(1)], stamp(2), relief).unwrap();
    assert_eq!(relieved, 1);
    assert_eq!(ledger.counts().0, before + 1, "no record is dropped while something else can go");
}

#[test]
fn a_disk_that_stays_full_costs_one_file_and_that_is_declared_when_there_is_room() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    let big = Body::Chain { why: "x".repeat(4_000) };
    while ledger.chains[0].segments.len() < 2
        || ledger.chains[0].segments.last().is_none_or(|s| s.bytes < SEGMENT_BYTES)
    {
        ledger.append(std::slice::from_ref(&big), stamp(1)).unwrap();
    }
    let (last, chain) = (ledger.last(), ledger.chain());
    let next = dir.path().join(format!("{chain}-{:020}.log", last + 1));
    std::os::unix::fs::symlink("/dev/full", &next).unwrap();
    let refused = ledger.append(&[beat(1)], stamp(2)).unwrap_err();
    assert!(refused.hint().contains("free space"), "{refused}");
    assert_eq!(ledger.last(), last, "a record that was refused takes no number");
    std::fs::remove_file(&next).unwrap();
    ledger.append(&[beat(2)], stamp(3)).unwrap();
    let lost: Vec<_> = ledger
        .recent(i64::MAX)
        .unwrap()
        .into_iter()
        .filter_map(|record| match record.body {
            Body::Lost { from, to, n, .. } => Some((from, to, n)),
            _ => None,
        })
        .collect();
    let first = ledger.chains[0].entries().next().unwrap().seq;
    assert_eq!(lost, [(1, first - 1, first - 1)], "one file, declared once");
}

#[test]
fn a_device_whose_disk_is_full_starts_and_goes_on_when_there_is_room() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    ledger.append(&[beat(1)], stamp(1)).unwrap();
    let chain = ledger.chain();
    drop(ledger);
    let beside = dir.path().join("meta.json.new");
    std::os::unix::fs::symlink("/dev/full", &beside).unwrap();
    let mut ledger = Ledger::open(dir.path(), config()).unwrap();
    assert!(ledger.append(&[beat(2)], stamp(2)).is_err(), "nothing is pretended");
    std::fs::remove_file(&beside).unwrap();
    ledger.append(&[beat(3)], stamp(3)).unwrap();
    let records = checked(&ledger, chain);
    assert_eq!(records.iter().map(|r| r.head.boot).collect::<Vec<_>>(), [1, 2]);
    drop(ledger);
    assert_eq!(open(&dir).boot(), 3);
}

#[test]
fn a_lost_meta_file_begins_a_new_chain_and_keeps_the_old_records() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    ledger.append(&[beat(1)], stamp(1)).unwrap();
    let old = ledger.chain();
    std::fs::write(dir.path().join("meta.json"), "{").unwrap();
    let ledger = open(&dir);
    assert_eq!(ledger.begun, Some("storage"));
    assert_eq!(ledger.waiting().map(|w| w.chain), Some(old));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_torn_off_the_chain_stays_whole(cuts in proptest::collection::vec(0usize..900, 1..6)) {
        let dir = TempDir::new().unwrap();
        let mut written = 0;
        for cut in cuts {
            let mut ledger = open(&dir);
            ledger.append(&[beat(1)], stamp(1)).unwrap();
            ledger.append(&[beat(2), beat(3)], stamp(1)).unwrap();
            written = written.max(ledger.last());
            let chain = ledger.chain();
            checked(&ledger, chain);
            let path = ledger.chains.last().unwrap().segments[0].path.clone();
            let bytes = std::fs::read(&path).unwrap();
            let keep = bytes.len().saturating_sub(cut % bytes.len());
            std::fs::write(&path, &bytes[..keep]).unwrap();
        }
        let ledger = open(&dir);
        let chain = ledger.chain();
        let records = checked(&ledger, chain);
        prop_assert_eq!(records.len() as u64, ledger.last());
    }
}

#[test]
fn where_a_log_is_kept_a_receipt_alone_deletes_nothing() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    let chain = ledger.chain();
    let many = |ledger: &mut Ledger| {
        for n in 0..2_000 {
            ledger.append(&[beat(n)], stamp(1)).unwrap();
        }
    };
    let held = |ledger: &Ledger| ledger.counts().1;
    let later = UtcMs(KEEP_MS + 10_000);
    many(&mut ledger);
    ledger.follow_log(true, None);
    let upto = ledger.last() - 1;
    ledger.receipt(chain, upto, None).unwrap();
    ledger.prune(later).unwrap();
    assert_eq!(held(&ledger), 2_000, "no checkpoint covers them");
    assert_eq!(ledger.unvouched(), [Span { chain, from: upto, to: upto }]);
    assert!(ledger.logged(chain, 1_500).unwrap() && !ledger.logged(chain, 1_400).unwrap());
    // It is remembered over a start, and never beyond the receipt.
    drop(ledger);
    let mut ledger = open(&dir);
    ledger.follow_log(true, None);
    ledger.prune(later).unwrap();
    let after = held(&ledger);
    assert!((500..2_000).contains(&after), "{after}");
    assert!(ledger.logged(chain, u64::MAX).unwrap());
    assert_eq!(ledger.unvouched(), []);
    assert!(!ledger.logged(chain, upto).unwrap(), "no further than receipted");
    // Without a log the receipt is enough.
    let other = TempDir::new().unwrap();
    let mut ledger = open(&other);
    many(&mut ledger);
    ledger.receipt(ledger.chain(), 2_000, None).unwrap();
    assert_eq!(ledger.unvouched(), []);
    ledger.prune(later).unwrap();
    assert!(held(&ledger) < 2_000);
}

#[test]
fn records_quote_the_checkpoint_that_was_vouched_for() {
    let dir = TempDir::new().unwrap();
    let mut ledger = open(&dir);
    let seen = Seen { origin: "loa.example/log/2027".into(), size: 7, root: "x".into() };
    ledger.append(&[beat(1)], stamp(1)).unwrap();
    ledger.follow_log(true, Some(seen.clone()));
    ledger.append(&[beat(2)], stamp(2)).unwrap();
    ledger.follow_log(false, Some(seen.clone()));
    ledger.append(&[beat(3)], stamp(3)).unwrap();
    let quoted: Vec<_> =
        checked(&ledger, ledger.chain()).into_iter().map(|record| record.head.seen).collect();
    assert_eq!(quoted, [None, Some(seen), None]);
}
