//! What is measured: one table of operations, timed by `speed` and counted in instructions by `instructions`.
//!
//! Each is what the server does once per request or per body, with buffers that have their working size, as they have on a
//! connection in steady state. The requests are as real clients send them.

use std::hint::black_box;

use http1::{BodyDecoder, Framing, Limits, Parse, RequestFacts, RequestHead, ResponseEncoder, Version};

/// As `wrk` and other load generators send it.
const MINIMAL: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

/// As a browser sends it to a site that has set some cookies.
const BROWSER: &[u8] = b"GET /articles/2026/11/smart-servers?page=2&order=newest HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/articles/2026/11/\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0f3c9a5be1d24c7f8b6a4e2d1c0f9b8a; csrftoken=Zk3vQ9wXr7tYp2LmN8sB4dHf6JgKc1Va; theme=dark; \
    _ga=GA1.1.1234567890.1760000000; consent=analytics%3Dno%26ads%3Dno\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Priority: u=0, i\r\n\
    \r\n";

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const FACTS: RequestFacts = RequestFacts { head: false, version: Version::Http11, keep_alive: true };

/// One operation, ready to be done again and again.
type Operation = Box<dyn FnMut()>;

/// Makes buffers and bytes ready for an operation.
type Prepare = fn() -> Operation;

/// Every operation by its name.
pub(crate) const OPERATIONS: [(&str, Prepare); 7] = [
    ("parse_minimal", || parse(MINIMAL)),
    ("parse_browser", || parse(BROWSER)),
    ("read_minimal", || read(MINIMAL)),
    ("read_browser", || read(BROWSER)),
    ("decode_64k_in_16_chunks", decode),
    ("encode_hello", encode_hello),
    ("encode_eight_fields", encode_eight_fields),
];

/// A head out of bytes, once all of them are there.
fn parse(bytes: &'static [u8]) -> Operation {
    let mut head = RequestHead::default();
    let limits = Limits::default();
    Box::new(move || {
        let parsed = head.parse(black_box(bytes), 0, &limits);
        assert_eq!(parsed, Ok(Parse::Complete { head_len: bytes.len() }));
        black_box(&head);
    })
}

/// What an application's environment and the access log ask of a parsed head.
fn read(bytes: &'static [u8]) -> Operation {
    let mut head = RequestHead::default();
    let parsed = head.parse(bytes, 0, &Limits::default());
    assert!(matches!(parsed, Ok(Parse::Complete { .. })));
    Box::new(move || {
        let bytes = black_box(bytes);
        black_box((
            head.method_bytes(bytes),
            head.target_bytes(bytes),
            head.path_bytes(bytes),
            head.query_bytes(bytes),
        ));
        black_box(head.authority(bytes));
        for field in head.fields(bytes) {
            black_box(field);
        }
    })
}

/// 64 KiB of payload, in chunks of 4 KiB that are all there.
fn decode() -> Operation {
    const PAYLOAD: usize = 64 * 1024;
    let chunk = [b"1000\r\n", &[b'x'; 0x1000][..], b"\r\n"].concat();
    let coded = [chunk.repeat(PAYLOAD / 0x1000).as_slice(), b"0\r\n\r\n"].concat();
    let mut body = Vec::with_capacity(PAYLOAD);
    Box::new(move || {
        body.clear();
        let decoded = BodyDecoder::new(Framing::Chunked, &Limits::default()).decode(black_box(&coded), &mut body);
        assert!(decoded.is_ok_and(|decoded| decoded.complete) && body.len() == PAYLOAD);
    })
}

/// What an application in one line answers.
fn encode_hello() -> Operation {
    encode(&[("Content-Type", "text/plain"), ("Content-Length", "13")], b"Hello, world!")
}

/// What a framework with sessions answers.
fn encode_eight_fields() -> Operation {
    encode(
        &[
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", "512"),
            ("Cache-Control", "no-store, max-age=0"),
            ("Vary", "Cookie, Accept-Encoding"),
            ("X-Frame-Options", "DENY"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            ("Set-Cookie", "session=0f3c9a5be1d24c7f8b6a4e2d1c0f9b8a; HttpOnly; Path=/; SameSite=Lax"),
        ],
        &[b'x'; 512],
    )
}

fn encode(fields: &'static [(&str, &str)], body: &'static [u8]) -> Operation {
    let mut encoder = ResponseEncoder::new();
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        encoder.reset(black_box(FACTS));
        let encoded = encoder.begin("200 OK").and_then(|()| {
            for (name, value) in black_box(fields) {
                encoder.header(name.as_bytes(), value.as_bytes())?;
            }
            encoder.whole(&mut out, black_box(body), DATE)?;
            encoder.finish(&mut out, DATE)
        });
        assert!(encoded.is_ok());
        black_box(&out);
    })
}
