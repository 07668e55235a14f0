//! What is wrong with what the operator asked for. Every message is one line that names the flag, variable or file at
//! fault and says what to do.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::exit::Exit;
use super::layers::Origin;

/// Why there is no [`super::Command`] to carry out. To be shown after `smarthttpd: `.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line can't be understood.
    #[error("{0}")]
    Usage(String),
    /// One value is wrong, by itself or beside the others.
    #[error("{origin}: {problem}")]
    Setting {
        /// Who gave it.
        origin: Origin,
        /// What is wrong and what would be right.
        problem: Box<dyn Error + Send + Sync>,
    },
    /// The configuration file has an error that belongs to no option.
    #[error("{}:{}{problem}", path.display(), line.map(|line| format!("{line}: ")).unwrap_or_else(|| " ".to_owned()))]
    File {
        /// The file.
        path: PathBuf,
        /// From 1, where known.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
    },
    /// The configuration file can't be read.
    #[error("{origin}: {}: {source}; give a readable TOML file", path.display())]
    UnreadableFile {
        /// Who named it.
        origin: Origin,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody said what to serve.
    #[error("no application given; add MODULE:CALLABLE, e.g. smarthttpd app:app")]
    NoApplication,
    /// Called without any argument: a short help, the one message of several lines.
    #[error("{0}")]
    Nothing(&'static str),
}

impl CliError {
    /// The exit code that goes with it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            CliError::Usage(_)
            | CliError::Setting { .. }
            | CliError::File { .. }
            | CliError::UnreadableFile { .. }
            | CliError::NoApplication
            | CliError::Nothing(_) => Exit::Usage,
        }
    }
}

/// A message of several lines as one. clap's usage lines are left out: our message names the culprit already.
pub(super) fn one_line(message: &str) -> String {
    let mut line = String::new();
    for part in message.lines().map(str::trim) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        let part = part.strip_prefix("error: ").or_else(|| part.strip_prefix("tip: ")).unwrap_or(part);
        if part.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str(if line.ends_with(':') { " " } else { "; " });
        }
        line.push_str(part);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_lines_become_one() {
        let clap = "error: unexpected argument '--worker' found\n\n  tip: a similar argument exists: '--workers'\n\nUsage: smarthttpd\n\nFor more information, try '--help'.\n";
        assert_eq!(one_line(clap), "unexpected argument '--worker' found; a similar argument exists: '--workers'");
        assert_eq!(one_line("error: missing:\n  --target\n"), "missing: --target");
        assert_eq!(one_line("plain"), "plain");
    }
}
