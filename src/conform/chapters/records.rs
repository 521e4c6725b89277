//! §11, §12: records, receipts, and nothing forgotten that is not receipted.

use crate::conform::author::{merge, sign};
use crate::conform::clerk::{Batch, Fault, Heard, receipt};
use crate::conform::lab::{AGAIN, Lab, SOON, Step, Stop};
use crate::conform::rows::Check;
use crate::conform::trace::What;
use crate::domain::ids::Digest;
use crate::wire::limits;
use crate::wire::topic::Topic;
use serde_json::json;

pub const CHECKS: &[Check] = &[
    Check {
        id: "receipt-again",
        place: "§12",
        says: "sends records again when no receipt has come within 20 s",
    },
    Check {
        id: "receipt-false",
        place: "§12",
        says: "believes no receipt of a wrong key, chain, hash or number: sends them again",
    },
    Check {
        id: "receipt-honoured",
        place: "§12",
        says: "does not send again what a good receipt covers",
    },
    Check {
        id: "record-resend",
        place: "§6, §12",
        says: "sends records again on the order `resend`",
    },
];

/// Judged at the end, over everything that was heard.
pub const WHOLE: &[Check] = &[
    Check { id: "record-signed", place: "§11", says: "signs every record with the enrolled key" },
    Check { id: "record-members", place: "§11", says: "every record has the members of its kind" },
    Check {
        id: "record-chain",
        place: "§11",
        says: "numbers without gaps; each names the hash of the one before",
    },
    Check { id: "record-once", place: "§11", says: "uses no number twice" },
    Check {
        id: "record-batch",
        place: "§12",
        says: "sends them on its own topic, not retained, oldest first, within the limits",
    },
];

pub async fn run(lab: &mut Lab) -> Step {
    lab.begin("receipt-again");
    lab.clerk.lock().receipts = false;
    let done = unreceipted(lab).await;
    lab.clerk.lock().receipts = true;
    done?;
    honoured(lab).await?;
    resend(lab).await
}

/// Says whether number `seq` has come since.
fn came(heard: &Heard, seq: u64, since: i64) -> bool {
    let covers = |b: &Batch| b.heard >= since && b.first <= seq && seq <= b.last;
    heard.batches.iter().any(covers)
}

async fn unreceipted(lab: &mut Lab) -> Step {
    let jti = lab.probe().await?;
    let found =
        lab.record(SOON, |kept| kept.text("kind") == "did" && kept.claims["jti"] == jti).await;
    let Some(kept) = found else {
        return Err(Stop::Waited { what: "no answer to a command", ms: SOON });
    };
    let seq = kept.head.seq;
    let begun = kept.heard;
    let again = lab
        .clerk
        .until(AGAIN, |heard| {
            let later = |b: &&Batch| b.heard > begun && b.first <= seq && seq <= b.last;
            heard.batches.iter().find(later).map(|b| b.heard - begun)
        })
        .await;
    match again {
        Some(ms) if ms < 5_000 => lab.fail(format!("after {ms} ms already")),
        Some(ms) => lab.pass(format!("after {} s", ms / 1000)),
        None => {
            lab.fail(format!("not within {} s", AGAIN / 1000));
            return Ok(());
        }
    }
    lab.begin("receipt-false");
    let (device, now) = (lab.author.device.clone(), lab.author.now_s());
    let chain = kept.head.chain;
    let right = receipt(&device, now, chain, seq, &kept.digest);
    let with = |more: serde_json::Value| {
        let mut claims = right.clone();
        merge(&mut claims, &more);
        claims
    };
    let by = lab.author.keys.receipt.clone();
    let other = Digest::of(b"another record");
    let lies = [
        sign(&lab.author.keys.time, "receipt", &right),
        sign(&by, "receipt", &with(json!({"head": other}))),
        sign(&by, "receipt", &with(json!({"chain": "0".repeat(32)}))),
        sign(&by, "receipt", &with(json!({"upto": seq + 1_000}))),
        sign(&by, "receipt", &with(json!({"aud": "conform-khac"}))),
    ];
    for text in lies {
        lab.publish(&Topic::Receipt(device.clone()), text, true).await?;
    }
    lab.rest(500).await;
    let since = lab.clock.mono_ms();
    lab.interrupt(500).await?;
    let again = lab.clerk.until(15_000, |heard| came(heard, seq, since).then_some(())).await;
    if again.is_some() {
        lab.pass("after five lies it sent them again on the next connection");
    } else {
        lab.fail("after a false receipt it did not send them again");
    }
    Ok(())
}

