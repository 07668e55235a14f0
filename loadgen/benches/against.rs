//! What a request costs this generator and others, in turns against the same target.
//!
//! ```text
//! cargo bench -p loadgen --bench against -- --rounds 8 --seconds 2
//! ```
//!
//! The target is pinned to one CPU and every generator to another. Each round runs every generator
//! once, so that what changes on the machine meets all of them; its CPU time is what the system
//! counts for the ended process (`getrusage`). Ratios are of the same round, with the interval in
//! which 95 % of resampled means lie. Targets: `floor`, a server of this file that does one read
//! and one write per request and parses nothing; nginx, where it is installed; or `--target`.
//! Generators are those that are installed, and `least`, a loop of this bench that does nothing but
//! receive and send, with rests of 10 and of 60 µs in between. With `--calls`, perf counts the system calls of one
//! more run each, which takes the right to trace.

mod floor;
mod least;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use floor::pinned;

/// Bootstrap samples.
const SAMPLES: usize = 2_000;

#[derive(Parser)]
struct Options {
    /// Rounds, each with every generator.
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// Length of one run.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Connections of every generator.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// CPU of the targets that are started here.
    #[arg(long, default_value_t = 0)]
    target_cpu: usize,
    /// CPU of the generators.
    #[arg(long, default_value_t = 1)]
    cpu: usize,
    /// A target that is running already, instead of those started here.
    #[arg(long)]
    target: Option<String>,
    /// Count system calls as well.
    #[arg(long)]
    calls: bool,
    /// Be the floor, and print the port.
    #[arg(long, hide = true)]
    serve: bool,
    /// Be the least of all generators, against this address.
    #[arg(long, hide = true)]
    least: Option<SocketAddr>,
    /// Rests of the least, in microseconds.
    #[arg(long, hide = true, default_value_t = 10)]
    rest: u64,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A generator: its command line, and how to find the number of answers in what it prints.
struct Tool {
    name: &'static str,
    words: fn(&Options, &str) -> Vec<String>,
    answers: fn(&str) -> Option<u64>,
}

const TOOLS: [Tool; 9] = [
    Tool {
        name: "wrk",
        words: |o, url| words(&format!("wrk -t1 -c{} -d{}s {url}", o.connections, o.seconds)),
        answers: |text| number_before(text, " requests in"),
    },
    Tool {
        name: "loadgen",
        words: |o, url| {
            let program = env!("CARGO_BIN_EXE_loadgen");
            words(&format!("{program} --target {url} -c {} -d {}s -q --json", o.connections, o.seconds))
        },
        answers: |text| serde_json::from_str::<loadgen::Report>(text).ok().map(|report| report.answered),
    },
    // As long as loadgen does where answers take 400 µs.
    Tool { name: "least-10", words: |o, url| least(o, url, 10), answers: |text| number_before(text, " requests in") },
    Tool { name: "least-60", words: |o, url| least(o, url, 60), answers: |text| number_before(text, " requests in") },
    // It has no closed loop: behind a rate that nobody reaches, every connection always has its request.
    Tool {
        name: "wrk2",
        words: |o, url| words(&format!("wrk2 -t1 -c{} -d{}s -R2000000 {url}", o.connections, o.seconds)),
        answers: |text| number_before(text, " requests in"),
    },
    Tool {
        name: "ab",
        words: |o, url| words(&format!("ab -q -k -c {} -t {} -n 2000000 {url}", o.connections, o.seconds)),
        answers: |text| number_after(text, "Complete requests:"),
    },
    Tool {
        name: "h2load",
        words: |o, url| words(&format!("h2load --h1 -t1 -c{} -D{} {url}", o.connections, o.seconds)),
        answers: |text| number_after(text, "\nrequests: "),
    },
    Tool {
        name: "hey",
        words: |o, url| words(&format!("hey -cpus 1 -z {}s -c {} {url}", o.seconds, o.connections)),
        answers: |text| number_after(text, "\n  [200]"),
    },
    Tool {
        name: "oha",
        words: |o, url| words(&format!("oha --no-tui -z {}s -c {} {url}", o.seconds, o.connections)),
        answers: |text| number_after(text, "\n  [200]"),
    },
];

/// This program as the least of all generators, with rests of so many microseconds.
fn least(options: &Options, url: &str, rest: u64) -> Vec<String> {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let program = std::env::current_exe().unwrap_or_default();
    let Options { connections, seconds, .. } = options;
    let program = program.display();
    words(&format!("{program} --least {address} --rest {rest} --connections {connections} --seconds {seconds}"))
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn number_after(text: &str, mark: &str) -> Option<u64> {
    let (_, rest) = text.split_once(mark)?;
    rest.split_whitespace().next()?.parse().ok()
}

fn number_before(text: &str, mark: &str) -> Option<u64> {
    let (before, _) = text.split_once(mark)?;
    before.split_whitespace().next_back()?.parse().ok()
}

/// One run of one generator.
#[derive(Clone, Copy)]
struct Run {
    answers: u64,
    cpu: Duration,
    wall: Duration,
}

impl Run {
    fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.answers as f64
    }

    fn rate(&self) -> f64 {
        self.answers as f64 / self.wall.as_secs_f64()
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    if options.serve {
        return floor::serve(std::iter::empty());
    }
    if let Some(address) = options.least {
        let length = Duration::from_secs(options.seconds);
        return least::drive(address, options.connections, length, Duration::from_micros(options.rest));
    }
    let tools: Vec<&Tool> =
        TOOLS.iter().filter(|tool| is_ours(tool.name) || installed(tool.name, &["--version", "-V"])).collect();
    if let Some(url) = &options.target {
        return compare(&options, &tools, url, url);
    }
    let floor = Target::floor(&options)?;
    compare(&options, &tools, "floor", &floor.url)?;
    drop(floor);
    if installed("nginx", &["-v"]) {
        let nginx = Target::nginx(&options)?;
        compare(&options, &tools, "nginx", &nginx.url)?;
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    name == "loadgen" || name.starts_with("least")
}

/// Whether a command exists: it can be started, whatever it says to these words.
fn installed(name: &str, words: &[&str]) -> bool {
    Command::new(name).args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn compare(options: &Options, tools: &[&Tool], target: &str, url: &str) -> io::Result<()> {
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); tools.len()];
    for round in 0..options.rounds {
        // Each comes first and last equally often.
        for turn in 0..tools.len() {
            let tool = (round + turn) % tools.len();
            runs[tool].push(run(options, tools[tool], url)?);
        }
    }
    println!("{target}: {} connections, {} rounds of {} s", options.connections, options.rounds, options.seconds);
    println!("{:<9}{:>12}{:>16}{:>34}  calls/request", "", "requests/s", "CPU/request", "loadgen's CPU ÷ this one's");
    let ours = tools.iter().position(|tool| tool.name == "loadgen").map(|at| runs[at].clone()).unwrap_or_default();
    for (tool, runs) in tools.iter().zip(&runs) {
        let ratios: Vec<f64> = ours.iter().zip(runs).map(|(ours, other)| ours.cost() / other.cost()).collect();
        let (low, high) = interval(&ratios);
        let calls = if options.calls { format!("{:.2}", calls(options, tool, url)?) } else { "-".to_owned() };
        println!(
            "{:<9}{:>12.0}{:>13.2} µs{:>12.3} (95 %: {low:.3} to {high:.3})  {calls:>13}",
            tool.name,
            mean(&runs.iter().map(Run::rate).collect::<Vec<_>>()),
            mean(&runs.iter().map(Run::cost).collect::<Vec<_>>()),
            mean(&ratios),
        );
    }
    Ok(())
}

/// Runs a generator on its CPU. It is the only child that ends meanwhile, so what the ended
/// children have used grows by what it has used.
fn run(options: &Options, tool: &Tool, url: &str) -> io::Result<Run> {
    let before = children()?;
    let start = Instant::now();
    let output = pinned(options.cpu, &(tool.words)(options, url)).stdin(Stdio::null()).output()?;
    let wall = start.elapsed();
    let cpu = children()? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let answers = (tool.answers)(&text)
        .filter(|count| *count > 0)
        .ok_or_else(|| io::Error::other(format!("{} printed no number of answers: {output:?}", tool.name)))?;
    Ok(Run { answers, cpu, wall })
}

/// System calls per request, of one more run.
fn calls(options: &Options, tool: &Tool, url: &str) -> io::Result<f64> {
    let mut line = words("perf stat -x, -e raw_syscalls:sys_enter --");
    line.extend((tool.words)(options, url));
    let output = pinned(options.cpu, &line).stdin(Stdio::null()).output()?;
    let counted = String::from_utf8_lossy(&output.stderr)
        .lines()
        .find(|line| line.contains("raw_syscalls"))
        .and_then(|line| line.split(',').next()?.parse::<f64>().ok());
    let answers = (tool.answers)(&String::from_utf8_lossy(&output.stdout));
    match (counted, answers) {
        (Some(calls), Some(answers)) => Ok(calls / answers as f64),
        _ => Err(io::Error::other(format!("perf stat counted nothing: {output:?}"))),
    }
}

/// CPU time of all children that have ended.
fn children() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The interval in which 95 % of the means of samples drawn from `values` lie. The drawing is the
/// same in every run: a report is to be reproducible from its runs.
fn interval(values: &[f64]) -> (f64, f64) {
    let mut state = 1u64;
    let mut draw = || {
        // Knuth's MMIX generator; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        values[(state >> 33) as usize % values.len()]
    };
    let mut means: Vec<f64> =
        (0..SAMPLES).map(|_| (0..values.len()).map(|_| draw()).sum::<f64>() / values.len() as f64).collect();
    means.sort_by(f64::total_cmp);
    (means[SAMPLES / 40], means[SAMPLES - 1 - SAMPLES / 40])
}

/// A server started here; ended when dropped.
struct Target {
    child: Child,
    url: String,
    /// Its files.
    _folder: Option<tempfile::TempDir>,
}

impl Target {
    fn floor(options: &Options) -> io::Result<Self> {
        let (child, port) = floor::start(options.target_cpu)?;
        Ok(Self { child, url: format!("http://127.0.0.1:{port}/"), _folder: None })
    }

    /// nginx with one worker, answering 13 bytes without a file.
    fn nginx(options: &Options) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let path = folder.path().display();
        let file = folder.path().join("nginx.conf");
        fs::write(
            &file,
            format!(
                "daemon off; master_process off; worker_processes 1; pid {path}/pid; error_log stderr crit;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{ access_log off; keepalive_requests 1000000000; default_type text/plain;\n\
                 client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;\n\
                 uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"Hello, World!\"; }} }} }}\n"
            ),
        )?;
        let line = ["nginx".to_owned(), "-p".to_owned(), path.to_string(), "-c".to_owned(), file.display().to_string()];
        let child = pinned(options.target_cpu, &line).spawn()?;
        let target = Self { child, url: format!("http://127.0.0.1:{port}/"), _folder: Some(folder) };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("nginx does not listen within 10 s"));
            }
            std::thread::yield_now();
        }
        Ok(target)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // One that is gone already needs no ending.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
