//! `bench simulate` as its users meet it.

mod support;

use std::fs;

use support::Bench;

#[test]
fn tables_pictures_and_data_come_of_one_command() {
    let bench = Bench::new();
    let out = bench.out();
    let arguments = ["simulate", "--scenario", "step", "crash-storm", "--policy", "adaptive", "static", "--out", &out];
    let done = bench.run(&arguments);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    for expected in ["step: ", "crash-storm: ", "adaptive ", "static ", "×oracle", "simulation.html"] {
        assert!(done.out.contains(expected), "{expected}: {}", done.out);
    }
    assert!(!done.out.contains("prefork "), "{}", done.out);
    let size = |name: &str| fs::metadata(format!("{out}/{name}")).map_or(0, |file| file.len());
    for name in ["step-workers", "step-latency", "crash-storm-workers", "crash-storm-latency", "cost"] {
        assert!(size(&format!("{name}.svg")) > 1_000 && size(&format!("{name}.png")) > 1_000, "{name}");
    }
    let page = fs::read_to_string(format!("{out}/simulation.html")).unwrap();
    assert_eq!(page.matches("<svg ").count(), 5);
    assert!(!page.contains("http://") || page.matches("http://").count() == page.matches("http://www.w3.org").count());
    let raw = fs::read_to_string(format!("{out}/raw/step.json")).unwrap();
    let raw: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(raw["scenario"]["name"], "step");
    assert_eq!(raw["outcomes"][0]["policy"], "adaptive");
    // Nothing is overwritten.
    let again = bench.run(&arguments);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("the folder is not empty; name a new one"), "{}", again.err);
}

#[test]
fn a_seed_repeats_the_output_to_the_last_byte() {
    let bench = Bench::new();
    let json = |seed: &str| {
        let done = bench.run(&["simulate", "--scenario", "bursts", "--seed", seed, "--json"]);
        assert_eq!(done.code, 0, "{}", done.err);
        done.out
    };
    let first = json("5");
    assert_eq!(first, json("5"));
    assert_ne!(first, json("6"));
    let all: serde_json::Value = serde_json::from_str(&first).unwrap();
    let policies: Vec<&str> =
        all[0]["outcomes"].as_array().unwrap().iter().filter_map(|one| one["policy"].as_str()).collect();
    assert!(policies.len() >= 3 && policies.starts_with(&["adaptive", "prefork"]), "{policies:?}");
}

#[test]
fn the_list_names_every_scenario_and_policy() {
    let done = Bench::new().run(&["simulate", "--list"]);
    assert_eq!(done.code, 0, "{}", done.err);
    for name in ["step", "flash", "diurnal", "ten-thousand", "adaptive", "prefork", "static"] {
        assert!(done.out.contains(&format!(" {name} ")), "{name}: {}", done.out);
    }
}

#[test]
fn mistakes_are_told_in_one_line() {
    let bench = Bench::new();
    let rows: [(&[&str], i32, &str); 4] = [
        (
            &["simulate", "--policy", "greedy"],
            2,
            "bench: --policy greedy: there is no such policy; known are adaptive, ",
        ),
        (
            &["simulate", "--scenario", "spike"],
            2,
            "bench: --scenario spike: there is no such scenario; known are step, ",
        ),
        (&["simulate", "--validate", "/nowhere"], 1, "bench: /nowhere: no results folder"),
        (&["simulate", "--out", "/proc/nowhere"], 1, "bench: cannot make /proc/nowhere: "),
    ];
    for (arguments, code, beginning) in rows {
        let done = bench.run(arguments);
        assert_eq!(done.code, code, "{arguments:?}: {}", done.err);
        assert!(done.err.starts_with(beginning), "{arguments:?}: {}", done.err);
        assert_eq!((done.err.lines().count(), done.out.as_str()), (1, ""), "{}", done.err);
    }
}
