//! A client that shares no code with the server or with the other clients of the tests.

use reqwest::blocking::Client;

/// A new one. The load generator has reqwest built with TLS, and its features are the same for all of a build; TLS in
/// turn wants to be told whose cryptography to use, once per process.
pub(crate) fn client() -> Client {
    // Whoever comes second finds the same one installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().expect("a client")
}
