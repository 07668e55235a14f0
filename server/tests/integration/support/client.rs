//! An HTTP/1 client that hides nothing: it sends the bytes it is given and tells a whole response from a cut one.
//!
//! Shares no code with the server, so that a mistake in the one can't hide a mistake in the other.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, sockopt};

use super::wait::PATIENCE;

/// Why there is no whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The connection ended, or was reset, before a byte came.
    Nothing,
    /// It ended, or was reset, within a response: what came of it.
    Cut(String),
    /// Nothing came for long.
    Silence,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Nothing => f.write_str("the connection ended without a byte"),
            Broken::Cut(part) => write!(f, "the connection was cut after {part:?}"),
            Broken::Silence => write!(f, "nothing came for {PATIENCE:?}"),
        }
    }
}

/// A response's head.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The only value of this header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let value = values.next();
        assert!(values.next().is_none(), "several {name} in {self:?}");
        value
    }

    /// All values of this header.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let same = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Head {
        let mut lines = text.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let (version, rest) = status_line.split_once(' ').unwrap_or_else(|| panic!("no status line: {text:?}"));
        assert!(version == "HTTP/1.1" || version == "HTTP/1.0", "no HTTP/1: {text:?}");
        let status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status: {text:?}"));
        let headers = lines.filter(|line| !line.is_empty()).map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header {line:?} in {text:?}"));
            (name.to_owned(), value.trim().to_owned())
        });
        Head { version: version.to_owned(), status, headers: headers.collect() }
    }
}

