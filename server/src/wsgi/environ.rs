//! The environ dictionary (PEP 3333, "environ Variables"; RFC 3875 for the names it takes from CGI).
//!
//! Owns what the application is told of a request. Knows nothing of the response. `application` makes one [`Environ`] at
//! load and calls [`Environ::build`] for each request; what requests have in common is made once and copied.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use http1::{Framing, Version};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::file_wrapper::FileWrapper;
use super::input::Input;
use super::names::{Names, Role};
use crate::exchange::{Endpoint, Endpoints, Request};

/// What is true of the process for all requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Another thread of this process may call the application at the same time.
    pub(crate) multithread: bool,
    /// Another process may.
    pub(crate) multiprocess: bool,
}

/// Listeners whose constants are kept. A server has a handful; the bound is there so that a mistake can't leak.
const LISTENERS: usize = 32;

/// Methods whose strings are kept. GET comes first because it is in the constants already.
const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Makes environs.
#[derive(Debug)]
pub(super) struct Environ {
    names: Names,
    keys: Keys,
    methods: [Py<PyString>; METHODS.len()],
    http10: Py<PyString>,
    /// What is the same for every request.
    constants: Py<PyDict>,
    /// The same with what each listener adds.
    listeners: Mutex<Vec<Listener>>,
}

/// The constants of one listener.
#[derive(Debug)]
struct Listener {
    local: Endpoint,
    scheme: &'static str,
    constants: Py<PyDict>,
}

/// Keys that are set for each request, interned.
#[derive(Debug)]
struct Keys {
    request_method: Py<PyString>,
    path_info: Py<PyString>,
    query_string: Py<PyString>,
    server_protocol: Py<PyString>,
    request_uri: Py<PyString>,
    raw_uri: Py<PyString>,
    remote_addr: Py<PyString>,
    remote_port: Py<PyString>,
    content_type: Py<PyString>,
    content_length: Py<PyString>,
    http_host: Py<PyString>,
    wsgi_input: Py<PyString>,
}

impl Environ {
    /// Called once the application is imported, whose `sys.stderr` becomes `wsgi.errors`.
    pub(super) fn new(py: Python<'_>, facts: Facts) -> PyResult<Environ> {
        let intern = |text: &str| PyString::intern(py, text).unbind();
        Ok(Environ {
            names: Names::new(py),
            keys: Keys {
                request_method: intern("REQUEST_METHOD"),
                path_info: intern("PATH_INFO"),
                query_string: intern("QUERY_STRING"),
                server_protocol: intern("SERVER_PROTOCOL"),
                request_uri: intern("REQUEST_URI"),
                raw_uri: intern("RAW_URI"),
                remote_addr: intern("REMOTE_ADDR"),
                remote_port: intern("REMOTE_PORT"),
                content_type: intern("CONTENT_TYPE"),
                content_length: intern("CONTENT_LENGTH"),
                http_host: intern("HTTP_HOST"),
                wsgi_input: intern("wsgi.input"),
            },
            methods: METHODS.map(intern),
            http10: intern("HTTP/1.0"),
            constants: constants(py, facts)?.unbind(),
            listeners: Mutex::new(Vec::new()),
        })
    }

