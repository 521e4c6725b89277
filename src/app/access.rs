//! Who may use API and page: bearer tokens, one-time links, page sessions.
//!
//! A secret is 256 random bits and shown once; the store knows its SHA-256 alone. Presented
//! secrets are compared as hashes in constant time. A token opens what its person may. Scopes: [`API`] for programs, [`LINK`] for a
//! link that works once, [`PAGE`] for the session it opens.

use super::ports::{Registry, StoreError, Token};
use crate::domain::ids::{Digest, PersonId};
use crate::domain::time::UtcMs;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// Scope of a token for programs: the whole API.
pub const API: &str = "api";
/// Scope of a one-time link to the page.
pub const LINK: &str = "link";
/// Scope of a browser's session on the page.
pub const PAGE: &str = "page";

/// How long a one-time link works.
pub const LINK_MS: i64 = 24 * 3600 * 1000;
/// How long a session on the page lasts.
pub const SESSION_MS: i64 = 30 * 24 * 3600 * 1000;

/// A secret as it is shown once. Its `Debug` gives nothing away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Makes a new one from the system's randomness.
    pub fn random() -> Result<Self, AccessError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|source| AccessError::Random { source })?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns the text to show.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Why no token could be made.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("the system gave no random numbers")]
    Random {
        #[source]
        source: getrandom::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token that opens what the person may, and keeps its hash.
pub async fn grant(
    store: &dyn Registry,
    name: &str,
    person: Option<&PersonId>,
    scope: &str,
    now: UtcMs,
    lasts_ms: Option<i64>,
) -> Result<Secret, AccessError> {
    let secret = Secret::random()?;
    store
        .put_token(&Token {
            hash: Digest::of(secret.reveal().as_bytes()),
            name: name.to_owned(),
            person: person.cloned(),
            scope: scope.to_owned(),
            made_ms: now,
            expires_ms: lasts_ms.map(|ms| now.plus(ms)),
            uses_left: (scope == LINK).then_some(1),
        })
        .await?;
    Ok(secret)
}

/// Returns the token of that scope which the presented text is, if it is in force.
pub async fn check(
    store: &dyn Registry,
    scope: &str,
    presented: &str,
    now: UtcMs,
) -> Result<Option<Token>, StoreError> {
    let presented = Digest::of(presented.as_bytes());
    let mut found = None;
    // All are compared, so that the time taken says nothing about how near a guess came.
    for token in store.tokens().await? {
        let good = equal(&token.hash.0, &presented.0)
            && token.scope == scope
            && token.expires_ms.is_none_or(|end| now < end)
            && token.uses_left != Some(0);
        if good {
            found = Some(token);
        }
    }
    Ok(found)
}

/// Withdraws every token of a person: who has ended must not come in by an open session either.
pub async fn withdraw_all(store: &dyn Registry, person: &PersonId) -> Result<usize, StoreError> {
    let mut gone = 0;
    for token in store.tokens().await? {
        if token.person.as_ref() == Some(person) && store.remove_token(&token.hash).await? {
            gone += 1;
        }
    }
    Ok(gone)
}

/// Spends a one-time link and opens a session for it; `None` when the link is not good (any more).
pub async fn open_session(
    store: &dyn Registry,
    presented: &str,
    now: UtcMs,
) -> Result<Option<Secret>, AccessError> {
    let Some(link) = check(store, LINK, presented, now).await? else { return Ok(None) };
    let hash = Digest::of(presented.as_bytes());
    // Two browsers may come with one link at once: the store lets one of them through.
    if store.use_token(&hash, now).await?.is_none() {
        return Ok(None);
    }
    store.remove_token(&hash).await?;
    let person = link.person.as_ref();
    Ok(Some(grant(store, "page", person, PAGE, now, Some(SESSION_MS)).await?))
}

/// Drops what has expired; tokens are few, sessions come and go.
pub async fn sweep(store: &dyn Registry, now: UtcMs) -> Result<usize, StoreError> {
    let mut swept = 0;
    for token in store.tokens().await? {
        if token.expires_ms.is_some_and(|end| end <= now) {
            store.remove_token(&token.hash).await?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// Compares in a time that does not depend on where the two differ.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}
