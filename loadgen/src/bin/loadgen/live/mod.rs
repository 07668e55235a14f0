//! The live view: a run in a terminal, while it lasts.
//!
//! `model` adds up intervals, `view` lays them out, `screen` has the terminal. Drawn by the thread
//! that coordinates the run, from intervals that are over, at most four times a second: the threads
//! that generate load know nothing of it.

mod model;
mod screen;
mod view;

use std::io::{self, Stderr};
use std::time::{Duration, Instant};

use loadgen::{Interval, Plan};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use self::model::Model;
pub(crate) use self::screen::leave;

/// Least time between two frames.
const PERIOD: Duration = Duration::from_millis(250);

/// The view, until it is dropped.
pub(crate) struct Live {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    model: Model,
    drawn: Instant,
}

impl Live {
    /// Takes the terminal over and shows what is going to run.
    pub(crate) fn start(plan: &Plan) -> io::Result<Self> {
        screen::enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stderr())).inspect_err(|_| leave())?;
        let mut live = Self { terminal, model: Model::new(plan), drawn: Instant::now() };
        live.draw();
        Ok(live)
    }

    /// Takes an interval that is over.
    pub(crate) fn show(&mut self, interval: &Interval) {
        self.model.take(interval);
        if self.drawn.elapsed() >= PERIOD {
            self.draw();
        }
    }

    fn draw(&mut self) {
        self.drawn = Instant::now();
        // A panic on another thread may have given the terminal back already.
        if screen::is_ours() {
            // A terminal that takes no frame is no reason to stop measuring.
            let _ = self.terminal.draw(|frame| view::draw(&self.model, frame.area(), frame.buffer_mut()));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        leave();
    }
}

#[cfg(test)]
mod tests;
