//! What only the file can show: durability settings, a full disk, a newer version.

use super::contract::{intake, record, round};
use super::{SqliteStore, failed};
use crate::app::ports::{
    ByHand as _, Evidence, LeaseName, Leases, Logbook as _, Page, People as _, RecordFilter,
    Registry as _, StoreError, Trail as _,
};
use crate::domain::time::UtcMs;
use crate::log::leaf::{Leaf, ServerBody};

async fn opened(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&dir.path().join("loa.db")).await.expect("opens")
}

#[tokio::test]
async fn every_commit_is_synced() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(&dir).await;
    let pragma = |name: &'static str| {
        let pool = store.write.clone();
        async move { sqlx::query_scalar::<_, i64>(name).fetch_one(&pool).await.expect("answers") }
    };
    assert_eq!(pragma("PRAGMA synchronous").await, 2, "FULL");
    assert_eq!(pragma("PRAGMA foreign_keys").await, 1);
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.write).await.expect("answers");
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_later_everything() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(&dir).await;
    let many = (1..=400)
        .map(|seq| {
            let mut record = record("loa-1", seq, "beat");
            record.jws = "x".repeat(4_000).into();
            record
        })
        .collect();
    let work = round(vec![intake(0, many)]);
    let pages: i64 =
        sqlx::query_scalar("PRAGMA page_count").fetch_one(&store.write).await.expect("answers");
    let limit = format!("PRAGMA max_page_count = {}", pages + 20);
    sqlx::query(sqlx::AssertSqlSafe(limit)).execute(&store.write).await.expect("limits");
    for _ in 0..2 {
        let refused = store.commit_intake(&work, &[]).await;
        assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
        assert_eq!(store.evidence_counts().await.expect("reads").records, 0);
    }
    sqlx::query("PRAGMA max_page_count = 1000000").execute(&store.write).await.expect("lifts");
    store.commit_intake(&work, &[]).await.expect("resumes without a restart");
    assert_eq!(store.evidence_counts().await.expect("reads").records, 400);
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again_and_in_a_copy() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(&dir).await;
    let work = round(vec![intake(0, vec![record("loa-1", 1, "boot")])]);
    store.commit_intake(&work, &[]).await.expect("stores");
    let copy = dir.path().join("bản sao.db");
    store.copy_to(&copy).await.expect("copies");
    store.close().await;
    for path in [dir.path().join("loa.db"), copy] {
        let store = SqliteStore::open(&path).await.expect("opens");
        assert_eq!(store.evidence_counts().await.expect("reads").records, 1);
    }
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(&dir).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'later', TRUE, X'00', 0)",
    )
    .execute(&store.write)
    .await
    .expect("pretends");
    store.close().await;
    let refused = SqliteStore::open(&dir.path().join("loa.db")).await;
    assert!(matches!(refused, Err(StoreError::TooNew { found: 999, .. })), "{refused:?}");
}

#[tokio::test]
async fn something_else_than_a_store_is_refused_and_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("loa.db");
    std::fs::write(&path, "đây không phải cơ sở dữ liệu".repeat(200)).expect("writes");
    let before = std::fs::read(&path).expect("reads");
    let refused = SqliteStore::open(&path).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&path).expect("reads"), before);
}

#[tokio::test]
async fn damaged_pages_are_named_and_nothing_on_them_is_acknowledged() {
    const PAGE: usize = 4096;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("loa.db");
    let store = opened(&dir).await;
    store.examine().await.expect("a sound store");
    let many = (1..=400)
        .map(|seq| {
            let mut record = record("loa-1", seq, "beat");
            record.jws = "x".repeat(1_500).into();
            record
        })
        .collect();
    store.commit_intake(&round(vec![intake(0, many)]), &[]).await.expect("stores");
    store.close().await;

    // What a worn-out flash does: pages in the middle come back as something else.
    let mut bytes = std::fs::read(&path).expect("reads");
    let text = |page: &[u8]| page.windows(400).any(|run| run.iter().all(|byte| *byte == b'x'));
    let pages: Vec<_> = bytes.chunks_mut(PAGE).filter(|page| text(page)).collect();
    let half = pages.len() / 2;
    assert!(half > 40, "{half} pages");
    pages.into_iter().skip(half).take(8).for_each(|page| page.fill(0xa5));
    std::fs::write(&path, &bytes).expect("writes");

    let store = opened(&dir).await;
    let found = store.examine().await.expect_err("the damage is found");
    assert!(matches!(found, StoreError::Corrupt { .. }), "{found:?}");
    assert!(found.hint().contains("backup"), "{}", found.hint());
    let page = Page::After { position: 0, limit: 1_000 };
    let listed = store.records(&RecordFilter::default(), page).await;
    assert!(matches!(listed, Err(StoreError::Corrupt { .. })), "{listed:?}");
    // A device sends on: either its records are durable beside the damage, or it hears an error.
    let more = (401..=800).map(|seq| record("loa-1", seq, "beat")).collect();
    let answer = store.commit_intake(&round(vec![intake(1, more)]), &[]).await;
    assert!(matches!(answer, Ok(()) | Err(StoreError::Corrupt { .. })), "{answer:?}");
    store.close().await;
}

