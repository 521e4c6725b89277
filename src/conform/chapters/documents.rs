//! §1, §2, §6: which timetables a device takes, and which it must not.
//!
//! A device that takes a timetable asks for the sheet it names: so each wrong one names a sheet of
//! its own, and a good one behind it shows that the device is still there. Each is newer than the
//! one before: who wrongly takes one can take the next, and the faults stay apart.

use crate::conform::author::{merge, random, sign, sign_header, sign_text};
use crate::conform::lab::{Lab, Step, Stop};
use crate::conform::rows::Check;
use crate::domain::ids::Digest;
use crate::wire::jws::SecretKey;
use crate::wire::topic::Topic;
use serde_json::{Value, json};

macro_rules! refuses {
    ($($id:literal, $place:literal, $says:literal, $how:expr;)*) => {
        pub const CHECKS: &[Check] = &[
            Check { id: "accept-timetable", place: "§6, §7", says: "takes a good timetable and asks for its sheet" },
            Check { id: "accept-unknown", place: "§1", says: "takes a timetable with unknown members" },
            $(Check { id: $id, place: $place, says: concat!("refuses a timetable ", $says) },)*
        ];
        const WRONG: &[(&str, fn(&mut Lab, Value) -> Step<String>)] = &[$(($id, $how)),*];
    };
}

refuses! {
    "refuse-signature", "§2", "whose signature does not fit", |lab, claims| {
        let text = sign(&lab.author.keys.schedule, "timetable", &claims);
        let (rest, signature) = text.rsplit_once('.').unwrap_or_default();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        Ok(format!("{rest}.{first}{}", &signature[1..]))
    };
    "refuse-key", "§2, §5", "by a key that no epoch names", |_, claims| {
        Ok(sign(&SecretKey::from_seed(&random()?), "timetable", &claims))
    };
    "refuse-role", "§2", "by a key of another role", |lab, claims| {
        Ok(sign(&lab.author.keys.policy, "timetable", &claims))
    };
    "refuse-typ", "§2", "under the `typ` of another document", |lab, claims| {
        Ok(sign(&lab.author.keys.schedule, "command", &claims))
    };
    "refuse-alg", "§2", "with `alg` `none` and no signature", |lab, claims| {
        let kid = lab.author.keys.schedule.kid();
        let header = json!({"alg": "none", "typ": "loa-timetable+jwt", "kid": kid});
        let text = sign_header(&lab.author.keys.schedule, &header, &claims);
        let (rest, _) = text.rsplit_once('.').unwrap_or_default();
        Ok(format!("{rest}."))
    };
    "refuse-header", "§2", "with `crit` in its header", |lab, claims| {
        let kid = lab.author.keys.schedule.kid();
        let header = json!({
            "alg": "EdDSA", "typ": "loa-timetable+jwt", "kid": kid, "crit": ["b64"], "b64": true,
        });
        Ok(sign_header(&lab.author.keys.schedule, &header, &claims))
    };
    "refuse-doubled", "§1", "in which a member stands twice", |lab, claims| {
        let text = claims.to_string().replacen('{', "{\"trim_ms\":0,", 1);
        Ok(sign_text(&lab.author.keys.schedule, "timetable", &text))
    };
    "refuse-number", "§1", "with a number that is not whole", |lab, claims| {
        let text = claims.to_string().replacen("\"trim_ms\":0", "\"trim_ms\":0.5", 1);
        Ok(sign_text(&lab.author.keys.schedule, "timetable", &text))
    };
    "refuse-version", "§1", "of another `v` than 1", |lab, mut claims| {
        merge(&mut claims, &json!({"v": 2}));
        Ok(sign(&lab.author.keys.schedule, "timetable", &claims))
    };
    "refuse-aud", "§6", "for another device", |lab, mut claims| {
        merge(&mut claims, &json!({"aud": "conform-khac"}));
        Ok(sign(&lab.author.keys.schedule, "timetable", &claims))
    };
    "refuse-expired", "§6", "that has expired", |lab, mut claims| {
        let now = lab.author.now_s();
        merge(&mut claims, &json!({"iat": now - 7_200, "exp": now - 3_600}));
        Ok(sign(&lab.author.keys.schedule, "timetable", &claims))
    };
    "refuse-ahead", "§6", "made more than a day ahead", |lab, mut claims| {
        let now = lab.author.now_s();
        merge(&mut claims, &json!({"iat": now + 172_800, "exp": now + 259_200}));
        Ok(sign(&lab.author.keys.schedule, "timetable", &claims))
    };
    "refuse-older", "§6", "older than the one in force", |lab, mut claims| {
        merge(&mut claims, &json!({"ver": lab.in_force() - 1}));
        Ok(sign(&lab.author.keys.schedule, "timetable", &claims))
    };
    "refuse-conflict", "§6", "of the version in force with other bytes", |lab, mut claims| {
        merge(&mut claims, &json!({"ver": lab.in_force()}));
        Ok(sign(&lab.author.keys.schedule, "timetable", &claims))
    };
    "refuse-limit", "§14", "over the limit of bytes", |lab, mut claims| {
        merge(&mut claims, &json!({"more": "x".repeat(6_200)}));
        Ok(sign(&lab.author.keys.schedule, "timetable", &claims))
    };
}

pub async fn run(lab: &mut Lab) -> Step {
    lab.begin("accept-timetable");
    let begun = lab.clock.mono_ms();
    let plan = lab.plan();
    lab.install(&plan).await?;
    let took = lab.clock.mono_ms() - begun;
    lab.pass(format!("its sheet was asked for after {took} ms"));
    // What a device does at once it would do wrongly at once, too.
    lab.settle_ms = u64::try_from(took).unwrap_or_default().saturating_mul(3).clamp(700, 5_000);

    lab.begin("accept-unknown");
    let (bytes, name) = lab.sheet(&plan);
    let mut claims = lab.author.timetable(&name, lab.day.0, lab.day.1);
    merge(&mut claims, &json!({"conform": {"a": [1, null, "x"]}}));
    let text = sign(&lab.author.keys.schedule, "timetable", &claims);
    match lab.give(bytes, name, text).await {
        Ok(()) => lab.pass(""),
        Err(Stop::Waited { what, .. }) => lab.fail(what),
        Err(stop) => return Err(stop),
    }
    for (id, write) in WRONG {
        lab.begin(id);
        if !lab.wants(id) {
            lab.current = None;
            continue;
        }
        let named = Digest(random()?);
        let claims = lab.author.timetable(&named, lab.day.0, lab.day.1);
        let text = write(lab, claims)?;
        if taken(lab, text, &named).await? {
            lab.fail("it took it: it asked for the sheet that it names");
        } else {
            lab.pass("its sheet was not asked for, that of a good one behind it was");
        }
    }
    Ok(())
}

/// Publishes a wrong timetable and a good one behind it; says whether the wrong one was taken.
pub async fn taken(lab: &mut Lab, text: String, names: &Digest) -> Step<bool> {
    let mark = lab.trace.mark();
    lab.timetable(text).await?;
    let topic = lab.topic(&Topic::Sheet(*names));
    let taken = lab.trace.asks(mark, &topic, lab.settle_ms).await;
    let plan = lab.plan();
    lab.install(&plan).await?;
    let asked = lab.trace.look(mark, |seen| crate::conform::trace::asked(seen, &topic));
    Ok(taken || asked)
}
