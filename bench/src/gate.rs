//! The correctness gate: before anything is timed, a server must answer every route as the application means it.

use std::collections::BTreeMap;

use crate::probe::{Answer, Probe};
use crate::scenario::described::Request;
use crate::scenario::{Application, Lengths, Scenario, file};

const TEXT: &str = "text/plain";
const HTML: &str = "text/html; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// What a route must answer.
struct Expected {
    path: String,
    /// The body of a POST with this many bytes; `None`: a GET.
    posted: Option<usize>,
    content_type: &'static str,
    body: Body,
}

/// A body as it must be.
enum Body {
    Text(String),
    /// The session's large file.
    File(usize),
}

impl Body {
    fn is(&self, body: &str) -> bool {
        match self {
            Self::Text(text) => body == text,
            Self::File(length) => file::is_whole(body.as_bytes(), *length),
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Text(text) => beginning(text),
            Self::File(length) => format!("the large file of {length} bytes"),
        }
    }
}

/// A body in an error message: whole when it is short.
fn beginning(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}… ({} bytes)", &text[..at], text.len()),
    }
}

fn get(path: &str, content_type: &'static str, body: &str) -> Expected {
    Expected { path: path.to_owned(), posted: None, content_type, body: Body::Text(body.to_owned()) }
}

fn upload(length: usize) -> Expected {
    Expected { posted: Some(length), ..get("/upload", TEXT, &length.to_string()) }
}

fn download(length: usize) -> Expected {
    get(&format!("/download/{length}"), BYTES, &"x".repeat(length))
}

/// The routes that a scenario uses.
fn routes(scenario: Scenario, lengths: &Lengths) -> Vec<Expected> {
    let plain = || get("/", TEXT, "Hello, World!");
    match scenario {
        Scenario::Steady
        | Scenario::Step
        | Scenario::Flask
        | Scenario::Burst
        | Scenario::Spawn
        | Scenario::Memory
        | Scenario::Curve
        | Scenario::Capacity
        | Scenario::Counters
        | Scenario::Rest
        | Scenario::Tune => {
            vec![
                get("/", HTML, "Hello, World!"),
                get("/json", "application/json", "{\"name\":\"bench\",\"numbers\":[0,1,2,3,4,5,6,7,8,9]}\n"),
                get("/sleep50", HTML, "slept"),
            ]
        }
        Scenario::Hello | Scenario::Syscalls | Scenario::Idle => vec![plain()],
        Scenario::Bodies => {
            let bodies = &lengths.request_path.bodies;
            vec![upload(0), upload(bodies.small), upload(bodies.large), download(bodies.small), download(bodies.large)]
        }
        Scenario::File => {
            let length = lengths.request_path.file.length;
            vec![Expected { body: Body::File(length), ..get("/file", BYTES, "") }]
        }
        Scenario::Isolation => vec![plain(), get("/sleep/1", TEXT, "slept"), get("/spin/1", TEXT, "spun")],
        Scenario::Compute => vec![get("/burn/5", TEXT, "burnt")],
        Scenario::Search | Scenario::Mixed => vec![get("/burn/2", TEXT, "burnt"), get("/sleep/200", TEXT, "slept")],
        // Its file says what is right, see `described`.
        Scenario::Described(_) => Vec::new(),
        Scenario::Threads => vec![get("/sleep/50", TEXT, "slept"), get("/compute/20000", TEXT, "199990000")],
    }
}

/// Checks every route that `scenario` uses of the server at `base` (no slash at the end), and asks the application what
/// it runs on. Of the request path, some contenders have no application to ask: of those nothing is known.
///
/// # Errors
/// The first route that is answered wrongly: what was expected and what came.
pub(crate) fn pass(
    probe: &Probe,
    base: &str,
    scenario: Scenario,
    lengths: &Lengths,
) -> Result<BTreeMap<String, String>, String> {
    for expected in &routes(scenario, lengths) {
        let url = format!("{base}{}", expected.path);
        let answer = match expected.posted {
            None => probe.get(&url),
            Some(length) => probe.post(&url, vec![b'x'; length]),
        };
        let answer = answer.map_err(|reason| format!("gate: {} failed: {reason}", expected.path))?;
        check(expected, &answer)?;
    }
    for request in lengths.description(scenario).iter().flat_map(|description| &description.request) {
        let path = request.check.as_ref().unwrap_or(&request.path);
        let answer = probe
            .send(&request.method, &format!("{base}{path}"), &request.headers, request.content())
            .map_err(|reason| format!("gate: {path} failed: {reason}"))?;
        is_right(request, path, &answer)?;
    }
    let about = probe.get(&format!("{base}/about")).map_err(|reason| format!("gate: /about failed: {reason}"));
    match scenario.application() {
        Application::Flask => facts(&about?.body),
        Application::Plain | Application::Described => {
            Ok(about.and_then(|about| facts(&about.body)).unwrap_or_default())
        }
    }
}

