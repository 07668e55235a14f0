//! Whether a contender can run on this machine, and which versions would run.

use std::collections::BTreeMap;
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
