//! What server and devices rely on, the same on every broker.

use crate::support::brokers::{Client, Kind, World, will};
use crate::support::wait::within;
use loa::app::link::{LinkError, LinkEvent};
use loa::domain::chunk::ChunkSize;
use loa::domain::ids::Digest;
use loa::wire::topic::{Topic, Topics, partition};
use std::collections::BTreeSet;

const STATE: &str = "loa/1/d/loa-1/state";

fn chunk_topic(n: u32) -> String {
    let sha256 = Digest::of(b"clip");
    Topics::default().of(&Topic::Chunk { sha256, size: ChunkSize::Kib64, n })
}

fn records() -> String {
    format!("loa/1/r/{}/loa-1", partition(&"loa-1".parse().unwrap()))
}

async fn a_message_is_acknowledged_and_arrives(world: &mut World) {
    let mut server = world.server().await;
    let device = world.device("loa-1").await;
    server.subscribe(&["loa/1/r/+/+", "loa/1/d/+/state"]).await;
    device.publish(&records(), "bản ghi", false).await;
    device.publish(STATE, "sẵn sàng", true).await;
    let expected = (records(), "bản ghi".as_bytes().to_vec(), false);
    assert_eq!(server.message().await, expected);
    assert_eq!(server.message().await, (STATE.to_owned(), "sẵn sàng".as_bytes().to_vec(), false));
}

async fn what_is_kept_reaches_who_comes_later_until_it_is_cleared(world: &mut World) {
    let server = world.server().await;
    server.publish("loa/1/keys", "khoá", true).await;
    server.publish("loa/1/d/loa-1/timetable", "lịch", true).await;
    server.publish("loa/1/d/loa-1/timetable", "", true).await;
    server.publish("loa/1/d/loa-1/command", "dừng", false).await;
    let mut device = world.device("loa-1").await;
    device.subscribe(&["loa/1/keys", "loa/1/d/loa-1/timetable", "loa/1/d/loa-1/command"]).await;
    server.publish("loa/1/d/loa-1/command", "tiếp", false).await;
    let keys = ("loa/1/keys".to_owned(), "khoá".as_bytes().to_vec(), true);
    let next = ("loa/1/d/loa-1/command".to_owned(), "tiếp".as_bytes().to_vec(), false);
    let got: BTreeSet<_> = [device.message().await, device.message().await].into();
    assert_eq!(got, [keys, next].into(), "neither the cleared nor the unkept one");
    // Asking again brings what is kept again: this is how a lost piece is fetched anew.
    device.subscribe(&["loa/1/keys"]).await;
    assert_eq!(device.message().await.0, "loa/1/keys");
}

async fn a_subscription_right_after_the_acknowledgement_finds_every_piece(world: &mut World) {
    let server = world.server().await;
    let mut device = world.device("loa-1").await;
    for n in 0..300 {
        let topic = chunk_topic(n);
        server.publish(&topic, vec![7; 4_096], true).await;
        device.subscribe(&[&topic]).await;
        assert_eq!(device.message().await, (topic.clone(), vec![7; 4_096], true));
        within("unsubscribing", device.link.unsubscribe(vec![topic])).await.unwrap();
    }
}

async fn what_is_unsubscribed_together_stays_away_and_the_rest_still_comes(world: &mut World) {
    let server = world.server().await;
    let mut device = world.device("loa-1").await;
    for round in 0..20 {
        let topics: Vec<String> = (0..8).map(|n| chunk_topic(8 * round + n)).collect();
        device.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>()).await;
        // Two at once, as a window that moves on twice before the broker has answered.
        let (one, two) = (topics[..4].to_vec(), topics[4..7].to_vec());
        let both =
            async { tokio::join!(device.link.unsubscribe(one), device.link.unsubscribe(two)) };
        let (one, two) = within("unsubscribing", both).await;
        one.unwrap();
        two.unwrap();
        for topic in &topics {
            server.publish(topic, "mảnh", false).await;
        }
        assert_eq!(device.message().await.0, topics[7], "the only one still asked for");
        within("the last one", device.link.unsubscribe(topics[7..].to_vec())).await.unwrap();
    }
}

