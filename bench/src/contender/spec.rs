//! A contender as its file describes it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::tuning::Parameter;
use crate::failure::Failure;
use crate::scenario::described::failure::Reload;
use crate::scenario::{Group, Scenario};

/// Every file of `bench/contenders/`: name and text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/contenders.rs"));

/// One `contenders/NAME.toml`. Texts may hold placeholders such as `{port}`, see [`super::Places`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contender {
    /// Place in every list; the first one of a comparison is what the others are compared with.
    pub(crate) order: u32,
    /// What `--contender` takes: letters, digits and hyphens.
    pub(crate) name: String,
    /// The name that the list has for it, where its own is another: it was named a second time.
    #[serde(skip)]
    twin_of: Option<String>,
    /// What tables and pictures say.
    pub(crate) title: String,
    /// Whether it takes part in its scenarios when no contender is named.
    pub(crate) default: bool,
    /// Scenarios in which it does so whatever `default` says.
    #[serde(default)]
    pub(crate) default_in: Vec<Scenario>,
    /// The scenarios that it can take part in; without them, those of the default comparison.
    #[serde(default = "Scenario::comparison")]
    pub(crate) scenarios: Vec<Scenario>,
    /// Those of them in which it does so only when it is named.
    #[serde(default)]
    pub(crate) when_named: Vec<Scenario>,
    /// The contender in whose place it takes part in those all the same, where that one is not installed.
    #[serde(default)]
    pub(crate) stands_in_for: Option<String>,
    /// The terms it runs under, in words: workers, threads, keep-alive, logging.
    pub(crate) terms: String,
    /// How many processes of its tree serve no request.
    pub(crate) managers: u32,
    /// How the command line of those that serve begins, where the number of the others is not always the same.
    #[serde(default)]
    pub(crate) serving: Option<String>,
    /// Where its Python finds Flask.
    pub(crate) packages: Packages,
    /// The Python package that it is, with its version, as pip takes it. A session that it takes part in installs it
    /// into the virtual environment; where that fails it is not measured.
    #[serde(default)]
    pub(crate) package: Option<String>,
    /// The value of `{workers}`.
    #[serde(default)]
    pub(crate) workers: Option<Workers>,
    /// It stands for one contender per size, a number of workers with a number of threads, see [`Contender::sized`]:
    /// all are in the search, and the best of them in the scenario that the search is for.
    #[serde(default)]
    pub(crate) grid: bool,
    /// What can be set, and the few values that are tried for it.
    #[serde(default)]
    pub(crate) tuning: BTreeMap<String, Parameter>,
    /// Why there is nothing to set, for a contender that sizes itself.
    #[serde(default)]
    pub(crate) nothing_to_tune: Option<String>,
    /// The values of placeholders that the file, or a setting that is tried, gives.
    #[serde(skip)]
    pub(crate) settings: BTreeMap<String, String>,
    /// The contender that it is a setting of, and that setting in words.
    #[serde(skip)]
    pub(crate) tried_for: Option<(String, String)>,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// What the command gets in addition in runs that count: the server writes down what its process manager decides, in
    /// `{scratch}/decisions.log`.
    #[serde(default)]
    pub(crate) recording: Vec<String>,
    /// The file (beside this one) whose text, filled in, becomes `{config}`.
    #[serde(default)]
    pub(crate) config: Option<String>,
    /// The server chooses its port and prints it behind this text; without it the harness finds a free one.
    #[serde(default)]
    pub(crate) port_after: Option<String>,
    /// The command that has the server tell of its workers, as JSON with the names of `smarthttpd ctl status --json`.
    #[serde(default)]
    pub(crate) account: Vec<String>,
    /// How it is told to load its code anew: `{ signal = "SIGHUP" }` to the root of its tree, or `{ command = […] }`.
    /// Without it, it takes no part in a scenario that does so.
    #[serde(default)]
    pub(crate) reload: Option<Reload>,
    #[serde(default)]
    pub(crate) needs: Vec<Need>,
    #[serde(default)]
    pub(crate) versions: Vec<Version>,
}

