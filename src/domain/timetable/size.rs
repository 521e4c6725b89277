//! A cheap estimate of how many bytes a sheet takes, for warnings while somebody types. What
//! counts is the encoded sheet, which `wire` measures.

use super::sheet::{DaySheet, SheetItem};

impl DaySheet {
    /// Estimates the bytes of the encoded sheet, rather too many than too few.
    pub fn estimated_bytes(&self) -> usize {
        // Characters that JSON escapes grow; two spare bytes in a hundred cover line breaks.
        let text = |text: &str| text.len() + text.len() / 50 + 4;
        let assets: usize = self
            .assets
            .values()
            .map(|asset| 180 + text(&asset.title) + asset.media_type.len() + asset.sums.len() * 76)
            .sum();
        let items: usize = self
            .items
            .iter()
            .map(|(name, item)| {
                name.len()
                    + match item {
                        SheetItem::Clip { title, fallback, .. } => {
                            text(title) + 130 + if fallback.is_some() { 82 } else { 0 }
                        }
                        SheetItem::Pages { title, pages } => {
                            let pages = pages.iter().map(|page| {
                                let extra = [&page.colour, &page.font].into_iter().flatten();
                                90 + text(&page.text) + extra.map(|t| t.len() + 14).sum::<usize>()
                            });
                            text(title) + 50 + pages.sum::<usize>()
                        }
                        SheetItem::Unknown => 30,
                    }
            })
            .sum();
        let cues: usize = self
            .cues
            .iter()
            .map(|cue| 185 + cue.item.len() + cue.line.as_deref().map_or(4, text))
            .sum();
        160 + self.sound.len() * 48 + assets + items + cues
    }
}
