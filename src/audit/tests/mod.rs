//! Packs as the writer makes them, and as others would change them.

mod day;
mod drawn;
mod faults;
mod hostile;
mod late;
mod model;
mod outcomes;
mod tampering;

use super::{FaultKind, Options, Policy, Verdict, verify};
use day::usual;
use model::{CUES, World};

fn options() -> Options<'static> {
    Options { workers: 2, ..Options::default() }
}

fn judge_with(world: &World, pack: &[u8], options: &Options<'_>) -> Verdict {
    let policy = Policy::parse(world.policy().as_bytes()).unwrap();
    verify(pack, &policy, options, &mut |_| {}).unwrap()
}

fn judge(world: &World, pack: &[u8]) -> Verdict {
    judge_with(world, pack, &options())
}

fn kinds(verdict: &Verdict) -> Vec<FaultKind> {
    let mut kinds: Vec<FaultKind> = verdict.faults.iter().map(|fault| fault.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn a_day_as_it_should_be_is_right_in_every_number() {
    let world = usual(3);
    let verdict = judge(&world, &world.pack());
    assert_eq!(verdict.faults, []);
    assert!(verdict.ok);
    let expected = u64::try_from(3 * CUES).unwrap();
    assert_eq!((verdict.outcomes.expected, verdict.outcomes.played[&3]), (expected, expected));
    // Twenty beats of each device, two records of each cue.
    let total = 3 * (20 + 2 * 8);
    assert_eq!((verdict.records.total, verdict.records.verified), (total, total));
    assert_eq!(verdict.records.late, 0);
    assert_eq!((verdict.signatures.checkpoints, verdict.signatures.cosignatures), (22, 44));
    assert!(verdict.signatures.quorum_met);
}

#[test]
fn the_json_has_the_members_that_were_promised_and_no_others() {
    let world = usual(1);
    let mut verdict = judge(&world, &world.pack());
    verdict.logs[0].root = "root".into();
    insta::assert_snapshot!(verdict.json());
    let broken = judge(&world, b"PK\x03\x04");
    insta::assert_snapshot!(broken.json());
}

#[test]
fn the_table_tells_people_what_is_wrong_and_what_to_do() {
    let world = usual(1);
    let mut files = world.files();
    let at = files.iter().position(|(name, _)| name.contains("entries")).unwrap();
    files[at].1[40] ^= 1;
    let mut verdict = judge(&world, &world.write(&files));
    verdict.logs[0].root = "root".into();
    insta::assert_snapshot!(verdict.table());
}

#[test]
fn the_same_pack_gives_the_same_verdict_on_any_number_of_cores_and_in_several_walks() {
    let world = usual(6);
    let pack = world.pack();
    let one = judge(&world, &pack);
    assert!(one.ok);
    for workers in [1, 2, 7] {
        for memory in [1 << 30, 24_000, 16_000] {
            let options = Options { workers, memory, ..options() };
            let mut walks = 0;
            let policy = Policy::parse(world.policy().as_bytes()).unwrap();
            let again = verify(&pack[..], &policy, &options, &mut |p| walks = walks.max(p.walk));
            assert_eq!(again.unwrap(), one, "{workers} cores, {memory} bytes, {walks} walks");
            assert_eq!(walks > 1, memory < 1 << 20, "{walks} walks with {memory} bytes");
        }
    }
}
