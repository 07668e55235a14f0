//! The template: the process that has the application imported and forks every worker from that state.
//!
//! It owns the interpreter and stays single-threaded. It waits on its link, on the lifeline and on its workers' pidfds; it
//! forks when asked, reaps what ends, and reports both. It decides nothing. When the supervisor is gone (the link or the
//! lifeline closes) it leaves; the workers see the lifeline themselves.

mod leftovers;
mod rehearsal;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::config::{self, AppSource, Config, Exit, Mpm, Rehearsal, Statics};
use crate::exchange::Application;
use crate::handoff::Handoff;
use crate::link::{FromTemplate, Link, ToTemplate, abridged};
use crate::listener::Listener;
use crate::scoreboard::Scoreboard;
use crate::sys::process::{self, Ending};
use crate::sys::wakeup::Wakeup;
use crate::worker::{self, Outfit};
use crate::{log, native, statics, wsgi};

/// Even with the longest paths (PATH_MAX) these fit.
const FILES_IN_A_MESSAGE: usize = 24;

/// What the supervisor handed over.
struct Inheritance {
    config: Config,
    scoreboard: Scoreboard,
    lifeline: OwnedFd,
    supervisor: Wakeup,
    handoff: Handoff,
    listeners: Vec<Listener>,
}

/// Where workers get their application from.
enum Source {
    /// Ready to be shared by fork.
    Loaded(Loaded),
    /// `--no-preload`: each worker imports for itself.
    Later { interpreter: wsgi::Interpreter, module: String, callable: String, facts: wsgi::Facts },
}

/// An application, and the Python that it needs.
struct Loaded {
    application: Arc<dyn Application>,
    python: Option<(wsgi::Interpreter, Hooks)>,
}

/// What of the application is called when a worker comes and goes.
struct Hooks {
    post_fork: Option<wsgi::Hook>,
    worker_exit: Option<wsgi::Hook>,
}

/// One living worker.
struct Child {
    slot: usize,
    generation: u64,
    pidfd: OwnedFd,
}

/// Becomes the template that the supervisor has executed. The link is standard input, which Python must not find there: it
/// gets an empty one.
pub(crate) fn be() -> Exit {
    // The supervisor's mask, which an exec inherits, is not for the application's own processes.
    let unmasked = nix::sys::signal::SigSet::empty().thread_set_mask();
    // Executed as /proc/self/exe, it would show as `exe` in process lists. Only a name: no failure matters.
    let _ = nix::sys::prctl::set_name(c"smarthttpd");
    let link = io::stdin().as_fd().try_clone_to_owned();
    let nothing = std::fs::File::open("/dev/null");
    match (link, nothing) {
        (Ok(link), Ok(nothing)) if unmasked.is_ok() && nix::unistd::dup2_stdin(&nothing).is_ok() => {
            run(Link::new(link))
        }
        _ => {
            eprintln!("smarthttpd: __template is only for smarthttpd itself");
            Exit::Usage
        }
    }
}

/// The template's whole life; `link` is its end. Also the whole life of the workers, which return from here as well.
fn run(mut link: Link) -> Exit {
    let inheritance = match set_up(&mut link) {
        Ok(inheritance) => inheritance,
        Err(error) => {
            eprintln!("smarthttpd: the template was not set up: {error}");
            return Exit::Failure;
        }
    };
    log::init(inheritance.config.error_log, inheritance.config.log_format, "template");
    let prepared = prepare(&inheritance.config);
    report_imports(&link, &inheritance.config);
    let source = match prepared {
        Ok(source) => source,
        Err(message) => {
            eprintln!("smarthttpd: {message}");
            // The supervisor learns the same from our exit status when the link is already gone.
            let _ = link.send(&FromTemplate::LoadFailed { problem: abridged(&message) }, &[]);
            return Exit::Application;
        }
    };
    if link.send(&FromTemplate::Ready, &[]).is_err() {
        return Exit::Ok;
    }
    serve(link, inheritance, source)
}

fn set_up(link: &mut Link) -> io::Result<Inheritance> {
    let Some((ToTemplate::SetUp { config, bound }, descriptors)) = link.receive()? else {
        return Err(io::Error::other("the supervisor said nothing"));
    };
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or_else(|| io::Error::other("a descriptor is missing"));
    let scoreboard = Scoreboard::map(next()?.as_fd())?;
    let lifeline = next()?;
    let supervisor = Wakeup::from(next()?);
    let handoff = Handoff::adopt(next()?, next()?);
    let listeners = bound.iter().map(|address| Listener::adopt(next()?, address)).collect::<io::Result<Vec<_>>>()?;
    Ok(Inheritance { config: *config, scoreboard, lifeline, supervisor, handoff, listeners })
}

