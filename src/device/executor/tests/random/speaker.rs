//! Random days of a loudspeaker: killed between any two actions, clocks set, plans changed, clips lost.

use super::street::{Heard, Street};
use super::*;

#[derive(Clone, Debug)]
enum Chance {
    /// Killed after so many actions of the next list, off for so long.
    Kill {
        after: usize,
        off_ms: i64,
    },
    StepClock {
        ms: i64,
    },
    Plan(u8),
    Arrives(u8),
    Lost(u8),
    Time(Time),
    Output,
    Stop,
    /// A notice that sounds so often, so far apart; never, if it is a drill.
    Notice {
        id: u8,
        times: u32,
        gap_ms: i64,
        kind: NoticeKind,
    },
    Withdraw(u8),
    Hold {
        ms: i64,
    },
    Release,
}

fn chances() -> impl Strategy<Value = Vec<(i64, Chance)>> {
    let chance = prop_oneof![
        3 => (0usize..4, 1_000i64..90_000).prop_map(|(after, off_ms)| Chance::Kill { after, off_ms }),
        2 => (-40_000i64..40_000).prop_map(|ms| Chance::StepClock { ms }),
        2 => (0u8..4).prop_map(Chance::Plan),
        1 => (0u8..6).prop_map(Chance::Arrives),
        1 => (0u8..6).prop_map(Chance::Lost),
        1 => prop_oneof![Just(Time::Unknown), Just(Time::Drifted), Just(Time::Fit)]
            .prop_map(Chance::Time),
        1 => Just(Chance::Output),
        1 => Just(Chance::Stop),
        3 => (0u8..3, 1u32..4, prop_oneof![Just(0i64), Just(2_000), Just(70_000)],
            prop_oneof![3 => Just(NoticeKind::Urgent), 1 => Just(NoticeKind::Drill)])
            .prop_map(|(id, times, gap_ms, kind)| Chance::Notice { id, times, gap_ms, kind }),
        1 => (0u8..3).prop_map(Chance::Withdraw),
        1 => (1_000i64..120_000).prop_map(|ms| Chance::Hold { ms }),
        1 => Just(Chance::Release),
    ];
    proptest::collection::vec((0i64..400_000, chance), 0..14).prop_map(|mut list| {
        list.sort_by_key(|(at, _)| *at);
        list
    })
}

/// Names of the sirens of the three notices there are.
const SIRENS: [&str; 3] = ["còi", "loa", "kẻng"];
/// How long each sounds.
const SIREN_MS: i64 = 7_000;

/// What the gate keeps for the device over a restart, and hands over again.
#[derive(Default)]
struct Kept {
    notices: BTreeMap<u8, Notice>,
    withdrawn: BTreeSet<u8>,
    hold: Option<HoldOrder>,
}

impl Kept {
    fn events(&self) -> Vec<Event> {
        let hold = self.hold.iter().cloned().map(Event::Hold);
        let gone = |id: &u8| Event::Withdraw { jti: SIRENS[usize::from(*id)].to_owned() };
        let notices = self.notices.values().cloned().map(|n| Event::Notice(Box::new(n)));
        hold.chain(self.withdrawn.iter().map(gone)).chain(notices).collect()
    }
}

/// What a random day leaves behind.
struct Lived {
    heard: Heard,
    records: Vec<Record>,
    /// Spans of real time in which a hold was in force by the device's clock.
    held: Vec<(i64, i64)>,
    /// Spans of real time outside what the sheets allowed, by the device's clock.
    quiet: Vec<(i64, i64)>,
    /// How often each notice was to sound.
    times: BTreeMap<Digest, u32>,
    /// When notices were withdrawn, in real time.
    gone: BTreeMap<Digest, i64>,
}

