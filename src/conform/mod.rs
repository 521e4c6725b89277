//! Plays the scheduler against a device under test and says, check by check, whether it keeps the
//! contract of `firmware-notes/`: whatever firmware it runs, over a real broker.
//!
//! The device connects to a [`tap`], which passes every byte on to the broker and reads along, so
//! that what is judged is what was on the line. [`author`] signs what a scheduler signs and what
//! nobody should; [`clerk`] takes records as a server does and gives receipts; [`door`] enrols;
//! [`power`] cuts the power by a command or by a person's hand; [`chapters`] hold the checks.
//!
//! # Invariants
//! * Judged is the contract, not our server's tolerance and not our devices' habits: what the
//!   contract leaves open is not judged, and what a device need not have is skipped with a reason.
//! * Each check stands by itself: a device that fails one is brought to where the next begins, and
//!   wrong documents are written such that who takes one can take the next good one.
//! * Nothing is deduced from silence alone where a good document behind a wrong one can show that
//!   the device is still listening.
//!
//! # Limits
//! MQTT 3.1.1 without TLS: the bench stands beside the device. What sounds is not measured, a
//! loudspeaker is believed; what a board shows is judged where it tells the hash of its pixels.

pub mod author;
pub mod chapters;
pub mod clerk;
pub mod door;
pub mod lab;
pub mod power;
pub mod report;
pub mod rows;
pub mod tap;
pub mod trace;

use crate::app::link::{Link, LinkEvents};
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use crate::domain::profile::BoardProfile;
use crate::wire::topic::Topic;
use author::{Author, sign};
use chapters::{
    assets, documents, keys, line, orders, playing, power as cuts, records, sheets, time,
};
use clerk::Clerk;
use door::{Answering, Door};
use lab::{Asset, Lab, Step, Stop};
use power::Rig;
use rows::{Check, Row, Rows, Verdict};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use tap::Tap;
use trace::{Trace, What};

/// Checks of the enrolment (§3).
const ENROL: &[Check] = &[
    Check {
        id: "enrol-root",
        place: "§3",
        says: "refuses an answer of a server with another root key than the code names",
    },
    Check { id: "enrol-request", place: "§3", says: "proves the code, and its own key" },
    Check {
        id: "enrol-bound",
        place: "§3",
        says: "refuses an answer that belongs to another request",
    },
];

/// Returns all checks in the order of the run.
pub fn checks() -> &'static [Check] {
    static ALL: OnceLock<Vec<Check>> = OnceLock::new();
    ALL.get_or_init(|| {
        [
            ENROL,
            line::CHECKS,
            time::CHECKS,
            documents::CHECKS,
            sheets::CHECKS,
            assets::CHECKS,
            playing::CHECKS,
            orders::CHECKS,
            records::CHECKS,
            line::AGAIN,
            cuts::CHECKS,
            keys::CHECKS,
            records::WHOLE,
        ]
        .concat()
    })
}

/// What stands on the bench.
pub struct Bench {
    pub device: DeviceId,
    /// The panel of a board; `None` for a loudspeaker.
    pub board: Option<BoardProfile>,
    pub author: Author,
    pub trace: Trace,
    pub tap: Tap,
    pub door: Door,
    pub link: Link,
    pub events: LinkEvents,
    pub clock: SharedClock,
    pub rig: Rig,
    /// Ids of checks, or their first words; empty means all.
    pub only: BTreeSet<String>,
    /// Told of each verdict as it falls.
    pub told: Box<dyn Fn(&Row) + Send>,
}

