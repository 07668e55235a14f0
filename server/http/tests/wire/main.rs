//! The crate from outside, through its public interface: bytes in, verdicts out, and back.

mod cases;
mod properties;
mod reader;
mod reference;
mod rules;
