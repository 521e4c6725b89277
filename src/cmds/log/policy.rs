//! `loa log policy`: by what an auditor believes the log.

use super::super::data::DataFolder;
use super::super::{Answer, print_json, print_text};
use super::Place;
use crate::app::scribe::LogPlace;
use crate::wire::epoch::LogTrust;
use crate::wire::tlog::VerifierKey;
use serde_json::json;

/// Returns the rule that the root key signed; that of the log alone where none is named.
pub fn policy_text(folder: &DataFolder, place: &LogPlace) -> anyhow::Result<String> {
    let keys = folder.read_keys()?;
    let text = match folder.read_epochs(&keys)?.log() {
        LogTrust::By(policy) => String::from_utf8_lossy(&policy.to_bytes()).into_owned(),
        LogTrust::None | LogTrust::Unread => {
            let key = VerifierKey::log(place.base.clone(), place.key.public());
            format!("log {key}\nquorum none\n")
        }
    };
    Ok(text)
}

/// Prints it.
pub fn policy(args: &Place) -> anyhow::Result<Answer> {
    let folder = args.folder()?;
    let text = policy_text(&folder, &args.log()?)?;
    if text.contains("\nquorum none\n") {
        eprintln!(
            "note: no witness is asked for, so nothing shows when records were logged; name \
             witnesses under `[log]` of `station.toml` and run `loa keys log` with the root key"
        );
    }
    if args.json {
        print_json(&json!({ "policy": text }))?;
    } else {
        print_text(&text)?;
    }
    Ok(Answer::Yes)
}
