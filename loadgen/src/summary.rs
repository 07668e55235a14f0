//! The text summary of a report.
use crate::report::Report;

/// Renders `report` for people.
pub(crate) fn render(report: &Report) -> String {
    format!("{} requests", report.requests)
}
