//! Vectors of day sheets and of the chunks of an asset.

use super::build::{DAY, edit, vector, with};
use loa::domain::chunk::{self, AssetHasher, ChunkSize};
use loa::domain::ids::{CueId, Digest};
use loa::domain::playlist::{Page, Priority};
use loa::domain::time::{Span, UtcMs};
use loa::domain::timetable::sheet::{AssetEntry, Cue, DaySheet, SheetItem};
use loa::wire::sheet;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn clip() -> Vec<u8> {
    (0..70_000_u32).map(|n| (n * 7 + n / 256).to_le_bytes()[0]).collect()
}

pub fn asset() -> (Digest, AssetEntry) {
    let mut hasher = AssetHasher::new(&ChunkSize::ALL);
    hasher.update(&clip());
    let name = hasher.finish();
    let entry = AssetEntry {
        bytes: name.bytes,
        media_type: "audio/mpeg".to_owned(),
        ms: 4_375,
        gain_cb: -12,
        lufs_cb: -148,
        sums: name.sums,
        title: "Cảnh giác lừa đảo trên mạng".to_owned(),
    };
    (name.sha256, entry)
}

fn cue(item: &str, at: i64, ms: i64, k: u32) -> Cue {
    let (playlist, item_id) = item.split_once('/').unwrap();
    let at_ms = UtcMs(DAY + at);
    Cue {
        id: CueId::derive(
            &playlist.parse().unwrap(),
            &"sang".parse().unwrap(),
            UtcMs(DAY + 5 * 3_600_000),
            &item_id.parse().unwrap(),
            k,
        ),
        at_ms,
        end_ms: at_ms.plus(ms),
        priority: Priority::Routine,
        item: item.to_owned(),
        volume: 80,
        fade_ms: 1_500,
        line: Some("III.2".to_owned()),
        approval: None,
    }
}

pub fn day_sheet() -> DaySheet {
    const FIVE: i64 = 5 * 3_600_000;
    let (sha256, entry) = asset();
    let page = |text: &str| Page { colour: Some("red".to_owned()), ..Page::still(text, 6_000) };
    let text = |title: &str, text: &str| SheetItem::Pages {
        title: title.to_owned(),
        pages: vec![page(text)],
    };
    DaySheet {
        v: 1,
        from_ms: UtcMs(DAY),
        to_ms: UtcMs(DAY + 86_400_000),
        sound: vec![
            Span::new(UtcMs(DAY + FIVE), UtcMs(DAY + 6 * 3_600_000)).unwrap(),
            Span::new(UtcMs(DAY + 17 * 3_600_000), UtcMs(DAY + 18 * 3_600_000)).unwrap(),
        ],
        assets: BTreeMap::from([(sha256, entry)]),
        items: BTreeMap::from([
            (
                "an-toan/lua-dao".to_owned(),
                SheetItem::Clip {
                    title: "Cảnh giác lừa đảo trên mạng".to_owned(),
                    asset: sha256,
                    fallback: None,
                },
            ),
            ("cong-xa/chao".to_owned(), text("Lời chào", "UBND xã Tân Lập\nkính chào quý khách")),
            ("cong-xa/otp".to_owned(), text("Mã OTP", "Không đưa mã OTP cho bất kỳ ai")),
        ]),
        cues: vec![
            cue("an-toan/lua-dao", FIVE, 4_375, 0),
            cue("cong-xa/chao", FIVE, 3_600_000, 0),
            cue("cong-xa/otp", FIVE, 3_600_000, 0),
            cue("an-toan/lua-dao", FIVE + 4_375, 4_375, 1),
        ],
    }
}

