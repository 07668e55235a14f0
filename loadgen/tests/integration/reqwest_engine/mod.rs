//! The reqwest engine: what it has in common with the fast one, and what only it can do.

mod errors;
mod http2;
mod load;
mod proxy;
mod redirects;
mod sending;
mod tls;

use loadgen::{Engine, Plan, Report, Transport};

use crate::server::run;

/// The same plan through this engine.
fn through(transport: Transport, plan: Plan) -> Plan {
    Plan { engine: Engine::Reqwest(transport), ..plan }
}

/// The same plan through this engine, in its plainest form.
fn plain(plan: Plan) -> Plan {
    through(Transport::default(), plan)
}

/// All requests must be answered 200; the report is returned for more.
fn all_well(plan: &Plan) -> Report {
    let report = run(plan);
    assert!(report.errors.is_empty(), "{:?} {:?}", report.errors, report.error_examples);
    assert_eq!(report.status_class(2), report.requests);
    report
}
