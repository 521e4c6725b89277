//! What hinders a device although it may answer: silent faults, found before the slot.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Its key is taken away, and it goes on talking.
    RevokedPresent,
    /// It does not know the time, or only within more than two minutes: it plays nothing.
    ClockUntrusted,
    /// Its clock may be wrong by more than half a minute.
    ClockOff,
    /// It lacks a sheet of a day that has begun or begins soon.
    SheetMissing,
    /// It lacks a clip or picture that it should play soon.
    AssetMissing,
    /// It could not sound what it played last.
    SilentOutput,
    /// It could not keep what it needs: no room is left.
    StorageFull,
    /// Hardly any room is left.
    StorageLow,
    /// Records that it told of never came.
    RecordsMissing,
    /// Its firmware is older than that of most devices like it.
    FirmwareOld,
}

impl FaultKind {
    /// All kinds, the gravest first.
    pub const ALL: [Self; 10] = [
        Self::RevokedPresent,
        Self::ClockUntrusted,
        Self::ClockOff,
        Self::SheetMissing,
        Self::AssetMissing,
        Self::SilentOutput,
        Self::StorageFull,
        Self::StorageLow,
        Self::RecordsMissing,
        Self::FirmwareOld,
    ];

    /// Returns the stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::RevokedPresent => "revoked-present",
            Self::ClockUntrusted => "clock-untrusted",
            Self::ClockOff => "clock-off",
            Self::SheetMissing => "sheet-missing",
            Self::AssetMissing => "asset-missing",
            Self::SilentOutput => "silent-output",
            Self::StorageFull => "storage-full",
            Self::StorageLow => "storage-low",
            Self::RecordsMissing => "records-missing",
            Self::FirmwareOld => "firmware-old",
        }
    }

    /// Reads the stable word.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Names it, Vietnamese and English.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::RevokedPresent => ("đã thu hồi nhưng vẫn kết nối", "revoked, still connected"),
            Self::ClockUntrusted => ("chưa có giờ tin cậy", "does not know the time"),
            Self::ClockOff => ("đồng hồ có thể lệch", "clock may be off"),
            Self::SheetMissing => ("thiếu lịch ngày", "lacks a day sheet"),
            Self::AssetMissing => ("thiếu tệp cho khung giờ sắp tới", "lacks a file due soon"),
            Self::SilentOutput => ("loa không phát ra tiếng", "output is silent"),
            Self::StorageFull => ("hết bộ nhớ", "storage is full"),
            Self::StorageLow => ("sắp hết bộ nhớ", "storage is low"),
            Self::RecordsMissing => ("thiếu bản ghi đã báo", "records never came"),
            Self::FirmwareOld => ("phần mềm cũ", "old firmware"),
        }
    }

    /// Says what to do about it, Vietnamese and English.
    pub fn remedy(self) -> (&'static str, &'static str) {
        match self {
            Self::RevokedPresent => (
                "thu hồi thiết bị hoặc tải lại danh sách mật khẩu của broker",
                "fetch the device, or let the broker read its password file again",
            ),
            Self::ClockUntrusted => (
                "kiểm tra đường truyền (giờ máy chủ), pin đồng hồ hoặc NTP của thiết bị",
                "check its line (time comes from the server), its clock's battery, or NTP",
            ),
            Self::ClockOff => (
                "kiểm tra đường truyền: thiết bị lâu chưa đồng bộ giờ",
                "check its line: it has not set its clock for long",
            ),
            Self::SheetMissing | Self::AssetMissing => (
                "kiểm tra đường truyền và bộ nhớ; máy chủ sẽ gửi lại",
                "check its line and its storage; the server sends again",
            ),
            Self::SilentOutput => (
                "kiểm tra ampli, dây loa, nguồn; chạy tự kiểm tra",
                "check amplifier, wiring, power; run a self-test",
            ),
            Self::StorageFull | Self::StorageLow => (
                "dùng hồ sơ có bộ nhớ lớn hơn hoặc giảm số tệp trong lịch",
                "fit a larger card, or schedule fewer files",
            ),
            Self::RecordsMissing => (
                "giữ thiết bị kết nối để gửi lại; xem `loa records missing`",
                "keep it connected so that it sends again; see `loa records missing`",
            ),
            Self::FirmwareOld => ("cập nhật phần mềm thiết bị", "update its firmware"),
        }
    }

    /// Says whether a cue may not sound because of it.
    pub fn stops_cues(self) -> bool {
        matches!(
            self,
            Self::ClockUntrusted | Self::SheetMissing | Self::AssetMissing | Self::SilentOutput
        )
    }
}

