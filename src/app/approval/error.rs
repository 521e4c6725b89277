//! Why nothing was decided about a proposal.

use crate::app::people::Role;
use crate::app::ports::StoreError;
use crate::domain::ids::{Digest, PersonId, PlaylistId, UnitId};

/// Longest reason in characters.
pub(super) const REASON: usize = 500;

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error("no proposal `{hash}`")]
    Unknown { hash: Digest },
    #[error("nothing waits for approval")]
    Nothing,
    #[error("proposal `{hash}` is {state}")]
    NotOpen { hash: Digest, state: &'static str },
    #[error("`{person}` proposed it, and somebody else must approve")]
    Own { person: PersonId },
    #[error("`{person}` has approved it already; one more person is needed")]
    Twice { person: PersonId },
    #[error("`{person}` does not have the role `{role}` for unit `{unit}`")]
    NotFor { person: PersonId, role: Role, unit: UnitId },
    #[error("`{person}` does not have the role `{role}` for the whole station")]
    NotForAll { person: PersonId, role: Role },
    #[error(
        "what is in force has changed since proposal `{hash}` was made, and it would now do \
         something else on air"
    )]
    Moved { hash: Digest },
    #[error("`{file}` does not wait for approval")]
    NotWaiting { file: String },
    #[error("`{file}` waits together with {others}, as proposal `{hash}`")]
    Part { file: String, others: String, hash: Digest },
    #[error("{count} files are more than the {most} of one proposal")]
    TooMany { count: usize, most: usize },
    #[error("what waits in these files does not fit what is in force")]
    Unfit,
    #[error("`{person}` did not propose `{hash}`")]
    NotAuthor { person: PersonId, hash: Digest },
    #[error("nothing came into force by approval `{hash}`")]
    NoVersion { hash: Digest },
    #[error("what approval `{hash}` brought no longer fits the register")]
    Misfit { hash: Digest },
    #[error("playlist `{playlist}` is not in force")]
    NoPlaylist { playlist: PlaylistId },
    #[error("no unit `{unit}`")]
    NoUnit { unit: UnitId },
    #[error("nothing would change: this is in force")]
    Same,
    #[error("a reason has 1 to {REASON} characters")]
    Reason,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeskError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Nothing => "`loa proposals` lists what waits",
            Self::NotOpen { .. } => {
                "what was returned, taken back or became stale is proposed anew by \
                 `loa propose HASH`; `loa proposals` lists what waits"
            }
            Self::Own { .. } => "ask another approver",
            Self::Twice { .. } => {
                "a file has no proven author: `loa propose` names one, then one approver is enough"
            }
            Self::NotFor { .. } | Self::NotForAll { .. } => {
                "an administrator gives roles: `loa user grant PERSON ROLE [--unit UNIT]`"
            }
            Self::Moved { .. } => {
                "`loa proposal HASH` shows what it would do now; `loa propose HASH` proposes it anew"
            }
            Self::NotWaiting { .. } => {
                "`loa proposals` lists what waits; `loa check` tells faults, and a running server \
                 reads a saved file within seconds"
            }
            Self::Part { .. } => {
                "name them all; or part them first: `loa propose --take-back HASH`"
            }
            Self::TooMany { .. } => "propose them in parts",
            Self::Unfit => "`loa check` tells why; propose with them what they need",
            Self::NotAuthor { .. } => "an approver returns it: `loa approve HASH --return`",
            Self::NoVersion { .. } | Self::Same => "`loa proposals --all` lists earlier approvals",
            Self::Misfit { .. } => "put the files back into the folder and propose them",
            Self::NoUnit { .. } => "`loa unit list` shows all",
            Self::NoPlaylist { .. } => "`GET /api/v1/playlists` lists what is in force",
            Self::Reason => "say in a sentence why",
            Self::Store(error) => error.hint(),
        }
    }
}
