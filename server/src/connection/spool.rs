//! Where a request body gathers: in memory up to a bound, then in an unlinked temporary file.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;

use super::descriptors::Held;
use crate::exchange::{Body, Buffer, Shelf};

/// A body that is still being received.
#[derive(Debug)]
pub(crate) struct Spool {
    /// In memory: all of it. With a file: what was decoded and not written yet.
    memory: Vec<u8>,
    shelf: Arc<Shelf>,
    bound: usize,
    file: Option<(File, u64, Held)>,
}

impl Spool {
    /// Keeps up to `bound` bytes in memory. `expected` bytes are announced; memory that is never written to costs nothing.
    pub(crate) fn new(bound: usize, expected: u64, shelf: &Arc<Shelf>) -> Spool {
        let capacity = usize::try_from(expected).unwrap_or(usize::MAX).min(bound);
        Spool { memory: shelf.take(capacity), shelf: Arc::clone(shelf), bound, file: None }
    }

    /// Where the decoder appends; call [`Spool::settle`] afterwards.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.memory
    }

    /// Moves what is over the bound to the file. The error is the disk's, or that there `may_open` be no file now.
    pub(crate) fn settle(&mut self, may_open: impl FnOnce() -> bool) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() <= self.bound {
            return Ok(());
        }
        let (file, len, _) = match &mut self.file {
            Some(open) => open,
            None if !may_open() => return Err(io::Error::other("too many files are open (ulimit -n)")),
            none => none.insert((tempfile::tempfile()?, 0, Held::one())),
        };
        file.write_all(&self.memory)?;
        *len += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    /// The complete body.
    pub(crate) fn finish(self) -> io::Result<Body> {
        match self.file {
            Some((mut file, len, _)) => {
                file.rewind()?;
                Ok(Body::File { file, len })
            }
            None if self.memory.is_empty() => Ok(Body::Empty),
            None => Ok(Body::Memory(Buffer::new(self.memory, self.shelf))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn gather(pieces: &[&[u8]], bound: usize) -> Body {
        let mut spool = Spool::new(bound, 0, &Arc::default());
        for piece in pieces {
            spool.buffer().extend_from_slice(piece);
            spool.settle(|| true).expect("disk");
        }
        spool.finish().expect("disk")
    }

    #[test]
    fn no_file_is_opened_when_there_may_be_none() {
        let mut spool = Spool::new(4, 0, &Arc::default());
        spool.buffer().extend_from_slice(b"abcd");
        spool.settle(|| false).expect("it stays in memory");
        spool.buffer().push(b'e');
        assert!(spool.settle(|| false).is_err());
    }

    #[test]
    fn a_body_is_where_its_size_puts_it() {
        assert!(matches!(gather(&[], 4), Body::Empty));
        assert!(matches!(gather(&[b"ab", b"cd"], 4), Body::Memory(bytes) if bytes.as_ref() == b"abcd"));
        let large = gather(&[b"ab", b"cd", b"e", b"fgh"], 4);
        assert!(matches!(large, Body::File { len: 8, .. }));
        let mut text = String::new();
        large.into_reader().read_to_string(&mut text).expect("readable");
        assert_eq!(text, "abcdefgh");
    }
}
