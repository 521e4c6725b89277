//! Writing a notice: what was asked for is checked, completed from the templates, and shown.

use super::{Notices, UrgentError};
use crate::app::assets::Library as _;
use crate::app::live::Light;
use crate::app::ports::{
    DocumentRef, NoticeAsset, NoticeContent, NoticeKind, Registered, Standing, StoredNotice,
};
use crate::app::trail::Actor;
use crate::audio::inspect::{Inspection, Limits, inspect};
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::profile::Profile;
use crate::domain::standby::Template;
use crate::domain::station::AssetFacts;
use crate::domain::time::UtcMs;
use crate::wire::limits;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// Largest and longest clip of a notice: it has to be on every device within moments.
pub const CLIP: Limits = Limits { max_bytes: 32 << 20, max_ms: 30 * 60_000 };

/// Shortest and longest life of a notice.
const LEAST_MS: i64 = 10_000;
const MOST_MS: i64 = limits::NOTICE_LIFE_S * 1_000;

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub kind: NoticeKind,
    pub units: Vec<UnitId>,
    pub reason: String,
    pub number: String,
    pub issuer: String,
    /// When the document came; now unless said.
    pub document_ms: Option<UtcMs>,
    /// For boards; the template's unless said.
    pub text: Option<String>,
    pub template: Option<Template>,
    /// A clip of the library, with its title for people.
    pub clip: Option<(Digest, Option<String>)>,
    pub times: u32,
    pub gap_ms: i64,
    pub volume: u8,
    pub lasts_ms: i64,
}

/// A device that a notice is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    pub device: DeviceId,
    pub name: String,
    pub unit: UnitId,
    pub light: Light,
    pub speaker: bool,
    pub board: bool,
    /// Whether it said that it holds the clip already.
    pub holds_clip: bool,
}

/// What is shown before anything goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub notice: StoredNotice,
    /// Names exactly this notice for these devices: sending asks for it.
    pub confirm: Digest,
    pub devices: Vec<Reached>,
    /// What a person should know first.
    pub warnings: Vec<String>,
}

impl Notices {
    /// Prepares a notice: keeps it and shows what it would reach. Nothing goes out.
    pub async fn prepare(&self, asked: Asked, actor: &Actor) -> Result<Preview, UrgentError> {
        let content = self.complete(&asked).await?;
        let mut random = [0; 9];
        getrandom::fill(&mut random).map_err(UrgentError::Random)?;
        let now = self.clock.now();
        let notice = StoredNotice {
            // A time first, so that topics and lists read in order.
            jti: format!(
                "{}-{}",
                now.datetime().format("%Y%m%dT%H%M%SZ"),
                crate::wire::b64::encode(&random).replace(['-', '_'], "x")
            ),
            kind: asked.kind,
            content,
            made_ms: now,
            made_by: actor.who.clone(),
            sent: None,
            withdrawn: None,
            cleared: false,
        };
        // Said as the devices would hear it, so that a refusal comes now and not when it counts.
        self.claims(&notice, now).check().map_err(UrgentError::Refused)?;
        let preview = self.preview(notice);
        if preview.devices.is_empty() {
            return Err(UrgentError::NobodyReached { units: asked.units });
        }
        let notice = &preview.notice;
        let action = format!("prepare-{}", notice.kind.as_str());
        let entry = actor.did(now, &action, &notice.jti).after(&notice.content.reason);
        self.store.put_notice(notice, &entry).await?;
        Ok(preview)
    }

    /// Shows a prepared notice again.
    pub fn preview(&self, notice: StoredNotice) -> Preview {
        let clip = notice.content.asset.as_ref().map(|asset| asset.sha256);
        let devices: Vec<Reached> = self
            .reached(&notice.content.units)
            .into_iter()
            .map(|known| self.describe(&known, clip.as_ref()))
            .collect();
        Preview {
            confirm: confirmation(&notice),
            warnings: warnings(&notice, &devices),
            notice,
            devices,
        }
    }

