//! Randomness that a seed repeats: one stream for each purpose, so that every policy meets the very same requests.

use crate::stats::Generator;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// When requests come.
    Arrivals = 1,
    /// What they cost.
    Calls = 2,
    /// When the monitors of workers look, and the phase of the supervisor's clock.
    Server = 3,
    /// Which worker dies, and when.
    Faults = 4,
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(Generator);

impl Random {
    /// The stream of `seed` for `purpose`. Streams of one seed have nothing to do with each other.
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        // The generator's own mixing separates seeds that differ in one bit.
        let mixed = Generator::new(seed ^ (purpose as u64).rotate_right(8)).bits();
        Self(Generator::new(mixed))
    }

    /// Evenly in 0..1, with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Normal with mean 0 and variance 1 (Box and Muller 1958; the second number of each pair is not used, so that a
    /// stream has no hidden state).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let first = |seed, purpose| Random::new(seed, purpose).unit().to_bits();
        assert_eq!(first(1, Purpose::Calls), first(1, Purpose::Calls));
        let all = [
            first(1, Purpose::Calls),
            first(2, Purpose::Calls),
            first(1, Purpose::Arrivals),
            first(0, Purpose::Server),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[place + 1..].contains(one), "{all:?}");
        }
    }

    #[test]
    fn moments() {
        type Draw = fn(&mut Random) -> f64;
        let draws: [(&str, Draw, f64, f64); 3] = [
            // name, draw, mean, variance
            ("unit", Random::unit, 0.5, 1.0 / 12.0),
            ("exponential", Random::exponential, 1.0, 1.0),
            ("normal", Random::normal, 0.0, 1.0),
        ];
        for (name, draw, expected_mean, expected_variance) in draws {
            let mut random = Random::new(7, Purpose::Calls);
            let values: Vec<f64> = (0..200_000).map(|_| draw(&mut random)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
            assert!((mean - expected_mean).abs() < 0.01, "{name}: mean {mean}");
            assert!((variance - expected_variance).abs() < 0.02, "{name}: variance {variance}");
        }
    }
}
