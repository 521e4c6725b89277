//! Random days of a board, judged by a model that knows only what was planned, ordered and seen.

use super::super::board::page;
use super::told::{IDLE, NAME, TEXTS, Told};
use super::wall::{Seen, Wall};
use super::*;
use std::collections::VecDeque;

const STEP: i64 = 250;
/// How long what may not stand any more may still do so: the board hears of it a step later.
const SLACK_MS: i64 = 500;
/// How long after the last mishap the right thing must stand again: a failed output is tried
/// again after five seconds.
const SETTLED_MS: i64 = 7_000;
const DAY_MS: i64 = 420_000;

#[derive(Clone, Debug)]
enum Mishap {
    /// Killed after so many actions of the next list, off for so long.
    Kill {
        after: usize,
        off_ms: i64,
    },
    StepClock {
        ms: i64,
    },
    Plan(usize),
    Time(Time),
    Broken {
        ms: i64,
    },
    Stop,
    Identify,
    Notice {
        id: usize,
        life_ms: i64,
        kind: NoticeKind,
    },
    Withdraw(usize),
    Hold {
        unit: usize,
        ms: i64,
    },
    Release(usize),
}

type Mishaps = Vec<(i64, Mishap)>;

fn kill() -> impl Strategy<Value = Mishap> {
    (0usize..5, 1_000i64..90_000).prop_map(|(after, off_ms)| Mishap::Kill { after, off_ms })
}

fn notice() -> impl Strategy<Value = Mishap> {
    let kind = prop_oneof![4 => Just(NoticeKind::Urgent), 1 => Just(NoticeKind::Drill)];
    (0usize..3, 5_000i64..200_000, kind).prop_map(|(id, life_ms, kind)| Mishap::Notice {
        id,
        life_ms,
        kind,
    })
}

fn in_order(mishap: impl Strategy<Value = Mishap>) -> impl Strategy<Value = Mishaps> {
    proptest::collection::vec((0i64..DAY_MS, mishap), 0..14).prop_map(|mut list| {
        list.sort_by_key(|(at, _)| *at);
        list
    })
}

fn anything() -> impl Strategy<Value = Mishaps> {
    in_order(prop_oneof![
        3 => kill(),
        2 => (-40_000i64..40_000).prop_map(|ms| Mishap::StepClock { ms }),
        2 => (0usize..5).prop_map(Mishap::Plan),
        1 => prop_oneof![Just(Time::Unknown), Just(Time::Drifted), Just(Time::Fit)]
            .prop_map(Mishap::Time),
        1 => (1_000i64..60_000).prop_map(|ms| Mishap::Broken { ms }),
        1 => Just(Mishap::Stop),
        1 => Just(Mishap::Identify),
        3 => notice(),
        1 => (0usize..3).prop_map(Mishap::Withdraw),
        2 => (0usize..2, 1_000i64..120_000).prop_map(|(unit, ms)| Mishap::Hold { unit, ms }),
        1 => (0usize..2).prop_map(Mishap::Release),
    ])
}

/// A rotation of three, one that its slot cuts short, a clip that no board plays, and one that
/// crosses a quarter of an hour.
fn plans() -> Vec<Arc<DaySheet>> {
    let begin = begin();
    let after = |ms| begin.plus(ms);
    let mut pages: Vec<Planned> = vec![
        shown("a", &[10_000], after(20_000), 120_000),
        shown("b", &[6_000, 6_000], after(20_000), 120_000),
        shown("c", &[4_000], after(20_000), 120_000),
        shown("d", &[30_000], after(150_000), 20_000),
        clip("e", after(172_000), 5_000),
        shown("f", &[8_000], after(180_000), 120_000),
        shown("g", &[8_000], after(310_000), 40_000),
        shown("h", &[7_000], after(310_000), 40_000),
    ];
    let whole = sheet(&[], &pages);
    let fewer = sheet(&[], &pages[1..]);
    let none = sheet(&[], &[]);
    pages[5].0.end_ms = pages[5].0.end_ms.plus(-60_000);
    let shorter = sheet(&[], &pages);
    pages[1].1 = SheetItem::Pages { title: "Chữ b".to_owned(), pages: vec![page("b mới")] };
    pages[5].1 = SheetItem::Pages { title: "Chữ f".to_owned(), pages: vec![page("f mới")] };
    let other = sheet(&[], &pages);
    vec![whole, fewer, none, shorter, other]
}

fn begin() -> UtcMs {
    at("06:12:00") // the quarter ends in three minutes, in the midst of "f"
}

