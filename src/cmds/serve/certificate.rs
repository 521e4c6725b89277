//! The certificate that the listeners show: renewed at the start when it is ours, watched after.

use super::super::certificates::{CHAIN, Certificates, certificate};
use super::super::data::DataFolder;
use crate::app::ca::Certificate;
use crate::app::live::{Alarm, Live};
use crate::app::registry::Reach;
use crate::clock::SharedClock;
use crate::config::StationConfig;
use crate::domain::time::UtcMs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// With fewer days left the page says so.
const WARN_DAYS: i64 = 90;
const LOOK: Duration = Duration::from_hours(6);

/// What the listeners show.
#[derive(Clone, Debug)]
pub struct InUse {
    shown: Certificate,
    own: bool,
}

/// Makes the station's own certificate anew when its end is near; returns the one in use.
pub fn prepare(
    data: &DataFolder,
    folder: &Path,
    config: &StationConfig,
    now: UtcMs,
) -> anyhow::Result<Option<InUse>> {
    let Some(tls) = &config.listen.tls else { return Ok(None) };
    let certificates = Certificates::of(data, folder);
    let own = tls.cert == CHAIN && certificates.has_authority();
    if own {
        match certificates.renew_if_due(now) {
            Ok(None) => {}
            Ok(Some(new)) => {
                tracing::info!(days = new.days_left(now), "Made the server's certificate anew");
            }
            // The one there may still hold; its end is shown on the page.
            Err(error) => tracing::error!("Failed to renew the certificate: {error:#}"),
        }
    }
    Ok(Some(InUse { shown: certificate(&folder.join(&tls.cert))?, own }))
}

/// Notes when devices or browsers would refuse the certificate because of their name for us.
pub fn note_names(in_use: &InUse, reach: &Reach, embedded: bool, live: &Live) {
    let mut hosts = Vec::new();
    hosts.extend(reach.url.strip_prefix("https://").map(host));
    if embedded {
        hosts.extend(reach.broker.strip_prefix("mqtts://").map(host));
    }
    let known = |host: &str| in_use.shown.names.iter().any(|name| covers(name, host));
    let Some(missing) = hosts.into_iter().find(|host| !known(host)) else { return };
    let remedy = if in_use.own {
        format!("loa tls renew --name {missing}")
    } else {
        "tls_cert, tls_key".to_owned()
    };
    let alarm = Alarm {
        code: "certificate-name",
        vi: format!("Chứng thư TLS không ghi tên `{missing}`, thiết bị sẽ từ chối: {remedy}"),
        en: format!("The TLS certificate does not name `{missing}`, devices will refuse: {remedy}"),
    };
    tracing::warn!(host = missing, "{}", alarm.en);
    live.change(|picture| picture.notices.push(alarm));
}

fn host(address: &str) -> &str {
    match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => address.split([':', '/']).next().unwrap_or(address),
    }
}

fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, p)| p.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// Says on the page when the end of the certificate in use comes near.
pub async fn watch(in_use: InUse, clock: SharedClock, live: Arc<Live>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        match alarm(&in_use, clock.now()) {
            Some(alarm) => live.set_alarm(alarm),
            None => live.clear_alarm("certificate"),
        }
    }
}

fn alarm(in_use: &InUse, now: UtcMs) -> Option<Alarm> {
    let days = in_use.shown.days_left(now);
    if days >= WARN_DAYS {
        return None;
    }
    let (vi, en) = if in_use.own {
        (
            "khởi động lại `loa serve`, máy chủ sẽ tự gia hạn",
            "start `loa serve` again, it renews the certificate by itself",
        )
    } else {
        (
            "thay hai tệp tls_cert, tls_key rồi khởi động lại",
            "replace the files of `tls_cert` and `tls_key`, then start again",
        )
    };
    let day = in_use.shown.until.datetime().format("%d/%m/%Y");
    Some(Alarm {
        code: "certificate",
        vi: format!("Chứng thư TLS hết hạn ngày {day} (còn {days} ngày): {vi}"),
        en: format!("The TLS certificate ends on {day} ({days} days left): {en}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::ca::Authority;

    const NOW: UtcMs = UtcMs(1_795_219_200_000);

    #[test]
    fn the_page_says_in_time_that_a_certificate_ends_and_what_to_do() {
        let chain = Authority::make("Xã", NOW).unwrap().issue(&[], NOW).unwrap().chain;
        let shown = Certificate::read(&chain).unwrap();
        let day = |n: i64| NOW.plus(n * 86_400_000);
        for own in [true, false] {
            let in_use = InUse { shown: shown.clone(), own };
            assert_eq!(alarm(&in_use, day(700)), None);
            let said = alarm(&in_use, day(750)).unwrap();
            assert_eq!(said.en.contains("by itself"), own, "{}", said.en);
            assert!(alarm(&in_use, day(900)).unwrap().en.contains("(-"));
        }
    }

    #[test]
    fn hosts_are_found_in_addresses_and_among_names() {
        assert_eq!(host("a.vn:8443"), "a.vn");
        assert_eq!(host("[fe80::1]:8883"), "fe80::1");
        assert_eq!(host("10.0.0.1"), "10.0.0.1");
        assert!(covers("*.xa.vn", "loa.xa.vn") && covers("Loa.vn", "loa.vn"));
        assert!(!covers("*.xa.vn", "xa.vn") && !covers("*.xa.vn", "a.b.xa.vn"));
    }
}
