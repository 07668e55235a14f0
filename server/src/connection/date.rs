//! The `Date` header's value, formatted once a second.

use std::time::{Duration, UNIX_EPOCH};

use httpdate::HttpDate;

/// Keeps the text of the current second.
#[derive(Debug, Default)]
pub(crate) struct DateCache {
    second: u64,
    text: String,
}

impl DateCache {
    /// The text for a moment in seconds since 1970, e.g. `Sun, 22 Nov 2026 17:00:00 GMT`.
    pub(crate) fn at(&mut self, second: u64) -> &str {
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
        assert_eq!(cache.at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.at(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
