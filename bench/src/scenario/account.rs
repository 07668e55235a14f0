//! What a server says of its own workers, asked with the command that its contender file has for that.
//!
//! Read by the names that the server documents; whatever else it says is not looked at. Used by `spawn` and `memory`.

use serde::Deserialize;

use super::Subject;
use crate::process::tool;

/// The whole answer.
#[derive(Debug, Deserialize)]
struct Reply {
    ok: Account,
}

/// The part that is looked at.
#[derive(Debug, Deserialize)]
struct Account {
    workers: Vec<Worker>,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Worker {
    pub(crate) pid: i32,
    /// Which of the server's workers it is, in the order of their starts.
    pub(crate) generation: u64,
    phase: String,
    /// Requests answered.
    pub(crate) requests: u64,
    /// Since the order to start it.
    pub(crate) age_seconds: f64,
    /// From that order until it could serve; `None` before.
    pub(crate) ready_ms: Option<f64>,
}

impl Worker {
    /// It serves, and was not told to leave.
    pub(crate) fn is_ready(&self) -> bool {
        self.phase == "ready"
    }

    /// A ready one, for tests.
    #[cfg(test)]
    pub(super) fn stub(pid: i32, requests: u64) -> Self {
        Self { pid, generation: 1, phase: "ready".into(), requests, age_seconds: 1.0, ready_ms: Some(1.0) }
    }
}

/// Every living worker.
///
/// # Errors
/// A sentence: the server has no command for it, or that failed.
pub(crate) fn workers(subject: Subject<'_>) -> Result<Vec<Worker>, String> {
    let words: Vec<&str> = subject.account.iter().map(String::as_str).collect();
    if words.is_empty() {
        return Err("the contender's file has no command that asks for its workers".into());
    }
    let outcome = tool::run(&words, None, &[], tool::ASK)?;
    if !outcome.success {
        return Err(format!("the server does not tell of its workers: {}", outcome.last_words()));
    }
    read(&outcome.out)
}

fn read(text: &str) -> Result<Vec<Worker>, String> {
    let reply: Reply =
        serde_json::from_str(text).map_err(|error| format!("the server tells of its workers wrongly: {error}"))?;
    Ok(reply.ok.workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_read_from_among_everything_else() {
        let text = r#"{"ok":{"version":"1","workers":[
            {"slot":0,"pid":71,"generation":3,"phase":"ready","busy":false,"requests":5,"age_seconds":2.5,"ready_ms":4.25},
            {"slot":1,"pid":72,"generation":4,"phase":"starting","requests":0,"age_seconds":0.0,"ready_ms":null}]}}"#;
        let workers = read(text).unwrap();
        assert_eq!((workers[0].pid, workers[0].ready_ms, workers[0].is_ready()), (71, Some(4.25), true));
        assert_eq!((workers[1].generation, workers[1].ready_ms, workers[1].is_ready()), (4, None, false));
        assert!(read(r#"{"error":"no"}"#).is_err());
    }
}
