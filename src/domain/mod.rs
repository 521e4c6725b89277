//! Words and rules. PURE: no async, no files, no sockets, no clock, no randomness, no logging.
//!
//! | Word | Vietnamese | Type |
//! |---|---|---|
//! | unit | đơn vị hành chính | [`station::Unit`] |
//! | device | thiết bị | [`station::Device`] |
//! | profile | hồ sơ thiết bị | [`profile::Profile`] |
//! | asset | tệp nội dung | [`station::AssetFacts`] |
//! | item | tin, bài | [`playlist::Item`] |
//! | playlist | danh sách phát | [`playlist::Playlist`] |
//! | slot | khung giờ | [`playlist::Slot`] |
//! | occurrence | lần phát theo lịch | one nominal start of a slot |
//! | cue | lượt phát | [`timetable::sheet::Cue`] |
//! | day sheet | lịch ngày | [`timetable::sheet::DaySheet`] |
//! | timetable | lịch phát thiết bị | which day sheets a device follows |
//! | record | bản ghi bằng chứng | [`proof::record::Record`] |
//! | feed | số liệu | [`feed::Feed`] |
//! | policy | quy định phát | [`policy::Policy`] |
//! | proposal, approval | trình duyệt, duyệt phát | [`approval::Preview`] |
//! | priority | mức ưu tiên | [`playlist::Priority`] |

pub mod approval;
pub mod chunk;
pub mod feed;
pub mod fleet;
pub mod ids;
pub mod login;
pub mod playlist;
pub mod policy;
pub mod profile;
pub mod proof;
pub mod recurrence;
pub mod standby;
pub mod station;
pub mod time;
pub mod timetable;
