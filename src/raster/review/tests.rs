use super::*;
use crate::domain::time::UtcMs;
use crate::raster::colour::Depth;
use crate::raster::design::Blink;
use crate::raster::font::{Font, bdf};

fn board() -> Board {
    Board::new(128, 32, Depth::Mono, 40)
}

fn found(design: &Design) -> Vec<Finding> {
    review(design, &board(), &Faces::built_in(), &Scene::at(UtcMs(0)))
}

fn of(text: &str) -> Vec<Finding> {
    found(&Design::still(text, 60_000))
}

#[test]
fn right_pages_have_no_findings() {
    for text in [
        "THÔNG BÁO LỊCH CẮT ĐIỆN",
        "Ủy ban nhân dân xã Nghĩa Đồng",
        "Nhiệt độ 25 °C, {time}, {lunar:long}",
        "OTP, SMS, COVID-19, VNPT: gọi 115",
        "",
    ] {
        assert_eq!(of(text), [], "{text}");
    }
}

#[test]
fn each_rule_names_its_value_and_its_remedy() {
    let page = |text: &str, change: &dyn Fn(&mut Design)| {
        let mut design = Design::still(text, 60_000);
        change(&mut design);
        found(&design)
    };
    let scroll = |px_s| Motion::Scroll { px_s: Some(px_s) };
    let all = [
        page("Xã", &|d| d.scale = 3),
        page(
            "Không cung cấp mã OTP cho bất kỳ ai, không chuyển tiền cho người lạ",
            &|d| d.dwell_ms = 3_000,
        ),
        page("nghiêngnghiêngnghiêngnghiêngnghiêng", &|_| ()),
        page("好 và q\u{301}", &|_| ()),
        page("Không cung cấp mã OTP", &|d| d.dwell_ms = 2_000),
        page("Không cung cấp mã OTP", &|d| d.motion = scroll(100)),
        page("THONG BAO LICH CAT DIEN", &|_| ()),
        page("lich cat dien tai xa", &|_| ()),
        page("Th«ng b¸o lÞch c¾t ®iÖn", &|_| ()),
        page("Ðường số 3", &|_| ()),
        page("שלום", &|d| d.font = Some("unifont".into())),
        page("ភូមិ", &|d| d.font = Some("unifont".into())),
        page("xã\u{7}", &|_| ()),
        page("{tme} {feed:water} {icon:sun}", &|d| d.picture = Some("cờ".into())),
        page("{red}Xã{/}", &|d| d.colour = Some("hồng".into())),
        page("Xã", &|d| d.font = Some("arial".into())),
        page("Xã", &|d| d.blink = Some(Blink::new(500, 500))),
        page(&"x ".repeat(5_000), &|d| d.motion = scroll(30)),
    ];
    let told: Vec<String> = all
        .iter()
        .map(|found| {
            assert!(!found.is_empty());
            let lines = found.iter().map(|f| format!("{:?}: {f}\n    {}", f.weight(), f.hint()));
            lines.collect::<Vec<_>>().join("\n")
        })
        .collect();
    insta::assert_snapshot!("rules", told.join("\n---\n"));
}

#[test]
fn a_slot_shorter_than_one_full_pass_is_refused() {
    let designs = [Design::still("Xã", 5_000), Design::still("Ba Vì", 5_000)];
    let (faces, scene) = (Faces::built_in(), Scene::at(UtcMs(0)));
    let item =
        |slot_ms, others_ms| review_item(&designs, &board(), &faces, &scene, slot_ms, others_ms);
    assert_eq!(item(10_000, 0), []);
    let finding = Finding::SlotShort { pass_ms: 11_000, slot_ms: 10_000 };
    assert_eq!(item(10_000, 1_000), [Located { page: None, finding }]);
    let mut slow = Design::still("x", 5_000);
    slow.blink = Some(Blink::new(500, 500));
    let found = review_item(&[designs[0].clone(), slow], &board(), &faces, &scene, 10_000, 0);
    assert_eq!(found, [Located { page: Some(1), finding: Finding::Blinks }]);
}

#[test]
fn a_font_that_draws_two_letters_of_the_text_alike_is_refused_for_it() {
    let font = bdf::read("low", include_bytes!("../fonts/loa-11.bdf")).unwrap();
    let mut glyphs: std::collections::BTreeMap<_, _> =
        font.glyphs().map(|(c, g)| (c, g.clone())).collect();
    glyphs.insert('ỉ', glyphs[&'í'].clone());
    let faces = Faces::only(vec![Face::file(Font::new("low", 9, 2, glyphs))]).unwrap();
    let scene = Scene::at(UtcMs(0));
    let found = |text: &str| review(&Design::still(text, 60_000), &board(), &faces, &scene);
    let alike = Finding::Alike { font: "low".into(), letters: "íỉ".into() };
    assert_eq!(found("nghỉ học"), [alike]);
    assert_eq!(found("học"), []);
}
