//! What ingest says of real files: good, foreign, damaged and hostile ones.

use crate::support::clips::{Clips, FRAMES, by_ffmpeg, likeness};
use loa::audio::decode::{self, Decoder};
use loa::audio::{Inspection, Limits, inspect};
use loa::domain::ids::Digest;
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use unicode_normalization::UnicodeNormalization as _;

fn seen(path: &Path) -> Inspection {
    inspect(path, &Limits::default())
}

fn refused(path: &Path) -> String {
    let seen = seen(path);
    assert!(!seen.ok, "{seen:?}");
    seen.error.unwrap()
}

fn all(decoder: &mut Decoder) -> Vec<f32> {
    let mut samples = Vec::new();
    while let Some(block) = decoder.next_block().unwrap() {
        samples.extend_from_slice(block);
    }
    samples
}

/// Name, how ffmpeg makes it, format, codec, media type.
const GOOD: &[(&str, &str, &str, &str, &str)] = &[
    ("cbr.mp3", "-c:a libmp3lame -b:a 128k", "mp3", "mp3", "audio/mpeg"),
    ("vbr.mp3", "-c:a libmp3lame -q:a 4", "mp3", "mp3", "audio/mpeg"),
    ("thấp.mp3", "-c:a libmp3lame -ar 11025 -ac 1", "mp3", "mp3", "audio/mpeg"),
    ("a.m4a", "-c:a aac -b:a 128k", "m4a", "aac-lc", "audio/mp4"),
    ("mono.m4a", "-c:a aac -ac 1 -ar 22050", "m4a", "aac-lc", "audio/mp4"),
    ("fast.m4a", "-c:a aac -movflags +faststart", "m4a", "aac-lc", "audio/mp4"),
    ("a.aac", "-c:a aac", "aac", "aac-lc", "audio/aac"),
    ("a.flac", "-c:a flac", "flac", "flac", "audio/flac"),
    ("s24.flac", "-c:a flac -sample_fmt s32", "flac", "flac", "audio/flac"),
    ("a.ogg", "-c:a libvorbis", "ogg", "vorbis", "audio/ogg"),
    ("mono.ogg", "-c:a libvorbis -ac 1 -ar 16000", "ogg", "vorbis", "audio/ogg"),
    ("s16.wav", "-c:a pcm_s16le", "wav", "pcm-s16", "audio/wav"),
    ("s24.wav", "-c:a pcm_s24le", "wav", "pcm-s24", "audio/wav"),
    ("s32.wav", "-c:a pcm_s32le", "wav", "pcm-s32", "audio/wav"),
    ("f32.wav", "-c:a pcm_f32le", "wav", "pcm-f32", "audio/wav"),
    ("f64.wav", "-c:a pcm_f64le", "wav", "pcm-f64", "audio/wav"),
    ("u8.wav", "-c:a pcm_u8 -ar 37800", "wav", "pcm-u8", "audio/wav"),
    ("lạ.wav", "-c:a pcm_s16le -ar 44056 -ac 1", "wav", "pcm-s16", "audio/wav"),
    ("alaw.wav", "-c:a pcm_alaw -ar 8000 -ac 1", "wav", "pcm-alaw", "audio/wav"),
];

#[expect(clippy::cast_possible_truncation, reason = "decibels")]
fn tenths(db: f64) -> i64 {
    (db * 10.0).round() as i64
}

#[test]
fn every_format_is_named_and_decoded_like_ffmpeg_does() {
    let clips = Clips::new();
    for &(name, options, format, codec, media_type) in GOOD {
        let path = clips.make(name, options);
        let seen = seen(&path);
        assert!(seen.ok && seen.warnings.is_empty(), "{name}: {seen:?}");
        let facts = seen.facts().unwrap();
        let sizes: Vec<&str> = facts.sums.keys().map(String::as_str).collect();
        assert_eq!(sizes, ["16", "32", "64"], "whatever size of chunk a profile names");
        let measured = seen.measured.unwrap();
        assert_eq!((&*measured.format, &*measured.codec), (format, codec), "{name}");
        assert_eq!(facts.media_type, media_type, "{name}");
        assert_eq!(facts.sha256, Digest::of(&std::fs::read(&path).unwrap()), "{name}");

        let mut decoder = decode::open(&path).unwrap();
        let ours = all(&mut decoder);
        let theirs = by_ffmpeg(&path);
        // Nobody may guess where a raw stream's encoder delay ends; all others say it.
        if name != "a.aac" {
            let frames = ours.len() / decoder.channels();
            // ffmpeg of this age leaves the padding of AAC at the end.
            let padding = if format == "m4a" { 1024 * decoder.channels() } else { 0 };
            let lengths = ours.len()..=ours.len() + padding;
            assert!(lengths.contains(&theirs.len()), "{name}: {frames} frames");
            let ms = (frames as u64 * 1000).div_ceil(u64::from(decoder.rate_hz()));
            assert_eq!(facts.ms, ms.cast_signed(), "{name}");
        }
        let likeness = likeness(&ours, &theirs);
        assert!(likeness > 0.999, "{name}: {likeness}");
    }
}

