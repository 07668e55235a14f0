//! Joins the results of a run's shards: histograms exactly, counts by addition.
//!
//! `parts` judges whether the shards may be joined at all, `reports` joins JSON reports, `logs`
//! interval logs. Every refusal names the shard at fault.

mod logs;
mod parts;
mod reports;

pub use logs::{MergedLog, merge_logs};
pub use parts::{MergeError, Name, Tolerance};
pub use reports::merge_reports;
