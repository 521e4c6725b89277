//! Parses arguments, calls [`loa::cmds`], prints error and hint, sets the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Wrong arguments end the program here, with code 2, a usage line and a remedy.
    let cli = loa::cmds::arguments();
    loa::telemetry::start(&cli.log);
    loa::cmds::exit(loa::cmds::run(cli))
}
