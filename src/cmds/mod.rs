//! One file per subcommand; builds the parts and wires them together.
//!
//! A subcommand is a `clap::Args` struct and `fn run(args) -> anyhow::Result<Answer>`; it enters
//! here by its `mod` line, its variant and its arm. Data goes to stdout, everything else to
//! stderr; with `--json` nothing else is on stdout. Exit codes: 0 done, 1 the answer is no,
//! 2 wrong use, 3 failed.

#[cfg(feature = "server")]
mod approve;
mod arguments;
mod audit;
#[cfg(feature = "server")]
mod backup;
mod bench;
#[cfg(feature = "server")]
mod broker;
#[cfg(feature = "server")]
mod certificates;
pub(crate) mod check;
pub(crate) mod clips;
#[cfg(all(feature = "embedded-broker", feature = "board"))]
mod conform;
#[cfg(feature = "server")]
mod data;
#[cfg(all(feature = "embedded-broker", feature = "speaker", feature = "board"))]
mod demo;
#[cfg(feature = "server")]
mod device;
#[cfg(feature = "server")]
mod evidence;
#[cfg(feature = "server")]
mod feed;
#[cfg(any(feature = "server", feature = "speaker", feature = "board"))]
mod hidden;
#[cfg(feature = "server")]
mod hold;
#[cfg(feature = "server")]
mod init;
mod inspect;
#[cfg(feature = "server")]
mod keys;
#[cfg(feature = "server")]
mod link;
#[cfg(feature = "server")]
mod log;
mod overlay;
#[cfg(feature = "server")]
mod oversize;
#[cfg(feature = "server")]
mod plan;
#[cfg(feature = "speaker")]
mod play;
#[cfg(feature = "raster")]
mod preview;
#[cfg(feature = "server")]
mod propose;
#[cfg(feature = "server")]
mod reach;
#[cfg(feature = "server")]
mod records;
#[cfg(feature = "server")]
mod registers;
#[cfg(feature = "server")]
mod report;
#[cfg(feature = "server")]
mod sample;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
pub(crate) mod server;
mod skip;
mod timetable;
#[cfg(feature = "server")]
mod tls;
#[cfg(feature = "server")]
mod token;
#[cfg(feature = "server")]
mod trail;
#[cfg(feature = "server")]
mod unit;
#[cfg(feature = "server")]
mod urgent;
#[cfg(feature = "server")]
mod user;
#[cfg(feature = "server")]
mod witness;

#[cfg(any(feature = "speaker", feature = "board"))]
mod agent;
#[cfg(feature = "board")]
mod board;
#[cfg(feature = "speaker")]
mod speaker;

pub use arguments::arguments;

#[cfg(feature = "server")]
use crate::app::ports::StoreError;
use clap::{Parser, Subcommand};
use std::fmt::{self, Display};
use std::io::Write as _;
use std::process::ExitCode;

/// Schedules audio clips and board texts for grassroots loudspeakers and LED boards over MQTT,
/// and collects signed proof of what each device did.
#[derive(Debug, Parser)]
#[command(name = "loa", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to log to stderr: `error`, `warn`, `info`, `debug`, or per part as in
    /// `info,loa::mqtt=debug`
    #[arg(long, global = true, env = "LOA_LOG", default_value = "warn", value_name = "FILTER")]
    pub log: String,
    #[command(subcommand)]
    command: Command,
}