/// Tells the supervisor which files it should watch.
fn report_imports(link: &Link, config: &Config) {
    if !config.watch || matches!(config.app, AppSource::Native { .. }) {
        return;
    }
    let files = wsgi::imported_files();
    // Some at a time: a message is bounded, and paths may be long.
    for piece in files.chunks(FILES_IN_A_MESSAGE) {
        // Whoever is gone needs no news.
        let _ = link.send(&FromTemplate::Imported { files: piece.to_vec() }, &[]);
    }
}

/// Imports the application, or gets as far as `--no-preload` allows. The error is the message for the operator.
fn prepare(config: &Config) -> Result<Source, String> {
    let (module, callable) = match &config.app {
        AppSource::Native { name } => {
            let application = native::find(name)
                .ok_or_else(|| format!("--app native:{name}: there is no such native application; there is: hello"))?;
            return Ok(Source::Loaded(Loaded { application, python: None }));
        }
        AppSource::Wsgi { module, callable } => (module.clone(), callable.clone()),
    };
    let interpreter = wsgi::initialize(&wsgi::PythonOptions {
        chdir: config.python.chdir.clone(),
        pythonpath: config.python.pythonpath.clone(),
        venv: config.python.venv.clone(),
        argv0: module.clone(),
    })
    .map_err(|error| error.to_string())?;
    let facts = wsgi::Facts {
        multithread: multithread(&config.mpm),
        multiprocess: multiprocess(&config.mpm),
        root_path: config.root_path.as_str().to_owned(),
        tasks: config.tasks.is_some(),
    };
    if !config.preload {
        return Ok(Source::Later { interpreter, module, callable, facts });
    }
    let before = leftovers::Before::look();
    let application = interpreter.load(&module, &callable, &facts).map_err(|error| error.to_string())?;
    let hooks = find_hooks(&interpreter, &config.hooks)?;
    rehearse(&application, &config.rehearse);
    interpreter.freeze();
    let doing = if config.rehearse.is_empty() { "importing" } else { "importing and rehearsing" };
    let doing = format!("{doing} {module}");
    for warning in [leftovers::threads(&doing, &interpreter.threads()), before.opened(&doing)].into_iter().flatten() {
        tracing::warn!("{warning}");
    }
    Ok(Source::Loaded(Loaded { application: Arc::new(application), python: Some((interpreter, hooks)) }))
}

fn rehearse(application: &dyn Application, paths: &[Rehearsal]) {
    if paths.is_empty() {
        return;
    }
    let began = Instant::now();
    for complaint in rehearsal::rehearse(application, paths) {
        tracing::warn!("{complaint}");
    }
    tracing::info!("rehearsed {} path(s) in {} ms", paths.len(), began.elapsed().as_millis());
}

fn find_hooks(interpreter: &wsgi::Interpreter, wanted: &config::Hooks) -> Result<Hooks, String> {
    let find = |option: &str, hook: &Option<config::Hook>| match hook {
        None => Ok(None),
        Some(config::Hook { module, callable }) => {
            interpreter.hook(module, callable).map(Some).map_err(|error| format!("{option}: {error}"))
        }
    };
    Ok(Hooks {
        post_fork: find("--on-post-fork", &wanted.post_fork)?,
        worker_exit: find("--on-worker-exit", &wanted.worker_exit)?,
    })
}

fn multithread(mpm: &Mpm) -> bool {
    match mpm {
        Mpm::Adaptive { max_threads, .. } => *max_threads > 1,
        Mpm::Static { threads, .. } => *threads > 1,
        Mpm::Prefork { .. }
        | Mpm::Busyness { .. }
        | Mpm::Spare { .. }
        | Mpm::Dynamic { .. }
        | Mpm::Ondemand { .. }
        | Mpm::Unit { .. } => false,
    }
}

fn multiprocess(mpm: &Mpm) -> bool {
    mpm.most_workers() > 1
}

