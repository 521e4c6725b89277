//! Asks the authority for one time stamp: blocking, bounded in time and bytes.

use crate::cmds::server::agent;
use crate::config::TokenConfig;
use crate::stamp::{Oid, OidError, REQUEST_TYPE, Request, Stamp, StampError, Token, Trust};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an authority may take.
const ASK: Duration = Duration::from_secs(30);
/// Bytes of the longest file of certificates; the reader of it says so too.
const CA_BYTES: u64 = 262_144;
/// Bytes of the longest answer: a token with its status around it.
const ANSWER_BYTES: u64 = crate::stamp::TOKEN_BYTES as u64;

/// The authority of a station.
#[derive(Clone, Debug)]
pub struct Authority {
    url: String,
    ca: PathBuf,
    policy: Option<String>,
    patience: Duration,
}

/// Why there is no stamp.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("`{}`, the authority's certificates, cannot be read", path.display())]
    Ca {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}`, the authority's certificates, cannot be used", path.display())]
    Trust {
        path: PathBuf,
        #[source]
        source: StampError,
    },
    #[error("the policy `{text}` is none")]
    Policy {
        text: String,
        #[source]
        source: OidError,
    },
    #[error("no line to the authority `{url}`: {why}")]
    Line { url: String, why: String },
    #[error("the authority `{url}` does not answer")]
    Silent {
        url: String,
        #[source]
        source: Box<ureq::Error>,
    },
    #[error("the authority `{url}` answers with status {status}")]
    Status { url: String, status: u16 },
    #[error("the answer of the authority `{url}` does not count")]
    Answer {
        url: String,
        #[source]
        source: StampError,
    },
    #[error("the system gave no random numbers")]
    Random,
    #[error("the work broke off")]
    BrokeOff,
}

impl AskError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Ca { .. } => {
                "put the file that `log.tokens.ca_file` names into the station folder"
            }
            Self::Trust { source, .. } | Self::Answer { source, .. } => source.hint(),
            Self::Policy { .. } => "numbers parted by points, as the authority publishes it",
            Self::Line { .. } | Self::Silent { .. } => {
                "see that this machine may reach the address of `log.tokens.url`; it is tried again"
            }
            Self::Status { .. } => {
                "see that `log.tokens.url` is the address for requests by RFC 3161; it is tried again"
            }
            Self::Random | Self::BrokeOff => "it is tried again",
        }
    }
}

impl Authority {
    /// Returns the authority that the station file names; nothing is read yet.
    pub fn new(config: &TokenConfig, station: &Path) -> Self {
        let TokenConfig { url, ca_file, policy } = config;
        let (url, ca, policy) = (url.clone(), station.join(ca_file), policy.clone());
        Self { url, ca, policy, patience: ASK }
    }

    /// Waits so long for an answer.
    #[cfg(test)]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Reads the certificates anew each time: who replaces them need not restart the server.
    pub fn trust(&self) -> Result<Trust, AskError> {
        let path = || self.ca.clone();
        let mut pem = Vec::new();
        std::fs::File::open(&self.ca)
            .and_then(|file| file.take(CA_BYTES + 1).read_to_end(&mut pem))
            .map_err(|source| AskError::Ca { path: path(), source })?;
        Trust::from_pem(&pem).map_err(|source| AskError::Trust { path: path(), source })
    }

    /// Asks for a stamp over a note; what comes back was judged.
    pub fn stamp(&self, note: &[u8], nonce: [u8; 16]) -> Result<(Token, Stamp), AskError> {
        let trust = self.trust()?;
        let mut request = Request::of(note, nonce);
        if let Some(text) = &self.policy {
            let policy: Oid =
                text.parse().map_err(|source| AskError::Policy { text: text.clone(), source })?;
            request = request.under(policy);
        }
        let answer = self.post(&request.bytes())?;
        let wrong = |source| AskError::Answer { url: self.url.clone(), source };
        request.accept(&answer, note, &trust).map_err(wrong)
    }

    fn post(&self, request: &[u8]) -> Result<Vec<u8>, AskError> {
        let url = || self.url.clone();
        let agent = agent(self.patience, self.url.starts_with("https://"), None)
            .map_err(|error| AskError::Line { url: url(), why: format!("{error:#}") })?;
        let silent = |source| AskError::Silent { url: url(), source: Box::new(source) };
        let sent = agent.post(&self.url).content_type(REQUEST_TYPE).send(request);
        let mut answer = sent.map_err(silent)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(AskError::Status { url: url(), status: status.as_u16() });
        }
        let read = answer.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec();
        read.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => {
                let source = StampError::Long { got: crate::stamp::TOKEN_BYTES + 1 };
                AskError::Answer { url: url(), source }
            }
            error => silent(error),
        })
    }
}
