//! A set of slots that finds its lowest member at once, however many there are.

/// Numbers below a bound, as bits; and for each word of them one bit in a word above, up to a single word.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The members, then what holds the words of the level below that are not 0.
    levels: Vec<Vec<u64>>,
}

impl Places {
    /// An empty set of numbers below `bound`.
    pub(crate) fn below(bound: usize) -> Self {
        let mut levels = Vec::new();
        let mut words = bound.div_ceil(64).max(1);
        levels.push(vec![0; words]);
        while words > 1 {
            words = words.div_ceil(64);
            levels.push(vec![0; words]);
        }
        Self { levels }
    }

    /// All numbers below `bound`.
    pub(crate) fn all_below(bound: usize) -> Self {
        let mut places = Self::below(bound);
        (0..bound as u32).for_each(|place| places.set(place, true));
        places
    }

    /// Puts `place` in, or takes it out.
    pub(crate) fn set(&mut self, place: u32, is_member: bool) {
        let mut index = place as usize;
        let mut is_set = is_member;
        for level in &mut self.levels {
            let (word, bit) = (index / 64, 1_u64 << (index % 64));
            if is_set {
                level[word] |= bit;
            } else {
                level[word] &= !bit;
            }
            is_set = level[word] != 0;
            index = word;
        }
    }

    /// The lowest member.
    pub(crate) fn first(&self) -> Option<u32> {
        let mut index = 0;
        for level in self.levels.iter().rev() {
            let word = level[index];
            if word == 0 {
                return None;
            }
            index = index * 64 + word.trailing_zeros() as usize;
        }
        u32::try_from(index).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_is_found_at_every_size() {
        for bound in [1, 64, 65, 4_096, 4_097, 15_001] {
            let mut places = Places::below(bound);
            assert_eq!(places.first(), None);
            let last = bound as u32 - 1;
            places.set(last, true);
            assert_eq!(places.first(), Some(last));
            places.set(last / 2, true);
            assert_eq!(places.first(), Some(last / 2));
            places.set(last / 2, false);
            places.set(last, false);
            assert_eq!(places.first(), None, "{bound}");
            let mut all = Places::all_below(bound);
            for place in 0..bound as u32 {
                assert_eq!(all.first(), Some(place));
                all.set(place, false);
            }
        }
    }
}
