//! The policy that an auditor pins: which logs and witnesses count (C2SP tlog-policy).
//!
//! Nothing in a pack can widen it; a policy within the pack is for people only.

use super::note::{Kind, NoteKey};
use super::text::{decimal, excerpt};
use std::fmt;

/// Bytes of the longest policy.
const POLICY_BYTES: usize = 65_536;
/// Logs, witnesses and groups, each.
const MOST: usize = 64;

/// See the module.
#[derive(Clone, Debug)]
pub struct Policy {
    logs: Vec<NoteKey>,
    witnesses: Vec<NoteKey>,
    groups: Vec<Group>,
    quorum: Quorum,
}

#[derive(Clone, Copy, Debug)]
enum Quorum {
    None,
    Of(Member),
}

#[derive(Clone, Debug)]
struct Group {
    need: usize,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// All faults of a policy, each with its line from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError {
    pub faults: Vec<(usize, String)>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the policy cannot be used")?;
        for (at, (line, fault)) in self.faults.iter().enumerate() {
            write!(f, "{}line {line}: {fault}", if at == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

impl PolicyError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "lines are `log KEY [URL]`, `witness NAME KEY [URL]`, `group NAME N|any|all NAME…` and one \
         `quorum NAME` or `quorum none`; names are defined above the line that uses them, and the \
         last line ends"
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<NoteKey>,
    witnesses: Vec<NoteKey>,
    groups: Vec<Group>,
    names: Vec<(String, Member)>,
    used: Vec<String>,
    quorum: Option<Quorum>,
}

impl Policy {
    /// Reads a policy; refuses it with all that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        let whole = |fault: &str| PolicyError { faults: vec![(1, fault.to_owned())] };
        if bytes.len() > POLICY_BYTES {
            return Err(whole(&format!("{} bytes, at most {POLICY_BYTES} are read", bytes.len())));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| whole("it is not UTF-8 text"))?;
        let mut reader = Reader::default();
        let mut faults = Vec::new();
        let mut last = 0;
        for (number, line) in (1..).zip(text.strip_suffix('\n').unwrap_or(text).split('\n')) {
            last = number;
            if let Err(fault) = reader.line(line) {
                faults.push((number, fault));
            }
        }
        if !text.ends_with('\n') {
            faults.push((last, "the last line does not end: the rest may be cut off".to_owned()));
        }
        let Some(quorum) = reader.quorum else {
            faults.push((last + 1, "there is no `quorum` line".to_owned()));
            return Err(PolicyError { faults });
        };
        let Reader { logs, witnesses, groups, .. } = reader;
        if faults.is_empty() {
            Ok(Self { logs, witnesses, groups, quorum })
        } else {
            Err(PolicyError { faults })
        }
    }

    /// Returns the keys of the log of that name: those under it, and those under the name of which
    /// it is a shard.
    pub fn keys_of(&self, origin: &str) -> Vec<NoteKey> {
        self.logs.iter().filter_map(|key| key.of_log(origin)).collect()
    }

    /// Returns the keys of the witnesses.
    pub fn witnesses(&self) -> &[NoteKey] {
        &self.witnesses
    }

    /// Says whether witnesses are asked for at all.
    pub fn wants_witnesses(&self) -> bool {
        matches!(self.quorum, Quorum::Of(_))
    }

    /// Returns when the quorum was met (seconds), of witnesses that signed at these times; `None`
    /// when it was not, or when none is asked for.
    pub fn met_at(&self, signed: &[(usize, u64)]) -> Option<u64> {
        let Quorum::Of(wanted) = self.quorum else { return None };
        let mut by_time: Vec<(u64, usize)> = signed.iter().map(|(at, time)| (*time, *at)).collect();
        by_time.sort_unstable();
        let mut there = Vec::with_capacity(by_time.len());
        for (time, witness) in by_time {
            there.push(witness);
            if self.stands(&there, wanted) {
                return Some(time);
            }
        }
        None
    }

    fn stands(&self, there: &[usize], wanted: Member) -> bool {
        // Groups name only earlier groups, so one pass in their order settles all.
        let mut settled: Vec<bool> = Vec::with_capacity(self.groups.len());
        let of = |member: &Member, settled: &[bool]| match member {
            Member::Witness(at) => there.contains(at),
            Member::Group(at) => settled.get(*at).copied().unwrap_or(false),
        };
        for group in &self.groups {
            let found = group.members.iter().filter(|member| of(member, &settled)).count();
            settled.push(found >= group.need);
        }
        of(&wanted, &settled)
    }
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(odd) = line.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(format!("the character {odd:?} cannot stand in a policy"));
        }
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            [] => Ok(()),
            [comment, ..] if comment.starts_with('#') => Ok(()),
            ["log", key] | ["log", key, _] => self.log(key),
            ["witness", name, key] | ["witness", name, key, _] => self.witness(name, key),
            ["group", name, need, ref members @ ..] => self.group(name, need, members),
            ["quorum", name] => self.quorum(name),
            [word, ref rest @ ..] => Err(format!(
                "`{}` with {} words after it is no line of a policy",
                excerpt(word),
                rest.len()
            )),
        }
    }

    fn key(&self, text: &str, fits: fn(Kind) -> bool) -> Result<NoteKey, String> {
        let key = NoteKey::parse(text).map_err(|why| format!("`{}`: {why}", excerpt(text)))?;
        if !fits(key.kind) {
            return Err(format!("the key of `{}` is of another type", excerpt(&key.name)));
        }
        let known = self.logs.iter().chain(&self.witnesses);
        let twin = |other: &NoteKey| other.bytes() == key.bytes() && fits(other.kind);
        if known.into_iter().any(twin) {
            return Err(format!("the key of `{}` stands there twice", excerpt(&key.name)));
        }
        Ok(key)
    }

    fn log(&mut self, key: &str) -> Result<(), String> {
        let key = self.key(key, |kind| kind != Kind::Witness)?;
        room(self.logs.len())?;
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str) -> Result<(), String> {
        let key = self.key(key, |kind| kind != Kind::Log)?;
        room(self.witnesses.len())?;
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(key);
        Ok(())
    }

    fn group(&mut self, name: &str, need: &str, members: &[&str]) -> Result<(), String> {
        let wanted = match need {
            "any" => Some(1),
            "all" => Some(members.len()),
            number => decimal(number).and_then(|n| usize::try_from(n).ok()),
        };
        let need = wanted.filter(|need| (1..=members.len()).contains(need)).ok_or_else(|| {
            format!("`{}` is no number from 1 to {}, `any`, `all`", excerpt(need), members.len())
        })?;
        room(self.groups.len())?;
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            found.push(self.find(member)?);
            if self.used.iter().any(|used| used == member) {
                return Err(format!("`{}` is a member already", excerpt(member)));
            }
            self.used.push((*member).to_owned());
        }
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { need, members: found });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("a second `quorum` line".to_owned());
        }
        let none = name == "none";
        self.quorum = Some(if none { Quorum::None } else { Quorum::Of(self.find(name)?) });
        Ok(())
    }

    fn define(&mut self, name: &str, what: Member) -> Result<(), String> {
        if name == "none" || self.names.iter().any(|(known, _)| known == name) {
            return Err(format!("the name `{}` cannot be given (again)", excerpt(name)));
        }
        self.names.push((name.to_owned(), what));
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Member, String> {
        let found = self.names.iter().find(|(known, _)| known == name);
        let undefined = || format!("`{}` is not defined above", excerpt(name));
        found.map(|(_, member)| *member).ok_or_else(undefined)
    }
}

fn room(held: usize) -> Result<(), String> {
    if held < MOST { Ok(()) } else { Err(format!("more than {MOST} lines of one kind")) }
}
