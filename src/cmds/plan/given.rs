//! The files that somebody gives, read together: topic lists before the plans that speak of them.

use super::HeadOption;
use crate::cmds::{Advise as _, wrong_use};
use crate::config::{
    self, Fault, PlanFile, Severity, Told, plan_from_csv, plan_from_toml, plan_id, topics_from_toml,
};
use crate::domain::ids::PlanId;
use crate::plan::{Plan, TopicList};
use anyhow::Context as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Longest file that is read; its reader says what is too long.
const MOST: u64 = (4 << 20) + 1;
/// Most files of one call.
const MOST_FILES: usize = 1_000;

/// A file as it lies there.
pub struct Given {
    label: String,
    name: String,
    bytes: Vec<u8>,
}

/// What a file holds.
pub struct Held<T> {
    pub value: T,
    pub bytes: Vec<u8>,
    pub csv: bool,
}

/// What files hold, and what is wrong with them.
#[derive(Default)]
pub struct Read {
    pub lists: Vec<Held<TopicList>>,
    pub plans: Vec<Held<Plan>>,
    pub faults: Vec<Fault>,
}

impl Read {
    /// Counts the faults that refuse a file.
    pub fn errors(&self) -> usize {
        self.faults.iter().filter(|fault| fault.severity == Severity::Error).count()
    }

    /// Counts the lines of all plans.
    pub fn lines(&self) -> usize {
        self.plans.iter().map(|plan| plan.value.lines.len()).sum()
    }
}

fn read(path: &Path) -> anyhow::Result<Given> {
    let label = path.display().to_string();
    let hint = "name a file of a plan (TOML, CSV), a topic list (TOML), or a folder of them";
    let file = File::open(path).with_context(|| format!("reading `{label}`")).advise(hint)?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).with_context(|| format!("reading `{label}`"))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Given { label, name, bytes })
}

/// Reads files, and all TOML and CSV files of folders in the order of their names.
pub fn collect(paths: &[PathBuf]) -> anyhow::Result<Vec<Given>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside: Vec<PathBuf> = Vec::new();
            let entries = path.read_dir();
            for entry in entries.with_context(|| format!("reading `{}`", path.display()))? {
                let path = entry?.path();
                let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
                if path.is_file() && end.is_some_and(|end| end == "toml" || end == "csv") {
                    inside.push(path);
                }
            }
            inside.sort();
            for path in inside {
                found.push(read(&path)?);
            }
        } else {
            found.push(read(path)?);
        }
        if found.len() > MOST_FILES {
            let hint = "name the folder of the plans, or fewer files";
            return Err(wrong_use(format!("more than {MOST_FILES} files"), hint));
        }
    }
    if found.is_empty() {
        let shown: Vec<_> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        let hint = "plans end in `.toml` or `.csv`";
        return Err(wrong_use(format!("no plan in {}", shown.join(", ")), hint));
    }
    Ok(found)
}

/// Reads the topic lists of a station folder whose plans are given.
pub fn topics_beside(paths: &[PathBuf]) -> anyhow::Result<Vec<Given>> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for path in paths {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let plans = if path.is_dir() { Some(real.as_path()) } else { real.parent() };
        let beside = plans.and_then(Path::parent).map(|station| station.join("topics"));
        folders.extend(beside.filter(|topics| topics.is_dir()));
    }
    folders.sort();
    folders.dedup();
    let with_some =
        |folder: &&PathBuf| folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let mut found = Vec::new();
    for folder in folders.iter().filter(with_some) {
        found.extend(collect(std::slice::from_ref(folder))?);
    }
    Ok(found)
}

/// How files are read: what is known beside them, and the head of a table.
pub struct Reading<'a> {
    pub lists: Vec<TopicList>,
    pub plans: Vec<Plan>,
    pub id: Option<&'a PlanId>,
    pub head: &'a HeadOption,
}