/// Which installation of the application's packages a server uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Packages {
    /// The harness's virtual environment.
    Venv,
    /// A copy for the Python that mod_wsgi is linked to, readable by Apache's user.
    ModWsgi,
}

/// A number of workers that depends on the server's CPUs.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workers {
    per_cpu: usize,
    plus: usize,
}

impl Workers {
    pub(crate) fn on(self, cpus: usize) -> usize {
        self.per_cpu * cpus + self.plus
    }
}

/// A file without which the server cannot run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Need {
    pub(crate) file: String,
    /// The one command that brings it.
    pub(crate) install: String,
}

/// Where a version number is found: behind a text in what a command prints.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    pub(crate) of: String,
    pub(crate) command: Vec<String>,
    pub(crate) after: String,
}

/// All contenders, in their order.
///
/// # Errors
/// A contender file with a mistake, named.
pub(crate) fn all() -> Result<Vec<Contender>, Failure> {
    let mut all = Vec::new();
    for (file, text) in FILES {
        if !file.ends_with(".toml") {
            continue;
        }
        let contender: Contender = toml::from_str(text)
            .map_err(|error| Failure::Usage(format!("bench/contenders/{file}: {}", error.message())))?;
        // Those of files are for everybody who serves any application; here they would be misspelt ones.
        if let Some(unknown) = contender.scenarios.iter().chain(&contender.default_in).find(|s| s.is_described()) {
            let reason = format!("scenarios: there is none called {:?}", unknown.name());
            return Err(Failure::Usage(format!("bench/contenders/{file}: {reason}")));
        }
        let contender = contender
            .with_offered_load()
            .with_tuning()
            .map_err(|reason| Failure::Usage(format!("bench/contenders/{file}: {reason}")))?;
        all.push(contender);
    }
    all.sort_by_key(|contender| contender.order);
    Ok(all)
}

/// The contenders of these names, in their order; those that take part in one of `scenarios` by default when no name is
/// given. One that is named several times takes part several times, each time under a name of its own: what differs
/// between them is noise.
///
/// # Errors
/// A name that is not known, or of a contender that takes part in none of `scenarios`.
pub(crate) fn chosen(names: &[String], scenarios: &[Scenario]) -> Result<Vec<Contender>, Failure> {
    chosen_here(names, scenarios, |_| false)
}

/// The same where some are missing: whoever stands in for one of those takes its place, if nobody is named.
///
/// # Errors
/// As those of [`chosen`].
pub(crate) fn chosen_here(
    names: &[String],
    scenarios: &[Scenario],
    is_missing: impl Fn(&Contender) -> bool,
) -> Result<Vec<Contender>, Failure> {
    let mut all = all()?;
    for contender in all.iter_mut().filter(|contender| contender.serves_any_application()) {
        contender.scenarios.extend(scenarios.iter().filter(|scenario| scenario.is_described()));
    }
    let all = all;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|contender| contender.name != **name)) {
        let known: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
        return Err(Failure::Usage(format!("unknown contender {unknown:?}; known are {}", known.join(", "))));
    }
    let idle = |c: &Contender| scenarios.iter().all(|scenario| !c.scenarios.contains(scenario));
    if let Some(idler) = all.iter().find(|c| names.contains(&c.name) && idle(c)) {
        let asked: Vec<&str> = scenarios.iter().map(|scenario| scenario.name()).collect();
        let able: Vec<&str> = idler.scenarios.iter().map(|scenario| scenario.name()).collect();
        return Err(Failure::Usage(format!(
            "contender {:?} takes no part in {}; its scenarios are {}",
            idler.name,
            asked.join(", "),
            able.join(", ")
        )));
    }
    let takes = |c: &Contender, scenario: &Scenario| {
        let default = c.default && (!scenario.is_described() || c.scenarios.contains(&Scenario::Steady));
        (default && c.scenarios.contains(scenario)) || c.default_in.contains(scenario)
    };
    let wanted = |c: &Contender| scenarios.iter().any(|scenario| takes(c, scenario));
    if !names.is_empty() {
        let times = |c: &Contender| names.iter().filter(|name| **name == c.name).count();
        return Ok(all.into_iter().flat_map(|c| (1..=times(&c)).map(move |number| c.twin(number))).collect());
    }
    let mut chosen: Vec<Contender> = all.into_iter().filter(wanted).collect();
    let missing: Vec<Contender> = chosen.iter().filter(|contender| is_missing(contender)).cloned().collect();
    for contender in &mut chosen {
        let Contender { scenarios: able, when_named, stands_in_for, .. } = contender;
        let original = missing.iter().find(|other| stands_in_for.as_ref() == Some(&other.name));
        let is_left = |scenario: &Scenario| original.is_some_and(|original| original.scenarios.contains(scenario));
        able.retain(|scenario| !when_named.contains(scenario) || is_left(scenario));
    }
    chosen.retain(|contender| !idle(contender));
    Ok(chosen)
}

