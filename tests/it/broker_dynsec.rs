//! The server as administrator of a real mosquitto's accounts: devices come, move and go, and
//! nobody touches a file.

use crate::support::brokers::{quick, url};
use crate::support::hostile::Hostile;
use crate::support::mosquitto::{ADMIN, Mosquitto};
use crate::support::wait;
use loa::app::dynsec::{Admin, ServerAccount, Word};
use loa::app::live::{Live, Picture};
use loa::app::ports::{Enrolment, EnrolmentCode, Registry as _};
use loa::app::registry::PasswordSeed;
use loa::domain::ids::{DeviceId, Digest};
use loa::domain::station::{Device, Unit};
use loa::domain::time::UtcMs;
use loa::mqtt::{self, MqttConfig, Password};
use loa::store::memory::MemoryStore;
use loa::wire::topic::Topics;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NOW: UtcMs = UtcMs(1_788_000_000_000);
const SERVER: (&str, &str) = ("loa.server", "mật khẩu máy chủ");

struct Stage {
    broker: Mosquitto,
    store: Arc<MemoryStore>,
    live: Arc<Live>,
    seed: PasswordSeed,
    stop: CancellationToken,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Stage {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let units = [unit("01", None), unit("00070", Some("01")), unit("00071", Some("01"))];
        store.put_units(&units).await.unwrap();
        Self {
            broker: Mosquitto::start_blank().await,
            store,
            live: Arc::new(Live::new(Picture::empty("thử"))),
            seed: PasswordSeed::new([9; 32]),
            stop: CancellationToken::new(),
        }
    }

    /// Begins to administer with that password.
    fn administer(&self, password: &str) {
        let login = Some((ADMIN.0.to_owned(), Password::new(password)));
        let config = quick(MqttConfig::server(url(self.broker.at), "loa.admin.1", login));
        let (link, events, _) =
            mqtt::connect(config, Box::new(|| None), self.stop.clone()).unwrap();
        let admin = Admin {
            link,
            events,
            store: self.store.clone(),
            live: self.live.clone(),
            topics: Topics::default(),
            seed: self.seed.clone(),
            server: ServerAccount { user: SERVER.0.into(), password: Word(SERVER.1.into()) },
            leads: Box::new(|| true),
            asked: 0,
        };
        tokio::spawn(admin.run());
    }

    /// Tells whoever watches that the register was changed.
    async fn touch(&self) {
        let (devices, units) =
            (self.store.devices().await.unwrap(), self.store.units().await.unwrap());
        self.live.set_register(devices, &units);
    }

    async fn register(&self, id: &str, unit: &str) {
        let device = Device {
            id: id.parse().unwrap(),
            name: "Loa cột điện số 4, thôn Đoài".into(),
            unit: unit.parse().unwrap(),
            tags: Vec::new(),
            profile: "loa-ip".parse().unwrap(),
            volume_cap: 100,
            trim_ms: 0,
            behind: None,
        };
        self.store.put_devices(&[device], NOW).await.unwrap();
        self.touch().await;
    }

    /// Enrols a device under a key; returns its password.
    async fn enrol(&self, id: &str, kid: &str) -> String {
        let device: DeviceId = id.parse().unwrap();
        let password = self.seed.of_device(&device, kid);
        let code = Digest::of(kid.as_bytes());
        let issued = EnrolmentCode {
            id: code,
            device: device.clone(),
            secret: b"x".to_vec(),
            made_ms: NOW,
            expires_ms: NOW.plus(60_000),
            used: None,
            refused: 0,
            last_refusal: None,
        };
        self.store.put_code(&issued).await.unwrap();
        let enrolment = Enrolment {
            code,
            device,
            kid: kid.into(),
            key: code.0,
            password: Digest::of(password.as_bytes()),
            at_ms: NOW,
        };
        self.store.enrol(&enrolment).await.unwrap();
        self.touch().await;
        password
    }

    async fn login(&self, id: &str, word: &str) -> Option<Hostile> {
        Hostile::login(self.broker.at, id, Some((id, word)), None).await.ok()
    }

    /// Waits until somebody is let in.
    async fn let_in(&self, id: &str, word: &str) -> Hostile {
        wait::some(&format!("`{id}` to be let in"), async || self.login(id, word).await).await
    }

    /// Waits until somebody is let in no more.
    async fn keep_out(&self, id: &str, word: &str) {
        let what = format!("`{id}` to be kept out");
        wait::some(&what, async || self.login(id, word).await.is_none().then_some(())).await;
    }

    fn alarms(&self) -> Vec<&'static str> {
        self.live.picture().alarms.iter().map(|alarm| alarm.code).collect()
    }

    /// Sends commands to the plugin as its administrator with another program would.
    async fn by_hand(&self, commands: &str) {
        let mut admin = self.let_in(ADMIN.0, ADMIN.1).await;
        admin.publish("$CONTROL/dynamic-security/v1", commands, 1, false).await;
        assert!(admin.settled().await);
    }
}

fn unit(id: &str, parent: Option<&str>) -> Unit {
    Unit {
        id: id.parse().unwrap(),
        name: format!("Đơn vị {id}"),
        parent: parent.map(|parent| parent.parse().unwrap()),
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
        population: None,
    }
}

/// Which of these filters bring what the server publishes there.
async fn granted(device: &mut Hostile, filters: &[&str]) -> Vec<bool> {
    let answer = device.subscribe(filters).await.unwrap();
    answer.into_iter().map(|code| code < 0x80).collect()
}

