use super::*;
use crate::app::ports::{Registered, Standing};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn seed() -> PasswordSeed {
    PasswordSeed::new([7; 32])
}

fn server() -> ServerAccount {
    ServerAccount { user: "loa.server".into(), password: Word("bí mật".into()) }
}

fn device(id: &str, unit: &str, standing: Standing) -> Registered {
    let device = Device {
        id: id.parse().unwrap(),
        name: format!("Loa {id}"),
        unit: unit.parse().unwrap(),
        tags: Vec::new(),
        profile: "loa-ip".parse().unwrap(),
        volume_cap: 100,
        trim_ms: 0,
        behind: None,
    };
    Registered { device, registered_ms: UtcMs(0), standing }
}

fn enrolled(id: &str, unit: &str, kid: &str) -> Registered {
    let word = seed().of_device(&id.parse().unwrap(), kid);
    let standing = Standing::Enrolled {
        since_ms: UtcMs(0),
        kid: kid.to_owned(),
        password: Digest::of(word.as_bytes()),
    };
    device(id, unit, standing)
}

fn units() -> Vec<Unit> {
    let unit = |id: &str, parent: Option<&str>| Unit {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
        population: None,
    };
    let communes = ["00070", "00071", "00072"].map(|id| unit(id, Some("01")));
    communes.into_iter().chain([unit("01", None)]).collect()
}

fn want(devices: &[Registered]) -> Wanted {
    wanted(&Topics::default(), &server(), devices, &units(), &seed())
}

/// Does all that is needed; returns what no step mends.
fn settle(found: &mut Accounts, wanted: &Wanted) -> Steps {
    let plan = steps(wanted, found, "loa/1:");
    for step in &plan.steps {
        apply(found, step);
    }
    plan
}

