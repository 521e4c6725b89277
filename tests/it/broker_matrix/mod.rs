//! The whole access list, cell by cell, on each broker with sockets: every kind of topic, whoever
//! it belongs to, published at each quality of service, kept or not, as a will, subscribed to by
//! name, by wildcard and by `$share`. Judged by what arrives: a broker's answer proves nothing
//! (mosquitto acknowledges what it then ignores). The verdicts stand in [`table`].

mod anonymous;
mod servers;
mod table;

use crate::support::brokers::{Client, Kind, World, quick, url};
use crate::support::hostile::{Heard, Hostile, LastWill};
use crate::support::mosquitto::{Known, SECOND, WATCHER};
use crate::support::wait::within;
use loa::domain::chunk::ChunkSize;
use loa::domain::ids::Digest;
use loa::mqtt::{MqttConfig, Password};
use loa::wire::topic::{Topic, Topics};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use table::{FILTERS, OUTSIDE, Row, Write, matches, rows};

/// A broker, the server on it and somebody who hears everything.
struct Stage {
    world: World,
    server: Client,
    /// The embedded broker knows nobody but its server, and one connection of each name: there
    /// the server itself listens on.
    watcher: Option<Client>,
    marks: u32,
}

/// What came, by topic and body, and whether it was kept.
type Traffic = BTreeSet<Heard>;

fn heard(topic: &str, payload: &str, retain: bool) -> Heard {
    Heard { topic: topic.to_owned(), payload: payload.to_owned(), retain }
}

impl Stage {
    #[cfg(feature = "embedded-broker")]
    async fn embedded() -> Self {
        Self::on(World::embedded_of(table::accounts()).await).await
    }

    async fn mosquitto() -> Self {
        Self::on(World::mosquitto_watched(table::accounts()).await).await
    }

    async fn plugin() -> Self {
        Self::on(World::plugin_watched(table::accounts()).await).await
    }

    async fn on(world: World) -> Self {
        let server = world.server().await;
        let mut stage = Self { world, server, watcher: None, marks: 0 };
        if !stage.refuses() {
            stage.watcher = Some(stage.as_user(WATCHER).await);
        }
        stage
    }

    /// Connects to mosquitto under a name.
    async fn as_user(&self, (user, password): (&str, &str)) -> Client {
        let login = Some((user.to_owned(), Password::new(password)));
        let config = quick(MqttConfig::server(url(self.at()), user, login));
        Client::connect(config, Box::new(|| None)).await
    }

    /// Hears everything from now on.
    async fn listen(&mut self) {
        if !self.refuses() {
            return self.watcher().subscribe(&["#"]).await;
        }
        // The embedded broker sends what is kept beside the answer, and what is kept a moment
        // later with it: once it has sent one, it has looked.
        self.server.publish("loa/1/epoch", "here", true).await;
        self.server.subscribe(&["loa/1/#"]).await;
        while !matches!(self.server.message().await, (.., true)) {}
        self.server.publish("loa/1/epoch", "", true).await;
        while !self.server.message().await.1.is_empty() {}
    }

    fn watcher(&mut self) -> &mut Client {
        self.watcher.as_mut().unwrap_or(&mut self.server)
    }

    fn at(&self) -> SocketAddr {
        match &self.world.kind {
            Kind::Hub(_) => unreachable!("the hub has no address"),
            #[cfg(feature = "embedded-broker")]
            Kind::Embedded(embedded) => embedded.devices,
            Kind::Mosquitto(mosquitto) => mosquitto.at,
        }
    }

    /// Whether this is the embedded broker, which refuses where mosquitto keeps silent.
    fn refuses(&self) -> bool {
        !matches!(self.world.kind, Kind::Mosquitto(_))
    }

    /// Whether this is mosquitto with its plugin, which refuses subscriptions too, and binds each
    /// account to its client id.
    fn by_plugin(&self) -> bool {
        matches!(&self.world.kind, Kind::Mosquitto(mosquitto) if mosquitto.known == Known::Plugin)
    }

    fn write(&self, row: &Row) -> Write {
        if self.refuses() { row.embedded } else { row.mosquitto }
    }

    async fn me(&self) -> Hostile {
        self.connect("loa-1", None).await.unwrap_or_else(|code| panic!("refused: {code:?}"))
    }

