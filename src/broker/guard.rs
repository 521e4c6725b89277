//! The access list as rmqtt asks for it.

use super::acl::{self, Publish};
use super::waiting::Waiting;
use super::{DEVICE_SUBSCRIPTIONS, Gate, Who};
use crate::wire::topic::Topics;
use async_trait::async_trait;
use bytes::Bytes;
use rmqtt::codec::v5::SubscribeAckReason;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType};
use rmqtt::types::{
    AuthResult, ConnectInfo, LastWill, ListenerId, Publish as Message, PublishAclResult, Reason,
    SubscribeAclResult, TopicFilter,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::debug;

/// What the broker has seen, counted since its start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) dropped: AtomicU64,
    pub(super) logins: AtomicU64,
    pub(super) refused_logins: AtomicU64,
    pub(super) refused_publishes: AtomicU64,
    pub(super) refused_subscriptions: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Decides on every connection, subscription and message; shared by all hooks.
pub(super) struct Guard {
    pub(super) topics: Topics,
    pub(super) gate: Arc<dyn Gate>,
    /// The listener for the server's own client; devices are refused there and it elsewhere.
    pub(super) server_listener: ListenerId,
    pub(super) server_user: &'static str,
    pub(super) server_password: String,
    pub(super) counters: Arc<Counters>,
    pub(super) waiting: Arc<Waiting>,
}

impl Guard {
    /// Judges a connection: user name, password, client id, and the will, which rmqtt would
    /// publish past the access list.
    fn login(&self, connect: &ConnectInfo) -> AuthResult {
        let id = connect.id();
        let user = connect.username().map_or("", |user| user);
        let password = connect.password().map_or(&b""[..], |password| password);
        let who = if id.lid == self.server_listener {
            let right = user == self.server_user
                && *id.client_id == *self.server_user
                && same(password, self.server_password.as_bytes());
            right.then_some(Who::Server)
        } else if user.is_empty() || *id.client_id != *user {
            None
        } else {
            let device = self.gate.login(user, password, &id.client_id);
            device.filter(|who| matches!(who, Who::Device { id, .. } if id.as_str() == user))
        };
        let Some(who) = who else { return AuthResult::BadUsernameOrPassword };
        if let Some(will) = connect.last_will() {
            let (topic, bytes, retain) = match will {
                LastWill::V3(will) => (&will.topic, will.message.len(), will.retain),
                LastWill::V5(will) => (&will.topic, will.message.len(), will.retain),
            };
            let publish = Publish { topic, bytes, retain };
            if let Err(refused) = acl::may_publish(&self.topics, &who, publish) {
                debug!(client.id = user, "Refused a connection for its will: {refused}");
                return AuthResult::NotAuthorized;
            }
        }
        AuthResult::Allow(false, None)
    }

    /// Returns what a connected client may do now; a revoked device may do nothing from the
    /// moment on at which the gate no longer knows it.
    fn who(&self, listener: ListenerId, user: Option<&str>) -> Option<Who> {
        if listener == self.server_listener {
            return Some(Who::Server);
        }
        self.gate.who(user?)
    }
}

/// Compares without telling by its duration where the difference lies.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// Copies what outlives the packet it came in. As rmqtt reads it, a text or a body is a slice of
/// the 8 KiB that were read from that connection, and keeps all of them in memory.
fn own(text: &TopicFilter) -> TopicFilter {
    TopicFilter::from(&**text)
}

/// The same for a message that is kept or waits.
fn own_message(message: &Message, payload: Bytes) -> Message {
    let mut owned = message.clone();
    owned.topic = own(&message.topic);
    owned.payload = payload;
    owned
}

/// A handler for one hook.
pub(super) struct Hook(pub(super) Arc<Guard>);

#[async_trait]
impl Handler for Hook {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let guard = &self.0;
        match parameter {
            Parameter::ClientAuthenticate(connect) => {
                let answer = guard.login(connect);
                let allowed = matches!(answer, AuthResult::Allow(..));
                let counters = &guard.counters;
                count(if allowed { &counters.logins } else { &counters.refused_logins });
                (false, Some(HookResult::AuthResult(answer)))
            }
            Parameter::MessagePublish(_, from, message) if from.id.lid != guard.server_listener => {
                let waiting = &guard.waiting;
                let body = waiting.count(&from.id.client_id, &message.payload, message.retain);
                (true, Some(HookResult::Publish(own_message(message, body))))
            }
            Parameter::MessagePublish(_, _, message) if message.retain => {
                let body = Bytes::copy_from_slice(&message.payload);
                (true, Some(HookResult::Publish(own_message(message, body))))
            }
            Parameter::ClientSubscribe(_, subscribe) => {
                (true, Some(HookResult::TopicFilter(Some(own(&subscribe.topic_filter)))))
            }
            Parameter::MessagePublishCheckAcl(session, publish) => {
                let who = guard.who(session.id.lid, session.username().map(|user| &**user));
                let publish = Publish {
                    topic: &publish.topic,
                    bytes: publish.payload.len(),
                    retain: publish.retain,
                };
                let refused = match who {
                    Some(who) => acl::may_publish(&guard.topics, &who, publish).err(),
                    None => Some(acl::Refused::Topic),
                };
                let id = &session.id;
                let is_full = || {
                    id.lid != guard.server_listener
                        && guard.waiting.is_full(&id.client_id, publish.retain)
                };
                let answer = match refused {
                    None if is_full() => {
                        count(&guard.counters.dropped);
                        debug!(client.id = %id.client_id, "Dropped a message: too much waits");
                        // Records come again without a receipt. A state comes with a connection.
                        PublishAclResult::rejected(publish.retain, None)
                    }
                    None => PublishAclResult::allow(),
                    Some(refused) => {
                        count(&guard.counters.refused_publishes);
                        debug!(client.id = %session.id.client_id, "Refused a message: {refused}");
                        PublishAclResult::rejected(false, None)
                    }
                };
                (false, Some(HookResult::PublishAclResult(answer)))
            }
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let who = guard.who(session.id.lid, session.username().map(|user| &**user));
                let filter = &subscribe.topic_filter;
                let plain = subscribe.opts.shared_group().is_none();
                let most = match &who {
                    Some(Who::Device { behind, .. }) if behind.is_none() => DEVICE_SUBSCRIPTIONS,
                    _ => usize::MAX,
                };
                let room = match session.subscriptions().await {
                    Ok(subscriptions) => subscriptions.len().await < most,
                    Err(_) => false,
                };
                if plain
                    && room
                    && who.is_some_and(|who| acl::may_subscribe(&guard.topics, &who, filter))
                {
                    return (
                        false,
                        Some(HookResult::SubscribeAclResult(SubscribeAclResult::new_success(
                            subscribe.opts.qos(),
                            None,
                        ))),
                    );
                }
                count(&guard.counters.refused_subscriptions);
                debug!(client.id = %session.id.client_id, "Refused a subscription");
                let answer = SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized);
                (false, Some(HookResult::SubscribeAclResult(answer)))
            }
            Parameter::MessageDropped(to, _, _, reason) => {
                if !matches!(reason, Reason::PublishResult(_)) {
                    count(&guard.counters.dropped);
                    let to = to.as_ref().map_or("", |to| &to.client_id);
                    debug!(client.id = to, "Dropped a message: {reason}");
                }
                (true, acc)
            }
            _ => (true, acc),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use rmqtt::codec::types::Publish as Packet;
    use rmqtt::types::QoS;

    #[test]
    fn what_is_kept_of_a_packet_does_not_keep_the_buffer_it_was_read_into() {
        let mut read = BytesMut::with_capacity(8_192);
        read.extend_from_slice(b"loa/1/d/loa-1/state{}");
        let bytes = read.split().freeze();
        let packet = Message::from(Packet {
            dup: false,
            retain: true,
            qos: QoS::AtLeastOnce,
            topic: bytes.slice(..19).try_into().unwrap(),
            packet_id: None,
            payload: bytes.slice(19..),
            properties: None,
        });
        let body = Bytes::copy_from_slice(&packet.payload);
        let (kept, filter) = (own_message(&packet, body), own(&packet.topic));
        assert_eq!((&*kept.topic, &*filter), ("loa/1/d/loa-1/state", "loa/1/d/loa-1/state"));
        assert_eq!(&*kept.payload, b"{}");
        assert!(kept.retain && kept.qos == QoS::AtLeastOnce);
        drop((bytes, packet));
        assert!(read.try_reclaim(8_192), "the buffer is still held");
    }
}
