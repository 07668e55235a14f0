//! What the tests stand on: server processes, HTTP clients that notice everything, a Python environment, and waiting.
//!
//! Knows nothing of any one topic. Waiting is always for something published (a status, a line, an exit), through
//! [`wait::until`]; only [`wait`] sleeps.

pub(crate) mod alike;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod gate;
pub(crate) mod launch;
pub(crate) mod load;
pub(crate) mod outsider;
pub(crate) mod processes;
pub(crate) mod python;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod wait;
pub(crate) mod webdriver;

pub(crate) use client::{Broken, Client, Response};
pub(crate) use gate::Gate;
pub(crate) use launch::Launch;
pub(crate) use load::Load;
pub(crate) use server::Server;
pub(crate) use status::{Status, Tasks};
pub(crate) use webdriver::Browser;
