//! Which rate to try next: double, bisect, confirm. Pure: rates out, standings in.
//!
//! The search assumes that a target which holds one rate holds every lower one. It does not trust a
//! single failure where that would be costly: the first rate that fails ends the doubling only
//! when it fails twice, and a trial that was INVALID is made again before it counts.

use serde::{Deserialize, Serialize};

/// What a trial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Twice the last rate.
    Double,
    /// Between the highest rate that was sustained and the lowest that was not.
    Bisect,
    /// The highest rate again, in a run of its own.
    Confirm,
}

/// What a trial showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The target met every objective at the rate.
    Sustained,
    /// It did not.
    Missed,
    /// The run says nothing about the target: the generator was at its own limit, or the run too
    /// short.
    Invalid,
}

/// A rate that was not sustained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) rate: f64,
    pub(super) standing: Standing,
}

/// The bounds of a search, requests per second, and how near to each other the last two rates are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    /// As a share of the rate.
    pub(super) precision: f64,
}

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Search {
    range: Range,
    phase: Phase,
    /// The trial that comes next repeats the last one.
    again: bool,
    /// The highest rate that was sustained.
    sustained: Option<f64>,
    refused: Option<Refused>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Doubling {
        rate: f64,
    },
    Bisecting {
        rate: f64,
    },
    /// `back` is the share of the rate to go back by when it is not confirmed.
    Confirming {
        rate: f64,
        back: f64,
    },
    Over {
        confirmed: Option<f64>,
    },
}

impl Search {
    pub(super) fn new(range: Range) -> Self {
        Self { range, phase: Phase::Doubling { rate: range.minimum }, again: false, sustained: None, refused: None }
    }

    /// The next trial; `None` when the search is over.
    pub(super) fn next(&self) -> Option<(Purpose, f64)> {
        match self.phase {
            Phase::Doubling { rate } => Some((Purpose::Double, rate)),
            Phase::Bisecting { rate } => Some((Purpose::Bisect, rate)),
            Phase::Confirming { rate, .. } => Some((Purpose::Confirm, rate)),
            Phase::Over { .. } => None,
        }
    }

    /// Takes what the trial given by [`Search::next`] showed.
    pub(super) fn record(&mut self, standing: Standing) {
        let doubting = match standing {
            Standing::Sustained => false,
            Standing::Missed => matches!(self.phase, Phase::Doubling { .. }),
            Standing::Invalid => true,
        };
        if doubting && !self.again {
            self.again = true;
            return;
        }
        self.again = false;
        let holds = standing == Standing::Sustained;
        let Some((_, rate)) = self.next() else { return };
        if !holds {
            self.refused = Some(Refused { rate, standing });
        }
        self.phase = match self.phase {
            Phase::Doubling { rate } if holds => {
                self.sustained = Some(rate);
                if rate >= self.range.maximum {
                    self.confirm(rate)
                } else {
                    Phase::Doubling { rate: (rate * 2.0).min(self.range.maximum) }
                }
            }
            Phase::Doubling { .. } => self.narrow(),
            Phase::Bisecting { rate } => {
                if holds {
                    self.sustained = Some(rate);
                }
                self.narrow()
            }
            Phase::Confirming { rate, .. } if holds => Phase::Over { confirmed: Some(rate) },
            Phase::Confirming { rate, .. } if rate <= self.range.minimum => Phase::Over { confirmed: None },
            Phase::Confirming { rate, back } => Phase::Confirming {
                rate: rounded(rate * (1.0 - back)).max(self.range.minimum),
                // Each step back is twice as long: a search must end.
                back: (back * 2.0).min(0.5),
            },
            over @ Phase::Over { .. } => over,
        };
    }

    /// The rate that a run of its own has confirmed.
    pub(super) fn confirmed(&self) -> Option<f64> {
        match self.phase {
            Phase::Over { confirmed } => confirmed,
            _ => None,
        }
    }

    /// The highest rate sustained in any trial, confirmed or not.
    pub(super) fn sustained(&self) -> Option<f64> {
        self.sustained
    }

    /// The lowest rate that was not sustained.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// Bisects further, or confirms when the two rates are near enough.
    fn narrow(&self) -> Phase {
        let (Some(low), Some(Refused { rate: high, .. })) = (self.sustained, self.refused) else {
            return Phase::Over { confirmed: None };
        };
        let middle = rounded(f64::midpoint(low, high));
        if high / low - 1.0 <= self.range.precision || middle <= low || middle >= high {
            return self.confirm(low);
        }
        Phase::Bisecting { rate: middle }
    }

    fn confirm(&self, rate: f64) -> Phase {
        Phase::Confirming { rate, back: self.range.precision }
    }
}

