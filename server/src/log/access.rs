//! Access log lines as pure functions from an [`Entry`] to bytes.
//!
//! `common` and `combined` are Apache's formats (mod_log_config: `%h %l %u %t "%r" %>s %b`, then the Referer and
//! User-Agent headers in quotes); `json` is one object per line. What a client sent is escaped in all of them, so that
//! nobody can forge a line or a field.

use std::io::Write;
use std::time::{Duration, SystemTime};

use super::calendar::{Civil, since_epoch};
use crate::config::AccessFormat;

/// What is known of one answered request. Texts are as the client sent them; empty ones were not sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The client's address, or `unix:`; `-` if a proxy keeps it to itself.
    pub(crate) remote: &'a str,
    /// E.g. `GET`.
    pub(crate) method: &'a str,
    /// Still percent-encoded, without the query.
    pub(crate) path: &'a str,
    /// Without `?`.
    pub(crate) query: &'a str,
    /// E.g. `HTTP/1.1`.
    pub(crate) protocol: &'a str,
    /// The response's status code.
    pub(crate) status: u16,
    /// Body bytes sent.
    pub(crate) bytes: u64,
    /// From the request's first byte to the response's last.
    pub(crate) duration: Duration,
    /// The Referer header.
    pub(crate) referer: Option<&'a [u8]>,
    /// The User-Agent header.
    pub(crate) user_agent: Option<&'a [u8]>,
    /// The worker's process.
    pub(crate) pid: u32,
}

/// Appends `entry` as one line, newline included. Formats the date once a second and allocates nothing otherwise.
pub(crate) fn write_line(
    line: &mut Vec<u8>,
    format: AccessFormat,
    clock: &mut Clock,
    now: SystemTime,
    entry: &Entry<'_>,
) {
    clock.advance(now);
    match format {
        AccessFormat::Common => write_common(line, clock, entry),
        AccessFormat::Combined => {
            write_common(line, clock, entry);
            line.extend_from_slice(b" \"");
            write_escaped(line, entry.referer.unwrap_or(b"-"));
            line.extend_from_slice(b"\" \"");
            write_escaped(line, entry.user_agent.unwrap_or(b"-"));
            line.push(b'"');
        }
        AccessFormat::Json => write_json(line, clock, entry),
    }
    line.push(b'\n');
}

/// The current second as both formats write it; formatted again only when the second changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    /// Seconds since 1970; `None` before the first reading.
    second: Option<u64>,
    milliseconds: u32,
    /// `22/Nov/2026:18:00:00 +0000`
    apache: String,
    /// `2026-11-22T18:00:00`
    iso: String,
}

impl Clock {
    fn advance(&mut self, now: SystemTime) {
        let since = since_epoch(now);
        self.milliseconds = since.subsec_millis();
        if self.second == Some(since.as_secs()) {
            return;
        }
        self.second = Some(since.as_secs());
        let civil = Civil::from_epoch_seconds(since.as_secs());
        let Civil { year, month, day, hour, minute, second } = civil;
        self.apache = format!("{day:02}/{}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000", civil.month_name());
        self.iso = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    }
}

/// Appends formatted text; writing to memory can't fail.
macro_rules! append {
    ($line:expr, $($format:tt)+) => {
        let _ = write!($line, $($format)+);
    };
}

