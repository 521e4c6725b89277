//! What a device reads back from its disk, decodes and connects to.

use loa::audio::{Limits, decode, identify, inspect};
use loa::device::ledger::frame;
use loa::mqtt::BrokerUrl;
use std::fs::File;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest file that is decoded: enough for every kind of head.
const AUDIO_BYTES: usize = 64 * 1024;

/// Files of the ledger.
pub fn frames(bytes: &[u8]) {
    let scan = frame::scan(bytes);
    assert!(scan.good <= bytes.len());
    let mut end = 0;
    for entry in &scan.entries {
        assert!(entry.offset >= end, "frames do not overlap");
        end = entry.offset + entry.len;
        let text = std::str::from_utf8(&bytes[entry.offset..end]).expect("ASCII");
        let mut again = Vec::new();
        frame::push(&mut again, entry.seq, entry.at_ms, text);
        assert!(bytes[..end].ends_with(&again), "written by us, byte for byte");
    }
    assert_eq!(scan.good, end);
}

/// Audio files: our own reading of heads may never panic; the decoders are others', and a fall of
/// one of them must stay inside `inspect`.
pub fn audio(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(AUDIO_BYTES)];
    let mut file = tempfile::Builder::new().suffix(".mp3").tempfile().expect("a temporary file");
    file.write_all(bytes).expect("writing a temporary file");
    let mut open = File::open(file.path()).expect("it is there");
    let known = identify::identify(&mut open, bytes.len() as u64);
    if let Ok(Ok(known)) = &known {
        let _ = identify::damage(&mut open, bytes.len() as u64, known);
    }
    let limits = Limits::default();
    let found = inspect(file.path(), &limits);
    assert_eq!(found.ok, found.error.is_none());
    match (&found.measured, &found.error) {
        (Some(measured), _) => {
            assert_eq!(measured.bytes, bytes.len() as u64);
            assert!(measured.duration_ms > 0 && measured.duration_ms <= limits.max_ms);
            assert!((1..=2).contains(&measured.channels), "{} channels", measured.channels);
            assert!(measured.gain_cb.abs() < 2_000, "{}", measured.gain_cb);
            assert!(known.is_ok());
        }
        (None, Some(error)) => assert!(error.contains("; "), "a remedy: {error}"),
        (None, None) => panic!("neither figures nor a reason"),
    }
    // As the player does: join at an offset, then read on.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let Ok(mut decoder) = decode::open(file.path()) else { return };
        let _ = decoder.seek(4_410);
        for _ in 0..8 {
            match decoder.next_block() {
                Ok(Some(block)) => assert!(block.iter().all(|sample| !sample.is_infinite())),
                Ok(None) | Err(_) => break,
            }
        }
    }));
}

/// Addresses of brokers.
pub fn broker_url(bytes: &[u8]) {
    match String::from_utf8_lossy(bytes).parse::<BrokerUrl>() {
        Ok(url) => assert_eq!(url.to_string().parse(), Ok(url), "written alike"),
        Err(error) => assert!(error.to_string().len() < 700 && !error.hint().is_empty()),
    }
}
