//! What the sites of all frameworks do alike: steps that their tests have in common.

use super::client::{Client, Response};
use super::gate::Gate;
use super::python;
use super::server::Server;

/// `/stream` waits at a gate before its second piece, and the first is sent meanwhile.
pub(crate) fn streams_as_it_is_made(server: &Server) {
    let mut gate = Gate::new(server.folder(), "gate");
    let mut client = server.connect();
    client.send_get(&gate.target_of("/stream"));
    assert_eq!(client.begin_chunked(), b"first\n", "the second piece waits at the gate");
    gate.open();
    assert_eq!(client.try_chunk(), Ok(Some(b"second\n".to_vec())));
    assert_eq!(client.try_chunk(), Ok(None));
}

/// `/source` sends the site's own module: the response, and what is in the file.
pub(crate) fn sends_its_source(client: &mut Client, module: &str) -> (Response, Vec<u8>) {
    let source = std::fs::read(python::apps().join(module)).expect("it is there");
    let response = client.get("/source");
    assert!(response.body == source, "{module}");
    (response, source)
}

/// A JSON body in one chunk.
pub(crate) fn post_json_chunked(client: &mut Client, target: &str, json: &str) -> Response {
    client.send(format!(
        "POST {target} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{json}\r\n0\r\n\r\n",
        json.len()
    ));
    client.answer()
}
