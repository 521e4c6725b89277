//! The certificate that the listeners show: renewed in time when it is ours, and taken over anew
//! whenever its files change, while everything that is connected stays connected.

use super::super::certificates::{CHAIN, Certificates, certificate};
use super::super::data::DataFolder;
use super::front;
use super::side::ShowAnew;
use crate::app::ca::Certificate;
use crate::app::live::{Alarm, Live};
use crate::app::registry::Reach;
use crate::clock::SharedClock;
use crate::config::StationConfig;
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use crate::http::ShownCertificate;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// With fewer days left the page says so.
const WARN_DAYS: i64 = 90;
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often its end is looked at.
const ENDS_MS: i64 = 6 * 3_600_000;

/// What the listeners show.
#[derive(Debug)]
pub struct InUse {
    chain: PathBuf,
    key: PathBuf,
    certificates: Certificates,
    shown: Certificate,
    own: bool,
    /// Of both files together.
    files: Digest,
    https: Arc<ShownCertificate>,
}

/// What changes with the certificate.
pub struct Follow {
    pub live: Arc<Live>,
    pub clock: SharedClock,
    /// Lets the embedded broker show the new one.
    pub show_anew: ShowAnew,
    /// Notes for whom the certificate has no name, and what devices pin from now on.
    pub tell: Box<dyn Fn(&InUse) + Send>,
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
        renew_if_due(&certificates, now);
    }
    let (chain, key) = (folder.join(&tls.cert), folder.join(&tls.key));
    let files = files(&chain, &key);
    let https = Arc::new(ShownCertificate::new(front::certified(&chain, &key)?));
    let shown = certificate(&chain)?;
    Ok(Some(InUse { chain, key, certificates, shown, own, files, https }))
}

fn renew_if_due(certificates: &Certificates, now: UtcMs) {
    match certificates.renew_if_due(now) {
        Ok(None) => {}
        Ok(Some(new)) => {
            tracing::info!(days = new.days_left(now), "Made the server's certificate anew");
        }
        // The one there may still hold; its end is shown on the page.
        Err(error) => tracing::error!("Failed to renew the certificate: {error:#}"),
    }
}

fn files(chain: &Path, key: &Path) -> Digest {
    let read = |path| zeroize::Zeroizing::new(std::fs::read(path).unwrap_or_default());
    let both = [Digest::of(&read(chain)).0, Digest::of(&read(key)).0].concat();
    Digest::of(&both)
}

impl InUse {
    /// Returns what HTTPS shows.
    pub fn https(&self) -> Arc<ShownCertificate> {
        Arc::clone(&self.https)
    }

    /// Takes over what lies in the files now.
    fn take_over(&mut self) -> anyhow::Result<()> {
        let files = files(&self.chain, &self.key);
        let certified = front::certified(&self.chain, &self.key)?;
        self.shown = certificate(&self.chain)?;
        self.https.replace(certified);
        self.files = files;
        Ok(())
    }
}

