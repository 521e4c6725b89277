use super::*;

fn told(plan: &Plan) -> Vec<String> {
    doubts(plan).iter().map(ToString::to_string).collect()
}

#[test]
fn money_for_53_months_of_54_is_noticed() {
    assert_eq!(
        told(&plan(vec![line()])),
        ["line `ii-1`: 742.000.000 đ pay for 106 at 7.000.000 đ (53 months), ordered are 108 in \
          the 54 months 2021-07/2025-12 (756.000.000 đ)"]
    );
    let mut right = line();
    right.budget.as_mut().unwrap().dong = Some(Dong(756_000_000));
    assert_eq!(told(&plan(vec![right])), [""; 0]);
    // Broadcasts have no price, and for each of unknown many units nobody can say.
    let mut broadcasts = line();
    broadcasts.counted = Counted::Broadcast;
    let mut each = line();
    each.scope = Scope::Commune;
    assert_eq!(told(&plan(vec![broadcasts, each])), [""; 0]);
}

#[test]
fn money_that_is_shared_out_tells_whom_the_number_was_meant_for() {
    let funds = |year, dong: u64, each: u64| Funds {
        year,
        source: "ngân sách huyện".into(),
        dong: Dong(dong * 1_000_000),
        each_dong: Some(Dong(each * 1_000_000)),
        citation: "Phụ lục 02".into(),
    };
    let mut plan = plan(vec![line()]);
    plan.lines[0].budget.as_mut().unwrap().dong = None;
    plan.funds = vec![funds(2021, 70, 7), funds(2022, 140, 14)];
    assert_eq!(
        told(&plan),
        [
            "line `ii-1`: Phụ lục 02 pays 10 units for 1 in 2021, 2 in 2022 each, 30 in all; ordered \
          are 108 if counted for the whole, 1080 if for each unit"
        ]
    );
    // Two a year for each of ten is what the table pays for: no doubt is left.
    plan.lines[0].scope = Scope::District;
    plan.lines[0].least = Some(Least { count: 2, per: Per::Year });
    plan.lines[0].months = months("2021-07", "2022-12");
    assert_eq!(told(&plan), [""; 0]);
}

#[test]
fn sums_that_differ_name_the_lines_that_make_the_difference() {
    let amount = |id: &str, dong| {
        let mut line = line();
        line.id = id.parse().unwrap();
        line.budget =
            Some(Budget { dong: Some(Dong(dong)), each_dong: None, source: "tỉnh".into() });
        line
    };
    let mut plan = plan(vec![amount("a", 7), amount("b", 10), amount("c", 11)]);
    let total = |dong| Total { dong: Dong(dong), citation: "mục V".into() };
    plan.totals = vec![total(28), total(18), total(7), total(20)];
    assert_eq!(
        told(&plan),
        [
            "mục V states 18 đ, the lines add up to 28 đ: 10 đ apart, as much as line `b`",
            "mục V states 7 đ, the lines add up to 28 đ: 21 đ apart, as much as lines `b` and `c`",
            "mục V states 20 đ, the lines add up to 28 đ: 8 đ apart",
        ]
    );
}

#[test]
fn a_document_of_two_dates_and_a_line_before_its_plan_are_noticed() {
    let mut plan = plan(vec![line()]);
    let basis = |day: &str, citation: &str| Basis {
        number: "21/QĐ-TTg".into(),
        date: date(day),
        citation: citation.into(),
    };
    plan.bases = vec![basis("2022-01-06", "phần mở đầu"), basis("2021-01-06", "Phụ lục")];
    plan.date = date("2021-10-08");
    plan.lines[0].budget = None;
    plan.lines[0].least = None;
    let told = told(&plan);
    assert_eq!(
        told,
        [
            "`21/QĐ-TTg` is of 2022-01-06 in phần mở đầu, of 2021-01-06 in Phụ lục",
            "line `ii-1` begins in 2021-07, the plan was issued on 2021-10-08",
            "line `ii-1` orders no number",
        ]
    );
    let found = doubts(&plan);
    assert!(found.iter().all(|doubt| !doubt.hint().is_empty()));
    assert_eq!(found.iter().filter(|doubt| doubt.is_contradiction()).count(), 2);
}

#[test]
fn absurd_figures_overflow_nothing() {
    let mut line = line();
    line.least = Some(Least { count: u32::MAX, per: Per::Month });
    line.budget = Some(Budget {
        dong: Some(Dong(u64::MAX)),
        each_dong: Some(Dong(u64::MAX)),
        source: "x".into(),
    });
    let mut other = line.clone();
    other.id = "b".parse().unwrap();
    let mut plan = plan(vec![line, other]);
    plan.totals = vec![Total { dong: Dong(1), citation: "V".into() }];
    let funds = |dong, each| Funds {
        year: 2021,
        source: "x".into(),
        dong: Dong(dong),
        each_dong: Some(Dong(each)),
        citation: "PL".into(),
    };
    plan.funds = vec![funds(u64::MAX, 1), funds(u64::MAX, 0), funds(0, u64::MAX)];
    assert!(doubts(&plan).len() > 3);
}
