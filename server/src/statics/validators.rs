//! What tells two versions of a file apart: its entity tag and its date of modification (RFC 9110 §8.8).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// Two changes within this time may leave the same time behind them. File systems count in steps of nanoseconds to 2 s
/// (FAT); the kernel's own clock for them, in milliseconds.
const GRANULARITY: Duration = Duration::from_secs(2);
/// 9999-12-31T23:59:59Z: the last second that HTTP's dates can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// What the file system says of one version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    /// A new file under an old name has another.
    pub(super) inode: u64,
    /// Bytes.
    pub(super) len: u64,
    /// When its bytes were last written, as far as is said: anybody may set it, and reproducible builds date all of their
    /// files alike.
    pub(super) modified: Moment,
    /// When anything of it was last changed, which only the kernel sets. Like the inode it tells versions apart that are
    /// as long and as old; like the inode it differs between machines, whose tags therefore do.
    pub(super) changed: Moment,
}

/// Seconds since 1970, negative before, and nanoseconds.
pub(super) type Moment = (i64, u32);

/// What a response says of a version, and what a request's conditions are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validators {
    /// The entity tag's opaque part, without quotes.
    pub(super) tag: String,
    /// Whether two versions might have it: the file was changed so short a time ago that it could be again, unseen. A
    /// tag that is not weak is of one version only, as a strong one must be (RFC 9110 §8.8.1).
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
            // Nanoseconds are from 0 to 999,999,999.
            modified: (metadata.mtime(), metadata.mtime_nsec() as u32),
            changed: (metadata.ctime(), metadata.ctime_nsec() as u32),
        }
    }

    /// Whether this was modified no earlier than `other`. In whole seconds, because some tools that compress files copy
    /// the date no finer.
    pub(super) fn is_as_new_as(&self, other: &Version) -> bool {
        self.modified.0 >= other.modified.0
    }

    fn tag(&self) -> String {
        let Version { inode, len, modified, changed } = self;
        format!("{inode:x}-{len:x}-{:x}.{:x}-{:x}.{:x}", modified.0, modified.1, changed.0, changed.1)
    }

    /// The validators at the time `now`.
    pub(super) fn validators(&self, now: SystemTime) -> Validators {
        let seconds = u64::try_from(self.modified.0).ok().filter(|seconds| *seconds <= LAST_SECOND);
        let modified = seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        Validators {
            tag: self.tag(),
            weak: !(has_rested(self.modified, now) && has_rested(self.changed, now)),
            modified: modified.filter(|modified| *modified <= now),
        }
    }
}

/// Whether what happened at `moment` is over: whatever happens now will leave another time behind it.
fn has_rested((seconds, nanoseconds): Moment, now: SystemTime) -> bool {
    match u64::try_from(seconds) {
        Err(_) => true,
        // No time that can't be counted is past.
        Ok(seconds) => SystemTime::UNIX_EPOCH
            .checked_add(Duration::new(seconds, nanoseconds))
            .and_then(|moment| now.duration_since(moment).ok())
            .is_some_and(|age| age >= GRANULARITY),
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
        const BASE: u64 = 1_000_000_000;
        let date = Some("Sun, 09 Sep 2001 01:46:40 GMT");
        let table = [
            // modified, changed, now, ETag, Last-Modified
            ((1_000_000_000, 1), (31, 15), BASE + 3, "\"a-ff-3b9aca00.1-1f.f\"", date),
            ((1_000_000_000, 0), (31, 15), BASE + 2, "\"a-ff-3b9aca00.0-1f.f\"", date),
            ((1_000_000_000, 1), (31, 15), BASE + 2, "W/\"a-ff-3b9aca00.1-1f.f\"", date),
            // Dated back, but only just.
            ((1_000_000_000, 0), (1_000_000_007, 0), BASE + 8, "W/\"a-ff-3b9aca00.0-3b9aca07.0\"", date),
            ((1_000_000_000, 0), (1_000_000_007, 0), BASE + 9, "\"a-ff-3b9aca00.0-3b9aca07.0\"", date),
            // Later within the present second: the date is not yet to come.
            ((1_000_000_000, 9), (31, 15), BASE, "W/\"a-ff-3b9aca00.9-1f.f\"", date),
            ((1_000_000_001, 0), (31, 15), BASE, "W/\"a-ff-3b9aca01.0-1f.f\"", None),
            // Some package managers date all files so.
            ((1, 0), (31, 15), BASE, "\"a-ff-1.0-1f.f\"", Some("Thu, 01 Jan 1970 00:00:01 GMT")),
            ((-1, 5), (31, 15), BASE, "\"a-ff-ffffffffffffffff.5-1f.f\"", None),
            ((i64::MAX, 0), (31, 15), BASE, "W/\"a-ff-7fffffffffffffff.0-1f.f\"", None),
        ];
        for (modified, changed, now, etag, last_modified) in table {
            let validators = Version { inode: 10, len: 255, modified, changed }.validators(at(now));
            assert_eq!(validators.etag(), etag);
            assert_eq!(validators.last_modified().as_deref(), last_modified, "{etag}");
        }
    }

    #[test]
    fn a_sibling_is_as_new_to_the_second() {
        let version = |modified| Version { inode: 1, len: 1, modified, changed: (0, 0) };
        assert!(version((5, 0)).is_as_new_as(&version((5, 9))));
        assert!(version((6, 0)).is_as_new_as(&version((5, 9))));
        assert!(!version((4, 9)).is_as_new_as(&version((5, 0))));
    }

    proptest! {
        #[test]
        fn any_version_has_validators(inode: u64, len: u64, seconds: i64, nanoseconds in 0..1_000_000_000u32, now in 0..LAST_SECOND) {
            let version = Version { inode, len, modified: (seconds, nanoseconds), changed: (seconds, nanoseconds) };
            let validators = version.validators(at(now));
            prop_assert!(validators.etag().bytes().all(|byte| byte.is_ascii_graphic()));
            if let Some(date) = validators.last_modified() {
                prop_assert_eq!(httpdate::parse_http_date(&date).ok(), validators.modified);
            }
        }
    }
}
