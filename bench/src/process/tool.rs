//! Runs a program to its end and keeps what it printed: cargo, pip, `apache2 -v`.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{launch, pidfd, registry};

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
        let text = if self.err.trim().is_empty() { &self.out } else { &self.err };
        tail(text, 20)
    }
}

/// The last `lines` lines of a text, without empty ends.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// For a program that only says something: a version, a path.
pub(crate) const ASK: Duration = Duration::from_secs(10);

/// For a program that downloads or builds.
pub(crate) const WORK: Duration = Duration::from_secs(3600);

/// Runs `words` (program first) in `folder` (the harness's own, if none) with additional `environment`, at most for
/// `limit`.
///
/// # Errors
/// When the program could not be started at all, or was stopped at the limit. One that failed is an [`Outcome`]
/// without success.
pub(crate) fn run(
    words: &[&str],
    folder: Option<&Path>,
    environment: &[(&str, &str)],
    limit: Duration,
) -> Result<Outcome, String> {
    let (program, arguments) = words.split_first().ok_or("no program")?;
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let mut command = launch::command(&launch::Before::default(), program).map_err(failed)?;
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
        let child = command.spawn().map_err(failed)?;
        running.roots.push(child.id().cast_signed());
        child
    };
    let root = child.id().cast_signed();
    let out = child.stdout.take().map(|pipe| thread::spawn(|| text_of(pipe)));
    let err = child.stderr.take().map(|pipe| thread::spawn(|| text_of(pipe)));
    let in_time = pidfd::open(root).map(|pidfd| pidfd::ended_within(&pidfd, limit));
    // Also after a normal end: what it left behind would keep the pipes open.
    registry::end_tree(root, Duration::ZERO);
    let status = child.wait();
    registry::reaped(root);
    registry::end_strays();
    let text = |thread: Option<JoinHandle<String>>| thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let (out, err) = (text(out), text(err));
    if !in_time.map_err(failed)? {
        return Err(format!("{program} was stopped after {} s", limit.as_secs()));
    }
    Ok(Outcome { success: status.map_err(failed)?.success(), out, err })
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
