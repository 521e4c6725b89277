use super::super::server_keys::ServerKeys;
use super::*;

fn server(n: u8) -> ServerKeys {
    ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|role| [n * 10 + role; 32]))
}

fn root(n: u8) -> SecretKey {
    SecretKey::from_seed(&[100 + n; 32])
}

fn next(signer: &SecretKey, before: &[String], change: impl FnOnce(&mut Epoch)) -> String {
    let number = u32::try_from(before.len()).unwrap() + 1;
    let mut epoch = Epoch {
        v: 1,
        epoch: number,
        prev: before.last().map(|text| Digest::of(text.as_bytes())),
        iat: 1_000 * i64::from(number),
        root: signer.public(),
        roles: server(1).public(),
        retired: Vec::new(),
        revoked: Vec::new(),
    };
    change(&mut epoch);
    jws::sign(signer, Typ::Keys, &epoch)
}

fn verify(epochs: &[String], pin: &SecretKey) -> Result<KeySet, Refusal> {
    KeySet::verify(&KeysBody::new(epochs.to_vec()).encode(), &pin.kid())
}

#[test]
fn the_first_epoch_gives_each_role_its_key_and_no_other() {
    let set = verify(&[first(&root(1), &server(1), 1_000)], &root(1)).unwrap();
    for role in Role::NAMED {
        for other in Role::NAMED {
            let kid = server(1).of(other).unwrap().kid();
            let found = set.find(&kid, role);
            if role == other {
                let found = found.unwrap();
                assert_eq!((found.key.kid(), found.epoch, found.retired), (kid, 1, None));
            } else {
                assert_eq!(found.unwrap_err().reason(), "role");
            }
        }
    }
    let root = root(1).kid();
    assert_eq!(set.find(&root, Role::Schedule).unwrap_err().reason(), "role");
    let stranger = server(2).schedule.kid();
    assert_eq!(set.find(&stranger, Role::Schedule).unwrap_err().reason(), "unknown-key");
}

#[test]
fn a_chain_of_another_root_is_refused() {
    let chain = [first(&root(2), &server(1), 1_000)];
    assert_eq!(verify(&chain, &root(1)).unwrap_err(), Refusal::Root);
}

#[test]
fn a_new_root_is_signed_by_the_old_and_pinned_from_its_first_signature_on() {
    let mut chain = vec![first(&root(1), &server(1), 1_000)];
    chain.push(next(&root(1), &chain, |e| e.root = root(2).public()));
    // Named, but it has signed nothing yet: anybody could have named it.
    assert_eq!(verify(&chain, &root(2)).unwrap_err(), Refusal::Root);
    assert_eq!(verify(&chain, &root(1)).unwrap().root(), root(2).kid());
    chain.push(next(&root(2), &chain, |_| ()));
    assert_eq!(verify(&chain, &root(2)).unwrap().epoch(), 3);
    let mut wrong = chain[..2].to_vec();
    wrong.push(next(&root(1), &wrong, |_| ()));
    assert_eq!(verify(&wrong, &root(1)).unwrap_err().reason(), "unknown-key");
}

#[test]
fn a_broken_chain_is_refused() {
    let one = vec![first(&root(1), &server(1), 1_000)];
    let with = |change: fn(&mut Epoch)| {
        let mut chain = one.clone();
        chain.push(next(&root(1), &one, change));
        verify(&chain, &root(1)).unwrap_err().reason()
    };
    assert_eq!(with(|e| e.epoch = 3), "epoch");
    assert_eq!(with(|e| e.prev = None), "epoch");
    assert_eq!(with(|e| e.prev = Some(Digest::of(b"other"))), "epoch");
    assert_eq!(with(|e| e.iat = 1), "epoch");
    assert_eq!(with(|e| e.v = 2), "unsupported");
    assert_eq!(with(|e| e.revoked = vec![server(1).time.kid()]), "epoch");
    assert_eq!(with(|e| e.roles = [("time".into(), vec![root(1).public()])].into()), "epoch");
    let twice = |e: &mut Epoch| {
        e.roles.insert("urgent".into(), vec![server(1).time.public()]);
    };
    assert_eq!(with(twice), "epoch");
    assert_eq!(verify(&[], &root(1)).unwrap_err().reason(), "epoch");
    let second = next(&root(1), &one, |_| ());
    assert_eq!(verify(&[second], &root(1)).unwrap_err().reason(), "epoch");
}

#[test]
fn revoked_and_retired_keys_are_told_apart_and_new_keys_outrank_old_versions() {
    let mut chain = vec![first(&root(1), &server(1), 1_000)];
    chain.push(next(&root(1), &chain, |e| {
        e.roles = server(2).public();
        e.revoked = vec![server(1).schedule.kid()];
        e.retired = vec![RetiredKey {
            role: "time".into(),
            key: server(1).time.public(),
            retired_ms: UtcMs(1_500_000),
        }];
    }));
    let set = verify(&chain, &root(1)).unwrap();
    let find = |key: &SecretKey, role| set.find(&key.kid(), role);
    assert_eq!(find(&server(1).schedule, Role::Schedule).unwrap_err().reason(), "revoked");
    assert!(set.is_revoked(&server(1).schedule.kid()));
    assert_eq!(find(&server(1).time, Role::Time).unwrap().retired, Some(UtcMs(1_500_000)));
    // Left out without a word: it may sign nothing any more.
    assert_eq!(find(&server(1).policy, Role::Policy).unwrap_err().reason(), "revoked");
    assert_eq!(find(&server(2).schedule, Role::Schedule).unwrap().epoch, 2);
    // A revoked key stays revoked although later epochs do not repeat it.
    chain.push(next(&root(1), &chain, |e| e.roles = server(2).public()));
    let set = verify(&chain, &root(1)).unwrap();
    assert!(set.is_revoked(&server(1).schedule.kid()));
}

#[test]
fn a_device_takes_only_a_longer_chain_with_the_same_beginning() {
    let one = vec![first(&root(1), &server(1), 1_000)];
    let mut two = one.clone();
    two.push(next(&root(1), &one, |_| ()));
    let mut fork = one.clone();
    fork.push(next(&root(1), &one, |e| e.iat += 1));
    let body = |chain: &[String]| KeysBody::new(chain.to_vec()).encode();
    let pin = root(1).kid();
    let set = verify(&one, &root(1)).unwrap();
    assert_eq!(set.advance(&body(&one), &pin), Ok(Advance::Same));
    let Ok(Advance::Newer(newer)) = set.advance(&body(&two), &pin) else { panic!("refused") };
    assert_eq!(newer.epoch(), 2);
    assert_eq!(newer.advance(&body(&one), &pin).unwrap_err().reason(), "version-low");
    assert_eq!(newer.advance(&body(&fork), &pin).unwrap_err().reason(), "conflict");
    assert_eq!(newer.timely(Some(UtcMs(2_000_000))), Ok(()));
    let early = newer.timely(Some(UtcMs(2_000_000 - limits::AHEAD_MS - 1)));
    assert_eq!(early.unwrap_err().reason(), "ahead");
}

#[test]
fn the_keys_file_of_a_server_is_read_back_and_shows_nothing_in_debug() {
    let keys = server(1);
    let text = keys.to_file();
    let back = ServerKeys::from_file(&text).unwrap();
    assert_eq!(back.public(), keys.public());
    assert!(!format!("{keys:?}").contains("seed"));
    let short = text.replace("\"time\"", "\"tima\"");
    assert_eq!(ServerKeys::from_file(&short).unwrap_err().reason(), "member");
}
