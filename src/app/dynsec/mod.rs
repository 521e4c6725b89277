//! Accounts and roles at a mosquitto of somebody else's, kept by its dynamic-security plugin, so
//! that nobody copies password files and access lists when devices come, move and go.
//!
//! [`account`] says what should stand there, [`steps`] how to come there, [`wire`] speaks the
//! plugin's language, and [`Admin`] is the loop: it reads what is there at each connection and
//! now and then, and mends the difference at each change of the register.
//!
//! # Invariants
//! * What does not carry our mark is neither changed nor removed; a name of ours that somebody else
//!   has taken is told to a person.
//! * A revoked device is out before anything else is done.
//! * One process at a time administers: the one that leads.
//! * The register counts: what an administrator gives our accounts beyond it is taken back.
//!
//! # Limits
//! mosquitto 2.0.11 knows no `%u` in roles, so each device has one of its own, and it writes its
//! whole file at every command: a first filling of 3,000 devices was measured at one minute, in
//! strokes of 20 commands between which others are served. A changed role puts nobody out; a
//! changed account does, which is why units are roles of their own.

mod account;
mod steps;
#[cfg(test)]
mod tests;
mod wire;

pub use account::{Account, Accounts, Role, ServerAccount, Wanted, Word, mark, wanted};
pub use steps::{Step, Steps, apply, steps};

use super::link::{Link, LinkError, LinkEvent, LinkEvents};
use super::live::{Alarm, Live};
use super::ports::{Store, StoreError};
use super::registry::PasswordSeed;
use crate::wire::topic::Topics;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use wire::{Question, Said};

/// Commands of one stroke: between two of them the broker serves others.
const STROKE: usize = 20;
/// How long an answer may take; the plugin writes its file before it answers.
const ANSWER: Duration = Duration::from_secs(30);
/// How often the register is looked at for changes.
const LOOK: Duration = Duration::from_millis(500);
/// How often all that stands in the plugin is read again.
const AGAIN: Duration = Duration::from_mins(10);
/// How long to wait after something went wrong.
const REST: Duration = Duration::from_secs(30);
/// Names that an alarm lists.
const NAMED: usize = 5;

/// Codes of the alarms about it.
const CODES: [&str; 4] =
    ["broker-admin", "broker-admin-taken", "broker-admin-locked-out", "broker-admin-open"];

/// Why the plugin's accounts are not as they should be.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no connection as its administrator: {why}")]
    Down { why: String },
    #[error("no answer on `{}` within {} s", wire::ANSWERS, ANSWER.as_secs())]
    Silent,
    #[error("it refused {count} commands; the first, for `{name}`: {why}")]
    Refused { count: usize, name: String, why: String },
    #[error("it holds more than {} accounts or roles", wire::MOST)]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Trouble {
    fn hint(&self) -> &'static str {
        match self {
            Self::Down { .. } => {
                "is it up, and do `broker.admin_user` and `broker.admin_password_file` of \
                 station.toml name its administrator?"
            }
            Self::Silent => {
                "load the dynamic-security plugin (`loa broker acl --format dynsec` prints the \
                 settings) and give this user its role `admin`"
            }
            Self::Refused { .. } => "look at the broker's log; it is tried again in a while",
            Self::TooMany => "give the station a broker of its own",
            Self::Store(error) => error.hint(),
        }
    }

    fn down(error: &LinkError) -> Self {
        Self::Down { why: error.to_string() }
    }
}

/// Keeps the accounts of a broker.
pub struct Admin {
    pub link: Link,
    pub events: LinkEvents,
    pub store: Arc<dyn Store>,
    pub live: Arc<Live>,
    pub topics: Topics,
    pub seed: PasswordSeed,
    pub server: ServerAccount,
    /// Whether this process leads.
    pub leads: Box<dyn Fn() -> bool + Send + Sync>,
    /// Numbers of commands.
    pub asked: u64,
}

impl Admin {
    /// Administers until the link is closed.
    pub async fn run(mut self) {
        while let Some(event) = self.events.next().await {
            match event {
                LinkEvent::Connected => {
                    if let Err(trouble) = self.connected().await {
                        self.tell(&trouble);
                    }
                }
                LinkEvent::Disconnected { why } => self.tell(&Trouble::Down { why }),
                LinkEvent::Message { .. } => {}
            }
        }
    }

