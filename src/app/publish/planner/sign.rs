//! Timetables signed, on as many threads as are worth starting.

use super::super::PublishFault;
use crate::app::ports::{StoredDay, StoredTimetable};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::time::UtcMs;
use crate::wire::Refusal;
use crate::wire::doc::{self, Timetable};
use crate::wire::jws::SecretKey;
use std::sync::Arc;

/// Timetables signed by one thread before another is worth starting.
const SIGNED_ALONE: usize = 64;

/// A timetable that is to be signed.
pub(super) struct Unsigned {
    pub(super) claims: Timetable,
    pub(super) content: Digest,
    pub(super) days: Arc<[StoredDay]>,
}

/// Signs all of them, on as many threads as there are cores; what is too large is a fault.
pub(super) fn sign_all(
    key: &SecretKey,
    unsigned: Vec<Unsigned>,
    now: UtcMs,
    faults: &mut Vec<PublishFault>,
) -> Vec<StoredTimetable> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let part = unsigned.len().div_ceil(cores).max(SIGNED_ALONE);
    let signed: Vec<Result<String, Refusal>> = std::thread::scope(|scope| {
        let threads: Vec<_> = unsigned
            .chunks(part)
            .map(|chunk| {
                scope.spawn(move || {
                    let sign = |u: &Unsigned| doc::sign(key, &u.claims);
                    chunk.iter().map(sign).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("signing a checked structure does not panic"))
            .collect()
    });
    let mut timetables = Vec::with_capacity(signed.len());
    for (Unsigned { claims, content, days }, jws) in unsigned.into_iter().zip(signed) {
        let jws = match jws {
            Ok(jws) => jws,
            Err(refusal) => {
                faults.push(refused(claims.aud, &refusal));
                continue;
            }
        };
        timetables.push(StoredTimetable {
            device: claims.aud,
            ver: claims.ver,
            made_ms: now,
            exp_ms: UtcMs::from_numeric_date(claims.exp),
            content,
            days,
            jws: jws.into(),
            published_ms: None,
        });
    }
    timetables
}

fn refused(device: DeviceId, refusal: &Refusal) -> PublishFault {
    match refusal {
        Refusal::Limit { what: "bytes", got, max } => PublishFault::TimetableTooLarge {
            device,
            bytes: usize::try_from(*got).unwrap_or(usize::MAX),
            limit: usize::try_from(*max).unwrap_or(usize::MAX),
        },
        _ => PublishFault::TimetableRefused { device, why: refusal.to_string() },
    }
}
