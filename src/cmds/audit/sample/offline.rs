//! A draw out of a pack: by whoever has the file and a policy, without the server.
//!
//! Finds head and plays by the auditor's room and draws as the server does: the same question gives
//! the same seed, plays and codes. Names of devices and places are not in a pack, their ids are.

use super::super::bar::Bar;
use super::super::verify::policy;
use super::told;
use crate::app::draws::{Document, HeadText, Play, Question, VouchedBy};
use crate::audit::{self, Asked, DrawnError, Progress};
use crate::cmds::{failed, wrong_use};
use crate::domain::ids::{CueId, DeviceId};
use crate::domain::time::UtcMs;
use crate::draw::ground::{Head, Period};
use crate::draw::{Ground, Population, draw};
use anyhow::Context as _;
use chrono_tz::Tz;
use std::fs::{self, File};
use std::path::Path;

fn refused(error: DrawnError) -> anyhow::Error {
    let hint = error.hint();
    match error {
        DrawnError::Read(error) => failed(error, hint),
        error => wrong_use(error, hint),
    }
}

/// Draws out of a pack.
pub fn make(
    pack: &Path,
    pinned: &Path,
    question: Question,
    zone: Tz,
    now: UtcMs,
) -> anyhow::Result<Document> {
    question.check(now).map_err(told)?;
    let pinned = policy(pinned)?;
    let place = || format!("reading `{}`", pack.display());
    // A folder or a pipe has no places to read at.
    if !fs::metadata(pack).with_context(place)?.is_file() {
        let text = format!("`{}` is no file", pack.display());
        return Err(wrong_use(text, "name the file that `loa audit pack` wrote"));
    }
    let file = File::open(pack).with_context(place)?;
    let mut bar = Bar::new();
    let mut show = |Progress { walk, done, bytes }| match walk {
        0 => bar.show("looking through", done, bytes),
        walk => bar.show(&format!("checking, walk {walk}"), done, bytes),
    };
    let asked = Asked {
        from_ms: question.from_ms.0,
        to_ms: question.to_ms.0,
        after_ms: question.after_ms.0,
        unit: question.unit.as_ref().map(crate::domain::ids::UnitId::as_str),
        line: question.line.as_deref(),
    };
    let options = audit::Options::default();
    let plays = audit::population(&file, &pinned, &asked, &options, &mut show).map_err(refused)?;
    drop(bar);
    if !plays.verdict.faults.is_empty() {
        let faults = plays.verdict.faults.len();
        eprintln!("note: {faults} faults of single records; `loa audit verify` tells them");
    }
    let foreign = |name: &str| {
        wrong_use(format!("the pack names a device `{name:.60}`"), DrawnError::Many.hint())
    };
    let mut population = Population::default();
    for (name, cue) in plays.all() {
        let device: DeviceId = name.parse().map_err(|_| foreign(name))?;
        population.push(&device, CueId(cue)).map_err(|error| told(error.into()))?;
    }
    let head = plays.head.clone();
    let vouched_ms = head.vouched_ms.map_or(now, UtcMs);
    let by = if head.vouched_ms.is_some() { VouchedBy::Witnesses } else { VouchedBy::Server };
    let (origin, size, before, root) = (head.origin, head.size, head.before, head.root);
    let head = HeadText { origin, size, before, root, vouched_ms, by };
    let HeadText { origin, size, before, root, .. } = head.clone();
    let over =
        Period { from_ms: question.from_ms, to_ms: question.to_ms, scope: question.unit.clone() };
    let ground = Ground::new(
        Head { origin, size, before, root, vouched_ms },
        over,
        &population,
        &question.word,
    )
    .map_err(|error| told(error.into()))?;
    let wanted = usize::try_from(question.plays).unwrap_or(usize::MAX);
    let mut drawn = Vec::new();
    for number in draw(&ground.seed(), ground.plays(), wanted) {
        let play = plays.play(number).map_err(|error| refused(error.into()))?;
        let play = play.context("the list of plays is shorter than it was")?;
        let shard = play.origin.rsplit('/').next().unwrap_or_default().to_owned();
        drawn.push(Play {
            number,
            device: play.device.parse().map_err(|_| foreign(&play.device))?,
            name: play.device,
            place: play.units.first().cloned().unwrap_or_default(),
            cue: CueId(play.cue),
            began: UtcMs(play.at_ms).datetime().with_timezone(&zone).naive_local(),
            title: play.title,
            shard,
            index: play.index,
        });
    }
    let (id, plays) = (question.id(), ground.plays());
    let list = population.digest();
    let document = Document { v: 1, id, question, head, plays, list, drawn };
    // What is given makes the list again, or is not given.
    document.walking_list().map_err(told)?;
    Ok(document)
}
