//! What the embedded broker's library gets wrong or leaves open, one test each.

use crate::support::brokers::{Client, Embedded, Kind, Register, World, accounts, fleet, will};
use crate::support::hostile::Hostile;
use crate::support::wait::{until, within};
use loa::app::link::LinkError;
use loa::broker::{Broker, BrokerConfig, BrokerError, TlsFiles};
use loa::wire::limits;
use loa::wire::topic::{Topic, Topics};
use rumqttc::{AsyncClient, ConnectReturnCode, ConnectionError, Event, MqttOptions, Packet, QoS};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

fn embedded(world: &World) -> &Embedded {
    match &world.kind {
        Kind::Embedded(embedded) => embedded,
        _ => unreachable!("made so"),
    }
}

#[tokio::test]
async fn trap_1_a_will_on_a_foreign_topic_is_refused_at_login() {
    let world = World::embedded().await;
    let foreign = will("loa/1/d/loa-2/state", "giả", true);
    let mut device = Client::start(world.device_config("loa-1"), foreign);
    assert!(device.disconnected().await.contains("NotAuthorized"));
    assert_eq!(embedded(&world).broker().counts().refused_logins, 1);
}

#[tokio::test]
async fn trap_2_a_shared_subscription_is_refused_instead_of_silently_empty() {
    let world = World::embedded().await;
    let shared = "$share/g/loa/1/r/+/+".to_owned();
    let refused = Err(LinkError::Refused { filters: vec![shared.clone()] });
    assert_eq!(world.server().await.link.subscribe(vec![shared.clone()]).await, refused);
    assert_eq!(world.device("loa-1").await.link.subscribe(vec![shared]).await, refused);
}

#[tokio::test]
async fn trap_3_it_stops_with_clients_on_it_and_frees_its_ports() {
    let mut world = World::embedded().await;
    let mut device = world.device("loa-1").await;
    device.subscribe(&["loa/1/keys"]).await;
    let Kind::Embedded(embedded) = &mut world.kind else { unreachable!("made so") };
    let broker = embedded.broker.take().unwrap();
    let server = broker.server().0;
    within("it stops", broker.stop()).await;
    device.disconnected().await;
    assert!(TcpStream::connect(embedded.devices).await.is_err());
    assert!(TcpStream::connect(server).await.is_err());
    // Dropping it on an async thread must not panic either.
    drop(Embedded::start(&accounts()).await.broker.take());
}

#[tokio::test]
async fn trap_4_fifty_starts_on_one_port_each_answer() {
    let mut world = Embedded::start(&accounts()).await;
    for _ in 0..50 {
        within("it starts again", world.restart()).await;
        assert_eq!(world.broker().devices(), world.devices);
    }
}

#[tokio::test]
async fn trap_4_a_port_that_is_taken_is_said_at_once() {
    let world = Embedded::start(&accounts()).await;
    let config = BrokerConfig {
        listen: world.devices,
        tls: None,
        topics: Topics::default(),
        max_devices: 10,
        server_bytes: loa::broker::SERVER_BYTES,
    };
    let error = Broker::start(config, Arc::new(world.register.clone())).await.err().unwrap();
    assert!(matches!(error, BrokerError::Listen { .. }), "{error}");
    assert!(error.hint().contains("--broker"));
}

#[tokio::test]
async fn trap_5_what_a_full_queue_drops_is_counted_though_it_was_acknowledged() {
    let world = World::embedded().await;
    let server = world.server().await;
    let stalled = world.device("loa-1").await;
    stalled.subscribe(&["loa/1/d/loa-1/command"]).await;
    let sent = 2_000;
    for _ in 0..sent {
        server.publish("loa/1/d/loa-1/command", "x", false).await;
    }
    let held = u64::from(loa::broker::DEVICE_WINDOW) + loa::broker::DEVICE_QUEUE as u64;
    let broker = embedded(&world).broker();
    until("what does not fit is dropped", || broker.counts().dropped >= sent - held - 1).await;
    assert!(broker.counts().dropped <= sent - held + 1, "{}", broker.counts().dropped);
}

