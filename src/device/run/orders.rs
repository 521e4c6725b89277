//! What the timetable and the documents for units set in motion.

use super::{Agent, Connection};
use crate::device::executor::{DayRef, Event, HoldOrder, Notice, NoticeKind, Schedule};
use crate::device::orders::{Fallen, Order};
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Hold, Urgent};
use crate::wire::topic::Topic;

impl Agent {
    /// Follows an accepted timetable.
    pub(super) fn follow(&mut self, timetable: doc::Timetable) {
        let days = timetable.days.iter();
        let days = days.map(|d| DayRef { from_ms: d.from_ms, to_ms: d.to_ms, sheet: d.sheet });
        let schedule = Schedule {
            volume_cap: timetable.volume_cap,
            trim_ms: timetable.trim_ms,
            days: days.collect(),
            standby: timetable.standby.clone(),
            idle: timetable.idle.clone(),
            local: timetable.local.clone(),
        };
        self.assets.spread_ms = i64::from(timetable.fetch_spread_s).saturating_mul(1_000);
        self.reporter.timetable = timetable.ver;
        self.move_to(&timetable.units);
        self.feed(Event::Timetable(schedule));
        self.values.named_anew = true;
    }

    /// Persists what was accepted for the units, then obeys it.
    pub(super) fn ordered(&mut self, order: Order) {
        self.keep_orders();
        match &order {
            Order::Urgent(notice) | Order::Drill(notice) => {
                self.time.signed_at(notice.iat);
                tracing::warn!(notice.jti = %notice.jti, "Accepted an urgent notice or a drill");
            }
            Order::Withdrawal(jti) => {
                tracing::warn!(notice.jti = %jti, "A notice is withdrawn");
            }
            Order::Hold(hold) => {
                self.time.signed_at(hold.iat);
                let release = hold.is_release();
                tracing::warn!(unit.id = %hold.unit, release, "Accepted a hold or its end");
            }
        }
        self.obey_order(order);
    }

    /// Hands an order to the executor.
    pub(super) fn obey_order(&mut self, order: Order) {
        self.feed(match order {
            Order::Urgent(claims) => Event::Notice(notice(*claims, NoticeKind::Urgent)),
            Order::Drill(claims) => Event::Notice(notice(*claims, NoticeKind::Drill)),
            Order::Withdrawal(jti) => Event::Withdraw { jti },
            Order::Hold(hold) => Event::Hold(hold_order(&hold)),
        });
    }

    /// Ends what nobody may have signed, or what belongs to a unit the device left.
    pub(super) fn fell(&mut self, fallen: Fallen) {
        if fallen.is_empty() {
            return;
        }
        self.keep_orders();
        let Fallen { notices, holds } = fallen;
        self.feed(Event::Void { notices, holds });
    }

    /// Persists, but for a flood: see [`crate::device::pace`].
    fn keep_orders(&mut self) {
        if self.orders_pace.change(self.time.moment().mono_ms) {
            self.write_orders();
        }
    }

    pub(super) fn write_orders(&self) {
        let bytes = self.gate.orders().encode();
        self.keep("orders.json", &bytes);
    }

    /// Moves to the units of a newer timetable.
    fn move_to(&mut self, units: &[UnitId]) {
        let old = self.gate.units().to_vec();
        let fallen = self.gate.move_to(units);
        if self.connection == Connection::Up {
            let left: Vec<_> = old.iter().filter(|unit| !units.contains(unit)).cloned().collect();
            let new: Vec<_> = units.iter().filter(|unit| !old.contains(unit)).cloned().collect();
            if !left.is_empty() {
                self.mailer.unsubscribe(self.unit_topics(&left));
            }
            if !new.is_empty() {
                self.mailer.subscribe(self.unit_topics(&new));
            }
        }
        self.fell(fallen);
    }

    /// Returns the filters of units: notices and hold.
    pub(super) fn unit_topics(&self, units: &[UnitId]) -> Vec<String> {
        let both = |unit: &UnitId| {
            [self.topics.urgent_filter(unit), self.topics.of(&Topic::Hold(unit.clone()))]
        };
        units.iter().flat_map(both).collect()
    }
}

fn notice(claims: Urgent, kind: NoticeKind) -> Box<Notice> {
    Box::new(Notice {
        jti: claims.jti,
        kind,
        iat: UtcMs::from_numeric_date(claims.iat),
        exp: UtcMs::from_numeric_date(claims.exp),
        reason: claims.reason,
        text: claims.text,
        asset: claims.asset.map(|asset| (asset.sha256, asset.entry)),
        times: claims.repeat.times,
        gap_ms: claims.repeat.gap_ms,
        volume: claims.volume,
    })
}

fn hold_order(hold: &Hold) -> HoldOrder {
    let until = (!hold.is_release()).then_some(hold.until_ms);
    HoldOrder { unit: hold.unit.clone(), jti: hold.jti.clone(), until }
}
