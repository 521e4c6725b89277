//! Rows of evidence, read back.

use crate::app::ports::{StoreError, StoredChain, StoredReceipt, StoredRecord, Via};
use crate::store::rows::Columns;
use sqlx::sqlite::SqliteRow;

pub(super) fn via(via: Via) -> &'static str {
    match via {
        Via::Link => "link",
        Via::Import => "import",
    }
}

pub(in crate::store) fn record(row: &SqliteRow) -> Result<StoredRecord, StoreError> {
    let row = Columns::new(row, "record");
    Ok(StoredRecord {
        device: row.parse("device")?,
        chain: row.chain("chain")?,
        seq: row.int("seq")?,
        digest: row.digest("digest")?,
        prev: row.digest_option("prev")?,
        kid: row.text("kid")?,
        kind: row.text("kind")?,
        cue: row.cue_option("cue")?,
        jti: row.get("jti")?,
        at_ms: row.at("at_ms")?,
        received_ms: row.at("received_ms")?,
        via: match row.get("via")? {
            "link" => Via::Link,
            "import" => Via::Import,
            _ => return Err(row.damaged("via")),
        },
        fault: row.get("fault")?,
        jws: row.get::<&str>("jws")?.into(),
    })
}

pub(super) fn chain(row: &SqliteRow) -> Result<StoredChain, StoreError> {
    let row = Columns::new(row, "chain");
    Ok(StoredChain {
        device: row.parse("device")?,
        chain: row.chain("chain")?,
        upto: row.int("upto")?,
        head: row.digest_option("head")?,
        first_at_ms: row.at_option("first_at_ms")?,
        upto_at_ms: row.at_option("upto_at_ms")?,
        opened_ms: row.at("opened_ms")?,
        lost: row.json("lost")?,
        revision: row.get("revision")?,
    })
}

pub(super) fn receipt(row: &SqliteRow) -> Result<StoredReceipt, StoreError> {
    let row = Columns::new(row, "receipt");
    Ok(StoredReceipt {
        device: row.parse("device")?,
        chain: row.chain("chain")?,
        upto: row.int("upto")?,
        made_ms: row.at("made_ms")?,
        jws: row.get::<&str>("jws")?.into(),
    })
}
