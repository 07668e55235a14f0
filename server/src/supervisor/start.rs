//! Everything that the supervisor opens before the first process is started, and what to say when that fails.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::backoff::Backoff;
use super::control::Control;
use super::decision_log::DecisionLog;
use super::events::{ADMIN, CONTROL, FILES, FIRST_CLIENT, FIRST_WATCHER, SIGNALS, WAKE};
use super::obituary::Coroner;
use super::renewal::{Renewal, Wear};
use super::rest::Rest;
use super::roster::Roster;
use super::status::Decided;
use super::terminal::Terminal;
use super::watch::Watch;
use super::{Phase, Supervisor, decision_log, policy, recycling};
use crate::admin::{self, Admin};
use crate::config::{Config, Exit, passed};
use crate::ctl;
use crate::ctl::protocol::{Counters, Tasks};
use crate::handoff::Handoff;
use crate::listener::{self, Listener};
use crate::scoreboard::Scoreboard;
use crate::sys::message::MOST_DESCRIPTORS;
use crate::sys::wakeup::Wakeup;

/// What one message can carry, less what every template gets.
const MOST_LISTENERS: usize = MOST_DESCRIPTORS - 5;

/// Why the supervisor could not begin.
#[derive(Debug)]
pub(super) enum StartError {
    Address(listener::BindError),
    Admin(admin::OpenError),
    System(String, io::Error),
}

impl From<admin::OpenError> for StartError {
    fn from(error: admin::OpenError) -> StartError {
        StartError::Admin(error)
    }
}

impl StartError {
    /// Tells the operator, and what to leave with.
    pub(super) fn tell(&self) -> Exit {
        match self {
            StartError::Address(error) => eprintln!("smarthttpd: {error}"),
            StartError::Admin(error) => eprintln!("smarthttpd: {error}"),
            StartError::System(what, error) => eprintln!("smarthttpd: {what}: {error}"),
        }
        match self {
            StartError::Address(_) | StartError::Admin(admin::OpenError::Address(_)) => Exit::Address,
            StartError::Admin(admin::OpenError::Token { .. }) => Exit::Usage,
            StartError::Admin(admin::OpenError::System(_)) | StartError::System(..) => Exit::Failure,
        }
    }
}

fn system(what: &str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System(what.to_owned(), error)
}

impl Supervisor {
    pub(super) fn new(mut config: Config) -> Result<Supervisor, StartError> {
        // First of all, while no descriptor is ours yet.
        let passed = passed(|name| std::env::var(name).ok(), std::process::id());
        let listeners = listener::open(&config.bind, config.backlog, config.unix_socket_mode, &passed)
            .map_err(StartError::Address)?;
        if listeners.len() > MOST_LISTENERS {
            let error = io::Error::other(format!("at most {MOST_LISTENERS} are possible"));
            return Err(StartError::System("too many --bind addresses".to_owned(), error));
        }
        let listening: Vec<String> = listeners.iter().map(Listener::url).collect();
        // Workers whose template died become our children, not init's.
        nix::sys::prctl::set_child_subreaper(true).map_err(|error| system("becoming the subreaper")(error.into()))?;
        let ceiling = policy::ceiling(&config.mpm);
        let scoreboard_fd = Scoreboard::create(policy::slots(ceiling)).map_err(system("creating the scoreboard"))?;
        let scoreboard = Scoreboard::map(scoreboard_fd.as_fd()).map_err(system("mapping the scoreboard"))?;
        let (lifeline, lifeline_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
            .map_err(|error| system("creating the lifeline")(error.into()))?;
        let wake = Wakeup::new().map_err(|error| system("creating the wake-up")(error.into()))?;
        let handoff = Handoff::new().map_err(system("creating the hand-off"))?;
        let signals = operator_signals().map_err(|error| system("reading signals as a descriptor")(error.into()))?;
        let poll = Poll::new().map_err(system("creating the event loop"))?;
        let register = |fd, token| poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE);
        register(signals.as_fd().as_raw_fd(), SIGNALS).map_err(system("watching signals"))?;
        register(wake.as_fd().as_raw_fd(), WAKE).map_err(system("watching the wake-up"))?;
        let watch = match config.watch {
            true => Some(Watch::new(&config.watch_extra).map_err(system("watching files (--reload)"))?),
            false => None,
        };
        if let Some(watch) = &watch {
            register(watch.readiness().as_raw_fd(), FILES).map_err(system("watching files (--reload)"))?;
        }
        let control = match config.control_off {
            true => None,
            false => Some(open_control(&config, &poll).map_err(|(path, error)| {
                StartError::System(format!("the control socket {path} (choose another with --control-socket)"), error)
            })?),
        };
        let decision_log = config.decision_log.as_deref().map(|path| {
            DecisionLog::create(path).map_err(|error| {
                let what = format!(
                    "the decision log {} (--decision-log; name a file in a folder that is there)",
                    path.display()
                );
                StartError::System(what, error)
            })
        });
        let decision_log = decision_log.transpose()?;
        // The configuration goes on to the processes that run the application, which has no business with the token.
        let admin_wanted = config.admin.take();
        let open = |wanted| Admin::open(wanted, poll.registry(), ADMIN, FIRST_WATCHER);
        let admin = admin_wanted.as_ref().map(open).transpose()?;
        Ok(Supervisor {
            policy: decision_log::policy(policy::setup(&config.mpm), decision_log.as_ref()),
            decision_log,
            scaled: None,
            renewal: Renewal::new(Wear::of(&config)),
            recycles: recycling::is_wanted(&config),
            next_weighing: Duration::ZERO,
            roster: Roster::new(scoreboard, config.max_worker_rss),
            config,
            poll,
            signals,
            terminal: Terminal::find(),
            wake,
            handoff,
            scoreboard,
            scoreboard_fd,
            lifeline,
            _lifeline_end: lifeline_end,
            listeners,
            listening,
            control,
            admin,
            admin_wanted,
            template: None,
            templates: 0,
            reload: None,
            handover: None,
            watch,
            reopening: None,
            code_generation: 1,
            leaving: Vec::new(),
            ceiling,
            template_backoff: Backoff::default(),
            worker_backoff: Backoff::default(),
            fork_backoff: Backoff::default(),
            coroner: Coroner::new(),
            phase: Phase::Starting,
            verdict: None,
            next_tick: Duration::ZERO,
            rest: Rest::Awake,
            last_stir: None,
            watches_listeners: false,
            next_burial: Duration::ZERO,
            decisions: VecDeque::new(),
            decided: Decided::default(),
            counters: Counters::default(),
            tasks: Tasks::default(),
            started: Instant::now(),
        })
    }
}

/// The signals that mean something to the server, as a descriptor.
fn operator_signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

fn open_control(config: &Config, poll: &Poll) -> Result<Control, (String, io::Error)> {
    let path = match &config.control {
        Some(path) => path.clone(),
        None => {
            let directory = ctl::default_directory();
            ctl::prepare_directory(&directory).map_err(|error| (directory.display().to_string(), error))?;
            directory.join(format!("{}.sock", std::process::id()))
        }
    };
    Control::bind(&path, poll.registry(), CONTROL, FIRST_CLIENT).map_err(|error| (path.display().to_string(), error))
}