/// How a response's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// A whole response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// The only value of this header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// True if the server will close the connection.
    pub(crate) fn closes(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// One connection.
pub(crate) struct Client {
    stream: Stream,
    received: Vec<u8>,
}

impl Client {
    /// Connects over TCP.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        Client::over(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    /// Connects as from far away: little fits into the sockets' buffers, so what this client does not take stays with the
    /// server. (Between two ordinary sockets of one machine the kernel holds megabytes.)
    pub(crate) fn connect_far(address: SocketAddr) -> Client {
        let SocketAddr::V4(to) = address else { panic!("{address} is no IPv4 address") };
        let socket = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .expect("a socket can be made");
        // Before the connection is made: both go into its handshake.
        socket::setsockopt(&socket, sockopt::RcvBuf, &4096).expect("a buffer can be made small");
        socket::setsockopt(&socket, sockopt::TcpMaxSeg, &536).expect("segments can be made small");
        socket::connect(socket.as_raw_fd(), &SockaddrIn::from(to)).expect("the server can be reached");
        Client::over(TcpStream::from(socket)).expect("a connected socket can be set up")
    }

    fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: Stream::Tcp(stream), received: Vec::new() })
    }

    /// Connects to a unix socket.
    pub(crate) fn connect_unix(path: &Path) -> io::Result<Client> {
        UnixStream::connect(path).map(Client::over_unix)
    }

    /// Speaks over a unix socket that is connected already.
    pub(crate) fn over_unix(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
        Client { stream: Stream::Unix(stream), received: Vec::new() }
    }

    /// The local address.
    pub(crate) fn local(&self) -> SocketAddr {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().expect("a connected socket has an address"),
            Stream::Unix(_) => panic!("a unix socket has no such address"),
        }
    }

    /// Sends these bytes as they are.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Sends these bytes as they are, to a server that is there.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the server takes what is sent");
    }

    /// Sends a GET request.
    pub(crate) fn send_get(&mut self, target: &str) {
        self.send(get(target));
    }

    /// GET on a connection that is to stay.
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.send_get(target);
        self.answer()
    }

    /// Sends a request with a body of known length and returns the answer.
    pub(crate) fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !body.is_empty() || method == "POST" {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        self.send(bytes);
        self.try_answer_to(method).unwrap_or_else(|broken| panic!("{method} {target}: {broken}"))
    }

    /// The answer to a request that was not a HEAD.
    pub(crate) fn answer(&mut self) -> Response {
        self.try_answer().unwrap_or_else(|broken| panic!("no answer: {broken}"))
    }

    /// The answer to a request that was not a HEAD.
    pub(crate) fn try_answer(&mut self) -> Result<Response, Broken> {
        self.try_answer_to("GET")
    }

    /// The answer to a request with this method.
    pub(crate) fn try_answer_to(&mut self, method: &str) -> Result<Response, Broken> {
        let head = self.try_head()?;
        let framing = framing(&head, method);
        let body = self.body(&head, framing)?;
        Ok(Response { head, framing, body })
    }

    /// The body that follows `head`, the head of an answer to a GET.
    pub(crate) fn body_of(&mut self, head: &Head) -> Result<Vec<u8>, Broken> {
        self.body(head, framing(head, "GET"))
    }

    fn body(&mut self, head: &Head, framing: Framing) -> Result<Vec<u8>, Broken> {
        let so_far = format!("{head:?}");
        Ok(match framing {
            Framing::None => Vec::new(),
            Framing::Length(length) => {
                while self.received.len() < length {
                    self.receive_within(&so_far)?;
                }
                self.received.drain(..length).collect()
            }
            Framing::Chunked => {
                let mut body = Vec::new();
                while let Some(chunk) = self.try_chunk()? {
                    body.extend(chunk);
                }
                body
            }
            Framing::UntilClose => {
                while self.receive()? > 0 {}
                std::mem::take(&mut self.received)
            }
        })
    }

    /// The head of the next response.
    pub(crate) fn try_head(&mut self) -> Result<Head, Broken> {
        let end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end;
            }
            match self.receive() {
                Ok(0) if self.received.is_empty() => return Err(Broken::Nothing),
                Ok(0) => return Err(self.cut("")),
                Ok(_) => {}
                Err(broken) => return Err(broken),
            }
        };
        let head: Vec<u8> = self.received.drain(..end + 4).collect();
        Ok(Head::parse(std::str::from_utf8(&head).expect("our applications' heads are UTF-8")))
    }

    /// The next chunk of a chunked body; `None` after the last.
    pub(crate) fn try_chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let end = loop {
            if let Some(end) = find(&self.received, b"\r\n") {
                break end;
            }
            self.receive_within("a chunk's size")?;
        };
        let line: Vec<u8> = self.received.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&line[..end]).into_owned();
        let size = usize::from_str_radix(&text, 16).unwrap_or_else(|_| panic!("no chunk size: {text:?}"));
        while self.received.len() < size + 2 {
            self.receive_within("a chunk")?;
        }
        let mut chunk: Vec<u8> = self.received.drain(..size + 2).collect();
        assert!(chunk.ends_with(b"\r\n"), "a chunk does not end where it should: {chunk:?}");
        chunk.truncate(size);
        Ok((size > 0).then_some(chunk))
    }

    /// The head and the first chunk: the response is under way.
    pub(crate) fn begin_chunked(&mut self) -> Vec<u8> {
        let head = self.try_head().expect("a head");
        assert_eq!(framing(&head, "GET"), Framing::Chunked, "{head:?}");
        self.try_chunk().expect("a chunk").expect("not the last chunk")
    }

    /// All bytes up to the end of the stream, or a reset.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.receive() {
                Ok(0) | Err(Broken::Nothing | Broken::Cut(_)) => return std::mem::take(&mut self.received),
                Ok(_) => {}
                Err(Broken::Silence) => {
                    panic!("the server does not close; it sent {:?}", String::from_utf8_lossy(&self.received))
                }
            }
        }
    }

    /// The server closes, without a further byte.
    pub(crate) fn expect_close(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "more than expected: {:?}", String::from_utf8_lossy(&rest));
    }

    /// The server ends the stream in good order: without a further byte, and not by a reset.
    pub(crate) fn expect_end(&mut self) {
        let rest = String::from_utf8_lossy(&self.received).into_owned();
        assert!(rest.is_empty(), "more than expected: {rest:?}");
        match self.receive() {
            Ok(0) => {}
            Ok(_) => panic!("more than expected: {:?}", String::from_utf8_lossy(&self.received)),
            Err(broken) => panic!("no end of the stream: {broken}"),
        }
    }

    /// Goes away with a reset.
    pub(crate) fn reset(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        if let Stream::Tcp(stream) = &self.stream {
            socket::setsockopt(stream, sockopt::Linger, &linger).expect("a close can be made a reset");
        }
    }

    /// Sends what the sockets' buffers take and returns how much that was.
    pub(crate) fn send_until_full(&mut self, bytes: &[u8]) -> usize {
        let Stream::Tcp(stream) = &mut self.stream else { panic!("not over a unix socket") };
        stream.set_nonblocking(true).expect("a socket can be made non-blocking");
        let mut sent = 0;
        while sent < bytes.len() {
            match stream.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("the server takes what is sent: {error}"),
            }
        }
        stream.set_nonblocking(false).expect("a socket can be made blocking");
        sent
    }

    /// A second handle on this connection, to send from another thread.
    pub(crate) fn sender(&self) -> TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream.try_clone().expect("a descriptor can be doubled"),
            Stream::Unix(_) => panic!("not over a unix socket"),
        }
    }

    /// Ends our direction. Where the other end has reset the connection there is none left; who reads on is told.
    pub(crate) fn finish(&self) {
        let ended = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
        if let Err(error) = ended {
            assert_eq!(error.kind(), io::ErrorKind::NotConnected, "our direction can be ended");
        }
    }

    /// True if nothing comes for `span`: neither bytes nor the end.
    pub(crate) fn is_silent_for(&mut self, span: Duration) -> bool {
        self.set_patience(span);
        let silent = self.received.is_empty() && self.receive() == Err(Broken::Silence);
        self.set_patience(PATIENCE);
        silent
    }

    fn set_patience(&self, patience: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(patience)),
        }
        .expect("a time-out can be set");
    }

    fn receive_within(&mut self, part: &str) -> Result<(), Broken> {
        match self.receive() {
            Ok(0) | Err(Broken::Nothing) => Err(self.cut(part)),
            Ok(_) => Ok(()),
            Err(broken) => Err(broken),
        }
    }

    /// Reads what is there: 0 at the end of the stream.
    fn receive(&mut self) -> Result<usize, Broken> {
        let mut buffer = [0; 64 * 1024];
        let result = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer),
            Stream::Unix(stream) => stream.read(&mut buffer),
        };
        match result {
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Broken::Silence),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.receive(),
            Err(_) if self.received.is_empty() => Err(Broken::Nothing),
            Err(_) => Err(self.cut("")),
        }
    }

    fn cut(&self, part: &str) -> Broken {
        Broken::Cut(format!("{part}{}", String::from_utf8_lossy(&self.received)))
    }
}

/// A GET request.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// RFC 9112 §6.3.
fn framing(head: &Head, method: &str) -> Framing {
    if method == "HEAD" || head.status / 100 == 1 || matches!(head.status, 204 | 304) {
        return Framing::None;
    }
    match (head.header("Transfer-Encoding"), head.header("Content-Length")) {
        (Some(coding), None) => {
            assert_eq!(coding, "chunked", "{head:?}");
            Framing::Chunked
        }
        (None, Some(length)) => Framing::Length(length.parse().expect("a length is a number")),
        (None, None) => Framing::UntilClose,
        (Some(_), Some(_)) => panic!("two framings: {head:?}"),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
