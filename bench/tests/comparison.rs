//! The whole way: real servers, load, raw data, report, and the report again from the raw data alone.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Bench, smarthttpd};

#[test]
fn our_modes_and_apache_are_compared_and_the_report_can_be_rebuilt() {
    let server = smarthttpd();
    let apache = Path::new("/usr/lib/apache2/modules/mod_wsgi.so").exists();
    let bench = Bench::new();
    let out = bench.out();
    let mut arguments = vec![
        "run",
        "--quick",
        "--seed",
        "7",
        "--out",
        &out,
        "--smarthttpd",
        &server,
        "--contender",
        "smarthttpd-adaptive",
        "--contender",
        "smarthttpd-prefork",
    ];
    let mut names = vec!["smarthttpd-adaptive", "smarthttpd-prefork"];
    if apache {
        arguments.extend(["--contender", "apache-prefork"]);
        names.push("apache-prefork");
    }
    let done = bench.run(&arguments);
    assert_eq!(done.code, 0, "{}\n{}", done.out, done.err);
    bench.assert_nothing_stays();
    assert!(done.out.contains("throughput, saturated"), "{}", done.out);

    let folder = Path::new(&out);
    for name in &names {
        let steady = json(&folder.join(format!("raw/steady-r1-{name}.json")));
        let observed = &steady["outcome"]["measured"]["observation"]["steady"];
        assert!(observed["closed"]["load"]["answered"].as_u64().unwrap() > 0, "{name}");
        assert!(observed["closed"]["watch"]["cpu_seconds"].as_f64().unwrap() > 0.0, "{name}");
        assert!(!observed["handlers"].as_array().unwrap().is_empty(), "{name}");
        assert_eq!(steady["outcome"]["measured"]["ending"]["killed"], Value::Array(vec![]), "{name}");
        assert!(folder.join(format!("raw/step-r1-{name}.json")).exists(), "{name}");
    }
    judged(&json(&folder.join("summary.json")), apache);
    let session = json(&folder.join("session.json"));
    assert_eq!(session["seed"], 7);
    // What is committed must not tell where somebody keeps the checkout.
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_str().unwrap();
    for file in ["session.json", "summary.json", "report.html"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(!text.contains(checkout), "{file} names {checkout}");
    }
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    for outside in ["<script src", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("n=1, no interval"));

    let before = computed(folder);
    for file in before.keys() {
        fs::remove_file(folder.join(file)).unwrap();
    }
    let again = bench.run(&["report", &out]);
    assert_eq!(again.code, 0, "{}", again.err);
    let after = computed(folder);
    let kinds: Vec<_> = before.keys().collect();
    assert!(kinds.iter().any(|name| name.ends_with(".png")), "{kinds:?}");
    assert!(kinds.iter().any(|name| name.ends_with(".hgrm")), "{kinds:?}");
    assert_eq!(kinds, after.keys().collect::<Vec<_>>());
    for (file, bytes) in &before {
        assert!(after[file] == *bytes, "{file} differs");
    }
    assert_eq!(done.out, again.out);
}

/// Every claim has a verdict; whether the counters could be had depends on the machine, and then there is a reason.
fn judged(summary: &Value, apache: bool) {
    let claims = summary["claims"].as_array().unwrap();
    let of = |figure: &str| {
        let found = claims.iter().find(|claim| claim["figure"].as_str().unwrap().starts_with(figure));
        found.unwrap_or_else(|| panic!("no claim about {figure}: {claims:?}"))
    };
    for figure in
        ["system calls per request", "signals sent", "signals delivered", "wait* calls", "Linux-only", "context"]
    {
        if !apache {
            break;
        }
        let claim = of(figure);
        assert!(claim["verdict"] != "not_measured" || !claim["because"].as_str().unwrap().is_empty(), "{claim}");
    }
    // No tool is needed for this one.
    let decisions = of("decisions that come out the same again");
    assert_eq!(decisions["verdict"], "holds_partly", "{decisions}");
    let all = decisions["ours"].as_str().unwrap().split(" in ").next().unwrap();
    let (same, decided) = all.split_once(" of ").unwrap();
    assert_eq!(same, decided, "{decisions}");
    // More connections than a worker has threads: there was something to order.
    assert!(!decisions["because"].as_str().unwrap().contains("ordered 0 workers to start"), "{decisions}");
    if apache {
        for figure in ["wake-ups when idle", "CPU per idle hour"] {
            assert_ne!(of(figure)["verdict"], "not_measured", "{figure}");
        }
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Everything in a results folder that is not raw: name and bytes.
fn computed(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for part in ["", "histograms"] {
        for entry in fs::read_dir(folder.join(part)).unwrap().flatten() {
            let path = entry.path();
            if path.is_file() && path.file_name().unwrap() != "session.json" {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}
