//! Reads a policy, line by line, gathering every fault.

use super::super::key::VerifierKey;
use super::super::text::decimal;
use super::fault::{PolicyError, PolicyFault};
use super::{Group, MOST, Member, Octets, POLICY_BYTES, Policy, Quorum, Witness};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Reader {
    logs: Vec<VerifierKey>,
    log_urls: Vec<Option<Octets>>,
    witnesses: Vec<Witness>,
    keys: Vec<VerifierKey>,
    groups: Vec<Group>,
    quorum: Option<(usize, Quorum)>,
    log_keys: BTreeMap<Vec<u8>, usize>,
    witness_keys: BTreeMap<Vec<u8>, usize>,
    names: BTreeMap<Octets, (usize, Member)>,
    used: BTreeSet<Octets>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Policy, PolicyError> {
    if bytes.len() > POLICY_BYTES {
        let fault = PolicyFault::Long { got: bytes.len() };
        return Err(PolicyError { faults: vec![(1, fault)] });
    }
    let mut reader = Reader::default();
    let mut faults = Vec::new();
    let ended = bytes.is_empty() || bytes.ends_with(b"\n");
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut last = 0;
    for (number, line) in (1..).zip(body.split(|b| *b == b'\n')) {
        last = number;
        if let Err(fault) = reader.line(number, line) {
            faults.push((number, fault));
        }
    }
    if !ended {
        faults.push((last, PolicyFault::Unended));
    }
    if reader.quorum.is_none() {
        faults.push((last + 1, PolicyFault::NoQuorum));
    }
    match reader.quorum {
        Some((_, quorum)) if faults.is_empty() => Ok(Policy {
            logs: reader.logs,
            log_urls: reader.log_urls,
            witnesses: reader.witnesses,
            keys: reader.keys,
            groups: reader.groups,
            quorum,
        }),
        _ => Err(PolicyError { faults }),
    }
}

impl Reader {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), PolicyFault> {
        let allowed = |b: &u8| *b == b'\t' || (*b >= 0x20 && *b != 0x7f);
        if let Some(byte) = line.iter().find(|b| !allowed(b)) {
            return Err(PolicyFault::Octet { byte: *byte });
        }
        let words: Vec<&[u8]> =
            line.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
        let Some((keyword, rest)) = words.split_first() else { return Ok(()) };
        match *keyword {
            comment if comment.starts_with(b"#") => Ok(()),
            b"log" => self.log(number, rest),
            b"witness" => self.witness(number, rest),
            b"group" => self.group(number, rest),
            b"quorum" => self.quorum(number, rest),
            other => Err(PolicyFault::Keyword { word: octets(other) }),
        }
    }

    fn log(&mut self, number: usize, words: &[&[u8]]) -> Result<(), PolicyFault> {
        let (key, url) = match words {
            [key] => (key, None),
            [key, url] => (key, Some(octets(url))),
            _ => {
                return Err(PolicyFault::Words { keyword: "log", want: "a key and at most a URL" });
            }
        };
        let key = key_of(key, "log", VerifierKey::signs_checkpoints)?;
        if let Some(first) = self.log_keys.insert(key.key_bytes(), number) {
            return Err(PolicyFault::SameKey { first });
        }
        room(self.logs.len(), "log")?;
        self.logs.push(key);
        self.log_urls.push(url);
        Ok(())
    }

    fn witness(&mut self, number: usize, words: &[&[u8]]) -> Result<(), PolicyFault> {
        let (name, key, url) = match words {
            [name, key] => (name, key, None),
            [name, key, url] => (name, key, Some(octets(url))),
            _ => {
                let want = "a name, a key and at most a URL";
                return Err(PolicyFault::Words { keyword: "witness", want });
            }
        };
        let name = octets(name);
        self.define(number, &name, Member::Witness(self.witnesses.len()))?;
        let key = key_of(key, "witness", VerifierKey::cosigns)?;
        if let Some(first) = self.witness_keys.insert(key.key_bytes(), number) {
            return Err(PolicyFault::SameKey { first });
        }
        room(self.witnesses.len(), "witness")?;
        self.witnesses.push(Witness { name, url });
        self.keys.push(key);
        Ok(())
    }

    fn group(&mut self, number: usize, words: &[&[u8]]) -> Result<(), PolicyFault> {
        let [name, need, members @ ..] = words else {
            let want = "a name, a number (or `any`, `all`) and members";
            return Err(PolicyFault::Words { keyword: "group", want });
        };
        let threshold = || PolicyFault::Threshold { text: octets(need), members: members.len() };
        let need = match *need {
            b"any" => 1,
            b"all" => members.len(),
            number => std::str::from_utf8(number)
                .ok()
                .and_then(decimal)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(threshold)?,
        };
        if need == 0 || need > members.len() {
            return Err(threshold());
        }
        room(self.groups.len(), "group")?;
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let member = octets(member);
            let what = self.find(&member)?;
            if !self.used.insert(member.clone()) {
                return Err(PolicyFault::Member { name: member });
            }
            found.push(what);
        }
        let name = octets(name);
        self.define(number, &name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { name, need, members: found });
        Ok(())
    }

    fn quorum(&mut self, number: usize, words: &[&[u8]]) -> Result<(), PolicyFault> {
        let [name] = words else {
            return Err(PolicyFault::Words { keyword: "quorum", want: "one name or `none`" });
        };
        if let Some((first, _)) = self.quorum {
            return Err(PolicyFault::SecondQuorum { first });
        }
        let quorum = match *name {
            b"none" => Quorum::None,
            name => Quorum::Of(self.find(&octets(name))?),
        };
        self.quorum = Some((number, quorum));
        Ok(())
    }

    fn define(&mut self, number: usize, name: &Octets, what: Member) -> Result<(), PolicyFault> {
        if name.0 == b"none" {
            return Err(PolicyFault::None);
        }
        if let Some((first, _)) = self.names.get(name) {
            return Err(PolicyFault::SameName { name: name.clone(), first: *first });
        }
        self.names.insert(name.clone(), (number, what));
        Ok(())
    }

    fn find(&self, name: &Octets) -> Result<Member, PolicyFault> {
        match self.names.get(name) {
            Some((_, member)) => Ok(*member),
            None => Err(PolicyFault::Undefined { name: name.clone() }),
        }
    }
}

fn octets(word: &[u8]) -> Octets {
    Octets(word.to_vec())
}

fn key_of(
    word: &[u8],
    who: &'static str,
    fits: fn(&VerifierKey) -> bool,
) -> Result<VerifierKey, PolicyFault> {
    let text = String::from_utf8_lossy(word);
    let key: VerifierKey = text.parse().map_err(|key| PolicyFault::Key { key })?;
    if fits(&key) { Ok(key) } else { Err(PolicyFault::Kind { name: key.name().to_string(), who }) }
}

fn room(held: usize, keyword: &'static str) -> Result<(), PolicyFault> {
    if held < MOST { Ok(()) } else { Err(PolicyFault::Most { keyword }) }
}
