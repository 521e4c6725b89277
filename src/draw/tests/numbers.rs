use super::*;
use crate::draw::interval::bounds;
use crate::draw::sample::fair;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Draws by the script that anybody can read.
fn by_python(text: &str, wanted: usize) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/draw.py");
    let mut child = Command::new("python3")
        .arg(script)
        .arg(wanted.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn by_us(ground: &Ground, wanted: usize) -> String {
    let seed = ground.seed();
    let drawn = draw(&seed, ground.plays(), wanted);
    std::iter::once(seed.to_string())
        .chain(drawn.iter().map(ToString::to_string))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn ten_lines_of_python_draw_the_same() {
    for (plays, wanted) in [(1, 1), (7, 30), (100, 100), (1_000, 30), (65_537, 250)] {
        let ground = ground(plays);
        assert_eq!(
            by_us(&ground, wanted),
            by_python(&ground.text(), wanted),
            "{wanted} of {plays}"
        );
    }
}

#[test]
fn the_ground_and_its_draw_are_fixed() {
    let ground = ground(1_000);
    insta::assert_snapshot!(format!("{}\n{}", ground.text(), by_us(&ground, 10)));
}

#[test]
fn every_line_of_the_ground_changes_the_seed() {
    let seeds: BTreeSet<String> = {
        let with = |change: &dyn Fn(&mut Head, &mut Period), plays, word| {
            let (mut head, mut period) = (head(), period());
            change(&mut head, &mut period);
            let ground = Ground::new(head, period, &population(plays), word);
            ground.unwrap().seed().to_string()
        };
        let keep = |_: &mut Head, _: &mut Period| ();
        [
            with(&keep, 100, "a"),
            with(&keep, 100, "b"),
            with(&keep, 100, ""),
            with(&keep, 101, "a"),
            with(&|head, _| head.origin.push('x'), 100, "a"),
            with(&|head, _| head.size += 1, 100, "a"),
            with(&|head, _| head.root.push('x'), 100, "a"),
            with(&|_, period| period.from_ms = MAY.plus(1), 100, "a"),
            with(&|_, period| period.to_ms = JUNE.plus(-1), 100, "a"),
            with(&|_, period| period.scope = None, 100, "a"),
        ]
        .into()
    };
    assert_eq!(seeds.len(), 10);
}

#[test]
fn a_ground_that_could_be_prepared_is_refused() {
    let told = |change: &dyn Fn(&mut Head, &mut Period), plays, word: &str| {
        let (mut head, mut period) = (head(), period());
        change(&mut head, &mut period);
        let error = Ground::new(head, period, &population(plays), word).unwrap_err();
        format!("{error}\n  {}", error.hint())
    };
    let keep = |_: &mut Head, _: &mut Period| ();
    let all = [
        told(&|head, _| head.vouched_ms = JUNE.plus(-1), 10, ""),
        told(&|_, period| period.from_ms = JUNE, 10, ""),
        told(&keep, 0, ""),
        told(&|head, _| head.size = 9, 10, ""),
        told(&keep, 10, "hai\ndòng"),
        told(&keep, 10, "hai\u{2028}dòng"),
        told(&keep, 10, " thừa dấu cách"),
        told(&keep, 10, &"dài ".repeat(51)),
        told(&|head, _| head.root.clear(), 10, ""),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_list_that_is_drawn_from_has_one_order() {
    let mut plays = Population::default();
    plays.push(&device(20), cue(5)).unwrap();
    for (device, cue) in [(device(20), cue(5)), (device(20), cue(4)), (device(0), cue(9))] {
        let error = plays.push(&device, cue).unwrap_err();
        assert!(matches!(error, PopulationError::Order { number: 1, .. }), "{error}");
    }
    plays.push(&device(20), cue(6)).unwrap();
    plays.push(&device(40), cue(1)).unwrap();
    assert_eq!(plays.plays(), 3);
    let text =
        format!("{0} {1}\n{0} {2}\n{3} {4}\n", device(20), cue(5), cue(6), device(40), cue(1));
    assert_eq!(plays.digest(), Digest::of(text.as_bytes()));
}

#[test]
fn no_remainder_is_favoured() {
    // Of four numbers of two bits, three plays may use three: the fourth is passed over.
    assert_eq!(fair(u64::MAX, 3), None, "2^64 = 3 × n + 1");
    assert_eq!(fair(u64::MAX - 1, 3), Some(2));
    assert_eq!(fair(u64::MAX, 1 << 32), Some((1 << 32) - 1), "a divisor leaves nothing over");
    assert_eq!(fair(u64::MAX, u64::MAX), None);
    assert_eq!(fair(5, 0), None);
}

#[test]
fn each_play_is_drawn_about_equally_often() {
    // 20,000 draws of 5 out of 50, χ² with 49 degrees of freedom: 85.4 is passed once in a
    // thousand times. Seeds are fixed, so this holds always or never.
    let mut counts = [0_u32; 50];
    for round in 0..20_000_u32 {
        let seed = Seed(Digest::of(&round.to_be_bytes()).0);
        for play in draw(&seed, 50, 5) {
            counts[usize::try_from(play).unwrap()] += 1;
        }
    }
    let square = |count: u32| (f64::from(count) - 2_000.0).powi(2) / 2_000.0;
    let chi: f64 = counts.into_iter().map(square).sum();
    assert!(chi < 85.4, "{chi}");
    assert!(chi > 10.0, "{chi}: too even for a draw");
}

/// `scipy.stats.beta.ppf(0.025, k, n - k + 1)` and `beta.ppf(0.975, k + 1, n - k)`, scipy 1.x.
const KNOWN: [(u32, u32, f64, f64); 11] = [
    (0, 30, 0.0, 0.115_703_308_222),
    (1, 30, 0.000_843_570_927, 0.172_169_455_633),
    (15, 30, 0.312_970_285_868, 0.687_029_714_132),
    (28, 30, 0.779_264_598_477, 0.991_821_865_539),
    (29, 30, 0.827_830_544_367, 0.999_156_429_073),
    (30, 30, 0.884_296_691_778, 1.0),
    (0, 1, 0.0, 0.975),
    (1, 1, 0.025, 1.0),
    (50, 100, 0.398_321_129_503, 0.601_678_870_497),
    (997, 1_000, 0.991_257_976_762, 0.999_380_900_068),
    (3, 7, 0.098_988_278_443, 0.815_948_432_360),
];

#[test]
fn the_interval_is_that_of_clopper_and_pearson() {
    for (hits, tries, low, high) in KNOWN {
        let (ours_low, ours_high) = bounds(hits, tries).unwrap();
        assert!((ours_low - low).abs() < 1e-11, "{hits}/{tries}: {ours_low} for {low}");
        assert!((ours_high - high).abs() < 1e-11, "{hits}/{tries}: {ours_high} for {high}");
    }
    let of = |hits, tries| {
        Interval::of(hits, tries).map(|i| (i.share_per_10k, i.low_per_10k, i.high_per_10k))
    };
    assert_eq!(of(28, 30), Some((9_333, 7_792, 9_919)), "rounded outward");
    assert_eq!(of(0, 30), Some((0, 0, 1_158)));
    assert_eq!(of(30, 30), Some((10_000, 8_842, 10_000)));
    assert_eq!(of(2, 3).map(|i| i.0), Some(6_667));
    assert_eq!((of(0, 0), of(4, 3)), (None, None));
}

proptest! {
    #[test]
    fn a_draw_has_no_play_twice_and_a_longer_one_begins_with_it(
        seed: [u8; 32], plays in 0_u64..2_000, wanted in 0_usize..1_100
    ) {
        let seed = Seed(seed);
        let drawn = draw(&seed, plays, wanted);
        let most = usize::try_from(plays).unwrap().min(wanted).min(MOST_DRAWN);
        prop_assert_eq!(drawn.len(), most);
        prop_assert!(drawn.iter().all(|play| *play < plays));
        prop_assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), most);
        let longer = draw(&seed, plays, wanted + 5);
        prop_assert_eq!(&longer[..drawn.len()], &drawn[..]);
    }

    #[test]
    fn the_interval_holds_its_share_and_mirrors(hits in 0_u32..=300, more in 0_u32..=300) {
        prop_assume!(hits + more > 0);
        let there = Interval::of(hits, hits + more).unwrap();
        let back = Interval::of(more, hits + more).unwrap();
        prop_assert!(there.low_per_10k <= there.share_per_10k);
        prop_assert!(there.share_per_10k <= there.high_per_10k);
        prop_assert!(there.low_per_10k.abs_diff(10_000 - back.high_per_10k) <= 1);
    }
}
