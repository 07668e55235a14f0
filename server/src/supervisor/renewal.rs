//! Workers that have had their time are replaced, the replacement first. Pure: what is, and the time, are passed in.
//!
//! A worker that is due stays in service until its successor serves, so renewing costs no capacity. One successor starts at
//! a time, and the next one not before the worker it replaces has left, or had [`PACE`] to: however many are due at once,
//! there are never more than a few processes above what the policy wants. `supervisor::recycling` asks and carries out.

use std::time::Duration;

use crate::config::Config;

/// After this time the next worker may be renewed although the last one has not left yet: it finishes long requests.
const PACE: Duration = Duration::from_secs(5);
/// How long a worker that does harm goes on when no successor can be started.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lifetimes end up to this fraction earlier, each worker's differently.
const SPREAD: u64 = 10;

/// One worker's life: a slot, and which of the slot's lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) slot: usize,
    pub(super) generation: u64,
}

/// What wears a worker out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wear {
    /// Resident memory, in bytes.
    pub(super) max_rss: Option<u64>,
    /// Age.
    pub(super) max_lifetime: Option<Duration>,
}

impl Wear {
    /// What the operator has chosen.
    pub(super) fn of(config: &Config) -> Wear {
        Wear { max_rss: config.max_worker_rss, max_lifetime: config.max_worker_lifetime }
    }
}

/// Why a worker is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// So many of its calls ran for longer than they may, and perhaps still do.
    Stuck(u64),
    /// It has grown to so many bytes.
    Memory(u64),
    /// It has answered so many requests.
    Requests(u64),
    /// It is so old.
    Age(Duration),
}

impl Why {
    /// It does harm where it is: better to have no worker in its place than this one.
    fn is_harmful(self) -> bool {
        matches!(self, Why::Stuck(_) | Why::Memory(_))
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::Stuck(1) => f.write_str("has a stuck call (--request-timeout)"),
            Why::Stuck(count) => write!(f, "has {count} stuck calls (--request-timeout)"),
            Why::Memory(bytes) => write!(f, "has {} MiB (--max-worker-rss)", bytes >> 20),
            Why::Requests(count) => write!(f, "has answered {count} requests (--max-requests)"),
            Why::Age(age) => write!(f, "is {:.0} s old (--max-worker-lifetime)", age.as_secs_f64()),
        }
    }
}

/// Where a worker is, as far as that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    Serving,
    Leaving,
}

/// One living worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) life: Life,
    pub(super) stage: Stage,
    pub(super) age: Duration,
    /// It says that it has answered as many requests as it may.
    pub(super) worn: bool,
    pub(super) requests: u64,
    pub(super) timed_out: u64,
    /// `None`: not known, or not to be judged by.
    pub(super) rss: Option<u64>,
}

/// Whether a successor could be started now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// Yes.
    Ready,
    /// No: every slot is taken.
    NoSlot,
    /// No: there is no template, or starting failed a moment ago.
    NotNow,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Start a successor for this one, and tell [`Renewal::prepare`].
    Succeed { worn: Life, why: Why },
    /// This one may leave: the worker in that slot has taken over, or nobody can.
    Retire { worn: Life, why: Why, successor: Option<usize> },
}

/// A successor on its way.
#[derive(Debug, Clone, Copy)]
struct Preparing {
    worn: Life,
    why: Why,
    successor: Life,
}

/// The renewals under way.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    wear: Wear,
    preparing: Option<Preparing>,
    /// Who was told to leave last, and when.
    leaving: Option<(Life, Duration)>,
    /// Who is to be renewed next, and since when.
    next: Option<(Life, Duration)>,
}

impl Renewal {
    pub(super) fn new(wear: Wear) -> Renewal {
        Renewal { wear, ..Renewal::default() }
    }

    /// A successor was asked for.
    pub(super) fn prepare(&mut self, worn: Life, why: Why, successor: Life) {
        self.preparing = Some(Preparing { worn, why, successor });
    }

    /// Whether the worker in this slot only waits to replace another one, which policies still count in its place.
    pub(super) fn is_successor(&self, slot: usize) -> bool {
        self.preparing.is_some_and(|preparing| preparing.successor.slot == slot)
    }

