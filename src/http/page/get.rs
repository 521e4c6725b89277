//! Gathers what the page shows, and lets people in by a one-time link.

use super::super::auth::{COOKIE, Viewer};
use super::super::door::Peer;
use super::super::error::ApiError;
use super::super::limit::{Door, Turnstile};
use super::super::state::{AppState, Site};
use super::waiting;
use super::{
    AirRow, DeviceLight, DeviceRow, FaultRow, Language, LogRow, PageView, RecordRow, STYLE,
    Stamped, locked, render,
};
use crate::app::access;
use crate::app::air::{self, Airing};
use crate::app::live::{CutTails, Heard, Light, Live, Picture};
use crate::app::ports::{
    Enclosure, Listed, Page, RecordFilter, Registered, Store, StoredTail, TailStand,
};
use crate::clock::SharedClock;
use crate::config::{Fault, Severity};
use crate::domain::ids::DeviceId;
use crate::domain::playlist::Priority;
use crate::domain::time::UtcMs;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono_tz::Tz;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Devices listed; those that are well are left out first.
const DEVICES: usize = 200;
/// Records listed.
const RECORDS: u32 = 20;
/// Cues listed as next.
const NEXT: usize = 8;
/// How far ahead "next" looks.
const AHEAD_MS: i64 = 48 * 3_600_000;
/// Notices looked at.
const NOTICES: u32 = 10;
/// How long a notice stays on the page after its end.
const DAY_MS: i64 = 86_400_000;
/// Devices named in a row.
const NAMED: usize = 4;

/// What the address may say.
#[derive(Default, Deserialize)]
pub struct Asked {
    lang: Option<String>,
}

/// Answers with the page, or says how to get in.
pub async fn get(
    State(state): State<AppState>,
    Query(asked): Query<Asked>,
    viewer: Result<Viewer, ApiError>,
) -> Result<Response, ApiError> {
    let lang = Language::from_query(asked.lang.as_deref());
    match viewer {
        Err(error) if error.status == StatusCode::UNAUTHORIZED.as_u16() => {
            return Ok((StatusCode::UNAUTHORIZED, html(locked(lang))).into_response());
        }
        other => other?,
    };
    let filter = RecordFilter::default();
    let records = state.store.records(&filter, Page::Newest { limit: RECORDS }).await;
    let (records, unread) = match records {
        Ok(records) => (records, None),
        Err(error) => (Vec::new(), Some(ApiError::from(error))),
    };
    let now = state.clock.now();
    let mut view = view(&state.live, records, now, lang);
    let unread = orders(&state, now, &mut view).await.err().or(unread);
    view.alarms.extend(unread.map(|error| unreadable(error, lang)));
    Ok(html(render(&view, lang)))
}

/// Says that a part of the page is missing: with a damaged store people need the rest of it, and
/// its alarms, more than ever.
fn unreadable(error: ApiError, lang: Language) -> String {
    let ApiError { detail, hint, .. } = error;
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    match lang {
        Language::Vietnamese => {
            format!("Trang này thiếu một phần vì không đọc được kho dữ liệu: {detail}{hint}")
        }
        Language::English => {
            format!("A part of this page is missing, the store cannot be read: {detail}{hint}")
        }
    }
}

/// Adds what people ordered: notices of the last day, holds in force.
async fn orders(state: &AppState, now: UtcMs, view: &mut PageView) -> Result<(), ApiError> {
    for notice in state.notices.list(NOTICES).await? {
        let recent = |sent: &crate::app::ports::SentNotice| now.since(sent.exp_ms) < DAY_MS;
        if !notice.sent.as_ref().is_some_and(recent) {
            continue;
        }
        let progress = state.notices.progress(&notice).await?;
        view.notices_sent.extend(super::orders::notice_row(&notice, &progress, &state.live, now));
    }
    for hold in state.holds.newest().await?.iter().filter(|hold| hold.is_in_force(now)) {
        let devices = state.holds.devices(hold).await?;
        view.holds.push(super::orders::hold_row(hold, &devices, &state.live, now));
    }
    Ok(())
}

/// Turns a one-time link into a session.
pub async fn enter(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<SharedClock>,
    State(site): State<Site>,
    State(turnstile): State<Turnstile>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path(link): Path<String>,
) -> Result<Response, ApiError> {
    turnstile.admit(Door::LogIn, peer.ip(), clock.mono_ms())?;
    let link: String = link.chars().take(256).collect();
    let Some(session) = access::open_session(&*store, &link, clock.now()).await? else {
        turnstile.wrong(Door::LogIn, peer.ip(), clock.mono_ms());
        let lang = Language::Vietnamese;
        return Ok((StatusCode::UNAUTHORIZED, html(locked(lang))).into_response());
    };
    turnstile.right(Door::LogIn, peer.ip());
    let secure = if site.tls { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}",
        session.reveal(),
        access::SESSION_MS / 1000,
    );
    let mut response = Redirect::to("/").into_response();
    let cookie = HeaderValue::from_str(&cookie).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// The style sheet.
