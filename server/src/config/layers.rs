//! Flags over environment over file: merges what each layer gives and remembers where each value came from, so that a
//! complaint about a value can name the flag, the variable or the line at fault.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser};
use serde::Deserialize;
use toml::de::DeTable;

use super::command::Cli;
use super::error::{CliError, one_line};
use super::options::Options;

/// Before each variable's name.
pub(super) const PREFIX: &str = "SMARTHTTPD_";

/// Where a value came from; as text, what to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The option as typed, e.g. `--bind`.
    Flag(String),
    /// The variable's name.
    Variable(String),
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The key.
        option: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Variable(name) => f.write_str(name),
            Origin::File { path, line, option } => write!(f, "{}:{line}: {option}", path.display()),
        }
    }
}

/// The merged layers. Options go by their kebab-case names.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    values: toml::Table,
    origins: BTreeMap<String, Origin>,
}

impl Settings {
    /// Lays `options` over what is there; `origin` tells where the option of that name came from.
    pub(crate) fn lay(&mut self, options: &Options, origin: impl Fn(&str) -> Origin) -> Result<(), CliError> {
        let table = toml::Table::try_from(options).map_err(|error| CliError::Usage(one_line(&error.to_string())))?;
        for (name, value) in table {
            self.origins.insert(name.clone(), origin(&name));
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// The values of the highest layer each.
    pub(crate) fn options(&self) -> Result<Options, CliError> {
        Options::deserialize(self.values.clone()).map_err(|error| CliError::Usage(one_line(error.message())))
    }

    /// Where the option's value came from; `None`: nobody gave it.
    pub(crate) fn origin(&self, option: &str) -> Option<&Origin> {
        self.origins.get(option)
    }

    /// Names of the options given on the command line.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().filter(|(_, origin)| matches!(origin, Origin::Flag(_))).map(|(name, _)| name.as_str())
    }
}

/// Names of all options, as flags without dashes.
fn option_names() -> Vec<String> {
    let command = Options::augment_args(clap::Command::new("names"));
    command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)).collect()
}

/// Options whose value is nobody's business but the supervisor's.
const SECRETS: [&str; 1] = ["admin-token"];

/// The variables in which secrets may stand: not for the processes that run the application.
pub(crate) fn secret_variables() -> impl Iterator<Item = String> {
    SECRETS.into_iter().map(variable)
}

/// The variable that stands for an option.
pub(super) fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.to_ascii_uppercase().replace('-', "_"))
}

/// Lays the environment over `settings`. `variables` are the process's own, by name; an empty one counts as unset.
/// Unknown `SMARTHTTPD_*` ones are left alone: Kubernetes makes some for a service of that name.
pub(super) fn lay_environment(settings: &mut Settings, variables: &BTreeMap<String, OsString>) -> Result<(), CliError> {
    for option in option_names() {
        let name = variable(&option);
        let Some(value) = variables.get(&name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let mut flag = OsString::from(format!("--{option}="));
        flag.push(value);
        let cli = Cli::try_parse_from([OsString::from("smarthttpd"), flag]).map_err(|error| CliError::Setting {
            origin: Origin::Variable(name.clone()),
            problem: bad_value(&error).into(),
        })?;
        settings.lay(&cli.options, |_| Origin::Variable(name.clone()))?;
    }
    Ok(())
}

/// Lays the configuration file over `settings`; `origin` is who named it.
pub(super) fn lay_file(settings: &mut Settings, path: &Path, origin: Origin) -> Result<(), CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::UnreadableFile {
        origin,
        path: path.to_path_buf(),
        source,
    })?;
    lay_text(settings, path, &text)
}

fn lay_text(settings: &mut Settings, path: &Path, text: &str) -> Result<(), CliError> {
    let line_of =
        |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    let complain = |offset: Option<usize>, problem: String| CliError::File {
        path: path.to_path_buf(),
        line: offset.map(line_of),
        problem,
    };
    let complain_toml =
        |error: &toml::de::Error| complain(error.span().map(|span| span.start), one_line(error.message()));

    let parsed = DeTable::parse(text).map_err(|error| complain_toml(&error))?;
    let mut lines = BTreeMap::new();
    let names = option_names();
    for key in parsed.get_ref().keys() {
        let name: &str = key.get_ref();
        if !names.iter().any(|known| known == name) {
            return Err(complain(Some(key.span().start), unknown_option(name)));
        }
        lines.insert(name.to_owned(), line_of(key.span().start));
    }
    let options: Options = toml::from_str(text).map_err(|error: toml::de::Error| {
        // The span is the value's; the key stands on the same line or above it.
        let line = error.span().map_or(0, |span| line_of(span.start));
        let key = lines.iter().filter(|(_, at)| **at <= line).max_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
        let problem = one_line(error.message());
        match key {
            Some(option) => CliError::Setting {
                origin: Origin::File { path: path.to_path_buf(), line, option },
                problem: problem.into(),
            },
            None => complain_toml(&error),
        }
    })?;
    settings.lay(&options, |name| Origin::File {
        path: path.to_path_buf(),
        line: lines.get(name).copied().unwrap_or_default(),
        option: name.to_owned(),
    })
}