fn write_common(line: &mut Vec<u8>, clock: &Clock, entry: &Entry<'_>) {
    write_escaped(line, entry.remote.as_bytes());
    append!(line, " - - [{}] \"", clock.apache);
    if entry.method.is_empty() {
        // Nothing that looked like a request line arrived.
        line.push(b'-');
    } else {
        write_escaped(line, entry.method.as_bytes());
        line.push(b' ');
        write_escaped(line, entry.path.as_bytes());
        if !entry.query.is_empty() {
            line.push(b'?');
            write_escaped(line, entry.query.as_bytes());
        }
        line.push(b' ');
        write_escaped(line, entry.protocol.as_bytes());
    }
    append!(line, "\" {} ", entry.status);
    match entry.bytes {
        // `%b`, unlike `%B`, writes no zero.
        0 => line.push(b'-'),
        bytes => {
            append!(line, "{bytes}");
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Everything but printable ASCII as `\xhh`, and so the two characters that mean something inside quotes.
fn write_escaped(line: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | ..b' ' | 0x7f.. => {
                line.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => line.push(byte),
        }
    }
}

fn write_json(line: &mut Vec<u8>, clock: &Clock, entry: &Entry<'_>) {
    append!(line, "{{\"time\":\"{}.{:03}Z\"", clock.iso, clock.milliseconds);
    let texts = [
        ("remote", entry.remote),
        ("method", entry.method),
        ("path", entry.path),
        ("query", entry.query),
        ("protocol", entry.protocol),
    ];
    for (name, text) in texts {
        write_json_field(line, name, Some(text.as_bytes()));
    }
    let (status, bytes, microseconds) = (entry.status, entry.bytes, entry.duration.as_micros());
    append!(line, ",\"status\":{status},\"bytes\":{bytes},\"duration_us\":{microseconds}");
    write_json_field(line, "referer", entry.referer);
    write_json_field(line, "user_agent", entry.user_agent);
    append!(line, ",\"pid\":{}}}", entry.pid);
}

fn write_json_field(line: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    append!(line, ",\"{name}\":");
    let Some(value) = value else {
        line.extend_from_slice(b"null");
        return;
    };
    line.push(b'"');
    for chunk in value.utf8_chunks() {
        write_json_text(line, chunk.valid());
        if !chunk.invalid().is_empty() {
            // A header may hold any bytes, JSON (RFC 8259 8.1) only UTF-8.
            line.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    line.push(b'"');
}

/// RFC 8259 7: quotes, backslashes and control characters must be escaped. DEL and the C1 controls are, too: they would
/// reach the terminal of whoever reads the log.
fn write_json_text(line: &mut Vec<u8>, text: &str) {
    for character in text.chars() {
        match character {
            '"' => line.extend_from_slice(b"\\\""),
            '\\' => line.extend_from_slice(b"\\\\"),
            control if control.is_control() => {
                append!(line, "\\u{:04x}", u32::from(control));
            }
            other => line.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const ENTRY: Entry<'_> = Entry {
        remote: "127.0.0.1",
        method: "GET",
        path: "/a%20b",
        query: "x=1",
        protocol: "HTTP/1.1",
        status: 200,
        bytes: 2326,
        duration: Duration::from_micros(1_234),
        referer: Some(b"http://example.com/start"),
        user_agent: Some(b"curl/8.5"),
        pid: 77,
    };

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_795_370_400_123)
    }

    fn line(format: AccessFormat, entry: &Entry<'_>) -> String {
        let mut line = Vec::new();
        write_line(&mut line, format, &mut Clock::default(), now(), entry);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn common_is_apaches() {
        let table = [
            (ENTRY, "127.0.0.1 - - [22/Nov/2026:18:00:00 +0000] \"GET /a%20b?x=1 HTTP/1.1\" 200 2326\n"),
            (
                Entry { query: "", bytes: 0, ..ENTRY },
                "127.0.0.1 - - [22/Nov/2026:18:00:00 +0000] \"GET /a%20b HTTP/1.1\" 200 -\n",
            ),
            (
                Entry { method: "", path: "", query: "", status: 408, bytes: 0, ..ENTRY },
                "127.0.0.1 - - [22/Nov/2026:18:00:00 +0000] \"-\" 408 -\n",
            ),
        ];
        for (entry, expected) in table {
            assert_eq!(line(AccessFormat::Common, &entry), expected);
        }
    }

    #[test]
    fn combined_adds_two_headers() {
        let common = "127.0.0.1 - - [22/Nov/2026:18:00:00 +0000] \"GET /a%20b?x=1 HTTP/1.1\" 200 2326";
        assert_eq!(
            line(AccessFormat::Combined, &ENTRY),
            format!("{common} \"http://example.com/start\" \"curl/8.5\"\n")
        );
        let bare = Entry { referer: None, user_agent: None, ..ENTRY };
        assert_eq!(line(AccessFormat::Combined, &bare), format!("{common} \"-\" \"-\"\n"));
    }

    #[test]
    fn json_has_every_field() {
        let expected = "{\"time\":\"2026-11-22T18:00:00.123Z\",\"remote\":\"127.0.0.1\",\"method\":\"GET\",\"path\":\"/a%20b\",\"query\":\"x=1\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes\":2326,\"duration_us\":1234,\"referer\":\"http://example.com/start\",\"user_agent\":\"curl/8.5\",\"pid\":77}\n";
        assert_eq!(line(AccessFormat::Json, &ENTRY), expected);
        let bare: serde_json::Value =
            serde_json::from_str(&line(AccessFormat::Json, &Entry { referer: None, ..ENTRY })).unwrap();
        assert_eq!(bare["referer"], serde_json::Value::Null);
    }

    #[test]
    fn a_client_cannot_forge_a_line_or_a_field() {
        let forged = b"x\" 200 1\r\n10.0.0.1 - - \\ \x7f\xff\xc3\xa9";
        let entry = Entry { user_agent: Some(forged), path: "/\"\n", ..ENTRY };
        let text = line(AccessFormat::Combined, &entry);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.ends_with(" \"x\\x22 200 1\\x0d\\x0a10.0.0.1 - - \\x5c \\x7f\\xff\\xc3\\xa9\"\n"), "{text}");
        assert!(text.contains("\"GET /\\x22\\x0a?x=1 HTTP/1.1\""), "{text}");

        let text = line(AccessFormat::Json, &entry);
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["user_agent"], "x\" 200 1\r\n10.0.0.1 - - \\ \u{7f}\u{fffd}é");
        assert_eq!(value["path"], "/\"\n");
    }

    #[test]
    fn every_byte_stays_valid_json_on_one_line() {
        let every: Vec<u8> = (0..=255).collect();
        let text = line(AccessFormat::Json, &Entry { user_agent: Some(&every), ..ENTRY });
        assert_eq!(text.matches('\n').count(), 1);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        assert!(text.trim_end().chars().all(|character| !character.is_control()), "{text:?}");
    }

    #[test]
    fn the_date_is_formatted_once_a_second() {
        let mut clock = Clock::default();
        clock.advance(now());
        let first = clock.apache.as_ptr();
        clock.advance(now() + Duration::from_millis(800));
        assert_eq!((clock.apache.as_ptr(), clock.milliseconds), (first, 923));
        clock.advance(now() + Duration::from_millis(900));
        assert_eq!(clock.apache, "22/Nov/2026:18:00:01 +0000");
    }
}
