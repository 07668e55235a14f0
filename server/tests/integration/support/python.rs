//! A virtual environment with frameworks and linters, made once and shared by all test runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is installed; a change makes the environment anew.
const REQUIREMENTS: &str = include_str!("../../apps/requirements.txt");

/// The folder of the test applications.
pub(crate) fn apps() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps"))
}

/// The environment's folder.
pub(crate) fn venv() -> &'static Path {
    static VENV: OnceLock<PathBuf> = OnceLock::new();
    VENV.get_or_init(|| prepare().unwrap_or_else(|problem| panic!("no Python environment for the tests: {problem}")))
}

/// The interpreter that the server was built for.
pub(super) fn interpreter() -> &'static str {
    match env!("SMARTHTTPD_BUILD_PYTHON") {
        "" => "python3",
        path => path,
    }
}

fn prepare() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("the target folder has no parent")?;
    let home = target.join("python-tests");
    let say = |what: &str, error: std::io::Error| format!("{what} {}: {error}", home.display());
    fs::create_dir_all(&home).map_err(|error| say("can't create", error))?;
    let lock = File::create(home.join("lock")).map_err(|error| say("can't write to", error))?;
    // Two test runs at once: the second waits for the first.
    lock.lock().map_err(|error| say("can't lock", error))?;
    let venv = home.join("venv");
    let stamp = venv.join("complete");
    let wanted = format!("{}{REQUIREMENTS}", python_version()?);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(venv);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(|error| say("can't renew the environment in", error))?;
    }
    let venv_module = "install Python's venv module (Debian: apt-get install python3-venv)";
    run(Command::new(interpreter()).args(["-m", "venv"]).arg(&venv), venv_module)?;
    let requirements = apps().join("requirements.txt");
    let mut install = Command::new(venv.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements);
    run(&mut install, "pip must reach a package index")?;
    fs::write(&stamp, wanted).map_err(|error| say("can't write to", error))?;
    Ok(venv)
}

fn python_version() -> Result<String, String> {
    run(Command::new(interpreter()).args(["-c", "import sys; print(sys.version)"]), "install python3")
}

/// Runs `python -m MODULE` in the environment, in the folder of the test applications, with one variable set.
pub(crate) fn run_module(module: &str, variable: (&str, &Path)) {
    let mut command = Command::new(venv().join("bin/python"));
    command.args(["-m", module]).current_dir(apps()).env(variable.0, variable.1).env("PYTHONDONTWRITEBYTECODE", "1");
    run(&mut command, "see what it says").unwrap_or_else(|problem| panic!("{problem}"));
}

/// What a script prints that the environment's interpreter runs with these arguments.
pub(crate) fn run_script(script: &str, arguments: &[&Path]) -> String {
    let mut command = Command::new(venv().join("bin/python"));
    command.arg("-c").arg(script).args(arguments);
    run(&mut command, "see what it says").unwrap_or_else(|problem| panic!("{problem}"))
}

/// SHA-256 in hexadecimal, as the interpreter computes it for a file in `folder` that these bytes are written to.
pub(crate) fn sha256(folder: &Path, bytes: &[u8]) -> String {
    const SCRIPT: &str = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    let path = folder.join("to-digest");
    fs::write(&path, bytes).expect("a file can be written");
    let digest = run(Command::new(interpreter()).args(["-c", SCRIPT]).arg(path), "install python3");
    digest.expect("Python can be run").trim().to_owned()
}

/// The command's standard output; the error says what to do.
fn run(command: &mut Command, remedy: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}; {remedy}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?} failed: {}; {remedy}", String::from_utf8_lossy(&output.stderr).trim()))
}
