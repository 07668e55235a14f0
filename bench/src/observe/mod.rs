//! What the kernel says about a server's processes, read from /proc.
//!
//! Owns: the parsers of the /proc texts (pure functions), the walk over a server's process tree, and the sampler that
//! watches it through a run. Knows nothing of scenarios, contenders or reports. Called by `process` (to find and stop
//! every process of a server) and by `scenario` (to measure).

pub(crate) mod counting;
pub(crate) mod interfaces;
pub(crate) mod proc;
pub(crate) mod sampler;
pub(crate) mod signalling;
pub(crate) mod signals;
pub(crate) mod tree;