impl Reading<'_> {
    /// Reads files; of those beside, only topic lists count, and their faults are not told.
    pub fn read(self, files: &[Given], beside: &[Given]) -> anyhow::Result<Read> {
        let mut read = Read::default();
        let mut lists = self.lists;
        for given in beside {
            if let Ok(told) = topics_from_toml(&given.label, &given.bytes) {
                lists.push(told.value);
            }
        }
        let mut sorted: Vec<(PlanFile, &Given)> =
            files.iter().map(|file| (config::plan_file(&file.name, &file.bytes), file)).collect();
        sorted.sort_by_key(|(kind, _)| *kind);
        let count = sorted.iter().filter(|(kind, _)| *kind != PlanFile::Topics).count();
        if self.id.is_some() && count != 1 {
            return Err(wrong_use(
                format!("`--plan` names one plan, and {count} are given"),
                "give one file with it; without it, each file's name is the plan's id",
            ));
        }
        for (kind, given) in sorted {
            let label = &given.label;
            let bytes = given.bytes.clone();
            if kind == PlanFile::Topics {
                match topics_from_toml(label, &bytes) {
                    Ok(told) => {
                        lists.push(told.value.clone());
                        read.faults.extend(told.warnings);
                        read.lists.push(Held { value: told.value, bytes, csv: false });
                    }
                    Err(faults) => read.faults.extend(faults),
                }
                continue;
            }
            let id = self.id.cloned().or_else(|| plan_id(&given.name)).ok_or_else(|| {
                let hint = "name it with `--plan ID`: 1 to 40 of a-z, 0-9 and -";
                wrong_use(format!("the name of `{label}` gives no id of a plan"), hint)
            })?;
            if read.plans.iter().any(|known| known.value.id == id) {
                let hint = "one file for each plan";
                return Err(wrong_use(format!("`{label}`: plan `{id}` is given twice"), hint));
            }
            let csv = kind == PlanFile::Lines;
            let told = if csv {
                let known = self.plans.iter().find(|known| known.id == id);
                let head = head(&id, known, self.head, label)?;
                plan_from_csv(label, &bytes, &head, &lists)
            } else {
                plan_from_toml(label, &id, &bytes, &lists)
            };
            match told {
                Ok(Told { value, warnings }) => {
                    read.faults.extend(warnings);
                    read.plans.push(Held { value, bytes, csv });
                }
                Err(faults) => read.faults.extend(faults),
            }
        }
        Ok(read)
    }
}

/// Returns the head of a plan whose lines come as a table.
fn head(id: &PlanId, known: Option<&Plan>, said: &HeadOption, label: &str) -> anyhow::Result<Plan> {
    let lacks = |what: &str| {
        wrong_use(
            format!("`{label}` is a table, and plan `{id}` is not there: its {what} is missing"),
            format!("say `--{what}`, or import the plan as TOML first"),
        )
    };
    let text = |said: &Option<String>, of: fn(&Plan) -> &String, what: &str, most: usize| {
        let text = said.as_ref().or(known.map(of)).ok_or_else(|| lacks(what))?;
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim();
        if text.is_empty() || text.chars().count() > most {
            let hint = "as the document says it";
            return Err(wrong_use(format!("`--{what}` has 1 to {most} characters"), hint));
        }
        Ok(text.to_owned())
    };
    Ok(Plan {
        id: id.clone(),
        title: text(&said.title, |plan| &plan.title, "title", 400)?,
        number: text(&said.number, |plan| &plan.number, "number", 60)?,
        issuer: text(&said.issuer, |plan| &plan.issuer, "issuer", 200)?,
        date: said.date.or(known.map(|plan| plan.date)).ok_or_else(|| lacks("date"))?,
        topics: said
            .topics
            .clone()
            .or_else(|| known.map(|plan| plan.topics.clone()))
            .ok_or_else(|| lacks("topics"))?,
        bases: known.map(|plan| plan.bases.clone()).unwrap_or_default(),
        totals: known.map(|plan| plan.totals.clone()).unwrap_or_default(),
        funds: known.map(|plan| plan.funds.clone()).unwrap_or_default(),
        lines: Vec::new(),
    })
}
