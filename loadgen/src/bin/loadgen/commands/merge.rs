//! `loadgen merge`: the results of a run's shards as the result of the whole run.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use loadgen::merge::{Tolerance, merge_logs, merge_reports};

use crate::failure::Failure;
use crate::output::Output;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shards' results: reports (.json), or interval logs (.hlog).
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    results: Vec<PathBuf>,

    /// Write the whole here: .json or .hlog from reports, .hlog or .hgrm from interval logs.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    /// Least share of each shard's time that all of them must have in common.
    #[arg(long, value_name = "PERCENT", default_value = "95%", value_parser = parse_share)]
    overlap: f64,

    /// Merge runs that were no shards of one run. Whether one is missing cannot be checked then.
    #[arg(long)]
    unsharded: bool,
}

impl Arguments {
    /// Writes the whole; shows its summary when it is a report.
    pub(super) fn execute(&self) -> Result<u8, Failure> {
        let tolerance = Tolerance { common_time: self.overlap, unsharded: self.unsharded };
        let kind = |path: &Path| path.extension().and_then(|extension| extension.to_str()).map(str::to_owned);
        let kinds: Vec<_> = self.results.iter().map(|path| kind(path)).collect();
        let all = |wanted: &str| kinds.iter().all(|kind| kind.as_deref() == Some(wanted));
        let wanted = kind(&self.output);
        let refused = |error: loadgen::merge::MergeError| Failure::Refused(error.to_string());
        let damaged = |error: &dyn std::error::Error| Failure::Refused(error.to_string());
        if all("json") {
            let parts = self.results.iter().map(|path| Ok((name(path), super::read(path)?)));
            let report = merge_reports(&parts.collect::<Result<Vec<_>, Failure>>()?, tolerance).map_err(refused)?;
            let text = match wanted.as_deref() {
                Some("json") => serde_json::to_string_pretty(&report).map_err(|error| damaged(&error))? + "\n",
                Some("hlog") => report.hlog().map_err(|error| damaged(&error))?,
                _ => return Err(self.wrong_output(".json or .hlog")),
            };
            Output::create(&self.output)?.write(text.as_bytes())?;
            Output::stdout().write(report.summary().as_bytes())?;
            Ok(if report.is_valid() { 0 } else { 5 })
        } else if all("hlog") {
            let parts = self.results.iter().map(|path| Ok((name(path), super::read_text(path)?)));
            let log = merge_logs(&parts.collect::<Result<Vec<_>, Failure>>()?, tolerance).map_err(refused)?;
            let text = match wanted.as_deref() {
                Some("hlog") => log.hlog(),
                Some("hgrm") => {
                    let latency = log.total("latency").map_err(|error| damaged(&error))?;
                    latency.hgrm().map_err(|error| damaged(&error))?
                }
                _ => return Err(self.wrong_output(".hlog or .hgrm")),
            };
            Output::create(&self.output)?.write(text.as_bytes())?;
            Ok(0)
        } else {
            Err(Failure::Words("merge: the results must all be .json, or all be .hlog".to_owned()))
        }
    }

    fn wrong_output(&self, endings: &str) -> Failure {
        Failure::Words(format!("--output {}: the name must end in {endings}", self.output.display()))
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let percent: Option<f64> = number.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or_else(|| "write a percentage such as 95%".to_owned())
}