    /// Connects with `loa-1`'s password. The embedded broker answers "unavailable" while an
    /// earlier connection of the same name is still being put away.
    async fn connect(&self, name: &str, will: LastWill<'_>) -> Result<Hostile, Option<u8>> {
        let again = async {
            loop {
                match Hostile::login(self.at(), name, Some(ME), will).await {
                    Err(Some(3)) => tokio::time::sleep(Duration::from_millis(5)).await,
                    answer => return answer,
                }
            }
        };
        within("another answer than `unavailable`", again).await
    }

    /// The lines that a server may publish on: the embedded broker takes no topic beside the
    /// contract from it either.
    fn planted(&self) -> Vec<Row> {
        let known = |row: &Row| !self.refuses() || Topics::default().parse(&row.topic).is_some();
        rows().into_iter().filter(known).collect()
    }

    /// Everything the watcher hears until this word of `loa-1`'s own, which must get through.
    async fn until_mark(&mut self, me: &mut Hostile) -> Traffic {
        self.marks += 1;
        let mark = format!("mark {}", self.marks);
        me.publish("loa/1/d/loa-1/state", &mark, 1, false).await;
        self.collect(&mark).await
    }

    async fn collect(&mut self, mark: &str) -> Traffic {
        let mut all = Traffic::new();
        loop {
            let (topic, payload, retain) = self.watcher().message().await;
            let payload = String::from_utf8_lossy(&payload).into_owned();
            if payload == mark {
                return all;
            }
            all.insert(Heard { topic, payload, retain });
        }
    }

    /// Checks what somebody who comes new finds kept. The embedded broker sends it beside what
    /// comes live, so all that is expected is waited for.
    async fn keeps(&mut self, expected: &Traffic) {
        self.marks += 1;
        let mark = format!("mark {}", self.marks);
        let mut second = None;
        if self.refuses() {
            self.server.link.unsubscribe(vec!["loa/1/#".into()]).await.unwrap();
        } else {
            second = Some(self.as_user(SECOND).await);
        }
        self.server.publish("loa/1/server", mark.clone(), true).await;
        let late = second.as_mut().unwrap_or(&mut self.server);
        late.subscribe(&["loa/1/#"]).await;
        late.publish("loa/1/server", mark.clone(), false).await;
        let mut all = Traffic::new();
        let marks = [true, false].map(|kept| heard("loa/1/server", &mark, kept));
        while !all.is_superset(expected) || !marks.iter().all(|mark| all.contains(mark)) {
            let (topic, payload, retain) = late.message().await;
            all.insert(heard(&topic, &String::from_utf8_lossy(&payload), retain));
        }
        all.retain(|one| !marks.contains(one));
        assert_eq!(all, *expected, "what was kept for those who come later");
    }
}

const ME: (&str, &str) = ("loa-1", "mật khẩu của loa-1");

/// A topic that every device may read, in no row: what comes on it closes a list.
fn closing() -> String {
    let piece = Topic::Chunk { sha256: Digest::of(b"end"), size: ChunkSize::Kib16, n: 0 };
    Topics::default().of(&piece)
}

async fn what_a_device_publishes(stage: &mut Stage) {
    stage.listen().await;
    let mut me = stage.me().await;
    let (mut passes, mut stays) = (Traffic::new(), Traffic::new());
    let rows = rows();
    let mut refused = 0;
    for row in &rows {
        for (qos, retain) in [(0, false), (1, false), (2, false), (0, true), (1, true), (2, true)] {
            let body = format!("{} qos {qos} kept {retain}", row.name);
            me.publish(&row.topic, &body, qos, retain).await;
            match (stage.write(row), retain) {
                (Write::Never, _) | (Write::Passing, true) => refused += 1,
                (Write::Kept, true) => {
                    passes.insert(heard(&row.topic, &body, false));
                    stays.retain(|old: &Heard| old.topic != row.topic);
                    stays.insert(heard(&row.topic, &body, true));
                }
                (_, false) => {
                    passes.insert(heard(&row.topic, &body, false));
                }
            }
            if qos == 2 {
                // Its release must be answered before the next of the same number.
                assert!(me.settled().await, "{body}: the connection was closed");
            }
        }
    }
    for topic in OUTSIDE {
        me.publish(topic, "outside", 1, true).await;
        refused += 1;
        if !me.settled().await {
            me = stage.me().await;
        }
    }
    let came = stage.until_mark(&mut me).await;
    assert_eq!(came, passes, "what got through to others");
    stage.keeps(&stays).await;
    #[cfg(feature = "embedded-broker")]
    if let Kind::Embedded(embedded) = &stage.world.kind {
        assert_eq!(embedded.broker().counts().refused_publishes, refused, "each is counted");
    }
    assert!(refused > 200, "{refused}");
}

