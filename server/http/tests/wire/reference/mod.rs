//! Readers of the simplest kind, to compare with: everything is there at once, nothing is fast, and nothing is shared with
//! the crate, so that a mistake in the one can't hide in the other.
//!
//! They know what is right and what is not, but not why: a refusal is `None`. The fuzz targets use them too.

pub(crate) mod chunked;
pub(crate) mod head;
pub(crate) mod response;
