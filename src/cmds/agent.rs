//! What `loa speaker` and `loa board` have in common: folder, enrolment, time, profile, broker.

use super::hidden::Hidden;
use super::{Advise as _, Answer, failed, wrong_use};
use crate::clock::{SharedClock, SystemClock};
use crate::config;
use crate::device::enrol;
use crate::device::executor::Event;
use crate::device::hardware::Hardware;
use crate::device::identity::{Home, Identity, IdentityError};
use crate::device::run::{Device, Settings, follows_ntp};
use crate::device::trust::{ClockMode, ClockModeError};
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::ProfileId;
use crate::domain::profile::{BoardProfile, Profile, SpeakerProfile};
use crate::lifecycle::Lifecycle;
use crate::mqtt::{self, BrokerUrl, MqttConfig, Password};
use crate::wire::enrol::Code;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Options of every device
#[derive(Debug, clap::Args)]
pub struct DeviceArgs {
    /// Data folder of this device: key, schedule, clips, records
    #[arg(long, value_name = "DIR", default_value = "device", env = "LOA_DATA")]
    pub data: PathBuf,
    /// Enrol first, with the code or link the operator gave; needed once
    #[arg(long, value_name = "CODE", env = "LOA_ENROL", hide_env_values = true)]
    pub enrol: Option<Hidden>,
    /// Whom to believe about the time: `auto` (NTP, else the server, else a real-time clock once
    /// right), `system`, `server`
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub clock: String,
    /// Hardware profile, by the name of its file; without it, something usual
    #[arg(long, value_name = "ID")]
    pub profile: Option<String>,
    /// Folder of hardware profiles
    #[arg(long, value_name = "DIR", default_value = "device-profiles")]
    pub profiles: PathBuf,
    /// MiB that clips may take, instead of what the profile says
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub storage_mib: Option<u64>,
    /// MiB that records may take
    #[arg(long, value_name = "MIB", default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(2..=65_536))]
    pub records_mib: u64,
    /// Allow plain connections over a network that is not this machine
    #[arg(long)]
    pub insecure_lan: bool,
}

/// A device whose folder is open.
pub struct Opened {
    pub device: Device,
    pub profile: Profile,
    mqtt: MqttConfig,
}

impl DeviceArgs {
    /// Enrols if asked to, then opens the folder.
    pub fn open(&self, usual: Profile) -> anyhow::Result<Opened> {
        let clock: ClockMode =
            self.clock.parse().map_err(|e: ClockModeError| wrong_use(&e, e.hint()))?;
        let mut profile = self.profile(usual)?;
        if let Some(mib) = self.storage_mib {
            profile.storage_bytes = mib.saturating_mul(1 << 20);
        }
        let base: SharedClock = Arc::new(SystemClock::new());
        if let Some(code) = &self.enrol {
            // What a real-time clock says is not known to be right before the folder exists.
            let dates = match clock {
                ClockMode::System => enrol::Dates::Judged,
                ClockMode::Auto if follows_ntp() => enrol::Dates::Judged,
                ClockMode::Auto | ClockMode::Server => enrol::Dates::NotJudged,
            };
            self.enrol(code.reveal(), &base, dates)?;
        }
        let home = Home::open(&self.data).map_err(|error| {
            let hint = error.hint();
            if matches!(error, IdentityError::NotEnrolled { .. }) {
                wrong_use(error, hint)
            } else {
                failed(error, hint)
            }
        })?;
        let broker = self.broker(&home.identity)?;
        let mut mqtt = MqttConfig::device(
            broker,
            home.identity.id.as_str(),
            Password::new(home.identity.password.clone()),
        );
        mqtt.tls.ca_file = home.broker_ca();
        let settings = Settings {
            clock,
            profile: profile.clone(),
            ledger_bytes: self.records_mib.saturating_mul(1 << 20),
            fw: fw(),
        };
        let device = Device::open(home, settings, base).map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        mqtt.tls.time_trusted = Some(device.time_trusted());
        Ok(Opened { device, profile, mqtt })
    }

