//! The same fleet of two devices and a server on each kind of broker.

use super::mosquitto::{self, Account, Mosquitto};
use super::wait::{DEADLINE, within};
use loa::app::link::hub::Hub;
use loa::app::link::{Link, LinkEvent, LinkEvents, Will, WillSource};
#[cfg(feature = "embedded-broker")]
use loa::broker::{Broker, BrokerConfig, Gate, SERVER_BYTES, TlsFiles, Who};
use loa::mqtt::{self, MqttConfig, Password, TlsSettings};
#[cfg(feature = "embedded-broker")]
use loa::wire::topic::Topics;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Returns the devices that every broker of these tests knows: `loa-1` and `loa-2`.
pub fn accounts() -> Vec<Account> {
    let units = |units: &[&str]| units.iter().map(|unit| unit.parse().unwrap()).collect();
    vec![
        Account {
            id: "loa-1".parse().unwrap(),
            password: "m\u{1ead}t kh\u{1ea9}u 1".into(),
            units: units(&["00070-thon1", "00070", "01"]),
        },
        Account {
            id: "loa-2".parse().unwrap(),
            password: "m\u{1ead}t kh\u{1ea9}u 2".into(),
            units: units(&["00071", "01"]),
        },
    ]
}

/// Returns so many devices of one commune, called `loa-1001` and on.
pub fn fleet(devices: usize) -> Vec<Account> {
    let account = |n: usize| Account {
        id: format!("loa-{}", 1_001 + n).parse().unwrap(),
        password: format!("mật khẩu {n}"),
        units: vec!["00070".parse().unwrap(), "01".parse().unwrap()],
    };
    (0..devices).map(account).collect()
}

/// A gate over a list that tests may change.
#[cfg(feature = "embedded-broker")]
#[derive(Clone, Default)]
pub struct Register(pub Arc<Mutex<BTreeMap<String, Account>>>);

#[cfg(feature = "embedded-broker")]
impl Register {
    pub fn of(accounts: &[Account]) -> Self {
        let by_id = |account: &Account| (account.id.to_string(), account.clone());
        Self(Arc::new(Mutex::new(accounts.iter().map(by_id).collect())))
    }
}

#[cfg(feature = "embedded-broker")]
impl Gate for Register {
    fn login(&self, user: &str, password: &[u8], client_id: &str) -> Option<Who> {
        let right = self.0.lock().unwrap().get(user)?.password.as_bytes() == password;
        (right && user == client_id).then(|| self.who(user))?
    }

    fn who(&self, user: &str) -> Option<Who> {
        let accounts = self.0.lock().unwrap();
        let account = accounts.get(user)?;
        Some(Who::Device {
            id: account.id.clone(),
            units: account.units.clone().into(),
            behind: None,
        })
    }
}

/// An embedded broker and the list behind its gate.
#[cfg(feature = "embedded-broker")]
pub struct Embedded {
    pub broker: Option<Broker>,
    pub register: Register,
    pub devices: SocketAddr,
    tls: Option<TlsFiles>,
}

#[cfg(feature = "embedded-broker")]
impl Embedded {
    pub async fn start(accounts: &[Account]) -> Self {
        Self::start_with(accounts, None).await
    }

    pub async fn start_with(accounts: &[Account], tls: Option<TlsFiles>) -> Self {
        let register = Register::of(accounts);
        let at = ([127, 0, 0, 1], 0).into();
        let broker = start_at(at, &register, tls.clone()).await;
        let devices = broker.devices();
        Self { broker: Some(broker), register, devices, tls }
    }

    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    /// Stops it and starts an empty one where devices find it.
    pub async fn restart(&mut self) {
        self.broker.take().unwrap().stop().await;
        self.broker = Some(start_at(self.devices, &self.register, self.tls.clone()).await);
    }
}

#[cfg(feature = "embedded-broker")]
async fn start_at(listen: SocketAddr, register: &Register, tls: Option<TlsFiles>) -> Broker {
    let config = BrokerConfig {
        listen,
        tls,
        topics: Topics::default(),
        max_devices: 5_000,
        server_bytes: SERVER_BYTES,
    };
    Broker::start(config, Arc::new(register.clone())).await.unwrap()
}

