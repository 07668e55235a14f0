//! Whether a contender can run on this machine, and which versions would run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Contender, Places};
use crate::process::tool;

/// What is missing: the file, and the command that brings it. `None`: everything is there.
///
/// A placeholder without a value counts as there: `bench list` does not build the server to look for it.
pub(crate) fn missing(contender: &Contender, places: &Places) -> Option<String> {
    contender.needs.iter().find_map(|need| {
        let file = places.fill(&need.file).ok()?;
        (!Path::new(&file).exists())
            .then(|| format!("{} is not there; to install: {}", places.tell(&need.file), need.install))
    })
}

/// What would bring everything that the contenders miss: one command for the system's packages, and the packages that a
/// session installs itself. Empty when nothing is missing.
pub(crate) fn to_install(contenders: &[Contender], places: &Places) -> Vec<String> {
    let incomplete: Vec<&Contender> = contenders.iter().filter(|c| missing(c, places).is_some()).collect();
    let absent = |file: &str| places.fill(file).is_ok_and(|file| !Path::new(&file).exists());
    let needs = incomplete.iter().flat_map(|c| &c.needs).filter(|need| absent(&need.file));
    let debian: BTreeSet<&str> = needs.flat_map(|need| debian_packages(&need.install)).collect();
    let ours: BTreeSet<&str> = incomplete.iter().filter_map(|c| c.package.as_deref()).collect();
    let joined = |names: BTreeSet<&str>, by| names.into_iter().collect::<Vec<_>>().join(by);
    let mut lines = Vec::new();
    if !debian.is_empty() {
        lines.push(format!("apt-get install {}", joined(debian, " ")));
    }
    if !ours.is_empty() {
        lines.push(format!(
            "a run that they take part in installs itself, into target/bench/venv: {}",
            joined(ours, ", ")
        ));
    }
    lines
}

/// The packages of an `apt-get install …` at the beginning of an instruction.
fn debian_packages(install: &str) -> impl Iterator<Item = &str> {
    let command = install.split(';').next().and_then(|first| first.strip_prefix("apt-get install "));
    command.into_iter().flat_map(str::split_whitespace)
}

/// The versions by what they are of; one that cannot be found out says why.
pub(crate) fn versions(contender: &Contender, places: &Places) -> BTreeMap<String, String> {
    contender
        .versions
        .iter()
        .map(|version| {
            let found = text_with(version, places)
                .and_then(|text| number_after(&text, &version.after).ok_or_else(|| "not found".to_owned()))
                .unwrap_or_else(|reason| format!("unknown ({reason})"));
            (version.of.clone(), found)
        })
        .collect()
}

fn text_with(version: &super::spec::Version, places: &Places) -> Result<String, String> {
    let words = version.command.iter().map(|word| places.fill(word)).collect::<Result<Vec<_>, _>>()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = tool::run(&words, None, &[], tool::ASK)?;
    Ok(outcome.out + &outcome.err)
}

/// The version number behind the first `after` that is followed by a digit.
fn number_after(text: &str, after: &str) -> Option<String> {
    text.match_indices(after).find_map(|(at, _)| {
        let number: String = text[at + after.len()..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
            .collect();
        number.starts_with(|c: char| c.is_ascii_digit()).then(|| number.trim_end_matches('.').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::spec;

    #[test]
    fn what_is_missing_is_one_command_and_what_comes_by_itself() {
        let rows: [(&str, &[&str]); 3] = [
            ("apt-get install gcc python3-dev; a run then builds it", &["gcc", "python3-dev"]),
            ("apt-get install nginx", &["nginx"]),
            ("a run that it takes part in installs it", &[]),
        ];
        for (install, packages) in rows {
            assert_eq!(debian_packages(install).collect::<Vec<_>>(), packages, "{install}");
        }
        let nowhere = tempfile::tempdir().unwrap();
        let places = Places::default().with("venv", nowhere.path(), "target/bench/venv");
        let named = |name: &str| spec::all().unwrap().into_iter().find(|c| c.name == name).unwrap();
        let contenders = [named("bjoern"), named("uwsgi"), named("uwsgi-spare"), named("waitress")];
        assert_eq!(
            to_install(&contenders, &places),
            [
                "apt-get install gcc libev-dev python3-dev",
                "a run that they take part in installs itself, into target/bench/venv: bjoern==3.2.2, uwsgi==2.0.31, waitress==3.0.2",
            ]
        );
        assert!(to_install(&[], &places).is_empty());
    }

    #[test]
    fn versions_are_numbers_behind_a_text() {
        let rows = [
            ("Server version: Apache/2.4.71 (Debian)", "Apache/", Some("2.4.71")),
            ("gunicorn (version 27.0.1)", "gunicorn (version ", Some("27.0.1")),
            // What dpkg-query prints is nothing but the version.
            ("4.9.4-1+b2", "", Some("4.9.4-1+b2")),
            // The first place may be something else.
            ("Apache/x Apache/2.4", "Apache/", Some("2.4")),
            ("smarthttpd 0.1.0\n", "smarthttpd ", Some("0.1.0")),
            ("nothing", "Apache/", None),
        ];
        for (text, after, expected) in rows {
            assert_eq!(number_after(text, after).as_deref(), expected, "{text:?}");
        }
    }
}
