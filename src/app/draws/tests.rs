//! From records of a loudspeaker to a draw, its walking list and what was found.

use super::*;
use crate::app::outcome::tests::{FIVE, HOUR, NOW, Town};
use crate::app::ports::{Draws as _, KeptHead, Logbook as _, Page, Trail as _};
use crate::app::publish::tests::station;
use crate::domain::proof::record::Said;
use crate::draw::{GroundError, Verdict, WalkError};
use crate::log::leaf::{Leaf, ServerBody};
use crate::store::memory::MemoryStore;
use crate::wire::jws::SecretKey;
use crate::wire::tlog::{Checkpoint, LogSigner, Name, TreeHash};
use std::fs;
use tempfile::TempDir;

/// The end of the period, and a time at which all is over.
const TO: UtcMs = UtcMs(NOW.0 + 6 * HOUR);
const LATER: UtcMs = UtcMs(NOW.0 + 30 * HOUR);

/// A loudspeaker that played one clip whole and one in part, all of it logged.
struct Desk {
    store: Arc<MemoryStore>,
    folder: TempDir,
    town: Town,
    cue: crate::domain::ids::CueId,
}

fn auditor() -> Actor {
    Actor::new("mai", "10.0.0.9")
}

fn question() -> Question {
    let (from_ms, to_ms, after_ms) = (NOW, TO, TO);
    Question { from_ms, to_ms, after_ms, unit: None, plays: 30, word: String::new(), line: None }
}

impl Desk {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let folder = tempfile::tempdir().unwrap();
        let mut town = Town::over(store.clone()).await;
        town.publish(&station(1)).await;
        let due = town.outcomes().await;
        town.beat(NOW);
        town.play(FIVE.plus(60_010), due[0].cue, FIVE, 60_000, Said::Played, "end");
        let second = FIVE.plus(60_000);
        town.play(second.plus(30_010), due[1].cue, second, 30_000, Said::Partial, "stopped");
        town.until(FIVE.plus(180_000));
        town.report().await;
        let leaf = Leaf::server(NOW, &ServerBody::Shard { previous: None }).unwrap();
        store.begin_shard("2026", &leaf, 0, None).await.unwrap();
        let newest = store.newest_leaf().await.unwrap();
        store.note_logged("2026", newest, None).await.unwrap();
        let cue = due[0].cue;
        let desk = Self { store, folder, town, cue };
        let note = Self::head(u64::try_from(newest).unwrap());
        fs::create_dir_all(desk.folder.path().join("2026")).unwrap();
        fs::write(desk.folder.path().join("2026/checkpoint"), note.note().to_string()).unwrap();
        desk
    }

    fn head(size: u64) -> SignedCheckpoint {
        let origin = Name::new("loa.example.vn/log/2026").unwrap();
        let signer = LogSigner::new(origin.clone(), SecretKey::from_seed(&[1; 32]));
        Checkpoint { origin, size, root: TreeHash::leaf(&size.to_be_bytes()) }.sign(&[signer])
    }

    fn drawing(&self, witnessed: bool) -> Drawing {
        let log = self.folder.path().to_owned();
        Drawing::new(self.store.clone(), log, chrono_tz::Asia::Ho_Chi_Minh, witnessed)
    }

    /// Keeps a head as if witnesses had vouched for it.
    async fn vouch(&self, size: u64, met_ms: UtcMs) {
        let number = i64::try_from(size).unwrap();
        let kept = KeptHead { number, shard: "2026".into(), size, met_ms };
        self.store.keep_head(&kept, None).await.unwrap();
        let folder = Folder::new(RealDisk, self.folder.path().join("2026"));
        let met_s = u64::try_from(met_ms.numeric_date()).unwrap();
        assert!(history::keep(&folder, &Self::head(size), met_s, None, 1).unwrap());
    }
}