impl Contender {
    /// Whoever bears steady load can be asked how much of it.
    fn with_offered_load(mut self) -> Self {
        if self.scenarios.contains(&Scenario::Steady) {
            self.scenarios.extend(Scenario::ALL.into_iter().filter(|scenario| scenario.group() == Group::OfferedLoad));
        }
        self
    }

    /// The name that the list has for it.
    pub(crate) fn listed(&self) -> &str {
        self.twin_of.as_deref().unwrap_or(&self.name)
    }

    /// The one that takes part when it is named for the `number`th time.
    fn twin(&self, number: usize) -> Self {
        let mut twin = self.clone();
        if number > 1 {
            twin.name = format!("{}-again-{number}", self.name);
            twin.title = format!("{} (again, {number})", self.title);
            twin.twin_of = Some(self.name.clone());
        }
        twin
    }

    /// The one of these workers and threads that a grid stands for.
    pub(crate) fn sized(&self, workers: u32, threads: u32) -> Self {
        let mut one = self.clone();
        one.grid = false;
        one.name = format!("{}-{workers}x{threads}", self.name);
        one.title = format!("{} {workers} × {threads}", self.title);
        one.settings =
            [("workers", workers), ("threads", threads)].map(|(of, n)| (of.to_owned(), n.to_string())).into();
        one
    }

    /// Whether it serves whatever a file describes, and not one application of its own.
    fn serves_any_application(&self) -> bool {
        let names = |text: &str| text.contains("{app}");
        !self.grid && (self.command.iter().any(|word| names(word)) || self.config_template().is_some_and(names))
    }

