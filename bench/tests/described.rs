//! A scenario from a file, the whole way: a worker is killed in the middle of a load, and the report says what was lost.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Bench, smarthttpd};

#[test]
fn a_file_of_one_s_own_is_measured_with_its_failure_and_its_report_needs_no_file() {
    let server = smarthttpd();
    let bench = Bench::new();
    let out = bench.out();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/kill-worker.toml");
    let own = bench.folder().join("own-kill.toml");
    fs::copy(built_in, &own).unwrap();
    let arguments = [
        "run",
        own.to_str().unwrap(),
        "--quick",
        "--out",
        &out,
        "--smarthttpd",
        &server,
        "--contender",
        "smarthttpd-static",
    ];
    let done = bench.run(&arguments);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();

    let folder = Path::new(&out);
    let run = json(&folder.join("raw/own-kill-r1-smarthttpd-static.json"));
    let observed = &run["outcome"]["measured"]["observation"]["described"];
    assert!(observed["open"]["load"]["answered"].as_u64().unwrap() > 100, "{observed}");
    let how = observed["strike"]["done"]["how"].as_str().unwrap();
    assert!(how.starts_with("SIGKILL to "), "{how}");
    let summary = json(&folder.join("summary.json"));
    let rows = summary["tables"][0]["rows"].as_array().unwrap();
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no figure {id}"));
    for id in ["described_p50", "described_lost", "described_back", "described_worker_seconds"] {
        assert!(row(id)["figures"][0]["measured"]["value"].is_f64(), "{id}: {}", row(id));
    }
    assert!(rows.iter().all(|row| row["id"] != "described_throughput"), "there is no closed loop");
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("A worker is killed"), "the report has the file's title");

    fs::remove_file(&own).unwrap();
    let again = bench.run(&["report", &out]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(done.out, again.out);
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
