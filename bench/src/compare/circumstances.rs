//! What else differs between two sessions, and what that makes of a comparison. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::builds;
use crate::results::schema::{Entrant, Session};
use crate::scenario::Scenario;

/// Something that is not the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) effect: Effect,
}

/// What a difference does to the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// No figure is comparable.
    All,
    /// The figures of these scenarios are not comparable.
    Scenarios(Vec<Scenario>),
    /// Figures are compared, and a change may come from this: in these words.
    May(String),
}

impl Difference {
    /// Whether it forbids to compare the figures of this scenario.
    pub(crate) fn forbids(&self, scenario: Scenario) -> bool {
        match &self.effect {
            Effect::All => true,
            Effect::Scenarios(scenarios) => scenarios.contains(&scenario),
            Effect::May(_) => false,
        }
    }

    /// The consequence in words.
    pub(crate) fn consequence(&self) -> String {
        match &self.effect {
            Effect::All => "no figure is comparable".into(),
            Effect::Scenarios(scenarios) => {
                let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name()).collect();
                format!("not comparable: {}", names.join(", "))
            }
            Effect::May(words) => words.clone(),
        }
    }
}

/// All of them, those that forbid a comparison first.
pub(crate) fn differences(old: Option<&Session>, new: Option<&Session>) -> Vec<Difference> {
    let (Some(old), Some(new)) = (old, new) else {
        let known = |session: Option<&Session>| if session.is_some() { "a results folder" } else { "a summary alone" };
        return vec![Difference {
            what: "circumstances".into(),
            old: known(old).into(),
            new: known(new).into(),
            effect: Effect::May(
                "whether machine, lengths and versions are the same is not known; compare folders to know".into(),
            ),
        }];
    };
    let mut found = Vec::new();
    let mut look = |what: &str, old: String, new: String, effect: Effect| {
        if old != new {
            found.push(Difference { what: what.to_owned(), old, new, effect });
        }
    };
    let may = |words: &str| Effect::May(words.to_owned());
    look("CPU", old.machine.cpu.clone(), new.machine.cpu.clone(), Effect::All);
    look("usable CPUs", old.machine.cores.to_string(), new.machine.cores.to_string(), Effect::All);
    look("pinning", old.pinning.sentence(), new.pinning.sentence(), Effect::All);
    lengths(old, new, &mut look);
    let memory = |session: &Session| format!("{} MiB", session.machine.memory_mib);
    if old.machine.memory_mib.abs_diff(new.machine.memory_mib) > old.machine.memory_mib / 100 {
        look("memory", memory(old), memory(new), may("changes of memory and speed may come from it"));
    }
    look("kernel", old.machine.kernel.clone(), new.machine.kernel.clone(), may("any change may come from it"));
    let governor = |session: &Session| session.machine.governor.clone();
    look("frequency governor", governor(old), governor(new), may("changes of speed and CPU time may come from it"));
    let build = |session: &Session| {
        let plan = session.plan.as_ref();
        let build = plan.and_then(|plan| plan.builds.get(builds::HARNESS));
        build.map_or("not recorded".to_owned(), |build| format!("{}…", &build[..build.len().min(12)]))
    };
    look(
        "harness and load generator",
        build(old),
        build(new),
        may("another build: changes of rates and latencies may come from it; build one and measure both with it"),
    );
    look("seed", old.seed.to_string(), new.seed.to_string(), may("only the order of runs is another, which is chance"));
    entrants(old, new, &mut look);
    found
}

/// Scenarios that both sessions have, with other lengths or loads. How many starts there were is no difference: the
/// intervals know.
fn lengths(old: &Session, new: &Session, look: &mut impl FnMut(&str, String, String, Effect)) {
    let planned = |session: &Session, scenario: Scenario| session.order.iter().any(|id| id.scenario == scenario);
    let mut both: Vec<Scenario> =
        old.order.iter().map(|id| id.scenario).filter(|scenario| planned(new, *scenario)).collect();
    both.sort();
    both.dedup();
    let (before, after) = (leaves(&old.lengths), leaves(&new.lengths));
    let value = |of: &[(String, String)], path: &str| {
        of.iter().find(|(other, _)| other == path).map_or("none".to_owned(), |(_, value)| value.clone())
    };
    // "none" is a load that one of the two did not have.
    let paths = before.iter().chain(after.iter().filter(|(path, _)| value(&before, path) == "none"));
    for (path, _) in paths {
        let (before, after) = (value(&before, path), value(&after, path));
        let touched: Vec<Scenario> = both.iter().copied().filter(|scenario| concerns(path, *scenario)).collect();
        if before != after && !touched.is_empty() {
            look(path, before, after, Effect::Scenarios(touched));
        }
    }
    for scenario in both {
        let file = |session: &Session| session.lengths.description(scenario).map(leaves);
        if file(old) != file(new) {
            let what = format!("file of {}", scenario.name());
            look(&what, "one".into(), "another".into(), Effect::Scenarios(vec![scenario]));
        }
    }
}

