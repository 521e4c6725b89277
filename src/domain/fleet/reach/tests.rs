use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const MIN: i64 = 60_000;
const PATIENCE: Patience = Patience { away_ms: 10 * MIN, stale_ms: 65 * MIN };

/// A device and what the server hears.
struct Bench {
    now: i64,
    line: Line,
    last: Option<(Sign, i64)>,
    presence: Option<Presence>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { now: 1_000_000, line: Line::Down, last: None, presence: None };
        bench.line = Line::Up(bench.now);
        bench
    }

    fn hears(&mut self, sign: Sign) -> Reach {
        self.last = Some((sign, self.now));
        self.looks()
    }

    fn looks(&mut self) -> Reach {
        let signs = Signs { standing: Standing::Enrolled, last: self.last };
        let next = advance(self.presence, &signs, self.line, PATIENCE, self.now);
        self.presence = Some(next);
        next.reach
    }

    /// Lets time pass, looking every five seconds.
    fn passes(&mut self, ms: i64) -> Reach {
        let end = self.now + ms;
        while self.now < end {
            self.now = (self.now + 5_000).min(end);
            self.looks();
        }
        self.looks()
    }

    fn is_late(&self) -> bool {
        self.presence.is_some_and(|presence| presence.is_late())
    }
}

#[test]
fn a_reconnect_and_a_missed_beat_take_nobody_off_line() {
    let mut bench = Bench::new();
    assert_eq!(bench.hears(Sign::Here), Reach::Here);
    assert_eq!(bench.passes(35 * MIN), Reach::Here, "a beat is five minutes late");
    bench.hears(Sign::Gone);
    assert_eq!(bench.passes(9 * MIN), Reach::Here);
    assert!(bench.is_late());
    bench.hears(Sign::Here);
    assert!(!bench.is_late());
    bench.hears(Sign::Gone);
    assert_eq!(bench.passes(9 * MIN), Reach::Here, "absences do not add up");
}

#[test]
fn a_device_that_is_gone_is_off_line_since_it_went_and_back_after_it_stayed() {
    let mut bench = Bench::new();
    bench.hears(Sign::Here);
    bench.passes(MIN);
    let went = bench.now;
    bench.hears(Sign::Gone);
    assert_eq!(bench.passes(10 * MIN), Reach::Away);
    assert_eq!(bench.presence.unwrap().since, went);
    for _ in 0..20 {
        bench.hears(Sign::Here);
        assert_eq!(bench.passes(20_000), Reach::Away, "it flickers");
        bench.hears(Sign::Gone);
        assert_eq!(bench.passes(20_000), Reach::Away);
    }
    assert_eq!(bench.presence.unwrap().since, went, "one absence");
    let back = bench.now;
    bench.hears(Sign::Here);
    assert_eq!(bench.passes(BACK_MS), Reach::Here);
    assert_eq!(bench.presence.unwrap().since, back);
}

#[test]
fn a_connection_from_which_nothing_comes_is_lost_in_the_end() {
    let mut bench = Bench::new();
    bench.hears(Sign::Here);
    assert_eq!(bench.passes(65 * MIN), Reach::Here);
    assert!(!bench.is_late());
    assert_eq!(bench.passes(9 * MIN), Reach::Here);
    assert!(bench.is_late());
    assert_eq!(bench.passes(2 * MIN), Reach::Away);
}

#[test]
fn a_restart_of_the_broker_marks_nobody_off_line() {
    let mut bench = Bench::new();
    bench.hears(Sign::Here);
    bench.line = Line::Down;
    assert_eq!(bench.passes(3 * 60 * MIN), Reach::Here, "nothing can be known");
    bench.line = Line::Up(bench.now);
    assert_eq!(bench.passes(5 * MIN), Reach::Here, "devices come back within five minutes");
    bench.hears(Sign::Here);
    assert_eq!(bench.passes(30 * MIN), Reach::Here);
    assert!(!bench.is_late());
}

