//! `/log/{shard}/…`: the evidence log as static files (C2SP tlog-tiles), for everybody.
//!
//! Only paths that the format knows reach the disk. Tiles and time stamps never change and are cached
//! for ever; a checkpoint is asked for anew each time. Open to anyone: what the log holds is what devices and
//! server said about public loudspeakers, and whoever checks it must not have to ask us.

use super::error::ApiError;
use crate::log::shard::ShardName;
use crate::log::tokens::{self, Part};
use crate::wire::tlog::Resource;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The folder of the log.
#[derive(Clone, Debug)]
pub struct LogFolder(pub Arc<PathBuf>);

/// Tiles and bundles never change.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Heads and their history do.
const ANEW: &str = "no-cache";

/// What of the log a path names: the file below its shard, its type, how long it may be kept.
fn named(rest: &str) -> Option<(PathBuf, &'static str, &'static str)> {
    if let Ok(resource) = rest.parse::<Resource>() {
        let kept = if resource.is_immutable() { FOR_EVER } else { ANEW };
        return Some((resource.to_string().into(), resource.content_type(), kept));
    }
    if let Some(name) = rest.strip_prefix("tokens/") {
        let (size, part) = tokens::parse_name(name)?;
        let path = PathBuf::from(tokens::FOLDER).join(tokens::file_name(size, part));
        let kind = match part {
            Part::Note => "text/plain; charset=utf-8",
            Part::Token => "application/octet-stream",
        };
        return Some((path, kind, FOR_EVER));
    }
    let day = rest.strip_prefix("cosigned/")?;
    let date = chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let path = PathBuf::from("cosigned").join(date.format("%Y-%m-%d").to_string());
    Some((path, "text/plain; charset=utf-8", ANEW))
}

/// Answers with a file of the log.
pub async fn get(
    State(LogFolder(folder)): State<LogFolder>,
    Path((shard, rest)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let unknown = || {
        let named: String = format!("{shard}/{rest}").chars().take(200).collect();
        ApiError::not_found("file of the log", named)
    };
    let name: ShardName = shard.parse().map_err(|_| unknown())?;
    let (below, kind, kept) = named(&rest).ok_or_else(unknown)?;
    // At most a bundle of 256 entries of 64 KiB, or a day's heads.
    let bytes = match tokio::fs::read(folder.join(name.to_string()).join(below)).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
        Err(error) => return Err(ApiError::internal(error)),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    // Anybody's page may check the log.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let open = header::HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(open, HeaderValue::from_static("cross-origin"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_format_reach_the_disk() {
        for good in [
            "checkpoint",
            "tile/0/000.p/5",
            "tile/entries/x001/234",
            "cosigned/2027-03-14",
            "tokens/7.note",
            "tokens/7.tsr",
        ] {
            assert_eq!(named(good).map(|(path, ..)| path), Some(PathBuf::from(good)));
        }
        for bad in [
            "",
            "origin",
            "tile/0/../../x",
            "../keys.json",
            "cosigned/..",
            "cosigned/2027-3-14x",
            "tokens/",
            "tokens/7.tsr.new",
            "tokens/../checkpoint",
        ] {
            assert!(named(bad).is_none(), "{bad}");
        }
        let kept = |path| named(path).map(|(_, _, kept)| kept);
        assert_eq!((kept("checkpoint"), kept("tile/1/000")), (Some(ANEW), Some(FOR_EVER)));
    }
}
