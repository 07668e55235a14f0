//! A client's connection: a transport that moves bytes, times a protocol that knows what they mean.
//!
//! The protocol ([`H1`]) is sans-I/O: bytes in, [`Step`]s out; the worker performs them. [`Responder`] is the other
//! direction: an application's response, encoded and written. Neither knows the event loop, the pool or Python.

mod date;
mod h1;
mod responder;
mod spool;
mod transport;

pub(crate) use date::DateCache;
pub(crate) use h1::{H1, Step, Waiting};
pub(crate) use responder::{Outgoing, Responder, Scratch, Sent, Verdict};
pub(crate) use transport::Transport;
