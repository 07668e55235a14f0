//! What all threads of a run share: how a client is made, and the requests that it sends.

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
use crate::message::Message;
use crate::plan::{Plan, Reuse};
use crate::script::{Cursor, Script, Turn};
use crate::target::Address;
use crate::template::Numbers;

use super::lane::{Jar, Lane};
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
    cookies: bool,
    form: Form,
    /// The plan's requests; `None` for one that differs from one time to the next.
    fixed: Vec<Option<Request>>,
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
        let form = Form::of(plan, transport)?;
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
            cookies: plan.cookies,
            fixed: form.fixed(plan)?,
            form,
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
        let jar = self.cookies.then(|| Arc::new(Jar::new(self.form.base.host_str())));
        if let Some(jar) = &jar {
            builder = builder.cookie_provider(Arc::clone(jar));
        }
        Ok(Lane { client: builder.build()?, wire, jar })
    }

    /// The request to send for `turn`; `bytes` is room for it.
    pub(super) fn request(&self, script: &Script, turn: Turn, cursor: &mut Cursor, bytes: &mut Vec<u8>) -> Request {
        if let Some(request) = &self.fixed[turn.entry as usize] {
            return request.try_clone().expect("its body is in memory");
        }
        bytes.clear();
        // Its cookies are the client's to add.
        script.fill(turn, cursor, &[], bytes);
        self.form.read(bytes).expect("only numbers are different from the one that was read at the start")
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

/// Bytes of content in a request.
pub(super) fn content(request: &Request) -> u64 {
    request.body().and_then(reqwest::Body::as_bytes).map_or(0, |bytes| bytes.len() as u64)
}

/// How a request is read back from the bytes that the fast engine would send: one place decides what
/// a request is.
#[derive(Debug)]
struct Form {
    /// Scheme, host and port.
    base: Url,
    /// The `Host` field that says no more than the URL.
    host: String,
    http: Version,
    /// Room for so many header fields.
    fields: usize,
}

impl Form {
    fn of(plan: &Plan, transport: &Transport) -> Result<Self, PlanError> {
        let scheme = if plan.target.is_tls() { "https" } else { "http" };
        let base = format!("{scheme}://{}/", plan.target.host());
        let base = Url::parse(&base).map_err(|e| PlanError { field: "target", reason: format!("{base:?}: {e}") })?;
        let of_entries = plan.list.iter().flat_map(|list| &list.entries).map(|entry| entry.headers.len());
        let fields = FIELDS.max(plan.headers.len() + of_entries.max().unwrap_or(0) + 8);
        Ok(Self { base, host: plan.target.host().to_owned(), http: transport.http, fields })
    }

    /// The plan's requests that are the same each time.
    fn fixed(&self, plan: &Plan) -> Result<Vec<Option<Request>>, PlanError> {
        let plan = Plan { cookies: false, ..plan.clone() };
        let mut bytes = Vec::new();
        let read = |message: &Message| {
            // One that differs is read as well, so that what is wrong with it is known before the run.
            bytes.clear();
            message.fill(&mut Numbers::default(), &[], &mut bytes);
            let request = self.read(&bytes)?;
            Ok(message.fixed().is_some().then_some(request))
        };
        plan.messages()?.iter().map(read).collect()
    }

    fn read(&self, bytes: &[u8]) -> Result<Request, PlanError> {
        let wrong = |field, reason: String| PlanError { field, reason };
        let mut fields = vec![httparse::EMPTY_HEADER; self.fields];
        let mut parsed = httparse::Request::new(&mut fields);
        let head = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            other => return Err(wrong("header", format!("the request cannot be read back: {other:?}"))),
        };
        let path = parsed.path.unwrap_or("/");
        // Put together and not joined: a path that begins with two slashes is no host.
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
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
            let implied = name == HOST && value == self.host;
            let foreign = name == CONNECTION && self.http == Version::Http2;
            if !implied && !foreign {
                headers.append(name, value);
            }
        }
        let mut request = Request::new(method, url);
        *request.headers_mut() = headers;
        if bytes.len() > head {
            *request.body_mut() = Some(Bytes::copy_from_slice(&bytes[head..]).into());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Load;

    fn plan(url: &str) -> Plan {
        Plan::new(url.parse().unwrap(), Load::closed_for(Duration::from_secs(1)))
    }

    fn requests(plan: &Plan, transport: &Transport) -> Vec<Option<Request>> {
        Form::of(plan, transport).unwrap().fixed(plan).unwrap()
    }

    /// The only one, which is always the same.
    fn request(plan: &Plan, transport: &Transport) -> Request {
        requests(plan, transport).pop().flatten().unwrap()
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
        let made = request(&plan, &Transport::default());
        assert_eq!((made.method().as_str(), made.url().as_str()), ("POST", "https://a:81/x?y=z%20"));
        assert_eq!(
            fields(&made),
            [("user-agent", "u"), ("x", "1"), ("x", "2"), ("connection", "close"), ("content-length", "3")]
        );
        assert_eq!(made.body().unwrap().as_bytes(), Some(b"abc".as_slice()));
        let second = request(&plan, &Transport { http: Version::Http2, ..Transport::default() });
        assert!(!second.headers().contains_key("connection"), "{second:?}");
    }

    #[test]
    fn a_host_of_its_own_is_kept() {
        let plan =
            Plan { headers: vec![("Host".into(), "b".into()), ("User-Agent".into(), "u".into())], ..plan("http://a/") };
        assert_eq!(fields(&request(&plan, &Transport::default())), [("host", "b"), ("user-agent", "u")]);
    }

    #[test]
    fn what_differs_each_time_is_read_each_time() {
        // Cookies are the client's, and make no difference here.
        let plan = Plan { cookies: true, ..plan("http://a//x") };
        assert_eq!(request(&plan, &Transport::default()).url().as_str(), "http://a//x");
        let plan = Plan { target: "http://a/{seq}".parse().unwrap(), ..plan };
        assert!(matches!(requests(&plan, &Transport::default()).as_slice(), [None]));
        let form = Form::of(&plan, &Transport::default()).unwrap();
        let read = form.read(b"POST /7 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!((read.url().path(), content(&read)), ("/7", 2));
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
