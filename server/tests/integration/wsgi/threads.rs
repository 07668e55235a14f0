//! Whatever an application does with what it was given, after its call or in other threads, fails cleanly.

use crate::support::browser::content;
use crate::support::{Launch, Server};

fn serve() -> Server {
    Launch::new("keeping:app").fixed(1, 4).args("--body-memory 64k").start()
}

const WRONG_THREAD: &str =
    "RuntimeError: start_response() and write() work in the thread that called the application only";
const OVER: &str = "RuntimeError: the response is over";

#[test]
fn what_outlives_its_call_is_inert() {
    let server = serve();
    let mut client = server.connect();
    let large = content(200_000);
    for body in [&b""[..], b"in memory", &large] {
        assert_eq!(client.request("POST", "/keep", &[], body).text(), "kept");
    }
    let response = client.get("/after");
    let lines: Vec<&str> = response.text().lines().collect();
    assert_eq!(lines.len(), 3 * 10, "{lines:#?}");
    for (kept, rest) in lines.chunks(10).zip(["b''", "b'in '", "b'\\x00\\x00\\x00'"]) {
        // The thread that made the call may be another one than the one that comes back to it.
        for line in &kept[..6] {
            assert!(*line == OVER || *line == WRONG_THREAD, "{line}");
        }
        // A body belongs to whoever has it.
        assert_eq!(kept[6], rest);
        assert!(kept[7].starts_with("b'"), "{}", kept[7]);
        assert_eq!(&kept[8..], ["0", "None"]);
    }
}

#[test]
fn other_threads_may_read_but_not_answer() {
    let server = serve();
    let mut client = server.connect();
    let response = client.request("POST", "/other-thread", &[], b"0123456789");
    let expected = [WRONG_THREAD, WRONG_THREAD, "b'0123'", "b'456789'"];
    assert_eq!(response.text().lines().collect::<Vec<_>>(), expected);
    assert_eq!(client.get("/result-elsewhere").status(), 500);
    server.await_log("without having called start_response()");
    // Every byte goes to exactly one of the threads that read at once.
    for size in [5000, 300_000] {
        let body = content(size);
        let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
        let response = client.request("POST", "/share", &[], &body);
        assert_eq!(response.text(), format!("{size} {sum}"));
    }
}

#[test]
fn nothing_that_python_code_does_in_between_confuses_the_server() {
    let server = serve();
    let mut client = server.connect();
    let changed = client.get("/changed");
    assert!(changed.text().starts_with("ValueError: invalid header name"), "{changed:?}");
    let nested = client.get("/nested");
    assert!(nested.text().contains("RuntimeError: start_response() or write() was called within itself"), "{nested:?}");
    for _ in 0..100 {
        assert_eq!(client.request("POST", "/circle", &[], b"body").text(), "circle");
    }
    assert_eq!(server.status().counters.died, 0);
}
