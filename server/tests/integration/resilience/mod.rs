//! The server among hostile, broken, slow and unlucky clients: what they get, and that nobody else notices.

mod bystanders;
mod departures;
mod idle;
mod isolation;
mod pipelining;
mod refusals;
mod responses;
mod slow;
mod storms;
