//! The checkout: where it is, and what has to be built and installed before anything can be measured.
//!
//! Everything goes under the target folder: the server's binary, `bench/venv` (Flask and the Python servers) and
//! `bench/packages-X.Y` (Flask for the Python that mod_wsgi is linked to, where that is another one). Both are kept
//! until the requirements or the Python change.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::process::tool::{self, Outcome};

/// Debian's path of the module.
const MOD_WSGI: &str = "/usr/lib/apache2/modules/mod_wsgi.so";

/// The checkout that the harness works in.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the checkout: around the package that cargo runs, else around the current folder.
    ///
    /// # Errors
    /// When neither is inside a checkout of this project.
    pub(crate) fn find() -> Result<Self, Failure> {
        let starts = [std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from), std::env::current_dir().ok()];
        let root = starts
            .iter()
            .flatten()
            .flat_map(|start| start.ancestors())
            .find(|folder| folder.join("bench/requirements.txt").is_file())
            .map(Path::to_owned)
            .ok_or_else(|| Failure::Usage("not inside a checkout: start bench from the project's folder".into()))?;
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self { root, target })
    }

    /// Where reports go unless told otherwise.
    pub(crate) fn results(&self) -> PathBuf {
        self.root.join("results")
    }

    /// The applications' folder.
    pub(crate) fn apps(&self) -> PathBuf {
        self.root.join("bench/apps")
    }

    fn requirements(&self) -> PathBuf {
        self.root.join("bench/requirements.txt")
    }

    /// The virtual environment's folder, there or not.
    pub(crate) fn venv(&self) -> PathBuf {
        self.target.join("bench/venv")
    }

    /// The server's binary, there or not.
    pub(crate) fn server(&self) -> PathBuf {
        self.target.join("release/smarthttpd")
    }

    /// Builds the server in the release profile.
    ///
    /// # Errors
    /// Cargo's last words.
    pub(crate) fn build_server(&self) -> Result<PathBuf, Failure> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let target = self.target.display().to_string();
        let outcome = tool::run(
            &[&cargo, "build", "--release", "-p", "smarthttpd"],
            Some(&self.root),
            &[("CARGO_TARGET_DIR", &target)],
            tool::WORK,
        );
        done("building smarthttpd", outcome)?;
        Ok(self.server())
    }

    /// The commit that is checked out, with `+changes` when the folder differs from it.
    pub(crate) fn revision(&self) -> String {
        let git = |arguments: &[&str]| {
            let mut words = vec!["git"];
            words.extend(arguments);
            tool::run(&words, Some(&self.root), &[], tool::ASK)
                .ok()
                .filter(|outcome| outcome.success)
                .map(|outcome| outcome.out.trim().to_owned())
        };
        match git(&["rev-parse", "--short=12", "HEAD"]) {
            None => "unknown (not a git checkout)".into(),
            // The results folder grows while one works; it does not change what is measured.
            Some(commit) => match git(&["status", "--porcelain", "--", ".", ":!results"]).as_deref() {
                Some("") => commit,
                _ => commit + "+changes",
            },
        }
    }

    /// Keeps other sessions in this checkout from preparing at the same time; released when dropped.
    fn lock(&self) -> Result<File, Failure> {
        let folder = self.target.join("bench");
        fs::create_dir_all(&folder).map_err(Failure::io("make", &folder))?;
        let path = folder.join("lock");
        let file = File::create(&path).map_err(Failure::io("make", &path))?;
        file.lock().map_err(Failure::io("lock", &path))?;
        Ok(file)
    }

    /// Makes sure that the virtual environment is there, made by the Python that the server is built with.
    ///
    /// # Errors
    /// What Python or pip said last.
    pub(crate) fn prepare_venv(&self) -> Result<PathBuf, Failure> {
        let _lock = self.lock()?;
        let python = std::env::var("PYO3_PYTHON").unwrap_or_else(|_| "python3".into());
        let version = done("python3", tool::run(&[&python, "-VV"], None, &[], tool::ASK))?.out;
        let folder = self.venv();
        let stamp = self.stamp(&version)?;
        if is_stamped(&folder, &stamp) {
            return Ok(folder);
        }
        let place = folder.display().to_string();
        let pip = folder.join("bin/pip").display().to_string();
        let requirements = self.requirements().display().to_string();
        done(
            "making the virtual environment",
            tool::run(&[&python, "-m", "venv", "--clear", &place], None, &[], tool::WORK),
        )?;
        done(
            "installing Flask, Django and gunicorn",
            tool::run(&[&pip, "install", "--quiet", "-r", &requirements], None, &[], tool::WORK),
        )?;
        write_stamp(&folder, &stamp)?;
        Ok(folder)
    }

    /// Makes sure that one more package (`name==version`) is in the virtual environment, which is there.
    ///
    /// # Errors
    /// What pip said last, as a rule that a compiler or a library is missing. The next session tries again.
    pub(crate) fn prepare_package(&self, package: &str) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let file = package_stamp(&self.venv(), package);
        if fs::read_to_string(&file).is_ok_and(|found| found == package) {
            return Ok(());
        }
        let pip = self.venv().join("bin/pip").display().to_string();
        let pinned = self.requirements().display().to_string();
        done(
            &format!("installing {package}"),
            // What it needs comes along, but Flask and the others stay as they are pinned.
            tool::run(&[&pip, "install", "--quiet", "--constraint", &pinned, package], None, &[], tool::WORK),
        )?;
        fs::write(&file, package).map_err(Failure::io("write", &file))
    }

    /// Runs a module of the applications as a program, which makes its data in `folder`.
    ///
    /// # Errors
    /// What Python said last.
    pub(crate) fn make_data(&self, module: &str, folder: &Path) -> Result<(), Failure> {
        let python = self.venv().join("bin/python").display().to_string();
        let program = self.apps().join(format!("{module}.py")).display().to_string();
        let folder = folder.display().to_string();
        done(&format!("making the data of {module}"), tool::run(&[&python, &program, &folder], None, &[], tool::WORK))?;
        Ok(())
    }

    /// The packages for mod_wsgi's Python: those of the virtual environment when it has the same version, else a
    /// folder of their own. `None` without mod_wsgi.
    ///
    /// # Errors
    /// What pip said last.
    pub(crate) fn prepare_mod_wsgi_packages(&self) -> Result<Option<PathBuf>, Failure> {
        let _lock = self.lock()?;
        if !Path::new(MOD_WSGI).exists() {
            return Ok(None);
        }
        let linked = done("ldd", tool::run(&["ldd", MOD_WSGI], None, &[], tool::ASK))?.out;
        let wanted = linked_python(&linked).ok_or_else(|| Failure::Prepare {
            what: "finding mod_wsgi's Python".into(),
            reason: "ldd names no libpython".into(),
        })?;
        let venv = self.venv();
        let python = venv.join("bin/python").display().to_string();
        let ask = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sysconfig.get_path('purelib'))";
        let said = done("python3", tool::run(&[&python, "-c", ask], None, &[], tool::ASK))?.out;
        if let Some((version, folder)) = said.trim().split_once(' ')
            && version == wanted
        {
            return Ok(Some(PathBuf::from(folder)));
        }
        let folder = self.target.join(format!("bench/packages-{wanted}"));
        let stamp = self.stamp(&wanted)?;
        if is_stamped(&folder, &stamp) {
            return Ok(Some(folder));
        }
        // Half an installation from an interrupted run would otherwise be completed by pip only in part.
        let _ = fs::remove_dir_all(&folder);
        let pip = venv.join("bin/pip").display().to_string();
        let place = folder.display().to_string();
        let requirements = self.requirements().display().to_string();
        done(
            "installing Flask and Django for mod_wsgi's Python",
            tool::run(
                &[
                    &pip,
                    "install",
                    "--quiet",
                    "--target",
                    &place,
                    "--python-version",
                    &wanted,
                    "--only-binary=:all:",
                    "-r",
                    &requirements,
                ],
                None,
                &[],
                tool::WORK,
            ),
        )?;
        write_stamp(&folder, &stamp)?;
        Ok(Some(folder))
    }

    /// What an installation depends on: the requirements and the Python.
    fn stamp(&self, python: &str) -> Result<String, Failure> {
        let path = self.requirements();
        let text = fs::read_to_string(&path).map_err(Failure::io("read", &path))?;
        Ok(format!("{}\n{text}", python.trim()))
    }
}

