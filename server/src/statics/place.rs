//! From a request's path to a name below a directory.
//!
//! Pure: knows no directory, and gives out names only that can't lead out of one by themselves. (Links are `folder`'s
//! business.) `statics` calls it for each request, so a path that belongs to nobody here must cost next to nothing.

/// What a mount's paths begin with, segment by segment.
#[derive(Debug)]
pub(super) struct Prefix(Vec<Box<[u8]>>);

impl Prefix {
    /// From `/` or `/a/b`, not percent-encoded.
    pub(super) fn new(text: &str) -> Prefix {
        Prefix(text.split('/').filter(|part| !part.is_empty()).map(|part| part.as_bytes().into()).collect())
    }

    /// Number of segments.
    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// The rest of `path`, a request's path as sent: empty, or from a slash on. `None` if it is not below this prefix.
    pub(super) fn strip<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = path;
        for segment in &self.0 {
            let behind = rest.strip_prefix(b"/")?;
            let end = memchr::memchr(b'/', behind).unwrap_or(behind.len());
            if !is_spelt(&behind[..end], segment) {
                return None;
            }
            rest = &behind[end..];
        }
        // `*` begins with no slash, and neither does anything else that is no path.
        (rest.first().is_none_or(|first| *first == b'/') && !path.is_empty()).then_some(rest)
    }
}

/// Whether `sent` stands for `segment`, percent-encoded or not.
fn is_spelt(sent: &[u8], segment: &[u8]) -> bool {
    if sent == segment {
        return true;
    }
    if sent.len() <= segment.len() || !sent.contains(&b'%') {
        return false;
    }
    let mut decoded = Vec::with_capacity(sent.len());
    decode(sent, &mut decoded).is_some() && decoded == segment
}

/// What a path below a prefix may name. Names are relative, decoded, of segments that are neither empty nor `.` nor `..`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A file, or a directory without the slash behind it; the empty name is the mount's own directory.
    Name(Vec<u8>),
    /// A directory, with the slash behind it.
    Directory(Vec<u8>),
}

impl Place {
    /// From what [`Prefix::strip`] left over. `None` if no file is served under such a path: one with an empty segment,
    /// with one that begins with a dot (`.well-known` excepted, RFC 8615), with a wrong percent-encoding, or with a NUL,
    /// slash or backslash within a segment. The latter is a slash to browsers, and must not come back to them in a redirect.
    pub(super) fn of(rest: &[u8]) -> Option<Place> {
        let Some(rest) = rest.strip_prefix(b"/") else {
            return Some(Place::Name(Vec::new()));
        };
        let (named, is_directory) = match rest.strip_suffix(b"/") {
            Some(named) => (named, true),
            None => (rest, rest.is_empty()),
        };
        let mut name = Vec::with_capacity(named.len());
        // `/` alone is the mount's own directory; `//` has an empty segment.
        if !rest.is_empty() {
            for segment in named.split(|byte| *byte == b'/') {
                if !name.is_empty() {
                    name.push(b'/');
                }
                let start = name.len();
                decode(segment, &mut name)?;
                let decoded = &name[start..];
                let is_hidden = decoded.first().is_none_or(|first| *first == b'.') && decoded != b".well-known";
                if is_hidden || decoded.iter().any(|byte| matches!(byte, 0 | b'/' | b'\\')) {
                    return None;
                }
            }
        }
        Some(if is_directory { Place::Directory(name) } else { Place::Name(name) })
    }

    /// The name of `entry` in this place.
    pub(super) fn below(&self, entry: &[u8]) -> Vec<u8> {
        let (Place::Name(name) | Place::Directory(name)) = self;
        if name.is_empty() { entry.to_vec() } else { [name, &b"/"[..], entry].concat() }
    }
}

