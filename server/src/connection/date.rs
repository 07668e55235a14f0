//! The `Date` header's value, formatted once a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// Keeps the text of the current second.
#[derive(Debug, Default)]
pub(crate) struct DateCache {
    second: u64,
    text: String,
}

impl DateCache {
    /// The text for `now`, e.g. `Sun, 22 Nov 2026 17:00:00 GMT`.
    pub(crate) fn at(&mut self, now: SystemTime) -> &str {
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text = HttpDate::from(UNIX_EPOCH + Duration::from_secs(second)).to_string();
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_follows_the_second() {
        let mut cache = DateCache::default();
        let at = |seconds_and_more| UNIX_EPOCH + Duration::from_secs_f64(seconds_and_more);
        assert_eq!(cache.at(at(784_111_777.0)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.at(at(784_111_777.9)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.at(at(784_111_778.0)), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
