//! Applications in Rust: the ceiling without Python, for benchmarks (`--app native:hello`).

use std::sync::Arc;

use crate::exchange::{Application, CallCost, Failed, Request, ResponseSink};

/// The native application of this name.
pub(crate) fn find(name: &str) -> Option<Arc<dyn Application>> {
    match name {
        "hello" => Some(Arc::new(Hello)),
        _ => None,
    }
}

/// Answers `Hello, World!` to everything.
struct Hello;

impl Application for Hello {
    fn handle(&self, _: &mut Request, sink: &mut dyn ResponseSink, _: &mut CallCost) -> Result<(), Failed> {
        let answered = sink
            .begin(b"200 OK")
            .and_then(|()| sink.header(b"Content-Type", b"text/plain"))
            .and_then(|()| sink.whole(b"Hello, World!"));
        answered.map_err(|error| {
            tracing::debug!("{error}");
            Failed
        })
    }

    fn enter_thread(&self, body: &mut dyn FnMut()) {
        body();
    }
}
