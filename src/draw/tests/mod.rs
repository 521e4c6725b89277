//! The draw is fair, and anybody draws the same; findings count once and for the right play.

mod lists;
mod numbers;

use super::ground::{Head, Period};
use super::*;
use crate::domain::ids::{CueId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

const MAY: UtcMs = UtcMs(1_809_104_400_000);
const JUNE: UtcMs = UtcMs(1_811_782_800_000);

fn head() -> Head {
    Head {
        origin: "loa.example.vn/log/2027".into(),
        size: 70_000,
        before: 0,
        root: "qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=".into(),
        vouched_ms: JUNE.plus(60_000),
    }
}

fn period() -> Period {
    Period { from_ms: MAY, to_ms: JUNE, scope: Some("51".parse().unwrap()) }
}

fn device(number: u64) -> DeviceId {
    DeviceId::new(format!("loa-{:05}", number / 20)).unwrap()
}

fn cue(number: u64) -> CueId {
    let hash = Digest::of(&number.to_be_bytes()).0;
    let mut id = [0; 16];
    // Ascending within a device, as the list wants it.
    id[..8].copy_from_slice(&number.to_be_bytes());
    id[8..].copy_from_slice(&hash[..8]);
    CueId(id)
}

fn population(plays: u64) -> Population {
    let mut list = Population::default();
    for number in 0..plays {
        list.push(&device(number), cue(number)).unwrap();
    }
    list
}

fn ground(plays: u64) -> Ground {
    Ground::new(head(), period(), &population(plays), "xúc xắc 4 2 6").unwrap()
}

fn morning() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2027, 5, 1).unwrap().and_hms_opt(5, 0, 12).unwrap()
}

fn play(number: u64) -> DrawnPlay {
    let device = device(number);
    DrawnPlay {
        number,
        device_name: format!("Cụm loa {device}"),
        place: format!("Thôn {}, Xã An Hoà Đông", number / 20 % 3),
        device,
        cue: cue(number),
        began: morning() + TimeDelta::hours(i64::try_from(number).unwrap()),
        title: format!("Bản tin số {number}"),
        index: 10 * number,
    }
}

fn list(plays: u64, wanted: usize) -> WalkingList {
    let ground = ground(plays);
    let drawn = draw(&ground.seed(), plays, wanted);
    WalkingList::new(ground, wanted, drawn.into_iter().map(play).collect()).unwrap()
}
