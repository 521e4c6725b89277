//! What an authority states: that a file with this hash existed at this time (`TSTInfo`).

use super::algorithm::Algorithm;
use super::certificate::Extension;
use super::der::{
    BOOLEAN, DerError, Element, GENERALIZED_TIME, INTEGER, OBJECT, OCTET_STRING, SEQUENCE, context,
    context_primitive,
};
use super::oid::Oid;
use crate::domain::time::UtcMs;

/// The kind of signed content that is a statement.
pub(super) const STATEMENT: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];

/// What the authority states, not yet believed.
pub(super) struct Statement<'a> {
    pub policy: Oid,
    pub nonce: Option<&'a [u8]>,
    pub hash: Algorithm,
    pub imprint: &'a [u8],
    pub serial: &'a [u8],
    pub at: UtcMs,
    pub accuracy_ms: Option<i64>,
    /// An extension that must be understood; none is.
    pub critical: Option<Oid>,
}

impl<'a> Statement<'a> {
    /// Takes the signed content apart.
    pub fn read(content: Element<'a>) -> Result<Self, DerError> {
        let mut outer = content.reader();
        let mut inner = outer.take(SEQUENCE, "statement")?.reader();
        outer.end("statement")?;
        let version = inner.take(INTEGER, "version")?;
        if version.small("version")? != 1 {
            return Err(inner.fail("version", "is not 1"));
        }
        let policy = inner.take(OBJECT, "policy")?.oid("policy")?;
        let mut imprint = inner.take(SEQUENCE, "imprint")?.reader();
        let hash = Algorithm::read(&mut imprint, "imprint")?;
        let bytes = imprint.take(OCTET_STRING, "imprint")?.body;
        imprint.end("imprint")?;
        let serial = inner.take(INTEGER, "serial number")?.unsigned("serial number")?;
        if serial.len() > 20 {
            return Err(inner.fail("serial number", "has more than 160 bits"));
        }
        let at = inner.take(GENERALIZED_TIME, "time")?.time("time")?;
        let accuracy = inner.optional(SEQUENCE, "accuracy")?;
        let accuracy_ms = accuracy.map(accuracy_ms).transpose()?;
        inner.optional(BOOLEAN, "ordering")?.map(|b| b.boolean("ordering")).transpose()?;
        let nonce = inner.optional(INTEGER, "nonce")?;
        let nonce = nonce.map(|n| n.unsigned("nonce")).transpose()?;
        inner.optional(context(0), "authority")?;
        let mut critical = None;
        if let Some(list) = inner.optional(context(1), "extensions")? {
            let mut list = list.reader();
            while !list.is_empty() {
                let extension = Extension::read(&mut list)?;
                if extension.critical {
                    critical = Some(extension.oid);
                }
            }
        }
        inner.end("statement")?;
        Ok(Self { policy, nonce, hash, imprint: bytes, serial, at, accuracy_ms, critical })
    }
}

/// Reads an accuracy, rounded up to milliseconds.
fn accuracy_ms(accuracy: Element<'_>) -> Result<i64, DerError> {
    let mut inner = accuracy.reader();
    let seconds = inner.optional(INTEGER, "accuracy")?.map_or(Ok(0), |n| n.small("accuracy"))?;
    let mut small = |number| {
        let part = inner.optional(context_primitive(number), "accuracy")?;
        let part = part.map_or(Ok(0), |n| n.small("accuracy"))?;
        if part > 999 { Err(inner.fail("accuracy", "is out of range")) } else { Ok(part) }
    };
    let (millis, micros) = (small(0)?, small(1)?);
    inner.end("accuracy")?;
    let ms = seconds.saturating_mul(1_000).saturating_add(millis + u64::from(micros > 0));
    Ok(i64::try_from(ms).unwrap_or(i64::MAX))
}
