//! What must be told the plugin so that it holds what it should. Pure.
//!
//! # Invariants
//! * Applied in order, the steps make everything of ours as wanted and leave the rest alone.
//! * Nothing is told twice: where all is as wanted there are no steps.
//! * A role stands before the account that has it, and goes after it.

use super::account::{Account, Accounts, Role, Wanted, Word};
use crate::domain::ids::DeviceId;
use std::collections::BTreeSet;

/// One command to the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    MakeRole(String, Role),
    ChangeRole(String, Role),
    MakeAccount(String, Account, Word),
    /// With a new password, if it changed. The plugin puts the client out.
    ChangeAccount(String, Account, Option<Word>),
    /// The plugin puts the client out.
    RemoveAccount(String),
    RemoveRole(String),
}

/// The steps, and what no step can mend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    pub steps: Vec<Step>,
    /// Names that we need and somebody else has taken.
    pub taken: Vec<String>,
    /// Devices that cannot log in: nobody here knows their password.
    pub locked_out: Vec<DeviceId>,
}

/// Compares what stands in the plugin with what should. `mark` marks what is ours.
pub fn steps(wanted: &Wanted, found: &Accounts, mark: &str) -> Steps {
    let mut result = Steps::default();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for (name, role) in &wanted.all.roles {
        match found.roles.get(name) {
            None => first.push(Step::MakeRole(name.clone(), role.clone())),
            Some(old) if old != role => first.push(Step::ChangeRole(name.clone(), role.clone())),
            Some(_) => {}
        }
    }
    let unknown: BTreeSet<&str> = wanted.unknown.iter().map(DeviceId::as_str).collect();
    for (name, account) in &wanted.all.accounts {
        let word = wanted.passwords.get(name);
        match found.accounts.get(name) {
            Some(old) if !old.note.starts_with(mark) => result.taken.push(name.clone()),
            Some(old) if old == account => {}
            Some(old) if old.note == account.note => {
                first.push(Step::ChangeAccount(name.clone(), account.clone(), None));
            }
            Some(_) if word.is_some() => {
                first.push(Step::ChangeAccount(name.clone(), account.clone(), word.cloned()));
            }
            None if word.is_some() => {
                first.extend(
                    word.map(|word| Step::MakeAccount(name.clone(), account.clone(), word.clone())),
                );
            }
            // The account of a password that is no longer in force must not stay.
            old => {
                if old.is_some() {
                    last.push(Step::RemoveAccount(name.clone()));
                }
                if unknown.contains(name.as_str()) {
                    result.locked_out.extend(name.parse());
                }
            }
        }
    }
    for (name, account) in &found.accounts {
        if account.note.starts_with(mark) && !wanted.all.accounts.contains_key(name) {
            last.push(Step::RemoveAccount(name.clone()));
        }
    }
    for name in found.roles.keys() {
        if name.starts_with(mark) && !wanted.all.roles.contains_key(name) {
            last.push(Step::RemoveRole(name.clone()));
        }
    }
    // Whoever was revoked is out before others come in.
    let (removals, roles): (Vec<_>, Vec<_>) =
        last.into_iter().partition(|step| matches!(step, Step::RemoveAccount(_)));
    result.steps = removals;
    result.steps.append(&mut first);
    result.steps.extend(roles);
    result
}

/// Notes what the plugin has done.
pub fn apply(found: &mut Accounts, step: &Step) {
    match step.clone() {
        Step::MakeRole(name, role) | Step::ChangeRole(name, role) => {
            found.roles.insert(name, role);
        }
        Step::MakeAccount(name, account, _) | Step::ChangeAccount(name, account, _) => {
            found.accounts.insert(name, account);
        }
        Step::RemoveAccount(name) => {
            found.accounts.remove(&name);
        }
        Step::RemoveRole(name) => {
            found.roles.remove(&name);
            for account in found.accounts.values_mut() {
                account.roles.remove(&name);
            }
        }
    }
}