fn shown(name: &str, dwells: &[i64], from: UtcMs, ms: i64) -> Planned {
    let pages = dwells.iter().map(|dwell_ms| Page { dwell_ms: *dwell_ms, ..page(name) });
    let item = SheetItem::Pages { title: format!("Chữ {name}"), pages: pages.collect() };
    (plain(name, from, from.plus(ms)), item, None)
}

/// What a random day leaves behind.
struct Lived {
    seen: Vec<Seen>,
    records: Vec<Record>,
    shows: usize,
}

/// Lives through a random day and judges the wall at every step.
fn live(mishaps: &Mishaps, idle: bool) -> Result<Lived, String> {
    let plans = plans();
    let mut told = Told {
        sheet: Arc::clone(&plans[0]),
        idle,
        time: Time::Fit,
        notices: BTreeMap::new(),
        withdrawn: BTreeSet::new(),
        holds: BTreeMap::new(),
        stopped: BTreeSet::new(),
        begun: BTreeSet::new(),
        over: BTreeSet::new(),
        worded: BTreeSet::new(),
    };
    let units = ["00070", "19"];
    let mut wall = Wall::default();
    let mut disk: (Option<Journal>, Vec<Record>) = (None, Vec::new());
    let boot = |disk: &(Option<Journal>, Vec<Record>), told: &Told, now: Moment| {
        let past = Past::read(disk.0.clone(), disk.1.iter().cloned());
        let output = Output::Board { grade: 3 };
        let mut device = Executor::new(NAME, output, QuietFloor::default(), past, now);
        device.handle(now, Event::Clock(told.time));
        for sheet in &plans {
            device.handle(now, Event::SheetHeld(name_of(sheet), Arc::clone(sheet)));
        }
        device.handle(now, Event::AssetHeld(asset("e")));
        for event in std::iter::once(told.timetable()).chain(told.events()) {
            device.handle(now, event);
        }
        device
    };
    let mut device = boot(&disk, &told, Moment { utc: begin(), mono_ms: 0 });
    let mut mishaps = mishaps.iter().peekable();
    let (mut real, mut origin, mut skew, mut shows) = (0, 0, 0, 0);
    let mut kill: Option<(usize, i64)> = None;
    // What the commands on their way would end, as things stand where each has its turn: what is
    // told to the device after it, in the same step, does not count.
    let mut stops: VecDeque<BTreeSet<CueId>> = VecDeque::new();
    let (mut wrong_since, mut dark_since, mut calm_since) = (None, None, 0);
    let mut booted = false;
    while real < DAY_MS || booted {
        booted = false;
        real += STEP;
        let clock = begin().plus(real + skew);
        let now = Moment { utc: clock, mono_ms: real - origin };
        wall.step(real, clock);
        // The loop lets a start come to its end before it listens to anybody.
        let mut events = vec![Event::Tick];
        events.append(&mut wall.events);
        stops.clear();
        while let Some((_, mishap)) = mishaps.next_if(|(at, _)| *at <= real) {
            calm_since = real;
            match mishap {
                Mishap::Kill { after, off_ms } => kill = Some((*after, *off_ms)),
                Mishap::StepClock { ms } => skew += ms,
                Mishap::Plan(n) => {
                    told.sheet = Arc::clone(&plans[*n]);
                    for sheet in &plans {
                        events.push(Event::SheetHeld(name_of(sheet), Arc::clone(sheet)));
                    }
                    events.push(told.timetable());
                }
                Mishap::Time(time) => {
                    told.time = *time;
                    events.push(Event::Clock(*time));
                }
                Mishap::Broken { ms } => wall.broken_until = real + ms,
                Mishap::Stop => {
                    stops.push_back(told.stoppable(clock));
                    events.push(Event::Command { jti: real.to_string(), order: Order::Stop });
                }
                Mishap::Identify => {
                    events.push(Event::Command { jti: real.to_string(), order: Order::Identify });
                }
                Mishap::Notice { id, life_ms, kind } => {
                    if told.withdrawn.contains(id) || told.notices.contains_key(id) {
                        continue; // the gate lets a `jti` in once
                    }
                    let text = TEXTS[*id];
                    let exp = clock.plus(*life_ms);
                    let made = super::super::notices::notice(text, clock, 1_000);
                    let notice = Notice { exp, kind: *kind, text: text.to_owned(), ..made };
                    told.notices.insert(*id, notice.clone());
                    events.push(Event::Notice(Box::new(notice)));
                }
                Mishap::Withdraw(id) => {
                    if told.withdrawn.insert(*id) {
                        told.notices.remove(id);
                        events.push(Event::Withdraw { jti: TEXTS[*id].to_owned() });
                    }
                }
                Mishap::Hold { unit, ms } => {
                    let (jti, until) = (format!("h{real}"), Some(clock.plus(*ms)));
                    let order = HoldOrder { unit: units[*unit].parse().unwrap(), jti, until };
                    told.holds.insert(*unit, order.clone());
                    events.push(Event::Hold(order));
                }
                Mishap::Release(unit) => {
                    let jti = format!("r{real}");
                    let order = HoldOrder { unit: units[*unit].parse().unwrap(), jti, until: None };
                    told.holds.insert(*unit, order.clone());
                    events.push(Event::Hold(order));
                }
            }
        }
        events.append(&mut wall.events);
        events.push(Event::Tick);
        let (mut killed, mut stopping) = (None, BTreeSet::new());
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
                        if let Body::Did { what, .. } = &**body
                            && what == "stop"
                        {
                            stopping.extend(stops.pop_front().unwrap());
                        }
                        if let Body::Show(Show {
                            subject: Subject::Cue { cue }, shown_ms: 0, ..
                        }) = &**body
                        {
                            told.worded.insert(*cue);
                        }
                        if let Body::Start { subject: Subject::Notice { jti }, .. } = &**body {
                            told.begun.extend(TEXTS.iter().position(|text| text == jti));
                        }
                        disk.1.push(Record { head: head(seq, clock), body: (**body).clone() });
                    }
                    Action::Journal(journal) => {
                        // Through JSON, as the disk keeps it.
                        let text = serde_json::to_string(journal).unwrap();
                        disk.0 = Some(serde_json::from_str(&text).unwrap());
                        // Cut off before this it may have been obeyed or not.
                        told.stopped.append(&mut stopping);
                    }
                    other => {
                        shows += usize::from(matches!(other, Action::Show(_)));
                        wall.obey(other, real, clock);
                    }
                }
            }
        }
        if let Some(off_ms) = killed {
            kill = None;
            wall.cut(real);
            real += off_ms;
            (origin, calm_since) = (real, real);
            told.time = Time::Fit;
            device = boot(&disk, &told, Moment { utc: begin().plus(real + skew), mono_ms: 0 });
            booted = true;
            (wrong_since, dark_since) = (None, None);
            continue;
        }
        told.pass(clock);
        if let Some(fault) = told.fault(wall.stands.as_deref(), clock) {
            let since = *wrong_since.get_or_insert(real);
            if real - since > SLACK_MS {
                return Err(format!("after {real} ms: {fault}"));
            }
        } else {
            wrong_since = None;
        }
        let calm = real.min(real - calm_since.max(wall.broken_until)) > SETTLED_MS;
        if calm && wall.stands.is_none() && told.wants(clock) {
            let since = *dark_since.get_or_insert(real);
            if real - since > SLACK_MS {
                return Err(format!("after {real} ms the board is dark"));
            }
        } else {
            dark_since = None;
        }
    }
    // An orderly end records what was added up.
    let (clock, mono_ms) = (begin().plus(real + skew), real - origin);
    let mut events = vec![Event::Stop];
    events.append(&mut wall.events);
    while let Some(event) = (!events.is_empty()).then(|| events.remove(0)) {
        for action in device.handle(Moment { utc: clock, mono_ms }, event) {
            match &action {
                Action::Record(body) => {
                    let seq = disk.1.len() as u64 + 1;
                    disk.1.push(Record { head: head(seq, clock), body: (**body).clone() });
                }
                Action::Done => return Ok(Lived { seen: wall.seen, records: disk.1, shows }),
                other => wall.obey(other, real, clock),
            }
        }
        events.append(&mut wall.events);
    }
    Err("the board does not end".to_owned())
}

