//! A hostile device against each broker with sockets: what it may not, it cannot.

use crate::support::brokers::{Client, Kind, World, will};
use crate::support::wait::within;
use loa::app::link::{LinkError, LinkEvent};
use loa::domain::ids::Digest;
use loa::wire::limits;
use loa::wire::topic::partition;

fn records_of(id: &str) -> String {
    format!("loa/1/r/{}/{id}", partition(&id.parse().unwrap()))
}

fn foreign_topics() -> Vec<String> {
    let hash = Digest::of(b"x");
    let mut topics: Vec<String> = [
        "loa/1/keys",
        "loa/1/server",
        "loa/1/epoch",
        "loa/1/d/loa-2/state",
        "loa/1/d/loa-2/timetable",
        "loa/1/d/loa-1/timetable",
        "loa/1/d/loa-1/receipt",
        "loa/1/d/loa-1/floor",
        "loa/1/u/00070/hold",
        "loa/1/u/00070/urgent/x1",
        "other/topic",
    ]
    .map(str::to_owned)
    .into();
    topics.push(records_of("loa-2"));
    topics.push(format!("loa/1/s/{hash}"));
    topics.push(format!("loa/1/a/{hash}/64/0"));
    topics
}

async fn a_foreign_publish_reaches_nobody(world: &mut World) {
    let mut server = world.server().await;
    server.subscribe(&["loa/1/#"]).await;
    let device = world.device("loa-1").await;
    for topic in foreign_topics() {
        // PUBACK or not: nothing of it may be believed.
        let _ = within("an answer", device.link.publish(&topic, "giả", true)).await;
    }
    device.publish("loa/1/d/loa-1/state", "thật", true).await;
    let (topic, payload, _) = server.message().await;
    assert_eq!((&*topic, &*payload), ("loa/1/d/loa-1/state", "thật".as_bytes()));
    // And nothing of it was kept for those who come later.
    let mut other = world.device("loa-2").await;
    other.subscribe(&["loa/1/keys", "loa/1/d/loa-2/+", "loa/1/u/01/hold"]).await;
    server.publish("loa/1/d/loa-2/command", "thật", false).await;
    assert_eq!(other.message().await.0, "loa/1/d/loa-2/command");
}

async fn a_foreign_subscription_brings_nothing(world: &mut World) {
    let server = world.server().await;
    let mut device = world.device("loa-1").await;
    let filters = [
        "#",
        "+/#",
        "loa/#",
        "loa/1/#",
        "loa/1/+",
        "$SYS/#",
        "$share/g/loa/1/r/+/+",
        "$share/g/loa/1/d/loa-2/+",
        "loa/1/d/+/timetable",
        "loa/1/d/loa-2/+",
        "loa/1/d/loa-2/timetable",
        "loa/1/r/+/+",
        "loa/1/u/00071/hold",
        "loa/1/u/00071/urgent/+",
        "loa/1/u/+/hold",
        "loa/1/epoch",
    ];
    for filter in filters {
        // The embedded broker refuses; mosquitto grants and filters on delivery; either may close
        // the connection on it.
        let answer = within(filter, device.link.subscribe(vec![filter.to_owned()])).await;
        if matches!(world.kind, Kind::Mosquitto(_)) {
            continue;
        }
        match answer {
            Err(LinkError::Refused { .. }) => {}
            other => panic!("{filter}: {other:?}"),
        }
    }
    let targets = [
        "loa/1/epoch".to_owned(),
        "loa/1/d/loa-2/timetable".into(),
        "loa/1/d/loa-2/command".into(),
        "loa/1/u/00071/hold".into(),
        "loa/1/u/00071/urgent/x".into(),
        records_of("loa-2"),
    ];
    for topic in &targets {
        server.publish(topic, "bí mật", true).await;
    }
    server.publish("loa/1/d/loa-1/command", "cho mình", false).await;
    device.subscribe(&["loa/1/d/loa-1/receipt"]).await;
    server.publish("loa/1/d/loa-1/receipt", "cho mình", true).await;
    loop {
        let (topic, payload, _) = device.message().await;
        // A wildcard that mosquitto granted may bring what the device may read anyway.
        assert_eq!(payload, "cho mình".as_bytes(), "{topic}");
        if topic == "loa/1/d/loa-1/receipt" {
            break;
        }
    }
}

async fn a_will_on_a_foreign_topic_never_speaks(world: &mut World) {
    let mut server = world.server().await;
    server.subscribe(&["loa/1/#"]).await;
    for topic in ["loa/1/d/loa-2/state", "loa/1/server", "loa/1/keys"] {
        let mut device = Client::start(world.device_config("loa-1"), will(topic, "giả", true));
        match device.next().await {
            LinkEvent::Connected => device.cut(),
            LinkEvent::Disconnected { why } => assert!(why.contains("NotAuthorized"), "{why}"),
            LinkEvent::Message { topic, .. } => panic!("a message on {topic}"),
        }
    }
    let device = world.device_with("loa-1", will("loa/1/d/loa-1/state", "mất", true)).await;
    device.cut();
    let (topic, payload, _) = server.message().await;
    assert_eq!((&*topic, &*payload), ("loa/1/d/loa-1/state", "mất".as_bytes()));
}