fn stamp_file(folder: &Path) -> PathBuf {
    folder.join(".bench-stamp")
}

/// The file that says that a package of this name is installed; contender files need it by this name.
fn package_stamp(venv: &Path, package: &str) -> PathBuf {
    let name = package.split_once("==").map_or(package, |(name, _)| name);
    venv.join(format!(".bench-{name}"))
}

fn is_stamped(folder: &Path, stamp: &str) -> bool {
    fs::read_to_string(stamp_file(folder)).is_ok_and(|found| found == stamp)
}

fn write_stamp(folder: &Path, stamp: &str) -> Result<(), Failure> {
    let file = stamp_file(folder);
    fs::write(&file, stamp).map_err(Failure::io("write", &file))
}

fn done(what: &str, outcome: Result<Outcome, String>) -> Result<Outcome, Failure> {
    let failed = |reason| Failure::Prepare { what: what.to_owned(), reason };
    let outcome = outcome.map_err(failed)?;
    if outcome.success { Ok(outcome) } else { Err(failed(outcome.last_words())) }
}

/// The X.Y of the `libpythonX.Y.so` in what ldd prints.
fn linked_python(ldd: &str) -> Option<String> {
    let (_, rest) = ldd.split_once("libpython")?;
    let (version, _) = rest.split_once(".so")?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_python_is_in_the_librarys_name() {
        let rows = [
            (
                "\tlinux-vdso.so.1 (0x00007f)\n\tlibpython3.11.so.1.0 => /lib/libpython3.11.so.1.0 (0x00)\n",
                Some("3.11"),
            ),
            ("\tlibpython3.9.so.1.0 => not found\n", Some("3.9")),
            // A module that is linked statically.
            ("\tlibc.so.6 => /lib/libc.so.6 (0x0)\n", None),
        ];
        for (text, expected) in rows {
            assert_eq!(linked_python(text).as_deref(), expected);
        }
    }

    #[test]
    fn a_package_s_stamp_has_its_name_only() {
        let rows = [("bjoern==3.2.2", "/v/.bench-bjoern"), ("bjoern", "/v/.bench-bjoern")];
        for (package, expected) in rows {
            assert_eq!(package_stamp(Path::new("/v"), package), Path::new(expected));
        }
    }

    #[test]
    fn stamps_tell_one_installation_from_another() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_stamped(folder.path(), "a"));
        write_stamp(folder.path(), "a").unwrap();
        assert!(is_stamped(folder.path(), "a"));
        assert!(!is_stamped(folder.path(), "b"));
    }
}
