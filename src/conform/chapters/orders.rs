//! §6, §17: commands, holds, urgent notices, drills and withdrawals.

use crate::conform::author::{merge, sign};
use crate::conform::clerk::Kept;
use crate::conform::lab::{Lab, SOON, Step, outcomes, total};
use crate::conform::rows::Check;
use crate::domain::ids::UnitId;
use crate::wire::jws::SecretKey;
use crate::wire::topic::Topic;
use serde_json::{Value, json};

pub const CHECKS: &[Check] = &[
    Check { id: "command-stop", place: "§6", says: "`stop` ends the running cue for good" },
    Check {
        id: "command-once", place: "§6", says: "obeys a command once, however often it comes"
    },
    Check {
        id: "command-foreign",
        place: "§6",
        says: "obeys no command for another device, none that has expired or lives too long, none by a wrong key",
    },
    Check {
        id: "command-unknown",
        place: "§6",
        says: "answers an order it does not know with `unsupported`",
    },
    Check { id: "hold-dark", place: "§17", says: "a hold ends what plays, and nothing begins" },
    Check { id: "hold-release", place: "§17", says: "after the release the plan goes on" },
    Check {
        id: "hold-foreign",
        place: "§17",
        says: "obeys no hold of another unit than its topic's, none by a wrong key",
    },
    Check {
        id: "urgent-plays",
        place: "§17",
        says: "an urgent notice is played or shown at once, over the running cue",
    },
    Check { id: "urgent-withdrawn", place: "§17", says: "its withdrawal ends it within a second" },
    Check {
        id: "urgent-foreign",
        place: "§17",
        says: "plays no notice for other units, whatever topic brings it, and none by a wrong key",
    },
    Check {
        id: "urgent-killed",
        place: "§17",
        says: "a withdrawal that comes before its notice kills it",
    },
    Check {
        id: "drill-silent",
        place: "§17",
        says: "a drill is answered, and neither sounds nor shows",
    },
];

pub async fn run(lab: &mut Lab) -> Step {
    stop(lab).await?;
    commands(lab).await?;
    hold(lab).await?;
    foreign_hold(lab).await?;
    urgent(lab).await?;
    foreign_notices(lab).await?;
    drill(lab).await
}

fn unit(lab: &Lab) -> UnitId {
    lab.author.units[0].clone()
}

async fn stop(lab: &mut Lab) -> Step {
    lab.begin("command-stop");
    let at = lab.now() + 2_000;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 5_000)?;
    lab.install(&plan).await?;
    lab.until(at + 1_500).await;
    let (jti, claims) = lab.author.command("stop", &json!({}));
    let text = sign(&lab.author.keys.schedule, "command", &claims);
    let topic = Topic::Command(lab.author.device.clone());
    lab.publish(&topic, text.clone(), false).await?;
    let answer = lab.did(&jti, SOON).await;
    lab.until(at + 5_200).await;
    let told = lab.result(&cue, SOON).await;
    let said = told.iter().any(|k| k.text("outcome") == "partial" && k.text("cause") == "stop");
    if answer.as_deref() == Some("done") && said && total(&told) < 3_500 {
        lab.pass(outcomes(&told));
    } else {
        let answer = answer.unwrap_or_else(|| "nothing".to_owned());
        lab.fail(format!("answered `{answer}`; {}", outcomes(&told)));
    }
    lab.begin("command-once");
    lab.publish(&topic, text, false).await?;
    let fence = lab.probe().await?;
    if lab.did(&fence, SOON).await.is_none() {
        lab.fail("it answers no command any more");
        return Ok(());
    }
    let answers = answers(lab, &jti);
    if answers == 1 {
        lab.pass("");
    } else {
        lab.fail(format!("answered {answers} times"));
    }
    Ok(())
}

fn answers(lab: &Lab, jti: &str) -> usize {
    let heard = lab.clerk.lock();
    let of = |kept: &&Kept| kept.text("kind") == "did" && kept.claims["jti"] == jti;
    heard.records.iter().filter(of).count()
}

