//! The words of the page: Vietnamese first, English second.

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    Vietnamese,
    English,
}

impl Language {
    /// Reads `?lang=`; Vietnamese unless English is asked for.
    pub fn from_query(text: Option<&str>) -> Self {
        if text == Some("en") { Self::English } else { Self::Vietnamese }
    }

    /// Returns the BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Vietnamese => "vi",
            Self::English => "en",
        }
    }

    /// Chooses.
    pub fn say(self, vietnamese: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Vietnamese => vietnamese,
            Self::English => english,
        }
    }

    /// Returns the word for an outcome as records and outcomes name it.
    pub fn outcome(self, word: &str) -> &'static str {
        match word {
            "played" => self.say("đã phát", "played"),
            "partial" => self.say("phát một phần", "partial"),
            "failed" => self.say("không phát được", "failed"),
            "pre-empted" => self.say("nhường tin ưu tiên", "pre-empted"),
            "refused" => self.say("thiết bị từ chối", "refused"),
            "offline" => self.say("mất liên lạc", "offline"),
            "missing" => self.say("thiếu bản ghi", "missing"),
            "pending" => self.say("chưa đến giờ", "pending"),
            _ => self.say("không rõ", "unknown"),
        }
    }

    /// Returns the word for a kind of record.
    pub fn record_kind(self, kind: &str) -> &'static str {
        match kind {
            "start" => self.say("bắt đầu", "start"),
            "play" => self.say("phát", "play"),
            "show" => self.say("hiển thị", "show"),
            "did" => self.say("đã thực hiện lệnh", "command done"),
            "refuse" => self.say("từ chối văn bản", "refusal"),
            "boot" => self.say("khởi động", "boot"),
            "beat" => self.say("nhịp báo", "beat"),
            "clock" => self.say("chỉnh giờ", "clock"),
            "chain" => self.say("chuỗi mới", "new chain"),
            "lost" => self.say("mất bản ghi", "lost"),
            "selftest" => self.say("tự kiểm tra", "self-test"),
            _ => self.say("loại khác", "other"),
        }
    }

    /// Returns the word for a grade of evidence.
    pub fn grade(self, grade: u8) -> &'static str {
        match grade {
            0 => self.say("đã gửi", "sent"),
            1 => self.say("đã nhận", "accepted"),
            2 => self.say("thiết bị báo", "said by the device"),
            3 => self.say("đếm mẫu/khung hình", "own samples or frames"),
            4 => self.say("đo điện", "electrical"),
            5 => self.say("cảm biến của thiết bị", "own sensor"),
            6 => self.say("cảm biến độc lập", "independent sensor"),
            _ => self.say("không rõ", "unknown"),
        }
    }
}
