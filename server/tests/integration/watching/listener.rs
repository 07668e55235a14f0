//! The admin listener: who gets what, when, and that nobody can hold it up.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::support::{Client, Gate, Launch, Server, processes, wait};

fn watched() -> Server {
    Launch::new("plain:app").fixed(2, 2).args("--admin 0").start()
}

#[test]
fn the_status_is_what_ctl_says() {
    let server = watched();
    let response = server.watch("/status");
    assert_eq!((response.status(), response.header("Content-Type")), (200, Some("application/json")));
    assert_eq!(response.header("Cache-Control"), Some("no-store"));
    let output = server.ctl(&["status", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (ours, theirs) = (response.json(), &said["ok"]);
    let keys = |value: &serde_json::Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&ours), keys(theirs));
    for same in ["version", "pid", "mpm", "listening", "admin", "totals"] {
        assert_eq!(ours[same], theirs[same], "{same}");
    }
    server.await_log(&format!("admin page at http://{}", server.admin()));
}

#[test]
fn only_what_is_there_is_served_and_only_to_be_read() {
    let server = watched();
    let mut client = Client::connect(server.admin()).expect("reached");
    assert_eq!(client.get("/nothing").status(), 404);
    let refused = client.request("POST", "/status", &[], b"");
    assert_eq!((refused.status(), refused.header("Allow")), (405, Some("GET, HEAD")));
    client.send("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.try_answer_to("HEAD").expect("an answer");
    assert!(head.status() == 200 && head.body.is_empty(), "{head:?}");
    // Two at once are answered one after the other.
    client.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((client.answer().text(), client.answer().text()), ("ok\n", "ok\n"));
    // A name that leads here may be anybody's; health is everybody's.
    for (target, status) in [("/status", 421), ("/metrics", 421), ("/healthz", 200)] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
        assert_eq!(client.answer().status(), status, "{target}");
    }
    client.send("POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n12345");
    assert_eq!(client.answer().status(), 413, "nobody has anything to send here");
    client.expect_close();
    assert_eq!(server.watch("/healthz").text(), "ok\n");
}

#[test]
fn a_token_opens_it_to_others() {
    let launch = Launch::new("plain:app").fixed(1, 1);
    let path = launch.folder().join("token");
    fs::write(&path, "s3cret\n").expect("a file");
    let server = launch.args("--admin 0.0.0.0:0 --admin-token").arg(format!("@{}", path.display())).start();
    let port = server.admin().port();
    let ask = |target: &str, headers: &[(&str, &str)]| {
        let mut client = Client::connect(([127, 0, 0, 1], port).into()).expect("reached");
        client.request("GET", target, headers, b"")
    };
    let refused = ask("/status", &[]);
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.header("WWW-Authenticate"), Some("Bearer realm=\"smarthttpd admin\""));
    assert_eq!(ask("/metrics", &[("Authorization", "Bearer wrong")]).status(), 401);
    assert_eq!(ask("/metrics", &[("Authorization", "Bearer s3cret")]).status(), 200);
    assert_eq!(ask("/status", &[("Authorization", "Bearer s3cret")]).status(), 200);
    // Probes and the page itself have no secrets.
    for open in ["/healthz", "/readyz", "/livez", "/"] {
        assert_eq!(ask(open, &[]).status(), 200, "{open}");
    }
}

/// Answers with every value that is set, as it was at the import, is now, and is for a process that the application starts.
const CONFESSES: &str = "
import os, subprocess, sys

def values():
    return ' '.join(os.environ.values())

AT_IMPORT = values()

def app(environ, start_response):
    start_response('200 OK', [])
    child = subprocess.run(['env'], capture_output=True, text=True).stdout
    return ['\\n'.join([AT_IMPORT, values(), child]).encode()]
";

#[test]
fn the_application_does_not_inherit_the_token() {
    for more in ["", "--no-preload"] {
        let launch = Launch::new("confesses:app").with_module("confesses", CONFESSES).fixed(1, 1);
        let launch = launch.env("SMARTHTTPD_ADMIN_TOKEN", "s3cret").env("SHOP_COLOUR", "blue");
        let server = launch.args("--admin 0").args(more).start();
        let said = server.get("/");
        assert_eq!(said.text().matches("blue").count(), 3, "other variables are the application's: {}", said.text());
        assert!(!said.text().contains("s3cret"), "{}", said.text());
        for pid in server.processes().into_iter().filter(|pid| *pid != server.pid()) {
            let variables = fs::read(format!("/proc/{pid}/environ")).expect("it is ours");
            assert!(!String::from_utf8_lossy(&variables).contains("s3cret"), "{pid}");
        }
        // It counts all the same, also after a reload.
        for _ in 0..2 {
            assert_eq!(server.watch("/status").status(), 401);
            let authorized = server.watch_with("/status", "Authorization: Bearer s3cret\r\n");
            assert_eq!(authorized.status(), 200);
            let output = server.ctl(&["reload"]);
            assert!(output.status.success(), "{output:?}");
        }
        assert!(!server.get("/").text().contains("s3cret"));
    }
}