pub fn sheets() -> Value {
    let (bytes, digest) = sheet::encode(&day_sheet());
    let text = String::from_utf8(bytes).unwrap();
    let good = with(
        vector("sheet", "accept", &text, "a morning: two plays of a clip, a rotation of two texts"),
        "sha256",
        digest.to_string(),
    );
    let changed = |name: &str, expect: &str, from: &str, to: &str, why: &str| {
        let text = edit(&text, from, to);
        let sha256 = Digest::of(text.as_bytes()).to_string();
        with(vector(name, expect, &text, why), "sha256", sha256)
    };
    let unknown = |name: &str, from: &str, to: &str, items: &[&str], why: &str| {
        with(changed(name, "accept", from, to, why), "unsupported_items", items)
    };
    let at = |ms: i64| format!(r#""at_ms":{}"#, DAY + ms);
    let five = 5 * 3_600_000;
    let (sha256, _) = asset();
    let vectors = vec![
        with(good.clone(), "unsupported_items", json!([])),
        with(with(good.clone(), "name", "other-name"), "sha256", Digest::of(b"other").to_string()),
        with(with(good.clone(), "name", "one-byte-more"), "body", format!("{text} ")),
        with(with(good, "name", "small-device"), "limit", 1_000),
        unknown(
            "unknown-kind",
            r#"{"kind":"clip""#,
            r#"{"kind":"stream","url":"x""#,
            &["an-toan/lua-dao"],
            "its cues fail as `unsupported`, the others are shown",
        ),
        unknown(
            "unknown-effect",
            r#""effect":"still""#,
            r#""effect":"explode""#,
            &["cong-xa/chao"],
            "a page this version cannot show",
        ),
        unknown(
            "frames",
            r#""text":"Không đưa mã OTP cho bất kỳ ai","align":"centre","effect":"still""#,
            r#""frames":"x""#,
            &["cong-xa/otp"],
            "a page of unknown kind",
        ),
        unknown(
            "short-asset-name",
            &format!(r#""asset":"{sha256}""#),
            r#""asset":"00""#,
            &["an-toan/lua-dao"],
            "an item that cannot be read",
        ),
        unknown(
            "unknown-member",
            r#""v":1"#,
            r#""v":1,"mood":1"#,
            &[],
            "unknown members are ignored",
        ),
        changed("version-2", "unsupported", r#""v":1"#, r#""v":2"#, "another version of the sheet"),
        changed("twice", "json", r#""v":1"#, r#""v":1,"v":1"#, "a member stands twice"),
        changed("fraction", "json", r#""volume":80"#, r#""volume":80.5"#, "numbers are whole"),
        changed("volume-101", "content", r#""volume":80"#, r#""volume":101"#, "a volume above 100"),
        changed(
            "no-such-item",
            "content",
            r#""item":"an-toan/lua-dao""#,
            r#""item":"an-toan/khac""#,
            "a cue names an item that is not there",
        ),
        changed(
            "not-described",
            "content",
            &format!(r#""assets":{{"{sha256}""#),
            &format!(r#""assets":{{"{}""#, "0".repeat(64)),
            "an asset that the sheet does not describe",
        ),
        changed("not-sorted", "content", &at(five), &at(five + 1), "cues are sorted"),
        changed("overlap", "content", &at(five + 4_375), &at(five + 4_374), "two clips at a time"),
        changed(
            "outside-the-day",
            "content",
            &format!(r#""to_ms":{},"sound""#, DAY + 86_400_000),
            &format!(r#""to_ms":{},"sound""#, DAY + five),
            "a cue stands in the sheet in which it starts",
        ),
        changed(
            "sound-empty",
            "member",
            &format!(r#""to_ms":{}"#, DAY + 6 * 3_600_000),
            &format!(r#""to_ms":{}"#, DAY + five),
            "a span without length",
        ),
        changed("short-id", "member", &day_sheet().cues[0].id.to_string(), "00", "32 digits"),
        with(
            vector("long", "limit", &" ".repeat(65_537), "more than 65,536 bytes"),
            "sha256",
            Digest::of(" ".repeat(65_537).as_bytes()).to_string(),
        ),
        with(
            vector("empty", "empty", "", "an empty body never changes anything"),
            "sha256",
            Digest::of(b"").to_string(),
        ),
    ];
    let expects = [("other-name", "hash"), ("one-byte-more", "hash"), ("small-device", "limit")];
    let vectors: Vec<Value> = vectors
        .into_iter()
        .map(|v| match expects.iter().find(|(name, _)| v["name"] == *name) {
            Some((_, expect)) => with(v, "expect", *expect),
            None => v,
        })
        .collect();
    json!({
        "note": "Day sheets as they arrive; `sha256` is the name by which the timetable asked. \
                 `limit` is what the device's profile states, 65,536 when absent.",
        "given": {},
        "vectors": vectors,
    })
}

pub fn chunks() -> Value {
    let (sha256, entry) = asset();
    let mut vectors = Vec::new();
    for size in ChunkSize::ALL {
        let kib = size.kib();
        let sums = chunk::concat(&chunk::hashes(&clip(), size));
        let mut name = |name: &str, expect: &str, sums: &[u8], why: &str| {
            vectors.push(with(
                with(vector(&format!("sums-{kib}-{name}"), expect, &hex(sums), why), "kib", kib),
                "kind",
                "sums",
            ));
        };
        name("good", "accept", &sums, "the hashes of all chunks");
        name("short", "hash", &sums[32..], "one hash is missing");
        name("empty", "empty", b"", "an empty body never changes anything");
        let mut swapped = sums.clone();
        swapped.rotate_left(32);
        name("swapped", "hash", &swapped, "another order");
        for (n, piece) in clip().chunks(size.bytes()).enumerate() {
            let mut chunk = |name: String, expect: &str, piece: &[u8], why: &str| {
                let vector = vector(&name, expect, &Digest::of(piece).to_string(), why);
                let vector = with(with(vector, "kib", kib), "kind", "chunk");
                vectors.push(with(with(vector, "n", n), "from", n * size.bytes()));
            };
            chunk(
                format!("chunk-{kib}-{n}"),
                "accept",
                piece,
                "`body` is the SHA-256 of the piece",
            );
        }
    }
    json!({
        "note": "An asset of 70,000 bytes; byte n is (7 n + floor(n / 256)) mod 256. \
                 Bodies of `sums` are in hexadecimal; of chunks only the SHA-256 is shown.",
        "given": {"sha256": sha256.to_string(), "asset": serde_json::to_value(&entry).unwrap()},
        "vectors": vectors,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|part| {
            let mut full = [0; 32];
            full[..part.len()].copy_from_slice(part);
            Digest(full).to_string()[..part.len() * 2].to_owned()
        })
        .collect()
}
