//! What an auditor is given: packs and policies.

use loa::audit::{FaultKind, Options, Policy, verify};

/// The policy of the kept pack.
const POLICY: &str = include_str!("../../../fuzz/pack.policy");

/// Any bytes as a pack: an answer, in bounded words, that says the same to programs and people.
pub fn pack(bytes: &[u8]) {
    let policy = Policy::parse(POLICY.as_bytes()).expect("the kept one");
    let options = Options { workers: 1, ..Options::default() };
    let verdict = verify(bytes, &policy, &options, &mut |_| {}).expect("memory can be read");
    assert_eq!(verdict.ok, verdict.faults.is_empty());
    let lone = verdict.faults.iter().any(|fault| fault.kind == FaultKind::NotAPack);
    assert!(!lone || verdict.faults.len() == 1);
    for fault in &verdict.faults {
        assert!(fault.place.len() < 400 && (1..2_000).contains(&fault.message.len()), "{fault:?}");
    }
    let said: serde_json::Value = serde_json::from_str(&verdict.json()).expect("JSON");
    let outcomes = &said["outcomes"];
    let count = |name: &str| outcomes[name].as_u64().expect("a count");
    let played: u64 = outcomes["played"]
        .as_object()
        .expect("grades")
        .values()
        .map(|count| count.as_u64().expect("a count"))
        .sum();
    let parts = ["partial", "explained", "missing", "pending"].map(count).iter().sum::<u64>();
    assert_eq!(count("expected"), played + parts);
    assert!(verdict.table().contains(if verdict.ok { "nothing is wrong" } else { "WRONG" }));
}

/// Policies.
pub fn policy(bytes: &[u8]) {
    if let Err(error) = Policy::parse(bytes) {
        assert!(!error.to_string().is_empty() && !error.hint().is_empty());
    }
}
