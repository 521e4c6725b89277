use super::*;

fn sample() -> PageView {
    PageView {
        station: "Đài truyền thanh xã Tân Hoà".into(),
        now: "21/11/2026 17:04:05".into(),
        zone: "Asia/Ho_Chi_Minh (UTC+07:00)".into(),
        build: "0.1.0".into(),
        notices: vec!["Cổng HTTP mở ra mạng nội bộ không có TLS.".into()],
        alarms: vec!["Không kết nối được máy chủ MQTT.".into()],
        notices_sent: vec![NoticeRow {
            jti: "20261121T100000Z-abc".into(),
            drill: false,
            state: "in-force".into(),
            sent: "17:02:00".into(),
            by: "lan".into(),
            reason: "Lũ <lên> nhanh".into(),
            document: "05/CĐ-UBND · UBND tỉnh".into(),
            units: "Xã Tân Hoà".into(),
            devices: 12,
            begun: 10,
            refused: 1,
            not_reached: 1,
            first_play_ms: Some(1_250),
        }],
        holds: vec![HoldRow {
            unit: "Thôn 2".into(),
            until: "18:00:00".into(),
            reason: "Quốc tang".into(),
            by: "minh".into(),
            confirmed: 3,
            devices: 5,
            lacking: vec!["Loa thôn 2".into()],
        }],
        proposed: vec![],
        more_proposed: 0,
        on_air: vec![AirRow {
            when: "17:00:00 – 17:04:30".into(),
            title: "Bản tin an toàn thông tin".into(),
            playlist: "Buổi chiều".into(),
            devices: "Loa thôn 1, Loa thôn 2".into(),
            board: false,
            priority: true,
        }],
        next: vec![],
        devices: vec![DeviceRow {
            id: "loa-thon-1".into(),
            name: "Loa <thôn> 1".into(),
            unit: "Thôn 1".into(),
            state: DeviceLight::Preparing,
            seen: "17:03:59".into(),
            remarks: vec!["còn thiếu 2 tệp".into()],
        }],
        more_devices: 3,
        records: vec![RecordRow {
            at: "17:00:00".into(),
            device: "Loa thôn 1".into(),
            kind: "play".into(),
            title: "Bản tin".into(),
            outcome: "partial".into(),
            cause: "power".into(),
            grade: Some(3),
            late: true,
        }],
        log: Some(LogRow {
            size: 1_234,
            waiting: 5,
            at: "17:04:03".into(),
            witnessed: Some((1_230, "17:04:01".into())),
            stamped: Stamped::NotAsked,
        }),
        faults: vec![FaultRow {
            place: "buoi-chieu.toml:3:5".into(),
            message: "`vol` is not a member".into(),
            hint: "`volume`".into(),
            warning: false,
            instead: "chưa có bản nào của tệp này có hiệu lực".into(),
        }],
    }
}

#[test]
fn the_page_is_as_reviewed() {
    insta::assert_snapshot!(
        render(&sample(), Language::Vietnamese).into_string().replace("><", ">\n<")
    );
}

#[test]
fn nothing_from_outside_becomes_markup_and_nothing_runs() {
    for lang in [Language::Vietnamese, Language::English] {
        let page = render(&sample(), lang).into_string();
        assert!(page.contains("Loa &lt;thôn&gt; 1"));
        for banned in ["<script", "style=", "onclick", "javascript:"] {
            assert!(!page.contains(banned), "{banned}");
        }
        assert!(page.contains("21/11/2026 17:04:05") && page.contains("Asia/Ho_Chi_Minh"));
    }
}

#[test]
fn the_last_time_stamp_stands_beside_the_log_where_an_authority_is_asked() {
    let page = |stamped: Stamped| {
        let mut view = sample();
        view.log.as_mut().unwrap().stamped = stamped;
        render(&view, Language::Vietnamese).into_string()
    };
    assert!(!page(Stamped::NotAsked).contains("ấu thời gian"));
    assert!(page(Stamped::Never).contains("Chưa có dấu thời gian nào."));
    let by = "TSA <Việt>".to_owned();
    let told = page(Stamped::At { at: "16:00:00".into(), size: 99, by });
    assert!(told.contains("Dấu thời gian mới nhất: TSA &lt;Việt&gt;, lúc 16:00:00, 99 mục."));
}

#[test]
fn each_language_says_what_is_empty() {
    let empty = PageView::default();
    let vi = render(&empty, Language::Vietnamese).into_string();
    let en = render(&empty, Language::English).into_string();
    assert!(vi.contains("Chưa có bản ghi nào.") && vi.contains("lang=\"vi\""));
    assert!(en.contains("No records yet.") && en.contains("<html lang=\"en\""));
}

#[test]
fn what_waits_is_told_with_what_sounds_near_quiet_hours_marked() {
    let change = ChangeRow {
        what: "sẽ phát lúc 20:45:00".into(),
        title: "Bản tin".into(),
        place: "khuya/a · 90001".into(),
        near_quiet: true,
    };
    let one = |files: &str, standing: &str| ProposalRow {
        hash: "0123456789ab".into(),
        files: files.into(),
        standing: standing.into(),
        units: "Xã Tân Hoà".into(),
        changes: vec![change.clone()],
        more: 3,
    };
    let proposed = vec![
        one("khuya.toml", "còn thiếu 1 người duyệt – loa approve 0123456789ab"),
        one("som.toml", "minh trả lại: sai ngày"),
    ];
    let page = PageView { proposed, ..sample() };
    let page = render(&page, Language::Vietnamese).into_string();
    for told in [
        "Chờ duyệt",
        "sẽ phát lúc 20:45:00",
        "sát giờ yên tĩnh",
        "khuya/a · 90001",
        "som.toml",
        "sai ngày",
    ] {
        assert!(page.contains(told), "{told}");
    }
}