#[tokio::test]
async fn confirmed_plays_are_drawn_once_and_the_log_says_so() {
    let mut desk = Desk::new().await;
    let before = desk.store.newest_leaf().await.unwrap();
    let made = desk.drawing(false).make(question(), &auditor(), LATER).await.unwrap();
    assert!(made.new);
    let document = &made.document;
    assert_eq!((document.plays, document.drawn.len()), (1, 1), "half a clip is none");
    let play = &document.drawn[0];
    assert_eq!(
        (&play.device, play.cue, play.title.as_str()),
        (&desk.town.loa.id, desk.cue, "Tin m1")
    );
    let began = play.began.format("%H:%M").to_string();
    assert_eq!(began, "05:00", "by the clock on the wall");
    let number = desk.store.leaf_of(&play.device, &desk.town.loa.chain, 2).await.unwrap().unwrap();
    assert_eq!((play.shard.as_str(), play.index), ("2026", u64::try_from(number - 1).unwrap()));
    assert_eq!(document.head.by, VouchedBy::Server);
    let list = document.walking_list().unwrap();
    assert!(list.text().contains("Tin m1") && list.drawn() == 1);

    // It stands in the log and in the trail, with the hash of what was drawn.
    let leaves = desk.store.leaves(before + 1, 9).await.unwrap();
    let said = String::from_utf8(leaves[0].content().to_vec()).unwrap();
    assert_eq!(leaves.len(), 1);
    assert!(said.contains("\"kind\":\"draw\"") && said.contains(&document.id), "{said}");
    assert!(said.contains(&Digest::of(&made.stored.body).to_string()), "{said}");
    let trail = desk.store.trail(Page::Newest { limit: 1 }).await.unwrap();
    assert_eq!(
        (trail[0].entry.action.as_str(), trail[0].entry.who.as_str()),
        ("draw-plays", "mai")
    );

    // More is heard later: the question stays drawn, whoever asks.
    desk.town.beat(FIVE.plus(HOUR));
    desk.town.report().await;
    let lan = Actor::new("lan", "10.0.0.7");
    let again = desk.drawing(false).make(question(), &lan, LATER.plus(HOUR)).await.unwrap();
    assert!(!again.new && again.stored == made.stored);
    // Another word is another question, which everybody sees.
    let other = Question { word: "xúc xắc 4 2 6".into(), ..question() };
    let other = desk.drawing(false).make(other, &lan, LATER).await.unwrap();
    assert!(other.new && other.document.id != document.id);
    assert_ne!(other.document.walking_list().unwrap().ground().seed(), list.ground().seed());
}

#[tokio::test]
async fn a_draw_that_takes_long_goes_on_and_is_there_when_it_is_asked_for_again() {
    let desk = Desk::new().await;
    let held = Arc::new(std::sync::Mutex::new(None));
    let keep = held.clone();
    let aside: Aside = Arc::new(move |work| *keep.lock().unwrap() = Some(work));
    let drawing = desk.drawing(false).going_on(aside);
    let ask = async || {
        drawing.make_within(question(), &auditor(), LATER, Duration::from_millis(20)).await
    };
    let going = ask().await.unwrap_err();
    assert!(matches!(going, DrawError::Going), "{going}");
    let busy = ask().await.unwrap_err();
    assert!(matches!(busy, DrawError::Busy), "{busy}");
    let work = held.lock().unwrap().take().unwrap();
    work.await;
    let made = ask().await.unwrap();
    assert_eq!((made.new, made.document.plays), (false, 1));
    // Whoever waits long enough gets it at once.
    let now: Aside = Arc::new(|work| drop(tokio::spawn(work)));
    let other = Question { word: "khác".into(), ..question() };
    let drawing = desk.drawing(false).going_on(now);
    let made = drawing.make_within(other, &auditor(), LATER, Duration::from_secs(20)).await;
    assert!(made.unwrap().new);
}

#[tokio::test]
async fn the_first_head_that_witnesses_vouched_for_after_the_period_decides() {
    let desk = Desk::new().await;
    let drawing = desk.drawing(true);
    let ask = async |after_ms: UtcMs| {
        drawing.make(Question { after_ms, ..question() }, &auditor(), LATER).await
    };
    let none = ask(TO).await.unwrap_err();
    assert!(matches!(none, DrawError::NoHead { after } if after == TO), "{none}");
    // Before the play stand the shard, the key and the timetable: a head of two does not hold it.
    let all = u64::try_from(desk.store.newest_leaf().await.unwrap()).unwrap();
    desk.vouch(2, TO.plus(60_000)).await;
    desk.vouch(all, TO.plus(2 * HOUR)).await;
    let empty = ask(TO).await.unwrap_err();
    assert!(matches!(empty, DrawError::Ground(GroundError::Nothing)), "{empty}");
    let made = ask(TO.plus(HOUR)).await.unwrap();
    let head = &made.document.head;
    assert_eq!((head.size, head.by), (all, VouchedBy::Witnesses));
    assert_eq!((head.vouched_ms, made.document.plays), (TO.plus(2 * HOUR), 1));
    assert_eq!(head.root, Desk::head(all).checkpoint().root.to_string());
    // A head whose note is gone draws nothing.
    let (number, size) = (i64::try_from(all).unwrap() + 1, all + 1);
    let gone = KeptHead { number, shard: "2026".into(), size, met_ms: TO.plus(9 * HOUR) };
    desk.store.keep_head(&gone, None).await.unwrap();
    let lost = ask(TO.plus(8 * HOUR)).await.unwrap_err();
    assert!(matches!(lost, DrawError::Lost { .. }), "{lost}");
}

