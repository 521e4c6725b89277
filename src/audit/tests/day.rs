//! A day of the station, which a test can make another.

use super::model::{CUES, DAY, HOUR, MIN, World, beat, cue_of, play, sheet, start};
use crate::log::leaf::ServerBody;

/// What happens at one moment of the day, so that a test can make it another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub device: usize,
    /// Which cue; `None` for a beat.
    pub cue: Option<i64>,
    pub at_ms: i64,
}

/// Lives through two days: the first without cues asked about, so that devices quote checkpoints.
/// `act` may do something else than the device would; it returns whether it did.
pub fn live(devices: u8, act: &mut dyn FnMut(&mut World, Moment) -> bool) -> World {
    let mut world = World::new(devices);
    let begin = DAY - 2 * HOUR;
    world.log().say(begin, &ServerBody::Shard { previous: None });
    for n in 0..usize::from(devices) {
        world.enrol(begin, n);
        world.publish(begin + 1, n, 1, &[sheet(DAY)], DAY + HOUR / 2);
    }
    world.log().checkpoint(begin + 1_000, &[0, 1]);
    for half in 0..20_i64 {
        let at = begin + 10 * MIN + half * HOUR / 2;
        let cue = (at - 10 * MIN - DAY - HOUR / 2).div_euclid(HOUR);
        let has_cue = (at - 10 * MIN - DAY - HOUR / 2) % HOUR == 0 && (0..CUES).contains(&cue);
        for device in 0..usize::from(devices) {
            let beats = Moment { device, cue: None, at_ms: at };
            if !act(&mut world, beats) {
                world.tell(device, at, &beat());
            }
            if has_cue {
                let due = DAY + cue * HOUR + HOUR / 2;
                let moment = Moment { device, cue: Some(cue), at_ms: due };
                if !act(&mut world, moment) {
                    sound(&mut world, moment);
                }
            }
        }
        world.log().checkpoint(at + MIN, &[0, 1]);
    }
    world
}

/// A cue is played in full.
pub fn sound(world: &mut World, moment: Moment) {
    let id = cue_of(DAY, moment.cue.unwrap());
    let at = moment.at_ms;
    // Written within the hour, after the beat of :10 past.
    world.tell(moment.device, at + 10 * MIN, &start(&id, at));
    world.tell(moment.device, at + 10 * MIN + 1, &play(&id, at, 2 * MIN));
}

/// Nothing unusual happens.
pub fn usual(devices: u8) -> World {
    live(devices, &mut |_, _| false)
}
