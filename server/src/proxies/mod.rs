//! What stands in front of the server: which proxies are believed, and what they say of their clients.
//!
//! [`Trusted`] is a set of peers. A proxy can speak in two ways: once per connection, before its first byte, by the PROXY
//! protocol ([`Greeting`]), or in headers of each request, which [`Judge`] judges and `grammar` reads. The worker asks.
//! Knows request heads and addresses, but neither sockets nor the application: what it finds out goes with the connection,
//! as its endpoints, or with the request, as a [`Forwarding`](crate::exchange::Forwarding).

mod forwarded;
mod grammar;
mod greeting;
mod trusted;

pub(crate) use forwarded::{Judge, Malformed};
pub(crate) use greeting::{BadGreeting, Ends, Greeting, Heard};
pub(crate) use trusted::Trusted;