    /// Takes a clip in: measured, judged, kept under its hash.
    pub async fn keep_clip(&self, bytes: Bytes, title: &str) -> Result<AssetFacts, UrgentError> {
        let library = Arc::clone(&self.library);
        let facts = tokio::task::spawn_blocking(move || {
            let sha256 = Digest::of(&bytes);
            let before = library.bytes(&sha256)?;
            library.import(&mut bytes.as_ref(), CLIP.max_bytes)?;
            let facts = measured(&library.path(&sha256));
            if facts.is_err() && before.is_none() {
                // What cannot sound has no place there; left behind it would only take room.
                let _ = std::fs::remove_file(library.path(&sha256));
            }
            facts
        })
        .await??;
        let named = line("title", title, limits::TITLE_BYTES).ok();
        let title = named.unwrap_or_else(|| readable(&facts));
        Ok(AssetFacts { title, ..facts })
    }

    /// Returns the enrolled devices below the units, in order. A gateway has no output: what stands
    /// behind it is reached by itself.
    pub(super) fn reached(&self, units: &[UnitId]) -> Vec<Registered> {
        let devices = self.live.devices();
        let picture = self.live.picture();
        let gateway = |known: &Registered| {
            let station = picture.station.as_ref();
            let profile = station.and_then(|station| station.profiles.get(&known.device.profile));
            profile.is_some_and(Profile::is_gateway)
        };
        let concerned = |known: &&Registered| {
            let lineage = self.live.lineage(&known.device.unit);
            matches!(known.standing, Standing::Enrolled { .. })
                && !gateway(known)
                && units.iter().any(|unit| lineage.contains(unit))
        };
        devices.values().filter(concerned).cloned().collect()
    }

    fn describe(&self, known: &Registered, clip: Option<&Digest>) -> Reached {
        let picture = self.live.picture();
        let station = picture.station.as_ref();
        let profile = station.and_then(|station| station.profiles.get(&known.device.profile));
        let heard = self.live.heard(&known.device.id);
        Reached {
            device: known.device.id.clone(),
            name: known.device.name.clone(),
            unit: known.device.unit.clone(),
            light: Light::of(&known.standing, heard.as_deref()),
            speaker: profile.is_some_and(|profile| profile.speaker.is_some()),
            board: profile.is_some_and(|profile| profile.board.is_some()),
            holds_clip: clip
                .zip(heard.as_ref())
                .is_some_and(|(clip, heard)| heard.state.held.contains(clip)),
        }
    }

    async fn complete(&self, asked: &Asked) -> Result<NoticeContent, UrgentError> {
        let station = self.live.picture().station.clone();
        if asked.units.is_empty() {
            return Err(UrgentError::NoUnits);
        }
        let mut units = asked.units.clone();
        units.sort();
        units.dedup();
        if let Some(unit) = units.iter().find(|unit| self.live.lineage(unit).is_empty()) {
            return Err(UrgentError::Unit { unit: unit.clone() });
        }
        range("times", asked.times.into(), 1, limits::REPEATS.into())?;
        range("gap", asked.gap_ms, 0, limits::GAP_MS)?;
        range("volume", asked.volume.into(), 0, 100)?;
        range("expires", asked.lasts_ms, LEAST_MS, MOST_MS)?;
        let no_template = |template: Template| {
            let template = template.to_string();
            UrgentError::NoTemplate { template }
        };
        let standby = match (asked.template, &station) {
            (None, _) => None,
            (Some(template), None) => return Err(no_template(template)),
            (Some(template), Some(station)) => {
                let facts = station.standby_clip(template).ok_or_else(|| no_template(template))?;
                let text =
                    &station.standby.get(&template).ok_or_else(|| no_template(template))?.text;
                Some((template, facts.clone(), text.clone()))
            }
        };
        let asset = match (&standby, &asked.clip) {
            (Some(_), Some(_)) => return Err(UrgentError::TwoSounds),
            (Some((template, facts, _)), None) => {
                Some(asset(facts.clone(), None, Some(template.to_string())))
            }
            (None, Some((sha256, title))) => {
                Some(asset(self.clip(*sha256).await?, title.as_deref(), None))
            }
            (None, None) => None,
        };
        let own_text = asked.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let text = own_text.map(str::to_owned).or(standby.map(|(_, _, text)| text));
        let text = lines("text", &text.unwrap_or_default(), limits::PAGE_TEXT_BYTES)?;
        Ok(NoticeContent {
            units,
            reason: line("reason", &asked.reason, limits::TITLE_BYTES)?,
            document: DocumentRef {
                number: line("document.number", &asked.number, limits::WORD_BYTES)?,
                issuer: line("document.issuer", &asked.issuer, limits::TITLE_BYTES)?,
                at_ms: asked.document_ms.unwrap_or_else(|| self.clock.now()),
            },
            text,
            asset,
            times: asked.times,
            gap_ms: asked.gap_ms,
            volume: asked.volume,
            lasts_ms: asked.lasts_ms,
        })
    }

