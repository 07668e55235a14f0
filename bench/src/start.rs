//! From a contender to a running server that answers rightly.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::contender::spec::Packages;
use crate::contender::{Contender, Places};
use crate::gate;
use crate::probe::Probe;
use crate::process::server::{Server, Start};
use crate::results::schema::Entrant;
use crate::scenario::described::failure::Reload;
use crate::scenario::{Lengths, Scenario};

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Attempts when somebody else takes the port between our looking for it and the server's binding it.
const ATTEMPTS: u32 = 3;

/// What is the same for every start of a session.
#[derive(Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) places: &'a Places,
    /// The same with the application and packages where Apache's user can read them.
    pub(crate) published: &'a Places,
    pub(crate) scratch: &'a Path,
    /// The server's CPUs; empty: not pinned.
    pub(crate) cpus: &'a [usize],
    /// How many CPUs that are.
    pub(crate) cpu_count: usize,
    /// Every CPU, for the scenarios in which the server may use them all; empty: not pinned.
    pub(crate) all_cpus: &'a [usize],
    pub(crate) lengths: &'a Lengths,
    /// What the application needs to know, see `bench/apps`.
    pub(crate) environment: &'a [(&'static str, String)],
}

/// A server that has passed the gate.
pub(crate) struct Ready {
    pub(crate) server: Server,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
    /// The folder of this start: its log, its configuration file.
    pub(crate) scratch: PathBuf,
    /// What the application says that it runs on.
    pub(crate) about: BTreeMap<String, String>,
    /// The command that has it tell of its workers; empty where it has none.
    pub(crate) account: Vec<String>,
    /// How it is told to reload.
    pub(crate) reload: Option<Reload>,
}

