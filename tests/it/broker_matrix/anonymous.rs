//! Whoever has no right name and password reaches nothing, even when it does not wait to be told.

use super::*;
use crate::support::hostile::{self, Login};
use loa::app::link::LinkEvent;

async fn who_is_not_let_in_reaches_nothing(stage: &mut Stage) {
    stage.listen().await;
    let planted = stage.planted();
    for row in &planted {
        stage.server.publish(&row.topic, "bí mật", true).await;
    }
    let mut me = stage.me().await;
    assert_eq!(stage.until_mark(&mut me).await.len(), planted.len(), "all of it is there");
    let mine = ME.1;
    let logins: [(&str, Login<'_>); 8] = [
        ("anonymous", None),
        ("", None),
        ("loa-1", None),
        ("loa-1", Some(("loa-1", "sai"))),
        ("loa-1", Some(("loa-1", ""))),
        ("loa-2", Some(("loa-2", mine))),
        ("loa-9", Some(("loa-9", mine))),
        ("loa.server", Some(("loa.server", mine))),
    ];
    for (client_id, login) in logins {
        for will in [None, Some(("loa/1/d/loa-1/state", "giả", true))] {
            let mut client = Hostile::open(stage.at()).await;
            // All in one stroke, before any answer.
            client.send(&everything(Some(hostile::connect(client_id, login, will)))).await;
            let first = client.next().await;
            let granted = matches!(first, Some(hostile::Packet::ConnAck(0)));
            assert!(!granted, "{client_id}: {login:?} was let in");
            while client.next().await.is_some() {}
            assert_eq!(client.heard, [], "{client_id}: {login:?}");
        }
    }
    // Without any CONNECT.
    let mut client = Hostile::open(stage.at()).await;
    client.send(&everything(None)).await;
    while client.next().await.is_some() {}
    assert_eq!(client.heard, []);
    let mut me = stage.me().await;
    assert_eq!(stage.until_mark(&mut me).await, Traffic::new());
}

/// A connection, all subscriptions and a publish on each topic.
fn everything(connect: Option<Vec<u8>>) -> Vec<u8> {
    let mut bytes = connect.unwrap_or_default();
    let rows = rows();
    let filters: Vec<&str> = rows.iter().map(|row| &*row.topic).chain(["#", "$SYS/#"]).collect();
    bytes.extend(hostile::subscribe(&filters, 1));
    for (id, row) in (2..).zip(&rows) {
        bytes.extend(hostile::publish(&row.topic, "giả", 1, true, id));
    }
    bytes
}

async fn nobody_takes_the_place_of_another(stage: &mut Stage) {
    stage.listen().await;
    let mut other = stage.world.device("loa-2").await;
    other.subscribe(&["loa/1/d/loa-2/command"]).await;
    for name in ["loa-2", "loa.server", "watcher", "loa-3"] {
        // mosquitto makes the user name the client id; the embedded broker refuses.
        let client = stage.connect(name, None).await;
        assert_eq!(client.is_err(), stage.refuses() || stage.by_plugin(), "{name}");
        let Ok(mut client) = client else { continue };
        assert!(client.settled().await);
        client.publish(&format!("loa/1/d/{name}/state"), "giả", 1, true).await;
        assert!(client.settled().await);
    }
    // Neither of them was put out, and nothing was said in their names.
    stage.server.publish("loa/1/d/loa-2/command", "còn đó", false).await;
    let (topic, payload, _) = other.message().await;
    assert_eq!((&*topic, &*payload), ("loa/1/d/loa-2/command", "còn đó".as_bytes()));
    let mut me = stage.me().await;
    let came = stage.until_mark(&mut me).await;
    assert_eq!(came, [heard("loa/1/d/loa-2/command", "còn đó", false)].into());
    while let Some(event) = stage.server.events.try_next() {
        assert!(matches!(event, LinkEvent::Message { .. }), "the server was put out: {event:?}");
    }
}

on_both! {
    who_is_not_let_in_reaches_nothing
    nobody_takes_the_place_of_another
}
