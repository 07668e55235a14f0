//! Wrong command lines: one line that says what to do, and the exit code of the table in `--help`.

mod support;

use std::fs;

use support::Bench;

#[test]
fn mistakes_are_told_in_one_line() {
    let bench = Bench::new();
    let full = bench.folder().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("something"), "").unwrap();
    let full = full.to_str().unwrap();
    // (arguments, exit code, the line's beginning)
    let rows: [(&[&str], i32, &str); 6] = [
        (&["run", "--contender", "nginx"], 2, "bench: unknown contender \"nginx\"; known are smarthttpd-adaptive, "),
        (
            &["run", "--contender", "floor"],
            2,
            "bench: contender \"floor\" takes no part in steady, step, counters, rest; its scenarios are ",
        ),
        (&["run", "spike"], 2, "bench: unknown scenario \"spike\"; known are steady, step"),
        (&["run", "--smarthttpd", "/nowhere/smarthttpd"], 2, "bench: --smarthttpd /nowhere/smarthttpd: No such file"),
        (&["report", full], 1, "bench: "),
        (&["report", "/nowhere"], 1, "bench: /nowhere: no results folder"),
    ];
    for (arguments, code, beginning) in rows {
        let done = bench.run(arguments);
        assert_eq!(done.code, code, "{arguments:?}: {}", done.err);
        assert!(done.err.starts_with(beginning), "{arguments:?}: {}", done.err);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
        assert_eq!(done.out, "");
    }
}

#[test]
fn a_folder_with_something_in_it_is_never_written_to() {
    let bench = Bench::new();
    let out = bench.out();
    fs::create_dir(&out).unwrap();
    fs::write(format!("{out}/precious"), "").unwrap();
    let done = bench.run_session(&[], "right.py");
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(done.err.contains("the folder is not empty; name a new one"), "{}", done.err);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

#[test]
fn the_list_names_everything() {
    let done = Bench::new().run(&["list"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let names = ["steady", "step", "smarthttpd-adaptive", "apache-prefork", "gunicorn-sync"];
    let path = ["hello", "syscalls", "idle", "request-path", "smarthttpd-one", "bjoern", "floor", "nginx-static"];
    let manager = ["burst", "mixed", "memory", "process-manager", "smarthttpd-sized", "uwsgi-busyness"];
    for name in names.into_iter().chain(path).chain(manager) {
        assert!(done.out.contains(name), "{}", done.out);
    }
}

#[test]
fn help_documents_the_exit_codes() {
    let done = Bench::new().run(&["--help"]);
    assert_eq!(done.code, 0);
    assert!(done.out.contains("Exit codes:"), "{}", done.out);
}
