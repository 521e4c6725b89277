//! The register of devices as lines: listed, imported, exported.

use crate::app::ports::{Registered, Registry as _, Standing, Trail as _};
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::registers::{self, changed};
use crate::cmds::trail::command_line;
use crate::config::{self, Fault, Named, devices_from_csv_naming, devices_to_csv};
use crate::domain::ids::{DeviceId, ProfileId, Tag, UnitId};
use crate::domain::profile::Profile;
use crate::domain::station::Device;
use crate::store::SqliteStore;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A device as the register knows it.
#[derive(Serialize)]
pub(super) struct Row {
    pub id: DeviceId,
    name: String,
    unit: UnitId,
    tags: Vec<Tag>,
    profile: ProfileId,
    volume_cap: u8,
    trim_ms: i64,
    pub behind: Option<DeviceId>,
    standing: &'static str,
    since_ms: i64,
}

impl From<Registered> for Row {
    fn from(known: Registered) -> Self {
        let (standing, since_ms) = match &known.standing {
            Standing::Awaiting => ("awaiting", known.registered_ms.0),
            Standing::Enrolled { since_ms, .. } => ("enrolled", since_ms.0),
            Standing::Revoked { at_ms, .. } => ("revoked", at_ms.0),
        };
        let device = known.device;
        Self {
            id: device.id,
            name: device.name,
            unit: device.unit,
            tags: device.tags,
            profile: device.profile,
            volume_cap: device.volume_cap,
            trim_ms: device.trim_ms,
            behind: device.behind,
            standing,
            since_ms,
        }
    }
}

/// The register; only an import asks for profiles.
#[derive(Default)]
pub(super) struct Devices {
    pub profiles: PathBuf,
}

impl registers::Register for Devices {
    type Entry = Device;
    type Id = DeviceId;
    type Row = Row;
    const HEAD: &'static [&'static str] =
        &["DEVICE", "NAME", "UNIT", "PROFILE", "BEHIND", "STANDING"];

    fn id(device: &Device) -> &DeviceId {
        &device.id
    }

    fn cells(row: &Row) -> Vec<String> {
        vec![
            row.id.to_string(),
            row.name.clone(),
            row.unit.to_string(),
            row.profile.to_string(),
            row.behind.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string),
            row.standing.to_owned(),
        ]
    }

    fn to_csv(devices: &[Device]) -> String {
        devices_to_csv(devices)
    }

    async fn rows(&self, store: &SqliteStore) -> anyhow::Result<Vec<Row>> {
        Ok(store.devices().await?.into_iter().map(Row::from).collect())
    }

    async fn entries(&self, store: &SqliteStore) -> anyhow::Result<Vec<Device>> {
        Ok(store.devices().await?.into_iter().map(|known| known.device).collect())
    }

    async fn read(
        &self,
        store: &SqliteStore,
        (label, bytes): (&str, &[u8]),
        _: &[Device],
    ) -> anyhow::Result<Result<Vec<Device>, Vec<Fault>>> {
        let units = store.units().await?.into_iter().map(|unit| unit.id).collect();
        let mut gateways = BTreeSet::new();
        let profiles = if self.profiles.is_dir() {
            let (known, _) = config::profiles(&self.profiles);
            let of = |profile: &&Profile| profile.is_gateway();
            gateways.extend(known.iter().filter(of).map(|profile| profile.id.clone()));
            Some(known.into_iter().map(|profile| profile.id).collect())
        } else {
            let folder = self.profiles.display();
            eprintln!("note: no folder `{folder}`; profiles are not checked");
            None
        };
        let devices = store.devices().await?.into_iter().map(|known| known.device).collect();
        let named = Named { units, profiles, gateways, devices };
        Ok(devices_from_csv_naming(label, bytes, &named))
    }

    async fn change(
        &self,
        store: &SqliteStore,
        put: &[Device],
        gone: &[DeviceId],
    ) -> anyhow::Result<()> {
        let now = SystemClock::new().now();
        store.put_devices(put, now).await?;
        store.remove_devices(gone, now).await?;
        let entry = command_line().did(now, "import-devices", "register");
        store.append(&entry.after(changed(put.iter().map(|device| &device.id), gone))).await?;
        Ok(())
    }
}
