//! What a person sees while a session runs: a bar on a terminal, plain lines elsewhere. Everything goes to standard
//! error; standard output is for results.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Progress through a session whose length is known about beforehand.
pub(crate) struct Progress {
    began: Instant,
    /// Steps of the whole session, and the number of the one that is shown.
    steps: usize,
    step: usize,
    /// Estimated seconds of the whole session, without what was stored before it was resumed.
    total: f64,
    /// Estimated seconds of the steps that are over.
    past: f64,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines,
}

impl Progress {
    /// Begins a session whose length is not known yet.
    pub(crate) fn begin() -> Self {
        let shown = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            // The template is a constant; a mistake in it falls back to the plain style.
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed_precise}] {bar:28} {msg}") {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            Shown::Bar(bar)
        } else {
            Shown::Lines
        };
        Self { began: Instant::now(), steps: 0, step: 0, total: 0.0, past: 0.0, shown }
    }

    /// There are about `steps` steps, and those that are not stored yet take about `seconds`.
    pub(crate) fn expect(&mut self, steps: usize, seconds: f64) {
        self.steps = steps;
        self.total = seconds;
    }

    /// A step need not be made: an earlier session has stored it.
    pub(crate) fn stored(&mut self) {
        self.step += 1;
    }

    /// Says what happens now.
    pub(crate) fn step(&mut self, what: &str) {
        self.step += 1;
        let what = format!("{}/{} {what}", self.step, self.steps.max(self.step));
        let left = remaining(self.total, self.past, self.began.elapsed().as_secs_f64());
        match &self.shown {
            Shown::Bar(bar) => {
                bar.set_length(self.total.ceil() as u64);
                bar.set_position(self.past as u64);
                bar.set_message(format!("{what} · about {} left", span(left)));
            }
            Shown::Lines => {
                let elapsed = self.began.elapsed().as_secs();
                eprintln!("[{elapsed:>4} s, about {} left] {what}", span(left));
            }
        }
    }

    /// A step that was estimated at `seconds` is over.
    pub(crate) fn done(&mut self, seconds: f64) {
        self.past += seconds;
    }

    /// A step of about `seconds` was in vain and is made again: the session is longer by it.
    pub(crate) fn again(&mut self, seconds: f64) {
        self.total += seconds;
        self.past += seconds;
    }

    /// Shows a line that stays.
    pub(crate) fn note(&self, line: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.println(line),
            Shown::Lines => eprintln!("{line}"),
        }
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Seconds left: the estimate of what is to come, stretched by how the past compared with its own estimate.
fn remaining(total: f64, past: f64, elapsed: f64) -> f64 {
    let to_come = (total - past).max(0.0);
    // The first steps say too little to stretch by.
    if past < total * 0.1 {
        return to_come;
    }
    to_come * (elapsed / past).clamp(0.5, 3.0)
}

/// `45 s`, `3 min 05 s`.
fn span(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..=90 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_or_in_vain_says_nothing_of_the_rest() {
        let mut progress =
            Progress { began: Instant::now(), steps: 0, step: 0, total: 0.0, past: 0.0, shown: Shown::Lines };
        let left = |progress: &Progress, elapsed| remaining(progress.total, progress.past, elapsed);
        // Four steps of 10 s, of which one is stored.
        progress.expect(4, 30.0);
        progress.stored();
        assert_eq!(left(&progress, 0.0), 30.0);
        progress.step("second");
        assert_eq!(progress.step, 2);
        // It is made twice, each time as long as estimated: what is to come is no longer for it.
        progress.again(10.0);
        assert_eq!(left(&progress, 10.0), 30.0);
        progress.done(10.0);
        assert_eq!(left(&progress, 20.0), 20.0);
    }

    #[test]
    fn the_rest_is_stretched_by_the_past() {
        // (total, past, elapsed, left)
        let rows = [
            (100.0, 0.0, 0.0, 100.0),
            // Too early to tell.
            (100.0, 5.0, 50.0, 95.0),
            (100.0, 50.0, 75.0, 75.0),
            (100.0, 50.0, 25.0, 25.0),
            // A machine that slept: not a whole day more.
            (100.0, 50.0, 86_400.0, 150.0),
            (100.0, 120.0, 120.0, 0.0),
        ];
        for (total, past, elapsed, left) in rows {
            assert_eq!(remaining(total, past, elapsed), left);
        }
        assert_eq!(span(44.6), "45 s");
        assert_eq!(span(185.0), "3 min 05 s");
    }
}
