//! Vectors of the `keys` document.

use super::build::{
    NOW, NOW_S, body, edit, epoch, first, key, me, second, second_epoch, sign_text, vector, with,
};
use loa::domain::ids::Digest;
use loa::wire::epoch::{Epoch, LogRule};
use loa::wire::jws::{self, Typ};
use serde_json::{Value, json};

fn signed(signer: &str, epoch: &Epoch) -> String {
    jws::sign(&key(signer), Typ::Keys, epoch)
}

pub fn make() -> Value {
    let (one, two) = (first(), second());
    let (first_body, both) = (body(&[&one]), body(&[&one, &two]));
    let change = |change: fn(&mut Epoch)| {
        let mut epoch = second_epoch();
        change(&mut epoch);
        body(&[&one, &signed("root", &epoch)])
    };
    let handover = signed("root", &Epoch { root: key("root-2").public(), ..epoch(3, Some(&two)) });
    let fourth =
        signed("root-2", &Epoch { root: key("root-2").public(), ..epoch(4, Some(&handover)) });
    let by_old = signed("root", &epoch(4, Some(&handover)));
    let three = body(&[&one, &two, &handover]);
    let four = body(&[&one, &two, &handover, &fourth]);
    let root_2 = key("root-2").kid().to_string();

    let rule = |policy: String| {
        let log = Some(LogRule { policy });
        signed("root", &Epoch { log, ..epoch(3, Some(&two)) })
    };
    let third = rule(super::checkpoints::policy());
    let logged = body(&[&one, &two, &third]);
    let later = body(&[&one, &two, &rule("quorum of the moon\n".to_owned())]);
    let long = body(&[&one, &two, &rule("#".repeat(4_097))]);

    let claims =
        |text: &str| -> Value { serde_json::from_str(&super::build::payload(text)).unwrap() };
    let vectors = vec![
        with(
            vector("first", "accept", &first_body, "one epoch, signed by the pinned root"),
            "claims",
            json!([claims(&one)]),
        ),
        with(
            vector("second", "accept", &both, "a second epoch revokes one key and retires two"),
            "claims",
            json!([claims(&one), claims(&two)]),
        ),
        with(
            vector("longer", "accept", &both, "the chain in force, and one epoch more"),
            "before",
            first_body.as_str(),
        ),
        with(vector("again", "same", &both, "the chain in force, again"), "before", both.as_str()),
        with(
            vector("shorter", "version-low", &first_body, "an old chain is not taken back"),
            "before",
            both.as_str(),
        ),
        with(
            vector(
                "fork",
                "conflict",
                &change(|e| e.iat += 1),
                "another second epoch than the one in force",
            ),
            "before",
            both.as_str(),
        ),
        vector("handover", "accept", &three, "the old root names a new one"),
        with(
            vector("log", "accept", &logged, "an epoch that names the evidence log"),
            "claims",
            json!([claims(&one), claims(&two), claims(&third)]),
        ),
        vector("log-of-later", "accept", &later, "a policy of a later version costs no keys"),
        vector("log-long", "limit", &long, "a policy has at most 4,096 bytes"),
        vector("new-root", "accept", &four, "the new root signs the epoch after that"),
        with(
            vector(
                "new-root-pinned",
                "accept",
                &four,
                "a code made after the change pins the new root",
            ),
            "pin",
            root_2.as_str(),
        ),
        with(
            vector(
                "new-root-pinned-too-early",
                "root",
                &three,
                "the new root is named but has signed nothing: anybody can name a key",
            ),
            "pin",
            root_2.as_str(),
        ),
        vector(
            "old-root-goes-on",
            "unknown-key",
            &body(&[&one, &two, &handover, &by_old]),
            "the old root has handed over",
        ),
        with(
            vector("other-root", "root", &both, "the chain is sound but not of the pinned root"),
            "pin",
            key("stranger").kid().to_string(),
        ),
        vector("not-from-the-start", "epoch", &body(&[&two]), "the first epoch is missing"),
        vector("gap", "epoch", &change(|e| e.epoch = 3), "numbers are consecutive"),
        vector(
            "wrong-prev",
            "epoch",
            &change(|e| e.prev = Some(Digest([7; 32]))),
            "`prev` is the hash of the epoch before",
        ),
        vector(
            "no-prev",
            "epoch",
            &change(|e| e.prev = None),
            "only the first epoch has no `prev`",
        ),
        vector(
            "back-in-time",
            "epoch",
            &change(|e| e.iat = 1),
            "an epoch is not older than its predecessor",
        ),
        vector(
            "two-roles",
            "epoch",
            &change(|e| {
                e.roles.insert("urgent".into(), vec![key("time").public()]);
            }),
            "one key, one role",
        ),
        vector(
            "root-with-a-role",
            "epoch",
            &change(|e| {
                e.roles.insert("urgent".into(), vec![key("root").public()]);
            }),
            "the root signs epochs and nothing else",
        ),
        vector(
            "revoked-with-a-role",
            "epoch",
            &change(|e| e.revoked.push(key("time").kid())),
            "a revoked key has no role",
        ),
        vector(
            "unknown-role",
            "accept",
            &change(|e| {
                e.roles.insert("dance".into(), vec![key("stranger").public()]);
            }),
            "unknown roles are ignored",
        ),
        vector(
            "signed-by-another",
            "unknown-key",
            &body(&[&one, &signed("receipt", &second_epoch())]),
            "only the root named before signs an epoch",
        ),
        vector(
            "signature",
            "signature",
            &body(&[&one, &format!("{}AA", &two[..two.len() - 2])]),
            "a changed signature",
        ),
        vector(
            "typ",
            "typ",
            &body(&[&sign_text("root", Typ::Floor, &super::build::payload(&one))]),
            "a floor is no epoch",
        ),
        vector(
            "version-2",
            "unsupported",
            &edit(&both, r#""v":1"#, r#""v":2"#),
            "the body is of another version",
        ),
        vector(
            "epoch-version-2",
            "unsupported",
            &change(|e| e.v = 2),
            "the epoch is of another version",
        ),
        vector("empty-chain", "epoch", &body(&[]), "no epoch at all"),
        vector("empty", "empty", "", "an empty body never changes anything"),
        vector(
            "twice",
            "json",
            &edit(&both, r#""v":1"#, r#""v":1,"v":1"#),
            "a member stands twice",
        ),
        vector(
            "weak-key",
            "member",
            &body(&[
                &one,
                &sign_text(
                    "root",
                    Typ::Keys,
                    &edit(
                        &super::build::payload(&two),
                        claims(&two)["roles"]["time"][0]["x"].as_str().unwrap(),
                        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                    ),
                ),
            ]),
            "a key of small order verifies anything",
        ),
        with(
            vector("ahead", "ahead", &both, "made more than a day ahead of trusted time"),
            "now_ms",
            NOW.0 - 2_000_000_000,
        ),
        vector("too-many", "limit", &body(&["x"; 65]), "more epochs than the limit"),
    ];
    json!({
        "note": "Bodies of the topic `keys`. `before` is the chain in force, absent at enrolment.",
        "given": {"me": me(), "pin": key("root").kid().to_string(), "now_ms": NOW_S * 1_000},
        "vectors": vectors,
    })
}
