//! What a run shows while it lasts, on standard error: a live view on a terminal, otherwise a line
//! per interval.

use std::io::{self, IsTerminal, Write};

use loadgen::{Interval, Plan};

use crate::live::Live;

/// The way it is shown.
pub(crate) enum Progress {
    Quiet,
    /// A line per interval; on a terminal each takes the place of the last one.
    Lines {
        in_place: bool,
        shown: bool,
    },
    Live(Box<Live>),
}

impl Progress {
    /// Chooses: nothing when `quiet`; the live view where there is a terminal that wants it.
    pub(crate) fn new(quiet: bool, live: bool, plan: &Plan) -> Self {
        let in_place = io::stderr().is_terminal();
        if quiet {
            return Self::Quiet;
        }
        // A terminal that cannot move its cursor, or cannot be set up, still takes lines.
        let able = std::env::var_os("TERM").is_some_and(|name| name != "dumb");
        let view = if live && in_place && able { Live::start(plan).ok() } else { None };
        view.map_or(Self::Lines { in_place, shown: false }, |view| Self::Live(Box::new(view)))
    }

    /// Shows an interval that is over. Progress that nobody reads is no reason to stop measuring, so
    /// failing to write is none either.
    pub(crate) fn show(&mut self, interval: &Interval) {
        match self {
            Self::Quiet => {}
            Self::Lines { in_place, shown } => {
                *shown = true;
                let line = interval.line();
                let _ = if *in_place {
                    // Back to the first column, and erase to the end of the line (ECMA-48 EL).
                    write!(io::stderr(), "\r{line}\x1b[K")
                } else {
                    writeln!(io::stderr(), "{line}")
                };
            }
            Self::Live(live) => live.show(interval),
        }
    }

    /// Leaves the terminal to what comes next.
    pub(crate) fn end(self) {
        if let Self::Lines { in_place: true, shown: true } = self {
            let _ = writeln!(io::stderr());
        }
    }
}

/// What a search shows: a passing line on a terminal while a trial runs, and a lasting one for each that is over.
pub(crate) struct TrialLines {
    quiet: bool,
    in_place: bool,
    shown: bool,
}

impl TrialLines {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, in_place: io::stderr().is_terminal(), shown: false }
    }

    /// A line for a terminal only, until the next one takes its place.
    pub(crate) fn passing(&mut self, line: &str) {
        if self.in_place && !self.quiet {
            self.shown = true;
            self.print(line);
        }
    }

    /// A line that stays.
    pub(crate) fn lasting(&mut self, line: &str) {
        if !self.quiet {
            self.shown = true;
            self.print(line);
            self.end();
            self.shown = false;
        }
    }

    pub(crate) fn end(&self) {
        if self.shown && self.in_place {
            let _ = writeln!(io::stderr());
        }
    }

    fn print(&self, line: &str) {
        let _ = if self.in_place { write!(io::stderr(), "\r{line}\x1b[K") } else { writeln!(io::stderr(), "{line}") };
    }
}
