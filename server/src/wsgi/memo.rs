//! What was made of the same bytes before.
//!
//! Requests repeat themselves: names of headers, most of their values, paths. Making a Python string costs several times
//! what comparing some bytes does. A table has a fixed number of places and each text has two of them, so that it neither
//! grows nor needs tidying up: a newcomer takes the place of the older of two. `environ` owns the tables.

/// A table of things made from bytes.
#[derive(Debug)]
pub(super) struct Memo<T> {
    /// The newer first.
    pairs: Box<[[Option<Place<T>>; 2]]>,
}

#[derive(Debug)]
struct Place<T> {
    bytes: Box<[u8]>,
    made: T,
}

impl<T> Memo<T> {
    /// An empty table of `2 << bits` places; `bits` is at least 1.
    pub(super) fn new(bits: u32) -> Memo<T> {
        Memo { pairs: (0..1usize << bits).map(|_| [None, None]).collect() }
    }

    /// What was made of `bytes`, or what `make` makes of them now.
    pub(super) fn find<E>(&mut self, bytes: &[u8], make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let index = (hash(bytes) >> (u64::BITS - self.pairs.len().trailing_zeros())) as usize;
        let pair = &mut self.pairs[index];
        let is_it = |place: &Option<Place<T>>| place.as_ref().is_some_and(|place| *place.bytes == *bytes);
        match pair.iter().position(is_it) {
            Some(which) => match &pair[which] {
                Some(place) => Ok(&place.made),
                None => unreachable!("there is something to find in it"),
            },
            None => {
                let newcomer = Place { made: make()?, bytes: bytes.into() };
                pair.swap(0, 1);
                Ok(&pair[0].insert(newcomer).made)
            }
        }
    }
}

/// Multiplies eight bytes at a time; the upper bits are the good ones. Who finds collisions wins a slower table, no more.
fn hash(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let mut hash = (bytes.len() as u64).wrapping_mul(FACTOR);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let rest = rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    mix(hash, rest)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn nothing_is_made_twice_in_a_row_and_nothing_is_mixed_up() {
        let mut memo = Memo::new(2);
        let mut made = 0;
        let texts: Vec<String> = (0..100).map(|n| "x".repeat(n)).collect();
        for text in &texts {
            for _ in 0..3 {
                let found = memo.find(text.as_bytes(), || {
                    made += 1;
                    Ok::<_, Infallible>(text.clone())
                });
                assert_eq!(found, Ok(text));
            }
        }
        assert_eq!(made, 100);
    }

    #[test]
    fn a_failure_leaves_the_place_as_it_was() {
        let mut memo = Memo::new(1);
        assert_eq!(memo.find(b"a", || Ok::<_, &str>(1)), Ok(&1));
        assert_eq!(memo.find(b"b", || Err("no")), Err("no"));
        assert_eq!(memo.find(b"b", || Ok::<_, &str>(2)), Ok(&2));
    }

    #[test]
    fn texts_spread_over_the_places() {
        let mut used = std::collections::BTreeSet::new();
        for name in ["host", "accept", "user-agent", "accept-encoding", "accept-language", "cookie", "referer", "range"]
        {
            used.insert(hash(name.as_bytes()) >> 56);
        }
        assert!(used.len() >= 7, "{used:?}");
    }
}
