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
//! quantity, target ─▶ plan ─▶ run ─task─▶ driver, one per thread ─tally─▶ collect ─▶ report ─▶ summary, page, chart
//!                                          │ demand, over pacer: when is a request due     validity    csv, hlog, hgrm
//!                                          │ timer, deadline, timeline: waking up                 compare, merge
//!                                          │ script, over targets, message, template: which request is next
//!                                          │ connection: one socket, over request and response: what bytes mean
//!                                          │ journal: the thread's tallies, interval by interval
//! ```
//!
//! `engine` says what sends the requests: the driver above, or `reqwest_engine` in its place, which
//! takes the same tasks and hands in the same tallies. `shard` is the part of a plan that one of
//! several processes has.
//!
//! `floor` says what an engine costs and adds by itself, with a run against a server that does nothing.
//!
//! What is decided with a report: `objective` holds it to bounds, and `capacity` searches for the
//! highest rate at which they hold, one run after the other.
//! What shows, writes or joins distributions finds them through the table of `measures`.
//!
//! What a latency means here: in an open loop it starts at the **intended** send time, so a target
//! that stalls is charged for every request that should have been sent meanwhile; the service time,
//! from the actual write, stands beside it. In a closed loop there is no intended time: latency
//! starts when a connection takes up the request, so both differ only by the time to connect.
//!
//! This crate shares no code with any server: a parser with a bug must not meet itself.

#![forbid(unsafe_code)]

mod capacity;
pub mod chart;
mod clock;
mod collect;
pub mod compare;
mod connection;
mod cookies;
mod csv;
mod deadline;
mod demand;
mod distribution;
mod driver;
mod engine;
mod error;
mod floor;
mod form;
mod hgrm;
mod hlog;
mod journal;
mod measures;
pub mod merge;
mod message;
mod objective;
mod pacer;
mod page;
mod plan;
mod quantity;
mod random;
mod report;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest_engine;
mod resolution;
mod response;
mod rest;
mod run;
#[cfg(test)]
mod schema_tests;
mod script;
mod shard;
mod stage;
mod summary;
mod tally;
mod target;
mod targets;
mod task;
mod template;
mod timeline;
mod timer;
mod validity;

pub use capacity::{Capacity, Finding, Purpose, Question, SearchEvent, Standing, Trial, find_capacity};
pub use distribution::{DecodeError, Distribution, supports};
pub use engine::{Engine, Transport, Trust, Version};
pub use error::{ErrorKind, PlanError, RunError};
pub use floor::{Floor, FloorExchange, FloorQuestion, floor_table, measure_floor};
pub use form::{EncodedForm, Field, FieldValue, encode_form};
pub use hlog::HlogError;
pub use measures::{MEASURES, Measure};
pub use objective::{Objective, ObjectiveError, Outcome, Verdict, parse_objectives};
pub use plan::{Arrivals, Load, Plan, Reuse, Shard, Stop};
pub use quantity::{QuantityError, parse_duration, parse_rate, parse_share, parse_stages};
pub use report::{Interval, Report, RequestReport, Setup, ThreadReport};
pub use resolution::{Resolution, ResolutionError};
pub use run::run;
pub use shard::ShardError;
pub use stage::Stage;
pub use target::{Address, Target, TargetError};
pub use targets::{Entry, ListError, Order, RequestList, parse_list};
