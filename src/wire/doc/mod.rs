//! The documents, member by member. The shapes are the contract (`firmware-notes`).

mod behind;
mod command;
mod feed;
mod floor;
mod hold;
mod presence;
mod receipt;
mod state;
mod time;
mod timetable;
mod urgent;

pub use behind::{Behind, Group};
pub use command::{Command, Do};
pub use feed::Feed;
pub use floor::{Floor, LocalClock};
pub use hold::Hold;
pub use presence::{Marker, Presence, ServerState};
pub use receipt::{Checkpoint, Receipt};
pub use state::{Held, State, StateClock, StateKind, Storage, Wanted, WantedKind};
pub use time::TimeAnswer;
pub use timetable::{DayEntry, Timetable};
pub use urgent::{Drill, NoticeAsset, Paper, Repeat, Urgent, Withdrawal};

pub use super::epoch::{Epoch, KeysBody, RetiredKey};

use super::judge::Judged;
use super::jws::{self, Keys, Opened, SecretKey, Typ};
use super::refusal::Refusal;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A document that is one compact JWS.
pub trait Document: Judged + Serialize + DeserializeOwned {
    /// The header's `typ`; it decides role and largest size too.
    const TYP: Typ;

    /// Checks what types cannot say.
    fn check(&self) -> Result<(), Refusal>;
}

/// Signs a document; refuses one that every reader would refuse, over the limits too.
pub fn sign<T: Document>(key: &SecretKey, doc: &T) -> Result<String, Refusal> {
    doc.check()?;
    jws::sign_within(key, T::TYP, doc)
}

/// Verifies, reads and checks a document. Whether it may take effect is [`super::judge`]'s.
pub fn open<T: Document>(body: &[u8], keys: &dyn Keys) -> Result<Opened<T>, Refusal> {
    let opened: Opened<T> = jws::open_bytes(body, T::TYP, T::TYP.role(), keys)?;
    opened.claims.check()?;
    Ok(opened)
}