async fn honoured(lab: &mut Lab) -> Step {
    lab.begin("receipt-honoured");
    // A good one at once: the next round of its own may be far.
    let upto = lab.clerk.lock().upto();
    if let Some((chain, upto, head)) = upto {
        let claims = receipt(&lab.author.device, lab.author.now_s(), chain, upto, &head);
        let text = sign(&lab.author.keys.receipt, "receipt", &claims);
        lab.publish(&Topic::Receipt(lab.author.device.clone()), text, true).await?;
    }
    let jti = lab.probe().await?;
    if lab.did(&jti, AGAIN).await.is_none() {
        return Err(Stop::Waited { what: "no answer to a command", ms: AGAIN });
    }
    // The receipt for that batch has gone out by now; nothing more is written without an order.
    lab.rest(1_500).await;
    let Some((_, upto, _)) = lab.clerk.lock().upto() else {
        return Err(Stop::Waited { what: "no records", ms: 0 });
    };
    let since = lab.clock.mono_ms();
    lab.interrupt(500).await?;
    lab.rest(4_000).await;
    let again = {
        let heard = lab.clerk.lock();
        (1..=upto).find(|seq| came(&heard, *seq, since))
    };
    match again {
        Some(seq) => lab.fail(format!("it sent record {seq} again, receipted up to {upto}")),
        None => lab.pass(format!("receipted up to {upto}")),
    }
    Ok(())
}

async fn resend(lab: &mut Lab) -> Step {
    lab.begin("record-resend");
    let Some((chain, upto, _)) = lab.clerk.lock().upto() else {
        return Err(Stop::Waited { what: "no records", ms: 0 });
    };
    let (from, to) = (upto.saturating_sub(2).max(1), upto);
    let since = lab.clock.mono_ms();
    let more = json!({"chain": chain, "from": from, "to": to});
    let jti = lab.command("resend", &more).await?;
    let all = lab
        .clerk
        .until(SOON, |heard| (from..=to).all(|seq| came(heard, seq, since)).then_some(()))
        .await;
    let answer = lab.did(&jti, SOON).await;
    match (all, answer.as_deref()) {
        (Some(()), Some("done")) => lab.pass(format!("{from} to {to}")),
        (None, answer) => lab.fail(format!("answered {answer:?}, and they did not come again")),
        (_, answer) => lab.fail(format!("they came, but it answered {answer:?}")),
    }
    Ok(())
}

/// What the whole run shows.
pub fn whole(lab: &mut Lab) {
    let (faults, gaps, loose, count, chains) = {
        let heard = lab.clerk.lock();
        let loose: Vec<String> =
            heard.loose().iter().map(|kept| kept.head.seq.to_string()).collect();
        let mut chains: Vec<_> = heard.records.iter().map(|kept| kept.head.chain).collect();
        chains.sort_unstable();
        chains.dedup();
        let count = heard.records.len();
        (heard.faults.clone(), heard.gaps(), loose, count, chains.len())
    };
    let of = |kind: Fault| -> Vec<String> {
        let all = faults.iter().filter(|(fault, _)| *fault == kind);
        all.map(|(_, why)| why.clone()).take(5).collect()
    };
    lab.begin("record-signed");
    if count == 0 {
        lab.fail("no record came");
    } else {
        lab.judge(&of(Fault::Signature), format!("{count} records"));
    }
    lab.begin("record-members");
    lab.judge(&of(Fault::Content), format!("{count} records"));
    lab.begin("record-chain");
    let mut wrong: Vec<String> = Vec::new();
    if let Some((_, seq)) = gaps.first() {
        wrong.push(format!("record {seq} never came, later ones did"));
    }
    if !loose.is_empty() {
        let some: Vec<String> = loose.iter().take(5).cloned().collect();
        wrong.push(format!("`prev` does not fit in {}", some.join(", ")));
    }
    lab.judge(&wrong, format!("{chains} chain{}", if chains == 1 { "" } else { "s" }));
    lab.begin("record-once");
    lab.judge(&of(Fault::Fork), "");
    lab.begin("record-batch");
    let mut wrong = of(Fault::Batch);
    let device = lab.author.device.clone();
    let (records, state) =
        (lab.topic(&Topic::Records(device.clone())), lab.topic(&Topic::State(device)));
    let seen = lab.trace.look(0, |seen| {
        let mut wrong = Vec::new();
        for one in seen {
            let What::Published(message) = &one.what else { continue };
            if message.topic == records {
                if message.retain {
                    wrong.push("a batch was retained".to_owned());
                }
                if message.qos != 1 {
                    wrong.push(format!("a batch at QoS {}", message.qos));
                }
                if message.payload.len() > limits::BATCH_BYTES {
                    wrong.push(format!("a batch of {} bytes", message.payload.len()));
                }
            } else if message.topic != state {
                wrong.push(format!("published on `{}`", message.topic));
            }
        }
        wrong
    });
    wrong.extend(seen);
    wrong.truncate(5);
    let batches = lab.clerk.lock().batches.len();
    lab.judge(&wrong, format!("{batches} batches"));
}
