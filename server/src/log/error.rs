//! The error log: `2026-11-22T18:00:00.123Z INFO supervisor[1234] message key=value` on standard error, one write per
//! line, coloured on a terminal only.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::calendar::{Civil, since_epoch};
use crate::config::LogLevel;

/// What this process is. A fork changes it; the pid beside it is asked for with each line.
static ROLE: RwLock<String> = RwLock::new(String::new());

/// Sends this process's messages to standard error. Once per program start; later calls only change the role.
pub(crate) fn init(level: LogLevel, role: &str) {
    set_role(role);
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .event_format(Line)
        .finish();
    // Refused when there is one already, which then goes on.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Changes what the following lines say this process is, e.g. `worker 3` after a fork.
pub(crate) fn set_role(role: &str) {
    role.clone_into(&mut ROLE.write().unwrap_or_else(PoisonError::into_inner));
}

/// The form of a line.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        write_prefix(&mut writer, SystemTime::now(), level)?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn write_prefix(writer: &mut Writer<'_>, now: SystemTime, level: Level) -> fmt::Result {
    let since = since_epoch(now);
    let Civil { year, month, day, hour, minute, second } = Civil::from_epoch_seconds(since.as_secs());
    let milliseconds = since.subsec_millis();
    let time = format_args!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z");
    let role = ROLE.read().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    if writer.has_ansi_escapes() {
        // Red, yellow, green, blue; the time stands back.
        let colour = match level {
            Level::ERROR => 31,
            Level::WARN => 33,
            Level::INFO => 32,
            _ => 34,
        };
        write!(writer, "\x1b[2m{time}\x1b[0m \x1b[{colour}m{level}\x1b[0m {role}[{pid}] ")
    } else {
        write!(writer, "{time} {level} {role}[{pid}] ")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// A log file in memory: one element per write.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<String>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_when_what_who_and_is_one_write() {
        let memory = Memory::default();
        let to = memory.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::INFO)
            .with_ansi(false)
            .with_writer(move || to.clone())
            .event_format(Line)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            set_role("supervisor");
            tracing::info!(slot = 3, why = "idle", "retires a worker");
            tracing::debug!("not shown");
            set_role("worker 3");
            // What a client sent can't start a line of its own when it is logged as a value.
            tracing::warn!(target_path = "/a\nb", "odd");
        });
        let lines = memory.0.lock().unwrap().clone();
        let pid = std::process::id();
        assert_eq!(lines.len(), 2, "{lines:?}");
        let (time, rest) = lines[0].split_once(' ').unwrap();
        assert_eq!(rest, format!("INFO supervisor[{pid}] retires a worker slot=3 why=\"idle\"\n"));
        assert_eq!(time.len(), "2026-11-22T18:00:00.123Z".len(), "{time}");
        let (_, rest) = lines[1].split_once(' ').unwrap();
        assert_eq!(rest, format!("WARN worker 3[{pid}] odd target_path=\"/a\\nb\"\n"));
    }

    #[test]
    fn the_time_has_milliseconds() {
        let mut text = String::new();
        let now = UNIX_EPOCH + Duration::from_millis(1_795_370_400_007);
        write_prefix(&mut Writer::new(&mut text), now, Level::INFO).unwrap();
        assert!(text.starts_with("2026-11-22T18:00:00.007Z INFO "), "{text}");
    }
}
