//! The report as people use it: rebuilt from committed folders and opened in a real browser.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::Bench;

/// A folder of raw data that is committed.
const COMMITTED: &str = "results/2026-11-22-amd-epyc-2-cores";

/// One that has everything.
const FULL: &str = "results/2026-11-27-amd-epyc-2-cores-full";

#[test]
fn the_report_works_in_a_browser_and_is_the_committed_one() {
    let bench = Bench::new();
    let folder = copied(&bench, COMMITTED, |_| true);
    let done = bench.run(&["report", folder.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.err);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    for file in ["report.html", "report.md", "summary.json", "latency.svg"] {
        assert_is_committed(&folder, COMMITTED, file);
    }
    for outside in ["<script src", "<link", "@import", "url(", "src=\"http"] {
        assert!(!page.contains(outside), "{outside}");
    }

    let seen = look_at(&folder.join("report.html"));
    for kind in ["latency", "histogram-", "heat-", "ratios-steady", "step-workers"] {
        assert!(seen["figures"].as_array().unwrap().iter().any(|id| id.as_str().unwrap().starts_with(kind)), "{kind}");
    }
    assert_every_picture_shows_its_values(&seen);
    assert!(seen["shown"][1].as_u64().unwrap() > 20, "{}", seen["shown"]);
    assert_eq!(seen["without"], json!([seen["shown"][0], 0]), "one contender is left out everywhere, and no other");
    assert_ne!(seen["verdicts"][0], seen["verdicts"][1], "sorted");
    assert_ne!(seen["heads"][0], seen["heads"][1], "ordered");
    assert_eq!(seen["papers"], json!(["rgb(255, 255, 255)", "rgb(21, 24, 28)", "rgb(255, 255, 255)"]));
    assert_eq!(seen["controls"], 0, "on paper");
    assert_eq!(seen["fits"], json!([true, true, true]), "nothing is wider than the window");
    assert_eq!(seen["requests"], json!([]));
    assert_eq!(seen["console"], json!([]));
    assert_pictures_are_there(&folder, "");
}

#[test]
fn curves_work_in_a_browser_too() {
    let bench = Bench::new();
    // The pictures of the other scenarios are looked at above, or are alike.
    let folder = copied(&bench, FULL, |run| run.starts_with("curve-"));
    let done = bench.run(&["report", folder.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.err);
    let committed = fs::metadata(repository().join(FULL).join("report.html")).unwrap().len();
    assert!(committed < 3_000_000, "{committed} bytes");
    for file in ["curve-p50.svg", "curve-p99.svg"] {
        assert_is_committed(&folder, FULL, file);
    }
    let seen = look_at(&folder.join("report.html"));
    for figure in ["curve-p50", "curve-p99", "ratios-curve", "ratios-curve-tuned"] {
        assert!(seen["figures"].as_array().unwrap().iter().any(|id| id == figure), "{figure}");
    }
    assert_every_picture_shows_its_values(&seen);
    assert_eq!(seen["papers"], json!(["rgb(255, 255, 255)", "rgb(21, 24, 28)", "rgb(255, 255, 255)"]));
    assert_eq!(seen["fits"], json!([true, true, true]), "nothing is wider than the window");
    assert_eq!(seen["console"], json!([]));
    assert_pictures_are_there(&folder, "curves-");
}

/// One tip for each picture, with the pointer and with the keyboard, and none that stays.
fn assert_every_picture_shows_its_values(seen: &Value) {
    let figures = seen["figures"].as_array().unwrap();
    for way in ["tips", "keys"] {
        for (figure, tips) in figures.iter().zip(seen[way].as_array().unwrap()) {
            let tips = tips.as_array().unwrap();
            assert!(tips.len() == 1 && !tips[0].as_str().unwrap().is_empty(), "{way} of {figure}: {tips:?}");
        }
    }
    assert_eq!(seen["left"], 0);
}

/// Kept, behind this prefix, for people who want to look at them and say where.
fn assert_pictures_are_there(folder: &Path, prefix: &str) {
    for picture in ["light.png", "dark.png", "phone.png", "hover.png", "report.pdf"] {
        let bytes = fs::metadata(folder.join(picture)).unwrap().len();
        assert!(bytes > 50_000, "{picture}: {bytes} bytes");
        if let Some(kept) = std::env::var_os("BENCH_TEST_PICTURES") {
            fs::copy(folder.join(picture), Path::new(&kept).join(format!("{prefix}{picture}"))).unwrap();
        }
    }
}

/// The session of a committed folder with the chosen of its runs, in a folder of its own.
fn copied(bench: &Bench, name: &str, chosen: impl Fn(&str) -> bool) -> PathBuf {
    let (committed, folder) = (repository().join(name), bench.folder().join("session"));
    fs::create_dir_all(folder.join("raw")).unwrap();
    fs::copy(committed.join("session.json"), folder.join("session.json")).unwrap();
    for run in fs::read_dir(committed.join("raw")).unwrap().flatten() {
        if chosen(run.file_name().to_str().unwrap()) {
            fs::copy(run.path(), folder.join("raw").join(run.file_name())).unwrap();
        }
    }
    folder
}

fn assert_is_committed(folder: &Path, name: &str, file: &str) {
    let same = fs::read(folder.join(file)).unwrap() == fs::read(repository().join(name).join(file)).unwrap();
    assert!(same, "{file} of {name} is not what this version computes: bench report {name}");
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn look_at(page: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/report.js");
    let output = Command::new("node").arg(script).arg(page).output().expect("node (Debian: apt-get install nodejs)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