    /// The environ of `request`, whose body moves into `wsgi.input`.
    pub(super) fn build<'py>(&self, py: Python<'py>, request: &mut Request) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.listener(py, &request.endpoints)?.into_bound(py).copy()?;
        let keys = &self.keys;
        let (head, bytes) = (&request.head, request.bytes.as_slice());

        let method = head.method(bytes);
        if method != METHODS[0] {
            let known = METHODS.iter().position(|known| *known == method);
            match known {
                Some(place) => environ.set_item(&keys.request_method, &self.methods[place])?,
                None => environ.set_item(&keys.request_method, latin1(py, method.as_bytes())?)?,
            }
        }
        if head.version() == Version::Http10 {
            environ.set_item(&keys.server_protocol, &self.http10)?;
        }

        // The constants are those of "/".
        let target = head.target(bytes);
        if target != "/" {
            let text = latin1(py, target.as_bytes())?;
            environ.set_item(&keys.raw_uri, &text)?;
            environ.set_item(&keys.request_uri, &text)?;
            match percent_decode(head.path(bytes)) {
                Cow::Borrowed(path) if path.len() == target.len() => environ.set_item(&keys.path_info, text)?,
                path => environ.set_item(&keys.path_info, latin1(py, &path)?)?,
            }
            let query = head.query(bytes);
            if !query.is_empty() {
                environ.set_item(&keys.query_string, latin1(py, query.as_bytes())?)?;
            }
        }

        if let Endpoint::Tcp(peer) = &request.endpoints.peer {
            environ.set_item(&keys.remote_addr, latin1(py, request.endpoints.peer_ip.as_bytes())?)?;
            environ.set_item(&keys.remote_port, decimal(py, u64::from(peer.port()))?)?;
        }

        let authority = head.authority(bytes);
        for (name, value) in head.headers(bytes) {
            self.add_header(&environ, authority.is_some(), name, value)?;
        }
        if let Some(authority) = authority {
            environ.set_item(&keys.http_host, latin1(py, authority.as_bytes())?)?;
        }

        if !matches!(head.framing(), Framing::None) {
            environ.set_item(&keys.content_length, decimal(py, request.body.len())?)?;
        }
        if request.body.len() > 0 {
            let body = std::mem::take(&mut request.body);
            environ.set_item(&keys.wsgi_input, Bound::new(py, Input::new(body))?)?;
        }
        Ok(environ)
    }

    fn add_header(
        &self,
        environ: &Bound<'_, PyDict>,
        host_is_overridden: bool,
        name: &str,
        value: &[u8],
    ) -> PyResult<()> {
        let py = environ.py();
        match self.names.find(py, name) {
            (Role::Plain, Some(key)) => add(environ, &key, value, b","),
            (Role::Cookie, Some(key)) => add(environ, &key, value, b"; "),
            (Role::Host, Some(key)) if !host_is_overridden => add(environ, &key, value, b","),
            (Role::ContentType, _) => add(environ, self.keys.content_type.bind(py), value, b","),
            (Role::Host | Role::Dropped | Role::Plain | Role::Cookie, _) => Ok(()),
        }
    }

    /// The constants for requests that arrived through this listener.
    fn listener(&self, py: Python<'_>, endpoints: &Endpoints) -> PyResult<Py<PyDict>> {
        // Nothing in these two critical sections can run Python code, which might give the interpreter lock away and let
        // another thread wait here while it holds that lock.
        let found = {
            let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            listeners
                .iter()
                .find(|listener| listener.local == endpoints.local && listener.scheme == endpoints.scheme)
                .map(|listener| listener.constants.clone_ref(py))
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let made = listener_constants(self.constants.bind(py), endpoints)?.unbind();
        let listener =
            Listener { local: endpoints.local.clone(), scheme: endpoints.scheme, constants: made.clone_ref(py) };
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.len() < LISTENERS {
            listeners.push(listener);
        }
        Ok(made)
    }
}

/// What every environ starts with.
fn constants(py: Python<'_>, facts: Facts) -> PyResult<Bound<'_, PyDict>> {
    let environ = PyDict::new(py);
    let set = |key: &str, value: &str| environ.set_item(PyString::intern(py, key), PyString::intern(py, value));
    set("REQUEST_METHOD", METHODS[0])?;
    set("SCRIPT_NAME", "")?;
    set("PATH_INFO", "/")?;
    set("QUERY_STRING", "")?;
    set("REQUEST_URI", "/")?;
    set("RAW_URI", "/")?;
    set("SERVER_NAME", "localhost")?;
    set("SERVER_PORT", "80")?;
    set("SERVER_PROTOCOL", "HTTP/1.1")?;
    set("SERVER_SOFTWARE", concat!("smarthttpd/", env!("CARGO_PKG_VERSION")))?;
    set("REMOTE_ADDR", "")?;
    set("REMOTE_PORT", "")?;
    set("wsgi.url_scheme", "http")?;
    let set = |key: &str, value: Bound<'_, PyAny>| environ.set_item(PyString::intern(py, key), value);
    set("wsgi.version", (1, 0).into_pyobject(py)?.into_any())?;
    set("wsgi.input", Bound::new(py, Input::empty())?.into_any())?;
    set("wsgi.errors", errors(py)?)?;
    set("wsgi.file_wrapper", py.get_type::<FileWrapper>().into_any())?;
    let flag = |value: bool| pyo3::types::PyBool::new(py, value).to_owned().into_any();
    set("wsgi.multithread", flag(facts.multithread))?;
    set("wsgi.multiprocess", flag(facts.multiprocess))?;
    set("wsgi.run_once", flag(false))?;
    set("wsgi.input_terminated", flag(true))?;
    reserve(&environ)?;
    Ok(environ)
}

/// Makes room for the headers, so that no copy has to grow: a table of 32 places holds 21 entries, and the constants fill
/// it. Python offers no call for that, but a copy has as large a table as its original as long as most of it is in use.
fn reserve(environ: &Bound<'_, PyDict>) -> PyResult<()> {
    const GROWN: usize = 22;
    // Strings, like all keys: any other key would make the table a slower, general one.
    let fillers: Vec<String> = (environ.len()..GROWN).map(|n| format!("filler {n}")).collect();
    for filler in &fillers {
        environ.set_item(filler, ())?;
    }
    for filler in &fillers {
        environ.del_item(filler)?;
    }
    Ok(())
}

/// `sys.stderr`, or a place to write to for an application whose standard error is closed.
fn errors(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let stderr = py.import("sys")?.getattr("stderr")?;
    if stderr.is_none() {
        return py.import("io")?.call_method1("open", ("/dev/null", "w"));
    }
    Ok(stderr)
}

fn listener_constants<'py>(constants: &Bound<'py, PyDict>, endpoints: &Endpoints) -> PyResult<Bound<'py, PyDict>> {
    let py = constants.py();
    let environ = constants.copy()?;
    let set = |key: &str, value: &str| environ.set_item(PyString::intern(py, key), PyString::intern(py, value));
    set("wsgi.url_scheme", endpoints.scheme)?;
    let (name, port) = server_name(endpoints);
    set("SERVER_NAME", &name)?;
    set("SERVER_PORT", &port)?;
    Ok(environ)
}