/// A firmware by its name and the numbers in its version: `loa 0.4.12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// What stands before the version.
    pub name: String,
    /// The numbers of the version.
    pub numbers: Vec<u64>,
}

impl Firmware {
    /// Reads what a device says; `None` where no version can be told from it.
    pub fn read(text: &str) -> Option<Self> {
        let at = text.find(|c: char| c.is_ascii_digit())?;
        let name = text[..at].trim_end_matches(['v', 'V']).trim_end().to_owned();
        let version = text[at..].split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let numbers: Option<Vec<u64>> =
            version.split('.').filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect();
        Some(Self { name, numbers: numbers.filter(|n| !n.is_empty())? })
    }

    /// Compares two of one name; `None` otherwise.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        let most = self.numbers.len().max(other.numbers.len());
        let number = |all: &[u64], at| all.get(at).copied().unwrap_or(0);
        let all = (0..most).map(|at| number(&self.numbers, at).cmp(&number(&other.numbers, at)));
        (self.name == other.name).then(|| all.fold(Ordering::Equal, Ordering::then))
    }
}

/// Returns which of the versions are older than what more than half of them run at least; with
/// fewer than three nobody is "most".
pub fn older_than_most(versions: &[Option<Firmware>]) -> Vec<bool> {
    let mut old = vec![false; versions.len()];
    let mut names: Vec<&str> = versions.iter().flatten().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let mut of: Vec<(usize, &Firmware)> = (0..)
            .zip(versions)
            .filter_map(|(at, one)| Some((at, one.as_ref().filter(|one| one.name == name)?)))
            .collect();
        if of.len() < 3 {
            continue;
        }
        of.sort_by(|a, b| a.1.compare(b.1).unwrap_or(Ordering::Equal));
        // Of sorted versions more than half are at least the lower middle one.
        let Some((_, middle)) = of.get((of.len() - 1) / 2) else { continue };
        for (at, one) in &of {
            old[*at] = one.compare(middle) == Some(Ordering::Less);
        }
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_compared_by_number_within_one_name() {
        let read = |text| Firmware::read(text).unwrap();
        let older = |a, b| read(a).compare(&read(b)) == Some(Ordering::Less);
        assert!(older("loa 0.9.2", "loa 0.10.0"));
        assert!(older("fw v1.2", "fw 1.2.1"));
        assert_eq!(read("loa 1.0").compare(&read("loa 1.0.0")), Some(Ordering::Equal));
        assert_eq!(read("loa 1").compare(&read("esp 1")), None);
        assert_eq!(Firmware::read("thử"), None);
        assert_eq!(Firmware::read("x 99999999999999999999"), None);
    }

    #[test]
    fn only_what_most_have_left_behind_is_old() {
        let all = |texts: &[&str]| -> Vec<bool> {
            older_than_most(&texts.iter().map(|text| Firmware::read(text)).collect::<Vec<_>>())
        };
        assert_eq!(all(&["a 1.0", "a 1.1", "a 1.1"]), [true, false, false]);
        assert_eq!(all(&["a 1.0", "a 1.0", "a 1.1"]), [false, false, false], "one is ahead");
        assert_eq!(all(&["a 1.0", "a 1.1"]), [false, false], "two are no fleet");
        assert_eq!(
            all(&["a 1.0", "b 2.0", "b 2.0", "", "b 1.9"]),
            [false, false, false, false, true]
        );
    }

    #[test]
    fn words_are_unique_and_read_back() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::read(kind.word()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
        assert!(FaultKind::ALL.is_sorted());
    }

    proptest! {
        #[test]
        fn never_half_of_a_fleet_is_old_and_no_text_panics(
            texts in proptest::collection::vec("[ab] [0-3](\\.[0-3])?|.{0,12}", 0..20),
        ) {
            let versions: Vec<_> = texts.iter().map(|text| Firmware::read(text)).collect();
            let old = older_than_most(&versions);
            for name in ["a", "b"] {
                let of = versions.iter().zip(&old);
                let of: Vec<_> =
                    of.filter(|(one, _)| one.as_ref().is_some_and(|one| one.name == name)).collect();
                let old = of.iter().filter(|(_, old)| **old).count();
                prop_assert!(old * 2 < of.len().max(1));
            }
        }
    }
}
