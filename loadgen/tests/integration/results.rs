//! What becomes of a report: files that other tools read, and the subcommands that take reports.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use loadgen::{MEASURES, Report, Shard};
use tempfile::TempDir;

use crate::node;
use crate::server::{OK, Server, check, run, stages};

fn loadgen(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen")).args(words).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A report of a real run of 1.5 s, a tenth of a second apiece.
fn measured() -> Report {
    static MEASURED: OnceLock<Report> = OnceLock::new();
    let measured = MEASURED.get_or_init(|| {
        let server = Server::answering(OK);
        let plan = stages(server.target(), "1s@400,500ms@800");
        let report = run(&loadgen::Plan { interval: std::time::Duration::from_millis(100), ..plan });
        check(&report);
        // Whether this machine was quiet enough for a measurement is not the question here.
        Report { validity: Vec::new(), ..report }
    });
    measured.clone()
}

/// The same, as if every answer had taken 1 to 2 ms, evenly in each interval: what a busy machine does
/// to a measurement is not to decide a test.
fn steady() -> Report {
    let mut report = measured();
    // No two alike, so that one rank more or less makes little difference.
    for (interval, shift) in report.intervals.iter_mut().zip((0..).step_by(1_000)) {
        let mut times = loadgen::Distribution::default().histogram().unwrap();
        for answer in 0..interval.answered {
            times.record(1_000_000 + shift + answer * 1_000_000 / interval.answered).unwrap();
        }
        interval.latency = loadgen::Distribution::of(&times, 0);
    }
    report.latency = loadgen::Distribution::merged(report.intervals.iter().map(|i| &i.latency)).unwrap();
    report
}

/// A folder with files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn put(&self, name: &str, report: &Report) -> String {
        std::fs::write(self.path(name), serde_json::to_string(report).unwrap()).unwrap();
        self.name(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

#[test]
fn every_file_of_a_run_can_be_made_again_from_its_json() {
    let server = Server::answering(OK);
    let folder = Folder::new();
    let url = server.target().to_string();
    let name = |file: &str| folder.name(file);
    let (json, csv, hlog, hdr) = (name("r.json"), name("r.csv"), name("r.hlog"), name("r.hgrm"));
    let (html, svg) = (name("r.html"), name("r.svg"));
    let output = loadgen(&[
        "--target",
        &url,
        "-n",
        "300",
        "-c",
        "2",
        "--interval",
        "20ms",
        "--json",
        &json,
        "--csv",
        &csv,
        "--hlog",
        &hlog,
        "--hdr",
        &hdr,
        "--html",
        &html,
        "--plot",
        &svg,
        "-q",
    ]);
    assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
    for (option, file) in
        [("--csv", "r.csv"), ("--hlog", "r.hlog"), ("--hdr", "r.hgrm"), ("--html", "r.html"), ("--plot", "r.svg")]
    {
        let again = format!("again-{file}");
        let output = loadgen(&["report", &json, option, &folder.name(&again)]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(folder.read(&again) == folder.read(file), "{file} differs");
    }
    // Without an option it is the summary; `-` is standard output.
    assert!(text(&loadgen(&["report", &json]).stdout).contains("300 answered, 0 failed"));
    let output = loadgen(&["report", &json, "--csv", "-"]);
    assert_eq!(text(&output.stdout), folder.read("r.csv"));
    // Every answer has a first byte, and each form shows it.
    let table = folder.read("r.csv");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let column = rows[0].iter().position(|heading| *heading == "first_byte_count").unwrap();
    assert_eq!(rows[1..].iter().map(|row| row[column].parse::<u64>().unwrap()).sum::<u64>(), 300);
    assert!(folder.read("r.hlog").contains("\nTag=first_byte,"));
    assert!(folder.read("r.svg").contains("first byte") && folder.read("r.html").matches("first byte").count() >= 2);
}

#[test]
fn pictures_have_the_format_of_their_name() {
    let folder = Folder::new();
    let json = folder.put("r.json", &measured());
    for (file, theme, start) in
        [("a.png", "light", b"\x89PNG\r\n".as_slice()), ("b.png", "dark", b"\x89PNG\r\n"), ("c.svg", "light", b"<svg ")]
    {
        let output = loadgen(&["report", &json, "--plot", &folder.name(file), "--plot-theme", theme]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(std::fs::read(folder.path(file)).unwrap().starts_with(start), "{file}");
    }
    let output = loadgen(&["report", &json, "--plot", &folder.name("d.pdf")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("d.pdf: the name must end in .svg or .png"), "{output:?}");
}

#[test]
fn the_page_works_in_a_browser_by_day_and_by_night() {
    let folder = Folder::new();
    let mut report = steady();
    report.errors = [(loadgen::ErrorKind::Timeout, 3)].into();
    report.intervals[2].errors = report.errors.clone();
    let page = folder.path("r.html");
    std::fs::write(&page, report.html().unwrap()).unwrap();
    let seen: serde_json::Value = serde_json::from_str(&node::script("page.js", &[&page])).unwrap();
    if let Some(pictures) = std::env::var_os("LOADGEN_TEST_PICTURES") {
        for name in ["hover.png", "light.png", "dark.png", "phone.png"] {
            std::fs::copy(folder.path(name), Path::new(&pictures).join(name)).unwrap();
        }
    }
    assert_eq!(seen["console"], serde_json::json!([]));
    assert_eq!(seen["requests"], serde_json::json!([]), "it needs nothing else");
    assert_eq!(
        seen["figures"],
        serde_json::json!(["percentiles", "latency-over-time", "rates-over-time", "cumulative"])
    );
    let shown = seen["text"].as_str().unwrap();
    for part in ["Valid as a measurement", "median latency", "open loop, 1s@400,0.5s@800", "send lag", "timeout"] {
        assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
    }
    // Under the pointer, one line per figure; none is left behind.
    let tips = ["%: latency 1.", "s: p50 1.", "s: due 400/s · answered ", "within "];
    for (tip, part) in seen["tips"].as_array().unwrap().iter().zip(tips) {
        let tip = tip.as_array().unwrap();
        assert_eq!(tip.len(), 1, "{tip:?}");
        assert!(tip[0].as_str().unwrap().contains(part), "{part:?}: {tip:?}");
    }
    assert_eq!(seen["left"], 0);
    // Page and figures follow the reader's scheme together.
    assert_eq!(seen["light"], serde_json::json!(["rgb(255, 255, 255)", "rgb(255, 255, 255)"]));
    assert_eq!(seen["dark"], serde_json::json!(["rgb(21, 24, 28)", "rgb(21, 24, 28)"]));
    assert_eq!(seen["fits"], serde_json::json!([true, true]), "no sideways scrolling, also on a phone");
}

#[test]
fn the_json_report_is_as_its_schema_says() {
    let folder = Folder::new();
    let mut report = measured();
    report.setup.shard = Some(Shard { index: 0, count: 1 });
    report.errors = loadgen::ErrorKind::ALL.into_iter().map(|kind| (kind, 1)).collect();
    let json = folder.put("r.json", &report);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/report.schema.json");
    assert_eq!(node::script("schema.js", &[&schema, Path::new(&json)]), "");
    // The schema is no formality: what is not a report is refused.
    std::fs::write(&json, "{\"generator\": 5}").unwrap();
    let complaints = node::script("schema.js", &[&schema, Path::new(&json)]);
    assert!(
        complaints.contains("must be string") && complaints.contains("must have required property"),
        "{complaints}"
    );
}

#[test]
fn the_tools_of_hdrhistogram_read_the_interval_log_and_agree_with_the_table() {
    let folder = Folder::new();
    let report = steady();
    std::fs::write(folder.path("r.hlog"), report.hlog().unwrap()).unwrap();
    let read: serde_json::Value = serde_json::from_str(&node::script("hdr.js", &[&folder.path("r.hlog")])).unwrap();
    for measure in MEASURES {
        let each = || report.intervals.iter().filter_map(|interval| measure.within(interval));
        let filled = each().filter(|times| times.count > 0).count();
        if filled == 0 {
            continue;
        }
        let theirs = &read["tags"][measure.key];
        let ours = measure.of(&report);
        assert_eq!(theirs["intervals"], filled, "{}", measure.key);
        assert_eq!(theirs["count"], ours.count, "{}", measure.key);
        for (name, value) in [("p50", ours.p50_ns), ("p99", ours.p99_ns), ("max", ours.max_ns)] {
            // Their buckets begin elsewhere; three digits are three digits.
            let theirs = theirs[name].as_f64().unwrap();
            assert!((theirs - value as f64).abs() <= value as f64 * 2e-3 + 1.0, "{} {name}: {theirs}", measure.key);
        }
    }
    let first = read["tags"]["latency"]["first"].as_f64().unwrap() / 1e3;
    assert!((first - report.started_unix_s).abs() < 0.2, "{first} is not {}", report.started_unix_s);
    // The percentile table: as many columns, and the same values at the same percentiles.
    let rows = |table: &str| -> Vec<Vec<f64>> {
        let lines = table.lines().filter(|line| !line.starts_with('#') && !line.contains("Value"));
        lines
            .map(|line| line.split_whitespace().filter_map(|n| n.parse().ok()).collect())
            .filter(|row: &Vec<f64>| row.len() >= 3)
            .collect()
    };
    let (theirs, ours) = (rows(read["table"].as_str().unwrap()), rows(&report.latency.hgrm().unwrap()));
    assert!(ours.len() > 10 && theirs.len() > 10);
    for row in &theirs {
        let near = ours.iter().find(|our| (our[1] - row[1]).abs() < 1e-9);
        let Some(our) = near else { continue };
        // Theirs has three decimals, and rounds ranks otherwise: one more or less is up to 1 % here.
        assert!((our[0] - row[0]).abs() <= row[0] * 1e-2 + 5e-4, "{our:?} {row:?}");
    }
    let (last, our_last) = (theirs.last().unwrap(), ours.last().unwrap());
    assert_eq!((last[1], last[2]), (our_last[1], our_last[2]), "100 % of as many");
}

#[test]
fn runs_are_compared_and_a_regression_has_its_exit_code() {
    let folder = Folder::new();
    let report = steady();
    let a = folder.put("a.json", &report);
    let same = loadgen(&["compare", &a, &a, "--fail-on-regression", "0%"]);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    assert!(text(&same.stdout).contains("not told apart") && text(&same.stdout).contains("passed"), "{same:?}");

    // The same answers, each three times as slow.
    let mut slower = report;
    for interval in &mut slower.intervals {
        interval.latency = stretched(&interval.latency);
    }
    slower.latency = stretched(&slower.latency);
    slower.setup.timeout_s = 3.0;
    slower.validity = vec!["for the test".to_owned()];
    let b = folder.put("b.json", &slower);
    let compared = loadgen(&["compare", &a, &b]);
    assert_eq!(compared.status.code(), Some(0), "without a limit it only says so: {compared:?}");
    let shown = text(&compared.stdout);
    for part in ["latency p50", "WORSE", "B is INVALID: for the test", "different timeout_s: 10.0 and 3.0"] {
        assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
    }
    let failed = loadgen(&["compare", &a, &b, "--fail-on-regression", "50%"]);
    assert_eq!(failed.status.code(), Some(3), "{failed:?}");
    assert!(text(&failed.stdout).contains("FAILED: worse by more than 50 %: latency p50"), "{failed:?}");
    assert_eq!(loadgen(&["compare", &a, &b, "--fail-on-regression", "900%"]).status.code(), Some(0));
    let back = loadgen(&["compare", &b, &a, "--fail-on-regression", "0", "--json"]);
    assert_eq!(back.status.code(), Some(0), "what is better is no regression");
    let json: serde_json::Value = serde_json::from_slice(&back.stdout).unwrap();
    assert_eq!(json["rows"][0]["verdict"], "better");
}

fn stretched(times: &loadgen::Distribution) -> loadgen::Distribution {
    let mut slow = loadgen::Distribution::default().histogram().unwrap();
    for value in times.histogram().unwrap().iter_recorded() {
        slow.record_n(value.value_iterated_to() * 3, value.count_at_value()).unwrap();
    }
    loadgen::Distribution::of(&slow, times.overflow)
}

#[test]
fn shards_are_merged_into_a_report_and_a_log_that_add_up() {
    let folder = Folder::new();
    let mut parts = [measured(), measured(), measured()];
    let mut names = Vec::new();
    for (index, part) in parts.iter_mut().enumerate() {
        part.setup.shard = Some(Shard { index: index as u32, count: 3 });
        part.started_unix_s += 0.01 * index as f64;
        names.push(folder.put(&format!("{index}.json"), part));
        std::fs::write(folder.path(&format!("{index}.hlog")), part.hlog().unwrap()).unwrap();
    }
    let whole = folder.name("whole.json");
    let output = loadgen(&["merge", &names[0], &names[2], &names[1], "-o", &whole]);
    // 5: the lag of three busy threads together may be judged otherwise than that of each.
    assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
    let report: Report = serde_json::from_str(&folder.read("whole.json")).unwrap();
    check(&report);
    assert_eq!(report.requests, 3 * parts[0].requests);
    assert_eq!(report.latency, loadgen::Distribution::merged(parts.iter().map(|part| &part.latency)).unwrap());
    assert_eq!(report.first_byte.count, report.answered);

    let logs: Vec<String> = (0..3).map(|index| folder.name(&format!("{index}.hlog"))).collect();
    let output = loadgen(&["merge", &logs[0], &logs[1], &logs[2], "-o", &folder.name("whole.hlog")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let read: serde_json::Value = serde_json::from_str(&node::script("hdr.js", &[&folder.path("whole.hlog")])).unwrap();
    assert_eq!(read["tags"]["latency"]["count"], report.latency.count);

    // What does not belong together is refused, and the shard is named.
    let rows: [(&[&str], &str); 4] = [
        (&[&names[0], &names[1]], "shard 2/3 is missing"),
        (&[&names[0], &names[1], &names[1]], "1.json (shard 1/3) is the same shard as"),
        (&[&logs[0], &logs[2]], "shard 1/3 is missing"),
        (&[&names[0], &logs[1], &logs[2]], "must all be .json, or all be .hlog"),
    ];
    for (files, message) in rows {
        let refused = folder.name("refused.json");
        let words: Vec<&str> = ["merge"].iter().chain(files).chain(&["-o", &refused]).copied().collect();
        let output = loadgen(&words);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
        assert!(text(&output.stderr).contains(message), "{message:?}: {output:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1);
        assert!(!folder.path("refused.json").exists());
    }
    parts[1].started_unix_s += 1.0;
    folder.put("1.json", &parts[1]);
    let output = loadgen(&["merge", &names[0], &names[1], &names[2], "-o", &whole]);
    assert!(text(&output.stderr).contains("1.json (shard 1/3) had only"), "{output:?}");
    let output = loadgen(&["merge", &names[0], &names[1], &names[2], "-o", &whole, "--overlap", "20%"]);
    assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
}

#[test]
fn what_is_no_result_is_refused_in_a_line() {
    let folder = Folder::new();
    std::fs::write(folder.path("bad.json"), "{}").unwrap();
    let bad = folder.name("bad.json");
    let rows: [(&[&str], &str, i32); 5] = [
        (&["report", "/nonexistent.json"], "cannot read /nonexistent.json", 1),
        (&["report", &bad], "bad.json: no report of loadgen (written by --json): missing field", 1),
        (&["compare", &bad, &bad], "no report of loadgen", 1),
        (&["compare", &bad], "B.json", 2),
        (&["merge", &bad], "--output", 2),
    ];
    for (words, message, code) in rows {
        let output = loadgen(words);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(text(&output.stderr).contains(message), "{message:?}: {output:?}");
    }
    let two = loadgen(&["--target", "http://127.0.0.1:1/", "--json", "--csv", "-"]);
    assert_eq!(two.status.code(), Some(2), "{two:?}");
    assert!(text(&two.stderr).contains("only one output can go to standard output"), "{two:?}");
}