    fn enrol(&self, code: &str, base: &SharedClock, dates: enrol::Dates) -> anyhow::Result<()> {
        let code: Code = code.parse().map_err(|e: crate::wire::Refusal| wrong_use(&e, e.hint()))?;
        let enrolled = enrol::enrol(&self.data, &code, self.insecure_lan, &fw(), base.now(), dates);
        let identity = enrolled.map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        let Identity { id, server, .. } = &identity;
        eprintln!("Enrolled as `{id}` with `{server}`; its key lies in `{}`", self.data.display());
        Ok(())
    }

    fn broker(&self, identity: &Identity) -> anyhow::Result<BrokerUrl> {
        let url: BrokerUrl = identity.broker.parse().map_err(|error: mqtt::UrlError| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        if !url.tls && !url.is_loopback() && !self.insecure_lan && !identity.insecure_lan {
            return Err(wrong_use(
                format!("`{}` is neither TLS nor this machine", identity.broker),
                "configure TLS on the broker, or allow it in so many words: `--insecure-lan`",
            ));
        }
        Ok(url)
    }

    fn profile(&self, usual: Profile) -> anyhow::Result<Profile> {
        let Some(id) = &self.profile else { return Ok(usual) };
        let id: ProfileId =
            id.parse().map_err(|e: crate::domain::ids::IdError| wrong_use(&e, e.hint()))?;
        let (profiles, faults) = config::profiles(&self.profiles);
        let known: Vec<String> = profiles.iter().map(|p| format!("`{}`", p.id)).collect();
        if let Some(profile) = profiles.into_iter().find(|profile| profile.id == id) {
            return Ok(profile);
        }
        let own = faults.iter().find(|fault| fault.file.ends_with(&format!("{id}.toml")));
        Err(match own {
            Some(fault) => wrong_use(fault, fault.hint.as_deref().unwrap_or("mend the file")),
            None => wrong_use(
                format!("`{}` holds no profile `{id}`", self.profiles.display()),
                format!("one of {}", known.join(", ")),
            ),
        })
    }
}

/// Runs an opened device until a signal ends it.
pub fn run(
    opened: impl FnOnce() -> anyhow::Result<Opened>,
    hardware: impl FnOnce(&Opened) -> anyhow::Result<(Hardware, mpsc::Receiver<Event>)>,
) -> anyhow::Result<Answer> {
    let runtime = super::runtime()?;
    let result = runtime.block_on(async {
        let opened = opened()?;
        let (hardware, outputs) = hardware(&opened)?;
        let mut lifecycle = Lifecycle::new();
        lifecycle.catch_signals().advise("the system gives no signals")?;
        // The device first: it says goodbye over the link.
        let (device_stage, mqtt_stage) = (lifecycle.stage("device"), lifecycle.stage("mqtt"));
        let Opened { device, mqtt, .. } = opened;
        let (link, messages, driver) = mqtt::prepare(mqtt, device.wills()).map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        mqtt_stage.spawn(driver.run(mqtt_stage.token()));
        let (stop, root) = (device_stage.token(), lifecycle.token());
        let running = device_stage.spawn(async move {
            let ended = device.run(hardware, outputs, link, messages, stop).await;
            root.cancel();
            ended
        });
        lifecycle.wait().await;
        match running.await {
            Ok(Err(error)) => {
                let hint = error.hint();
                Err(failed(error, hint))
            }
            _ => Ok(Answer::Yes),
        }
    });
    // A hash or a decoder under way need not end the process late.
    runtime.shutdown_timeout(Duration::from_millis(300));
    result
}

fn fw() -> String {
    format!("loa {}", env!("CARGO_PKG_VERSION"))
}

/// A device without a profile file: usual storage and clock.
pub fn usual(speaker: Option<SpeakerProfile>, board: Option<BoardProfile>) -> Profile {
    Profile {
        id: ProfileId::new("usual").expect("a plain word"),
        title: "usual".to_owned(),
        speaker,
        board,
        storage_bytes: 512 << 20,
        sheet_bytes: 65_536,
        chunk_kib: ChunkSize::USUAL.kib(),
        clock_ppm: 50,
    }
}
