//! WAV: which encoding the format chunk names, and how much sound the data chunk promises.

use super::{End, Extent, Known, Refusal, le16, le32, read_at};
use std::fs::File;

/// What was read of the chunks.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    mark: [u8; 4],
    format: Vec<u8>,
    /// Length of the data chunk as stated; `None` when the writer left it open.
    data: Option<u64>,
    has_data: bool,
}

/// Says whether this is RIFF/WAVE or one of its kin.
pub fn is_wav(head: &[u8]) -> bool {
    matches!(head.get(..4), Some(b"RIFF" | b"RIFX" | b"RF64" | b"BW64"))
}

impl Chunks {
    /// Walks the chunks up to the data; at most 1,000 of them.
    pub fn read(file: &mut File, start: u64, bytes: u64) -> std::io::Result<Self> {
        let head = read_at(file, start, 12)?;
        let mut chunks = Self::default();
        chunks.mark.copy_from_slice(&head[..4]); // `is_wav` saw them
        if head.get(8..12) != Some(b"WAVE") {
            return Ok(chunks);
        }
        let mut at = start + 12;
        for _ in 0..1000 {
            let header = read_at(file, at, 8)?;
            let Some(len) = le32(&header, 4).map(u64::from) else { break };
            match &header[..4] {
                b"fmt " => chunks.format = read_at(file, at + 8, len.min(64) as usize)?,
                b"data" => {
                    chunks.has_data = true;
                    // Programs that write to a pipe leave 0 or the largest number behind.
                    let open = len == 0 || len >= 0xffff_fe00;
                    chunks.data = (!open).then_some(len);
                    break;
                }
                _ => {}
            }
            at = at.saturating_add(8 + len + len % 2);
            if at >= bytes {
                break;
            }
        }
        Ok(chunks)
    }
}

/// Names the encoding, or refuses it.
pub fn identify(chunks: &Chunks) -> Result<Known, Refusal> {
    let codec = |codec: &str| Err(Refusal::Codec { format: "wav", codec: codec.to_owned() });
    match &chunks.mark {
        b"RIFF" => {}
        b"RIFX" => return codec("big-endian WAV"),
        _ => return codec("RF64"),
    }
    let format = &chunks.format;
    let (Some(tag), Some(channels), Some(align), Some(bits)) =
        (le16(format, 0), le16(format, 2), le16(format, 12), le16(format, 14))
    else {
        return Err(if chunks.format.is_empty() && !chunks.has_data {
            Refusal::NotAudio { looks_like: "a RIFF file without a WAVE format" }
        } else {
            Refusal::Broken { reason: "the format chunk is missing or too short".to_owned() }
        });
    };
    // The extensible form holds the true tag in its sub-format.
    let tag = if tag == 0xfffe { le16(format, 24).unwrap_or(tag) } else { tag };
    let name = match (tag, bits) {
        (1, 8) => "pcm-u8",
        (1, 16) => "pcm-s16",
        (1, 24) => "pcm-s24",
        (1, 32) => "pcm-s32",
        (3, 32) => "pcm-f32",
        (3, 64) => "pcm-f64",
        (6, _) => "pcm-alaw",
        (7, _) => "pcm-mulaw",
        (1 | 3, _) => return codec(&format!("PCM of {bits} bits")),
        (2, _) => return codec("adpcm-ms"),
        (0x11, _) => return codec("adpcm-ima"),
        (0x31, _) => return codec("gsm 6.10"),
        (0x45 | 0x64, _) => return codec("g.726"),
        (0x50, _) => return codec("MPEG audio layer II"),
        (0x55, _) => return codec("mp3"),
        (0x160..=0x163, _) => return codec("wma"),
        (0xff | 0x1600..=0x1610, _) => return codec("aac"),
        (0x2000, _) => return codec("ac-3"),
        _ => return codec(&format!("WAVE format {tag:#06x}")),
    };
    if !(1..=2).contains(&channels) {
        return Err(Refusal::Channels { channels: channels.into() });
    }
    let promised = chunks.data.and_then(|bytes| bytes.checked_div(u64::from(align)));
    let mut warnings = Vec::new();
    if chunks.data.is_none() {
        warnings.push("the header does not say how long the clip is".to_owned());
    }
    let extent = Extent { skip: None, end: End::Decoded, promised };
    Ok(Known { format: "wav", codec: name, media_type: "audio/wav", extent, warnings })
}