/// The subject of a text; `None` for what is on nobody's account.
fn subject(text: &str) -> Option<Subject> {
    match text {
        IDLE | NAME => None,
        text if TEXTS.contains(&text) => Some(Subject::Notice { jti: text.to_owned() }),
        cue => Some(Subject::Cue { cue: cue_id(&cue[..1]) }),
    }
}

fn shows_of(records: &[Record]) -> Vec<&Show> {
    let show = |record: &'_ Record| matches!(record.body, Body::Show(_));
    let records = records.iter().filter(|record| show(record));
    records.filter_map(|r| if let Body::Show(show) = &r.body { Some(show) } else { None }).collect()
}

/// Judges what was recorded by what was seen: nothing twice, nothing made up.
fn judge(lived: &Lived, mishaps: &Mishaps) -> Result<(), TestCaseError> {
    let (mut stood, mut whole) = (BTreeMap::<_, i64>::new(), BTreeMap::<_, u32>::new());
    for seen in &lived.seen {
        let Some(subject) = subject(&seen.text) else { continue };
        *stood.entry(subject.clone()).or_default() += seen.to - seen.from;
        *whole.entry(subject).or_default() += u32::from(seen.whole);
    }
    let (mut told, mut times) = (BTreeMap::<_, i64>::new(), BTreeMap::<_, u32>::new());
    let (mut nothing, mut begun) = (BTreeMap::<_, u32>::new(), BTreeMap::<_, u32>::new());
    let mut words = BTreeSet::new();
    for record in &lived.records {
        match &record.body {
            Body::Show(show) => {
                *told.entry(show.subject.clone()).or_default() += show.shown_ms;
                *times.entry(show.subject.clone()).or_default() += show.times;
                prop_assert!(show.from_ms <= show.to_ms, "{show:?}");
                let text = show.frame.map(|frame| {
                    lived.seen.iter().any(|s| {
                        Digest::of(s.text.as_bytes()) == frame
                            && subject(&s.text).as_ref() == Some(&show.subject)
                    })
                });
                prop_assert!(text != Some(false), "a frame that nobody saw: {show:?}");
                if show.shown_ms == 0 && show.cause != "stop" {
                    *nothing.entry(show.subject.clone()).or_default() += 1;
                }
            }
            Body::Start { subject, .. } => *begun.entry(subject.clone()).or_default() += 1,
            Body::Did { jti, what, result } => {
                let word = (jti.clone(), what.clone(), result.clone());
                prop_assert!(words.insert(word), "a word twice: {jti} {what} {result}");
            }
            _ => {}
        }
    }
    prop_assert!(nothing.values().all(|n| *n == 1), "one word on what was not shown: {nothing:?}");
    prop_assert!(begun.values().all(|n| *n == 1), "a notice begins once: {begun:?}");
    let kills = mishaps.iter().filter(|(_, m)| matches!(m, Mishap::Kill { .. })).count();
    for (subject, stood) in &stood {
        let told = told.get(subject).copied().unwrap_or(0);
        prop_assert!(told <= *stood, "{told} ms told of {stood} ms: {subject:?}");
        // A cut costs what was not written yet, and a pass.
        let most = i64::try_from(kills).unwrap() * 61_000;
        prop_assert!(stood - told <= most, "{told} ms told of {stood} ms: {subject:?}");
    }
    for (subject, times) in &times {
        let whole = whole.get(subject).copied().unwrap_or(0);
        prop_assert!(*times <= whole, "{times} times of {whole}: {subject:?}");
    }
    let set = mishaps.iter().any(|(_, m)| matches!(m, Mishap::StepClock { ms } if *ms < 0));
    let shows = shows_of(&lived.records);
    for (i, show) in shows.iter().enumerate().filter(|_| !set) {
        for other in shows[i + 1..].iter().filter(|other| other.subject == show.subject) {
            let apart = show.to_ms <= other.from_ms || other.to_ms <= show.from_ms;
            prop_assert!(apart, "two records of a stretch: {show:?} {other:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Cases that failed once are tried first; the root of the repository stays tidy.
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::Direct(
            "tests/regressions/board.txt",
        ))),
        ..ProptestConfig::with_cases(96)
    })]
    #[test]
    fn a_board_shows_only_what_it_may_and_tells_of_it_once(mishaps in anything(), idle: bool) {
        let lived = live(&mishaps, idle).map_err(TestCaseError::fail)?;
        judge(&lived, &mishaps)?;
        // A board that takes nothing is not asked without end.
        prop_assert!(lived.shows < 200, "{} orders", lived.shows);
    }

    #[test]
    fn every_cue_of_a_board_has_its_record_whatever_keeps_it_dark(
        mishaps in in_order(prop_oneof![
            3 => kill(), 2 => notice(),
            2 => (0usize..2, 1_000i64..120_000).prop_map(|(unit, ms)| Mishap::Hold { unit, ms }),
            2 => (1_000i64..60_000).prop_map(|ms| Mishap::Broken { ms }),
        ])) {
        let lived = live(&mishaps, true).map_err(TestCaseError::fail)?;
        judge(&lived, &mishaps)?;
        let told: BTreeSet<_> = shows_of(&lived.records).iter().filter_map(|show| {
            if let Subject::Cue { cue } = show.subject { Some(cue) } else { None }
        }).collect();
        let planned: BTreeSet<_> = plans()[0].cues.iter().map(|cue| cue.id).collect();
        prop_assert_eq!(told, planned);
    }

    #[test]
    fn a_rotation_is_fair_and_a_calm_day_is_told_whole(idle: bool) {
        let lived = live(&Vec::new(), idle).map_err(TestCaseError::fail)?;
        judge(&lived, &Vec::new())?;
        let passes = |name: &str| lived.seen.iter().filter(|s| s.text == name).count();
        prop_assert_eq!(passes("a"), passes("b"));
        prop_assert!(passes("b") - passes("c") <= 1);
        prop_assert_eq!(passes("f"), 15);
    }
}