    /// Administers over one connection; ends with the reason why that is gone.
    async fn connected(&mut self) -> Result<(), Trouble> {
        let answers = vec![wire::ANSWERS.to_owned()];
        self.link.subscribe(answers).await.map_err(|error| Trouble::down(&error))?;
        loop {
            let devices = self.live.devices();
            let until = Instant::now() + AGAIN;
            let until = match self.once().await {
                Ok(()) => until,
                Err(Trouble::Down { why }) => return Err(Trouble::Down { why }),
                Err(trouble) => {
                    self.tell(&trouble);
                    Instant::now() + REST
                }
            };
            while Instant::now() < until {
                let look = (Instant::now() + LOOK).min(until);
                if let Some(LinkEvent::Disconnected { why }) = self.until(look).await {
                    return Err(Trouble::Down { why });
                }
                let changed = !Arc::ptr_eq(&devices, &self.live.devices());
                if changed {
                    break;
                }
            }
        }
    }

    async fn until(&mut self, instant: Instant) -> Option<LinkEvent> {
        tokio::select! {
            event = self.events.next() => {
                event.or_else(|| Some(LinkEvent::Disconnected { why: "closed".to_owned() }))
            }
            () = sleep_until(instant) => None,
        }
    }

    /// Reads what is there and mends the difference, if this process leads.
    async fn once(&mut self) -> Result<(), Trouble> {
        if !(self.leads)() {
            return Ok(());
        }
        let (devices, units) = (self.store.devices().await?, self.store.units().await?);
        let wanted = wanted(&self.topics, &self.server, &devices, &units, &self.seed);
        let open = self.defaults().await?;
        let found = self.read().await?;
        let plan = steps(&wanted, &found, &mark(&self.topics));
        let mut refused = BTreeMap::new();
        for stroke in plan.steps.chunks(STROKE) {
            let questions = stroke.iter().cloned().map(Question::Do).collect();
            for (step, said) in stroke.iter().zip(self.ask(questions).await?) {
                if let Said::Refused(why) = said {
                    refused.insert(name(step).to_owned(), why);
                }
            }
        }
        if !plan.steps.is_empty() {
            let (steps, refused) = (plan.steps.len(), refused.len());
            tracing::info!(steps, refused, "Brought accounts and roles of the broker in line");
        }
        self.alarms(&plan, open);
        let count = refused.len();
        match refused.into_iter().next() {
            Some((name, why)) => Err(Trouble::Refused { count, name, why }),
            None => Ok(()),
        }
    }

    /// Says whether who has no role may publish or subscribe.
    async fn defaults(&mut self) -> Result<bool, Trouble> {
        match self.ask(vec![Question::Defaults]).await?.pop() {
            Some(Said::Defaults { publish, subscribe }) => Ok(publish || subscribe),
            said => Err(unfit("getDefaultACLAccess", said)),
        }
    }

    async fn read(&mut self) -> Result<Accounts, Trouble> {
        let mut found = Accounts::default();
        for from in (0..wire::MOST).step_by(wire::PAGE) {
            match self.ask(vec![Question::Roles(from)]).await?.pop() {
                Some(Said::Roles(total, page)) => {
                    found.roles.extend(page.roles);
                    if total > wire::MOST {
                        return Err(Trouble::TooMany);
                    }
                    if from + wire::PAGE >= total {
                        break;
                    }
                }
                said => return Err(unfit("listRoles", said)),
            }
        }
        for from in (0..wire::MOST).step_by(wire::PAGE) {
            match self.ask(vec![Question::Accounts(from)]).await?.pop() {
                Some(Said::Accounts(total, page)) => {
                    found.accounts.extend(page.accounts);
                    if total > wire::MOST {
                        return Err(Trouble::TooMany);
                    }
                    if from + wire::PAGE >= total {
                        break;
                    }
                }
                said => return Err(unfit("listClients", said)),
            }
        }
        Ok(found)
    }

