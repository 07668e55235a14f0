//! `smarthttpd ctl top`: a running server in a terminal, once a second.
//!
//! `model` makes rates and quantiles of two looks, `view` lays them out. Here is the loop: a look, a frame, and until the
//! next one the keys. They are read as bytes, and the size is asked for with each frame: an event reader would install a
//! signal handler for the sake of resizing.

mod model;
mod view;

use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::model::Model;
use super::CtlError;
use super::protocol::Status;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// The size of a single frame that goes to no terminal.
const PAGE: Rect = Rect { x: 0, y: 0, width: 80, height: 24 };

/// Shows what `look` sees until the user has seen enough.
pub(super) fn live(mut look: impl FnMut() -> Result<Status, CtlError>) -> Result<(), CtlError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(CtlError::Terminal(io::Error::other("standard input and output are none")));
    }
    // Before the screen changes: who names no server shall read why.
    let mut model = Model::new(look()?);
    let mut terminal = ratatui::try_init().map_err(CtlError::Terminal)?;
    let shown = (|| loop {
        let next = Instant::now() + PERIOD;
        terminal.draw(|frame| view::draw(&model, frame.area(), frame.buffer_mut()))?;
        if wants_out(next)? {
            return Ok(());
        }
        model.take(look().map_err(|error| error.to_string()));
    })();
    ratatui::restore();
    shown.map_err(CtlError::Terminal)
}

/// Two looks, a second apart, as one frame of text.
pub(super) fn once(mut look: impl FnMut() -> Result<Status, CtlError>) -> Result<String, CtlError> {
    let mut model = Model::new(look()?);
    thread::sleep(PERIOD);
    model.take(Ok(look()?));
    Ok(frame(&model, PAGE))
}

/// A frame without colours, lines cut where they end.
fn frame(model: &Model, area: Rect) -> String {
    let mut buffer = Buffer::empty(area);
    view::draw(model, area, &mut buffer);
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(area.width)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Reads keys until `end`: whether one of them means that it is enough (q, Escape, Ctrl-C, Ctrl-D).
fn wants_out(end: Instant) -> io::Result<bool> {
    let mut input = io::stdin().lock();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let patience = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLIN)], patience) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut keys = [0; 64];
        let count = input.read(&mut keys)?;
        // An Escape with something behind it is another key, e.g. an arrow.
        let keys = &keys[..count];
        if count == 0 || keys == [0x1b] || keys.iter().any(|key| matches!(key, b'q' | b'Q' | 0x03 | 0x04)) {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests;
