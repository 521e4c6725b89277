//! Ogg: which codec the first page carries.

use super::{Known, Refusal, plain};

/// Names the stream by its first packet.
pub fn identify(head: &[u8]) -> Result<Known, Refusal> {
    let segments = head.get(26).map_or(0, |&n| usize::from(n));
    let packet = head.get(27 + segments..).unwrap_or_default();
    const OTHERS: &[(&[u8], &str)] = &[
        (b"OpusHead", "opus"),
        (b"Speex   ", "speex"),
        (b"\x80theora", "theora"),
        (b"fishead", "skeleton"),
        (b"PCM     ", "ogg-pcm"),
        (b"\x01video", "video"),
        (b"BBCD", "dirac"),
    ];
    if packet.starts_with(b"\x01vorbis") {
        Ok(plain("ogg", "vorbis", "audio/ogg"))
    } else if packet.starts_with(b"\x7fFLAC") {
        Ok(plain("ogg", "flac", "audio/ogg"))
    } else {
        let codec = OTHERS.iter().find(|o| packet.starts_with(o.0)).map_or("unknown", |o| o.1);
        Err(Refusal::Codec { format: "ogg", codec: codec.to_owned() })
    }
}