async fn commands(lab: &mut Lab) -> Step {
    lab.begin("command-foreign");
    let now = lab.author.now_s();
    let wrong = [
        ("for another device", json!({"aud": "conform-khac"})),
        ("that has expired", json!({"iat": now - 600, "exp": now - 400})),
        ("that lives too long", json!({"exp": now + 3_600})),
    ];
    let topic = Topic::Command(lab.author.device.clone());
    let mut sent = Vec::new();
    for (what, more) in &wrong {
        let (jti, claims) = lab.author.command("identify", more);
        let text = sign(&lab.author.keys.schedule, "command", &claims);
        lab.publish(&topic, text, false).await?;
        sent.push((*what, jti));
    }
    let (jti, claims) = lab.author.command("identify", &json!({}));
    let text = sign(&lab.author.keys.urgent, "command", &claims);
    lab.publish(&topic, text, false).await?;
    sent.push(("by a key of another role", jti));
    let fence = lab.probe().await?;
    if lab.did(&fence, SOON).await.is_none() {
        lab.fail("it answers no command any more");
        return Ok(());
    }
    let obeyed: Vec<String> = sent
        .iter()
        .filter(|(_, jti)| answers(lab, jti) > 0)
        .map(|(what, _)| format!("it obeyed one {what}"))
        .collect();
    lab.judge(&obeyed, "four wrong ones, and a good one behind them");
    lab.begin("command-unknown");
    let jti = lab.command("dance", &json!({"steps": 3})).await?;
    match lab.did(&jti, SOON).await.as_deref() {
        Some("unsupported") => lab.pass(""),
        Some(other) => lab.fail(format!("answered `{other}`")),
        None => lab.fail("not answered"),
    }
    Ok(())
}

async fn hold(lab: &mut Lab) -> Step {
    lab.begin("hold-dark");
    let unit = unit(lab);
    let topic = Topic::Hold(unit.clone());
    let at = lab.now() + 2_000;
    let mut plan = lab.plan();
    let running = lab.cue(&mut plan, at, at + 3_500)?;
    let within = lab.cue(&mut plan, at + 3_500, at + 5_500)?;
    let after = lab.cue(&mut plan, at + 8_000, at + 10_000)?;
    lab.install(&plan).await?;
    lab.until(at + 1_500).await;
    let (jti, claims) = lab.author.hold(&unit, lab.now() + 600_000);
    let text = sign(&lab.author.keys.schedule, "hold", &claims);
    lab.publish(&topic, text, true).await?;
    let answer = lab.did(&jti, SOON).await;
    lab.until(at + 6_000).await;
    let (first, second) = (lab.result(&running, SOON).await, lab.result(&within, SOON).await);
    let mut wrong = Vec::new();
    if answer.as_deref() != Some("done") {
        wrong.push(format!("answered {answer:?}"));
    }
    if total(&first) > 2_800 {
        wrong.push(format!("the running cue: {}", outcomes(&first)));
    }
    if total(&second) > 0 || lab.started("cue", &within).is_some() {
        wrong.push(format!("a cue within the hold: {}", outcomes(&second)));
    }
    let refused = |kept: &Kept| kept.text("cause") == "hold";
    if lab.board.is_none() && !second.iter().any(refused) {
        wrong.push(format!("no record says that the hold refused it: {}", outcomes(&second)));
    }
    lab.judge(&wrong, format!("cut after {} ms", total(&first)));
    lab.begin("hold-release");
    let (jti, claims) = lab.author.hold(&unit, 0);
    let text = sign(&lab.author.keys.schedule, "hold", &claims);
    lab.publish(&topic, text, true).await?;
    let answer = lab.did(&jti, SOON).await;
    lab.until(at + 10_000).await;
    let told = lab.result(&after, SOON).await;
    if answer.as_deref() == Some("done") && total(&told) >= 1_500 {
        lab.pass(outcomes(&told));
    } else {
        lab.fail(format!("answered {answer:?}; the next cue: {}", outcomes(&told)));
    }
    Ok(())
}