/// Forks and reaps until the supervisor is gone.
fn serve(mut link: Link, inheritance: Inheritance, source: Source) -> Exit {
    let mut children: Vec<Child> = Vec::new();
    loop {
        let ready = match wait(&link, &inheritance.lifeline, &children) {
            Ok(ready) => ready,
            Err(error) => {
                tracing::error!("the template can't wait for events: {error}");
                return Exit::Failure;
            }
        };
        if ready.orphaned {
            return Exit::Ok;
        }
        for index in ready.ended.into_iter().rev() {
            let child = children.swap_remove(index);
            let ending = process::reap(child.pidfd.as_fd()).unwrap_or(Ending::Unknown);
            let news = FromTemplate::Exited { slot: child.slot, generation: child.generation, ending };
            if link.send(&news, &[]).is_err() {
                return Exit::Ok;
            }
        }
        if !ready.link {
            continue;
        }
        match link.receive::<ToTemplate>() {
            Ok(Some((ToTemplate::Spawn { slot, generation }, _))) => match spawn(&link, &source, slot, generation) {
                Ok(Spawned::Child(child)) => children.push(child),
                Ok(Spawned::Failed) => {}
                Ok(Spawned::Worker { wake }) => {
                    drop(children);
                    return work(link, inheritance, source, slot, generation, wake);
                }
                Err(_) => return Exit::Ok,
            },
            Ok(Some((ToTemplate::SetUp { .. }, _))) => tracing::error!("the supervisor set the template up twice"),
            Ok(None) | Err(_) => return Exit::Ok,
        }
    }
}

/// What woke the template.
struct Ready {
    link: bool,
    orphaned: bool,
    /// Indices into the children, ascending.
    ended: Vec<usize>,
}

fn wait(link: &Link, lifeline: &OwnedFd, children: &[Child]) -> nix::Result<Ready> {
    let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut descriptors: Vec<PollFd<'_>> = vec![watch(link.as_fd()), watch(lifeline.as_fd())];
    descriptors.extend(children.iter().map(|child| watch(child.pidfd.as_fd())));
    while let Err(error) = poll(&mut descriptors, PollTimeout::NONE) {
        if error != Errno::EINTR {
            return Err(error);
        }
    }
    let ready = |index: usize| descriptors[index].any().unwrap_or(false);
    Ok(Ready {
        link: ready(0),
        orphaned: ready(1),
        ended: (0..children.len()).filter(|index| ready(index + 2)).collect(),
    })
}

/// What became of one spawn.
enum Spawned {
    Child(Child),
    Failed,
    /// This process is the new worker.
    Worker {
        wake: Wakeup,
    },
}

/// Forks one worker and reports it. The error means that the supervisor is gone.
fn spawn(link: &Link, source: &Source, slot: usize, generation: u64) -> io::Result<Spawned> {
    let born = match bear(source) {
        Ok(born) => born,
        Err(error) => {
            link.send(&FromTemplate::SpawnFailed { slot, generation, error: why_not(&error) }, &[])?;
            return Ok(Spawned::Failed);
        }
    };
    match born {
        Born::Worker { wake } => Ok(Spawned::Worker { wake }),
        Born::Child { pid, pidfd, wake } => {
            link.send(&FromTemplate::Spawned { slot, generation, pid }, &[pidfd.as_fd(), wake.as_fd()])?;
            Ok(Spawned::Child(Child { slot, generation, pidfd }))
        }
    }
}

/// Why there is no new worker, and what to do about it.
fn why_not(error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(libc::EAGAIN) => {
            "there are as many processes as the user or the control group may have (ulimit -u, pids.max)"
        }
        Some(libc::ENOMEM) => "there is no memory for it; allow more, or fewer workers",
        Some(libc::EMFILE | libc::ENFILE) => "there are as many open files as there may be (ulimit -n)",
        _ => return error.to_string(),
    };
    format!("{error}: {remedy}")
}

/// The two sides of a fork.
enum Born {
    Child { pid: i32, pidfd: OwnedFd, wake: Wakeup },
    Worker { wake: Wakeup },
}

fn bear(source: &Source) -> io::Result<Born> {
    let wake = Wakeup::new()?;
    // Kept free for the child's pidfd: a child that can't be reported must not exist.
    let reserved = wake.as_fd().try_clone_to_owned()?;
    let interpreter = match source {
        Source::Loaded(Loaded { python, .. }) => python.as_ref().map(|(interpreter, _)| interpreter),
        Source::Later { interpreter, .. } => Some(interpreter),
    };
    let pid = match interpreter {
        Some(interpreter) => match interpreter.fork()? {
            wsgi::Fork::Parent(pid) => pid,
            wsgi::Fork::Child => return Ok(Born::Worker { wake }),
        },
        None => match process::fork()? {
            0 => return Ok(Born::Worker { wake }),
            pid => pid,
        },
    };
    drop(reserved);
    // The child is ours and not yet reaped, so its pid can't have been given to another process.
    Ok(Born::Child { pid, pidfd: process::open(pid)?, wake })
}