async fn nobody_comes_in_without_the_right_password(world: &mut World) {
    let right = world.device_config("loa-1");
    for login in [None, Some(("loa-1", "")), Some(("loa-1", "x")), Some(("loa-9", "x"))] {
        let mut config = right.clone();
        config.login = login.map(|(user, word)| (user.into(), loa::mqtt::Password::new(word)));
        let mut client = Client::start(config, Box::new(|| None));
        let why = client.disconnected().await;
        assert!(why.contains("refused"), "{why}");
    }
}

macro_rules! on_brokers_with_sockets {
    ($($name:ident)*) => {
        #[cfg(feature = "embedded-broker")]
        mod on_embedded {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(&mut World::embedded().await).await; })*
        }
        mod on_mosquitto {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(&mut World::mosquitto().await).await; })*
        }
    };
}

on_brokers_with_sockets! {
    a_foreign_publish_reaches_nobody
    a_foreign_subscription_brings_nothing
    a_will_on_a_foreign_topic_never_speaks
    nobody_comes_in_without_the_right_password
}

#[cfg(feature = "embedded-broker")]
mod only_embedded {
    use super::*;
    use crate::support::brokers::quick;
    use crate::support::wait::until;
    use loa::mqtt::{MqttConfig, Password};

    fn embedded(world: &World) -> &crate::support::brokers::Embedded {
        match &world.kind {
            Kind::Embedded(embedded) => embedded,
            _ => unreachable!("made so"),
        }
    }

    #[tokio::test]
    async fn client_id_and_user_name_are_one() {
        let world = World::embedded().await;
        let mut config = world.device_config("loa-1");
        config.client_id = "loa-2".into();
        let mut client = Client::start(config, Box::new(|| None));
        assert!(client.disconnected().await.contains("BadUserName"));
    }

    #[tokio::test]
    async fn neither_listener_takes_the_clients_of_the_other() {
        let world = World::embedded().await;
        let (server_at, user, password) = embedded(&world).broker().server();
        let url = crate::support::brokers::url;
        let login = Some((user.to_owned(), Password::new(password)));
        let as_server = MqttConfig::server(url(embedded(&world).devices), user, login);
        let mut client = Client::start(quick(as_server), Box::new(|| None));
        assert!(client.disconnected().await.contains("BadUserName"));
        let mut as_device = world.device_config("loa-1");
        as_device.url = url(server_at);
        let mut client = Client::start(as_device, Box::new(|| None));
        assert!(client.disconnected().await.contains("BadUserName"));
    }

    #[tokio::test]
    async fn a_changed_password_puts_the_old_one_out_and_a_revoked_device_is_dumb_at_once() {
        let world = World::embedded().await;
        let embedded = embedded(&world);
        let mut server = world.server().await;
        server.subscribe(&["loa/1/d/+/state"]).await;
        let mut device = world.device_with("loa-1", will("loa/1/d/loa-1/state", "mất", true)).await;
        let id = "loa-1".parse().unwrap();
        embedded.register.0.lock().unwrap().get_mut("loa-1").unwrap().password = "mới".into();
        embedded.broker().kick(&id).await;
        device.disconnected().await;
        assert_eq!(server.message().await.1, "mất".as_bytes(), "its will speaks");
        assert!(device.disconnected().await.contains("BadUserName"), "the old password");
        let mut config = world.device_config("loa-1");
        config.login = Some(("loa-1".into(), Password::new("mới")));
        let device = Client::connect(config, Box::new(|| None)).await;
        device.publish("loa/1/d/loa-1/state", "1", true).await;
        assert_eq!(server.message().await.1, b"1");
        embedded.register.0.lock().unwrap().remove("loa-1");
        device.publish("loa/1/d/loa-1/state", "2", true).await;
        world.device("loa-2").await.publish("loa/1/d/loa-2/state", "3", true).await;
        assert_eq!(server.message().await.1, b"3", "not even before it was put out");
        assert_eq!(
            device.link.subscribe(vec!["loa/1/keys".into()]).await,
            Err(LinkError::Refused { filters: vec!["loa/1/keys".into()] })
        );
    }

    #[tokio::test]
    async fn one_device_cannot_ask_for_the_library() {
        let world = World::embedded().await;
        let device = world.device("loa-1").await;
        let mut granted = 0;
        for n in 0..loa::broker::DEVICE_SUBSCRIPTIONS + 20 {
            let topic = format!("loa/1/a/{}/64/{n}", Digest::of(b"x"));
            granted += usize::from(device.link.subscribe(vec![topic]).await.is_ok());
        }
        assert_eq!(granted, loa::broker::DEVICE_SUBSCRIPTIONS);
    }

