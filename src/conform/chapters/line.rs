//! §4: how a device connects, and comes back.

use crate::conform::lab::{Lab, Step, Stop};
use crate::conform::rows::Check;
use crate::conform::trace::{Hello, Message, Seen, What};
use crate::wire::b64;
use crate::wire::doc::{State, StateKind};
use crate::wire::topic::Topic;
use std::collections::BTreeSet;

pub const CHECKS: &[Check] = &[
    Check {
        id: "connect-client",
        place: "§4",
        says: "connects with its own id as client id and user name, clean session, keep-alive 60 s",
    },
    Check {
        id: "connect-will",
        place: "§4",
        says: "leaves a retained will on its state: `lost`, with the counter of this connection",
    },
    Check {
        id: "connect-birth",
        place: "§4",
        says: "first publishes its state, retained: `init`, with the counter of the will",
    },
    Check { id: "connect-keys", place: "§4", says: "subscribes to `keys` before all others" },
    Check {
        id: "connect-topics",
        place: "§4, §17",
        says: "subscribes at QoS 1 to its own topics and its units', and to nothing else",
    },
    Check {
        id: "connect-ready",
        place: "§4, §9",
        says: "after that says `ready` with a nonce of 16 bytes",
    },
];

pub const AGAIN: &[Check] = &[
    Check {
        id: "reconnect-pace",
        place: "§4",
        says: "when the line is cut tries again, waiting longer each time",
    },
    Check {
        id: "reconnect-anew",
        place: "§4",
        says: "on the new connection counts on, subscribes to everything anew and asks for the time",
    },
];

/// The first connection.
pub async fn first(lab: &mut Lab) -> Step {
    lab.begin("connect-client");
    let mark = lab.trace.mark();
    if lab.rig.power.is_some() {
        lab.rig.on().await?;
    }
    let wait = if lab.rig.power.is_some() { 60_000 } else { 600_000 };
    let hello = lab.trace.until(mark, wait, hello).await;
    let Some(hello) = hello else {
        return Err(Stop::Waited { what: "no connection", ms: wait });
    };
    let wrong = client(&hello, lab.author.device.as_str(), &lab.password);
    lab.judge(&wrong, format!("client id `{}`, {} s", hello.client_id, hello.keep_alive_s));
    lab.begin("connect-will");
    let state = lab.topic(&Topic::State(lab.author.device.clone()));
    let will = will(&hello, &state);
    match &will {
        Ok(conn) => lab.pass(format!("connection {conn}")),
        Err(wrong) => lab.fail(wrong.clone()),
    }
    lab.begin("connect-birth");
    lab.ready(mark, 30_000).await?;
    let seen = connection(lab);
    match birth(&seen, &state) {
        Ok(conn) if will.as_ref().is_ok_and(|will| *will != conn) => {
            lab.fail(format!("counter {conn}, and {} in the will", will.unwrap_or_default()));
        }
        Ok(conn) => lab.pass(format!("connection {conn}")),
        Err(wrong) => lab.fail(wrong),
    }
    lab.begin("connect-keys");
    let keys = lab.topic(&Topic::Keys);
    let first = seen.iter().find_map(|one| match &one.what {
        What::Subscribed(filters) => Some(filters.clone()),
        _ => None,
    });
    match first {
        Some(filters) if filters.len() == 1 && filters[0].0 == keys => lab.pass(""),
        Some(filters) => lab.fail(format!("first subscribes to {}", names(&filters))),
        None => lab.fail("subscribes to nothing"),
    }
    topics(lab).await;
    lab.begin("connect-ready");
    match ready(&connection(lab), &state) {
        Ok(()) => lab.pass(""),
        Err(wrong) => lab.fail(wrong),
    }
    Ok(())
}