/// Runs all checks; an error is one of ours, never one of the device's.
pub async fn run(bench: Bench) -> Result<Rows, Stop> {
    let Bench { device, board, author, trace, tap, door, link, events, clock, rig, only, told } =
        bench;
    let mut rows = Rows::default();
    let enrolled = enrol(&door, &rig, &trace, &clock, &only, &mut rows, &told).await?;
    let Some(key) = enrolled else {
        unreached(&mut rows, &only, &told, checks());
        return Ok(rows);
    };
    let who = (device, key);
    let topics = author.topics.clone();
    let clerk = Clerk::start(link.clone(), events, &author.keys, who, topics, clock.clone());
    if !clerk.ready(30_000).await {
        return Err(Stop::Waited { what: "the broker did not let us in", ms: 30_000 });
    }
    let now = clock.now().0;
    let mut lab = Lab {
        author,
        trace,
        tap,
        clerk,
        link,
        clock,
        rig,
        board,
        tone: Asset::tone(12_000, 8_000, 440.0),
        password: door.password.clone(),
        day: (now - 12 * 3_600_000, now + 12 * 3_600_000),
        settle_ms: 1_500,
        force: 0,
        since: 0,
        rows,
        only,
        checks: checks(),
        current: None,
        told,
    };
    open(&mut lab).await?;
    story(&mut lab).await?;
    let missing: Vec<Check> = checks().to_vec();
    let Lab { mut rows, only, told, .. } = lab;
    unreached(&mut rows, &only, &told, &missing);
    Ok(rows)
}

/// What a server has published before a device comes.
async fn open(lab: &mut Lab) -> Step {
    let chain = lab.author.chain();
    lab.publish(&Topic::Keys, chain, true).await?;
    let presence = json!({
        "v": 1, "iss": "loa conform", "iat": lab.author.now_s(), "state": "ready",
        "conn": lab.author.word("ban"), "build": env!("CARGO_PKG_VERSION"),
    });
    let text = sign(&lab.author.keys.receipt, "server", &presence);
    lab.publish(&Topic::Server, text, true).await?;
    if lab.board.is_none() {
        let tone = lab.tone.clone();
        lab.assets(&tone).await?;
    }
    Ok(())
}

/// The chapters in order. The first two lay the ground of all others.
async fn story(lab: &mut Lab) -> Result<(), Stop> {
    let ground = line::first(lab).await;
    if !closed(lab, ground, line::CHECKS)? {
        return Ok(());
    }
    let ground = time::run(lab).await;
    if !closed(lab, ground, time::CHECKS)? {
        return Ok(());
    }
    macro_rules! chapter {
        ($run:path, $checks:expr) => {
            if $checks.iter().any(|check| lab.wants(check.id)) {
                let ended = $run(lab).await;
                if !closed(lab, ended, $checks)? && !recovered(lab).await? {
                    records::whole(lab);
                    return Ok(());
                }
            }
        };
    }
    chapter!(documents::run, documents::CHECKS);
    chapter!(sheets::run, sheets::CHECKS);
    chapter!(assets::run, assets::CHECKS);
    chapter!(playing::run, playing::CHECKS);
    chapter!(orders::run, orders::CHECKS);
    chapter!(records::run, records::CHECKS);
    chapter!(line::again, line::AGAIN);
    chapter!(cuts::run, cuts::CHECKS);
    chapter!(keys::run, keys::CHECKS);
    records::whole(lab);
    Ok(())
}

/// Closes a chapter: what stopped it fails the check under way, and the rest was not reached.
fn closed(lab: &mut Lab, ended: Step, checks: &[Check]) -> Result<bool, Stop> {
    let stop = match ended {
        Ok(()) => {
            lab.current = None;
            return Ok(true);
        }
        Err(stop @ Stop::Waited { .. }) => stop,
        Err(ours) => return Err(ours),
    };
    lab.fail(stop.to_string());
    for check in checks {
        lab.begin(check.id);
        if lab.rows.of(check.id).is_none() {
            lab.end(Verdict::Unreached, "the chapter ended before it");
        }
    }
    lab.current = None;
    Ok(false)
}

/// Brings the device to where a chapter begins; says whether that went well.
async fn recovered(lab: &mut Lab) -> Result<bool, Stop> {
    lab.tap.open();
    {
        let mut heard = lab.clerk.lock();
        heard.receipts = true;
        heard.time = true;
    }
    let unit = lab.author.units[0].clone();
    let (_, claims) = lab.author.hold(&unit, 0);
    let text = sign(&lab.author.keys.schedule, "hold", &claims);
    lab.publish(&Topic::Hold(unit), text, true).await?;
    let plan = lab.plan();
    match lab.install(&plan).await {
        Ok(_) => Ok(true),
        Err(Stop::Waited { .. }) => Ok(false),
        Err(ours) => Err(ours),
    }
}

