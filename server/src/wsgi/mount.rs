//! Where the application is mounted: how a request's path is shared out between `SCRIPT_NAME` and `PATH_INFO` (PEP 3333,
//! "environ Variables"; RFC 3875 §4.1.5, §4.1.13).
//!
//! Paths here are percent-decoded, as both variables are. `environ` asks for each request.

use std::borrow::Cow;

/// The path below which the application is seen from outside.
#[derive(Debug)]
pub(super) struct Mount {
    /// Decoded; empty at the root, else a slash and segments.
    path: Vec<u8>,
}

impl Mount {
    /// At this decoded path.
    pub(super) fn new(path: Vec<u8>) -> Mount {
        Mount { path }
    }

    /// `SCRIPT_NAME` of requests that no proxy has taken anything off.
    pub(super) fn script_name(&self) -> &[u8] {
        &self.path
    }

    /// `PATH_INFO`: what follows the mount in `path`, which may be nothing; all of it where a proxy has taken the mount off
    /// already. Only whole segments count: `/shopping` is not below `/shop`.
    pub(super) fn path_info<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        self.below(path).unwrap_or(path)
    }

    /// `SCRIPT_NAME` of a request for `path`, off whose start a proxy has taken `prefix`. With `PATH_INFO` it makes the
    /// path that the client has sent.
    pub(super) fn script_name_after<'a>(&self, prefix: &'a [u8], path: &[u8]) -> Cow<'a, [u8]> {
        match self.below(path) {
            Some(_) if !self.path.is_empty() => Cow::Owned([prefix, &self.path].concat()),
            _ => Cow::Borrowed(prefix),
        }
    }

    fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        path.strip_prefix(self.path.as_slice()).filter(|rest| matches!(rest, [] | [b'/', ..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shared_out() {
        for (mount, path, info) in [
            ("", "/", "/"),
            ("", "/shop", "/shop"),
            ("/shop", "/shop/cart", "/cart"),
            ("/shop", "/shop/", "/"),
            // RFC 3875 §4.1.5: there may be no PATH_INFO. Frameworks redirect to the path with a slash, or take it as `/`.
            ("/shop", "/shop", ""),
            // A proxy has taken the mount off.
            ("/shop", "/cart", "/cart"),
            ("/shop", "/", "/"),
            ("/shop", "/shopping", "/shopping"),
            ("/shop", "/Shop/cart", "/Shop/cart"),
            ("/shop", "//shop/cart", "//shop/cart"),
            ("/shop", "/shop//cart", "//cart"),
            // Taken off once.
            ("/shop", "/shop/shop", "/shop"),
            ("/a/b", "/a/b/c", "/c"),
            ("/a/b", "/a/c", "/a/c"),
            // OPTIONS * is about the server.
            ("/shop", "*", "*"),
        ] {
            assert_eq!(Mount::new(mount.into()).path_info(path.as_bytes()), info.as_bytes(), "{mount} {path}");
        }
    }

    #[test]
    fn a_forwarded_prefix_goes_before_the_mount() {
        for (mount, prefix, path, script_name) in [
            ("", "/shop", "/cart", "/shop"),
            // Said by both: the proxy has taken off what is configured here.
            ("/shop", "/shop", "/cart", "/shop"),
            // The proxy took off its part, and ours is still there.
            ("/v2", "/api", "/v2/users", "/api/v2"),
            ("/v2", "/api", "/v2", "/api/v2"),
        ] {
            let found = Mount::new(mount.into()).script_name_after(prefix.as_bytes(), path.as_bytes()).into_owned();
            assert_eq!(found, script_name.as_bytes(), "{mount} {prefix} {path}");
        }
    }
}