    /// What to do next, if anything.
    pub(super) fn next(&mut self, now: Duration, members: &[Member], means: Means) -> Option<Order> {
        let stage_of = |life: Life| members.iter().find(|member| member.life == life).map(|member| member.stage);
        if let Some(Preparing { worn, why, successor }) = self.preparing {
            match (stage_of(worn), stage_of(successor)) {
                (Some(Stage::Serving), Some(Stage::Starting)) => return None,
                (Some(Stage::Serving), Some(Stage::Serving)) => {
                    self.retired(worn, now);
                    return Some(Order::Retire { worn, why, successor: Some(successor.slot) });
                }
                // One of them is gone: the worn one needs no successor any more, or another one.
                _ => self.preparing = None,
            }
        }
        self.leaving = self.leaving.filter(|(life, since)| stage_of(*life).is_some() && now < *since + PACE);
        let (worn, why) = self.most_due(members)?;
        // Who has a stuck call is short of a thread, if not of all of them: that does not wait.
        if self.leaving.is_some() && rank(why) > 0 {
            return None;
        }
        let since = self.next.filter(|(life, _)| *life == worn).map_or(now, |(_, since)| since);
        self.next = Some((worn, since));
        let serving = members.iter().filter(|member| member.stage == Stage::Serving).count();
        let leaving = members.iter().any(|member| member.stage == Stage::Leaving);
        let leaves_first = match means {
            Means::Ready => return Some(Order::Succeed { worn, why }),
            // Its own slot is the only one to be had, unless somebody leaves anyway.
            Means::NoSlot => !leaving,
            Means::NotNow => why.is_harmful() && serving > 1 && now >= since + PATIENCE,
        };
        leaves_first.then(|| {
            self.retired(worn, now);
            Order::Retire { worn, why, successor: None }
        })
    }

    fn retired(&mut self, worn: Life, now: Duration) {
        self.preparing = None;
        self.next = None;
        self.leaving = Some((worn, now));
    }

    fn most_due(&self, members: &[Member]) -> Option<(Life, Why)> {
        let serving = members.iter().filter(|member| member.stage == Stage::Serving);
        let due = serving.filter_map(|member| Some((self.why(member)?, member)));
        due.min_by_key(|(why, member)| (rank(*why), std::cmp::Reverse(member.age), member.life.slot))
            .map(|(why, member)| (member.life, why))
    }

    fn why(&self, member: &Member) -> Option<Why> {
        let stuck = (member.timed_out > 0).then_some(Why::Stuck(member.timed_out));
        let grown = self.wear.max_rss.and_then(|most| member.rss.filter(|rss| *rss > most)).map(Why::Memory);
        let worn = member.worn.then_some(Why::Requests(member.requests));
        let old = self.wear.max_lifetime.filter(|most| member.age >= end(*most, member.life.generation));
        stuck.or(grown).or(worn).or(old.map(|_| Why::Age(member.age)))
    }
}

/// The most urgent first.
fn rank(why: Why) -> u8 {
    match why {
        Why::Stuck(_) => 0,
        Why::Memory(_) => 1,
        Why::Requests(_) => 2,
        Why::Age(_) => 3,
    }
}

