//! What is known of the cause when a worker has died. Pure but for one look at the kernel's counter.

use crate::config::machine;
use crate::sys::process::Ending;

/// Tells the kernel's kills for lack of memory from others'.
#[derive(Debug)]
pub(super) struct Coroner {
    /// Kills for lack of memory, when somebody last looked.
    out_of_memory: Option<u64>,
}

impl Coroner {
    pub(super) fn new() -> Coroner {
        Coroner { out_of_memory: machine::out_of_memory_kills() }
    }

    /// How it ended, and what that may mean.
    pub(super) fn report(&mut self, ending: Ending) -> String {
        let before = self.out_of_memory;
        if ending == Ending::Signaled(libc::SIGKILL) {
            self.out_of_memory = machine::out_of_memory_kills();
        }
        let rose = before.zip(self.out_of_memory).is_some_and(|(before, now)| now > before);
        match hint(ending, rose) {
            Some(hint) => format!("{ending} ({hint})"),
            None => ending.to_string(),
        }
    }
}

fn hint(ending: Ending, out_of_memory: bool) -> Option<&'static str> {
    match ending {
        Ending::Signaled(libc::SIGKILL) if out_of_memory => Some(
            "the kernel killed it for lack of memory; allow more of it, fewer workers, or less for each with --max-worker-rss",
        ),
        Ending::Signaled(libc::SIGKILL) => Some("somebody killed it, and not for lack of memory as far as can be seen"),
        Ending::Signaled(libc::SIGSEGV | libc::SIGBUS | libc::SIGABRT | libc::SIGILL | libc::SIGFPE) => {
            Some("it crashed in native code; PYTHONFAULTHANDLER=1 in the environment shows where")
        }
        Ending::Exited(_) => Some("the application made it exit"),
        Ending::Signaled(_) | Ending::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart() {
        let rows = [
            (Ending::Signaled(libc::SIGKILL), true, Some("for lack of memory; allow")),
            (Ending::Signaled(libc::SIGKILL), false, Some("not for lack of memory")),
            // Somebody else ran out of memory at the same time.
            (Ending::Signaled(libc::SIGSEGV), true, Some("PYTHONFAULTHANDLER=1")),
            (Ending::Exited(3), false, Some("made it exit")),
            (Ending::Signaled(libc::SIGTERM), false, None),
            (Ending::Unknown, false, None),
        ];
        for (ending, out_of_memory, expected) in rows {
            match (hint(ending, out_of_memory), expected) {
                (Some(hint), Some(words)) => assert!(hint.contains(words), "{ending}: {hint}"),
                (hint, expected) => assert_eq!(hint, expected, "{ending}"),
            }
        }
    }
}