    /// The template of its configuration file.
    pub(crate) fn config_template(&self) -> Option<&'static str> {
        let wanted = self.config.as_deref()?;
        FILES.iter().find(|(file, _)| *file == wanted).map(|(_, text)| *text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_makes_sense() {
        let all = all().unwrap();
        assert!(all.len() >= 4);
        for contender in &all {
            let name = &contender.name;
            let file = format!("{name}.toml");
            assert!(FILES.iter().any(|(other, _)| *other == file), "{file}");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{name}");
            assert_eq!(contender.config.is_some(), contender.config_template().is_some(), "{name}");
            assert!(!contender.command.is_empty() && !contender.versions.is_empty(), "{name}");
            for version in &contender.versions {
                assert!(!version.command.is_empty(), "{name}");
            }
            // Exactly one of both says where the server listens.
            let mut texts = contender.command.join(" ");
            texts.push_str(contender.config_template().unwrap_or_default());
            assert_ne!(texts.contains("{port}"), contender.port_after.is_some(), "{name}");
            let set = |placeholder: &str| contender.grid || contender.settings.contains_key(placeholder);
            assert_eq!(texts.contains("{workers}"), contender.workers.is_some() || set("workers"), "{name}");
            assert_eq!(texts.contains("{threads}"), set("threads"), "{name}");
            if let Some(Reload::Signal(name)) = &contender.reload {
                assert!(name.parse::<nix::sys::signal::Signal>().is_ok(), "{name}");
            }
            let in_default = contender.default_in.iter().all(|scenario| contender.scenarios.contains(scenario));
            assert!(in_default, "{name}");
            assert!(contender.when_named.iter().all(|scenario| contender.scenarios.contains(scenario)), "{name}");
        }
        let mut orders: Vec<u32> = all.iter().map(|c| c.order).collect();
        orders.dedup();
        assert_eq!(orders.len(), all.len(), "two contenders with the same place");
    }

    #[test]
    fn a_grid_stands_for_many() {
        let grid = all().unwrap().into_iter().find(|contender| contender.grid).unwrap();
        let one = grid.sized(2, 16);
        assert_eq!((one.name, one.grid), (format!("{}-2x16", grid.name), false));
        assert_eq!((&*one.settings["workers"], &*one.settings["threads"]), ("2", "16"));
    }

    #[test]
    fn names_choose_and_unknown_ones_are_told() {
        let comparison = Scenario::comparison();
        let default = |scenarios: &[Scenario]| -> Vec<String> {
            chosen(&[], scenarios).unwrap().into_iter().map(|c| c.name).collect()
        };
        assert_eq!(
            default(&comparison),
            ["smarthttpd-adaptive", "smarthttpd-prefork", "apache-prefork", "gunicorn-sync"]
        );
        assert_eq!(default(&[Scenario::File]), ["smarthttpd-one", "nginx-static"]);
        assert_eq!(
            default(&[Scenario::Burst]),
            ["smarthttpd-adaptive", "smarthttpd-prefork", "apache-prefork", "gunicorn-gthread", "uwsgi-busyness"]
        );
        assert_eq!(default(&[Scenario::Threads]), ["smarthttpd-one"]);
        assert_eq!(default(&[Scenario::Counters]), ["smarthttpd-adaptive", "apache-prefork"]);
        // What the claims are judged by has as many starts as an interval needs, of those whom they are about.
        for scenario in [Scenario::Step, Scenario::Rest] {
            assert_eq!(default(&[scenario]), default(&[Scenario::Counters]));
            assert_eq!(chosen(&["gunicorn-sync".into()], &[scenario]).unwrap().len(), 1);
        }
        // Without Apache its algorithm is compared all the same.
        let without = chosen_here(&[], &[Scenario::Step], |contender| contender.name == "apache-prefork").unwrap();
        assert_eq!(
            without.iter().map(|contender| contender.name.as_str()).collect::<Vec<_>>(),
            ["smarthttpd-adaptive", "smarthttpd-prefork", "apache-prefork"]
        );
        let named = chosen(&["gunicorn-sync".into()], &[Scenario::Counters]).unwrap();
        assert_eq!(named[0].name, "gunicorn-sync");
        // What a file describes is served by those of the comparison, and by everybody else on request.
        let json = [Scenario::described("flask-json")];
        assert_eq!(default(&json), default(&comparison));
        for name in ["bjoern", "waitress", "uwsgi-spare", "apache-event-daemon", "apache-worker"] {
            assert_eq!(chosen(&[name.into()], &json).unwrap().len(), 1, "{name}");
        }
        assert!(chosen(&["floor".into()], &json).is_err());
        let one = chosen(&["gunicorn-gthread".into()], &comparison).unwrap();
        assert_eq!(one[0].title, "gunicorn gthread");
        let error = chosen(&["floor".into()], &comparison).unwrap_err();
        assert_eq!(
            error.to_string(),
            "contender \"floor\" takes no part in steady, step; its scenarios are hello, syscalls"
        );
        let error = chosen(&["nginx".into()], &comparison).unwrap_err();
        assert!(error.to_string().starts_with("unknown contender \"nginx\"; known are "), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_contender_can_meet_itself() {
        let names = ["smarthttpd-native", "floor", "smarthttpd-native"].map(String::from);
        let chosen = chosen(&names, &[Scenario::Hello]).unwrap();
        let told: Vec<_> = chosen.iter().map(|c| (c.name.as_str(), c.listed())).collect();
        let native = "smarthttpd-native";
        assert_eq!(told, [(native, native), ("smarthttpd-native-again-2", native), ("floor", "floor")]);
        assert_eq!(chosen[0].command, chosen[1].command);
    }

    #[test]
    fn workers_follow_the_cpus() {
        let workers = Workers { per_cpu: 2, plus: 1 };
        assert_eq!((workers.on(1), workers.on(4)), (3, 9));
    }
}
