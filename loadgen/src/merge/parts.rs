//! Whether results may be joined: all shards there once, each valid, all at the same time. Pure.

use std::fmt;

use crate::distribution::DecodeError;
use crate::hlog::HlogError;
use crate::plan::Shard;

/// What is put up with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Least share of each shard's time that all shards have in common, 0 to 1.
    pub common_time: f64,
    /// Whether runs that were no shards are joined too; that none of them is missing can then not be
    /// checked.
    pub unsharded: bool,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { common_time: 0.95, unsharded: false }
    }
}

/// One result, as far as it decides whether it may be joined.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: Name,
    /// `None` when the result does not say.
    pub(super) validity: Option<Vec<String>>,
    pub(super) interrupted: bool,
    /// Seconds since 1970.
    pub(super) start_s: f64,
    pub(super) end_s: f64,
}

/// How a result is spoken of: where it was read, and which shard it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub(super) file: String,
    pub(super) shard: Option<Shard>,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.shard {
            Some(Shard { index, count }) => write!(f, " (shard {index}/{count})"),
            None => Ok(()),
        }
    }
}

/// Why results were not joined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to join.
    #[error("no result was given")]
    Nothing,
    /// A result says that it must not be used.
    #[error("{name} is INVALID: {reason}; run all shards again")]
    Invalid {
        /// Which.
        name: Name,
        /// The first of its reasons.
        reason: String,
    },
    /// A run that was stopped before its end.
    #[error("{name} was interrupted; run all shards again")]
    Interrupted {
        /// Which.
        name: Name,
    },
    /// An interval log that another program wrote.
    #[error("{name} does not say whether its run was valid; merge logs that loadgen wrote (--hlog)")]
    Unjudged {
        /// Which.
        name: Name,
    },
    /// A run of its own.
    #[error("{name} was no shard of a run (--shard); --unsharded merges independent runs")]
    Unsharded {
        /// Which.
        name: Name,
    },
    /// Shards of different runs.
    #[error("{name} is of another division than {other}")]
    Division {
        /// Which.
        name: Name,
        /// The one that it does not fit to.
        other: Name,
    },
    /// A shard twice.
    #[error("{name} is the same shard as {other}")]
    Twice {
        /// Which.
        name: Name,
        /// The other one.
        other: Name,
    },
    /// A shard is not there.
    #[error("shard {}/{} is missing", .0.index, .0.count)]
    Missing(
        /// Which.
        Shard,
    ),
    /// The shards did not run at the same time.
    #[error(
        "{name} had only {share:.1} % of its time in common with all others (at least {least:.1} % is needed): \
         it {how}; start the shards at an agreed time"
    )]
    Apart {
        /// The one that is furthest off.
        name: Name,
        /// Percent.
        share: f64,
        /// Percent.
        least: f64,
        /// When it began or ended, compared with the others.
        how: String,
    },
    /// The shards did not do the same.
    #[error("{name} ran another plan than {other}: {field} differs")]
    Plan {
        /// Which.
        name: Name,
        /// The one that it was compared with.
        other: Name,
        /// The field of the setup.
        field: &'static str,
    },
    /// A result that cannot be read.
    #[error("{name}: {source}")]
    Log {
        /// Which.
        name: Name,
        /// Why.
        source: HlogError,
    },
    /// A histogram that cannot be read.
    #[error("{name}: {source}")]
    Histogram {
        /// Which.
        name: Name,
        /// Why.
        source: DecodeError,
    },
}

/// Refuses what must not be joined.
pub(super) fn check(parts: &[Part], tolerance: Tolerance) -> Result<(), MergeError> {
    for part in parts {
        let name = || part.name.clone();
        match &part.validity {
            None => return Err(MergeError::Unjudged { name: name() }),
            Some(reasons) => {
                if part.interrupted {
                    return Err(MergeError::Interrupted { name: name() });
                }
                if let Some(reason) = reasons.first() {
                    return Err(MergeError::Invalid { name: name(), reason: reason.clone() });
                }
            }
        }
    }
    shards(parts, tolerance.unsharded)?;
    overlap(parts, tolerance.common_time)
}

/// Every shard once, and nothing else.
fn shards(parts: &[Part], unsharded: bool) -> Result<(), MergeError> {
    let first = parts.first().ok_or(MergeError::Nothing)?;
    if unsharded && parts.iter().all(|part| part.name.shard.is_none()) {
        return Ok(());
    }
    let mut there: Vec<Option<&Part>> = Vec::new();
    for part in parts {
        let Some(shard) = part.name.shard else { return Err(MergeError::Unsharded { name: part.name.clone() }) };
        there.resize(there.len().max(shard.count as usize), None);
        let fits = first.name.shard.is_none_or(|other| other.count == shard.count) && shard.index < shard.count;
        if !fits {
            return Err(MergeError::Division { name: part.name.clone(), other: first.name.clone() });
        }
        if let Some(other) = there[shard.index as usize].replace(part) {
            return Err(MergeError::Twice { name: part.name.clone(), other: other.name.clone() });
        }
    }
    match there.iter().position(Option::is_none) {
        Some(index) => Err(MergeError::Missing(Shard { index: index as u32, count: there.len() as u32 })),
        None => Ok(()),
    }
}

