//! What all threads of a run share: how a client is made, and the request that it sends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Client, Proxy, Request, Url, redirect, retry};
use rustls::ClientConfig;
use rustls::client::Resumption;

use crate::connection::Endpoint;
use crate::engine::{Transport, Version};
use crate::error::{PlanError, RunError};
use crate::plan::{Plan, Reuse};
use crate::target::Address;

use super::lane::Lane;
use super::tls;
use super::wire::{Log, Watch, Wire};

/// Header fields of one request; those of a usual request fit without another allocation.
const FIELDS: usize = 64;

/// How requests leave this machine.
#[derive(Debug)]
pub(crate) struct Outlet {
    transport: Transport,
    tls: ClientConfig,
    proxy: Option<Proxy>,
    endpoint: Endpoint,
    /// The host whose address the endpoint is.
    host: String,
    connect_timeout: Duration,
    keep_alive: bool,
    request: Request,
    content: u64,
}

impl Outlet {
    /// # Errors
    /// What the plan's check cannot see: files of certificates, a URL that reqwest does not take.
    pub(crate) fn new(plan: &Plan, transport: &Transport, endpoint: &Endpoint) -> Result<Self, RunError> {
        let wrong = |field, reason: String| PlanError { field, reason };
        let mut proxy = None;
        let mut peer = plan.target.address().clone();
        if let Some(url) = &transport.proxy {
            peer = proxy_address(url)?;
            proxy = Some(Proxy::all(url).map_err(|e| wrong("proxy", e.without_url().to_string()))?);
        }
        let request = request(plan, transport)?;
        Ok(Self {
            transport: transport.clone(),
            tls: tls::config(&transport.trust, transport.http)?,
            proxy,
            endpoint: endpoint.clone(),
            host: match peer {
                Address::Tcp { host, .. } => host,
                Address::Unix(_) => String::new(),
            },
            connect_timeout: plan.connect_timeout,
            keep_alive: plan.reuse == Reuse::KeepAlive,
            content: request.body().and_then(reqwest::Body::as_bytes).map_or(0, |bytes| bytes.len() as u64),
            request,
        })
    }

    /// A lane that has no connection yet. Must be called inside a runtime.
    ///
    /// # Errors
    /// reqwest's, of a configuration that it does not take.
    pub(super) fn lane(&self, log: &Arc<Mutex<Log>>) -> reqwest::Result<Lane> {
        let wire = Arc::new(Wire::new(Arc::clone(log)));
        let mut tls = self.tls.clone();
        tls.resumption = Resumption::store(Arc::clone(&wire) as _);
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .connector_layer(Watch(Arc::clone(&wire)))
            .connect_timeout(self.connect_timeout)
            .redirect(match self.transport.max_redirects {
                0 => redirect::Policy::none(),
                most => redirect::Policy::limited(most),
            })
            .referer(false)
            // A request that is sent again would be two requests, one of them uncounted.
            .retry(retry::never())
            .pool_idle_timeout(None)
            .pool_max_idle_per_host(usize::from(self.keep_alive));
        builder = match self.transport.http {
            Version::Http1 => builder.http1_only(),
            Version::Http2 => builder.http2_prior_knowledge(),
        };
        // The environment's proxies are those of a person's downloads, and not of a plan.
        builder = match &self.proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder.no_proxy(),
        };
        builder = match &self.endpoint {
            Endpoint::Tcp(address) => builder.resolve(&self.host, *address),
            Endpoint::Unix(path) => builder.unix_socket(path.as_path()),
        };
        Ok(Lane { client: builder.build()?, wire })
    }

    /// The next request to send.
    pub(super) fn request(&self) -> Request {
        self.request.try_clone().expect("its body is in memory")
    }

    /// Bytes of content in a request.
    pub(super) fn content(&self) -> u64 {
        self.content
    }

    pub(super) fn streams(&self) -> usize {
        self.transport.streams
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }
}

