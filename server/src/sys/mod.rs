//! What the kernel offers and the standard library does not: the only `unsafe` outside `wsgi`.
//!
//! Each file wraps one kernel interface in a safe one and knows nothing of the server. Everybody may call it.

#[cfg(test)]
pub(crate) mod allocations;
pub(crate) mod clock;
pub(crate) mod epoll;
pub(crate) mod inherited;
pub(crate) mod message;
pub(crate) mod process;
pub(crate) mod shared;
pub(crate) mod socket;
pub(crate) mod threads;
pub(crate) mod wakeup;