#[test]
fn a_device_gets_what_the_access_list_gives_it() {
    let wanted = want(&[enrolled("loa-1", "00070", "k")]);
    let account = &wanted.all.accounts["loa-1"];
    assert_eq!(account.client_id.as_deref(), Some("loa-1"));
    let rules: BTreeSet<String> = account
        .roles
        .iter()
        .flat_map(|role| &wanted.all.roles[role].rules)
        .map(ToString::to_string)
        .collect();
    let rules: Vec<_> = rules.into_iter().collect();
    insta::assert_snapshot!(rules.join("\n"), @r"
    read loa/1/a/+/+/+
    read loa/1/d/loa-1/+
    read loa/1/f/+
    read loa/1/keys
    read loa/1/s/+
    read loa/1/server
    read loa/1/u/00070/hold
    read loa/1/u/00070/urgent/+
    read loa/1/u/01/hold
    read loa/1/u/01/urgent/+
    write loa/1/d/loa-1/state
    write loa/1/r/f/loa-1
    ");
    assert!(!format!("{wanted:?}").contains("bí mật"));
}

#[test]
fn a_gateway_acts_for_those_behind_it_and_they_have_no_account() {
    let mut child = enrolled("loa-1", "00071", "k");
    child.device.behind = Some("cong-1".parse().unwrap());
    let wanted = want(&[enrolled("cong-1", "00070", "k"), child]);
    assert_eq!(wanted.all.accounts.keys().collect::<Vec<_>>(), ["cong-1", "loa.server"]);
    let roles = &wanted.all.accounts["cong-1"].roles;
    for role in ["device:cong-1", "device:loa-1", "unit:00070", "unit:00071", "unit:01"] {
        assert!(roles.contains(&format!("loa/1:{role}")), "{role}");
    }
}

#[test]
fn who_never_enrolled_or_is_revoked_has_no_account() {
    let revoked = Standing::Revoked { at_ms: UtcMs(1), reason: "mất".into() };
    let devices = [device("loa-1", "00070", Standing::Awaiting), device("loa-2", "00070", revoked)];
    let wanted = want(&devices);
    assert_eq!(wanted.all.accounts.keys().collect::<Vec<_>>(), ["loa.server"]);
}

#[test]
fn a_move_changes_roles_and_keeps_the_password_and_a_new_key_changes_it() {
    let mut found = Accounts::default();
    settle(&mut found, &want(&[enrolled("loa-1", "00070", "k")]));
    let moved = settle(&mut found, &want(&[enrolled("loa-1", "00071", "k")]));
    assert!(
        moved.steps.iter().any(|step| matches!(step, Step::ChangeAccount(name, account, None)
            if name == "loa-1" && account.roles.contains("loa/1:unit:00071"))),
        "{moved:?}"
    );
    assert!(moved.steps.contains(&Step::RemoveRole("loa/1:unit:00070".into())));
    let renewed = settle(&mut found, &want(&[enrolled("loa-1", "00071", "k2")]));
    let word = Word(seed().of_device(&"loa-1".parse().unwrap(), "k2"));
    assert!(matches!(&*renewed.steps, [Step::ChangeAccount(name, _, Some(new))]
            if name == "loa-1" && *new == word));
}

#[test]
fn a_revoked_device_is_out_before_anything_else_is_done() {
    let mut found = Accounts::default();
    settle(&mut found, &want(&[enrolled("loa-2", "00070", "k")]));
    let plan = settle(&mut found, &want(&[enrolled("loa-1", "00071", "k")]));
    assert_eq!(plan.steps[0], Step::RemoveAccount("loa-2".into()));
    assert_eq!(plan.steps.last(), Some(&Step::RemoveRole("loa/1:unit:00070".into())));
}

#[test]
fn a_password_nobody_knows_stays_where_it_is_and_is_told_where_it_is_not() {
    let old =
        Standing::Enrolled { since_ms: UtcMs(0), kid: "k".into(), password: Digest::of(b"by lot") };
    let wanted = want(&[device("loa-1", "00070", old)]);
    let plan = steps(&wanted, &Accounts::default(), "loa/1:");
    assert_eq!(plan.locked_out, ["loa-1".parse::<DeviceId>().unwrap()]);
    assert!(
        !plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::MakeAccount(name, ..) if name == "loa-1"))
    );
    let mut found = wanted.all.clone();
    assert_eq!(steps(&wanted, &found, "loa/1:"), Steps::default());
    // An account with a password that is no longer in force must not stay.
    found.accounts.get_mut("loa-1").unwrap().note = "loa/1:0000000000000000".into();
    let plan = steps(&wanted, &found, "loa/1:");
    assert_eq!(plan.steps, [Step::RemoveAccount("loa-1".into())]);
    assert_eq!(plan.locked_out.len(), 1);
}

#[test]
fn an_account_of_somebody_else_is_left_alone_and_told() {
    let theirs = Account {
        client_id: None,
        name: "Camera".into(),
        note: "của đơn vị khác".into(),
        roles: ["admin".to_owned()].into(),
    };
    let mut found = Accounts::default();
    found.accounts.insert("loa-1".into(), theirs.clone());
    found.accounts.insert("admin".into(), theirs.clone());
    found.roles.insert("admin".into(), Role::default());
    let plan = settle(&mut found, &want(&[enrolled("loa-1", "00070", "k")]));
    assert_eq!(plan.taken, ["loa-1"]);
    assert_eq!((&found.accounts["loa-1"], &found.accounts["admin"]), (&theirs, &theirs));
    assert!(found.roles.contains_key("admin"));
}

