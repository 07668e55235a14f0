//! Whether an interrupted session can go on here, and what it was about.
//!
//! Results are never mixed: what was measured before and after an interruption must have come of the same machine, the
//! same builds and the same versions. Pure; `session` asks before it starts anything.

use std::path::{Path, PathBuf};

use crate::builds;
use crate::contender::spec;
use crate::failure::Failure;
use crate::results::schema::{Entrant, RunId, Session};
use crate::scenario::Scenario;
use crate::session::{GIVEN, Wish, after_the_search};

/// What was asked for when the session in `folder` began.
///
/// # Errors
/// A session that cannot go on, and why.
pub(crate) fn wish(session: &Session, folder: &Path, smarthttpd: Option<PathBuf>) -> Result<Wish, Failure> {
    let refused = |reason: &str| Failure::Usage(format!("--resume {}: {reason}", folder.display()));
    let Some(plan) = &session.plan else {
        return Err(refused("an older bench began this session and did not store what it takes; begin a new one"));
    };
    match (&smarthttpd, session.server_build == GIVEN) {
        (None, true) => {
            return Err(refused("the session measures a binary given with --smarthttpd; give the same one again"));
        }
        (Some(_), false) => {
            return Err(refused("the session measures the checkout's smarthttpd; leave --smarthttpd out"));
        }
        _ => {}
    }
    let mut contenders = spec::chosen(&plan.contenders, &plan.scenarios)?;
    // They may take part in less than they can.
    for contender in &mut contenders {
        if let Some(entrant) = session.contenders.iter().find(|entrant| entrant.name == contender.name) {
            contender.scenarios.retain(|scenario| entrant.scenarios.contains(scenario));
        }
    }
    Ok(Wish {
        contenders,
        scenarios: plan.scenarios.clone(),
        described: session.lengths.described.clone(),
        named: plan.named,
        quick: session.quick,
        starts: None,
        divide: None,
        retries: plan.retries,
        seed: Some(session.seed),
        out: Some(folder.to_owned()),
        smarthttpd,
    })
}

/// Whether every run of the session is among the `stored` ones, also those that are planned after a search.
pub(crate) fn is_complete(session: &Session, stored: impl Fn(&RunId) -> bool) -> bool {
    let later = session.plan.iter().flat_map(|plan| after_the_search(&plan.scenarios));
    let planned = |scenario: Scenario| session.order.iter().any(|id| id.scenario == scenario);
    later.into_iter().all(planned) && session.order.iter().all(stored)
}

/// Compares the session as it was begun with the one that would be begun now.
///
/// # Errors
/// The first thing that differs, and what to do about it.
pub(crate) fn check(begun: &Session, now: &Session, folder: &Path) -> Result<(), Failure> {
    match difference(begun, now) {
        None => Ok(()),
        Some(difference) => Err(Failure::Usage(format!(
            "--resume {}: {difference}, or begin a new session; `bench report` makes a report of what is stored",
            folder.display()
        ))),
    }
}

fn difference(begun: &Session, now: &Session) -> Option<String> {
    let (then, here) = (&begun.machine, &now.machine);
    let facts = [
        ("CPU", then.cpu.clone(), here.cpu.clone()),
        ("number of usable CPUs", then.cores.to_string(), here.cores.to_string()),
        ("kernel", then.kernel.clone(), here.kernel.clone()),
        ("frequency governor", then.governor.clone(), here.governor.clone()),
    ];
    for (what, then, here) in facts {
        if then != here {
            return Some(format!("the machine's {what} was {then:?} and is {here:?}; go on where it was begun"));
        }
    }
    // The kernel keeps a little more or less for itself from one boot to the next.
    if then.memory_mib.abs_diff(here.memory_mib) > then.memory_mib / 100 {
        let (then, here) = (then.memory_mib, here.memory_mib);
        return Some(format!("the machine's memory was {then} MiB and is {here} MiB; go on where it was begun"));
    }
    if begun.pinning != now.pinning {
        return Some("servers and generator would be pinned to other CPUs; allow this process the same ones".into());
    }
    let builds = |session: &Session| session.plan.as_ref().map(|plan| plan.builds.clone()).unwrap_or_default();
    let (then, here) = (builds(begun), builds(now));
    if let Some(what) = then.keys().chain(here.keys()).find(|what| then.get(*what) != here.get(*what)) {
        let remedy = if what == builds::SERVER && begun.server_build == GIVEN {
            "give the binary that it was begun with"
        } else {
            "check that revision out and build it"
        };
        return Some(format!(
            "{what} differs from what the session was begun with at revision {} (here is {}); {remedy}",
            begun.revision, now.revision
        ));
    }
    entrants(&begun.contenders, &now.contenders)
}

