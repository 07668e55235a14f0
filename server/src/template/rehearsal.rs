//! Requests that the application answers before the workers are forked (`--rehearse`).
//!
//! Many applications set themselves up in their first requests: routes are compiled, templates parsed, modules imported
//! late, and Python specialises the code that runs often. Done once in the template, all of it is shared by the workers,
//! whose first requests are then as fast as any, and whose memory stays the template's. Without `--preload` each worker
//! rehearses for itself before it serves.
//!
//! Owns the request and an audience that listens to nothing but the status. `template` calls it.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http1::{Limits, Parse, RequestHead};

use crate::config::Rehearsal;
use crate::exchange::{
    Application, Body, CallCost, Endpoint, Endpoints, Failed, Forwarding, Payload, Request, ResponseSink, SinkError,
};
use crate::sys::clock;

/// How often each path is asked for: Python specialises what ran some sixteen times.
const TIMES: u32 = 32;

/// When a path has taken so long, it was asked for often enough.
const ENOUGH: Duration = Duration::from_secs(1);

/// Has `application` answer each of `paths`. Returns what went wrong, as warnings; exceptions have been logged already.
pub(super) fn rehearse(application: &dyn Application, paths: &[Rehearsal]) -> Vec<String> {
    let mut complaints = Vec::new();
    application.enter_thread(&mut || {
        complaints.extend(paths.iter().filter_map(|path| repeat(application, path.as_str()).err()));
    });
    complaints
}

/// Asks for one path until it runs smoothly.
fn repeat(application: &dyn Application, path: &str) -> Result<(), String> {
    let began = Instant::now();
    for _ in 0..TIMES {
        let mut request = request(path)?;
        let mut audience = Audience::default();
        let mut cost = CallCost { began_ns: clock::monotonic_ns(), first_wait: false, lock_wait_ns: 0 };
        let outcome = application.handle(&mut request, &mut audience, &mut cost);
        match (outcome, audience.status.first()) {
            (Ok(()), Some(b'2' | b'3')) => {}
            (Ok(()), _) => {
                let status = String::from_utf8_lossy(&audience.status);
                return Err(format!("--rehearse {path}: the application answered {status}; name a path that it has"));
            }
            (Err(Failed), _) => return Err(format!("--rehearse {path}: the application raised the exception above")),
        }
        if began.elapsed() > ENOUGH {
            break;
        }
    }
    Ok(())
}

fn request(path: &str) -> Result<Request, String> {
    let bytes =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: smarthttpd-rehearsal\r\n\r\n").into_bytes();
    let mut head = RequestHead::default();
    match head.parse(&bytes, 0, &Limits::default()) {
        Ok(Parse::Complete { .. }) => {}
        Ok(Parse::Incomplete) => return Err(format!("--rehearse {path}: that is no path")),
        Err(refusal) => return Err(format!("--rehearse {path}: {refusal}")),
    }
    let nobody = Endpoint::Unix(String::new());
    let endpoints = Arc::new(Endpoints::new(nobody.clone(), nobody, "http"));
    Ok(Request { bytes, head, body: Body::Empty, endpoints, forwarding: Forwarding::Nothing })
}

/// Takes every response and keeps its status.
#[derive(Debug, Default)]
struct Audience {
    status: Vec<u8>,
    committed: bool,
}

impl ResponseSink for Audience {
    fn begin(&mut self, status: &[u8]) -> Result<(), SinkError> {
        self.status.clear();
        self.status.extend_from_slice(status);
        Ok(())
    }

    fn header(&mut self, _name: &[u8], _value: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    fn whole(&mut self, _body: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    fn parts(&mut self, _parts: Vec<Box<dyn Payload>>, _total: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn piece(&mut self, _body: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.committed = true;
        Ok(())
    }

    fn completes(&self, _len: u64) -> bool {
        false
    }

    fn dispatch(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn file(&mut self, _file: File, _offset: u64, _len: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn is_full(&self) -> bool {
        false
    }

    fn committed(&self) -> bool {
        self.committed
    }
}
