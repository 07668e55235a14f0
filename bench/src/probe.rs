//! Single requests to a server that is not being timed: does it answer, and does it answer rightly?

use std::time::Duration;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
    /// Every header field, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

/// A client that opens a connection per request: an idle one would occupy a process of a prefork server.
pub(crate) struct Probe {
    client: reqwest::blocking::Client,
}

impl Probe {
    /// # Errors
    /// When the client cannot be set up.
    pub(crate) fn new() -> Result<Self, String> {
        // What TLS asks for once per process; whoever comes second finds the same one installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::builder()
            .timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client })
    }

    /// GETs `url`.
    ///
    /// # Errors
    /// The transport's reason; every status is an answer.
    pub(crate) fn get(&self, url: &str) -> Result<Answer, String> {
        answer(self.client.get(url))
    }

    /// POSTs `body` to `url`.
    ///
    /// # Errors
    /// The transport's reason; every status is an answer.
    pub(crate) fn post(&self, url: &str, body: Vec<u8>) -> Result<Answer, String> {
        answer(self.client.post(url).body(body))
    }

    /// Sends any request.
    ///
    /// # Errors
    /// A method or field that is none, or the transport's reason; every status is an answer.
    pub(crate) fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let method: reqwest::Method = method.parse().map_err(|_| format!("{method:?} is no method"))?;
        let fields = |request: reqwest::blocking::RequestBuilder, (name, value): &(String, String)| {
            request.header(name.as_str(), value.as_str())
        };
        let request = headers.iter().fold(self.client.request(method, url), fields);
        answer(if body.is_empty() { request } else { request.body(body) })
    }
}

fn answer(request: reqwest::blocking::RequestBuilder) -> Result<Answer, String> {
    let response = request.header("Connection", "close").send().map_err(|error| innermost(&error))?;
    let content_type =
        response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Ok(Answer {
        status: response.status().as_u16(),
        headers,
        content_type,
        body: response.text().map_err(|error| innermost(&error))?,
    })
}

/// The first cause: "Connection refused" says more than "error sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