/// The subcommands, in the order of the help.
#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "server")]
    Init(init::Args),
    #[cfg(feature = "server")]
    Serve(serve::Args),
    #[cfg(all(feature = "embedded-broker", feature = "speaker", feature = "board"))]
    Demo(demo::Args),
    Check(check::Args),
    Timetable(timetable::Args),
    Skip(skip::Args),
    #[cfg(feature = "server")]
    Urgent(Box<urgent::Args>),
    #[cfg(feature = "server")]
    Hold(hold::Args),
    Inspect(inspect::Args),
    #[cfg(feature = "raster")]
    Preview(preview::Args),
    #[cfg(feature = "server")]
    Feed(feed::Args),
    #[cfg(feature = "server")]
    Device(device::Args),
    #[cfg(feature = "server")]
    Unit(unit::Args),
    #[cfg(feature = "server")]
    Plan(plan::Args),
    #[cfg(feature = "server")]
    Evidence(evidence::Args),
    #[cfg(feature = "server")]
    Records(records::Args),
    #[cfg(feature = "server")]
    Report(Box<report::Args>),
    #[cfg(feature = "server")]
    Heard(Box<report::heard::Args>),
    #[cfg(feature = "server")]
    User(user::Args),
    #[cfg(feature = "server")]
    Proposals(propose::ListArgs),
    #[cfg(feature = "server")]
    Proposal(propose::ShowArgs),
    #[cfg(feature = "server")]
    Propose(propose::Args),
    #[cfg(feature = "server")]
    Approve(approve::Args),
    #[cfg(feature = "server")]
    Approval(approve::SettingArgs),
    #[cfg(feature = "server")]
    Trail(trail::Args),
    #[cfg(feature = "server")]
    Backup(backup::Args),
    #[cfg(feature = "server")]
    Restore(backup::restore::Args),
    #[cfg(feature = "server")]
    Keys(keys::Args),
    #[cfg(feature = "server")]
    Broker(broker::Args),
    #[cfg(feature = "server")]
    Log(log::Args),
    Audit(audit::Args),
    #[cfg(feature = "server")]
    Link(link::Args),
    #[cfg(feature = "server")]
    Tls(tls::Args),
    #[cfg(feature = "server")]
    Witness(witness::Args),
    #[cfg(feature = "speaker")]
    #[command(hide = true)]
    Play(play::Args),
    #[cfg(feature = "speaker")]
    Speaker(speaker::Args),
    #[cfg(feature = "board")]
    Board(board::Args),
    #[cfg(all(feature = "embedded-broker", feature = "board"))]
    Conform(Box<conform::Args>),
    Bench(bench::Args),
}

/// What a command found, when it could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, or the answer is yes: exit code 0.
    Yes,
    /// The answer is no (faults found, a file refused): exit code 1.
    No,
}

/// Runs the subcommand.
pub fn run(cli: Cli) -> anyhow::Result<Answer> {
    match cli.command {
        #[cfg(feature = "server")]
        Command::Init(args) => init::run(args),
        #[cfg(feature = "server")]
        Command::Serve(args) => serve::run(args),
        #[cfg(all(feature = "embedded-broker", feature = "speaker", feature = "board"))]
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => check::run(args),
        Command::Timetable(args) => timetable::run(args),
        Command::Skip(args) => skip::run(args),
        #[cfg(feature = "server")]
        Command::Urgent(args) => urgent::run(*args),
        #[cfg(feature = "server")]
        Command::Hold(args) => hold::run(args),
        Command::Inspect(args) => inspect::run(args),
        #[cfg(feature = "raster")]
        Command::Preview(args) => preview::run(args),
        #[cfg(feature = "server")]
        Command::Feed(args) => feed::run(args),
        #[cfg(feature = "server")]
        Command::Device(args) => device::run(args),
        #[cfg(feature = "server")]
        Command::Unit(args) => unit::run(args),
        #[cfg(feature = "server")]
        Command::Plan(args) => plan::run(args),
        #[cfg(feature = "server")]
        Command::Evidence(args) => evidence::run(args),
        #[cfg(feature = "server")]
        Command::Records(args) => records::run(args),
        #[cfg(feature = "server")]
        Command::Report(args) => report::run(*args),
        #[cfg(feature = "server")]
        Command::Heard(args) => report::heard::run(*args),
        #[cfg(feature = "server")]
        Command::User(args) => user::run(args),
        #[cfg(feature = "server")]
        Command::Proposals(args) => propose::list(args),
        #[cfg(feature = "server")]
        Command::Proposal(args) => propose::show(args),
        #[cfg(feature = "server")]
        Command::Propose(args) => propose::run(args),
        #[cfg(feature = "server")]
        Command::Approve(args) => approve::run(args),
        #[cfg(feature = "server")]
        Command::Approval(args) => approve::set(args),
        #[cfg(feature = "server")]
        Command::Trail(args) => trail::run(args),
        #[cfg(feature = "server")]
        Command::Backup(args) => backup::run(args),
        #[cfg(feature = "server")]
        Command::Restore(args) => backup::restore::run(args),
        #[cfg(feature = "server")]
        Command::Keys(args) => keys::run(args),
        #[cfg(feature = "server")]
        Command::Broker(args) => broker::run(args),
        #[cfg(feature = "server")]
        Command::Log(args) => log::run(args),
        Command::Audit(args) => audit::run(args),
        #[cfg(feature = "server")]
        Command::Link(args) => link::run(args),
        #[cfg(feature = "server")]
        Command::Tls(args) => tls::run(args),
        #[cfg(feature = "server")]
        Command::Witness(args) => witness::run(args),
        #[cfg(feature = "speaker")]
        Command::Play(args) => play::run(args),
        #[cfg(feature = "speaker")]
        Command::Speaker(args) => speaker::run(args),
        #[cfg(feature = "board")]
        Command::Board(args) => board::run(args),
        #[cfg(all(feature = "embedded-broker", feature = "board"))]
        Command::Conform(args) => conform::run(*args),
        Command::Bench(args) => bench::run(args),
    }
}

