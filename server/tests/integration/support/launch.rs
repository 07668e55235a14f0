//! Starting a server, and what comes of starts that fail.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::processes::Mark;
use super::python;
use super::server::{Lines, Server, await_exit};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_smarthttpd");

/// How to start a server. By default on a free port of the loopback interface, with its control socket in a folder of
/// its own, in the folder of the test applications.
pub(crate) struct Launch {
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    clear_environment: bool,
    bind: Vec<OsString>,
    launcher: Vec<OsString>,
    stdin: Option<OwnedFd>,
    chdir: Option<PathBuf>,
    mark: Mark,
    folder: TempDir,
}

/// A process that has ended by itself.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// It failed with this exit code, and this is all it says on standard error: one line.
    pub(crate) fn complaint(&self, code: i32) -> &str {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        self.stderr.trim_end()
    }
}

impl Launch {
    /// Serves `app`.
    pub(crate) fn new(app: &str) -> Launch {
        Launch::bare().arg(app)
    }

    /// Names no application.
    pub(crate) fn bare() -> Launch {
        Launch {
            arguments: Vec::new(),
            variables: Vec::new(),
            clear_environment: false,
            bind: vec!["127.0.0.1:0".into()],
            launcher: Vec::new(),
            stdin: None,
            chdir: Some(python::apps().to_owned()),
            mark: Mark::new(),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// One more argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Launch {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments, separated by spaces.
    pub(crate) fn args(mut self, arguments: &str) -> Launch {
        self.arguments.extend(arguments.split_ascii_whitespace().map(OsString::from));
        self
    }

    /// A fixed number of workers and threads.
    pub(crate) fn fixed(self, workers: u32, threads: u32) -> Launch {
        self.args(&format!("--mpm static --workers {workers} --threads {threads}"))
    }

    /// Runs in the environment that has the frameworks.
    pub(crate) fn venv(self) -> Launch {
        self.arg("--venv").arg(python::venv())
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Launch {
        self.variables.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Hands down no variable of our own.
    pub(crate) fn clear_environment(mut self) -> Launch {
        self.clear_environment = true;
        self
    }

    /// Listens at these addresses instead.
    pub(crate) fn bind(mut self, addresses: &[&str]) -> Launch {
        self.bind = addresses.iter().map(OsString::from).collect();
        self
    }

    /// Is started by this Python script, whose arguments are `arguments`, the program and the program's own ones.
    pub(crate) fn under(mut self, script: &str, arguments: &[&str]) -> Launch {
        self.launcher = vec![python::interpreter().into(), "-c".into(), script.into()];
        self.launcher.extend(arguments.iter().map(OsString::from));
        self
    }

    /// Has this as its standard input.
    pub(crate) fn stdin(mut self, stdin: OwnedFd) -> Launch {
        self.stdin = Some(stdin);
        self
    }

    /// Looks for the application in the server's own folder, where `module.py` has this `source`.
    pub(crate) fn with_module(mut self, module: &str, source: &str) -> Launch {
        std::fs::write(self.folder.path().join(format!("{module}.py")), source).expect("a module can be written");
        self.chdir = Some(self.folder.path().to_owned());
        self
    }

    /// Stays in the folder that the tests run in.
    pub(crate) fn stay(mut self) -> Launch {
        self.chdir = None;
        self
    }

    /// The server's own folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self) -> Command {
        let mut command = match self.launcher.split_first() {
            Some((launcher, arguments)) => {
                let mut command = Command::new(launcher);
                command.args(arguments).arg(PROGRAM);
                command
            }
            None => Command::new(PROGRAM),
        };
        if self.clear_environment {
            command.env_clear();
        }
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"SMARTHTTPD_") || name == "VIRTUAL_ENV" {
                command.env_remove(name);
            }
        }
        let (mark, value) = self.mark.variable();
        // The test applications stand in the source tree, where no compiled files belong.
        command.env(mark, value).env("PYTHONDONTWRITEBYTECODE", "1").envs(self.variables.iter().cloned());
        for address in &self.bind {
            command.arg("--bind").arg(address);
        }
        if let Some(folder) = &self.chdir {
            command.arg("--chdir").arg(folder);
        }
        command.arg("--control-socket").arg(self.folder.path().join("control.sock"));
        let stdin = self.stdin.as_ref().map(|stdin| Stdio::from(stdin.try_clone().expect("a descriptor is free")));
        command
            .args(&self.arguments)
            .stdin(stdin.unwrap_or_else(Stdio::null))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts it and waits until it serves.
    pub(crate) fn start(self) -> Server {
        let mut server = self.spawn();
        server.await_serving();
        server
    }

    /// Starts it.
    pub(crate) fn spawn(self) -> Server {
        let child = self.command().spawn().expect("the server can be started");
        Server::new(child, self.mark, self.folder)
    }

    /// Starts what can't serve, and waits for its end. No process of it may be left then.
    pub(crate) fn fail(self) -> Finished {
        let mut child = self.command().spawn().expect("the server can be started");
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        let status = await_exit(&mut child, &stderr, &self.mark);
        let left = self.mark.processes();
        self.mark.kill_all();
        assert!(left.is_empty(), "left behind: {left:?}; it said {}", stderr.text());
        Finished { status, stdout: stdout.whole(), stderr: stderr.whole() }
    }
}