/// What waits for it is bounded by number and size, and is given up, oldest first.
#[tokio::test]
async fn a_device_that_does_not_read_holds_back_nobody() {
    let world = World::embedded().await;
    let server = world.server().await;
    let login = Some(("loa-1", "m\u{1ead}t kh\u{1ea9}u 1"));
    let mut stalled = Hostile::login(embedded(&world).devices, "loa-1", login, None).await.unwrap();
    assert_eq!(stalled.subscribe(&["loa/1/d/loa-1/command"]).await, Some(vec![1]));
    let mut other = world.device("loa-2").await;
    other.subscribe(&["loa/1/d/loa-2/command"]).await;
    // It reads nothing from here on, not even what lies in its socket.
    let large = vec![b'x'; 8_000];
    for n in 0..1_000_u32 {
        server.publish("loa/1/d/loa-1/command", large.clone(), false).await;
        server.publish("loa/1/d/loa-2/command", n.to_string(), false).await;
        assert_eq!(other.message().await.1, n.to_string().into_bytes());
    }
    let broker = embedded(&world).broker();
    until("what the stalled one cannot take is dropped", || broker.counts().dropped > 500).await;
    assert!(stalled.heard.is_empty());
}

/// Room for records that wait, in the tests of a server that does not read.
const ROOM: usize = 4 << 20;

