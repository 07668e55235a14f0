//! What the server lets others see: the admin listener, its metrics and its page, the control socket, and the log as JSON.

mod control;
mod listener;
mod logs;
mod metrics;
mod page;
mod top;
