//! Pages on the boards that they address: what the raster says of them, with its place.
//!
//! Boards that are alike (size, colours, fonts, speed) are asked once, so that a province with
//! many profiles is checked as fast as a commune.

use super::build::Parts;
use super::cross::{Target, unknown};
use super::fault::{At, Faults, FileRef, Place};
use super::hours::WasGood;
use super::playlist::PlacedPlaylist;
use super::problem::Problem;
use crate::domain::feed::Feed;
use crate::domain::ids::{FeedId, ProfileId};
use crate::domain::playlist::{Content, Effect, Item, Page};
use crate::domain::profile::{BoardProfile, Lamps, Profile};
use crate::domain::time::UtcMs;
use crate::raster::review::{Finding, Weight, review};
use crate::raster::scene::Reading;
use crate::raster::template::Template;
use crate::raster::{Board, Design, Faces, Pass, Scene};
use std::collections::{BTreeMap, BTreeSet};

/// The boards of a load: equal ones once, laid out and with their fonts read.
pub(super) struct Boards<'a> {
    kinds: Vec<Kind<'a>>,
    of: BTreeMap<&'a ProfileId, usize>,
}

struct Kind<'a> {
    profile: &'a BoardProfile,
    board: Board,
    faces: Faces,
}

impl<'a> Boards<'a> {
    pub fn of(profiles: &'a BTreeMap<ProfileId, Profile>) -> Self {
        let mut found = Self { kinds: Vec::new(), of: BTreeMap::new() };
        for (id, profile) in profiles {
            let Some(profile) = &profile.board else { continue };
            let known = found.kinds.iter().position(|kind| looks_like(kind.profile, profile));
            let at = known.unwrap_or_else(|| {
                let (board, faces) = (Board::from(profile), Faces::of_profile(profile));
                found.kinds.push(Kind { profile, board, faces });
                found.kinds.len() - 1
            });
            found.of.insert(id, at);
        }
        found
    }
}

/// Says whether two boards show the same pixels, however their lamps are wired.
fn looks_like(one: &BoardProfile, other: &BoardProfile) -> bool {
    let bare = |board: &BoardProfile| BoardProfile {
        panels: Vec::new(),
        lamps: Lamps::default(),
        ..board.clone()
    };
    bare(one) == bare(other)
}

/// Profiles with the same board, named as people know them.
struct Alike<'a> {
    kind: &'a Kind<'a>,
    at: usize,
    named: String,
}

fn alike<'a>(boards: &'a Boards<'a>, profiles: &[(&Profile, String)]) -> Vec<Alike<'a>> {
    let mut found: Vec<Alike<'a>> = Vec::new();
    for (profile, devices) in profiles {
        let Some(at) = boards.of.get(&profile.id).copied() else { continue };
        let named = format!("`{}` ({devices})", profile.id);
        match found.iter_mut().find(|alike| alike.at == at) {
            Some(known) if known.named.len() < 200 => {
                known.named = format!("{}, {named}", known.named);
            }
            Some(_) => {}
            None => found.push(Alike { kind: &boards.kinds[at], at, named }),
        }
    }
    found
}

