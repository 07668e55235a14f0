//! The template process as the supervisor sees it: started by executing our own program, spoken to over the link.
//!
//! It is executed, never forked from the supervisor's memory, so a new program or new application code is a new
//! template. Its standard input is the link.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::config::{ACTIVATION_VARIABLES, Config, secret_variables};
use crate::link::{FromTemplate, Link, ToTemplate};
use crate::sys::process::Ending;
use crate::sys::{message, process};

/// What a template is given to share with its workers, besides the listeners.
pub(super) struct Shared<'a> {
    pub(super) scoreboard: BorrowedFd<'a>,
    pub(super) lifeline: BorrowedFd<'a>,
    pub(super) wake: BorrowedFd<'a>,
    pub(super) handoff: [BorrowedFd<'a>; 2],
}

/// A template process.
pub(super) struct Template {
    /// Counts templates, from 1.
    pub(super) number: u64,
    /// Its place in the event loop, which it shares with no other one that lives.
    pub(super) seat: usize,
    child: Child,
    pidfd: OwnedFd,
    /// `None` once it was told to leave.
    link: Option<Link>,
    /// The application is loaded.
    pub(super) ready: bool,
}

impl Template {
    /// Starts one and tells it what to serve.
    pub(super) fn start(
        (number, seat): (u64, usize),
        config: &Config,
        shared: &Shared<'_>,
        listeners: &[(BorrowedFd<'_>, String)],
    ) -> io::Result<Template> {
        let (ours, theirs) = message::pair()?;
        let mut command = Command::new("/proc/self/exe");
        // Neither is any business of the application's.
        for variable in ACTIVATION_VARIABLES.into_iter().map(str::to_owned).chain(secret_variables()) {
            command.env_remove(variable);
        }
        let child = command
            .arg0("smarthttpd: template")
            .arg("__template")
            .stdin(Stdio::from(theirs))
            // Its own process group: a Ctrl-C on the terminal is for the supervisor, which lets everybody finish.
            .process_group(0)
            .spawn()?;
        let pidfd = process::open(child.id() as i32)?;
        let link = Link::new(ours);
        let mut descriptors = vec![shared.scoreboard, shared.lifeline, shared.wake];
        descriptors.extend(shared.handoff);
        descriptors.extend(listeners.iter().map(|(fd, _)| *fd));
        let bound = listeners.iter().map(|(_, address)| address.clone()).collect();
        link.send(&ToTemplate::SetUp { config: Box::new(config.clone()), bound }, &descriptors)?;
        Ok(Template { number, seat, child, pidfd, link: Some(link), ready: false })
    }

    /// Asks for a worker.
    pub(super) fn spawn(&self, slot: usize, generation: u64) -> io::Result<()> {
        match &self.link {
            Some(link) => link.send(&ToTemplate::Spawn { slot, generation }, &[]),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// What it has said: `None` when nothing waits, or the link is closed.
    pub(super) fn receive(&mut self) -> Option<(FromTemplate, Vec<OwnedFd>)> {
        match self.link.as_mut()?.receive() {
            Ok(received) => received,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    tracing::error!("the link to the template: {error}");
                }
                None
            }
        }
    }

    /// True until it is told to leave: as long as it reports what becomes of its workers.
    pub(super) fn reports(&self) -> bool {
        self.link.is_some()
    }

    /// Takes its orders away: it leaves.
    pub(super) fn dismiss(&mut self) {
        self.link = None;
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<Ending> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.try_wait().ok()??;
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => Ending::Exited(code),
            (None, Some(signal)) => Ending::Signaled(signal),
            (None, None) => Ending::Unknown,
        })
    }

    /// The last resort, for one that does not leave.
    pub(super) fn kill(&self) {
        // An error means that it has ended already.
        let _ = process::kill(self.pidfd.as_fd());
    }

    /// Readable when it has ended.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Readable when it has said something.
    pub(super) fn link(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(AsFd::as_fd)
    }

    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}
