//! What goes to the broker, in order, without making the loop wait for it.

use crate::app::link::Link;
use bytes::Bytes;
use tokio::sync::mpsc;

/// Requests that may wait; more are dropped, since everything is asked or sent again.
const WAITING: usize = 256;

#[derive(Debug)]
enum Letter {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    Publish { topic: String, payload: Bytes, retain: bool },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Mailer {
    letters: mpsc::Sender<Letter>,
}

impl Mailer {
    /// Starts the task that sends; it ends when the mailer is dropped.
    pub fn start(link: Link) -> Self {
        let (letters, mut waiting) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while let Some(letter) = waiting.recv().await {
                let sent = match letter {
                    Letter::Subscribe(topics) => link.subscribe(topics).await,
                    Letter::Unsubscribe(topics) => link.unsubscribe(topics).await,
                    Letter::Publish { topic, payload, retain } => {
                        // The acknowledgement proves nothing; a receipt or a retry does.
                        link.enqueue(topic, payload, retain).await.map(drop)
                    }
                };
                if let Err(error) = sent {
                    tracing::debug!(error = %error, "Not sent");
                }
            }
        });
        Self { letters }
    }

    /// Asks for topics.
    pub fn subscribe(&self, topics: Vec<String>) {
        self.post(Letter::Subscribe(topics));
    }

    /// Asks for topics no more.
    pub fn unsubscribe(&self, topics: Vec<String>) {
        self.post(Letter::Unsubscribe(topics));
    }

    /// Publishes.
    pub fn publish(&self, topic: String, payload: impl Into<Bytes>, retain: bool) {
        self.post(Letter::Publish { topic, payload: payload.into(), retain });
    }

    fn post(&self, letter: Letter) {
        if self.letters.try_send(letter).is_err() {
            tracing::debug!("The link is behind; this is asked again later");
        }
    }
}
