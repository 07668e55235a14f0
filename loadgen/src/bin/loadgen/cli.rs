//! The command line: arguments as typed, and their resolution into a plan.
//!
//! Owns spelling, defaults and help. Runs nothing; `main` does.

mod engine;
mod shard;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum, ValueHint};
use clap_complete::Shell;
use loadgen::{Arrivals, Load, Plan, Reuse, Stage, Stop, Target, parse_duration, parse_rate, parse_stages};

use engine::EngineOptions;
use shard::ShardOptions;

/// What the command prints when it is called without arguments.
pub(crate) const SHORT_HELP: &str = "\
loadgen sends HTTP requests and measures the answers.

  loadgen --target http://127.0.0.1:8000/                  as fast as 32 connections go, for 10 s
  loadgen --target http://127.0.0.1:8000/ --rate 500/s     500 requests a second, whatever happens
  loadgen --target http://127.0.0.1:8000/ --stages 5s@20,15s@400,12s@20

More: loadgen --help
";

const AFTER_HELP: &str = "\
Examples:
  loadgen --target http://127.0.0.1:8000/ --connections 64 --duration 30s
          What the target can do at most: a closed loop, each connection sends its next request
          when the last one is answered.
  loadgen --target http://127.0.0.1:8000/ --rate 500/s --arrivals poisson --duration 1m
          What users would see at 500 requests a second: an open loop, latency counted from the
          time at which a request should have been sent.
  loadgen --target unix:/run/app.sock:/health --stages 5s@20,15s@400,12s@20 --no-keepalive \\
          --json result.json
          A load step over a unix socket, a new connection per request, the whole report as JSON.

Exit codes:
  0    the run is valid
  1    this machine refused something, or an output could not be written
  2    wrong usage; nothing was sent
  4    the target is down, or its name has no address
  5    the run is INVALID as a measurement; the summary says why
  130  interrupted (Ctrl-C or SIGTERM); what was measured so far is reported
";

/// Sends HTTP requests to any server and measures latency from the intended send time.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 100)]
#[command(override_usage = "loadgen --target <URL> [OPTIONS]", after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Where to send requests: http://HOST:PORT/PATH, https://… or unix:/SOCKET[:/PATH].
    #[arg(short, long, value_name = "URL", value_hint = ValueHint::Url)]
    #[arg(required_unless_present = "completions")]
    target: Option<Target>,

    /// Run this long [default: 10s].
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration, help_heading = "Load")]
    duration: Option<Duration>,

    /// Closed loop: stop after this many requests instead.
    #[arg(short = 'n', long, value_name = "COUNT", help_heading = "Load")]
    #[arg(conflicts_with_all = ["duration", "rate", "stages"])]
    requests: Option<u64>,

    /// Open loop at this total rate, for instance 500/s.
    #[arg(short, long, value_parser = parse_rate, help_heading = "Load")]
    rate: Option<f64>,

    /// Open loop with several rates: TIME@RATE,… for instance 5s@20,15s@400,12s@20.
    #[arg(long, value_parser = parse_stage_list, help_heading = "Load")]
    #[arg(conflicts_with_all = ["duration", "rate"])]
    stages: Option<StageList>,

    /// Open loop: requests evenly spaced, or independent of one another as from many users.
    #[arg(long, value_enum, default_value_t = Spread::Constant, help_heading = "Load")]
    arrivals: Spread,

    /// Seed of Poisson arrivals.
    #[arg(long, default_value_t = 1, help_heading = "Load")]
    seed: u64,

    /// Send load for this long before measuring.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    #[arg(help_heading = "Load")]
    warmup: Duration,

    /// Connections (closed loop, default 32), or most requests outstanding (open loop, default 4096).
    #[arg(short, long, value_name = "COUNT", help_heading = "Connections")]
    connections: Option<usize>,

    /// Open a new connection for every request.
    #[arg(long, help_heading = "Connections")]
    no_keepalive: bool,

    /// Longest wait for an answer.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    #[arg(help_heading = "Connections")]
    timeout: Duration,

    /// Longest wait for a connection.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    #[arg(help_heading = "Connections")]
    connect_timeout: Duration,

    #[command(flatten)]
    engine: EngineOptions,

    /// Request method.
    #[arg(short = 'X', long, default_value = "GET", help_heading = "Request")]
    method: String,

    /// Header field to send; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    #[arg(help_heading = "Request")]
    headers: Vec<(String, String)>,

    /// Request body.
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file", help_heading = "Request")]
    body: Option<String>,

    /// Send this file as the request body.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Request")]
    body_file: Option<PathBuf>,

    /// Generator threads.
    #[arg(long, value_name = "COUNT", default_value_t = 1, help_heading = "Generator")]
    threads: usize,

    /// Pin the threads to these CPUs, for instance 1 or 2,3.
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Generator")]
    cpus: Option<Vec<usize>>,

    #[command(flatten)]
    shard: ShardOptions,

    /// Length of an interval of the report and of the progress display.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    #[arg(help_heading = "Generator")]
    interval: Duration,

    /// Write the report as JSON to FILE; - or nothing means standard output (and the summary then
    /// goes to standard error).
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    #[arg(value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,

    /// Write the latency's percentiles to FILE, as HdrHistogram's plotters read them (.hgrm, ms).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(crate) hdr: Option<PathBuf>,

    /// Show no progress.
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// Print a completion script and exit.
    #[arg(long, value_name = "SHELL", exclusive = true, help_heading = "Output")]
    pub(crate) completions: Option<Shell>,
}

/// The spelling of [`Arrivals`]. Its variants have no help of their own, which would make clap
/// spread the whole help over twice the lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Spread {
    Constant,
    Poisson,
}

/// One value for clap, which would take a bare `Vec` for a repeated option.
#[derive(Clone, Debug)]
struct StageList(Vec<Stage>);

