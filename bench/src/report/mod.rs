//! From a results folder to everything that people read: figures, tables, pictures, html.
//!
//! Reads raw data only and writes beside it, so that a report can be computed again at any time, also by a later
//! version that knows more figures. Starts nothing and measures nothing.
//!
//! ```text
//! session.json, raw/ ─▶ metrics ─▶ summary ─┬▶ claims, targets ─┐
//!                        notes ──────┘      ├▶ text             ├▶ html, markdown
//!                        series ─▶ charts ───┴───────────────────┘
//!              curves ─▶ summary ─▶ cost ─▶ charts
//! ```

pub(crate) mod charts;
mod claims;
mod cost;
mod curves;
mod format;
mod hgrm;
pub(crate) mod html;
mod markdown;
mod metrics;
mod notes;
mod series;
pub(crate) mod summary;
mod targets;
mod text;

pub(crate) use self::format::number;
pub(crate) use self::metrics::{Better, burst_latency};
pub(crate) use self::text::aligned;
use crate::failure::Failure;
use crate::results::store::Store;

/// What is to be said at the end of a session.
pub(crate) struct Told {
    /// The comparison as tables.
    pub(crate) text: String,
    /// Runs that were tried and failed, each with its reason.
    pub(crate) unmeasured: Vec<String>,
}

/// Computes everything from the raw data in `store` and writes it there.
///
/// # Errors
/// Damaged raw data, or a file that cannot be written.
pub(crate) fn write(store: &Store) -> Result<Told, Failure> {
    let (session, runs) = store.read()?;
    let damaged = |reason: String| Failure::Results { path: store.folder().to_owned(), reason };
    let summary = summary::compute(&session, &runs);
    store.write_json("summary.json", &summary)?;
    let series = series::collect(&session, &runs).map_err(damaged)?;
    for (name, text) in hgrm::files(&series) {
        store.write(&format!("histograms/{name}"), text.as_bytes())?;
    }
    let pictures = charts::draw(&session, &series, &summary, store.folder()).map_err(damaged)?;
    for picture in pictures.iter().filter(|picture| picture.has_files) {
        store.write(&format!("{}.svg", picture.name), picture.standalone_svg().as_bytes())?;
    }
    let page = html::page(&session, &runs, &summary, &pictures);
    store.write("report.html", page.as_bytes())?;
    let markdown = markdown::page(&session, &summary, &pictures);
    store.write("report.md", markdown.as_bytes())?;
    Ok(Told { text: text::tables(&summary), unmeasured: summary.failures.clone() })
}