async fn topics(lab: &mut Lab) {
    lab.begin("connect-topics");
    let (needed, own) = needed(lab);
    let lacking = |seen: &[Seen]| -> Vec<String> {
        let asked = filters(seen);
        let has = |topic: &String| {
            asked.contains(topic) || (topic.starts_with(&own) && asked.contains(&format!("{own}+")))
        };
        needed.iter().filter(|topic| !has(topic)).cloned().collect()
    };
    let all = lab.trace.until(lab.since, 10_000, |seen| lacking(seen).is_empty().then_some(()));
    let mut wrong = Vec::new();
    if all.await.is_none() {
        let lacking = lab.trace.look(lab.since, lacking);
        wrong.push(format!("does not subscribe to {}", lacking.join(", ")));
    }
    let seen = connection(lab);
    for filter in filters(&seen) {
        if !allowed(lab, &needed, &own, &filter) {
            wrong.push(format!("subscribes to `{filter}`"));
        }
    }
    for one in &seen {
        match &one.what {
            What::Subscribed(filters) => {
                for (filter, _) in filters.iter().filter(|(_, qos)| *qos != 1) {
                    wrong.push(format!("subscribes to `{filter}` at another QoS than 1"));
                }
            }
            What::Denied(filters) => wrong.push(format!("the broker refused {filters:?}")),
            _ => {}
        }
    }
    lab.judge(&wrong, format!("{} filters", filters(&seen).len()));
}

/// After a cut that another chapter made.
pub async fn again(lab: &mut Lab) -> Step {
    lab.begin("reconnect-pace");
    let before = conn_of(lab);
    let mark = lab.trace.mark();
    let begun = lab.clock.mono_ms();
    lab.tap.shut();
    lab.rest(6_000).await;
    lab.tap.open();
    let knocks: Vec<i64> = lab.trace.look(mark, |seen| {
        let knocked = seen.iter().filter(|one| one.what == What::Knocked);
        knocked.map(|one| one.at - begun).collect()
    });
    let told = knocks.iter().map(|ms| format!("{:.1}", seconds(*ms))).collect::<Vec<_>>();
    // A random wait below 1, 2, 4, 8 s: four attempts or so in 6 s, and by chance some more.
    if knocks.len() > 12 {
        lab.fail(format!("{} attempts in 6 s", knocks.len()));
    } else {
        lab.pass(format!("attempts after {} s", told.join(", ")));
    }
    lab.begin("reconnect-anew");
    lab.ready(mark, 90_000).await?;
    let mut wrong = Vec::new();
    match (before, conn_of(lab)) {
        (Some(old), Some(new)) if new > old => {}
        (old, new) => wrong.push(format!("counter {new:?} after {old:?}")),
    }
    let (needed, own) = needed(lab);
    let all = lab.trace.until(lab.since, 10_000, |seen| {
        let asked = filters(seen);
        let has = |topic: &&String| {
            asked.contains(*topic)
                || (topic.starts_with(&own) && asked.contains(&format!("{own}+")))
        };
        needed.iter().all(|topic| has(&topic)).then_some(())
    });
    if all.await.is_none() {
        wrong.push("does not subscribe to everything again".to_owned());
    }
    let state = lab.topic(&Topic::State(lab.author.device.clone()));
    if let Err(why) = ready(&connection(lab), &state) {
        wrong.push(why);
    }
    lab.judge(&wrong, format!("connection {}", conn_of(lab).unwrap_or_default()));
    Ok(())
}

fn seconds(ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let seconds = ms as f64 / 1000.0;
    seconds
}

fn hello(seen: &[Seen]) -> Option<Hello> {
    seen.iter().find_map(|one| match &one.what {
        What::Hello(hello) => Some((**hello).clone()),
        _ => None,
    })
}

/// What was seen of the newest connection.
fn connection(lab: &Lab) -> Vec<Seen> {
    lab.trace.look(lab.since, |seen| {
        let conn = seen.first().map(|one| one.conn);
        seen.iter().filter(|one| Some(one.conn) == conn).cloned().collect()
    })
}

/// The counter of the newest connection.
fn conn_of(lab: &Lab) -> Option<u64> {
    let state = lab.topic(&Topic::State(lab.author.device.clone()));
    birth(&connection(lab), &state).ok()
}

