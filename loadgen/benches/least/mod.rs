//! The floor of what a generator costs: one receive and one send per answer, as few waits as can be,
//! no clock, no parsing, no statistics. No generator that sends a request of its own for every answer
//! on a connection can cost less; what it says is a number of answers and nothing about them.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Between two waits, so that many answers are taken at a time: falling asleep and waking up cost as
/// much as a request, and a measurement could not be so careless.
const REST: Duration = Duration::from_micros(10);

/// Keeps one request unanswered on each of so many connections to `address`, for so long, and prints
/// how many answers have come. Every answer must arrive in one piece and fit into one receive.
pub(crate) fn drive(address: SocketAddr, connections: usize, length: Duration) -> io::Result<()> {
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
        std::thread::sleep(REST);
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
