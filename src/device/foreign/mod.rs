//! A foreign device as the output of an ordinary one: driven as its dialect says, over MQTT, HTTP,
//! TCP, a serial port or datagrams, it answers as a player or a panel would.
//!
//! ```text
//! device::run ─Hardware::elsewhere─► desk ─► dialect::machine ─► exchange │ web │ line │ pixels │ sound
//!   executor, ledger  ◄─ events ───  desk ◄─                 ◄─ what the device says
//!                                             └─► evidence (documents by SHA-256)
//! ```
//!
//! # How a gateway uses it
//! 1. For each broker one connection: `mqtt::prepare`, then [`Exchange::new`] and a task that runs
//!    the [`Rounds`]. Every device on that broker gets a clone of the exchange.
//! 2. For each device [`prepare`] with its [`Setup`]. What comes back is the `hardware` and the
//!    `outputs` for `device::run::Device::run`, the [`Driver`] to be run in a task beside it, and
//!    what is [`Seen`] of the device, for its state document.
//! 3. To stop: let the device's loop end first (it halts what plays), then cancel the driver. It
//!    ends by itself, too, once the loop has dropped the hardware.
//!
//! The record's grade comes from [`Event::Graded`](crate::device::executor::Event::Graded), which
//! the driver sends before each end: it is what the machine found proved, never more. The output
//! itself deserves grade 0. The method of plays names the transport.
//!
//! [`Clips`] says where a clip lies and at which address a device may fetch it; also of the test
//! tone, which is a clip like any other to a foreign device (`executor::tone`).
//!
//! # Invariants
//! * One task for each device, and one for each connection. An idle device costs nothing: it waits
//!   for its orders, its messages and the machine's own instants.
//! * Every queue, answer, line and document is bounded; a device that floods, hangs or lies holds
//!   up no other.
//! * A play begins at its instant, never before; the clock is looked at each second while one
//!   waits.
//! * Stops overtake what waits; a request that hangs holds up no stop.

mod desk;
mod driver;
mod evidence;
mod exchange;
mod leaf;
mod line;
mod pixels;
mod sound;
mod web;

pub use driver::Driver;
pub use exchange::{Exchange, LinkState, Rounds};
pub use leaf::{Canvas, Leaf, NoLeaf};

use crate::clock::SharedClock;
use crate::device::executor::{Event, Output};
use crate::device::hardware::Hardware;
use crate::device::player::SinkSpec;
use crate::dialect::field::Verb;
use crate::dialect::machine::{Device, Present, SettingError};
use crate::dialect::model::{Dialect, Framing, Transport, What};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::profile::Profile;
use driver::Roads;
use evidence::Keeper;
use line::{Line, Where};
use pixels::PixelSocket;
use sound::Sound;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use web::Web;

/// Where clips are.
pub trait Clips: Send + Sync + std::fmt::Debug {
    /// Where the verified file lies on the gateway.
    fn path(&self, asset: &Digest) -> Option<PathBuf>;
    /// Where a device may fetch it: an address of the gateway that cannot be guessed. Asked when
    /// the play begins; only for dialects that name clips by address.
    fn url(&self, asset: &Digest) -> Option<String>;
}

/// What is needed to drive one foreign device.
#[derive(Debug)]
pub struct Setup {
    pub id: DeviceId,
    pub profile: Profile,
    pub dialect: Arc<Dialect>,
    /// What the profile leaves to each device: prefix, host, port.
    pub settings: BTreeMap<String, String>,
    /// What the device calls clips that it holds by names of its own.
    pub slots: BTreeMap<Digest, String>,
    pub clips: Arc<dyn Clips>,
    /// The connection to its broker, for dialects over MQTT.
    pub exchange: Option<Exchange>,
    /// Where sound goes that the gateway plays itself.
    pub sink: SinkSpec,
    /// The device's own clock, `device::run::Device::clock`.
    pub clock: SharedClock,
    /// Folder of its evidence.
    pub evidence: PathBuf,
}

/// What is known of a foreign device besides its plays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub present: Present,
    /// What it told of its firmware, and whether its profile was written for that.
    pub firmware: Option<(String, bool)>,
    /// Why the last play or page did not come about; gone with the next that does.
    pub trouble: Option<String>,
}

