//! The dynamic-security plugin's file and settings, for a real mosquitto.

use super::{ADMIN, Account, Company, SECOND, SERVER, WATCHER, texts};
use loa::app::mosquitto::{Access, Rule, common_rules, device_rules, unit_rules};
use loa::wire::topic::Topics;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// What `loa broker acl --format dynsec` prints, for this machine.
pub fn config(listener: &str, folder: &str) -> String {
    here(&texts::dynsec_config(listener, folder))
}

/// Names the place where this machine has the plugin.
pub fn here(config: &str) -> String {
    let usual = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so";
    let found = fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let found = found.map(|entry| entry.path().join("mosquitto_dynamic_security.so"));
    let found = found.chain([usual.into()]).find(|path| path.exists());
    let found = found.expect("mosquitto's plugin is installed: run `make setup`");
    config.replace(usual, &found.to_string_lossy())
}

/// Writes the file as `mosquitto_ctrl dynsec init` does.
pub fn write_blank(folder: &Path) {
    write(folder, vec![account(ADMIN, None, &["admin"])], vec![admin()]);
}

/// Writes the file with all accounts.
pub fn write_file(folder: &Path, accounts: &[Account], company: Company) {
    let topics = Topics::default();
    let mut clients = vec![account(ADMIN, None, &["admin"]), account(SERVER, None, &["server"])];
    if company == Company::Watched {
        clients.extend([account(SECOND, None, &["server"]), account(WATCHER, None, &["all"])]);
    }
    let every = |filter: &str| {
        [Access::Read, Access::Write].map(|access| Rule { access, filter: filter.into() })
    };
    let mut roles = vec![
        admin(),
        role("server", &every("loa/1/#")),
        json!({"rolename": "all", "acls": [
            {"acltype": "publishClientSend", "topic": "#", "allow": true},
            {"acltype": "subscribePattern", "topic": "#", "allow": true},
            {"acltype": "subscribePattern", "topic": "$SYS/#", "allow": true},
        ]}),
        role("devices", &common_rules(&topics)),
    ];
    for one in accounts {
        let own = format!("device:{}", one.id);
        let mut rules = device_rules(&topics, &one.id);
        rules.extend(one.units.iter().flat_map(|unit| unit_rules(&topics, unit)));
        roles.push(role(&own, &rules));
        let name = one.id.as_str();
        clients.push(account((name, &one.password), Some(name), &["devices", &own]));
    }
    write(folder, clients, roles);
}

fn write(folder: &Path, clients: Vec<Value>, roles: Vec<Value>) {
    let all = json!({
        "clients": clients, "roles": roles, "groups": [],
        "defaultACLAccess": {"publishClientSend": false, "publishClientReceive": true,
            "subscribe": false, "unsubscribe": true},
    });
    fs::write(folder.join("dynamic-security.json"), all.to_string()).unwrap();
}

fn account((user, word): (&str, &str), client_id: Option<&str>, roles: &[&str]) -> Value {
    let line = texts::password_line(user, word, [7; 12]);
    let parts: Vec<&str> = line.split('$').collect();
    let [_, "7", iterations, salt, hash] = *parts else { panic!("{line}") };
    let roles: Vec<Value> = roles.iter().map(|role| json!({"rolename": role})).collect();
    let mut value = json!({
        "username": user, "password": hash, "salt": salt,
        "iterations": iterations.parse::<u32>().unwrap(), "roles": roles,
    });
    if let Some(client_id) = client_id {
        value["clientid"] = client_id.into();
    }
    value
}

fn role(name: &str, rules: &[Rule]) -> Value {
    let acl = |rule: &Rule| {
        let kind = match rule.access {
            Access::Read => "subscribePattern",
            Access::Write => "publishClientSend",
        };
        json!({"acltype": kind, "topic": rule.filter, "allow": true})
    };
    json!({"rolename": name, "acls": rules.iter().map(acl).collect::<Vec<_>>()})
}

fn admin() -> Value {
    let acl = |kind: &str| json!({"acltype": kind, "topic": "$CONTROL/dynamic-security/#", "allow": true});
    let kinds = ["publishClientSend", "publishClientReceive", "subscribePattern"];
    json!({"rolename": "admin", "acls": kinds.map(acl)})
}
