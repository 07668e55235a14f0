//! What generators say of a server that freezes.
//!
//! ```text
//! cargo bench -p loadgen --bench freeze -- --seconds 20
//! ```
//!
//! The server (`floor/`) answers at once, but for one second in ten it does nothing, from 4.5 s
//! after the first connection on. Requests are due every `1 / rate` seconds, so one in ten is due
//! while the server stands still, and these wait between one second and nothing, all lengths alike:
//! the truth is p50 = 0, p95 = 0.5 s, p99 = 0.9 s, p99.9 = 0.99 s. Each generator is asked for the
//! same rate where it has one, and prints its own percentiles. Generators are those that are
//! installed; the server is pinned to one CPU and they to another.

mod floor;

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Parser;
use floor::pinned;
use serde_json::Value;

/// From the first connection to the first freeze.
const FIRST: Duration = Duration::from_millis(4_500);
/// From one freeze to the next.
const PERIOD: Duration = Duration::from_secs(10);
const FROZEN: Duration = Duration::from_secs(1);
/// What is compared, and what is true, in seconds.
const QUANTILES: [(f64, f64); 4] = [(0.5, 0.0), (0.95, 0.5), (0.99, 0.9), (0.999, 0.99)];

#[derive(Parser)]
struct Options {
    /// Length of each run, in whole periods of ten seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Requests per second, of all connections together.
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// Connections of every generator.
    #[arg(long, default_value_t = 50)]
    connections: u64,
    /// CPU of the server.
    #[arg(long, default_value_t = 0)]
    target_cpu: usize,
    /// CPU of the generators.
    #[arg(long, default_value_t = 1)]
    cpu: usize,
    /// Be the server, and print the port.
    #[arg(long, hide = true)]
    serve: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a generator said.
struct Said {
    answers: u64,
    /// In seconds, of [`QUANTILES`]; `None` where it says nothing of one.
    quantiles: [Option<f64>; 4],
}

/// A generator: its program, its command line (`LOG` is a file that it may write), and how to read what it printed.
struct Tool {
    name: &'static str,
    program: &'static str,
    words: fn(&Options, &str, &str) -> String,
    said: fn(&str, &str) -> Option<Said>,
}

const TOOLS: [Tool; 8] = [
    Tool {
        name: "loadgen",
        program: env!("CARGO_BIN_EXE_loadgen"),
        words: |o, url, _| {
            format!("--target {url} -c {} -d {}s --rate {}/s -q --json", o.connections, o.seconds, o.rate)
        },
        said: |text, _| {
            let report: loadgen::Report = serde_json::from_str(text).ok()?;
            let histogram = report.latency.histogram().ok()?;
            let at = |quantile| Some(histogram.value_at_quantile(quantile) as f64 / 1e9);
            Some(Said { answers: report.answered, quantiles: QUANTILES.map(|(quantile, _)| at(quantile)) })
        },
    },
    Tool {
        name: "wrk2",
        program: "wrk2",
        words: |o, url, _| format!("-t1 -c{} -d{}s -R{} --latency {url}", o.connections, o.seconds, o.rate),
        said: |text, _| {
            let at = |mark: &str| seconds(after(text, mark)?);
            Some(Said {
                answers: before(text, " requests in")?.parse().ok()?,
                quantiles: [at(" 50.000%"), at(" 95.000%"), at(" 99.000%"), at(" 99.900%")],
            })
        },
    },
    Tool {
        name: "wrk (closed loop)",
        program: "wrk",
        words: |o, url, _| format!("-t1 -c{} -d{}s --latency {url}", o.connections, o.seconds),
        said: |text, _| {
            let at = |mark: &str| seconds(after(text, mark)?);
            Some(Said {
                answers: before(text, " requests in")?.parse().ok()?,
                quantiles: [at(" 50%"), None, at(" 99%"), None],
            })
        },
    },
    Tool {
        name: "ab (closed loop)",
        program: "ab",
        words: |o, url, _| format!("-q -k -c {} -t {} -n 5000000 {url}", o.connections, o.seconds),
        said: |text, _| {
            let at = |mark: &str| Some(after(text, mark)?.parse::<f64>().ok()? / 1e3);
            Some(Said {
                answers: after(text, "Complete requests:")?.parse().ok()?,
                quantiles: [at("\n  50%"), at("\n  95%"), at("\n  99%"), None],
            })
        },
    },
    Tool {
        name: "h2load --rps",
        program: "h2load",
        words: |o, url, log| {
            let each = o.rate / o.connections;
            format!("--h1 -t1 -c{} -D{} --rps {each} --log-file {log} {url}", o.connections, o.seconds)
        },
        // Its log has, for each request, when it was sent, the status, and how long it took in microseconds.
        said: |_, log| {
            let mut times: Vec<f64> =
                log.lines().filter_map(|line| line.split('\t').nth(2)?.parse::<f64>().ok()).collect();
            times.sort_by(f64::total_cmp);
            let at = |quantile: f64| times.get((times.len() as f64 * quantile) as usize).map(|time| time / 1e6);
            Some(Said { answers: times.len() as u64, quantiles: QUANTILES.map(|(quantile, _)| at(quantile)) })
        },
    },
    Tool {
        name: "hey -q",
        program: "hey",
        words: |o, url, _| {
            let each = o.rate / o.connections;
            format!("-cpus 1 -z {}s -c {} -q {each} {url}", o.seconds, o.connections)
        },
        said: |text, _| {
            let at = |mark: &str| after(text, mark)?.trim_start_matches("in ").parse().ok();
            Some(Said {
                answers: after(text, "\n  [200]")?.parse().ok()?,
                quantiles: [at("50% in"), at("95% in"), at("99% in"), None],
            })
        },
    },
    Tool { name: "oha -q", program: "oha", words: |o, url, _| oha(o, url, ""), said: |text, _| said_by_oha(text) },
    Tool {
        name: "oha, corrected",
        program: "oha",
        words: |o, url, _| oha(o, url, "--latency-correction "),
        said: |text, _| said_by_oha(text),
    },
];

fn oha(options: &Options, url: &str, more: &str) -> String {
    let Options { connections, seconds, rate, .. } = options;
    format!("--no-tui --output-format json -z {seconds}s -c {connections} -q {rate} {more}{url}")
}

fn said_by_oha(text: &str) -> Option<Said> {
    let report: Value = serde_json::from_str(text).ok()?;
    let at = |name: &str| report["latencyPercentiles"][name].as_f64();
    let answers = report["statusCodeDistribution"]["200"].as_u64()?;
    Some(Said { answers, quantiles: [at("p50"), at("p95"), at("p99"), at("p99.9")] })
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.1.split_whitespace().next()
}

fn before<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.0.split_whitespace().next_back()
}

