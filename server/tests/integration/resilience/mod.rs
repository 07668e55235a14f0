//! The server among hostile, broken, slow and unlucky clients: what they get, and that nobody else notices.

mod pipelining;
mod refusals;