/// The files that are laid over the application.
fn files(config: &Statics) -> statics::Settings {
    statics::Settings {
        mounts: config.mounts.iter().map(|mount| (mount.prefix.clone(), mount.directory.clone())).collect(),
        max_age: config.max_age,
        precompressed: config.precompressed,
        follow_links: config.follow_links,
    }
}

/// The rest of a worker's life. Its parent's `link` is for the news that it can't get ready.
fn work(link: Link, inheritance: Inheritance, source: Source, slot: usize, generation: u64, wake: Wakeup) -> Exit {
    log::set_role(&format!("worker {slot}"));
    if !inheritance.scoreboard.slot(slot).move_in(generation, std::process::id()) {
        return Exit::Ok;
    }
    let loaded = load(source, &inheritance.config);
    if !inheritance.config.preload {
        report_imports(&link, &inheritance.config);
    }
    let Loaded { application, python } = match loaded {
        Ok(loaded) => loaded,
        Err(problem) => return fail(&link, slot, generation, &problem),
    };
    if let Some(hook) = python.as_ref().and_then(|(_, hooks)| hooks.post_fork.as_ref())
        && let Err(traceback) = hook.call()
    {
        let problem = format!("--on-post-fork raised {}\n{traceback}", last_line(&traceback));
        return fail(&link, slot, generation, &problem);
    }
    drop(link);
    let outfit = Outfit {
        application: statics::lay_over(application, files(&inheritance.config.statics)),
        config: inheritance.config,
        slot: inheritance.scoreboard.slot(slot),
        scoreboard: inheritance.scoreboard,
        generation,
        lifeline: inheritance.lifeline,
        supervisor: inheritance.supervisor,
        wake,
        handoff: inheritance.handoff,
        listeners: inheritance.listeners,
    };
    let code = worker::run(outfit);
    if let Some((interpreter, hooks)) = python {
        if let Some(hook) = hooks.worker_exit.filter(|_| code == Exit::Ok)
            && let Err(traceback) = hook.call()
        {
            tracing::error!("--on-worker-exit raised {}\n{traceback}", last_line(&traceback));
        }
        interpreter.finish();
    }
    code
}

/// The application and its hooks, as the template has loaded them or as the worker now does.
fn load(source: Source, config: &Config) -> Result<Loaded, String> {
    match source {
        Source::Loaded(loaded) => Ok(loaded),
        Source::Later { interpreter, module, callable, facts } => {
            let application = interpreter.load(&module, &callable, &facts).map_err(|error| error.to_string())?;
            let hooks = find_hooks(&interpreter, &config.hooks)?;
            rehearse(&application, &config.rehearse);
            Ok(Loaded { application: Arc::new(application), python: Some((interpreter, hooks)) })
        }
    }
}

/// The exception itself: Python prints it last.
fn last_line(traceback: &str) -> &str {
    traceback.lines().last().unwrap_or_default()
}

/// The worker can't get ready: says so to the operator, and to whoever has asked for this worker.
fn fail(link: &Link, slot: usize, generation: u64, problem: &str) -> Exit {
    eprintln!("smarthttpd: {problem}");
    // The supervisor learns from our exit status that there is something wrong, if not what.
    let _ = link.send(&FromTemplate::WorkerFailed { slot, generation, problem: abridged(problem) }, &[]);
    Exit::Application
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::steady;

    /// One application that answers at once, and one that does as Flask does: an iterator that must be closed.
    const APPLICATIONS: &str = r#"
BODY = b"Hello, World!"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]

def plain(environ, start_response):
    start_response("200 OK", HEADERS)
    return [BODY]

class Closing:
    def __init__(self):
        self.pieces = iter((piece for piece in (BODY,)))
    def __iter__(self):
        return self
    def __next__(self):
        return next(self.pieces)
    def close(self):
        pass

def closing(environ, start_response):
    start_response("200 OK", HEADERS)
    return Closing()
"#;

    #[test]
    fn a_wsgi_request_allocates_nothing_of_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("steady_applications.py"), APPLICATIONS).expect("room");
        let interpreter = wsgi::initialize(&wsgi::PythonOptions {
            chdir: None,
            pythonpath: vec![folder.path().to_owned()],
            venv: None,
            argv0: "steady".to_owned(),
        })
        .expect("Python");
        let facts = wsgi::Facts { multithread: false, multiprocess: false, root_path: String::new(), tasks: true };
        for callable in ["plain", "closing"] {
            let application = interpreter.load("steady_applications", callable, &facts).expect("the application");
            let made = steady::allocations(Arc::new(application), 8, 500);
            assert!(made <= steady::NOW_AND_THEN, "{made} allocations, {callable}");
        }
    }
}
