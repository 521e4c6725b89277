use super::*;
use crate::app::link::hub::Hub;

async fn settled(mut done: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came about");
}

fn shared(hub: &Hub) -> (Exchange, CancellationToken) {
    let (link, events) = hub.connect("gateway");
    let (exchange, rounds) = Exchange::new(link, events);
    let stop = CancellationToken::new();
    tokio::spawn(rounds.run(stop.clone()));
    (exchange, stop)
}

#[tokio::test]
async fn each_member_hears_its_own_topics_on_one_connection() {
    let hub = Hub::new();
    let (exchange, _stop) = shared(&hub);
    let (mut a, mut b) = (exchange.join(), exchange.join());
    a.state.wait_for(|state| state.up).await.unwrap();
    let (other, _events) = hub.connect("devices");
    other.publish("x/a", "kept", true).await.unwrap();
    a.subscribe("a", vec!["x/a".to_owned(), "x/all".to_owned()]);
    b.subscribe("b", vec!["x/all".to_owned()]);
    settled(|| hub.filters("gateway").len() == 2).await;
    assert_eq!(a.next().await.map(|letter| letter.retained), Some(true));
    other.publish("x/all", "hi", false).await.unwrap();
    for member in [&mut a, &mut b] {
        let letter = member.next().await.unwrap();
        assert_eq!((&*letter.topic, &letter.payload[..]), ("x/all", &b"hi"[..]));
    }
    a.publish("y".to_owned(), b"out".to_vec(), false).await.unwrap();
    settled(|| hub.published().iter().any(|message| message.topic == "y")).await;
    drop(a);
    settled(|| hub.filters("gateway").len() == 1).await;
    assert!(hub.filters("gateway").contains("x/all"), "another member hears it still");
}

#[tokio::test]
async fn a_flooded_member_misses_messages_and_holds_up_no_other() {
    let hub = Hub::new();
    let (exchange, _stop) = shared(&hub);
    let (mut deaf, mut awake) = (exchange.join(), exchange.join());
    deaf.subscribe("deaf", vec!["x/deaf".to_owned()]);
    awake.subscribe("awake", vec!["x/awake".to_owned()]);
    settled(|| hub.filters("gateway").len() == 2).await;
    let (other, _events) = hub.connect("devices");
    for _ in 0..3 * WAITING {
        other.publish("x/deaf", vec![b'x'; 100_000], false).await.unwrap();
    }
    other.publish("x/awake", "hi", false).await.unwrap();
    assert_eq!(&awake.next().await.unwrap().payload[..], b"hi");
    let mut heard = 0;
    while deaf.letters.try_recv().is_ok() {
        heard += 1;
    }
    assert_eq!(heard, WAITING_BYTES / 100_000, "as many as its bytes allow");
}

#[tokio::test]
async fn a_new_connection_is_never_taken_for_the_old_one() {
    let hub = Hub::new();
    let (exchange, _stop) = shared(&hub);
    let mut member = exchange.join();
    let first = *member.state.wait_for(|state| state.up).await.unwrap();
    hub.cut("gateway");
    hub.restore("gateway");
    let second =
        *member.state.wait_for(|state| state.up && state.number > first.number).await.unwrap();
    assert_eq!(second.number, first.number + 1);
}
