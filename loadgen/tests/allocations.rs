//! The generator allocates nothing for a request: all the memory of a run is there when it begins.
//!
//! A binary of its own, because its allocator counts what the whole process allocates. There is one
//! test in it, so nothing else runs meanwhile; and its server uses one buffer per connection.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use loadgen::{Load, Plan, Stop, Target, parse_stages};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// Connections: of the closed loop, and the most of the open one.
const CONNECTIONS: usize = 4;

/// Answers every request; they have no body, so each ends with an empty line.
fn serve(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    let mut ending = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        for byte in &buffer[..count] {
            ending = match (ending, byte) {
                (0 | 2, b'\r') | (1 | 3, b'\n') => ending + 1,
                (_, b'\r') => 1,
                _ => 0,
            };
            if ending == 4 && stream.write_all(OK).is_err() {
                return;
            }
        }
    }
}

/// What the process allocates while so many requests are sent.
fn allocated(target: &Target, load: Load, pipeline: usize, requests: u64) -> usize {
    let plan = Plan {
        connections: CONNECTIONS,
        pipeline,
        timeout: Duration::from_secs(60),
        // An interval has histograms of its own; it must not end in either run.
        interval: Duration::from_secs(600),
        ..Plan::new(target.clone(), load)
    };
    let region = Region::new(ALLOCATOR);
    let report = loadgen::run(&plan, &mut |_| {}, &AtomicBool::new(false)).unwrap();
    let allocations = region.change().allocations + region.change().reallocations;
    assert_eq!((report.answered, report.errors_total()), (requests, 0), "{}", report.summary());
    allocations
}

#[test]
fn requests_allocate_nothing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let target = Target::tcp("127.0.0.1", listener.local_addr().unwrap().port(), "/").unwrap();
    // Lives as long as the process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    let closed = |pipeline, count| allocated(&target, Load::Closed { stop: Stop::Requests(count) }, pipeline, count);
    let open =
        |rate: u64| allocated(&target, Load::constant(parse_stages(&format!("2s@{rate}")).unwrap()), 1, 2 * rate);
    // What is set up once in a process is set up now.
    closed(1, 10);
    let rows = [
        ("closed loop", closed(1, 2_000), closed(1, 20_000)),
        ("pipelines", closed(8, 2_000), closed(8, 20_000)),
        ("open loop", open(1_000), open(5_000)),
    ];
    for (name, few, many) in rows {
        // The report is longer when there is more to tell, and the generator's queue grows by doubling
        // to the longest that a busy machine makes it: both are a few, and not one for each request.
        assert!(many.abs_diff(few) < 100, "{name}: {few} allocations for few requests, {many} for many");
    }
}
