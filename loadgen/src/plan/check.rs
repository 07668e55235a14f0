//! Which plans make no sense: what the types of a plan cannot rule out, with the field to blame.

use std::time::{Duration, SystemTime};

use super::{Load, Plan, Reuse, Stop};
use crate::engine::Engine;
use crate::error::PlanError;
use crate::shard::Part;
use crate::template::Template;

impl Plan {
    /// Checks what the types cannot. [`run`](crate::run()) calls this first.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), PlanError> {
        let wrong = |field, reason: &str| Err(PlanError { field, reason: reason.to_owned() });
        check_request(("method", "header"), &self.method, &self.headers, &self.body)?;
        for entry in self.list.iter().flat_map(|list| &list.entries) {
            check_request(("targets", "targets"), &entry.method, &entry.headers, &entry.body)?;
        }
        if self.list.as_ref().is_some_and(|list| list.entries.is_empty()) {
            return wrong("targets", "must have at least one request");
        }
        self.messages()?;
        self.choice()?;
        // An entry that is for nothing is a misspelt one, and the load would go elsewhere.
        if let Some(entry) = self.resolve.iter().find(|entry| !self.target.is_at(&entry.host, entry.port)) {
            return wrong("resolve", &format!("{}:{} is not where {} is", entry.host, entry.port, self.target));
        }
        if self.connections == 0 {
            return wrong("connections", "must be at least 1");
        }
        if self.threads == 0 {
            return wrong("threads", "must be at least 1");
        }
        if self.timeout.is_zero() {
            return wrong("timeout", "must be more than 0");
        }
        if self.connect_timeout.is_zero() {
            return wrong("connect-timeout", "must be more than 0");
        }
        if self.interval < Duration::from_millis(10) {
            return wrong("interval", "must be at least 10ms");
        }
        if self.cpus.as_ref().is_some_and(Vec::is_empty) {
            return wrong("cpus", "must name at least one CPU");
        }
        self.check_shard()?;
        self.check_limits()?;
        self.check_engine()?;
        self.check_load()
    }

    fn check_shard(&self) -> Result<(), PlanError> {
        if let Some(late) = self.start_at.and_then(|start| SystemTime::now().duration_since(start).ok()) {
            let late = late.as_secs_f64();
            let reason = format!("that time was {late:.1} s ago; choose one that leaves every shard time to begin");
            return Err(PlanError { field: "start-at", reason });
        }
        self.shard.map_or(Ok(()), |shard| shard.check(self.connections))
    }

    fn check_limits(&self) -> Result<(), PlanError> {
        let wrong = |field, reason: &str| Err(PlanError { field, reason: reason.to_owned() });
        let open = matches!(self.load, Load::Open { .. });
        if self.max_outstanding.is_some() && !open {
            return wrong("max-outstanding", "is for the open loop; a closed one has its --connections");
        }
        if self.max_outstanding.is_some_and(|most| most < Part::of(self).all_threads) {
            return wrong("max-outstanding", "must be at least 1 per thread, those of all shards included");
        }
        if self.requests_per_connection == Some(0) {
            return wrong("requests-per-connection", "must be at least 1");
        }
        if self.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return wrong("deadline", "must be more than 0");
        }
        self.check_pipeline()?;
        if !self.think_time.is_zero() && open {
            return wrong("think-time", "is for the closed loop; in an open one the rate decides");
        }
        Ok(())
    }

    /// What pipelining needs, and what leaves nothing to pipeline.
    fn check_pipeline(&self) -> Result<(), PlanError> {
        let wrong = |reason: &str| Err(PlanError { field: "pipeline", reason: reason.to_owned() });
        match self.pipeline {
            0 => wrong("must be at least 1"),
            1 => Ok(()),
            _ if self.reuse == Reuse::NewConnectionPerRequest => wrong("needs --no-keepalive to be left out"),
            _ if !self.think_time.is_zero() => {
                wrong("does not wait for answers, and --think-time begins with one; leave one of them out")
            }
            depth if self.requests_per_connection.is_some_and(|most| most < depth as u64) => {
                wrong("must not be more than --requests-per-connection")
            }
            _ => Ok(()),
        }
    }

    /// What the engine has no way of doing.
    fn check_engine(&self) -> Result<(), PlanError> {
        let wrong = |field, reason: &str| Err(PlanError { field, reason: reason.to_owned() });
        self.engine.check(&self.target)?;
        if self.engine.proxy().is_some() && !self.resolve.is_empty() {
            return wrong("resolve", "a proxy looks the target's name up itself; leave one of the two out");
        }
        if self.engine != Engine::Fast && self.pipeline > 1 {
            return wrong("pipeline", "only the fast engine pipelines; leave out what needs reqwest, or --pipeline");
        }
        if self.engine.streams() > 1 && self.requests_per_connection.is_some() {
            return wrong("requests-per-connection", "counts requests one after the other; leave --streams out");
        }
        Ok(())
    }

    fn check_load(&self) -> Result<(), PlanError> {
        let wrong = |field, reason: &str| Err(PlanError { field, reason: reason.to_owned() });
        match &self.load {
            Load::Closed { stop: Stop::Duration(duration) } if duration.is_zero() => {
                wrong("duration", "must be more than 0")
            }
            Load::Closed { stop: Stop::Requests(0) } => wrong("requests", "must be at least 1"),
            Load::Closed { .. } => Ok(()),
            Load::Open { stages, .. } => {
                if stages
                    .iter()
                    .any(|stage| ![stage.rate, stage.end_rate()].iter().all(|rate| rate.is_finite() && *rate >= 0.0))
                {
                    return wrong("stages", "a rate must be a number of requests per second");
                }
                if stages.iter().any(|s| s.duration.is_zero()) {
                    return wrong("stages", "a stage must last longer than 0");
                }
                if stages.iter().all(|stage| stage.requests() == 0.0) {
                    return wrong("stages", "at least one stage needs a rate above 0");
                }
                Ok(())
            }
        }
    }
}

