//! The process manager, the whole way and as short as it gets: our server alone, without any other installed.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Bench, smarthttpd};

const OURS: [&str; 5] =
    ["smarthttpd-adaptive", "smarthttpd-cores", "smarthttpd-sized", "smarthttpd-spawning", "smarthttpd-shrinking"];

#[test]
fn the_process_manager_is_measured_against_the_best_fixed_size_and_judged() {
    let server = smarthttpd();
    let bench = Bench::new();
    let out = bench.out();
    let mut arguments =
        vec!["run", "process-manager", "--quick", "--seed", "7", "--out", &out, "--smarthttpd", &server];
    for name in &OURS {
        arguments.extend(["--contender", name]);
    }
    let done = bench.run(&arguments);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();

    let folder = Path::new(&out);
    let session = json(&folder.join("session.json"));
    let runs_of = |scenario: &str| -> Vec<String> {
        let order = session["order"].as_array().unwrap().iter().filter(|id| id["scenario"] == scenario);
        order.map(|id| id["contender"].as_str().unwrap().to_owned()).collect()
    };
    // Four sizes are tried, the best two go on, and each of them was tried.
    let (searched, mixed) = (runs_of("search"), runs_of("mixed"));
    assert_eq!((searched.len(), mixed.len()), (4, 3), "{searched:?} {mixed:?}");
    assert!(mixed.iter().all(|name| name == "smarthttpd-adaptive" || searched.contains(name)), "{mixed:?}");

    let summary = json(&folder.join("summary.json"));
    // (figure, the contenders that have it)
    let rows = [
        ("manager_burst_p99", 1),
        ("manager_worker_seconds", 1),
        ("manager_settling", 1),
        ("manager_turns", 1),
        ("compute_workers", 2),
        ("compute_threads", 2),
        ("compute_p99", 2),
        ("search_p99", 4),
        ("mixed_p99", 3),
        ("mixed_short_p99", 3),
        ("spawn_p50", 1),
        ("spawn_longest", 1),
        ("memory_fresh", 1),
        ("memory_used", 1),
    ];
    for (id, contenders) in rows {
        let figures = row(&summary, id)["figures"].as_array().unwrap();
        assert_eq!(figures.len(), contenders, "{id}");
        for figure in figures {
            // So short a run has too few answers for some quantiles, and may not see a worker without a request leave;
            // then it says so.
            let reason = figure["not_measured"]["reason"].as_str().unwrap_or_default();
            let told = reason.contains("too few") || reason.contains("no such worker left");
            assert!(figure["measured"]["value"].is_f64() || told, "{id}: {figure}");
        }
    }
    let value = |id: &str| row(&summary, id)["figures"][0]["measured"]["value"].as_f64().unwrap();
    let (median, longest) = (value("spawn_p50"), value("spawn_longest"));
    assert!(0.0 < median && median <= longest && longest < 5000.0, "{median} {longest}");
    // A forked worker has pages of its own, and not as many as an interpreter of its own would have.
    assert!((0.1..20.0).contains(&value("memory_used")), "{}", value("memory_used"));
    let spawns = json(&folder.join("raw/spawn-r1-smarthttpd-spawning.json"));
    let spawns = spawns["outcome"]["measured"]["observation"]["spawn"]["ready_ms"].as_array().unwrap();
    assert_eq!(spawns.len(), 20);
    // Twenty are too few for one beyond the 99 % quantile: it is not measured, and says why.
    let figure = &row(&summary, "spawn_p99")["figures"][0];
    assert_eq!(figure["not_measured"]["reason"], "20 workers are too few for a 99 % quantile");

    let targets = summary["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 11, "{targets:?}");
    // One start each decides nothing.
    for target in targets {
        assert!(["undecided", "not_measured"].contains(&target["verdict"].as_str().unwrap()), "{target}");
    }
    assert!(done.out.contains("targets of the process manager:"), "{}", done.out);
    assert!(done.out.contains("≤ 1.10 × the best fixed size"), "{}", done.out);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Targets of the process manager"));
    assert!(folder.join("step-workers.svg").exists(), "the course of the burst is drawn");

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