/// Notes what is wrong with the pages of a playlist on the boards that it reaches.
pub(super) fn check(
    file: FileRef<'_>,
    placed: &PlacedPlaylist,
    profiles: &[(&Profile, String)],
    boards: &Boards<'_>,
    feeds: &BTreeMap<FeedId, Feed>,
    faults: &Faults,
) {
    let pages = |item: &Item| matches!(item.content, Content::Pages(_));
    if !placed.playlist.items.iter().any(pages) {
        return;
    }
    let scene = Scene { readings: widest(feeds), ..Scene::at(UtcMs(0)) };
    for alike in alike(boards, profiles) {
        let (board, faces) = (&alike.kind.board, &alike.kind.faces);
        let mut passes = BTreeMap::new();
        for item in &placed.playlist.items {
            let Content::Pages(pages) = &item.content else { continue };
            let mut pass_ms = 0_i64;
            for (number, page) in pages.iter().enumerate() {
                let design = Design::from(page);
                let own_ms = Pass::new(&design, board, faces, &scene).duration_ms();
                pass_ms += own_ms;
                if page.effect == Effect::Scroll {
                    let place = placed.page_place(&item.id, number);
                    outlived(&alike, item, page, own_ms, feeds, |p| faults.add(file, place, p));
                }
                for finding in review(&design, board, faces, &scene) {
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

/// A value of each feed, as wide as it may become.
fn widest(feeds: &BTreeMap<FeedId, Feed>) -> BTreeMap<String, Reading> {
    let reading = |(id, feed): (&FeedId, &Feed)| {
        let text = feed.widest().into_iter().max_by_key(|text| text.chars().count())?;
        // Fresh whenever a page is looked at.
        let reading = Reading { text, at: UtcMs(0), stale_after_ms: i64::MAX };
        Some((id.as_str().to_owned(), reading))
    };
    feeds.iter().filter_map(reading).collect()
}

/// Notes feeds whose values grow stale before a scrolling text has passed: it would never show
/// them.
fn outlived(
    alike: &Alike<'_>,
    item: &Item,
    page: &Page,
    pass_ms: i64,
    feeds: &BTreeMap<FeedId, Feed>,
    mut fault: impl FnMut(&Problem),
) {
    for name in Template::read(&page.text).feeds() {
        let Some(feed) = name.parse().ok().and_then(|id: FeedId| feeds.get(&id)) else { continue };
        if feed.stale_after_s.saturating_mul(1_000) <= pass_ms {
            let text: String = page.text.chars().filter(|c| !c.is_control()).take(24).collect();
            fault(&Problem::Page {
                what: format!("item `{}`, page `{text}…`", item.id),
                boards: alike.named.clone(),
                says: format!(
                    "the text takes {} s to pass, and `{name}` is stale after {} s",
                    pass_ms / 1_000,
                    feed.stale_after_s
                ),
                hint: "let the text stand still, shorten it, or raise `stale_after` of the feed",
                refuses: false,
            });
        }
    }
}

/// Notes feeds that pages name and that stand nowhere.
pub(super) fn feeds(target: Target<'_>, placed: &PlacedPlaylist, parts: &Parts, faults: &Faults) {
    let none = BTreeMap::new();
    let known: BTreeSet<&str> =
        parts.ids.get("feed").unwrap_or(&none).keys().map(String::as_str).collect();
    let refuses = target.was_good == WasGood::No;
    for item in &placed.playlist.items {
        let Content::Pages(pages) = &item.content else { continue };
        for (number, page) in pages.iter().enumerate() {
            let place = placed.page_place(&item.id, number);
            let template = Template::read(&page.text);
            let named: Vec<At<&str>> = template.feeds().map(|value| At { value, place }).collect();
            let fault = |place, problem: &Problem| faults.add(target.file, place, problem);
            unknown("feed", "the folder `feeds`", &named, Some(&known), refuses, fault);
        }
    }
}

/// Says whether another check of the folder tells the same with its own words.
fn told_elsewhere(finding: &Finding) -> bool {
    matches!(finding, Finding::NoValue { .. } | Finding::Colour { .. } | Finding::NoFont { .. })
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

#[cfg(test)]
mod tests {
    use crate::config::{ClipSource, load};
    use crate::domain::station::AssetFacts;
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    struct NoClips;

    impl ClipSource for NoClips {
        fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
            Err("no clip here".to_owned())
        }
    }

    /// Returns what is told of pages on a board of 64 by 32 in the fonts loa-13 and loa-11.
    fn told(pages: &[&str], longest: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("station.toml", "name = \"Đài xã\"\napproval = \"off\"\n");
        write("units.csv", "id,name,parent\n01,Hà Nội,\n00001,Xã,01\n");
        write("devices.csv", "id,name,unit,profile\nbang-1,Bảng,00001,bang\n");
        let board = "title = \"Bảng\"\n[board]\nwidth_px = 64\nheight_px = 32\n\
            colours = [\"amber\", \"red\"]\nfonts = [\"loa-13\", \"loa-11\"]\n";
        write("profiles/bang.toml", board);
        let mut text = "title = \"Chữ\"\n[targets]\nunits = [\"00001\"]\n".to_owned();
        let mut items = Vec::new();
        for (at, page) in pages.iter().enumerate() {
            let _ = writeln!(
                text,
                "[[items]]\nid = \"p{at}\"\ntitle = \"Trang\"\n[[items.pages]]\n{page}"
            );
            items.push(format!("\"p{at}\""));
        }
        let _ = writeln!(
            text,
            "[[slots]]\nid = \"sang\"\nat = [\"05:00\"]\nlongest = \"{longest}\"\nitems = [{}]",
            items.join(", ")
        );
        write("chu.toml", &text);
        let loaded = load(dir.path(), &dir.path().join("profiles"), &mut NoClips);
        let root = format!("{}/", dir.path().display());
        let line = |fault: &crate::config::Fault| {
            let hint = fault.hint.as_deref().unwrap_or("no hint");
            format!("{}\n    {hint}", fault.to_string().replace(&root, ""))
        };
        loaded.faults.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_rule_of_boards_is_told_by_check_with_place_and_remedy() {
        let pages = [
            // Right as it is.
            "text = \"Ủy ban nhân dân\"",
            // Does not fit.
            "text = \"Không cung cấp mã OTP cho bất kỳ ai, không chuyển tiền cho người lạ\"\ndwell = \"4s\"",
            "text = \"Xã\"\nscale = 3",
            "text = \"Nghiêngnghiêngnghiêng\"",
            // Letters that the font lacks.
            "text = \"Xã 好\"",
            // Less than a second a word, less than two a page.
            "text = \"Không cung cấp mã\"\ndwell = \"2s\"",
            "text = \"Xã\"\ndwell = \"1s\"",
            "text = \"Xã Nghĩa Đồng\"\neffect = \"scroll\"\nspeed_px_s = 200",
            // Marks lost with the capitals, and other encodings.
            "text = \"LICH CAT DIEN\"",
            "text = \"Th«ng b¸o lÞch c¾t ®iÖn\"\ndwell = \"10s\"",
            "text = \"Thoâng baùo lòch caét ñieän\"\ndwell = \"10s\"",
            "text = \"Ðường số 3\"",
            // Other directions, other scripts, what nobody sees.
            "text = \"שלום\"",
            "text = \"ភូមិ\"",
            // Names.
            "text = \"{tme} {icon:sun}\"",
            "text = \"Xã\"\ncolour = \"blue\"",
            "text = \"Xã\"\nfont = \"loa-12\"",
            "text = \"Xã\"\nblink = true",
        ];
        insta::assert_snapshot!(told(&pages, "10m"));
    }

    #[test]
    fn a_slot_shorter_than_one_full_pass_is_told_by_check() {
        let pages = ["text = \"Xã\"\ndwell = \"20s\"", "text = \"Ba Vì\"\ndwell = \"25s\""];
        let wanted = "slot `sang` on `bang` (bang-1): one full pass takes 45000 ms, the slot has \
            40000 ms\n    make the slot longer, or take a page out";
        assert!(told(&pages, "40s").ends_with(wanted), "{}", told(&pages, "40s"));
        assert_eq!(told(&pages, "45s"), "");
    }
}
