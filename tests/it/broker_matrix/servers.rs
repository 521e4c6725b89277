//! The server's own names: all that lies below the prefix, and nothing beside it.

use super::*;
use crate::support::mosquitto::SERVER;

async fn the_server_reaches_every_topic_and_nothing_outside(stage: &mut Stage) {
    let rows = stage.planted();
    let users: &[_] = if stage.refuses() { &[SERVER] } else { &[SERVER, SECOND] };
    for user in users {
        // One connection of each name: another one would put this one out.
        stage.server = if stage.refuses() {
            let (at, name, password) = match &stage.world.kind {
                #[cfg(feature = "embedded-broker")]
                Kind::Embedded(embedded) => embedded.broker().server(),
                _ => unreachable!("made so"),
            };
            stage.server.give_up();
            let login = Some((name.to_owned(), Password::new(password)));
            Client::connect(quick(MqttConfig::server(url(at), name, login)), Box::new(|| None))
                .await
        } else {
            stage.server.give_up();
            stage.as_user(*user).await
        };
        let client = &mut stage.server;
        client.subscribe(&["loa/1/#"]).await;
        for row in &rows {
            client.publish(&row.topic, row.name.clone(), false).await;
            let (topic, payload, _) = client.message().await;
            assert_eq!((&*topic, &*payload), (&*row.topic, row.name.as_bytes()), "{user:?}");
        }
        beside(stage, user.0).await;
    }
}

/// Beside the prefix the embedded broker refuses and mosquitto ignores.
async fn beside(stage: &mut Stage, user: &str) {
    let (refuses, by_plugin) = (stage.refuses(), stage.by_plugin());
    for filter in ["#", "$SYS/#", "other/#", "loa/2/#", "loa/10/#", "loa/+", "+/1/keys"] {
        let asked = stage.server.link.subscribe(vec![filter.into()]);
        let answer = within(filter, asked).await;
        assert_eq!(answer.is_err(), refuses || by_plugin, "{filter}: {answer:?}");
    }
    if !refuses {
        stage.listen().await;
    }
    for topic in ["other/topic", "loa/2/keys", "loa/10/keys"] {
        let _ = within(topic, stage.server.link.publish(topic, "giả", false)).await;
        if !refuses {
            stage.watcher().publish(topic, "của người khác", false).await;
        }
    }
    stage.server.publish("loa/1/server", format!("end of {user}"), false).await;
    loop {
        let (topic, payload, _) = stage.server.message().await;
        assert!(topic.starts_with("loa/1/"), "{topic}");
        if payload == format!("end of {user}").as_bytes() {
            break;
        }
    }
    if !refuses {
        let came = stage.collect(&format!("end of {user}")).await;
        assert_eq!(came.iter().find(|one| one.payload == "giả"), None, "{user}");
        assert_eq!(came.iter().filter(|one| one.payload == "của người khác").count(), 3);
    }
}

on_both! {
    the_server_reaches_every_topic_and_nothing_outside
}
