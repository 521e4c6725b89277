//! Asks devices for records that are missing before others that came.

use crate::app::publish::Publication;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Command, Do};
use crate::wire::jws::SecretKey;
use crate::wire::limits;
use crate::wire::topic::{Topic, Topics};
use std::collections::BTreeMap;

/// Most numbers asked for at once; the rest is asked for when these have come.
const AT_ONCE: u64 = 4_096;
/// First wait before the same gap is asked for again; it doubles.
const WAIT_MS: i64 = 20_000;
/// Longest wait.
const WAIT_MAX_MS: i64 = 900_000;

/// The open gaps, one a chain.
#[derive(Debug, Default)]
pub(super) struct Asking {
    gaps: BTreeMap<(DeviceId, ChainId), Gap>,
}

#[derive(Debug)]
struct Gap {
    span: (u64, u64),
    next: UtcMs,
    wait_ms: i64,
}

impl Asking {
    /// Notes what a chain lacks now.
    pub(super) fn note(
        &mut self,
        device: &DeviceId,
        chain: ChainId,
        gap: Option<(u64, u64)>,
        now: UtcMs,
    ) {
        let key = (device.clone(), chain);
        match gap {
            None => {
                self.gaps.remove(&key);
            }
            Some(span) => {
                let known =
                    self.gaps.entry(key).or_insert(Gap { span, next: now, wait_ms: WAIT_MS });
                if known.span != span {
                    *known = Gap { span, next: known.next, wait_ms: WAIT_MS };
                }
            }
        }
    }

    /// Keeps the gaps of some devices only.
    pub(super) fn retain(&mut self, keep: impl Fn(&DeviceId) -> bool) {
        self.gaps.retain(|(device, _), _| keep(device));
    }

    /// Returns the commands whose time has come.
    pub(super) fn due(
        &mut self,
        now: UtcMs,
        topics: &Topics,
        issuer: &str,
        key: &SecretKey,
    ) -> Vec<Publication> {
        let mut commands = Vec::new();
        for ((device, chain), gap) in &mut self.gaps {
            // A clock set back must not silence the asking.
            if gap.next > now && gap.next.since(now) <= WAIT_MAX_MS {
                continue;
            }
            gap.next = now.plus(gap.wait_ms);
            gap.wait_ms = (gap.wait_ms * 2).min(WAIT_MAX_MS);
            let (from, to) = (gap.span.0, gap.span.1.min(gap.span.0 + AT_ONCE - 1));
            let name = format!("resend {device} {chain} {from} {to} {}", now.0);
            let command = Command {
                v: 1,
                iss: doc::issuer(issuer),
                aud: device.clone(),
                iat: now.numeric_date(),
                exp: now.numeric_date() + limits::COMMAND_LIFE_S,
                jti: Digest::of(name.as_bytes()).to_string()[..32].to_owned(),
                act: Do::Resend { chain: *chain, from, to },
            };
            let topic = topics.of(&Topic::Command(device.clone()));
            match doc::sign(key, &command) {
                Ok(jws) => {
                    commands.push(Publication { topic, payload: jws.into(), retain: false });
                }
                Err(error) => {
                    tracing::error!(device.id = %device, %error, "A command cannot be signed");
                }
            }
        }
        commands
    }
}
