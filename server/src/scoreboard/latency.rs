//! How long requests took: a histogram of fixed size whose buckets grow with the time they stand for.
//!
//! Log-linear: each octave (a doubling) is cut into [`PER_OCTAVE`] equal parts, so that a bucket is at most a quarter of
//! its lower bound wide, and every bound is exact in binary. Pure arithmetic; the words are the scoreboard's.

/// Buckets in each octave.
const PER_OCTAVE: usize = 1 << PER_OCTAVE_BITS;
const PER_OCTAVE_BITS: u32 = 2;
/// The first octave begins at 2^14 ns, 16 µs: fewer than the shortest calls into Python take.
const FIRST_OCTAVE: u32 = 14;
/// The last one ends at 2^37 ns, 137 s: longer than anybody waits.
const END_OCTAVE: u32 = 37;
/// One bucket for all below, the octaves', and one for all above.
pub(crate) const BUCKETS: usize = (END_OCTAVE - FIRST_OCTAVE) as usize * PER_OCTAVE + 2;

/// The bucket that a time belongs to.
pub(super) fn bucket(ns: u64) -> usize {
    if ns >> FIRST_OCTAVE == 0 {
        return 0;
    }
    let octave = ns.ilog2();
    if octave >= END_OCTAVE {
        return BUCKETS - 1;
    }
    let part = (ns >> (octave - PER_OCTAVE_BITS)) as usize & (PER_OCTAVE - 1);
    1 + (octave - FIRST_OCTAVE) as usize * PER_OCTAVE + part
}

/// The bound, in nanoseconds, that all times of a bucket lie below; `None` for the last one, which has none.
pub(crate) fn upper_ns(bucket: usize) -> Option<u64> {
    if bucket + 1 >= BUCKETS {
        return None;
    }
    let (octave, part) = (bucket / PER_OCTAVE, bucket % PER_OCTAVE);
    let unit = 1_u64 << (FIRST_OCTAVE - PER_OCTAVE_BITS) << octave;
    Some(unit * (PER_OCTAVE + part) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lie_within_the_bounds_of_their_bucket() {
        let table = [
            (0, 0),
            (16_383, 0),
            (16_384, 1),
            (20_479, 1),
            (20_480, 2),
            (32_767, 4),
            (32_768, 5),
            // 50 ms: in the third quarter of the octave that begins at 2^25 ns.
            (50_000_000, 1 + 11 * 4 + 1),
            ((1 << 37) - 1, BUCKETS - 2),
            (1 << 37, BUCKETS - 1),
            (u64::MAX, BUCKETS - 1),
        ];
        for (ns, expected) in table {
            assert_eq!(bucket(ns), expected, "{ns} ns");
        }
        for index in 0..BUCKETS - 1 {
            let upper = upper_ns(index).expect("all but the last one are bounded");
            assert_eq!((bucket(upper - 1), bucket(upper)), (index, index + 1), "{upper} ns");
        }
        assert_eq!(upper_ns(BUCKETS - 1), None);
    }

    #[test]
    fn a_bucket_is_a_quarter_wide_at_most() {
        for index in 1..BUCKETS - 1 {
            let (lower, upper) = (upper_ns(index - 1).expect("bounded"), upper_ns(index).expect("bounded"));
            assert!((upper - lower) * 4 <= lower, "{lower}..{upper}");
        }
    }
}
