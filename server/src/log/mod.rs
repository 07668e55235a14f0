//! The two logs: [`access`] formats a line per request, [`error`] writes what the server has to say about itself to
//! standard error.
//!
//! It knows nothing about connections or processes; roles call [`init`] and [`set_role`], the connection layer fills an
//! [`access::Entry`]. [`calendar`] turns clock readings into dates for both.

pub(crate) mod access;
mod calendar;
mod error;

pub(crate) use error::{init, set_role};