fn names(filters: &[(String, u8)]) -> String {
    filters.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn filters(seen: &[Seen]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for one in seen {
        if let What::Subscribed(filters) = &one.what {
            all.extend(filters.iter().map(|(filter, _)| filter.clone()));
        }
    }
    all
}

/// What a device must subscribe to, and the beginning of its own topics.
fn needed(lab: &Lab) -> (Vec<String>, String) {
    let (author, device) = (&lab.author, || lab.author.device.clone());
    let own = lab.topic(&Topic::State(device())).trim_end_matches("state").to_owned();
    let mut needed: Vec<String> = [
        Topic::Keys,
        Topic::Server,
        Topic::Timetable(device()),
        Topic::Floor(device()),
        Topic::Command(device()),
        Topic::Time(device()),
        Topic::Receipt(device()),
    ]
    .iter()
    .map(|topic| lab.topic(topic))
    .collect();
    for unit in &author.units {
        needed.push(lab.topic(&Topic::Hold(unit.clone())));
        needed.push(author.topics.urgent_filter(unit));
    }
    (needed, own)
}

fn allowed(lab: &Lab, needed: &[String], own: &str, filter: &str) -> bool {
    needed.iter().any(|one| one == filter)
        || filter == format!("{own}+")
        || matches!(
            lab.author.topics.parse(filter),
            Some(Topic::Sheet(_) | Topic::Chunk { .. } | Topic::Sums { .. } | Topic::Feed(_))
        )
        || filter == lab.topic(&Topic::State(lab.author.device.clone()))
}

fn client(hello: &Hello, device: &str, password: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if hello.client_id != device {
        wrong.push(format!("client id `{}`", hello.client_id));
    }
    if !hello.clean_session {
        wrong.push("not a clean session".to_owned());
    }
    if hello.keep_alive_s == 0 || hello.keep_alive_s > 60 {
        wrong.push(format!("keep-alive of {} s", hello.keep_alive_s));
    }
    match &hello.login {
        Some((user, word)) if user == device && word == password => {}
        Some((user, _)) => {
            wrong.push(format!("user `{user}` or its password is not the one given"));
        }
        None => wrong.push("no user name".to_owned()),
    }
    wrong
}

fn read_state(message: &Message) -> Result<State, String> {
    State::decode(&message.payload).map_err(|refusal| format!("its state: {refusal}"))
}

fn kept(message: &Message) -> Result<(), String> {
    if message.retain && message.qos == 1 {
        Ok(())
    } else {
        Err(format!("retained: {}, QoS {}", message.retain, message.qos))
    }
}

fn will(hello: &Hello, topic: &str) -> Result<u64, String> {
    let will = hello.will.as_ref().ok_or("it leaves none")?;
    if will.topic != topic {
        return Err(format!("it is on `{}`", will.topic));
    }
    kept(will)?;
    let state = read_state(will)?;
    if state.state != StateKind::Lost {
        return Err(format!("it says {:?}", state.state));
    }
    Ok(state.conn)
}

fn birth(seen: &[Seen], topic: &str) -> Result<u64, String> {
    let first = seen.iter().find_map(|one| match &one.what {
        What::Published(message) => Some(message),
        _ => None,
    });
    let first = first.ok_or("it publishes nothing")?;
    if first.topic != topic {
        return Err(format!("it first publishes on `{}`", first.topic));
    }
    kept(first)?;
    let state = read_state(first)?;
    if state.state != StateKind::Init {
        return Err(format!("it says {:?}", state.state));
    }
    Ok(state.conn)
}

/// The first `ready` stands behind the subscription to `time`, with a nonce.
fn ready(seen: &[Seen], topic: &str) -> Result<(), String> {
    let time = format!("{}time", topic.trim_end_matches("state"));
    let all = format!("{}+", topic.trim_end_matches("state"));
    let mut listens = false;
    for one in seen {
        match &one.what {
            What::Subscribed(filters) => {
                listens |= filters.iter().any(|(filter, _)| *filter == time || *filter == all);
            }
            What::Published(message) if message.topic == topic => {
                let state = read_state(message)?;
                if state.state != StateKind::Ready {
                    continue;
                }
                let nonce = state.nonce.ok_or("it asks without a nonce")?;
                if b64::decode_exact::<16>(&nonce).is_none() {
                    return Err(format!("its nonce `{nonce}` is not 16 bytes"));
                }
                if !listens {
                    return Err("it asks before it listens to the answer".to_owned());
                }
                return Ok(());
            }
            _ => {}
        }
    }
    Err("it never says `ready`".to_owned())
}
