//! The bounded queues between the holder of a link and its transport.
//!
//! # Invariant
//! * What waits is bounded in number and in bytes, and whoever overflows it is told.

use super::{Link, LinkEvent, LinkRequest, REQUESTS};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// The events of a link, for its one holder.
#[derive(Debug)]
pub struct LinkEvents {
    events: mpsc::Receiver<(LinkEvent, Option<Ticket>)>,
    taken: mpsc::Sender<Ticket>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Names a delivery that the transport acknowledges to the broker once it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Counts connections, so that a ticket of an earlier one is not acknowledged on a later one.
    pub connection: u64,
    /// The packet id.
    pub packet: u16,
}

impl LinkEvents {
    /// Waits for the next event; `None` once the link is closed. Taking a message acknowledges it.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        let (event, ticket) = self.events.recv().await?;
        Some(self.take(event, ticket))
    }

    /// Returns the next event if one waits.
    pub fn try_next(&mut self) -> Option<LinkEvent> {
        let (event, ticket) = self.events.try_recv().ok()?;
        Some(self.take(event, ticket))
    }

    fn take(&mut self, event: LinkEvent, ticket: Option<Ticket>) -> LinkEvent {
        self.waiting_bytes.fetch_sub(weight(&event), Ordering::Relaxed);
        if let Some(ticket) = ticket {
            // One slot for each event the queue holds; it is full only when the transport stopped.
            let _ = self.taken.try_send(ticket);
        }
        event
    }
}

/// What a message costs while it waits.
fn weight(event: &LinkEvent) -> usize {
    match event {
        LinkEvent::Message { topic, payload, .. } => topic.len() + payload.len(),
        _ => 0,
    }
}

/// Why an event cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// Nobody holds the link any more.
    Closed,
    /// Too much waits already.
    Full {
        /// Events that wait.
        events: usize,
        /// Bytes that wait.
        bytes: usize,
    },
}

/// Where a transport tells the holder what happens.
#[derive(Clone, Debug)]
pub struct Outbox {
    events: mpsc::Sender<(LinkEvent, Option<Ticket>)>,
    waiting_bytes: Arc<AtomicUsize>,
    most_bytes: usize,
}

impl Outbox {
    /// Tells at once or not at all. A message with a ticket comes back through `taken`.
    pub fn tell(&self, event: LinkEvent, ticket: Option<Ticket>) -> Result<(), Untold> {
        let bytes = self.waiting_bytes.load(Ordering::Relaxed);
        let events = self.events.max_capacity() - self.events.capacity();
        let weight = weight(&event);
        if weight > 0 && bytes + weight > self.most_bytes {
            return Err(Untold::Full { events, bytes });
        }
        self.waiting_bytes.fetch_add(weight, Ordering::Relaxed);
        self.events.try_send((event, ticket)).map_err(|error| {
            self.waiting_bytes.fetch_sub(weight, Ordering::Relaxed);
            match error {
                mpsc::error::TrySendError::Full(_) => Untold::Full { events, bytes },
                mpsc::error::TrySendError::Closed(_) => Untold::Closed,
            }
        })
    }

    /// Tells what must not be missed, waiting for room; says whether somebody still listens.
    pub async fn announce(&self, event: LinkEvent) -> bool {
        self.waiting_bytes.fetch_add(weight(&event), Ordering::Relaxed);
        self.events.send((event, None)).await.is_ok()
    }

    /// Says whether both tell the same holder.
    pub fn same(&self, other: &Self) -> bool {
        self.events.same_channel(&other.events)
    }
}

/// The transport's ends of a link.
#[derive(Debug)]
pub struct Transport {
    /// What the holder asks; closed when every [`Link`] is dropped.
    pub requests: mpsc::Receiver<LinkRequest>,
    /// What the holder is told.
    pub events: Outbox,
    /// Messages the holder has taken.
    pub taken: mpsc::Receiver<Ticket>,
}

/// How far a holder may lag behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Events that wait for it, at most.
    pub events: usize,
    /// Bytes of messages that wait for it, at most.
    pub bytes: usize,
}

/// Makes a link whose holder may lag behind so far.
pub fn channel(lag: Lag) -> (Link, LinkEvents, Transport) {
    let (request_tx, request_rx) = mpsc::channel(REQUESTS);
    let (event_tx, event_rx) = mpsc::channel(lag.events.max(1));
    let (taken_tx, taken_rx) = mpsc::channel(lag.events.saturating_mul(2).max(2));
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    let outbox = Outbox {
        events: event_tx,
        waiting_bytes: Arc::clone(&waiting_bytes),
        most_bytes: lag.bytes,
    };
    (
        Link { requests: request_tx },
        LinkEvents { events: event_rx, taken: taken_tx, waiting_bytes },
        Transport { requests: request_rx, events: outbox, taken: taken_rx },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_bounded_in_number_and_in_bytes() {
        let (_link, mut events, transport) = channel(Lag { events: 3, bytes: 100 });
        let message = |bytes: usize| LinkEvent::Message {
            topic: "t".into(),
            payload: vec![0; bytes].into(),
            retain: false,
        };
        let out = transport.events;
        assert_eq!(out.tell(message(98), None), Ok(()));
        assert_eq!(out.tell(message(1), None), Err(Untold::Full { events: 1, bytes: 99 }));
        assert_eq!(out.tell(LinkEvent::Connected, None), Ok(()), "weighs nothing");
        assert!(events.next().await.is_some());
        assert_eq!(out.tell(message(99), None), Ok(()));
        assert_eq!(out.tell(LinkEvent::Connected, None), Ok(()));
        let full = Untold::Full { events: 3, bytes: 100 };
        assert_eq!(out.tell(LinkEvent::Connected, None), Err(full));
        while events.try_next().is_some() {}
        assert_eq!(out.tell(message(99), None), Ok(()));
        drop(events);
        assert_eq!(out.tell(LinkEvent::Connected, None), Err(Untold::Closed));
    }
}
