//! An urgent notice and a hold to everybody at once: from the command at the API to the last
//! signed answer, against clients of a bare broker that get the same bytes, judge them alike, sign
//! alike, and do nothing else.
//!
//! Both are measured in turn on the same machine: the server, its broker and the devices share
//! its cores, as do the bare broker and its clients. A device counts as answered when its broker
//! has taken what it signed. The server takes the answers in meanwhile; the floor's broker throws
//! them away.

use super::fleet::{Fleet, Manner};
use super::host::{Host, Server, Tone};
use super::raw::Raw;
use super::{Row, middle};
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::{runtime, serve};
use crate::domain::ids::UnitId;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;

const PATIENCE_MS: i64 = 300_000;
/// Orders measured, after one that is not.
const ROUNDS: usize = 5;
/// Where all devices are.
const UNIT: &str = "90001";
const CLIP: Tone = Tone { name: "ban-tin", hertz: 440, seconds: 10 };

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A notice with an asset that every device holds; answered by `received` and `start`.
    Urgent,
    /// Answered once all is silent.
    Hold,
}

/// One order of the server.
struct Taken {
    /// Until the broker had the last answer, in seconds.
    answered: f64,
    /// Until every device had the receipt of its answer.
    proved: f64,
    /// Until the API had answered whoever ordered.
    said: f64,
}

/// Measures it with so many devices.
pub fn rows(kind: Kind, devices: usize) -> anyhow::Result<Vec<Row>> {
    serve::raise_descriptors();
    let runtime = runtime()?;
    let host = Host::district(devices, &[CLIP])?;
    host.add_standby()?;
    let server = host.serve()?;
    let enrolled = runtime.block_on(host.enrol(&server, devices))?;
    let desk = Desk::new(&server, runtime.block_on(host.token())?.reveal());
    let (_go, fetch) = watch::channel(false);
    let manner = Manner { fetch: Some(fetch), ..Manner::default() };
    let fleet = runtime.block_on(async { Fleet::start(&enrolled, &manner) })?;
    fleet.wait(devices, PATIENCE_MS, |progress| vec![&progress.sheets, &progress.receipted])?;
    let raw = Raw::start()?;
    let unit: UnitId = UNIT.parse()?;
    let floor = runtime.block_on(raw.answering(&enrolled, &unit))?;

    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS + 1 {
        calm();
        let taken = desk.measure(kind, &fleet, devices * round)?;
        let (topic, order) = fleet.progress.order().context("an order that no device has")?;
        calm();
        let bare = runtime.block_on(floor.order(topic, order))?;
        // The first one finds caches and buffers cold, on both sides.
        if round > 1 {
            ours.push(taken);
            floors.push(bare);
        }
    }
    runtime.shutdown_background();
    let median = |of: fn(&Taken) -> f64| middle(ours.iter().map(of).collect());
    let (answered, floor) = (median(|taken| taken.answered), middle(floors));
    let (work, last) = match kind {
        Kind::Urgent => ("urgent notice", "start"),
        Kind::Hold => ("hold", "confirmation"),
    };
    Ok(vec![
        Row::at_most(
            format!("{work} to {devices} devices, last signed {last} sent"),
            answered,
            2.0,
            "s",
        )
        .note(format!(
            "median of {ROUNDS}; from the command at the API; all receipted after {:.2} s, the \
                 API answered after {:.2} s",
            median(|taken| taken.proved),
            median(|taken| taken.said),
        )),
        Row::at_most("the same, of clients of a bare broker", answered / floor, 1.3, "×").note(
            format!(
                "{floor:.2} s for the same bytes, verification and signatures and nothing else, \
                 in turn with ours; on the same cores our server also takes the answers in"
            ),
        ),
    ])
}

/// Lets what the order before has set in motion come to its end.
fn calm() {
    std::thread::sleep(Duration::from_millis(1_500));
}

/// Who orders, by the API.
struct Desk {
    agent: ureq::Agent,
    url: String,
    bearer: String,
}

impl Desk {
    fn new(server: &Server, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_mins(1)))
            .http_status_as_error(false);
        let url = format!("{}/api/v1", server.url);
        Self { agent: config.build().into(), url, bearer: format!("Bearer {token}") }
    }

    /// Orders, and waits until so many orders were answered in all.
    fn measure(&self, kind: Kind, fleet: &Fleet, answers: usize) -> anyhow::Result<Taken> {
        let prepared = match kind {
            Kind::Urgent => Some(self.prepare()?),
            Kind::Hold => None,
        };
        std::thread::scope(|scope| {
            let clock = SystemClock::new();
            let order = scope.spawn(|| {
                let clock = SystemClock::new();
                match &prepared {
                    Some((jti, confirm)) => {
                        self.post(&format!("urgent/{jti}/send"), &json!({ "confirm": confirm }))?
                    }
                    None => self.hold()?,
                };
                anyhow::Ok(clock.mono_us() as f64 / 1e6)
            });
            fleet.wait(answers, PATIENCE_MS, |progress| vec![&progress.answered])?;
            let answered = clock.mono_us() as f64 / 1e6;
            fleet.wait(answers, PATIENCE_MS, |progress| vec![&progress.proved])?;
            let proved = clock.mono_us() as f64 / 1e6;
            let said = order.join().map_err(|_| anyhow::anyhow!("ordering failed"))??;
            Ok(Taken { answered, proved, said })
        })
    }

    /// Prepares a notice with a standby clip; returns its id and what its preview showed.
    fn prepare(&self) -> anyhow::Result<(String, String)> {
        let notice = json!({
            "units": [UNIT],
            "reason": "Đo tốc độ",
            "document": { "number": "01/KH", "issuer": "UBND" },
            "template": "flood",
            "times": 1,
            "expires_s": 3_600,
        });
        let shown = self.post("urgent", &notice)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let found = text(&shown["notice"]["jti"]).zip(text(&shown["confirm"]));
        found.with_context(|| format!("a preview without id: {shown}"))
    }

    fn hold(&self) -> anyhow::Result<Value> {
        let hold = json!({ "minutes": 60, "reason": "Đo tốc độ" });
        let url = format!("{}/holds/{UNIT}", self.url);
        read(self.agent.put(url).header("authorization", &self.bearer).send_json(hold)?)
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/{path}", self.url);
        read(self.agent.post(url).header("authorization", &self.bearer).send_json(body)?)
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<Value> {
    // With each of 5,000 devices it is longer than what is read by itself.
    let said: Value = answer.body_mut().with_config().limit(64 << 20).read_json()?;
    anyhow::ensure!(answer.status().is_success(), "the server refused: {said}");
    Ok(said)
}
