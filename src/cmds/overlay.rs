//! By which registers `check` and `timetable` go: the CSV files of the station folder or, with
//! `--data`, the register of a server, which is the truth while the server runs.

use crate::config::Overlay;
#[cfg(feature = "server")]
use std::path::PathBuf;

/// `--data` of commands that also do without a server.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RegisterOption {
    /// Go by the register of the server with this data folder instead of units.csv and devices.csv
    #[cfg(feature = "server")]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl RegisterOption {
    /// Returns what stands in the place of the folder's registers: nothing unless asked for, and
    /// nothing while the server's register is empty, since its first start takes the files in.
    #[cfg_attr(
        not(feature = "server"),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with a server")
    )]
    pub fn overlay(&self) -> anyhow::Result<Overlay> {
        #[cfg(feature = "server")]
        if let Some(data) = &self.data {
            return registers(data);
        }
        Ok(Overlay::default())
    }
}

#[cfg(feature = "server")]
fn registers(data: &std::path::Path) -> anyhow::Result<Overlay> {
    use crate::app::planbook;
    use crate::app::ports::Registry as _;
    let folder = super::data::DataFolder::existing(data)?;
    super::runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let (units, devices) = (store.units().await?, store.devices().await?);
        let plans = planbook::known(&store).await?;
        store.close().await;
        let overlay = Overlay::of_registers(&units, devices.iter().map(|known| &known.device));
        Ok(overlay.with_plans(plans))
    })
}