async fn many_messages_in_flight_are_each_acknowledged_and_stay_in_order(world: &mut World) {
    let mut server = world.server().await;
    let device = world.device("loa-1").await;
    server.subscribe(&["loa/1/r/+/+"]).await;
    let link = device.link.clone();
    let sending = tokio::spawn(async move {
        let mut acks = Vec::new();
        for n in 0..1_000_u32 {
            acks.push(link.enqueue(records(), n.to_string().into_bytes(), false).await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
    });
    for n in 0..1_000_u32 {
        assert_eq!(server.message().await.1, n.to_string().into_bytes());
    }
    within("every acknowledgement", sending).await.unwrap();
}

async fn the_holder_may_await_its_own_publishes_while_it_is_flooded(world: &mut World) {
    let mut server = world.server().await;
    let device = world.device("loa-1").await;
    server.subscribe(&["loa/1/r/+/+"]).await;
    let flood = device.link.clone();
    let flooding = tokio::spawn(async move {
        for n in 0..600_u32 {
            flood.publish(records(), n.to_string().into_bytes(), false).await.unwrap();
        }
    });
    for n in 0..600_u32 {
        let (_, number, _) = server.message().await;
        assert_eq!(number, n.to_string().into_bytes());
        server.publish("loa/1/d/loa-1/receipt", number, true).await;
    }
    within("the flood", flooding).await.unwrap();
}

async fn a_message_above_the_limit_is_refused_and_the_link_lives(world: &mut World) {
    if matches!(world.kind, Kind::Hub(_)) {
        return; // it has no packets
    }
    let mut device = world.device("loa-1").await;
    let large = vec![0; loa::mqtt::MAX_PACKET];
    let refused = device.link.publish(records(), large, false).await.unwrap_err();
    assert!(matches!(refused, LinkError::TooLarge { .. }), "{refused}");
    device.publish(STATE, "x", true).await;
    device.subscribe(&["loa/1/keys"]).await;
    assert_eq!(device.events.try_next(), None);
    // An ill-formed filter would end the connection if it were sent.
    let refused = device.link.subscribe(vec!["a/#/b".into()]).await.unwrap_err();
    assert_eq!(refused, LinkError::Refused { filters: vec!["a/#/b".into()] });
    device.publish(STATE, "y", true).await;
    assert_eq!(device.events.try_next(), None);
}

async fn the_will_speaks_for_a_cut_line_and_not_after_a_farewell(world: &mut World) {
    let mut server = world.server().await;
    server.subscribe(&["loa/1/d/+/state"]).await;
    let device = world.device_with("loa-1", will(STATE, "mất", true)).await;
    within("the farewell", device.link.disconnect()).await.unwrap();
    let other = world.device_with("loa-2", will("loa/1/d/loa-2/state", "mất 2", true)).await;
    other.cut();
    let (topic, payload, _) = server.message().await;
    assert_eq!((&*topic, &*payload), ("loa/1/d/loa-2/state", "mất 2".as_bytes()));
    let again = world.device_with("loa-1", will(STATE, "mất", true)).await;
    again.cut();
    assert_eq!(server.message().await.1, "mất".as_bytes());
}

async fn a_second_client_of_the_same_name_puts_the_first_one_out(world: &mut World) {
    let mut first = world.device("loa-1").await;
    let mut second = world.device("loa-1").await;
    first.disconnected().await;
    // It would come back and put the second one out in turn, for ever.
    first.give_up();
    let server = world.server().await;
    server.publish("loa/1/keys", "x", true).await;
    let subscribed = async {
        while second.link.subscribe(vec!["loa/1/keys".into()]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within("the second one stays", subscribed).await;
    loop {
        if let LinkEvent::Message { topic, .. } = second.next().await {
            assert_eq!(topic, "loa/1/keys");
            break;
        }
    }
}

async fn a_killed_broker_is_found_again_empty_and_nothing_is_pretended(world: &mut World) {
    let mut device = world.device("loa-1").await;
    {
        let server = world.server().await;
        server.publish("loa/1/keys", "x", true).await;
    }
    world.kill_and_restart().await;
    let why = device.disconnected().await;
    assert!(!why.is_empty());
    if !matches!(world.kind, Kind::Hub(_)) {
        // Between the two events nothing can be sent, and the caller is told.
        loop {
            match device.link.publish(STATE, "x", true).await {
                Ok(()) => break,
                Err(error) => assert!(
                    matches!(error, LinkError::Down | LinkError::Lost),
                    "{error} instead of the truth"
                ),
            }
            tokio::task::yield_now().await;
        }
    }
    let mut device = device;
    if let Some(LinkEvent::Connected) = device.events.try_next() {
    } else {
        device.connected().await;
    }
    let server = world.server().await;
    device.subscribe(&["loa/1/keys", "loa/1/d/loa-1/command"]).await;
    server.publish("loa/1/d/loa-1/command", "y", false).await;
    assert_eq!(device.message().await.0, "loa/1/d/loa-1/command", "nothing was kept");
}

async fn a_reader_that_stalls_harms_nobody_and_goes_on_with_what_was_kept(world: &mut World) {
    let server = world.server().await;
    let mut stalled = world.device("loa-1").await;
    let mut other = world.device("loa-2").await;
    stalled.subscribe(&["loa/1/d/loa-1/command"]).await;
    other.subscribe(&["loa/1/d/loa-2/command"]).await;
    for n in 0..3_000_u32 {
        // Every publish is acknowledged, though the reader takes nothing.
        server.publish("loa/1/d/loa-1/command", n.to_string().into_bytes(), false).await;
    }
    server.publish("loa/1/d/loa-2/command", "x", false).await;
    assert_eq!(other.message().await.0, "loa/1/d/loa-2/command");
    server.publish("loa/1/d/loa-1/command", "end", false).await;
    let mut seen = 0;
    loop {
        let (_, payload, _) = stalled.message().await;
        seen += 1;
        if payload == b"end" {
            break;
        }
        if seen == 1 && matches!(world.kind, Kind::Mosquitto(_) | Kind::Hub(_)) {
            // These keep the oldest: the newest is sent once there is room.
            let link = server.link.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    let _ = link.publish("loa/1/d/loa-1/command", "end", false).await;
                }
            });
        }
    }
    assert!(seen >= 16, "{seen} messages");
}

macro_rules! on_every_broker {
    ($($name:ident)*) => {
        mod on_hub {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(&mut World::hub()).await; })*
        }
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

on_every_broker! {
    a_message_is_acknowledged_and_arrives
    what_is_kept_reaches_who_comes_later_until_it_is_cleared
    a_subscription_right_after_the_acknowledgement_finds_every_piece
    what_is_unsubscribed_together_stays_away_and_the_rest_still_comes
    many_messages_in_flight_are_each_acknowledged_and_stay_in_order
    the_holder_may_await_its_own_publishes_while_it_is_flooded
    a_message_above_the_limit_is_refused_and_the_link_lives
    the_will_speaks_for_a_cut_line_and_not_after_a_farewell
    a_second_client_of_the_same_name_puts_the_first_one_out
    a_killed_broker_is_found_again_empty_and_nothing_is_pretended
    a_reader_that_stalls_harms_nobody_and_goes_on_with_what_was_kept
}

#[tokio::test]
async fn a_wrong_password_is_said_without_the_password() {
    let world = World::mosquitto().await;
    let mut config = world.device_config("loa-1");
    config.login = Some(("loa-1".into(), loa::mqtt::Password::new("hunter2")));
    let mut client = Client::start(config.clone(), Box::new(|| None));
    let why = client.disconnected().await;
    assert!(why.contains("NotAuthorized") || why.contains("BadUserName"), "{why}");
    assert!(!why.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
}

/// Reads one packet of a client; returns its first byte and its body, which is short.
async fn packet(stream: &mut tokio::net::TcpStream) -> (u8, Vec<u8>) {
    use tokio::io::AsyncReadExt as _;
    let first = stream.read_u8().await.unwrap();
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = stream.read_u8().await.unwrap();
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (first, body)
}

/// Brokers and lines pay by the packet: 8 filters are two, not eight.
#[tokio::test]
async fn filters_are_left_in_two_packets_however_many_they_are() {
    use tokio::io::AsyncWriteExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap();
    let config = loa::mqtt::MqttConfig::device(url, "loa-1", loa::mqtt::Password::new("x"));
    let mut client = Client::start(config, Box::new(|| None));
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(packet(&mut stream).await.0, 0x10, "CONNECT");
    stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
    client.connected().await;
    let topics: Vec<String> = (0..8).map(chunk_topic).collect();
    let link = client.link.clone();
    let left = topics.clone();
    let leaving = tokio::spawn(async move { link.unsubscribe(left).await });
    let mut asked = BTreeSet::new();
    for _ in 0..2 {
        let (first, body) = within("a packet", packet(&mut stream)).await;
        assert_eq!(first, 0xa2, "UNSUBSCRIBE");
        let mut rest = &body[2..];
        while let [high, low, text @ ..] = rest {
            let (topic, after) = text.split_at(usize::from(*high) << 8 | usize::from(*low));
            asked.insert(String::from_utf8(topic.to_vec()).unwrap());
            rest = after;
        }
        assert!(!leaving.is_finished(), "done only when the broker has answered both");
        stream.write_all(&[0xb0, 2, body[0], body[1]]).await.unwrap();
    }
    assert_eq!(asked, topics.into_iter().collect());
    within("the answer", leaving).await.unwrap().unwrap();
}
