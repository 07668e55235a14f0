//! Floors in words. Only formats.

use std::fmt::Write as _;

use super::{Floor, FloorExchange};
use crate::summary::time;

/// In place of the figures of a floor that nobody has measured.
const NOT_MEASURED: &str = "not measured; --floor measures what this engine costs by itself";

/// The lines of a report about its floor.
pub(crate) fn lines(floor: Option<&Floor>) -> Vec<String> {
    match floor {
        Some(floor) => floor.exchanges.iter().map(FloorExchange::line).collect(),
        None => vec![NOT_MEASURED.to_owned()],
    }
}

impl FloorExchange {
    fn line(&self) -> String {
        let connections = match self.connections {
            1 => "1 connection".to_owned(),
            count => format!("{count} connections"),
        };
        let (cpu, p50, p99) = self.figures();
        format!("{connections}: {cpu} of CPU per answer, p50 {p50}, p99 {p99}, {:.0} answers/s", self.answered_rate)
    }

    fn figures(&self) -> (String, String, String) {
        let p99 = self.p99_ns.map_or_else(|| "unknown (too few answers)".to_owned(), |p99| time(p99 as f64));
        (time(self.cpu_per_request_ns), time(self.p50_ns as f64), p99)
    }
}

/// Several engines' floors as a table for people.
#[must_use]
pub fn floor_table(floors: &[Floor]) -> String {
    let mut text = String::from("What the generator costs and adds by itself, on this machine:\n\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  {:<9} {:>11} {:>12} {:>15} {:>10} {:>10}",
        "engine", "connections", "answers/s", "CPU per answer", "p50", "p99"
    );
    for floor in floors {
        for one in &floor.exchanges {
            let (cpu, p50, p99) = one.figures();
            let _ = writeln!(
                text,
                "  {:<9} {:>11} {:>12.0} {cpu:>15} {p50:>10} {p99:>10}",
                floor.engine.name(),
                one.connections,
                one.answered_rate
            );
        }
    }
    text.push_str(
        "\nAgainst a server in this process that reads and answers without a look, by HTTP/1.1 over\n\
         loopback TCP. TLS, HTTP/2 and proxies cost more.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::tests::floor;

    #[test]
    fn a_floor_is_said_in_a_line_per_number_of_connections() {
        assert_eq!(
            lines(Some(&floor(2_500.0))),
            [
                "1 connection: 2.5 µs of CPU per answer, p50 18.0 µs, p99 31.0 µs, 50000 answers/s",
                "16 connections: 2.5 µs of CPU per answer, p50 18.0 µs, p99 unknown (too few answers), 50000 answers/s",
            ]
        );
        assert!(lines(None)[0].starts_with("not measured; --floor"));
    }

    #[test]
    fn the_table_has_a_row_per_number_of_connections() {
        let text = floor_table(&[floor(2_500.0), floor(1.0)]);
        assert_eq!(text.lines().filter(|line| line.starts_with("  fast ")).count(), 4, "{text}");
        assert!(
            text.contains("  fast                1        50000          2.5 µs    18.0 µs    31.0 µs\n"),
            "{text}"
        );
    }
}
