//! The bytes of a request, made once per run and sent any number of times; or made anew in the same
//! place, where they differ from one time to the next.
//!
//! A large request lies in a file in memory: `sendfile` then hands its pages to the socket, which
//! spares the generator a copy per request. On the CPU that the generator shares with nobody, that
//! copy would otherwise be most of its work. Knows nothing of connections; `connection` sends it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::sendfile::sendfile64;
use rustix::net::SendFlags;

/// From this length on, handing over pages is cheaper than copying them.
const LARGE: usize = 32 * 1024;

/// What every connection of a run sends.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    /// The same bytes, if there are many.
    file: Option<File>,
}

impl Request {
    /// # Errors
    /// The system's, when it has no memory for a large request.
    pub(crate) fn new(bytes: Vec<u8>) -> io::Result<Self> {
        let file = if bytes.len() < LARGE {
            None
        } else {
            let mut file = File::from(memfd_create(c"request", MFdFlags::MFD_CLOEXEC)?);
            file.write_all(&bytes)?;
            Some(file)
        };
        Ok(Self { bytes, file })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A request that is made anew each time, in the same memory: nothing, until
    /// [`Request::refill`] is used. However large, it is copied; a file would have to be written.
    pub(crate) fn empty() -> Self {
        Self { bytes: Vec::new(), file: None }
    }

    /// The bytes of [`Request::empty`], to be replaced or added to.
    pub(crate) fn refill(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The bytes, to be copied behind others.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sends what the socket takes of the bytes from `at` on, which must not be the end; at least
    /// one. The call goes to the kernel directly, not through the C library, where it would be a
    /// cancellation point with its bookkeeping.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when the socket takes nothing now.
    pub(crate) fn send(&self, socket: impl AsFd, at: usize) -> io::Result<usize> {
        let rest = &self.bytes[at..];
        match &self.file {
            // The last bytes of a request are few, and a copy of few bytes is the cheapest.
            Some(file) if rest.len() >= LARGE => Ok(sendfile64(socket, file, Some(&mut (at as i64)), rest.len())?),
            _ => Ok(rustix::net::send(socket, rest, SendFlags::NOSIGNAL)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    #[test]
    fn every_length_arrives_as_it_is() {
        for length in [1, LARGE - 1, LARGE, LARGE + 1, 40 * LARGE + 7] {
            let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let request = Request::new(bytes.clone()).unwrap();
            let (near, mut far) = UnixStream::pair().unwrap();
            let reader = thread::spawn(move || {
                let mut read = Vec::new();
                far.read_to_end(&mut read).map(|_| read)
            });
            let mut sent = 0;
            while sent < request.len() {
                sent += request.send(&near, sent).unwrap();
            }
            drop(near);
            assert!(reader.join().unwrap().unwrap() == bytes, "{length} bytes");
        }
    }
}
