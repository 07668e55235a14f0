//! The error log as JSON: every line of the server's own is an object, also a decision with what it follows from.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Launch, Load, processes};

#[test]
fn every_line_is_an_object() {
    let launch = Launch::new("plain:app").args("--max-workers 3 --max-threads 1 --log-format json");
    let mut server = launch.start();
    Load::run(&server, 4, "/sleep?ms=20", |_| {
        server.await_status("the server grows", |status| status.totals.total >= 2);
    });
    processes::send(server.status().pids()[0], Signal::SIGKILL);
    server.await_log("died: signal SIGKILL");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
    let log = server.log();
    let objects: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    for object in &objects {
        assert!(object["time"].is_string() && object["message"].is_string() && object["pid"].is_u64(), "{object}");
        assert!(["info", "warn", "error"].contains(&object["level"].as_str().expect("a word")), "{object}");
    }
    let decision = objects.iter().find(|object| object["actions"].is_string()).expect("a decision was logged");
    assert!(decision["actions"].as_str().is_some_and(|actions| actions.starts_with("spawn ")), "{decision}");
    assert!(decision["slots"].as_f64().is_some_and(|slots| slots > 0.0), "{decision}");
    assert_eq!(decision["role"], "supervisor");
}
