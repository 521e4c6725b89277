//! `loa unit`: the register of administrative units.

use super::data::{DataFolder, DataOption};
use super::registers::{read_text, show_faults};
use super::{Answer, failed, print_json, print_text, runtime, table};
use crate::app::ports::Registry as _;
use crate::config::{units_from_csv, units_to_csv};
use crate::domain::ids::UnitId;
use crate::domain::station::Unit;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lists, imports and exports administrative units
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Lists the units of the register
    List {
        #[command(flatten)]
        data: DataOption,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Takes units from a CSV file into the register; those it does not name stay
    Import {
        #[command(flatten)]
        data: DataOption,
        /// `units.csv`, or `-` for stdin
        file: PathBuf,
        /// Also remove units that the file does not name
        #[arg(long)]
        replace: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Writes the register as CSV to stdout, or as JSON
    Export {
        #[command(flatten)]
        data: DataOption,
        /// Print one JSON array instead of CSV
        #[arg(long)]
        json: bool,
    },
}

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

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::List { data, json } => {
            let units = read(&data)?;
            if json {
                print_json(&units.into_iter().map(Row::from).collect::<Vec<_>>())?;
            } else {
                let cells = |unit: &Unit| {
                    let parent = unit.parent.as_ref().map_or("–".to_owned(), ToString::to_string);
                    vec![unit.id.to_string(), unit.name.clone(), parent]
                };
                let rows: Vec<_> = units.iter().map(cells).collect();
                print_text(&table(&["UNIT", "NAME", "PARENT"], &rows))?;
            }
            Ok(Answer::Yes)
        }
        Act::Export { data, json } => {
            let units = read(&data)?;
            if json {
                print_json(&units.into_iter().map(Row::from).collect::<Vec<_>>())?;
            } else {
                print_text(&units_to_csv(&units))?;
            }
            Ok(Answer::Yes)
        }
        Act::Import { data, file, replace, json } => import(&data, &file, replace, json),
    }
}

fn read(data: &DataOption) -> anyhow::Result<Vec<Unit>> {
    let folder = DataFolder::existing(&data.data)?;
    runtime()?.block_on(async { Ok(folder.open_store().await?.units().await?) })
}

#[derive(Serialize)]
struct Imported {
    added: usize,
    changed: usize,
    unchanged: usize,
    removed: usize,
}

fn import(data: &DataOption, file: &Path, replace: bool, json: bool) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&data.data)?;
    let bytes = read_text(file)?;
    let units = match units_from_csv(&file.display().to_string(), &bytes) {
        Ok(units) => units,
        Err(faults) => return Ok(show_faults(&faults)),
    };
    let done = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let known: BTreeMap<_, _> =
            store.units().await?.into_iter().map(|unit| (unit.id.clone(), unit)).collect();
        let new: Vec<_> = units.iter().filter(|u| known.get(&u.id) != Some(u)).cloned().collect();
        let named: BTreeSet<_> = units.iter().map(|unit| &unit.id).collect();
        let gone: BTreeSet<_> =
            known.keys().filter(|id| replace && !named.contains(id)).cloned().collect();
        for known in store.devices().await? {
            if gone.contains(&known.device.unit) {
                let (device, unit) = (known.device.id, known.device.unit);
                return Err(failed(
                    anyhow::anyhow!("unit `{unit}` still holds device `{device}`"),
                    "nothing was changed; move the device first: `loa device import`",
                ));
            }
        }
        let added = new.iter().filter(|unit| !known.contains_key(&unit.id)).count();
        store.put_units(&new).await?;
        store.remove_units(&gone.iter().cloned().collect::<Vec<_>>()).await?;
        store.close().await;
        anyhow::Ok(Imported {
            added,
            changed: new.len() - added,
            unchanged: units.len() - new.len(),
            removed: gone.len(),
        })
    })?;
    if json {
        print_json(&done)?;
    } else {
        let Imported { added, changed, unchanged, removed } = done;
        print_text(&format!(
            "{added} added, {changed} changed, {unchanged} unchanged, {removed} removed\n"
        ))?;
    }
    Ok(Answer::Yes)
}
