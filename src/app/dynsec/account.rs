//! What stands in the plugin: accounts and roles, as it is and as it should be. Pure.
//!
//! # Names
//! Roles of ours begin with the topics' prefix and a colon: `loa/1:devices`, `loa/1:server`,
//! `loa/1:device:loa-thon-1`, `loa/1:unit:00070`. Accounts of ours carry a note that begins so too;
//! it names the password by a hash of the register's hash, so that a changed one is noticed.
//!
//! # Invariants
//! * What is not ours by that mark is neither changed nor removed.
//! * Each device has its own account, bound to its own client id, and roles of nobody else.

use crate::app::mosquitto::{Access, Login, Rule, common_rules, device_rules, unit_rules};
use crate::app::ports::{Registered, Standing};
use crate::app::registry::PasswordSeed;
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::station::Unit;
use crate::wire::topic::Topics;
use std::collections::{BTreeMap, BTreeSet};

/// An account of the plugin ("client"). Its password is known to the plugin alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The client id it is bound to; any when `None`.
    pub client_id: Option<String>,
    /// Name for people.
    pub name: String,
    /// Whose it is, and which password it was given.
    pub note: String,
    pub roles: BTreeSet<String>,
}

/// What a role allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    pub rules: BTreeSet<Rule>,
}

/// What stands in the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    pub accounts: BTreeMap<String, Account>,
    pub roles: BTreeMap<String, Role>,
}

/// What should stand there of ours, and what cannot.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub all: Accounts,
    /// The password of each account; `Debug` shows none.
    pub passwords: BTreeMap<String, Word>,
    /// Devices whose password nobody here knows: they enrolled before passwords followed from the
    /// seed, or with another seed. An account that has it stays.
    pub unknown: Vec<DeviceId>,
}

/// A password; shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Word(pub String);

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Word(..)")
    }
}

/// Marks what is ours.
pub fn mark(topics: &Topics) -> String {
    format!("{}:", topics.prefix())
}

/// The server's own account.
#[derive(Clone, Debug)]
pub struct ServerAccount {
    pub user: String,
    pub password: Word,
}

/// Returns what should stand in the plugin for this register.
pub fn wanted(
    topics: &Topics,
    server: &ServerAccount,
    devices: &[Registered],
    units: &[Unit],
    seed: &PasswordSeed,
) -> Wanted {
    let mark = mark(topics);
    let mut wanted = Wanted::default();
    let role = |wanted: &mut Wanted, name: String, rules: Vec<Rule>| {
        wanted
            .all
            .roles
            .entry(name.clone())
            .or_insert_with(|| Role { rules: rules.into_iter().collect() });
        name
    };
    let all = format!("{}/#", topics.prefix());
    let both = [Access::Read, Access::Write].map(|access| Rule { access, filter: all.clone() });
    let roles = [role(&mut wanted, format!("{mark}server"), both.into())].into();
    let note = note(&mark, &Digest::of(server.password.0.as_bytes()));
    let account = Account { client_id: None, name: "Loa".to_owned(), note, roles };
    wanted.all.accounts.insert(server.user.clone(), account);
    wanted.passwords.insert(server.user.clone(), server.password.clone());
    let common = role(&mut wanted, format!("{mark}devices"), common_rules(topics));
    let by_id: BTreeMap<_, _> = devices.iter().map(|known| (&known.device.id, known)).collect();
    for login in Login::all(devices, units) {
        let id = login.device;
        let Some(known) = by_id.get(id) else { continue };
        let Standing::Enrolled { kid, password, .. } = &known.standing else { continue };
        let word = seed.of_device(id, kid);
        if Digest::of(word.as_bytes()) == *password {
            wanted.passwords.insert(id.to_string(), Word(word));
        } else {
            wanted.unknown.push(id.clone());
        }
        let mut roles = BTreeSet::from([common.clone()]);
        let own = (id, login.units);
        for (device, units) in std::iter::once(own).chain(login.behind) {
            let rules = device_rules(topics, device);
            roles.insert(role(&mut wanted, format!("{mark}device:{device}"), rules));
            for unit in units {
                let rules = unit_rules(topics, &unit);
                roles.insert(role(&mut wanted, format!("{mark}unit:{unit}"), rules));
            }
        }
        let account = Account {
            client_id: Some(id.to_string()),
            name: known.device.name.clone(),
            note: self::note(&mark, password),
            roles,
        };
        wanted.all.accounts.insert(id.to_string(), account);
    }
    wanted
}

/// Names a password without giving it away: what is hashed once more is a hash of 128 random bits.
fn note(mark: &str, password: &Digest) -> String {
    let hash = Digest::of(&password.0).to_string();
    format!("{mark}{}", &hash[..16])
}
