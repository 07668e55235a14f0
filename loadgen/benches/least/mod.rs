//! The floor of what a generator costs: one receive and one send per answer, no look at the clock for
//! it, no parsing, no statistics. What it says is a number of answers and nothing about them.
//!
//! How much that is depends on how long it rests between two waits: the longer, the more answers it
//! takes at a time, and the less often the target falls asleep and has to be woken by a send. A
//! generator that is to say how long answers take can rest for a small part of that time only.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Keeps one request unanswered on each of so many connections to `address`, for so long, with rests of
/// that length, and prints how many answers have come. Every answer must arrive in one piece and fit into one receive.
pub(crate) fn drive(address: SocketAddr, connections: usize, length: Duration, rest: Duration) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut streams = Vec::with_capacity(connections);
    for token in 0..connections {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(token), Interest::READABLE)?;
        stream.write_all(request.as_bytes())?;
        streams.push(stream);
    }
    let mut events = Events::with_capacity(connections);
    let mut buffer = vec![0; 64 * 1024];
    let mut answers = 0u64;
    let end = Instant::now() + length;
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    while Instant::now() < end {
        std::thread::sleep(rest);
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let stream = &mut streams[event.token().0];
            if stream.read(&mut buffer)? == 0 {
                return Err(io::Error::other("the target closes its connections"));
            }
            stream.write_all(request.as_bytes())?;
            answers += 1;
        }
    }
    println!("{answers} requests in {length:?}");
    Ok(())
}
