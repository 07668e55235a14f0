//! The command line: arguments as typed, and their resolution into a plan.
//!
//! Owns spelling, defaults and help; each group of options is a module of its own and says what its
//! options mean. Runs nothing; `main` does.

mod connections;
mod engine;
mod generator;
mod judgement;
mod load;
mod output;
mod request;
mod shard;

use std::path::PathBuf;

use crate::commands::Command;
use clap::{Parser, ValueHint};
use loadgen::{Plan, Question, Target};

use connections::ConnectionOptions;
use engine::EngineOptions;
use generator::GeneratorOptions;
use judgement::JudgementOptions;
use load::LoadOptions;
pub(crate) use output::OutputOptions;
use request::RequestOptions;
use shard::ShardOptions;

/// What the command prints when it is called without arguments.
pub(crate) const SHORT_HELP: &str = "\
loadgen sends HTTP requests and measures the answers.

  loadgen --target http://127.0.0.1:8000/                  as fast as 32 connections go, for 10 s
  loadgen --target http://127.0.0.1:8000/ --rate 500/s     500 requests a second, whatever happens
  loadgen --target http://127.0.0.1:8000/ --stages 5s@20,15s@400,12s@20

More: loadgen --help
";

const USAGE: &str = "\
loadgen --target <URL> [OPTIONS]
       loadgen report <RESULT.json> [OPTIONS]
       loadgen compare <A.json> <B.json> [OPTIONS]
       loadgen merge <FILE>... --output <FILE>
       loadgen floor [OPTIONS]";

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
  loadgen --target http://127.0.0.1:8000/ --rate 500/s --assert 'p99<50ms,errors<1%,rate>0.99'
          A gate for a pipeline: exit code 3 when one of the three does not hold.
  loadgen --target http://127.0.0.1:8000/ --find-capacity 'p99<50ms,errors<0.1%' --duration 20s
          The highest rate at which both hold, in trials of 20 s each.
  loadgen --targets requests.txt --order random --rate 300/s --cookies
          A mix of requests from a file, as from many users: see README.md for its form.
  loadgen --target 'http://127.0.0.1:8000/items/{rand:1..1000}' -X PUT --body '{\"n\": {seq}}'
          Requests that differ: {seq} counts them, {rand} and {rand:1..1000} are random numbers.

Exit codes:
  0    the run is valid
  1    this machine refused something, or an output could not be written
  2    wrong usage; nothing was sent
  3    an --assert does not hold; with --find-capacity: no rate was sustained
  4    the target is down, or its name has no address
  5    the run is INVALID as a measurement, or too short for an --assert, or the search ended at the
       generator's limit; the summary says why
  130  interrupted (Ctrl-C or SIGTERM); what was measured so far is reported
";

