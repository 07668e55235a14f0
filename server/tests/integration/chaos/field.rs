//! Where the storm rages: a server, and the books that are kept of it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::ledger::Ledger;
use crate::support::status::Reply;
use crate::support::{Server, Status, wait};

/// Shared by witnesses, blows and the watch.
pub(super) struct Field<'a> {
    server: &'a Server,
    ledger: Ledger,
}

impl<'a> Field<'a> {
    /// A server that nothing has been done to.
    pub(super) fn new(server: &'a Server) -> Field<'a> {
        Field { server, ledger: Ledger::default() }
    }

    /// The server.
    pub(super) fn server(&self) -> &'a Server {
        self.server
    }

    /// The books.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What `ctl status` would say, without a process for each time it is asked.
    pub(super) fn status(&self) -> Status {
        let text = self.ask("{\"command\":\"status\"}");
        let reply: Reply = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        reply.ok.check();
        reply.ok
    }

    /// Gives an order, and notes whether it was obeyed: amid a storm it may not be.
    pub(super) fn command(&self, order: &str) {
        let text = self.ask(order);
        let reply: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        let obeyed = reply.get("ok").is_some();
        assert_ne!(obeyed, reply.get("error").is_some(), "{order}: {text}");
        self.ledger.note_order(obeyed);
    }

    fn ask(&self, order: &str) -> String {
        let mut control = UnixStream::connect(self.server.control()).expect("the supervisor lives");
        control.set_read_timeout(Some(wait::PATIENCE)).expect("a time-out can be set");
        control.write_all(format!("{order}\n").as_bytes()).expect("the supervisor lives");
        let mut text = String::new();
        control.read_to_string(&mut text).expect("the supervisor answers");
        text
    }

    /// The pids of the workers that there are now.
    pub(super) fn workers(&self) -> Vec<i32> {
        self.status().pids().into_iter().filter(|pid| *pid > 0).collect()
    }

    /// The pid of the template, if there is one now: the supervisor's only child that is no worker.
    pub(super) fn template(&self) -> Option<i32> {
        let workers = self.workers();
        let children = self.server.children_of(self.server.pid());
        children.into_iter().find(|pid| !workers.contains(pid))
    }
}