/// Notes when devices or browsers would refuse the certificate because of their name for us.
pub fn note_names(in_use: &InUse, reach: &Reach, embedded: bool, live: &Live) {
    let mut hosts = Vec::new();
    hosts.extend(reach.url.strip_prefix("https://").map(host));
    if embedded {
        hosts.extend(reach.broker.strip_prefix("mqtts://").map(host));
    }
    let known = |host: &str| in_use.shown.names.iter().any(|name| covers(name, host));
    live.change(|picture| picture.notices.retain(|notice| notice.code != "certificate-name"));
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

/// Follows the files, renews what is ours, and says on the page when an end comes near.
pub async fn watch(mut in_use: InUse, follow: Follow, stop: CancellationToken) {
    let Follow { live, clock, show_anew, tell } = follow;
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ends_at = i64::MIN;
    // The broker may fail to open its listener for a moment: tried again at each look.
    let mut behind = false;
    let mut refused = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let mono = clock.mono_ms();
        let look = mono >= ends_at;
        if look {
            ends_at = mono.saturating_add(ENDS_MS);
        }
        let now = clock.now();
        let seen = tokio::task::spawn_blocking(move || {
            if look && in_use.own {
                renew_if_due(&in_use.certificates, now);
            }
            let seen = files(&in_use.chain, &in_use.key);
            (in_use, seen)
        });
        let Ok((same, seen)) = seen.await else { return };
        in_use = same;
        let changed = seen != in_use.files;
        if changed {
            match in_use.take_over() {
                Ok(()) => {
                    let days = in_use.shown.days_left(clock.now());
                    tracing::info!(days, "Showing the changed certificate from now on");
                    live.clear_alarm("certificate-files");
                    tell(&in_use);
                    (behind, refused) = (true, None);
                }
                // Key and chain are written one after the other: said when it stays like that.
                Err(error) if refused == Some(seen) => {
                    live.set_alarm(unusable(&error));
                }
                Err(error) => {
                    tracing::debug!("The changed certificate is no pair yet: {error:#}");
                    refused = Some(seen);
                }
            }
        }
        if !changed && refused.take().is_some() {
            live.clear_alarm("certificate-files");
        }
        if behind {
            match show_anew().await {
                Ok(()) => behind = false,
                Err(error) => tracing::error!("The broker does not listen: {error:#}"),
            }
        }
        if changed || look {
            match alarm(&in_use, clock.now()) {
                Some(alarm) => live.set_alarm(alarm),
                None => live.clear_alarm("certificate"),
            }
        }
    }
}

fn unusable(error: &anyhow::Error) -> Alarm {
    Alarm {
        code: "certificate-files",
        vi: format!("Chứng thư TLS mới không dùng được, máy chủ vẫn dùng bản cũ: {error:#}"),
        en: format!("The new TLS certificate is of no use, the old one is still shown: {error:#}"),
    }
}

fn alarm(in_use: &InUse, now: UtcMs) -> Option<Alarm> {
    ends(&in_use.shown, in_use.own, now)
}

fn ends(shown: &Certificate, own: bool, now: UtcMs) -> Option<Alarm> {
    let days = shown.days_left(now);
    if days >= WARN_DAYS {
        return None;
    }
    let (vi, en) = if own {
        ("máy chủ chưa tự gia hạn được, xem nhật ký", "the server failed to renew it, see its log")
    } else {
        (
            "thay hai tệp tls_cert, tls_key, máy chủ tự dùng ngay",
            "replace the files of `tls_cert` and `tls_key`, the server takes them over by itself",
        )
    };
    let day = shown.until.datetime().format("%d/%m/%Y");
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
            assert_eq!(ends(&shown, own, day(700)), None);
            let said = ends(&shown, own, day(750)).unwrap();
            assert_eq!(said.en.contains("see its log"), own, "{}", said.en);
            assert!(ends(&shown, own, day(900)).unwrap().en.contains("(-"));
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

    #[test]
    fn a_pair_that_does_not_fit_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
        let authority = Authority::make("Xã", NOW).unwrap();
        let [first, second] = [0, 1].map(|n| authority.issue(&[], NOW.plus(n)).unwrap());
        let put = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        put(&chain, &first.chain);
        put(&key, &first.key);
        let mut in_use = InUse {
            chain: chain.clone(),
            key: key.clone(),
            certificates: Certificates::of(&DataFolder::at(dir.path()), dir.path()),
            shown: certificate(&chain).unwrap(),
            own: false,
            files: files(&chain, &key),
            https: Arc::new(ShownCertificate::new(front::certified(&chain, &key).unwrap())),
        };
        put(&key, &second.key);
        let before = in_use.files;
        let error = in_use.take_over().unwrap_err();
        assert_eq!(in_use.files, before);
        assert!(format!("{error:#}").contains("chain.pem"), "{error:#}");
        put(&chain, &second.chain);
        in_use.take_over().unwrap();
        assert_ne!(in_use.files, before);
    }
}
