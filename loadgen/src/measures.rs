//! The distributions that a report carries, as one table: name, words, and where they stand.
//!
//! Whatever shows, writes or joins distributions goes through this table, so a new one is a field of
//! [`Report`] and one line here.

use crate::distribution::Distribution;
use crate::report::{Interval, Report};

/// Where a distribution stands in each interval.
type Place<T> = (fn(&T) -> &Distribution, fn(&mut T) -> &mut Distribution);

/// One measured time.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// The field's name in the report; also the tag in an interval log and the prefix in a table.
    pub key: &'static str,
    /// The words used in summaries.
    pub label: &'static str,
    /// Whether every answer has one: its percentiles are shares of all answers. What only some
    /// requests have, or what is about the generator, is none of those.
    pub of_answers: bool,
    whole: Place<Report>,
    /// `None` when only the whole run carries it.
    each: Option<Place<Interval>>,
}

macro_rules! measure {
    ($field:ident, $label:literal) => {
        Measure {
            key: stringify!($field),
            label: $label,
            of_answers: false,
            whole: (|r| &r.$field, |r| &mut r.$field),
            each: None,
        }
    };
    ($field:ident, $label:literal, intervals) => {
        Measure { each: Some((|i| &i.$field, |i| &mut i.$field)), ..measure!($field, $label) }
    };
    ($field:ident, $label:literal, intervals, answers) => {
        Measure { of_answers: true, ..measure!($field, $label, intervals) }
    };
}

/// Every distribution of a report, in the order in which they are shown.
pub const MEASURES: &[Measure] = &[
    measure!(latency, "latency", intervals, answers),
    measure!(service, "service time", intervals, answers),
    measure!(first_byte, "first byte", intervals, answers),
    measure!(send_lag, "send lag", intervals),
    measure!(queue_wait, "queue wait"),
    measure!(connect, "connect"),
    measure!(tls, "TLS handshake"),
];

impl Measure {
    /// The distribution over the whole run.
    #[must_use]
    pub fn of<'a>(&self, report: &'a Report) -> &'a Distribution {
        (self.whole.0)(report)
    }

    /// The distribution in one interval, if intervals carry this one.
    #[must_use]
    pub fn within<'a>(&self, interval: &'a Interval) -> Option<&'a Distribution> {
        self.each.map(|(get, _)| get(interval))
    }

    pub(crate) fn of_mut<'a>(&self, report: &'a mut Report) -> &'a mut Distribution {
        (self.whole.1)(report)
    }

    pub(crate) fn within_mut<'a>(&self, interval: &'a mut Interval) -> Option<&'a mut Distribution> {
        self.each.map(|(_, get)| get(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_distribution_of_a_report_is_in_the_table() {
        let report = serde_json::to_value(crate::report::tests::report()).unwrap();
        // What has a histogram is a distribution.
        let fields = report.as_object().unwrap().iter().filter(|(_, value)| value.get("hdr").is_some());
        let mut fields: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
        let mut keys: Vec<&str> = MEASURES.iter().map(|measure| measure.key).collect();
        fields.sort_unstable();
        keys.sort_unstable();
        assert_eq!(keys, fields);
    }
}