#[tokio::test]
async fn a_question_without_an_answer_is_refused_and_says_why() {
    let desk = Desk::new().await;
    let drawing = desk.drawing(false);
    let wrong = [
        Question { plays: 0, ..question() },
        Question { plays: 1_001, ..question() },
        Question { from_ms: TO, ..question() },
        Question { from_ms: TO.plus(-367 * 24 * HOUR), ..question() },
        Question { after_ms: TO.plus(-1), ..question() },
        Question { after_ms: LATER.plus(1), ..question() },
        Question { unit: Some("777".parse().unwrap()), ..question() },
        Question { word: "hai\ndòng".into(), ..question() },
        Question { from_ms: NOW.plus(-HOUR), to_ms: NOW, ..question() },
    ];
    let mut told = Vec::new();
    for question in wrong {
        let error = drawing.make(question, &auditor(), LATER).await.unwrap_err();
        told.push(format!("{error}\n  {}", error.hint()));
    }
    insta::assert_snapshot!(told.join("\n"));
    assert!(desk.store.draws(Page::Newest { limit: 9 }).await.unwrap().is_empty());
}

#[tokio::test]
async fn findings_count_for_the_list_and_all_that_were_handed_in_stay() {
    let desk = Desk::new().await;
    let drawing = desk.drawing(false);
    let made = drawing.make(question(), &auditor(), LATER).await.unwrap();
    let list = made.document.walking_list().unwrap();
    let finding = |finding| Finding {
        code: list.clusters()[0].code,
        play: 1,
        finding,
        by: "Mai".into(),
        date: LATER.datetime().date_naive(),
        note: None,
    };
    let take = async |file: &[u8], findings: &[Finding]| {
        drawing.take(&made, file, findings, &auditor(), LATER.plus(1)).await
    };
    let first = take(b"one", &[finding(Verdict::Confirmed)]).await.unwrap();
    assert_eq!((first.confirmed, first.drawn), (1, 1));
    take(b"one", &[finding(Verdict::Confirmed)]).await.unwrap();
    let second = take(b"two", &[finding(Verdict::Refuted)]).await.unwrap();
    assert_eq!(second.refuted, 1);
    let kept = desk.store.findings_of(&made.document.id).await.unwrap();
    assert_eq!(kept.iter().map(|one| &one.file[..]).collect::<Vec<_>>(), [b"one", b"two"]);
    let twice = [finding(Verdict::Refuted), finding(Verdict::Confirmed)];
    assert!(
        matches!(take(b"x", &twice).await, Err(DrawError::Findings(faults)) if faults.len() == 1)
    );
    assert!(matches!(take(&vec![0; FINDINGS_BYTES + 1], &[]).await, Err(DrawError::Long { .. })));
    let newest = desk.store.newest_leaf().await.unwrap();
    let said = desk.store.leaves(newest, 1).await.unwrap();
    let said = String::from_utf8(said[0].content().to_vec()).unwrap();
    assert!(said.contains("\"kind\":\"findings\""), "{said}");
}

#[tokio::test]
async fn files_of_findings_are_bounded_and_the_newest_may_be_sent_again() {
    let desk = Desk::new().await;
    let drawing = desk.drawing(false);
    let made = drawing.make(question(), &auditor(), LATER).await.unwrap();
    let take = async |n: usize| {
        drawing.take(&made, n.to_string().as_bytes(), &[], &auditor(), LATER.plus(1)).await
    };
    for n in 0..MOST_FINDINGS {
        take(n).await.unwrap();
    }
    take(MOST_FINDINGS - 1).await.unwrap();
    let refused = take(MOST_FINDINGS).await.unwrap_err();
    assert!(matches!(refused, DrawError::ManyFindings { .. }), "{refused}");
    let kept = desk.store.findings_of(&made.document.id).await.unwrap();
    assert_eq!(kept.len(), MOST_FINDINGS);
}

#[tokio::test]
async fn a_draw_that_was_changed_makes_no_list() {
    let desk = Desk::new().await;
    let made = desk.drawing(false).make(question(), &auditor(), LATER).await.unwrap();
    assert_eq!(Document::parse(&made.document.to_bytes().unwrap()).unwrap(), made.document);
    let mut wrong = made.document.clone();
    wrong.drawn[0].number = 7;
    let error = wrong.walking_list().unwrap_err();
    assert!(matches!(error, DrawError::Walk(WalkError::NotDrawn { .. })), "{error}");
    wrong.drawn.clear();
    assert!(matches!(wrong.walking_list(), Err(DrawError::Walk(WalkError::Count { .. }))));
    let mut early = made.document.clone();
    early.head.vouched_ms = TO.plus(-1);
    assert!(matches!(early.walking_list(), Err(DrawError::Ground(GroundError::Early { .. }))));
    for bytes in [&b""[..], b"{}", b"[1", &vec![b' '; DOCUMENT_BYTES + 1]] {
        assert!(Document::parse(bytes).is_err());
    }
    let newer = Document { v: 2, ..made.document };
    assert!(matches!(
        Document::parse(&newer.to_bytes().unwrap()),
        Err(DrawError::Version { v: 2 })
    ));
}
