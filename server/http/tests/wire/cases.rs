//! Runs the fixtures: `cases/{valid,invalid}/NAME.http` is what a client sends, `NAME.toml` beside it what must come of it.
//!
//! Each runs whole and in pieces, and must come out the same.

use std::fs;
use std::path::{Path, PathBuf};

use http1::{Framing, Limits, Parse, RequestHead, Version};
use serde::Deserialize;

use crate::reader::{End, Message, read};
use crate::reference::head;

/// Lengths of the reads that each fixture is tried with.
const SPLITS: [&[usize]; 4] = [&[usize::MAX], &[1], &[2, 3, 7], &[17]];

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct GivenLimits {
    request_line: Option<usize>,
    header_count: Option<usize>,
    header_bytes: Option<usize>,
    body: Option<u64>,
}

impl GivenLimits {
    fn or_default(&self) -> Limits {
        let default = Limits::default();
        Limits {
            request_line: self.request_line.unwrap_or(default.request_line),
            header_count: self.header_count.unwrap_or(default.header_count),
            header_bytes: self.header_bytes.unwrap_or(default.header_bytes),
            body: self.body.unwrap_or(default.body),
        }
    }
}

/// `rfc9112 §6.3`, or the name of a requirement in `rules.toml`.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Rule(String);

impl Rule {
    /// The requirement's name; `None` for a clause, which must look like one.
    pub(crate) fn requirement(&self) -> Option<&str> {
        let Some((document, section)) = self.0.split_once(' ') else { return Some(&self.0) };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let section = section.strip_prefix('§').is_some_and(|section| section.split('.').all(is_number));
        assert!(document.strip_prefix("rfc").is_some_and(is_number) && section, "{:?} is no clause", self.0);
        None
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Valid {
    /// The clauses and requirements that it shows; see [`Rule`].
    rules: Vec<Rule>,
    #[serde(default)]
    limits: GivenLimits,
    message: Vec<ExpectedMessage>,
}

/// What is not said is not checked, except for what has an obvious default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedMessage {
    method: String,
    target: String,
    /// The target, if not said.
    path: Option<String>,
    #[serde(default)]
    query: String,
    authority: Option<String>,
    #[serde(default = "ExpectedMessage::version")]
    version: String,
    headers: Option<Vec<(String, String)>>,
    #[serde(default = "ExpectedMessage::framing")]
    framing: String,
    #[serde(default = "ExpectedMessage::keep_alive")]
    keep_alive: bool,
    #[serde(default)]
    expects_continue: bool,
    #[serde(default)]
    body: String,
}

impl ExpectedMessage {
    fn version() -> String {
        "1.1".to_owned()
    }

    fn framing() -> String {
        "none".to_owned()
    }

    fn keep_alive() -> bool {
        true
    }