    /// Asks all of it in one message and returns the answers in the order of the questions.
    async fn ask(&mut self, questions: Vec<Question>) -> Result<Vec<Said>, Trouble> {
        let first = self.asked;
        self.asked += questions.len() as u64;
        let commands: Vec<_> = (first..)
            .zip(&questions)
            .map(|(number, question)| wire::command(question, number))
            .collect();
        let body = serde_json::json!({ "commands": commands }).to_string();
        let sent = self.link.publish(wire::COMMANDS, body, false).await;
        sent.map_err(|error| Trouble::down(&error))?;
        let mut answers = BTreeMap::new();
        let collect = async {
            while answers.len() < questions.len() {
                match self.events.next().await {
                    None => return Err(Trouble::down(&LinkError::Closed)),
                    Some(LinkEvent::Disconnected { why }) => return Err(Trouble::Down { why }),
                    Some(LinkEvent::Connected) => return Err(Trouble::down(&LinkError::Lost)),
                    Some(LinkEvent::Message { topic, payload, .. }) if topic == wire::ANSWERS => {
                        let ours = |(number, _): &(u64, Said)| (first..self.asked).contains(number);
                        answers.extend(wire::read(&payload).into_iter().filter(ours));
                    }
                    Some(LinkEvent::Message { .. }) => {}
                }
            }
            Ok(())
        };
        timeout(ANSWER, collect).await.map_err(|_| Trouble::Silent)??;
        Ok(answers.into_values().collect())
    }

    /// Tells a person what no step can mend, and takes back what is mended.
    fn alarms(&self, plan: &Steps, open: bool) {
        for code in CODES {
            self.live.clear_alarm(code);
        }
        if open {
            self.live.set_alarm(Alarm {
                code: "broker-admin-open",
                vi: "Máy chủ MQTT cho phép gửi hoặc nhận mọi chủ đề khi chưa được phân quyền: hãy \
                     đặt `mosquitto_ctrl … dynsec setDefaultACLAccess publishClientSend deny` và \
                     `… subscribe deny`"
                    .to_owned(),
                en: "The broker lets clients publish or subscribe where no role allows it: run \
                     `mosquitto_ctrl … dynsec setDefaultACLAccess publishClientSend deny` and \
                     `… subscribe deny`"
                    .to_owned(),
            });
        }
        if !plan.taken.is_empty() {
            let names = list(plan.taken.iter());
            self.live.set_alarm(Alarm {
                code: "broker-admin-taken",
                vi: format!(
                    "Máy chủ MQTT đã có tài khoản trùng tên không do Loa tạo, nên được giữ \
                     nguyên: {names}. Hãy xoá tài khoản đó hoặc đặt mã khác cho thiết bị"
                ),
                en: format!(
                    "The broker has accounts of these names that were not made by Loa and are \
                     left alone: {names}. Remove them there, or give the devices other ids"
                ),
            });
        }
        if !plan.locked_out.is_empty() {
            let names = list(plan.locked_out.iter());
            self.live.set_alarm(Alarm {
                code: "broker-admin-locked-out",
                vi: format!(
                    "Không tạo được tài khoản trên máy chủ MQTT cho thiết bị đăng ký từ trước, vì \
                     máy chủ không biết mật khẩu của chúng: {names}. Hãy cấp mã đăng ký mới \
                     (`loa device enrol`)"
                ),
                en: format!(
                    "Devices that enrolled before this server could make their passwords again \
                     have no account at the broker: {names}. Give each a new code: `loa device \
                     enrol DEVICE`"
                ),
            });
        }
    }

    fn tell(&self, trouble: &Trouble) {
        if !(self.leads)() {
            return;
        }
        let hint = trouble.hint();
        tracing::warn!(error = %trouble, hint, "The broker's accounts are not kept");
        self.live.set_alarm(Alarm {
            code: "broker-admin",
            vi: format!("Chưa quản lý được tài khoản trên máy chủ MQTT: {trouble}"),
            en: format!("The accounts of the broker are not kept: {trouble}; {hint}"),
        });
    }
}

/// The account or role that a step is about.
fn name(step: &Step) -> &str {
    match step {
        Step::MakeRole(name, _)
        | Step::ChangeRole(name, _)
        | Step::MakeAccount(name, ..)
        | Step::ChangeAccount(name, ..)
        | Step::RemoveAccount(name)
        | Step::RemoveRole(name) => name,
    }
}

fn unfit(question: &str, said: Option<Said>) -> Trouble {
    let why = match said {
        Some(Said::Refused(why)) => why,
        _ => "an answer to another question".to_owned(),
    };
    Trouble::Refused { count: 1, name: question.to_owned(), why }
}

/// The first names, and how many more.
fn list<T: std::fmt::Display>(names: impl ExactSizeIterator<Item = T>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let mut text: Vec<String> = names.take(NAMED).map(|name| format!("`{name}`")).collect();
    if more > 0 {
        text.push(format!("… (+{more})"));
    }
    text.join(", ")
}
