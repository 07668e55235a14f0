//! What a socket has not taken yet of a response: a head, and its body wherever that is.
//!
//! Owns the writing: one system call for head and body together, `sendfile` for files, and where to go on when the socket
//! is full. Whoever has it writes: the thread that called the application, or the event loop.

use std::fs::File;
use std::io::{self, IoSlice};

use super::Transport;
use super::descriptors::Held;
use crate::exchange::Payload;

/// Buffers given to the kernel at once; it takes no more than 1024 (`UIO_MAXIOV`).
const BUFFERS: usize = 64;
/// How much goes to one client before the others have their turn, though its socket would take more.
const TURN: usize = 2 << 20;

/// Bytes, and perhaps a body that lies elsewhere, that the socket has not taken yet.
#[derive(Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    tail: Tail,
}

/// What follows the bytes.
#[derive(Default)]
enum Tail {
    #[default]
    Nothing,
    /// Parts, kept alive. All are let go together, for they may belong to somebody who is slow to take them back.
    Parts { parts: Vec<Box<dyn Payload>>, next: usize, offset: usize, remaining: u64 },
    /// A part of a file.
    File { file: File, offset: u64, remaining: u64, _held: Held },
}

impl Outgoing {
    /// Only bytes, the first `written` of which are sent already.
    pub(crate) fn new(bytes: Vec<u8>, written: usize) -> Outgoing {
        Outgoing { bytes, written, tail: Tail::Nothing }
    }

    /// Adds a body of `remaining` bytes, which `parts` have or exceed.
    pub(crate) fn add_parts(&mut self, parts: Vec<Box<dyn Payload>>, remaining: u64) {
        self.tail = Tail::Parts { parts, next: 0, offset: 0, remaining };
    }

    /// Adds `remaining` bytes of `file` from `offset`.
    pub(crate) fn add_file(&mut self, file: File, offset: u64, remaining: u64) {
        self.tail = Tail::File { file, offset, remaining, _held: Held::one() };
    }

    /// The memory, empty, for the next response.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        bytes.clear();
        bytes
    }

    /// Writes until all is sent, the socket is full, or it is others' turn.
    pub(crate) fn write_to(&mut self, transport: &Transport) -> io::Result<Written> {
        let mut turn = TURN;
        loop {
            match self.write_some(transport, turn) {
                Ok(_) if self.is_sent() => return Ok(Written::All),
                Ok(count) if count >= turn => return Ok(Written::Turn),
                Ok(count) => turn -= count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Full),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One system call's worth, about `most` bytes: how many were written.
    fn write_some(&mut self, transport: &Transport, most: usize) -> io::Result<usize> {
        let rest = &self.bytes[self.written..];
        match &mut self.tail {
            Tail::Parts { parts, next, offset, remaining } if *remaining > 0 => {
                let mut buffers = [IoSlice::new(&[]); BUFFERS];
                let filled = gather(&mut buffers, rest, &parts[*next..], *offset, (*remaining).min(most as u64));
                let count = some(transport.write_vectored(&buffers[..filled]))?;
                let of_bytes = count.min(rest.len());
                self.written += of_bytes;
                let mut of_parts = count - of_bytes;
                *remaining -= of_parts as u64;
                while let Some(part) = parts.get(*next)
                    && of_parts > 0
                {
                    let left = part.bytes().len() - *offset;
                    let taken = left.min(of_parts);
                    of_parts -= taken;
                    (*next, *offset) = if taken == left { (*next + 1, 0) } else { (*next, *offset + taken) };
                }
                Ok(count)
            }
            Tail::File { .. } if !rest.is_empty() => {
                let count = some(transport.write_more(rest))?;
                self.written += count;
                Ok(count)
            }
            _ if !rest.is_empty() => {
                let count = some(transport.write(rest))?;
                self.written += count;
                Ok(count)
            }
            Tail::File { file, offset, remaining, .. } if *remaining > 0 => {
                let count = transport.send_file(file, offset, (*remaining).min(most as u64))?;
                if count == 0 {
                    // The file was cut after its length was promised: the connection must not look complete.
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *remaining -= count as u64;
                Ok(count)
            }
            Tail::Nothing | Tail::Parts { .. } | Tail::File { .. } => Ok(0),
        }
    }

    /// True once all is written.
    fn is_sent(&self) -> bool {
        self.written == self.bytes.len()
            && match &self.tail {
                Tail::Nothing => true,
                Tail::Parts { remaining, .. } | Tail::File { remaining, .. } => *remaining == 0,
            }
    }
}

/// How far writing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// All is sent.
    All,
    /// The socket is full.
    Full,
    /// The socket takes more, but it is others' turn.
    Turn,
}

/// A write that wrote nothing will not do better.
fn some(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        other => other,
    }
}

