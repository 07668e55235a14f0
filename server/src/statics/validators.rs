//! What tells two versions of a file apart: its entity tag and its date of modification (RFC 9110 §8.8).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// Two writes within this time may leave the same time of modification. File systems count in steps of nanoseconds to
/// 2 s (FAT); the kernel's own clock for them, in milliseconds.
const GRANULARITY: Duration = Duration::from_secs(2);
/// 9999-12-31T23:59:59Z: the last second that HTTP's dates can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// What the file system says of one version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    /// A new file under an old name has another, even if it is as long and as old (reproducible builds date all of
    /// their files alike). It also differs between machines, whose tags therefore do.
    pub(super) inode: u64,
    /// Bytes.
    pub(super) len: u64,
    /// Time of modification: seconds since 1970, negative before, and nanoseconds.
    pub(super) modified: (i64, u32),
}

/// What a response says of a version, and what a request's conditions are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validators {
    /// The entity tag's opaque part, without quotes.
    pub(super) tag: String,
    /// Whether two versions might have it: the file changed so short a time ago that it could change again unseen.
    pub(super) weak: bool,
    /// In whole seconds; `None` for a date that HTTP can't write, or one yet to come, which must not be sent
    /// (RFC 9110 §8.8.2.1).
    pub(super) modified: Option<SystemTime>,
}

impl Version {
    /// From an open file's metadata.
    pub(super) fn of(metadata: &Metadata) -> Version {
        Version {
            inode: metadata.ino(),
            len: metadata.len(),
            // The kernel gives 0 to 999,999,999.
            modified: (metadata.mtime(), metadata.mtime_nsec() as u32),
        }
    }

    /// Whether this was modified no earlier than `other`. In whole seconds, because some tools that compress files copy
    /// the date no finer.
    pub(super) fn is_as_new_as(&self, other: &Version) -> bool {
        self.modified.0 >= other.modified.0
    }

    /// The validators at the time `now`.
    pub(super) fn validators(&self, now: SystemTime) -> Validators {
        let (seconds, nanoseconds) = self.modified;
        let since_1970 = u64::try_from(seconds).ok().filter(|seconds| *seconds <= LAST_SECOND);
        let moment = since_1970.map(|seconds| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds));
        // Before 1970 is long ago; after 9999 is yet to come.
        let rested = match moment {
            Some(moment) => now.duration_since(moment).is_ok_and(|age| age >= GRANULARITY),
            None => seconds < 0,
        };
        Validators {
            tag: format!("{:x}-{:x}-{seconds:x}.{nanoseconds:x}", self.inode, self.len),
            weak: !rested,
            modified: since_1970
                .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
                .filter(|modified| *modified <= now),
        }
    }
}

impl Validators {
    /// The ETag header's value.
    pub(super) fn etag(&self) -> String {
        let Validators { tag, weak, .. } = self;
        if *weak { format!("W/\"{tag}\"") } else { format!("\"{tag}\"") }
    }

    /// The Last-Modified header's value.
    pub(super) fn last_modified(&self) -> Option<String> {
        self.modified.map(httpdate::fmt_http_date)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_file_that_rests_has_a_strong_tag() {
        let version = |seconds, nanoseconds| Version { inode: 10, len: 255, modified: (seconds, nanoseconds) };
        let table = [
            // modified, now, ETag, Last-Modified
            ((1_000_000_000, 1), 1_000_000_003, "\"a-ff-3b9aca00.1\"", Some("Sun, 09 Sep 2001 01:46:40 GMT")),
            ((1_000_000_000, 0), 1_000_000_002, "\"a-ff-3b9aca00.0\"", Some("Sun, 09 Sep 2001 01:46:40 GMT")),
            ((1_000_000_000, 1), 1_000_000_002, "W/\"a-ff-3b9aca00.1\"", Some("Sun, 09 Sep 2001 01:46:40 GMT")),
            // Later within the present second: the date is not yet to come.
            ((1_000_000_000, 9), 1_000_000_000, "W/\"a-ff-3b9aca00.9\"", Some("Sun, 09 Sep 2001 01:46:40 GMT")),
            ((1_000_000_001, 0), 1_000_000_000, "W/\"a-ff-3b9aca01.0\"", None),
            // Some package managers date all files so.
            ((1, 0), 1_000_000_000, "\"a-ff-1.0\"", Some("Thu, 01 Jan 1970 00:00:01 GMT")),
            ((-1, 5), 1_000_000_000, "\"a-ff-ffffffffffffffff.5\"", None),
            ((i64::MAX, 0), 1_000_000_000, "W/\"a-ff-7fffffffffffffff.0\"", None),
        ];
        for ((seconds, nanoseconds), now, etag, last_modified) in table {
            let validators = version(seconds, nanoseconds).validators(at(now));
            assert_eq!(validators.etag(), etag);
            assert_eq!(validators.last_modified().as_deref(), last_modified, "{etag}");
        }
    }

    #[test]
    fn a_sibling_is_as_new_to_the_second() {
        let version = |modified| Version { inode: 1, len: 1, modified };
        assert!(version((5, 0)).is_as_new_as(&version((5, 9))));
        assert!(version((6, 0)).is_as_new_as(&version((5, 9))));
        assert!(!version((4, 9)).is_as_new_as(&version((5, 0))));
    }

    proptest! {
        #[test]
        fn any_version_has_validators(inode: u64, len: u64, seconds: i64, nanoseconds in 0..1_000_000_000u32, now in 0..LAST_SECOND) {
            let version = Version { inode, len, modified: (seconds, nanoseconds) };
            let validators = version.validators(at(now));
            prop_assert!(validators.etag().bytes().all(|byte| byte.is_ascii_graphic()));
            if let Some(date) = validators.last_modified() {
                prop_assert_eq!(httpdate::parse_http_date(&date).ok(), validators.modified);
            }
        }
    }
}
