//! The one table of limits; both sides enforce it and the published contract prints it.
//!
//! Bytes count what is on the wire (compact JWS text, plain JSON, raw chunks).

/// Levels of nesting in any JSON document; a scalar is level 0.
pub const JSON_DEPTH: usize = 16;
/// Largest whole number, 2^53 − 1 (I-JSON); the smallest is its negative.
pub const INTEGER: i64 = (1 << 53) - 1;
/// Decoded protected header of a compact JWS.
pub const HEADER_BYTES: usize = 512;
/// Topic prefix.
pub const PREFIX_BYTES: usize = 64;
/// Any topic.
pub const TOPIC_BYTES: usize = 256;

/// Body of `keys`: the whole chain of epochs.
pub const KEYS_BYTES: usize = 65_536;
/// Epochs in the chain.
pub const EPOCHS: usize = 64;
/// One epoch as compact JWS.
pub const EPOCH_BYTES: usize = 16_384;
/// Keys of one role in one epoch.
pub const ROLE_KEYS: usize = 8;
/// Retired keys named by one epoch.
pub const RETIRED: usize = 32;
/// Revoked keys named by one epoch.
pub const REVOKED: usize = 128;
/// Policy of the evidence log in one epoch.
pub const LOG_POLICY_BYTES: usize = 4_096;

/// Timetable.
pub const TIMETABLE_BYTES: usize = 8_192;
/// Days of a timetable.
pub const DAYS: usize = 32;
/// Units of a device or of a document.
pub const UNITS: usize = 8;
/// Standby assets of a timetable.
pub const STANDBY: usize = 8;
/// Day sheet; a profile may state less.
pub const SHEET_BYTES: usize = 65_536;
/// Cues of a day sheet.
pub const CUES: usize = 1_024;
/// Items of a day sheet.
pub const ITEMS: usize = 512;
/// Assets of a day sheet.
pub const ASSETS: usize = 512;
/// Spans of `sound` in a day sheet.
pub const SOUND: usize = 32;
/// Pages of one item.
pub const PAGES: usize = 64;
/// Text of one page, in bytes of UTF-8.
pub const PAGE_TEXT_BYTES: usize = 2_000;
/// Title of an item, in bytes of UTF-8: it is copied into every record.
pub const ITEM_TITLE_BYTES: usize = 800;
/// A reason, in bytes of UTF-8.
pub const TITLE_BYTES: usize = 512;
/// An issuer, user, `jti`, cause or other word.
pub const WORD_BYTES: usize = 128;
/// Longest day, in milliseconds: 25 hours and a little for odd zones.
pub const DAY_MS: i64 = 26 * 3_600_000;
/// Correction of a start, in milliseconds, either way.
pub const TRIM_MS: i64 = 1_000;

/// List of the devices behind a gateway.
pub const BEHIND_BYTES: usize = 131_072;
/// Devices behind a gateway.
pub const BEHIND: usize = crate::domain::station::BEHIND;

/// Quiet floor.
pub const FLOOR_BYTES: usize = 2_048;
/// Command.
pub const COMMAND_BYTES: usize = 2_048;
/// Longest life of a command, `exp` − `iat`, in seconds.
pub const COMMAND_LIFE_S: i64 = 300;
/// Time answer.
pub const TIME_BYTES: usize = 1_024;
/// Receipt, with the checkpoint in it.
pub const RECEIPT_BYTES: usize = 4_096;
/// Note of a checkpoint in a receipt.
pub const CHECKPOINT_BYTES: usize = 2_560;
/// Server presence.
pub const PRESENCE_BYTES: usize = 4_096;
/// Marker of the server on `epoch`.
pub const MARKER_BYTES: usize = 256;
/// Device state.
pub const STATE_BYTES: usize = 16_384;
/// Assets or sheets named as held, or as wanted, in one state.
pub const STATE_ASSETS: usize = 128;
/// One record as compact JWS.
pub const RECORD_BYTES: usize = 8_192;
/// One batch of records.
pub const BATCH_BYTES: usize = 65_536;
/// Records of one batch.
pub const BATCH_RECORDS: usize = 512;
/// Urgent notice, drill or withdrawal.
pub const URGENT_BYTES: usize = 8_192;
/// Urgent notices, drills and withdrawals remembered at a time, each.
pub const NOTICES: usize = 16;
/// Units of an urgent notice or drill.
pub const NOTICE_UNITS: usize = 64;
/// Longest life of a notice, drill or withdrawal, `exp` − `iat`, in seconds.
pub const NOTICE_LIFE_S: i64 = 259_200;
/// How often a notice may sound.
pub const REPEATS: u32 = 100;
/// Longest silence between two repeats, in milliseconds.
pub const GAP_MS: i64 = 21_600_000;
/// Hold.
pub const HOLD_BYTES: usize = 2_048;
/// Longest silence by one hold, `until_ms` − `iat`, in milliseconds: 366 days.
pub const HOLD_MS: i64 = 31_622_400_000;

/// Chunks of one asset in either size.
pub const CHUNKS: u64 = crate::domain::chunk::MOST;
/// Largest asset: all chunks of 64 KiB.
pub const ASSET_BYTES: u64 = CHUNKS * 65_536;
/// Concatenated chunk hashes of one asset.
pub const SUMS_BYTES: usize = 131_072;
/// Topics of pieces that one device may have asked for at a time: what a broker has under way to
/// one client at once (rmqtt 16, mosquitto 20), so that nothing of it waits in a queue.
pub const CHUNK_WINDOW: usize = 16;
/// Bytes of chunks that one device may have asked for at a time: 16 of 32 KiB, 8 of 64.
pub const CHUNK_WINDOW_BYTES: usize = 524_288;
/// What an MQTT client must be ready to receive in one packet: sums, topic and head.
pub const PACKET_BYTES: usize = 139_264;

/// Value of a feed, in bytes of UTF-8.
pub const VALUE_BYTES: usize = 256;
/// Value of a feed, in characters.
pub const VALUE_CHARS: usize = 64;
/// Longest time that a value may be shown after it was measured, in seconds: a week.
pub const STALE_S: i64 = 604_800;
/// Feeds that one device follows at a time: each is a subscription.
pub const FEEDS: usize = 8;

/// Enrolment code, either form.
pub const CODE_BYTES: usize = 1_024;
/// Enrolment request.
pub const ENROL_REQUEST_BYTES: usize = 4_096;
/// Enrolment answer.
pub const ENROL_ANSWER_BYTES: usize = 131_072;

/// How far `ver` or `iat` may lie ahead of trusted time, and trusted time may move at once.
pub const AHEAD_MS: i64 = 86_400_000;
