//! What the environ says of the client when proxies stand in front.
//!
//! Owns the variables that an [`Origin`] changes, and which headers somebody who is not believed must not bring along.
//! Judges nobody: the request comes with its verdict. `environ` calls it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::environ::{decimal, latin1};
use crate::exchange::{Client, Origin};

/// Headers that speak of other clients or other addresses: only a proxy has reason to send them. Applications believe
/// some that the server itself does not look at, such as `X-Real-IP`.
pub(super) fn is_claim(name: &[u8]) -> bool {
    const FAMILY: &[u8] = b"x-forwarded-";
    name.get(..FAMILY.len()).is_some_and(|start| start.eq_ignore_ascii_case(FAMILY))
        || name.eq_ignore_ascii_case(b"forwarded")
        || name.eq_ignore_ascii_case(b"x-real-ip")
}

/// Puts what `origin` says over what the connection and the request's own headers say.
pub(super) fn overlay(environ: &Bound<'_, PyDict>, origin: &Origin) -> PyResult<()> {
    let py = environ.py();
    let set = |key: &Bound<'_, PyString>, value: &str| environ.set_item(key, latin1(py, value.as_bytes())?);
    let port_of_client = match origin.client {
        Client::Peer => None,
        Client::Address(ip, port) => {
            set(intern!(py, "REMOTE_ADDR"), &ip.to_string())?;
            Some(port)
        }
        Client::Hidden => {
            set(intern!(py, "REMOTE_ADDR"), "")?;
            Some(None)
        }
    };
    // The connection's port belongs to the proxy.
    match port_of_client {
        None => {}
        Some(None) => set(intern!(py, "REMOTE_PORT"), "")?,
        Some(Some(port)) => environ.set_item(intern!(py, "REMOTE_PORT"), decimal(py, u64::from(port))?)?,
    }
    if let Some(scheme) = origin.scheme {
        set(intern!(py, "wsgi.url_scheme"), scheme)?;
    }
    if let Some(host) = &origin.host {
        set(intern!(py, "HTTP_HOST"), host)?;
    }
    if let Some(name) = &origin.server_name {
        set(intern!(py, "SERVER_NAME"), name)?;
    }
    if let Some(port) = origin.server_port {
        environ.set_item(intern!(py, "SERVER_PORT"), decimal(py, u64::from(port))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_known_by_their_names() {
        for (name, expected) in [
            ("X-Forwarded-For", true),
            ("x-forwarded-prefix", true),
            // Whatever an application may believe.
            ("X-Forwarded-User", true),
            ("Forwarded", true),
            ("X-Real-IP", true),
            ("X-Forwarded", false),
            ("Forwarded-For", false),
            ("Host", false),
            ("X-Request-Id", false),
        ] {
            assert_eq!(is_claim(name.as_bytes()), expected, "{name}");
        }
    }
}