#[test]
fn what_is_wrong_with_it_is_said_before_anything_starts() {
    let missing = Launch::new("plain:app").args("--admin 0 --admin-token @/nowhere/token").fail();
    let said = missing.complaint(2);
    assert!(said.starts_with("smarthttpd: --admin-token: /nowhere/token: No such file"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let failed = Launch::new("plain:app").arg("--admin").arg(address.to_string()).fail();
    let said = failed.complaint(4);
    assert!(said.starts_with(&format!("smarthttpd: cannot listen on {address}: ")), "{said}");
    assert!(said.ends_with("stop the process that has it, or choose another --admin"), "{said}");
    let open = Launch::new("plain:app").args("--admin :0").fail();
    assert!(open.complaint(2).contains("give an --admin-token as well"), "{open:?}");
}

#[test]
fn a_unix_socket_is_this_users_only() {
    let launch = Launch::new("plain:app").fixed(1, 1);
    let path = launch.folder().join("admin.sock");
    let mut server = launch.arg("--admin").arg(format!("unix:{}", path.display())).start();
    let mode = fs::metadata(&path).expect("the file is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(Client::connect_unix(&path).expect("reached").get("/healthz").text(), "ok\n");
    assert_eq!(server.status().admin, Some(format!("unix:{}", path.display())));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(!path.exists(), "it takes its file along");
}

#[test]
fn it_answers_while_every_worker_is_busy_stuck_or_gone() {
    let server = Launch::new("plain:app").fixed(1, 1).args("--admin 0").start();
    let mut gate = Gate::new(server.folder(), "gate");
    let mut held = server.connect();
    held.send_get(&gate.target());
    server.await_status("the only thread is taken", |status| status.in_flight() == 1);
    assert_eq!(server.watch("/healthz").text(), "ok\n");
    let worker = server.status().pids()[0];
    processes::send(worker, Signal::SIGSTOP);
    let status = server.watch("/status").json();
    assert_eq!(status["workers"][0]["in_flight"], 1);
    processes::send(worker, Signal::SIGCONT);
    gate.open();
    assert_eq!(held.answer().text(), "passed");
}

#[test]
fn health_says_why_not() {
    // An import that waits at the gate keeps the server from serving.
    let launch = Launch::bare();
    let mut gate = Gate::new(launch.folder(), "gate");
    let source = "import os\nos.close(os.open(os.environ['GATE'], os.O_RDONLY))\ndef app(environ, start_response):\n    \
                  start_response('200 OK', [])\n    if environ['PATH_INFO'] == '/wait':\n        \
                  os.close(os.open(environ['QUERY_STRING'], os.O_RDONLY))\n    return [b'served']\n";
    let path = launch.folder().join("gate");
    let launch = launch.with_module("late", source).env("GATE", &path).arg("late:app").fixed(1, 2);
    let mut server = launch.args("--admin 0").spawn();
    let admin = wait::until("the admin listener", || server.try_status()?.admin);
    let admin: std::net::SocketAddr = admin.strip_prefix("http://").expect("TCP").parse().expect("an address");
    let ask = |target: &str| {
        let response = Client::connect(admin).expect("reached").get(target);
        (response.status(), response.text().to_owned())
    };
    assert_eq!(ask("/healthz"), (503, "starting\n".to_owned()));
    assert_eq!(ask("/livez"), (200, "ok\n".to_owned()));
    gate.open();
    assert!(server.try_await_serving());
    assert_eq!(ask("/readyz"), (200, "ok\n".to_owned()));

    let second = Gate::new(server.folder(), "second");
    let mut held = server.connect();
    held.send_get(&format!("/wait?{}", server.folder().join("second").display()));
    server.await_status("the request is inside", |status| status.in_flight() == 1);
    server.signal(Signal::SIGTERM);
    server.await_status("the server drains", |status| status.phase == "draining");
    assert_eq!(ask("/healthz"), (503, "draining\n".to_owned()));
    assert_eq!(ask("/livez"), (200, "ok\n".to_owned()));
    let mut second = second;
    second.open();
    assert_eq!(held.answer().text(), "served");
    assert_eq!(server.await_exit().code(), Some(0));
}

#[test]
fn clients_that_say_nothing_keep_nobody_out() {
    let server = watched();
    let address = server.admin();
    // More than there are places, and more than that again with half a request.
    let silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).expect("a place or a queue")).collect();
    assert_eq!(server.watch("/healthz").text(), "ok\n");
    let mut slow: Vec<Client> = (0..40).map(|_| Client::connect(address).expect("a place or a queue")).collect();
    for client in &mut slow {
        client.send("GET /status HTTP/1.1\r\nHo");
    }
    // Those have their time, and then it is others' turn.
    assert_eq!(server.watch("/healthz").text(), "ok\n");
    drop((silent, slow));
    assert_eq!(server.get("/").text(), "Hello");
}
