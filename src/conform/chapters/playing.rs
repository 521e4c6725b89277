//! §10: at the instant, what was ordered, and nothing twice.

use crate::conform::clerk::Kept;
use crate::conform::lab::{Lab, SOON, Step, outcomes, total};
use crate::conform::rows::Check;
use crate::domain::playlist::Page;
use crate::raster::{Board, Design, Faces, Pass, Scene};
use serde_json::json;

/// By how much a span of the steady clock may pass one between two readings of the other clock:
/// each is cut to a whole millisecond.
const ROUNDED_MS: i64 = 2;

pub const CHECKS: &[Check] = &[
    Check { id: "play-instant", place: "§10", says: "plays a cue at its instant, to its end" },
    Check {
        id: "play-facts",
        place: "§11",
        says: "its record repeats sheet, item, title and times, and claims no more than it can know",
    },
    Check { id: "board-frame", place: "§11", says: "shows the pixels that the text must give" },
    Check {
        id: "play-over",
        place: "§10",
        says: "a cue that was over when its sheet came is not played",
    },
    Check {
        id: "play-late",
        place: "§10",
        says: "joins a cue that is running, and never starts it from the beginning",
    },
    Check {
        id: "play-withdrawn",
        place: "§7",
        says: "ends a running cue that the new plan does not hold: `partial`, `withdrawn`",
    },
    Check { id: "play-quiet", place: "§7, §10", says: "no clip sounds outside `sound`" },
    Check {
        id: "play-offline",
        place: "§10, §12",
        says: "plays without a line and tells of it later",
    },
];

pub async fn run(lab: &mut Lab) -> Step {
    instant(lab).await?;
    late(lab).await?;
    withdrawn(lab).await?;
    quiet(lab).await?;
    offline(lab).await
}

async fn instant(lab: &mut Lab) -> Step {
    lab.begin("play-instant");
    let at = lab.now() + 2_500;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 3_000)?;
    let sheet = lab.install(&plan).await?;
    lab.until(at + 3_000).await;
    let told = lab.result(&cue, SOON).await;
    let Some(kept) = told.first() else {
        lab.fail(outcomes(&told));
        return Ok(());
    };
    let begun =
        if lab.board.is_some() { kept.number("from_ms") } else { kept.number("started_ms") };
    let skew = begun - at;
    // By its own word: a board turns a page when it can, a clip is heard in the whole street.
    let most = if lab.board.is_some() { 1_000 } else { 300 };
    if skew.abs() > most || total(&told) < 2_700 {
        lab.fail(format!("{skew} ms after the instant; {}", outcomes(&told)));
    } else {
        lab.pass(format!("{skew} ms after the instant, for {} ms", total(&told)));
    }
    lab.begin("play-facts");
    let wrong = facts(lab, kept, &plan.cues[0], &plan.items, &sheet.to_string());
    lab.judge(&wrong, format!("grade {}", kept.number("grade")));
    frame(lab, kept);
    Ok(())
}

fn facts(
    lab: &Lab,
    kept: &Kept,
    cue: &serde_json::Value,
    items: &serde_json::Map<String, serde_json::Value>,
    sheet: &str,
) -> Vec<String> {
    let item = cue["item"].as_str().unwrap_or_default();
    let mut want = vec![
        ("sheet", json!(sheet)),
        ("item", json!(item)),
        ("title", items[item]["title"].clone()),
        ("n", json!(1)),
        ("outcome", json!("played")),
        ("cause", json!("end")),
    ];
    if lab.board.is_none() {
        want.push(("asset", json!(lab.tone.name)));
        want.push(("due_ms", cue["at_ms"].clone()));
        want.push(("due_len_ms", json!(3_000)));
    }
    let mut wrong: Vec<String> = want
        .iter()
        .filter(|(member, wanted)| kept.claims[*member] != *wanted)
        .map(|(member, wanted)| format!("`{member}` is {}, not {wanted}", kept.claims[*member]))
        .collect();
    let grade = kept.number("grade");
    if !(1..=6).contains(&grade) {
        wrong.push(format!("grade {grade}"));
    }
    if lab.board.is_some() {
        let shown = kept.number("to_ms") - kept.number("from_ms");
        if kept.number("shown_ms") > shown + ROUNDED_MS {
            wrong.push(format!("{} ms shown within {shown} ms", kept.number("shown_ms")));
        }
        if kept.claims["frame"].is_null() && grade > 2 {
            wrong.push(format!("grade {grade} without a frame"));
        }
    }
    wrong
}

