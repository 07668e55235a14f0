//! The protocol as the server has it, without transports: the server is a program, so its files are included.

#[path = "../../server/src/connection/descriptors.rs"]
mod descriptors;
#[path = "../../server/src/connection/h1.rs"]
pub(crate) mod h1;
#[path = "../../server/src/connection/spool.rs"]
mod spool;
