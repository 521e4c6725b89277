//! What survives a cut of power at each step.

use crate::conform::author::sign;
use crate::conform::clerk::Kept;
use crate::conform::lab::{Lab, SOON, Step, Stop, outcomes, total};
use crate::conform::rows::Check;
use crate::domain::ids::Digest;
use crate::wire::topic::Topic;
use serde_json::json;

pub const CHECKS: &[Check] = &[
    Check {
        id: "power-showing",
        place: "§10, §11",
        says: "cut while it plays: the play is closed as `partial`, `power`, and never begins anew",
    },
    Check {
        id: "power-boot",
        place: "§11",
        says: "after a cut counts boots and connections on and says that the end was unclean",
    },
    Check {
        id: "power-records",
        place: "§11, §12",
        says: "records without a receipt come again unchanged after a cut, and the chain goes on",
    },
    Check {
        id: "power-version",
        place: "§6",
        says: "after a cut still refuses a timetable older than the one it had",
    },
    Check {
        id: "power-hold",
        place: "§17",
        says: "a hold holds after a cut, also without the broker",
    },
    Check {
        id: "power-withdrawn",
        place: "§17",
        says: "a notice withdrawn before a cut does not begin after it",
    },
];

pub async fn run(lab: &mut Lab) -> Step {
    if !lab.rig.cuts() {
        for check in CHECKS {
            lab.begin(check.id);
            lab.skip("nobody can cut the power: `--power-command`, or a person at the terminal");
        }
        return Ok(());
    }
    showing(lab).await?;
    records(lab).await?;
    hold(lab).await?;
    withdrawn(lab).await
}

/// Cuts the power, does something in the dark, gives power, and waits until the device is back.
async fn cut(lab: &mut Lab) -> Step<usize> {
    lab.rig.off().await?;
    let mark = lab.trace.mark();
    Ok(mark)
}

async fn back(lab: &mut Lab, mark: usize) -> Step {
    lab.rig.on().await?;
    let wait = if lab.rig.power.is_some() { 60_000 } else { 300_000 };
    lab.ready(mark, wait).await
}

async fn showing(lab: &mut Lab) -> Step {
    lab.begin("power-showing");
    let at = lab.now() + 2_000;
    // Long enough for the slowest hand and boot that the bench has.
    let length = if lab.rig.power.is_some() { 6_000 } else { 60_000 };
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + length)?;
    lab.install(&plan).await?;
    lab.until(at + 1_500).await;
    let boots = boots(lab);
    let mark = cut(lab).await?;
    back(lab, mark).await?;
    lab.until(at + length + 300).await;
    // A board may count whole passes alone: then the one that was cut is in no record.
    let counts = lab.board.is_some();
    let tells = |kept: &Kept| kept.tells_of(&cue) && (counts || kept.text("cause") == "power");
    let told = lab.record(SOON, tells).await;
    let rest = lab.plan();
    lab.install(&rest).await?;
    let all = lab.told_of(&cue);
    if told.is_none() {
        lab.fail(format!("no record says `power`: {}", outcomes(&all)));
    } else if total(&all) > length + 500 {
        lab.fail(format!("more was played than there was time: {}", outcomes(&all)));
    } else {
        lab.pass(outcomes(&all));
    }
    lab.begin("power-boot");
    let boot = lab.record(SOON, |kept| kept.text("kind") == "boot" && kept.head.boot > boots).await;
    match boot {
        None => lab.fail(format!("no `boot` record with a number above {boots}")),
        Some(kept) if kept.claims["unclean"] != json!(true) => {
            lab.fail("`unclean` is not true");
        }
        Some(kept) => lab.pass(format!("boot {}", kept.head.boot)),
    }
    Ok(())
}

fn boots(lab: &Lab) -> u64 {
    lab.clerk.lock().records.iter().map(|kept| kept.head.boot).max().unwrap_or(0)
}

async fn records(lab: &mut Lab) -> Step {
    lab.begin("power-records");
    lab.clerk.lock().receipts = false;
    let done = unreceipted(lab).await;
    lab.clerk.lock().receipts = true;
    done?;
    let jti = lab.probe().await?;
    lab.did(&jti, 60_000).await;
    Ok(())
}

