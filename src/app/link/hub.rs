//! A broker in memory: the twin of a real one for tests and rehearsals.
//!
//! Keeps retained messages, sends wills, matches wildcards, and can be told to misbehave as real
//! brokers do: [`Hub::cut`] drops a connection, [`Hub::forget`] loses everything retained,
//! [`Hub::refuse`] turns a client away until told otherwise. Enforces no access list.
//!
//! A holder that does not take its events misses messages beyond its queue, as at a real broker;
//! [`Hub::missed`] counts them.

use super::{
    Answer, Lag, Link, LinkError, LinkEvent, LinkEvents, LinkRequest, Outbound, Outbox, Will,
    WillSource, channel, matches,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a holder may lag behind.
const LAG: Lag = Lag { events: 1_024, bytes: 64 << 20 };

/// A broker in memory; clones share it. Needs a tokio runtime.
#[derive(Clone, Default)]
pub struct Hub {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    clients: BTreeMap<String, Client>,
    retained: BTreeMap<String, Bytes>,
    refused: BTreeSet<String>,
    published: Vec<Outbound>,
    missed: u64,
}

struct Client {
    events: Outbox,
    filters: BTreeSet<String>,
    wills: WillSource,
    will: Option<Will>,
    up: bool,
}

impl Hub {
    /// Returns an empty broker.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects a client; one of the same name is put out, as MQTT orders.
    pub fn connect(&self, name: &str) -> (Link, LinkEvents) {
        self.connect_with(name, Box::new(|| None))
    }

    /// Connects a client with a will.
    pub fn connect_with(&self, name: &str, wills: WillSource) -> (Link, LinkEvents) {
        let (link, events, mut transport) = channel(LAG);
        let mut state = self.lock();
        state.put_out(name, "another client took the name");
        let client = Client {
            events: transport.events.clone(),
            filters: BTreeSet::new(),
            wills,
            will: None,
            up: false,
        };
        state.clients.insert(name.to_owned(), client);
        state.bring_up(name);
        drop(state);
        let hub = self.clone();
        let name = name.to_owned();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    request = transport.requests.recv() => match request {
                        Some(request) => if hub.lock().serve(&name, &transport.events, request) {
                            return;
                        },
                        None => break,
                    },
                    Some(_) = transport.taken.recv() => {}
                }
            }
            hub.lock().leave(&name, &transport.events);
        });
        (link, events)
    }

    /// Drops a client's connection without a farewell (its will is sent); [`Hub::restore`] brings
    /// it back.
    pub fn cut(&self, name: &str) {
        self.lock().cut(name, "the line was cut");
    }

    /// Brings a cut connection back.
    pub fn restore(&self, name: &str) {
        let mut state = self.lock();
        state.refused.remove(name);
        state.bring_up(name);
    }

    /// Drops a client and refuses it until [`Hub::restore`].
    pub fn refuse(&self, name: &str) {
        let mut state = self.lock();
        state.refused.insert(name.to_owned());
        state.cut(name, "not authorised");
    }

    /// Loses everything retained and drops every connection, then takes them back: a broker that
    /// was killed and started empty.
    pub fn forget(&self) {
        let mut state = self.lock();
        let names: Vec<_> = state.clients.keys().cloned().collect();
        for name in &names {
            if let Some(client) = state.clients.get_mut(name) {
                client.will = None; // a killed broker sends no wills
            }
            state.cut(name, "the broker was killed");
        }
        state.retained.clear();
        for name in &names {
            state.bring_up(name);
        }
    }

    /// Returns what is retained, by topic.
    pub fn retained(&self) -> BTreeMap<String, Bytes> {
        self.lock().retained.clone()
    }

    /// Returns everything published so far, in order.
    pub fn published(&self) -> Vec<Outbound> {
        self.lock().published.clone()
    }

    /// Returns the filters a client holds.
    pub fn filters(&self, name: &str) -> BTreeSet<String> {
        self.lock().clients.get(name).map(|c| c.filters.clone()).unwrap_or_default()
    }

    /// Returns how many deliveries were dropped at full queues.
    pub fn missed(&self) -> u64 {
        self.lock().missed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Does what was asked; says whether the client left for good.
    fn serve(&mut self, name: &str, own: &Outbox, request: LinkRequest) -> bool {
        let up = self.clients.get(name).is_some_and(|c| c.up && c.events.same(own));
        match request {
            LinkRequest::Publish(message, answer) => {
                if up {
                    self.deliver(message);
                }
                reply(answer, up);
            }
            LinkRequest::Subscribe(filters, answer) => {
                if up {
                    self.subscribe(name, filters);
                }
                reply(answer, up);
            }
            LinkRequest::Unsubscribe(filters, answer) => {
                if let Some(client) = self.clients.get_mut(name).filter(|_| up) {
                    client.filters.retain(|f| !filters.contains(f));
                }
                reply(answer, up);
            }
            LinkRequest::Disconnect(answer) => {
                if up && let Some(client) = self.clients.get_mut(name) {
                    client.will = None;
                    self.leave(name, own);
                }
                let _ = answer.send(Ok(()));
                return true;
            }
        }
        false
    }

    fn deliver(&mut self, message: Outbound) {
        if message.retain {
            if message.payload.is_empty() {
                self.retained.remove(&message.topic);
            } else {
                self.retained.insert(message.topic.clone(), message.payload.clone());
            }
        }
        for client in self.clients.values() {
            if client.up && client.filters.iter().any(|f| matches(f, &message.topic)) {
                let event = LinkEvent::Message {
                    topic: message.topic.clone(),
                    payload: message.payload.clone(),
                    retain: false,
                };
                self.missed += u64::from(client.events.tell(event, None).is_err());
            }
        }
        self.published.push(message);
    }

    fn subscribe(&mut self, name: &str, filters: Vec<String>) {
        let Some(client) = self.clients.get_mut(name) else { return };
        for filter in filters {
            for (topic, payload) in self.retained.iter().filter(|(t, _)| matches(&filter, t)) {
                let event = LinkEvent::Message {
                    topic: topic.clone(),
                    payload: payload.clone(),
                    retain: true,
                };
                self.missed += u64::from(client.events.tell(event, None).is_err());
            }
            client.filters.insert(filter);
        }
    }

    fn bring_up(&mut self, name: &str) {
        if self.refused.contains(name) {
            return;
        }
        if let Some(client) = self.clients.get_mut(name).filter(|c| !c.up) {
            client.up = true;
            client.will = (client.wills)();
            let _ = client.events.tell(LinkEvent::Connected, None);
        }
    }

    fn cut(&mut self, name: &str, why: &str) {
        let Some(client) = self.clients.get_mut(name).filter(|c| c.up) else { return };
        client.up = false;
        client.filters.clear();
        let _ = client.events.tell(LinkEvent::Disconnected { why: why.to_owned() }, None);
        if let Some(Will { topic, payload, retain }) = client.will.take() {
            self.deliver(Outbound { topic, payload, retain });
        }
    }

    fn put_out(&mut self, name: &str, why: &str) {
        self.cut(name, why);
        self.clients.remove(name);
    }

    fn leave(&mut self, name: &str, own: &Outbox) {
        if self.clients.get(name).is_some_and(|c| c.events.same(own)) {
            self.put_out(name, "the client left");
        }
    }
}

