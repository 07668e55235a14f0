//! Another number of workers in a running server.

use crate::support::{Launch, Load, Server, Status};

/// `ctl scale` with these arguments succeeds and says this.
fn scale(server: &Server, arguments: &str, expected: &str) {
    let mut all = vec!["scale"];
    all.extend(arguments.split(' '));
    let output = server.ctl(&all);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text, format!("{expected} from now on, until the next reload or restart\n"));
}

/// `ctl scale` with these arguments fails, in one line that contains `problem`.
fn refused(server: &Server, arguments: &str, problem: &str) {
    let mut all = vec!["scale"];
    all.extend(arguments.split(' '));
    let output = server.ctl(&all);
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{output:?}");
    assert!(text.contains(problem), "{problem} is not in {text}");
}

fn reasons(status: &Status) -> Vec<&str> {
    status.decisions.iter().map(|decision| decision.reason.as_str()).collect()
}

#[test]
fn a_fixed_number_becomes_another_one() {
    let server = Launch::new("plain:app").fixed(2, 2).start();
    Load::run(&server, 4, "/", |load| {
        for (number, text) in [("5", "5 workers"), ("1", "1 worker"), ("64", "64 workers"), ("2", "2 workers")] {
            load.await_answers(20);
            scale(&server, number, text);
            let count = number.parse().expect("a number");
            server.await_status("as many as asked for", |status| status.settled(count));
        }
        load.await_answers(20);
        assert_eq!(load.lost(), 0);
    });
    let status = server.status();
    assert_eq!((status.counters.died, status.counters.killed), (0, 0), "{status:#?}");
    assert!(reasons(&status).contains(&"asked by ctl scale: 5 workers instead of 2"), "{status:#?}");
    assert!(reasons(&status).contains(&"want 5, have 2 → +3 workers"), "{status:#?}");
    refused(&server, "65", "65 workers: this server has room for 1 to 64");
    refused(&server, "--max 3", "--mpm static: it keeps one number; give that number alone");

    // What the operator has said at the terminal ends with the next generation.
    scale(&server, "4", "4 workers");
    assert!(server.ctl(&["reload"]).status.success());
    server.await_status("as configured", |status| status.settled(2));
}

#[test]
fn adaptive_gets_other_bounds() {
    let server = Launch::new("plain:app").args("--min-workers 1 --max-workers 8").start();
    scale(&server, "--min 3 --max 4", "3 to 4 workers");
    server.await_status("the new minimum", |status| status.settled(3));
    scale(&server, "2", "2 workers");
    server.await_status("the new maximum", |status| status.settled(2));
    scale(&server, "--max 9", "2 to 9 workers");
    refused(&server, "--min 10", "the minimum of 10 is above the maximum of 9; give both");
    let status = server.status();
    assert!(reasons(&status).contains(&"asked by ctl scale: 2 to 9 workers instead of 2"), "{status:#?}");
    assert_eq!(status.totals.total, 2);
}

#[test]
fn who_can_not_be_scaled_says_why() {
    let prefork = Launch::new("plain:app").args("--mpm prefork").start();
    refused(&prefork, "7", "--mpm prefork: it goes by thresholds of its own; change those");
    let alone = Launch::new("plain:app").fixed(1, 2).start();
    refused(&alone, "2", "2 workers: the application was told that it is alone (wsgi.multiprocess is False)");
    assert_eq!(alone.status().totals.total, 1);
}
