//! A request, and the only answer that is right: a function of its number, shared with `storm.py`.

use std::sync::LazyLock;

use crate::support::client::Head;

/// As in `storm.py`.
pub(super) const LONGEST: usize = 1 << 20;
const STARTS: u64 = 1 << 16;

/// Number after number, scattered, so that a piece that is missing, doubled or moved shows.
static NUMBERS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let numbers = 0..((LONGEST as u64 + STARTS) / 4) as u32;
    numbers.flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
});

/// What the application is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Answer at once, with a Content-Length.
    Whole,
    /// Answer in pieces, without one.
    Chunked,
    /// Answer in pieces that come slowly, with one.
    Slow,
    /// Compare what is uploaded with a Content-Length.
    Upload,
    /// Compare what is uploaded in chunks.
    UploadChunked,
    /// Raise an exception.
    Raises,
    /// Raise an exception in the middle of the answer.
    Breaks,
    /// Compute for a while.
    Loops,
    /// Take much memory, and give it back.
    Allocates,
    /// Take more memory than a worker may have, and keep it.
    Grows,
    /// Never return: every second one after a part of the answer.
    Hangs,
    /// Leave a background task.
    Leaves,
    /// `os._exit`.
    Exits,
    /// A segmentation fault.
    Faults,
}

impl Kind {
    /// As in a table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Whole => "whole",
            Kind::Chunked => "chunked",
            Kind::Slow => "slow",
            Kind::Upload => "upload",
            Kind::UploadChunked => "upload in chunks",
            Kind::Raises => "raises",
            Kind::Breaks => "breaks off",
            Kind::Loops => "loops",
            Kind::Allocates => "allocates",
            Kind::Grows => "grows",
            Kind::Hangs => "hangs",
            Kind::Leaves => "leaves a task",
            Kind::Exits => "os._exit",
            Kind::Faults => "segmentation fault",
        }
    }

    /// It ends the process that it is asked in.
    pub(super) fn is_deadly(self) -> bool {
        matches!(self, Kind::Exits | Kind::Faults)
    }

    fn route(self) -> &'static str {
        match self {
            Kind::Whole => "/whole",
            Kind::Chunked => "/chunked",
            Kind::Slow => "/slow",
            Kind::Upload | Kind::UploadChunked => "/upload",
            Kind::Raises => "/raises",
            Kind::Breaks => "/breaks",
            Kind::Loops => "/loops",
            Kind::Allocates => "/allocates",
            Kind::Grows => "/grows",
            Kind::Hangs => "/hangs",
            Kind::Leaves => "/leaves",
            Kind::Exits => "/exits",
            Kind::Faults => "/faults",
        }
    }
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// Nobody else's.
    pub(super) number: u64,
    pub(super) kind: Kind,
    /// Bytes of the answer's body, or of the upload's.
    pub(super) size: usize,
}

impl Question {
    /// Its answer begins, and never ends.
    pub(super) fn is_to_be_cut(&self) -> bool {
        match self.kind {
            Kind::Breaks => true,
            Kind::Hangs => self.number % 2 == 1,
            _ => false,
        }
    }

    /// The server answers in place of the application.
    pub(super) fn is_over_its_time(&self) -> bool {
        self.kind == Kind::Hangs && !self.is_to_be_cut()
    }

    /// As it is sent.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Question { number, kind, size } = *self;
        let target = format!("{}?{number:016x}&{size}", kind.route());
        match kind {
            Kind::Upload => {
                let mut bytes =
                    format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {size}\r\n\r\n").into_bytes();
                bytes.extend(body(number, size));
                bytes
            }
            Kind::UploadChunked => {
                let mut bytes =
                    format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
                for chunk in body(number, size).chunks(10_000) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
                bytes
            }
            _ => format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes(),
        }
    }

    /// Panics unless the head is this question's.
    pub(super) fn judge_head(&self, head: &Head) {
        if self.kind == Kind::Raises {
            assert_eq!(head.status, 500, "{self:?}: {head:?}");
            return;
        }
        if self.is_over_its_time() {
            assert_eq!(head.status, 504, "{self:?}: {head:?}");
            return;
        }
        assert_eq!(head.status, 200, "{self:?}: {head:?}");
        assert_eq!(head.header("X-Number"), Some(format!("{:016x}", self.number).as_str()), "{self:?}: {head:?}");
        let length = match self.kind {
            Kind::Chunked | Kind::Hangs => None,
            Kind::Breaks => (self.number % 2 == 1).then_some(self.size),
            _ => Some(self.answer_size()),
        };
        assert_eq!(head.header("Content-Length"), length.map(|length| length.to_string()).as_deref(), "{self:?}");
        let coding = if length.is_none() { Some("chunked") } else { None };
        assert_eq!(head.header("Transfer-Encoding"), coding, "{self:?}: {head:?}");
    }

    /// Panics unless this is the whole body.
    pub(super) fn judge_body(&self, received: &[u8]) {
        match self.kind {
            Kind::Raises => {}
            Kind::Hangs if self.is_over_its_time() => {}
            Kind::Hangs | Kind::Breaks | Kind::Exits | Kind::Faults => {
                panic!("{self:?} looks complete, with {} bytes", received.len())
            }
            _ => {
                let expected = body(self.number, self.answer_size());
                let equal = received.iter().zip(&expected).take_while(|(left, right)| left == right).count();
                assert!(
                    received == expected,
                    "{self:?}: {} bytes instead of {}, of which the first {equal} are right",
                    received.len(),
                    expected.len()
                );
            }
        }
    }

    fn answer_size(&self) -> usize {
        match self.kind {
            Kind::Upload | Kind::UploadChunked => self.size % 100,
            _ => self.size,
        }
    }
}

/// The body of this number, as `storm.py` makes it.
fn body(number: u64, size: usize) -> Vec<u8> {
    let name = format!("{number:016x}").into_bytes();
    if size < 32 {
        return name.repeat(2)[..size].to_vec();
    }
    let start = (number.wrapping_mul(40_503) % STARTS) as usize;
    [&name, &NUMBERS[start..start + size - 32], &name].concat()
}
