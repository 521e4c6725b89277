//! What the command line of `loa device` says.

use crate::cmds::data::DataOption;
use crate::cmds::registers::{ExportArgs, ImportArgs, ListArgs, Stationed};
use crate::domain::ids::{DeviceId, ProfileId, Tag, UnitId};
use std::path::PathBuf;

/// Lists, adds, enrols, revokes, replaces, imports and exports devices
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(super) act: Act,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Act {
    /// Lists the devices of the register
    List(ListArgs),
    /// Adds a device to the register
    Add(Add),
    /// Issues a code by which a device enrols once, for the first time or again
    Enrol(Enrol),
    /// Takes a device's key and password away for good: stolen, scrapped, not to be trusted
    Revoke {
        #[command(flatten)]
        one: One,
        /// Why, for the register and the trail
        #[arg(long)]
        reason: String,
    },
    /// Revokes the key of broken or lost hardware and issues a code for what takes its place
    Replace {
        #[command(flatten)]
        one: One,
        /// Why, for the register and the trail
        #[arg(long, default_value = "replaced by other hardware")]
        reason: String,
        /// How long the code works
        #[arg(long, value_name = "HOURS", default_value_t = 72)]
        hours: u32,
        /// Write the code as a QR code (SVG) to this file
        #[arg(long, value_name = "FILE")]
        qr: Option<PathBuf>,
    },
    /// Removes a device that never enrolled
    Delete {
        #[command(flatten)]
        one: One,
    },
    /// Takes devices from a CSV file into the register; those it does not name stay
    Import {
        #[command(flatten)]
        import: ImportArgs,
        /// Folder of device profiles, which lines may name
        #[arg(long, value_name = "DIR", default_value = "device-profiles", env = "LOA_PROFILES")]
        profiles: PathBuf,
    },
    /// Writes the register as CSV to stdout, or as JSON
    Export(ExportArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    #[command(flatten)]
    pub data: DataOption,
    #[command(flatten)]
    pub station: Stationed,
    /// Id: 3 to 40 of a-z, 0-9 and -
    pub device: DeviceId,
    /// Name or place for people
    #[arg(long)]
    pub name: String,
    /// Unit in which it stands
    #[arg(long)]
    pub unit: UnitId,
    /// Device profile
    #[arg(long)]
    pub profile: ProfileId,
    /// Tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<Tag>,
    /// Cap on its volume
    #[arg(long, value_name = "0-100", default_value_t = 100)]
    pub volume_cap: u8,
    /// Correction of its start in milliseconds; positive plays later
    #[arg(long, value_name = "MS", default_value_t = 0, allow_negative_numbers = true)]
    pub trim_ms: i64,
    /// Gateway that speaks and signs for it; such a device needs no code
    #[arg(long, value_name = "GATEWAY")]
    pub behind: Option<DeviceId>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// One device of the register.
#[derive(Debug, clap::Args)]
pub(super) struct One {
    #[command(flatten)]
    pub data: DataOption,
    #[command(flatten)]
    pub station: Stationed,
    /// The device
    pub device: DeviceId,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Enrol {
    #[command(flatten)]
    pub data: DataOption,
    #[command(flatten)]
    pub station: Stationed,
    /// The device
    pub device: DeviceId,
    /// How long the code works
    #[arg(long, value_name = "HOURS", default_value_t = 72)]
    pub hours: u32,
    /// Write the code as a QR code (SVG) to this file
    #[arg(long, value_name = "FILE")]
    pub qr: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