/// SERVER_NAME and SERVER_PORT. Neither may be empty (PEP 3333), so a unix socket gets what a client would have meant.
fn server_name(endpoints: &Endpoints) -> (String, String) {
    match &endpoints.local {
        Endpoint::Tcp(local) => {
            let name = match local.ip().to_canonical() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"), // RFC 3875 §4.1.14
            };
            (name, local.port().to_string())
        }
        Endpoint::Unix(_) => {
            let port = if endpoints.scheme == "https" { "443" } else { "80" };
            ("localhost".to_owned(), port.to_owned())
        }
    }
}

/// A `str` of these bytes, each one character (PEP 3333, "A Note on String Types").
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: this thread is attached, pointer and length are of a live slice, which is copied, and no error handler is
    // needed, for every byte is a character. The result is a new reference to a str, or NULL with an exception set; a
    // slice is never longer than isize::MAX.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

/// A number in decimal digits, without allocating twice.
fn decimal(py: Python<'_>, mut number: u64) -> PyResult<Bound<'_, PyString>> {
    let mut digits = [0; 20]; // u64::MAX has 20
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return latin1(py, &digits[start..]);
        }
    }
}

/// Sets `key`, or appends to what is there.
fn add(environ: &Bound<'_, PyDict>, key: &Bound<'_, PyString>, value: &[u8], separator: &[u8]) -> PyResult<()> {
    let py = environ.py();
    let value = latin1(py, value)?;
    // SAFETY: this thread is attached; all three are live objects and `environ` is a dict that no other thread knows yet,
    // so the borrowed reference in the result stays valid until it is used here.
    let present = unsafe {
        let present = ffi::PyDict_SetDefault(environ.as_ptr(), key.as_ptr(), value.as_ptr());
        Bound::from_borrowed_ptr_or_err(py, present)?
    };
    if present.is(&value) {
        return Ok(());
    }
    let separator = latin1(py, separator)?;
    environ.set_item(key, present.add(separator)?.add(value)?)
}

/// The bytes that a percent-encoded path stands for (RFC 3986 §2.1). What is no escape stays as it is.
fn percent_decode(path: &str) -> Cow<'_, [u8]> {
    let bytes = path.as_bytes();
    let Some(first) = bytes.iter().position(|byte| *byte == b'%') else {
        return Cow::Borrowed(bytes);
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    decoded.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_percent_decoded() {
        for (path, expect) in [
            ("/", &b"/"[..]),
            ("/a%20b", b"/a b"),
            ("/%C3%a9t%C3%A9", "/été".as_bytes()),
            // Not UTF-8: the application sees the byte.
            ("/%ff", b"/\xff"),
            // An encoded slash is decoded like all else; RAW_URI still tells them apart.
            ("/a%2Fb", b"/a/b"),
            ("/%00", b"/\0"),
            // Decoded once, never twice.
            ("/%2541", b"/%41"),
            // No escapes.
            ("/100%", b"/100%"),
            ("/%4", b"/%4"),
            ("/%zz%41", b"/%zzA"),
            ("/%%41", b"/%A"),
            ("/%+1", b"/%+1"),
            ("", b""),
        ] {
            assert_eq!(&*percent_decode(path), expect, "{path}");
        }
        assert!(matches!(percent_decode("/plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_server_always_has_a_name_and_a_port() {
        let tcp = |address: &str| Endpoint::Tcp(address.parse().unwrap());
        for (local, scheme, name, port) in [
            (tcp("127.0.0.1:8000"), "http", "127.0.0.1", "8000"),
            (tcp("[::1]:80"), "http", "[::1]", "80"),
            // An IPv4 client of an IPv6 socket.
            (tcp("[::ffff:10.0.0.1]:80"), "http", "10.0.0.1", "80"),
            (Endpoint::Unix("/run/app.sock".to_owned()), "http", "localhost", "80"),
            (Endpoint::Unix(String::new()), "https", "localhost", "443"),
        ] {
            let endpoints = Endpoints::new(Endpoint::Unix(String::new()), local, scheme);
            assert_eq!(server_name(&endpoints), (name.to_owned(), port.to_owned()));
        }
    }
}
