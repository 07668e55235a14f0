//! The WSGI bridge (PEP 3333): Python applications behind [`crate::exchange::Application`].
//!
//! Owns everything that touches Python: the interpreter's life, loading the callable, the environ, `wsgi.input`,
//! `start_response` and the walk over the response iterable. It must not know sockets, event loops, workers or
//! configuration: requests and sinks come through `exchange`. The roles (`template`, `worker`) start the interpreter and
//! load; pool threads call.
//!
//! | module | owns |
//! | --- | --- |
//! | `interpreter` | start, fork, freeze, finish |
//! | `venv` | what a virtual environment is, read from its files |
//! | `loader` | `module:callable` to a callable, and what to tell the operator when that fails |
//! | `hook` | callables that belong to a worker's life |
//! | `application` | [`WsgiApplication`]: the interpreter lock around one call, and the log |
//! | `call` | one call: the callable, its result, `close()` |
//! | `body` | the response iterable, piece by piece into the sink |
//! | `start_response` | `start_response` and `write`, and how they borrow the sink |
//! | `environ`, `names`, `memo` | the environ dictionary; what header names mean; what earlier requests had, too |
//! | `mount` | a path as `SCRIPT_NAME` and `PATH_INFO` |
//! | `origin` | what the environ says when proxies stand in front |
//! | `input` | `wsgi.input` |
//! | `file_wrapper` | `wsgi.file_wrapper` |
//! | `presence` | a pool thread as Python knows it |
//! | `traceback` | exceptions as text |
//! | `tasks` | `smarthttpd_tasks`: the module by which applications leave background tasks, and how one runs |
//! | `stack` | what another thread is doing, as text |
//! | `detached` | running our own code without the interpreter lock |
//!
//! # Invariants
//!
//! - The interpreter lock is taken once per call and given back around everything that blocks.
//! - No exception leaves a call, not even `SystemExit`: it is logged with its traceback and becomes
//!   [`crate::exchange::Failed`].
//! - Python objects that outlive their call (`start_response`, `write`, `wsgi.input`) are inert, never dangling.

mod application;
mod body;
mod call;
mod detached;
mod environ;
mod file_wrapper;
mod hook;
mod input;
mod interpreter;
mod loader;
mod memo;
mod mount;
mod names;
mod origin;
mod presence;
mod stack;
mod start_response;
mod tasks;
mod traceback;
mod venv;

pub(crate) use application::WsgiApplication;
pub(crate) use environ::Facts;
pub(crate) use hook::Hook;
pub(crate) use interpreter::{Fork, Interpreter, PythonOptions, imported_files, initialize};
pub(crate) use loader::LoadError;
