//! The transport-free handle to a broker: what the server and the devices hold instead of an
//! MQTT library.
//!
//! A transport (`mqtt`, or the in-memory [`hub`]) owns one connection and brings it back by
//! itself, with back-off. The holder learns of that by [`LinkEvent::Connected`] and
//! [`LinkEvent::Disconnected`], and subscribes and publishes anew at each `Connected`: sessions are
//! clean, so the transport remembers nothing over a connection.
//!
//! # Invariants
//! * Everything is QoS 1. [`Link::publish`] is done when the broker acknowledged that very message.
//!   **That proves nothing about delivery** (brokers acknowledge and then drop); only a signed
//!   receipt does.
//! * No publish or subscription outlives the connection on which it was asked: it fails with
//!   [`LinkError::Down`] or [`LinkError::Lost`], and the holder asks again after `Connected`.
//! * All queues are bounded. Requests: the caller waits for room ([`Link::publish`]) or is told
//!   ([`LinkError::Full`] of [`Link::try_publish`]). Events, in number and in bytes: a message is
//!   acknowledged to the broker when the holder *takes* it, so a broker that keeps to its window
//!   never fills the queue. One that does not (mosquitto 2.0.11 sends a whole window at each
//!   acknowledgement of a backlog) may overflow it, upon which the connection is dropped (and
//!   everything retained comes again after the new subscription) instead of a message silently
//!   lost. QoS 0 messages, which nobody of ours sends, are dropped and counted then.
//! * The holder may await its own publishes while it handles an event: the transport never waits
//!   for the holder.

pub mod hub;
mod queue;

use bytes::Bytes;
pub use queue::{Lag, LinkEvents, Outbox, Ticket, Transport, Untold, channel};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the transport; callers of [`Link::publish`] wait beyond it.
const REQUESTS: usize = 64;

/// What happens on a link, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The connection stands; nothing is subscribed yet.
    Connected,
    /// The connection is gone or did not come about; the transport tries again by itself.
    Disconnected {
        /// For people; holds no secrets.
        why: String,
    },
    /// A message for one of the subscriptions.
    Message {
        /// Its topic, without wildcards.
        topic: String,
        /// Its bytes as they came.
        payload: Bytes,
        /// Whether the broker had kept it.
        retain: bool,
    },
}

/// Why a request to the broker failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("no connection to the broker")]
    Down,
    #[error("the connection broke before the broker answered")]
    Lost,
    #[error("{waiting} requests already wait for the broker")]
    Full { waiting: usize },
    #[error("`{topic}` is not a topic to publish to")]
    Topic { topic: String },
    #[error("a message of {bytes} bytes for `{topic}`, above the limit of {limit}")]
    TooLarge { topic: String, bytes: usize, limit: usize },
    #[error("the broker refused the subscription to {}", filters.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", "))]
    Refused { filters: Vec<String> },
    #[error("the link is closed")]
    Closed,
}

impl LinkError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Down | Self::Lost => {
                "the link reconnects by itself; ask again once it is connected"
            }
            Self::Full { .. } => "wait for room, or send less at once",
            Self::Topic { .. } => "a topic has 1 to 65,535 bytes and neither `+`, `#` nor NUL",
            Self::TooLarge { .. } => "split it, or raise the packet limit of broker and link",
            Self::Refused { .. } => "the broker's access list must allow it: `loa broker acl`",
            Self::Closed => "the process is stopping",
        }
    }
}

/// The last will: what the broker publishes when this connection dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// Makes the will of each connection attempt, just before it: a birth message that carries a
/// connection counter can so carry the same one as its will.
pub type WillSource = Box<dyn FnMut() -> Option<Will> + Send>;

/// A message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Whether the broker keeps it; an empty body clears what it kept.
    pub retain: bool,
}

/// How a transport answers a request.
pub type Answer = oneshot::Sender<Result<(), LinkError>>;

/// What a transport must do.
#[derive(Debug)]
pub enum LinkRequest {
    /// Publishes; answered at the acknowledgement of this message.
    Publish(Outbound, Answer),
    /// Subscribes to all of them in one packet; answered at the broker's answer.
    Subscribe(Vec<String>, Answer),
    /// Unsubscribes from all of them in one packet; answered at the broker's answer.
    Unsubscribe(Vec<String>, Answer),
    /// Ends the connection in order, so that no will is sent; the link is closed then.
    Disconnect(Answer),
}

/// A handle to one connection; clones share it.
#[derive(Clone, Debug)]
pub struct Link {
    requests: mpsc::Sender<LinkRequest>,
}

