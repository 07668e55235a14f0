//! Every requirement in `rules.toml` is met by something that exists, or has a reason why it is not ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cases::rules_of_fixtures;

/// How many requirements there are.
const REQUIREMENTS: usize = 106;

/// One requirement: what is done about it and what shows that, or why nothing is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    section: String,
    says: Option<String>,
    #[serde(default)]
    fixtures: BTreeSet<String>,
    #[serde(default)]
    tests: Vec<String>,
    not_applicable: Option<String>,
}

fn requirements() -> BTreeMap<String, Requirement> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules.toml");
    toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_requirement_is_shown_or_has_a_reason() {
    let requirements = requirements();
    assert_eq!(requirements.len(), REQUIREMENTS);
    for (name, requirement) in &requirements {
        assert!(!requirement.section.is_empty(), "{name} has no section");
        let shown = !(requirement.fixtures.is_empty() && requirement.tests.is_empty());
        match (&requirement.says, &requirement.not_applicable) {
            (Some(_), None) => assert!(shown, "nothing shows {name}"),
            (None, Some(_)) => assert!(!shown, "{name} is not applicable, and shown"),
            _ => panic!("{name} has to say either what is done about it or why nothing is"),
        }
    }
}

#[test]
fn fixtures_and_requirements_name_each_other() {
    let mut named_by_fixtures: BTreeSet<(String, String)> = BTreeSet::new();
    for (fixture, rules) in rules_of_fixtures() {
        let requirements = rules.iter().filter_map(|rule| rule.requirement());
        named_by_fixtures.extend(requirements.map(|requirement| (requirement.to_owned(), fixture.clone())));
    }
    let mut named_by_requirements = BTreeSet::new();
    for (name, requirement) in requirements() {
        named_by_requirements.extend(requirement.fixtures.into_iter().map(|fixture| (name.clone(), fixture)));
    }
    let one_sided: Vec<_> = named_by_requirements.symmetric_difference(&named_by_fixtures).collect();
    assert!(one_sided.is_empty(), "only one of the two names the other: {one_sided:?}");
}

#[test]
fn every_test_that_is_named_exists() {
    let root = root();
    for (name, requirement) in requirements() {
        for test in requirement.tests {
            let (file, function) = test.split_once("::").unwrap_or_else(|| panic!("{name}: {test} names no function"));
            let source = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
            assert!(source.contains(&format!("fn {function}(")), "{name}: there is no {test}");
        }
    }
}

/// A test may say which requirements it shows, in its last line of documentation: ``Rules: `NAME`, `NAME`.``
#[test]
fn what_tests_say_they_show_they_are_named_for() {
    let requirements = requirements();
    let root = root();
    let mut folders = vec![root.join("server/tests/integration")];
    let mut said = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let file = path.strip_prefix(&root).unwrap().display();
            let mut rules: Vec<&str> = Vec::new();
            for line in source.lines() {
                if let Some(list) = line.strip_prefix("/// Rule") {
                    rules = list.split('`').skip(1).step_by(2).collect();
                } else if let Some((name, _)) = line.strip_prefix("fn ").and_then(|line| line.split_once('(')) {
                    let test = format!("{file}::{name}");
                    for rule in rules.drain(..) {
                        let named = requirements.get(rule).is_some_and(|requirement| requirement.tests.contains(&test));
                        assert!(named, "{test} says that it shows {rule}, and rules.toml does not");
                        said += 1;
                    }
                }
            }
        }
    }
    assert!(said > 0);
}

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}
