//! Load generation as a library: a [`Plan`] in, a [`Report`] out.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use loadgen::{Load, Plan, Target, parse_stages};
//!
//! let target: Target = "http://127.0.0.1:8000/".parse()?;
//! let load = Load::constant(parse_stages("5s@20,15s@400,12s@20")?);
//! let report = loadgen::run(&Plan::new(target, load), &mut |_| {}, &AtomicBool::new(false))?;
//! println!("{}", report.summary());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The way through the modules is the way of a run:
//!
//! ```text
//! quantity, target ─▶ plan ─▶ run ─task─▶ driver, one per thread ─tally─▶ collect ─▶ report ─▶ summary
//!                                          │ pacer: when is the next request due      validity    hgrm
//!                                          │ timer, deadline, timeline: waking up
//!                                          │ connection: one socket, over request and response: what bytes mean
//!                                          │ journal: the thread's tallies, interval by interval
//! ```
//!
//! `engine` says what sends the requests: the driver above, or `reqwest_engine` in its place, which takes
//! the same tasks and hands in the same tallies. `shard` is the part of a plan that one of several
//! processes has.
//!
//! What a latency means here: in an open loop it starts at the **intended** send time, so a target
//! that stalls is charged for every request that should have been sent meanwhile; the service time,
//! from the actual write, stands beside it. In a closed loop there is no intended time: latency
//! starts when a connection takes up the request, so both differ only by the time to connect.
//!
//! This crate shares no code with any server: a parser with a bug must not meet itself.

#![forbid(unsafe_code)]

mod clock;
mod collect;
mod connection;
mod deadline;
mod distribution;
mod driver;
mod engine;
mod error;
mod hgrm;
mod journal;
mod pacer;
mod plan;
mod quantity;
mod report;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest_engine;
mod response;
mod run;
mod shard;
mod summary;
mod tally;
mod target;
mod task;
mod timeline;
mod timer;
mod validity;

pub use distribution::{DecodeError, Distribution, supports};
pub use engine::{Engine, Transport, Trust, Version};
pub use error::{ErrorKind, PlanError, RunError};
pub use plan::{Arrivals, Load, Plan, Reuse, Shard, Stage, Stop};
pub use quantity::{QuantityError, parse_duration, parse_rate, parse_stages};
pub use report::{Interval, Report, Setup, ThreadReport};
pub use run::run;
pub use shard::ShardError;
pub use target::{Address, Target, TargetError};
