//! Parses arguments, calls `cmds`, prints error and hint, sets the exit code.

fn main() {}