#[test]
fn encoder_delay_and_padding_are_cut_to_the_frame() {
    let clips = Clips::new();
    let source = all(&mut decode::open(&clips.path("source.wav")).unwrap());
    assert_eq!(source.len() as u64, FRAMES * 2);
    for &(name, options, ..) in &GOOD[..10] {
        if options.contains("-ar") || name == "a.aac" {
            continue;
        }
        let decoded = all(&mut decode::open(&clips.make(name, options)).unwrap());
        assert_eq!(decoded.len(), source.len(), "{name}");
        // A shift of a single frame would show: the tones turn fast.
        let (here, shifted) = (likeness(&decoded, &source), likeness(&decoded[2..], &source));
        assert!(here > 0.99 && here > shifted, "{name}: {here} {shifted}");
    }
}

/// Adds the box in which iTunes says delay, padding and length, and hides the edit list.
fn with_gapless_tag(m4a: &[u8], delay: u64, frames: u64) -> Vec<u8> {
    let atom = |kind: &[u8; 4], body: &[u8]| {
        let mut atom = u32::try_from(body.len() + 8).unwrap().to_be_bytes().to_vec();
        atom.extend(kind);
        atom.extend(body);
        atom
    };
    let text = format!(" 00000000 {delay:08X} 00000000 {frames:016X} 00000000");
    let mut data = vec![0, 0, 0, 1, 0, 0, 0, 0];
    data.extend(text.as_bytes());
    let parts = [
        atom(b"mean", b"\0\0\0\0com.apple.iTunes"),
        atom(b"name", b"\0\0\0\0iTunSMPB"),
        atom(b"data", &data),
    ];
    let tag = atom(b"----", &parts.concat());
    let mut bytes = m4a.to_vec();
    let find =
        |bytes: &[u8], kind: &[u8; 4]| bytes.windows(4).rposition(|w| w == kind).unwrap() - 4;
    let size = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let ilst = find(&bytes, b"ilst");
    let end = ilst + size(&bytes, ilst) as usize;
    for kind in [b"moov", b"udta", b"meta", b"ilst"] {
        let at = find(&bytes, kind);
        let larger = size(&bytes, at) + u32::try_from(tag.len()).unwrap();
        bytes[at..at + 4].copy_from_slice(&larger.to_be_bytes());
    }
    bytes.splice(end..end, tag);
    let edits = find(&bytes, b"edts");
    bytes[edits + 4..edits + 8].copy_from_slice(b"free");
    bytes
}

#[test]
fn an_itunes_gapless_tag_is_obeyed() {
    let clips = Clips::new();
    let bytes = std::fs::read(clips.make("a.m4a", "-c:a aac -b:a 128k")).unwrap();
    let path = clips.write("tagged.m4a", &with_gapless_tag(&bytes, 1024, FRAMES));
    let tagged = all(&mut decode::open(&path).unwrap());
    assert_eq!(tagged.len() as u64, FRAMES * 2);
    assert_eq!(tagged, all(&mut decode::open(&clips.path("a.m4a")).unwrap()));
}

