//! The plugin's own language: JSON on `$CONTROL/dynamic-security/v1`, as its documentation
//! describes it (mosquitto.org, "Dynamic Security Plugin") and mosquitto 2.0.11 speaks it.
//!
//! # Invariants
//! * Every command carries a number of ours; what answers another one is passed over.
//! * Answers are bounded by the link's packet, lists by [`MOST`]; nothing in them is trusted.

use super::account::{Account, Accounts, Role};
use super::steps::Step;
use crate::app::mosquitto::{Access, Rule};
use serde::Deserialize;
use serde_json::{Value, json};

/// Where commands go.
pub const COMMANDS: &str = "$CONTROL/dynamic-security/v1";
/// Where answers come from.
pub const ANSWERS: &str = "$CONTROL/dynamic-security/v1/response";
/// Accounts or roles of one answer: about 30 KB.
pub const PAGE: usize = 100;
/// Accounts or roles that are read at all.
pub const MOST: usize = 50_000;

/// What is asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// What is allowed where no role says anything.
    Defaults,
    /// Roles from that one on.
    Roles(usize),
    /// Accounts from that one on.
    Accounts(usize),
    /// Does something.
    Do(Step),
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Whether publishing and subscribing are allowed to who has no role for it.
    Defaults {
        publish: bool,
        subscribe: bool,
    },
    /// So many there are, and these of them.
    Roles(usize, Accounts),
    Accounts(usize, Accounts),
    Done,
    /// In the plugin's words.
    Refused(String),
}

/// Writes a command.
pub fn command(question: &Question, number: u64) -> Value {
    let mut value = match question {
        Question::Defaults => json!({"command": "getDefaultACLAccess"}),
        Question::Roles(from) => page("listRoles", *from),
        Question::Accounts(from) => page("listClients", *from),
        Question::Do(step) => of_step(step),
    };
    value["correlationData"] = number.to_string().into();
    value
}

fn page(command: &str, from: usize) -> Value {
    json!({"command": command, "verbose": true, "count": PAGE, "offset": from})
}

fn of_step(step: &Step) -> Value {
    match step {
        Step::MakeRole(name, role) => {
            json!({"command": "createRole", "rolename": name, "acls": acls(role)})
        }
        Step::ChangeRole(name, role) => {
            json!({"command": "modifyRole", "rolename": name, "acls": acls(role)})
        }
        Step::MakeAccount(name, account, word) => {
            let mut value = of_account("createClient", name, account);
            value["password"] = word.0.clone().into();
            value
        }
        Step::ChangeAccount(name, account, word) => {
            let mut value = of_account("modifyClient", name, account);
            if let Some(word) = word {
                value["password"] = word.0.clone().into();
            }
            value
        }
        Step::RemoveAccount(name) => json!({"command": "deleteClient", "username": name}),
        Step::RemoveRole(name) => json!({"command": "deleteRole", "rolename": name}),
    }
}

fn of_account(command: &str, name: &str, account: &Account) -> Value {
    let roles: Vec<_> = account.roles.iter().map(|role| json!({"rolename": role})).collect();
    let mut value = json!({
        "command": command, "username": name, "textname": account.name,
        "textdescription": account.note, "roles": roles,
    });
    if let Some(client_id) = &account.client_id {
        value["clientid"] = client_id.clone().into();
    }
    value
}

fn acls(role: &Role) -> Vec<Value> {
    let kind = |access| match access {
        Access::Read => "subscribePattern",
        Access::Write => "publishClientSend",
    };
    role.rules
        .iter()
        .map(|rule| json!({"acltype": kind(rule.access), "topic": rule.filter, "allow": true}))
        .collect()
}

#[derive(Deserialize)]
struct Answer {
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "correlationData")]
    number: Option<String>,
    error: Option<String>,
    data: Option<Value>,
}

/// Reads an answer: what it says to which number. Nothing for what is no answer.
pub fn read(body: &[u8]) -> Vec<(u64, Said)> {
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else { return Vec::new() };
    let mut found = Vec::new();
    for response in answer.responses {
        let Some(number) = response.number.and_then(|number| number.parse().ok()) else { continue };
        let said = match (response.error, response.data) {
            (Some(why), _) => Said::Refused(why.chars().take(200).collect()),
            (None, None) => Said::Done,
            (None, Some(data)) => match of_data(&data) {
                Some(said) => said,
                None => Said::Refused("an answer of another form than documented".to_owned()),
            },
        };
        found.push((number, said));
    }
    found
}

fn of_data(data: &Value) -> Option<Said> {
    let total = || usize::try_from(data.get("totalCount")?.as_u64()?).ok();
    if let Some(list) = data.get("clients").and_then(Value::as_array) {
        let mut found = Accounts::default();
        for entry in list {
            let (name, account) = account(entry)?;
            found.accounts.insert(name, account);
        }
        return Some(Said::Accounts(total()?, found));
    }
    if let Some(list) = data.get("roles").and_then(Value::as_array) {
        let mut found = Accounts::default();
        for entry in list {
            let (name, role) = role(entry)?;
            found.roles.insert(name, role);
        }
        return Some(Said::Roles(total()?, found));
    }
    let list = data.get("acls")?.as_array()?;
    let allowed = |kind: &str| {
        list.iter()
            .find(|entry| text(entry, "acltype").as_deref() == Some(kind))?
            .get("allow")?
            .as_bool()
    };
    let (publish, subscribe) = (allowed("publishClientSend")?, allowed("subscribe")?);
    Some(Said::Defaults { publish, subscribe })
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn account(entry: &Value) -> Option<(String, Account)> {
    let roles = entry.get("roles").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let account = Account {
        client_id: text(entry, "clientid"),
        name: text(entry, "textname").unwrap_or_default(),
        note: text(entry, "textdescription").unwrap_or_default(),
        roles: roles.iter().filter_map(|role| text(role, "rolename")).collect(),
    };
    Some((text(entry, "username")?, account))
}

/// Reads a role. A rule that we would never write counts as one on a topic that none of ours has,
/// so that the role differs and is written anew.
fn role(entry: &Value) -> Option<(String, Role)> {
    let acls = entry.get("acls").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rule = |acl: &Value| {
        let kind = text(acl, "acltype")?;
        let topic = text(acl, "topic")?;
        let allowed = acl.get("allow")?.as_bool()?;
        Some(match (kind.as_str(), allowed) {
            ("subscribePattern", true) => Rule { access: Access::Read, filter: topic },
            ("publishClientSend", true) => Rule { access: Access::Write, filter: topic },
            _ => Rule { access: Access::Read, filter: format!("{kind} {allowed} {topic}") },
        })
    };
    let rules = acls.iter().map(rule).collect::<Option<_>>()?;
    Some((text(entry, "rolename")?, Role { rules }))
}
