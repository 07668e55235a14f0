//! UTC dates from seconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `2026-11-22T19:03:15Z` (RFC 3339).
pub(crate) fn timestamp(unix: u64) -> String {
    let (hour, minute, second) = (unix / 3600 % 24, unix / 60 % 60, unix % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", date(unix))
}

/// `2026-11-22`. The proleptic Gregorian calendar in 400-year eras that begin on 1 March (Hinnant, "chrono-compatible
/// low-level date algorithms").
pub(crate) fn date(unix: u64) -> String {
    let days = unix / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let rows = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            // 2000 is a leap year although 100 divides it.
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_374_195, "2026-11-22T19:03:15Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (unix, expected) in rows {
            assert_eq!(timestamp(unix), expected);
        }
    }
}
