//! The last step before a program runs: `bench __launch PARENT CPUS SESSION PROGRAM [ARG…]`.
//!
//! Everything that has to be set up in the new process itself (its session, its CPUs, its signal mask, what happens
//! when the harness dies) is done here, in a process of its own that then becomes the program. So nothing of it needs
//! code between a fork and an exec of the harness, which has threads.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getppid, setsid};

/// The first argument that leads here.
pub(crate) const WORD: &str = "__launch";

/// What to do before the program runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before<'a> {
    /// The CPUs that it may use; empty: those of the harness.
    pub(crate) cpus: &'a [usize],
}

/// A command that runs `program` by way of this module. The program becomes the leader of a session of its own; the
/// caller adds arguments, folder and standard streams.
pub(crate) fn command(before: &Before<'_>, program: &str) -> std::io::Result<Command> {
    let cpus: Vec<String> = before.cpus.iter().map(usize::to_string).collect();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(std::process::id().to_string()).arg(cpus.join(",")).arg(program);
    Ok(command)
}

/// Becomes the program. Returns only when that failed, with the exit code to end with.
pub(crate) fn run(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let mut text = || arguments.next().and_then(|word| word.into_string().ok());
    let parsed = (|| {
        let parent: i32 = text()?.parse().ok()?;
        let cpus = text()?;
        let program = text()?;
        Some((parent, cpus, program))
    })();
    let Some((parent, cpus, program)) = parsed else {
        eprintln!("bench: {WORD} is called by bench itself");
        return 2;
    };
    if let Err(reason) = prepare(parent, &cpus) {
        eprintln!("bench: cannot prepare {program}: {reason}");
        return 126;
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("bench: cannot run {program}: {error}");
    127
}

fn prepare(parent: i32, cpus: &str) -> Result<(), String> {
    // The harness blocks what its signalfd reads, and a mask is inherited through exec.
    SigSet::empty().thread_set_mask().map_err(|error| format!("signal mask: {error}"))?;
    setsid().map_err(|error| format!("setsid: {error}"))?;
    set_pdeathsig(Signal::SIGTERM).map_err(|error| format!("prctl: {error}"))?;
    if getppid() != Pid::from_raw(parent) {
        return Err("the harness has ended".into());
    }
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus.split(',') {
        cpu.parse().ok().and_then(|cpu| set.set(cpu).ok()).ok_or_else(|| format!("no CPU {cpu:?}"))?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| format!("CPUs {cpus}: {error}"))
}