#[test]
fn starting_in_the_middle_gives_the_same_samples_as_decoding_from_the_front() {
    let clips = Clips::new();
    clips.make("long.wav", "-af aloop=loop=11:size=145531");
    for &(name, options, ..) in GOOD.iter().step_by(2) {
        let path = clips.make_of("long.wav", name, options);
        let mut whole = decode::open(&path).unwrap();
        let (channels, rate) = (whole.channels(), whole.rate_hz() as usize);
        let whole = all(&mut whole);
        for second in [0, 7, 38] {
            let mut decoder = decode::open(&path).unwrap();
            let frame = second * rate + 17;
            decoder.seek(frame as u64).unwrap();
            let rest = all(&mut decoder);
            let wanted = &whole[frame * channels..];
            assert_eq!(rest.len(), wanted.len(), "{name} from {second} s");
            let likeness = likeness(&rest, wanted);
            assert!(likeness > 0.9999, "{name} from {second} s: {likeness}");
        }
        let mut decoder = decode::open(&path).unwrap();
        decoder.seek(1 << 40).unwrap();
        assert!(decoder.next_block().unwrap().is_none(), "{name}: nothing lies beyond the end");
    }
}

#[test]
fn loudness_range_and_peak_agree_with_ffmpeg() {
    let clips = Clips::new();
    clips.make("long.wav", "-af aloop=loop=29:size=145531,volume='0.3+0.25*sin(t/5)':eval=frame");
    for name in ["source.wav", "long.wav"] {
        let output = Command::new("ffmpeg")
            .args(["-nostdin", "-hide_banner", "-i"])
            .arg(clips.path(name))
            .args(["-af", "ebur128=peak=true", "-f", "null", "-"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let summary = &text[text.rfind("Summary:").unwrap()..];
        let figure = |label: &str| {
            let rest = &summary[summary.find(label).unwrap() + label.len()..];
            rest.split_whitespace().next().unwrap().parse::<f64>().unwrap()
        };
        let ours = seen(&clips.path(name)).measured.unwrap();
        let near = |ours: Option<f64>, theirs: f64| (ours.unwrap() - theirs).abs() <= 0.2;
        assert!(near(ours.integrated_lufs, figure("I:")), "{name}: {ours:?} {summary}");
        assert!(near(ours.true_peak_dbtp, figure("Peak:")), "{name}: {ours:?} {summary}");
        if name == "long.wav" {
            // ffmpeg looks ten times a second, the norm once.
            let range = ours.loudness_range_lu.unwrap() - figure("LRA:");
            assert!(range.abs() <= 0.1 * figure("LRA:"), "{name}: {range} {summary}");
        }
    }
}

#[test]
fn gain_reaches_the_target_or_stops_below_the_ceiling() {
    let clips = Clips::new();
    let quiet = seen(&clips.make("quiet.wav", "-af volume=-20dB")).measured.unwrap();
    let wanted = tenths(-16.0 - quiet.integrated_lufs.unwrap());
    assert!(quiet.gain_cb.abs_diff(wanted) <= 1, "{quiet:?}");
    // One loud click in a quiet clip: the ceiling decides.
    let mut bytes = std::fs::read(clips.path("quiet.wav")).unwrap();
    let at = bytes.len() / 4 * 2;
    bytes[at..at + 2].copy_from_slice(&29_000i16.to_le_bytes());
    let peaky = seen(&clips.write("peaky.wav", &bytes)).measured.unwrap();
    let peak = peaky.true_peak_dbtp.unwrap() + peaky.gain_cb as f64 / 10.0;
    assert!((-1.11..=-1.0 + 0.006).contains(&peak), "{peaky:?}");
    assert!(peaky.gain_cb < wanted - 30);
}

#[test]
fn silence_at_both_ends_and_the_peak_curve_are_told() {
    let clips = Clips::new();
    let path = clips.make("padded.flac", "-af adelay=1500:all=1,apad=pad_dur=0.7");
    let measured = seen(&path).measured.unwrap();
    assert!((1_495..=1_506).contains(&measured.silence_head_ms), "{measured:?}");
    assert!((695..=706).contains(&measured.silence_tail_ms), "{measured:?}");
    let peaks = measured.peaks.unwrap();
    assert_eq!(peaks.len(), 1000);
    assert!(peaks[..270].iter().all(|&p| p < 0.001) && peaks[300] > 0.05);
    assert!(
        peaks[885..].iter().all(|&p| p < 0.001) && peaks.iter().all(|p| (0.0..=1.0).contains(p))
    );
}

#[test]
fn foreign_codecs_are_refused_by_name_with_a_remedy() {
    let clips = Clips::new();
    let foreign = [
        ("a.opus", "-c:a libopus", "opus"),
        ("b.ogg", "-c:a libopus", "opus"),
        ("a.webm", "-c:a libopus", "opus"),
        ("opus.mp4", "-c:a libopus -f mp4", "opus"),
        ("a.wma", "-c:a wmav2", "wma v2"),
        ("b.wma", "-c:a wmav1", "wma v1"),
        ("speex.ogg", "-c:a libspeex -ar 16000 -ac 1", "speex"),
        ("a.mp2", "-c:a mp2", "layer II"),
        ("alac.m4a", "-c:a alac", "alac"),
        ("mp3.mp4", "-c:a libmp3lame -f mp4", "mp3"),
        ("a.ac3", "-c:a ac3", "ac-3"),
        ("a.aiff", "", "aiff"),
        ("a.caf", "", "Core Audio"),
        ("a.au", "", "Sun"),
        ("a.wv", "", "wavpack"),
        ("a.tta", "", "True Audio"),
        ("a.ts", "-c:a aac -f mpegts", "transport stream"),
        ("a.mkv", "-c:a libvorbis", "vorbis"),
        ("adpcm.wav", "-c:a adpcm_ms", "adpcm-ms"),
        ("ima.wav", "-c:a adpcm_ima_wav", "adpcm-ima"),
        ("mp3.wav", "-c:a libmp3lame -f wav", "mp3"),
    ];
    for (name, options, codec) in foreign {
        let path = clips.make(name, options);
        let error = refused(&path);
        assert!(error.contains(codec) && error.contains("--convert"), "{name}: {error}");
        // A name that lies changes nothing.
        let lying = clips.path("bản tin.mp3");
        std::fs::rename(&path, &lying).unwrap();
        assert_eq!(refused(&lying), error, "{name}");
    }
    // No encoder for these is at hand: their heads are enough to know them.
    for (bytes, codec) in [("#!AMR\n", "amr-nb"), ("#!AMR-WB\n", "amr-wb")] {
        let mut head = bytes.as_bytes().to_vec();
        head.resize(2_000, 0x3c);
        let error = refused(&clips.write("a.amr", &head));
        assert!(error.contains(codec) && error.contains("--convert"), "{error}");
    }
}

/// Puts a fill element that carries band replication before the end of each frame of a raw AAC
/// stream, as encoders of HE-AAC do when they announce it nowhere else.
fn with_sbr(adts: &[u8]) -> Vec<u8> {
    let (mut at, mut out) = (0, Vec::new());
    while at + 7 <= adts.len() {
        let header = &adts[at..at + 7];
        let len = usize::from(header[3] & 3) << 11
            | usize::from(header[4]) << 3
            | usize::from(header[5] >> 5);
        let body = &adts[at + 7..at + len];
        let mut bits: Vec<bool> =
            body.iter().flat_map(|b| (0..8).rev().map(move |n| b >> n & 1 == 1)).collect();
        // The end mark is the last thing that is not zero.
        let end = bits.iter().rposition(|&bit| bit).unwrap() + 1 - 3;
        bits.truncate(end);
        let mut push = |value: u32, count: u32| {
            bits.extend((0..count).rev().map(|n| value >> n & 1 == 1));
        };
        push(6, 3);
        push(7, 4);
        push(13, 4);
        push(0x0a5_a5a5, 28);
        push(0x00f_f0f0, 24);
        push(7, 3);
        bits.resize(bits.len().next_multiple_of(8), false);
        let body: Vec<u8> =
            bits.chunks(8).map(|b| b.iter().fold(0, |n, &bit| n << 1 | u8::from(bit))).collect();
        let new = body.len() + 7;
        let mut header = header.to_vec();
        header[3] = header[3] & !3 | u8::try_from(new >> 11).unwrap();
        header[4] = u8::try_from(new >> 3 & 0xff).unwrap();
        header[5] = header[5] & 0x1f | u8::try_from((new & 7) << 5).unwrap();
        out.extend(header);
        out.extend(body);
        at += len;
    }
    out
}

#[test]
fn he_aac_is_known_however_it_is_signalled() {
    let clips = Clips::new();
    // Not announced at all: a core at half the rate with fill elements.
    let plain = clips.make("plain.aac", "-c:a aac -ar 22050");
    assert!(seen(&plain).ok);
    let implicit = with_sbr(&std::fs::read(&plain).unwrap());
    let path = clips.write("implicit.aac", &implicit);
    assert!(refused(&path).contains("he-aac"));
    let path = clips.make_of("implicit.aac", "implicit.m4a", "-c copy -bsf:a aac_adtstoasc");
    assert!(refused(&path).contains("he-aac"), "{}", refused(&path));
    assert!(seen(&clips.make_of("plain.aac", "plain.m4a", "-c copy -bsf:a aac_adtstoasc")).ok);

    // Announced behind the configuration (a sync word), or in it.
    let bytes = std::fs::read(clips.make("lc.m4a", "-c:a aac -ar 22050")).unwrap();
    let config = bytes.windows(3).position(|w| w == [0x56, 0xe5, 0x00]).unwrap();
    let mut behind = bytes.clone();
    behind[config + 2] = 0x80;
    assert!(refused(&clips.write("behind.m4a", &behind)).contains("he-aac"));
    let mut explicit = bytes.clone();
    explicit[config - 2..config + 3].copy_from_slice(&[0x2b, 0x92, 0x08, 0x00, 0x00]);
    assert!(refused(&clips.write("explicit.m4a", &explicit)).contains("he-aac"));
    let mut v2 = bytes;
    v2[config - 2..config + 3].copy_from_slice(&[0xeb, 0x8a, 0x08, 0x00, 0x00]);
    assert!(refused(&clips.write("v2.m4a", &v2)).contains("he-aac v2"));
}

#[test]
fn low_rates_of_plain_aac_are_not_taken_for_he_aac() {
    let clips = Clips::new();
    for rate in [8_000, 11_025, 12_000, 16_000, 22_050, 24_000] {
        for bitrate in ["12k", "24k", "48k", "96k"] {
            let options = format!("-c:a aac -ar {rate} -ac 1 -b:a {bitrate}");
            for name in ["low.m4a", "low.aac"] {
                let seen = seen(&clips.make(name, &options));
                assert!(seen.ok, "{name} {options}: {seen:?}");
            }
        }
    }
}

#[test]
fn what_is_no_clip_is_refused_with_its_reason() {
    let clips = Clips::new();
    let good = std::fs::read(clips.make("good.mp3", "-c:a libmp3lame")).unwrap();
    let silent = "-af volume=0";
    let cases = [
        (clips.path("không có.mp3"), "cannot be read"),
        (clips.path("."), "not a file"),
        (clips.write("empty.mp3", b""), "empty"),
        (clips.write("text.mp3", "Kính thưa bà con".repeat(500).as_bytes()), "text"),
        (clips.write("zero.mp3", &vec![0; 50_000]), "zeros"),
        (clips.write("page.mp3", b"<!DOCTYPE html><html></html>"), "web page"),
        (clips.write("doc.mp3", b"%PDF-1.7 and so on"), "PDF"),
        (clips.write("tags.mp3", b"ID3\x04\0\0\0\0\0\x0a0123456789"), "nothing follows"),
        (clips.make("silent.flac", silent), "silence only"),
        (clips.make("six.wav", "-ac 6"), "6 channels"),
        (clips.write("cut.mp3", &good[..good.len() / 3]), "truncated beyond use"),
    ];
    for (path, reason) in cases {
        let error = refused(&path);
        assert!(error.contains(reason) && error.contains("; "), "{}: {error}", path.display());
    }
    for (name, options) in [("a.wav", ""), ("a.flac", ""), ("a.m4a", "-c:a aac")] {
        let bytes = std::fs::read(clips.make(name, options)).unwrap();
        let error = refused(&clips.write(name, &bytes[..bytes.len() / 3]));
        assert!(error.contains("truncated"), "{name}: {error}");
    }
    let path = clips.write("good.mp3", &good);
    let limits = |max_bytes, max_ms| Limits { max_bytes, max_ms };
    let error = inspect(&path, &limits(1000, 60_000)).error.unwrap();
    assert!(error.contains("more than the 1000 allowed"), "{error}");
    let error = inspect(&path, &limits(1 << 30, 1_000)).error.unwrap();
    assert!(error.contains("longer than the 1000 ms"), "{error}");
}

#[test]
fn damage_that_can_be_skipped_is_a_warning_that_says_where() {
    let clips = Clips::new();
    clips.make("long.wav", "-af aloop=loop=2:size=145531");
    for (name, options) in [
        ("a.mp3", "-c:a libmp3lame -b:a 128k"),
        ("a.m4a", "-c:a aac"),
        ("a.flac", "-c:a flac"),
        ("a.ogg", "-c:a libvorbis"),
    ] {
        let path = clips.make_of("long.wav", name, options);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() / 2;
        for (n, byte) in bytes[at..at + 3_000].iter_mut().enumerate() {
            *byte = u8::try_from(n * 89 % 251).unwrap();
        }
        let seen = seen(&clips.write(name, &bytes));
        assert!(seen.ok, "{name}: {seen:?}");
        // Half of ten seconds, give or take what a format loses until it is back in step.
        let told = seen.warnings.iter().any(|w| w.contains("0:04.") || w.contains("0:05."));
        assert!(told, "{name}: {:?}", seen.warnings);
    }
    // The last second is missing: usable, and said.
    let bytes = std::fs::read(clips.make_of("long.wav", "b.flac", "")).unwrap();
    let seen = seen(&clips.write("b.flac", &bytes[..bytes.len() * 9 / 10]));
    assert!(seen.ok && seen.warnings.iter().any(|w| w.contains("promises 0:09.")), "{seen:?}");
}

#[test]
fn vietnamese_names_and_titles_come_out_composed() {
    let clips = Clips::new();
    let composed = "Bản tin phường Đống Đa";
    let apart: String = composed.nfd().collect();
    assert_ne!(composed, apart);
    for (name, title) in [(composed.to_owned(), composed.to_owned()), (apart.clone(), apart)] {
        for ending in ["mp3", "m4a", "flac", "ogg"] {
            let file = format!("{name}.{ending}");
            let path = clips.path(&file);
            let made = Command::new("ffmpeg")
                .args(["-nostdin", "-loglevel", "error", "-y", "-i"])
                .arg(clips.path("source.wav"))
                .args([
                    "-c:a",
                    match ending {
                        "mp3" => "libmp3lame",
                        "m4a" => "aac",
                        "ogg" => "libvorbis",
                        _ => "flac",
                    },
                ])
                .args(["-metadata", &format!("title={title}")])
                .arg(&path)
                .status()
                .unwrap();
            assert!(made.success());
            let facts = seen(&path).facts().unwrap();
            assert_eq!(facts.title, composed, "{ending}");
        }
        let path = clips.make(&format!("{name}.wav"), "-map_metadata -1");
        assert_eq!(seen(&path).facts().unwrap().title, composed, "the name without its ending");
    }
}

#[test]
fn a_large_picture_in_the_tags_is_passed_over() {
    let clips = Clips::new();
    let sound = std::fs::read(clips.make("a.mp3", "-c:a libmp3lame -id3v2_version 0")).unwrap();
    let mut picture = b"\0image/jpeg\0\x03\0".to_vec();
    // Bytes that look like frames of MPEG audio all along.
    picture.extend([0xff, 0xfb, 0x90, 0x44, 0, 0, 0, 0].repeat(800_000));
    let synchsafe = |n: usize| [21, 14, 7, 0].map(|shift| u8::try_from(n >> shift & 0x7f).unwrap());
    let mut title = b"\x03".to_vec();
    title.extend("Tin sáng".as_bytes());
    let mut frames = Vec::new();
    for (id, body) in [(b"TIT2", &title), (b"APIC", &picture)] {
        frames.extend(id);
        frames.extend(synchsafe(body.len()));
        frames.extend([0, 0]);
        frames.extend(body);
    }
    let mut bytes = b"ID3\x04\0\0".to_vec();
    bytes.extend(synchsafe(frames.len()));
    bytes.extend(frames);
    bytes.extend(&sound);
    let plain = seen(&clips.path("a.mp3")).facts().unwrap();
    let seen = seen(&clips.write("big.mp3", &bytes));
    let facts = seen.facts().unwrap_or_else(|| panic!("{seen:?}"));
    assert_eq!((facts.ms, facts.gain_cb), (plain.ms, plain.gain_cb));
    assert_eq!(facts.title, "Tin sáng");
}

#[test]
fn the_command_prints_what_the_contract_says() {
    let clips = Clips::new();
    let good = clips.make("tốt.mp3", "-c:a libmp3lame");
    let bad = clips.write("hỏng.mp3", b"");
    let run = |args: &[&std::ffi::OsStr]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_loa")).arg("inspect").args(args).output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), json)
    };
    let json_flag = "--json".as_ref();
    let (code, json) = run(&[good.as_os_str(), json_flag]);
    assert_eq!(code, Some(0));
    let members: Vec<&str> = json[0].as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = vec![
        "file",
        "ok",
        "warnings",
        "sha256",
        "bytes",
        "format",
        "codec",
        "channels",
        "sample_rate_hz",
        "duration_ms",
        "integrated_lufs",
        "loudness_range_lu",
        "true_peak_dbtp",
        "silence_head_ms",
        "silence_tail_ms",
        "gain_cb",
    ];
    let mut members_sorted = members.clone();
    members_sorted.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(members_sorted, wanted);
    let (code, json) = run(&[good.as_os_str(), bad.as_os_str(), json_flag, "--peaks".as_ref()]);
    assert_eq!(code, Some(1));
    assert_eq!(json[0]["peaks"].as_array().unwrap().len(), 1000);
    assert_eq!(json[1]["ok"], false);
    assert!(json[1]["error"].as_str().unwrap().contains("empty"));
    assert_eq!(json[1]["warnings"], Value::Array(Vec::new()));
}

#[test]
fn a_foreign_file_is_converted_and_both_hashes_are_kept() {
    let clips = Clips::new();
    let opus = clips.make("cũ.opus", "-c:a libopus");
    for out in ["mới.mp3", "mới.m4a", "mới.flac", "mới.ogg", "mới.wav"] {
        let out = clips.path(out);
        let output = Command::new(env!("CARGO_BIN_EXE_loa"))
            .args(["inspect", "--json", "--convert"])
            .args([&out, &opus])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let digest = |path| Digest::of(&std::fs::read(path).unwrap()).to_string();
        assert_eq!(json[0]["sha256"], digest(&opus));
        assert_eq!(json[0]["codec"], "opus");
        assert_eq!(json[0]["converted"]["sha256"], digest(&out));
        assert_eq!(json[0]["converted"]["file"].as_str().unwrap(), out.to_str().unwrap());
        assert!(seen(&out).ok, "{}", out.display());
    }
    // Several files go to a folder; a good one stays as it is.
    let good = clips.make("tốt.mp3", "-c:a libmp3lame");
    let folder = clips.path("ra/đây");
    let output = Command::new(env!("CARGO_BIN_EXE_loa"))
        .args(["inspect", "--json", "--convert"])
        .args([&folder, &opus, &good])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let names: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["cũ.mp3"]);
}

