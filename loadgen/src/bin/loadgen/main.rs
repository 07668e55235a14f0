//! The `loadgen` command: arguments in, progress and a report out, an exit code that means
//! something. Everything that measures is in the library.

#![forbid(unsafe_code)]

mod cli;
mod interrupt;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{CommandFactory, Parser};
use loadgen::{Interval, Report, RunError};

use cli::{Arguments, UsageError};

fn main() -> ExitCode {
    if std::env::args_os().len() < 2 {
        // Nothing is left to do when standard error is closed.
        let _ = io::stderr().write_all(cli::SHORT_HELP.as_bytes());
        return ExitCode::from(2);
    }
    let arguments = Arguments::parse();
    if let Some(shell) = arguments.completions {
        clap_complete::generate(shell, &mut Arguments::command(), "loadgen", &mut io::stdout());
        return ExitCode::SUCCESS;
    }
    match execute(&arguments) {
        Ok(report) => ExitCode::from(match (report.interrupted, report.is_valid()) {
            (true, _) => interrupt::EXIT_CODE,
            (false, false) => 5,
            (false, true) => 0,
        }),
        Err(failure) => {
            let _ = writeln!(io::stderr(), "loadgen: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Why the command did not end with a report.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("{}", run_message(.0))]
    Run(#[from] RunError),
    #[error("cannot write {}: {source}", path.display())]
    Output { path: PathBuf, source: io::Error },
    #[error("cannot watch for Ctrl-C: {0}")]
    Signals(io::Error),
}

impl Failure {
    /// The one place that maps failures to the exit codes in `--help`.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Run(RunError::Plan(_) | RunError::FileLimit { .. }) => 2,
            Self::Run(RunError::TargetDown { .. } | RunError::Tls { .. } | RunError::Resolve { .. }) => 4,
            Self::Run(RunError::Setup { .. }) | Self::Output { .. } | Self::Signals(_) => 1,
        }
    }
}

/// A plan's fields are spelled like options; on the command line they get their dashes back.
fn run_message(error: &RunError) -> String {
    match error {
        RunError::Plan(plan) => format!("--{plan}"),
        other => other.to_string(),
    }
}

fn execute(arguments: &Arguments) -> Result<Report, Failure> {
    let plan = arguments.plan()?;
    plan.check().map_err(RunError::from)?;
    // Opened before the run: a run must not be lost to a misspelt folder.
    let json = arguments.json.as_deref().map(Output::create).transpose()?;
    let hdr = arguments.hdr.as_deref().map(Output::create).transpose()?;
    let stop = interrupt::watch().map_err(Failure::Signals)?;

    if let Some(wait) = plan.start_at.and_then(|start| start.duration_since(SystemTime::now()).ok())
        && !arguments.quiet
    {
        let _ = writeln!(io::stderr(), "loadgen: starts in {:.1} s", wait.as_secs_f64());
    }
    let mut progress = Progress::new(arguments.quiet);
    let report = loadgen::run(&plan, &mut |interval| progress.show(interval), &stop);
    progress.end();
    let report = report?;

    let summary_aside = [&json, &hdr].into_iter().flatten().any(Output::is_stdout);
    let summary = report.summary();
    if summary_aside {
        let _ = io::stderr().write_all(summary.as_bytes());
    } else {
        Output::stdout().write(summary.as_bytes())?;
    }
    if let Some(json) = json {
        let mut text = serde_json::to_vec_pretty(&report)
            .map_err(|e| Failure::Output { path: json.path.clone(), source: e.into() })?;
        text.push(b'\n');
        json.write(&text)?;
    }
    if let Some(hdr) = hdr {
        let text = report
            .latency
            .hgrm()
            .map_err(|e| Failure::Output { path: hdr.path.clone(), source: io::Error::other(e) })?;
        hdr.write(text.as_bytes())?;
    }
    Ok(report)
}

/// A file, or standard output.
struct Output {
    path: PathBuf,
    /// `None` is standard output.
    file: Option<File>,
}

impl Output {
    fn create(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::stdout());
        }
        let failed = |source| Failure::Output { path: path.to_owned(), source };
        Ok(Self { path: path.to_owned(), file: Some(File::create(path).map_err(failed)?) })
    }

    fn stdout() -> Self {
        Self { path: PathBuf::from("standard output"), file: None }
    }

    fn is_stdout(&self) -> bool {
        self.file.is_none()
    }

    fn write(self, text: &[u8]) -> Result<(), Failure> {
        let written = match self.file {
            Some(mut file) => file.write_all(text),
            None => io::stdout().write_all(text).and_then(|()| io::stdout().flush()),
        };
        match written {
            // A reader such as `head` has seen enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(source) => Err(Failure::Output { path: self.path, source }),
            Ok(()) => Ok(()),
        }
    }
}

/// The progress display on standard error: one line rewritten in place on a terminal, one line per
/// interval otherwise.
struct Progress {
    quiet: bool,
    in_place: bool,
    shown: bool,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self { quiet, in_place: io::stderr().is_terminal(), shown: false }
    }

    fn show(&mut self, interval: &Interval) {
        if self.quiet {
            return;
        }
        self.shown = true;
        let line = interval.line();
        // Progress that nobody reads is no reason to stop measuring.
        let _ = if self.in_place {
            // Back to the first column, and erase to the end of the line (ECMA-48 EL).
            write!(io::stderr(), "\r{line}\x1b[K")
        } else {
            writeln!(io::stderr(), "{line}")
        };
    }

    fn end(&self) {
        if self.shown && self.in_place {
            let _ = writeln!(io::stderr());
        }
    }
}
