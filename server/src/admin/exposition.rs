//! Prometheus's text format 0.0.4 and OpenMetrics 1.0.0: metric families as lines.
//!
//! The two differ in how a counter's family is named, in the last line, and in the media type. Knows no metric by name.

use std::fmt::{Display, Write};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus text, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// OpenMetrics for whoever names it in Accept without refusing it (as Prometheus does), else the older one.
    pub(super) fn negotiate(accept: Option<&[u8]>) -> Format {
        let accept = String::from_utf8_lossy(accept.unwrap_or_default()).to_ascii_lowercase();
        let taken = accept.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next() == Some("application/openmetrics-text");
            // The weight 0 refuses (RFC 9110 section 12.4.2).
            let refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
            named && !parts.any(refused)
        });
        if taken { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// The media type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes families one after the other.
pub(super) struct Exposition {
    format: Format,
    text: String,
}

/// Labels of one sample. Values are escaped, names are ours.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

impl Exposition {
    /// Nothing yet.
    pub(super) fn new(format: Format) -> Exposition {
        Exposition { format, text: String::with_capacity(8 * 1024) }
    }

    /// All of it.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// A family of counters; `name` without its `_total`.
    pub(super) fn counters<V: Display>(&mut self, name: &str, help: &str, samples: &[(Labels<'_>, V)]) {
        let family = match self.format {
            Format::Prometheus => format!("{name}_total"),
            Format::OpenMetrics => name.to_owned(),
        };
        self.describe(&family, "counter", help);
        for (labels, value) in samples {
            self.sample(&format!("{name}_total"), labels, value);
        }
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.counters(name, help, &[(&[], value)]);
    }

    /// A family of gauges.
    pub(super) fn gauges<V: Display>(&mut self, name: &str, help: &str, samples: &[(Labels<'_>, V)]) {
        self.describe(name, "gauge", help);
        for (labels, value) in samples {
            self.sample(name, labels, value);
        }
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.gauges(name, help, &[(&[], value)]);
    }

    /// A histogram: upper bounds with how many lie below each, in ascending order; the last bound is infinite.
    pub(super) fn histogram(&mut self, name: &str, help: &str, below: &[(f64, u64)], sum: f64) {
        self.describe(name, "histogram", help);
        for (bound, count) in below {
            let bound = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".to_owned() };
            self.sample(&format!("{name}_bucket"), &[("le", &bound)], count);
        }
        self.sample(&format!("{name}_sum"), &[], sum);
        self.sample(&format!("{name}_count"), &[], below.last().map_or(0, |(_, count)| *count));
    }

    // Writing to a String can't fail.

    fn describe(&mut self, family: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.text.push_str(name);
        for (index, (label, of)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let of = of.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{before}{label}=\"{of}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_openmetrics_gets_it() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        let table = [
            (None, Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (Some("text/plain"), Format::Prometheus),
            (Some(prometheus_2), Format::OpenMetrics),
            (Some("text/plain, Application/OpenMetrics-Text"), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Format::Prometheus),
            (Some("application/openmetrics-text; q=0.000"), Format::Prometheus),
        ];
        for (accept, expected) in table {
            assert_eq!(Format::negotiate(accept.map(str::as_bytes)), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_formats_differ_where_they_must() {
        let expose = |format| {
            let mut exposition = Exposition::new(format);
            exposition.counters("a", "Of two.", &[(&[("x", "1\n\"\\")], 5), (&[], 7)]);
            exposition.histogram("b", "Times.", &[(0.5, 1), (f64::INFINITY, 3)], 2.5);
            exposition.finish()
        };
        let samples = "a_total{x=\"1\\n\\\"\\\\\"} 5\na_total 7\n# HELP b Times.\n# TYPE b histogram\n\
                       b_bucket{le=\"0.5\"} 1\nb_bucket{le=\"+Inf\"} 3\nb_sum 2.5\nb_count 3\n";
        let older = format!("# HELP a_total Of two.\n# TYPE a_total counter\n{samples}");
        let newer = format!("# HELP a Of two.\n# TYPE a counter\n{samples}# EOF\n");
        assert_eq!(expose(Format::Prometheus), older);
        assert_eq!(expose(Format::OpenMetrics), newer);
    }
}
