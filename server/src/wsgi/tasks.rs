//! Background tasks as applications see them: the module `smarthttpd_tasks`, which is also `environ["smarthttpd.tasks"]`.
//!
//! Owns what a task is in Python, a pickled `(function, args, kwargs)`, and how one runs. Where tasks wait, and when they
//! run, is the worker's matter: they go to the desk that it has opened. `application` opens and runs, `environ` offers the
//! module, `interpreter` makes it a built-in one, so that it can be imported like any other.
//!
//! `submit` returns nothing on purpose. The task is in this process, the next request may be in another one, so there is
//! nobody whom a handle could ask what has become of it.

use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use pyo3::{append_to_inittab, create_exception, intern};

use super::traceback;
use crate::exchange::{Refused, Task, TaskDesk};

create_exception!(smarthttpd_tasks, Full, PyRuntimeError, "As many background tasks wait in this worker as may.");
create_exception!(smarthttpd_tasks, Unavailable, PyRuntimeError, "Background tasks can't be left here, or not now.");

/// Background tasks: calls that this server makes after the response, when no request waits.
///
/// In memory: a worker that is killed loses those that it has not done.
#[pymodule(gil_used = true)]
mod smarthttpd_tasks {
    #[pymodule_export]
    use super::{Full, Unavailable, submit};
}

/// Where tasks go in this process.
enum Desk {
    /// The operator wants none.
    Off,
    /// Open in this process.
    Open(Arc<dyn TaskDesk>, u32),
}

static DESK: OnceLock<Desk> = OnceLock::new();

/// Makes `import smarthttpd_tasks` work. Before Python starts, once.
pub(super) fn register() {
    append_to_inittab!(smarthttpd_tasks);
}

/// The module.
pub(super) fn module(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    Ok(py.import("smarthttpd_tasks")?.into_any())
}

/// Tasks go there from now on.
pub(super) fn open(desk: Arc<dyn TaskDesk>) {
    // There is one worker in a process, and it opens one desk.
    let _ = DESK.set(Desk::Open(desk, std::process::id()));
}

/// Nobody takes tasks.
pub(super) fn switch_off() {
    let _ = DESK.set(Desk::Off);
}

/// submit(function, /, *args, **kwargs)
/// --
///
/// Has function(*args, **kwargs) called once, in this process, after the response that is being made on this thread (if there
/// is one), when no request waits.
///
/// The call is pickled here and now: function must be importable by its name, and arguments that change afterwards don't
/// change for it. Returns None: what the function returns is thrown away, an exception goes to the error log.
///
/// Raises TypeError if the call can't be pickled, Full if too many wait, Unavailable if tasks are switched off, if no worker
/// has started yet (while the application is imported), in a process that the application has forked, or if the worker is
/// leaving.
#[pyfunction]
#[pyo3(signature = (function, /, *args, **kwargs))]
fn submit(
    py: Python<'_>,
    function: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let desk = match DESK.get() {
        Some(Desk::Open(desk, pid)) if *pid == std::process::id() => desk,
        // Its threads are not here, and its locks may be held for ever.
        Some(Desk::Open(..)) => {
            return Err(Unavailable::new_err(
                "this process was forked by the application and has no background tasks: submit them in the worker itself",
            ));
        }
        Some(Desk::Off) => {
            return Err(Unavailable::new_err("background tasks are switched off (--tasks-concurrency off)"));
        }
        None => {
            return Err(Unavailable::new_err(
                "no worker takes background tasks yet: submit them in requests, not while the application is imported",
            ));
        }
    };
    let name = name_of(function);
    if !function.is_callable() {
        return Err(PyTypeError::new_err(format!("a background task must be callable, and a {name} is not")));
    }
    let call = pickle(py, &name, function, args, kwargs)?;
    Arc::clone(desk).submit(Task { name, call }).map_err(|refused| match refused {
        Refused::Full(_) => Full::new_err(refused.to_string()),
        Refused::Leaving => Unavailable::new_err(refused.to_string()),
    })
}

/// Makes the call. The error is the exception as text.
pub(super) fn run(py: Python<'_>, call: &[u8]) -> Result<(), String> {
    make_call(py, call).map_err(|error| traceback::format(py, &error))
}

fn make_call(py: Python<'_>, call: &[u8]) -> PyResult<()> {
    let call = py.import("pickle")?.call_method1(intern!(py, "loads"), (PyBytes::new(py, call),))?;
    let (function, args, kwargs): (Bound<'_, PyAny>, Bound<'_, PyTuple>, Bound<'_, PyDict>) = call.extract()?;
    // A context of its own: what a task sets there is not the next one's.
    let context = py.import("contextvars")?.getattr("Context")?.call0()?;
    let args: Vec<_> = std::iter::once(function).chain(args.iter()).collect();
    context.getattr(intern!(py, "run"))?.call(PyTuple::new(py, args)?, Some(&kwargs))?;
    Ok(())
}

/// What the log calls a call of this: `module.name`, or its type where it has no name.
fn name_of(function: &Bound<'_, PyAny>) -> String {
    let text =
        |of: &Bound<'_, PyAny>, attribute: &str| of.getattr(attribute).and_then(|found| found.extract::<String>());
    let named = |of: &Bound<'_, PyAny>| {
        let name = text(of, "__qualname__")?;
        PyResult::Ok(text(of, "__module__").map_or(name.clone(), |module| format!("{module}.{name}")))
    };
    named(function).or_else(|_| named(function.get_type().as_any())).unwrap_or_else(|_| "a call".to_owned())
}

fn pickle(
    py: Python<'_>,
    name: &str,
    function: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<u8>> {
    let module = py.import("pickle")?;
    let dumps = module.getattr("dumps")?;
    let protocol = module.getattr("HIGHEST_PROTOCOL")?;
    let kwargs = kwargs.map_or_else(|| PyDict::new(py), Clone::clone);
    let whole = match dumps.call1(((function, args, &kwargs), &protocol)) {
        Ok(whole) => whole,
        Err(error) => {
            let fails = |part: &Bound<'_, PyAny>| dumps.call1((part, &protocol)).is_err();
            let what = if fails(function) {
                format!("{name} itself can't be pickled; name a function at the top level of a module")
            } else if let Some(place) = args.iter().position(|argument| fails(&argument)) {
                format!("argument {} of {name} can't be pickled", place + 1)
            } else if let Some((key, _)) = kwargs.iter().find(|(_, argument)| fails(argument)) {
                format!("argument {key} of {name} can't be pickled")
            } else {
                format!("the call of {name} can't be pickled")
            };
            let raised = PyTypeError::new_err(format!("{what} ({})", error.value(py)));
            raised.set_cause(py, Some(error));
            return Err(raised);
        }
    };
    Ok(whole.cast_into::<PyBytes>()?.as_bytes().to_vec())
}