/// Sends HTTP requests to any server and measures latency from the intended send time.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 100)]
#[command(override_usage = USAGE, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    /// Something else than a run.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Where to send requests: http://HOST:PORT/PATH, https://… or unix:/SOCKET[:/PATH].
    #[arg(short, long, value_name = "URL", value_hint = ValueHint::Url)]
    #[arg(required_unless_present_any = ["completions", "targets"])]
    target: Option<Target>,

    #[command(flatten)]
    load: LoadOptions,

    #[command(flatten)]
    connections: ConnectionOptions,

    #[command(flatten)]
    engine: EngineOptions,

    #[command(flatten)]
    request: RequestOptions,

    #[command(flatten)]
    pub(crate) generator: GeneratorOptions,

    #[command(flatten)]
    shard: ShardOptions,

    #[command(flatten)]
    pub(crate) judgement: JudgementOptions,

    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// Arguments that clap cannot judge, with a line for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("--target is missing; write for instance --target http://127.0.0.1:8000/")]
    Target,
    #[error("--engine fast has no {0}; leave --engine out or write --engine reqwest")]
    BeyondFast(&'static str),
    #[error("cannot read --{option} {}: {source}", path.display())]
    File { option: &'static str, path: PathBuf, source: std::io::Error },
    #[error("--targets {}, {source}", path.display())]
    List { path: PathBuf, source: loadgen::ListError },
    #[error("--targets {}: the file is no UTF-8 text", path.display())]
    Text { path: PathBuf },
}

impl Arguments {
    /// The search that these arguments ask for, if they do. Reads files as [`Arguments::plan`] does.
    ///
    /// # Errors
    /// The same as for [`Arguments::plan`].
    pub(crate) fn question(&self) -> Result<Option<Question>, UsageError> {
        Ok(self.judgement.question(self.plan()?, &self.load))
    }

    /// The plan that these arguments mean. Reads the files of bodies and forms.
    ///
    /// # Errors
    /// A file that cannot be read, or an engine that cannot do what is asked of it. Values that only make no sense together are left to
    /// [`Plan::check`].
    pub(crate) fn plan(&self) -> Result<Plan, UsageError> {
        let (target, list) = self.request.list(self.target.as_ref())?.unzip();
        let target = target.or_else(|| self.target.clone()).ok_or(UsageError::Target)?;
        let target = self.connections.reach(target);
        let (headers, body) = self.request.content()?;
        let load = if self.judgement.is_search() { self.load.trial() } else { self.load.load() };
        let engine = self.engine.engine(&target)?;
        let defaults = Plan::new(target, load);
        Ok(Plan {
            engine,
            resolve: self.connections.resolve.clone(),
            method: self.request.method(),
            headers,
            body,
            list,
            seed: self.load.seed,
            cookies: self.connections.cookies,
            connections: self.connections.connections.unwrap_or(defaults.connections),
            threads: self.generator.threads,
            timeout: self.connections.timeout,
            connect_timeout: self.connections.connect_timeout,
            reuse: self.connections.reuse(),
            warmup: self.load.warmup,
            cpus: self.generator.cpus.clone(),
            interval: self.generator.interval,
            shard: self.shard.shard,
            start_at: self.shard.start_at,
            max_outstanding: self.load.max_outstanding,
            requests_per_connection: self.connections.requests_per_connection,
            deadline: self.load.deadline,
            think_time: self.load.think_time,
            pipeline: self.connections.pipeline,
            ..defaults
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use clap::CommandFactory as _;
    use loadgen::{Arrivals, Load, Reuse, Shard, Stage, Stop, parse_stages};

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
        let stage = |seconds, rate| Stage::steady(Duration::from_secs(seconds), rate);
        let rows = [
            ("", closed(Stop::Duration(Duration::from_secs(10))), 32),
            ("-c 7 -d 3s", closed(Stop::Duration(Duration::from_secs(3))), 7),
            ("-n 100", closed(Stop::Requests(100)), 32),
            ("--rate 50/s", Load::constant(vec![stage(10, 50.0)]), 4096),
            ("--rate 50 -d 2s -c 9", Load::constant(vec![stage(2, 50.0)]), 9),
            ("--stages 1s@2,3s@4", Load::constant(vec![stage(1, 2.0), stage(3, 4.0)]), 4096),
            (
                "--stages 1s@2,3s@2..8",
                Load::constant(vec![stage(1, 2.0), Stage::ramp(Duration::from_secs(3), 2.0, 8.0)]),
                4096,
            ),
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
             --interval 500ms --max-outstanding 7 --requests-per-connection 8 --deadline 1m \
             --think-time 5ms --shard 1/3 --start-at 4102444800 --pipeline 6",
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
            max_outstanding: Some(7),
            requests_per_connection: Some(8),
            deadline: Some(Duration::from_secs(60)),
            think_time: Duration::from_millis(5),
            pipeline: 6,
            seed: 9,
            shard: Some(Shard { index: 1, count: 3 }),
            start_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800)),
            ..Plan::new(
                "http://a/".parse().unwrap(),
                Load::Open { stages: parse_stages("10s@5").unwrap(), arrivals: Arrivals::Poisson, seed: 9 },
            )
        };
        assert_eq!(plan, expected);
    }

    #[test]
    fn forms_and_credentials_become_fields_and_bodies() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let form = parse("--form a=1 --form b=x&y=z").unwrap();
        assert_eq!((form.method.as_str(), form.body.as_slice()), ("POST", &b"a=1&b=x%26y%3Dz"[..]));
        assert_eq!(form.headers, [field("Content-Type", "application/x-www-form-urlencoded")]);
        let own = parse("--form a=1 -X PUT -H content-type:x").unwrap();
        assert_eq!((own.method.as_str(), own.headers), ("PUT", vec![field("content-type", "x")]));
        // The example of RFC 7617 §2.
        let basic = parse("--basic-auth Aladdin:open:sesame").unwrap();
        assert_eq!(basic.headers, [field("Authorization", "Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==")]);
        let bearer = parse("--bearer abc").unwrap();
        assert_eq!(bearer.headers, [field("Authorization", "Bearer abc")]);
        assert_eq!(parse("--bearer abc -H authorization:mine").unwrap().headers, [field("authorization", "mine")]);
    }

    #[test]
    fn a_target_is_reached_as_asked() {
        let plan = parse("--resolve a:80:127.0.0.1").unwrap();
        assert_eq!(plan.resolve, ["a:80:127.0.0.1".parse().unwrap()]);
        let plan = parse("--unix-socket /run/a.sock").unwrap();
        assert_eq!(plan.target.to_string(), "http://a/ over unix:/run/a.sock");
    }

    #[test]
    fn a_search_has_trials_of_the_plan() {
        let question = |words: &str| {
            let words = format!("loadgen --target http://a/ {words}");
            Arguments::try_parse_from(words.split_whitespace()).unwrap().question().unwrap()
        };
        assert!(question("--rate 5 --assert p99<1s,errors<1% --assert rate>0.9").is_none());
        let asked = question(
            "--find-capacity p99<50ms,errors<1% -d 4s --arrivals poisson --seed 3 --min-rate 300 --max-rate 900/s \
             --precision 2% -X PUT -c 70",
        )
        .unwrap();
        assert_eq!(asked.objectives.iter().map(ToString::to_string).collect::<Vec<_>>(), ["p99<50ms", "errors<1%"]);
        assert_eq!((asked.duration, asked.arrivals, asked.seed), (Duration::from_secs(4), Arrivals::Poisson, 3));
        assert_eq!((asked.minimum, asked.maximum, asked.precision), (Some(300.0), 900.0, 0.02));
        assert_eq!((asked.plan.method.as_str(), asked.plan.connections), ("PUT", 70));
        // A trial is an open loop, which is limited by what is outstanding and not by connections.
        assert_eq!(question("--find-capacity p99<1s").unwrap().plan.connections, Plan::OPEN_CONNECTIONS);
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
            "--form novalue",
            "--form a=b --body c",
            "--form a=b --body-file c",
            "--basic-auth nobody",
            "--bearer a --basic-auth b:c",
            "--resolve a:80",
            "--resolve a:80:::1 --unix-socket x",
            "--assert p99",
            "--assert p99<5",
            "--find-capacity p99<5s --rate 5",
            "--find-capacity p99<5s --requests 5",
            "--find-capacity p99<5s --shard 0/2",
            "--find-capacity p99<5s --start-at +5s",
            "--shard 2/2",
            "--find-capacity p99<5s --stages 1s@5",
            "--find-capacity p99<5s --assert p99<5s",
            "--min-rate 5",
            "--max-rate 5",
            "--precision 5%",
            "--order random",
            "--find-capacity p99<5s --floor",
            "--floor sometimes",
            "--precision 5 --find-capacity p99<5s",
        ] {
            assert!(parse(words).is_err(), "{words}");
        }
    }

    #[test]
    fn json_without_a_value_is_standard_output() {
        let words = ["loadgen", "--target", "http://a/", "--json"];
        let arguments = Arguments::try_parse_from(words).unwrap();
        assert_eq!(arguments.output.json, Some(PathBuf::from("-")));
    }
}
