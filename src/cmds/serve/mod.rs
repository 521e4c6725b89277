//! `loa serve`: builds the parts of the server and ties them together.
//!
//! | Task | Does |
//! |---|---|
//! | folder | watches the station folder; what is valid comes into force |
//! | publishing | plans it, stores the plan, tells the broker what it lacks |
//! | listener | reads the link: records to ingest, states to the picture |
//! | ingest | verifies and stores records, hands out receipts |
//! | scribe, cosign, stamp | takes what waits into the log; who vouches for it, who stamps it |
//! | rollup | adds up days for reports |
//! | duty | which part of the work on this store is this process's |
//! | upkeep | register, alarms, sessions |
//! | http | API, page, enrolment, assets |
//!
//! They stop in the order http, line (listener, ingest), publishing, upkeep; the store closes last.

mod approve;
mod certificate;
mod clips;
mod cosign;
mod duty;
pub(super) mod feeds;
mod folder;
mod front;
#[cfg(feature = "embedded-broker")]
mod gate;
mod inbox;
mod listen;
mod notes;
mod options;
mod presence;
mod process;
mod publish;
mod rollup;
mod scribe;
mod side;
mod stamp;
mod upkeep;

pub(super) use cosign::rule as cosign_rule;
pub(super) use front::{certified, open as front_door};
pub use options::{Admin, Args, Logging, Options};
pub(super) use process::raise_descriptors;

use super::data::{DataFolder, Hold};
use super::reach::reach;
use super::{Answer, failed, runtime, wrong_use};
use crate::app::assets::{Courier, FileLibrary, Shelf};
use crate::app::draws::Drawing;
use crate::app::dynsec;
use crate::app::enclose::Encloser;
use crate::app::feeds::Feeds;
use crate::app::hold::Holds;
use crate::app::ingest::{Ingest, Shares};
use crate::app::keyring::Keyring;
use crate::app::live::{Live, Picture};
use crate::app::mosquitto::Passwords;
use crate::app::outlet::Outlet;
use crate::app::ports::{LeaseName, Store};
use crate::app::previews::Previews;
use crate::app::publish::{Publisher, Settings};
use crate::app::registry::Register;
use crate::app::reports::Reports;
use crate::app::rollup::Rollup;
use crate::app::scribe::Scribe;
use crate::app::tails::Tails;
use crate::app::urgent::Notices;
use crate::clock::{SharedClock, SystemClock};
use crate::config::BrokerAdmin;
use crate::http::{AppState, Site, Turnstile};
use crate::lifecycle::{End, Lifecycle, Stage};
use crate::wire::b64;
use crate::wire::tlog::VerifierKey;
use anyhow::Context as _;
use duty::{Duty, Lead, Tenure};
use folder::Folder;
use inbox::Inbox;
use listen::{Listener, hand_out};
use notes::{guard_lan, note_settings};
use presence::Present;
use process::{random, share_arenas};
use publish::{Parts, Publishing};
use side::{Administered, Outside, Side, embedded, external, finish, kick, show_anew};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot, watch};

/// Batches of records that wait for ingest; beyond that the broker waits.
const RECORDS: usize = 512;
/// Receipts that wait for the line; beyond that ingest waits.
const RECEIPTS: usize = 1024;
/// Heads that wait until the times of records are enclosed by them.
const HEADS: usize = 64;
/// Memory of the broker that chunks may take.
const SHELF_BYTES: u64 = 256 << 20;

/// Lets long work go on until the process ends.
fn aside(stage: &Stage) -> crate::app::draws::Aside {
    let stage = stage.clone();
    Arc::new(move |work| {
        let token = stage.token();
        stage.spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = work => {}
            }
        });
    })
}

/// Runs the server until it is told to stop.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    run_with(&args.options()?)
}

/// The same with options at hand.
pub(super) fn run_with(options: &Options) -> anyhow::Result<Answer> {
    share_arenas();
    raise_descriptors();
    let runtime = runtime()?;
    let end = runtime.block_on(serve(options));
    // An hour of audio under inspection need not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(300));
    let end = end?;
    if end == End::Dropped {
        eprintln!("warning: some tasks did not end in time and were dropped");
    }
    Ok(Answer::Yes)
}