#[test]
fn hostile_bytes_are_answered_and_never_panic() {
    let clips = Clips::new();
    clips.make("short.wav", "-t 0.4");
    let files: Vec<Vec<u8>> = GOOD
        .iter()
        .map(|&(name, options, ..)| {
            std::fs::read(clips.make_of("short.wav", name, options)).unwrap()
        })
        .collect();
    let broken = clips.path("broken.bin");
    let strategy = (
        0..files.len(),
        proptest::option::of(0usize..1_000),
        proptest::collection::vec((0usize..1_000_000, any::<u8>()), 0..40),
        proptest::collection::vec((0usize..200, any::<u8>()), 0..6),
    );
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) };
    proptest!(config, |((file, cut, flips, head_flips) in strategy)| {
        let mut bytes = files[file].clone();
        for (place, value) in flips {
            let at = (bytes.len() - 1) * place / 1_000_000;
            bytes[at] ^= value;
        }
        // Headers are short and hold all sizes: they get their share of flips.
        for (at, value) in head_flips {
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= value;
        }
        if let Some(cut) = cut {
            bytes.truncate(bytes.len() * cut / 1_000);
        }
        std::fs::write(&broken, &bytes).unwrap();
        let seen = seen(&broken);
        prop_assert_eq!(seen.ok, seen.error.is_none());
        prop_assert!(seen.error.is_none_or(|error| !error.contains("gave up")));

    });
}