/// A broker of one kind.
pub enum Kind {
    Hub(Hub),
    #[cfg(feature = "embedded-broker")]
    Embedded(Box<Embedded>),
    Mosquitto(Mosquitto),
}

/// A broker with everything that is needed to connect.
pub struct World {
    pub kind: Kind,
    accounts: Vec<Account>,
}

impl World {
    pub fn hub() -> Self {
        Self { kind: Kind::Hub(Hub::new()), accounts: accounts() }
    }

    #[cfg(feature = "embedded-broker")]
    pub async fn embedded() -> Self {
        Self::embedded_of(accounts()).await
    }

    #[cfg(feature = "embedded-broker")]
    pub async fn embedded_of(accounts: Vec<Account>) -> Self {
        let kind = Kind::Embedded(Box::new(Embedded::start(&accounts).await));
        Self { kind, accounts }
    }

    pub async fn mosquitto() -> Self {
        Self::mosquitto_of(accounts()).await
    }

    pub async fn mosquitto_of(accounts: Vec<Account>) -> Self {
        Self { kind: Kind::Mosquitto(Mosquitto::start(&accounts).await), accounts }
    }

    /// A mosquitto with a second server and somebody who may do everything.
    pub async fn mosquitto_watched(accounts: Vec<Account>) -> Self {
        let mosquitto = Mosquitto::start_with(&accounts, mosquitto::Company::Watched).await;
        Self { kind: Kind::Mosquitto(mosquitto), accounts }
    }

    /// The same, by the dynamic-security plugin.
    pub async fn plugin_watched(accounts: Vec<Account>) -> Self {
        let mosquitto = Mosquitto::start_by_plugin(&accounts, mosquitto::Company::Watched).await;
        Self { kind: Kind::Mosquitto(mosquitto), accounts }
    }

    /// Connects the server's client.
    pub async fn server(&self) -> Client {
        match &self.kind {
            Kind::Hub(hub) => Client::of_hub(hub, "server", Box::new(|| None)).await,
            _ => Client::connect(self.server_config(), Box::new(|| None)).await,
        }
    }

    /// Returns how the server's client connects to a broker of sockets.
    pub fn server_config(&self) -> MqttConfig {
        let (at, user, password) = match &self.kind {
            Kind::Hub(_) => panic!("the hub has no address"),
            #[cfg(feature = "embedded-broker")]
            Kind::Embedded(embedded) => embedded.broker().server(),
            Kind::Mosquitto(mosquitto) => (mosquitto.at, mosquitto::SERVER.0, mosquitto::SERVER.1),
        };
        let login = Some((user.to_owned(), Password::new(password)));
        quick(MqttConfig::server(url(at), user, login))
    }

    /// Connects a device of [`accounts`].
    pub async fn device(&self, id: &str) -> Client {
        self.device_with(id, Box::new(|| None)).await
    }

    /// Connects a device with wills.
    pub async fn device_with(&self, id: &str, wills: WillSource) -> Client {
        match &self.kind {
            Kind::Hub(hub) => Client::of_hub(hub, id, wills).await,
            _ => Client::connect(self.device_config(id), wills).await,
        }
    }

    /// Begins to connect a device to a broker of sockets.
    pub fn begin(&self, id: &str) -> Client {
        Client::start(self.device_config(id), Box::new(|| None))
    }

    /// Connects the server anew when the broker's restart took its address and password away.
    pub fn server_moved(&self) -> Option<impl Future<Output = Client> + '_> {
        match &self.kind {
            #[cfg(feature = "embedded-broker")]
            Kind::Embedded(_) => Some(self.server()),
            _ => None,
        }
    }

    /// Returns how a device of [`accounts`] connects to a broker of sockets.
    pub fn device_config(&self, id: &str) -> MqttConfig {
        let at = match &self.kind {
            Kind::Hub(_) => panic!("the hub has no address"),
            #[cfg(feature = "embedded-broker")]
            Kind::Embedded(embedded) => embedded.devices,
            Kind::Mosquitto(mosquitto) => mosquitto.at,
        };
        let account = self.accounts.iter().find(|account| account.id.as_str() == id).unwrap();
        quick(MqttConfig::device(url(at), id, Password::new(&account.password)))
    }

    /// Kills the broker without a farewell and brings an empty one up in its place.
    pub async fn kill_and_restart(&mut self) {
        match &mut self.kind {
            Kind::Hub(hub) => hub.forget(),
            #[cfg(feature = "embedded-broker")]
            Kind::Embedded(embedded) => embedded.restart().await,
            Kind::Mosquitto(mosquitto) => mosquitto.kill_and_restart().await,
        }
    }
}