/// Logs in; a broker that is busy for a moment says so (code 3), and devices come again.
async fn let_in(at: SocketAddr, id: &str, login: Option<(&str, &str)>) -> Hostile {
    let coming = async {
        loop {
            match Hostile::login(at, id, login, None).await {
                Ok(device) => return device,
                Err(Some(3)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(code) => panic!("`{id}` is not let in: {code:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), coming).await.expect("a broker that is not busy")
}

/// A broker with eight devices at it, and a server that subscribes and reads nothing then.
async fn with_a_server_that_does_not_read() -> (Broker, Vec<Hostile>, Hostile) {
    let accounts = fleet(8);
    let config = BrokerConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        topics: Topics::default(),
        max_devices: 10,
        server_bytes: ROOM,
    };
    let broker = Broker::start(config, Arc::new(Register::of(&accounts))).await.unwrap();
    let (at, user, password) = broker.server();
    let mut server = let_in(at, user, Some((user, password))).await;
    server.subscribe(&["loa/1/r/+/+", "loa/1/d/+/state"]).await;
    let mut devices = Vec::new();
    for account in &accounts {
        let id = account.id.as_str();
        let login = Some((id, account.password.as_str()));
        devices.push(let_in(broker.devices(), id, login).await);
    }
    (broker, devices, server)
}

/// The library bounds that queue by number, and not at all what comes while it waits for the
/// socket of a server that reads nothing.
#[tokio::test]
async fn what_waits_for_a_server_that_does_not_read_is_bounded_by_bytes() {
    let (broker, mut devices, mut server) = with_a_server_that_does_not_read().await;
    let held = || usize::try_from(broker.counts().waiting_bytes).unwrap();
    let topic = |account: usize| {
        let id = fleet(8)[account].id.clone();
        Topics::default().of(&Topic::Records(id))
    };
    let body = "x".repeat(limits::BATCH_BYTES);
    let message = body.len() + 512;
    for (n, device) in devices.iter_mut().enumerate() {
        for _ in 0..100 {
            device.publish(&topic(n), &body, 1, false).await;
        }
        assert!(device.settled().await, "a device whose records wait stays");
        assert!(held() <= ROOM, "{} bytes are held", held());
        if n == 0 {
            let most = 16 * limits::BATCH_BYTES;
            assert!((most - message..=most).contains(&held()), "by one device: {}", held());
        }
    }
    assert!(held() > ROOM - message, "the room is used: {}", held());
    assert!(broker.counts().dropped > 700);

    // It reads again: all of it comes, and there is room once more.
    let mut came = 0;
    while held() > 0 {
        assert!(server.next().await.is_some());
        came += 1;
        // What it has just acknowledged is let go.
        server.settled().await;
    }
    assert!(came >= 1, "it read what waited");
    devices[7].publish(&topic(7), "mới", 1, false).await;
    until_heard(&mut server, "mới").await;
}

async fn until_heard(server: &mut Hostile, text: &str) {
    while server.heard.iter().all(|heard| heard.payload != text) {
        assert!(server.next().await.is_some(), "the broker has closed the connection");
    }
}

#[tokio::test]
async fn a_device_whose_states_pile_up_is_put_out_and_may_come_again() {
    let (broker, mut devices, mut server) = with_a_server_that_does_not_read().await;
    let body = "x".repeat(limits::STATE_BYTES);
    let topic = "loa/1/d/loa-1001/state";
    for _ in 0..100 {
        devices[0].publish(topic, &body, 1, true).await;
    }
    assert!(!devices[0].settled().await, "it goes on as if nothing had happened");
    assert!(devices[1].settled().await, "the others stay");
    assert!(broker.counts().dropped >= 1);
    // What came before that reaches the server, and makes room.
    while server.heard.len() < 40 {
        assert!(server.next().await.is_some());
    }
    server.settled().await;
    let login = fleet(1).remove(0);
    let login = Some(("loa-1001", login.password.as_str()));
    let mut again = Hostile::login(broker.devices(), "loa-1001", login, None).await.unwrap();
    again.publish(topic, "mới", 1, true).await;
    until_heard(&mut server, "mới").await;
    assert_eq!(broker.counts().waiting_bytes, 0, "a state that is kept does not wait");
}

#[tokio::test]
async fn trap_6_the_largest_packet_of_the_contract_passes() {
    let world = World::embedded().await;
    let server = world.server().await;
    let mut device = world.device("loa-1").await;
    let topic = format!("loa/1/a/{}/64/sums", loa::domain::ids::Digest::of(b"x"));
    let body = vec![1; loa::wire::limits::SUMS_BYTES];
    server.publish(&topic, body.clone(), true).await;
    device.subscribe(&[&topic]).await;
    assert_eq!(device.message().await, (topic, body, true));
}

#[tokio::test]
async fn trap_7_a_denied_publish_is_acknowledged_and_goes_nowhere() {
    let world = World::embedded().await;
    let device = world.device("loa-1").await;
    device.publish("loa/1/d/loa-2/state", "giả", true).await;
    assert_eq!(embedded(&world).broker().counts().refused_publishes, 1);
    let mut server = world.server().await;
    server.subscribe(&["loa/1/d/+/state"]).await;
    device.publish("loa/1/d/loa-1/state", "thật", true).await;
    assert_eq!(server.message().await.0, "loa/1/d/loa-1/state");
}

#[tokio::test]
async fn trap_8_a_clean_session_gets_nothing_redelivered() {
    let world = World::embedded().await;
    let server = world.server().await;
    {
        let device = world.device("loa-1").await;
        device.subscribe(&["loa/1/d/loa-1/command"]).await;
        for n in 0..40 {
            server.publish("loa/1/d/loa-1/command", format!("{n}"), false).await;
        }
        // None of them was taken, so none was acknowledged.
    }
    let mut device = world.device("loa-1").await;
    device.subscribe(&["loa/1/d/loa-1/command"]).await;
    server.publish("loa/1/d/loa-1/command", "mới", false).await;
    assert_eq!(device.message().await.1, "mới".as_bytes());
}

#[tokio::test]
async fn trap_9_sessions_that_come_and_go_leave_nothing_behind() {
    let world = World::embedded().await;
    let server = world.server().await;
    let at = embedded(&world).devices;
    for n in 0..200 {
        // Unclean sessions, against the contract, each with a message waiting.
        let mut options = MqttOptions::new("loa-1", at.ip().to_string(), at.port());
        options.set_credentials("loa-1", &accounts()[0].password);
        options.set_clean_session(n % 2 == 0);
        let (client, mut events) = AsyncClient::new(options, 10);
        client.subscribe("loa/1/d/loa-1/command", QoS::AtLeastOnce).await.unwrap();
        let subscribed = async {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(_))) => return,
                    Ok(_) => {}
                    // The library refuses whoever comes while its earlier session ends; it is
                    // let in when it tries again, as our client does with its back-off.
                    Err(ConnectionError::ConnectionRefused(code)) => {
                        assert_eq!(code, ConnectReturnCode::ServiceUnavailable);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        within("a session", subscribed).await;
        server.publish("loa/1/d/loa-1/command", vec![0; 1_000], false).await;
    }
    let broker = embedded(&world).broker();
    until("their connections are gone", || broker.counts().connections <= 1).await;
    until("at most the last session is left", || broker.counts().sessions <= 2).await;
}

/// Makes an authority and a certificate for `127.0.0.1` with openssl, valid until that year.
fn certificates(folder: &Path, until: u16) -> (PathBuf, TlsFiles) {
    let openssl = |args: &str| {
        let done = std::process::Command::new("openssl")
            .args(args.split(' '))
            .current_dir(folder)
            .output()
            .expect("openssl is installed: run `make setup`");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("ext", "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
    write("index.txt", "");
    write("serial", "01\n");
    write(
        "ca.cnf",
        "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n\
         policy=p\ndefault_md=sha256\n[p]\ncommonName=supplied\n",
    );
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 30");
    openssl("req -newkey rsa:2048 -nodes -keyout key.pem -out req.pem -subj /CN=loa-test");
    openssl(&format!(
        "ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in req.pem -out cert.pem \
         -extfile ext -notext -startdate 20200101000000Z -enddate {until}0101000000Z"
    ));
    let tls = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    (folder.join("ca.pem"), tls)
}

fn over_tls(world: &Embedded, ca: Option<&Path>) -> loa::mqtt::MqttConfig {
    let account = &accounts()[0];
    let url = format!("mqtts://{}", world.devices).parse().unwrap();
    let password = loa::mqtt::Password::new(&account.password);
    let mut config = loa::mqtt::MqttConfig::device(url, account.id.as_str(), password);
    config.tls.ca_file = ca.map(Into::into);
    config.backoff = (Duration::from_millis(20), Duration::from_millis(100));
    config
}

#[tokio::test]
async fn a_device_over_tls_trusts_the_authority_it_was_given_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, tls) = certificates(folder.path(), 2049);
    let world = Embedded::start_with(&accounts(), Some(tls)).await;
    let device = Client::connect(over_tls(&world, Some(&ca)), Box::new(|| None)).await;
    device.publish("loa/1/d/loa-1/state", "x", true).await;
    let foreign = tempfile::tempdir().unwrap();
    let (foreign, _) = certificates(foreign.path(), 2049);
    let mut refused = Client::start(over_tls(&world, Some(&foreign)), Box::new(|| None));
    let why = refused.disconnected().await;
    assert!(why.contains("certificate"), "{why}");
    // In the clear on the same port: no answer that could be taken for one.
    let mut clear = over_tls(&world, None);
    clear.url.tls = false;
    let mut clear = Client::start(clear, Box::new(|| None));
    clear.disconnected().await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_once_the_clock_is_trusted() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = tempfile::tempdir().unwrap();
    let (ca, tls) = certificates(folder.path(), 2021);
    let world = Embedded::start_with(&accounts(), Some(tls)).await;
    let mut refused = Client::start(over_tls(&world, Some(&ca)), Box::new(|| None));
    let why = refused.disconnected().await;
    assert!(why.to_lowercase().contains("expired"), "{why}");
    let trusted = Arc::new(AtomicBool::new(false));
    let mut config = over_tls(&world, Some(&ca));
    config.tls.time_trusted = Some(Arc::clone(&trusted));
    let mut device = Client::connect(config, Box::new(|| None)).await;
    trusted.store(true, Ordering::SeqCst);
    world.broker().kick(&"loa-1".parse().unwrap()).await;
    device.disconnected().await;
    assert!(device.disconnected().await.to_lowercase().contains("expired"));
    // The chain is judged whatever the clock says.
    let foreign = tempfile::tempdir().unwrap();
    let (foreign, _) = certificates(foreign.path(), 2049);
    let mut config = over_tls(&world, Some(&foreign));
    config.tls.time_trusted = Some(Arc::new(AtomicBool::new(false)));
    let why = Client::start(config, Box::new(|| None)).disconnected().await;
    assert!(why.contains("certificate") && !why.to_lowercase().contains("expired"), "{why}");
}
