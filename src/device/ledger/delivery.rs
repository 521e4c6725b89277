//! When records are sent, and when they are sent again. Pure.
//!
//! One batch is in flight. When no receipt raises `upto` within 20 s it is sent again from
//! `upto` + 1, the wait doubling to 15 minutes with full jitter, so that thousands of devices do
//! not ask a returning server all at once. What the server asks for again is sent between batches
//! and not waited for: the server repeats its wish while it sees a gap.

use crate::domain::ids::ChainId;
use std::collections::VecDeque;

/// The first wait for a receipt.
pub const FIRST_MS: i64 = 20_000;
/// The longest wait.
pub const LONGEST_MS: i64 = 900_000;
/// Wishes kept at a time.
const WISHES: usize = 32;

/// Records to send: those numbers of a chain that are held, as many as fit into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which chain.
    pub chain: ChainId,
    /// From which number.
    pub from: u64,
    /// Up to which number.
    pub to: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    chain: ChainId,
    last: u64,
    due_ms: i64,
}

/// The state of delivery.
#[derive(Debug, Default)]
pub struct Delivery {
    connected: bool,
    not_before_ms: i64,
    flight: Option<Flight>,
    tries: u32,
    wishes: VecDeque<Span>,
}

impl Delivery {
    /// Takes note of a standing connection; what was in flight is sent anew after `delay_ms`.
    pub fn connected(&mut self, now_ms: i64, delay_ms: i64) {
        self.connected = true;
        self.flight = None;
        self.tries = 0;
        self.not_before_ms = now_ms.saturating_add(delay_ms.max(0));
    }

    /// Takes note of a broken connection.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.flight = None;
    }

    /// Takes note of a fresh server: what waits is sent soon.
    pub fn nudge(&mut self, now_ms: i64, delay_ms: i64) {
        self.tries = 0;
        let soon = now_ms.saturating_add(delay_ms.max(0));
        if let Some(flight) = &mut self.flight {
            flight.due_ms = flight.due_ms.min(soon);
        }
    }

    /// Takes the server's wish for records.
    pub fn wish(&mut self, span: Span) {
        if span.from <= span.to && !self.wishes.contains(&span) && self.wishes.len() < WISHES {
            self.wishes.push_back(span);
        }
    }

    /// Says what to send now. `waiting` is the oldest stretch without a receipt.
    pub fn poll(&mut self, now_ms: i64, waiting: Option<Span>) -> Option<Span> {
        if !self.connected || now_ms < self.not_before_ms {
            return None;
        }
        if let Some(wish) = self.wishes.pop_front() {
            return Some(wish);
        }
        if self.flight.is_some_and(|flight| now_ms < flight.due_ms) {
            return None;
        }
        waiting
    }

    /// Takes note of what was sent: up to which number, and what is still wanted of it.
    pub fn sent(
        &mut self,
        now_ms: i64,
        asked: Span,
        last: u64,
        waiting: Option<Span>,
        random: u64,
    ) {
        if waiting.is_none_or(|w| w.chain != asked.chain || w.from != asked.from) {
            // A wish: go on with the rest of it.
            if last < asked.to {
                self.wishes.push_front(Span { from: last + 1, ..asked });
            }
            return;
        }
        let longest = FIRST_MS.saturating_mul(1 << self.tries.min(10)).min(LONGEST_MS);
        let spread = u64::try_from(longest - FIRST_MS).unwrap_or(0);
        let wait = FIRST_MS + i64::try_from(random % (spread + 1)).unwrap_or(0);
        self.flight =
            Some(Flight { chain: asked.chain, last, due_ms: now_ms.saturating_add(wait) });
        self.tries = self.tries.saturating_add(1);
    }

    /// Takes note of a receipt that raised `upto`.
    pub fn receipted(&mut self, now_ms: i64, chain: ChainId, upto: u64) {
        self.tries = 0;
        if let Some(flight) = &mut self.flight
            && flight.chain == chain
        {
            if upto >= flight.last {
                self.flight = None;
            } else {
                flight.due_ms = now_ms.saturating_add(FIRST_MS);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: ChainId = ChainId([7; 16]);

    fn span(from: u64, to: u64) -> Span {
        Span { chain: CHAIN, from, to }
    }

    #[test]
    fn one_batch_is_in_flight_until_its_receipt() {
        let mut delivery = Delivery::default();
        assert_eq!(delivery.poll(0, Some(span(1, 9))), None, "not connected");
        delivery.connected(0, 500);
        assert_eq!(delivery.poll(499, Some(span(1, 9))), None);
        assert_eq!(delivery.poll(500, Some(span(1, 9))), Some(span(1, 9)));
        delivery.sent(500, span(1, 9), 5, Some(span(1, 9)), 0);
        assert_eq!(delivery.poll(600, Some(span(1, 9))), None);
        delivery.receipted(700, CHAIN, 5);
        assert_eq!(delivery.poll(700, Some(span(6, 9))), Some(span(6, 9)));
    }

    #[test]
    fn waits_double_to_fifteen_minutes_with_full_jitter() {
        for random in [0, 1 << 40, u64::MAX] {
            let mut delivery = Delivery::default();
            delivery.connected(0, 0);
            let mut now = 0;
            for n in 0..20 {
                assert!(delivery.poll(now, Some(span(1, 1))).is_some());
                delivery.sent(now, span(1, 1), 1, Some(span(1, 1)), random);
                let begun = now;
                while delivery.poll(now, Some(span(1, 1))).is_none() {
                    now += 100;
                }
                let longest = (FIRST_MS << n.min(10)).min(LONGEST_MS);
                assert!(
                    (FIRST_MS..=longest + 100).contains(&(now - begun)),
                    "{n}: {}",
                    now - begun
                );
            }
        }
    }

    #[test]
    fn a_wish_goes_between_batches_and_is_sent_to_its_end() {
        let mut delivery = Delivery::default();
        delivery.connected(0, 0);
        delivery.sent(0, span(20, 30), 30, Some(span(20, 30)), 0);
        delivery.wish(span(1, 10));
        assert_eq!(delivery.poll(1, Some(span(20, 30))), Some(span(1, 10)));
        delivery.sent(1, span(1, 10), 4, Some(span(20, 30)), 0);
        assert_eq!(delivery.poll(2, Some(span(20, 30))), Some(span(5, 10)));
        delivery.sent(2, span(5, 10), 10, Some(span(20, 30)), 0);
        assert_eq!(delivery.poll(3, Some(span(20, 30))), None, "the batch is still in flight");
    }

    #[test]
    fn a_fresh_server_is_told_soon() {
        let mut delivery = Delivery::default();
        delivery.connected(0, 0);
        delivery.sent(0, span(1, 1), 1, Some(span(1, 1)), 0);
        delivery.nudge(1_000, 300);
        assert_eq!(delivery.poll(1_299, Some(span(1, 1))), None);
        assert_eq!(delivery.poll(1_300, Some(span(1, 1))), Some(span(1, 1)));
    }
}
