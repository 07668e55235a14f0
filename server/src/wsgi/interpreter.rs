//! The interpreter's life in this process: start, fork, freeze, finish.
//!
//! Owns the one embedded interpreter. Knows nothing of applications beyond handing them out ([`Interpreter::load`]). The
//! template and a worker that was not forked start it on their main thread; only the template forks it.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::venv::{self, VenvError};
use super::{Facts, LoadError, WsgiApplication, loader, tasks};

/// The version of Python that is linked in, e.g. `3.11`.
const VERSION: &str = env!("SMARTHTTPD_BUILD_PYTHON_VERSION");
/// The interpreter that was there at build time; empty if there was none.
const EXECUTABLE: &str = env!("SMARTHTTPD_BUILD_PYTHON");

/// How to set up Python. Relative paths count from `chdir`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PythonOptions {
    /// Change to this directory first; it is also where modules are looked for.
    pub(crate) chdir: Option<PathBuf>,
    /// Directories to look for modules before all others.
    pub(crate) pythonpath: Vec<PathBuf>,
    /// A virtual environment, whose packages are used.
    pub(crate) venv: Option<PathBuf>,
    /// What becomes `sys.argv[0]`.
    pub(crate) argv0: String,
}

/// Why Python could not be started. The operator's to repair.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The directory to change to.
    #[error("cannot change to directory {path}: {source}", path = .path.display())]
    Chdir {
        /// As given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The virtual environment.
    #[error(transparent)]
    Venv(#[from] VenvError),
    /// A path or name with a NUL byte in it.
    #[error("{0:?} has a NUL byte in it")]
    Nul(String),
    /// Python itself refused.
    #[error("Python can't start: {0}")]
    Python(String),
    /// This process has started it already.
    #[error("Python was already started in this process")]
    Twice,
}

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fork {
    /// The process that forked, and its child's pid.
    Parent(i32),
    /// The new process.
    Child,
}

/// The started interpreter. There is one per process, and it stays until the process ends.
#[derive(Debug)]
pub(crate) struct Interpreter(());

/// Python was started in this process, or a process that it was forked from.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Starts Python on this thread, which becomes its main thread, and leaves the interpreter lock free.
///
/// No signal handler is installed. The module search path starts with `pythonpath`, then the current directory.
///
/// # Errors
/// See [`StartError`]; after [`StartError::Python`] no second attempt is possible.
pub(crate) fn initialize(options: &PythonOptions) -> Result<Interpreter, StartError> {
    if let Some(path) = &options.chdir {
        env::set_current_dir(path).map_err(|source| StartError::Chdir { path: path.clone(), source })?;
    }
    let program = match &options.venv {
        // Absolute, because Python keeps it as `sys.executable`, which outlives the current directory.
        Some(root) => venv::interpreter(&std::path::absolute(root).unwrap_or_else(|_| root.clone()), VERSION)?,
        None => PathBuf::from(EXECUTABLE),
    };
    let program = c_string(program.as_os_str().as_bytes())?;
    let argv0 = c_string(options.argv0.as_bytes())?;
    if STARTED.swap(true, Ordering::SeqCst) {
        return Err(StartError::Twice);
    }
    tasks::register();
    start(&program, &argv0)?;
    let interpreter = Interpreter(());
    Python::attach(|py| prepare(py, &options.pythonpath)).map_err(|error| StartError::Python(error.to_string()))?;
    Ok(interpreter)
}

impl Interpreter {
    /// Imports `module` and takes the application `callable` out of it: a name, a dotted path, or a call with literal
    /// arguments, e.g. `create_app("production")`.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub(crate) fn load(&self, module: &str, callable: &str, facts: &Facts) -> Result<WsgiApplication, LoadError> {
        Python::attach(|py| {
            let callable = loader::load(py, module, callable)?;
            WsgiApplication::new(py, callable, facts).map_err(|error| LoadError::raised(py, module, &error))
        })
    }

    /// Collects garbage and puts all that is left out of the collector's sight, so that collections in the forked workers
    /// don't write to, and so copy, the pages they share.
    pub(crate) fn freeze(&self) {
        Python::attach(|py| {
            let frozen = py.import("gc").and_then(|gc| {
                gc.call_method0("collect")?;
                gc.call_method0("freeze")
            });
            if let Err(error) = frozen {
                tracing::warn!("the garbage collector could not be frozen: {error}");
            }
        });
    }

    /// Python's threads: the system's number for each, and its name. Those that Python does not know of are not among them.
    pub(crate) fn threads(&self) -> Vec<(i32, String)> {
        Python::attach(|py| {
            let all = py.import("threading").and_then(|threading| threading.call_method0("enumerate"));
            let described = all.and_then(|all| {
                all.try_iter()?
                    .map(|thread| {
                        let thread = thread?;
                        // None for one that has not run yet.
                        let number = thread.getattr("native_id")?.extract::<i32>().unwrap_or(0);
                        Ok((number, thread.getattr("name")?.str()?.to_string_lossy().into_owned()))
                    })
                    .collect::<PyResult<Vec<_>>>()
            });
            described.unwrap_or_else(|error| {
                tracing::debug!("the names of Python's threads are not to be had: {error}");
                Vec::new()
            })
        })
    }

    /// Forks, with Python's own preparations on both sides (`os.register_at_fork` works). What is buffered in `sys.stdout`
    /// and `sys.stderr` is flushed first, so that it is not written twice. This process must have one thread only.
    ///
    /// # Errors
    /// The kernel's, e.g. `EAGAIN` for too many processes.
    pub(crate) fn fork(&self) -> io::Result<Fork> {
        Python::attach(|py| {
            flush_stdio(py);
            // SAFETY: this thread is attached, as all three PyOS functions demand. fork is sound for a process with one
            // thread (the caller's promise); with more, the child could only find locks taken that it never gets, since
            // PyOS_AfterFork_Child rebuilds the interpreter's own. Each branch calls its counterpart exactly once.
            unsafe {
                ffi::PyOS_BeforeFork();
                match libc::fork() {
                    -1 => {
                        let error = io::Error::last_os_error();
                        ffi::PyOS_AfterFork_Parent();
                        Err(error)
                    }
                    0 => {
                        ffi::PyOS_AfterFork_Child();
                        Ok(Fork::Child)
                    }
                    pid => {
                        ffi::PyOS_AfterFork_Parent();
                        Ok(Fork::Parent(pid))
                    }
                }
            }
        })
    }

    /// What Python does at the end of a program: waits for threads of the application that are not daemons, with them for
    /// the jobs of its executors, runs the functions registered with `atexit`, flushes `sys.stdout` and `sys.stderr`. The
    /// last use of Python in a process that leaves; objects are not torn down, for the kernel does that faster. Blocks as
    /// long as the application likes.
    pub(crate) fn finish(&self) {
        // In the interpreter's own order (Py_FinalizeEx). Exceptions of the functions are printed by Python and don't
        // come here.
        const LAST_CALLS: [(&str, &str); 2] = [("threading", "_shutdown"), ("atexit", "_run_exitfuncs")];
        Python::attach(|py| {
            for (module, function) in LAST_CALLS {
                let called = py.import(module).and_then(|module| module.call_method0(function));
                if let Err(error) = called {
                    tracing::error!("{module}.{function}() failed: {error}");
                }
            }
            flush_stdio(py);
        });
    }
}

