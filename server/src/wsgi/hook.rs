//! Callables of the application that belong to a worker's life, not to a request.
//!
//! They are called without arguments, on the process's main thread, so that existing functions and methods fit:
//! `random:seed`, `shop.db:engine.dispose`.

use pyo3::prelude::*;

use super::{Interpreter, LoadError, loader, traceback};

/// Something to call.
#[derive(Debug)]
pub(crate) struct Hook {
    callable: Py<PyAny>,
}

impl Interpreter {
    /// Imports `module` and takes the callable at the dotted path `callable` out of it.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub(crate) fn hook(&self, module: &str, callable: &str) -> Result<Hook, LoadError> {
        Python::attach(|py| Ok(Hook { callable: loader::find(py, module, callable)? }))
    }
}

impl Hook {
    /// Calls it. What it returns does not matter.
    ///
    /// # Errors
    /// The exception it raised, as Python shows it; `SystemExit` is one like any other.
    pub(crate) fn call(&self) -> Result<(), String> {
        Python::attach(|py| self.callable.call0(py).map(drop).map_err(|error| traceback::format(py, &error)))
    }
}
