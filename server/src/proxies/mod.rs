//! What stands in front of the server: which proxies are believed, and what they say of their clients.
//!
//! [`Trusted`] is a set of peers; `forwarded` judges the headers in which proxies name their clients, request by request;
//! `grammar` reads what stands in them. The worker asks. Knows request heads and addresses, but neither sockets nor the
//! application: what it finds out goes with the request, as a [`Forwarding`](crate::exchange::Forwarding).

mod forwarded;
mod grammar;
mod trusted;

pub(crate) use forwarded::{Judge, Malformed};
pub(crate) use trusted::Trusted;
