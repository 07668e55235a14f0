//! The generator against servers whose behaviour is known exactly, and the command as users call it.
//!
//! Every server binds port 0 of the loopback interface, or a socket in a folder of its own. Upper
//! bounds on times are generous, because the machine may be busy; lower bounds and counts are not.

mod command;
mod errors;
mod floor;
mod judgement;
mod latency;
mod limits;
mod live;
mod node;
mod pipelining;
mod protocol;
#[cfg(feature = "reqwest")]
mod reqwest_engine;
mod results;
mod schedule;
mod sending;
mod server;
mod shards;
mod terminal;
mod truth;
