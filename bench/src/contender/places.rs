//! Where everything is, and how a contender's texts are filled in with it.
//!
//! Each place is known twice: where it really is, for the command that runs, and how it is called in the results,
//! which must not depend on where somebody keeps the checkout.

use std::collections::BTreeMap;
use std::path::Path;

/// The placeholders of contender files and their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    real: BTreeMap<String, String>,
    told: BTreeMap<String, String>,
}

impl Places {
    /// Adds a place that is called `told` in the results.
    pub(crate) fn with(mut self, name: &str, real: &Path, told: &str) -> Self {
        self.real.insert(name.to_owned(), real.display().to_string());
        self.told.insert(name.to_owned(), told.to_owned());
        self
    }

    /// Adds a value that is the same in both.
    pub(crate) fn with_value(mut self, name: &str, value: &impl ToString) -> Self {
        let value = value.to_string();
        self.real.insert(name.to_owned(), value.clone());
        self.told.insert(name.to_owned(), value);
        self
    }

    /// `text` with the real values.
    ///
    /// # Errors
    /// A placeholder that has no value here.
    pub(crate) fn fill(&self, text: &str) -> Result<String, String> {
        fill(text, &self.real)
    }

    /// `text` as the results tell it; a placeholder without a value stays.
    pub(crate) fn tell(&self, text: &str) -> String {
        let mut told = text.to_owned();
        for (name, value) in &self.told {
            told = told.replace(&format!("{{{name}}}"), value);
        }
        told
    }

    /// `text` with every real folder in it replaced by what it is called in the results, the longest first.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut folders: Vec<(&String, &String)> = self
            .real
            .iter()
            .filter(|(_, real)| real.starts_with('/'))
            .filter_map(|(name, real)| Some((real, self.told.get(name)?)))
            .collect();
        folders.sort_by_key(|(real, _)| std::cmp::Reverse(real.len()));
        let mut hidden = text.to_owned();
        for (real, told) in folders {
            hidden = hidden.replace(real, told);
        }
        hidden
    }
}

fn fill(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        filled.push_str(before);
        // Only lower-case words are placeholders: Apache has braces of its own, as in %{GLOBAL}.
        let name = from[1..]
            .split_once('}')
            .map(|(name, _)| name)
            .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()));
        match name {
            Some(name) => {
                filled.push_str(values.get(name).ok_or(format!("no value for {{{name}}}"))?);
                rest = &from[name.len() + 2..];
            }
            None => {
                filled.push('{');
                rest = &from[1..];
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let places =
            Places::default().with("apps", Path::new("/somewhere/apps"), "bench/apps").with_value("port", &8000);
        let rows: [(&str, Result<&str, &str>, &str); 6] = [
            ("", Ok(""), ""),
            ("a {port} b", Ok("a 8000 b"), "a 8000 b"),
            ("{apps}:{port}", Ok("/somewhere/apps:8000"), "bench/apps:8000"),
            ("%{GLOBAL} {port}", Ok("%{GLOBAL} 8000"), "%{GLOBAL} 8000"),
            ("{unknown}", Err("no value for {unknown}"), "{unknown}"),
            ("{ {} {port", Ok("{ {} {port"), "{ {} {port"),
        ];
        for (text, real, told) in rows {
            assert_eq!(places.fill(text).as_deref().map_err(String::as_str), real, "{text}");
            assert_eq!(places.tell(text), told, "{text}");
        }
        assert_eq!(places.hide("File \"/somewhere/apps/x.py\", port 8000"), "File \"bench/apps/x.py\", port 8000");
    }
}
