//! The server's side of a connection: the same requests and the same end however the bytes arrive and whenever they are
//! answered, as a reader finds them that has all bytes before it; nothing after a refusal; memory within the limits.

#![no_main]

#[path = "../../server/src/exchange.rs"]
#[allow(dead_code, reason = "nobody answers here")]
mod exchange;
#[allow(dead_code, reason = "what the event loop asks is not asked here")]
mod protocol;
#[path = "../../server/http/tests/wire/reader.rs"]
#[allow(dead_code, reason = "not all that it reads is compared")]
mod reader;
mod splits;

use std::io::Read;
use std::sync::Arc;

use exchange::{Body, Endpoint, Endpoints, Request};
use http1::{Limits, Refusal};
use libfuzzer_sys::fuzz_target;
use protocol::h1::{H1, Intake, Step, Waiting};
use reader::End;

/// Small enough for the fuzzer to reach all of them.
const TIGHT: Limits = Limits { request_line: 60, header_count: 6, header_bytes: 200, body: 400 };
/// Above, bodies go to a file.
const BODY_MEMORY: usize = 200;
/// Shorter bodies are not received apart from the rest.
const WORTHWHILE: usize = 16;
/// Most bytes of empty lines before a request line.
const EMPTY_LINES: usize = 16;

/// When a request is answered: the next bytes come after that, or before.
#[derive(Debug, Clone, Copy)]
enum Answer {
    AtOnce,
    AfterTheNextRead,
}

/// A request, as far as it is compared.
type Seen = (String, String, Vec<(String, Vec<u8>)>, Vec<u8>);

fuzz_target!(|bytes: &[u8]| {
    for limits in [Limits::default(), TIGHT] {
        let (messages, end) = reader::read(bytes, &[usize::MAX], &limits);
        let expected: Vec<Seen> = messages
            .into_iter()
            .map(|message| (message.method, message.target, message.headers, message.body))
            .collect();
        for answer in [Answer::AtOnce, Answer::AfterTheNextRead] {
            splits::each_way(bytes, |pieces| {
                let (requests, found) = serve(bytes, pieces, answer, &limits);
                assert_eq!(requests, expected, "{answer:?} {pieces:?}");
                assert_eq!(found, end, "{answer:?} {pieces:?}");
            });
        }
    }
});

/// One connection, from its first byte to its end or to a refusal.
fn serve(bytes: &[u8], pieces: &[usize], answer: Answer, limits: &Limits) -> (Vec<Seen>, End) {
    let mut server = Server::new(answer, limits);
    let mut rest = bytes;
    for piece in pieces.iter().cycle() {
        let read;
        (read, rest) = rest.split_at(rest.len().min(*piece));
        let before = server.answering.take();
        server.read(read);
        if let Some(request) = before {
            server.answer(request);
        }
        if rest.is_empty() || server.refused.is_some() {
            break;
        }
    }
    while let Some(request) = server.answering.take() {
        server.answer(request);
    }
    let end = match (server.refused, server.waiting) {
        (Some(refusal), _) => {
            server.read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            End::Refused(refusal)
        }
        (None, _) if server.h1.is_idle() => End::Clean,
        (None, Waiting::Head | Waiting::Body) => End::Within,
        (None, waiting) => panic!("waits for {waiting:?}, and is not idle"),
    };
    (server.requests, end)
}

/// What stands in for the event loop.
struct Server {
    h1: H1,
    intake: Intake,
    limits: Limits,
    endpoints: Arc<Endpoints>,
    answer: Answer,
    answering: Option<Box<Request>>,
    requests: Vec<Seen>,
    continues: usize,
    waiting: Waiting,
    refused: Option<Refusal>,
}

impl Server {
    fn new(answer: Answer, limits: &Limits) -> Server {
        let endpoint = || Endpoint::Unix(String::new());
        Server {
            h1: H1::new(),
            intake: Intake::new(*limits, BODY_MEMORY, usize::MAX),
            limits: *limits,
            endpoints: Arc::new(Endpoints::new(endpoint(), endpoint(), "http")),
            answer,
            answering: None,
            requests: Vec::new(),
            continues: 0,
            waiting: Waiting::FirstByte,
            refused: None,
        }
    }

    /// Bytes have come. Those of a long body go straight to where it gathers.
    fn read(&mut self, read: &[u8]) {
        let mut read = read;
        if let Some((room, most)) = self.h1.body_room(WORTHWHILE) {
            let body;
            (body, read) = read.split_at(read.len().min(most));
            room.extend_from_slice(body);
            let step = self.h1.received(body.len(), &self.intake);
            self.perform(step);
        }
        let step = self.h1.receive(read, &self.endpoints, &mut self.intake);
        self.perform(step);
    }

    /// The application has answered; what is pending comes next.
    fn answer(&mut self, request: Box<Request>) {
        self.h1.resume(request, &mut self.intake);
        let step = self.h1.receive(&[], &self.endpoints, &mut self.intake);
        self.perform(step);
    }

    fn perform(&mut self, step: Step) {
        assert!(self.refused.is_none() || matches!(step, Step::Wait(_)), "goes on after a refusal");
        match step {
            Step::Wait(waiting) => self.waiting = waiting,
            Step::Continue => {
                self.continues += 1;
                assert!(self.continues <= self.requests.len() + 1, "asks again for a body");
                self.waiting = Waiting::Body;
            }
            Step::Request(mut request) => {
                assert!(self.answering.is_none(), "two requests at once");
                self.requests.push(describe(&mut request, &self.limits));
                match self.answer {
                    Answer::AtOnce => self.answer(request),
                    Answer::AfterTheNextRead => self.answering = Some(request),
                }
            }
            Step::Refuse { refusal, .. } => self.refused = Some(refusal),
            Step::Broken(error) => panic!("{error}"),
        }
    }
}

fn describe(request: &mut Request, limits: &Limits) -> Seen {
    let body = std::mem::take(&mut request.body);
    assert!(body.len() <= limits.body);
    assert!(matches!(&body, Body::File { .. }) == (body.len() > BODY_MEMORY as u64), "a body in the wrong place");
    let mut payload = Vec::new();
    body.into_reader().read_to_end(&mut payload).expect("a body can be read");

    let (head, bytes) = (&request.head, request.bytes.as_slice());
    assert!(
        bytes.len() <= EMPTY_LINES + limits.request_line + 2 + limits.header_bytes,
        "the head takes too much memory"
    );
    let fields = head.headers(bytes).map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    (head.method(bytes).to_owned(), head.target(bytes).to_owned(), fields, payload)
}