#[test]
fn after_a_restart_of_the_server_what_counted_goes_on_to_count() {
    for (before, then) in [(Reach::Here, Reach::Here), (Reach::Away, Reach::Away)] {
        let mut bench = Bench::new();
        bench.presence = Some(Presence::new(before, 0));
        assert_eq!(bench.looks(), then);
        assert_eq!(bench.passes(9 * MIN), then, "grace");
        assert_eq!(bench.passes(2 * MIN), Reach::Away, "and then it is not there");
    }
    let mut bench = Bench::new();
    assert_eq!(bench.looks(), Reach::Unknown);
    assert_eq!(bench.passes(9 * MIN), Reach::Unknown);
    assert_eq!(bench.hears(Sign::Here), Reach::Here);
}

#[test]
fn a_sleeper_is_no_absentee_and_a_taken_key_counts_at_once() {
    let mut bench = Bench::new();
    bench.hears(Sign::Here);
    assert_eq!(bench.hears(Sign::Asleep), Reach::Asleep);
    assert_eq!(bench.passes(25 * 60 * MIN), Reach::Asleep);
    assert_eq!(bench.passes(2 * 60 * MIN), Reach::Away);
    let signs = Signs { standing: Standing::Revoked, last: bench.last };
    let revoked = advance(bench.presence, &signs, bench.line, PATIENCE, bench.now);
    assert_eq!(revoked.reach, Reach::Revoked);
    let signs = Signs { standing: Standing::Enrolled, last: None };
    let again = advance(Some(revoked), &signs, bench.line, PATIENCE, bench.now);
    assert_eq!(again.reach, Reach::Unknown, "a new key begins anew");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Hear(Sign),
    Line(bool),
    Pass(i64),
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Hear(Sign::Here)),
        Just(Step::Hear(Sign::Gone)),
        Just(Step::Hear(Sign::Asleep)),
        any::<bool>().prop_map(Step::Line),
        (0..20 * MIN).prop_map(Step::Pass),
        Just(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn nobody_is_off_line_before_an_absence_has_lasted(steps in vec(any_step(), 0..60)) {
        let mut bench = Bench::new();
        bench.hears(Sign::Here);
        // Since when it has been absent without a break while the server heard the broker.
        let mut absent: Option<i64> = None;
        let mut present: Option<i64> = Some(bench.now);
        for step in steps {
            let before = bench.presence.unwrap().reach;
            match step {
                Step::Hear(sign) => {
                    if bench.line == Line::Down { continue; }
                    bench.hears(sign);
                    if sign == Sign::Gone {
                        // What had grown stale before was absent before.
                        let stale = present.map(|since| since + PATIENCE.stale_ms);
                        let since = stale.filter(|at| *at <= bench.now).unwrap_or(bench.now);
                        absent.get_or_insert(since);
                        present = None;
                    } else {
                        absent = None;
                        present.get_or_insert(bench.now);
                    }
                }
                Step::Line(up) => {
                    bench.line = if up { Line::Up(bench.now) } else { Line::Down };
                    (absent, present) = (absent.map(|_| bench.now), present.map(|_| bench.now));
                    bench.looks();
                }
                Step::Restart => {
                    // Memory of signs and doubts is gone, what counted is not.
                    bench.last = None;
                    let reach = bench.presence.unwrap().reach;
                    bench.presence = Some(Presence::new(reach, bench.now));
                    bench.line = Line::Up(bench.now);
                    absent = Some(bench.now);
                    present = None;
                    bench.looks();
                }
                Step::Pass(ms) => {
                    bench.passes(ms);
                }
            }
            let after = bench.presence.unwrap().reach;
            if before != Reach::Away && after == Reach::Away {
                // A connection may also grow stale, which takes longer.
                let stale = present.is_some_and(|since| bench.now - since >= PATIENCE.stale_ms);
                let long = absent.is_some_and(|since| bench.now - since >= PATIENCE.away_ms);
                prop_assert!(long || stale, "{step:?}");
            }
            if before == Reach::Away && after != Reach::Away {
                let long = present.is_some_and(|since| bench.now - since >= BACK_MS);
                prop_assert!(long, "{step:?}");
            }
        }
    }
}
