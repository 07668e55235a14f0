//! Ways to cut the input into reads. They follow from the input itself, so that a fixture is an input as it is.

/// Calls `read` with the bytes one after the other: all at once, one by one, and in pieces of lengths that look random.
pub fn each_way(bytes: &[u8], mut read: impl FnMut(&[usize])) {
    read(&[usize::MAX]);
    // One by one costs a call each.
    if bytes.len() <= 256 {
        read(&[1]);
    }
    // FNV-1a, and from there a linear congruential generator.
    let mut state = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let pieces = std::array::from_fn::<usize, 16, _>(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Mostly short.
        1 + (state >> 33) as usize % if state >> 63 == 0 { 8 } else { 80 }
    });
    read(&pieces);
}
