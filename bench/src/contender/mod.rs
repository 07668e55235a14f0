//! The servers that are compared: what their files say, whether they can run here, how they are started.
//!
//! Owns the format of `contenders/*.toml`. Knows the places of things ([`Places`]) and nothing of how they came there
//! (`workspace`), nor of what is measured.

pub(crate) mod availability;
pub(crate) mod places;
pub(crate) mod spec;
pub(crate) mod tuning;

pub(crate) use places::Places;
pub(crate) use spec::Contender;
pub(crate) use tuning::Tuning;