/// The files that modules were imported from so far, without those that are no UTF-8. Nothing if Python was never started.
pub(crate) fn imported_files() -> Vec<String> {
    if !STARTED.load(Ordering::SeqCst) {
        return Vec::new();
    }
    Python::attach(|py| {
        let modules = py.import("sys").and_then(|sys| sys.getattr("modules")?.call_method0("copy"));
        let Ok(modules) = modules.and_then(|modules| Ok(modules.cast_into::<PyDict>()?)) else { return Vec::new() };
        let file = |module: Bound<'_, PyAny>| module.getattr("__file__").ok()?.extract::<String>().ok();
        modules.values().iter().filter_map(file).filter(|path| path.starts_with('/')).collect()
    })
}

fn c_string(bytes: &[u8]) -> Result<CString, StartError> {
    CString::new(bytes).map_err(|_| StartError::Nul(String::from_utf8_lossy(bytes).into_owned()))
}

/// Starts Python as `program` and gives the interpreter lock back. Called once per process.
fn start(program: &CStr, argv0: &CStr) -> Result<(), StartError> {
    let mut config = MaybeUninit::<ffi::PyConfig>::uninit();
    let config = config.as_mut_ptr();
    let mut argv = [argv0.as_ptr()];
    // SAFETY: PyConfig_InitPythonConfig initialises all of `config`, which is cleared once and not used after. The strings
    // are NUL-terminated and copied by the callees. Py_InitializeFromConfig is called once per process (`initialize` sees
    // to that) and, when it succeeds, returns with this thread attached, as PyEval_SaveThread demands.
    unsafe {
        ffi::PyConfig_InitPythonConfig(config);
        (*config).install_signal_handlers = 0;
        (*config).parse_argv = 0;
        let mut status = ffi::PyConfig_SetBytesArgv(config, 1, argv.as_mut_ptr());
        if !program.is_empty() && ffi::PyStatus_Exception(status) == 0 {
            status = ffi::PyConfig_SetBytesString(config, &raw mut (*config).program_name, program.as_ptr());
        }
        if ffi::PyStatus_Exception(status) == 0 {
            status = ffi::Py_InitializeFromConfig(config);
        }
        ffi::PyConfig_Clear(config);
        if ffi::PyStatus_Exception(status) != 0 {
            return Err(StartError::Python(reason(&status)));
        }
        ffi::PyEval_SaveThread();
    }
    Ok(())
}

