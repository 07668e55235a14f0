//! A real terminal: tmux, which shows what a program has drawn.
//!
//! Also used by the unit tests of the live view, which include this file.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One window of a tmux server of its own, with a shell command in it. Dropping it ends both.
pub(crate) struct Terminal {
    folder: TempDir,
}

impl Terminal {
    /// Runs a shell command in a window of this size.
    pub(crate) fn start(width: u16, height: u16, command: &str) -> Self {
        let terminal = Self { folder: tempfile::tempdir().unwrap() };
        let (width, height) = (width.to_string(), height.to_string());
        terminal.tmux(&["new-session", "-d", "-x", &width, "-y", &height, command]);
        terminal
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("tmux")
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        // Nobody's settings but the defaults, and a locale in which the bars are characters.
        command.arg("-u").arg("-f").arg("/dev/null").arg("-S").arg(self.socket()).args(words);
        let output = command.env_remove("TMUX").output().expect("tmux can be started (Debian: apt-get install tmux)");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is on the screen and has left it at the top.
    fn everything(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-"])
    }

    /// Presses a key, for instance `C-c`.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// True when the screen is the one with a past, and the cursor is seen.
    pub(crate) fn is_plain(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim() == "0 1"
    }

    /// Waits until the screen, or what has left it, is as it should be.
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.everything();
            if is_so(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "{what} was never to be seen:\n{seen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.arg("-S").arg(self.socket()).arg("kill-server").env_remove("TMUX").output();
    }
}