    /// Measures a clip of the library anew: its figures are signed, so they are not taken from
    /// whoever asks.
    async fn clip(&self, sha256: Digest) -> Result<AssetFacts, UrgentError> {
        let path = self.library.path(&sha256);
        let found = tokio::task::spawn_blocking(move || path.exists().then(|| measured(&path)));
        let facts = found.await?;
        facts.unwrap_or_else(|| Err(UrgentError::NoClip { sha256: sha256.to_string() }))
    }
}

fn measured(path: &Path) -> Result<AssetFacts, UrgentError> {
    let seen: Inspection = inspect(path, &CLIP);
    let facts = seen.facts();
    facts.ok_or_else(|| UrgentError::BadClip {
        why: seen.error.unwrap_or_else(|| "it holds no sound".to_owned()),
    })
}

/// A file of the library is called by its hash, which says nothing to people.
fn readable(facts: &AssetFacts) -> String {
    if facts.title == facts.sha256.to_string() {
        "Tin khẩn cấp".to_owned()
    } else {
        facts.title.clone()
    }
}

fn asset(facts: AssetFacts, title: Option<&str>, template: Option<String>) -> NoticeAsset {
    let mut entry = crate::domain::timetable::sheet::AssetEntry::from(&facts);
    let title = title.and_then(|title| line("title", title, limits::TITLE_BYTES).ok());
    entry.title = title.unwrap_or_else(|| readable(&facts));
    NoticeAsset { sha256: facts.sha256, entry, template }
}

/// Names what a preview showed: the notice with all it says.
pub(super) fn confirmation(notice: &StoredNotice) -> Digest {
    let said = serde_json::to_vec(&(&notice.jti, notice.kind, &notice.content));
    Digest::of(&said.expect("texts and numbers are always JSON"))
}

fn warnings(notice: &StoredNotice, devices: &[Reached]) -> Vec<String> {
    let count = |found: &dyn Fn(&Reached) -> bool| devices.iter().filter(|d| found(d)).count();
    let mut warnings = Vec::new();
    let away = count(&|device| !device.light.is_online());
    if away > 0 {
        warnings.push(format!("{away} of {} devices are not connected now", devices.len()));
    }
    let speakers = count(&|device| device.speaker);
    match &notice.content.asset {
        None if speakers > 0 => {
            warnings.push(format!("no clip: {speakers} loudspeakers stay silent"));
        }
        Some(_) => {
            let lacking = count(&|device| device.speaker && !device.holds_clip);
            if lacking > 0 {
                warnings.push(format!("{lacking} loudspeakers must fetch the clip first"));
            }
        }
        None => {}
    }
    if notice.content.volume == 0 {
        warnings.push("volume 0 is mute".to_owned());
    }
    warnings
}

fn range(member: &'static str, got: i64, least: i64, most: i64) -> Result<(), UrgentError> {
    if (least..=most).contains(&got) {
        Ok(())
    } else {
        Err(UrgentError::Range { member, got, least, most })
    }
}

/// Returns a text of one line, NFC, without control characters; refuses nothing at all.
pub(in crate::app) fn line(
    member: &'static str,
    text: &str,
    limit: usize,
) -> Result<String, UrgentError> {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    bounded(member, words.join(" "), limit)
}

/// As [`line`], keeping line breaks.
fn lines(member: &'static str, text: &str, limit: usize) -> Result<String, UrgentError> {
    let plain = |line: &str| {
        let words = line.split(|c: char| c.is_whitespace() || c.is_control());
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let all: Vec<String> = text.trim().lines().map(plain).collect();
    bounded(member, all.join("\n"), limit)
}

fn bounded(member: &'static str, text: String, limit: usize) -> Result<String, UrgentError> {
    use unicode_normalization::UnicodeNormalization as _;
    let text: String = text.nfc().collect();
    if text.is_empty() {
        return Err(UrgentError::Empty { member });
    }
    if text.len() > limit {
        return Err(UrgentError::TooLong { member, bytes: text.len(), limit });
    }
    Ok(text)
}
