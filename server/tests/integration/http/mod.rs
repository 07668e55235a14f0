//! HTTP/1.0 and 1.1 on the wire.

mod addresses;
mod limits;
mod messages;
mod patience;
mod rules;