/// Returns a station's name as `iss` carries it: whole characters within the limit.
pub fn issuer(name: &str) -> String {
    let mut end = name.len().min(super::limits::WORD_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// Versions count from 1: 0 stands for "none" in a device's state.
fn positive(number: i64, member: &'static str) -> Result<(), Refusal> {
    if number > 0 { Ok(()) } else { Err(Refusal::content(format!("`{member}` is not above 0"))) }
}

/// Words are short and, where they name something, not empty.
fn word(text: &str, member: &'static str) -> Result<(), Refusal> {
    Refusal::limit("bytes of a word", text.len(), super::limits::WORD_BYTES)?;
    if text.is_empty() {
        return Err(Refusal::content(format!("`{member}` is empty")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ChainId, DeviceId, Digest};
    use crate::domain::time::UtcMs;
    use crate::wire::jws::{OneKey, sign_bytes};
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[4; 32])
    }

    fn me() -> DeviceId {
        DeviceId::new("loa-thon-1").unwrap()
    }

    fn keys<T: Document>() -> OneKey {
        OneKey { key: key().public(), role: T::TYP.role() }
    }

    fn reopen<T: Document>(doc: &T) -> Result<Opened<T>, Refusal> {
        open::<T>(sign(&key(), doc)?.as_bytes(), &keys::<T>())
    }

    fn timetable() -> Timetable {
        let day = |n: i64| DayEntry {
            from_ms: UtcMs((NOW + n * 86_400) * 1_000),
            to_ms: UtcMs((NOW + (n + 1) * 86_400) * 1_000),
            sheet: Digest::of(&[u8::try_from(n).unwrap()]),
        };
        Timetable {
            v: 1,
            iss: "Đài truyền thanh xã Tân Lập, tỉnh Thái Nguyên".to_owned(),
            aud: me(),
            iat: NOW,
            exp: NOW + 16 * 86_400,
            ver: NOW * 1_000,
            units: ["00070-thon1", "00070", "19"].map(|u| u.parse().unwrap()).to_vec(),
            volume_cap: 90,
            trim_ms: -20,
            fetch_spread_s: 120,
            days: (0..16).map(day).collect(),
            standby: std::collections::BTreeMap::new(),
            idle: None,
            local: Vec::new(),
        }
    }

    fn command(act: Do) -> Command {
        Command {
            v: 1,
            iss: "x".to_owned(),
            aud: me(),
            iat: NOW,
            exp: NOW + 300,
            jti: "c-1".to_owned(),
            act,
        }
    }

    #[test]
    fn a_long_name_of_a_station_is_cut_between_characters() {
        let name = "Đài truyền thanh ".repeat(10);
        let cut = issuer(&name);
        assert!(name.starts_with(&cut) && (125..=128).contains(&cut.len()), "{cut}");
        let order = Command { iss: cut, ..command(Do::Stop) };
        assert!(sign(&key(), &order).is_ok());
        assert_eq!(issuer("Đài"), "Đài");
    }

    #[test]
    fn sixteen_days_fit_into_a_timetable() {
        let text = sign(&key(), &timetable()).unwrap();
        assert!(text.len() <= crate::wire::limits::TIMETABLE_BYTES, "{}", text.len());
        assert_eq!(reopen(&timetable()).unwrap().claims, timetable());
    }

    #[test]
    fn what_readers_would_refuse_is_not_signed() {
        let with = |change: fn(&mut Timetable)| {
            let mut doc = timetable();
            change(&mut doc);
            sign(&key(), &doc).unwrap_err().reason()
        };
        assert_eq!(with(|t| t.volume_cap = 101), "content");
        assert_eq!(with(|t| t.trim_ms = 1_001), "content");
        assert_eq!(with(|t| t.ver = 0), "content");
        assert_eq!(with(|t| t.exp = t.iat), "content");
        assert_eq!(with(|t| t.days.swap(0, 1)), "content");
        assert_eq!(with(|t| t.days[0].to_ms = t.days[0].from_ms), "content");
        assert_eq!(with(|t| t.days = vec![t.days[0]; 33]), "limit");
        assert_eq!(with(|t| t.units = vec![t.units[0].clone(); 9]), "limit");
        assert_eq!(with(|t| t.iss = "x".repeat(129)), "limit");
    }

    #[test]
    fn an_idle_page_of_unknown_kind_counts_as_absent() {
        let mut value = serde_json::to_value(timetable()).unwrap();
        value["idle"] = json!({"frames": "x"});
        let text = sign_bytes(&key(), Timetable::TYP.as_str(), value.to_string().as_bytes());
        let opened = open::<Timetable>(text.as_bytes(), &keys::<Timetable>()).unwrap();
        assert_eq!(opened.claims.idle, None);
        value["idle"] = json!({"text": "UBND xã", "dwell_ms": 5_000});
        let text = sign_bytes(&key(), Timetable::TYP.as_str(), value.to_string().as_bytes());
        let opened = open::<Timetable>(text.as_bytes(), &keys::<Timetable>()).unwrap();
        assert_eq!(opened.claims.idle.unwrap().text, "UBND xã");
    }

    #[test]
    fn a_command_acts_once_on_one_device_for_five_minutes() {
        let chain = ChainId([1; 16]);
        for act in [
            Do::Stop,
            Do::Volume { volume: 0 },
            Do::SelfTest,
            Do::Identify,
            Do::Resend { chain, from: 1, to: 1 },
        ] {
            assert_eq!(reopen(&command(act.clone())).unwrap().claims, command(act));
        }
        let stop = command(Do::Stop);
        let at = |s: i64| stop.judge(&me(), Some(UtcMs(s * 1_000)), |_| false);
        assert_eq!(at(NOW + 299), Ok(()));
        assert_eq!(at(NOW + 300).unwrap_err().reason(), "expired");
        assert_eq!(at(NOW - 86_401).unwrap_err().reason(), "ahead");
        assert_eq!(stop.judge(&me(), None, |_| true).unwrap_err().reason(), "replay");
        let other = DeviceId::new("loa-thon-2").unwrap();
        assert_eq!(stop.judge(&other, None, |_| false).unwrap_err().reason(), "aud");
        for bad in [
            Command { exp: NOW + 301, ..command(Do::Stop) },
            Command { exp: NOW, ..command(Do::Stop) },
            Command { jti: String::new(), ..command(Do::Stop) },
            command(Do::Volume { volume: 101 }),
            command(Do::Resend { chain, from: 0, to: 1 }),
            command(Do::Resend { chain, from: 2, to: 1 }),
        ] {
            assert_eq!(sign(&key(), &bad).unwrap_err().reason(), "content", "{bad:?}");
        }
    }

    #[test]
    fn an_unknown_order_is_read_so_that_it_can_be_answered() {
        let mut value = serde_json::to_value(command(Do::Stop)).unwrap();
        value["do"] = json!("dance");
        let text = sign_bytes(&key(), Command::TYP.as_str(), value.to_string().as_bytes());
        let opened = open::<Command>(text.as_bytes(), &keys::<Command>()).unwrap();
        assert_eq!((opened.claims.act, opened.claims.jti.as_str()), (Do::Unknown, "c-1"));
    }

    #[test]
    fn a_time_answers_one_nonce() {
        let now_ms = UtcMs(NOW * 1_000 + 999);
        let answer = TimeAnswer { v: 1, aud: me(), iat: NOW, nonce: "abc".to_owned(), now_ms };
        let opened = reopen(&answer).unwrap().claims;
        assert_eq!(opened.judge(&me(), "abc"), Ok(()));
        assert_eq!(opened.judge(&me(), "abd"), Err(Refusal::Nonce));
        let wrong = TimeAnswer { iat: NOW + 1, ..answer };
        assert_eq!(sign(&key(), &wrong).unwrap_err().reason(), "content");
    }

    #[test]
    fn a_receipt_names_its_head_and_presence_its_build() {
        let receipt = Receipt {
            v: 1,
            aud: me(),
            iat: NOW,
            chain: ChainId([1; 16]),
            upto: 3,
            head: Some(Digest::of(b"3")),
            logged: None,
            checkpoint: None,
        };
        assert_eq!(reopen(&receipt).unwrap().claims, receipt);
        let headless = Receipt { head: None, ..receipt };
        assert_eq!(sign(&key(), &headless).unwrap_err().reason(), "content");
        let presence = Presence {
            v: 1,
            iss: "x".to_owned(),
            iat: NOW,
            state: ServerState::Lost,
            conn: "a1".to_owned(),
            build: "loa 0.1.0".to_owned(),
            checkpoint: Some(Checkpoint { origin: "o".into(), size: 1, root: "r".into() }),
        };
        assert_eq!(reopen(&presence).unwrap().claims, presence);
    }

    #[test]
    fn a_state_is_cut_to_its_limit_and_read_back() {
        let mut state = State::bare(StateKind::Ready, 7);
        assert_eq!(State::decode(&state.encode()), Ok(state.clone()));
        let digests = || (0..400_u32).map(|n| Digest::of(&n.to_le_bytes()));
        state.held = digests().collect();
        state.want = digests()
            .map(|sha256| Wanted { kind: WantedKind::Asset, sha256, kib: Some(64) })
            .collect();
        let bytes = state.encode();
        let back = State::decode(&bytes).unwrap();
        assert_eq!(back.want[0], state.want[0]);
        assert!(!back.want.is_empty() && back.want.len() <= 128);
        let unknown = br#"{"v":1,"state":"ready","conn":1,"colour":"red","ver":{"keys":1,"timetable":2,"following":2,"floor":3,"x":0}}"#;
        assert_eq!(State::decode(unknown).unwrap().ver.unwrap().floor, 3);
        assert_eq!(
            State::decode(br#"{"v":2,"state":"ready","conn":1}"#).unwrap_err().reason(),
            "unsupported"
        );
        assert_eq!(State::decode(b"").unwrap_err().reason(), "empty");
    }

    proptest! {
        #[test]
        fn no_signed_content_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = State::decode(&bytes);
            let signed = |typ: Typ| sign_bytes(&key(), typ.as_str(), &bytes);
            let _ = open::<Timetable>(signed(Typ::Timetable).as_bytes(), &keys::<Timetable>());
            let _ = open::<Command>(signed(Typ::Command).as_bytes(), &keys::<Command>());
            let _ = open::<Receipt>(signed(Typ::Receipt).as_bytes(), &keys::<Receipt>());
            let _ = open::<Presence>(signed(Typ::Server).as_bytes(), &keys::<Presence>());
        }

        #[test]
        fn no_number_in_a_document_panics(n in any::<i64>(), m in any::<i64>()) {
            let mut doc = timetable();
            (doc.ver, doc.exp, doc.trim_ms) = (n, m, n);
            doc.days[0].from_ms = UtcMs(m);
            let _ = doc.check();
            let _ = crate::wire::judge::timely(&doc, Some(UtcMs(n)));
            let floor = Floor::first(me(), n, m, 420);
            let _ = (floor.is_quiet(UtcMs(n)), floor.next_change(UtcMs(m)));
            let order = Command { iat: n, exp: m, ..command(Do::Stop) };
            let _ = order.judge(&me(), Some(UtcMs(n)), |_| false);
        }
    }
}
