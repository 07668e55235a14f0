//! The error log on standard error, one write per line: `2026-11-22T18:00:00.123Z INFO supervisor[1234] message key=value`
//! for people, coloured on a terminal only, or one JSON object per line for programs.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::calendar::{Civil, since_epoch};
use crate::config::{LogFormat, LogLevel};

/// What this process is. A fork changes it; the pid beside it is asked for with each line.
static ROLE: RwLock<String> = RwLock::new(String::new());

/// Sends this process's messages to standard error. Once per program start; later calls only change the role.
pub(crate) fn init(level: LogLevel, format: LogFormat, role: &str) {
    set_role(role);
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(format == LogFormat::Text && io::stderr().is_terminal())
        .with_writer(io::stderr)
        .event_format(Line(format))
        .finish();
    // Refused when there is one already, which then goes on.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Changes what the following lines say this process is, e.g. `worker 3` after a fork.
pub(crate) fn set_role(role: &str) {
    role.clone_into(&mut ROLE.write().unwrap_or_else(PoisonError::into_inner));
}

/// The form of a line.
struct Line(LogFormat);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        if self.0 == LogFormat::Json {
            return write_object(&mut writer, SystemTime::now(), level, event);
        }
        write_prefix(&mut writer, SystemTime::now(), level)?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// `2026-11-22T18:00:00.123Z`.
fn timestamp(now: SystemTime) -> String {
    let since = since_epoch(now);
    let Civil { year, month, day, hour, minute, second } = Civil::from_epoch_seconds(since.as_secs());
    let milliseconds = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// An event as one JSON object: when, how severe, who, and its fields, of which `message` is the text.
fn write_object(writer: &mut Writer<'_>, now: SystemTime, level: Level, event: &Event<'_>) -> fmt::Result {
    let mut fields = Fields(Map::new());
    event.record(&mut fields);
    let Fields(mut object) = fields;
    // Whatever an event calls its fields: who and when is ours to say.
    object.insert("time".to_owned(), timestamp(now).into());
    object.insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
    object.insert("role".to_owned(), ROLE.read().unwrap_or_else(PoisonError::into_inner).as_str().into());
    object.insert("pid".to_owned(), std::process::id().into());
    writeln!(writer, "{}", Value::Object(object))
}

/// An event's fields as JSON values.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

fn write_prefix(writer: &mut Writer<'_>, now: SystemTime, level: Level) -> fmt::Result {
    let time = timestamp(now);
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

    /// What is written in this format while `log` logs.
    fn written(format: LogFormat, log: impl FnOnce()) -> Vec<String> {
        let memory = Memory::default();
        let to = memory.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::INFO)
            .with_ansi(false)
            .with_writer(move || to.clone())
            .event_format(Line(format))
            .finish();
        // The role is the whole process's.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap();
        tracing::subscriber::with_default(subscriber, log);
        memory.0.lock().unwrap().clone()
    }

    #[test]
    fn an_object_has_the_fields_as_they_are() {
        let lines = written(LogFormat::Json, || {
            set_role("supervisor");
            let nothing: Option<f64> = None;
            tracing::info!(slots = 2.5, count = 3, retires = false, nothing, pid = "mine", "λ=\"4\"\n→ {}", 5);
            tracing::debug!("not shown");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].ends_with("}\n") && lines[0].matches('\n').count() == 1, "{lines:?}");
        let object: Value = serde_json::from_str(&lines[0]).unwrap();
        let expected = serde_json::json!({
            "time": object["time"], "level": "info", "role": "supervisor", "pid": std::process::id(),
            "message": "λ=\"4\"\n→ 5", "slots": 2.5, "count": 3, "retires": false,
        });
        assert_eq!(object, expected);
        assert_eq!(object["time"].as_str().map(str::len), Some("2026-11-22T18:00:00.123Z".len()));
    }

    #[test]
    fn a_line_says_when_what_who_and_is_one_write() {
        let lines = written(LogFormat::Text, || {
            set_role("supervisor");
            tracing::info!(slot = 3, why = "idle", "retires a worker");
            tracing::debug!("not shown");
            set_role("worker 3");
            // What a client sent can't start a line of its own when it is logged as a value.
            tracing::warn!(target_path = "/a\nb", "odd");
        });
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
