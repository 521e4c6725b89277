//! §7: which sheets a device takes; and that an empty body changes nothing (§1).

use crate::conform::author::sign;
use crate::conform::lab::{AGAIN, Lab, SOON, Step, outcomes, total};
use crate::conform::rows::Check;
use crate::domain::ids::Digest;
use crate::wire::topic::Topic;
use serde_json::json;

pub const CHECKS: &[Check] = &[
    Check {
        id: "sheet-hash",
        place: "§7",
        says: "drops a sheet whose bytes do not have its name, and asks until it has the right one",
    },
    Check {
        id: "sheet-content",
        place: "§7",
        says: "refuses a sheet in which a member stands twice, and follows the last good one",
    },
    Check {
        id: "sheet-overlap",
        place: "§7",
        says: "refuses a sheet with overlapping cues, and follows the last good one",
    },
    Check { id: "empty-body", place: "§1", says: "an empty body on its topics changes nothing" },
    Check {
        id: "item-unknown",
        place: "§7",
        says: "an item of an unknown kind fails alone (`unsupported`); the other cues go on",
    },
];

pub async fn run(lab: &mut Lab) -> Step {
    hash(lab).await?;
    unknown(lab).await?;
    empty(lab).await?;
    content(lab).await
}

async fn hash(lab: &mut Lab) -> Step {
    lab.begin("sheet-hash");
    let plan = lab.plan();
    let (right, name) = lab.sheet(&plan);
    let (wrong, other) = lab.sheet(&plan);
    let topic = Topic::Sheet(name);
    let mark = lab.trace.mark();
    lab.publish(&topic, wrong, true).await?;
    let claims = lab.author.timetable(&name, lab.day.0, lab.day.1);
    let text = sign(&lab.author.keys.schedule, "timetable", &claims);
    lab.timetable(text).await?;
    if !lab.trace.sent(mark, &lab.topic(&topic), &other, SOON).await {
        lab.fail("it did not ask for the sheet");
        return Ok(());
    }
    // Time to believe it: who does stops asking, and never hears of the right one.
    lab.rest(1_500).await;
    lab.publish(&topic, right, true).await?;
    if lab.trace.sent(mark, &lab.topic(&topic), &name, AGAIN).await {
        lab.pass("it kept asking until the right bytes came");
    } else {
        lab.fail("it stopped asking after the wrong bytes");
    }
    Ok(())
}

async fn unknown(lab: &mut Lab) -> Step {
    lab.begin("item-unknown");
    let at = lab.now() + 2_500;
    let mut plan = lab.plan();
    let item = json!({"kind": "hologram", "title": "Hình nổi", "beam": 7});
    let odd = lab.cue_of(&mut plan, at, at + 1_000, item)?;
    let cue = lab.cue(&mut plan, at + 1_000, at + 3_000)?;
    lab.install(&plan).await?;
    lab.until(at + 3_000).await;
    let (told, odd) = (lab.result(&cue, SOON).await, lab.result(&odd, SOON).await);
    let mut wrong = Vec::new();
    if total(&told) < 1_000 {
        wrong.push(format!("the cue beside it: {}", outcomes(&told)));
    }
    let said = |kept: &crate::conform::clerk::Kept| {
        kept.text("outcome") == "failed" && kept.text("cause") == "unsupported"
    };
    if !odd.iter().any(said) {
        wrong.push(format!("the cue of unknown kind: {}", outcomes(&odd)));
    }
    lab.judge(&wrong, "");
    Ok(())
}

async fn empty(lab: &mut Lab) -> Step {
    lab.begin("empty-body");
    let at = lab.now() + 3_000;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 2_000)?;
    let name = lab.install(&plan).await?;
    let device = || lab.author.device.clone();
    let kept = [
        Topic::Keys,
        Topic::Timetable(device()),
        Topic::Floor(device()),
        Topic::Receipt(device()),
        Topic::Sheet(name),
    ];
    for topic in &kept {
        lab.publish(topic, Vec::new(), true).await?;
    }
    lab.until(at + 2_000).await;
    let told = lab.result(&cue, SOON).await;
    if total(&told) >= 1_000 {
        lab.pass("the cue planned before them was played");
    } else {
        lab.fail(format!("the cue planned before them: {}", outcomes(&told)));
    }
    let chain = lab.author.chain();
    lab.publish(&Topic::Keys, chain, true).await
}

async fn content(lab: &mut Lab) -> Step {
    for (id, doubled) in [("sheet-content", true), ("sheet-overlap", false)] {
        lab.begin(id);
        if !lab.wants(id) {
            lab.current = None;
            continue;
        }
        let at = lab.now() + 3_000;
        let mut plan = lab.plan();
        let good = lab.cue(&mut plan, at, at + 2_000)?;
        lab.install(&plan).await?;
        let mut plan = lab.plan();
        let bad = lab.cue(&mut plan, at, at + 2_000)?;
        if !doubled {
            lab.cue(&mut plan, at + 1_000, at + 3_000)?;
        }
        let (mut bytes, mut name) = lab.sheet(&plan);
        if doubled {
            let text = String::from_utf8_lossy(&bytes).replacen('{', "{\"v\":1,", 1);
            bytes = text.into_bytes();
            name = Digest::of(&bytes);
        }
        let claims = lab.author.timetable(&name, lab.day.0, lab.day.1);
        let text = sign(&lab.author.keys.schedule, "timetable", &claims);
        lab.give(bytes, name, text).await?;
        lab.until(at + 2_000).await;
        let told = lab.result(&good, SOON).await;
        let of_bad = lab.told_of(&bad);
        let mut wrong = Vec::new();
        if total(&told) < 1_000 {
            wrong.push(format!("the cue of the last good sheet: {}", outcomes(&told)));
        }
        if total(&of_bad) > 0 {
            wrong.push(format!("the cue of the wrong sheet: {}", outcomes(&of_bad)));
        }
        lab.judge(&wrong, "the last good sheet was followed");
        let plan = lab.plan();
        lab.install(&plan).await?;
    }
    Ok(())
}
