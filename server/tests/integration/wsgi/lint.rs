//! What others' linters say of the server: each of them around each test application, over every method and every form of
//! body.

use crate::support::browser::content;
use crate::support::{Client, Launch, Response, Server, python};

const APPS: [&str; 5] = ["plain", "flask", "django", "falcon", "bottle"];
const LINTERS: [&str; 3] = ["wsgiref", "webtest", "werkzeug"];
/// The last is nobody's.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];

/// Bodies over this many bytes go to a file.
const BOUND: usize = 16 << 10;

/// How a request announces and sends its body.
#[derive(Debug, Clone, Copy)]
enum Form {
    None,
    Length(usize),
    /// In chunks of 5,000 bytes.
    Chunked(usize),
    /// Waits for `100 Continue` before it sends so many bytes.
    Expect(usize),
    ExpectChunked(usize),
}

const FORMS: [Form; 9] = [
    Form::None,
    Form::Length(0),
    Form::Length(100),
    Form::Length(BOUND + 1),
    Form::Chunked(0),
    Form::Chunked(100),
    Form::Chunked(BOUND + 1),
    Form::Expect(BOUND + 1),
    Form::ExpectChunked(100),
];

fn serve() -> Server {
    Launch::new("linted:app").venv().fixed(1, 2).args("--body-memory 16k").start()
}

/// What chooses application and linter.
fn choice(app: &str, linter: &str) -> String {
    format!("Host: test\r\nX-App: {app}\r\nX-Lint: {linter}\r\nContent-Type: application/octet-stream\r\n")
}

fn ask(client: &mut Client, head: &str, method: &str, form: Form) -> (Vec<u8>, Response) {
    let (size, chunked) = match form {
        Form::None => (0, false),
        Form::Length(size) | Form::Expect(size) => (size, false),
        Form::Chunked(size) | Form::ExpectChunked(size) => (size, true),
    };
    let mut body = content(size);
    // Some lines, for those who read in lines.
    body.iter_mut().step_by(41).for_each(|byte| *byte = b'\n');
    let framing = match form {
        Form::None => String::new(),
        _ if chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
        _ => format!("Content-Length: {size}\r\n"),
    };
    let mut message = format!("{method} /mirror {head}{framing}").into_bytes();
    if matches!(form, Form::Expect(_) | Form::ExpectChunked(_)) {
        message.extend_from_slice(b"Expect: 100-continue\r\n\r\n");
        client.send(std::mem::take(&mut message));
        assert_eq!(client.try_head().expect("an interim response").status, 100);
    } else {
        message.extend_from_slice(b"\r\n");
    }
    if chunked {
        for chunk in body.chunks(5000) {
            message.extend_from_slice(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        message.extend_from_slice(b"0\r\n\r\n");
    } else {
        message.extend_from_slice(&body);
    }
    client.send(message);
    let answer = client.try_answer_to(method).unwrap_or_else(|broken| panic!("{head}{method} {form:?}: {broken}"));
    (body, answer)
}

/// Linters raise AssertionError or a warning made an error, print what they find in destructors, and complain of `close()`
/// when the response stands already: all of that is in the log.
fn assert_clean(server: &Server) {
    server.await_status("no call is under way", |status| status.in_flight() == 0);
    let log = server.log();
    for trace in ["Traceback", "UNRAISABLE", "Warning", "garbage collected"] {
        assert!(!log.contains(trace), "{trace} in the log:\n{log}");
    }
}

#[test]
fn linters_have_nothing_to_say_of_any_method_and_body() {
    let server = serve();
    let mut client = server.connect();
    for app in APPS {
        for linter in LINTERS {
            let head = format!("HTTP/1.1\r\n{}", choice(app, linter));
            for method in METHODS {
                for form in FORMS {
                    let case = format!("{app} in {linter}: {method} {form:?}");
                    let (body, response) = ask(&mut client, &head, method, form);
                    assert_eq!(response.status(), 200, "{case}: {response:?}\n{}", server.log());
                    assert_eq!(response.header("X-Method"), Some(method), "{case}");
                    assert!(response.body == if method == "HEAD" { Vec::new() } else { body }, "{case}");
                }
            }
        }
    }
    assert_clean(&server);
}

#[test]
fn linters_have_nothing_to_say_of_any_response() {
    let server = serve();
    let file = server.folder().join("file");
    std::fs::write(&file, b"a file").expect("a file can be written");
    let file = format!("/file?path={}", file.display());
    let source = |name: &str| std::fs::read_to_string(python::apps().join(name)).expect("it is there");
    let (flask, django) = (source("flask_site.py"), source("shop/views.py"));
    let (falcon, bottle) = (source("falcon_site.py"), source("bottle_site.py"));
    let table: [(&str, &str, u16, &str); 18] = [
        ("plain", "/", 200, "Hello"),
        ("plain", "/write", 200, "written twice, then returned"),
        ("plain", "/exc-info", 503, "sorry"),
        ("plain", "/cookies", 200, "two"),
        ("plain", &file, 200, "a file"),
        ("plain", "/large?size=100000", 200, ""),
        ("flask", "/", 200, "Hello from Flask"),
        ("flask", "/hello/%E2%9C%93?greeting=%C3%A9", 200, "✓ é"),
        ("flask", "/nowhere", 404, ""),
        ("flask", "/source", 200, &flask),
        ("django", "/", 200, "Hello from Django"),
        ("django", "/items/%E2%9C%93/?colour=%C3%A9", 200, "✓ é"),
        ("django", "/source/", 200, &django),
        ("django", "/cart/", 200, "1"),
        ("falcon", "/hello/%E2%9C%93?greeting=%C3%A9", 200, "✓ é"),
        ("falcon", "/source", 200, &falcon),
        ("bottle", "/hello/%E2%9C%93?greeting=%C3%A9", 200, "✓ é"),
        ("bottle", "/source", 200, &bottle),
    ];
    let mut client = server.connect();
    for linter in LINTERS {
        for (app, target, status, body) in table {
            // Falcon answers HEAD where it is told to, and nowhere here.
            let methods: &[&str] = if app == "falcon" { &["GET"] } else { &["GET", "HEAD"] };
            for method in methods {
                client.send(format!("{method} {target} HTTP/1.1\r\n{}\r\n", choice(app, linter)));
                let response = client.try_answer_to(method).expect("an answer");
                let case = format!("{app} in {linter}: {method} {target}: {response:?}");
                assert_eq!(response.status(), status, "{case}\n{}", server.log());
                if *method == "GET" && !body.is_empty() {
                    assert_eq!(response.text(), body, "{case}");
                }
            }
        }
    }
    assert_clean(&server);
}