/// wrk's way to write a time: `1.23us`, `4.56ms`, `7.89s`.
fn seconds(text: &str) -> Option<f64> {
    let (number, scale) = match text {
        _ if text.ends_with("us") => (text.trim_end_matches("us"), 1e-6),
        _ if text.ends_with("ms") => (text.trim_end_matches("ms"), 1e-3),
        _ => (text.trim_end_matches('s'), 1.0),
    };
    Some(number.parse::<f64>().ok()? * scale)
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    if options.serve {
        return floor::serve((0..).map(|number| (FIRST + PERIOD * number, FROZEN)));
    }
    println!("{} requests/s for {} s, {} connections", options.rate, options.seconds, options.connections);
    println!("{:<18}{:>9}{:>12}{:>12}{:>12}{:>12}", "", "answers", "p50", "p95", "p99", "p99.9");
    let due = options.rate * options.seconds;
    print(&format!("{:<18}{due:>9}", "truth"), &QUANTILES.map(|(_, truth)| Some(truth)));
    for tool in TOOLS.iter().filter(|tool| is_installed(tool.program)) {
        let said = run(&options, tool)?;
        print(&format!("{:<18}{:>9}", tool.name, said.answers), &said.quantiles);
    }
    Ok(())
}

fn print(beginning: &str, quantiles: &[Option<f64>; 4]) {
    let told: String = quantiles
        .iter()
        .map(|value| value.map_or_else(|| format!("{:>12}", "-"), |value| format!("{:>9.1} ms", value * 1e3)))
        .collect();
    println!("{beginning}{told}");
}

/// Whether a command exists: it can be started, whatever it says.
fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// One run of one generator against a server of its own.
fn run(options: &Options, tool: &Tool) -> io::Result<Said> {
    let server = Server::start(options)?;
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let words = (tool.words)(options, &server.url, &log.to_string_lossy());
    let line: Vec<String> = std::iter::once(tool.program).chain(words.split(' ')).map(str::to_owned).collect();
    let output = pinned(options.cpu, &line).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    (tool.said)(&text, &fs::read_to_string(&log).unwrap_or_default())
        .ok_or_else(|| io::Error::other(format!("{} said something else: {output:?}", tool.name)))
}

/// The server that freezes; ended when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(options: &Options) -> io::Result<Self> {
        let (child, port) = floor::start(options.target_cpu)?;
        Ok(Self { child, url: format!("http://127.0.0.1:{port}/") })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone already needs no ending.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