fn reason(status: &ffi::PyStatus) -> String {
    if status.err_msg.is_null() {
        return format!("it wants to exit with status {}", status.exitcode);
    }
    // SAFETY: a PyStatus holds a NUL-terminated string with static lifetime, or NULL.
    unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy().into_owned()
}

/// What the `python` program does between its start and the first line of a script.
fn prepare(py: Python<'_>, pythonpath: &[PathBuf]) -> PyResult<()> {
    // `threading` takes the thread that imports it first for the main thread.
    py.import("threading")?;
    forget_interrupts(py)?;
    let here = env::current_dir()?;
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    let entries = pythonpath.iter().map(|entry| here.join(entry));
    for (place, entry) in entries.chain([here.clone()]).enumerate() {
        path.insert(place, text_of(py, &entry)?)?;
    }
    Ok(())
}

/// Takes back the SIGINT handler that the `signal` module installs when it is first imported, whatever the configuration
/// says, unless the signal is ignored.
fn forget_interrupts(py: Python<'_>) -> PyResult<()> {
    let signal = py.import("signal")?;
    let interrupt = signal.getattr("SIGINT")?;
    let handler = signal.call_method1("getsignal", (&interrupt,))?;
    if handler.is(&signal.getattr("default_int_handler")?) {
        signal.call_method1("signal", (interrupt, signal.getattr("SIG_DFL")?))?;
    }
    Ok(())
}

/// A path as `sys.path` has them: `str`, also where the bytes are not UTF-8.
fn text_of<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyAny>> {
    Ok(path.as_os_str().into_pyobject(py)?.into_any())
}

fn flush_stdio(py: Python<'_>) {
    for name in ["stdout", "stderr"] {
        // None when the descriptor is closed; a full disk or a closed pipe is not ours to report on the same stream.
        let _ = py.import("sys").and_then(|sys| sys.getattr(name)).and_then(|stream| stream.call_method0("flush"));
    }
}