/// Appends `sent` without its percent-encoding, once (RFC 3986 §2.4); `None` if that is wrong.
fn decode(sent: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let mut bytes = sent.iter();
    while let Some(byte) = bytes.next() {
        into.push(match byte {
            b'%' => digit(*bytes.next()?)? << 4 | digit(*bytes.next()?)?,
            byte => *byte,
        });
    }
    Some(())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_counts_by_whole_segments() {
        let table: [(&str, &str, Option<&str>); 17] = [
            ("/static", "/static/app.css", Some("/app.css")),
            ("/static", "/static/", Some("/")),
            ("/static", "/static", Some("")),
            ("/static", "/statics/app.css", None),
            ("/static", "/stati", None),
            ("/static", "/", None),
            ("/static", "/a/static/app.css", None),
            ("/static", "//static/app.css", None),
            ("/a/b", "/a/b/c", Some("/c")),
            ("/a/b", "/a/c", None),
            ("/", "/app.css", Some("/app.css")),
            ("/", "/", Some("/")),
            // The same path, spelt by an overeager encoder.
            ("/static", "/%73tati%63/app.css", Some("/app.css")),
            ("/ü", "/%C3%BC/x", Some("/x")),
            // Decoded once only, and a slash that is encoded separates nothing.
            ("/static", "/%2573tatic/x", None),
            ("/a/b", "/a%2fb/x", None),
            ("/", "*", None),
        ];
        for (prefix, path, expected) in table {
            let rest = Prefix::new(prefix).strip(path.as_bytes());
            assert_eq!(rest, expected.map(str::as_bytes), "{prefix} {path}");
        }
    }

    #[test]
    fn only_plain_names_are_places() {
        let name = |text: &str| Some(Place::Name(text.into()));
        let directory = |text: &str| Some(Place::Directory(text.into()));
        let table = [
            ("/app.css", name("app.css")),
            ("/a/b/c.js", name("a/b/c.js")),
            ("", name("")),
            ("/", directory("")),
            ("/docs/", directory("docs")),
            ("/a%20b/%c3%bc.txt", name("a b/ü.txt")),
            ("/a+b;c=d,e@f", name("a+b;c=d,e@f")),
            ("/three...dots..", name("three...dots..")),
            // A file may have such a name; it is decoded once.
            ("/%252e%252e/x", name("%2e%2e/x")),
            ("/.well-known/security.txt", name(".well-known/security.txt")),
            ("/../x", None),
            ("/a/../../x", None),
            ("/a/..", None),
            ("/./x", None),
            ("/%2e%2e/x", None),
            ("/%2E./x", None),
            ("/.%2e/x", None),
            ("/%2e%2e%2fx", None),
            ("/a%2f..%2fx", None),
            ("/a%2Fb", None),
            ("/..\\x", None),
            ("/..%5cx", None),
            ("/a\\b", None),
            ("//x", None),
            ("//", None),
            ("/a//b", None),
            ("/a//", None),
            // `%2f` at the start would make the name absolute.
            ("/%2fetc/passwd", None),
            ("/a%00.css", None),
            ("/.git/config", None),
            ("/a/.env", None),
            ("/.well-known.bak", None),
            ("/%2ehtpasswd", None),
            ("/%", None),
            ("/%4", None),
            ("/%zz", None),
            ("/a%+1", None),
        ];
        for (rest, expected) in table {
            assert_eq!(Place::of(rest.as_bytes()), expected, "{rest}");
        }
    }

    #[test]
    fn an_index_stands_below_its_place() {
        let table = [("", "i"), ("/", "i"), ("/a", "a/i"), ("/a/", "a/i"), ("/a/b/", "a/b/i")];
        for (rest, expected) in table {
            assert_eq!(Place::of(rest.as_bytes()).unwrap().below(b"i"), expected.as_bytes(), "{rest}");
        }
    }

    proptest! {
        /// Whatever is sent, what comes of it is a relative name of ordinary segments.
        #[test]
        fn no_place_leads_out(rest in "(/|%2[eEfF]|%5[cC]|%00|%25|\\.|\\\\|a|%|\u{fc}){0,24}") {
            let rest = format!("/{rest}");
            if let Some(Place::Name(name) | Place::Directory(name)) = Place::of(rest.as_bytes()) {
                for segment in name.split(|byte| *byte == b'/') {
                    prop_assert!(!segment.starts_with(b".") && !segment.contains(&0) && !segment.contains(&b'\\'));
                }
                prop_assert!(name.is_empty() || name.split(|byte| *byte == b'/').all(|segment| !segment.is_empty()));
            }
        }

        /// A prefix takes exactly what it is spelt by, and never panics.
        #[test]
        fn what_a_prefix_leaves_is_the_end_of_the_path(path in any::<Vec<u8>>(), depth in 0..3usize) {
            let prefix = Prefix::new(&"/a".repeat(depth));
            if let Some(rest) = prefix.strip(&path) {
                prop_assert!(path.ends_with(rest) && (rest.is_empty() || rest[0] == b'/'));
                let _ = Place::of(rest);
            }
        }
    }
}