/// Lives through a random day; returns what sounded and what was recorded.
fn live(chances: &[(i64, Chance)], sound: &[(UtcMs, UtcMs)]) -> Lived {
    const STEP: i64 = 250;
    let begin = at("06:00:00");
    let names = ["a", "b", "c", "d", "e", "f"];
    let planned: Vec<Planned> = (0i64..6)
        .map(|n| clip(names[usize::try_from(n).unwrap()], begin.plus(20_000 + n * 40_000), 40_000))
        .collect();
    let shorter = {
        let mut all = planned.clone();
        all[1].0.end_ms = all[1].0.end_ms.plus(-15_000);
        all
    };
    let plans = [
        sheet(sound, &planned),
        sheet(sound, &planned[2..]),
        sheet(sound, &shorter),
        sheet(sound, &[]),
    ];
    let mut street = Street {
        clips: names
            .iter()
            .map(|n| (asset(n), 40_000))
            .chain(SIRENS.iter().map(|n| (asset(n), SIREN_MS)))
            .collect(),
        heard: Vec::new(),
        waiting: Vec::new(),
        current: None,
        events: Vec::new(),
    };
    let mut disk: (Option<Journal>, Vec<Record>) = (None, Vec::new());
    let mut held: BTreeSet<Digest> = names.iter().chain(&SIRENS).map(|n| asset(n)).collect();
    let mut kept = Kept::default();
    let mut silent: Vec<(i64, i64)> = Vec::new();
    let mut quiet: Vec<(i64, i64)> = Vec::new();
    let mut times: BTreeMap<Digest, u32> = BTreeMap::new();
    let mut gone: BTreeMap<Digest, i64> = BTreeMap::new();
    let mut plan = 0;
    let mut skew = 0;
    let mut time = Time::Fit;
    let mut chances = chances.iter().peekable();
    let boot = |disk: &(Option<Journal>, Vec<Record>),
                held: &BTreeSet<Digest>,
                plan: usize,
                now: Moment,
                time,
                kept: &Kept| {
        let past = Past::read(disk.0.clone(), disk.1.iter().cloned());
        let mut device = Executor::new("loa-thon-1", SPEAKER, QuietFloor::default(), past, now);
        device.handle(now, Event::Clock(time));
        for sheet in &plans {
            device.handle(now, Event::SheetHeld(name_of(sheet), Arc::clone(sheet)));
        }
        device.handle(now, Event::Timetable(schedule(&[&plans[plan]])));
        for name in held {
            device.handle(now, Event::AssetHeld(*name));
        }
        for event in kept.events() {
            device.handle(now, event);
        }
        device
    };
    let mut origin = 0;
    let mut device = boot(&disk, &held, plan, Moment { utc: begin, mono_ms: 0 }, time, &kept);
    let mut kill: Option<(usize, i64)> = None;
    let mut real = 0;
    // A device that was killed last thing of the day comes back once more to tell of it.
    let mut booted = false;
    while real < 420_000 || booted {
        booted = false;
        real += STEP;
        let clock = begin.plus(real + skew);
        let now = Moment { utc: clock, mono_ms: real - origin };
        street.step(real, clock);
        let mut events = std::mem::take(&mut street.events);
        while let Some((_, chance)) = chances.next_if(|(at, _)| *at <= real) {
            match chance {
                Chance::Kill { after, off_ms } => kill = Some((*after, *off_ms)),
                Chance::StepClock { ms } => skew += ms,
                Chance::Plan(n) => {
                    plan = usize::from(*n);
                    for sheet in &plans {
                        events.push(Event::SheetHeld(name_of(sheet), Arc::clone(sheet)));
                    }
                    events.push(Event::Timetable(schedule(&[&plans[plan]])));
                }
                Chance::Arrives(n) => {
                    held.insert(asset(names[usize::from(*n)]));
                    events.push(Event::AssetHeld(asset(names[usize::from(*n)])));
                }
                Chance::Lost(n) => {
                    held.remove(&asset(names[usize::from(*n)]));
                    events.push(Event::AssetLost(asset(names[usize::from(*n)])));
                }
                Chance::Time(new) => {
                    time = *new;
                    events.push(Event::Clock(time));
                }
                Chance::Output => street.end(real, clock, Some(Ended::Output)),
                Chance::Stop => {
                    let jti = real.to_string();
                    events.push(Event::Command { jti, order: Order::Stop });
                }
                Chance::Notice { id, times: n, gap_ms, kind } => {
                    if kept.withdrawn.contains(id) || kept.notices.contains_key(id) {
                        continue; // the gate lets a `jti` in once
                    }
                    let name = SIRENS[usize::from(*id)];
                    let (n, gap_ms) = (*n, *gap_ms);
                    let told = super::super::notices::notice(name, clock, SIREN_MS);
                    let notice = Notice { times: n, gap_ms, kind: *kind, ..told };
                    times.insert(asset(name), if *kind == NoticeKind::Drill { 0 } else { n });
                    kept.notices.insert(*id, notice.clone());
                    events.push(Event::Notice(Box::new(notice)));
                }
                Chance::Withdraw(id) => {
                    if kept.withdrawn.insert(*id) {
                        kept.notices.remove(id);
                        gone.insert(asset(SIRENS[usize::from(*id)]), real);
                        let jti = SIRENS[usize::from(*id)].to_owned();
                        events.push(Event::Withdraw { jti });
                    }
                }
                Chance::Hold { ms } => {
                    let (jti, until) = (format!("h{real}"), Some(clock.plus(*ms)));
                    let order = HoldOrder { unit: "00070".parse().unwrap(), jti, until };
                    kept.hold = Some(order.clone());
                    events.push(Event::Hold(order));
                }
                Chance::Release => {
                    let (jti, until) = (format!("r{real}"), None);
                    let order = HoldOrder { unit: "00070".parse().unwrap(), jti, until };
                    kept.hold = Some(order.clone());
                    events.push(Event::Hold(order));
                }
            }
        }
        events.append(&mut street.events);
        events.push(Event::Tick);
        let until = kept.hold.as_ref().and_then(|hold| hold.until);
        let loud = sound.iter().any(|(from, to)| *from <= clock && clock < *to);
        for (is, spans) in
            [(until.is_some_and(|until| clock < until), &mut silent), (!loud, &mut quiet)]
        {
            match spans.last_mut() {
                Some((_, to)) if is && *to == real => *to = real + STEP,
                _ if is => spans.push((real, real + STEP)),
                _ => {}
            }
        }
        let mut killed = None;
        'events: for event in events {
            for action in device.handle(now, event) {
                if let Some((after, off_ms)) = &mut kill {
                    if *after == 0 {
                        killed = Some(*off_ms);
                        break 'events;
                    }
                    *after -= 1;
                }
                match &action {
                    Action::Record(body) => {
                        let seq = disk.1.len() as u64 + 1;
                        disk.1.push(Record { head: head(seq, clock), body: (**body).clone() });
                    }
                    Action::Journal(journal) => {
                        // Through JSON, as the disk keeps it.
                        let text = serde_json::to_string(journal).unwrap();
                        disk.0 = Some(serde_json::from_str(&text).unwrap());
                    }
                    other => street.obey(other, real, clock),
                }
            }
        }
        if let Some(off_ms) = killed {
            kill = None;
            street.end(real, clock, None);
            street.waiting.clear();
            street.events.clear();
            real += off_ms;
            origin = real;
            time = Time::Fit;
            let now = Moment { utc: begin.plus(real + skew), mono_ms: 0 };
            device = boot(&disk, &held, plan, now, time, &kept);
            booted = true;
        }
    }
    let clock = begin.plus(real + skew);
    street.end(real, clock, None);
    Lived { heard: street.heard, records: disk.1, held: silent, quiet, times, gone }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Cases that failed once are tried first; the root of the repository stays tidy.
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::Direct(
            "tests/regressions/executor.txt",
        ))),
        ..ProptestConfig::with_cases(96)
    })]
    #[test]
    fn no_stretch_sounds_twice_and_every_start_has_its_end(chances in chances()) {
        let begin = at("06:00:00");
        let sound = [(begin, begin.plus(110_000)), (begin.plus(170_000), at("21:00:00"))];
        let Lived { heard, records, held, quiet, times, gone } = live(&chances, &sound);
        for (clip, _, to, _) in &heard {
            let withdrawn = gone.get(clip).is_some_and(|at| to > at);
            prop_assert!(!withdrawn, "a notice sounds after its withdrawal");
        }
        for (clip, from, to, _) in &heard {
            let urgent = times.contains_key(clip);
            // A hold that comes while a clip sounds ends it with the next step of the street.
            let inside = |(a, b): &(i64, i64), slack| *from.max(a) + slack < *to.min(b);
            prop_assert!(urgent || !held.iter().any(|h| inside(h, 500)), "a cue in a hold");
            // A clock set back by less than two seconds is taken for inexact, not for set.
            prop_assert!(urgent || !quiet.iter().any(|q| inside(q, 2_500)), "a cue when quiet");
        }
        for (clip, most) in &times {
            let begun = heard.iter().filter(|(c, ..)| c == clip).count();
            prop_assert!(begun <= *most as usize, "a notice sounds {} times of {}", begun, most);
        }
        for (i, (clip, from, to, offset)) in heard.iter().enumerate() {
            for (other, from2, to2, offset2) in &heard[i + 1..] {
                prop_assert!(to <= from2 || to2 <= from, "two sounds at once");
                if clip == other && !times.contains_key(clip) {
                    let (end, end2) = (offset + to - from, offset2 + to2 - from2);
                    prop_assert!(end <= *offset2 || end2 <= *offset, "a stretch twice: \
                        {offset}..{end} and {offset2}..{end2}");
                }
            }
        }
        let mut open: BTreeMap<(Subject, u32), u32> = BTreeMap::new();
        let mut unplayed: BTreeMap<CueId, u32> = BTreeMap::new();
        for record in &records {
            match &record.body {
                Body::Start { subject, n, .. } => {
                    let open = open.entry((subject.clone(), *n)).or_default();
                    prop_assert_eq!(*open, 0, "started twice without an end");
                    *open += 1;
                }
                Body::Play(Play { subject, n, started_ms: Some(_), .. }) => {
                    let open = open.entry((subject.clone(), *n)).or_default();
                    prop_assert_eq!(*open, 1, "an end without a start");
                    *open -= 1;
                }
                Body::Play(Play { subject: Subject::Cue { cue }, .. }) => {
                    *unplayed.entry(*cue).or_default() += 1;
                }
                _ => {}
            }
        }
        prop_assert!(unplayed.values().all(|n| *n <= 1), "one word on a cue that did not sound");
    }

    #[test]
    fn what_a_notice_cut_goes_on_where_it_would_be(notices in proptest::collection::btree_map(
        0u8..3, (0i64..260_000, 1u32..3, prop_oneof![Just(0i64), Just(2_000), Just(70_000)]),
        0..3)) {
        let mut chances: Vec<_> = notices.iter().map(|(id, (at, times, gap_ms))| {
            let (id, times, gap_ms) = (*id, *times, *gap_ms);
            (*at, Chance::Notice { id, times, gap_ms, kind: NoticeKind::Urgent })
        }).collect();
        chances.sort_by_key(|(at, _)| *at);
        let Lived { heard, times, .. } = live(&chances, &[loud()]);
        let calls = heard.iter().filter(|(clip, ..)| times.contains_key(clip)).count();
        let all: u32 = times.values().sum();
        prop_assert_eq!(calls, all as usize, "every repeat sounds");
        // Clip n of six belongs 20 s and n times 40 s after the beginning.
        let begins: BTreeMap<Digest, i64> = ["a", "b", "c", "d", "e", "f"].into_iter()
            .zip(0i64..).map(|(name, n)| (asset(name), 20_000 + n * 40_000)).collect();
        for (clip, from, _, offset) in &heard {
            if let Some(begin) = begins.get(clip) {
                let off = (from - begin - offset).abs();
                prop_assert!(off <= 500, "{off} ms beside its place");
            }
        }
        // Nobody waits for sound longer than a notice, its short gaps and a new order take.
        let mut silent = 0;
        for at in (20_000..260_000).step_by(250) {
            let sounds = heard.iter().any(|(_, from, to, _)| *from <= at && at < *to);
            silent += i64::from(!sounds) * 250;
        }
        let most = i64::try_from(calls).unwrap() * 7_000 + 2_000;
        prop_assert!(silent <= most, "{silent} ms of silence beside {calls} calls");
    }

    #[test]
    fn a_day_without_mishap_plays_every_cue_whole(kills in proptest::collection::vec(
        (260_000i64..400_000, (0usize..4, 1_000i64..9_000)), 0..4)) {
        // Kills after the last cue must not add or change a record of a play.
        let chances: Vec<_> = kills.iter()
            .map(|(at, (after, off_ms))| (*at, Chance::Kill { after: *after, off_ms: *off_ms }))
            .collect();
        let mut sorted = chances;
        sorted.sort_by_key(|(at, _)| *at);
        let Lived { heard, records, .. } = live(&sorted, &[loud()]);
        prop_assert_eq!(heard.len(), 6);
        let played = records.iter().filter(|r| matches!(&r.body,
            Body::Play(p) if p.outcome == Said::Played && p.cause == "end")).count();
        prop_assert_eq!(played, 6);
    }

    #[test]
    fn every_cue_of_a_day_with_kills_has_its_record(kills in proptest::collection::vec(
        (0i64..400_000, (0usize..6, 1_000i64..90_000)), 0..8)) {
        let mut chances: Vec<_> = kills.iter()
            .map(|(at, (after, off_ms))| (*at, Chance::Kill { after: *after, off_ms: *off_ms }))
            .collect();
        chances.sort_by_key(|(at, _)| *at);
        let Lived { records, .. } = live(&chances, &[loud()]);
        let mut seen = BTreeSet::new();
        for record in &records {
            if let Body::Play(Play { subject: Subject::Cue { cue }, .. }) = &record.body {
                seen.insert(*cue);
            }
        }
        prop_assert_eq!(seen.len(), 6, "{:#?}", records);
    }
}