fn frame(lab: &mut Lab, kept: &Kept) {
    lab.begin("board-frame");
    let Some(profile) = lab.board.clone() else {
        lab.skip("no board");
        return;
    };
    let Some(frame) = kept.claims["frame"].as_str().map(str::to_owned) else {
        lab.skip("it tells of no pixels, and claims no grade above 2");
        return;
    };
    let (board, faces) = (Board::from(&profile), Faces::of_profile(&profile));
    let page = Page::still("Kiểm tra", 1_000);
    let design = Design::from(&page);
    let scene = Scene::with(lab.clock.now(), Vec::new());
    let drawn = Pass::new(&design, &board, &faces, &scene);
    let wanted = drawn.frames().next().map(|shown| shown.frame.hash().to_string());
    if wanted.as_deref() == Some(frame.as_str()) {
        lab.pass(frame);
    } else {
        let size = format!("{} × {}", profile.width_px, profile.height_px);
        let fonts = profile.fonts.join(", ");
        let wanted = wanted.unwrap_or_default();
        lab.fail(format!("{frame}; by {fonts} on {size} it is {wanted}"));
    }
}

async fn late(lab: &mut Lab) -> Step {
    lab.begin("play-over");
    let now = lab.now();
    let mut plan = lab.plan();
    let over = lab.cue(&mut plan, now - 9_000, now - 6_000)?;
    let running = lab.cue(&mut plan, now - 3_000, now + 4_000)?;
    lab.install(&plan).await?;
    let held = lab.now();
    lab.until(now + 4_000).await;
    let told = lab.result(&running, SOON).await;
    let of_over = lab.told_of(&over);
    if total(&of_over) > 0 || lab.started("cue", &over).is_some() {
        lab.fail(outcomes(&of_over));
    } else {
        lab.pass("");
    }
    lab.begin("play-late");
    let sum = total(&told);
    // It cannot have run longer than from the arrival of the sheet to its end.
    let most = now + 4_000 - held + 600;
    if sum < 1_500 || sum > most {
        lab.fail(format!("{} of at most {most} ms", outcomes(&told)));
    } else {
        lab.pass(outcomes(&told));
    }
    Ok(())
}

async fn withdrawn(lab: &mut Lab) -> Step {
    lab.begin("play-withdrawn");
    let at = lab.now() + 2_000;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 8_000)?;
    lab.install(&plan).await?;
    lab.until(at + 1_800).await;
    let plan = lab.plan();
    lab.install(&plan).await?;
    let told = lab.result(&cue, SOON).await;
    let sum = total(&told);
    let said =
        told.iter().any(|k| k.text("outcome") == "partial" && k.text("cause") == "withdrawn");
    if said && (500..5_000).contains(&sum) {
        lab.pass(outcomes(&told));
    } else {
        lab.fail(outcomes(&told));
    }
    Ok(())
}

async fn quiet(lab: &mut Lab) -> Step {
    lab.begin("play-quiet");
    if lab.board.is_some() {
        lab.skip("boards are not bound by it");
        return Ok(());
    }
    let at = lab.now() + 2_000;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 2_500)?;
    let (from, to) = lab.day;
    plan.sound = Some(json!([
        {"from_ms": from, "to_ms": at - 1_000}, {"from_ms": at + 60_000, "to_ms": to},
    ]));
    lab.install(&plan).await?;
    lab.until(at + 2_500).await;
    let told = lab.result(&cue, SOON).await;
    let said = told.iter().any(|k| k.text("outcome") == "refused" && k.text("cause") == "quiet");
    if said && total(&told) == 0 && lab.started("cue", &cue).is_none() {
        lab.pass(outcomes(&told));
    } else {
        lab.fail(outcomes(&told));
    }
    Ok(())
}

async fn offline(lab: &mut Lab) -> Step {
    lab.begin("play-offline");
    let at = lab.now() + 2_500;
    let mut plan = lab.plan();
    let cue = lab.cue(&mut plan, at, at + 2_500)?;
    lab.install(&plan).await?;
    if lab.board.is_none() {
        lab.rest(500).await;
    }
    let mark = lab.trace.mark();
    lab.tap.shut();
    lab.until(at + 2_600).await;
    let early = !lab.told_of(&cue).is_empty();
    lab.tap.open();
    lab.ready(mark, 60_000).await?;
    let told = lab.result(&cue, SOON).await;
    if total(&told) >= 2_000 && !early {
        lab.pass(outcomes(&told));
    } else {
        lab.fail(outcomes(&told));
    }
    Ok(())
}
