//! The response for a file, or for what can't be done with one.
//!
//! Owns status and headers. A file's bytes pass through no memory of ours: the sink sends them.

use std::borrow::Cow;
use std::fs::File;
use std::io;

use nix::errno::Errno;

use super::conditions::{self, Verdict};
use super::encoding::Coding;
use super::folder::Opened;
use super::range::{self, Selection};
use super::validators::Validators;
use super::wishes::{Single, Wishes};
use crate::exchange::{Failed, ResponseSink, SinkError};

/// A file to answer with, and what is said of it.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) opened: Opened,
    pub(super) validators: Validators,
    pub(super) media_type: Cow<'static, str>,
    /// What the file is compressed with.
    pub(super) coding: Option<Coding>,
    /// Whether another client might get another file.
    pub(super) varies: bool,
    /// Seconds.
    pub(super) max_age: Option<u64>,
}

/// One response.
#[derive(Debug)]
pub(super) struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    None,
    Text(&'static str),
    Part { file: File, offset: u64, len: u64 },
}

impl Answer {
    /// The answer to a GET, or to a HEAD, which gets the head of a GET without a Range (RFC 9110 §14.2).
    pub(super) fn to(content: Content, wishes: &Wishes<'_>, is_head: bool) -> Answer {
        match conditions::judge(wishes, &content.validators) {
            Verdict::Failed => {
                Answer::text("412 Precondition Failed", "The file is not the version that was asked for.\n")
            }
            Verdict::NotModified => Answer::not_modified(&content),
            Verdict::Proceed => {
                let len = content.opened.version.len;
                let selection = match wishes.range {
                    Single::Once(value) if !is_head && conditions::range_stands(wishes, &content.validators) => {
                        range::select(value, len)
                    }
                    _ => Selection::Whole,
                };
                match selection {
                    Selection::Whole => Answer::file(content, "200 OK", 0, len),
                    Selection::Part { offset, len: part } => Answer::file(content, "206 Partial Content", offset, part)
                        .with("Content-Range", format!("bytes {offset}-{}/{len}", offset + part - 1)),
                    Selection::Unsatisfiable => {
                        Answer::text("416 Range Not Satisfiable", "The file ends before the range begins.\n")
                            .with("Content-Range", format!("bytes */{len}"))
                    }
                }
            }
        }
    }

    fn file(content: Content, status: &'static str, offset: u64, len: u64) -> Answer {
        let mut answer = Answer { status, headers: Vec::with_capacity(10), body: Body::None };
        answer.add("Content-Type", content.media_type.clone());
        // A browser that guesses could take an uploaded picture for a page.
        answer.add("X-Content-Type-Options", "nosniff");
        if let Some(coding) = content.coding {
            answer.add("Content-Encoding", coding.name());
        }
        answer.add("Accept-Ranges", "bytes");
        if let Some(date) = content.validators.last_modified() {
            answer.add("Last-Modified", date);
        }
        answer.add_what_caches_need(&content);
        answer.body = Body::Part { file: content.opened.file, offset, len };
        answer
    }

    /// Has what a 200 would have that caches need, and nothing else (RFC 9110 §15.4.5).
    fn not_modified(content: &Content) -> Answer {
        let mut answer = Answer { status: "304 Not Modified", headers: Vec::new(), body: Body::None };
        answer.add_what_caches_need(content);
        answer
    }

    fn add_what_caches_need(&mut self, content: &Content) {
        self.add("ETag", content.validators.etag());
        if let Some(seconds) = content.max_age {
            self.add("Cache-Control", format!("max-age={seconds}"));
        }
        if content.varies {
            self.add("Vary", "Accept-Encoding");
        }
    }

    /// Files are read only.
    pub(super) fn method_not_allowed() -> Answer {
        Answer::text("405 Method Not Allowed", "This is a file: GET and HEAD read it.\n").with("Allow", "GET, HEAD")
    }

    /// Sends the client to the same `path` and `query` (both as they were sent) with a slash between, so that relative
    /// links in the page lead where they should. The target is relative itself, so it holds behind a proxy that knows the
    /// path by another name; and its `./` keeps a name with a colon from being taken for a scheme.
    pub(super) fn add_slash(path: &str, query: &str) -> Answer {
        let name = path.rsplit('/').next().unwrap_or_default();
        let mark = if query.is_empty() { "" } else { "?" };
        let location = ascii(&format!("./{name}/{mark}{query}"));
        Answer::text("301 Moved Permanently", "The name of a directory ends with a slash.\n").with("Location", location)
    }

    /// The file is there, but could not be opened.
    pub(super) fn unavailable(error: &io::Error) -> Answer {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EACCES | Errno::EPERM) => Answer::text("403 Forbidden", "The file can't be read.\n"),
            // Whatever runs out comes back.
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => {
                Answer::text("503 Service Unavailable", "The file can't be opened just now.\n").with("Retry-After", "1")
            }
            _ => Answer::text("500 Internal Server Error", "The file can't be opened.\n"),
        }
    }

    fn text(status: &'static str, text: &'static str) -> Answer {
        let mut answer = Answer { status, headers: Vec::with_capacity(2), body: Body::Text(text) };
        answer.add("Content-Type", "text/plain; charset=utf-8");
        answer
    }

    fn add(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        self.headers.push((name, value.into()));
    }

    fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Answer {
        self.add(name, value);
        self
    }

    /// Puts the response where it belongs. The framing, and what HEAD leaves out, are the sink's business.
    pub(super) fn send(self, sink: &mut dyn ResponseSink) -> Result<(), Failed> {
        self.fill(sink).map_err(|error| {
            match error {
                SinkError::Client(_) => tracing::debug!("{error}"),
                SinkError::Application(_) => tracing::error!("a static file's response is wrong: {error}"),
            }
            Failed
        })
    }

    fn fill(self, sink: &mut dyn ResponseSink) -> Result<(), SinkError> {
        sink.begin(self.status.as_bytes())?;
        for (name, value) in &self.headers {
            sink.header(name.as_bytes(), value.as_bytes())?;
        }
        match self.body {
            Body::None => Ok(()),
            Body::Text(text) => sink.whole(text.as_bytes()),
            Body::Part { file, offset, len } => sink.file(file, offset, len),
        }
    }
}

/// Percent-encodes what no URI may have as it is: all but the visible characters of ASCII.
fn ascii(reference: &str) -> String {
    let mut encoded = String::with_capacity(reference.len());
    for byte in reference.bytes() {
        match byte {
            b'!'..=b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
