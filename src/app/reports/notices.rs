//! Urgent notices of a period, with how far each device came.

use super::{Ask, Reports, ReportsError};
use crate::app::ports::{NoticeKind, Page, RecordFilter, StoredNotice};
use crate::app::urgent::{Heard, Stage};
use crate::domain::time::UtcMs;
use crate::report::places::Places;
use crate::report::urgent::{Notice, NoticeDevice, Reached};

/// Notices that are looked through, the newest.
const MOST: u32 = 10_000;
/// Records read at once.
const PAGE: u32 = 1_000;

fn reached(stage: Stage, first_play_ms: Option<i64>) -> Reached {
    match (stage, first_play_ms) {
        // What sounded before it was taken back or refused did sound.
        (_, Some(after_ms)) => Reached::Began { after_ms },
        (Stage::NotReached, None) => Reached::Not,
        (Stage::Withdrawn, None) => Reached::Withdrawn,
        (Stage::Refused, None) => Reached::Refused,
        (Stage::Received | Stage::Fetched | Stage::Started | Stage::Ended, None) => Reached::Held,
    }
}

impl Reports {
    pub(super) async fn notices(
        &self,
        ask: &Ask,
        places: &Places,
        now: UtcMs,
    ) -> Result<Vec<Notice>, ReportsError> {
        let (from, to) = ask.period.instants(ask.zone);
        let mut found = Vec::new();
        let notices = self.store().notices(MOST).await?;
        let oldest = notices.last().and_then(|notice| notice.sent.as_ref());
        if notices.len() == MOST as usize && oldest.is_none_or(|sent| from <= sent.at_ms) {
            return Err(ReportsError::TooMany { what: "notices", most: MOST as usize });
        }
        for notice in notices {
            let Some(sent) = notice.sent.clone() else { continue };
            if sent.at_ms < from || to <= sent.at_ms {
                continue;
            }
            let devices = self.devices(&notice, places, now).await?;
            found.push(Notice {
                id: notice.jti,
                reason: notice.content.reason,
                document: notice.content.document.number,
                issuer: notice.content.document.issuer,
                by: sent.by,
                sent: sent.at_ms,
                expires: sent.exp_ms,
                drill: notice.kind == NoticeKind::Drill,
                devices,
            });
        }
        Ok(found)
    }

    async fn devices(
        &self,
        notice: &StoredNotice,
        places: &Places,
        now: UtcMs,
    ) -> Result<Vec<NoticeDevice>, ReportsError> {
        let filter = RecordFilter { jti: Some(notice.jti.clone()), ..RecordFilter::default() };
        let (mut heard, mut position) = (Heard::default(), 0);
        loop {
            let page = Page::After { position, limit: PAGE };
            let listed = self.store().records(&filter, page).await?;
            for listed in &listed {
                heard.take(&listed.record);
            }
            match listed.last() {
                Some(last) if listed.len() == PAGE as usize => position = last.position,
                _ => break,
            }
        }
        let progress = heard.progress(notice, now);
        let devices = progress.devices.into_iter().filter_map(|one| {
            let device = places.device_no(&one.device)?;
            Some(NoticeDevice {
                device,
                reached: reached(one.stage, one.first_play_ms),
                why: one.why,
            })
        });
        Ok(devices.collect())
    }
}
