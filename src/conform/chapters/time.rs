//! §9: nothing without trusted time, and whom to believe about it.

use crate::conform::author::{merge, sign};
use crate::conform::lab::{Lab, SOON, Step, Stop, outcomes};
use crate::conform::rows::Check;
use crate::conform::trace::What;
use crate::wire::topic::Topic;
use serde_json::{Value, json};

pub const CHECKS: &[Check] = &[
    Check {
        id: "time-untrusted",
        place: "§9",
        says: "without trusted time plays no cue and obeys no command",
    },
    Check {
        id: "time-forged",
        place: "§9",
        says: "believes no answer to another nonce, and none by a key of another role",
    },
    Check { id: "time-answer", place: "§9", says: "believes the server's answer to its nonce" },
    Check {
        id: "time-missed",
        place: "§9, §10",
        says: "records a cue that passed without trusted time as failed, cause `clock`",
    },
];

/// Ends with a device that has the time.
pub async fn run(lab: &mut Lab) -> Step {
    lab.begin("time-untrusted");
    let now = lab.now();
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, now - 500, now + 3_500)?;
    lab.install(&plan).await?;
    let jti = lab.command("identify", &json!({})).await?;
    let Some(result) = lab.did(&jti, SOON).await else {
        return Err(Stop::Waited { what: "no answer to a command", ms: SOON });
    };
    let own = result != "refused: clock";
    if own {
        let source = {
            let heard = lab.clerk.lock();
            heard.records.last().map(|kept| kept.claims["clock"]["src"].clone())
        };
        if source == Some(json!("none")) {
            lab.fail(format!("without a trusted clock it answers `{result}`"));
        } else {
            lab.skip(format!("it has a clock of its own: {}", source.unwrap_or_default()));
        }
        for id in ["time-forged", "time-missed"] {
            lab.begin(id);
            lab.skip("it has a clock of its own");
        }
    } else {
        lab.until(now + 3_600).await;
        if lab.started("cue", &cue).is_some() {
            lab.fail("a cue began");
        } else {
            lab.pass("command refused, cue not begun");
        }
        forged(lab).await?;
    }
    lab.begin("time-answer");
    lab.clerk.lock().time = true;
    let jti = answer(lab).await?;
    if own {
        lab.did(&jti, SOON).await;
        lab.skip("it has a clock of its own");
        return Ok(());
    }
    match lab.did(&jti, SOON).await {
        Some(result) if result != "refused: clock" => lab.pass(format!("it answers `{result}`")),
        Some(result) => lab.fail(format!("it still answers `{result}`")),
        None => return Err(Stop::Waited { what: "no answer to a command", ms: SOON }),
    }
    // That answer was kept back for seconds, and half of that is its error: on a new connection it
    // asks anew and is answered at once.
    lab.interrupt(300).await?;
    lab.begin("time-missed");
    let told = lab.result(&cue, SOON).await;
    if told.iter().any(|kept| kept.text("outcome") == "failed" && kept.text("cause") == "clock") {
        lab.pass("");
    } else {
        lab.fail(outcomes(&told));
    }
    Ok(())
}

/// Answers the newest question, then asks whether the device has the time.
async fn answer(lab: &mut Lab) -> Step<String> {
    if let Some(nonce) = nonce(lab) {
        let text = sign(&lab.author.keys.time, "time", &lab.author.time(&nonce));
        lab.publish(&Topic::Time(lab.author.device.clone()), text, false).await?;
    }
    lab.rest(300).await;
    lab.command("identify", &json!({})).await
}

async fn forged(lab: &mut Lab) -> Step {
    lab.begin("time-forged");
    let Some(nonce) = nonce(lab) else {
        return Err(Stop::Waited { what: "no question for the time", ms: 0 });
    };
    let topic = Topic::Time(lab.author.device.clone());
    let mut other = lab.author.time(&nonce);
    merge(&mut other, &json!({"nonce": crate::wire::b64::encode(&[7; 16])}));
    let right = lab.author.time(&nonce);
    let texts = [
        ("another nonce", sign(&lab.author.keys.time, "time", &other)),
        ("a key of another role", sign(&lab.author.keys.receipt, "time", &right)),
    ];
    for (_, text) in &texts {
        lab.publish(&topic, text.clone(), false).await?;
    }
    let jti = lab.command("identify", &json!({})).await?;
    match lab.did(&jti, SOON).await.as_deref() {
        Some("refused: clock") => lab.pass(texts.map(|(what, _)| what).join(", ")),
        Some(result) => lab.fail(format!("it believes one: a command is answered `{result}`")),
        None => return Err(Stop::Waited { what: "no answer to a command", ms: SOON }),
    }
    Ok(())
}

/// The nonce asked last.
fn nonce(lab: &Lab) -> Option<String> {
    let topic = lab.topic(&Topic::State(lab.author.device.clone()));
    lab.trace.look(0, |seen| {
        seen.iter().rev().find_map(|one| match &one.what {
            What::Published(message) if message.topic == topic => {
                let state: Value = serde_json::from_slice(&message.payload).ok()?;
                Some(state["nonce"].as_str()?.to_owned())
            }
            _ => None,
        })
    })
}
