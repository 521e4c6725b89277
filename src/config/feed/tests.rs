use super::super::fault::{Faults, FileRef};
use super::*;

fn told(text: &str) -> (Option<Feed>, Vec<String>) {
    let faults = Faults::default();
    let file = FileRef { key: "feeds/nuoc.toml", label: "nuoc.toml" };
    let source = Source::decode(file, text.as_bytes(), &faults).unwrap();
    let feed = read(&source, &"nuoc".parse().unwrap());
    let refused = !faults.refused().is_empty();
    let told = faults.into_sorted();
    let lines = told.iter().map(|f| format!("{}:{}: {}", f.line, f.column, f.message)).collect();
    assert!(told.iter().all(|fault| fault.hint.is_some()));
    (feed.filter(|_| !refused), lines)
}

const WATER: &str = r#"
title = "Mực nước sông Cầu"
unit = "cm"
scale = "100"
least = "-50"
most = "2500"
step = "150"
stale_after = "30m"
[http]
url = "https://so-lieu.example.vn/tram/12.json?loai=nuoc"
pointer = "/tram/0/muc_nuoc"
at = "/tram/0/luc"
every = "1m"
headers = { Accept = "application/json" }
secret_header = "Authorization"
secret_file = "khoa/thuy-van.txt"
"#;

#[test]
fn every_key_of_a_feed_arrives() {
    let (feed, faults) = told(WATER);
    assert_eq!(faults, Vec::<String>::new());
    let feed = feed.unwrap();
    assert_eq!(feed.widest(), ["-50 cm", "2.500 cm"]);
    assert_eq!(feed.stale_after_s, 1_800);
    let feed::Source::Http(http) = feed.source else { panic!() };
    assert_eq!((http.every_s, http.timeout_ms, http.most_bytes), (60, 10_000, 65_536));
    assert_eq!(http.pick.value.as_deref(), Some("/tram/0/muc_nuoc"));
    assert_eq!(http.headers["accept"], "application/json");
    assert_eq!(http.from_file.unwrap().file, "khoa/thuy-van.txt");

    let (feed, faults) = told(
        "title = \"Cấp báo động\"\nkind = \"words\"\nlongest = 12\nstale_after = \"1h\"\n[mqtt]\n\
         url = \"mqtts://moi-gioi.example.vn:8883\"\ntopic = \"tram/12/bao-dong\"\nuser = \"xa\"\n\
         password_file = \"khoa/mqtt.txt\"\n",
    );
    assert_eq!(faults, Vec::<String>::new());
    let feed::Source::Mqtt(mqtt) = feed.unwrap().source else { panic!() };
    assert_eq!((mqtt.topic.as_str(), mqtt.pick.value), ("tram/12/bao-dong", None));
}

#[test]
fn what_is_wrong_with_a_feed_is_told_at_its_place() {
    let wrong = |from: &str, to: &str| {
        assert!(WATER.contains(from), "{from}");
        let (feed, faults) = told(&WATER.replace(from, to));
        assert!(feed.is_none(), "{to}");
        faults.join("; ")
    };
    for (from, to, message) in [
        ("scale = \"100\"", "scale = \"1,5\"", "4:9: `1,5` is not a number"),
        ("scale = \"100\"", "scale = 100", "4:9: `scale` is a number, not a text"),
        ("most = \"2500\"", "most = \"-60\"", "6:8: `-60` is not a number above `least`"),
        ("most = \"2500\"", "most = \"1e30\"", "6:8: `1e30` is not a number"),
        ("most = \"2500\"\n", "", "1:1: the feed has no `most`"),
        ("step = \"150\"", "step = \"0\"", "7:8: `0` is not a number"),
        (
            "stale_after = \"30m\"",
            "stale_after = \"1m\"",
            "13:9: `60 s` is not a time below `stale_after`",
        ),
        ("stale_after = \"30m\"", "stale_after = \"30d\"", "8:15: `30d` is not a length of time"),
        (
            "unit = \"cm\"",
            "unit = \"cm\"\nlongest = 5",
            "4:11: `longest` has no use without `kind = \"words\"`",
        ),
        (
            "unit = \"cm\"",
            "unit = \"cm\"\nkind = \"words\"",
            "5:9: `scale` has no use with `kind = \"words\"`; 6:9: `least` has no use with `kind = \"words\"`; 7:8: `most` has no use with `kind = \"words\"`; 8:8: `step` has no use with `kind = \"words\"`",
        ),
        (
            "https://so-lieu",
            "https://xa:mat-khau@so-lieu",
            "10:7: `https://…@so-lieu.example.vn/tram/12.json?loai=nuoc` is not a URL",
        ),
        (
            "https://so-lieu",
            "file:///so-lieu",
            "10:7: `file:///so-lieu.example.vn/tram/12.json?loai=nuoc` is not a URL",
        ),
        ("Accept", "X-Api-Key", "14:13: `X-Api-Key` is not a header to write here"),
        ("Accept", "Host", "14:13: `Host` is not a header to write here"),
        ("\"Authorization\"", "\"Host\"", "15:17: `Host` is not a header"),
        ("secret_file = \"khoa/thuy-van.txt\"\n", "", "15:17: `http` has no `secret_file`"),
        (
            "khoa/thuy-van.txt",
            "/etc/shadow",
            "16:15: `/etc/shadow` is not a relative path of names and `/`",
        ),
        (
            "\"/tram/0/muc_nuoc\"",
            "\"tram.muc_nuoc\"",
            "11:11: `tram.muc_nuoc` is not a JSON pointer",
        ),
        ("\"/tram/0/muc_nuoc\"", "\"/tram~2\"", "11:11: `/tram~2` is not a JSON pointer"),
        ("pointer = \"/tram/0/muc_nuoc\"\n", "", "11:6: `at` has no use without `pointer`"),
        (
            "[http]",
            "[mqtt]\nurl = \"mqtt://x\"\ntopic = \"a/b\"\n[http]",
            "9:1: both `http` and `mqtt` are given",
        ),
        ("every = \"1m\"", "every = \"1s\"", "13:9: `every` is `1s`, outside 10s to 24h"),
    ] {
        assert_eq!(wrong(from, to), message, "{to}");
    }
    let (_, faults) = told("title = \"x\"\nleast = \"0\"\nmost = \"1\"\nstale_after = \"1h\"\n");
    assert_eq!(faults, ["1:1: neither `http` nor `mqtt` is given"]);
    let (_, faults) = told(
        "title = \"x\"\nleast = \"0\"\nmost = \"1\"\nstale_after = \"1h\"\n[mqtt]\nurl = \"tcp://x\"\n\
         topic = \"a/#\"\npassword_file = \"p\"\n",
    );
    let wanted = [
        "6:7: `tcp://x` is not a broker",
        "7:9: `a/#` is not a topic",
        "8:17: `password_file` has no use without `user`",
    ];
    assert_eq!(faults, wanted);
}