pub async fn style() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, STYLE).into_response()
}

fn html(markup: maud::Markup) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (kind, markup.into_string()).into_response()
}

/// Gathers what the page shows at `now`.
fn view(live: &Live, records: Vec<Listed>, now: UtcMs, lang: Language) -> PageView {
    let picture = live.picture();
    let (devices, heard) = (live.devices(), live.all_heard());
    let zone = picture.zone;
    let local = now.datetime().with_timezone(&zone);
    let air = air::due(picture.sheets(), now, now.plus(AHEAD_MS), NEXT);
    let rows = |airings: &[Airing]| -> Vec<AirRow> {
        airings.iter().map(|airing| air_row(airing, &picture, &devices, now, lang)).collect()
    };
    let say = |alarm: &crate::app::live::Alarm| match lang {
        Language::Vietnamese => alarm.vi.clone(),
        Language::English => alarm.en.clone(),
    };
    let (listed, more_devices) = device_rows(&picture, &devices, &(heard, live.tails()), now, lang);
    PageView {
        station: picture.name.clone(),
        now: local.format("%d/%m/%Y %H:%M:%S").to_string(),
        zone: format!("{} (UTC{})", zone.name(), local.format("%:z")),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        notices: picture.notices.iter().map(say).collect(),
        alarms: picture.alarms.iter().map(say).collect(),
        notices_sent: Vec::new(),
        holds: Vec::new(),
        proposed: waiting::rows(&picture, now, lang),
        more_proposed: picture.proposals.len().saturating_sub(waiting::SHOWN),
        on_air: rows(&air.now),
        next: rows(&air.next),
        devices: listed,
        more_devices,
        log: picture.log.as_ref().map(|log| LogRow {
            size: log.size,
            waiting: log.waiting,
            at: clock_text(log.at_ms, now, zone),
            witnessed: log.witnessed.map(|w| (w.size, clock_text(w.at_ms, now, zone))),
            stamped: match picture.tokens.as_ref().map(|tokens| tokens.last.as_ref()) {
                None => Stamped::NotAsked,
                Some(None) => Stamped::Never,
                Some(Some(head)) => Stamped::At {
                    at: clock_text(head.at_ms, now, zone),
                    size: head.size,
                    by: head.authority.clone(),
                },
            },
        }),
        records: records.into_iter().map(|one| record_row(one, &devices, zone, now)).collect(),
        faults: picture
            .faults
            .iter()
            .map(|fault| FaultRow {
                place: format!("{}:{}:{}", fault.file, fault.line, fault.column),
                message: fault.message.clone(),
                hint: fault.hint.clone().unwrap_or_default(),
                warning: fault.severity == Severity::Warning,
                instead: instead(fault, &picture, lang).to_owned(),
            })
            .collect(),
    }
}

/// Says what counts while a file has a fault: nothing, where nothing of it was ever approved.
fn instead(fault: &Fault, picture: &Picture, lang: Language) -> &'static str {
    if !fault.refuses {
        return "";
    }
    if picture.has_in_force(&fault.file) {
        return lang
            .say("bản có hiệu lực trước đó vẫn giữ nguyên", "what was in force before stays");
    }
    lang.say("chưa có bản nào của tệp này có hiệu lực", "no version of this file is in force")
}

/// Writes an instant as people say it: the time, with the date when it is another day.
pub(super) fn clock_text(at: UtcMs, now: UtcMs, zone: Tz) -> String {
    let (at, now) = (at.datetime().with_timezone(&zone), now.datetime().with_timezone(&zone));
    if at.date_naive() == now.date_naive() {
        at.format("%H:%M:%S").to_string()
    } else {
        at.format("%d/%m/%Y %H:%M:%S").to_string()
    }
}

type Devices = BTreeMap<DeviceId, Registered>;

fn name_of(id: &DeviceId, devices: &Devices) -> String {
    devices.get(id).map_or_else(|| id.to_string(), |known| known.device.name.clone())
}

fn air_row(
    airing: &Airing,
    picture: &Picture,
    devices: &Devices,
    now: UtcMs,
    lang: Language,
) -> AirRow {
    let playlist = airing.item.split('/').next().unwrap_or("");
    let title = picture
        .station
        .as_ref()
        .and_then(|station| station.playlists.values().find(|list| list.id.as_str() == playlist));
    let mut names: Vec<_> =
        airing.devices.iter().take(NAMED).map(|id| name_of(id, devices)).collect();
    if airing.devices.len() > NAMED {
        let more = airing.devices.len() - NAMED;
        names.push(match lang {
            Language::Vietnamese => format!("và {more} thiết bị khác"),
            Language::English => format!("and {more} more"),
        });
    }
    let end = airing.end_ms.datetime().with_timezone(&picture.zone).format("%H:%M:%S");
    AirRow {
        when: format!("{} – {end}", clock_text(airing.at_ms, now, picture.zone)),
        title: airing.title.clone(),
        playlist: title.map_or_else(|| playlist.to_owned(), |list| list.title.clone()),
        devices: names.join(", "),
        board: airing.board,
        priority: airing.priority == Priority::Priority,
    }
}