/// A device ready to be driven.
#[derive(Debug)]
pub struct Prepared {
    pub hardware: Hardware,
    pub outputs: mpsc::Receiver<Event>,
    pub driver: Driver,
    pub seen: watch::Receiver<Seen>,
}

/// Why a foreign device cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    #[error("device `{device}`: {}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings { device: DeviceId, faults: Vec<SettingError> },
    #[error("device `{device}` is spoken to over MQTT, and no broker is named for it")]
    NoBroker { device: DeviceId },
    #[error("profile `{profile}` has no action for its loudspeaker or board")]
    NoOutput { profile: String },
}

impl ForeignError {
    /// Says what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Settings { faults, .. } => {
                faults.first().map_or_else(String::new, SettingError::hint)
            }
            Self::NoBroker { .. } => "name the broker that the device is connected to".to_owned(),
            Self::NoOutput { .. } => "add `play_clip`, or `show_text` or `show_frame`".to_owned(),
        }
    }
}

/// Prepares a device; nothing happens before its [`Driver`] is run. Must be called within a
/// runtime: lines are opened at once.
pub fn prepare(setup: Setup) -> Result<Prepared, ForeignError> {
    let Setup { id, profile, dialect, settings, slots, clips, exchange, sink, clock, evidence } =
        setup;
    let named = Digest::of(format!("loa gateway {id}").as_bytes());
    let mut sender = [0; 16];
    sender.copy_from_slice(&named.0[..16]);
    let machine = Device::new(Arc::clone(&dialect), settings, sender)
        .map_err(|faults| ForeignError::Settings { device: id.clone(), faults })?;
    let has = |verb| !dialect.steps(verb).is_empty();
    let plays = profile.speaker.is_some() && has(Verb::PlayClip);
    let canvas = profile.board.as_ref().filter(|_| !plays).map(Canvas::new);
    let shows = canvas.is_some() && (has(Verb::ShowText) || has(Verb::ShowFrame));
    let output = match (plays, shows) {
        (true, _) => Output::Speaker { grade: 0, method: method(&dialect) },
        (false, true) => Output::Board { grade: 0 },
        (false, false) => return Err(ForeignError::NoOutput { profile: profile.id.to_string() }),
    };
    let mut roads = Roads::default();
    match &dialect.transport {
        Transport::Mqtt { .. } => {
            let exchange = exchange.ok_or_else(|| ForeignError::NoBroker { device: id.clone() })?;
            roads.member = Some(exchange.join());
        }
        Transport::Http { .. } => {
            roads.web = Some(Web::new(machine.address().starts_with("https:")));
        }
        Transport::Tcp { framing: Framing::Until(until), .. } => {
            roads.line = Some(Line::open(Where::Tcp(machine.address().to_owned()), *until));
        }
        Transport::Serial { baud, framing: Framing::Until(until), .. } => {
            let port = machine.address().to_owned();
            roads.line = Some(Line::open(Where::Serial { port, baud: *baud }, *until));
        }
        Transport::Udp => {}
    }
    if let (Some(pixels), Some(host)) = (&dialect.pixels, machine.pixel_host()) {
        roads.pixels = Some(PixelSocket::new(&host, pixels.protocol.port()));
    }
    let (hardware, outputs, stage) = Hardware::elsewhere(output);
    let (told, seen) = watch::channel(Seen::default());
    let driver = Driver {
        keeper: Keeper::new(id.clone(), evidence),
        sound: Sound::new(sink, clock.clone()),
        id,
        dialect,
        machine,
        clock,
        stage,
        clips,
        slots,
        canvas,
        roads,
        seen: told,
    };
    Ok(Prepared { hardware, outputs, driver, seen })
}

/// Says whether the gateway plays the clips itself.
fn sounds_here(dialect: &Dialect) -> bool {
    dialect.steps(Verb::PlayClip).iter().any(|step| step.what == What::Sound)
}

/// How plays are proved: the transport, or the gateway's own output.
fn method(dialect: &Dialect) -> &'static str {
    match &dialect.transport {
        _ if sounds_here(dialect) => "gateway",
        Transport::Mqtt { .. } => "mqtt",
        Transport::Http { .. } => "http",
        Transport::Tcp { .. } => "tcp",
        Transport::Serial { .. } => "serial",
        Transport::Udp => "udp",
    }
}
