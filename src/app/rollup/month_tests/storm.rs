//! An urgent notice to the whole province, and a drill: who began and when, who did not.

use super::*;
use crate::app::ports::{DocumentRef, NoticeContent, NoticeKind, SentNotice, StoredNotice};

/// 14:00.
const SENT: i64 = 840;

fn did(jti: &str, result: &str) -> Body {
    Body::Did { jti: jti.into(), what: "urgent".into(), result: result.into() }
}

fn sounded(jti: &str, from: UtcMs) -> Body {
    let Body::Play(play) = played(CueId([0; 16]), from) else { unreachable!() };
    Body::Play(Play {
        subject: Subject::Notice { jti: jti.into() },
        item: "khan".into(),
        title: "Bão số 12".into(),
        ..play
    })
}

impl Month {
    /// Sends a notice to all devices; what each of them says goes in ten minutes later.
    async fn notify(
        &mut self,
        jti: &str,
        kind: NoticeKind,
        n: u32,
        says: impl Fn(usize, u32, u32) -> Option<(i64, Body)>,
    ) {
        let sent_ms = at(n, SENT);
        self.clock.set(sent_ms);
        let document = DocumentRef {
            number: format!("{n}/CĐ-UBND"),
            issuer: "UBND tỉnh".into(),
            at_ms: sent_ms,
        };
        let content = NoticeContent {
            units: vec!["51".parse().unwrap()],
            reason: "Bão số 12".into(),
            document,
            text: "Bão số 12".into(),
            asset: None,
            times: 1,
            gap_ms: 0,
            volume: 100,
            lasts_ms: 60 * MINUTE,
        };
        let notice = StoredNotice {
            jti: jti.into(),
            kind,
            content,
            made_ms: sent_ms,
            made_by: "lan".into(),
            sent: None,
            withdrawn: None,
            cleared: false,
        };
        let sent = SentNotice {
            at_ms: sent_ms,
            by: "minh".into(),
            exp_ms: sent_ms.plus(60 * MINUTE),
            jws: format!("{jti}.b.c").into(),
            reached: self.signers.iter().map(|(.., signer)| signer.id.clone()).collect(),
        };
        let entry = Actor::new("minh", "10.0.0.7").did(sent_ms, "send-urgent", jti);
        self.store.put_notice(&notice, &entry).await.unwrap();
        self.store.send_notice(jti, &sent, &[], &entry).await.unwrap();
        let mut arrived = Vec::new();
        for (index, (commune, no, signer)) in self.signers.iter_mut().enumerate() {
            let Some((after_ms, body)) = says(index, *commune, *no) else { continue };
            sign(signer, sent_ms.plus(after_ms), body);
            arrived.push(signer.raw(&signer.lines[signer.lines.len() - 1]));
        }
        self.clock.set(sent_ms.plus(10 * MINUTE));
        self.ingest.take(&arrived).await.unwrap();
    }

    /// Two of Bình An have no line, one of Sơn Mỹ is dead, one holds the notice and does not begin,
    /// one cannot play it; 35 begin, each a fifth of a second after the one before.
    pub(super) async fn storm(&mut self) {
        let silent = |commune, no| matches!((commune, no), (1, 1 | 2) | (3, 1));
        let other = |commune, no| matches!((commune, no), (2, 14) | (3, 2));
        let before: Vec<usize> = places()
            .iter()
            .scan(0, |began, (commune, no)| {
                let now = *began;
                *began += usize::from(!silent(*commune, *no) && !other(*commune, *no));
                Some(now)
            })
            .collect();
        let says = |index: usize, commune: u32, no: u32| {
            let after_ms = 4_000 + 200 * i64::try_from(before[index]).unwrap();
            match (commune, no) {
                _ if silent(commune, no) => None,
                (2, 14) => Some((3_000, did("n-bao", "unsupported"))),
                (3, 2) => Some((3_000, did("n-bao", "received"))),
                _ => Some((after_ms, sounded("n-bao", at(20, SENT).plus(after_ms)))),
            }
        };
        self.notify("n-bao", NoticeKind::Urgent, 20, says).await;
    }

    /// All answer but the dead one.
    pub(super) async fn drill(&mut self) {
        let says =
            |_, commune, no| ((commune, no) != (3, 1)).then(|| (2_000, did("n-tap", "ready")));
        self.notify("n-tap", NoticeKind::Drill, 21, says).await;
    }
}

/// Returns the counts and, in tenths of a second, the times of each notice.
fn told(made: &Made) -> Vec<(Vec<String>, Vec<Option<String>>)> {
    let mut book = Xlsx::new(Cursor::new(made.rendered.bytes.clone())).unwrap();
    let range = book.worksheet_range("Thông báo khẩn đã gửi").unwrap();
    let rows =
        range.rows().filter(|row| row.iter().any(|cell| *cell == Data::String("Bão số 12".into())));
    let tenths = |cell: &Data| match cell {
        Data::DateTime(at) => Some(format!("{:.0}", at.as_f64() * 864_000.0)),
        Data::Float(days) => Some(format!("{:.0}", days * 864_000.0)),
        _ => None,
    };
    rows.map(|row| {
        let texts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(|at| row[at].to_string());
        (texts.to_vec(), row[11..15].iter().map(tenths).collect())
    })
    .collect()
}

pub(super) async fn is_told(month: &Month) {
    let made = month.make(ReportKind::Urgent, "51", Format::Xlsx).await;
    let row = |document: &str, mode: &str, began: u64, rest: [&str; 4]| -> Vec<String> {
        let share = share(began, 40);
        let head = [document, "UBND tỉnh", "Bão số 12", "minh", mode, &share];
        head.into_iter().chain(rest).map(str::to_owned).collect()
    };
    let storm = row("20/CĐ-UBND", "phát thật", 35, ["1", "1", "0", "3"]);
    let drill = row("21/CĐ-UBND", "diễn tập", 0, ["39", "0", "0", "1"]);
    // First, half (the 18th), 90 % (the 32nd) and last of 35.
    let times = ["40", "74", "102", "108"].map(|tenths| Some(tenths.to_owned())).to_vec();
    assert_eq!(told(&made), [(storm, times), (drill, vec![None; 4])]);

    let missed = sheet(&made, "Thiết bị chưa phát");
    let cells = |row: &Vec<String>| [2, 3, 5].map(|at| row[at].clone());
    let missed: Vec<_> = missed.iter().filter(|row| row[0] == "20/CĐ-UBND").map(cells).collect();
    let row =
        |commune: &str, device: &str, state: &str| [commune, device, state].map(str::to_owned);
    assert_eq!(
        missed,
        [
            row("Xã Bình An", "loa-1-01", "không liên lạc được"),
            row("Xã Bình An", "loa-1-02", "không liên lạc được"),
            row("Xã Sơn Mỹ", "loa-2-14", "từ chối"),
            row("Xã Sơn Mỹ", "loa-3-01", "không liên lạc được"),
            row("Xã Sơn Mỹ", "loa-3-02", "đã nhận, chưa phát"),
        ]
    );

    // The same notice in the diary of the commune that two became.
    let diary = month.make(ReportKind::Diary, "10003", Format::Xlsx).await;
    let rows = sheet(&diary, "Thông báo khẩn đã gửi");
    let began: Vec<_> = rows.iter().filter(|row| row[1].ends_with("/CĐ-UBND")).collect();
    assert_eq!((began.len(), &began[0][6], &began[1][6]), (2, &share(23, 26), &share(0, 26)));
}
