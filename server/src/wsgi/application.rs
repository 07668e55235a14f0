//! [`WsgiApplication`]: the interpreter lock around one call, and the log.
//!
//! Owns the callable and what is made once for all of its requests. Knows nothing of connections or pools: those see an
//! [`Application`]. [`super::Interpreter::load`] makes it.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::call::{self, Ending};
use super::environ::{Environ, Facts};
use super::start_response::Desk;
use super::{presence, stack, tasks};
use crate::exchange::{Application, CallCost, Failed, Request, ResponseSink, Task, TaskDesk};
use crate::sys::clock;

/// A WSGI callable.
#[derive(Debug)]
pub(crate) struct WsgiApplication {
    callable: Py<PyAny>,
    environ: Environ,
    desk: Desk,
}

impl WsgiApplication {
    pub(super) fn new(py: Python<'_>, callable: Py<PyAny>, facts: &Facts) -> PyResult<WsgiApplication> {
        if !facts.tasks {
            tasks::switch_off();
        }
        Ok(WsgiApplication { callable, environ: Environ::new(py, facts)?, desk: Desk::default() })
    }
}

impl Application for WsgiApplication {
    fn handle(&self, request: &mut Request, sink: &mut dyn ResponseSink, cost: &mut CallCost) -> Result<(), Failed> {
        presence::begin();
        let ending = Python::attach(|py| {
            if cost.first_wait {
                cost.lock_wait_ns = clock::monotonic_ns().saturating_sub(cost.began_ns);
            }
            match self.environ.build(py, request) {
                Ok(environ) => call::run(self.callable.bind(py), environ, &self.desk, sink),
                Err(error) => Ending::raised(py, &error),
            }
        });
        cost.lock_wait_ns += ending.lock_wait_ns;
        // Without the interpreter lock: the log may be slow.
        for exception in &ending.exceptions {
            tracing::error!(
                method = request.head.method(&request.bytes),
                path = request.head.path(&request.bytes),
                "{exception}"
            );
        }
        ending.outcome
    }

    fn enter_thread(&self, body: &mut dyn FnMut()) {
        body();
        presence::end();
    }

    fn open_desk(&self, desk: Arc<dyn TaskDesk>) {
        tasks::open(desk);
    }

    fn run_task(&self, task: &Task) -> Result<(), Failed> {
        presence::begin();
        // Logged without the interpreter lock: the log may be slow.
        Python::attach(|py| tasks::run(py, &task.call)).map_err(|exception| {
            tracing::error!("background task {} failed\n{exception}", task.name);
            Failed
        })
    }

    fn await_turn(&self) {
        presence::begin();
        Python::attach(|_| ());
    }

    fn stack_of(&self, thread: u64, patience: Duration) -> Option<String> {
        stack::of(thread, patience)
    }
}
