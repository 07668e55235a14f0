//! What the server lets others see: the admin listener, its metrics and its page, and the log as JSON.

mod listener;
mod logs;
mod metrics;
mod page;
mod top;