#[test]
fn answers_are_read_as_mosquitto_writes_them() {
    let body = r#"{"responses":[
        {"command":"getDefaultACLAccess","correlationData":"4","data":{"acls":[
            {"acltype":"publishClientSend","allow":false},{"acltype":"publishClientReceive","allow":true},
            {"acltype":"subscribe","allow":true},{"acltype":"unsubscribe","allow":true}]}},
        {"command":"createRole","correlationData":"5"},
        {"command":"createRole","correlationData":"6","error":"Role already exists"},
        {"command":"listRoles","correlationData":"7","data":{"totalCount":2,"roles":[
            {"rolename":"loa/1:devices","acls":[{"acltype":"subscribePattern","topic":"loa/1/keys","priority":0,"allow":true}]}]}},
        {"command":"listClients","correlationData":"8","data":{"totalCount":1,"clients":[
            {"username":"loa-1","clientid":"loa-1","textname":"Loa thôn 1","textdescription":"loa/1:x",
             "roles":[{"rolename":"a"}],"groups":[]}]}},
        {"command":"createRole"},{"command":"x","correlationData":"không"}]}"#;
    let said: Vec<_> = wire::read(body.as_bytes());
    assert_eq!(said.len(), 5);
    assert_eq!(said[0], (4, Said::Defaults { publish: false, subscribe: true }));
    assert_eq!(said[1], (5, Said::Done));
    assert_eq!(said[2], (6, Said::Refused("Role already exists".into())));
    let Said::Roles(2, roles) = &said[3].1 else { panic!("{said:?}") };
    assert_eq!(roles.roles["loa/1:devices"].rules.len(), 1);
    let Said::Accounts(1, accounts) = &said[4].1 else { panic!("{said:?}") };
    assert_eq!(accounts.accounts["loa-1"].name, "Loa thôn 1");
    for hostile in ["", "[]", "{}", r#"{"responses":[{"correlationData":"1","data":{}}]}"#, "\u{0}"]
    {
        let said = wire::read(hostile.as_bytes());
        assert!(said.iter().all(|(_, said)| matches!(said, Said::Refused(_))), "{said:?}");
    }
}

fn devices() -> impl Strategy<Value = Vec<Registered>> {
    let one = (0_u8..6, 0_u8..3, 0_u8..3, 0_u8..4);
    proptest::collection::btree_map(0_u8..6, one, 0..6).prop_map(|all| {
        all.into_iter()
            .map(|(id, (_, unit, kid, standing))| {
                let (id, unit) = (format!("loa-{id}"), format!("0007{unit}"));
                match standing {
                    0 => device(&id, &unit, Standing::Awaiting),
                    1 => device(
                        &id,
                        &unit,
                        Standing::Enrolled {
                            since_ms: UtcMs(0),
                            kid: "cũ".into(),
                            password: Digest::of(&[kid]),
                        },
                    ),
                    _ => enrolled(&id, &unit, &format!("k{kid}")),
                }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn from_any_register_to_any_other_all_of_ours_is_as_wanted_and_the_rest_as_it_was(
        before in devices(), after in devices(), theirs in proptest::collection::btree_set(0_u8..8, 0..3),
    ) {
        let mut found = Accounts::default();
        settle(&mut found, &want(&before));
        for id in &theirs {
            let account = Account { client_id: None, name: String::new(), note: String::new(), roles: BTreeSet::new() };
            found.accounts.insert(format!("loa-{id}"), account);
        }
        let others: Vec<_> = found.accounts.iter().filter(|(_, a)| a.note.is_empty()).map(|(n, a)| (n.clone(), a.clone())).collect();
        let wanted = want(&after);
        let plan = settle(&mut found, &wanted);
        for (name, account) in &others {
            prop_assert_eq!(found.accounts.get(name), Some(account));
        }
        for (name, account) in &wanted.all.accounts {
            let theirs = others.iter().any(|(other, _)| other == name);
            let locked = plan.locked_out.iter().any(|id| id.as_str() == name);
            prop_assert_eq!(theirs, plan.taken.contains(name));
            prop_assert_eq!(found.accounts.get(name) == Some(account), !theirs && !locked, "{}", name);
        }
        prop_assert_eq!(&found.roles, &wanted.all.roles);
        let ours = found.accounts.iter().filter(|(_, account)| account.note.starts_with("loa/1:"));
        for (name, _) in ours {
            prop_assert!(wanted.all.accounts.contains_key(name));
        }
        prop_assert_eq!(steps(&wanted, &found, "loa/1:").steps, Vec::new());
    }
}
