//! `GET /a/{sha256}`: an asset's bytes, the second way beside chunks over MQTT.
//!
//! Open to anyone who knows the hash: what a loudspeaker calls out is public, and its name is
//! found only in signed schedules. Understands one `Range`; several at once get the whole.
//! Bytes are streamed from disk in pieces of `PIECE`; the asset is never held in memory.

use super::error::ApiError;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use std::io::{self, SeekFrom};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeekExt as _, ReadBuf};

/// Most bytes read at once.
const PIECE: u64 = 64 * 1024;

/// The folder in which assets lie under their hashes.
#[derive(Clone, Debug)]
pub struct Shelf(pub Arc<PathBuf>);

/// Which part of an asset is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Range(RangeInclusive<u64>),
    /// Beyond the end.
    Nothing,
}

/// Answers with the asset or the part of it that was asked for.
pub async fn get(
    State(shelf): State<Shelf>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let digest: crate::domain::ids::Digest =
        name.parse().map_err(|e: crate::domain::ids::IdError| ApiError::invalid(&e, e.hint()))?;
    let path = shelf.0.join(digest.to_string());
    let mut file = match File::open(&path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ApiError::not_found("asset", digest));
        }
        Err(error) => return Err(ApiError::internal(error)),
    };
    let bytes = file.metadata().await.map_err(ApiError::internal)?.len();
    let etag = format!("\"{digest}\"");
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    // A range of other bytes than the client has would be worthless: then it gets the whole.
    let same = headers.get(header::IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    let part = match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if same => part(range, bytes),
        _ => Part::Whole,
    };
    let (status, first, length) = match &part {
        Part::Whole => (StatusCode::OK, 0, bytes),
        Part::Range(range) => {
            (StatusCode::PARTIAL_CONTENT, *range.start(), range.end() - range.start() + 1)
        }
        Part::Nothing => {
            let error = ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range",
                format!("the asset has {bytes} bytes"),
            );
            let whole = [(header::CONTENT_RANGE, format!("bytes */{bytes}"))];
            return Ok((whole, error).into_response());
        }
    };
    if first > 0 {
        file.seek(SeekFrom::Start(first)).await.map_err(ApiError::internal)?;
    }
    let mut response = Body::from_stream(Pieces { file, left: length }).into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let text = |text: String| HeaderValue::from_str(&text).map_err(ApiError::internal);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, text(etag)?);
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    if let Part::Range(range) = part {
        let span = format!("bytes {}-{}/{bytes}", range.start(), range.end());
        headers.insert(header::CONTENT_RANGE, text(span)?);
    }
    Ok(response)
}

/// Reads a `Range` header (RFC 9110 §14); what is not one plain range means the whole.
fn part(header: &str, bytes: u64) -> Part {
    let Some((first, last)) =
        header.strip_prefix("bytes=").and_then(|spec| spec.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Part::Whole;
    }
    let end = bytes.saturating_sub(1);
    match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (Some(first), _) if first >= bytes => Part::Nothing,
        (Some(first), None) if last.is_empty() => Part::Range(first..=end),
        (Some(first), Some(last)) if first <= last => Part::Range(first..=last.min(end)),
        (None, Some(0)) if first.is_empty() => Part::Nothing,
        (None, Some(tail)) if first.is_empty() && bytes > 0 => {
            Part::Range(bytes.saturating_sub(tail)..=end)
        }
        _ => Part::Whole,
    }
}

/// The rest of a file, piece by piece.
struct Pieces {
    file: File,
    left: u64,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let want = usize::try_from(self.left.min(PIECE)).unwrap_or(0);
        let mut bytes = vec![0; want];
        let mut buf = ReadBuf::new(&mut bytes);
        if let Err(error) = ready!(Pin::new(&mut self.file).poll_read(cx, &mut buf)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = buf.filled().len();
        if read == 0 {
            // Shorter than it was: break the connection rather than pass for whole.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        bytes.truncate(read);
        self.left -= read as u64;
        Poll::Ready(Some(Ok(bytes.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_rfc_9110_says() {
        for (header, want) in [
            ("bytes=0-0", Part::Range(0..=0)),
            ("bytes=2-4", Part::Range(2..=4)),
            ("bytes=2-", Part::Range(2..=9)),
            ("bytes=2-99", Part::Range(2..=9)),
            ("bytes=-3", Part::Range(7..=9)),
            ("bytes=-99", Part::Range(0..=9)),
            ("bytes=10-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=99999999999999999999999-", Part::Whole),
        ] {
            assert_eq!(part(header, 10), want, "{header}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Nothing);
        assert_eq!(part("bytes=-5", 0), Part::Whole);
    }
}
