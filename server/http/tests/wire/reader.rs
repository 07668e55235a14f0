//! Reads messages from bytes that arrive in pieces, the way a connection does. Test support: it knows the crate's
//! public interface only.

use http1::{BodyDecoder, Framing, Limits, Parse, Refusal, RequestHead, Version};

/// One request, with everything that the crate says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authority: Option<String>,
    pub(crate) version: Version,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    pub(crate) is_head: bool,
    pub(crate) body: Vec<u8>,
}

/// How the bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// After a complete message.
    Clean,
    /// Within a message.
    Within,
    /// With a refusal.
    Refused(Refusal),
}

/// Reads all messages. `pieces` are the lengths of the reads, repeated as needed; what arrives waits in a buffer, as it
/// does on a connection.
pub(crate) fn read(bytes: &[u8], pieces: &[usize], limits: &Limits) -> (Vec<Message>, End) {
    let mut messages = Vec::new();
    let mut arrivals = bytes;
    let mut pieces = pieces.iter().copied().cycle();
    let mut buffer = Vec::new();
    let mut head = RequestHead::default();
    // Ends the reading at whichever step cannot go on.
    let end = loop {
        let mut seen = 0;
        let parsed = loop {
            match head.parse(&buffer, seen, limits) {
                Ok(Parse::Complete { head_len }) => break Ok(Some(head_len)),
                Err(refusal) => break Err(refusal),
                Ok(Parse::Incomplete) => seen = buffer.len(),
            }
            if !receive(&mut buffer, &mut arrivals, &mut pieces) {
                break Ok(None);
            }
        };
        let head_len = match parsed {
            Ok(Some(head_len)) => head_len,
            Ok(None) => {
                break if buffer.is_empty() { End::Clean } else { End::Within };
            }
            Err(refusal) => break End::Refused(refusal),
        };
        let mut message = describe(&head, &buffer);
        buffer.drain(..head_len);

        let mut decoder = BodyDecoder::new(head.framing(), limits);
        let decoded = loop {
            match decoder.decode(&buffer, &mut message.body) {
                Ok(decoded) => {
                    buffer.drain(..decoded.consumed);
                    if decoded.complete {
                        break Ok(true);
                    }
                    assert!(buffer.is_empty(), "an incomplete body left bytes behind");
                }
                Err(refusal) => {
                    assert_eq!(decoder.decode(&buffer, &mut Vec::new()), Err(refusal), "a refusal must stand");
                    break Err(refusal);
                }
            }
            if !receive(&mut buffer, &mut arrivals, &mut pieces) {
                break Ok(false);
            }
        };
        match decoded {
            Ok(true) => messages.push(message),
            Ok(false) => break End::Within,
            Err(refusal) => break End::Refused(refusal),
        }
    };
    (messages, end)
}

/// Moves the next piece into the buffer; false when there is none.
fn receive(buffer: &mut Vec<u8>, arrivals: &mut &[u8], pieces: &mut impl Iterator<Item = usize>) -> bool {
    let length = pieces.next().unwrap_or(arrivals.len()).clamp(1, arrivals.len().max(1));
    let Some((piece, rest)) = arrivals.split_at_checked(length) else {
        return false;
    };
    buffer.extend_from_slice(piece);
    *arrivals = rest;
    true
}

fn describe(head: &RequestHead, bytes: &[u8]) -> Message {
    Message {
        method: head.method(bytes).to_owned(),
        target: head.target(bytes).to_owned(),
        path: head.path(bytes).to_owned(),
        query: head.query(bytes).to_owned(),
        authority: head.authority(bytes).map(str::to_owned),
        version: head.version(),
        headers: head.headers(bytes).map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        framing: head.framing(),
        keep_alive: head.keep_alive(),
        expects_continue: head.expects_continue(),
        is_head: head.is_head(),
        body: Vec::new(),
    }
}