/// All at the same time, as far as `least` asks for it.
fn overlap(parts: &[Part], least: f64) -> Result<(), MergeError> {
    let begin = parts.iter().map(|part| part.start_s).fold(f64::NEG_INFINITY, f64::max);
    let end = parts.iter().map(|part| part.end_s).fold(f64::INFINITY, f64::min);
    let share = |part: &Part| ((end - begin) / (part.end_s - part.start_s).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    if parts.iter().map(share).fold(1.0, f64::min) >= least {
        return Ok(());
    }
    // The one whose start or end is furthest from the middle one's is at fault.
    let starts = middle(parts.iter().map(|part| part.start_s).collect());
    let ends = middle(parts.iter().map(|part| part.end_s).collect());
    let off = |part: &Part| (part.start_s - starts).abs().max((part.end_s - ends).abs());
    let worst = parts.iter().max_by(|a, b| off(a).total_cmp(&off(b)));
    worst.map_or(Ok(()), |part| {
        let (late, over) = (part.start_s - starts, part.end_s - ends);
        let (what, seconds) = if late.abs() >= over.abs() { ("began", late) } else { ("ended", over) };
        let side = if seconds > 0.0 { "after" } else { "before" };
        Err(MergeError::Apart {
            name: part.name.clone(),
            share: share(part) * 100.0,
            least: least * 100.0,
            how: format!("{what} {:.2} s {side} the others", seconds.abs()),
        })
    })
}

/// The lower median.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(file: &str, shard: Option<(u32, u32)>) -> Part {
        let shard = shard.map(|(index, count)| Shard { index, count });
        let name = Name { file: file.to_owned(), shard };
        Part { name, validity: Some(Vec::new()), interrupted: false, start_s: 1000.0, end_s: 1010.0 }
    }

    fn three() -> Vec<Part> {
        ["a", "b", "c"].into_iter().zip(0..).map(|(file, index)| part(file, Some((index, 3)))).collect()
    }

    fn refusal(change: impl FnOnce(&mut Vec<Part>)) -> String {
        let mut parts = three();
        change(&mut parts);
        check(&parts, Tolerance::default()).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn shards_that_fit_are_accepted() {
        assert_eq!(refusal(|_| {}), "");
        assert_eq!(refusal(|parts| parts.reverse()), "");
        // 0.4 s of 10 s is within 5 %.
        assert_eq!(refusal(|parts| parts[1].start_s += 0.4), "");
    }

    #[test]
    fn a_refusal_names_the_shard() {
        let rows: Vec<(&str, String)> = vec![
            ("no result was given", refusal(Vec::clear)),
            ("b (shard 1/3) is INVALID: late; run", refusal(|p| p[1].validity = Some(vec!["late".to_owned()]))),
            ("c (shard 2/3) was interrupted", refusal(|p| p[2].interrupted = true)),
            ("a (shard 0/3) does not say whether", refusal(|p| p[0].validity = None)),
            ("shard 1/3 is missing", refusal(|p| drop(p.remove(1)))),
            ("b (shard 0/3) is the same shard as a (shard 0/3)", refusal(|p| p[1] = part("b", Some((0, 3))))),
            ("b (shard 1/4) is of another division than a (shard 0/3)", refusal(|p| p[1] = part("b", Some((1, 4))))),
            ("b (shard 3/3) is of another division", refusal(|p| p[1] = part("b", Some((3, 3))))),
            ("b was no shard of a run", refusal(|p| p[1] = part("b", None))),
            (
                "c (shard 2/3) had only 80.0 % of its time in common with all others (at least 95.0 % is needed): \
                 it began 2.00 s after the others",
                refusal(|p| (p[2].start_s, p[2].end_s) = (1002.0, 1012.0)),
            ),
            (
                "b (shard 1/3) had only 100.0 % of its time in common with all others (at least 95.0 % is needed): \
                 it ended 6.00 s before the others",
                refusal(|p| p[1].end_s = 1004.0),
            ),
            ("only 0.0 % of its time", refusal(|p| (p[0].start_s, p[0].end_s) = (0.0, 10.0))),
        ];
        for (expected, refused) in rows {
            assert!(refused.contains(expected), "{expected:?} is not in {refused:?}");
        }
    }

    #[test]
    fn independent_runs_are_joined_only_when_asked_for() {
        let parts = [part("a", None), part("b", None)];
        assert!(matches!(check(&parts, Tolerance::default()), Err(MergeError::Unsharded { .. })));
        assert!(check(&parts, Tolerance { unsharded: true, ..Tolerance::default() }).is_ok());
        let mixed = [part("a", None), part("b", Some((0, 1)))];
        assert!(check(&mixed, Tolerance { unsharded: true, ..Tolerance::default() }).is_err());
    }
}