fn device_rows(
    picture: &Picture,
    devices: &Devices,
    (heard, tails): &(BTreeMap<DeviceId, Arc<Heard>>, Arc<CutTails>),
    now: UtcMs,
    lang: Language,
) -> (Vec<DeviceRow>, usize) {
    let mut ranked: Vec<_> = devices
        .values()
        .map(|known| {
            let heard = heard.get(&known.device.id).map(AsRef::as_ref);
            (Light::of(&known.standing, heard), known, heard)
        })
        .collect();
    if ranked.len() > DEVICES {
        ranked.sort_by_key(|(light, known, _)| (*light, known.device.id.clone()));
    }
    let more = ranked.len().saturating_sub(DEVICES);
    ranked.truncate(DEVICES);
    let rows = ranked.into_iter().map(|(light, known, heard)| {
        let unit = &known.device.unit;
        let named = picture.station.as_ref().and_then(|station| station.units.get(unit));
        DeviceRow {
            id: known.device.id.to_string(),
            name: known.device.name.clone(),
            unit: {
                let unit = named.map_or_else(|| unit.to_string(), |unit| unit.name.clone());
                match &known.device.behind {
                    Some(gateway) => {
                        format!("{unit} · {} {gateway}", lang.say("qua", "behind"))
                    }
                    None => unit,
                }
            },
            state: match light {
                Light::Revoked => DeviceLight::Revoked,
                Light::Lost => DeviceLight::Lost,
                Light::Silent => DeviceLight::Silent,
                Light::Preparing => DeviceLight::Preparing,
                Light::Awaiting => DeviceLight::Awaiting,
                Light::Sleeping => DeviceLight::Sleeping,
                Light::Ready => DeviceLight::Ready,
            },
            seen: heard.map_or_else(String::new, |h| clock_text(h.at_ms, now, picture.zone)),
            remarks: {
                let mut all = heard.map_or_else(Vec::new, |heard| remarks(heard, lang));
                let tails = tails.get(&known.device.id).into_iter().flatten();
                all.extend(tails.map(|tail| tail_remark(tail, (picture.zone, now), lang)));
                all
            },
        }
    });
    (rows.collect(), more)
}

/// Says what hinders a device, from its own words.
fn remarks(heard: &Heard, lang: Language) -> Vec<String> {
    let (state, mut remarks) = (&heard.state, Vec::new());
    if !state.want.is_empty() {
        let n = state.want.len();
        remarks.push(match lang {
            Language::Vietnamese => format!("còn thiếu {n} tệp"),
            Language::English => format!("lacks {n} files"),
        });
    }
    if let Some(err) = state.clock.and_then(|clock| clock.err_ms).filter(|err| *err > 30_000) {
        let s = err / 1000;
        remarks.push(match lang {
            Language::Vietnamese => format!("đồng hồ có thể lệch {s} giây"),
            Language::English => format!("clock may be {s} s off"),
        });
    }
    if let Some(pending) = state.storage.map(|s| s.pending).filter(|pending| *pending > 0) {
        remarks.push(match lang {
            Language::Vietnamese => format!("{pending} bản ghi chưa có biên nhận"),
            Language::English => format!("{pending} records without a receipt"),
        });
    }
    remarks
}

/// Says that the end of a chain never came.
fn tail_remark(tail: &StoredTail, (zone, now): (Tz, UtcMs), lang: Language) -> String {
    let StoredTail { seq, came, .. } = tail;
    let since = clock_text(tail.since_ms, now, zone);
    match (lang, tail.stand) {
        (Language::Vietnamese, TailStand::GivenUp) => {
            format!("chuỗi cũ thiếu phần cuối: báo {seq} bản ghi, nhận {came} (từ {since})")
        }
        (Language::English, TailStand::GivenUp) => {
            format!("the end of a former chain is missing: {seq} told, {came} came (since {since})")
        }
        (Language::Vietnamese, _) => {
            format!("thiếu phần cuối: báo {seq} bản ghi, nhận {came} (từ {since})")
        }
        (Language::English, _) => {
            format!("the end is missing: {seq} records told, {came} came (since {since})")
        }
    }
}

fn record_row(listed: Listed, devices: &Devices, zone: Tz, now: UtcMs) -> RecordRow {
    let late = matches!(listed.time, Enclosure::Late { .. });
    let record = listed.record;
    let claims = super::super::api::records::claims(&record.jws);
    let text = |name: &str| -> String {
        claims.get(name).and_then(|v| v.as_str()).unwrap_or("").chars().take(200).collect()
    };
    RecordRow {
        at: clock_text(record.at_ms, now, zone),
        device: name_of(&record.device, devices),
        title: text("title"),
        outcome: text("outcome"),
        cause: text("cause"),
        grade: claims
            .get("grade")
            .and_then(serde_json::Value::as_u64)
            .and_then(|g| g.try_into().ok()),
        kind: record.kind,
        late,
    }
}
