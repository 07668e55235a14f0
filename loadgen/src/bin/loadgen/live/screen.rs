//! The terminal's state: taken over for the live view, given back however the run ends.
//!
//! Ctrl-C stays a signal, which `interrupt` turns into an event: no key is read. What is typed is not
//! shown, and Ctrl-Z and Ctrl-\ do nothing, because a stopped generator would measure its own absence.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};

/// The state to return to; `None` while the terminal is as it was.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Takes the terminal at standard error over.
pub(super) fn enter() -> io::Result<()> {
    let before = termios::tcgetattr(io::stderr())?;
    let mut ours = before.clone();
    ours.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON);
    for key in [SpecialCharacterIndices::VSUSP, SpecialCharacterIndices::VQUIT] {
        // _POSIX_VDISABLE, which is 0 on Linux.
        ours.control_chars[key as usize] = 0;
    }
    HOOK.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            next(panic);
        }));
    });
    termios::tcsetattr(io::stderr(), SetArg::TCSANOW, &ours)?;
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    execute!(io::stderr(), EnterAlternateScreen, Hide).inspect_err(|_| leave())
}

/// True between [`enter`] and [`leave`].
pub(super) fn is_ours() -> bool {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Gives the terminal back, if it was taken; from any thread, and more than once.
pub(crate) fn leave() {
    let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    // There is nobody left to tell when the terminal is gone.
    let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
    let _ = io::stderr().flush();
    // What was typed meanwhile was meant for nobody: it is dropped.
    let _ = termios::tcsetattr(io::stderr(), SetArg::TCSAFLUSH, &before);
}
