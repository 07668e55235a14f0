//! Suites: files that say which contenders take part in which scenarios, so that a whole campaign is one session with one
//! report. Everybody in everything would take most of a day, and most of it would answer nothing.
//!
//! Pure but for reading the file. Knows scenarios and contenders by name only; `main` makes a wish of it.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::contender::{Contender, spec};
use crate::failure::Failure;
use crate::scenario::Scenario;
use crate::scenario::described::{Description, files};

/// Every file of `bench/suites/`: name and text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/suites.rs"));

/// A suite as its file says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suite {
    /// The file's name without its end.
    #[serde(skip)]
    pub(crate) name: String,
    /// What it is for, and how long it takes.
    pub(crate) about: String,
    /// Several settings of every contender that has some are tried, as `--tuned` has it.
    #[serde(default)]
    tuned: bool,
    #[serde(rename = "part")]
    parts: Vec<Part>,
}

/// Contenders that take part in the same scenarios.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// As on the command line: names, groups, and files.
    scenarios: Vec<String>,
    contenders: Vec<String>,
}

/// What a suite takes.
#[derive(Debug)]
pub(crate) struct Lineup {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) described: Vec<Description>,
    /// Each with those scenarios only in which the suite has it.
    pub(crate) contenders: Vec<Contender>,
    /// Whether settings are tried.
    pub(crate) tuned: bool,
}

/// The built-in suites.
///
/// # Errors
/// A file with a mistake, named.
pub(crate) fn all() -> Result<Vec<Suite>, Failure> {
    FILES
        .iter()
        .filter_map(|(file, text)| Some((file.strip_suffix(".toml")?, text)))
        .map(|(name, text)| parsed(name, &format!("bench/suites/{name}.toml"), text))
        .collect()
}

/// The built-in suite of this name, or the one in this file, which ends in `.toml`.
///
/// # Errors
/// A name that is not known, or a file that cannot be read or has a mistake.
pub(crate) fn chosen(name: &str) -> Result<Lineup, Failure> {
    if name.ends_with(".toml") {
        let path = Path::new(name);
        let text = fs::read_to_string(path).map_err(Failure::io("read", path))?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        return parsed(stem, name, &text)?.lineup();
    }
    let built_in = all()?;
    let known: Vec<&str> = built_in.iter().map(|suite| suite.name.as_str()).collect();
    let unknown = || {
        let reason = format!("--suite: unknown suite {name:?}; known are {}, or a file *.toml", known.join(", "));
        Failure::Usage(reason)
    };
    built_in.iter().find(|suite| suite.name == name).ok_or_else(unknown)?.lineup()
}

fn parsed(name: &str, file: &str, text: &str) -> Result<Suite, Failure> {
    let mut suite: Suite = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Failure::Usage(format!("{file}: line {line}: {}", error.message().replace('\n', " ")))
    })?;
    name.clone_into(&mut suite.name);
    Ok(suite)
}

impl Suite {
    fn lineup(&self) -> Result<Lineup, Failure> {
        let mut lineup =
            Lineup { scenarios: Vec::new(), described: Vec::new(), contenders: Vec::new(), tuned: self.tuned };
        for part in &self.parts {
            lineup.add(part).map_err(|failure| match failure {
                Failure::Usage(reason) => Failure::Usage(format!("suite {}: {reason}", self.name)),
                other => other,
            })?;
        }
        lineup.contenders.sort_by_key(|contender| contender.order);
        Ok(lineup)
    }
}

impl Lineup {
    fn add(&mut self, part: &Part) -> Result<(), Failure> {
        if part.scenarios.is_empty() || part.contenders.is_empty() {
            return Err(Failure::Usage("a part needs a scenario and a contender".into()));
        }
        let (scenarios, described) = scenarios(&part.scenarios)?;
        for mut contender in spec::chosen(&part.contenders, &scenarios)? {
            contender.scenarios.retain(|scenario| scenarios.contains(scenario));
            match self.contenders.iter_mut().find(|other| other.name == contender.name) {
                Some(known) => add_new(&mut known.scenarios, contender.scenarios),
                None => self.contenders.push(contender),
            }
        }
        add_new(&mut self.scenarios, scenarios);
        for description in described {
            if self.described.iter().all(|other| other.name != description.name) {
                self.described.push(description);
            }
        }
        Ok(())
    }
}

/// The scenarios of these names, and the descriptions of those that files describe. Without any name it is the default
/// comparison; with files alone it is these.
///
/// # Errors
/// A name that is not known.
pub(crate) fn scenarios(names: &[String]) -> Result<(Vec<Scenario>, Vec<Description>), Failure> {
    let (described, others) = files::chosen(names)?;
    let mut scenarios =
        if described.is_empty() || !others.is_empty() { Scenario::chosen(&others)? } else { Vec::new() };
    scenarios.extend(described.iter().map(|description| Scenario::described(&description.name)));
    Ok((scenarios, described))
}

fn add_new(known: &mut Vec<Scenario>, further: Vec<Scenario>) {
    for scenario in further {
        if !known.contains(&scenario) {
            known.push(scenario);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineup(text: &str) -> Result<Lineup, String> {
        parsed("own", "own.toml", text).and_then(|suite| suite.lineup()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_contender_takes_part_where_a_part_has_it_and_nowhere_else() {
        let own = lineup(
            r#"
            about = "x"
            tuned = true
            [[part]]
            scenarios = ["steady", "step"]
            contenders = ["apache-prefork", "smarthttpd-adaptive"]
            [[part]]
            scenarios = ["curve", "flask-json"]
            contenders = ["smarthttpd-adaptive", "gunicorn-gthread"]
            "#,
        )
        .unwrap();
        assert!(own.tuned);
        let flask = Scenario::described("flask-json");
        assert_eq!(own.scenarios, [Scenario::Steady, Scenario::Step, Scenario::Curve, flask]);
        assert_eq!(own.described.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["flask-json"]);
        let takes = |name: &str| own.contenders.iter().find(|c| c.name == name).unwrap().scenarios.clone();
        assert_eq!(takes("smarthttpd-adaptive"), [Scenario::Steady, Scenario::Step, Scenario::Curve, flask]);
        assert_eq!(takes("apache-prefork"), [Scenario::Steady, Scenario::Step]);
        assert_eq!(takes("gunicorn-gthread"), [Scenario::Curve, flask]);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let part = |scenarios: &str, contenders: &str| {
            format!("about = \"x\"\n[[part]]\nscenarios = [{scenarios}]\ncontenders = [{contenders}]\n")
        };
        let rows = [
            (part("\"stedy\"", "\"floor\""), "suite own: unknown scenario \"stedy\""),
            (part("\"steady\"", "\"flor\""), "suite own: unknown contender \"flor\""),
            (part("\"steady\"", "\"floor\""), "suite own: contender \"floor\" takes no part in steady"),
            (part("", "\"floor\""), "suite own: a part needs a scenario and a contender"),
            ("about = \"x\"\n".into(), "own.toml: line 1: missing field `part`"),
            ("about = \"x\"\n\nparts = 1\n".into(), "own.toml: line 3: unknown field `parts`"),
        ];
        for (text, expected) in rows {
            let said = lineup(&text).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
        assert!(chosen("fulll").unwrap_err().to_string().contains("known are full, or a file"));
    }

    #[test]
    fn the_built_in_ones_are_without_mistake() {
        for suite in all().unwrap() {
            let lineup = suite.lineup().unwrap();
            assert!(!lineup.contenders.is_empty(), "{}: {}", suite.name, suite.about);
        }
    }
}
