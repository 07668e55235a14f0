//! How many instructions the operations take, compared with the figures in `instructions.toml`:
//! `cargo bench -p smarthttpd-http --bench instructions`, with `-- --update` to store what was counted.
//!
//! Runs itself under Valgrind, once per operation, which counts what [`counted`] does and nothing else. Counts repeat to
//! the instruction with the same compiler on the same kind of CPU; elsewhere they are shown and not judged.

mod operations;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs};

use operations::OPERATIONS;
use serde::{Deserialize, Serialize};

/// How often an operation is done while it is counted: its figure is the mean.
const TIMES: u64 = 100;

/// What `instructions.toml` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    /// As `rustc --version` says.
    compiler: String,
    /// The architecture, and the instructions that the libraries choose at run time.
    cpu: String,
    /// How many percent more, or less, than stored are no news.
    tolerance: f64,
    /// Instructions of each operation.
    operation: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--count", name] => {
            counted(name);
            return ExitCode::SUCCESS;
        }
        [] => compare(),
        ["--update"] => update(),
        _ => Err(format!("unknown arguments {arguments:?}; --update stores what was counted")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::FAILURE
        }
    }
}

/// Prepares the operation of that name, does it until its buffers have grown, and has it counted.
fn counted(name: &str) {
    let (_, prepare) = OPERATIONS.iter().find(|(known, _)| *known == name).expect("compare() names operations");
    let mut operation = prepare();
    operation();
    repeat_counted(&mut operation);
}

/// Valgrind counts from where this is entered to where it is left, by its name.
#[inline(never)]
fn repeat_counted(operation: &mut dyn FnMut()) {
    for _ in 0..TIMES {
        operation();
    }
}

/// Counts, prints beside the stored figures, and fails when one is off.
fn compare() -> Result<(), String> {
    let stored = stored()?;
    let now = count_all(stored.tolerance)?;
    let comparable = stored.compiler == now.compiler && stored.cpu == now.cpu;
    let mut off = Vec::new();
    println!("{:<26} {:>8} {:>8} {:>8}", "instructions", "stored", "now", "change");
    for (name, &count) in &now.operation {
        let Some(&figure) = stored.operation.get(name) else {
            off.push(name.as_str());
            println!("{name:<26} {:>8} {count:>8}", "none");
            continue;
        };
        let change = (count as f64 / figure as f64 - 1.0) * 100.0;
        println!("{name:<26} {figure:>8} {count:>8} {change:>+7.1}%");
        if change.abs() > stored.tolerance {
            off.push(name);
        }
    }
    if !comparable {
        println!(
            "Not judged: counted with {} on {}, stored with {} on {}.",
            now.compiler, now.cpu, stored.compiler, stored.cpu
        );
    }
    if off.is_empty() || !comparable {
        return Ok(());
    }
    Err(format!(
        "More than {} % off the stored figure: {}. If that is meant, store the new figures with\n    \
         cargo bench -p smarthttpd-http --bench instructions -- --update\nand say in the commit why they changed.",
        stored.tolerance,
        off.join(", ")
    ))
}

/// Counts and stores.
fn update() -> Result<(), String> {
    let tolerance = stored().map_or(2.0, |stored| stored.tolerance);
    let text = toml::to_string(&count_all(tolerance)?).map_err(|error| error.to_string())?;
    let heading = "# Instructions per operation of benches/operations, which benches/instructions.rs counts and compares.\n\
                   # They hold for this compiler and this kind of CPU only. Not to be edited: counted anew by\n\
                   # cargo bench -p smarthttpd-http --bench instructions -- --update\n";
    fs::write(path(), format!("{heading}{text}")).map_err(|error| format!("{}: {error}", path().display()))?;
    println!("{text}");
    Ok(())
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.toml")
}

fn stored() -> Result<Figures, String> {
    let complain = |error: &dyn std::fmt::Display| format!("{}: {error}; --update writes it", path().display());
    toml::from_str(&fs::read_to_string(path()).map_err(|error| complain(&error))?).map_err(|error| complain(&error))
}

fn count_all(tolerance: f64) -> Result<Figures, String> {
    let operation = OPERATIONS.iter().map(|(name, _)| Ok(((*name).to_owned(), count(name)?)));
    Ok(Figures { compiler: compiler()?, cpu: cpu(), tolerance, operation: operation.collect::<Result<_, String>>()? })
}

/// Instructions of one operation, as callgrind reports them.
fn count(name: &str) -> Result<u64, String> {
    let myself = env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*repeat_counted*")
        .arg(myself)
        .args(["--count", name])
        .output()
        .map_err(|error| format!("valgrind, which counts, can't be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok());
    match collected {
        Some(collected @ 1..) if output.status.success() => Ok(collected / TIMES),
        _ => Err(format!("valgrind counted nothing of {name}:\n{said}")),
    }
}

fn compiler() -> Result<String, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc).arg("--version").output();
    let output = output.map_err(|error| format!("{} can't be asked its version: {error}", rustc.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `httparse` and `memchr` choose their code by what the CPU has.
fn cpu() -> String {
    #[cfg(target_arch = "x86_64")]
    let features = if std::arch::is_x86_feature_detected!("avx2") { " with AVX2" } else { " without AVX2" };
    #[cfg(not(target_arch = "x86_64"))]
    let features = "";
    format!("{}{features}", env::consts::ARCH)
}
