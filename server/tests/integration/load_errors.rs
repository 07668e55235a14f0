//! Applications that can't be loaded: exit code 3, a message that names what is missing, no process left behind. The same
//! whether the template imports or each worker does.

use crate::support::Launch;
use crate::support::launch::Finished;

const PRELOAD: [&str; 2] = ["--preload", "--no-preload"];

/// What becomes of serving `app` from this module.
fn fails(preload: &str, source: &str, app: &str) -> Finished {
    let finished = Launch::bare().with_module("broken", source).arg(app).arg(preload).fail();
    assert_eq!(finished.status.code(), Some(3), "{preload} {app}: {finished:#?}");
    assert!(!finished.stderr.contains("serving"), "{finished:#?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:#?}");
    finished
}

/// The message is one line, and holds these words.
fn one_line(finished: &Finished, words: &[&str]) {
    let line = finished.complaint(3);
    assert!(line.starts_with("smarthttpd: "), "{line}");
    for word in words {
        assert!(line.contains(word), "{word} is not in: {line}");
    }
}

#[test]
fn a_missing_module_is_named() {
    for preload in PRELOAD {
        one_line(&fails(preload, "", "missing_module:app"), &["no module \"missing_module\""]);
        one_line(&fails(preload, "", "missing.inner:app"), &["no module \"missing\""]);
        one_line(&fails(preload, "", "broken.inner:app"), &["broken.inner"]);
    }
}

#[test]
fn a_missing_attribute_is_named_and_another_proposed() {
    let source = "def application(environ, start_response): pass\n";
    for preload in PRELOAD {
        one_line(&fails(preload, source, "broken:app"), &["\"broken\"", "no attribute \"app\"", "application"]);
    }
}

#[test]
fn what_can_not_be_called_is_named() {
    let source = "app = 5\ndef two(a): pass\ndef factory():\n    return 'no application'\n";
    for preload in PRELOAD {
        one_line(&fails(preload, source, "broken:app"), &["broken:app is not callable", "int"]);
        one_line(&fails(preload, source, "broken:two"), &["broken:two", "(a)"]);
        one_line(&fails(preload, source, "broken:factory()"), &["broken:factory()", "not callable", "str"]);
    }
}

#[test]
fn an_import_that_raises_is_shown_with_its_traceback() {
    let table = [
        ("def inner():\n    raise ValueError('no database')\n\ninner()\n", "ValueError: no database", "in inner"),
        ("import missing_dependency\n", "No module named 'missing_dependency'", "broken.py\", line 1"),
        ("def app(:\n", "SyntaxError", "broken.py\", line 1"),
        ("import sys\nsys.exit('not configured')\n", "SystemExit: not configured", "broken.py\", line 2"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt", "broken.py\", line 1"),
    ];
    for preload in PRELOAD {
        for (source, message, place) in table {
            let finished = fails(preload, source, "broken:app");
            let first = finished.stderr.lines().next().unwrap_or_default();
            assert!(first.starts_with("smarthttpd: ") && first.contains(message), "{preload}: {finished:#?}");
            assert!(finished.stderr.contains("Traceback") || message == "SyntaxError", "{finished:#?}");
            assert!(finished.stderr.contains(place), "{finished:#?}");
        }
    }
}

#[test]
fn a_factory_that_raises_is_shown_with_its_traceback() {
    for preload in PRELOAD {
        let finished = fails(preload, "def create_app(name):\n    return {}[name]\n", "broken:create_app('live')");
        assert!(finished.stderr.contains("KeyError: 'live'"), "{finished:#?}");
        assert!(finished.stderr.contains("in create_app"), "{finished:#?}");
    }
}

#[test]
fn an_import_that_ends_the_process_is_told() {
    let table = [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "signal SIGKILL"),
        ("import os\nos.abort()\n", "signal SIGABRT"),
        ("import os\nos._exit(0)\n", "exit status 0"),
        ("import os\nos._exit(7)\n", "exit status 7"),
    ];
    for preload in PRELOAD {
        for (source, ending) in table {
            let finished = fails(preload, source, "broken:app");
            let told = finished.stderr.lines().any(|line| line.contains("broken:app") && line.contains(ending));
            assert!(told, "{preload}: {finished:#?}");
        }
    }
}

#[test]
fn a_failure_under_every_process_manager_leaves_nothing_behind() {
    for shape in ["--mpm adaptive", "--mpm prefork", "--mpm static --workers 4"] {
        for preload in PRELOAD {
            let launch = Launch::bare().with_module("broken", "raise ValueError('no')\n").args(shape).args(preload);
            let finished = launch.arg("broken:app").fail();
            assert_eq!(finished.status.code(), Some(3), "{shape} {preload}: {finished:#?}");
        }
    }
}
