//! The results folder: what is in it, how it is written and read back.
//!
//! ```text
//! results/2026-11-22-amd-epyc-2-cores/
//!     session.json        what was planned: machine, versions, commands, seed, order      (written first)
//!     raw/steady-r1-NAME.json …   one per run: everything observed                        (written as it happens)
//!     summary.json, report.html, *.svg, *.png, histograms/*.hgrm                          (computed from the above)
//! ```
//! Knows nothing of how figures are computed.

pub(crate) mod calendar;
pub(crate) mod schema;
pub(crate) mod store;