    #[tokio::test]
    async fn what_is_too_large_or_kept_without_need_is_dropped_and_counted() {
        let world = World::embedded().await;
        let mut server = world.server().await;
        server.subscribe(&["loa/1/#"]).await;
        let device = world.device("loa-1").await;
        device.publish("loa/1/d/loa-1/state", vec![b'x'; limits::STATE_BYTES + 1], true).await;
        device.publish(&records_of("loa-1"), vec![b'x'; limits::BATCH_BYTES + 1], false).await;
        device.publish(&records_of("loa-1"), "x", true).await;
        device.publish(&records_of("loa-1"), vec![b'x'; limits::BATCH_BYTES], false).await;
        assert_eq!(server.message().await.1.len(), limits::BATCH_BYTES);
        let broker = embedded(&world).broker();
        until("the refusals are counted", || broker.counts().refused_publishes == 3).await;
        assert_eq!(broker.counts().dropped, 0);
    }

    #[tokio::test]
    async fn a_client_of_mqtt_5_lives_under_the_same_rules() {
        use rumqttc::v5::mqttbytes::QoS;
        use rumqttc::v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
        use rumqttc::v5::{AsyncClient, Event, MqttOptions};
        let world = World::embedded().await;
        let mut server = world.server().await;
        server.subscribe(&["loa/1/d/+/state"]).await;
        let at = embedded(&world).devices;
        let mut options = MqttOptions::new("loa-1", at.ip().to_string(), at.port());
        options.set_credentials("loa-1", &crate::support::brokers::accounts()[0].password);
        let (client, mut events) = AsyncClient::new(options, 10);
        client.subscribe("loa/1/d/loa-2/+", QoS::AtLeastOnce).await.unwrap();
        client.subscribe("loa/1/keys", QoS::AtLeastOnce).await.unwrap();
        let publish = client.publish("loa/1/d/loa-1/state", QoS::AtLeastOnce, true, "năm");
        publish.await.unwrap();
        let polling = async {
            let mut codes = Vec::new();
            loop {
                match events.poll().await.unwrap() {
                    Event::Incoming(Packet::SubAck(ack)) => codes.extend(ack.return_codes),
                    Event::Incoming(Packet::PubAck(_)) => return codes,
                    _ => {}
                }
            }
        };
        let codes = within("the answers", polling).await;
        assert_eq!(codes[0], SubscribeReasonCode::NotAuthorized);
        assert!(matches!(codes[1], SubscribeReasonCode::Success(_)));
        assert_eq!(server.message().await.1, "năm".as_bytes());
    }

    /// An alias stands for a topic; the broker offers none, and whoever uses one all the same
    /// reaches nothing but its own.
    #[tokio::test]
    async fn an_alias_of_mqtt_5_opens_no_foreign_topic() {
        use crate::support::hostile::{Hostile, Packet};
        const UNAVAILABLE: u8 = 0x88;
        let world = World::embedded().await;
        let mut server = world.server().await;
        server.subscribe(&["loa/1/#"]).await;
        let text = |text: &str| {
            let length = u16::try_from(text.len()).unwrap().to_be_bytes();
            [length.as_slice(), text.as_bytes()].concat()
        };
        let packet =
            |first: u8, body: &[u8]| [&[first, u8::try_from(body.len()).unwrap()], body].concat();
        let password = &crate::support::brokers::accounts()[0].password;
        let head = [text("MQTT").as_slice(), &[5, 0xc2, 0, 60, 0]].concat();
        let login = ["loa-1", "loa-1", password].map(text).concat();
        let publish = |topic: &str, body: &str| {
            // Property 0x23: topic alias 1.
            packet(0x30, &[text(topic), vec![3, 0x23, 0, 1], body.as_bytes().to_vec()].concat())
        };
        for topics in [["loa/1/d/loa-1/state", ""], ["loa/1/d/loa-2/state", ""], ["", ""]] {
            // While it takes leave of the connection before, the broker may ask to come again.
            let comes = async {
                loop {
                    let mut device = Hostile::open(embedded(&world).devices).await;
                    device.send(&packet(0x10, &[&*head, &*login].concat())).await;
                    match device.next().await {
                        Some(Packet::ConnAck(0)) => return device,
                        other => assert_eq!(other, Some(Packet::ConnAck(UNAVAILABLE))),
                    }
                }
            };
            let mut device = within("a connection", comes).await;
            for topic in topics {
                device.send(&publish(topic, "giả")).await;
            }
            device.send(&publish("loa/1/d/loa-2/timetable", "giả")).await;
            device.send(&publish("", "giả")).await;
            device.settled().await;
        }
        world.device("loa-2").await.publish("loa/1/d/loa-2/state", "thật", true).await;
        loop {
            let (topic, payload, _) = server.message().await;
            if payload == "thật".as_bytes() {
                break;
            }
            assert_eq!(topic, "loa/1/d/loa-1/state");
        }
    }
}
