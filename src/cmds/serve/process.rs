//! What this process asks of the system before it serves: memory, open files, random numbers.

use anyhow::Context as _;
use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Starts this program once more, in the same process, with two heaps for all threads.
///
/// glibc reads this from the environment alone, before `main`, and otherwise gives each thread a
/// heap of its own that it never returns: 21 of 154 MB of a server with 1,000 devices.
pub(super) fn share_arenas() {
    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || env::var_os(ARENAS).is_some() {
        return;
    }
    let mut args = env::args_os();
    let name = args.next().unwrap_or_default();
    let Ok(program) = env::current_exe() else { return };
    let error = Command::new(program).arg0(name).args(args).env(ARENAS, "2").exec();
    tracing::debug!(%error, "The memory of threads stays apart");
}

/// Raises the limit of open files as far as the system lets us: every connected device takes one,
/// and the usual soft limit of 1,024 would refuse the rest of a fleet.
pub(in crate::cmds) fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "The limit of open files could not be raised");
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    tracing::info!(files = limit, "Devices at the broker and pages share this many open files");
}

/// Returns random bytes of the system.
pub(super) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system gave no random numbers")?;
    Ok(bytes)
}