async fn what_a_device_publishes_against_the_protocol(stage: &mut Stage) {
    stage.listen().await;
    let long = format!("loa/1/d/loa-2/{}", "x".repeat(60_000));
    let deep = format!("loa/1/d/loa-2{}", "/x".repeat(5_000));
    for topic in ["loa/1/d/+/timetable", "loa/1/#", "#", "+", "", &long, &deep] {
        for qos in [0, 1] {
            let mut me = stage.me().await;
            me.publish(topic, "giả", qos, true).await;
            me.settled().await;
        }
    }
    let mut me = stage.me().await;
    assert_eq!(stage.until_mark(&mut me).await, Traffic::new());
    stage.keeps(&Traffic::new()).await;
}

async fn what_a_device_leaves_as_its_will(stage: &mut Stage) {
    stage.listen().await;
    let rows = rows();
    let mut spoken = Traffic::new();
    let outside = OUTSIDE.iter().map(|topic| ((*topic).to_owned(), Write::Never));
    let cells: Vec<(String, Write)> =
        rows.iter().map(|row| (row.topic.clone(), stage.write(row))).chain(outside).collect();
    for (topic, write) in &cells {
        for retain in [false, true] {
            let body = format!("will {topic} {retain}");
            let may = *write == Write::Kept || (*write == Write::Passing && !retain);
            let will = Some((&**topic, &*body, retain));
            match stage.connect("loa-1", will).await {
                // Dropping it cuts the line without a farewell.
                Ok(client) => {
                    assert!(may || !stage.refuses(), "{body}: the connection is granted");
                    drop(client);
                }
                Err(code) => {
                    assert!(!may && stage.refuses(), "{body}: the connection is refused");
                    assert_eq!(code, Some(5), "{body}: not authorised");
                }
            }
            if may {
                let mut came = Traffic::new();
                while came.is_empty() {
                    came.extend([stage.watcher().message().await].map(|(topic, payload, _)| {
                        heard(&topic, &String::from_utf8_lossy(&payload), false)
                    }));
                }
                assert_eq!(came, [heard(topic, &body, false)].into());
                spoken.extend(came);
            }
        }
    }
    let mut me = stage.me().await;
    assert_eq!(stage.until_mark(&mut me).await, Traffic::new(), "a will that spoke late");
    assert!(spoken.len() >= 3, "{spoken:?}");
}

async fn what_a_device_hears(stage: &mut Stage) {
    let rows = stage.planted();
    for row in &rows {
        stage.server.publish(&row.topic, format!("kept {}", row.name), true).await;
    }
    if !stage.refuses() {
        for topic in OUTSIDE.iter().filter(|topic| !topic.starts_with('$')) {
            stage.watcher().publish(topic, "outside", true).await;
        }
        // `$SYS` is really there: without it, its absence below would prove nothing.
        stage.watcher().subscribe(&["$SYS/#"]).await;
        let (topic, ..) = stage.watcher().message().await;
        assert!(topic.starts_with("$SYS/"), "{topic}");
    }
    let exact = rows.iter().map(|row| (row.topic.clone(), row.read));
    let shared = rows.iter().map(|row| (format!("$share/g/{}", row.topic), false));
    let outside = OUTSIDE.iter().map(|topic| ((*topic).to_owned(), false));
    let wild = FILTERS.iter().map(|(filter, granted)| ((*filter).to_owned(), *granted));
    let mut granted = 0;
    for (n, (filter, may)) in exact.chain(shared).chain(outside).chain(wild).enumerate() {
        granted += usize::from(hears(stage, &rows, &filter, may, n).await);
    }
    let refused = match (stage.refuses(), stage.by_plugin()) {
        (false, false) => granted > 60,
        _ => (15..30).contains(&granted),
    };
    assert!(refused, "{granted} filters brought something");
}

