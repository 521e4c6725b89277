//! One connection: one future polls the event loop, one feeds it, a book between them knows which
//! acknowledgement answers whom.

use crate::app::link::{
    Answer, LinkError, LinkEvent, LinkRequest, Outbound, Outbox, Ticket, Transport, Untold,
};
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Outgoing, Packet, Publish, QoS, Request,
    SubAck, SubscribeFilter, SubscribeReasonCode, Unsubscribe,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The link is closed: nobody holds it any more, or it was disconnected.
    Closed,
    /// The connection is gone.
    Broken(String),
}

/// A publish on its way: whom to answer, and its place in the window.
struct Sent {
    answer: Answer,
    _place: OwnedSemaphorePermit,
}

/// Which acknowledgement answers whom. rumqttc names packet ids only when it has written a packet,
/// in the order in which it was fed.
#[derive(Default)]
struct Book {
    fed: VecDeque<Sent>,
    /// Written under this id, not acknowledged yet.
    published: BTreeMap<u16, Sent>,
    /// Held back by rumqttc because its packet id is still in use.
    collided: Option<(u16, Sent)>,
    fed_filters: VecDeque<(Vec<String>, Answer)>,
    subscribed: BTreeMap<u16, (Vec<String>, Answer)>,
    fed_unsubscribes: VecDeque<Arc<Several>>,
    /// Filters that the polling side is still to put into one packet.
    aside: VecDeque<(Vec<String>, Arc<Several>)>,
    /// Put into packets that are written before anything that is fed.
    ahead: VecDeque<Arc<Several>>,
    unsubscribed: BTreeMap<u16, Arc<Several>>,
}

/// An answer that waits for several packets.
struct Several(Mutex<(usize, Option<Answer>)>);

impl Several {
    fn one_done(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_sub(1);
        if state.0 == 0
            && let Some(answer) = state.1.take()
        {
            let _ = answer.send(Ok(()));
        }
    }
}

impl Book {
    fn note(&mut self, outgoing: &Outgoing) {
        match outgoing {
            Outgoing::Publish(id) => {
                let held = self.collided.take_if(|(held, _)| held == id).map(|(_, sent)| sent);
                if let Some(sent) = held.or_else(|| self.fed.pop_front()) {
                    self.published.insert(*id, sent);
                }
            }
            Outgoing::AwaitAck(id) => {
                self.collided = self.fed.pop_front().map(|sent| (*id, sent));
            }
            Outgoing::Subscribe(id) => {
                if let Some(fed) = self.fed_filters.pop_front() {
                    self.subscribed.insert(*id, fed);
                }
            }
            Outgoing::Unsubscribe(id) => {
                let ahead = self.ahead.pop_front();
                if let Some(fed) = ahead.or_else(|| self.fed_unsubscribes.pop_front()) {
                    self.unsubscribed.insert(*id, fed);
                }
            }
            _ => {}
        }
    }

    fn acknowledged(&mut self, id: u16) {
        if let Some(sent) = self.published.remove(&id) {
            let _ = sent.answer.send(Ok(()));
        }
    }

    fn subscribed(&mut self, ack: &SubAck) {
        let Some((filters, answer)) = self.subscribed.remove(&ack.pkid) else { return };
        let granted =
            |n: usize| matches!(ack.return_codes.get(n), Some(SubscribeReasonCode::Success(_)));
        let refused: Vec<String> = filters
            .into_iter()
            .enumerate()
            .filter(|(n, _)| !granted(*n))
            .map(|(_, filter)| filter)
            .collect();
        let _ = answer.send(if refused.is_empty() {
            Ok(())
        } else {
            Err(LinkError::Refused { filters: refused })
        });
    }

    fn unsubscribed(&mut self, id: u16) {
        if let Some(several) = self.unsubscribed.remove(&id) {
            several.one_done();
        }
    }

    /// Answers everything that is open: the connection is gone.
    fn close(&mut self) {
        let book = std::mem::take(self);
        let collided = book.collided.map(|(_, sent)| sent);
        let sent = book.fed.into_iter().chain(book.published.into_values()).chain(collided);
        let filters = book.fed_filters.into_iter().chain(book.subscribed.into_values());
        let several = book.fed_unsubscribes.into_iter().chain(book.unsubscribed.into_values());
        let several = several.chain(book.ahead).chain(book.aside.into_iter().map(|(_, s)| s));
        let several = several.filter_map(|several| {
            several.0.lock().unwrap_or_else(PoisonError::into_inner).1.take()
        });
        let answers = sent.map(|s| s.answer).chain(filters.map(|(_, a)| a)).chain(several);
        for answer in answers {
            let _ = answer.send(Err(LinkError::Lost));
        }
    }
}