fn check(expected: &Expected, answer: &Answer) -> Result<(), String> {
    let wrong = |what: &str, wanted: &str, got: &str| {
        Err(format!("gate: {} answered with {what} {got} instead of {wanted}", expected.path))
    };
    let quoted = |text: &str| format!("{text:?}");
    if answer.status != 200 {
        return wrong("status", &quoted("200"), &quoted(&answer.status.to_string()));
    }
    if answer.content_type != expected.content_type {
        return wrong("content type", &quoted(expected.content_type), &quoted(&answer.content_type));
    }
    if !expected.body.is(&answer.body) {
        return wrong("body", &expected.body.told(), &beginning(&answer.body));
    }
    Ok(())
}

/// Whether it is what the file of the scenario wants.
fn is_right(request: &Request, path: &str, answer: &Answer) -> Result<(), String> {
    let wrong = |what: &str, wanted: &str, got: &str| {
        Err(format!("gate: {path} answered with {what} {got} instead of {wanted}"))
    };
    let expect = &request.expect;
    if answer.status != expect.status {
        return wrong("status", &expect.status.to_string(), &answer.status.to_string());
    }
    for (name, wanted) in &expect.headers {
        let got = answer.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        let got = got.map(|(_, value)| value.as_str()).unwrap_or_default();
        if got != wanted {
            return wrong(name, &format!("{wanted:?}"), &format!("{got:?}"));
        }
    }
    if let Some(body) = &expect.body
        && answer.body != *body
    {
        return wrong("body", &beginning(body), &beginning(&answer.body));
    }
    match expect.bytes {
        Some(bytes) if answer.body.len() != bytes => {
            wrong("a body of length", &bytes.to_string(), &answer.body.len().to_string())
        }
        _ => Ok(()),
    }
}

fn facts(body: &str) -> Result<BTreeMap<String, String>, String> {
    let facts: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(body).map_err(|error| format!("gate: /about is no JSON object: {error}"))?;
    Ok(facts
        .into_iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_answer_passes() {
        let route = get("/", HTML, "Hello, World!");
        let right =
            Answer { status: 200, content_type: HTML.into(), body: "Hello, World!".into(), headers: Vec::new() };
        let rows = [
            (right.clone(), None),
            (Answer { status: 503, ..right.clone() }, Some("gate: / answered with status \"503\" instead of \"200\"")),
            (
                Answer { body: String::new(), ..right.clone() },
                Some("gate: / answered with body \"\" instead of \"Hello, World!\""),
            ),
            (
                Answer { content_type: "text/plain".into(), ..right },
                Some("gate: / answered with content type \"text/plain\" instead of \"text/html; charset=utf-8\""),
            ),
        ];
        for (answer, expected) in rows {
            assert_eq!(check(&route, &answer).err().as_deref(), expected);
        }
    }

    #[test]
    fn long_bodies_are_told_by_their_beginning() {
        let answer = Answer { status: 200, content_type: BYTES.into(), body: "x".repeat(99), headers: Vec::new() };
        assert_eq!(check(&download(99), &answer), Ok(()));
        let error = check(&download(100), &answer).unwrap_err();
        assert!(error.contains("xxx\"… (99 bytes) instead of \"xxx"), "{error}");
        assert!(error.ends_with("xxx\"… (100 bytes)"), "{error}");
        let whole = Expected { body: Body::File(100), ..get("/file", BYTES, "") };
        let error = check(&whole, &answer).unwrap_err();
        assert!(error.ends_with("(99 bytes) instead of the large file of 100 bytes"), "{error}");
    }

    #[test]
    fn every_scenario_has_a_gate() {
        let lengths = Lengths::of(true);
        for scenario in Scenario::ALL {
            assert!(!routes(scenario, &lengths).is_empty(), "{}", scenario.name());
        }
    }

    #[test]
    fn a_file_says_what_is_right() {
        let request: Request = toml::from_str(
            r#"
            path = "/"
            expect = { status = 201, headers = [["X-Kind", "a"]], body = "abc", bytes = 3 }"#,
        )
        .unwrap();
        let field = |value: &str| vec![("x-kind".to_owned(), value.to_owned())];
        let right = Answer { status: 201, content_type: String::new(), body: "abc".into(), headers: field("a") };
        let rows = [
            (right.clone(), None),
            (Answer { status: 200, ..right.clone() }, Some("gate: / answered with status 200 instead of 201")),
            (
                Answer { headers: field("b"), ..right.clone() },
                Some("gate: / answered with X-Kind \"b\" instead of \"a\""),
            ),
            (
                Answer { headers: Vec::new(), ..right.clone() },
                Some("gate: / answered with X-Kind \"\" instead of \"a\""),
            ),
            (Answer { body: "abd".into(), ..right }, Some("gate: / answered with body \"abd\" instead of \"abc\"")),
        ];
        for (answer, expected) in rows {
            assert_eq!(is_right(&request, "/", &answer).err().as_deref(), expected);
        }
    }

    #[test]
    fn facts_are_texts() {
        let facts = facts(r#"{"python": "3.11.7", "multithread": true}"#).unwrap();
        assert_eq!(facts["python"], "3.11.7");
        assert_eq!(facts["multithread"], "true");
        assert!(super::facts("[]").is_err());
    }
}