/// Lets the option table say which name is the nearest.
fn unknown_option(name: &str) -> String {
    let tried = Cli::try_parse_from(["smarthttpd", &format!("--{name}")]);
    match tried.err().as_ref().and_then(|error| error.get(ContextKind::SuggestedArg)) {
        Some(ContextValue::String(flag)) => {
            let nearest = flag.trim_start_matches("--").split([' ', '[', '=']).next().unwrap_or_default();
            format!("there is no option '{name}'; did you mean '{nearest}'?")
        }
        _ => format!("there is no option '{name}'; smarthttpd --help lists them"),
    }
}

/// What is wrong with the value in a clap error, without the name of the flag it was tried as.
pub(super) fn bad_value(error: &clap::Error) -> String {
    if let Some(source) = std::error::Error::source(error) {
        return source.to_string();
    }
    let mut problem = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if value.is_empty() => "needs a value".to_owned(),
        Some(ContextValue::String(value)) => format!("'{value}' is not a value it takes"),
        _ => return one_line(&error.render().to_string()),
    };
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
        && !values.is_empty()
    {
        problem.push_str("; it takes ");
        problem.push_str(&values.join(", "));
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        lay_text(&mut Settings::default(), Path::new("/etc/s.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_complaint_about_the_file_names_the_line() {
        let table = [
            ("backlog = 0", "/etc/s.toml:1: backlog: '0' is not a whole number from 1 to 65536"),
            (
                "\n\nbind = \"80\"\nbacklog = 1",
                "/etc/s.toml:3: bind: '80' is not an address; give HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, systemd or fd:N, e.g. 127.0.0.1:8000",
            ),
            // A list counts as one value: the line is the key's.
            (
                "backlog = 1\nbind = [\n  \":80\",\n  \"x\",\n]",
                "/etc/s.toml:2: bind: 'x' is not an address; give HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, systemd or fd:N, e.g. 127.0.0.1:8000",
            ),
            ("min-worker = 3", "/etc/s.toml:1: there is no option 'min-worker'; did you mean 'min-workers'?"),
            ("min_workers = 3", "/etc/s.toml:1: there is no option 'min_workers'; did you mean 'min-workers'?"),
            ("colour = 3", "/etc/s.toml:1: there is no option 'colour'; smarthttpd --help lists them"),
            // Only what can be in every layer can be in the file.
            ("config = \"other.toml\"", "/etc/s.toml:1: there is no option 'config'; smarthttpd --help lists them"),
            ("preload = \"yes\"", "/etc/s.toml:1: preload: invalid type: string \"yes\", expected a boolean"),
            (
                "mpm = \"worker\"",
                "/etc/s.toml:1: mpm: unknown variant `worker`, expected one of `adaptive`, `prefork`, `static`, `busyness`, `spare`, `dynamic`, `ondemand`, `unit`",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(complaint(text), expected, "{text}");
        }
        let broken = complaint("backlog = 5\nbind = [");
        assert!(broken.starts_with("/etc/s.toml:2: "), "{broken}");
        assert_eq!(broken.lines().count(), 1, "{broken}");
    }

    #[test]
    fn no_secret_is_forgotten() {
        let names = option_names();
        let sounds_secret =
            |name: &&str| name.contains("token") || name.contains("secret") || name.contains("password");
        let secret: Vec<&str> = names.iter().map(String::as_str).filter(sounds_secret).collect();
        assert_eq!(secret, SECRETS);
        assert_eq!(secret_variables().collect::<Vec<_>>(), ["SMARTHTTPD_ADMIN_TOKEN"]);
    }

    #[test]
    fn every_option_has_its_variable() {
        for option in option_names() {
            assert!(
                variable(&option)[PREFIX.len()..].bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
                "{option}"
            );
        }
        assert_eq!(variable("min-workers"), "SMARTHTTPD_MIN_WORKERS");
    }
}
