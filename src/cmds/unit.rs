//! `loa unit`: the register of administrative units.

use super::registers::{self, ExportArgs, ImportArgs, ListArgs, changed};
use super::trail::command_line;
use super::{Answer, failed};
use crate::app::ports::{Registry as _, Trail as _};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Fault, units_from_csv, units_to_csv};
use crate::domain::ids::UnitId;
use crate::domain::station::Unit;
use crate::store::SqliteStore;
use serde::Serialize;

/// Lists, imports and exports administrative units
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Lists the units of the register
    List(ListArgs),
    /// Takes units from a CSV file into the register; those it does not name stay
    Import(ImportArgs),
    /// Writes the register as CSV to stdout, or as JSON
    Export(ExportArgs),
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::List(list) => registers::list(&Units, &list),
        Act::Import(import) => registers::import(&Units, &import),
        Act::Export(export) => registers::export(&Units, &export),
    }
}

/// A unit as the register knows it.
#[derive(Serialize)]
struct Row {
    id: UnitId,
    name: String,
    parent: Option<UnitId>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    successors: Vec<UnitId>,
    population: Option<u32>,
}

impl From<Unit> for Row {
    fn from(unit: Unit) -> Self {
        Self {
            id: unit.id,
            name: unit.name,
            parent: unit.parent,
            valid_from: unit.valid_from.map(|day| day.to_string()),
            valid_until: unit.valid_until.map(|day| day.to_string()),
            successors: unit.successors,
            population: unit.population,
        }
    }
}

/// The register.
struct Units;

impl registers::Register for Units {
    type Entry = Unit;
    type Id = UnitId;
    type Row = Row;
    const HEAD: &'static [&'static str] = &["UNIT", "NAME", "PARENT"];

    fn id(unit: &Unit) -> &UnitId {
        &unit.id
    }

    fn cells(row: &Row) -> Vec<String> {
        let parent = row.parent.as_ref().map_or("–".to_owned(), ToString::to_string);
        vec![row.id.to_string(), row.name.clone(), parent]
    }

    fn to_csv(units: &[Unit]) -> String {
        units_to_csv(units)
    }

    async fn rows(&self, store: &SqliteStore) -> anyhow::Result<Vec<Row>> {
        Ok(store.units().await?.into_iter().map(Row::from).collect())
    }

    async fn entries(&self, store: &SqliteStore) -> anyhow::Result<Vec<Unit>> {
        Ok(store.units().await?)
    }

    async fn read(
        &self,
        _: &SqliteStore,
        (label, bytes): (&str, &[u8]),
        kept: &[Unit],
    ) -> anyhow::Result<Result<Vec<Unit>, Vec<Fault>>> {
        Ok(units_from_csv(label, bytes, kept))
    }

    async fn change(
        &self,
        store: &SqliteStore,
        put: &[Unit],
        gone: &[UnitId],
    ) -> anyhow::Result<()> {
        let devices = store.devices().await?;
        let held = |known: &&_| {
            let known: &crate::app::ports::Registered = known;
            gone.contains(&known.device.unit)
        };
        if let Some(known) = devices.iter().find(held) {
            let (device, unit) = (&known.device.id, &known.device.unit);
            let others = devices.iter().filter(held).count() - 1;
            let more = if others == 0 { String::new() } else { format!(" and {others} more") };
            return Err(failed(
                anyhow::anyhow!("unit `{unit}` still holds device `{device}`{more}"),
                "nothing was changed; move devices first: `loa device import`",
            ));
        }
        store.put_units(put).await?;
        store.remove_units(gone).await?;
        let entry = command_line().did(SystemClock::new().now(), "import-units", "register");
        store.append(&entry.after(changed(put.iter().map(|unit| &unit.id), gone))).await?;
        Ok(())
    }
}