    fn check(&self, message: &Message) {
        assert_eq!(self.method, message.method, "method");
        assert_eq!(self.target, message.target, "target");
        assert_eq!(self.path.as_ref().unwrap_or(&self.target), &message.path, "path");
        assert_eq!(self.query, message.query, "query");
        assert_eq!(self.authority, message.authority, "authority");
        let version = match message.version {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
        };
        assert_eq!(self.version, version, "version");
        if let Some(expected) = &self.headers {
            let sent: Vec<_> = message
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
                .collect();
            assert_eq!(expected, &sent, "headers");
        }
        let framing = match message.framing {
            Framing::None => "none",
            Framing::Length(_) => "length",
            Framing::Chunked => "chunked",
        };
        assert_eq!(self.framing, framing, "framing");
        assert_eq!(self.keep_alive, message.keep_alive, "keep_alive");
        assert_eq!(self.expects_continue, message.expects_continue, "expects_continue");
        assert_eq!(self.method == "HEAD", message.is_head, "is_head");
        assert_eq!(self.body, String::from_utf8_lossy(&message.body), "body");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    /// The clauses and requirements that it shows; see [`Rule`].
    rules: Vec<Rule>,
    #[serde(default)]
    limits: GivenLimits,
    /// The variant of `Refusal`.
    refusal: String,
    status: String,
    /// Complete messages before the offence.
    #[serde(default)]
    messages_before: usize,
}

#[test]
fn valid_requests_are_read_as_expected() {
    for path in fixtures("valid") {
        let expected: Valid = expectation(&path);
        assert!(!expected.rules.is_empty(), "{} shows no rule", path.display());
        let bytes = fs::read(&path).unwrap();
        for pieces in SPLITS {
            println!("{} in pieces of {pieces:?}", path.display());
            let (messages, end) = read(&bytes, pieces, &expected.limits.or_default());
            assert_eq!(end, End::Clean);
            assert_eq!(expected.message.len(), messages.len(), "messages");
            for (expected, message) in expected.message.iter().zip(&messages) {
                expected.check(message);
            }
        }
    }
}

#[test]
fn invalid_requests_are_refused_as_expected() {
    for path in fixtures("invalid") {
        let expected: Invalid = expectation(&path);
        assert!(!expected.rules.is_empty(), "{} shows no rule", path.display());
        let bytes = fs::read(&path).unwrap();
        for pieces in SPLITS {
            println!("{} in pieces of {pieces:?}", path.display());
            let (messages, end) = read(&bytes, pieces, &expected.limits.or_default());
            let End::Refused(refusal) = end else {
                panic!("not refused but {end:?}");
            };
            assert_eq!(expected.refusal, format!("{refusal:?}"));
            assert_eq!(expected.status, refusal.status());
            assert_eq!(expected.messages_before, messages.len(), "messages before");
        }
    }
}

/// A valid request that is cut short anywhere is waited for, never refused.
#[test]
fn the_start_of_a_valid_request_is_never_refused() {
    for path in fixtures("valid") {
        let expected: Valid = expectation(&path);
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            let (_, end) = read(&bytes[..length], &[usize::MAX], &expected.limits.or_default());
            assert!(matches!(end, End::Clean | End::Within), "{} cut to {length}: {end:?}", path.display());
        }
    }
}

/// The reader to compare with takes the same heads, and says the same about them.
#[test]
fn the_reference_agrees() {
    for path in fixtures("valid").into_iter().chain(fixtures("invalid")) {
        let limits = limits(&path);
        let bytes = fs::read(&path).unwrap();
        let mut head = RequestHead::default();
        let parsed = match head.parse(&bytes, 0, &limits) {
            Ok(Parse::Complete { head_len }) => Some((head_len, head.framing(), head.keep_alive())),
            Ok(Parse::Incomplete) | Err(_) => None,
        };
        let expected = head::read(&bytes, &limits).map(|head| (head.len, head.framing, head.keep_alive));
        assert_eq!(parsed, expected, "{}", path.display());
    }
}

/// What a fixture says about limits, whichever kind it is.
fn limits(path: &Path) -> Limits {
    #[derive(Deserialize)]
    struct Any {
        #[serde(default)]
        limits: GivenLimits,
    }
    expectation::<Any>(path).limits.or_default()
}

/// The rules of every fixture, by its name, e.g. `valid/hello`.
pub(crate) fn rules_of_fixtures() -> Vec<(String, Vec<Rule>)> {
    #[derive(Deserialize)]
    struct Any {
        rules: Vec<Rule>,
    }
    let named = |folder: &'static str| {
        fixtures(folder).into_iter().map(move |path| {
            let stem = path.file_stem().unwrap_or_default().display();
            (format!("{folder}/{stem}"), expectation::<Any>(&path).rules)
        })
    };
    named("valid").chain(named("invalid")).collect()
}

/// The `.http` files of a folder, in order. There must be some, and each with its expectation.
fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(folder);
    let with_extension = |extension: &str| {
        let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        paths.sort();
        paths
    };
    let (requests, expectations) = (with_extension("http"), with_extension("toml"));
    assert!(!requests.is_empty());
    let stems = |paths: &[PathBuf]| -> Vec<PathBuf> { paths.iter().map(|path| path.with_extension("")).collect() };
    assert_eq!(stems(&requests), stems(&expectations), "each request has an expectation");
    requests
}

fn expectation<T: serde::de::DeserializeOwned>(request: &Path) -> T {
    let path = request.with_extension("toml");
    toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
