//! The server as its users meet it: real processes, real sockets, real frameworks, real kills.
//!
//! Every server binds port 0 of the loopback interface and has a folder of its own. Nothing waits for a fixed time to
//! pass; upper bounds on times are generous because the machine may be busy.

mod bottle;
mod chaos;
mod cli;
mod django;
mod falcon;
mod flask;
mod front;
mod http;
mod layering;
mod lifecycle;
mod load_errors;
mod logs;
mod resilience;
mod rest;
mod scaling;
mod signals;
mod statics;
mod support;
mod tasks;
mod watching;
mod wsgi;