/// Prints error and hint and returns the exit code.
pub fn exit(result: anyhow::Result<Answer>) -> ExitCode {
    match result {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            let told = error.downcast_ref::<Told>();
            if let Some(hint) = hint(&error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(told.map_or(3, |told| told.code))
        }
    }
}

/// What a command said to do about its failure; what the store says when the command said nothing.
fn hint(error: &anyhow::Error) -> Option<&str> {
    match error.downcast_ref::<Told>() {
        Some(told) => told.hint.as_deref(),
        #[cfg(feature = "server")]
        None => error.downcast_ref::<StoreError>().map(StoreError::hint),
        #[cfg(not(feature = "server"))]
        None => None,
    }
}

/// An error with what to do about it and the exit code it leads to.
#[derive(Debug)]
struct Told {
    error: anyhow::Error,
    hint: Option<String>,
    code: u8,
}

impl Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.error, f)
    }
}

impl std::error::Error for Told {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.chain().nth(1)
    }
}

/// Returns an error that means the command was used wrongly: exit code 2.
pub fn wrong_use(message: impl Display, hint: impl Display) -> anyhow::Error {
    let error = anyhow::Error::msg(message.to_string());
    Told { error, hint: Some(hint.to_string()), code: 2 }.into()
}

/// Returns a failure with a hint: exit code 3.
pub fn failed(error: impl Into<anyhow::Error>, hint: impl Display) -> anyhow::Error {
    Told { error: error.into(), hint: Some(hint.to_string()), code: 3 }.into()
}

/// Adds what to do about it to a failure.
pub trait Advise<T> {
    /// Adds a hint that holds for every such failure.
    fn advise(self, hint: impl Display) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Advise<T> for Result<T, E> {
    fn advise(self, hint: impl Display) -> anyhow::Result<T> {
        self.map_err(|error| failed(error, hint))
    }
}

/// Writes one JSON document and a line end to stdout; a closed pipe is no fault.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print_text(&text)
}

/// Writes text to stdout as it is; a closed pipe (`| head`) is no fault.
pub fn print_text(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Lays rows out in columns of equal width (counted in characters), two spaces apart.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count().min(*width)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&mut head.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// Builds the runtime of a command that waits on sockets and timers.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_token_may_begin_with_a_hyphen_as_one_in_64_does() {
        for args in [
            ["loa", "propose", "thu.toml", "--token", "-CcgL5Xz_5NWZDO86pzSpO"].as_slice(),
            &["loa", "hold", "90001", "--until", "2h", "--reason", "Lễ tang", "--token", "-Cc"],
        ] {
            Cli::try_parse_from(args).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_failure_of_the_store_is_never_left_without_a_hint() {
        let full = || StoreError::Full { source: "no space".into() };
        let error = anyhow::Error::from(full()).context("opening the station");
        assert_eq!(hint(&error), Some(full().hint()));
    }

    #[test]
    fn a_hint_and_its_exit_code_survive_added_context() {
        let error = wrong_use("`x` is not a number", "write digits").context("reading `--n`");
        let told = error.downcast_ref::<Told>().unwrap();
        assert_eq!((told.code, told.hint.as_deref()), (2, Some("write digits")));
        assert_eq!(format!("{error:#}"), "reading `--n`: `x` is not a number");
        let error = std::fs::read("/nowhere/at/all").advise("check the path").unwrap_err();
        assert_eq!(error.downcast_ref::<Told>().unwrap().code, 3);
    }

    #[test]
    fn a_table_counts_characters_not_bytes() {
        let rows = vec![vec!["Đông Hoà".to_owned(), "1".to_owned()], vec!["b".into(), "2".into()]];
        assert_eq!(table(&["unit", "n"], &rows), "unit      n\nĐông Hoà  1\nb         2\n");
    }
}
