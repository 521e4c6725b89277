//! Commands of the server to the output.

use super::world::Errand;
use super::{Action, Executor, Machine, Moment, Order, Time};
use crate::domain::proof::record::Body;

impl Executor {
    pub(super) fn obey(&mut self, now: Moment, jti: String, order: &Order, out: &mut Vec<Action>) {
        if !self.first_time(now, &jti) {
            return;
        }
        // What a command ends must not come back after a cut.
        self.dirty = true;
        let clock = || "refused: clock".to_owned();
        let (what, result) = match (&mut self.machine, order) {
            (_, Order::Stop) if self.world.time != Time::Fit => ("stop", clock()),
            (_, Order::Volume(_)) if self.world.time != Time::Fit => ("volume", clock()),
            (_, Order::SelfTest) if self.world.time != Time::Fit => ("self-test", clock()),
            (_, Order::Identify) if self.world.time != Time::Fit => ("identify", clock()),
            (Machine::Speaker(speaker), Order::Stop) => {
                ("stop", speaker.stop_now(&mut self.world, now, out))
            }
            (Machine::Board(board), Order::Stop) => {
                ("stop", board.stop_now(&mut self.world, now, out))
            }
            (Machine::Speaker(speaker), Order::Volume(volume)) => {
                ("volume", speaker.set_volume(&self.world, *volume, out))
            }
            (Machine::Board(_), Order::Volume(_)) => ("volume", "unsupported".to_owned()),
            (machine, Order::SelfTest | Order::Identify) => {
                let test = *order == Order::SelfTest;
                let what = if test { "self-test" } else { "identify" };
                let errand = Errand { jti: jti.clone(), what, test };
                let begun = match machine {
                    Machine::Speaker(speaker) => speaker.errand(&mut self.world, now, errand, out),
                    Machine::Board(board) => board.errand(&mut self.world, now, errand, out),
                };
                match begun {
                    Ok(()) => return, // answered when it is done
                    Err(refused) => (what, refused.to_owned()),
                }
            }
        };
        out.push(Action::record(Body::Did { jti, what: what.to_owned(), result }));
    }
}
