//! Django as its deployment checklist has it: no debugging, allowed hosts, a database, the admin with its static files.

use crate::support::browser::{Cookies, FORM, MULTIPART, content, multipart};
use crate::support::{Client, Launch, Response, Server, python};

const VARIABLE: &str = "OFFICE_DATA";

fn site() -> Server {
    let launch = Launch::new("office.wsgi:application").venv().fixed(2, 4);
    let folder = launch.folder().to_owned();
    python::run_module("office.prepare", (VARIABLE, &folder));
    launch.env(VARIABLE, folder).start()
}

/// Somebody who uses the site with a browser.
struct Visitor {
    client: Client,
    cookies: Cookies,
}

impl Visitor {
    fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let cookies = self.cookies.header();
        let own = [("X-Forwarded-Proto", "https"), ("Referer", "https://office.test/"), ("Cookie", &*cookies)];
        let mut message =
            format!("{method} {target} HTTP/1.1\r\nHost: office.test\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in own.iter().chain(headers) {
            message += &format!("{name}: {value}\r\n");
        }
        self.client.send([message.as_bytes(), b"\r\n", body].concat());
        let response = self.client.try_answer_to(method).unwrap_or_else(|broken| panic!("{method} {target}: {broken}"));
        self.cookies.take(&response);
        response
    }

    fn get(&mut self, target: &str) -> Response {
        self.send("GET", target, &[], b"")
    }

    /// Submits a form with the token that its page had.
    fn submit(&mut self, target: &str, page: &Response, fields: &str) -> Response {
        let token = page.text().split("name=\"csrfmiddlewaretoken\" value=\"").nth(1);
        let token = token.and_then(|rest| rest.split('"').next()).expect("the form has a token");
        self.send("POST", target, &[FORM], format!("csrfmiddlewaretoken={token}&{fields}").as_bytes())
    }
}

#[test]
fn a_site_set_up_by_the_checklist_works() {
    // Setting it up takes longer than all that is done with it.
    let server = site();
    the_admin_works_from_login_to_change(&server);
    uploads_hosts_and_errors_are_handled(&server);
    orders_leave_tasks_that_use_the_database(&server);
}

fn the_admin_works_from_login_to_change(server: &Server) {
    let mut visitor = Visitor { client: server.connect(), cookies: Cookies::default() };
    let response = visitor.get("/admin/");
    assert_eq!((response.status(), response.header("Location")), (302, Some("/admin/login/?next=/admin/")));
    assert_eq!(visitor.get("/report/").status(), 302);
    let page = visitor.get("/admin/login/?next=/admin/");
    let refused = visitor.submit("/admin/login/?next=/admin/", &page, "username=ada&password=wrong");
    assert_eq!(refused.status(), 200);
    assert!(refused.text().contains("Please enter the correct username and password"));
    let entered = visitor.submit("/admin/login/?next=/admin/", &refused, "username=ada&password=lovelace");
    assert_eq!((entered.status(), entered.header("Location")), (302, Some("/admin/")), "{}", entered.text());
    // Whichever worker comes next finds the session in the database.
    visitor.client = server.connect();
    assert!(visitor.get("/admin/").text().contains("Site administration"));
    let page = visitor.get("/admin/auth/user/add/");
    let added = visitor.submit(
        "/admin/auth/user/add/",
        &page,
        "username=J%C3%BCrgen&usable_password=true&password1=sup3rlong-phrase&password2=sup3rlong-phrase",
    );
    assert_eq!(added.status(), 302, "{}", added.text());
    let list = visitor.get("/admin/auth/user/?q=J%C3%BCrgen&o=1");
    assert!(list.text().contains("Jürgen") && list.text().contains("1 result"), "{}", list.text());
    // The same, but from a site that can't know the token.
    let forged = visitor.send("POST", "/admin/auth/user/add/", &[FORM], b"username=mallory");
    assert_eq!(forged.status(), 403);
    assert_eq!(visitor.get("/report/").text(), "0 2 ada\n1 2 ada\n2 2 ada\n");
    // Every static file that a page of the admin names is there.
    let page = visitor.get("/admin/");
    let links = page.text().split(['"', '\'']).filter(|text| text.starts_with("/static/"));
    let links: Vec<String> = links.map(str::to_owned).collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links {
        let file = visitor.get(&link);
        let stored = server.folder().join(link.trim_start_matches('/'));
        assert!(file.status() == 200 && file.body == std::fs::read(stored).expect("it was collected"), "{link}");
        let modified = file.header("Last-Modified").expect("Django sends one").to_owned();
        assert_eq!(visitor.send("GET", &link, &[("If-Modified-Since", &modified)], b"").status(), 304, "{link}");
    }
    assert!(!server.log().contains("Traceback"), "{}", server.log());
}

fn uploads_hosts_and_errors_are_handled(server: &Server) {
    let mut visitor = Visitor { client: server.connect(), cookies: Cookies::default() };
    for (size, kind) in [(10, "InMemoryUploadedFile"), (2 << 20, "TemporaryUploadedFile")] {
        let file = content(size);
        let name = format!("photo-{size}.bin");
        let answer = visitor.send("POST", "/upload/", &[MULTIPART], &multipart("", &name, &file)).json();
        let digest = python::sha256(server.folder(), &file);
        let expected = serde_json::json!({"name": name, "size": size, "digest": digest, "kind": kind});
        assert_eq!(answer, expected);
        let back = visitor.get(&format!("/download/{name}"));
        assert!(back.body == file, "{name}");
        assert_eq!(back.header("Content-Length"), Some(&*size.to_string()));
        let disposition = format!("attachment; filename=\"{name}\"");
        assert_eq!(back.header("Content-Disposition"), Some(&*disposition));
    }
    // Debugging is off: a page that is not there, a host that is not allowed.
    let missing = visitor.get("/nowhere/");
    assert!(missing.status() == 404 && !missing.text().contains("urlpatterns"), "{missing:?}");
    let foreign = visitor.client.request("GET", "/admin/", &[], b"");
    assert_eq!(foreign.status(), 400);
    assert_eq!(visitor.get("/admin/login/").status(), 200);
}

fn orders_leave_tasks_that_use_the_database(server: &Server) {
    let mut visitor = Visitor { client: server.connect(), cookies: Cookies::default() };
    let note = server.folder().join("confirmations");
    let order = |visitor: &mut Visitor, username: &str| {
        let form = format!("username={username}&note={}", note.display());
        let response = visitor.send("POST", "/orders/", &[FORM], form.as_bytes());
        assert_eq!((response.status(), response.json()), (201, serde_json::json!({"order": "placed"})));
    };
    let done = |count| server.await_status("the tasks", |status| status.tasks.done == count);
    // On one connection, so mostly in one worker and one thread, which keeps no connection to the database.
    for count in 1..=3 {
        order(&mut visitor, "ada");
        done(count);
    }
    let confirmed = std::fs::read_to_string(&note).expect("the tasks have written it");
    assert_eq!(confirmed, "ada@office.test, closed\n".repeat(3));
    order(&mut visitor, "nobody");
    server.await_status("the task without its user", |status| status.tasks.failed == 1);
    server.await_log("background task office.urls.send_confirmation failed");
    assert!(server.log().contains("User matching query does not exist"), "{}", server.log());
}
