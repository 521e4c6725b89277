//! What can be wrong with a policy.

use super::super::key::KeyError;
use super::{MOST, Octets, POLICY_BYTES};
use std::fmt;

/// All faults of a policy, in order of their lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError {
    /// Each with its line, from 1; a fault of the whole file has the line after the last.
    pub faults: Vec<(usize, PolicyFault)>,
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

/// One thing wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum PolicyFault {
    #[error("{got} bytes, at most {POLICY_BYTES} are read")]
    Long { got: usize },
    #[error("byte {byte:#04x} cannot stand in a policy")]
    Octet { byte: u8 },
    #[error("the last line does not end")]
    Unended,
    #[error("`{word}` is none of log, witness, group, quorum")]
    Keyword { word: Octets },
    #[error("`{keyword}` takes {want}")]
    Words { keyword: &'static str, want: &'static str },
    #[error("{key}")]
    Key { key: KeyError },
    #[error("the key of `{name}` is not of a type in which a {who} signs")]
    Kind { name: String, who: &'static str },
    #[error("the key stands in line {first} too")]
    SameKey { first: usize },
    #[error("`{name}` is defined in line {first} already")]
    SameName { name: Octets, first: usize },
    #[error("`none` is no name")]
    None,
    #[error("`{name}` is not defined above")]
    Undefined { name: Octets },
    #[error("`{name}` is a member of a group already")]
    Member { name: Octets },
    #[error("`{text}` is no number from 1 to {members}, `any` or `all`")]
    Threshold { text: Octets, members: usize },
    #[error("more than {MOST} lines of `{keyword}`")]
    Most { keyword: &'static str },
    #[error("a second quorum, after that in line {first}")]
    SecondQuorum { first: usize },
    #[error("there is no quorum line")]
    NoQuorum,
}

impl PolicyFault {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key { key } => key.hint(),
            Self::Kind { .. } => "a log's key has type 0x01, a witness's 0x04",
            Self::Unended => "end the file with a newline: its end may have been cut off",
            Self::NoQuorum => "end with `quorum NAME`, or `quorum none` to ask for no witness",
            Self::Undefined { .. } => "move the definition above the line that uses it",
            Self::Member { .. } => "let each witness and group count in one place only",
            _ => {
                "lines are `log KEY [URL]`, `witness NAME KEY [URL]`, `group NAME N|any|all NAME…` \
                  and one `quorum NAME`"
            }
        }
    }
}