/// Judges one filter on a connection of its own; says whether it brought anything.
async fn hears(stage: &mut Stage, rows: &[Row], filter: &str, may: bool, n: usize) -> bool {
    let mut me = stage.me().await;
    let answer = me.subscribe(&[filter]).await;
    if stage.refuses() {
        let code = u8::from(may) | if may { 0 } else { 0x80 };
        assert_eq!(answer, Some(vec![code]), "{filter}: the answer to SUBSCRIBE");
    }
    if answer.is_none() {
        return false; // closed upon it: nothing can come
    }
    let granted = answer.as_deref().is_some_and(|codes| codes.iter().all(|code| *code < 0x80));
    assert!(granted || !may, "{filter}: {answer:?}");
    let closing = closing();
    assert_eq!(me.subscribe(&[&closing]).await, Some(vec![1]), "{filter}");
    let mut acks = Vec::new();
    let live = format!("live {n}");
    for row in rows {
        acks.push(stage.server.link.enqueue(row.topic.clone(), live.clone(), false).await.unwrap());
    }
    acks.push(stage.server.link.enqueue(closing.clone(), live.clone(), false).await.unwrap());
    for ack in acks {
        within("an acknowledgement", ack).await.unwrap();
    }
    let plain = filter.strip_prefix("$share/g/").unwrap_or(filter);
    let mut expected = Traffic::new();
    for row in rows.iter().filter(|row| row.read && matches(plain, &row.topic)) {
        if may || (granted && !stage.refuses()) {
            expected.insert(heard(&row.topic, &live, false));
            expected.insert(heard(&row.topic, &format!("kept {}", row.name), true));
        }
    }
    // mosquitto's `d/{device}/+` is wider than the contract where nobody but the server writes.
    if granted && !stage.refuses() && matches(plain, "loa/1/d/loa-1/unknown") {
        expected.insert(heard("loa/1/d/loa-1/unknown", "outside", true));
    }
    let came = |me: &Hostile| -> Traffic {
        me.heard.iter().filter(|one| one.topic != closing).cloned().collect()
    };
    let over = |me: &Hostile| me.heard.iter().any(|one| one.topic == closing);
    while !over(&me) || !came(&me).is_superset(&expected) {
        assert!(me.next().await.is_some(), "{filter}: closed before the end");
    }
    let came = came(&me);
    let more: Vec<&Heard> = came.difference(&expected).collect();
    assert!(more.is_empty(), "{filter} also brings {more:#?}");
    !came.is_empty()
}

async fn one_packet_with_good_and_bad_filters_brings_the_good_ones(stage: &mut Stage) {
    let mut me = stage.me().await;
    let filters =
        ["loa/1/keys", "loa/1/d/loa-2/timetable", "loa/1/d/loa-1/+", "loa/1/#", "loa/1/server"];
    let answer = me.subscribe(&filters).await.unwrap();
    if stage.refuses() {
        assert_eq!(answer, [1, 0x80, 1, 0x80, 1]);
    }
    let topics = ["loa/1/d/loa-2/timetable", "loa/1/epoch", "loa/1/d/loa-1/time", "loa/1/keys"];
    for topic in topics {
        stage.server.publish(topic, "x", false).await;
    }
    stage.server.publish("loa/1/server", "end", false).await;
    while me.heard.last().is_none_or(|last| last.topic != "loa/1/server") {
        assert!(me.next().await.is_some());
    }
    let came: Vec<&str> = me.heard.iter().map(|one| &*one.topic).collect();
    assert_eq!(came, ["loa/1/d/loa-1/time", "loa/1/keys", "loa/1/server"]);
}

macro_rules! on_both {
    ($($name:ident)*) => {
        #[cfg(feature = "embedded-broker")]
        mod on_embedded {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(&mut Stage::embedded().await).await; })*
        }
        mod on_mosquitto {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(&mut Stage::mosquitto().await).await; })*
        }
        mod on_mosquitto_by_plugin {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(&mut Stage::plugin().await).await; })*
        }
    };
}
pub(crate) use on_both;

on_both! {
    what_a_device_publishes
    what_a_device_publishes_against_the_protocol
    what_a_device_leaves_as_its_will
    what_a_device_hears
    one_packet_with_good_and_bad_filters_brings_the_good_ones
}