type Told = Box<dyn Fn(&Row) + Send>;

fn wanted(only: &BTreeSet<String>, check: &Check) -> bool {
    let of = |one: &String| check.id == one || check.id.split('-').next() == Some(one);
    only.is_empty() || only.iter().any(of)
}

fn unreached(rows: &mut Rows, only: &BTreeSet<String>, told: &Told, checks: &[Check]) {
    for check in checks {
        if rows.of(check.id).is_none() && wanted(only, check) {
            let evidence = "the run ended before it".to_owned();
            let row = Row { check: *check, verdict: Verdict::Unreached, evidence, ms: 0 };
            told(&row);
            rows.put(row);
        }
    }
}

/// Enrols the device: two liars first, if somebody can hand it codes, then the right answer.
async fn enrol(
    door: &Door,
    rig: &Rig,
    trace: &Trace,
    clock: &SharedClock,
    only: &BTreeSet<String>,
    rows: &mut Rows,
    told: &Told,
) -> Result<Option<crate::wire::jws::PublicKey>, Stop> {
    let mut put = |id: &str, verdict, evidence: String, begun: i64| {
        let found = ENROL.iter().find(|check| check.id == id);
        if let Some(check) = found.filter(|check| wanted(only, check)) {
            let row = Row { check: *check, verdict, evidence, ms: clock.mono_ms() - begun };
            told(&row);
            rows.put(row);
        }
    };
    let wait = if rig.enrol.is_some() { 60_000 } else { 1_800_000 };
    let liars = [("enrol-root", Answering::ByAnotherRoot), ("enrol-bound", Answering::ToAnother)];
    for (id, answering) in liars {
        let begun = clock.mono_ms();
        if rig.enrol.is_none() && !rig.ask {
            let why = "nobody can hand it another code: `--enrol-command`, or a terminal";
            put(id, Verdict::Skip, why.to_owned(), begun);
            continue;
        }
        let mark = trace.mark();
        let code = door.code(answering)?;
        let note = "This code leads to a liar. Enrol the device with it: it must refuse.";
        let took = rig.enrol(&code.text(), note).await?;
        if door.asked(wait).await.is_none() {
            put(id, Verdict::Fail, "no request came".to_owned(), begun);
            return Ok(None);
        }
        let connected = |seen: &[trace::Seen]| {
            seen.iter().any(|one| matches!(one.what, What::Hello(_))).then_some(())
        };
        let believes = match took {
            Some(took) => took,
            None => trace.until(mark, 5_000, connected).await.is_some(),
        };
        if believes {
            put(id, Verdict::Fail, "it took the answer".to_owned(), begun);
            return Ok(None); // it obeys another server now
        }
        put(id, Verdict::Pass, String::new(), begun);
    }
    let begun = clock.mono_ms();
    let code = door.code(Answering::Rightly)?;
    let note = "Enrol the device with this code, valid for an hour:";
    let took = rig.enrol(&code.text(), note).await?;
    let Some(asked) = door.asked(wait).await else {
        put("enrol-request", Verdict::Fail, "no request came".to_owned(), begun);
        return Ok(None);
    };
    match asked.key {
        Ok(_) if took == Some(false) => {
            let why = "the request was good, but the device did not take the answer";
            put("enrol-request", Verdict::Fail, why.to_owned(), begun);
            Ok(None)
        }
        Ok(key) => {
            let fw = if asked.fw.is_empty() { "no `fw`" } else { &asked.fw };
            put("enrol-request", Verdict::Pass, format!("key {}, {fw}", key.kid()), begun);
            Ok(Some(key))
        }
        Err(why) => {
            put("enrol-request", Verdict::Fail, why, begun);
            Ok(None)
        }
    }
}
