//! A client's connection: a transport that moves bytes, times a protocol that knows what they mean.
//!
//! The protocol ([`H1`]) is sans-I/O: bytes in, [`Step`]s out; the worker performs them. [`Responder`] is the other
//! direction: an application's response, encoded and, as [`Outgoing`], written. Neither knows the event loop, the pool or
//! Python.

mod date;
mod descriptors;
mod h1;
mod outgoing;
mod responder;
mod spool;
mod transport;

pub(crate) use date::DateCache;
pub(crate) use h1::{H1, Intake, Step, Waiting};
pub(crate) use outgoing::{Outgoing, Written};
pub(crate) use responder::{Responder, Scratch, Sent, Surroundings, Verdict};
pub(crate) use transport::Transport;
