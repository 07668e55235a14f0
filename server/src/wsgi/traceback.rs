//! Exceptions as text, the way Python itself would print them.
//!
//! Owns the formatting only; who logs it, and where, is `application`'s and the operator's business. `loader` and `call`
//! use it.

use pyo3::prelude::*;

/// The traceback and message of `error`, with its causes, without a newline at the end.
pub(super) fn format(py: Python<'_>, error: &PyErr) -> String {
    try_format(py, error).unwrap_or_else(|_| {
        // An exception whose own `__str__` fails, or no memory: its type is always there.
        let kind = error.get_type(py);
        match kind.name() {
            Ok(name) => format!("{name} (it can't be shown: formatting it failed)"),
            Err(_) => "an exception that can't be shown".to_owned(),
        }
    })
}

/// The exception itself, of what [`format()`] returned: Python prints it last.
pub(super) fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

fn try_format(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let lines = py
        .import("traceback")?
        .call_method1("format_exception", (error.get_type(py), error.value(py), error.traceback(py)))?;
    let mut text = String::new();
    for line in lines.try_iter()? {
        // Not `extract::<String>`: a lone surrogate in a message must not hide the traceback.
        text.push_str(&line?.str()?.to_string_lossy());
    }
    text.truncate(text.trim_end().len());
    Ok(text)
}