/// Arguments that clap cannot judge, with a line for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("--target is missing; write for instance --target http://127.0.0.1:8000/")]
    Target,
    #[error("--engine fast has no {0}; leave --engine out or write --engine reqwest")]
    BeyondFast(&'static str),
    #[error("cannot read --body-file {}: {source}", path.display())]
    Body { path: PathBuf, source: std::io::Error },
}

impl Arguments {
    /// The plan that these arguments mean. Reads the body's file.
    ///
    /// # Errors
    /// A body file that cannot be read. Values that only make no sense together are left to
    /// [`Plan::check`].
    pub(crate) fn plan(&self) -> Result<Plan, UsageError> {
        let target = self.target.clone().ok_or(UsageError::Target)?;
        let duration = self.duration.unwrap_or(Duration::from_secs(10));
        let stages = match (&self.stages, self.rate) {
            (Some(StageList(stages)), _) => Some(stages.clone()),
            (None, Some(rate)) => Some(vec![Stage { duration, rate }]),
            (None, None) => None,
        };
        let load = match stages {
            Some(stages) => Load::Open {
                stages,
                arrivals: match self.arrivals {
                    Spread::Constant => Arrivals::Constant,
                    Spread::Poisson => Arrivals::Poisson,
                },
                seed: self.seed,
            },
            None => Load::Closed { stop: self.requests.map_or(Stop::Duration(duration), Stop::Requests) },
        };
        let engine = self.engine.engine(&target)?;
        let defaults = Plan::new(target, load);
        Ok(Plan {
            engine,
            method: self.method.clone(),
            headers: self.headers.clone(),
            body: self.read_body()?,
            connections: self.connections.unwrap_or(defaults.connections),
            threads: self.threads,
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            reuse: if self.no_keepalive { Reuse::NewConnectionPerRequest } else { Reuse::KeepAlive },
            warmup: self.warmup,
            cpus: self.cpus.clone(),
            interval: self.interval,
            shard: self.shard.shard,
            start_at: self.shard.start_at,
            ..defaults
        })
    }

    fn read_body(&self) -> Result<Vec<u8>, UsageError> {
        match (&self.body, &self.body_file) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(path)) => std::fs::read(path).map_err(|source| UsageError::Body { path: path.clone(), source }),
            (None, None) => Ok(Vec::new()),
        }
    }
}

fn parse_stage_list(text: &str) -> Result<StageList, loadgen::QuantityError> {
    parse_stages(text).map(StageList)
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
        None => Err("write NAME: VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(words: &str) -> Result<Plan, clap::Error> {
        let words = format!("loadgen --target http://a/ {words}");
        Arguments::try_parse_from(words.split_whitespace()).map(|args| args.plan().unwrap())
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn arguments_become_plans() {
        let closed = |stop| Load::Closed { stop };
        let stage = |seconds, rate| Stage { duration: Duration::from_secs(seconds), rate };
        let rows = [
            ("", closed(Stop::Duration(Duration::from_secs(10))), 32),
            ("-c 7 -d 3s", closed(Stop::Duration(Duration::from_secs(3))), 7),
            ("-n 100", closed(Stop::Requests(100)), 32),
            ("--rate 50/s", Load::constant(vec![stage(10, 50.0)]), 4096),
            ("--rate 50 -d 2s -c 9", Load::constant(vec![stage(2, 50.0)]), 9),
            ("--stages 1s@2,3s@4", Load::constant(vec![stage(1, 2.0), stage(3, 4.0)]), 4096),
        ];
        for (words, load, connections) in rows {
            let plan = parse(words).unwrap_or_else(|e| panic!("{words}: {e}"));
            // The seed's default differs between library and command; evenly spaced arrivals
            // have no use for it.
            let load = match load {
                Load::Open { stages, arrivals, .. } => Load::Open { stages, arrivals, seed: 1 },
                closed => closed,
            };
            assert_eq!((plan.load, plan.connections), (load, connections), "{words}");
        }
    }

    #[test]
    fn every_option_arrives() {
        let plan = parse(
            "--rate 5 --arrivals poisson --seed 9 --warmup 1s --no-keepalive --timeout 2s \
             --connect-timeout 3s -X POST -H A:b -H C:d:e --body xyz --threads 2 --cpus 0,1 \
             --interval 500ms",
        )
        .unwrap();
        let expected = Plan {
            method: "POST".into(),
            headers: vec![("A".into(), "b".into()), ("C".into(), "d:e".into())],
            body: b"xyz".to_vec(),
            threads: 2,
            timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(3),
            reuse: Reuse::NewConnectionPerRequest,
            warmup: Duration::from_secs(1),
            cpus: Some(vec![0, 1]),
            interval: Duration::from_millis(500),
            ..Plan::new(
                "http://a/".parse().unwrap(),
                Load::Open { stages: parse_stages("10s@5").unwrap(), arrivals: Arrivals::Poisson, seed: 9 },
            )
        };
        assert_eq!(plan, expected);
    }

    #[test]
    fn contradictions_are_refused() {
        for words in [
            "--rate 5 --stages 1s@2",
            "--requests 5 --rate 5",
            "--requests 5 --duration 5s",
            "--duration 5s --stages 1s@2",
            "--rate 0",
            "--duration 5x",
            "--stages 5s",
            "--header novalue",
            "--body a --body-file b",
            "--cpus x",
        ] {
            assert!(parse(words).is_err(), "{words}");
        }
    }

    #[test]
    fn json_without_a_value_is_standard_output() {
        let words = ["loadgen", "--target", "http://a/", "--json"];
        let arguments = Arguments::try_parse_from(words).unwrap();
        assert_eq!(arguments.json, Some(PathBuf::from("-")));
    }
}
