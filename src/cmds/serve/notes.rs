//! What is refused at the start, or said on the page as long as the server runs.

use super::super::data::DataFolder;
use super::super::wrong_use;
use crate::app::live::{Alarm, Live};
use crate::config::StationConfig;
use crate::mqtt::BrokerUrl;
use std::net::SocketAddr;

/// Refuses listeners that others on the network could read, unless that was said on purpose.
pub(super) fn guard_lan(
    config: &StationConfig,
    http: SocketAddr,
    mqtt: SocketAddr,
    broker: Option<&str>,
    live: &Live,
) -> anyhow::Result<()> {
    let tls = config.listen.tls.is_some();
    let mut open = Vec::new();
    if !tls && !http.ip().is_loopback() {
        open.push(format!("http://{http}"));
    }
    match broker {
        None if !tls && !mqtt.ip().is_loopback() => open.push(format!("mqtt://{mqtt}")),
        Some(url) => {
            let url: BrokerUrl = url.parse().map_err(|error: crate::mqtt::UrlError| {
                let hint = error.hint();
                wrong_use(error, hint)
            })?;
            if !url.tls && !url.is_loopback() {
                open.push(url.to_string());
            }
        }
        None => {}
    }
    if open.is_empty() {
        return Ok(());
    }
    let open = open.join(", ");
    if !config.insecure_lan {
        return Err(wrong_use(
            format!("{open} would be readable by everybody on the network"),
            "`loa tls make NAME` makes a certificate (an external broker needs `mqtts://`); or say \
             `insecure_lan = true` in `station.toml` if the network is your own",
        ));
    }
    tracing::warn!(open, "Listening without TLS, as `insecure_lan` says");
    live.change(|picture| {
        picture.notices.push(Alarm {
            code: "insecure-lan",
            vi: format!("Kết nối không mã hoá, ai trong mạng cũng đọc được: {open}"),
            en: format!("Not encrypted, readable by everybody on the network: {open}"),
        });
    });
    Ok(())
}

/// Says what the operator should know about the settings.
pub(super) fn note_settings(data: &DataFolder, live: &Live) {
    let mut notices = Vec::new();
    if data.root_key().exists() {
        let path = data.root_key().display().to_string();
        notices.push(Alarm {
            code: "root-key",
            vi: format!("Khoá gốc vẫn nằm trên máy chủ: in ra, chép vào USB rồi xoá {path}"),
            en: format!("The root key is still on this server: print, copy, then delete `{path}`"),
        });
    }
    live.change(|picture| picture.notices.extend(notices));
}