/// What says nothing of how long or how hard: numbers of starts. The scenarios of files are compared by themselves.
const NO_LENGTHS: [&str; 3] = ["replicates", "starts", "described"];

/// Every plain value of the lengths with its path.
fn leaves(lengths: &impl Serialize) -> Vec<(String, String)> {
    fn walk(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if !NO_LENGTHS.contains(&&**name) {
                        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                        walk(&path, member, found);
                    }
                }
            }
            other => found.push((path.to_owned(), other.to_string())),
        }
    }
    let mut found = Vec::new();
    // What is stored with the results can be stored here.
    if let Ok(value) = serde_json::to_value(lengths) {
        walk("", &value, &mut found);
    }
    found
}

/// Whether the length at `path` is one of this scenario's. One that is nobody's own is everybody's.
fn concerns(path: &str, scenario: Scenario) -> bool {
    let settings = |scenario: Scenario| match scenario {
        Scenario::Hello | Scenario::Flask => "small",
        Scenario::Syscalls => "calls",
        Scenario::Search => "mixed",
        other => other.name(),
    };
    let is_of = |scenario: Scenario| path.split('.').any(|part| part == settings(scenario));
    is_of(scenario) || !Scenario::ALL.into_iter().any(is_of)
}

/// Contenders that were started otherwise, or are of another version.
fn entrants(old: &Session, new: &Session, look: &mut impl FnMut(&str, String, String, Effect)) {
    let may = || Effect::May("this may be what is compared; its changes may come from it".into());
    for before in &old.contenders {
        let Some(after) = new.contenders.iter().find(|entrant| entrant.name == before.name) else { continue };
        let versions = |entrant: &Entrant| {
            let versions: Vec<String> =
                entrant.versions.iter().map(|(of, version)| format!("{of} {version}")).collect();
            versions.join(", ")
        };
        look(&format!("versions of {}", before.name), versions(before), versions(after), may());
        let command = |entrant: &Entrant| entrant.command.join(" ");
        look(&format!("command of {}", before.name), command(before), command(after), may());
        let config = |entrant: &Entrant| entrant.config.clone().unwrap_or_default();
        if config(before) != config(after) {
            look(&format!("configuration of {}", before.name), "one".into(), "another".into(), may());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_belong_to_scenarios() {
        let rows = [
            ("steady.closed_s", vec![Scenario::Steady]),
            ("request_path.small.many_s", vec![Scenario::Hello, Scenario::Flask]),
            ("process_manager.mixed.rate", vec![Scenario::Search, Scenario::Mixed]),
            ("timeout_s", Scenario::ALL.to_vec()),
        ];
        for (path, expected) in rows {
            let touched: Vec<Scenario> = Scenario::ALL.into_iter().filter(|s| concerns(path, *s)).collect();
            assert_eq!(touched, expected, "{path}");
        }
    }

    #[test]
    fn scenarios_of_files_are_compared_by_themselves() {
        let steady = crate::scenario::described::files::all().unwrap().into_iter().next().unwrap();
        let mut lengths = crate::scenario::Lengths::of(true);
        let before = leaves(&lengths);
        lengths.describe(std::slice::from_ref(&steady), false);
        assert_eq!(leaves(&lengths), before, "one that only one session has touches no other");
        let mut more = steady.clone();
        more.starts += 1;
        assert_eq!(leaves(&more), leaves(&steady));
        more.app.push('x');
        assert_ne!(leaves(&more), leaves(&steady));
    }

    #[test]
    fn the_number_of_starts_is_no_length() {
        let mut lengths = crate::scenario::Lengths::of(true);
        let before = leaves(&lengths);
        lengths.start_each(9);
        assert_eq!(leaves(&lengths), before);
        assert!(before.iter().any(|(path, _)| path == "steady.closed_s"), "{before:?}");
        // Nothing but a scenario's own lengths, and those of all.
        let everybodys: Vec<&str> = before
            .iter()
            .map(|(path, _)| &**path)
            .filter(|path| Scenario::ALL.into_iter().all(|s| concerns(path, s)))
            .collect();
        assert_eq!(everybodys, ["timeout_s"]);
    }
}
