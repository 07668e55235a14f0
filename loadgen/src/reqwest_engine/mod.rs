//! The engine for what the fast one does not speak: HTTPS, HTTP/2, proxies, redirects. reqwest is the HTTP client; pacing,
//! counting and time are this crate's, the same as in the fast engine.
//!
//! ```text
//! outlet ─▶ lane, one per connection ─▶ exchange, a task per request ─Done─▶ generator: due, queue, tally
//!   tls       │ wire: when it connected                │ failure: which kind
//! ```
//!
//! Each thread has a runtime of its own that runs on this thread alone, and not a share of one that steals work: a thread
//! then is what it is in the fast engine, with its CPU, its CPU time, its schedule and its tally, and shares nothing. A
//! client pools connections by its own lights, and would open a further one rather than wait; so every connection has a
//! client of its own, which never has more requests than the connection can take at a time. That is what makes
//! `connections` exact. `run` calls this module.

mod alarm;
mod exchange;
mod failure;
mod generator;
mod lane;
mod outlet;
mod tls;
mod wire;

pub(crate) use generator::drive;
pub(crate) use outlet::{Outlet, proxy_address};