/// Fills `buffers` with `bytes` and then `parts`, the first from `offset`, no more than `remaining` bytes of them. How many
/// were filled.
fn gather<'a>(
    buffers: &mut [IoSlice<'a>],
    bytes: &'a [u8],
    parts: &'a [Box<dyn Payload>],
    offset: usize,
    mut remaining: u64,
) -> usize {
    let parts = parts.iter().enumerate().map(|(index, part)| &part.bytes()[if index == 0 { offset } else { 0 }..]);
    let cut = parts.map_while(|part| {
        let length = part.len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
        remaining -= length as u64;
        (remaining > 0 || length > 0).then(|| &part[..length])
    });
    let mut filled = 0;
    let all = std::iter::once(bytes).chain(cut).filter(|buffer| !buffer.is_empty());
    for (place, buffer) in buffers.iter_mut().zip(all) {
        *place = IoSlice::new(buffer);
        filled += 1;
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    impl Payload for &'static [u8] {
        fn bytes(&self) -> &[u8] {
            self
        }
    }

    fn parts(texts: &[&'static str]) -> Vec<Box<dyn Payload>> {
        texts.iter().map(|text| Box::new(text.as_bytes()) as Box<dyn Payload>).collect()
    }

    /// What arrives at the other end of a socket that takes little at once.
    fn sent(mut outgoing: Outgoing) -> Vec<u8> {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("pair");
        ours.set_nonblocking(true).expect("flag");
        theirs.set_nonblocking(true).expect("flag");
        let transport = Transport::Unix(mio::net::UnixStream::from_std(ours));
        let mut arrived = Vec::new();
        while outgoing.write_to(&transport).expect("open") != Written::All {
            // What is there is taken; then there is room again.
            let _ = theirs.read_to_end(&mut arrived);
        }
        drop(transport);
        theirs.read_to_end(&mut arrived).expect("the rest");
        arrived
    }

    #[test]
    fn parts_follow_the_head_up_to_the_promised_length() {
        for (texts, remaining, expect) in [
            (&["ab", "cd"][..], 4, "headabcd"),
            (&["ab", "", "cd"], 3, "headabc"),
            (&["ab", "cd"], 2, "headab"),
            (&[], 0, "head"),
        ] {
            let mut outgoing = Outgoing::new(b"xxhead".to_vec(), 2);
            outgoing.add_parts(parts(texts), remaining);
            assert_eq!(String::from_utf8_lossy(&sent(outgoing)), expect, "{texts:?}");
        }
    }

    #[test]
    fn many_large_parts_arrive_whole() {
        static BLOCK: [u8; 9973] = {
            let mut block = [0; 9973];
            let mut place = 0;
            while place < block.len() {
                block[place] = (place % 251) as u8;
                place += 1;
            }
            block
        };
        let mut outgoing = Outgoing::new(b"head".to_vec(), 0);
        let all: Vec<Box<dyn Payload>> = (0..200).map(|_| Box::new(&BLOCK[..]) as Box<dyn Payload>).collect();
        outgoing.add_parts(all, 200 * 9973);
        let arrived = sent(outgoing);
        assert_eq!(arrived.len(), 4 + 200 * 9973);
        assert!(arrived[4..].chunks(9973).all(|chunk| chunk == BLOCK));
    }
}
