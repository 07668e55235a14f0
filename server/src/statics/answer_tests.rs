use std::time::{Duration, SystemTime};

use super::*;
use crate::statics::validators::Version;

/// What is said of a file of ten bytes with everything switched on.
fn content() -> Content {
    let version = Version { inode: 1, len: 10, modified: (1_000_000_000, 0), changed: (15, 1) };
    Content {
        opened: Opened { file: tempfile::tempfile().unwrap(), version },
        validators: version.validators(SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)),
        media_type: "text/css; charset=utf-8".into(),
        coding: Some(Coding::Brotli),
        varies: true,
        max_age: Some(60),
    }
}

/// The answer as lines, the body last.
fn shown(answer: &Answer) -> Vec<String> {
    let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let body = match &answer.body {
        Body::None => "nothing".to_owned(),
        Body::Text(text) => (*text).to_owned(),
        Body::Part { offset, len, .. } => format!("{len} bytes from {offset}"),
    };
    std::iter::once(answer.status.to_owned()).chain(headers).chain([body]).collect()
}

const ETAG: &str = "ETag: \"1-a-3b9aca00.0-f.1\"";
const FILE: [&str; 8] = [
    "Content-Type: text/css; charset=utf-8",
    "X-Content-Type-Options: nosniff",
    "Content-Encoding: br",
    "Accept-Ranges: bytes",
    "Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT",
    ETAG,
    "Cache-Control: max-age=60",
    "Vary: Accept-Encoding",
];

#[test]
fn a_file_is_sent_with_all_that_is_known_of_it() {
    let whole = shown(&Answer::to(content(), &Wishes::default(), false));
    assert_eq!(whole, [&["200 OK"], &FILE[..], &["10 bytes from 0"]].concat());
    let wishes = Wishes { range: Single::Once(b"bytes=2-4"), ..Wishes::default() };
    let part = shown(&Answer::to(content(), &wishes, false));
    let range = "Content-Range: bytes 2-4/10";
    assert_eq!(part, [&["206 Partial Content"], &FILE[..], &[range, "3 bytes from 2"]].concat());
    // Range means nothing with HEAD.
    assert_eq!(shown(&Answer::to(content(), &wishes, true)), whole);
}

#[test]
fn nothing_is_said_that_is_not_known() {
    let version = Version { inode: 1, len: 0, modified: (-1, 0), changed: (-1, 0) };
    let bare = Content {
        validators: version.validators(SystemTime::UNIX_EPOCH),
        opened: Opened { file: tempfile::tempfile().unwrap(), version },
        coding: None,
        varies: false,
        max_age: None,
        ..content()
    };
    let etag = "ETag: \"1-0-ffffffffffffffff.0-ffffffffffffffff.0\"";
    let expected = [&["200 OK"], &FILE[..2], &[FILE[3], etag, "0 bytes from 0"]].concat();
    assert_eq!(shown(&Answer::to(bare, &Wishes::default(), false)), expected);
}

#[test]
fn what_is_no_file_has_its_own_headers() {
    let not_modified = Wishes { if_none_match: vec![b"*"], ..Wishes::default() };
    let failed = Wishes { if_match: vec![b"\"other\""], ..Wishes::default() };
    let behind = Wishes { range: Single::Once(b"bytes=10-"), ..Wishes::default() };
    let text = "Content-Type: text/plain; charset=utf-8";
    let table: [(Answer, &[&str]); 8] = [
        (
            Answer::to(content(), &not_modified, false),
            &["304 Not Modified", ETAG, "Cache-Control: max-age=60", "Vary: Accept-Encoding", "nothing"],
        ),
        (
            Answer::to(content(), &failed, false),
            &["412 Precondition Failed", text, "The file is not the version that was asked for.\n"],
        ),
        (
            Answer::to(content(), &behind, false),
            &[
                "416 Range Not Satisfiable",
                text,
                "Content-Range: bytes */10",
                "The file ends before the range begins.\n",
            ],
        ),
        (
            Answer::method_not_allowed(),
            &["405 Method Not Allowed", text, "Allow: GET, HEAD", "This is a file: GET and HEAD read it.\n"],
        ),
        (
            Answer::add_slash("/a/b", "q=1&r"),
            &["301 Moved Permanently", text, "Location: ./b/?q=1&r", "The name of a directory ends with a slash.\n"],
        ),
        (Answer::unavailable(&Errno::EACCES.into()), &["403 Forbidden", text, "The file can't be read.\n"]),
        (
            Answer::unavailable(&Errno::EMFILE.into()),
            &["503 Service Unavailable", text, "Retry-After: 1", "The file can't be opened just now.\n"],
        ),
        (Answer::unavailable(&Errno::EIO.into()), &["500 Internal Server Error", text, "The file can't be opened.\n"]),
    ];
    for (answer, expected) in table {
        assert_eq!(shown(&answer), expected);
    }
}

#[test]
fn a_redirect_leads_nowhere_else() {
    let table = [
        ("/docs", "", "./docs/"),
        // No scheme, no header of its own, nothing but ASCII.
        ("/javascript:alert(1)", "", "./javascript:alert(1)/"),
        ("/ü", "ö=\u{1}", "./%C3%BC/?%C3%B6=%01"),
        ("/a%20b", "", "./a%20b/"),
    ];
    for (path, query, location) in table {
        let answer = Answer::add_slash(path, query);
        assert!(answer.headers.contains(&("Location", location.into())), "{path}: {answer:?}");
    }
}
