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

/// Answers whatever comes: the generator sends its small requests in one piece, and not before the
/// former one is answered.
fn serve(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer) {
        if stream.write_all(OK).is_err() {
            return;
        }
    }
}

/// What the process allocates while so many requests are sent.
fn allocated(target: &Target, load: Load, requests: u64) -> usize {
    let plan = Plan {
        connections: CONNECTIONS,
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
    let closed = |count| allocated(&target, Load::Closed { stop: Stop::Requests(count) }, count);
    let open = |rate: u64| allocated(&target, Load::constant(parse_stages(&format!("2s@{rate}")).unwrap()), 2 * rate);
    // What is set up once in a process is set up now.
    closed(10);
    for (name, few, many) in [("closed", closed(2_000), closed(20_000)), ("open", open(1_000), open(5_000))] {
        // The report is longer when there is more to tell, and the generator's queue grows by doubling
        // to the longest that a busy machine makes it: both are a few, and not one for each request.
        assert!(many.abs_diff(few) < 100, "{name} loop: {few} allocations for few requests, {many} for many");
    }
}
