//! Node.js with the npm packages of the tests, installed once and shared by all test runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is installed; a change makes the folder anew.
const PACKAGES: &str = include_str!("../node/package.json");

/// The folder in which they are installed.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| prepare().unwrap_or_else(|problem| panic!("no npm packages for the tests: {problem}")))
}

fn prepare() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("the target folder has no parent")?;
    let home = target.join("node-tests");
    let say = |what: &str, error: std::io::Error| format!("{what} {}: {error}", home.display());
    fs::create_dir_all(&home).map_err(|error| say("can't create", error))?;
    let lock = File::create(home.join("lock")).map_err(|error| say("can't write to", error))?;
    // Two test runs at once: the second waits for the first.
    lock.lock().map_err(|error| say("can't lock", error))?;
    let stamp = home.join("complete");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == PACKAGES) {
        return Ok(home);
    }
    fs::write(home.join("package.json"), PACKAGES).map_err(|error| say("can't write to", error))?;
    let words = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"];
    run(Command::new("npm").args(words).current_dir(&home), "npm must be there and reach a package index")?;
    fs::write(&stamp, PACKAGES).map_err(|error| say("can't write to", error))?;
    Ok(home)
}

fn run(command: &mut Command, remedy: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error} ({remedy})"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {} ({remedy})", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a script of `tests/node` prints, given these files.
pub(crate) fn script(name: &str, files: &[&Path]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node").join(name);
    let mut node = Command::new("node");
    node.env("NODE_PATH", home().join("node_modules")).arg(script).args(files);
    run(&mut node, "see what it says").unwrap_or_else(|problem| panic!("{problem}"))
}
