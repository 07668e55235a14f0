//! Embeds every file of `contenders/`, `suites/`, `scenarios/` and `scenarios/simulate/`, so that adding a contender, a suite or a
//! scenario, measured or simulated, is adding a file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    embed(&package.join("contenders"), &out.join("contenders.rs"));
    embed(&package.join("suites"), &out.join("suites.rs"));
    embed(&package.join("scenarios"), &out.join("scenarios.rs"));
    embed(&package.join("scenarios/simulate"), &out.join("simulate.rs"));
}

/// Writes the names and texts of the files in `folder` as an array.
fn embed(folder: &Path, into: &Path) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder is part of the source")
        .map(|entry| entry.expect("a readable folder"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name())
        .map(|name| name.into_string().expect("a UTF-8 file name"))
        .collect();
    names.sort();
    let mut code = String::from("&[\n");
    for name in names {
        let path = folder.join(&name);
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(code, "    ({name:?}, include_str!({:?})),", path.display().to_string()).expect("writing to a string");
    }
    code.push_str("]\n");
    fs::write(into, code).expect("a writable OUT_DIR");
}
