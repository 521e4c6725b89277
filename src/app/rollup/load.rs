//! Roll-ups of a period, as reports read them.

use super::{Rollup, RollupError};
use crate::app::ports::{KeptPage, KeptReach, NameKind};
use crate::domain::ids::{DeviceId, UnitId};
use crate::report::contents::{Content, ContentNo, Contents, Subject, SubjectNo};
use crate::report::period::Period;
use crate::report::places::{DeviceNo, Places, Scope, UnitNo};
use crate::report::rollup::{Broadcast, ReachKey, Rollups};
use chrono::{Datelike, NaiveDate};
use std::collections::HashMap;

/// Subjects by the names that plans and topic lists have for them.
pub type Renamed = HashMap<Subject, Subject>;

/// What reports by roll-ups are made from.
#[derive(Debug, Default)]
pub struct Loaded {
    pub contents: Contents,
    pub rollups: Rollups,
}

fn month(day: NaiveDate) -> i32 {
    day.year() * 12 + i32::try_from(day.month0()).unwrap_or(0)
}

/// Rows as kept, and the lists that their numbers point into.
struct Kept {
    pages: Vec<KeptPage>,
    reach: Vec<KeptReach>,
    contents: Vec<Content>,
    subjects: Vec<String>,
    units: Vec<Option<UnitNo>>,
    devices: Vec<Option<DeviceNo>>,
    renamed: Renamed,
}

impl Kept {
    fn load(self) -> Result<Loaded, RollupError> {
        let lost = |kind: &'static str, number: u32| RollupError::Name {
            kind,
            name: format!("number {number}"),
        };
        let mut contents = Contents::default();
        let mut numbers: Vec<Option<ContentNo>> = vec![None; self.contents.len()];
        let mut broadcasts = Vec::new();
        for page in self.pages {
            let Some(unit) = self.units.get(page.unit as usize).copied().flatten() else {
                continue;
            };
            for broadcast in page.broadcasts {
                let number = broadcast.content.0;
                let at = number as usize;
                let known = numbers.get_mut(at).ok_or_else(|| lost("content", number))?;
                let content = if let Some(content) = *known {
                    content
                } else {
                    let mut content = self.contents[at].clone();
                    if let Some(subject) = self.renamed.get(&content.subject) {
                        content.subject = subject.clone();
                    }
                    *known.insert(contents.add(content))
                };
                broadcasts.push((page.day, unit, Broadcast { content, ..broadcast }));
            }
        }
        let mut subjects: Vec<Option<SubjectNo>> = Vec::with_capacity(self.subjects.len());
        for name in self.subjects {
            let subject: Result<Subject, _> = serde_json::from_str(&name);
            let subject = subject.map_err(|_| RollupError::Name { kind: "subject", name })?;
            subjects.push(contents.find(self.renamed.get(&subject).unwrap_or(&subject)));
        }
        let mut reach = Vec::new();
        for of_month in self.reach {
            let unit = self.units.get(of_month.unit as usize).copied().flatten();
            let Some(unit) = unit else { continue };
            for (device, subject, days) in of_month.rows {
                let device = self.devices.get(device as usize).copied().flatten();
                let subject = subjects.get(subject as usize).copied();
                let subject = subject.ok_or_else(|| lost("subject", of_month.unit))?;
                // A subject of days outside the period has no content in it.
                if let (Some(device), Some(subject)) = (device, subject) {
                    reach.push((ReachKey { month: of_month.month, unit, device, subject }, days));
                }
            }
        }
        Ok(Loaded { rollups: Rollups::load(broadcasts, reach), contents })
    }
}

impl Rollup {
    /// Returns every subject that something aired has.
    pub async fn subjects(&self) -> Result<Vec<Subject>, RollupError> {
        let names = self.store.names(NameKind::Subject, 0).await?;
        let read = |name: String| {
            let subject = serde_json::from_str(&name);
            subject.map_err(|_| RollupError::Name { kind: "subject", name })
        };
        names.into_iter().map(read).collect()
    }

    /// Reads the roll-ups of a period in a scope.
    pub async fn load(
        &self,
        places: &Places,
        scope: &Scope,
        period: Period,
        renamed: Renamed,
    ) -> Result<Loaded, RollupError> {
        let store = &*self.store;
        let (first, last) = (period.first(), period.last());
        let parsed = |name: &String| UnitId::new(name.clone()).ok();
        let units = store.names(NameKind::Unit, 0).await?;
        let units = units.iter().map(|name| places.unit_no(&parsed(name)?));
        let units: Vec<Option<UnitNo>> = units.collect();
        let inside = (0_u32..).zip(&units);
        let inside = inside.filter(|(_, unit)| unit.is_some_and(|unit| scope.holds(unit)));
        let inside: Vec<u32> = inside.map(|(number, _)| number).collect();
        let pages = store.pages(first, last, Some(&inside)).await?;
        let reach = store.reach(month(first), month(last), Some(&inside)).await?;
        let device = |name: &String| places.device_no(&DeviceId::new(name.clone()).ok()?);
        let devices = store.names(NameKind::Device, 0).await?.iter().map(device).collect();
        let subjects = store.names(NameKind::Subject, 0).await?;
        let mut names = self.names.lock().await;
        names.learn(store, NameKind::Content).await?;
        let contents = names.contents.clone();
        drop(names);
        let kept = Kept { pages, reach, contents, subjects, units, devices, renamed };
        tokio::task::spawn_blocking(move || kept.load()).await?
    }
}
