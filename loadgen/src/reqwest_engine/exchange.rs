//! One request, from handing it to its lane's client until its answer is whole, has failed, or is too late.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use http::header::CONNECTION;
use reqwest::{Request, Response, Version};
use tokio::time::{Instant, sleep};

use super::failure::{self, Failure, Stage};
use super::lane::Lane;
use crate::clock;
use crate::error::ErrorKind;

/// A whole answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// When its head was there, nanoseconds of the monotonic clock.
    pub(super) head: u64,
    /// Bytes of content.
    pub(super) content: u64,
    /// The connection cannot be used again.
    pub(super) close: bool,
}

/// What a request came to. Times in nanoseconds of the monotonic clock.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) slot: usize,
    /// When it could be written: at once, or when its connection was there.
    pub(super) written: u64,
    /// When it was over.
    pub(super) at: u64,
    pub(super) outcome: Result<Answer, Failure>,
}

/// How long an exchange may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) connect: Duration,
    /// From the write.
    pub(super) answer: Duration,
}

/// Sends `request` on `lane` for `slot`, which took it up at `taken`.
pub(super) async fn carry_out(slot: usize, lane: Arc<Lane>, request: Request, taken: u64, patience: Patience) -> Done {
    let mut written = taken;
    let outcome = {
        let mut exchange = pin!(exchange(&lane, request));
        let mut limit = pin!(sleep(patience.answer));
        std::future::poll_fn(|context| {
            let outcome = exchange.as_mut().poll(context);
            // The first connection made for this request is the one that it is written on; a redirect may make others.
            let connected = lane.wire.connected();
            if written == taken && connected > taken {
                written = connected;
                limit.as_mut().reset(Instant::now() + patience.answer);
            }
            if let Poll::Ready(outcome) = outcome {
                return Poll::Ready(outcome);
            }
            loop {
                ready!(limit.as_mut().poll(context));
                if written > taken || !lane.wire.is_connecting() {
                    let detail = "no answer within the timeout".to_owned();
                    return Poll::Ready(Err(Failure { kind: ErrorKind::Timeout, detail }));
                }
                // It is not written yet, and connecting has a limit of its own, which the client keeps.
                limit.as_mut().reset(Instant::now() + patience.connect);
            }
        })
        .await
    };
    Done { slot, written, at: clock::now(), outcome }
}

async fn exchange(lane: &Lane, request: Request) -> Result<Answer, Failure> {
    let answered = lane.client.execute(request).await;
    let mut response = answered.map_err(|e| failure::of(e, Stage::Head, &lane.wire))?;
    let head = clock::now();
    let mut content = 0;
    while let Some(chunk) = response.chunk().await.map_err(|e| failure::of(e, Stage::Body, &lane.wire))? {
        content += chunk.len() as u64;
    }
    Ok(Answer { status: response.status().as_u16(), head, content, close: closes(&response) })
}

/// The target closes the connection after this answer (RFC 9112 §9.3).
fn closes(response: &Response) -> bool {
    let says = |option: &str| {
        let values = response.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(option))
    };
    match response.version() {
        Version::HTTP_11 => says("close"),
        Version::HTTP_10 | Version::HTTP_09 => !says("keep-alive"),
        _ => false,
    }
}
