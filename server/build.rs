//! Links the server with the interpreter that pyo3 was built for, so that the binary runs without `LD_LIBRARY_PATH` and C
//! extensions find the interpreter's symbols, and tells the program where that interpreter is.

use pyo3_build_config::InterpreterConfig;

/// The interpreter itself, also when a virtual environment was active during the build: that one may be gone tomorrow.
const BASE_EXECUTABLE: &str = "import sys; print(getattr(sys, '_base_executable', None) or sys.executable)";

/// What a program that contains a static libpython has to be linked with, as the interpreter itself was.
const STATIC_LIBRARIES: &str =
    "import sysconfig; print(*(sysconfig.get_config_var(name) or '' for name in ('LIBS', 'MODLIBS', 'SYSLIBS')))";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let python = pyo3_build_config::get();
    if python.shared() {
        pyo3_build_config::add_libpython_rpath_link_args();
    } else {
        // A shared libpython exports its symbols by itself; a static one is part of the binary, whose symbols the linker
        // hides unless told otherwise, and every C extension would fail to load.
        println!("cargo:rustc-link-arg=-Wl,--export-dynamic");
        // The archive may have been compiled for a program at a fixed address, as Debian's is.
        println!("cargo:rustc-link-arg=-no-pie");
        for library in ask(python, STATIC_LIBRARIES).unwrap_or_default().split_whitespace() {
            println!("cargo:rustc-link-arg={library}");
        }
    }
    let executable = ask(python, BASE_EXECUTABLE).or_else(|| python.executable().map(str::to_owned));
    println!("cargo:rustc-env=SMARTHTTPD_BUILD_PYTHON={}", executable.unwrap_or_default());
    let version = python.target_abi().version();
    println!("cargo:rustc-env=SMARTHTTPD_BUILD_PYTHON_VERSION={}.{}", version.major, version.minor);
}

/// What the build-time interpreter prints when it runs `script`; nothing without an interpreter (`PYO3_CONFIG_FILE`).
fn ask(python: &InterpreterConfig, script: &str) -> Option<String> {
    let answer = python.executable().and_then(|_| python.run_python_script(script).ok())?;
    Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty())
}
