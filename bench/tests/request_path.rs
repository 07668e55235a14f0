//! The request path, the whole way and as short as it gets: our server and the floor, without any other installed.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Bench, smarthttpd};

#[test]
fn the_request_path_is_measured_against_the_floor_and_judged() {
    let server = smarthttpd();
    let bench = Bench::new();
    let out = bench.out();
    let done = bench.run(&[
        "run",
        "request-path",
        "--quick",
        "--seed",
        "7",
        "--out",
        &out,
        "--smarthttpd",
        &server,
        "--contender",
        "smarthttpd-one",
        "--contender",
        "smarthttpd-native",
        "--contender",
        "floor",
    ]);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();

    let folder = Path::new(&out);
    let summary = json(&folder.join("summary.json"));
    // (figure, the contenders that have it)
    let rows: [(&str, usize); 16] = [
        ("hello_cpu", 3),
        ("hello_p50", 3),
        ("flask_cpu", 1),
        ("small_up_rate", 1),
        ("large_up_rate", 1),
        ("small_down_rate", 1),
        ("large_down_rate", 1),
        ("file_rate", 1),
        ("blocked_p99", 1),
        ("spinning_longest", 1),
        ("accepting_longest", 1),
        ("threads_at_rest", 1),
        ("blocking_threads", 1),
        ("idle_memory", 1),
        ("idle_cpu", 1),
        ("busy_p50_ratio", 1),
    ];
    for (id, contenders) in rows {
        let figures = row(&summary, id)["figures"].as_array().unwrap();
        assert_eq!(figures.len(), contenders, "{id}");
        for figure in figures {
            // On a crowded machine so short a run may have too few answers for a quantile; then it says so.
            let reason = figure["not_measured"]["reason"].as_str().unwrap_or_default();
            let measured = figure["measured"]["value"].is_f64() || reason.contains("answers are too few");
            assert!(measured, "{id}: {figure}");
        }
    }
    // Whether these can be counted depends on the machine; where not, the reason is told.
    for id in ["calls", "calls_traced"] {
        for figure in row(&summary, id)["figures"].as_array().unwrap() {
            let counted = figure["measured"]["value"].as_f64().is_some_and(|calls| calls > 1.0);
            let told = figure["not_measured"]["reason"].as_str().is_some_and(|reason| !reason.is_empty());
            assert!(counted || told, "{id}: {figure}");
        }
    }
    // Threads came for calls that block: with fewer than twenty, 400/s × 50 ms cannot be carried.
    let threads = row(&summary, "blocking_threads")["figures"][0]["measured"]["value"].as_f64().unwrap();
    assert!(threads > 5.0, "{threads}");

    let targets = summary["targets"].as_array().unwrap();
    assert!(targets.len() >= 15, "{targets:?}");
    // One start each decides nothing.
    for target in targets {
        assert!(["undecided", "not_measured"].contains(&target["verdict"].as_str().unwrap()), "{target}");
    }
    assert!(summary["claims"].is_null(), "the claims are about the default comparison");
    assert!(done.out.contains("targets of the request path:"), "{}", done.out);
    assert!(done.out.contains("≤ 0.850 × the better of bjoern, fastpysgi"), "{}", done.out);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Targets of the request path"));
    assert!(!page.contains("The claims against Apache prefork"));

    let again = bench.run(&["report", &out]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(done.out, again.out);
}

/// The row of a figure, in whichever table it is.
fn row<'a>(summary: &'a Value, id: &str) -> &'a Value {
    let tables = summary["tables"].as_array().unwrap();
    let mut rows = tables.iter().flat_map(|table| table["rows"].as_array().unwrap());
    rows.find(|row| row["id"] == id).unwrap_or_else(|| panic!("no figure {id}"))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
