//! How precisely an open loop keeps its times: send lag, and the rate over the whole run.
//!
//! ```text
//! cargo bench -p loadgen --bench pace -- --rate 20000 --seconds 30
//! ```
//!
//! The target is the `floor` server on one CPU; the generator's one thread has another. Figures are
//! only worth something on an otherwise idle machine. Prints the send lag's percentiles, the share of
//! the schedule that was sent in its time, and the CPU time it took.

mod floor;

use std::io;
use std::process::Child;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use loadgen::{Arrivals, Load, Plan, Report, Stage, Target};

#[derive(Parser)]
struct Options {
    /// Requests per second.
    #[arg(long, default_value_t = 20_000.0)]
    rate: f64,
    /// Length of a run.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Connections at most.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Generator threads, on the CPUs from `--cpu` on.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// CPU of the target.
    #[arg(long, default_value_t = 0)]
    target_cpu: usize,
    /// CPU of the generator's first thread.
    #[arg(long, default_value_t = 1)]
    cpu: usize,
    /// Be the floor, and print the port.
    #[arg(long, hide = true)]
    serve: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The floor; ended when dropped.
struct Floor(Child);

impl Drop for Floor {
    fn drop(&mut self) {
        // One that is gone already needs no ending.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    if options.serve {
        return floor::serve(std::iter::empty());
    }
    let (child, port) = floor::start(options.target_cpu)?;
    let floor = Floor(child);
    println!("{}/s for {} s, {} thread(s)", options.rate, options.seconds, options.threads);
    println!("{:<10}{:>10}{:>10}{:>10}{:>10}{:>14}{:>11}", "", "lag p50", "p99", "p99.9", "max", "sent/due", "CPU");
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let target = Target::tcp("127.0.0.1", port, "/").map_err(io::Error::other)?;
        let stages = vec![Stage::steady(Duration::from_secs(options.seconds), options.rate)];
        let plan = Plan {
            connections: options.connections,
            threads: options.threads,
            cpus: Some((options.cpu..options.cpu + options.threads).collect()),
            warmup: Duration::from_secs(1),
            ..Plan::new(target, Load::Open { stages, arrivals, seed: 1 })
        };
        let report = loadgen::run(&plan, &mut |_| {}, &AtomicBool::new(false)).map_err(io::Error::other)?;
        print(&report, arrivals);
    }
    drop(floor);
    Ok(())
}

fn print(report: &Report, arrivals: Arrivals) {
    let lag = &report.send_lag;
    let micros = |nanos: u64| format!("{:.1} µs", nanos as f64 / 1e3);
    let share = report.offered_rate.map_or(0.0, |offered| report.achieved_rate / offered);
    let cpu = report.threads.iter().map(|thread| thread.cpu_share).sum::<f64>() / report.threads.len().max(1) as f64;
    println!(
        "{:<10}{:>10}{:>10}{:>10}{:>10}{:>12.4} %{:>9.1} %  {} requests, {} failed{}",
        format!("{arrivals:?}").to_lowercase(),
        micros(lag.p50_ns),
        micros(lag.p99_ns),
        micros(lag.p99_9_ns),
        micros(lag.max_ns),
        share * 100.0,
        cpu * 100.0,
        report.requests,
        report.failed(),
        if report.validity.is_empty() { String::new() } else { format!("; INVALID: {}", report.validity.join("; ")) },
    );
}
