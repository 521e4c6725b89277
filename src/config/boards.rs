//! Pages on the boards that they address: what the raster says of them, with its place.
//!
//! Boards that are alike (size, colours, fonts, speed) are asked once, so that a province with
//! many profiles is checked as fast as a commune.

use super::fault::{Faults, FileRef, Place};
use super::playlist::PlacedPlaylist;
use super::problem::Problem;
use crate::domain::playlist::{Content, Item, Page};
use crate::domain::profile::{BoardProfile, Profile};
use crate::domain::time::UtcMs;
use crate::raster::review::{Finding, Weight, review};
use crate::raster::{Board, Design, Faces, Pass, Scene};
use std::collections::BTreeMap;

/// Profiles with the same board, named as people know them.
struct Alike<'a> {
    profile: &'a BoardProfile,
    named: String,
}

fn alike<'a>(profiles: &'a [(&'a Profile, String)]) -> Vec<Alike<'a>> {
    let mut found: Vec<Alike<'a>> = Vec::new();
    for (profile, devices) in profiles {
        let Some(board) = &profile.board else { continue };
        let named = format!("`{}` ({devices})", profile.id);
        match found.iter_mut().find(|alike| alike.profile == board) {
            Some(known) if known.named.len() < 200 => {
                known.named = format!("{}, {named}", known.named);
            }
            Some(_) => {}
            None => found.push(Alike { profile: board, named }),
        }
    }
    found
}

/// Notes what is wrong with the pages of a playlist on the boards that it reaches.
pub(super) fn check(
    file: FileRef<'_>,
    placed: &PlacedPlaylist,
    profiles: &[(&Profile, String)],
    faults: &Faults,
) {
    let pages = |item: &Item| matches!(item.content, Content::Pages(_));
    if !placed.playlist.items.iter().any(pages) {
        return;
    }
    let scene = Scene::at(UtcMs(0));
    for alike in alike(profiles) {
        let (board, faces) = (Board::from(alike.profile), Faces::of_profile(alike.profile));
        let mut passes = BTreeMap::new();
        for item in &placed.playlist.items {
            let Content::Pages(pages) = &item.content else { continue };
            let mut pass_ms = 0_i64;
            for (number, page) in pages.iter().enumerate() {
                let design = Design::from(page);
                pass_ms += Pass::new(&design, &board, &faces, &scene).duration_ms();
                for finding in review(&design, &board, &faces, &scene) {
                    if told_elsewhere(&finding) {
                        continue;
                    }
                    let place = placed.page_place(&item.id, number);
                    faults.add(file, place, &problem(&alike, &item.id, page, &finding));
                }
            }
            passes.insert(&item.id, pass_ms);
        }
        for slot in &placed.playlist.slots {
            let pass_ms: i64 = slot.items.iter().filter_map(|id| passes.get(id)).sum();
            if pass_ms > slot.longest_ms {
                let finding = Finding::SlotShort { pass_ms, slot_ms: slot.longest_ms };
                let place = placed.slots.get(&slot.id).copied().unwrap_or(Place::START);
                let what = format!("slot `{}`", slot.id);
                faults.add(file, place, &of(&alike, what, &finding));
            }
        }
    }
}

/// Says whether another check of the folder tells the same with its own words.
fn told_elsewhere(finding: &Finding) -> bool {
    matches!(finding, Finding::Eth { .. } | Finding::Colour { .. } | Finding::NoFont { .. })
}

fn problem(
    alike: &Alike<'_>,
    item: &dyn std::fmt::Display,
    page: &Page,
    finding: &Finding,
) -> Problem {
    let text: String = page.text.chars().filter(|c| !c.is_control()).take(24).collect();
    of(alike, format!("item `{item}`, page `{text}…`"), finding)
}

fn of(alike: &Alike<'_>, what: String, finding: &Finding) -> Problem {
    Problem::Page {
        what,
        boards: alike.named.clone(),
        says: finding.to_string(),
        hint: finding.hint(),
        refuses: finding.weight() == Weight::Refusal,
    }
}