fn reply(answer: Answer, up: bool) {
    let _ = answer.send(if up { Ok(()) } else { Err(LinkError::Down) });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, payload: &'static str, retain: bool) -> LinkEvent {
        LinkEvent::Message {
            topic: topic.into(),
            payload: Bytes::from_static(payload.as_bytes()),
            retain,
        }
    }

    #[tokio::test]
    async fn a_retained_message_reaches_who_comes_later() {
        let hub = Hub::new();
        let (a, _a) = hub.connect("a");
        let (b, mut events) = hub.connect("b");
        a.publish("x/1", "one", true).await.unwrap();
        b.subscribe(vec!["x/+".into()]).await.unwrap();
        a.publish("x/2", "two", false).await.unwrap();
        assert_eq!(events.next().await, Some(LinkEvent::Connected));
        assert_eq!(events.next().await, Some(message("x/1", "one", true)));
        assert_eq!(events.next().await, Some(message("x/2", "two", false)));
    }

    #[tokio::test]
    async fn a_cut_line_sends_the_will_and_forgets_the_subscriptions() {
        let hub = Hub::new();
        let (a, mut seen) = hub.connect("a");
        a.subscribe(vec!["will".into()]).await.unwrap();
        let mut count = 0;
        let will = move || {
            count += 1;
            Some(Will { topic: "will".into(), payload: format!("{count}").into(), retain: false })
        };
        let (b, mut events) = hub.connect_with("b", Box::new(will));
        b.subscribe(vec!["x".into()]).await.unwrap();
        hub.cut("b");
        assert_eq!(b.publish("x", "x", false).await, Err(LinkError::Down));
        hub.restore("b");
        assert!(hub.filters("b").is_empty());
        hub.cut("b");
        let connected = events.next().await;
        let cut = LinkEvent::Disconnected { why: "the line was cut".into() };
        assert_eq!((connected, events.next().await), (Some(LinkEvent::Connected), Some(cut)));
        assert_eq!(seen.next().await, Some(LinkEvent::Connected));
        assert_eq!(seen.next().await, Some(message("will", "1", false)));
        assert_eq!(seen.next().await, Some(message("will", "2", false)));
    }

    #[tokio::test]
    async fn a_farewell_sends_no_will_and_closes_the_link() {
        let hub = Hub::new();
        let (a, mut seen) = hub.connect("a");
        a.subscribe(vec!["#".into()]).await.unwrap();
        let will = Will { topic: "will".into(), payload: "x".into(), retain: true };
        let (b, mut events) = hub.connect_with("b", Box::new(move || Some(will.clone())));
        b.disconnect().await.unwrap();
        assert_eq!(b.publish("x", "x", false).await, Err(LinkError::Closed));
        while events.next().await.is_some() {}
        assert_eq!(seen.next().await, Some(LinkEvent::Connected));
        assert_eq!(seen.try_next(), None);
    }

    #[tokio::test]
    async fn a_broker_that_forgot_has_nothing_retained() {
        let hub = Hub::new();
        let (a, mut events) = hub.connect("a");
        a.publish("x", "x", true).await.unwrap();
        hub.forget();
        assert!(hub.retained().is_empty());
        assert_eq!(events.next().await, Some(LinkEvent::Connected));
        assert!(matches!(events.next().await, Some(LinkEvent::Disconnected { .. })));
        assert_eq!(events.next().await, Some(LinkEvent::Connected));
    }
}
