//! The chunked coding as its grammar reads (RFC 9112 §7.1).

/// Most bytes of extensions in a body, from the whitespace or the byte after the `;` to the line end.
const EXTENSION_BYTES: usize = 16 * 1024;

/// The payload of the body at the start of `bytes`, and how many bytes it takes. `None` when there is anything wrong with
/// it, when not all of it is there, or when it is over a limit: `body` on the payload, `trailers` on the trailer section.
pub(crate) fn read(bytes: &[u8], body: u64, trailers: usize) -> Option<(Vec<u8>, usize)> {
    let mut payload = Vec::new();
    let mut extensions = 0;
    let mut rest = bytes;
    loop {
        let (line, after) = line(rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at(digits);
        if digits == 0 || digits > 16 || !is_extension(extension) {
            return None;
        }
        // The first `;` belongs to the size's line as much as its end does.
        extensions += extension.iter().position(|&byte| byte == b';').map_or(0, |_| extension.len() - 1);
        if extensions > EXTENSION_BYTES {
            return None;
        }
        let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            let consumed = bytes.len() - after.len() + trailer_section(after, trailers)?;
            return Some((payload, consumed));
        }
        if size > body - payload.len() as u64 {
            return None;
        }
        payload.extend_from_slice(after.get(..usize::try_from(size).ok()?)?);
        rest = after[size as usize..].strip_prefix(b"\r\n")?;
    }
}

/// Nothing, or whitespace, a `;` and anything that is visible.
fn is_extension(bytes: &[u8]) -> bool {
    let visible = bytes.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
    let first = bytes.iter().find(|byte| !b" \t".contains(byte));
    visible && (bytes.is_empty() || first == Some(&b';'))
}

/// The length of the fields and of the empty line after them.
fn trailer_section(bytes: &[u8], most: usize) -> Option<usize> {
    let mut rest = bytes;
    loop {
        let (line, after) = line(rest)?;
        if line.is_empty() {
            let fields = bytes.len() - rest.len();
            return (fields <= most).then_some(fields + 2);
        }
        super::head::field(line)?;
        rest = after;
    }
}

/// Up to CR LF, and what comes after. `None` without one, or if another CR or LF comes first.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &bytes[..end];
    (!line.contains(&b'\r') && !line.contains(&b'\n')).then_some((line, &bytes[end + 2..]))
}
