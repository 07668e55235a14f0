//! `/metrics`, read with the Python client library's own parsers, which know nothing of ours.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::Signal;

use crate::support::{Launch, Load, Server, processes, python, wait};

/// Parses a file with the parser that is named, and prints each family's type and samples.
const PARSE: &str = "
import importlib, json, pathlib, sys
parser = importlib.import_module(sys.argv[1].replace('/', '.'))
families = parser.text_string_to_metric_families(pathlib.Path(sys.argv[2]).read_text())
found = {}
for family in families:
    for sample in family.samples:
        labels = ','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))
        found[f'{sample.name}{{{labels}}}' if labels else sample.name] = (family.type, sample.value)
print(json.dumps(found))
";

/// An application whose answers differ as little as they can.
const SITE: &str = "
import time

def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/raises':
        raise RuntimeError('as asked')
    if path == '/slow':
        time.sleep(0.06)
    start_response('404 Not Found' if path == '/nowhere' else '200 OK', [])
    return [b'answered']
";

type Samples = BTreeMap<String, (String, f64)>;

fn parse(server: &Server, parser: &str, text: &str) -> Samples {
    let path = server.folder().join("metrics.txt");
    fs::write(&path, text).expect("a file");
    let json = python::run_script(PARSE, &[parser.as_ref(), &path]);
    serde_json::from_str(&json).expect("what the script prints")
}

/// In the older format, as curl gets it.
fn metrics(server: &Server) -> Samples {
    let response = server.watch("/metrics");
    assert_eq!(response.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parse(server, "prometheus_client/parser", response.text())
}

fn value(samples: &Samples, name: &str) -> f64 {
    samples.get(name).unwrap_or_else(|| panic!("no {name} in {samples:#?}")).1
}

#[test]
fn both_formats_say_the_same() {
    let launch = Launch::new("classes:app").with_module("classes", SITE).fixed(2, 2);
    let server = launch.args("--admin 0").start();
    for _ in 0..3 {
        assert_eq!(server.get("/").status(), 200);
    }
    assert_eq!(server.get("/nowhere").status(), 404);
    assert_eq!(server.get("/raises").status(), 500);
    assert_eq!(server.get("/slow").status(), 200);
    let mut malformed = server.connect();
    malformed.send("nonsense\r\n\r\n");
    assert_eq!(malformed.answer().status(), 400);
    // Counted after the answer.
    server.await_status("all are counted", |status| status.requests() == 6 && status.in_flight() == 0);
    let older = wait::until("the refusal is counted", || {
        let samples = metrics(&server);
        (value(&samples, "smarthttpd_requests_refused_total") == 1.0).then_some(samples)
    });

    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3\r\n";
    let response = server.watch_with("/metrics", accept);
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(response.header("Content-Type"), Some(media_type));
    let newer = parse(&server, "prometheus_client/openmetrics/parser", response.text());
    assert!(older.keys().eq(newer.keys()), "{older:#?} {newer:#?}");

    for samples in [&older, &newer] {
        for (class, count) in [("cut", 0.0), ("1xx", 0.0), ("2xx", 4.0), ("3xx", 0.0), ("4xx", 1.0), ("5xx", 1.0)] {
            assert_eq!(value(samples, &format!("smarthttpd_requests_total{{class={class}}}")), count, "{class}");
        }
        for (state, count) in [("total", 2.0), ("busy", 0.0), ("idle", 2.0), ("kill_pending", 0.0), ("starting", 0.0)] {
            assert_eq!(value(samples, &format!("smarthttpd_workers{{state={state}}}")), count, "{state}");
        }
        assert_eq!(value(samples, "smarthttpd_build_info{mpm=static,version=0.1.0}"), 1.0);
        assert_eq!(value(samples, "smarthttpd_workers_spawned_total"), 2.0);
        assert!(value(samples, "smarthttpd_worker_resident_bytes{slot=1}") > 1e6);
        check_histogram(samples);
    }
    assert_eq!(older["smarthttpd_request_duration_seconds_count"].0, "histogram");
    assert_eq!(newer["smarthttpd_requests_total{class=2xx}"].0, "counter");
}

/// Six requests, one of which took 60 ms in the application.
fn check_histogram(samples: &Samples) {
    let name = "smarthttpd_request_duration_seconds";
    assert_eq!(value(samples, &format!("{name}_count")), 6.0);
    let sum = value(samples, &format!("{name}_sum"));
    assert!((0.06..6.0).contains(&sum), "{sum}");
    let mut buckets: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|(sample, (_, value))| {
            let bound = sample.strip_prefix(&format!("{name}_bucket{{le="))?.strip_suffix('}')?;
            Some((if bound == "+Inf" { f64::INFINITY } else { bound.parse().expect("a number") }, *value))
        })
        .collect();
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, 6.0)));
    assert!(buckets[0].0 < 0.0001 && buckets[buckets.len() - 2].0 > 60.0, "{buckets:?}");
    let quicker = buckets.iter().rev().find(|(bound, _)| *bound < 0.06).expect("there are small bounds");
    assert!(quicker.1 <= 5.0, "{buckets:?}");
}

/// Every counter, bucket and sum of what is exposed.
fn growing(samples: &Samples) -> impl Iterator<Item = (&String, f64)> {
    samples
        .iter()
        .filter(|(_, (kind, _))| kind == "counter" || kind == "histogram")
        .map(|(name, (_, value))| (name, *value))
}

#[test]
fn no_counter_goes_down_when_workers_are_killed() {
    const KILLS: u64 = 4;
    let server = Launch::new("plain:app").fixed(2, 2).args("--admin 0").start();
    let mut before = metrics(&server);
    Load::run(&server, 4, "/pid", |load| {
        for deaths in 1..=KILLS {
            load.await_answers(50);
            processes::send(server.status().pids()[0], Signal::SIGKILL);
            server.await_status("a worker died", |status| status.counters.died == deaths);
            let after = metrics(&server);
            for (name, value_before) in growing(&before) {
                let value_after = value(&after, name);
                assert!(value_after >= value_before, "{name} went down from {value_before} to {value_after}");
            }
            before = after;
        }
        assert_eq!(value(&before, "smarthttpd_workers_died_total"), KILLS as f64);
        let answered = load.answered() as f64;
        load.await_answers(50);
        let counted = value(&metrics(&server), "smarthttpd_requests_total{class=2xx}");
        // An answer may have been sent and its worker killed before it was counted: one per call under way.
        let uncounted = (KILLS * 2) as f64;
        assert!(counted >= answered - uncounted, "{counted} counted of {answered}");
    });
}

#[test]
fn a_decision_comes_with_its_figures() {
    let server = Launch::new("plain:app").args("--max-workers 4 --max-threads 1 --admin 0").start();
    Load::run(&server, 6, "/sleep?ms=20", |_| {
        server.await_status("the server grows", |status| status.totals.total >= 3);
    });
    let samples = metrics(&server);
    assert!(value(&samples, "smarthttpd_decisions_total{action=spawn}") >= 1.0);
    assert!(value(&samples, "smarthttpd_decision_input{input=slots}") > 0.0);
    let status = server.watch("/status").json();
    let decision = &status["decisions"][0];
    assert!(decision["inputs"]["workers_serving"].as_f64().is_some_and(|workers| workers >= 1.0), "{decision}");
}