/// The acknowledgement of a published message, to come.
#[derive(Debug)]
#[must_use = "a message is only known to have reached the broker when this is done"]
pub struct Acked(oneshot::Receiver<Result<(), LinkError>>);

impl Future for Acked {
    type Output = Result<(), LinkError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(LinkError::Closed)))
    }
}

impl Link {
    /// Publishes; done when the broker acknowledged it. Waits for room in the queue.
    pub async fn publish(
        &self,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
        retain: bool,
    ) -> Result<(), LinkError> {
        self.enqueue(topic, payload, retain).await?.await
    }

    /// Queues a message, waiting for room, and returns its acknowledgement to come: for several
    /// messages in flight, in order.
    pub async fn enqueue(
        &self,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
        retain: bool,
    ) -> Result<Acked, LinkError> {
        let message = outbound(topic.into(), payload.into(), retain)?;
        let (answer, acked) = oneshot::channel();
        let request = LinkRequest::Publish(message, answer);
        self.requests.send(request).await.map_err(|_| LinkError::Closed)?;
        Ok(Acked(acked))
    }

    /// Queues a message, or says at once that there is no room.
    pub fn try_publish(
        &self,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
        retain: bool,
    ) -> Result<Acked, LinkError> {
        let message = outbound(topic.into(), payload.into(), retain)?;
        let (answer, acked) = oneshot::channel();
        self.requests.try_send(LinkRequest::Publish(message, answer)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => LinkError::Full { waiting: REQUESTS },
            mpsc::error::TrySendError::Closed(_) => LinkError::Closed,
        })?;
        Ok(Acked(acked))
    }

    /// Subscribes at QoS 1 to all of them in one packet; done at the broker's answer. When it
    /// refuses some, the others are in force. Subscribing again brings retained messages again.
    pub async fn subscribe(&self, filters: Vec<String>) -> Result<(), LinkError> {
        if filters.is_empty() {
            return Ok(());
        }
        self.ask(|answer| LinkRequest::Subscribe(filters, answer)).await
    }

    /// Unsubscribes from all of them in one packet; done at the broker's answer.
    pub async fn unsubscribe(&self, filters: Vec<String>) -> Result<(), LinkError> {
        if filters.is_empty() {
            return Ok(());
        }
        self.ask(|answer| LinkRequest::Unsubscribe(filters, answer)).await
    }

    /// Ends the connection in order (no will is sent) and closes the link.
    pub async fn disconnect(&self) -> Result<(), LinkError> {
        self.ask(LinkRequest::Disconnect).await
    }

    async fn ask(&self, request: impl FnOnce(Answer) -> LinkRequest) -> Result<(), LinkError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| LinkError::Closed)?;
        answered.await.unwrap_or(Err(LinkError::Closed))
    }
}

fn outbound(topic: String, payload: Bytes, retain: bool) -> Result<Outbound, LinkError> {
    let fits = (1..=65_535).contains(&topic.len());
    if !fits || topic.contains(['+', '#', '\0']) {
        return Err(LinkError::Topic { topic: topic.chars().take(200).collect() });
    }
    Ok(Outbound { topic, payload, retain })
}

/// Says whether an MQTT filter matches a topic; `$`-topics only match when named.
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    let mut topic = topic.split('/');
    let mut filter = filter.split('/');
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(want), Some(have)) if want == have => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_mqtt_says() {
        for (filter, topic, want) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+/c", "a/b/c", true),
            ("a/+", "a", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("+/x", "$SYS/x", false),
            ("a/+", "a/", true),
        ] {
            assert_eq!(matches(filter, topic), want, "{filter} against {topic}");
        }
    }

    #[tokio::test]
    async fn a_topic_with_a_wildcard_never_reaches_the_transport() {
        let (link, _events, mut transport) = channel(Lag { events: 4, bytes: 100 });
        let refused = link.publish("loa/+/x", "x", false).await;
        assert_eq!(refused, Err(LinkError::Topic { topic: "loa/+/x".into() }));
        assert!(transport.requests.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_full_queue_is_said_not_hidden() {
        let (link, _events, _transport) = channel(Lag { events: 4, bytes: 100 });
        let waiting: Vec<_> =
            (0..REQUESTS).map(|_| link.try_publish("t", "x", false).unwrap()).collect();
        let refused = link.try_publish("t", "x", false).unwrap_err();
        assert_eq!(refused, LinkError::Full { waiting: REQUESTS });
        drop(waiting);
    }
}
