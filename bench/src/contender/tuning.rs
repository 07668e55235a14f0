//! The settings of a contender that are tried, so that it takes part at its best and not only as it comes.
//!
//! Owns the format of `[tuning]` in contender files. Which of the settings is the best is for `search` to say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Contender;
use crate::scenario::Scenario;

/// One `[tuning.NAME]`: a few values for some of the contender's placeholders.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    /// The placeholders that a value fills in, in their order; without them, the one that is called as the parameter.
    #[serde(default)]
    fills: Vec<String>,
    /// What they are when nobody tunes. Not needed for `{workers}` with a number per CPU, nor beside `words`.
    #[serde(default)]
    default: Option<Value>,
    values: Vec<Value>,
    /// Words at the end of the command, only where the parameter is tuned.
    #[serde(default)]
    words: Vec<String>,
}

/// One number for each of the placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Value {
    One(u32),
    Several(Vec<u32>),
}

impl Value {
    fn numbers(&self) -> &[u32] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Several(numbers) => numbers,
        }
    }

    /// `4`, `5/5/10`.
    fn told(&self, between: &str) -> String {
        self.numbers().iter().map(u32::to_string).collect::<Vec<_>>().join(between)
    }
}

/// What the results say of how a contender is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tuning {
    /// There is nothing to set, and why.
    Nothing(String),
    /// As it comes; other settings are tried beside it.
    Default,
    /// One of the settings tried for the contender of that name, in words.
    Tried { of: String, setting: String },
}

impl Parameter {
    fn fills<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        if self.fills.is_empty() { vec![name] } else { self.fills.iter().map(String::as_str).collect() }
    }

    /// The values that are tried; in a quick session the first and the last.
    fn tried(&self, quick: bool) -> Vec<&Value> {
        match self.values.as_slice() {
            [first, .., last] if quick => vec![first, last],
            values => values.iter().collect(),
        }
    }

    fn check(&self, name: &str) -> Result<(), String> {
        if self.values.is_empty() {
            return Err(format!("tuning.{name}.values is empty; name the values to try, or leave the table out"));
        }
        let fills = self.fills(name).len();
        match self.values.iter().chain(&self.default).find(|value| value.numbers().len() != fills) {
            None => Ok(()),
            Some(wrong) => Err(format!(
                "tuning.{name}: {} has {} numbers for {fills} placeholders; give one for each of fills",
                wrong.told("/"),
                wrong.numbers().len()
            )),
        }
    }
}

impl Contender {
    /// Fills in the defaults of what can be tuned, and has it take part in the scenario that looks for the best.
    ///
    /// # Errors
    /// A parameter that makes no sense, named.
    pub(super) fn with_tuning(mut self) -> Result<Self, String> {
        for (name, parameter) in &self.tuning {
            parameter.check(name)?;
            if let Some(default) = &parameter.default {
                set(&mut self.settings, &parameter.fills(name), default);
            }
        }
        let loads = [Scenario::Steady, Scenario::Step, Scenario::Burst];
        let is_told = !self.tuning.is_empty() || self.nothing_to_tune.is_some();
        if is_told && self.scenarios.iter().any(|scenario| loads.contains(scenario)) {
            self.scenarios.push(Scenario::Tune);
        }
        Ok(self)
    }

    /// The contender with each setting that is tried, all combinations but the default's. They take part in nothing
    /// else until one of them turns out to be the best.
    pub(crate) fn candidates(&self, quick: bool) -> Vec<Self> {
        let mut choices: Vec<Vec<(&str, &Parameter, &Value)>> = vec![Vec::new()];
        for (name, parameter) in &self.tuning {
            let with =
                |value| choices.iter().map(move |choice| [&choice[..], &[(name.as_str(), parameter, value)]].concat());
            choices = parameter.tried(quick).into_iter().flat_map(with).collect();
        }
        choices.retain(|choice| !choice.is_empty());
        choices.into_iter().map(|choice| self.tried(&choice)).filter(|one| one.settings != self.settings).collect()
    }

    fn tried(&self, choice: &[(&str, &Parameter, &Value)]) -> Self {
        let mut one = self.clone();
        let mut words = Vec::new();
        for (name, parameter, value) in choice {
            set(&mut one.settings, &parameter.fills(name), value);
            one.command.extend(parameter.words.iter().cloned());
            one.name.push_str(&format!("-{name}-{}", value.told("-")));
            words.push(format!("{name} {}", value.told("/")));
        }
        let setting = words.join(", ");
        one.title = format!("{}, tuned: {setting}", self.title);
        one.terms = format!("{}; but with the best of several settings: {setting}", self.terms);
        one.tuning.clear();
        one.tried_for = Some((self.name.clone(), setting));
        one.scenarios = vec![Scenario::Tune];
        one
    }

