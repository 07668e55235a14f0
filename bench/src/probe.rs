//! Single requests to a server that is not being timed: does it answer, and does it answer rightly?

use std::time::Duration;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

/// Longest body read, larger than any that a workload asks for.
const LARGEST_BODY: u64 = 1 << 30;

/// A client that opens a connection per request: an idle one would occupy a process of a prefork server.
pub(crate) struct Probe {
    client: ureq::Agent,
}

impl Probe {
    /// A client that waits 5 s for an answer.
    pub(crate) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .max_idle_connections(0)
            .http_status_as_error(false)
            .build();
        Self { client: config.new_agent() }
    }

    /// GETs `url`.
    ///
    /// # Errors
    /// The transport's reason; every status is an answer.
    pub(crate) fn get(&self, url: &str) -> Result<Answer, String> {
        answer(self.client.get(url).header("Connection", "close").call())
    }

    /// POSTs `body` to `url`.
    ///
    /// # Errors
    /// The transport's reason; every status is an answer.
    pub(crate) fn post(&self, url: &str, body: Vec<u8>) -> Result<Answer, String> {
        answer(self.client.post(url).header("Connection", "close").send(body))
    }
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
    let mut response = response.map_err(|error| innermost(&error))?;
    let content_type =
        response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body =
        response.body_mut().with_config().limit(LARGEST_BODY).read_to_vec().map_err(|error| innermost(&error))?;
    Ok(Answer { status: response.status().as_u16(), content_type, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The first cause: "Connection refused" says more than "error sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
