//! The report as people use it: rebuilt from a committed folder and opened in a real browser.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::Bench;

/// A folder of raw data that is committed.
const COMMITTED: &str = "results/2026-11-22-amd-epyc-2-cores";

#[test]
fn the_report_works_in_a_browser_and_is_the_committed_one() {
    let bench = Bench::new();
    let folder = bench.folder().join("session");
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(COMMITTED);
    fs::create_dir_all(folder.join("raw")).unwrap();
    fs::copy(committed.join("session.json"), folder.join("session.json")).unwrap();
    for run in fs::read_dir(committed.join("raw")).unwrap().flatten() {
        fs::copy(run.path(), folder.join("raw").join(run.file_name())).unwrap();
    }
    let done = bench.run(&["report", folder.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.err);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    for file in ["report.html", "report.md", "summary.json", "latency.svg"] {
        let same = fs::read(folder.join(file)).unwrap() == fs::read(committed.join(file)).unwrap();
        assert!(same, "{file} of {COMMITTED} is not what this version computes: bench report {COMMITTED}");
    }
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    for outside in ["<script src", "<link", "@import", "url(", "src=\"http"] {
        assert!(!page.contains(outside), "{outside}");
    }

    let seen = look_at(&folder.join("report.html"));
    let count = |key: &str| seen[key].as_array().unwrap().len();
    for kind in ["latency", "histogram-", "heat-", "ratios-steady", "step-workers"] {
        assert!(seen["figures"].as_array().unwrap().iter().any(|id| id.as_str().unwrap().starts_with(kind)), "{kind}");
    }
    assert_eq!(count("tips"), count("figures"), "every picture shows its values: {}", seen["tips"]);
    assert_eq!(seen["left"], 0);
    assert_eq!(count("keys"), 1, "by keyboard as well: {}", seen["keys"]);
    assert!(seen["shown"][1].as_u64().unwrap() > 20, "{}", seen["shown"]);
    assert_eq!(seen["without"], json!([seen["shown"][0], 0]), "one contender is left out everywhere, and no other");
    assert_ne!(seen["verdicts"][0], seen["verdicts"][1], "sorted");
    assert_ne!(seen["heads"][0], seen["heads"][1], "ordered");
    assert_eq!(seen["papers"], json!(["rgb(255, 255, 255)", "rgb(21, 24, 28)", "rgb(255, 255, 255)"]));
    assert_eq!(seen["controls"], 0, "on paper");
    assert_eq!(seen["fits"], json!([true, true]), "nothing is wider than the window");
    assert_eq!(seen["requests"], json!([]));
    assert_eq!(seen["console"], json!([]));
    let pictures = ["light.png", "dark.png", "phone.png", "hover.png", "report.pdf"];
    for picture in pictures {
        let bytes = fs::metadata(folder.join(picture)).unwrap().len();
        assert!(bytes > 50_000, "{picture}: {bytes} bytes");
        // For people who want to look at them.
        if let Some(kept) = std::env::var_os("BENCH_KEEP_PICTURES") {
            fs::copy(folder.join(picture), Path::new(&kept).join(picture)).unwrap();
        }
    }
}

fn look_at(page: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/report.js");
    let output = Command::new("node").arg(script).arg(page).output().expect("node (Debian: apt-get install nodejs)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
