//! Cron expressions against what two independent libraries agreed on, recorded by
//! `tests/golden/recurrence/make.py`; and how we decide where they differ.

use chrono::{DateTime, NaiveDateTime};
use loa::domain::recurrence::{Recurrence, RecurrenceError, wall};
use loa::domain::time::UtcMs;

const AGREED: &str = include_str!("../golden/recurrence/agreed.txt");
const DIFFERING: &str = include_str!("../golden/recurrence/differing.txt");

fn reading(seconds: i64) -> NaiveDateTime {
    DateTime::from_timestamp(seconds, 0).unwrap().naive_utc()
}

/// The next occurrences as the walk over the wall clock finds them.
fn walked(recurrence: &Recurrence, after: i64, count: usize) -> Vec<i64> {
    let mut at = reading(after);
    let mut found = Vec::new();
    while found.len() < count {
        let Some(next) = recurrence.next_wall(at) else { break };
        found.push(next.and_utc().timestamp());
        at = next;
    }
    found
}

/// The next occurrences as planning finds them: date by date.
fn planned(recurrence: &Recurrence, after: i64, count: usize) -> Vec<i64> {
    let mut found = Vec::new();
    let mut date = reading(after).date();
    while found.len() < count {
        let on = recurrence.on(date, chrono_tz::UTC);
        found.extend(on.into_iter().filter(|at| *at > UtcMs(after * 1000)).map(|at| at.0 / 1000));
        date = wall::shift(date, 1);
    }
    found.truncate(count);
    found
}

#[test]
fn what_two_libraries_agree_on_is_what_we_find() {
    let (mut expressions, mut occurrences, mut refused) = (0, 0, Vec::new());
    for line in AGREED.lines() {
        let (text, answers) = line.split_once('\t').unwrap();
        let recurrence = match Recurrence::cron(text) {
            Ok(recurrence) => recurrence,
            Err(error) => {
                refused.push(format!("{text}: {error}"));
                continue;
            }
        };
        expressions += 1;
        for answer in answers.split(' ') {
            let (after, steps) = answer.split_once('>').unwrap();
            let after: i64 = after.parse().unwrap();
            let mut at = after;
            let expected: Vec<i64> = steps
                .split(',')
                .map(|step| {
                    at += step.parse::<i64>().unwrap();
                    at
                })
                .collect();
            occurrences += expected.len();
            assert_eq!(
                walked(&recurrence, after, expected.len()),
                expected,
                "{text} after {after}"
            );
            assert_eq!(planned(&recurrence, after, expected.len()), expected, "{text} on dates");
        }
    }
    assert!(expressions > 2900 && occurrences > 40_000, "{expressions}, {occurrences}");
    // What we refuse although both read it: other programs read it differently, or it is a slip.
    insta::assert_snapshot!(refused.join("\n"), @r"
        0 0 13 * 5: `0 0 13 * 5` restricts both day of month (`13`) and weekday (`5`)
        5/10 * * * *: minute `5/10`: a step needs a range
        */70 * * * *: minute `*/70`: a step is a whole number from 1 to 59
        0 0 L * *: `L` is not a day of month
        0 0 * * 5#2: `5#2` is not a weekday
        ");
}

#[test]
fn where_the_libraries_differ_our_decision_is_recorded() {
    let mut decisions = Vec::new();
    for line in DIFFERING.lines() {
        let mut parts = line.split('\t');
        let (text, after) = (parts.next().unwrap(), parts.next().unwrap());
        let croniter = parts.next().unwrap().trim_start_matches("croniter: ");
        let after: i64 = after.parse().unwrap();
        let decision = match Recurrence::cron(text) {
            Ok(recurrence) => {
                let ours = walked(&recurrence, after, 3);
                assert_eq!(ours, planned(&recurrence, after, 3), "{text}");
                let same = format!("{ours:?}") == croniter;
                if same { "as croniter".to_owned() } else { format!("{ours:?}") }
            }
            Err(error) => format!("refused: {error}"),
        };
        decisions.push(format!("{text}: {decision}"));
    }
    insta::assert_snapshot!(decisions.join("\n"), @r"
        @hourly: as croniter
        @daily: as croniter
        @midnight: as croniter
        @weekly: as croniter
        @monthly: as croniter
        @yearly: as croniter
        @annually: as croniter
        0 0 30 2 *: refused: `0 0 30 2 *` never happens
        0 0 31 4,6,9,11 *: refused: `0 0 31 4,6,9,11 *` never happens
        0 0 * * fri-sun: as croniter
        0 5 */2 * mon: refused: `0 5 */2 * mon` restricts both day of month (`*/2`) and weekday (`mon`)
        0 5 * * sat-mon: refused: weekday `sat-mon` runs backwards
        0 22-2 * * *: refused: hour `22-2` runs backwards
        */0 * * * *: refused: minute `*/0`: a step is a whole number from 1 to 59
        60 * * * *: refused: minute `60`: 60 is outside 0-59
        ");
}

#[test]
fn no_text_makes_the_reader_panic() {
    let pieces = ["*", "/", "-", ",", "0", "7", "59", "99999999999", "fri", "@", " ", "ă", "\u{0}"];
    let mut seed = 0x5eed_u64;
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        match Recurrence::cron(&text) {
            Ok(_) => {}
            Err(RecurrenceError::Nickname { .. } | RecurrenceError::Fields { .. }) => refused += 1,
            Err(error) => assert!(!error.hint().is_empty(), "{text:?}"),
        }
    }
    assert!(refused > 1000, "seed 0x5eed: only {refused} were refused for their fields");
}