impl Circumstances<'_> {
    /// The CPUs of a server in `scenario`; empty: not pinned.
    pub(crate) fn cpus(&self, scenario: Scenario) -> &[usize] {
        if scenario.shares_cpus() { self.all_cpus } else { self.cpus }
    }

    /// How many these are.
    fn cpu_count(&self, scenario: Scenario) -> usize {
        if scenario.shares_cpus() { self.all_cpus.len().max(1) } else { self.cpu_count }
    }

    fn places(&self, contender: &Contender) -> Places {
        let places = match contender.packages {
            Packages::Venv => self.places.clone(),
            Packages::ModWsgi => self.published.clone(),
        };
        let places = match contender.workers {
            // A contender of its own where all CPUs are the server's: its command is told once.
            Some(workers) => {
                let scenarios = contender.scenarios.iter();
                let least = scenarios.map(|scenario| self.cpu_count(*scenario)).min().unwrap_or(self.cpu_count);
                places.with_value("workers", &workers.on(least))
            }
            None => places,
        };
        // A setting that is tried comes before the number of workers that the CPUs suggest.
        contender.settings.iter().fold(places, |places, (name, value)| places.with_value(name, value))
    }

    /// How the results tell of this contender.
    pub(crate) fn entrant(
        &self,
        contender: &Contender,
        versions: BTreeMap<String, String>,
        missing: Option<String>,
    ) -> Entrant {
        let places = self.places(contender);
        Entrant {
            name: contender.name.clone(),
            title: contender.title.clone(),
            terms: contender.terms.clone(),
            managers: contender.managers,
            scenarios: contender.scenarios.clone(),
            tuning: contender.told_tuning(),
            command: contender.command.iter().map(|word| places.tell(word)).collect(),
            config: contender.config_template().map(|text| places.tell(text)),
            versions,
            missing,
        }
    }

    /// Starts a contender, waits until it answers, and has it pass the gate of `scenario`. `label` names its files.
    ///
    /// # Errors
    /// A sentence, with the tail of the server's log where it may help. Nothing is left running.
    pub(crate) fn start(
        &self,
        contender: &Contender,
        scenario: Scenario,
        label: &str,
        probe: &Probe,
    ) -> Result<Ready, String> {
        let mut attempt = 1;
        loop {
            match self.start_once(contender, scenario, &format!("{label}-{attempt}"), probe) {
                Err(reason) if attempt < ATTEMPTS && is_clash(&reason) => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn start_once(
        &self,
        contender: &Contender,
        scenario: Scenario,
        label: &str,
        probe: &Probe,
    ) -> Result<Ready, String> {
        let scratch = self.scratch.join(label);
        fs::create_dir(&scratch).map_err(|error| format!("scratch folder: {error}"))?;
        let described = self.lengths.description(scenario).map(|description| description.app.as_str());
        let module = scenario.application().module().or(described).ok_or("the scenario has no description")?;
        let mut places = self.places(contender).with("scratch", &scratch, "{scratch}").with_value("app", &module);
        let free = match contender.port_after {
            None => Some(free_port()?),
            Some(_) => None,
        };
        if let Some(port) = free {
            places = places.with_value("port", &port);
        }
        if let Some(template) = contender.config_template() {
            let config = scratch.join("server.conf");
            fs::write(&config, places.fill(template)?).map_err(|error| format!("configuration file: {error}"))?;
            places = places.with("config", &config, "{config}");
        }
        let recording = contender.recording.iter().filter(|_| scenario == Scenario::Counters);
        let words = contender.command.iter().chain(recording);
        let command = words.map(|word| places.fill(word)).collect::<Result<Vec<_>, _>>()?;
        let server = Server::spawn(Start {
            title: &contender.title,
            command: &command,
            folder: &scratch,
            log: scratch.join("log"),
            cpus: self.cpus(scenario),
            environment: self.environment,
        })?;
        let port = match (free, &contender.port_after) {
            (None, Some(after)) => {
                server.await_with(READY_WITHIN, "printing its address", |server| port_after(&server.log(), after))?
            }
            (Some(port), _) => port,
            (None, None) => unreachable!("a port is free or reported"),
        };
        let base = format!("http://127.0.0.1:{port}");
        server.await_with(READY_WITHIN, "answering", |_| {
            probe.get(&format!("{base}/")).ok().filter(|answer| answer.status == 200)
        })?;
        let about = gate::pass(probe, &base, scenario, self.lengths)
            .map_err(|reason| format!("{}: {reason}", contender.title))?;
        let account = contender.account.iter().map(|word| places.fill(word)).collect::<Result<_, _>>()?;
        let reload = match &contender.reload {
            Some(Reload::Command(words)) => {
                Some(Reload::Command(words.iter().map(|word| places.fill(word)).collect::<Result<_, _>>()?))
            }
            other => other.clone(),
        };
        Ok(Ready { server, base, scratch, about, account, reload })
    }
}

/// A port that nobody uses now.
fn free_port() -> Result<u16, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

/// The number behind the first `after` that is followed by a whole one.
fn port_after(log: &str, after: &str) -> Option<u16> {
    log.match_indices(after).find_map(|(at, _)| {
        let rest = &log[at + after.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..digits].parse().ok().filter(|port| *port != 0)
    })
}

/// The C library's words for EADDRINUSE, which every server repeats.
fn is_clash(reason: &str) -> bool {
    reason.contains("ddress already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_once_it_is_written_whole() {
        let rows = [
            ("listening on http://127.0.0.1:4711/\n", Some(4711)),
            ("listening on 127.0.0.1:4711\n", Some(4711)),
            // The log may be read in the middle of a line.
            ("listening on http://127.0.0.1:47", None),
            // What was asked for is not what was given.
            ("--bind 127.0.0.1:0 …\nhttp://127.0.0.1:4711/", Some(4711)),
            ("", None),
        ];
        for (log, expected) in rows {
            assert_eq!(port_after(log, "127.0.0.1:"), expected, "{log:?}");
        }
    }

    #[test]
    fn clashes_are_told_from_other_failures() {
        assert!(is_clash("(98)Address already in use: AH00072"));
        assert!(!is_clash("No module named flask_app"));
    }
}