async fn serve(options: &Options) -> anyhow::Result<End> {
    let data = DataFolder::existing(&options.data)?;
    let mut lifecycle = Lifecycle::new();
    lifecycle.catch_signals().context("listening for signals")?;
    let [http, line, publishing, upkeep] =
        ["http", "line", "publishing", "upkeep"].map(|name| lifecycle.stage(name));
    let clock: SharedClock = Arc::new(SystemClock::new());
    let keys = data.read_keys()?;
    let chain = data.read_epochs(&keys)?;
    let keys = Keyring::new(keys, chain);
    let store_file = data.open_store().await?;
    let logging = options.logging == Logging::On;
    let store_file = Arc::new(if logging { store_file } else { store_file.without_log() });
    let store: Arc<dyn Store> = store_file.clone();
    let live = Arc::new(Live::new(Picture::empty("–")));

    let library = Arc::new(FileLibrary::open(data.assets()).map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?);
    // The station first: it says where to listen.
    let mut folder = Folder::open(
        &options.playlists,
        &options.profiles,
        library.clone(),
        store.clone(),
        live.clone(),
        clock.clone(),
    )
    .await?;
    let reading = folder.read().await?;
    let config = reading.config().cloned().ok_or_else(|| {
        let shown = options.playlists.display();
        failed(
            anyhow::anyhow!("`{shown}` has no valid station and never had one"),
            format!("`loa check {shown}` lists every fault with its remedy"),
        )
    })?;
    let broker_url = options.broker.clone().or_else(|| config.broker.url.clone());
    let hold = if broker_url.is_some() { Hold::Shared } else { Hold::Alone };
    let held = data.hold(hold)?;
    let http_address = options.http.unwrap_or(config.listen.http);
    let mqtt_address = options.mqtt.unwrap_or(config.listen.mqtt);
    guard_lan(&config, http_address, mqtt_address, broker_url.as_deref(), &live)?;
    note_settings(&data, &live);

    let certificate = certificate::prepare(&data, &options.playlists, &config, clock.now())?;
    let https = certificate.as_ref().map(certificate::InUse::https);
    let (door, http_bound) = front::open(http_address, https).await?;
    let conn = b64::encode(&random::<12>()?);
    let seed = data.read_password_seed()?;
    let mut administered = None;
    let (side, mqtt, mqtt_bound) = match &broker_url {
        Some(url) => {
            let admin = config.broker.admin.map(|BrokerAdmin::Dynsec| Admin::Dynsec);
            let (side, mqtt, kept) = external(&Outside {
                url,
                user: options.broker_user.as_deref(),
                admin: options.broker_admin.or(admin),
                config: &config,
                folder: &options.playlists,
                conn: &conn,
                seed: &seed,
            })?;
            administered = kept;
            (side, mqtt, None)
        }
        None if options.broker_admin.is_some() => {
            return Err(wrong_use(
                "the embedded broker needs no administrator",
                "leave `--broker-admin` out, or name a broker: `--broker mqtt://HOST:PORT`",
            ));
        }
        None => embedded(&config, &options.playlists, mqtt_address, &live).await?,
    };
    let reach_now = reach(
        &config,
        &options.playlists,
        http_bound,
        mqtt_bound.unwrap_or(mqtt_address),
        broker_url.as_deref(),
        clock.now(),
    )?;
    let topics = reach_now.topics.clone();
    live.change(|picture| picture.broker.address.clone_from(&reach_now.broker));
    let register =
        Register::new(store.clone(), keys.clone(), clock.clone(), reach_now, seed.clone())
            .telling(live.clone());
    let register = Arc::new(match side {
        // Where the server keeps the accounts itself, nobody needs a file of them.
        Side::External if administered.is_some() => register,
        Side::External => register.keeping(Arc::new(Passwords::at(data.mosquitto_passwords()))),
        #[cfg(feature = "embedded-broker")]
        Side::Embedded(_) => register,
    });

    if let Some(in_use) = certificate {
        let embedded = broker_url.is_none();
        certificate::note_names(&in_use, &register.reach(), embedded, &live);
        let (config, folder, url) = (config.clone(), options.playlists.clone(), broker_url.clone());
        let (register, told, now) = (register.clone(), live.clone(), clock.clone());
        let mqtt = mqtt_bound.unwrap_or(mqtt_address);
        let tell = move |in_use: &certificate::InUse| match reach(
            &config,
            &folder,
            http_bound,
            mqtt,
            url.as_deref(),
            now.now(),
        ) {
            Ok(reach) => {
                certificate::note_names(in_use, &reach, embedded, &told);
                register.set_reach(reach);
            }
            Err(error) => tracing::error!("New devices pin the former authority: {error:#}"),
        };
        let follow = certificate::Follow {
            live: live.clone(),
            clock: clock.clone(),
            show_anew: show_anew(&side),
            tell: Box::new(tell),
        };
        upkeep.spawn(certificate::watch(in_use, follow, upkeep.token()));
    }

    let outlet = Arc::new(Outlet::default());
    let notices = Notices::new(
        store.clone(),
        keys.clone(),
        topics.clone(),
        clock.clone(),
        live.clone(),
        library.clone(),
        outlet.clone(),
    );
    let holds = Holds::new(
        store.clone(),
        keys.clone(),
        topics.clone(),
        clock.clone(),
        live.clone(),
        outlet.clone(),
    );
    let rollup = Arc::new(Rollup::new(store.clone()));
    let state = AppState {
        notices: Arc::new(notices),
        holds: Arc::new(holds),
        store: store.clone(),
        live: live.clone(),
        register: register.clone(),
        clock: clock.clone(),
        shelf: crate::http::Shelf(Arc::new(data.assets())),
        draws: Drawing::new(
            store.clone(),
            data.log(),
            config.zone,
            !config.log.witnesses.is_empty(),
        )
        .going_on(aside(&upkeep)),
        log: crate::http::LogFolder(Arc::new(data.log())),
        reports: Arc::new(Reports::new(rollup.clone())),
        evidence: crate::http::EvidenceFiles::new(Arc::new(
            data.evidence_files()?.bounded(u64::from(config.retention.brought_mib) << 20),
        )),
        site: Site { tls: config.listen.tls.is_some() },
        turnstile: Turnstile::default(),
        previews: Previews::new(clock.clone()),
        metrics: front::metrics()?,
    };

    // Several processes share the devices of a store among them, and one of them publishes.
    let (holder, member) = match hold {
        Hold::Alone => ("alone".to_owned(), None),
        Hold::Shared => (conn.clone(), Some(LeaseName::Member(u64::from_be_bytes(random()?)))),
    };
    if held.is_sole() {
        // Whoever held a lease is dead: a restart after a crash need not wait for its end.
        for lease in store.leases().await? {
            store.release_lease(&lease).await?;
        }
    }
    let began = duty::begin(&*store, &holder, clock.now()).await?;
    let _held = held.share(hold)?;
    let station = folder.begin(reading, began).await?;
    http.spawn(front::serve(door, state, http.token()));
    front::announce(&*store, &clock, http_bound, config.listen.tls.is_some()).await?;

    let (shares, tenure) = (Shares::default(), Tenure::default());
    let (leading, mut leads) = watch::channel(None);
    let deposed = Arc::new(AtomicBool::new(false));
    let duty = Duty {
        store: store.clone(),
        clock: clock.clone(),
        live: live.clone(),
        shares: shares.clone(),
        tenure: tenure.clone(),
        holder,
        member,
        deposed: deposed.clone(),
        leader: None,
    };
    upkeep.spawn(duty.run(leading, upkeep.token(), lifecycle.token()));
    let name = config.name.clone();
    let present = Present {
        keys: keys.clone(),
        clock: clock.clone(),
        topics: topics.clone(),
        name: name.clone(),
        conn: conn.clone(),
    };
    let will = present.clone();
    let wills = Box::new(move || will.will());
    let (link, events, driver) = crate::mqtt::prepare(mqtt, wills).map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?;
    upkeep.spawn(driver.run(upkeep.token()));

    outlet.connect(link.clone());

    let tails = Arc::new(Tails::new(store.clone(), live.clone(), clock.clone()));
    upkeep.spawn(upkeep::watch_tails(tails.clone(), leads.clone(), upkeep.token()));
    let inbox = Arc::new(Inbox::default());
    let (records_in, records) = mpsc::channel(RECORDS);
    let (receipts, receipts_out) = mpsc::channel(RECEIPTS);
    let listener = Listener {
        link: link.clone(),
        live: live.clone(),
        inbox: inbox.clone(),
        records: records_in,
        keys: keys.clone(),
        topics: topics.clone(),
        clock: clock.clone(),
        conn,
        shares: shares.clone(),
        tails: tails.clone(),
    };
    line.spawn(listener.run(events, line.token()));
    let (vouched_in, vouched) = watch::channel(None);
    let ingest = Ingest::new(store.clone(), keys.clone(), topics.clone(), name, clock.clone())
        .sharing(shares)
        .behind(outlet.orders());
    let ingest = if logging { ingest.vouched_by(vouched) } else { ingest };
    upkeep.spawn(upkeep::watch_ingest(ingest.condition(), live.clone(), upkeep.token()));
    line.spawn(ingest.run(records, receipts, line.token()));
    line.spawn(hand_out(link.clone(), receipts_out));

    let log_place = Arc::new(data.log_place(options.log_heads.as_deref())?);
    let (log_heads, heads) = watch::channel(None);
    let (cosigned_in, cosigned) = mpsc::channel(1);
    let (kept_in, kept) = mpsc::channel(HEADS);
    let log_key = VerifierKey::log(log_place.base.clone(), log_place.key.public());
    let rule = cosign::rule(&log_key, &config.log, &options.playlists)?;
    let asking = cosign::Ties {
        live: live.clone(),
        clock: clock.clone(),
        heads,
        cosigned: cosigned_in,
        kept: kept_in,
        folder: log_place.folder.clone(),
    };
    upkeep.spawn(cosign::run(rule.clone(), asking, upkeep.token()));
    let encloser = Encloser::new(store.clone(), clock.clone());
    upkeep.spawn(cosign::enclose(encloser, leads.clone(), kept, upkeep.token()));
    let log_folder = log_place.folder.clone();
    if let Some(tokens) = &config.log.tokens {
        let authority = stamp::Authority::new(tokens, &options.playlists);
        let ties = stamp::Ties {
            live: live.clone(),
            clock: clock.clone(),
            zone: config.zone,
            heads: log_heads.subscribe(),
            folder: log_folder.clone(),
        };
        upkeep.spawn(stamp::run(authority, ties, upkeep.token()));
    }
    let following =
        cosign::follow(log_folder, rule, keys.clone(), live.clone(), vouched_in, upkeep.token());
    upkeep.spawn(following);
    let ties =
        scribe::Ties { live: live.clone(), clock: clock.clone(), heads: log_heads, cosigned };
    if logging {
        let scribe = Scribe::new(store.clone(), log_place, clock.clone());
        upkeep.spawn(scribe::run(scribe, leads.clone(), ties, upkeep.token()));
    }

    let (live_days, clock_days) = (live.clone(), clock.clone());
    upkeep.spawn(rollup::run(rollup, leads.clone(), live_days, clock_days, upkeep.token()));

    let (leads_now, admin_topics) = (leads.clone(), topics.clone());
    // Only whoever leads reads the folder, compiles and publishes; the others wait for that.
    let (reload, reloads) = mpsc::channel(1);
    let (live_keys, watched_keys, keys_inbox) = (live.clone(), keys.clone(), inbox.clone());
    let examined = live.clone();
    let (watched, watch_it) = oneshot::channel();
    let (stop, folder_stop) = (publishing.token(), line.token());
    line.spawn(async move {
        let watched: Result<(Folder, _), _> = watch_it.await;
        if let Ok((folder, in_force)) = watched {
            folder.watch(in_force, reloads, folder_stop).await;
        }
    });
    let (lead_store, lead_live, lead_clock) = (store.clone(), live.clone(), clock.clone());
    let lead_inbox = inbox.clone();
    let station_folder = options.playlists.clone();
    let months = config.retention.evidence_months;
    publishing.spawn(async move {
        let mut look = tokio::time::interval(folder::ASK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    // A process that only stood by goes without a will that others must answer.
                    let _ = link.disconnect().await;
                    return;
                }
                waited = leads.changed() => if waited.is_err() { return } else { break },
                _ = look.tick() => {}
            }
            if folder.leads().is_none()
                && let Err(error) = folder.stand_by().await
            {
                tracing::warn!("Failed to read what is in force: {error:#}");
            }
        }
        // It changes once: whoever loses the lead ends.
        let Some(Lead { fence, heir_of, .. }) = leads.borrow().clone() else { return };
        let mut station = station;
        if folder.leads() != Some(fence) {
            // Published as it was at our start, it would for a moment take back what the server
            // before has accepted since.
            station = match folder.lead(fence).await {
                Ok(station) => station,
                Err(error) => {
                    tracing::error!("Failed to read the station: {error:#}");
                    None
                }
            };
        }
        let (in_force, station_in_force) = watch::channel(station);
        let _ = watched.send((folder, in_force));
        let values = Feeds::new(
            lead_store.clone(),
            keys.clone(),
            topics.clone(),
            lead_clock.clone(),
            lead_live.clone(),
            outlet.clone(),
        );
        let reading = feeds::Reading { clock: lead_clock.clone(), folder: station_folder };
        let values = feeds::run(values, reading, station_in_force.clone(), stop.clone());
        let settings = Settings { topics: topics.clone(), ..Settings::default() };
        let key = keys.in_use().keys.schedule.clone();
        let mut publisher = Publisher::new(lead_store.clone(), settings, key, lead_clock.clone());
        publisher.fence(Some(fence));
        let task = Publishing::new(Parts {
            publisher,
            store: lead_store.clone(),
            link: link.clone(),
            courier: Courier::new(link, library, topics),
            shelf: Shelf::new(SHELF_BYTES),
            live: lead_live,
            inbox: lead_inbox,
            outlet,
            present,
            clock: lead_clock.clone(),
            tenure,
            heir_of,
        });
        let sweep = upkeep::sweep(lead_store, lead_clock, months, stop.clone());
        tokio::join!(task.run(station_in_force, stop), sweep, values);
    });
    if let Some(Administered { mqtt, server }) = administered {
        let (link, events, driver) =
            crate::mqtt::prepare(mqtt, Box::new(|| None)).map_err(|error| {
                let hint = error.hint();
                failed(error, hint)
            })?;
        upkeep.spawn(driver.run(upkeep.token()));
        let admin = dynsec::Admin {
            link,
            events,
            store: store.clone(),
            live: live.clone(),
            topics: admin_topics,
            seed,
            server,
            leads: Box::new(move || leads_now.borrow().is_some()),
            asked: 0,
        };
        upkeep.spawn(admin.run());
    }
    upkeep.spawn(upkeep::watch_register(
        store.clone(),
        register,
        live,
        inbox,
        reload,
        kick(&side),
        upkeep.token(),
    ));
    upkeep.spawn(upkeep::watch_keys(
        data.clone(),
        watched_keys,
        live_keys,
        keys_inbox,
        upkeep.token(),
    ));
    upkeep.spawn(upkeep::examine(store_file.clone(), examined, upkeep.token()));
    let end = finish(lifecycle, side, &store_file).await?;
    if deposed.load(Ordering::SeqCst) {
        return Err(failed(
            anyhow::anyhow!("another server has taken over `{}`", options.data.display()),
            "this one did not prolong its lease in time (was the machine asleep?); start it again \
             and it stands by",
        ));
    }
    Ok(end)
}

/// Writes an error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