/// Returns the address as the client takes it.
pub fn url(at: SocketAddr) -> mqtt::BrokerUrl {
    format!("mqtt://{at}").parse().unwrap()
}

/// Shortens the waits between attempts: tests restart brokers.
pub fn quick(mut config: MqttConfig) -> MqttConfig {
    config.backoff = (Duration::from_millis(20), Duration::from_millis(200));
    config.tls = TlsSettings::default();
    config
}

/// A connected client; its line is cut when it is dropped.
pub struct Client {
    pub link: Link,
    pub events: LinkEvents,
    stop: CancellationToken,
    /// How a hub cuts it.
    hub: Option<(Hub, String)>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Client {
    async fn of_hub(hub: &Hub, name: &str, wills: WillSource) -> Self {
        let (link, events) = hub.connect_with(name, wills);
        let hub = Some((hub.clone(), name.to_owned()));
        let mut client = Self { link, events, stop: CancellationToken::new(), hub };
        client.connected().await;
        client
    }

    /// Connects and waits for it.
    pub async fn connect(config: MqttConfig, wills: WillSource) -> Self {
        let mut client = Self::start(config, wills);
        client.connected().await;
        client
    }

    /// Begins to connect.
    pub fn start(config: MqttConfig, wills: WillSource) -> Self {
        let stop = CancellationToken::new();
        let (link, events, _) = mqtt::connect(config, wills, stop.clone()).unwrap();
        Self { link, events, stop, hub: None }
    }

    /// Cuts the line without a farewell.
    pub fn cut(&self) {
        self.stop.cancel();
        if let Some((hub, name)) = &self.hub {
            hub.cut(name);
        }
    }

    /// Stops connecting; on a hub it has no effect.
    pub fn give_up(&self) {
        self.stop.cancel();
    }

    /// Waits for the next event.
    pub async fn next(&mut self) -> LinkEvent {
        within("an event", self.events.next()).await.expect("the link is open")
    }

    /// Waits for `Connected`, passing over failed attempts.
    pub async fn connected(&mut self) {
        let mut why = String::new();
        let connected = async {
            loop {
                match self.events.next().await.expect("the link is open") {
                    LinkEvent::Connected => return,
                    LinkEvent::Disconnected { why: now } => why = now,
                    LinkEvent::Message { topic, .. } => panic!("a message on `{topic}`"),
                }
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, connected).await.is_ok();
        assert!(in_time, "no connection: {why}");
    }

    /// Waits for `Disconnected` and returns its reason.
    pub async fn disconnected(&mut self) -> String {
        loop {
            if let LinkEvent::Disconnected { why } = self.next().await {
                return why;
            }
        }
    }

    /// Waits for the next message.
    pub async fn message(&mut self) -> (String, Vec<u8>, bool) {
        match self.next().await {
            LinkEvent::Message { topic, payload, retain } => (topic, payload.to_vec(), retain),
            other => panic!("{other:?} instead of a message"),
        }
    }

    pub async fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>, retain: bool) {
        within(topic, self.link.publish(topic, payload.into(), retain)).await.unwrap();
    }

    pub async fn subscribe(&self, filters: &[&str]) {
        let filters = filters.iter().map(|&filter| filter.to_owned()).collect();
        within("a subscription", self.link.subscribe(filters)).await.unwrap();
    }
}

/// Returns a source of one and the same will.
pub fn will(topic: &str, payload: &'static str, retain: bool) -> WillSource {
    let will = Will { topic: topic.to_owned(), payload: payload.into(), retain };
    Box::new(move || Some(will.clone()))
}