async fn unreceipted(lab: &mut Lab) -> Step {
    let jti = lab.probe().await?;
    let found =
        lab.record(SOON, |kept| kept.text("kind") == "did" && kept.claims["jti"] == jti).await;
    let Some(kept) = found else {
        return Err(Stop::Waited { what: "no answer to a command", ms: SOON });
    };
    let forks = forks(lab);
    let mark = cut(lab).await?;
    let since = lab.clock.mono_ms();
    // Meanwhile somebody puts an older timetable on the broker.
    let old = older(lab).await?;
    back(lab, mark).await?;
    let seq = kept.head.seq;
    let again = lab
        .clerk
        .until(SOON, |heard| {
            let covers = |b: &crate::conform::clerk::Batch| {
                b.heard >= since && b.first <= seq && seq <= b.last
            };
            heard.batches.iter().any(covers).then_some(())
        })
        .await;
    let next = lab
        .record(SOON, |kept| {
            kept.text("kind") == "boot" && kept.head.seq > seq && kept.heard >= since
        })
        .await;
    let forked = self::forks(lab) > forks;
    if forked {
        // Said by `record-once`: the numbers are what is wrong there, not the coming again.
        lab.pass("they came again, though not unchanged: see record-once");
    } else if again.is_none() {
        lab.fail(format!("record {seq} did not come again"));
    } else if next.is_none() {
        lab.fail("the chain does not go on with a `boot` record");
    } else {
        lab.pass(format!("record {seq} came again, and the chain went on"));
    }
    lab.begin("power-version");
    let topic = lab.topic(&Topic::Sheet(old));
    if lab.trace.asks(mark, &topic, lab.settle_ms + 1_500).await {
        lab.fail("it took the older one: it asked for the sheet that it names");
    } else {
        lab.pass("");
    }
    let plan = lab.plan();
    lab.install(&plan).await?;
    Ok(())
}

fn forks(lab: &Lab) -> usize {
    let heard = lab.clerk.lock();
    heard.faults.iter().filter(|(kind, _)| *kind == crate::conform::clerk::Fault::Fork).count()
}

/// Puts a rightly signed timetable on the broker that is older than the one in force.
async fn older(lab: &mut Lab) -> Step<Digest> {
    let plan = lab.plan();
    let (bytes, name) = lab.sheet(&plan);
    lab.publish(&Topic::Sheet(name), bytes, true).await?;
    let force = lab.in_force();
    let mut claims = lab.author.timetable(&name, lab.day.0, lab.day.1);
    claims["ver"] = json!(force - 1);
    let text = sign(&lab.author.keys.schedule, "timetable", &claims);
    lab.timetable(text).await?;
    Ok(name)
}

async fn hold(lab: &mut Lab) -> Step {
    lab.begin("power-hold");
    let unit = lab.author.units[0].clone();
    let topic = Topic::Hold(unit.clone());
    let (jti, claims) = lab.author.hold(&unit, lab.now() + 600_000);
    let text = sign(&lab.author.keys.schedule, "hold", &claims);
    lab.publish(&topic, text, true).await?;
    lab.did(&jti, SOON).await;
    let mark = cut(lab).await?;
    // The broker forgets it.
    lab.publish(&topic, Vec::new(), true).await?;
    back(lab, mark).await?;
    let at = lab.now() + 2_500;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 2_000)?;
    lab.install(&plan).await?;
    lab.until(at + 2_000).await;
    // Released, so that a record of the cue is due at the latest now.
    let (jti, claims) = lab.author.hold(&unit, 0);
    let text = sign(&lab.author.keys.schedule, "hold", &claims);
    lab.publish(&topic, text, true).await?;
    lab.did(&jti, SOON).await;
    let told = lab.result(&cue, SOON).await;
    if total(&told) > 0 || lab.started("cue", &cue).is_some() {
        lab.fail(format!("a cue within the hold: {}", outcomes(&told)));
    } else {
        lab.pass("");
    }
    Ok(())
}

async fn withdrawn(lab: &mut Lab) -> Step {
    lab.begin("power-withdrawn");
    let units = [lab.author.units[0].clone()];
    let asset = lab.board.is_none().then(|| {
        let mut entry = lab.tone.entry.clone();
        entry["sha256"] = json!(lab.tone.name);
        entry
    });
    let (jti, notice) = lab.author.notice(&units, 600, asset.as_ref());
    let topic = Topic::Urgent { unit: units[0].clone(), id: jti.clone() };
    let claims = lab.author.withdrawal(&jti, 600);
    let text = sign(&lab.author.keys.urgent, "withdrawal", &claims);
    lab.publish(&topic, text, true).await?;
    lab.did(&jti, SOON).await;
    let mark = cut(lab).await?;
    // In the dark an old copy of the notice takes its place.
    let text = sign(&lab.author.keys.urgent, "urgent", &notice);
    lab.publish(&topic, text, true).await?;
    back(lab, mark).await?;
    lab.rest(2_000).await;
    let fence = lab.probe().await?;
    lab.did(&fence, SOON).await;
    let of = |kept: &Kept| kept.claims["jti"] == jti && kept.text("kind") == "start";
    let began = lab.clerk.lock().records.iter().any(of);
    if began {
        lab.fail("the withdrawn notice began");
    } else {
        lab.pass("");
    }
    Ok(())
}
