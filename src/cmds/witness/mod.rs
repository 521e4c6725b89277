//! `loa witness`: vouches, elsewhere, that logs only ever grew (C2SP tlog-witness).
//!
//! Run by a province, an audit office, a university: on a machine that the log's operator does not
//! rule. It needs no server, no store and a few kilobytes.
//!
//! | Command | Does |
//! |---|---|
//! | `init` | makes the folder: key, empty memory, empty list of logs; prints the verifier key |
//! | `add` | puts a log's verifier key on the list; a running witness takes it over by itself |
//! | `serve` | answers `POST /add-checkpoint` |
//! | `show` | the verifier key, and the newest checkpoint it cosigned of each log |

mod folder;
mod options;
mod serve;

use super::{Answer, print_json, print_text, table};
use crate::log::witness::keys_of;
use crate::wire::tlog::{Checkpoint, SignedCheckpoint, VerifierKey};
use folder::{Folder, FolderOption, told};
use serde::Serialize;

/// Is a witness: vouches that the logs of others only ever grew
///
/// Run it on a machine that the log's operator does not rule. `init` makes its key once; give the
/// verifier key that it prints to the log's operator, and put the log's key on the list by `add`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Makes a witness: its key and an empty memory; prints its verifier key
    Init {
        #[command(flatten)]
        folder: FolderOption,
        /// Name of the witness for all time, best a host name and a path: `audit.tinh.gov.vn/w1`
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Watches a log from now on, named by its verifier key
    Add {
        #[command(flatten)]
        folder: FolderOption,
        /// The log's verifier key, as `loa log show` prints it
        key: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Answers logs that ask to be witnessed, until it is told to stop
    Serve(options::Args),
    /// Shows the verifier key, and what was cosigned last of each log
    Show {
        #[command(flatten)]
        folder: FolderOption,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Does what was asked for.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::Init { folder, name, json } => {
            let folder = Folder::make(&folder.path, &name)?;
            Shown::of(&folder)?.print(json)?;
            if !json {
                let data = folder.path().display();
                print_text(&format!(
                    "\nGive this key to the log's operator, and watch the log by its own key:\n\
                     loa witness add KEY --data {data}\nloa witness serve --data {data}\n"
                ))?;
            }
        }
        Act::Add { folder, key, json } => {
            let folder = Folder::existing(&folder.path)?;
            folder.watch(&key)?;
            Shown::of(&folder)?.print(json)?;
        }
        Act::Serve(args) => serve::run(args.options()?)?,
        Act::Show { folder, json } => Shown::of(&Folder::existing(&folder.path)?)?.print(json)?,
    }
    Ok(Answer::Yes)
}

/// What a witness is and knows.
#[derive(Serialize)]
struct Shown {
    /// The verifier key, for policies.
    key: String,
    logs: Vec<ShownLog>,
}

#[derive(Serialize)]
struct ShownLog {
    origin: String,
    keys: Vec<String>,
    /// The newest heads that it cosigned: of the log, or of its shards.
    heads: Vec<ShownHead>,
}

#[derive(Serialize)]
struct ShownHead {
    origin: String,
    size: u64,
    root: String,
}

impl Shown {
    fn of(folder: &Folder) -> anyhow::Result<Self> {
        let cosigner = folder.cosigner()?;
        let remembered = folder.remembered().map_err(told)?;
        let head = |signed: &SignedCheckpoint| {
            let Checkpoint { origin, size, root } = signed.checkpoint();
            ShownHead { origin: origin.to_string(), size: *size, root: root.to_string() }
        };
        let shown = folder.logs()?.into_iter().map(|log| {
            let own = [log];
            let of = |s: &&SignedCheckpoint| !keys_of(&own, &s.checkpoint().origin).is_empty();
            let heads = remembered.iter().filter(of).map(head).collect();
            let [log] = own;
            ShownLog {
                origin: log.origin.to_string(),
                keys: log.keys.iter().map(VerifierKey::to_string).collect(),
                heads,
            }
        });
        Ok(Self { key: cosigner.verifier().to_string(), logs: shown.collect() })
    }

    fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return print_json(self);
        }
        let mut text = format!("verifier key: {}\n", self.key);
        if self.logs.is_empty() {
            text.push_str("no log is watched yet: loa witness add KEY\n");
        } else {
            let mut rows = Vec::new();
            for log in &self.logs {
                let row =
                    |h: &ShownHead| vec![h.origin.clone(), h.size.to_string(), h.root.clone()];
                rows.extend(log.heads.iter().map(row));
                if log.heads.is_empty() {
                    rows.push(vec![log.origin.clone(), "–".to_owned(), "–".to_owned()]);
                }
            }
            text.push('\n');
            text.push_str(&table(&["log", "size", "root"], &rows));
        }
        print_text(&text)
    }
}