/// When the worker with this number has had its time.
fn end(lifetime: Duration, generation: u64) -> Duration {
    let spread = u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX) / SPREAD;
    lifetime - Duration::from_nanos(mpm::scatter(generation, spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn life(slot: usize) -> Life {
        Life { slot, generation: slot as u64 + 1 }
    }

    fn member(slot: usize, stage: Stage) -> Member {
        Member {
            life: life(slot),
            stage,
            age: Duration::from_secs(60),
            worn: false,
            requests: 500,
            timed_out: 0,
            rss: Some(GIB / 2),
        }
    }

    fn worn(slot: usize) -> Member {
        Member { worn: true, ..member(slot, Stage::Serving) }
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn renewal() -> Renewal {
        Renewal::new(Wear { max_rss: Some(GIB), max_lifetime: Some(seconds(3600)) })
    }

    const REQUESTS: Why = Why::Requests(500);

    #[test]
    fn the_most_urgent_is_due_first() {
        let grown = |slot| Member { rss: Some(2 * GIB), ..member(slot, Stage::Serving) };
        let old = |slot| Member { age: seconds(3600), ..member(slot, Stage::Serving) };
        let young = |slot| Member { age: seconds(3239), ..member(slot, Stage::Serving) };
        let older = |slot| Member { age: seconds(61), ..worn(slot) };
        let succeed = |slot, why| Some(Order::Succeed { worn: life(slot), why });
        let rows: [(&[Member], Option<Order>); 9] = [
            (&[], None),
            (&[member(0, Stage::Serving), member(1, Stage::Serving)], None),
            (&[member(0, Stage::Serving), worn(1)], succeed(1, REQUESTS)),
            (&[worn(0), worn(1), older(2)], succeed(2, REQUESTS)),
            (&[old(0), worn(1)], succeed(1, REQUESTS)),
            (&[old(0), worn(1), grown(2)], succeed(2, Why::Memory(2 * GIB))),
            (&[grown(0), Member { timed_out: 3, ..member(1, Stage::Serving) }], succeed(1, Why::Stuck(3))),
            // Up to a tenth earlier, never more.
            (&[young(0)], None),
            // Who is not there yet, or leaves already, is not due.
            (
                &[
                    Member { worn: true, ..member(0, Stage::Leaving) },
                    Member { worn: true, ..member(1, Stage::Starting) },
                ],
                None,
            ),
        ];
        for (members, expected) in rows {
            assert_eq!(renewal().next(seconds(1), members, Means::Ready), expected, "{members:?}");
        }
        assert_eq!(
            Renewal::default().next(seconds(1), &[old(0), grown(1)], Means::Ready),
            None,
            "nothing was asked for"
        );
    }

    #[test]
    fn lifetimes_end_one_after_the_other() {
        let ends: std::collections::BTreeSet<Duration> = (0..100).map(|number| end(seconds(1000), number)).collect();
        assert!(ends.iter().all(|end| (seconds(900)..=seconds(1000)).contains(end)));
        assert!(ends.len() > 90);
        assert!(ends.last().zip(ends.first()).is_some_and(|(last, first)| *last - *first > seconds(80)));
    }

    #[test]
    fn the_replacement_comes_first_and_one_after_the_other() {
        use Stage::{Leaving, Serving, Starting};
        let mut renewal = renewal();
        let mut next = |at: u64, members: &[Member]| {
            let order = renewal.next(seconds(at), members, Means::Ready);
            if let Some(Order::Succeed { worn, why }) = order {
                renewal.prepare(worn, why, life(2));
            }
            (order, renewal.is_successor(2))
        };
        let succeed = |slot| Some(Order::Succeed { worn: life(slot), why: REQUESTS });
        let retire = |slot| Some(Order::Retire { worn: life(slot), why: REQUESTS, successor: Some(2) });
        assert_eq!(next(1, &[worn(0), worn(1)]), (succeed(0), true));
        assert_eq!(next(2, &[worn(0), worn(1), member(2, Starting)]), (None, true), "however long it takes");
        assert_eq!(next(90, &[worn(0), worn(1), member(2, Starting)]), (None, true));
        assert_eq!(next(91, &[worn(0), worn(1), member(2, Serving)]), (retire(0), false));
        let left = Member { worn: true, ..member(0, Leaving) };
        assert_eq!(next(92, &[left, worn(1), member(2, Serving)]), (None, false), "one after the other");
        let stuck = Member { timed_out: 1, ..member(1, Serving) };
        let order = Renewal { leaving: Some((life(0), seconds(92))), ..Renewal::default() }.next(
            seconds(92),
            &[left, stuck],
            Means::Ready,
        );
        assert_eq!(order, Some(Order::Succeed { worn: life(1), why: Why::Stuck(1) }), "but this can't wait");
        assert_eq!(next(96, &[left, worn(1), member(2, Serving)]), (succeed(1), true), "but it may take its time");
    }

    #[test]
    fn the_next_follows_at_once_when_the_last_has_left() {
        let mut renewal = renewal();
        renewal.prepare(life(0), REQUESTS, life(2));
        let members = [worn(0), worn(1), member(2, Stage::Serving)];
        assert!(matches!(renewal.next(seconds(1), &members, Means::Ready), Some(Order::Retire { .. })));
        let order = renewal.next(seconds(1), &members[1..], Means::Ready);
        assert_eq!(order, Some(Order::Succeed { worn: life(1), why: REQUESTS }));
    }

    #[test]
    fn whoever_is_gone_needs_no_successor_and_a_successor_that_is_gone_is_replaced() {
        let mut renewal = renewal();
        renewal.prepare(life(0), REQUESTS, life(2));
        assert_eq!(renewal.next(seconds(1), &[member(2, Stage::Starting)], Means::Ready), None);
        assert!(!renewal.is_successor(2), "it is one of many now");
        renewal.prepare(life(0), REQUESTS, life(2));
        let order = renewal.next(seconds(2), &[worn(0)], Means::Ready);
        assert_eq!(order, Some(Order::Succeed { worn: life(0), why: REQUESTS }));
    }

    #[test]
    fn without_a_successor_only_harm_makes_a_worker_leave() {
        let grown = Member { rss: Some(2 * GIB), ..member(0, Stage::Serving) };
        let other = member(1, Stage::Serving);
        let leaving = member(2, Stage::Leaving);
        let rows: [(&[Member], Means, u64, bool); 8] = [
            (&[worn(0), other], Means::NotNow, 100, false),
            (&[grown, other], Means::NotNow, 9, false),
            (&[grown, other], Means::NotNow, 10, true),
            // The last one is better than none.
            (&[grown], Means::NotNow, 100, false),
            (&[grown, leaving], Means::NotNow, 100, false),
            // Where the successor's slot is its own, it can't but go first.
            (&[worn(0)], Means::NoSlot, 0, true),
            (&[worn(0), other], Means::NoSlot, 0, true),
            (&[worn(0), leaving], Means::NoSlot, 100, false),
        ];
        for (members, means, after, leaves) in rows {
            let mut renewal = renewal();
            let mut order = renewal.next(seconds(5), members, means);
            if after > 0 {
                assert_eq!(order, None, "{members:?}");
                order = renewal.next(seconds(5 + after), members, means);
            }
            let went = matches!(order, Some(Order::Retire { worn, successor: None, .. }) if worn == life(0));
            assert_eq!(went, leaves, "{members:?} {means:?} {after}");
        }
    }
}
