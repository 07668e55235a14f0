//! Dates and times of day in UTC, without a time zone database.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment of the proleptic Gregorian calendar in UTC, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: u64,
    /// 1 to 12.
    pub(super) month: u8,
    /// 1 to 31.
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

/// Seconds since 1970, and milliseconds beyond. A clock set before 1970 reads as 1970.
pub(super) fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Civil {
    /// The moment `seconds` after 1970 began.
    ///
    /// Counts in years that start on 1 March, so that a leap day is its year's last, and in eras of 400 years, after
    /// which the calendar repeats.
    pub(super) fn from_epoch_seconds(seconds: u64) -> Civil {
        const DAYS_PER_ERA: u64 = 146_097;
        /// From 1 March of year 0 to 1 January 1970.
        const EPOCH: u64 = 719_468;
        let days = seconds / 86_400 + EPOCH;
        let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
        // Takes the leap days out (one in 4 years, none in 100, one in 400), so that years have 365 days each.
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // From March on, months of 31 30 31 30 31 days repeat every 153 days.
        let months_since_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
        let (month, next_year) =
            if months_since_march < 10 { (months_since_march + 3, 0) } else { (months_since_march - 9, 1) };
        let of_day = seconds % 86_400;
        // Every field but the year is below 100 by the arithmetic above.
        Civil {
            year: era * 400 + year_of_era + next_year,
            month: month as u8,
            day: day as u8,
            hour: (of_day / 3_600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
        }
    }

    /// `Nov`.
    pub(super) fn month_name(&self) -> &'static str {
        const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        NAMES[usize::from(self.month.clamp(1, 12)) - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        // The left column by `date -u -d @SECONDS`.
        let table = [
            (0, (1970, 1, 1, 0, 0, 0)),
            (86_399, (1970, 1, 1, 23, 59, 59)),
            (951_782_400, (2000, 2, 29, 0, 0, 0)), // divisible by 400: a leap year
            (951_868_800, (2000, 3, 1, 0, 0, 0)),
            (1_709_164_800, (2024, 2, 29, 0, 0, 0)),
            (1_735_689_599, (2024, 12, 31, 23, 59, 59)),
            (1_795_370_400, (2026, 11, 22, 18, 0, 0)),
            (4_107_542_400, (2100, 3, 1, 0, 0, 0)), // divisible by 100 only: no leap year
        ];
        for (seconds, (year, month, day, hour, minute, second)) in table {
            let expected = Civil { year, month, day, hour, minute, second };
            assert_eq!(Civil::from_epoch_seconds(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_clock_before_1970_reads_as_1970() {
        assert_eq!(since_epoch(UNIX_EPOCH - Duration::from_secs(5)), Duration::ZERO);
    }
}
