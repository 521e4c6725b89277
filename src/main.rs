//! Parses arguments, calls [`loa::cmds`], prints error and hint, sets the exit code.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Wrong arguments end inside `parse` with code 2 and a usage line.
    let cli = loa::cmds::Cli::parse();
    loa::telemetry::start(&cli.log);
    loa::cmds::exit(loa::cmds::run(cli))
}
