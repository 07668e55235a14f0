//! Runs a program to its end and keeps what it printed: cargo, pip, `apache2 -v`.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use super::{launch, registry};

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) success: bool,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Outcome {
    /// The last lines of what it printed to either stream, for an error message.
    pub(crate) fn last_words(&self) -> String {
        let text = if self.err.trim().is_empty() {
            &self.out
        } else {
            &self.err
        };
        tail(text, 20)
    }
}

/// The last `lines` lines of a text, without empty ends.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Runs `words` (program first) in `folder` (the harness's own, if none) with additional `environment`.
///
/// # Errors
/// When the program could not be started at all. One that failed is an [`Outcome`] without success.
pub(crate) fn run(
    words: &[&str],
    folder: Option<&Path>,
    environment: &[(&str, &str)],
) -> Result<Outcome, String> {
    let (program, arguments) = words.split_first().ok_or("no program")?;
    let mut command = launch::command(&launch::Before::default(), program)
        .map_err(|error| format!("{program}: {error}"))?;
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let mut child = {
        let mut running = registry::lock();
        let child = command
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        running.roots.push(child.id().cast_signed());
        child
    };
    let errors = child.stderr.take().map(|pipe| thread::spawn(|| text_of(pipe)));
    let out = child.stdout.take().map(text_of).unwrap_or_default();
    let err = errors
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    let status = child.wait();
    registry::reaped(child.id().cast_signed());
    let status = status.map_err(|error| format!("{program}: {error}"))?;
    Ok(Outcome {
        success: status.success(),
        out,
        err,
    })
}

fn text_of(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is still worth showing.
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails() {
        let rows = [("", ""), ("a\nb\nc\n", "b\nc"), ("a\n\n", "a")];
        for (text, expected) in rows {
            assert_eq!(tail(text, 2), expected);
        }
    }
}
