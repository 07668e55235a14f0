//! The environ dictionary (PEP 3333, "environ Variables"; RFC 3875 for the names it takes from CGI).
//!
//! Owns what the application is told of a request. Knows nothing of the response. `application` makes one [`Environ`] at
//! load and calls [`Environ::build`] for each request; what requests have in common is made once and copied.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, TryLockError};

use http1::{Framing, Version};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{ffi, intern};

use super::file_wrapper::FileWrapper;
use super::input::Input;
use super::memo::Memo;
use super::mount::Mount;
use super::names::{Known, Role};
use super::{origin, tasks};
use crate::exchange::{Endpoint, Endpoints, Forwarding, Request};

/// What is true of the process for all requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Another thread of this process may call the application at the same time.
    pub(crate) multithread: bool,
    /// Another process may.
    pub(crate) multiprocess: bool,
    /// The path below which the application is seen from outside, percent-encoded or not; empty: at the root.
    pub(crate) root_path: String,
    /// The application may leave background tasks.
    pub(crate) tasks: bool,
}

/// Methods whose strings are kept. GET comes first because it is in the constants already.
const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Makes environs.
#[derive(Debug)]
pub(super) struct Environ {
    mount: Mount,
    keys: Keys,
    methods: [Py<PyString>; METHODS.len()],
    http10: Py<PyString>,
    /// What is the same for every request.
    constants: Py<PyDict>,
    /// What was made for earlier requests. Only ever tried to lock: somebody who waited here with the interpreter lock in
    /// hand could wait for one who waits for that.
    memory: Mutex<Memory>,
}

/// What requests have in common with earlier ones.
#[derive(Debug)]
struct Memory {
    names: Memo<Known>,
    texts: Memo<Py<PyString>>,
    connections: Box<[Option<Connection>]>,
}

/// 256 names and as many texts, at most about 100 KiB; more connections than are busy at the same time.
const TEXTS: u32 = 8;
const CONNECTIONS: usize = 128;
/// Longer texts are not remembered: they seldom come again, and cost memory.
const LONGEST: usize = 256;

/// A connection that has brought a request.
#[derive(Debug)]
struct Connection {
    /// Held, so that no other connection's are at the same address.
    endpoints: Arc<Endpoints>,
    /// What is the same for all its requests: made when the second comes.
    constants: Option<Py<PyDict>>,
}

impl Memory {
    /// Knows nothing yet.
    fn new(texts: u32, connections: usize) -> Memory {
        Memory {
            names: Memo::new(texts),
            texts: Memo::new(texts),
            connections: (0..connections).map(|_| None).collect(),
        }
    }

    /// A `str` of these bytes, perhaps one that an earlier request had.
    fn text<'py>(&mut self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        if bytes.len() > LONGEST {
            return latin1(py, bytes);
        }
        let text = self.texts.find(bytes, || Ok::<_, PyErr>(latin1(py, bytes)?.unbind()))?;
        Ok(text.bind(py).clone())
    }

    /// The place of a connection, by the address of what it has in memory.
    fn connection(&mut self, endpoints: &Arc<Endpoints>) -> &mut Option<Connection> {
        let address = Arc::as_ptr(endpoints).addr();
        let count = self.connections.len();
        &mut self.connections[address / size_of::<Endpoints>() % count]
    }
}

/// Keys that are set for each request, interned.
#[derive(Debug)]
struct Keys {
    request_method: Py<PyString>,
    path_info: Py<PyString>,
    query_string: Py<PyString>,
    url_scheme: Py<PyString>,
    server_name: Py<PyString>,
    server_port: Py<PyString>,
    server_protocol: Py<PyString>,
    request_uri: Py<PyString>,
    raw_uri: Py<PyString>,
    remote_addr: Py<PyString>,
    remote_port: Py<PyString>,
    content_length: Py<PyString>,
    http_host: Py<PyString>,
    wsgi_input: Py<PyString>,
}