async fn foreign_hold(lab: &mut Lab) -> Step {
    lab.begin("hold-foreign");
    let unit = unit(lab);
    let topic = Topic::Hold(unit.clone());
    let other: UnitId = match "99998".parse() {
        Ok(unit) => unit,
        Err(_) => unit.clone(),
    };
    let until = lab.now() + 600_000;
    let (first, claims) = lab.author.hold(&other, until);
    let of_other = sign(&lab.author.keys.schedule, "hold", &claims);
    let (second, claims) = lab.author.hold(&unit, until);
    let by_other = sign(&lab.author.keys.urgent, "hold", &claims);
    lab.publish(&topic, of_other, true).await?;
    lab.publish(&topic, by_other, true).await?;
    let at = lab.now() + 1_500;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 2_000)?;
    lab.install(&plan).await?;
    lab.until(at + 2_000).await;
    let told = lab.result(&cue, SOON).await;
    let obeyed = answers(lab, &first) + answers(lab, &second) > 0;
    if total(&told) < 1_000 || obeyed {
        lab.fail(format!("the next cue: {}", outcomes(&told)));
    } else {
        lab.pass("the next cue was played");
    }
    // A release leaves a good document on the topic, whatever was taken before.
    let (jti, claims) = lab.author.hold(&unit, 0);
    let text = sign(&lab.author.keys.schedule, "hold", &claims);
    lab.publish(&topic, text, true).await?;
    lab.did(&jti, SOON).await;
    Ok(())
}

fn asset(lab: &Lab) -> Option<Value> {
    let mut entry = lab.tone.entry.clone();
    merge(&mut entry, &json!({"sha256": lab.tone.name}));
    lab.board.is_none().then_some(entry)
}

async fn order(lab: &Lab, key: &SecretKey, typ: &str, jti: &str, claims: &Value) -> Step {
    let topic = Topic::Urgent { unit: unit(lab), id: jti.to_owned() };
    lab.publish(&topic, sign(key, typ, claims), true).await
}

async fn urgent(lab: &mut Lab) -> Step {
    lab.begin("urgent-plays");
    let at = lab.now() + 2_000;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 9_000)?;
    lab.install(&plan).await?;
    lab.until(at + 1_500).await;
    let units = [unit(lab)];
    let (jti, claims) = lab.author.notice(&units, 600, asset(lab).as_ref());
    order(lab, &lab.author.keys.urgent, "urgent", &jti, &claims).await?;
    let started =
        lab.record(SOON, |kept| kept.text("kind") == "start" && kept.claims["jti"] == jti).await;
    let told = lab.result(&cue, SOON).await;
    let cut = |kept: &Kept| kept.text("cause") == "pre-empted" && kept.claims["cue"] == cue;
    match started {
        Some(_) if told.iter().any(cut) => lab.pass(outcomes(&told)),
        Some(_) => lab.fail(format!("it began, but the running cue: {}", outcomes(&told))),
        None => lab.fail("no record says that it began"),
    }
    lab.begin("urgent-withdrawn");
    let claims = lab.author.withdrawal(&jti, 600);
    order(lab, &lab.author.keys.urgent, "withdrawal", &jti, &claims).await?;
    let sent = lab.now();
    let answer = lab.did(&jti, SOON).await;
    let ended = lab
        .record(SOON, |kept| {
            matches!(kept.text("kind"), "play" | "show") && kept.claims["jti"] == jti
        })
        .await;
    // The first `did` of a notice may be an earlier word about the notice itself.
    let done = withdrawal_word(lab, &jti).await.or(answer);
    let plan = lab.plan();
    lab.install(&plan).await?;
    match (done.as_deref(), ended) {
        (Some("done"), Some(kept)) => {
            let member = if lab.board.is_some() { "to_ms" } else { "ended_ms" };
            let late = kept.number(member) - sent;
            if late < 1_600 && kept.text("cause") == "withdrawn" {
                lab.pass(format!("ended {late} ms after it was sent"));
            } else {
                lab.fail(format!(
                    "ended {late} ms after it was sent, cause `{}`",
                    kept.text("cause")
                ));
            }
        }
        (done, None) => {
            lab.fail(format!("answered {done:?}; no record says that the notice ended"));
        }
        (done, Some(_)) => lab.fail(format!("answered {done:?}")),
    }
    Ok(())
}

