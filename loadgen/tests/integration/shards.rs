//! A plan in several processes offers what it would in one.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loadgen::{Arrivals, Load, Plan, Report, Shard, parse_stages};

use crate::server::{OK, Server, check, run};

const COUNT: u32 = 3;
/// A load for the scripts in deploy/.
const SHORT: [&str; 6] = ["--rate", "100/s", "--duration", "1s", "--warmup", "100ms"];

/// A server that counts requests.
fn counting() -> (Server, Arc<AtomicU64>) {
    let seen = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&seen);
    let server = Server::start(move |client| {
        while client.request().is_some() {
            count.fetch_add(1, Ordering::SeqCst);
            client.send(OK);
        }
    });
    (server, seen)
}

/// Starts one shard, which an environment like that of a scheduler tells its number.
fn shard(index: u32, words: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(words).args(["--shard", "auto/3", "--quiet", "--json"]);
    command.env("JOB_COMPLETION_INDEX", index.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Long enough for three processes to begin on a busy machine.
fn in_three_seconds() -> String {
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3);
    format!("{:.3}", start.as_secs_f64())
}

/// Runs all shards of these arguments, and gives their reports.
fn shards(words: &[&str]) -> Vec<Report> {
    let start = in_three_seconds();
    let words = [words, &["--start-at", &start]].concat();
    let children: Vec<Child> = (0..COUNT).map(|index| shard(index, &words)).collect();
    let reports: Vec<Report> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            // A busy machine may make a run INVALID; what was offered is exact all the same.
            assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
            serde_json::from_slice(&output.stdout).unwrap()
        })
        .collect();
    let start: f64 = start.parse().unwrap();
    for (index, report) in (0..).zip(&reports) {
        check(report);
        assert_eq!(report.setup.shard, Some(Shard { index, count: COUNT }));
        assert!((report.started_unix_s - start).abs() < 0.1, "{} {start}", report.started_unix_s);
    }
    reports
}

fn sum(reports: &[Report], count: fn(&Report) -> u64) -> u64 {
    reports.iter().map(count).sum()
}

#[test]
fn three_processes_offer_exactly_the_rate_of_the_plan() {
    let (server, seen) = counting();
    let url = server.target().to_string();
    let reports = shards(&["--target", &url, "--stages", "1s@100,1s@301", "--connections", "10"]);
    assert_eq!(sum(&reports, |r| r.requests), 401);
    assert_eq!(seen.load(Ordering::SeqCst), 401, "as the server counts");
    assert_eq!(reports.iter().map(|report| report.requests).collect::<Vec<_>>(), [134, 134, 133]);
    let offered: f64 = reports.iter().map(|report| report.offered_rate.unwrap()).sum();
    assert!((offered - 200.5).abs() < 1e-9, "{offered}");
    // The shares of each second, and not only their sum.
    for (interval, offered) in [(0, 100), (1, 301)] {
        assert_eq!(reports.iter().map(|report| report.intervals[interval].offered).sum::<u64>(), offered);
    }
    assert_eq!(reports.iter().map(|report| report.setup.connections).collect::<Vec<_>>(), [4, 3, 3]);
}

/// The reports, joined by the command, are the report of the whole; one of them missing is named.
#[test]
fn their_reports_are_joined() {
    let (server, _) = counting();
    let url = server.target().to_string();
    let mut reports = shards(&["--target", &url, "--rate", "150", "--duration", "2s", "--connections", "10"]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let files: Vec<String> = (0..COUNT).map(|index| path(&format!("shard-{index}.json"))).collect();
    for (file, report) in files.iter().zip(&mut reports) {
        // A busy machine is not what this is about.
        report.validity.clear();
        std::fs::write(file, serde_json::to_vec(report).unwrap()).unwrap();
    }
    let merge = |files: &[String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.arg("merge").args(files).args(["-o", &path("whole.json")]).output().unwrap()
    };
    let output = merge(&files);
    assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
    let whole: Report = serde_json::from_slice(&std::fs::read(path("whole.json")).unwrap()).unwrap();
    assert_eq!((whole.requests, whole.offered_rate, whole.setup.connections), (300, Some(150.0), 10));
    assert_eq!((whole.setup.shard, whole.setup.threads, whole.latency.count), (None, 3, 300));
    let cpu_s: f64 = reports.iter().flat_map(|report| &report.threads).map(|thread| thread.cpu_s).sum();
    let each = whole.cpu_per_request_ns.unwrap();
    assert!((each - cpu_s * 1e9 / 300.0).abs() < 1.0, "{each}");
    let output = merge(&files[..2]);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && shown.contains("shard 2/3 is missing"), "{shown}");
}

/// `{seq}` counts through all shards as it does through the threads of one process.
#[test]
fn no_number_occurs_twice() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let numbers = Arc::clone(&seen);
    let server = Server::start(move |client| {
        while let Some(request) = client.request() {
            let path = request.head.split(' ').nth(1).unwrap().to_owned();
            numbers.lock().unwrap().push(path.trim_start_matches('/').parse::<u64>().unwrap());
            client.send(OK);
        }
    });
    let url = format!("{}{{seq}}", server.target());
    shards(&["--target", &url, "--rate", "90", "--duration", "1s"]);
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, (1..=90).collect::<Vec<_>>());
}