/// What a connection needs besides its event loop.
pub(super) struct Session<'a> {
    pub(super) client: AsyncClient,
    pub(super) number: u64,
    pub(super) window: u16,
    pub(super) max_packet: usize,
    pub(super) dropped: &'a AtomicU64,
}

impl Session<'_> {
    /// Runs until the connection or the link ends. `events` must have announced it.
    pub(super) async fn run(self, events: &mut EventLoop, link: &mut Transport) -> End {
        let book = Mutex::new(Book::default());
        let Transport { requests, events: out, taken } = link;
        let end = tokio::select! {
            end = self.poll(events, out, &book) => end,
            end = self.feed(requests, taken, &book) => end,
        };
        lock(&book).close();
        end
    }

    /// Polls and forwards; waits for nobody but the broker.
    async fn poll(&self, events: &mut EventLoop, out: &Outbox, book: &Mutex<Book>) -> End {
        loop {
            let event = match events.poll().await {
                Ok(event) => event,
                Err(error) => {
                    // What came with the last read is still whole.
                    while let Some(event) = events.state.events.pop_front() {
                        if let Some(end) = self.handle(event, out, book) {
                            return end;
                        }
                    }
                    return End::Broken(reason(&error));
                }
            };
            if let Some(end) = self.handle(event, out, book) {
                return end;
            }
            unsubscribe_aside(events, book);
        }
    }

    fn handle(&self, event: Event, out: &Outbox, book: &Mutex<Book>) -> Option<End> {
        match event {
            Event::Outgoing(Outgoing::Disconnect) => return Some(End::Closed),
            Event::Outgoing(outgoing) => lock(book).note(&outgoing),
            Event::Incoming(Packet::PubAck(ack)) => lock(book).acknowledged(ack.pkid),
            Event::Incoming(Packet::SubAck(ack)) => lock(book).subscribed(&ack),
            Event::Incoming(Packet::UnsubAck(ack)) => lock(book).unsubscribed(ack.pkid),
            Event::Incoming(Packet::Publish(message)) => return self.forward(message, out),
            Event::Incoming(_) => {}
        }
        None
    }

    fn forward(&self, message: Publish, out: &Outbox) -> Option<End> {
        let ticket = (message.qos != QoS::AtMostOnce)
            .then_some(Ticket { connection: self.number, packet: message.pkid });
        let event = LinkEvent::Message {
            topic: message.topic,
            payload: message.payload,
            retain: message.retain,
        };
        match out.tell(event, ticket) {
            Ok(()) => None,
            Err(Untold::Closed) => Some(End::Closed),
            Err(Untold::Full { .. }) if ticket.is_none() => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(Untold::Full { events, bytes }) => Some(End::Broken(format!(
                "{events} messages of {bytes} bytes wait here and the broker sends on"
            ))),
        }
    }

    /// Takes requests and acknowledgements and feeds them to the event loop.
    async fn feed(
        &self,
        requests: &mut mpsc::Receiver<LinkRequest>,
        taken: &mut mpsc::Receiver<Ticket>,
        book: &Mutex<Book>,
    ) -> End {
        let window = Arc::new(Semaphore::new(usize::from(self.window.max(1))));
        let mut held: Option<(Outbound, Answer)> = None;
        loop {
            // A client error means that the event loop is gone; the polling side says why.
            let fed = tokio::select! {
                biased;
                Some(ticket) = taken.recv() => self.acknowledge(ticket).await,
                place = Arc::clone(&window).acquire_owned(), if held.is_some() => {
                    let (Some((message, answer)), Ok(place)) = (held.take(), place) else {
                        return End::Closed;
                    };
                    self.publish(message, Sent { answer, _place: place }, book).await
                }
                request = requests.recv(), if held.is_none() => match request {
                    None => {
                        let _ = self.client.disconnect().await;
                        std::future::pending().await
                    }
                    Some(LinkRequest::Publish(message, answer)) => {
                        held = Some((message, answer));
                        Ok(())
                    }
                    Some(LinkRequest::Subscribe(filters, answer)) => {
                        self.subscribe(filters, answer, book).await
                    }
                    Some(LinkRequest::Unsubscribe(filters, answer)) => {
                        self.unsubscribe(filters, answer, book).await
                    }
                    Some(LinkRequest::Disconnect(answer)) => {
                        let _ = self.client.disconnect().await;
                        let _ = answer.send(Ok(()));
                        std::future::pending().await
                    }
                },
            };
            if fed.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn acknowledge(&self, ticket: Ticket) -> Result<(), rumqttc::ClientError> {
        if ticket.connection != self.number {
            return Ok(());
        }
        let mut message = Publish::new("", QoS::AtLeastOnce, Vec::new());
        message.pkid = ticket.packet;
        self.client.ack(&message).await
    }

    async fn publish(
        &self,
        message: Outbound,
        sent: Sent,
        book: &Mutex<Book>,
    ) -> Result<(), rumqttc::ClientError> {
        // Fixed header, two lengths and the packet id: at most 9 bytes.
        let bytes = message.topic.len() + message.payload.len() + 9;
        if bytes > self.max_packet {
            let limit = self.max_packet;
            let refused = LinkError::TooLarge { topic: message.topic, bytes, limit };
            let _ = sent.answer.send(Err(refused));
            return Ok(());
        }
        lock(book).fed.push_back(sent);
        let Outbound { topic, payload, retain } = message;
        self.client.publish_bytes(topic, QoS::AtLeastOnce, retain, payload).await
    }

    async fn subscribe(
        &self,
        filters: Vec<String>,
        answer: Answer,
        book: &Mutex<Book>,
    ) -> Result<(), rumqttc::ClientError> {
        // One wrong filter would tear the connection down.
        let wrong: Vec<String> =
            filters.iter().filter(|f| !rumqttc::valid_filter(f)).cloned().collect();
        if !wrong.is_empty() {
            let _ = answer.send(Err(LinkError::Refused { filters: wrong }));
            return Ok(());
        }
        let asked = filters.iter().map(|f| SubscribeFilter::new(f.clone(), QoS::AtLeastOnce));
        let asked: Vec<_> = asked.collect();
        lock(book).fed_filters.push_back((filters, answer));
        self.client.subscribe_many(asked).await
    }

    /// rumqttc's client has no packet of several filters for this. So the first one goes by
    /// itself, and its being written is what wakes the polling side, which puts the others into
    /// one packet: brokers and lines pay by the packet.
    async fn unsubscribe(
        &self,
        mut filters: Vec<String>,
        answer: Answer,
        book: &Mutex<Book>,
    ) -> Result<(), rumqttc::ClientError> {
        let Some(first) = filters.pop() else {
            let _ = answer.send(Ok(()));
            return Ok(());
        };
        let packets = 1 + usize::from(!filters.is_empty());
        let several = Arc::new(Several(Mutex::new((packets, Some(answer)))));
        {
            let mut book = lock(book);
            if !filters.is_empty() {
                book.aside.push_back((filters, Arc::clone(&several)));
            }
            book.fed_unsubscribes.push_back(several);
        }
        self.client.unsubscribe(first).await
    }
}

/// Hands packets of several filters to the event loop, which writes them before anything fed.
/// Only when it has told everything that it has written: so they are the next ones it tells of.
fn unsubscribe_aside(events: &mut EventLoop, book: &Mutex<Book>) {
    if !events.state.events.is_empty() {
        return;
    }
    let mut book = lock(book);
    while let Some((topics, several)) = book.aside.pop_front() {
        book.ahead.push_back(several);
        events.pending.push_back(Request::Unsubscribe(Unsubscribe { pkid: 0, topics }));
    }
}

fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says why a connection failed, with the whole chain of causes and what to do about a
/// certificate that was not believed.
pub(super) fn reason(error: &ConnectionError) -> String {
    let mut text = error.to_string();
    let mut remedy = None;
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        remedy = remedy.or_else(|| super::tls::remedy(inner));
        cause = inner.source();
    }
    match remedy {
        Some(remedy) => format!("{text}; {remedy}"),
        None => text,
    }
}