fn entrants(begun: &[Entrant], now: &[Entrant]) -> Option<String> {
    for then in begun {
        let name = &then.name;
        let Some(here) = now.iter().find(|entrant| entrant.name == *name) else {
            return Some(format!("contender {name} is not known any more; check the session's revision out"));
        };
        if then.versions != here.versions {
            let told = |entrant: &Entrant| {
                let versions: Vec<String> = entrant.versions.iter().map(|(of, v)| format!("{of} {v}")).collect();
                if versions.is_empty() { "none".to_owned() } else { versions.join(", ") }
            };
            let (then, here) = (told(then), told(here));
            return Some(format!("{name}'s versions were {then} and are {here}; install the former"));
        }
        if then.missing.is_some() != here.missing.is_some() {
            return Some(match &here.missing {
                Some(missing) => format!("{name} has gone since ({missing}); install it again"),
                None => format!("{name} was not installed then and is now; remove it"),
            });
        }
        if (&then.command, &then.config) != (&here.command, &here.config) {
            return Some(format!("{name} would be started by another command; check the session's revision out"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::machine::{Machine, Pinning};
    use crate::results::schema::{Plan, SCHEMA};
    use crate::scenario::Lengths;

    fn session() -> Session {
        let machine = Machine {
            cpu: "fast".into(),
            cores: 2,
            memory_mib: 8000,
            kernel: "6.1".into(),
            governor: "performance".into(),
        };
        let entrant = Entrant {
            name: "smarthttpd-one".into(),
            title: "one".into(),
            terms: String::new(),
            managers: 2,
            scenarios: vec![Scenario::Hello],
            command: vec!["smarthttpd".into()],
            config: None,
            versions: BTreeMap::from([("smarthttpd".into(), "1".into())]),
            missing: None,
            tuning: None,
        };
        let id = RunId { scenario: Scenario::Hello, replicate: 1, contender: "smarthttpd-one".into() };
        Session {
            schema: SCHEMA,
            started: "2026-11-27T00:00:00Z".into(),
            quick: true,
            seed: 7,
            pinning: Pinning { server: vec![0], generator: vec![1] },
            machine,
            revision: "aaaa".into(),
            server_build: "built".into(),
            lengths: Lengths::of(true),
            contenders: vec![entrant],
            order: vec![id],
            plan: Some(Plan {
                scenarios: vec![Scenario::Hello],
                contenders: vec!["smarthttpd-one".into()],
                named: true,
                retries: 1,
                builds: BTreeMap::from([(builds::SERVER.into(), "12".into())]),
            }),
            resumed: Vec::new(),
        }
    }

    #[test]
    fn results_are_never_mixed() {
        type Change = fn(&mut Session);
        let rows: [(Change, Option<&str>); 13] = [
            (|_| (), None),
            // What says nothing of the figures may differ.
            (|s| s.revision = "bbbb".into(), None),
            (|s| s.machine.memory_mib = 7990, None),
            (|s| s.contenders[0].scenarios.clear(), None),
            (|s| s.machine.cpu = "slow".into(), Some("the machine's CPU was \"fast\" and is \"slow\"; go on where")),
            (|s| s.machine.cores = 3, Some("the machine's number of usable CPUs was \"2\" and is \"3\"")),
            (|s| s.machine.kernel = "6.2".into(), Some("the machine's kernel was \"6.1\"")),
            (|s| s.machine.memory_mib = 4000, Some("the machine's memory was 8000 MiB and is 4000 MiB")),
            (|s| s.pinning.server = vec![1], Some("pinned to other CPUs")),
            (
                |s| _ = s.plan.as_mut().unwrap().builds.insert(builds::SERVER.into(), "13".into()),
                Some("smarthttpd differs from what the session was begun with at revision aaaa (here is aaaa); check"),
            ),
            (
                |s| _ = s.contenders[0].versions.insert("smarthttpd".into(), "2".into()),
                Some("smarthttpd-one's versions were smarthttpd 1 and are smarthttpd 2; install the former"),
            ),
            (|s| s.contenders[0].missing = Some("make it".into()), Some("has gone since (make it)")),
            (|s| s.contenders[0].command.push("--fast".into()), Some("would be started by another command")),
        ];
        for (change, expected) in rows {
            let mut now = session();
            change(&mut now);
            let said = check(&session(), &now, Path::new("results/x")).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(said, Ok(())),
                Some(expected) => {
                    let said = said.unwrap_err();
                    assert!(said.starts_with("--resume results/x: ") && said.contains(expected), "{said}");
                    assert!(said.contains(", or begin a new session"), "{said}");
                }
            }
        }
    }

    #[test]
    fn what_was_asked_for_is_stored() {
        let folder = Path::new("results/x");
        let again = wish(&session(), folder, None).unwrap();
        assert_eq!((again.seed, again.retries, again.quick, again.named), (Some(7), 1, true, true));
        assert_eq!(again.contenders.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["smarthttpd-one"]);
        let refusals: [(Session, Option<PathBuf>, &str); 3] = [
            (Session { plan: None, ..session() }, None, "an older bench began this session"),
            (Session { server_build: GIVEN.into(), ..session() }, None, "give the same one again"),
            (session(), Some("smarthttpd".into()), "leave --smarthttpd out"),
        ];
        for (session, given, expected) in refusals {
            let said = wish(&session, folder, given).unwrap_err();
            assert!(said.to_string().contains(expected), "{said}");
            assert_eq!(said.exit_code(), 2);
        }
    }

    #[test]
    fn a_session_is_complete_with_what_comes_after_the_search() {
        let mut session = session();
        assert!(is_complete(&session, |_| true));
        assert!(!is_complete(&session, |_| false));
        session.plan.as_mut().unwrap().scenarios.push(Scenario::Mixed);
        assert!(!is_complete(&session, |_| true), "the search is over, and what it was for is not planned yet");
        session.order.push(RunId { scenario: Scenario::Mixed, ..session.order[0].clone() });
        assert!(is_complete(&session, |_| true));
    }
}