impl Environ {
    /// Called once the application is imported, whose `sys.stderr` becomes `wsgi.errors`.
    pub(super) fn new(py: Python<'_>, facts: &Facts) -> PyResult<Environ> {
        let intern = |text: &str| PyString::intern(py, text).unbind();
        let mount = Mount::new(percent_decode(facts.root_path.as_bytes()).into_owned());
        Ok(Environ {
            keys: Keys {
                request_method: intern("REQUEST_METHOD"),
                path_info: intern("PATH_INFO"),
                query_string: intern("QUERY_STRING"),
                url_scheme: intern("wsgi.url_scheme"),
                server_name: intern("SERVER_NAME"),
                server_port: intern("SERVER_PORT"),
                server_protocol: intern("SERVER_PROTOCOL"),
                request_uri: intern("REQUEST_URI"),
                raw_uri: intern("RAW_URI"),
                remote_addr: intern("REMOTE_ADDR"),
                remote_port: intern("REMOTE_PORT"),
                content_length: intern("CONTENT_LENGTH"),
                http_host: intern("HTTP_HOST"),
                wsgi_input: intern("wsgi.input"),
            },
            methods: METHODS.map(intern),
            http10: intern("HTTP/1.0"),
            constants: constants(py, facts, &mount)?.unbind(),
            memory: Mutex::new(Memory::new(TEXTS, CONNECTIONS)),
            mount,
        })
    }

    /// The environ of `request`, whose body moves into `wsgi.input`.
    pub(super) fn build<'py>(&self, py: Python<'py>, request: &mut Request) -> PyResult<Bound<'py, PyDict>> {
        let (mut shared, mut own);
        let memory = match self.memory.try_lock() {
            Ok(memory) => {
                shared = memory;
                &mut *shared
            }
            Err(TryLockError::Poisoned(poisoned)) => {
                shared = poisoned.into_inner();
                &mut *shared
            }
            Err(TryLockError::WouldBlock) => {
                own = Memory::new(1, 1);
                &mut own
            }
        };
        let environ = self.begin(py, &request.endpoints, memory)?;
        let keys = &self.keys;
        let (head, bytes) = (&request.head, request.bytes.as_slice());

        let method = head.method_bytes(bytes);
        if method != METHODS[0].as_bytes() {
            let known = METHODS.iter().position(|known| known.as_bytes() == method);
            match known {
                Some(place) => environ.set_item(&keys.request_method, &self.methods[place])?,
                None => environ.set_item(&keys.request_method, latin1(py, method)?)?,
            }
        }
        if head.version() == Version::Http10 {
            environ.set_item(&keys.server_protocol, &self.http10)?;
        }

        // The constants are those of "/".
        let target = head.target_bytes(bytes);
        if target != b"/" {
            let text = memory.text(py, target)?;
            environ.set_item(&keys.raw_uri, &text)?;
            environ.set_item(&keys.request_uri, &text)?;
            let path = percent_decode(head.path_bytes(bytes));
            let path_info = self.mount.path_info(&path);
            match path {
                Cow::Borrowed(_) if path_info.len() == target.len() => environ.set_item(&keys.path_info, text)?,
                _ => environ.set_item(&keys.path_info, memory.text(py, path_info)?)?,
            }
            let query = head.query_bytes(bytes);
            if !query.is_empty() {
                environ.set_item(&keys.query_string, memory.text(py, query)?)?;
            }
        }

        let authority = head.authority(bytes);
        let distrusted = request.forwarding == Forwarding::Distrusted;
        for (name, value) in head.fields(bytes) {
            if distrusted && origin::is_claim(name) {
                continue;
            }
            add_header(&environ, authority.is_some(), name, value, memory)?;
        }
        if let Some(authority) = authority {
            environ.set_item(&keys.http_host, latin1(py, authority.as_bytes())?)?;
        }

        if let Forwarding::Believed(origin) = &request.forwarding {
            origin::overlay(&environ, origin)?;
            if let Some(prefix) = &origin.prefix {
                let prefix = percent_decode(prefix.as_bytes());
                let script_name = self.mount.script_name_after(&prefix, &percent_decode(head.path_bytes(bytes)));
                environ.set_item(intern!(py, "SCRIPT_NAME"), latin1(py, &script_name)?)?;
            }
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

    /// The environ of a request that came on this connection, before anything is known of the request.
    fn begin<'py>(
        &self,
        py: Python<'py>,
        endpoints: &Arc<Endpoints>,
        memory: &mut Memory,
    ) -> PyResult<Bound<'py, PyDict>> {
        let place = memory.connection(endpoints);
        match place {
            Some(known) if Arc::ptr_eq(&known.endpoints, endpoints) => {
                if let Some(constants) = &known.constants {
                    return constants.bind(py).copy();
                }
                let constants = self.connection_constants(py, endpoints)?;
                known.constants = Some(constants.clone().unbind());
                constants.copy()
            }
            _ => {
                *place = Some(Connection { endpoints: Arc::clone(endpoints), constants: None });
                self.connection_constants(py, endpoints)
            }
        }
    }

    fn connection_constants<'py>(&self, py: Python<'py>, endpoints: &Endpoints) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.constants.bind(py).copy()?;
        let keys = &self.keys;
        if endpoints.scheme != "http" {
            environ.set_item(&keys.url_scheme, endpoints.scheme)?;
        }
        let (name, port) = server_name(endpoints);
        environ.set_item(&keys.server_name, name)?;
        environ.set_item(&keys.server_port, port)?;
        if let Endpoint::Tcp(peer) = &endpoints.peer {
            environ.set_item(&keys.remote_addr, latin1(py, endpoints.peer_ip.as_bytes())?)?;
            environ.set_item(&keys.remote_port, decimal(py, u64::from(peer.port()))?)?;
        }
        Ok(environ)
    }
}

