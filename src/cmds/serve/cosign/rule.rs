//! Who is asked, and how many are enough: `[log]` of `station.toml` as a policy.

use super::super::super::wrong_use;
use crate::config::LogConfig;
use crate::wire::tlog::{KeyError, Policy, VerifierKey};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Witnesses of a station.
#[derive(Clone, Debug)]
pub struct Rule {
    pub policy: Policy,
    /// Certificate authority of the witnesses' addresses.
    pub ca: Option<PathBuf>,
}

/// Makes the rule of a station whose log has this key; without witnesses none is asked for.
pub fn rule(log: &VerifierKey, config: &LogConfig, station: &Path) -> anyhow::Result<Rule> {
    let mut text = format!("log {log}\n");
    let mut names = Vec::new();
    for (number, witness) in (1..).zip(&config.witnesses) {
        let key: VerifierKey = witness.key.parse().map_err(|error: KeyError| {
            let shown = witness.key.chars().take(80).collect::<String>();
            wrong_use(
                format!("`log.witnesses` in `station.toml`: `{shown}`: {error}"),
                error.hint(),
            )
        })?;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "witness w{number} {key} {}", witness.url);
        names.push(format!("w{number}"));
    }
    if names.is_empty() {
        text.push_str("quorum none\n");
    } else {
        let _ = writeln!(text, "group enough {} {}", config.quorum, names.join(" "));
        text.push_str("quorum enough\n");
    }
    let policy = Policy::parse(text.as_bytes()).map_err(|error| {
        wrong_use(
            format!("`log.witnesses` in `station.toml`: {error}"),
            "each witness has a key of its own, of the type that `loa witness init` makes",
        )
    })?;
    Ok(Rule { policy, ca: config.ca_file.as_ref().map(|file| station.join(file)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WitnessConfig;
    use crate::wire::jws::SecretKey;
    use crate::wire::tlog::{Cosigner, LogSigner, Name};

    fn config(keys: &[String], quorum: u32) -> LogConfig {
        let witness =
            |key: &String| WitnessConfig { key: key.clone(), url: "https://w/".to_owned() };
        LogConfig { witnesses: keys.iter().map(witness).collect(), quorum, ..LogConfig::default() }
    }

    #[test]
    fn the_station_says_who_vouches_and_a_wrong_key_is_named() {
        let name = |text: &str| Name::new(text).unwrap();
        let log = LogSigner::new(name("log"), SecretKey::from_seed(&[1; 32]));
        let keys: Vec<String> = (1..=3)
            .map(|n| Cosigner::new(name(&format!("w{n}")), SecretKey::from_seed(&[n; 32])))
            .map(|witness| witness.verifier().to_string())
            .collect();
        let station = Path::new("/s");
        let none = rule(log.verifier(), &config(&[], 0), station).unwrap();
        assert!(none.policy.is_met_by(&[]));
        let two = rule(log.verifier(), &config(&keys, 2), station).unwrap();
        assert!(!two.policy.is_met_by(&[1]) && two.policy.is_met_by(&[0, 2]));
        let wrong = rule(log.verifier(), &config(&["x+y".to_owned()], 1), station).unwrap_err();
        assert!(wrong.to_string().contains("`x+y`"), "{wrong}");
        // A log's key is no witness's.
        let key = log.verifier().to_string();
        assert!(rule(log.verifier(), &config(&[key], 1), station).is_err());
    }
}