#[tokio::test]
async fn a_damaged_value_is_an_error_not_a_panic() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(&dir).await;
    let work = round(vec![intake(0, vec![record("loa-1", 1, "boot")])]);
    store.commit_intake(&work, &[]).await.expect("stores");
    sqlx::query("UPDATE chains SET head = X'0102'")
        .execute(&store.write)
        .await
        .map_err(failed("test"))
        .expect("damages");
    let found = store.chains_of(&"loa-1".parse().expect("an id")).await;
    assert!(matches!(found, Err(StoreError::Damaged { what: "chain", .. })), "{found:?}");
    store.take_lease(LeaseName::Compiler, "a", UtcMs(0), UtcMs(1)).await.expect("the rest works");
}

#[tokio::test]
async fn the_store_itself_refuses_to_rewrite_the_trail() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(&dir).await;
    let entry = crate::app::trail::Actor::new("lan", "10.0.0.7").did(UtcMs(1), "skip", "a");
    store.append(&entry).await.expect("appends");
    for sql in ["UPDATE trail SET who = 'minh'", "DELETE FROM trail"] {
        let refused = sqlx::query(sql).execute(&store.write).await;
        let why = refused.expect_err("refused").to_string();
        assert!(why.contains("append-only"), "{why}");
    }
    assert_eq!(store.trail(Page::Newest { limit: 9 }).await.expect("reads").len(), 1);
}

#[tokio::test]
async fn the_store_itself_refuses_to_rewrite_evidence_and_plans() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(&dir).await;
    let trail = crate::app::trail::Actor::new("lan", "10.0.0.7").did(UtcMs(1), "add", "a");
    store.put_entry(&super::contract::entered("a-1", "2026-03-01"), &trail).await.expect("keeps");
    for sql in ["UPDATE hand_entries SET body = '{}'", "DELETE FROM hand_entries"] {
        let refused = sqlx::query(sql).execute(&store.write).await;
        let why = refused.expect_err("refused").to_string();
        assert!(why.contains("append-only"), "{why}");
    }
}

#[tokio::test]
async fn tokens_from_before_there_were_people_become_an_administrators() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("loa.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    super::migrate::run_to(&pool, 1).await.expect("the first version");
    for (hash, scope) in [("01", "api"), ("02", "page")] {
        let sql = format!(
            "INSERT INTO tokens (hash, name, scope, made_ms) VALUES \
             (X'{}', 'init', '{scope}', 7)",
            hash.repeat(32)
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.expect("a token");
    }
    pool.close().await;
    let store = opened(&dir).await;
    let people = store.people().await.expect("reads");
    assert_eq!(people, [crate::app::people::first_administrator(UtcMs(7))]);
    let owners: Vec<_> =
        store.tokens().await.expect("reads").into_iter().map(|t| t.person).collect();
    assert_eq!(owners, [Some("admin".parse().expect("an id")), None]);
}

#[tokio::test]
async fn leaves_that_were_just_committed_are_those_that_the_file_holds() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = opened(&dir).await;
    let statement =
        || Leaf::server(UtcMs(9), &ServerBody::Shard { previous: None }).expect("a statement");
    // Nothing is kept before somebody asks.
    store.leaves(1, 1).await.expect("reads");
    let mut logged = 0;
    store.begin_shard("2027", &statement(), 0, None).await.expect("begins");
    let (mut seq, mut revision) = (0, 0);
    for step in 0..60_u64 {
        match step % 7 {
            3 => store.say(&statement()).await.expect("says"),
            5 => {
                logged += 2;
                let shard = if step < 48 { "2027" } else { "2028" };
                store.note_logged(shard, logged, None).await.expect("notes");
            }
            // What this moves is not given out under its old number.
            6 if step == 48 => {
                store.begin_shard("2028", &statement(), logged, None).await.expect("begins");
            }
            n => {
                let beat = |more| record("loa-1", seq + more, "beat");
                let records: Vec<_> = (1..=n + 1).map(beat).collect();
                seq += n + 1;
                let mut work = intake(revision, records);
                if n == 4 {
                    work.gaps = vec![(1, 2)];
                }
                store.commit_intake(&round(vec![work]), &[]).await.expect("commits");
                revision += 1;
            }
        }
        // Opened beside it, with nothing in memory.
        let other = opened(&dir).await;
        let newest = store.newest_leaf().await.expect("reads");
        for from in [1, logged.max(1), newest - 5, newest, newest + 1] {
            for most in [1, 3, 50] {
                let found = store.leaves(from, most).await.expect("reads");
                assert_eq!(found, other.leaves(from, most).await.expect("reads"), "{step} {from}");
            }
        }
        other.close().await;
    }
}