/// Where a proxy listens.
///
/// # Errors
/// A URL without a host, or that is none.
pub(crate) fn proxy_address(url: &str) -> Result<Address, PlanError> {
    let wrong = |reason: String| PlanError { field: "proxy", reason };
    let parsed = Url::parse(url).map_err(|e| wrong(format!("{e}; write http://HOST:PORT or socks5://HOST:PORT")))?;
    let host = parsed.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| wrong("names no host; write http://HOST:PORT or socks5://HOST:PORT".to_owned()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    // 1080 is the port of SOCKS (RFC 1928 §3).
    Ok(Address::Tcp { host, port: parsed.port_or_known_default().unwrap_or(1080) })
}

/// The plan's request, read back from the bytes that the fast engine would send: one place decides what a request is.
fn request(plan: &Plan, transport: &Transport) -> Result<Request, PlanError> {
    let wrong = |field, reason: String| PlanError { field, reason };
    let bytes = plan.request_bytes();
    let mut fields = vec![httparse::EMPTY_HEADER; FIELDS.max(plan.headers.len() + 8)];
    let mut parsed = httparse::Request::new(&mut fields);
    let head = match parsed.parse(&bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        other => return Err(wrong("header", format!("the request cannot be read back: {other:?}"))),
    };
    let scheme = if plan.target.is_tls() { "https" } else { "http" };
    let url = format!("{scheme}://{}{}", plan.target.host(), parsed.path.unwrap_or("/"));
    let url = Url::parse(&url).map_err(|e| wrong("target", format!("{url:?}: {e}")))?;
    let method = Method::from_bytes(parsed.method.unwrap_or("GET").as_bytes())
        .map_err(|_| wrong("method", "must be a method name such as GET or POST".to_owned()))?;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(wrong("header", format!("the value of {} has a byte that no field may have", field.name)));
        };
        // What the URL says already must follow it when it is redirected, and HTTP/2 knows no connection fields
        // (RFC 9113 §8.2.2).
        let implied = name == HOST && value == plan.target.host();
        let foreign = name == CONNECTION && transport.http == Version::Http2;
        if !implied && !foreign {
            headers.append(name, value);
        }
    }
    let mut request = Request::new(method, url);
    *request.headers_mut() = headers;
    if bytes.len() > head {
        *request.body_mut() = Some(Bytes::from(bytes).slice(head..).into());
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Load;

    fn plan(url: &str) -> Plan {
        Plan::new(url.parse().unwrap(), Load::closed_for(Duration::from_secs(1)))
    }

    fn fields(request: &Request) -> Vec<(&str, &str)> {
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_request_is_what_the_fast_engine_would_send() {
        let plan = Plan {
            method: "POST".into(),
            body: b"abc".to_vec(),
            headers: vec![("User-Agent".into(), "u".into()), ("X".into(), "1".into()), ("X".into(), "2".into())],
            reuse: Reuse::NewConnectionPerRequest,
            ..plan("https://a:81/x?y=z%20")
        };
        let made = request(&plan, &Transport::default()).unwrap();
        assert_eq!((made.method().as_str(), made.url().as_str()), ("POST", "https://a:81/x?y=z%20"));
        assert_eq!(
            fields(&made),
            [("user-agent", "u"), ("x", "1"), ("x", "2"), ("connection", "close"), ("content-length", "3")]
        );
        assert_eq!(made.body().unwrap().as_bytes(), Some(b"abc".as_slice()));
        let second = request(&plan, &Transport { http: Version::Http2, ..Transport::default() }).unwrap();
        assert!(!second.headers().contains_key("connection"), "{second:?}");
    }

    #[test]
    fn a_host_of_its_own_is_kept() {
        let plan =
            Plan { headers: vec![("Host".into(), "b".into()), ("User-Agent".into(), "u".into())], ..plan("http://a/") };
        assert_eq!(fields(&request(&plan, &Transport::default()).unwrap()), [("host", "b"), ("user-agent", "u")]);
    }

    #[test]
    fn a_proxy_has_an_address() {
        let address = |host: &str, port| Some(Address::Tcp { host: host.to_owned(), port });
        let rows = [
            ("http://a", address("a", 80)),
            ("http://u:p@a:3128/", address("a", 3128)),
            ("https://[::1]", address("::1", 443)),
            ("socks5://a", address("a", 1080)),
            ("http://", None),
            ("http://a:99999", None),
        ];
        for (url, expected) in rows {
            assert_eq!(proxy_address(url).ok(), expected, "{url}");
        }
    }
}
