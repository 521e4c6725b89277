//! §5: who may sign. Last, since from here on another key signs the timetables.

use crate::conform::author::{random, sign};
use crate::conform::chapters::documents::taken;
use crate::conform::lab::{Lab, SOON, Step, Stop};
use crate::conform::rows::Check;
use crate::domain::ids::Digest;
use crate::wire::epoch::{self, Change, KeySet, KeysBody, LogChange};
use crate::wire::jws::{Role, SecretKey};
use crate::wire::topic::Topic;
use std::collections::BTreeSet;

pub const CHECKS: &[Check] = &[
    Check {
        id: "keys-forged",
        place: "§5",
        says: "believes no epoch that another root has signed",
    },
    Check {
        id: "keys-new",
        place: "§5",
        says: "a new epoch brings new keys; a document that waited for them comes into force",
    },
    Check {
        id: "keys-revoked",
        place: "§5",
        says: "believes nothing more by a key that an epoch revokes",
    },
    Check {
        id: "keys-shorter",
        place: "§5",
        says: "does not go back to a shorter chain of epochs",
    },
];

pub async fn run(lab: &mut Lab) -> Step {
    forged(lab).await?;
    let old = lab.author.keys.schedule.clone();
    new(lab, &old).await?;
    lab.begin("keys-revoked");
    let (claims, named) = timetable(lab)?;
    if taken(lab, sign(&old, "timetable", &claims), &named).await? {
        lab.fail("it took a timetable by it");
    } else {
        lab.pass("");
    }
    lab.begin("keys-shorter");
    let first = KeysBody::new(lab.author.epochs[..1].to_vec()).encode();
    lab.publish(&Topic::Keys, first, true).await?;
    let (claims, named) = timetable(lab)?;
    let believed = taken(lab, sign(&old, "timetable", &claims), &named).await;
    let chain = lab.author.chain();
    lab.publish(&Topic::Keys, chain, true).await?;
    match believed {
        Ok(false) => lab.pass(""),
        Ok(true) => lab.fail("after the shorter chain it took a timetable by the revoked key"),
        Err(Stop::Waited { .. }) => lab.fail("after the shorter chain it takes no good timetable"),
        Err(stop) => return Err(stop),
    }
    Ok(())
}

fn timetable(lab: &mut Lab) -> Step<(serde_json::Value, Digest)> {
    let named = Digest(random()?);
    Ok((lab.author.timetable(&named, lab.day.0, lab.day.1), named))
}

async fn forged(lab: &mut Lab) -> Step {
    lab.begin("keys-forged");
    let thief = SecretKey::from_seed(&random()?);
    let root = SecretKey::from_seed(&random()?);
    let mut keys = lab.author.keys.clone();
    keys.set(Role::Schedule, thief.clone());
    // The epoch that the real root would have to sign, by another one.
    let second = next(lab, &keys, &BTreeSet::new())?;
    let claims: serde_json::Value = second
        .split('.')
        .nth(1)
        .and_then(crate::wire::b64::decode)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let mut epochs = lab.author.epochs.clone();
    epochs.push(sign(&root, "keys", &claims));
    lab.publish(&Topic::Keys, KeysBody::new(epochs).encode(), true).await?;
    let (claims, named) = timetable(lab)?;
    let believed = taken(lab, sign(&thief, "timetable", &claims), &named).await;
    let chain = lab.author.chain();
    lab.publish(&Topic::Keys, chain, true).await?;
    match believed {
        Ok(false) => lab.pass(""),
        Ok(true) => lab.fail("it took a timetable by the thief's key"),
        Err(Stop::Waited { .. }) => lab.fail("it takes no good timetable any more"),
        Err(stop) => return Err(stop),
    }
    Ok(())
}

/// Signs the next epoch with these keys.
fn next(
    lab: &Lab,
    keys: &crate::wire::server_keys::ServerKeys,
    revoke: &BTreeSet<crate::wire::jws::Kid>,
) -> Step<String> {
    let refused = |refusal: crate::wire::Refusal| {
        Stop::Random(std::io::Error::other(format!("our own chain of keys: {refusal}")))
    };
    let chain = KeySet::verify(&lab.author.chain(), &lab.author.root.kid()).map_err(refused)?;
    let change = Change { keys, revoke, root: None, log: LogChange::Keep };
    let longer =
        epoch::next(&chain, &lab.author.root, &change, lab.clock.now()).map_err(refused)?;
    Ok(longer.newest().to_owned())
}

async fn new(lab: &mut Lab, old: &SecretKey) -> Step {
    lab.begin("keys-new");
    let mut keys = lab.author.keys.clone();
    keys.set(Role::Schedule, SecretKey::from_seed(&random()?));
    // The timetable first, by the key that nobody knows yet.
    let plan = lab.plan();
    let (bytes, name) = lab.sheet(&plan);
    let claims = lab.author.timetable(&name, lab.day.0, lab.day.1);
    let waiting = sign(&keys.schedule, "timetable", &claims);
    let mark = lab.trace.mark();
    lab.publish(&Topic::Sheet(name), bytes, true).await?;
    lab.timetable(waiting).await?;
    lab.rest(500).await;
    let revoke = BTreeSet::from([old.kid()]);
    let second = next(lab, &keys, &revoke)?;
    lab.author.keys = keys;
    lab.author.epochs.push(second);
    let chain = lab.author.chain();
    lab.publish(&Topic::Keys, chain, true).await?;
    let topic = lab.topic(&Topic::Sheet(name));
    if lab.trace.sent(mark, &topic, &name, SOON).await {
        lab.pass("its sheet was asked for once the epoch had come");
        return Ok(());
    }
    // Was it only not kept waiting?
    match lab.install(&plan).await {
        Ok(_) => lab.fail("it takes the new key, but not the timetable that had waited for it"),
        Err(Stop::Waited { .. }) => lab.fail("it does not take the new key"),
        Err(stop) => return Err(stop),
    }
    Ok(())
}