/// Checks a request's method and header fields; `method` and `header` are the options to blame.
fn check_request(
    (method, header): (&'static str, &'static str),
    name: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<(), PlanError> {
    let wrong = |field, reason: String| Err(PlanError { field, reason });
    if !is_token(name) {
        return wrong(method, "must be a method name such as GET or POST".to_owned());
    }
    for (name, value) in headers {
        if !is_token(name) {
            return wrong(header, format!("{name:?} is no field name"));
        }
        if value.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return wrong(header, format!("the value of {name} contains a line break"));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return wrong(header, "Transfer-Encoding is not supported; the body is sent whole".to_owned());
        }
        // The length of a body with places is known when they are filled in.
        let length = Template::parse(body).ok().and_then(|body| body.fixed().map(<[u8]>::len));
        if name.eq_ignore_ascii_case("content-length") && value.parse().ok() != length {
            return wrong(header, "Content-Length differs from the body's length".to_owned());
        }
    }
    Ok(())
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Transport, Version};
    use crate::plan::Shard;
    use crate::stage::Stage;
    use crate::targets::{Entry, Order, RequestList};

    fn plan() -> Plan {
        let target = "http://a:81/x".parse().unwrap();
        Plan::new(target, Load::closed_for(Duration::from_secs(1)))
    }

    #[test]
    fn wrong_plans_name_the_field() {
        let open = |rate| Load::constant(vec![Stage::steady(Duration::from_secs(1), rate)]);
        let ramp = |from, to| Load::constant(vec![Stage::ramp(Duration::from_secs(1), from, to)]);
        let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let list = |method: &str, path: &str, weight| {
            let (method, path) = (method.to_owned(), path.to_owned());
            let entries = vec![Entry { method, path, headers: vec![], body: vec![], weight }];
            Plan { list: Some(RequestList { entries, order: Order::Random }), ..plan() }
        };
        let shard = |index, count| Some(Shard { index, count });
        let through = |transport| Engine::Reqwest(transport);
        let proxied = || through(Transport { proxy: Some("http://p:1".into()), ..Transport::default() });
        let streams = || through(Transport { http: Version::Http2, streams: 2, ..Transport::default() });
        let rows: Vec<(Plan, Option<&str>)> = vec![
            (plan(), None),
            (Plan { method: "G T".into(), ..plan() }, Some("method")),
            (Plan { headers: header("X", "a\r\nY: b"), ..plan() }, Some("header")),
            (Plan { headers: header("X Y", "a"), ..plan() }, Some("header")),
            (Plan { headers: header("Transfer-Encoding", "chunked"), ..plan() }, Some("header")),
            (Plan { headers: header("Content-Length", "3"), ..plan() }, Some("header")),
            (Plan { resolve: vec!["a:81:::1".parse().unwrap()], ..plan() }, None),
            (Plan { resolve: vec!["a:80:::1".parse().unwrap()], ..plan() }, Some("resolve")),
            (Plan { target: "http://a/{rand:5..1}".parse().unwrap(), ..plan() }, Some("target")),
            (Plan { headers: header("X", "{rand:}"), ..plan() }, Some("header")),
            (Plan { body: b"{rand:x}".to_vec(), ..plan() }, Some("body")),
            (Plan { body: b"{seq}".to_vec(), headers: header("Content-Length", "5"), ..plan() }, Some("header")),
            (Plan { body: b"abc".to_vec(), headers: header("Content-Length", "3"), ..plan() }, None),
            (list("GET", "/{rand:1..2}", 1), None),
            (list("G T", "/", 1), Some("targets")),
            (list("GET", "/{rand:2..1}", 1), Some("targets")),
            (list("GET", "/", 2_000_000), None),
            (Plan { list: Some(RequestList { entries: vec![], order: Order::Random }), ..plan() }, Some("targets")),
            (Plan { connections: 0, ..plan() }, Some("connections")),
            (Plan { threads: 0, ..plan() }, Some("threads")),
            (Plan { timeout: Duration::ZERO, ..plan() }, Some("timeout")),
            (Plan { connect_timeout: Duration::ZERO, ..plan() }, Some("connect-timeout")),
            (Plan { interval: Duration::ZERO, ..plan() }, Some("interval")),
            (Plan { cpus: Some(vec![]), ..plan() }, Some("cpus")),
            (Plan { max_outstanding: Some(9), ..plan() }, Some("max-outstanding")),
            (Plan { max_outstanding: Some(1), threads: 2, load: open(5.0), ..plan() }, Some("max-outstanding")),
            (Plan { max_outstanding: Some(2), threads: 2, load: open(5.0), ..plan() }, None),
            (Plan { requests_per_connection: Some(0), ..plan() }, Some("requests-per-connection")),
            (Plan { deadline: Some(Duration::ZERO), ..plan() }, Some("deadline")),
            (Plan { think_time: Duration::from_secs(1), load: open(5.0), ..plan() }, Some("think-time")),
            (Plan { start_at: Some(SystemTime::UNIX_EPOCH), ..plan() }, Some("start-at")),
            (Plan { start_at: Some(SystemTime::now() + Duration::from_secs(3600)), ..plan() }, None),
            (Plan { shard: shard(1, 2), ..plan() }, None),
            (Plan { shard: shard(2, 2), ..plan() }, Some("shard")),
            (Plan { shard: shard(0, 2), max_outstanding: Some(2), load: open(5.0), ..plan() }, None),
            (Plan { shard: shard(0, 2), max_outstanding: Some(1), load: open(5.0), ..plan() }, Some("max-outstanding")),
            (Plan { load: Load::closed_for(Duration::ZERO), ..plan() }, Some("duration")),
            (Plan { load: Load::Closed { stop: Stop::Requests(0) }, ..plan() }, Some("requests")),
            (Plan { target: "https://a/".parse().unwrap(), ..plan() }, Some("engine")),
            (Plan { pipeline: 2, engine: through(Transport::default()), ..plan() }, Some("pipeline")),
            (Plan { resolve: vec!["a:81:::1".parse().unwrap()], engine: proxied(), ..plan() }, Some("resolve")),
            (Plan { requests_per_connection: Some(2), engine: streams(), ..plan() }, Some("requests-per-connection")),
            (Plan { requests_per_connection: Some(2), engine: through(Transport::default()), ..plan() }, None),
            (Plan { load: open(0.0), ..plan() }, Some("stages")),
            (Plan { load: open(f64::NAN), ..plan() }, Some("stages")),
            (Plan { load: open(5.0), ..plan() }, None),
            (Plan { load: ramp(0.0, 5.0), ..plan() }, None),
            (Plan { load: ramp(0.0, 0.0), ..plan() }, Some("stages")),
            (Plan { load: ramp(5.0, -1.0), ..plan() }, Some("stages")),
            (Plan { load: Load::constant(vec![]), ..plan() }, Some("stages")),
        ];
        for (plan, field) in rows {
            assert_eq!(plan.check().err().map(|e| e.field), field, "{plan:?}");
        }
    }
}
