//! The complaint desk: what it may say, and what it must not.

use super::month::{self, day, question};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::proof::outcome::Reason;
use crate::domain::time::UtcMs;
use crate::report::document::{Document, Part};
use crate::report::heard::{Order, Place, Sounding, Told, heard};
use crate::report::period::midnight;
use crate::report::places::{DeviceNo, Places};
use crate::report::question::Standing;
use std::collections::BTreeMap;

const MINUTE: i64 = 60_000;

fn quarter_past_three() -> UtcMs {
    midnight(day("2026-10-05"), month::ZONE).plus(195 * MINUTE)
}

fn no(places: &Places, id: &str) -> DeviceNo {
    places.device_no(&DeviceId::new(id).unwrap()).unwrap()
}

/// Asks about two loudspeakers and a board of Sơn Mỹ at 03:15, ten minutes to either side.
fn ask(soundings: &[Sounding], told: &[(&str, Told)]) -> Document {
    let places = month::places();
    let place = Place {
        words: "ngã ba chợ Sơn Mỹ".into(),
        at: quarter_past_three(),
        margin_ms: 10 * MINUTE,
        devices: ["loa-03-02", "loa-03-03", "loa-03-10"].map(|id| no(&places, id)).to_vec(),
    };
    let told: BTreeMap<DeviceNo, Told> =
        told.iter().map(|(id, told)| (no(&places, id), told.clone())).collect();
    heard(&question("10003"), &places, &place, soundings, &told).unwrap()
}

fn answer(document: &Document) -> String {
    let mut texts = document.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.clone()),
        _ => None,
    });
    texts.next().unwrap()
}

fn sounding(device: &str, from: UtcMs, seconds: i64) -> Sounding {
    Sounding {
        device: no(&month::places(), device),
        from,
        to: Some(from.plus(seconds * 1_000)),
        title: "Tiếp âm chương trình".into(),
        item: "dem/tiep-am".into(),
        volume: Some(90),
        lufs_cb: Some(-160),
        gain_cb: Some(-20),
        order: Order::Approval {
            by: "tran-minh".into(),
            at: quarter_past_three().plus(-86_400_000),
            hash: Digest::of(b"proposal"),
        },
        grade: 3,
        clock_err_ms: Some(2_000),
        record: Digest::of(device.as_bytes()),
        index: Some(77),
    }
}

/// An answer with every part in it.
pub fn example() -> Document {
    ask(&[sounding("loa-03-02", quarter_past_three(), 120)], &[("loa-03-02", Told::All)])
}

#[test]
fn nothing_sounded_is_said_only_when_every_loudspeaker_has_told_all() {
    let all = [("loa-03-02", Told::All), ("loa-03-03", Told::All)];
    let document = ask(&[], &all);
    assert_eq!(
        answer(&document),
        "Không có thiết bị nào của hệ thống phát âm thanh tại ngã ba chợ Sơn Mỹ trong khoảng 05/10/2026 03:05:00 \
         đến 05/10/2026 03:25:00: cả 2 cụm loa đã gửi đủ bản ghi và không bản ghi nào có âm thanh."
    );
    assert_eq!((document.standing, document.answer), (Standing::Final, Some("silent")));
    let silent = Told::Lacking(Reason::Silent { since_ms: quarter_past_three().plus(-3_600_000) });
    let document = ask(&[], &[("loa-03-02", Told::All), ("loa-03-03", silent)]);
    assert!(answer(&document).starts_with("Chưa kết luận được: 1 trong 2 cụm loa"));
    assert_eq!(document.standing, Standing::Lacking { devices: 1 });
    assert_eq!(document.answer, Some("unknown"));
    let unknown = document.tables().find(|table| table.key == "unknown").unwrap();
    assert_eq!(unknown.rows[0][2].shown(month::ZONE), "thiết bị im lặng từ 05/10/2026 02:15:00");
    let document = ask(&[], &all[..1]);
    assert!(answer(&document).starts_with("Chưa kết luận được"), "no word is no silence");
}

#[test]
fn what_sounded_is_told_with_loudness_and_by_whose_order() {
    let plays = [
        sounding("loa-03-02", quarter_past_three().plus(-MINUTE), 120),
        sounding("loa-03-03", quarter_past_three().plus(60 * MINUTE), 120),
        sounding("loa-01-01", quarter_past_three(), 120),
    ];
    let document = ask(&plays, &[("loa-03-02", Told::All), ("loa-03-03", Told::All)]);
    assert_eq!(
        answer(&document),
        "Có: 1 trong 2 cụm loa tại ngã ba chợ Sơn Mỹ phát 1 lượt trong khoảng 05/10/2026 03:05:00 đến \
         05/10/2026 03:25:00 (1 lượt chắc chắn trùng giờ)."
    );
    assert_eq!(document.answer, Some("sounded"));
    let table = document.tables().find(|table| table.key == "heard").unwrap();
    let row: Vec<String> = table.rows[0].iter().map(|cell| cell.shown(month::ZONE)).collect();
    assert_eq!(row[0], "05/10/2026 03:14:00");
    // Ten half-decibel steps below the clip, whose gain is −2 dB.
    assert_eq!(row[6..9], ["90", "-16,0", "-7,0"]);
    assert!(row[9].starts_with("lịch do tran-minh duyệt lúc 04/10/2026 03:15:00 ("), "{}", row[9]);
    assert_eq!(row[10], "có");
    let devices = document.tables().find(|table| table.key == "devices").unwrap();
    let answers: Vec<String> = devices.rows.iter().map(|row| row[2].shown(month::ZONE)).collect();
    assert_eq!(answers, ["có phát", "không phát"], "the board is not asked");
}

#[test]
fn a_clock_that_may_be_wrong_makes_a_play_possible_and_repeated_records_count_once() {
    let mut late = sounding("loa-03-02", quarter_past_three().plus(10 * MINUTE + 60_000), 60);
    late.clock_err_ms = None;
    let all = [("loa-03-02", Told::All), ("loa-03-03", Told::All)];
    let document = ask(&[late.clone(), late.clone()], &all);
    assert!(
        answer(&document).starts_with("Có thể: 1 lượt phát của 1 trong 2 cụm loa"),
        "{}",
        answer(&document)
    );
    assert_eq!(document.answer, Some("maybe"));
    late.clock_err_ms = Some(1_000);
    assert!(answer(&ask(&[late.clone()], &all)).starts_with("Không có thiết bị nào"));
    // A play whose end was never reported may go on until now.
    late.from = quarter_past_three().plus(-60 * MINUTE);
    late.to = None;
    assert!(answer(&ask(&[late], &all)).starts_with("Có: "));
}
