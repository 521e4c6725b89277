//! The administrative form of a report that is sent: NĐ 30/2020/NĐ-CP, Annex I.
//!
//! Holds what the form asks for; where it stands on the page is the PDF renderer's. What is not
//! filled in stays open for a hand (number, date, signature), as on a draft.

use super::question::ReportError;
use super::words::clean;
use chrono::NaiveDate;

/// Most lines of recipients.
pub const MOST_RECIPIENTS: usize = 40;

/// Room for a hand to fill in, which lines keep.
pub const OPEN: &str = "\u{a0}\u{a0}\u{a0}\u{a0}\u{a0}\u{a0}\u{a0}";

/// What the head and foot of the paper say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// The agency above (cơ quan chủ quản), or `None`.
    pub above: Option<String>,
    /// The agency that sends (cơ quan ban hành).
    pub agency: String,
    /// The number; open for the clerk when `None`.
    pub number: Option<u32>,
    /// The symbol after the number: `BC-UBND`.
    pub symbol: String,
    /// Where it is signed (địa danh).
    pub place: String,
    /// When; open when `None`.
    pub date: Option<NaiveDate>,
    /// Whom it is addressed to (kính gửi); none for reports filed only.
    pub to: Vec<String>,
    /// What it is about (trích yếu).
    pub about: String,
    /// What it rests on (căn cứ), a sentence each.
    pub grounds: Vec<String>,
    /// Who gets it (nơi nhận), without the archive.
    pub recipients: Vec<String>,
    /// The archive (lưu): `VT, VHXH`.
    pub archive: String,
    /// On whose behalf (TM. ỦY BAN NHÂN DÂN), if any.
    pub behalf: Option<String>,
    /// The signer's office (CHỦ TỊCH).
    pub office: String,
    /// The signer's name; open when `None`.
    pub signer: Option<String>,
}

impl Letter {
    /// Makes every text fit and bounds the lists.
    pub fn checked(mut self) -> Result<Self, ReportError> {
        for (table, list) in
            [("to", &self.to), ("recipients", &self.recipients), ("grounds", &self.grounds)]
        {
            if list.len() > MOST_RECIPIENTS {
                return Err(ReportError::TooMany {
                    table,
                    what: "letter",
                    rows: list.len(),
                    most: MOST_RECIPIENTS,
                });
            }
        }
        let one = [
            &mut self.agency,
            &mut self.symbol,
            &mut self.place,
            &mut self.about,
            &mut self.archive,
            &mut self.office,
        ];
        let maybe = [&mut self.above, &mut self.behalf, &mut self.signer];
        let many = self.to.iter_mut().chain(&mut self.recipients).chain(&mut self.grounds);
        for text in one.into_iter().chain(maybe.into_iter().flatten()).chain(many) {
            *text = clean(text);
        }
        Ok(self)
    }

    /// Writes the number and symbol: `Số: 12/BC-UBND`, with room when open.
    pub fn numbered(&self) -> String {
        match self.number {
            Some(number) => format!("Số: {number:02}/{}", self.symbol),
            None => format!("Số:{}/{}", OPEN, self.symbol),
        }
    }

    /// Writes place and date: `Sơn Tịnh, ngày 05 tháng 12 năm 2026`. Days below 10 and months below
    /// 3 have a leading nought, as the annex orders.
    pub fn dated(&self, year: i32) -> String {
        use chrono::Datelike;
        match self.date {
            Some(date) => {
                let month = match date.month() {
                    month @ (1 | 2) => format!("0{month}"),
                    month => month.to_string(),
                };
                format!("{}, ngày {:02} tháng {month} năm {}", self.place, date.day(), date.year())
            }
            None => format!("{}, ngày{OPEN}tháng{OPEN}năm {year}", self.place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_date_follow_the_annex_and_stay_open_when_not_known() {
        let mut letter =
            Letter { symbol: "BC-UBND".into(), place: "Sơn Tịnh".into(), ..Letter::default() };
        assert_eq!(letter.numbered(), format!("Số:{OPEN}/BC-UBND"));
        assert_eq!(letter.dated(2026), format!("Sơn Tịnh, ngày{OPEN}tháng{OPEN}năm 2026"));
        letter.number = Some(7);
        letter.date = NaiveDate::from_ymd_opt(2027, 2, 3);
        assert_eq!(letter.numbered(), "Số: 07/BC-UBND");
        assert_eq!(letter.dated(2026), "Sơn Tịnh, ngày 03 tháng 02 năm 2027");
        letter.date = NaiveDate::from_ymd_opt(2026, 3, 15);
        assert_eq!(letter.dated(2026), "Sơn Tịnh, ngày 15 tháng 3 năm 2026");
    }

    #[test]
    fn lists_are_bounded_and_texts_made_fit() {
        let letter = Letter { agency: "UBND\u{0} xã".into(), ..Letter::default() };
        assert_eq!(letter.checked().unwrap().agency, "UBND  xã");
        let letter = Letter { recipients: vec![String::new(); 41], ..Letter::default() };
        let error = letter.checked().unwrap_err();
        assert_eq!(error.to_string(), "`41` rows in table `recipients`, a letter holds `40`");
    }
}