#[test]
fn their_poisson_streams_are_those_of_one_process_with_as_many_threads() {
    let (server, seen) = counting();
    let url = server.target().to_string();
    let words = ["--target", &url, "--rate", "200", "--duration", "2s", "--arrivals", "poisson", "--seed", "9"];
    let reports = shards(&words);
    let load = Load::Open { stages: parse_stages("2s@200").unwrap(), arrivals: Arrivals::Poisson, seed: 9 };
    let whole = run(&Plan { threads: 3, ..Plan::new(server.target(), load) });
    assert_eq!(sum(&reports, |r| r.requests), whole.requests);
    assert_eq!(seen.load(Ordering::SeqCst), 2 * whole.requests);
    for interval in 0..2 {
        let offered = |report: &Report| report.intervals[interval].offered;
        assert_eq!(reports.iter().map(offered).sum::<u64>(), offered(&whole));
    }
}

#[test]
fn a_number_of_requests_is_divided() {
    let (server, seen) = counting();
    let url = server.target().to_string();
    let reports = shards(&["--target", &url, "--requests", "100", "--connections", "7", "--threads", "2"]);
    assert_eq!((sum(&reports, |r| r.requests), sum(&reports, |r| r.connects)), (100, 7));
    assert_eq!(seen.load(Ordering::SeqCst), 100);
    assert_eq!(server.accepted(), 7);
}

#[test]
fn a_beginning_that_is_over_is_refused() {
    let server = Server::answering(OK);
    let url = server.target().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    let output = command.args(["--target", &url, "--start-at", "2020-01-01T00:00:00Z"]).output().unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains("--start-at: that time was") && shown.lines().count() == 1, "{shown}");
    assert_eq!(server.accepted(), 0);
}

/// The script in deploy/, run as Slurm runs the tasks of an array.
#[test]
fn the_slurm_script_runs_a_shard_per_task() {
    let (server, seen) = counting();
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/slurm.sbatch");
    let start = in_three_seconds();
    let tasks: Vec<Child> = (0..COUNT)
        .map(|index| {
            Command::new("bash")
                .arg(script)
                .args(SHORT)
                .current_dir(folder.path())
                .env("LOADGEN", env!("CARGO_BIN_EXE_loadgen"))
                .env("TARGET", server.target().to_string())
                .env("START_AT", &start)
                .env("SLURM_ARRAY_TASK_ID", index.to_string())
                .env("SLURM_ARRAY_TASK_MIN", "0")
                .env("SLURM_ARRAY_TASK_STEP", "1")
                .env("SLURM_ARRAY_TASK_COUNT", COUNT.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let reports: Vec<Report> = (0..COUNT)
        .zip(tasks)
        .map(|(index, task)| {
            let output = task.wait_with_output().unwrap();
            assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
            let text = std::fs::read(folder.path().join(format!("shard-{index}.json"))).unwrap();
            serde_json::from_slice(&text).unwrap()
        })
        .collect();
    assert_eq!(sum(&reports, |r| r.requests), 100);
    assert_eq!(seen.load(Ordering::SeqCst), 110, "and the warm-up");
}

/// The command in deploy/kubernetes.yaml, run as a pod runs it.
#[test]
fn the_manifest_s_command_prints_a_report_and_nothing_else() {
    let (server, _) = counting();
    let manifest = include_str!("../../deploy/kubernetes.yaml");
    // A folded scalar, whose lines are one (YAML 1.2 §8.1.3), up to the list's next entry.
    let (_, folded) = manifest.split_once(">-\n").unwrap();
    let (folded, _) = folded.split_once("- loadgen\n").unwrap();
    let command = folded.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(manifest.contains("completions: 3") && command.contains("--shard auto/3"), "{command}");
    let folder = tempfile::tempdir().unwrap();
    let message = folder.path().join("message");
    let command = command.replacen("exec loadgen", &format!("exec {}", env!("CARGO_BIN_EXE_loadgen")), 1);
    let command = command.replacen("/dev/termination-log", &message.display().to_string(), 1);
    let pod = Command::new("sh")
        .args(["-c", &command, "loadgen"])
        .args(SHORT)
        .env("TARGET", server.target().to_string())
        .env("START_AT", in_three_seconds())
        .env("JOB_COMPLETION_INDEX", "1")
        .output()
        .unwrap();
    let message = std::fs::read_to_string(message).unwrap();
    assert!(matches!(pod.status.code(), Some(0 | 5)), "{message}");
    let report: Report = serde_json::from_slice(&pod.stdout).unwrap();
    assert_eq!(report.setup.shard, Some(Shard { index: 1, count: 3 }));
    assert!(message.contains("shard 1/3"), "{message}");
}