/// Puts a header where it belongs.
fn add_header(
    environ: &Bound<'_, PyDict>,
    host_is_overridden: bool,
    name: &[u8],
    value: &[u8],
    memory: &mut Memory,
) -> PyResult<()> {
    let py = environ.py();
    let Memory { names, texts, .. } = memory;
    let Known { role, key } = names.find(name, || Ok::<_, PyErr>(Known::new(py, name)))?;
    let Some(key) = key else { return Ok(()) };
    let key = key.bind(py);
    let text = match role {
        Role::Dropped => return Ok(()),
        Role::Host if host_is_overridden => return Ok(()),
        Role::Secret | Role::Cookie => latin1(py, value)?,
        _ if value.len() > LONGEST => latin1(py, value)?,
        Role::Plain | Role::Host | Role::ContentType => {
            texts.find(value, || Ok::<_, PyErr>(latin1(py, value)?.unbind()))?.bind(py).clone()
        }
    };
    add(environ, key, &text, if *role == Role::Cookie { b"; " } else { b"," })
}

/// What every environ starts with.
fn constants<'py>(py: Python<'py>, facts: &Facts, mount: &Mount) -> PyResult<Bound<'py, PyDict>> {
    let environ = PyDict::new(py);
    let set = |key: &str, value: &str| environ.set_item(PyString::intern(py, key), PyString::intern(py, value));
    set("REQUEST_METHOD", METHODS[0])?;
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
    set("SCRIPT_NAME", latin1(py, mount.script_name())?.into_any())?;
    set("wsgi.version", (1, 0).into_pyobject(py)?.into_any())?;
    set("wsgi.input", Bound::new(py, Input::empty())?.into_any())?;
    set("wsgi.errors", errors(py)?)?;
    set("wsgi.file_wrapper", py.get_type::<FileWrapper>().into_any())?;
    let flag = |value: bool| pyo3::types::PyBool::new(py, value).to_owned().into_any();
    set("wsgi.multithread", flag(facts.multithread))?;
    set("wsgi.multiprocess", flag(facts.multiprocess))?;
    set("wsgi.run_once", flag(false))?;
    set("wsgi.input_terminated", flag(true))?;
    if facts.tasks {
        set("smarthttpd.tasks", tasks::module(py)?)?;
    }
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
pub(super) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: this thread is attached, pointer and length are of a live slice, which is copied, and no error handler is
    // needed, for every byte is a character. The result is a new reference to a str, or NULL with an exception set; a
    // slice is never longer than isize::MAX.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

/// A number in decimal digits, without allocating twice.
pub(super) fn decimal(py: Python<'_>, mut number: u64) -> PyResult<Bound<'_, PyString>> {
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
fn add<'py>(
    environ: &Bound<'py, PyDict>,
    key: &Bound<'py, PyString>,
    value: &Bound<'py, PyString>,
    separator: &[u8],
) -> PyResult<()> {
    let py = environ.py();
    // SAFETY: this thread is attached; all three are live objects and `environ` is a dict that no other thread knows yet,
    // so the borrowed reference in the result stays valid until it is used here.
    let present = unsafe {
        let present = ffi::PyDict_SetDefault(environ.as_ptr(), key.as_ptr(), value.as_ptr());
        Bound::from_borrowed_ptr_or_err(py, present)?
    };
    if present.is(value) {
        return Ok(());
    }
    let separator = latin1(py, separator)?;
    environ.set_item(key, present.add(separator)?.add(value)?)
}

/// The bytes that a percent-encoded path stands for (RFC 3986 §2.1). What is no escape stays as it is.
fn percent_decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'%', bytes) else {
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
            assert_eq!(&*percent_decode(path.as_bytes()), expect, "{path}");
        }
        assert!(matches!(percent_decode(b"/plain"), Cow::Borrowed(_)));
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
