//! A client with room for one connection.

use std::sync::{Arc, Mutex};

use http::HeaderValue;
use reqwest::cookie::CookieStore;
use reqwest::{Client, Url};

use super::wire::Wire;
use crate::cookies::Cookies;

/// One connection's client, and what is seen of the connection.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) client: Client,
    pub(super) wire: Arc<Wire>,
    /// What responses have set, if it is to be sent back.
    pub(super) jar: Option<Arc<Jar>>,
}

impl Lane {
    /// The connection is known to be gone, and with it the user whom it spoke for.
    pub(super) fn lost(&self) {
        self.wire.lost();
        if let Some(jar) = &self.jar {
            jar.empty();
        }
    }
}

/// The cookies of a lane, by the rules of the fast engine. What another host sets or is asked for,
/// along a redirect, has no part in them.
#[derive(Debug)]
pub(super) struct Jar {
    /// The target's host, as its URL has it.
    host: Option<String>,
    cookies: Mutex<Cookies>,
}

impl Jar {
    /// An empty one for this host.
    pub(super) fn new(host: Option<&str>) -> Self {
        Self { host: host.map(str::to_owned), cookies: Mutex::default() }
    }

    fn empty(&self) {
        *self.cookies.lock().expect("nobody panics with the lock") = Cookies::default();
    }

    fn is_for(&self, url: &Url) -> bool {
        url.host_str() == self.host.as_deref()
    }
}

impl CookieStore for Jar {
    fn set_cookies(&self, values: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        if self.is_for(url) {
            let mut cookies = self.cookies.lock().expect("nobody panics with the lock");
            values.for_each(|value| cookies.set(value.as_bytes()));
        }
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        if !self.is_for(url) {
            return None;
        }
        let cookies = self.cookies.lock().expect("nobody panics with the lock");
        let field = Some(cookies.field()).filter(|field| !field.is_empty())?;
        HeaderValue::from_bytes(field).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_is_for_one_host() {
        let url = |text: &str| Url::parse(text).unwrap();
        let jar = Jar::new(Some("a"));
        let set = |values: &[&'static str], at: &str| {
            let values: Vec<HeaderValue> = values.iter().map(|value| HeaderValue::from_static(value)).collect();
            jar.set_cookies(&mut values.iter(), &url(at));
        };
        assert_eq!(jar.cookies(&url("http://a/")), None);
        set(&["x=1; Path=/y", "z=2"], "http://a/login");
        set(&["x=3"], "http://b/");
        assert_eq!(jar.cookies(&url("https://a:81/")).unwrap(), "x=1; z=2");
        assert_eq!(jar.cookies(&url("http://b/")), None);
        jar.empty();
        assert_eq!(jar.cookies(&url("http://a/")), None);
    }
}
