//! Pictures of pages over the API: who may ask, what is refused, and that they are the boards' own.

use super::http::{front, json};
use loa::config::ClipSource;
use loa::domain::station::AssetFacts;
use std::path::Path;
use std::sync::Arc;

struct NoClips;

impl ClipSource for NoClips {
    fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
        Err("not looked at".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_and_unsaved_pages_are_drawn_as_the_board_shows_them() {
    let front = front().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let loaded =
        loa::config::load(&root.join("playlists"), &root.join("device-profiles"), &mut NoClips);
    let station = loaded.station.map(Arc::new);
    front.live.change(|picture| picture.station = station);

    let path = "/api/v1/previews/bang-uy-ban";
    let nobody = front.ask("GET", path, &[], "").await;
    assert_eq!(nobody.status(), 401);
    let at = "at=2026-11-22T05:00:00%2B07:00";
    let mut hashes = Vec::new();
    for (format, kind) in [
        ("apng", "image/apng"),
        ("png", "image/png"),
        ("svg", "image/svg+xml"),
        ("text", "text/plain; charset=utf-8"),
    ] {
        let query = format!("{path}?format={format}&page=1&{at}");
        let drawn = front.ask_as_token("GET", &query, "").await;
        assert_eq!(drawn.status(), 200);
        assert_eq!(drawn.headers()["content-type"], kind);
        assert_eq!(drawn.headers()["loa-whole"], "true");
        assert!(drawn.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
        hashes.push(drawn.headers()["loa-frame"].clone());
    }
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
    for query in
        ["?format=gif", "?scale=17", "?board=ko", "?item=ko", "?page=999", "?at=mai", "?khac=1"]
    {
        let refused = front.ask_as_token("GET", &format!("{path}{query}"), "").await;
        assert!((400..500).contains(&refused.status().as_u16()), "{query}");
        assert!(json(refused)["hint"].is_string(), "{query}");
    }

    let post = |body: String| {
        let front = &front;
        async move {
            let bearer = format!("Bearer {}", front.token);
            let headers =
                [("authorization", bearer.as_str()), ("content-type", "application/json")];
            front.ask("POST", "/api/v1/previews", &headers, &body).await
        }
    };
    let page = |text: &str, dwell: i64| {
        serde_json::json!({"board": "bang-led-128x32", "format": "text",
            "pages": [{"text": text, "dwell_ms": dwell}]})
        .to_string()
    };
    let drawn = post(page("{feed:nuoc}", 2_000)).await;
    assert_eq!(drawn.status(), 200);
    let mark = post(page("--", 2_000)).await;
    assert_eq!(drawn.headers()["loa-frame"], mark.headers()["loa-frame"], "no value, so a mark");
    for body in [page("x", 0), page(&"x".repeat(2_001), 2_000), r#"{"pages": []}"#.into()] {
        assert!((400..500).contains(&post(body).await.status().as_u16()));
    }
}