    /// How it is set, for the results.
    pub(crate) fn told_tuning(&self) -> Option<Tuning> {
        if let Some((of, setting)) = &self.tried_for {
            return Some(Tuning::Tried { of: of.clone(), setting: setting.clone() });
        }
        match &self.nothing_to_tune {
            Some(reason) => Some(Tuning::Nothing(reason.clone())),
            None => (!self.tuning.is_empty()).then_some(Tuning::Default),
        }
    }
}

fn set(settings: &mut BTreeMap<String, String>, fills: &[&str], value: &Value) {
    for (placeholder, number) in fills.iter().zip(value.numbers()) {
        settings.insert((*placeholder).to_owned(), number.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::spec;

    fn parameter(text: &str) -> Parameter {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn mistakes_are_named() {
        let rows = [
            ("values = [1, 2]", None),
            ("fills = ['a', 'b']\nvalues = [[1, 2], [3, 4]]\ndefault = [5, 6]", None),
            ("values = []", Some("tuning.x.values is empty")),
            ("fills = ['a', 'b']\nvalues = [[1, 2], [3]]", Some("tuning.x: 3 has 1 numbers for 2 placeholders")),
            ("values = [1]\ndefault = [1, 2]", Some("tuning.x: 1/2 has 2 numbers for 1 placeholders")),
        ];
        for (text, expected) in rows {
            let error = parameter(text).check("x").err();
            assert_eq!(error.is_some(), expected.is_some(), "{text}: {error:?}");
            assert!(error.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{text}");
        }
    }

    #[test]
    fn candidates_are_all_combinations_but_the_default() {
        let all = spec::all().unwrap();
        let gthread = all.iter().find(|contender| contender.name == "gunicorn-gthread").unwrap();
        let product: usize = gthread.tuning.values().map(|parameter| parameter.values.len()).product();
        let candidates = gthread.candidates(false);
        // Its default workers depend on the CPUs, so that none of them is known to be the default.
        assert_eq!(candidates.len(), product);
        assert_eq!(gthread.candidates(true).len(), 4);
        let one = &candidates[0];
        assert_eq!(one.scenarios, [Scenario::Tune]);
        assert!(one.name.starts_with("gunicorn-gthread-threads-"), "{}", one.name);
        assert!(one.title.starts_with("gunicorn gthread, tuned: threads "), "{}", one.title);
        assert!(matches!(one.told_tuning(), Some(Tuning::Tried { of, .. }) if of == "gunicorn-gthread"));
        let mut names: Vec<&str> = candidates.iter().map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), candidates.len());

        let apache = all.iter().find(|contender| contender.name == "apache-prefork").unwrap();
        assert_eq!(apache.settings["startservers"], "5");
        assert!(apache.candidates(false).iter().all(|one| one.settings != apache.settings));

        let adaptive = all.iter().find(|contender| contender.name == "smarthttpd-adaptive").unwrap();
        assert!(adaptive.candidates(false).is_empty());
        assert!(matches!(adaptive.told_tuning(), Some(Tuning::Nothing(_))));
    }

    #[test]
    fn everybody_has_settings_to_try_or_says_why_not() {
        for contender in spec::all().unwrap() {
            let told = contender.told_tuning();
            assert!(told.is_some(), "{}: neither a [tuning] table nor nothing_to_tune", contender.name);
            let is_tuned = !contender.tuning.is_empty();
            assert_ne!(is_tuned, contender.nothing_to_tune.is_some(), "{}: both", contender.name);
            // What the search costs is known when a setting is added, not when a session takes the afternoon.
            assert!(contender.candidates(false).len() <= 12, "{}: too many settings", contender.name);
        }
    }

    #[test]
    fn every_value_has_a_place() {
        for contender in spec::all().unwrap() {
            let mut texts = contender.command.join(" ");
            texts.push_str(contender.config_template().unwrap_or_default());
            for (name, parameter) in &contender.tuning {
                let words = parameter.words.join(" ");
                for placeholder in parameter.fills(name) {
                    let text = format!("{{{placeholder}}}");
                    assert!(texts.contains(&text) || words.contains(&text), "{}: {text}", contender.name);
                    // Whoever is in the command has a value there also when nobody tunes.
                    let has_value = contender.settings.contains_key(placeholder) || contender.workers.is_some();
                    assert!(!texts.contains(&text) || has_value, "{}: {text}", contender.name);
                }
            }
        }
    }
}