async fn withdrawal_word(lab: &Lab, jti: &str) -> Option<String> {
    lab.record(SOON, |kept| {
        kept.text("kind") == "did" && kept.text("what") == "withdrawal" && kept.claims["jti"] == jti
    })
    .await
    .map(|kept| kept.text("result").to_owned())
}

async fn foreign_notices(lab: &mut Lab) -> Step {
    let began = |lab: &Lab, jti: &str| lab.started("jti", jti).is_some();
    lab.begin("urgent-foreign");
    let others: Vec<UnitId> = "99998".parse().into_iter().collect();
    let asset = asset(lab);
    let (first, claims) = lab.author.notice(&others, 300, asset.as_ref());
    order(lab, &lab.author.keys.urgent, "urgent", &first, &claims).await?;
    let own = [unit(lab)];
    let (second, claims) = lab.author.notice(&own, 300, asset.as_ref());
    order(lab, &lab.author.keys.schedule, "urgent", &second, &claims).await?;
    // The withdrawn one behind it is the fence: it must be answered.
    let (third, notice) = lab.author.notice(&own, 300, asset.as_ref());
    let claims = lab.author.withdrawal(&third, 300);
    order(lab, &lab.author.keys.urgent, "withdrawal", &third, &claims).await?;
    let word = withdrawal_word(lab, &third).await;
    order(lab, &lab.author.keys.urgent, "urgent", &third, &notice).await?;
    lab.rest(1_500).await;
    let fence = lab.probe().await?;
    lab.did(&fence, SOON).await;
    let wrong: Vec<String> = [(&first, "one for other units"), (&second, "one by a wrong key")]
        .iter()
        .filter(|(jti, _)| began(lab, jti))
        .map(|(_, what)| format!("it plays {what}"))
        .collect();
    lab.judge(&wrong, "");
    lab.begin("urgent-killed");
    match word.as_deref() {
        _ if began(lab, &third) => lab.fail("the withdrawn notice began"),
        Some("kept") => lab.pass("answered `kept`"),
        Some(other) => lab.fail(format!("the withdrawal was answered `{other}`")),
        None => lab.fail("the withdrawal was not answered"),
    }
    for jti in [first, second] {
        let claims = lab.author.withdrawal(&jti, 300);
        order(lab, &lab.author.keys.urgent, "withdrawal", &jti, &claims).await?;
    }
    Ok(())
}

async fn drill(lab: &mut Lab) -> Step {
    lab.begin("drill-silent");
    let units = [unit(lab)];
    let (jti, claims) = lab.author.notice(&units, 120, asset(lab).as_ref());
    order(lab, &lab.author.keys.urgent, "drill", &jti, &claims).await?;
    let answer = lab.did(&jti, SOON).await;
    lab.rest(1_500).await;
    let claims = lab.author.withdrawal(&jti, 300);
    order(lab, &lab.author.keys.urgent, "withdrawal", &jti, &claims).await?;
    let said = withdrawal_word(lab, &jti).await;
    let began = lab.started("jti", &jti).is_some();
    let good = matches!(answer.as_deref(), Some("received" | "ready" | "unsupported"));
    if began {
        lab.fail("it began");
    } else if !good || said.is_none() {
        lab.fail(format!("answered {answer:?}, its withdrawal {said:?}"));
    } else {
        lab.pass(format!("answered `{}`", answer.unwrap_or_default()));
    }
    Ok(())
}
