//! Seeded random numbers. Pure.

/// Steele, Lea and Flood's SplitMix64: small, seeded, and the same on every machine and in every
/// version of this program, which a seed in a report relies on.
#[derive(Clone, Debug, Default)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    /// The sequence of one of several threads with the same seed.
    pub(crate) fn new(seed: u64, thread: usize) -> Self {
        Self(seed ^ (thread as u64).wrapping_mul(0xA24B_AED4_963E_E407))
    }

    /// The next number, with 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next number in 0..1, with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The next number below `limit`, which must not be 0. The bias of the multiplication (Lemire
    /// 2019) is less than `limit` in 2⁶⁴.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_limit_and_reach_all_of_it() {
        let mut random = SplitMix::new(1, 0);
        let mut seen = [0; 5];
        for _ in 0..5000 {
            seen[random.below(5) as usize] += 1;
        }
        // Five standard deviations of a binomial count of 5000 at 1/5 are 141.
        assert!(seen.iter().all(|count| (859..1141).contains(count)), "{seen:?}");
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn the_sequence_is_the_published_one() {
        // The first outputs of the reference implementation for the seed 1234567.
        let mut random = SplitMix::new(1_234_567, 0);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
