//! Numbers that differ from worker to worker, so that what is due for all of them is not due at once.

/// A number from 0 to `most` that depends on `seed` only and is spread evenly (splitmix64's mixing function).
pub fn scatter(seed: u64, most: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    most.checked_add(1).map_or(mixed, |count| mixed % count)
}

#[cfg(test)]
mod tests {
    use super::scatter;

    #[test]
    fn stays_within_its_bound_and_spreads() {
        assert!((0..1000).all(|seed| scatter(seed, 0) == 0));
        assert!((0..1000).all(|seed| scatter(seed, 9) <= 9));
        let distinct: std::collections::BTreeSet<_> = (0..100).map(|seed| scatter(seed, 9)).collect();
        assert_eq!(distinct.len(), 10);
        assert_ne!(scatter(1, u64::MAX), scatter(2, u64::MAX));
    }
}
