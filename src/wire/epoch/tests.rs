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
        log: None,
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

/// A chain of one epoch with its root and keys.
fn chain() -> KeySet {
    verify(&[super::first(&root(1), &server(1), 1_000)], &root(1)).unwrap()
}

fn longer(set: &KeySet, keys: &ServerKeys, revoke: &[Kid], now: i64) -> KeySet {
    let revoke = revoke.iter().copied().collect();
    super::next(
        set,
        &root(1),
        &Change { keys, revoke: &revoke, root: None, log: LogChange::Keep },
        UtcMs(now),
    )
    .unwrap()
}

#[test]
fn a_rotation_retires_the_old_keys_and_devices_that_know_the_chain_follow_it() {
    let one = chain();
    let two = longer(&one, &server(2), &[], 2_000_000);
    let three = longer(&two, &server(3), &[], 3_000_000);
    // A device that was away for both takes them in one step.
    let body = three.body().encode();
    let Ok(Advance::Newer(set)) = one.advance(&body, &root(1).kid()) else { panic!("refused") };
    assert_eq!((set.epoch(), set.signer(), *set == three), (3, root(1).kid(), true));
    let found = set.find(&server(1).schedule.kid(), Role::Schedule).unwrap();
    assert_eq!((found.epoch, found.retired), (1, Some(UtcMs(2_000_000))));
    let found = set.find(&server(3).schedule.kid(), Role::Schedule).unwrap();
    assert_eq!((found.epoch, found.retired), (3, None));
    // Long after, a retired key is named no more, and then it is as good as revoked.
    let late = longer(&three, &server(3), &[], 3_000_000 + RETIRED_MS);
    assert_eq!(late.current().unwrap().retired, []);
    let gone = late.find(&server(1).schedule.kid(), Role::Schedule);
    assert_eq!(gone.unwrap_err().reason(), "revoked");
}

#[test]
fn a_revoked_key_is_dropped_whether_in_use_or_retired_and_stays_so() {
    let two = longer(&chain(), &server(2), &[], 2_000_000);
    let mut keys = server(2);
    keys.set(Role::Urgent, SecretKey::from_seed(&[99; 32]));
    let both = [server(2).urgent.kid(), server(1).schedule.kid()];
    let three = longer(&two, &keys, &both, 3_000_000);
    for (kid, role) in both.iter().zip([Role::Urgent, Role::Schedule]) {
        assert!(three.is_revoked(kid));
        assert_eq!(three.find(kid, role).unwrap_err().reason(), "revoked");
    }
    assert!(three.find(&server(1).time.kid(), Role::Time).unwrap().retired.is_some());
    assert!(three.find(&server(2).policy.kid(), Role::Policy).unwrap().retired.is_none());
    assert!(longer(&three, &server(3), &[], 4_000_000).is_revoked(&both[0]));
}

#[test]
fn only_the_root_key_makes_an_epoch_and_a_new_root_takes_its_place() {
    let one = chain();
    let nothing = BTreeSet::new();
    let change = |root| Change {
        keys: Box::leak(Box::new(server(2))),
        revoke: &nothing,
        root,
        log: LogChange::Keep,
    };
    for thief in [&server(1).schedule, &server(1).policy, &root(2)] {
        let refused = super::next(&one, thief, &change(None), UtcMs(2_000_000));
        assert_eq!(refused.unwrap_err(), Refusal::Root);
    }
    let named = super::next(&one, &root(1), &change(Some(root(2).public())), UtcMs(2_000_000));
    let named = named.unwrap();
    assert_eq!((named.signer(), named.root()), (root(1).kid(), root(2).kid()));
    assert_eq!(
        super::next(&named, &root(1), &change(None), UtcMs(3_000_000)).unwrap_err(),
        Refusal::Root
    );
    let spoken = super::next(&named, &root(2), &change(None), UtcMs(3_000_000)).unwrap();
    assert_eq!(spoken.signer(), root(2).kid());
    let body = spoken.body().encode();
    for pin in [root(1), root(2)] {
        assert_eq!(KeySet::verify(&body, &pin.kid()).unwrap(), spoken);
    }
}

#[test]
fn a_full_chain_is_not_made_longer() {
    let mut set = chain();
    let mut made = 1;
    let full = loop {
        made += 1;
        let keys = server(u8::try_from(made % 9).unwrap());
        let nothing = BTreeSet::new();
        let change = Change { keys: &keys, revoke: &nothing, root: None, log: LogChange::Keep };
        match super::next(&set, &root(1), &change, UtcMs(i64::from(made) * RETIRED_MS)) {
            Ok(longer) => set = longer,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(full.reason(), "limit", "{full}");
    assert!(set.epoch() >= 20, "only {} epochs", set.epoch());
    assert!(set.body_bytes() <= limits::KEYS_BYTES);
}