#[tokio::test]
async fn a_device_that_enrols_is_let_in_moves_and_is_put_out_without_a_file() {
    let stage = Stage::new().await;
    stage.register("loa-1", "00070").await;
    stage.administer(ADMIN.1);
    let word = stage.enrol("loa-1", "k1").await;
    let mut device = stage.let_in("loa-1", &word).await;
    let filters = [
        "loa/1/keys",
        "loa/1/d/loa-1/+",
        "loa/1/u/00070/hold",
        "loa/1/u/01/urgent/+",
        "loa/1/u/00071/hold",
        "loa/1/d/loa-2/+",
        "loa/1/#",
        "loa/1/epoch",
    ];
    let verdicts = [true, true, true, true, false, false, false, false];
    assert_eq!(granted(&mut device, &filters).await, verdicts);
    stage.let_in(SERVER.0, SERVER.1).await;

    // It moves: it is put out, and comes back with the rights of its new place.
    stage.register("loa-1", "00071").await;
    while device.next().await.is_some() {}
    let mut device = stage.let_in("loa-1", &word).await;
    let units = ["loa/1/u/00070/hold", "loa/1/u/00071/hold"];
    assert_eq!(granted(&mut device, &units).await, [false, true]);

    // New hardware: the old password is worth nothing.
    let new = stage.enrol("loa-1", "k2").await;
    while device.next().await.is_some() {}
    let mut device = stage.let_in("loa-1", &new).await;
    assert!(stage.login("loa-1", &word).await.is_none());

    stage.store.revoke(&"loa-1".parse().unwrap(), "mất cắp", "Lan", NOW).await.unwrap();
    stage.touch().await;
    while device.next().await.is_some() {}
    stage.keep_out("loa-1", &new).await;
    assert_eq!(stage.alarms(), [""; 0]);
}

#[tokio::test]
async fn a_broker_that_lost_its_accounts_is_told_them_again() {
    let mut stage = Stage::new().await;
    stage.register("loa-1", "00070").await;
    let word = stage.enrol("loa-1", "k1").await;
    stage.administer(ADMIN.1);
    stage.let_in("loa-1", &word).await;
    stage.broker.lose_accounts().await;
    stage.let_in("loa-1", &word).await;
}

#[tokio::test]
async fn what_others_made_is_left_alone_and_what_was_changed_of_ours_is_mended() {
    let mut stage = Stage::new().await;
    stage
        .by_hand(
            r#"{"commands":[{"command":"createRole","rolename":"camera","acls":[
            {"acltype":"publishClientSend","topic":"camera/#","allow":true}]},
            {"command":"createClient","username":"loa-2","password":"của camera",
             "roles":[{"rolename":"camera"}]},
            {"command":"createClient","username":"loa-1","password":"của người khác"}]}"#,
        )
        .await;
    stage.register("loa-1", "00070").await;
    stage.register("loa-3", "00070").await;
    let taken = stage.enrol("loa-1", "k1").await;
    let word = stage.enrol("loa-3", "k3").await;
    stage.administer(ADMIN.1);
    let mut device = stage.let_in("loa-3", &word).await;
    wait::until("the alarm about the name", || stage.alarms() == ["broker-admin-taken"]).await;
    assert!(stage.login("loa-1", &taken).await.is_none());
    for (id, word) in [("loa-1", "của người khác"), ("loa-2", "của camera")] {
        assert!(stage.login(id, word).await.is_some(), "{id}");
    }
    assert_eq!(granted(&mut device, &["loa/1/u/00071/hold"]).await, [false]);

    // Somebody gives it more, and takes a role's rights away; the name becomes free.
    stage
        .by_hand(
            r#"{"commands":[{"command":"addClientRole","username":"loa-3","rolename":"admin"},
            {"command":"modifyRole","rolename":"loa/1:device:loa-3","acls":[]},
            {"command":"deleteClient","username":"loa-1"}]}"#,
        )
        .await;
    stage.touch().await;
    stage.let_in("loa-1", &taken).await;
    let rights = ["loa/1/d/loa-3/+", "$CONTROL/dynamic-security/v1/response"];
    wait::some("the rights of the register", async || {
        let mut device = stage.login("loa-3", &word).await?;
        (granted(&mut device, &rights).await == [true, false]).then_some(())
    })
    .await;
    wait::until("no alarm", || stage.alarms().is_empty()).await;
    stage.broker.kill_and_restart().await;
    stage.let_in("loa-2", "của camera").await;
}

#[tokio::test]
async fn what_keeps_the_server_from_administering_is_told_with_a_remedy() {
    let stage = Stage::new().await;
    stage.administer("sai");
    wait::until("the alarm", || stage.alarms() == ["broker-admin"]).await;
    let text = stage.live.picture().alarms[0].en.clone();
    assert!(text.contains("admin_password_file"), "{text}");
}

#[tokio::test]
async fn a_broker_that_is_open_to_all_and_a_password_nobody_knows_are_told() {
    let mut stage = Stage::new().await;
    stage
        .by_hand(
            r#"{"commands":[{"command":"setDefaultACLAccess","acls":[
            {"acltype":"subscribe","allow":true}]}]}"#,
        )
        .await;
    stage.register("loa-1", "00070").await;
    stage.enrol("loa-1", "k1").await;
    stage.seed = PasswordSeed::new([2; 32]);
    stage.administer(ADMIN.1);
    wait::until("both alarms", || {
        stage.alarms() == ["broker-admin-open", "broker-admin-locked-out"]
    })
    .await;
}