/// Four significant digits: nobody wants to read 1249.9375/s, and no precision asks for more.
pub(super) fn rounded(rate: f64) -> f64 {
    let unit = 10f64.powf(rate.log10().floor() - 3.0);
    // Divided by the inverse where that is a whole number: 0.1 is none, 10 is.
    if unit < 1.0 { (rate / unit).round() / (1.0 / unit).round() } else { (rate / unit).round() * unit }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Standing::{Invalid, Missed, Sustained};
    use super::*;

    const RANGE: Range = Range { minimum: 100.0, maximum: 100_000.0, precision: 0.05 };

    /// Runs a search against `target`, which is asked with the number of the trial and its rate.
    fn search(range: Range, mut target: impl FnMut(usize, f64) -> Standing) -> (Search, Vec<(Purpose, f64)>) {
        let (mut search, mut trials) = (Search::new(range), Vec::new());
        while let Some((purpose, rate)) = search.next() {
            search.record(target(trials.len(), rate));
            trials.push((purpose, rate));
            assert!(trials.len() < 200, "the search does not end: {trials:?}");
        }
        (search, trials)
    }

    fn up_to(capacity: f64) -> impl FnMut(usize, f64) -> Standing {
        move |_, rate| if rate <= capacity { Sustained } else { Missed }
    }

    #[test]
    fn it_doubles_bisects_and_confirms() {
        use Purpose::{Bisect, Confirm, Double};
        let (found, trials) = search(RANGE, up_to(700.0));
        let expected = [
            (Double, 100.0),
            (Double, 200.0),
            (Double, 400.0),
            (Double, 800.0),
            // The first failure is not believed at once.
            (Double, 800.0),
            (Bisect, 600.0),
            (Bisect, 700.0),
            (Bisect, 750.0),
            (Bisect, 725.0),
            (Confirm, 700.0),
        ];
        assert_eq!(trials, expected);
        assert_eq!(found.confirmed(), Some(700.0));
        assert_eq!(found.refused(), Some(Refused { rate: 725.0, standing: Missed }));
    }

    #[test]
    fn the_ends_of_the_range_are_findings_too() {
        let (found, trials) = search(RANGE, up_to(50.0));
        assert_eq!((found.confirmed(), found.sustained(), trials.len()), (None, None, 2));
        let (found, trials) = search(RANGE, up_to(1e9));
        assert_eq!((found.confirmed(), found.refused()), (Some(100_000.0), None));
        assert_eq!(trials.last(), Some(&(Purpose::Confirm, 100_000.0)));
        // A range of one rate is one question, asked twice.
        let (found, trials) = search(Range { maximum: 100.0, ..RANGE }, up_to(500.0));
        assert_eq!((found.confirmed(), trials.len()), (Some(100.0), 2));
    }

    #[test]
    fn one_hiccup_does_not_halve_the_capacity() {
        let mut target = up_to(1600.0);
        let (found, _) = search(RANGE, |number, rate| if number == 2 { Missed } else { target(number, rate) });
        assert_eq!(found.confirmed(), Some(1600.0));
    }

    #[test]
    fn an_invalid_trial_is_made_again_before_it_counts() {
        // The generator stumbles in every other trial, and reaches 1000/s.
        let (found, _) =
            search(RANGE, |number, rate| if number % 2 == 0 || rate > 1000.0 { Invalid } else { Sustained });
        let refused = found.refused().unwrap();
        assert_eq!(refused.standing, Invalid);
        assert!(found.confirmed().unwrap() <= 1000.0 && refused.rate > 1000.0);
    }

    #[test]
    fn what_is_not_confirmed_is_taken_back_step_by_step() {
        // It holds 800/s once, and afterwards, as when a cache has filled up, 500/s only.
        let (found, trials) = search(RANGE, |number, rate| {
            let capacity = if number < 10 { 800.0 } else { 500.0 };
            if rate <= capacity { Sustained } else { Missed }
        });
        let confirmed = found.confirmed().unwrap();
        assert!(confirmed <= 500.0 && confirmed > 300.0, "{confirmed} {trials:?}");
        assert!(found.refused().unwrap().rate > 500.0);
        // Nothing is held at all any more.
        let (found, _) = search(RANGE, |number, rate| if number < 10 && rate <= 800.0 { Sustained } else { Missed });
        assert_eq!(found.confirmed(), None);
        assert!(found.sustained().is_some());
    }

    #[test]
    fn rates_have_four_digits() {
        for (rate, expected) in [(1249.9375, 1250.0), (0.123_456, 0.1235), (99_999.0, 100_000.0), (15.0, 15.0)] {
            assert_eq!(rounded(rate), expected);
        }
    }

    proptest! {
        #[test]
        fn a_steady_target_is_found_within_the_precision(
            capacity in 100.0..90_000f64, precision in 0.01..0.3f64,
        ) {
            let range = Range { precision, ..RANGE };
            let (found, trials) = search(range, up_to(capacity));
            let (confirmed, refused) = (found.confirmed().unwrap(), found.refused().unwrap().rate);
            prop_assert!(confirmed <= capacity && capacity < refused);
            // Rates have four digits, which is 0.1 % of the smallest.
            prop_assert!(refused / confirmed - 1.0 <= precision + 0.001);
            prop_assert!(trials.len() < 25, "{} trials", trials.len());
        }

        #[test]
        fn it_ends_whatever_the_target_does(outcomes in proptest::collection::vec(0..3u8, 200)) {
            let (found, trials) = search(RANGE, |number, _| [Sustained, Missed, Invalid][usize::from(outcomes[number])]);
            for (_, rate) in &trials {
                prop_assert!((RANGE.minimum..=RANGE.maximum).contains(rate), "{rate}");
            }
            if let Some(confirmed) = found.confirmed() {
                prop_assert_eq!(trials.last(), Some(&(Purpose::Confirm, confirmed)));
            }
        }
    }
}
