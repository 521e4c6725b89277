//! Tells the broker of orders at once, past whatever else is being published.
//!
//! An order is in the store before it comes here, so nothing is lost when the line is down: the
//! publishing task tells it then. What the broker has acknowledged is remembered, so that the two
//! do not say it twice.

use super::link::Link;
use super::ports::RetainedDocument;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long an answer waits for the broker.
const PATIENCE: Duration = Duration::from_secs(3);

/// The way out for orders, shared by API and publishing task.
#[derive(Debug, Default)]
pub struct Outlet {
    /// Set once this process publishes.
    link: OnceLock<Link>,
    /// Retained documents that the broker has, by topic and version.
    told: Mutex<BTreeSet<(String, i64)>>,
    changed: Notify,
    /// Changes with each order that goes out.
    orders: watch::Sender<()>,
}

/// Whether the broker has an order yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It acknowledged it.
    Published,
    /// No line to the broker now: it is told once there is one.
    Waiting,
}

impl Outlet {
    /// Hands over the line; orders before that wait for the publishing task.
    pub fn connect(&self, link: Link) {
        // A second line in one process cannot be: the first one stays.
        let _ = self.link.set(link);
    }

    /// Publishes the documents, all at once; what fails is left to the publishing task.
    pub async fn tell(&self, documents: &[RetainedDocument]) -> Told {
        self.orders.send_replace(());
        let told = match tokio::time::timeout(PATIENCE, self.publish(documents)).await {
            Ok(told) => told,
            Err(_) => Told::Waiting,
        };
        self.changed.notify_one();
        told
    }

    /// Publishes what people did not order and nobody need stand aside for; what fails is left to
    /// the publishing task.
    pub async fn say(&self, documents: &[RetainedDocument]) -> Told {
        tokio::time::timeout(PATIENCE, self.publish(documents)).await.unwrap_or(Told::Waiting)
    }

    /// Takes what is kept on a topic off the broker.
    pub async fn clear(&self, topic: &str) -> Told {
        let Some(link) = self.link.get() else { return Told::Waiting };
        let cleared = link.publish(topic.to_owned(), Bytes::new(), true);
        match tokio::time::timeout(PATIENCE, cleared).await {
            Ok(Ok(())) => {
                self.cleared(topic);
                Told::Published
            }
            _ => Told::Waiting,
        }
    }

    async fn publish(&self, documents: &[RetainedDocument]) -> Told {
        let Some(link) = self.link.get() else { return Told::Waiting };
        let mut flying = Vec::with_capacity(documents.len());
        for document in documents {
            let body = Bytes::copy_from_slice(&document.body);
            match link.enqueue(document.topic.clone(), body, true).await {
                Ok(acked) => flying.push((document, acked)),
                Err(_) => return Told::Waiting,
            }
        }
        let mut told = Told::Published;
        for (document, acked) in flying {
            match acked.await {
                Ok(()) => self.note(&document.topic, document.ver),
                Err(_) => told = Told::Waiting,
            }
        }
        told
    }

    /// Returns what changes with each order that goes out, for those who then stand aside.
    pub fn orders(&self) -> watch::Receiver<()> {
        self.orders.subscribe()
    }

    /// Waits until something was ordered in this process.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Says whether the broker has this version.
    pub fn has(&self, topic: &str, ver: i64) -> bool {
        self.lock().contains(&(topic.to_owned(), ver))
    }

    /// Notes that the broker has this version.
    pub fn note(&self, topic: &str, ver: i64) {
        let mut told = self.lock();
        told.retain(|(known, _)| known != topic);
        told.insert((topic.to_owned(), ver));
    }

    /// Notes that the broker has nothing on the topic any more.
    pub fn cleared(&self, topic: &str) {
        self.lock().retain(|(known, _)| known != topic);
    }

    /// Notes that the broker came up empty.
    pub fn broker_forgot(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(String, i64)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::link::hub::Hub;
    use crate::domain::time::UtcMs;

    fn document(ver: i64) -> RetainedDocument {
        let body = format!("body {ver}").into_bytes().into();
        RetainedDocument { topic: "loa/1/u/10363/hold".into(), ver, made_ms: UtcMs(ver), body }
    }

    #[tokio::test]
    async fn an_order_is_told_at_once_and_remembered_as_told() {
        let hub = Hub::new();
        let (link, _events) = hub.connect("server");
        let outlet = Outlet::default();
        assert_eq!(outlet.tell(&[document(1)]).await, Told::Waiting, "no line yet");
        assert!(!outlet.has("loa/1/u/10363/hold", 1));
        outlet.connect(link);
        assert_eq!(outlet.tell(&[document(2)]).await, Told::Published);
        assert!(outlet.has("loa/1/u/10363/hold", 2) && !outlet.has("loa/1/u/10363/hold", 1));
        assert_eq!(hub.retained()["loa/1/u/10363/hold"], "body 2");
        outlet.changed().await;
        outlet.broker_forgot();
        assert!(!outlet.has("loa/1/u/10363/hold", 2));
    }

    #[tokio::test]
    async fn what_a_broken_line_did_not_take_waits() {
        let hub = Hub::new();
        let (link, _events) = hub.connect("server");
        let outlet = Outlet::default();
        outlet.connect(link);
        hub.cut("server");
        assert_eq!(outlet.tell(&[document(1)]).await, Told::Waiting);
        assert!(!outlet.has("loa/1/u/10363/hold", 1));
    }
}
