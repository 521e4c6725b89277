//! Files on their way in: from the line to the disk piece by piece, never whole in memory.
//!
//! Whoever calls has asked for the right to send before the first piece is read.

use super::super::error::{ApiError, chain};
use super::super::state::EvidenceFiles;
use crate::app::byhand::{Brought, HandError};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use futures_core::Stream as _;
use std::fs::File;
use std::future::poll_fn;
use std::io::Write as _;
use std::pin::Pin;
use tokio::sync::mpsc;

/// Pieces that wait for the disk; then the line waits.
const WAITING: usize = 8;

fn too_large(most: u64) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", format!("more than {most} bytes"))
        .hint(format!("a file of at most {most} bytes"))
}

fn full(error: std::io::Error) -> ApiError {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded) {
        let text = "the disk is full";
        return ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", text)
            .hint("free space on the disk of `--data`; nothing was lost");
    }
    ApiError::internal(error)
}

/// Refuses at once what says itself that it is too long.
pub fn check_length(headers: &HeaderMap, most: u64) -> Result<(), ApiError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > most) { Err(too_large(most)) } else { Ok(()) }
}

/// Takes a body of at most `most` bytes in.
pub async fn receive(files: &EvidenceFiles, body: Body, most: u64) -> Result<Brought, ApiError> {
    let Ok(_turn) = files.turns.try_acquire() else {
        let text = "as many files as may be on their way at once";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", text)
            .hint("send it again in a minute")
            .retry_after(60));
    };
    let library = files.library.clone();
    let (pieces, mut waiting) = mpsc::channel::<Bytes>(WAITING);
    let writer = tokio::task::spawn_blocking(move || {
        let mut file: File = library.spool().map_err(HandError::from)?;
        while let Some(piece) = waiting.blocking_recv() {
            file.write_all(&piece).map_err(full)?;
        }
        Ok::<_, ApiError>(file)
    });
    let sent = send(body, pieces, most).await;
    let written = writer.await.map_err(ApiError::internal)?;
    sent?;
    let file = written?;
    let brought = tokio::task::spawn_blocking(move || Brought::file(file));
    brought.await.map_err(ApiError::internal)?.map_err(full)
}

/// Hands the pieces on; a writer that has given up says itself why.
async fn send(body: Body, pieces: mpsc::Sender<Bytes>, most: u64) -> Result<(), ApiError> {
    let mut stream = body.into_data_stream();
    let mut total = 0_u64;
    while let Some(piece) = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
        let piece = piece.map_err(|error| {
            ApiError::new(StatusCode::BAD_REQUEST, "broken-off", chain(&error))
                .hint("the line broke: send the file again")
        })?;
        total = total.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if total > most {
            return Err(too_large(most));
        }
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
}
